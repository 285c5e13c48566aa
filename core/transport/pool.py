"""An httpx transport that keeps its idle connections in plain lists, one list for each origin.

Taking a connection and giving it back cost the same whatever is in flight; httpcore's pool walks over all of
its connections for each request (bench/README.md has the figures). There is no limit on open connections:
whoever accepts the clients sets one. A pool belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple

import httpx

from core.transport.connection import Connection
from core.transport.dial import Origin, Patience, dial, origin_of, proxy_headers
from core.transport.http1 import Head, Unwritable, write_head
from core.transport.upload import Upload

IDLE_LIMIT_S = 45.0
SWEEP_EVERY_S = 15.0
MAX_IDLE_PER_ORIGIN = 64

REPEAT_WITHIN_S = 1.0
"""How soon a used connection must be found dead for its request to be sent again.

A server that closes an idle connection just as it is used shows that within a round trip, and so does one that did it
while this instance was frozen. Later it may have carried out what was asked.
"""

_IDEMPOTENT = (b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE")
"""What may be carried out twice (RFC 9110, section 9.2.2)."""


class Message(NamedTuple):
    """A request as the connection sends it: `data` is the head and, unless it comes as an `upload`, the body."""

    method: bytes
    data: bytes
    patience: Patience
    upload: Upload | None = None


class Body(httpx.AsyncByteStream):
    """A response's body: closing it ends the exchange. `receive` is the short way to the bytes."""

    def __init__(self, connection: Connection, give_back: Callable[[Connection], None]) -> None:
        self._connection: Connection | None = connection
        self._give_back = give_back
        self.receive = connection.receive

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.receive():
            yield data

    async def aclose(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._give_back(connection)


class Pool(httpx.AsyncBaseTransport):
    """Requests over HTTP/1.1, directly or through a proxy that speaks http.

    `wall_clock` (Unix seconds) measures idleness: the monotonic clock of a frozen serverless instance stands
    still.
    """

    def __init__(self, *, proxy: httpx.Proxy | None = None, wall_clock: Callable[[], float] = time.time) -> None:
        self._proxy = proxy
        self._wall_clock = wall_clock
        self._idle: dict[Origin, list[tuple[float, Connection]]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        upload = request.extensions.get("upload")
        content = upload if isinstance(upload, Upload) else request.content
        patience: Patience = request.extensions["patience"]
        head, body = await self.send(request.method, request.url, request.headers.raw, content, patience)
        return httpx.Response(head.status, headers=head.headers, stream=body)

    async def send(
        self,
        method: str,
        url: httpx.URL,
        headers: Sequence[tuple[bytes, bytes]],
        content: bytes | Upload,
        patience: Patience,
    ) -> tuple[Head, Body]:
        """Send a request whose headers are complete; return the head of its answer, and the body. Raises as httpx does.

        The short way: httpx's own objects for a request and its answer cost 16 µs.
        """
        origin = origin_of(url)
        message = self._message(method.encode(), url, headers, content, patience)
        connection, head = await self._exchange(origin, message)
        return head, Body(connection, functools.partial(self._give_back, origin))

    async def aclose(self) -> None:
        """Close the idle connections; those in use are closed when their exchanges end."""
        self._is_closed = True
        self._drop_idle(lambda _: True)

    async def _exchange(self, origin: Origin, message: Message) -> tuple[Connection, Head]:
        # A body that is read while it is sent cannot be sent a second time, so it gets a new connection.
        connection = self._take_idle(origin) if message.upload is None else None
        if connection is not None:
            begun = time.monotonic()
            try:
                return connection, await _send(connection, message)
            except httpx.ReadError:
                # The server may close an idle connection just as we use it: once more, on a new one.
                is_race = message.method in _IDEMPOTENT or time.monotonic() - begun < REPEAT_WITHIN_S
                if connection.answered or not is_race:
                    raise
        connection = await dial(origin, message.patience, self._proxy)
        return connection, await _send(connection, message)

    def _message(
        self,
        method: bytes,
        url: httpx.URL,
        headers: Sequence[tuple[bytes, bytes]],
        content: bytes | Upload,
        patience: Patience,
    ) -> Message:
        target = url.raw_path
        if self._proxy is not None and url.scheme == "http":
            target = b"http://" + url.netloc + target
            headers = [*headers, *proxy_headers(self._proxy)]
        try:
            head = write_head(method, target, headers)
        except Unwritable as error:
            raise httpx.LocalProtocolError(str(error)) from error
        if isinstance(content, Upload):
            return Message(method, head, patience, content)
        return Message(method, head + content, patience)

    def _take_idle(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin, [])
        while idle:
            since, connection = idle.pop()
            if connection.is_open and not self._is_stale(since):
                return connection
            connection.abort()
        return None

    def _give_back(self, origin: Origin, connection: Connection) -> None:
        if not connection.release():
            return
        idle = self._idle.setdefault(origin, [])
        if self._is_closed or len(idle) >= MAX_IDLE_PER_ORIGIN:
            connection.abort()
            return
        idle.append((self._wall_clock(), connection))
        self._sweep_later()

    def _is_stale(self, since: float) -> bool:
        return not 0 <= self._wall_clock() - since < IDLE_LIMIT_S

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_EVERY_S, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        self._drop_idle(self._is_stale)
        if self._idle:
            self._sweep_later()

    def _drop_idle(self, is_stale: Callable[[float], bool]) -> None:
        kept: dict[Origin, list[tuple[float, Connection]]] = {}
        for origin, idle in self._idle.items():
            for since, connection in idle:
                if connection.is_open and not is_stale(since):
                    kept.setdefault(origin, []).append((since, connection))
                else:
                    connection.abort()
        self._idle = kept
        if not kept and self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None


async def _send(connection: Connection, message: Message) -> Head:
    method, data, patience, upload = message
    try:
        if upload is None:
            return await connection.exchange(method, data, first_byte_s=patience.first_byte_s, idle_s=patience.idle_s)
        async with aclosing(upload.chunks()) as rest:
            return await connection.exchange(
                method, data, rest, first_byte_s=patience.first_byte_s, idle_s=patience.idle_s
            )
    except BaseException:
        connection.abort()
        raise
