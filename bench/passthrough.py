"""What the gateway is compared with: bare Starlette that copies an upstream's bytes, over a choice of HTTP clients.

`python -m bench.passthrough --client stock --port N --upstream URL`. Every path is passed on. The client `stock` is the
yardstick: httpx as it comes. The others are the candidates among which the project's transport was chosen; `aiohttp`
needs the package httpx-aiohttp, which is nowhere required.
"""

import argparse
import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from core.transport import Timeouts, Transport
from core.transport.dial import Patience
from core.transport.pool import Pool

UNLIMITED = httpx.Limits(max_connections=None, max_keepalive_connections=None)

Leg: TypeAlias = Callable[[str, bytes], AbstractAsyncContextManager[AsyncIterator[bytes]]]
"""Posts these bytes to this URL and gives the answer's, one item for each read."""


class FreeList(httpx.AsyncBaseTransport):
    """Stock transports of one connection each, in a list."""

    def __init__(self) -> None:
        self._free: list[httpx.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        limits = httpx.Limits(max_connections=1)
        transport = self._free.pop() if self._free else httpx.AsyncHTTPTransport(limits=limits)
        response = await transport.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = FreeingStream(response.stream, lambda: self._free.append(transport))
        return response


class FreeingStream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, free: Callable[[], None]) -> None:
        self._stream = stream
        self._free = free

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        await self._stream.aclose()
        self._free()


def over_httpx(transport: httpx.AsyncBaseTransport) -> Leg:
    client = httpx.AsyncClient(transport=transport, timeout=None, trust_env=False)
    extensions = {"patience": Patience(10, 60, 60)}

    @asynccontextmanager
    async def stream(url: str, content: bytes) -> AsyncGenerator[AsyncIterator[bytes], None]:
        async with client.stream("POST", url, content=content, extensions=extensions) as response:
            yield response.aiter_raw()

    return stream


def over_aiohttp() -> Leg:
    return over_httpx(importlib.import_module("httpx_aiohttp").AiohttpTransport(limits=UNLIMITED))


def over_our_transport() -> Leg:
    transport = Transport(timeouts=Timeouts(10, 60, 60), user_agent="isthmus-bench")

    @asynccontextmanager
    async def stream(url: str, content: bytes) -> AsyncGenerator[AsyncIterator[bytes], None]:
        async with transport.request("POST", url, content=content) as reply:
            yield aiter(reply)

    return stream


CLIENTS: dict[str, Callable[[], Leg]] = {
    "stock": lambda: over_httpx(httpx.AsyncHTTPTransport(limits=UNLIMITED)),
    "free-list": lambda: over_httpx(FreeList()),
    "aiohttp": over_aiohttp,
    "pool-under-client": lambda: over_httpx(Pool()),
    "transport": over_our_transport,
}


def create_app(upstream: str, leg: Leg) -> Starlette:
    async def copy(url: str, content: bytes) -> AsyncIterator[bytes]:
        async with leg(url, content) as parts:
            async for part in parts:
                yield part

    async def answer(request: Request) -> StreamingResponse:
        parts = copy(upstream + request.url.path, await request.body())
        return StreamingResponse(parts, media_type="text/event-stream")

    return Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", choices=CLIENTS, default="stock")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    arguments = parser.parse_args()
    app = create_app(arguments.upstream, CLIENTS[arguments.client]())
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=arguments.port,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
