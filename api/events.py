"""What travels inside the stack: batches of canonical events, as an ASGI extension message.

A handler returns an `EventStream`; the sse layer, which advertises the extension in `scope["extensions"]`, turns the
batches into the client's bytes.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.types import Receive, Scope, Send

from core.events import Event

EXTENSION = "http.response.isthmus.events"


class EventStream:
    """The response a handler gives: sends every batch as it comes, and closes its source whatever happens."""

    def __init__(self, batches: AsyncGenerator[list[Event], None]) -> None:
        self._batches = batches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if EXTENSION not in scope["extensions"]:
            raise RuntimeError("an EventStream needs the sse layer outside it, with nothing foreign between")
        async with aclosing(self._batches) as batches:
            async for events in batches:
                await send({"type": EXTENSION, "events": events})
