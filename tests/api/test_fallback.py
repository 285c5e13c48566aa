"""The targets of a route in turn: what moves on to the next one, what does not, and who is said to have answered."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct, structs
from starlette.types import ASGIApp, Receive, Scope, Send

from api.events import EXTENSION, RELAY
from api.middleware.errors import Errors
from api.middleware.fallback import Fallback
from api.middleware.sse import Sse
from core.breaker import FAILURES_TO_OPEN, Breaker
from core.contracts import Target
from core.errors import (
    GatewayError,
    InvalidRequest,
    RateLimited,
    Unsupported,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from core.events import Progress
from core.wire.openai_chat import OPENAI_CHAT
from tests.api.layers import CLOSING, OPENING, Client, SilentUpstream, exchange, http_scope

Behaviour = Callable[[Send], Any]


class Upstream(SilentUpstream):
    def __init__(self, name: str) -> None:
        self.name = name


def failing(error: GatewayError) -> Behaviour:
    async def behave(send: Send) -> None:
        raise error

    return behave


async def answering(send: Send) -> None:
    await send({"type": EXTENSION, "events": OPENING})
    await send({"type": EXTENSION, "events": CLOSING})


async def only_hinting(send: Send) -> None:
    await send({"type": EXTENSION, "events": (Progress("thinking"),)})
    raise UpstreamTimeout("it fell silent")


async def breaking_off(send: Send) -> None:
    await send({"type": EXTENSION, "events": OPENING})
    raise UpstreamUnavailable("it was cut off")


async def relaying(send: Send) -> None:
    await send({"type": RELAY, "data": b'data: {"a": 1}\n\n', "ended": False})
    await send({"type": RELAY, "data": b"", "ended": True})


async def relaying_in_part(send: Send) -> None:
    await send({"type": RELAY, "data": b'data: {"a": 1}\n\n', "ended": False})
    raise UpstreamUnavailable("it was cut off")


def inner(behaviours: dict[str, Behaviour], asked: list[str]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["exchange"].target.upstream.name
        asked.append(name)
        await behaviours[name](send)

    return app


async def call(
    behaviours: dict[str, Behaviour], stream: bool = True, breaker: Breaker | None = None
) -> tuple[Client, list[str]]:
    asked: list[str] = []
    targets = [Target(Upstream(name), "m") for name in behaviours]
    routed = structs.replace(exchange(stream), target=targets[0], fallbacks=tuple(targets[1:]))
    app = Errors(Sse(Fallback(inner(behaviours, asked), breaker or Breaker()), 3600.0), OPENAI_CHAT)
    client = await Client().call(app, http_scope(exchange=routed))
    return client, asked


class Case(Struct, frozen=True):
    id: str
    first: Behaviour
    asked: tuple[str, ...]
    status: int


UNAVAILABLE = UpstreamUnavailable("500 upstream", upstream_status=500)
UNABLE = Unsupported("this upstream takes no sound", param="messages")
CASES = [
    Case("an answer is not asked for twice", answering, ("first",), 200),
    Case("a provider that fails is replaced", failing(UNAVAILABLE), ("first", "second"), 200),
    Case("one that stalls is replaced", failing(UpstreamTimeout("silent")), ("first", "second"), 200),
    Case("one whose account is limited is replaced", failing(RateLimited("slow down")), ("first", "second"), 200),
    Case("one that only said that it thinks is replaced", only_hinting, ("first", "second"), 200),
    Case("one that cannot do what is asked is passed over", failing(UNABLE), ("first", "second"), 200),
    Case("a request the upstream refuses is refused", failing(UpstreamRejected("too long")), ("first",), 400),
    Case("a request that is wrong is wrong everywhere", failing(InvalidRequest("no")), ("first",), 400),
]


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_what_moves_on_to_the_next_target(case: Case, stream: bool) -> None:
    client, asked = await call({"first": case.first, "second": answering}, stream)
    assert (tuple(asked), client.status) == (case.asked, case.status)
    if client.status == 200:
        assert client.headers["x-isthmus-upstream"] == case.asked[-1]
        assert "Hello" in client.text


@pytest.mark.anyio
async def test_an_answer_that_has_begun_ends_with_its_own_failure() -> None:
    client, asked = await call({"first": breaking_off, "second": answering})
    assert asked == ["first"]
    assert client.text.count("it was cut off") == 1
    assert client.text.endswith("data: [DONE]\n\n")


@pytest.mark.anyio
async def test_the_last_failure_is_told_when_nobody_answers() -> None:
    client, asked = await call({"first": failing(UNAVAILABLE), "second": failing(UpstreamTimeout("silent"))})
    assert asked == ["first", "second"]
    assert client.status == 504


@pytest.mark.anyio
@pytest.mark.parametrize(
    "errors",
    [(UNAVAILABLE, UNABLE), (UNABLE, UNAVAILABLE), (UNABLE, UNAVAILABLE, UNABLE)],
    ids=lambda errors: len(errors),
)
async def test_what_a_target_cannot_do_is_not_told_where_another_has_failed(errors: tuple[GatewayError, ...]) -> None:
    """The SDKs ask again after a 503, never after a 400."""
    client, asked = await call({str(place): failing(error) for place, error in enumerate(errors)})
    assert (len(asked), client.status) == (len(errors), 503)
    assert "x-should-retry" not in client.headers


@pytest.mark.anyio
async def test_what_no_target_can_do_is_refused() -> None:
    client, asked = await call({"first": failing(UNABLE), "second": failing(Unsupported("nor this one"))})
    assert (asked, client.status) == (["first", "second"], 400)
    assert "takes no sound" in client.text


@pytest.mark.anyio
async def test_an_open_circuit_is_asked_last_and_heals() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        await call({"first": failing(UNAVAILABLE), "second": answering}, breaker=breaker)
    client, asked = await call({"first": answering, "second": answering}, breaker=breaker)
    assert (asked, client.headers["x-isthmus-upstream"]) == (["second"], "second")
    _, asked = await call({"first": answering, "second": failing(UNAVAILABLE)}, breaker=breaker)
    assert asked == ["second", "first"]
    _, asked = await call({"first": answering, "second": answering}, breaker=breaker)
    assert asked == ["first"]


@pytest.mark.anyio
async def test_a_request_error_opens_no_circuit() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        await call({"first": failing(UpstreamRejected("no")), "second": answering}, breaker=breaker)
    assert not breaker.is_open("first")


@pytest.mark.anyio
async def test_a_refused_request_in_between_begins_the_count_anew() -> None:
    breaker = Breaker()
    for number in range(2 * FAILURES_TO_OPEN):
        error = UpstreamRejected("no") if number % 2 else UNAVAILABLE
        await call({"first": failing(error), "second": answering}, breaker=breaker)
    assert not breaker.is_open("first")


@pytest.mark.anyio
async def test_relayed_bytes_pass_as_they_are() -> None:
    client, _ = await call({"first": relaying})
    assert client.text == 'data: {"a": 1}\n\n'
    assert client.headers["content-type"].startswith("text/event-stream")


@pytest.mark.anyio
async def test_a_relayed_answer_that_is_whole_is_sent_as_json() -> None:
    client, _ = await call({"first": relaying}, stream=False)
    assert client.text == 'data: {"a": 1}\n\n'
    assert client.headers["content-type"] == "application/json"
    assert client.headers["content-length"] == str(len(client.text))


@pytest.mark.anyio
async def test_a_relayed_stream_that_is_cut_ends_legally() -> None:
    client, asked = await call({"first": relaying_in_part, "second": answering})
    assert asked == ["first"]
    assert client.text.startswith('data: {"a": 1}\n\ndata: {"error":')
    assert client.text.endswith("data: [DONE]\n\n")


@pytest.mark.anyio
async def test_a_relayed_stream_that_meets_its_deadline_ends_legally() -> None:
    async def stalling(send: Send) -> None:
        await send({"type": RELAY, "data": b'data: {"a": 1}\n\n', "ended": False})
        await asyncio.sleep(3600)

    asked: list[str] = []
    app = Errors(Sse(Fallback(inner({"silent": stalling}, asked), Breaker()), 3600.0), OPENAI_CHAT)
    client = await Client().call(app, http_scope(exchange=exchange(deadline_s=0.05)))
    assert "the time for this answer ran out" in client.text
    assert client.text.endswith("data: [DONE]\n\n")
