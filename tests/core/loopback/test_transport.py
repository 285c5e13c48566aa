"""The in-process transport: streaming, backpressure, disconnects, and errors as httpx names them."""

from collections.abc import Awaitable, Callable

import anyio
import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from core.loopback.transport import LoopbackTransport

pytestmark = pytest.mark.anyio

START = {"type": "http.response.start", "status": 200, "headers": [(b"x-test", b"1")]}


def part(data: bytes, more_body: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": data, "more_body": more_body}


def client(app: ASGIApp, timeout_s: float = 5.0) -> httpx.AsyncClient:
    transport = LoopbackTransport({"chatgpt": app})
    return httpx.AsyncClient(transport=transport, base_url="loopback://chatgpt", timeout=timeout_s)


def app(run: Callable[[Receive, Send], Awaitable[None]]) -> ASGIApp:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await run(receive, send)

    return call


async def test_the_request_arrives_whole() -> None:
    seen: dict[str, object] = {}

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        seen.update(scope, body=message["body"])
        await send({**START, "status": 201})
        await send(part(b"", more_body=False))

    async with client(echo) as web:
        answer = await web.post("/a%20b/c?d=e", content=b"body", headers={"X-Name": "value"})
    assert (answer.status_code, answer.headers["x-test"]) == (201, "1")
    assert (seen["method"], seen["path"], seen["raw_path"]) == ("POST", "/a b/c", b"/a%20b/c")
    assert (seen["query_string"], seen["body"]) == (b"d=e", b"body")
    assert (b"x-name", b"value") in seen["headers"]  # type: ignore[operator]


async def test_every_message_is_one_item_and_waits_for_its_reader() -> None:
    sent: list[bytes] = []

    async def count(receive: Receive, send: Send) -> None:
        await send(START)
        for data in (b"a", b"b", b"c"):
            await send(part(data))
            sent.append(data)
        await send(part(b"d", more_body=False))

    read = []
    async with client(app(count)) as web, web.stream("GET", "/") as response:
        assert sent == []
        async for data in response.aiter_raw():
            read.append(data)
            assert len(sent) <= len(read)
    assert read == [b"a", b"b", b"c", b"d"]


async def test_an_early_close_is_a_disconnect() -> None:
    seen = []

    async def endless(receive: Receive, send: Send) -> None:
        await receive()
        await send(START)
        await send(part(b"a"))
        seen.append((await receive())["type"])
        with pytest.raises(OSError, match="gone"):
            await send(part(b"b"))

    async with client(app(endless)) as web, web.stream("GET", "/") as response:
        async for _ in response.aiter_raw():
            break
    assert seen == ["http.disconnect"]


async def test_an_app_that_ignores_the_disconnect_is_cancelled() -> None:
    cancelled = anyio.Event()

    async def deaf(receive: Receive, send: Send) -> None:
        await send(START)
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    with anyio.fail_after(2):
        async with client(app(deaf)) as web, web.stream("GET", "/"):
            pass
    assert cancelled.is_set()


async def test_a_call_cancelled_before_its_answer_is_a_disconnect() -> None:
    waiting = anyio.Event()
    seen = []

    async def slow(receive: Receive, send: Send) -> None:
        await receive()
        waiting.set()
        seen.append((await receive())["type"])

    async with client(app(slow)) as web, anyio.create_task_group() as group:
        group.start_soon(web.get, "/")
        await waiting.wait()
        group.cancel_scope.cancel()
    assert seen == ["http.disconnect"]


async def crash(receive: Receive, send: Send) -> None:
    raise RuntimeError("boom")


async def crash_late(receive: Receive, send: Send) -> None:
    await send(START)
    await send(part(b"a"))
    raise RuntimeError("boom")


async def end_early(receive: Receive, send: Send) -> None:
    await send(START)
    await send(part(b"a"))


async def silent(receive: Receive, send: Send) -> None:
    await anyio.sleep_forever()


async def silent_late(receive: Receive, send: Send) -> None:
    await send(START)
    await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("run", "error"),
    [
        (crash, httpx.ConnectError),
        (crash_late, httpx.ReadError),
        (end_early, httpx.RemoteProtocolError),
        (silent, httpx.ReadTimeout),
        (silent_late, httpx.ReadTimeout),
    ],
)
async def test_a_broken_app_is_a_broken_connection(
    run: Callable[[Receive, Send], Awaitable[None]], error: type[httpx.TransportError]
) -> None:
    async with client(app(run), timeout_s=0.01) as web:
        with pytest.raises(error):
            await web.get("/")


async def test_an_unknown_host_cannot_be_reached() -> None:
    async with client(app(silent)) as web:
        with pytest.raises(httpx.ConnectError, match="'elsewhere'"):
            await web.get("loopback://elsewhere/")
