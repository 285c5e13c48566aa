"""What one event loop holds: a pool, a transport for each proxy and each mount, and the way a request takes.

Loaded by the first request, as httpx takes 20 ms to import. The transports are called without an
`httpx.AsyncClient` around them: no cookie jar, no redirects, no auth, no environment, and 150 µs less.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Protocol, cast

import httpx
from msgspec import Struct

from core.errors import NotConfigured
from core.transport.dial import Patience, ssl_context
from core.transport.failures import FOREIGN, translate
from core.transport.http1 import Head
from core.transport.pool import IDLE_LIMIT_S, Body, Pool
from core.transport.upload import Upload

Mounts = Mapping[str, Callable[[], httpx.AsyncBaseTransport]]

_WITH_BODY = ("POST", "PUT", "PATCH")
"""The methods whose requests say how long their body is, even when there is none (RFC 9110, section 8.6)."""

# Parsing a URL takes 18 µs, and nearly all requests go to a dozen of them.
_parse_url = functools.lru_cache(maxsize=256)(httpx.URL)


class Call(Struct, frozen=True):
    """A request to make. `upstream` is what error messages call the other side."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | Upload
    proxy: str | None
    patience: Patience
    upstream: str


class Answer(Protocol):
    """An open response: `receive` returns the next body bytes, `b""` at the end, and raises our errors."""

    status: int
    headers: dict[str, str]

    async def receive(self) -> bytes: ...

    async def aclose(self) -> None: ...


class Client:
    def __init__(self, mounts: Mounts) -> None:
        self._mounts = mounts
        self._mounted: dict[str, httpx.AsyncBaseTransport] = {}
        self._direct = Pool()
        self._proxied: dict[str, httpx.AsyncBaseTransport] = {}
        self._end: AsyncGenerator[None, None] | None = None

    async def send(self, call: Call) -> Answer:
        """Return the answer with its head received; raise our errors."""
        try:
            transport = self._transport_for(call)
            if isinstance(transport, Pool):
                return await _send_pooled(transport, call)
            return await _send_foreign(transport, _build(call), call)
        except FOREIGN as error:
            raise translate(error, call.upstream, "head") from error

    async def aclose(self) -> None:
        for transport in (self._direct, *self._proxied.values(), *self._mounted.values()):
            await transport.aclose()

    async def close_with_loop(self) -> None:
        """Have the idle connections closed when the running loop ends.

        `asyncio.run` and its like close suspended asynchronous generators before they close their loop.
        """
        self._end = self._until_the_loop_ends()
        await anext(self._end)

    async def _until_the_loop_ends(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.aclose()

    def _transport_for(self, call: Call) -> httpx.AsyncBaseTransport:
        for prefix, factory in self._mounts.items():
            if call.url.startswith(prefix):
                return _kept(self._mounted, prefix, factory)
        if call.proxy is None:
            return self._direct
        return _kept(self._proxied, call.proxy, functools.partial(_proxied_transport, call.proxy))


class PooledAnswer:
    """The answer of one of our own connections, which watch their time themselves."""

    def __init__(self, head: Head, body: Body, upstream: str) -> None:
        self.status = head.status
        self.headers = _read_headers(head.headers)
        self._body = body
        self._receive = body.receive
        self._upstream = upstream

    async def receive(self) -> bytes:
        try:
            return await self._receive()
        except httpx.TransportError as error:
            raise translate(error, self._upstream, "body") from error

    async def aclose(self) -> None:
        await self._body.aclose()


class ForeignAnswer:
    """The answer of a stock or mounted transport: each read gets a deadline of its own."""

    def __init__(self, response: httpx.Response, call: Call) -> None:
        self.status = response.status_code
        self.headers = _read_headers(response.headers.raw)
        self._content = call.content
        self._stream = cast(httpx.AsyncByteStream, response.stream)
        self._parts = aiter(self._stream)
        self._idle_s = call.patience.idle_s
        self._upstream = call.upstream

    async def receive(self) -> bytes:
        try:
            async with asyncio.timeout(self._idle_s):
                async for part in self._parts:
                    if part:
                        return part
                return b""
        except FOREIGN as error:
            raise translate(error, self._upstream, "body") from error

    async def aclose(self) -> None:
        if isinstance(self._parts, AsyncGenerator):
            await self._parts.aclose()
        await self._stream.aclose()
        await _let_go(self._content)


async def _send_pooled(pool: Pool, call: Call) -> PooledAnswer:
    url = _parse_url(call.url)
    head, body = await pool.send(call.method, url, _fields(call, url), call.content, call.patience)
    return PooledAnswer(head, body, call.upstream)


async def _send_foreign(transport: httpx.AsyncBaseTransport, request: httpx.Request, call: Call) -> ForeignAnswer:
    """Wait for the head; each piece of an upload that is taken before it begins the wait anew."""
    limit_s = call.patience.connect_s + call.patience.first_byte_s
    now = asyncio.get_running_loop().time
    upload = call.content if isinstance(call.content, Upload) else None
    try:
        async with asyncio.timeout(limit_s) as limit:
            if upload is not None:
                upload.on_chunk = lambda: limit.reschedule(now() + limit_s)
            return ForeignAnswer(await transport.handle_async_request(request), call)
    except BaseException:
        await _let_go(call.content)
        raise
    finally:
        if upload is not None:
            upload.on_chunk = None


async def _let_go(content: bytes | Upload) -> None:
    if isinstance(content, Upload):
        await content.aclose()


def _kept(
    transports: dict[str, httpx.AsyncBaseTransport], key: str, factory: Callable[[], httpx.AsyncBaseTransport]
) -> httpx.AsyncBaseTransport:
    if key not in transports:
        transports[key] = factory()
    return transports[key]


def _fields(call: Call, url: httpx.URL) -> list[tuple[bytes, bytes]]:
    """Return the header fields of a call with the two that httpx would add: the host, and the length of the body."""
    fields = [(b"host", url.netloc), *(_encode_header(name, value) for name, value in call.headers.items())]
    length = call.content.size if isinstance(call.content, Upload) else len(call.content)
    if length or call.method in _WITH_BODY:
        fields.append((b"content-length", b"%d" % length))
    return fields


def _build(call: Call) -> httpx.Request:
    patience = call.patience
    silence_s = max(patience.first_byte_s, patience.idle_s)
    timeout = {"connect": patience.connect_s, "read": silence_s, "write": silence_s, "pool": None}
    headers = [_encode_header(name, value) for name, value in call.headers.items()]
    extensions: dict[str, object] = {"patience": patience, "timeout": timeout}
    if isinstance(call.content, Upload):
        headers.append((b"content-length", b"%d" % call.content.size))
        extensions["upload"] = call.content
    url = _parse_url(call.url)
    return httpx.Request(call.method, url, headers=headers, content=call.content, extensions=extensions)


def _encode_header(name: str, value: str) -> tuple[bytes, bytes]:
    try:
        return name.encode("ascii"), value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise httpx.LocalProtocolError(f"the header {name!r:.60} holds characters that HTTP does not allow") from error


def _read_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers with lower-case names; the values of a repeated one are joined with commas."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _proxied_transport(url: str) -> httpx.AsyncBaseTransport:
    try:
        proxy = httpx.Proxy(url)
        if proxy.url.scheme == "http":
            return Pool(proxy=proxy)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=IDLE_LIMIT_S)
        return httpx.AsyncHTTPTransport(verify=ssl_context(), proxy=proxy, limits=limits, trust_env=False)
    except ImportError as error:
        raise NotConfigured("a SOCKS proxy needs the package 'socksio': install 'httpx[socks]'") from error
    except (ValueError, httpx.InvalidURL):
        # Not chained: the cause may quote the URL, and with it a password.
        raise NotConfigured("the proxy is not a URL such as http://user:password@host:8080") from None
