"""Processes of the gateway and of the upstream, for what a thread cannot show: memory, the command line, imports.

`python -m tests.api.children gateway|upstream FD` serves on a socket that its parent has opened, so that nobody waits.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from api.app import create_app
from core.loopback import create_loopback
from core.settings import Settings

ROOT = Path(__file__).parents[2]
NEEDED = ("PATH", "LANG", "SYSTEMROOT", "HOME", "LD_LIBRARY_PATH")
"""What a child inherits: none of the gateway's own variables that may be set on a developer's machine."""


GRACE_S = 2
"""How long a server that was told to stop waits for its clients."""


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: os.environ[name] for name in NEEDED if name in os.environ} | dict(environ)


@contextmanager
def child(role: str, environ: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Run a server in a process of its own; give its id and its URL."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        command = [sys.executable, "-m", "tests.api.children", role, str(listener.fileno())]
        process = subprocess.Popen(command, cwd=ROOT, env=environment(environ), pass_fds=[listener.fileno()])
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield process.pid, url
    finally:
        process.terminate()
        process.wait(timeout=20)


def run_python(arguments: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run python to its end, in the root of the project."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(environ), capture_output=True, text=True, timeout=60)


def serve(role: str, descriptor: int) -> None:
    app = create_loopback() if role == "upstream" else create_app(Settings.from_env())
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=GRACE_S
    )
    uvicorn.Server(config).run([socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
