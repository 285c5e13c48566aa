"""Drives one load against a chat endpoint on this machine and checks every answer; prints what it did, as JSON.

`python -m bench.load --port N --streams 20 --requests 100 --deltas 2000 --rate 0 --batch 1`: so many streams
at once, each asking again as soon as it is answered, until so many requests are answered in all. It gives up
after `--limit` seconds.
"""

import argparse
import asyncio
import time
from collections.abc import Iterator

import msgspec
import uvloop
from msgspec import Struct

from core.transport.http1 import HeadReader, body_reader

WORD = b"upon"
TAIL_BYTES = 20


class Report(Struct, frozen=True):
    requests: int
    deltas: int
    wall_s: float


def chat_request(arguments: argparse.Namespace) -> bytes:
    """Return a whole HTTP request for a streamed completion; its prompt tells the mock upstream what to send."""
    prompt = f"deltas={arguments.deltas} rate={arguments.rate} batch={arguments.batch}"
    body = msgspec.json.encode({"model": "auto", "stream": True, "messages": [{"role": "user", "content": prompt}]})
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {arguments.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, deltas: int) -> None:
    """Send the request and read its answer; raise `RuntimeError` unless it is a whole stream."""
    writer.write(request)
    head_reader = HeadReader()
    while (head := head_reader.feed(await read_some(reader))) is None:
        pass
    if head.status != 200:
        raise RuntimeError(f"status {head.status}: {(head_reader.rest + await reader.read(500))!r}")
    body = body_reader(head, b"POST")
    data = body.feed(head_reader.rest)
    words = data.count(WORD)
    while not body.complete:
        tail = data[-TAIL_BYTES:]  # it may end in part of a word
        data = tail + body.feed(await read_some(reader))
        words += data.count(WORD) - tail.count(WORD)
    if words != deltas or not data.endswith(b"data: [DONE]\n\n"):
        raise RuntimeError(f"{words} of {deltas} deltas came; the end was {data[-TAIL_BYTES:]!r}")


async def read_some(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(1 << 18)
    if not data:
        raise RuntimeError("the connection was closed in the middle of an answer")
    return data


async def keep_asking(port: int, request: bytes, deltas: int, turns: Iterator[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in turns:
        await ask(reader, writer, request, deltas)
    writer.close()


async def drive(arguments: argparse.Namespace) -> Report:
    request = chat_request(arguments)
    turns = iter(range(arguments.requests))
    begin = time.perf_counter()
    async with asyncio.timeout(arguments.limit), asyncio.TaskGroup() as group:
        for _ in range(arguments.streams):
            group.create_task(keep_asking(arguments.port, request, arguments.deltas, turns))
    wall_s = time.perf_counter() - begin
    return Report(arguments.requests, arguments.requests * arguments.deltas, wall_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("port", "streams", "requests", "deltas", "rate", "batch"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--key", default="bench-key")
    parser.add_argument("--limit", type=float, default=120)
    print(msgspec.json.encode(uvloop.run(drive(parser.parse_args()))).decode())


if __name__ == "__main__":
    main()
