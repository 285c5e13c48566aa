"""Simulated vendors that cost next to nothing: ready bytes over a bare asyncio protocol, in a process of their own.

`python -m bench.mock_upstream --port N` serves 127.0.0.1. The path chooses the format, the prompt says how much is
sent and how fast (`bench.order`). At once means in writes of up to 64 KB, for as long as the reader keeps up.
"""

import argparse
import asyncio
import functools
import re
import time
from collections.abc import Iterator
from itertools import cycle, islice
from typing import cast

import msgspec
import uvloop

from bench.order import FIRST_SENTENCE, Order, paced_first_text, read_order
from bench.vendor_formats import FORMATS, Format

WRITE_BYTES = 1 << 16

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAMED = re.compile(rb'"stream": ?true')

_NOT_REQUIRED = {"required": False}
_SENTINEL = {
    "persona": "chatgpt-paid",
    "expire_after": 540,
    "proofofwork": _NOT_REQUIRED,
    "turnstile": _NOT_REQUIRED,
    "arkose": _NOT_REQUIRED,
    "so": _NOT_REQUIRED,
    "force_login": False,
}
SIDE_CALLS: dict[bytes, object] = {
    b"/backend-api/sentinel/chat-requirements": {**_SENTINEL, "token": "bench-requirements"},
    b"/backend-api/sentinel/chat-requirements/prepare": {**_SENTINEL, "prepare_token": "bench-prepare"},
    b"/backend-api/sentinel/chat-requirements/finalize": {**_SENTINEL, "token": "bench-requirements"},
    b"/backend-api/f/conversation/prepare": {"status": "ok", "conduit_token": "bench-conduit"},
    b"/backend-api/models": {"models": [{"slug": "auto", "title": "Auto"}]},
    b"/v1/models": {"object": "list", "data": [{"id": "bench-model", "object": "model", "owned_by": "bench"}]},
}

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
END_OF_BODY = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def opening(format_: Format, first_text: str) -> bytes:
    return STREAM_HEAD + b"".join(map(chunk, format_.opening(first_text)))


def closing(format_: Format, deltas: int) -> bytes:
    return b"".join(map(chunk, format_.closing(deltas))) + END_OF_BODY


@functools.lru_cache(maxsize=32)
def streamed_answer(path: bytes, order: Order) -> bytes:
    """Return a whole streamed answer with `batch` deltas in each chunk."""
    format_ = FORMATS[path]
    deltas = list(islice(cycle(format_.deltas), order.deltas))
    batches = (deltas[begin : begin + order.batch] for begin in range(0, order.deltas, order.batch))
    body = b"".join(chunk(b"".join(batch)) for batch in batches)
    return opening(format_, FIRST_SENTENCE) + body + closing(format_, order.deltas)


@functools.lru_cache(maxsize=32)
def whole_answer(path: bytes, deltas: int) -> bytes:
    whole = FORMATS[path].whole
    assert whole is not None
    return json_answer(b"200 OK", whole(deltas))


def json_answer(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


JSON_ANSWERS = {path: json_answer(b"200 OK", msgspec.json.encode(value)) for path, value in SIDE_CALLS.items()}
NOT_FOUND = json_answer(b"404 Not Found", b'{"detail":"Not Found"}')


class RequestReader:
    """Takes a connection's bytes in any chunking and gives whole requests, bodies included, without copying twice."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._missing = 0

    def feed(self, data: bytes) -> bytes | None:
        """Return the request once it is whole. A client sends its next one when this one is answered."""
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            return None
        request = b"".join(self._parts)
        self._parts = [request]
        end = request.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        length = _LENGTH.search(request, 0, end)
        self._missing = end + (int(length[1]) if length else 0) - len(request)
        if self._missing > 0:
            return None
        self._parts, self._missing = [], 0
        return request


class Upstream(asyncio.Protocol):
    """One connection; requests on it are answered one after the other."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._requests = RequestReader()
        self._unsent = memoryview(b"")
        self._may_write = True
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._may_write = False
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        request = self._requests.feed(data)
        if request is not None:
            self._answer(request)

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        self._write_on()

    def _answer(self, request: bytes) -> None:
        path = request.split(b" ", 2)[1].partition(b"?")[0]
        format_ = FORMATS.get(path)
        if format_ is None:
            self._transport.write(JSON_ANSWERS.get(path, NOT_FOUND))
            return
        order = read_order(request)
        if format_.whole is not None and not _STREAMED.search(request):
            self._unsent = memoryview(whole_answer(path, order.deltas))
            self._write_on()
        elif order.rate:
            self._begin_pace(format_, order)
        else:
            self._unsent = memoryview(streamed_answer(path, order))
            self._write_on()

    def _write_on(self) -> None:
        while self._unsent and self._may_write:
            piece, self._unsent = self._unsent[:WRITE_BYTES], self._unsent[WRITE_BYTES:]
            self._transport.write(piece)

    def _begin_pace(self, format_: Format, order: Order) -> None:
        interval_s = 1 / order.rate
        self._transport.write(opening(format_, paced_first_text(time.monotonic() + interval_s)))
        deltas, end = cycle(map(chunk, format_.deltas)), closing(format_, order.deltas)
        due = self._loop.time() + interval_s
        self._timer = self._loop.call_at(due, self._pace, deltas, end, order.deltas, interval_s, due)

    def _pace(self, deltas: Iterator[bytes], end: bytes, left: int, interval_s: float, due: float) -> None:
        if not left:
            self._transport.write(end)
            return
        self._transport.write(next(deltas))
        due += interval_s
        self._timer = self._loop.call_at(due, self._pace, deltas, end, left - 1, interval_s, due)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
