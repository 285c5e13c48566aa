"""What tests of the layers need: an exchange, an inner app of three lines, and a client made of two functions."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.events import EXTENSION
from core.accounts import Principal
from core.contracts import Capabilities, Exchange, Recalled, Target
from core.errors import NotFound
from core.events import Event, Finish, Start, TextDelta, TextEnd, TextStart
from core.request import ChatRequest, Text, Turn
from core.request import Message as ChatMessage
from core.transport import Transport
from core.wire.openai_chat import OPENAI_CHAT

OPENING: tuple[Event, ...] = (Start("gpt-test"), TextStart(0), TextDelta(0, "Hello"))
CLOSING: tuple[Event, ...] = (TextDelta(0, " there"), TextEnd(0), Finish("stop"))


class SilentUpstream:
    """An upstream that exists by name only: the inner app of a test stands in for it."""

    name = "silent"

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities()

    async def model_names(self, transport: Transport) -> Sequence[str]:
        return ()

    async def stream(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[list[Event], None]:
        for events in (OPENING, CLOSING):
            yield list(events)

    async def recall(self, turn: Turn, principal: Principal, transport: Transport) -> Recalled:
        raise NotFound("nothing is kept here")

    async def forget(self, turn: Turn, principal: Principal, transport: Transport) -> None:
        raise NotFound("nothing is kept here")


def exchange(stream: bool = True, deadline_s: float | None = None, **fields: Any) -> Exchange:
    """Return an exchange with frozen ids. `deadline_s` counts from now; needs a running loop."""
    message = ChatMessage("user", (Text("Say hello"),))
    return Exchange(
        id="0123456789abcdef01234567",
        created=1_790_000_000,
        dialect=OPENAI_CHAT,
        request=ChatRequest("auto", (message,), stream=stream, include_usage=not stream, **fields),
        target=Target(SilentUpstream(), "auto"),
        principal=Principal("pool"),
        deadline=None if deadline_s is None else asyncio.get_running_loop().time() + deadline_s,
    )


def http_scope(**fields: Any) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], **fields}


def telling(*batches: Sequence[Event]) -> ASGIApp:
    """Return an inner app that sends these batches of events."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for events in batches:
            await send({"type": EXTENSION, "events": events})

    return app


class Client:
    """The client's end of an ASGI call. `leave()` hangs up; `hear` sees each body as it comes."""

    def __init__(self, body: bytes = b"", hear: Callable[[bytes], Awaitable[None] | None] | None = None) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.bodies: list[bytes] = []
        self.ends = 0
        self._asked = [body]
        self._hear = hear
        self._left = asyncio.Event()

    def leave(self) -> None:
        self._left.set()

    @property
    def text(self) -> str:
        return b"".join(self.bodies).decode()

    async def receive(self) -> Message:
        if self._asked:
            return {"type": "http.request", "body": self._asked.pop(), "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            assert self.status is None, "a second start"
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        assert self.status is not None, "a body before the start"
        assert not self.ends, "a body after the end"
        self.bodies.append(message.get("body", b""))
        self.ends += not message.get("more_body", False)
        if self._hear is not None:
            waiting = self._hear(self.bodies[-1])
            if waiting is not None:
                await waiting

    async def call(self, app: ASGIApp, scope: dict[str, Any] | None = None) -> "Client":
        await app(http_scope() if scope is None else scope, self.receive, self.send)
        return self
