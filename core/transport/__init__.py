"""The only I/O of the core: HTTP requests to upstreams, with timeouts, proxies and our own errors.

It keeps httpx's transport interface (so that an in-process app can be mounted, and httpx's own transports
serve the rarer proxies) over connections of our own: `http1` reads and writes HTTP/1.1, `connection` is the
asyncio protocol, `dial` opens one, `pool` keeps idle ones, `upload` is a body that is read while it is sent,
`failures` translates exceptions, `client` binds them. `public` fetches the URLs of clients, which may lead to
`addresses` of the public Internet alone; `lookup` finds these apart from everybody else's.
Of the candidates measured (bench/README.md) this one costs least per request and per read, and what a
request costs does not grow with the number of open ones.

Nothing heavy happens at import: httpx is loaded by the first request, the CA bundle by the first https one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from msgspec import Struct

from core.errors import UpstreamError

if TYPE_CHECKING:
    import httpx

    from core.transport.client import Answer, Call, Client
    from core.transport.public import Network

__all__ = ["Content", "Fetched", "Reply", "Timeouts", "Transport"]

DRAIN_S = 0.25
"""How long the end of an answer that has said all is waited for, so that its connection can be used again."""

_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_MOUNTS: Mapping[str, Callable[[], httpx.AsyncBaseTransport]] = MappingProxyType({})


class Content(Protocol):
    """A request body that is read while it is sent. `size` is its length in bytes."""

    @property
    def size(self) -> int: ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the whole body from its beginning; may be called again.

        The transport begins it once for each request. It waits as long as the source does, which sets its own limits.
        """


class Fetched(Struct, frozen=True):
    """What a public URL led to, at `url` after redirects.

    `media_type` (without parameters) and `charset` are the server's words, `None` where it said nothing usable.
    """

    url: str
    data: bytes
    media_type: str | None
    charset: str | None = None


class Timeouts(Struct, frozen=True):
    """Seconds to wait for a connection, for the response head, and between two reads of a body."""

    connect_s: float
    first_byte_s: float
    idle_s: float


class Reply:
    """An upstream's answer, its head received. Iterate it for the body: one item for each network read.

    `headers` has lower-case names. Iterating raises `UpstreamUnavailable` if the connection is lost,
    `UpstreamTimeout` if it falls silent, `ProtocolViolation` if the framing is broken.
    """

    def __init__(self, status: int, headers: Mapping[str, str], receive: Callable[[], Awaitable[bytes]]) -> None:
        self.status = status
        self.headers = headers
        self._receive = receive

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self._receive()
        if not data:
            raise StopAsyncIteration
        return data

    async def read(self, limit_bytes: int = 1 << 20) -> bytes:
        """Return the rest of the body, cut off at `limit_bytes`: for errors and JSON."""
        body = bytearray()
        async for data in self:
            body += data
            if len(body) >= limit_bytes:
                break
        return bytes(body[:limit_bytes])

    async def drain(self) -> None:
        """Read an answer that has said all to its end, if that comes soon; whatever it is, it is no failure."""
        try:
            async with asyncio.timeout(DRAIN_S):
                async for _ in self:
                    pass
        except (TimeoutError, UpstreamError):
            return


class _Request(AbstractAsyncContextManager[Reply]):
    """A request under way. It lets go of what was sent: thousands of answers may be open, for minutes."""

    def __init__(self, client: Callable[[], Awaitable[Client]], call: Call) -> None:
        self._client = client
        self._call: Call | None = call
        self._answer: Answer | None = None

    async def __aenter__(self) -> Reply:
        call, self._call = self._call, None
        if call is None:
            raise RuntimeError("a request is made once")
        client = await self._client()
        self._answer = answer = await client.send(call)
        return Reply(answer.status, answer.headers, answer.receive)

    async def __aexit__(self, *failure: object) -> None:
        if self._answer is not None:
            await self._answer.aclose()


class Transport:
    """Makes requests; keeps idle connections for each event loop it is used from, and no other state.

    `mounts` maps the beginning of a URL, such as `loopback://`, to the factory of the httpx transport for it.
    `fetch_proxy` is the URL of the proxy that `fetch_public` uses; `network` is how that finds hosts.
    """

    def __init__(
        self,
        *,
        timeouts: Timeouts,
        user_agent: str,
        mounts: Mapping[str, Callable[[], httpx.AsyncBaseTransport]] = _NO_MOUNTS,
        fetch_proxy: str | None = None,
        network: Network | None = None,
    ) -> None:
        self.user_agent = user_agent
        self.timeouts = timeouts
        self._mounts = mounts
        self._fetch_proxy = fetch_proxy
        self._network = network
        self._defaults = {"user-agent": user_agent, "accept": "*/*", "accept-encoding": "identity"}
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Client] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = _NOTHING,
        content: bytes | Content = b"",
        proxy: str | None = None,
        first_byte_s: float | None = None,
        upstream: str = "",
    ) -> AbstractAsyncContextManager[Reply]:
        """Send a request and give its answer; leaving the context closes a connection whose body is unread.

        `content` is a whole body, or one that is read while it is sent, of which only the socket's buffers are held.
        `proxy` is a URL; `first_byte_s` replaces the timeout of that name; `upstream` names the other side
        in errors. Raises `UpstreamUnavailable`, `UpstreamTimeout` or `ProtocolViolation`; `NotConfigured`
        for a URL or a proxy that cannot be used; `InvalidRequest` for a header that HTTP cannot carry.
        """
        from core.transport.client import Call
        from core.transport.dial import Patience
        from core.transport.upload import Upload

        timeouts = self.timeouts
        first_byte_s = timeouts.first_byte_s if first_byte_s is None else first_byte_s
        patience = Patience(timeouts.connect_s, first_byte_s, timeouts.idle_s)
        merged = self._defaults | {name.lower(): value for name, value in headers.items()}
        body = content if isinstance(content, bytes) else Upload(content)
        return _Request(self._client, Call(method, url, merged, body, proxy, patience, upstream))

    async def fetch_public(
        self, url: str, *, param: str, limit_bytes: int, timeout_s: float = 20.0, accept: str = "*/*"
    ) -> Fetched:
        """Return what a URL from a client names on the public Internet; nothing else can be reached by it.

        Redirects are followed, each checked as the URL is. All of it takes `timeout_s` at most. Raises
        `InvalidRequest` for `param` when the URL is refused or fails; the message does not quote it, as it may be
        signed. Raises `NotConfigured` when the proxy is not of the kind `http`.
        """
        from core.transport.public import Errand, fetch, internet

        errand = Errand(param, limit_bytes, timeout_s, accept, self.user_agent)
        if self._network is None:
            self._network = internet()
        return await fetch(url, errand, self._network, self._fetch_proxy)

    async def aclose(self) -> None:
        """Close the running loop's idle connections. A later request begins anew."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    async def _client(self) -> Client:
        return self._clients.get(asyncio.get_running_loop()) or await self._new_client()

    async def _new_client(self) -> Client:
        from core.transport.client import Client

        client = Client(self._mounts)
        with self._lock:
            # A client's sockets refer to their loop, so the weak keys alone would not let go of an ended one.
            for loop in [loop for loop in self._clients if loop.is_closed()]:
                del self._clients[loop]
            self._clients[asyncio.get_running_loop()] = client
        await client.close_with_loop()
        return client
