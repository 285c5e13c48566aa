"""What travels inside the stack: batches of canonical events, as an ASGI extension message.

A handler returns an `EventStream`; the sse layer, which advertises the extension in `scope["extensions"]`, turns the
batches into the client's bytes. Where upstream and client speak one format a `RelayStream` carries bytes instead.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.types import Receive, Scope, Send

from core.contracts import Exchange
from core.events import Event

EXTENSION = "http.response.isthmus.events"

RELAY = "http.response.isthmus.relay"
"""The other message: `data` holds bytes in the client's own format, `ended` says that the answer is complete."""


def with_exchange(scope: Scope, exchange: Exchange) -> Scope:
    """Return the scope for the layer inside: a copy, unless the exchange is the same."""
    return scope if scope["exchange"] is exchange else {**scope, "exchange": exchange}


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


class RelayStream:
    """The response of an upstream that speaks the client's own format: its bytes, as they are."""

    def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if EXTENSION not in scope["extensions"]:
            raise RuntimeError("a RelayStream needs the sse layer outside it, with nothing foreign between")
        async with aclosing(self._pieces) as pieces:
            async for data in pieces:
                await send({"type": RELAY, "data": data, "ended": False})
        await send({"type": RELAY, "data": b"", "ended": True})
