"""The other side of a transport: a server that follows a script, a proxy, and a certificate for both."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path
from typing import Self, TypeAlias

import pytest

from core.transport.dial import ssl_context

PEM = Path(__file__).with_name("test_transport_localhost.pem")
SECRET = "s3cret"  # stands for what no message may show


class Do(Enum):
    READ = auto()  # one whole request
    READ_HEAD = auto()
    DRAIN = auto()  # a body as long as the last head says, without keeping it
    HEAR_NOTHING_ELSE = auto()  # wait until the client has gone
    WAIT = auto()  # until the test says `proceed`
    HALF_CLOSE = auto()
    RESET = auto()


READ, READ_HEAD, HALF_CLOSE, RESET, WAIT = Do.READ, Do.READ_HEAD, Do.HALF_CLOSE, Do.RESET, Do.WAIT
DRAIN = Do.DRAIN
HANG = Do.HEAR_NOTHING_ELSE

Script: TypeAlias = tuple[bytes | Do, ...]


class Server:
    """Follows one script for each connection, the last one for all further ones, and closes at its end."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.was_asked = asyncio.Event()
        self.proceed = asyncio.Event()
        self.client_has_gone = asyncio.Event()
        self._scripts = scripts
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        self._tasks.add(asyncio.create_task(self._serve(script, reader, writer)))

    async def _serve(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                for step in script:
                    await self._take(step, reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _take(self, step: bytes | Do, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match step:
            case bytes():
                writer.write(step)
                await writer.drain()
            case Do.READ:
                self.requests.append(await read_request(reader))
                self.was_asked.set()
            case Do.READ_HEAD:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                self.was_asked.set()
            case Do.DRAIN:
                left = body_length(self.requests[-1])
                while left and (data := await reader.read(1 << 16)):
                    left -= len(data)
            case Do.WAIT:
                await self.proceed.wait()
            case Do.HALF_CLOSE:
                writer.write_eof()
            case Do.RESET:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            case Do.HEAR_NOTHING_ELSE:
                with contextlib.suppress(ConnectionError):
                    while await reader.read(1 << 16):
                        pass
                self.client_has_gone.set()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(body_length(head))


def body_length(head: bytes) -> int:
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(lengths[0].split(b":")[1]) if lengths else 0


class Proxy:
    """Answers CONNECT with `answer` and, when that is a 200, passes bytes on to `target`."""

    def __init__(self, target: Server, answer: bytes = b"HTTP/1.0 200 Connection established\r\n\r\n") -> None:
        self.heads: list[bytes] = []
        self._target = target
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://me:{SECRET}@127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self._answer)
        if b" 200 " in self._answer:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target.port)
            await asyncio.gather(relay(reader, far_writer), relay(far_reader, writer))
        else:
            writer.close()


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
    finally:
        writer.close()


@contextlib.contextmanager
def trusted_tls(monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """Give a server's context whose certificate the transport trusts by SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    ssl_context.cache_clear()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(PEM)
    yield context
    ssl_context.cache_clear()


def sized(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (lines, len(body), body)
