"""A simulated ChatGPT Web that costs next to nothing: the calls of one turn, over bare asyncio.

The turn's stream is delta encoding v1. A request says in its URL or body (a prompt will do) how many deltas it
wants (`deltas=N`), how many a second (`rate=N`, 0: at once) and how many in each HTTP chunk when at once
(`batch=N`); BENCH_DELTAS, BENCH_RATE and BENCH_BATCH are the defaults. `python -m bench.mock_upstream --port N`
serves 127.0.0.1.
"""

import argparse
import asyncio
import functools
import os
import re
from typing import cast

import msgspec
import uvloop

CONVERSATION_ID = "6974e0a3-b684-8321-a73a-bf4e7b6dfafe"
MESSAGE_ID = "0fe98393-5d68-4e41-9fb6-75b50f27c79e"
SLICE_BYTES = 1 << 14

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_OPTIONS = {name: re.compile(rb"%b=(\d+)" % name.encode()) for name in ("deltas", "rate", "batch")}
_DEFAULTS = {
    "deltas": int(os.environ.get("BENCH_DELTAS", "100")),
    "rate": int(os.environ.get("BENCH_RATE", "0")),
    "batch": int(os.environ.get("BENCH_BATCH", "1")),
}

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
}
TURNS = {b"/backend-api/f/conversation", b"/backend-api/conversation"}


def block(data: object, event: str | None = None) -> bytes:
    """Return one server-sent event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {msgspec.json.encode(data).decode()}\n\n".encode()


def first_blocks() -> list[bytes]:
    message = {
        "id": MESSAGE_ID,
        "author": {"role": "assistant", "name": None, "metadata": {}},
        "create_time": 1769267364.4,
        "update_time": None,
        "content": {"content_type": "text", "parts": [""]},
        "status": "in_progress",
        "end_turn": None,
        "weight": 1.0,
        "metadata": {"message_type": "next", "model_slug": "gpt-5-2"},
        "recipient": "all",
        "channel": "final",
    }
    document = {"message": message, "conversation_id": CONVERSATION_ID, "error": None, "error_code": None}
    return [
        block("v1", "delta_encoding"),
        block({"p": "", "o": "add", "v": document, "c": 0}, "delta"),
        block({"p": "/message/content/parts/0", "o": "append", "v": "Once"}, "delta"),
    ]


def last_blocks() -> list[bytes]:
    patch = [
        {"p": "/message/content/parts/0", "o": "append", "v": " end."},
        {"p": "/message/status", "o": "replace", "v": "finished_successfully"},
        {"p": "/message/end_turn", "o": "replace", "v": True},
        {"p": "/message/metadata", "o": "append", "v": {"finish_details": {"type": "stop"}}},
    ]
    return [
        block({"p": "", "o": "patch", "v": patch}, "delta"),
        block({"type": "message_stream_complete", "conversation_id": CONVERSATION_ID}),
        b"data: [DONE]\n\n",
    ]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


DELTA = block({"v": " upon"}, "delta")
OPENING = b"".join(map(chunk, first_blocks()))
CLOSING = b"".join(map(chunk, last_blocks())) + b"0\r\n\r\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)


@functools.lru_cache(maxsize=8)
def whole_answer(deltas: int, batch: int) -> bytes:
    """Return a streamed answer with `batch` deltas in each chunk."""
    batches, rest = divmod(deltas, batch)
    body = chunk(DELTA * batch) * batches + (chunk(DELTA * rest) if rest else b"")
    return STREAM_HEAD + OPENING + body + CLOSING


def json_answer(status: bytes, value: object) -> bytes:
    body = msgspec.json.encode(value)
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


JSON_ANSWERS = {path: json_answer(b"200 OK", value) for path, value in SIDE_CALLS.items()}
NOT_FOUND = json_answer(b"404 Not Found", {"detail": "Not Found"})


class Upstream(asyncio.Protocol):
    """One connection; requests on it are answered one after the other."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._unsent = b""
        self._may_write = True
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        length = _LENGTH.search(self._received, 0, end)
        end += int(length[1]) if length else 0
        if len(self._received) >= end:
            request, self._received = self._received[:end], self._received[end:]
            self._answer(request)

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        self._write_on()

    def _answer(self, request: bytes) -> None:
        path = request.split(b" ", 2)[1].partition(b"?")[0]
        if path not in TURNS:
            self._transport.write(JSON_ANSWERS.get(path, NOT_FOUND))
        elif rate := option(request, "rate"):
            self._transport.write(STREAM_HEAD + OPENING)
            self._pace(option(request, "deltas"), 1 / rate, self._loop.time())
        else:
            self._unsent = whole_answer(option(request, "deltas"), option(request, "batch"))
            self._write_on()

    def _write_on(self) -> None:
        while self._unsent and self._may_write:
            piece, self._unsent = self._unsent[:SLICE_BYTES], self._unsent[SLICE_BYTES:]
            self._transport.write(piece)

    def _pace(self, left: int, interval_s: float, due: float) -> None:
        if not left:
            self._transport.write(CLOSING)
            return
        self._transport.write(chunk(DELTA))
        due += interval_s
        self._timer = self._loop.call_at(due, self._pace, left - 1, interval_s, due)


def option(request: bytes, name: str) -> int:
    found = _OPTIONS[name].search(request)
    return int(found[1]) if found else _DEFAULTS[name]


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
