"""What every test runs under: one event loop library, patient properties, no network beyond this machine."""

import ipaddress
import logging
import sys
from collections.abc import Iterator

import hypothesis
import pytest

from tests.api.servers import SECRETS, Gateway, Upstream, running_gateway, running_upstream

# The tests are the same in every run, so that a red one is the change's doing; `make fuzz` looks for new cases.
hypothesis.settings.register_profile("same", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.register_profile("fuzz", deadline=None, print_blob=True, max_examples=2_000)
hypothesis.settings.load_profile("same")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def gateway_server() -> Iterator[Gateway]:
    """A gateway over the in-process loopback, as `python -m api` runs it. Tests leave no trace in it."""
    with running_gateway() as gateway:
        yield gateway


@pytest.fixture(scope="session")
def upstream_server() -> Iterator[Upstream]:
    """The simulated upstream on a real port. Tests script it for accounts of their own only."""
    with running_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def socket_gateway(upstream_server: Upstream) -> Iterator[Gateway]:
    """A gateway whose calls to the upstream cross a socket too."""
    with running_gateway(upstream_server.environ()) as gateway:
        yield gateway


CLIENTS = ("httpx", "httpcore", "openai")
"""Loggers of the tests' own clients: what they write is not the gateway's."""


class LogReader(logging.Handler):
    """Keeps every line that the gateway and its servers log, tracebacks included."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(CLIENTS):
            self.lines.append(self.format(record))


@pytest.fixture(scope="session", autouse=True)
def session_log() -> Iterator[LogReader]:
    """Read the log of the whole session: no key, no token and nothing that a user said may be in it."""
    reader = LogReader()
    logging.getLogger().addHandler(reader)
    yield reader
    logging.getLogger().removeHandler(reader)
    for line in reader.lines:
        assert not any(secret in line for secret in SECRETS), "a log line shows a secret or a prompt"


def refuse_foreign_connections(event: str, arguments: tuple[object, ...]) -> None:
    """Raise when a test opens a connection to anything but this machine: an audit hook (PEP 578)."""
    if event != "socket.connect":
        return
    address = arguments[1]
    if isinstance(address, tuple) and not is_local(str(address[0])):
        raise AssertionError(f"a test tried to reach {address[0]!r}; tests talk to this machine only")


def is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost")


sys.addaudithook(refuse_foreign_connections)
