"""The layer that gives a turn to its client: events in, frames or one JSON object out.

It holds status and headers back until there is something to say (the first event, or the first heartbeat), so that an
early failure keeps its true status. After that a stream has exactly one legal end, whatever happens. It watches the
client, beats while the upstream is silent, and ends the answer before its deadline.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.events import EXTENSION, RELAY
from api.middleware.errors import as_gateway_error
from core.contracts import Exchange, Framed
from core.errors import GatewayError, UpstreamTimeout
from core.events import Event, Finish, ImageDelta, ImageStart, Progress, Start
from core.fold import Fold
from core.grammar import endings
from core.limits import Limiter, limiter_for
from core.usage import Meter

CLEANUP_S = 5.0
"""How long a cancelled upstream may take to let go."""

LONGEST_HEADER_CHARS = 2000
"""Proxies keep all of an answer's headers in as little as 4 KB (nginx: proxy_buffer_size)."""

UNBUFFERED = (
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)
STREAM_HEADERS = ((b"content-type", b"text/event-stream; charset=utf-8"), *UNBUFFERED)


class Sse:
    def __init__(self, app: ASGIApp, heartbeat_s: float) -> None:
        self.app = app
        self.heartbeat_s = heartbeat_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["exchange"]
        scope["extensions"] = {**scope.get("extensions", {}), EXTENSION: {}}
        answer = StreamedAnswer(exchange, send) if exchange.request.stream else WholeAnswer(exchange, send)
        turn = asyncio.create_task(self._run(scope, receive, answer))
        departure = asyncio.create_task(_departure(receive))
        try:
            await self._attend(turn, departure, answer, exchange)
        except Exception as error:
            if not answer.committed:
                raise
            await _fail(answer, as_gateway_error(error, scope), scope)
        finally:
            await _stop(turn, departure)

    async def _run(self, scope: Scope, receive: Receive, answer: "Answer") -> None:
        try:
            await self.app(scope, receive, answer.take)
        except _Enough:
            return

    async def _attend(
        self, turn: "asyncio.Task[None]", departure: "asyncio.Task[None]", answer: "Answer", exchange: Exchange
    ) -> None:
        """Wait for the turn, for the client to leave, or for the deadline, beating meanwhile."""
        loop = asyncio.get_running_loop()
        deadline = float("inf") if exchange.deadline is None else exchange.deadline
        while True:
            pause_s = min(answer.last_sent + self.heartbeat_s, deadline) - loop.time()
            await asyncio.wait((turn, departure), timeout=max(pause_s, 0), return_when=asyncio.FIRST_COMPLETED)
            if turn.done():
                turn.result()
                await answer.end()
                return
            if departure.done():
                return
            if loop.time() >= deadline:
                await _stop(turn)
                async with asyncio.timeout(CLEANUP_S):
                    await answer.end_early()
                return
            if loop.time() - answer.last_sent >= self.heartbeat_s:
                await answer.beat()


class _Enough(Exception):
    """A limit has ended the answer: what the upstream still says is not wanted."""


class Answer(ABC):
    """What a turn's events become. `committed` says that the client has seen the status."""

    def __init__(self, exchange: Exchange, send: Send) -> None:
        self._exchange = exchange
        self._send = send
        self._target = exchange.target
        self._limiter: Limiter | None = None
        self._relayed = False
        self._begun = False
        self._meter = Meter(exchange.request) if exchange.request.include_usage else None
        self._last: Event = Progress("")
        self._start = Start()
        self._clock = asyncio.get_running_loop().time
        self.last_sent = self._clock()
        self.committed = False
        self.finished = False

    async def take(self, message: Message) -> None:
        """Receive one message from the layer inside. The first one tells which target answers, if not the first."""
        if not self._begun:
            self._begun = True
            self._target = message.get("target", self._target)
            self._limiter = limiter_for(self._exchange, self._target)
        if message["type"] == RELAY:
            self._relayed, self.finished = True, message["ended"]
            await self.relay(message["data"])
            return
        if message["type"] != EXTENSION:
            raise RuntimeError(f"only events travel between the handler and the sse layer, not {message['type']!r}")
        events: Sequence[Event] = message["events"]
        if self._limiter is not None:
            events = self._limiter.feed(events)
        if self._meter is not None:
            events = self._meter.feed(events)
        if events:
            await self._take_events(events)
        if self._limiter is not None and self._limiter.done:
            raise _Enough

    async def _take_events(self, events: Sequence[Event]) -> None:
        if not self.committed and type(start := _first_start(events)) is Start:
            self._start = start
        self._last = next((event for event in reversed(events) if type(event) is not Progress), self._last)
        self.finished = type(self._last) is Finish
        await self.give(events)

    async def end_early(self) -> None:
        """End the answer where it stands, as cut for length. Raises `UpstreamTimeout` when there is none yet."""
        if self.finished:
            return
        if self._relayed or type(self._last) in (Progress, Start, ImageStart, ImageDelta):
            raise UpstreamTimeout("the time for this answer ran out before the upstream had finished it")
        events: Sequence[Event] = (*endings(self._last), Finish("length", "deadline"))
        await self._take_events(self._meter.feed(events) if self._meter else events)
        await self.end()

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-isthmus-upstream", self._target.upstream.name.encode())]
        if self._start.model:
            headers.append((b"x-isthmus-upstream-model", header_value(self._start.model)))
        if self._start.ignored:
            headers.append((b"x-isthmus-ignored-params", header_value(", ".join(self._start.ignored))))
        headers += [(b"x-isthmus-" + name.encode(), header_value(value)) for name, value in self._start.notes]
        return headers

    @abstractmethod
    async def give(self, events: Sequence[Event]) -> None: ...

    @abstractmethod
    async def relay(self, data: bytes) -> None:
        """Take bytes that are in the client's format already."""

    @abstractmethod
    async def beat(self) -> None: ...

    @abstractmethod
    async def end(self) -> None: ...

    @abstractmethod
    async def fail(self, error: GatewayError) -> None: ...


class StreamedAnswer(Answer):
    """Every batch that says something to the client goes out as it comes, in one body message."""

    def __init__(self, exchange: Exchange, send: Send) -> None:
        super().__init__(exchange, send)
        self._encoder = exchange.dialect.encoder(exchange)
        self._sending = False
        self._closed = False
        self._relayed_first = b""

    async def give(self, events: Sequence[Event]) -> None:
        if not self.committed:
            await self._commit()
        frames = self._encoder.encode(events)
        if frames or self.finished:
            await self._write(frames, more=not self.finished)

    async def relay(self, data: bytes) -> None:
        if not self.committed:
            await self._commit()
        self._relayed_first = self._relayed_first or data
        await self._write(data, more=not self.finished)

    async def beat(self) -> None:
        if self._sending:
            self.last_sent = self._clock()
            return
        if not self.committed:
            await self._commit()
        await self._write(self._encoder.beat(), more=True)

    async def end(self) -> None:
        if self.committed and not self.finished:
            raise RuntimeError("the turn ended without a Finish")

    async def fail(self, error: GatewayError) -> None:
        if self._closed:
            return
        if self._relayed:
            frames = self._exchange.dialect.fail_relayed(self._exchange, error, self._relayed_first)
        else:
            frames = self._encoder.fail(error)
        await self._write(frames, more=False)

    async def _commit(self) -> None:
        self.committed = True
        headers = [*STREAM_HEADERS, *self._headers()]
        if isinstance(self._encoder, Framed):
            headers = [(b"content-type", self._encoder.media_type.encode()), *UNBUFFERED, *self._headers()]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _write(self, body: bytes, more: bool) -> None:
        self._sending = True
        self._closed = not more
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
        self._sending = False
        self.last_sent = self._clock()


class WholeAnswer(Answer):
    """The batches are folded; one JSON object goes out at the end."""

    def __init__(self, exchange: Exchange, send: Send) -> None:
        super().__init__(exchange, send)
        self._fold = Fold()
        self._pieces: list[bytes] = []

    async def give(self, events: Sequence[Event]) -> None:
        self._fold.add(events)

    async def relay(self, data: bytes) -> None:
        self._pieces.append(data)

    async def beat(self) -> None:
        """Nothing can be said in the middle of a JSON object."""
        self.last_sent = self._clock()

    async def end(self) -> None:
        if self.committed:
            return
        body = self._body()
        media_type = self._exchange.dialect.media_type.encode()
        length = str(len(body)).encode()
        headers = [(b"content-type", media_type), (b"content-length", length), *self._headers()]
        self.committed = True
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    def _body(self) -> bytes:
        if self._relayed:
            return b"".join(self._pieces)
        return self._exchange.dialect.render_response(self._exchange, self._fold.response())

    async def fail(self, error: GatewayError) -> None:
        raise error


def _first_start(events: Sequence[Event]) -> Event | None:
    return next((event for event in events if type(event) is Start), None)


def header_value(text: str) -> bytes:
    """Return a text as a header can carry it, cut where clients and proxies would refuse the whole answer for it."""
    short = text if len(text) <= LONGEST_HEADER_CHARS else f"{text[:LONGEST_HEADER_CHARS]}..."
    return "".join(letter if " " <= letter <= "~" else "?" for letter in short).encode()


def ignored_header(names: Sequence[str]) -> dict[str, str]:
    """Return the header that names what had no effect, or none."""
    return {"x-isthmus-ignored-params": header_value(", ".join(names)).decode()} if names else {}


async def _fail(answer: Answer, error: GatewayError, scope: Scope) -> None:
    """Tell the client, unless it has stopped reading."""
    scope["error_kind"] = type(error).__name__
    try:
        async with asyncio.timeout(CLEANUP_S):
            await answer.fail(error)
    except TimeoutError:
        return


async def _departure(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stop(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel the tasks and see them end, within a bound."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=CLEANUP_S)
