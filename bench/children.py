"""Child processes on this machine: started, waited for, ended by their own ids, whatever happens in between."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parent.parent
START_LIMIT_S = 60.0
END_LIMIT_S = 5.0
POLL_S = 0.005
LAST_WORDS = 2000
PORTS = range(18_000, 30_000)
"""Below those that the kernel gives to outgoing connections: another's could take the port before its server listens,
and whoever waits for that could be connected to itself."""

TRIES = 100
KEPT_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "HOME", "LANG")
"""A developer's own tokens and proxies must not take part."""


class Running(Struct, frozen=True):
    port: int
    pid: int


class NotServing(Exception):
    """A child ended, or did not listen in time; the message has its last words."""


def free_port() -> int:
    """Return a port on which nobody listens. Raises `NotServing` should there be none."""
    for port in random.sample(PORTS, TRIES):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise NotServing(f"of the ports {PORTS.start} to {PORTS.stop - 1}, {TRIES} at random were all taken")


def module(name: str, *arguments: object) -> list[str]:
    """Return the command that runs a module of this project."""
    return [sys.executable, "-m", name, *map(str, arguments)]


def environment(more: Mapping[str, str]) -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ} | dict(more)


@contextmanager
def running(command: Sequence[str], port: int, more: Mapping[str, str], log: Path) -> Iterator[Running]:
    """Run a command that serves `port` until the context ends. Raises `NotServing`.

    It gets a process group of its own, so that its children end with it.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(more),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_for(port, process, log)
        yield Running(port, process.pid)
    finally:
        end(process)


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(POLL_S)
        else:
            return
    said = log.read_bytes()[-LAST_WORDS:].decode(errors="replace")
    raise NotServing(f"{Path(str(process.args[0])).name} does not serve port {port}: {said}")  # type: ignore[index]


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group: asked first, then made to."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            continue
