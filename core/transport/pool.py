"""An httpx transport that keeps its idle connections in plain lists, one list for each origin.

Taking a connection and giving it back cost the same whatever is in flight; httpcore's pool walks over all of
its connections for each request (bench/README.md has the figures). There is no limit on open connections:
whoever accepts the clients sets one. A pool belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import httpx

from core.transport.connection import Connection
from core.transport.http1 import Head, Unwritable, write_head

IDLE_LIMIT_S = 45.0
SWEEP_EVERY_S = 15.0
MAX_IDLE_PER_ORIGIN = 64
DEFAULT_PORTS = {"http": 80, "https": 443}


class Patience(NamedTuple):
    """What a request waits for, in seconds. It travels in `request.extensions["patience"]`."""

    connect_s: float
    first_byte_s: float
    idle_s: float


class Origin(NamedTuple):
    scheme: str
    host: str
    port: int


class Message(NamedTuple):
    """A request as the connection sends it: `data` is the head and the body."""

    method: bytes
    data: bytes
    patience: Patience


@functools.cache
def ssl_context() -> ssl.SSLContext:
    """Return the process's context, made when first needed: reading its CA bundle takes 20 ms."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


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
    """Requests with whole bodies over HTTP/1.1, directly or through a proxy that speaks http.

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
        origin = _origin_of(request.url)
        connection, head = await self._exchange(origin, self._message(request))
        body = Body(connection, functools.partial(self._give_back, origin))
        return httpx.Response(head.status, headers=head.headers, stream=body)

    async def aclose(self) -> None:
        """Close the idle connections; those in use are closed when their exchanges end."""
        self._is_closed = True
        self._drop_idle(lambda _: True)

    async def _exchange(self, origin: Origin, message: Message) -> tuple[Connection, Head]:
        connection = self._take_idle(origin)
        if connection is not None:
            try:
                return connection, await _send(connection, message)
            except httpx.ReadError:
                # The server may close an idle connection just as we use it: once more, on a new one.
                if connection.answered:
                    raise
        connection = await self._open(origin, message.patience)
        return connection, await _send(connection, message)

    def _message(self, request: httpx.Request) -> Message:
        method, headers, target = request.method.encode(), request.headers.raw, request.url.raw_path
        if self._proxy is not None and request.url.scheme == "http":
            target = b"http://" + request.url.netloc + target
            headers = [*headers, *_proxy_headers(self._proxy)]
        try:
            head = write_head(method, target, headers)
        except Unwritable as error:
            raise httpx.LocalProtocolError(str(error)) from error
        return Message(method, head + request.content, request.extensions["patience"])

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

    async def _open(self, origin: Origin, patience: Patience) -> Connection:
        try:
            async with asyncio.timeout(patience.connect_s):
                if self._proxy is None:
                    return await _connect(origin)
                return await _connect_through(self._proxy, origin, patience)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection within {patience.connect_s:g} s") from error
        except (OSError, UnicodeError, OverflowError) as error:
            raise httpx.ConnectError(_reason(error)) from error


async def _send(connection: Connection, message: Message) -> Head:
    patience = message.patience
    try:
        return await connection.exchange(
            message.method, message.data, first_byte_s=patience.first_byte_s, idle_s=patience.idle_s
        )
    except BaseException:
        connection.abort()
        raise


async def _connect(origin: Origin) -> Connection:
    context = ssl_context() if origin.scheme == "https" else None
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, origin.host, origin.port, ssl=context)
    return connection


async def _connect_through(proxy: httpx.Proxy, origin: Origin, patience: Patience) -> Connection:
    """Connect to the proxy; for https have it open a tunnel and speak TLS through that."""
    connection = await _connect(_origin_of(proxy.url))
    if origin.scheme == "http":
        return connection
    try:
        await _open_tunnel(connection, proxy, origin, patience)
        await connection.start_tls(ssl_context(), origin.host)
    except BaseException:
        connection.abort()
        raise
    return connection


async def _open_tunnel(connection: Connection, proxy: httpx.Proxy, origin: Origin, patience: Patience) -> None:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    target = f"{host}:{origin.port}".encode()
    head = write_head(b"CONNECT", target, [(b"Host", target), *_proxy_headers(proxy)])
    try:
        answer = await _send(connection, Message(b"CONNECT", head, patience))
    except httpx.TimeoutException as error:
        raise httpx.ConnectTimeout("the proxy did not answer in time") from error
    except httpx.TransportError as error:
        raise httpx.ProxyError("the proxy broke off") from error
    if answer.status >= 300:
        raise httpx.ProxyError(f"the proxy answered CONNECT with status {answer.status}")


def _proxy_headers(proxy: httpx.Proxy) -> list[tuple[bytes, bytes]]:
    if proxy.raw_auth is None:
        return []
    return [(b"Proxy-Authorization", b"Basic " + b64encode(b":".join(proxy.raw_auth)))]


def _origin_of(url: httpx.URL) -> Origin:
    if url.scheme not in DEFAULT_PORTS or not url.host:
        raise httpx.UnsupportedProtocol("the URL is not http or https")
    return Origin(url.scheme, url.raw_host.decode("ascii"), url.port or DEFAULT_PORTS[url.scheme])


def _reason(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted ({error.verify_message})"
        case ssl.SSLError():
            return "the TLS handshake failed"
        case socket.gaierror() | UnicodeError():
            return "its name does not resolve"
        case ConnectionRefusedError():
            return "it refused the connection"
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            return "it closed the connection at once"
        case _:
            return "no connection"
