"""Calls ASGI apps in process, as an httpx transport that truly streams (httpx's own collects the body).

Every message an app sends waits until the reader has taken it, so a slow reader slows the app as a socket
would; a request body that is a stream is read as the app asks for it. What a broken connection looks like is
translated as httpx does it: no such host or a crash before the answer is a `ConnectError`, a crash after its start a
`ReadError`, an answer that ends early a `RemoteProtocolError`, silence beyond the request's own read timeout a
`ReadTimeout`. A request body's own failure passes. One task for each request; it never outlives its response.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, TypeAlias, cast
from urllib.parse import unquote

import anyio
import httpx
from anyio import ClosedResourceError, EndOfStream
from starlette.types import ASGIApp, Message, Scope

Apps: TypeAlias = Mapping[str, ASGIApp]

_GRACE_S = 0.2
"""How long an app may take to end by itself after `http.disconnect` before it is cancelled."""


class LoopbackTransport(httpx.AsyncBaseTransport):
    """Sends a request for `loopback://<name>/...` (or any other scheme) to the app of that name."""

    def __init__(self, apps: Apps) -> None:
        self._apps = apps

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        app = self._apps.get(request.url.host)
        if app is None:
            raise httpx.ConnectError(f"no loopback app is named {request.url.host!r}", request=request)
        call = _Call(cast(httpx.AsyncByteStream, request.stream), _read_timeout_s(request))
        call.start(app, _scope(request))
        try:
            status, headers = await call.head()
        except BaseException:
            await call.aclose()
            raise
        return httpx.Response(status, headers=headers, stream=_Body(call), request=request)


class _Call:
    """One request in flight: the app's task and the one place where its messages are handed to the reader."""

    def __init__(self, body: httpx.AsyncByteStream, read_timeout_s: float | None) -> None:
        self._request = _messages(body)
        self._request_is_read = False
        self._request_failure: Exception | None = None
        self._read_timeout_s = read_timeout_s
        self._silence = anyio.CancelScope()
        self._disconnected = anyio.Event()
        self._outlet, self._inlet = anyio.create_memory_object_stream[Message](0)
        self._answer_complete = False

    def start(self, app: ASGIApp, scope: Scope) -> None:
        self._task = asyncio.create_task(self._run(app, scope))

    async def head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        message = await self._next(before_answer=True)
        return message["status"], list(message.get("headers", ()))

    async def body(self) -> AsyncIterator[bytes]:
        while not self._answer_complete:
            message = await self._next(before_answer=False)
            self._answer_complete = not message.get("more_body", False)
            if data := message.get("body", b""):
                yield data

    async def aclose(self) -> None:
        """Let the app see the disconnect, then cancel it if it does not end within moments."""
        self._disconnected.set()
        self._inlet.close()
        with anyio.CancelScope(shield=True):
            await asyncio.wait({self._task}, timeout=_GRACE_S)
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_GRACE_S)
            if self._task.done():
                await self._request.aclose()

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        with self._outlet:
            await app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if not self._request_is_read and not self._disconnected.is_set():
            return await self._next_of_request()
        await self._disconnected.wait()
        return {"type": "http.disconnect"}

    async def _next_of_request(self) -> Message:
        try:
            message = await anext(self._request)
        except Exception as error:
            self._request_failure = error
            raise
        self._request_is_read = not message["more_body"]
        if self._read_timeout_s is not None:
            self._silence.deadline = anyio.current_time() + self._read_timeout_s
        return message

    async def _send(self, message: Message) -> None:
        try:
            await self._outlet.send(message)
        except anyio.BrokenResourceError as error:
            raise OSError("the client has gone") from error

    async def _next(self, *, before_answer: bool) -> Message:
        try:
            with anyio.fail_after(self._read_timeout_s) as self._silence:
                return await self._inlet.receive()
        except TimeoutError as error:
            raise httpx.ReadTimeout("the loopback app sent nothing in time") from error
        except (EndOfStream, ClosedResourceError) as error:
            raise await self._early_end(before_answer) from error

    async def _early_end(self, before_answer: bool) -> Exception:
        await asyncio.wait({self._task})
        if self._request_failure is not None:
            return self._request_failure
        crash = None if self._task.cancelled() else self._task.exception()
        if before_answer:
            return httpx.ConnectError(f"the loopback app failed before it answered: {crash!r}")
        if crash is not None:
            return httpx.ReadError(f"the loopback app failed while it answered: {crash!r}")
        return httpx.RemoteProtocolError("peer closed connection without sending complete message body")


class _Body(httpx.AsyncByteStream):
    """The answer's body, one item for each body message of the app."""

    def __init__(self, call: _Call) -> None:
        self._call = call

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._call.body()

    async def aclose(self) -> None:
        await self._call.aclose()


async def _messages(body: httpx.AsyncByteStream) -> AsyncGenerator[Message, None]:
    if isinstance(body, httpx.ByteStream):
        yield {"type": "http.request", "body": b"".join([data async for data in body]), "more_body": False}
        return
    async for data in body:
        yield {"type": "http.request", "body": data, "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}


def _read_timeout_s(request: httpx.Request) -> float | None:
    timeout: dict[str, float | None] = request.extensions.get("timeout", {})
    return timeout.get("read")


def _scope(request: httpx.Request) -> dict[str, Any]:
    path, _, query = request.url.raw_path.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (request.url.host, request.url.port or 80),
        "client": ("127.0.0.1", 0),
        "state": {},
        "extensions": {},
    }
