"""ChatGPT Web as an upstream: which account asks, what may be tried next, which models there are."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from typing import Literal

from msgspec import structs

from core.accounts import Pool, Principal, Secret
from core.affinity import affinity
from core.chatgpt.exchange import Exchanger, Way, owned
from core.chatgpt.session import Pause, Session
from core.chatgpt.sessions import Sessions
from core.chatgpt.tokens import Tokens
from core.contracts import Capabilities, Context, Exchange, Recalled, Target
from core.events import Event
from core.model_list import ModelList
from core.request import StoredFile, Turn
from core.services import (
    AccountUsage,
    Download,
    Grant,
    RawAnswer,
    RawTurn,
    Speech,
    Transcript,
    Transcription,
    Upload,
)
from core.settings import Settings
from core.transport import Transport
from core.upstreams.chatgpt_web import files, raw, stored
from core.upstreams.chatgpt_web.attachments import Attachments, Reference, Uploads, keeping_account
from core.upstreams.chatgpt_web.models import KNOWN_MODELS, listed
from core.upstreams.chatgpt_web.speech import repeating_model, repetition, spoken
from core.upstreams.chatgpt_web.transcription import transcribe
from core.upstreams.chatgpt_web.turn import Plan, TurnRun
from core.upstreams.chatgpt_web.usage import UsageDesk
from core.wire.chatgpt_web.code import with_code_words
from core.wire.chatgpt_web.errors import UPSTREAM
from core.wire.chatgpt_web.image_words import with_words
from core.wire.chatgpt_web.requests import NOTHING, prepare_outgoing
from core.wire.chatgpt_web.research import is_research_model

_CAPABILITIES = Capabilities()
_TURN_PATHS: dict[str, Literal["/f/conversation", "/conversation"]] = {
    "f": "/f/conversation",
    "plain": "/conversation",
}


class ChatGPTWeb:
    """The upstream behind the pool, a caller's own access token, or an anonymous device."""

    name = UPSTREAM

    def __init__(
        self, settings: Settings, pool: Pool, pause: Pause = asyncio.sleep, tokens: Tokens | None = None
    ) -> None:
        self._settings = settings
        self._sessions = Sessions(settings, pool, tokens=tokens)
        self._pause = pause
        self._models = ModelList(KNOWN_MODELS)
        self._uploads = Uploads()
        self._exchanger = Exchanger(settings)
        self._usage = UsageDesk(self._sessions, pool)

    def capabilities(self, model: str) -> Capabilities:
        return _CAPABILITIES

    async def model_names(self, transport: Transport) -> Sequence[str]:
        async def ask() -> Sequence[str] | None:
            return await listed(await self._sessions.any(transport))

        return await self._models.names(ask)

    async def stream(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[list[Event], None]:
        """Yield the answer. Before the first batch, an account-scoped failure moves on to the next account."""
        exchange = _worded(exchange)
        temporary, fleeting = self._stay(exchange)
        attachments = Attachments(exchange, transport, self._uploads, self._pause)
        plan_of = partial(self._plan, exchange, transport, temporary=temporary, fleeting=fleeting)

        async def answer(session: Session) -> AsyncGenerator[list[Event], None]:
            plan = plan_of(attached=await attachments.into(session))
            async with aclosing(TurnRun(plan, session).events()) as batches:
                async for batch in batches:
                    yield batch

        sessions = self._sessions_for(exchange, transport)
        async with aclosing(self._sessions.stream(sessions, exchange.principal, answer)) as batches:
            async for batch in batches:
                yield batch

    async def recall(self, turn: Turn, principal: Principal, transport: Transport) -> Recalled:
        keeper = self._sessions.keeper(turn.account, principal, transport)
        return await stored.recall(await self._sessions.ready(keeper), turn)

    async def forget(self, turn: Turn, principal: Principal, transport: Transport) -> None:
        keeper = self._sessions.keeper(turn.account, principal, transport)
        await stored.forget(await self._sessions.ready(keeper), turn)

    @asynccontextmanager
    async def speak(self, speech: Speech, context: Context, transport: Transport) -> AsyncGenerator[Download, None]:
        """Give the sound as it comes. Before its first byte, an account-scoped failure moves on to the next account."""
        target = Target(self, repeating_model(speech.model))
        exchange = repetition(speech, context, target)
        plan_of = partial(self._plan, transport=transport, temporary=False)
        async with AsyncExitStack() as opened:

            async def attempt(session: Session) -> Download:
                return await opened.enter_async_context(spoken(speech, exchange, plan_of, session))

            yield await self._sessions.first(context, context.id, transport, attempt)

    async def transcribe(self, transcription: Transcription, context: Context, transport: Transport) -> Transcript:
        attempt = partial(transcribe, transcription, context)
        return await self._sessions.first(context, context.id, transport, attempt)

    async def refresh(self, refresh_token: Secret, transport: Transport) -> Grant:
        return await owned(self._exchanger.exchange("refresh", refresh_token, self._own_way(transport)))

    async def renew_session(self, session_token: Secret, transport: Transport) -> Grant:
        return await owned(self._exchanger.exchange("session", session_token, self._own_way(transport)))

    def raw(self, turn: RawTurn, context: Context, transport: Transport) -> AbstractAsyncContextManager[RawAnswer]:
        return raw.answered(self._sessions, turn, context, transport)

    async def usage(self, context: Context, transport: Transport) -> Sequence[AccountUsage]:
        context.principal.require_login("Usage")
        return await self._usage.told(context.principal, transport)

    async def upload(self, upload: Upload, context: Context, transport: Transport) -> StoredFile:
        """Put a file into an account: the same one for all of a caller's files, so that one turn may name several."""
        attempt = partial(files.upload, upload=upload, pause=self._pause)
        return await self._sessions.first(context, f"files\0{context.principal.key_digest}", transport, attempt)

    async def describe(self, file: StoredFile, context: Context, transport: Transport) -> StoredFile:
        return await files.describe(await self._keeper(file, context, transport), file)

    @asynccontextmanager
    async def open_file(
        self, file: StoredFile, context: Context, transport: Transport
    ) -> AsyncGenerator[Download, None]:
        async with files.open_file(await self._keeper(file, context, transport), file) as download:
            yield download

    async def remove_file(self, file: StoredFile, context: Context, transport: Transport) -> None:
        await files.remove(await self._keeper(file, context, transport), file)

    async def _keeper(self, file: StoredFile, context: Context, transport: Transport) -> Session:
        return await self._sessions.ready(self._sessions.keeper(file.account, context.principal, transport))

    def _own_way(self, transport: Transport) -> Way:
        return Way(transport, self._settings.proxy.reveal() if self._settings.proxy else None)

    def _plan(
        self,
        exchange: Exchange,
        transport: Transport,
        *,
        temporary: bool,
        fleeting: bool = False,
        attached: Mapping[Reference, StoredFile] = NOTHING,
    ) -> Plan:
        return Plan(
            exchange=exchange,
            outgoing=prepare_outgoing(exchange, temporary, attached),
            path=_TURN_PATHS[self._settings.chatgpt_turn_path],
            max_continue_count=self._settings.max_continue_count,
            user_agent=transport.user_agent,
            fleeting=fleeting,
            pause=self._pause,
        )

    def _stay(self, exchange: Exchange) -> tuple[bool, bool]:
        """Return whether the turn is temporary, and whether its conversation is removed when the answer is whole.

        What is made after a turn (section 6), or in it beside the text, cannot be had from a temporary conversation.
        """
        keeps, continued, hints = self._keeps(exchange), exchange.request.continues, exchange.request.hints
        if not (hints.image_generation or hints.code_interpreter or hints.deep_research):
            return not keeps, False
        if continued is not None:
            return not (keeps or continued.kept), False
        return False, not keeps

    def _keeps(self, exchange: Exchange) -> bool:
        """Say whether the turn stays in the account: a setting decides, else the request (ruling 14)."""
        if exchange.principal.kind == "anonymous":
            return False
        if self._settings.enable_history is not None:
            return self._settings.enable_history
        return exchange.request.store is True

    def _sessions_for(self, exchange: Exchange, transport: Transport) -> list[Session]:
        """Return who may answer: where one account keeps the conversation or the files, that account alone (P5)."""
        account = keeping_account(exchange.request)
        if account is None:
            return self._sessions.of(exchange.principal, affinity(exchange.request, exchange.principal), transport)
        return [self._sessions.keeper(account, exchange.principal, transport)]


def _worded(exchange: Exchange) -> Exchange:
    """Return the exchange with what its hints and its model's name ask for. Raises `Forbidden` (AU-16)."""
    request, principal = exchange.request, exchange.principal
    if is_research_model(exchange.target.model):
        request = structs.replace(request, hints=structs.replace(request.hints, deep_research=True))
    if request.hints.deep_research:
        principal.require_login("Deep research")
    if request.hints.code_interpreter:
        principal.require_login("Code interpreter")
    if request.hints.image_generation:
        principal.require_login("Image generation")
    return structs.replace(exchange, request=with_code_words(with_words(request)))
