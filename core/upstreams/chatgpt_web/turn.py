"""One turn with one credential: sentinel, announcement, the stream, and what it takes to get the stream's rest.

The rest may be a resume (the stream was handed over or lost), the stored conversation (polled, as for a picture that
is made after its turn), or a `continue` turn (the answer was cut for length): chatgpt-web reference, sections 3.2 to
3.8 and 6.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from itertools import repeat
from typing import Literal

from msgspec import Struct, structs

from core.chatgpt.session import EVENT_STREAM, Pause, Session
from core.continuing import named_by
from core.contracts import Exchange
from core.errors import ChallengeRequired, NotFound, ProtocolViolation, UpstreamError, UpstreamRejected
from core.events import Event
from core.request import Turn
from core.transport import Reply
from core.upstreams.chatgpt_web.fleeting import Fleeting
from core.upstreams.chatgpt_web.images import Pictures
from core.upstreams.chatgpt_web.sentinel import TURNSTILE_HEADER, requirements, turnstile_failed
from core.upstreams.chatgpt_web.stored import MAX_TREE_BYTES, last_of_turn
from core.wire.chatgpt_web.errors import unexpected_answer
from core.wire.chatgpt_web.requests import Outgoing, build_continue, build_prepare, build_resume, build_turn
from core.wire.chatgpt_web.research import WIDGET_QUERY
from core.wire.chatgpt_web.stream import TurnDecoder
from core.wire.chatgpt_web.types import Conduit

RESUME_PATH = "/f/conversation/resume"
RESUME_STATUSES = frozenset({408, 409, 425, 429, 502, 504})
RESUME_TRIES = 12
RECOVERY_TRIES = 3
RESUME_FIRST_PAUSE_S, RESUME_PAUSE_GROWTH, RESUME_LONGEST_PAUSE_S = 0.3, 1.5, 5.0
POLL_PAUSE_S = 3.0
POLLS_AFTER_HAND_OFF, POLLS_FOR_PICTURE, POLLS_AFTER_CUT = 100, 20, 3
PAUSE_GROWTH = 1.2
FIRST_PAUSE_S, PICTURE_LONGEST_PAUSE_S, RESEARCH_LONGEST_PAUSE_S = 2.0, 5.0, 15.0
POLLS_FOR_RESEARCH = 500
POLLS_PER_TASKS = 5
"""How many looks at a conversation whose picture is awaited there are for one at the tasks, which tell of failures."""

MISSES_IN_ROW = 5
"""How often in a row the stored conversation may be missing: it may not be written yet, or never be."""

UNSETTLED_STATUSES = frozenset({404, 408, 409, 425, 429, 500, 502, 503, 504})
"""Answers to a look at the stored conversation after which it is worth looking again."""


class Plan(Struct, frozen=True):
    """What a turn needs besides its credential. `path` is the call that carries it, below the prefix.

    `fleeting` says that the conversation is made only for what it yields, and removed before the answer ends.
    """

    exchange: Exchange
    outgoing: Outgoing
    path: Literal["/f/conversation", "/conversation"]
    max_continue_count: int
    user_agent: str
    fleeting: bool = False
    pause: Pause = asyncio.sleep


class TurnRun:
    """Runs one turn. Everything before the first yielded batch may be tried again with another credential."""

    def __init__(self, plan: Plan, session: Session) -> None:
        self._plan = plan
        self._session = session
        outgoing = plan.outgoing
        account = session.account.digest if session.account else None
        kept = not (outgoing.temporary or plan.fleeting)
        # What a temporary conversation holds cannot be had afterwards: links into it would lead nowhere (section 4).
        link = plan.exchange.link if account and plan.exchange.signer and not outgoing.temporary else None
        self._decoder = TurnDecoder(outgoing.sent(), outgoing.ignored, account, kept, link)
        self._pictures = Pictures(session, self._decoder, plan.exchange.request.image)
        self._trace = {"X-Oai-Turn-Trace-Id": plan.exchange.uuid("trace")}
        self._turnstile = plan.exchange.forward.get(TURNSTILE_HEADER)

    @property
    def conversation_id(self) -> str | None:
        """The conversation, as soon as it is known."""
        return self._decoder.conversation_id

    async def events(self) -> AsyncGenerator[list[Event], None]:
        """Yield the whole answer. Raises `UpstreamError`."""
        async with Fleeting(self._session, keep=not self._plan.fleeting) as fleeting:
            try:
                async with aclosing(self._told()) as batches:
                    async for batch in batches:
                        yield batch
                async with aclosing(self._pictures.finished()) as batches:
                    async for batch in batches:
                        yield batch
                end = self._decoder.close()
            finally:
                fleeting.conversation_id = self.conversation_id
        yield end

    async def _told(self) -> AsyncGenerator[list[Event], None]:
        parent = self._plan.outgoing.parent
        if parent is not None and parent.account is not None and parent.kept:
            try:
                parent = await last_of_turn(self._session, parent)
            except NotFound as error:
                error.param = self._named_by()
                raise
            self._plan = structs.replace(self._plan, outgoing=structs.replace(self._plan.outgoing, parent=parent))
        async with aclosing(self._first_leg(await self._open_headers(announce=True))) as batches:
            async for batch in batches:
                yield batch
        for _ in range(self._plan.max_continue_count):
            cut = self._cut_turn()
            if cut is None:
                break
            try:
                async with aclosing(self._continuation(cut)) as batches:
                    async for batch in batches:
                        yield batch
            except UpstreamError:
                # What stands is a legal answer that is too long; the error would take it away.
                if self._decoder.verdict() != "truncated":
                    raise
                break

    def _first_leg(self, headers: dict[str, str]) -> AsyncGenerator[list[Event], None]:
        body = build_turn(self._plan.outgoing, "X-Conduit-Token" in headers)
        return self._leg(self._plan.path, body, headers)

    async def _continuation(self, cut: Turn) -> AsyncGenerator[list[Event], None]:
        headers = await self._open_headers(announce=False)
        self._decoder.go_on()
        body = build_continue(self._plan.outgoing, cut)
        async with aclosing(self._leg(self._plan.path, body, headers)) as batches:
            async for batch in batches:
                yield batch

    async def _open_headers(self, announce: bool) -> dict[str, str]:
        """Pass the sentinel and announce the turn, side by side: neither needs the other."""
        announced = announce and self._plan.path == "/f/conversation"
        conduit = asyncio.create_task(self._conduit_token(announced))
        try:
            sentinel = await requirements(self._session, self._plan.user_agent, self._turnstile)
            token = await conduit
        finally:
            if not conduit.done():
                conduit.cancel()
                await asyncio.wait({conduit})
        return {**sentinel, **self._trace, **({"X-Conduit-Token": token} if token else {})}

    async def _conduit_token(self, announced: bool) -> str | None:
        """Announce the turn. That is an optimisation of the service's own, so its failure is not ours (section 3.2)."""
        if not announced:
            return None
        body = build_prepare(self._plan.outgoing)
        headers = {**self._trace, "X-Conduit-Token": "no-token"}
        try:
            answer = await self._session.fetch("POST", "/f/conversation/prepare", Conduit, body, headers)
        except UpstreamError:
            return None
        return answer.conduit_token

    def _cut_turn(self) -> Turn | None:
        """Return the answer that was cut for length and can be continued, if it was."""
        decoder = self._decoder
        if decoder.verdict() != "truncated" or not (decoder.conversation_id and decoder.message_id):
            return None
        return Turn(decoder.conversation_id, decoder.message_id)

    async def _leg(self, path: str, body: bytes, headers: dict[str, str]) -> AsyncGenerator[list[Event], None]:
        """Yield one stream and, when it ends before its turn does, the rest from wherever it can be had."""
        lost: UpstreamError | None = None
        try:
            async with self._session.request("POST", path, body, headers, EVENT_STREAM) as reply:
                # Sent is sent: thousands of answers may be open, for minutes.
                del body, headers
                await self._expect_stream(reply)
                async with aclosing(self._read(reply)) as batches:
                    async for batch in batches:
                        yield batch
        except UpstreamError as error:
            if not self._is_connection_loss(error):
                raise
            lost = error
        verdict = self._decoder.verdict()
        awaited = verdict in ("handed_off", "cut") or (verdict == "silent" and self._makes)
        if awaited and self._decoder.conversation_id:
            async with aclosing(self._rest(handed_off=verdict == "handed_off")) as batches:
                async for batch in batches:
                    yield batch
        if lost is not None and self._decoder.verdict() == "cut":
            raise lost

    def _is_connection_loss(self, error: UpstreamError) -> bool:
        if self._decoder.failed or error.upstream_status is not None:
            return False
        return self._decoder.events_seen > 0 and error.scope == "provider"

    async def _expect_stream(self, reply: Reply) -> None:
        if reply.status != 200:
            error = await self._session.refusal(reply)
            if reply.status == 404 and self._plan.outgoing.parent is not None:
                error.param = self._named_by()
            if self._turnstile and isinstance(error, ChallengeRequired):
                error = turnstile_failed(error)
            raise error
        if not reply.headers.get("content-type", EVENT_STREAM).startswith(EVENT_STREAM):
            raise unexpected_answer(reply.status, reply.headers, await reply.read())

    def _named_by(self) -> str:
        """Return the field by which the client named the conversation that it goes on with."""
        return named_by(self._plan.exchange.request)[0]

    async def _read(self, reply: Reply) -> AsyncGenerator[list[Event], None]:
        decoder = self._decoder
        async for data in reply:
            if events := await self._pictures.among(decoder.feed(data)):
                yield events
            if decoder.over:
                break
        if events := await self._pictures.among(decoder.end_of_stream()):
            yield events
        await reply.drain()

    @property
    def _draws(self) -> bool:
        """Whether a picture was asked for, or one is being made."""
        return self._plan.exchange.request.hints.image_generation or self._decoder.gallery().awaited

    @property
    def _researches(self) -> bool:
        """Whether a research was asked for, or one is under way."""
        return self._plan.exchange.request.hints.deep_research or self._decoder.researches

    @property
    def _makes(self) -> bool:
        """Whether something is made that comes after the turn's own stream, as far as is known."""
        return self._draws or self._researches

    async def _rest(self, handed_off: bool) -> AsyncGenerator[list[Event], None]:
        patient = handed_off and not self._makes
        async with aclosing(self._resumed(RESUME_TRIES if patient else RECOVERY_TRIES)) as batches:
            async for batch in batches:
                yield batch
        readable = handed_off or not self._plan.outgoing.temporary
        if readable and self._decoder.verdict() in ("handed_off", "cut", "silent"):
            async with aclosing(self._polled(self._looks(handed_off))) as batches:
                async for batch in batches:
                    yield batch

    def _looks(self, handed_off: bool) -> int:
        """Return how often the stored conversation is worth a look: a picture may be begun without a word."""
        if self._researches:
            return POLLS_FOR_RESEARCH
        if handed_off or self._decoder.gallery().awaited:
            return POLLS_AFTER_HAND_OFF
        return POLLS_FOR_PICTURE if self._draws else POLLS_AFTER_CUT

    async def _resumed(self, tries: int) -> AsyncGenerator[list[Event], None]:
        decoder = self._decoder
        pause_s = RESUME_FIRST_PAUSE_S
        headers = {**self._trace, "X-Conduit-Token": decoder.resume_token or "no-token"}
        for _ in range(tries):
            body = build_resume(decoder.conversation_id or "", decoder.events_seen)
            try:
                async with self._session.request("POST", RESUME_PATH, body, headers, EVENT_STREAM) as reply:
                    if reply.status == 200:
                        decoder.reconnect()
                        async with aclosing(self._read(reply)) as batches:
                            async for batch in batches:
                                yield batch
                        if decoder.verdict() not in ("cut", "handed_off") or decoder.awaits_result:
                            return
                    elif reply.status not in RESUME_STATUSES:
                        return
            except UpstreamError as error:
                if decoder.failed or error.scope != "provider":
                    raise
            await self._plan.pause(pause_s)
            pause_s = min(pause_s * RESUME_PAUSE_GROWTH, RESUME_LONGEST_PAUSE_S)

    async def _polled(self, polls: int) -> AsyncGenerator[list[Event], None]:
        """Read the stored conversation until its answer is whole."""
        decoder, misses = self._decoder, 0
        query = WIDGET_QUERY if self._researches else ""
        for number, pause_s in zip(range(1, polls + 1), self._pauses(), strict=False):
            await self._plan.pause(pause_s)
            data = await self._look(f"/conversation/{decoder.conversation_id}{query}")
            misses = 0 if data else misses + 1
            if misses == MISSES_IN_ROW:
                return
            if data and (events := await self._pictures.among(decoder.feed_tree(data))):
                yield events
            if decoder.gallery().awaited and number % POLLS_PER_TASKS == 0 and (events := await self._failure()):
                yield events
            if data and decoder.over:
                return

    def _pauses(self) -> Iterator[float]:
        """Yield how long to wait before each look. A picture takes 20 to 120 s (section 6), a research minutes."""
        if self._researches:
            return _growing(RESEARCH_LONGEST_PAUSE_S)
        if self._draws:
            return _growing(PICTURE_LONGEST_PAUSE_S)
        return repeat(POLL_PAUSE_S)

    async def _look(self, path: str) -> bytes:
        """Return a body, empty while the service does not have it or cannot be asked."""
        try:
            async with self._session.request("GET", path) as reply:
                if reply.status == 200:
                    return await reply.read(MAX_TREE_BYTES)
                if reply.status in UNSETTLED_STATUSES:
                    return b""
                raise await self._session.refusal(reply)
        except UpstreamError as error:
            if error.scope != "provider" or error.upstream_status is not None:
                raise
            return b""

    async def _failure(self) -> list[Event]:
        """Return what the account's tasks say of a picture that will not come; if they cannot be read, nothing."""
        try:
            data = await self._look("/tasks")
            events = self._decoder.take_tasks(data) if data else []
        except (ChallengeRequired, ProtocolViolation, UpstreamRejected):
            return []
        return await self._pictures.among(events)


def _growing(longest_s: float) -> Iterator[float]:
    """Yield pauses, each longer than the one before, up to the longest."""
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(pause_s * PAUSE_GROWTH, longest_s)
