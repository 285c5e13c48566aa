"""Runs the gateway under Vercel's own runtime, as the platform does: a process that tells its port over a unix socket.

The protocol is that of vercel-runtime (`vc_init.py`, 0.23 and 0.24): messages of JSON, each ended by a NUL byte:
`server-started` once, then `handler-started`, any number of `log` and one `end` for each request.
"""

import base64
import json
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.api.children import environment
from tests.api.servers import SECRETS, Gateway

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".venv-deploy" / "bin"
"""Where `make test-deploy` puts Python 3.12, uv and Vercel's runtime."""

START_S = 30
STOP_S = 20
PLATFORM = {"VERCEL": "1", "VERCEL_ENV": "production", "PYTHONDONTWRITEBYTECODE": "1"}
"""What the platform sets of itself."""

DEADLINE_HEADER = "x-vercel-internal-deadline"

Json = dict[str, Any]


class Program(Struct, frozen=True):
    """What is run, and where: the command, the folder, and the variables that belong to it."""

    command: tuple[str, ...]
    folder: Path
    variables: Mapping[str, str]


def runtime_over_checkout() -> Program:
    """Return the runtime from PyPI over this checkout, told what `vercel build` writes into a function."""
    variables = {
        "__VC_HANDLER_MODULE_NAME": "api.index",
        "__VC_HANDLER_ENTRYPOINT": "api/index.py",
        "__VC_HANDLER_ENTRYPOINT_ABS": str(ROOT / "api" / "index.py"),
        "__VC_HANDLER_VENDOR_DIR": "_vendor",
        "__VC_HANDLER_VARIABLE_NAME": "app",
    }
    return Program((str(python_3_12()), "-c", "import vercel_runtime.vc_init"), ROOT, variables)


def built_function(folder: Path) -> Program:
    """Return a function that `vercel build` has made. Without site-packages (-S): it must hold all that it needs."""
    config: Json = json.loads((folder / ".vc-config.json").read_text())
    module, _, _ = config["handler"].partition(".")
    return Program((str(python_3_12()), "-S", "-c", f"import {module}"), folder, config["environment"])


def python_3_12() -> Path:
    python = TOOLS / "python"
    assert python.exists(), f"{TOOLS.parent.name} is missing: `make test-deploy` makes it"
    return python


class Messages:
    """What the runtime tells the platform, in order, as it comes."""

    def __init__(self) -> None:
        self._all: list[Json] = []
        self._changed = threading.Condition()
        self.ended = False

    def read(self, connection: socket.socket) -> None:
        """Read to the end of the connection."""
        rest = b""
        with connection:
            while data := connection.recv(65_536):
                *whole, rest = (rest + data).split(b"\0")
                with self._changed:
                    self._all += [json.loads(message) for message in whole]
                    self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def of(self, kind: str) -> list[Json]:
        with self._changed:
            return [message.get("payload", {}) for message in self._all if message["type"] == kind]

    def wait(self, is_there: Callable[["Messages"], bool], within_s: float) -> bool:
        """Return whether it came to be, at once when it does or when nothing more can come."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended or is_there(self), within_s)
            return is_there(self)

    def logged(self) -> list[str]:
        """Return every line that the gateway logged or printed."""
        return [base64.b64decode(payload["message"]).decode() for payload in self.of("log")]

    def most_at_once(self) -> int:
        """Return how many requests were open at the same time."""
        most = now = 0
        with self._changed:
            for message in self._all:
                now += {"handler-started": 1, "end": -1}.get(message["type"], 0)
                most = max(most, now)
        return most

    def all_ended(self) -> bool:
        return len(self.of("end")) == len(self.of("handler-started"))


class Function(Gateway):
    """A gateway that Vercel's runtime serves, and what the runtime tells of it."""

    def __init__(self, url: str, messages: Messages) -> None:
        super().__init__(url)
        self.messages = messages


class NotStarted(Exception):
    """The function ended before it served; the message is what it told the platform."""


@contextmanager
def running_function(program: Program, environ: Mapping[str, str]) -> Iterator[Function]:
    """Run the program with these variables. Raises `NotStarted`; sees to it that it ends, and shows no secret."""
    messages = Messages()
    # A unix socket's path has room for 107 bytes, which pytest's own folders may exceed.
    with tempfile.TemporaryDirectory(prefix="vercel-") as folder, socket.socket(socket.AF_UNIX) as listener:
        address, printed = f"{folder}/ipc.sock", Path(folder, "printed")
        listener.bind(address)
        listener.listen(1)
        listener.settimeout(START_S)
        variables = PLATFORM | dict(program.variables) | {"VERCEL_IPC_PATH": address} | dict(environ)
        with printed.open("wb") as output:
            process = subprocess.Popen(
                program.command, cwd=program.folder, env=environment(variables), stdout=output, stderr=output
            )
        try:
            connection, _ = listener.accept()
            reader = threading.Thread(target=messages.read, args=(connection,), daemon=True)
            reader.start()
            function = Function(url_of(messages), messages)
            try:
                yield function
                assert messages.wait(Messages.all_ended, within_s=5), "a request has not ended with its answer"
            finally:
                function.close()
        finally:
            process.terminate()
            process.wait(timeout=STOP_S)
        reader.join(timeout=STOP_S)
        assert_nothing_is_shown([*messages.logged(), printed.read_text()])


def url_of(messages: Messages) -> str:
    if messages.wait(lambda told: bool(told.of("server-started")), within_s=START_S):
        return f"http://127.0.0.1:{messages.of('server-started')[0]['httpPort']}"
    raise NotStarted(" ".join(payload["message"] for payload in messages.of("unrecoverable-error")))


def assert_nothing_is_shown(texts: list[str]) -> None:
    assert not any(secret in text for text in texts for secret in SECRETS), "the function's log shows a secret"


def deadline_in(seconds: float) -> dict[str, str]:
    """Return the header by which the platform tells the runtime when it will end the request."""
    return {DEADLINE_HEADER: (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")}
