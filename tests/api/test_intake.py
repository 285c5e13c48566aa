"""The layer that takes the request in, over an inner app that keeps its exchange."""

import asyncio
import gzip
import json
import sys
import threading
from typing import Any

import pytest
from msgspec import Struct
from starlette.types import Receive, Scope, Send

from api.deadline import PLATFORM_MARGIN_S
from api.gateway import build_gateway
from api.middleware.intake import LARGE_BODY_BYTES, ClientGone, Intake, read_body
from core.accounts import Principal
from core.contracts import Exchange
from core.errors import BodyTooLarge, BodyTooSlow, GatewayError, InvalidRequest
from core.request import ChatRequest, Text
from core.settings import Settings
from core.wire.openai_chat import OPENAI_CHAT
from tests.api.layers import Client, http_scope
from tests.api.servers import SIMULATED, VENDOR_KEY, chat_body

pytestmark = pytest.mark.anyio

LIMIT_BYTES = 10


def receiving(*pieces: bytes, then_gone: bool = False) -> Receive:
    """Return the client's end of a body in these pieces."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    if then_gone:
        messages.append({"type": "http.disconnect"})
    else:
        messages[-1]["more_body"] = False
    told = iter(messages)

    async def receive() -> Any:
        return next(told)

    return receive


class Case(Struct, frozen=True):
    name: str
    headers: dict[bytes, bytes]
    pieces: tuple[bytes, ...]
    raises: type[GatewayError] | None = None


CASES = [
    Case("pieces are joined", {}, (b"01234", b"", b"56789")),
    Case("a body of exactly the limit passes", {b"content-length": b"10"}, (b"0123456789",)),
    Case("one byte more does not, in whatever piece it comes", {}, (b"01234", b"56789", b"0"), BodyTooLarge),
    Case("a body declared too large is not read at all", {b"content-length": b"11"}, (), BodyTooLarge),
    Case("a length that is no number is left to the count", {b"content-length": b"-1"}, (b"01",)),
    Case("a length of many digits is not even read", {b"content-length": b"9" * 4000}, (b"01",)),
    Case("an identity encoding is none", {b"content-encoding": b"identity"}, (b"01",)),
    Case("a compressed body is refused", {b"content-encoding": b"gzip"}, (gzip.compress(b"{}"),), InvalidRequest),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_body_is_read_under_a_limit(case: Case) -> None:
    scope = http_scope(headers=list(case.headers.items()))
    if case.raises is None:
        assert await read_body(scope, receiving(*case.pieces), LIMIT_BYTES) == b"".join(case.pieces)
        return
    never = asyncio.Event()

    async def unread() -> Any:
        await never.wait()

    with pytest.raises(case.raises):
        await read_body(scope, receiving(*case.pieces) if case.pieces else unread, LIMIT_BYTES)


async def test_a_client_that_leaves_is_not_answered() -> None:
    with pytest.raises(ClientGone):
        await read_body(http_scope(), receiving(b"01", then_gone=True), LIMIT_BYTES)


async def test_a_body_that_stays_away_is_not_waited_for_for_ever() -> None:
    pieces = [{"type": "http.request", "body": b"01", "more_body": True}]

    async def receive() -> Any:
        return pieces.pop() if pieces else await asyncio.Event().wait()

    with pytest.raises(BodyTooSlow) as caught:
        await read_body(http_scope(), receive, LIMIT_BYTES, asyncio.get_running_loop().time() + 0.01)
    assert (caught.value.status, caught.value.code) == (408, "request_timeout")


async def test_the_deadline_of_a_turn_counts_from_its_first_byte() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("a turn whose body never came has been answered")

    async def receive() -> Any:
        await asyncio.Event().wait()

    gateway = build_gateway(Settings.from_env(SIMULATED | {"TURN_TIMEOUT_SECONDS": "0.01"}))
    with pytest.raises(BodyTooSlow):
        await Intake(never, gateway, OPENAI_CHAT)(http_scope(principal=Principal("pool")), receive, Client().send)


async def taken_in(environ: dict[str, str], scope: dict[str, Any] | None = None, **fields: Any) -> Exchange:
    kept: list[Exchange] = []

    async def keep(scope: Scope, receive: Receive, send: Send) -> None:
        kept.append(scope["exchange"])

    gateway = build_gateway(
        Settings.from_env(SIMULATED | environ), new_id=lambda: "i" * 24, clock=lambda: 1_790_000_000.9
    )
    body = json.dumps(chat_body(**fields)).encode()
    whole = http_scope(principal=Principal("pool"), **(scope or {}))
    await Client(body).call(Intake(keep, gateway, OPENAI_CHAT), whole)
    return kept[0]


async def test_an_exchange_has_what_the_layers_inside_need() -> None:
    exchange = await taken_in({}, model="gpt-5-2", stream=True)
    assert (exchange.id, exchange.created) == ("i" * 24, 1_790_000_000)
    assert (exchange.target.upstream.name, exchange.target.model) == ("chatgpt_web", "gpt-5-2")
    assert exchange.request.stream
    assert exchange.principal == Principal("pool")


class HeldCase(Struct, frozen=True):
    """Whether the body is kept while the turn runs."""

    name: str
    environ: dict[str, str]
    holders: int


@pytest.mark.parametrize(
    "case",
    [
        HeldCase("not for an upstream that never relays", {}, 0),
        HeldCase("not for a vendor that is not asked", {"OPENAI_API_KEY": VENDOR_KEY}, 0),
        HeldCase("for a vendor", {"OPENAI_API_KEY": VENDOR_KEY, "MODEL_ROUTES": "*=openai"}, 1),
        HeldCase(
            "for a vendor that may be asked next",
            {"OPENAI_API_KEY": VENDOR_KEY, "MODEL_ROUTES": "*=chatgpt_web,openai"},
            1,
        ),
    ],
    ids=lambda case: case.name,
)
async def test_a_body_is_held_for_who_may_relay_it(case: HeldCase) -> None:
    held: list[int] = []

    async def count(scope: Scope, receive: Receive, send: Send) -> None:
        assert bool(scope["exchange"].body) is bool(case.holders)
        held.append(sys.getrefcount(body))

    gateway = build_gateway(Settings.from_env(SIMULATED | case.environ))
    body = json.dumps(chat_body("x" * LARGE_BODY_BYTES)).encode()
    pieces = [body]

    async def receive() -> Any:
        return {"type": "http.request", "body": pieces.pop()}

    await Intake(count, gateway, OPENAI_CHAT)(http_scope(principal=Principal("pool")), receive, Client().send)
    assert held == [sys.getrefcount(body) + case.holders]


@pytest.mark.parametrize("size", [10, LARGE_BODY_BYTES], ids=["small", "large"])
async def test_a_large_body_is_read_beside_the_event_loop(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    request = Intake._request

    def watched(self: Intake, scope: Scope, body: bytes) -> ChatRequest:
        threads.append(threading.get_ident())
        return request(self, scope, body)

    monkeypatch.setattr(Intake, "_request", watched)
    exchange = await taken_in({}, prompt="x" * size)
    assert exchange.request.messages[0].parts == (Text("x" * size),)
    assert (threads == [threading.get_ident()]) is (size == 10)


async def test_the_stream_mode_turns_streams_into_whole_answers() -> None:
    exchange = await taken_in({"STREAM_MODE": "false"}, stream=True)
    assert not exchange.request.stream
    assert exchange.request.include_usage


async def test_only_the_callers_turnstile_token_goes_on() -> None:
    headers = [(b"OpenAI-Sentinel-Turnstile-Token", b"t"), (b"Authorization", b"Bearer k"), (b"Cookie", b"c")]
    exchange = await taken_in({}, {"headers": headers})
    assert exchange.forward == {"openai-sentinel-turnstile-token": "t"}


class Lambda:
    """The one method of Lambda's context that is read."""

    def get_remaining_time_in_millis(self) -> int:
        return 20_000


async def test_the_deadline_is_the_settings_or_the_platforms_if_sooner() -> None:
    now = asyncio.get_running_loop().time
    before = now()
    setting = (await taken_in({"TURN_TIMEOUT_SECONDS": "100"})).deadline or 0
    assert before + 100 <= setting <= now() + 100
    platform = (await taken_in({}, {"aws.context": Lambda()})).deadline or 0
    assert before + 20 - PLATFORM_MARGIN_S <= platform <= now() + 20 - PLATFORM_MARGIN_S
    sooner = (await taken_in({"TURN_TIMEOUT_SECONDS": "5"}, {"aws.context": Lambda()})).deadline or 0
    assert sooner <= now() + 5
