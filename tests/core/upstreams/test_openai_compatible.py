"""A vendor of OpenAI's format: what passes to it as it is, how its streams end, and its list of models."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Struct, structs
from starlette.types import Receive, Scope, Send

from core.accounts import Secret
from core.contracts import Exchange, Selective, Target
from core.errors import NotFound
from core.events import Finish, TextDelta, ToolCallStart
from core.loopback.transport import LoopbackTransport
from core.request import Message, OutputFormat, OutputKind, Reasoning, Text, Tool, Turn
from core.transport import Timeouts, Transport
from core.upstreams.openai_compatible import OpenAICompatible
from core.vendors import Abilities, Vendor
from core.wire.openai_chat import OPENAI_CHAT
from core.wire.openai_completions import OPENAI_COMPLETIONS
from tests.core.exchanges import exchange

pytestmark = pytest.mark.anyio

DELTA = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
PLAIN = Abilities()
BODY = b'{"model":"gpt-x","messages":[],"vendor_field":1}'


class World:
    """A vendor that answers everything alike, and what it heard."""

    def __init__(self, *pieces: bytes, media_type: str = "text/event-stream", abilities: Abilities = PLAIN) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._pieces, self._media_type = pieces, media_type
        self.upstream = OpenAICompatible(
            Vendor("acme", "openai", "loopback://acme/v1", Secret("k"), abilities=abilities)
        )
        mounts = {"loopback://": lambda: LoopbackTransport({"acme": self._app})}
        self.transport = Transport(timeouts=Timeouts(5, 5, 5), user_agent="isthmus/test", mounts=mounts)

    def asking(self, body: bytes = BODY, model: str = "gpt-x", **fields: Any) -> Exchange:
        asked = exchange(**{"stream": True, **fields})
        return structs.replace(asked, body=body, target=Target(self.upstream, model))

    async def relayed(self, asking: Exchange) -> bytes:
        return b"".join([data async for data in self.upstream.relay(asking, self.transport)])

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.heard.append((scope["path"], (await receive()).get("body", b"")))
        headers = [(b"content-type", self._media_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Ending(Struct, frozen=True):
    id: str
    pieces: Sequence[bytes]
    expected: bytes


ENDINGS = [
    Ending("a stream with its terminator is as it was", (DELTA, FINISH, DONE), DELTA + FINISH + DONE),
    Ending("a stream without one is given it", (DELTA, FINISH), DELTA + FINISH + DONE),
    Ending("a terminator without a space is one", (FINISH, b"data:[DONE]\n\n"), FINISH + b"data:[DONE]\n\n"),
    Ending("one read holds all", (DELTA + FINISH + DONE,), DELTA + FINISH + DONE),
]


@pytest.mark.parametrize("case", ENDINGS, ids=lambda case: case.id)
async def test_a_relayed_stream_has_its_terminator_once(case: Ending) -> None:
    world = World(*case.pieces)
    assert await world.relayed(world.asking()) == case.expected


async def test_a_body_goes_on_as_it_came_but_for_the_name_of_the_model() -> None:
    world = World(FINISH, DONE)
    await world.relayed(world.asking())
    await world.relayed(world.asking(model="their-name"))
    (path, same), (_, renamed) = world.heard
    assert (path, same) == ("/v1/chat/completions", BODY)
    assert json.loads(renamed) == {**json.loads(BODY), "model": "their-name"}


class Passing(Struct, frozen=True):
    id: str
    asking: dict[str, Any]
    passes: bool
    dialect: Any = OPENAI_CHAT
    abilities: Abilities = PLAIN


PASSING = [
    Passing("a chat", {}, passes=True),
    Passing("a chat that a layer has changed", {"body": b""}, passes=False),
    Passing("a chat that goes on elsewhere", {"continues": Turn("c")}, passes=False),
    Passing("a field of this gateway's own", {"body": b'{"options":{}}'}, passes=False),
    Passing("a completion, to a vendor without them", {}, dialect=OPENAI_COMPLETIONS, passes=False),
    Passing(
        "a completion, to one that has them",
        {},
        dialect=OPENAI_COMPLETIONS,
        abilities=Abilities(completions=True),
        passes=True,
    ),
]


@pytest.mark.parametrize("case", PASSING, ids=lambda case: case.id)
def test_what_passes_as_it_is(case: Passing) -> None:
    world = World(abilities=case.abilities)
    assert world.upstream.relays(structs.replace(world.asking(**case.asking), dialect=case.dialect)) is case.passes


@pytest.mark.parametrize(
    ("kind", "abilities", "expected"),
    [
        ("json_schema", PLAIN, True),
        ("json_schema", Abilities(json_schema=False), False),
        ("json_object", Abilities(json_schema=False), True),
    ],
)
def test_which_formats_it_answers_in(kind: OutputKind, abilities: Abilities, expected: bool) -> None:
    world = World(abilities=abilities)
    assert isinstance(world.upstream, Selective)
    assert world.upstream.honours(OutputFormat(kind), world.asking()) is expected


async def test_what_is_translated_is_asked_for_as_a_stream() -> None:
    world = World(DELTA, FINISH, DONE)
    batches = [batch async for batch in world.upstream.stream(world.asking(stream=False), world.transport)]
    events = [event for batch in batches for event in batch]
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Hi"]
    assert isinstance(events[-1], Finish)
    assert json.loads(world.heard[0][1])["stream"] is True


@pytest.mark.parametrize(
    "abilities", [PLAIN, Abilities(stream_options=False)], ids=["where it may be", "elsewhere not"]
)
async def test_usage_is_asked_for(abilities: Abilities) -> None:
    world = World(DELTA, FINISH, DONE, abilities=abilities)
    assert [batch async for batch in world.upstream.stream(world.asking(), world.transport)]
    assert ("stream_options" in json.loads(world.heard[0][1])) is abilities.stream_options


@pytest.mark.parametrize("abilities", [PLAIN, Abilities(reasoning_content=True)], ids=["elsewhere not", "where wanted"])
async def test_reasoning_is_sent_back(abilities: Abilities) -> None:
    world = World(DELTA, FINISH, DONE, abilities=abilities)
    asking = world.asking()
    said = Message("assistant", (Reasoning("hm"), Text("Hello")))
    asking = structs.replace(asking, request=structs.replace(asking.request, messages=(said,)))
    assert [batch async for batch in world.upstream.stream(asking, world.transport)]
    [message] = json.loads(world.heard[0][1])["messages"]
    assert ("reasoning_content" in message) is abilities.reasoning_content


async def test_a_tool_that_was_sent_under_another_name_is_called_by_its_own() -> None:
    called = b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"id":"c1","function":{"name":"mcp_get"}}]}}]}\n\n'
    world = World(called, FINISH, DONE)
    asking = world.asking(tools=(Tool("mcp.get"),))
    events = [event async for batch in world.upstream.stream(asking, world.transport) for event in batch]
    assert json.loads(world.heard[0][1])["tools"][0]["function"]["name"] == "mcp_get"
    assert [event.name for event in events if isinstance(event, ToolCallStart)] == ["mcp.get"]


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (b'{"object":"list","data":[{"id":"a"},{"id":"b"}]}', ("a", "b")),
        (b'[{"id":"a","type":"chat"}]', ("a",)),
        (b'{"models":[]}', ()),
        (b'{"error":{"message":"no"}}', ()),
    ],
    ids=["OpenAI's list", "Together's", "another shape", "an error"],
)
async def test_its_models(answer: bytes, names: tuple[str, ...]) -> None:
    world = World(answer, media_type="application/json")
    assert await world.upstream.model_names(world.transport) == names


async def test_nothing_is_kept_there() -> None:
    world, turn = World(), Turn("c")
    principal = world.asking().principal
    with pytest.raises(NotFound):
        await world.upstream.recall(turn, principal, world.transport)
    with pytest.raises(NotFound):
        await world.upstream.forget(turn, principal, world.transport)
