"""The Images routes: as many turns as pictures were asked for, side by side, told as one answer."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeAlias

from msgspec import structs
from starlette.types import Receive, Scope, Send

from api.events import EventStream
from api.handlers import gateway_of, relaying
from core.contracts import Exchange
from core.events import Event
from core.merging import Merger
from core.request import ImageOptions

CLEANUP_S = 5.0
"""How long cancelled turns may take to let go."""

Batches: TypeAlias = AsyncGenerator[list[Event], None]


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request for pictures: by turns, or by the answer of a vendor that has this call itself.

    One turn that fails ends them all: an answer is never short of what was asked for.
    """
    exchange: Exchange = scope["exchange"]
    gateway = gateway_of(scope)
    if (relayed := relaying(exchange, gateway.transport)) is not None:
        await relayed(scope, receive, send)
        return
    streams = [turn.target.upstream.stream(turn, gateway.transport) for turn in turns(exchange)]
    batches = streams[0] if len(streams) == 1 else side_by_side(streams, gateway.settings.images_at_once)
    await EventStream(batches)(scope, receive, send)


def turns(exchange: Exchange) -> list[Exchange]:
    """Return one exchange for each picture, each with ids of its own."""
    options = exchange.request.image or ImageOptions()
    request = structs.replace(exchange.request, image=structs.replace(options, count=1))
    return [structs.replace(exchange, id=f"{exchange.id}.{number}", request=request) for number in range(options.count)]


async def side_by_side(streams: Sequence[Batches], at_once: int) -> Batches:
    """Yield what the streams say, as one sentence; the first failure is raised and ends all. At most `at_once` run."""
    merger = Merger(len(streams))
    gate = asyncio.Semaphore(at_once)
    # Without a bound, for a turn says little besides its picture, and all of those are kept for the answer anyway.
    told: asyncio.Queue[tuple[int, list[Event]]] = asyncio.Queue()
    tasks = [asyncio.create_task(_listen(number, stream, gate, told)) for number, stream in enumerate(streams)]
    try:
        running = len(tasks)
        while running:
            number, events = await told.get()
            if not events:
                await tasks[number]
                running -= 1
            elif merged := merger.feed(number, events):
                yield merged
    finally:
        await _stop(tasks)


async def _stop(tasks: "Sequence[asyncio.Task[None]]") -> None:
    """Cancel the tasks and see them end, within a bound. The first failure was told; the others are of no interest."""
    for task in tasks:
        task.cancel()
    done, _ = await asyncio.wait(tasks, timeout=CLEANUP_S)
    for task in done:
        if not task.cancelled():
            task.exception()


async def _listen(
    number: int, stream: Batches, gate: asyncio.Semaphore, told: "asyncio.Queue[tuple[int, list[Event]]]"
) -> None:
    """Pass on what a stream says, then an empty batch for its end, whatever that is."""
    try:
        async with gate, aclosing(stream) as batches:
            async for events in batches:
                if events:
                    told.put_nowait((number, events))
    finally:
        told.put_nowait((number, []))
