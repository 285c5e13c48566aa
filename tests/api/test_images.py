"""The Images routes over an upstream of a few lines: how many turns run, how they become one answer, how they fail."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Raw, Struct, structs

from api import images
from api.middleware.errors import Errors
from api.middleware.sse import Sse
from core.contracts import Exchange, Target
from core.errors import UpstreamUnavailable
from core.events import Event, Finish, ImageDelta, ImageEnd, ImageStart, Start
from core.grammar import check
from core.request import ImageOptions
from core.transport import Transport
from core.wire.openai_images import OPENAI_IMAGE_GENERATIONS
from core.wire.openai_images.requests import STYLE
from tests.api.layers import Client, SilentUpstream, exchange, http_scope

pytestmark = pytest.mark.anyio

NEVER_S = 3_600.0
WITHIN_S = 5.0
FAILURE = UpstreamUnavailable("the painter has left")


class Painter(SilentUpstream):
    """Draws what it is told for each turn, by the turn's number; a turn without orders waits for ever."""

    def __init__(self, *orders: Sequence[Sequence[Event] | Exception]) -> None:
        self.orders = orders
        self.turns: list[Exchange] = []
        self.running = self.most = self.ended = 0
        self.notify: dict[int, Callable[[], None]] = {}

    async def stream(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[list[Event], None]:
        self.turns.append(exchange)
        self.notify.get(len(self.turns), _nothing)()
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            number = int(exchange.id.rpartition(".")[2])
            for order in self.orders[number] if number < len(self.orders) else ():
                await asyncio.sleep(0)
                if isinstance(order, Exception):
                    raise order
                yield list(order)
            if number >= len(self.orders):
                await asyncio.Event().wait()
        finally:
            self.running -= 1
            self.ended += 1


def _nothing() -> None:
    pass


def drawn(data: bytes, index: int = 0) -> list[Event]:
    return [ImageStart(index), ImageEnd(index, "image/png", data)]


def whole(data: bytes) -> list[list[Event]]:
    return [[Start("painter", ("quality",))], drawn(data), [Finish("stop")]]


def asked(
    painter: Painter, count: int, style: str = "openai", deadline_s: float | None = None, **fields: Any
) -> Exchange:
    echo = {STYLE: Raw(f'"{style}"'.encode())}
    made = exchange(image=ImageOptions(count=count), echo=echo, deadline_s=deadline_s, **{"stream": False} | fields)
    request = structs.replace(made.request, include_usage=False)
    return structs.replace(made, request=request, dialect=OPENAI_IMAGE_GENERATIONS, target=Target(painter, "auto"))


async def hear(painter: Painter, turn: Exchange, client: Client | None = None, at_once: int = 4) -> Client:
    """Return a client that has had its answer, every turn at its end and every task gone."""
    gateway = SimpleNamespace(transport=None, settings=SimpleNamespace(images_at_once=at_once))
    app = SimpleNamespace(state=SimpleNamespace(gateway=gateway))
    before = asyncio.all_tasks()
    async with asyncio.timeout(WITHIN_S):
        layered = Errors(Sse(images.answer, NEVER_S), OPENAI_IMAGE_GENERATIONS)
        client = await (client or Client()).call(layered, http_scope(exchange=turn, app=app))
    assert asyncio.all_tasks() == before, "a task has outlived its request"
    assert painter.ended == len(painter.turns), "a turn was not ended"
    return client


async def test_each_picture_is_a_turn_of_its_own() -> None:
    painter = Painter(whole(b"a"), whole(b"b"), whole(b"c"))
    client = await hear(painter, asked(painter, 3))
    assert [item["b64_json"] for item in json.loads(client.text)["data"]] == ["YQ==", "Yg==", "Yw=="]
    assert client.headers["x-isthmus-ignored-params"] == "quality"
    assert len({turn.id for turn in painter.turns}) == 3
    assert {turn.request.image for turn in painter.turns} == {ImageOptions(count=1)}


async def test_one_picture_needs_no_company() -> None:
    painter = Painter(whole(b"a"))
    client = await hear(painter, asked(painter, 1))
    assert [item["b64_json"] for item in json.loads(client.text)["data"]] == ["YQ=="]


@pytest.mark.parametrize("at_once", [1, 2, 10])
async def test_no_more_run_at_once_than_may(at_once: int) -> None:
    painter = Painter(*[whole(bytes([number])) for number in range(5)])
    await hear(painter, asked(painter, 5), at_once=at_once)
    assert painter.most == min(at_once, 5)


async def test_previews_of_several_turns_are_one_legal_sentence() -> None:
    order: list[list[Event]] = [[Start()], [ImageStart(0), ImageDelta(0, b"?")], [*drawn(b"a")[1:], Finish("stop")]]
    painter = Painter(order, order, order)
    streams = [painter.stream(turn, None) for turn in images.turns(asked(painter, 3))]  # type: ignore[arg-type]
    async with aclosing(images.side_by_side(streams, 3)) as batches:
        check([event for batch in [batch async for batch in batches] for event in batch])


class Failing(Struct, frozen=True):
    """What the turns do, what the client has by its end, and how many answers are whole."""

    id: str
    orders: list[list[Any]]
    style: str
    stream: bool
    status: int
    ends: list[str]


LATE: list[list[Any]] = [[[Start()], drawn(b"a"), [Finish("stop")]], [[Start()], [], [], [], [], FAILURE]]
KIND = "image.generation."
FAILING = [
    Failing("a whole answer fails as a whole", LATE, "openai", False, 503, []),
    Failing("before anything was said the error has its status", [[FAILURE]], "aurora", True, 503, []),
    Failing("OpenAI's stream ends with the error", LATE, "openai", True, 200, ["image_generation.completed", "error"]),
    Failing(
        "Aurora's stream ends with the error and [DONE]",
        LATE,
        "aurora",
        True,
        200,
        [f"{KIND}chunk", f"{KIND}chunk", f"{KIND}chunk", f"{KIND}result", f"{KIND}error"],
    ),
]


@pytest.mark.parametrize("case", FAILING, ids=lambda case: case.id)
async def test_a_failure_ends_all_turns(case: Failing) -> None:
    painter = Painter(*case.orders)
    client = await hear(painter, asked(painter, 3, case.style, stream=case.stream))
    assert client.status == case.status
    assert [line.removeprefix("event: ") for line in client.text.split("\n") if line.startswith("event: ")] == case.ends
    assert ("[DONE]" in client.text) == (case.style == "aurora" and case.status == 200)
    assert "the painter has left" in client.text


async def test_two_failures_at_once_are_one() -> None:
    painter = Painter([FAILURE], [FAILURE])
    client = await hear(painter, asked(painter, 2))
    assert client.status == 503


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_who_leaves_ends_all_turns(stream: bool) -> None:
    painter, client = Painter(), Client()
    painter.notify[3] = client.leave
    await hear(painter, asked(painter, 3, stream=stream), client)
    assert painter.ended == 3


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "begun",
    [[], [[Start()]], [[Start(), ImageStart(0)]], [[Start(), *drawn(b"a")]]],
    ids=["nothing", "a start", "half", "one"],
)
async def test_no_more_time(begun: list[list[Event]], stream: bool) -> None:
    painter = Painter([*begun, *[[] for _ in range(3)]])
    client = await hear(painter, asked(painter, 2, stream=stream, deadline_s=0.02))
    if stream and begun:
        assert '"type":"error"' in client.text
    else:
        assert client.status == 504
    assert "ran out" in client.text
