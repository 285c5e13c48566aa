"""The layer around services that are no turns, over handlers of a few lines: departure, deadline, no task left."""

import asyncio
from typing import Any

import pytest
from msgspec import Struct
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.gateway import build_gateway
from api.middleware import attend
from api.middleware.attend import Attend, Listener
from api.middleware.errors import Errors
from api.middleware.intake import read_body
from core.accounts import Principal
from core.contracts import Context
from core.errors import InvalidRequest, UpstreamTimeout
from core.settings import Settings
from core.wire.openai_chat import OPENAI_CHAT
from tests.api.layers import Client, http_scope
from tests.api.servers import SIMULATED

pytestmark = pytest.mark.anyio

WITHIN_S = 5.0


def attended(handler: ASGIApp, turn_timeout_s: str = "600") -> ASGIApp:
    settings = Settings.from_env({**SIMULATED, "TURN_TIMEOUT_SECONDS": turn_timeout_s})
    return Errors(Attend(handler, build_gateway(settings)), OPENAI_CHAT)


async def hear(handler: ASGIApp, client: Client | None = None, turn_timeout_s: str = "600") -> Client:
    """Return a client that has had its answer, all layers gone quiet."""
    client = client or Client()
    before = asyncio.all_tasks()
    try:
        async with asyncio.timeout(WITHIN_S):
            await client.call(attended(handler, turn_timeout_s), http_scope(principal=Principal("pool")))
    finally:
        assert asyncio.all_tasks() == before, "a task has outlived its request"
    return client


async def say(send: Send, *bodies: bytes, whole: bool = True) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"audio/mpeg")]})
    for body in bodies:
        await send({"type": "http.response.body", "body": body, "more_body": True})
    if whole:
        await send({"type": "http.response.body", "body": b""})


class Stuck:
    """A handler that says what it is given, then waits for ever, and notes that it could let go."""

    def __init__(self, *bodies: bytes, reads: bool = True) -> None:
        self._bodies = bodies
        self._reads = reads
        self.waits = asyncio.Event()
        self.let_go = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._reads:
            await read_body(scope, receive, 1 << 20)
        if self._bodies:
            await say(send, *self._bodies, whole=False)
        self.waits.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.let_go = True


async def test_an_answer_passes_as_it_is() -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await say(send, await read_body(scope, receive, 100), b"!")

    client = await hear(handler, Client(b"Hello"))
    assert (client.status, client.headers, client.bodies) == (
        200,
        {"content-type": "audio/mpeg"},
        [b"Hello", b"!", b""],
    )


async def test_the_handler_finds_its_context() -> None:
    found: list[Context] = []

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(scope["context"])
        await say(send)

    await hear(handler)
    assert (found[0].principal, len(found[0].id), found[0].signer is None) == (Principal("pool"), 24, False)


@pytest.mark.parametrize(("asked", "named"), [({"upstream": "someone"}, "someone"), ({}, None)], ids=["one", "none"])
async def test_an_answer_names_whom_the_handler_asked(asked: dict[str, str], named: str | None) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        scope.update(asked)
        await say(send)

    assert (await hear(handler)).headers.get("x-isthmus-upstream") == named


class Departure(Struct, frozen=True):
    id: str
    bodies: tuple[bytes, ...] = ()
    reads: bool = True


DEPARTURES = [
    Departure("before the first byte"),
    Departure("after the first byte", (b"beginning",)),
    Departure("while the handler has not asked for the body", reads=False),
    Departure("after the first byte of an answer to no body", (b"beginning",), reads=False),
]


@pytest.mark.parametrize("case", DEPARTURES, ids=lambda case: case.id)
async def test_a_client_that_leaves_ends_the_work(case: Departure) -> None:
    handler, client = Stuck(*case.bodies, reads=case.reads), Client()
    call = asyncio.create_task(hear(handler, client))
    await handler.waits.wait()
    client.leave()
    await call
    assert handler.let_go
    assert client.bodies == list(case.bodies)
    assert (client.status, client.ends) == (200 if case.bodies else None, 0)


async def test_a_client_that_leaves_within_its_upload_is_not_answered() -> None:
    """The handler fails for want of the rest; nobody is there to be told, and no fault of ours is logged."""
    client = Uploading([b"beginning"], leaves=True)
    heard: list[bytes] = []

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        heard.extend([piece async for piece in Request(scope, receive).stream()])

    await hear(handler, client)
    assert client.status is None


async def test_before_the_first_byte_the_deadline_is_told() -> None:
    handler = Stuck()
    client = await hear(handler, turn_timeout_s="0.05")
    assert (client.status, client.ends, handler.let_go) == (504, 1, True)
    assert "ran out" in client.text


async def test_after_the_first_byte_the_deadline_cuts_the_answer() -> None:
    handler, client = Stuck(b"beginning"), Client()
    with pytest.raises(UpstreamTimeout):
        await hear(handler, client, turn_timeout_s="0.05")
    assert (client.status, client.bodies, client.ends, handler.let_go) == (200, [b"beginning"], 0, True)


async def test_an_error_keeps_its_status() -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        raise InvalidRequest("input is empty", param="input")

    client = await hear(handler)
    assert (client.status, client.ends) == (400, 1)
    assert '"param":"input"' in client.text


async def test_an_error_after_the_first_byte_cuts_the_answer() -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await say(send, b"beginning", whole=False)
        raise InvalidRequest("too late")

    client = Client()
    with pytest.raises(InvalidRequest):
        await hear(handler, client)
    assert (client.bodies, client.ends) == ([b"beginning"], 0)


async def test_work_that_fails_while_it_lets_go_does_no_harm() -> None:
    class Clumsy(Stuck):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await super().__call__(scope, receive, send)
            finally:
                raise ValueError("a second fault")

    handler, client = Clumsy(), Client()
    call = asyncio.create_task(hear(handler, client))
    await handler.waits.wait()
    client.leave()
    await call
    assert client.status is None


async def test_work_that_will_not_let_go_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attend, "CLEANUP_S", 0.05)
    clinging, release = asyncio.Event(), asyncio.Event()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            clinging.set()
            await asyncio.Event().wait()
        finally:
            await release.wait()

    client = Client()
    call = asyncio.create_task(client.call(attended(handler), http_scope(principal=Principal("pool"))))
    await clinging.wait()
    client.leave()
    async with asyncio.timeout(WITHIN_S):
        await call
    release.set()
    await asyncio.sleep(0)


async def test_the_end_of_the_server_ends_the_work() -> None:
    handler = Stuck()
    call = asyncio.create_task(hear(handler))
    await handler.waits.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert handler.let_go


# Uploads.


class Uploading(Client):
    """A client that sends a body in pieces; it may leave instead of sending the last one."""

    def __init__(self, pieces: list[bytes], leaves: bool = False) -> None:
        super().__init__()
        self.taken = 0
        self._pieces = pieces
        self._leaves = leaves

    async def receive(self) -> Message:
        if self.taken < len(self._pieces):
            self.taken += 1
            more = self._leaves or self.taken < len(self._pieces)
            return {"type": "http.request", "body": self._pieces[self.taken - 1], "more_body": more}
        if self._leaves:
            self.leave()
        await self._left.wait()
        return {"type": "http.disconnect"}


async def test_an_upload_passes_in_its_pieces() -> None:
    pieces = [bytes([number]) * 1000 for number in range(50)]
    heard: list[bytes] = []

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        heard.extend([piece async for piece in Request(scope, receive).stream() if piece])
        await say(send, b"done")

    client = await hear(handler, Uploading(pieces))
    assert heard == pieces
    assert client.text == "done"


async def test_an_upload_is_not_read_far_ahead_of_the_handler() -> None:
    client = Uploading([b"piece"] * 50)
    seen: list[int] = []

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        for number in range(1, 11):
            await receive()
            for _ in range(5):
                await asyncio.sleep(0)
            seen.append(client.taken - number)
        await say(send)

    await hear(handler, client)
    assert max(seen) <= 2


async def test_a_handler_that_goes_on_listening_hears_the_departure() -> None:
    client = Client(b"Hello")
    listener = Listener(client.receive)
    departure = asyncio.create_task(listener.departure())
    kinds: list[Any] = [(await listener.receive())["type"]]
    client.leave()
    async with asyncio.timeout(WITHIN_S):
        kinds += [(await listener.receive())["type"] for _ in range(3)]
        await departure
    assert kinds == ["http.request", *["http.disconnect"] * 3]
