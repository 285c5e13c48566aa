"""Runs the package as AWS Lambda does: unzipped, under the real runtime client or the real Lambda Web Adapter.

Both are processes of their own with an environment that holds nothing of this machine's.
"""

import os
import signal
import subprocess
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.api.servers import SECRETS
from tests.deploy.lambda_runtime import PATIENCE_S, RuntimeApi

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-lambda" / "bin" / "python"
"""Python 3.12 with AWS's runtime client and nothing else."""

ADAPTER = ROOT / "build" / "lambda-adapter" / "bin" / "lambda-adapter"
WATCHER = Path(__file__).parent / "watched"
"""A folder for PYTHONPATH: its sitecustomize reports every file that the function opens to write."""


def need(tool: Path) -> Path:
    """Return the tool. A missing one fails the test: nothing is skipped quietly."""
    assert tool.exists(), f"{tool.relative_to(ROOT)} is missing: `make test-deploy` makes it"
    return tool


def build_package(output: Path) -> None:
    command = [str(need(PYTHON)), str(ROOT / ".ci" / "package_lambda.py"), "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


def unzip(package: Path, folder: Path) -> None:
    """Unpack with the permissions that the zip states, as Lambda does, and let nobody write there."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
        for entry in archive.infolist():
            (folder / entry.filename).chmod((entry.external_attr >> 16) & 0o555)


class Function:
    """A running function: its API, and what it has logged so far."""

    def __init__(self, api: RuntimeApi, process: subprocess.Popen[str]) -> None:
        self.api = api
        self.process = process
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.log.extend(lines)

    def wait_until_ready(self) -> None:
        """Return when it asks for its first event."""
        ready = self.api.waiting.wait(PATIENCE_S)
        assert ready, self.log
        assert self.api.init_error is None, self.api.init_error

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process for a while, as Lambda does between events."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(timeout=PATIENCE_S)
        self._reader.join(timeout=PATIENCE_S)
        assert not [line for line in self.log if any(secret in line for secret in SECRETS)], "the log shows a secret"
        assert not [line for line in self.log if line.startswith("WROTE")], self.log


@contextmanager
def running_handler(
    folder: Path, environ: Mapping[str, str], handler: str = "api/lambda_handler.handler", path: Path | None = None
) -> Iterator[Function]:
    """Run a handler of the unzipped package under awslambdaric. `path` is searched for modules too."""
    folders = [str(folder), str(WATCHER), *([str(path)] if path else [])]
    command = [str(need(PYTHON)), "-m", "awslambdaric", handler]
    with _running(command, folder, dict(environ) | {"PYTHONPATH": os.pathsep.join(folders)}) as function:
        yield function


@contextmanager
def running_stream(folder: Path, environ: Mapping[str, str], port: int) -> Iterator[Function]:
    """Run the start script of the unzipped package behind the Lambda Web Adapter, each as a process."""
    adapter = {"AWS_LWA_PORT": str(port), "AWS_LWA_INVOKE_MODE": "response_stream"}
    adapter["AWS_LWA_READINESS_CHECK_PROTOCOL"] = "tcp"
    with RuntimeApi() as api:
        server_environ = lambda_environ(api, folder) | {"PYTHONPATH": str(WATCHER)} | adapter | dict(environ)
        server = _start([str(folder / "api" / "lambda_stream.sh")], folder, server_environ)
        process = _start([str(need(ADAPTER))], folder, lambda_environ(api, folder) | adapter)
        functions = [Function(api, server), Function(api, process)]
        try:
            functions[1].wait_until_ready()
            yield functions[0]
        finally:
            for function in functions:
                function.stop()


@contextmanager
def _running(command: list[str], folder: Path, environ: Mapping[str, str]) -> Iterator[Function]:
    with RuntimeApi() as api:
        function = Function(api, _start(command, folder, lambda_environ(api, folder) | dict(environ)))
        try:
            function.wait_until_ready()
            yield function
        finally:
            function.stop()


def _start(command: list[str], folder: Path, environ: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def lambda_environ(api: RuntimeApi, folder: Path) -> dict[str, str]:
    return {
        "AWS_LAMBDA_FUNCTION_NAME": "isthmus",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/isthmus",
        "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_REGION": "us-east-1",
        "LAMBDA_TASK_ROOT": str(folder),
        "LANG": "en_US.UTF-8",
        "PATH": os.pathsep.join([str(PYTHON.parent), "/usr/bin", "/bin"]),
        "TZ": ":UTC",
    }
