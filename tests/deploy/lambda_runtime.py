"""A stand-in for what AWS Lambda puts around a function: the Runtime API and the Extensions API, over real sockets.

A function under test (awslambdaric, or the AWS Lambda Web Adapter) asks for the next event and posts its answer, whole
or in chunks. Nagle's algorithm is off, so that chunks are seen when they are sent. Facts from the AWS Lambda developer
guide, "Using the Lambda runtime API", "Lambda Extensions API" and "Building a custom runtime" (response streaming).
"""

import json
import queue
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

Json = dict[str, Any]

RUNTIME = "/2018-06-01/runtime"
EXTENSION = "/2020-01-01/extension"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:isthmus"
PATIENCE_S = 60.0
"""How long a test waits for anything before it fails."""

PRELUDE_END = b"\x00" * 8
"""Stands between the JSON with status and headers, and the body of a streamed answer."""


class Invocation:
    """One event and what the function posts for it: `pieces` of a body, then nothing more."""

    def __init__(self, number: int, event: object, limit_s: float) -> None:
        self.id = f"00000000-0000-4000-8000-{number:012d}"
        self.event = json.dumps(event).encode()
        self.deadline_ms = int((time.time() + limit_s) * 1000)
        self.headers: dict[str, str] = {}
        self.failed = False
        self.hung_up = threading.Event()
        self._pieces: queue.Queue[bytes | None] = queue.Queue()

    def put(self, piece: bytes | None) -> None:
        self._pieces.put(piece)

    def pieces(self) -> Iterator[bytes]:
        """Yield what is posted as it comes."""
        while (piece := self._pieces.get(timeout=PATIENCE_S)) is not None:
            yield piece

    def answer(self) -> Any:
        """Return the whole answer of a buffered function. Fails the test when the function failed."""
        body = b"".join(self.pieces())
        assert not self.failed, body
        return json.loads(body)

    def stream(self) -> tuple[Json, Iterator[bytes]]:
        """Return status and headers of a streamed answer, and its body as it comes."""
        pieces = self.pieces()
        head = b""
        while PRELUDE_END not in head:
            head += next(pieces)
        prelude, _, rest = head.partition(PRELUDE_END)
        assert not self.failed, head
        assert self.headers["lambda-runtime-function-response-mode"] == "streaming"
        return json.loads(prelude), self._body(rest, pieces)

    def hang_up(self) -> None:
        """Close the connection in the middle of the answer."""
        self.hung_up.set()

    def _body(self, first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
        if first:
            yield first
        yield from others


class RuntimeApi(ThreadingHTTPServer):
    """The API on a free port: `address` is what AWS_LAMBDA_RUNTIME_API holds. Use it as a context manager."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.waiting = threading.Event()
        self.stopped = threading.Event()
        self.init_error: Json | None = None
        self.extensions: list[str] = []
        self.under_way: dict[str, Invocation] = {}
        self._events: queue.Queue[Invocation | None] = queue.Queue()
        self._numbers = count(1)

    def __enter__(self) -> "RuntimeApi":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._events.put(None)
        self.shutdown()
        self.server_close()

    def start(self, event: object, limit_s: float = 30.0) -> Invocation:
        """Give the function an event, which it has `limit_s` seconds to answer."""
        invocation = Invocation(next(self._numbers), event, limit_s)
        self._events.put(invocation)
        return invocation

    def invoke(self, event: object, limit_s: float = 30.0) -> Any:
        """Return the whole answer to an event."""
        return self.start(event, limit_s).answer()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what is wrong with a test; a function that is killed breaks off, which is as it should be."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def next_event(self) -> Invocation | None:
        """Wait for an event; `None` when the API goes away."""
        self.waiting.set()
        invocation = self._events.get()
        if invocation is not None:
            self.under_way[invocation.id] = invocation
        return invocation


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: RuntimeApi

    def do_GET(self) -> None:
        if self.path == f"{EXTENSION}/event/next":
            self.server.stopped.wait()
            self.close_connection = True
            return
        assert self.path == f"{RUNTIME}/invocation/next", self.path
        invocation = self.server.next_event()
        if invocation is None:
            self.close_connection = True
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": ARN,
            "Lambda-Runtime-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0",
        }
        self._reply(200, invocation.event, headers)

    def do_POST(self) -> None:
        pieces = self._pieces()
        match self.path.removeprefix(RUNTIME).split("/"):
            case ["", "invocation", name, "response" | "error" as kind]:
                self._take(self.server.under_way[name], kind, pieces)
            case ["", "init", "error"]:
                self.server.init_error = json.loads(b"".join(pieces))
                self.server.waiting.set()
                self._reply(202)
            case _:
                assert self.path == f"{EXTENSION}/register", self.path
                b"".join(pieces)
                self.server.extensions.append(self.headers["Lambda-Extension-Name"])
                self._reply(200, b'{"functionName":"isthmus"}', {"Lambda-Extension-Identifier": "extension-1"})

    def _take(self, invocation: Invocation, kind: str, pieces: Iterator[bytes]) -> None:
        invocation.headers = {name.lower(): value for name, value in self.headers.items()}
        invocation.failed = kind == "error"
        for piece in pieces:
            invocation.put(piece)
            if invocation.hung_up.is_set():
                self.close_connection = True
                return
        invocation.put(None)
        self._reply(202)

    def _pieces(self) -> Iterator[bytes]:
        """Yield the request's body as it comes: by its length, or chunk by chunk."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(body)}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode() + body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""
