"""ChatGPT Web as an upstream: everything that can be asked of it. Each room is loaded when it is first entered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING

from core.accounts import Pool, Principal, Secret
from core.contracts import Capabilities, Context, Exchange, Recalled, Target
from core.events import Event
from core.model_list import ModelList
from core.request import StoredFile, Turn
from core.settings import CHATGPT, Settings
from core.transport import Transport
from core.upstreams.chatgpt_web.models import KNOWN_MODELS, listed

if TYPE_CHECKING:
    from core.chatgpt.exchange import Exchanger
    from core.chatgpt.session import Pause, Session
    from core.chatgpt.sessions import Sessions
    from core.chatgpt.tokens import Tokens
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
    from core.upstreams.chatgpt_web.turns import Turns
    from core.upstreams.chatgpt_web.usage import UsageDesk

_CAPABILITIES = Capabilities()


class ChatGPTWeb:
    """The upstream behind the pool, a caller's own access token, or an anonymous device."""

    name = CHATGPT

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        pause: Pause = asyncio.sleep,
        tokens: Callable[[], Tokens | None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._tokens = tokens
        self._pause = pause
        self._models = ModelList(KNOWN_MODELS)

    @cached_property
    def _sessions(self) -> Sessions:
        from core.chatgpt.sessions import Sessions

        return Sessions(self._settings, self._pool, tokens=self._tokens())

    @cached_property
    def _exchanger(self) -> Exchanger:
        from core.chatgpt.exchange import Exchanger

        return Exchanger(self._settings)

    @cached_property
    def _turns(self) -> Turns:
        from core.upstreams.chatgpt_web.turns import Turns

        return Turns(self._settings, self._sessions, self._pause)

    @cached_property
    def _usage(self) -> UsageDesk:
        from core.upstreams.chatgpt_web.usage import UsageDesk

        return UsageDesk(self._sessions, self._pool)

    def capabilities(self, model: str) -> Capabilities:
        return _CAPABILITIES

    async def model_names(self, transport: Transport) -> Sequence[str]:
        async def ask() -> Sequence[str] | None:
            return await listed(await self._sessions.any(transport))

        return await self._models.names(ask)

    def stream(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[list[Event], None]:
        """Yield the answer. Before the first batch, an account-scoped failure moves on to the next account."""
        return self._turns.stream(exchange, transport)

    async def recall(self, turn: Turn, principal: Principal, transport: Transport) -> Recalled:
        from core.upstreams.chatgpt_web import stored

        keeper = self._sessions.keeper(turn.account, principal, transport)
        return await stored.recall(await self._sessions.ready(keeper), turn)

    async def forget(self, turn: Turn, principal: Principal, transport: Transport) -> None:
        from core.upstreams.chatgpt_web import stored

        keeper = self._sessions.keeper(turn.account, principal, transport)
        await stored.forget(await self._sessions.ready(keeper), turn)

    @asynccontextmanager
    async def speak(self, speech: Speech, context: Context, transport: Transport) -> AsyncGenerator[Download, None]:
        """Give the sound as it comes. Before its first byte, an account-scoped failure moves on to the next account."""
        from core.upstreams.chatgpt_web.speech import repeating_model, repetition, spoken

        target = Target(self, repeating_model(speech.model))
        exchange = repetition(speech, context, target)
        plan_of = partial(self._turns.plan, transport=transport, temporary=False)
        async with AsyncExitStack() as opened:

            async def attempt(session: Session) -> Download:
                return await opened.enter_async_context(spoken(speech, exchange, plan_of, session))

            yield await self._sessions.first(context, context.id, transport, attempt)

    async def transcribe(self, transcription: Transcription, context: Context, transport: Transport) -> Transcript:
        from core.upstreams.chatgpt_web.transcription import transcribe

        attempt = partial(transcribe, transcription, context)
        return await self._sessions.first(context, context.id, transport, attempt)

    async def refresh(self, refresh_token: Secret, transport: Transport) -> Grant:
        return await self._exchanger.own("refresh", refresh_token, transport)

    async def renew_session(self, session_token: Secret, transport: Transport) -> Grant:
        return await self._exchanger.own("session", session_token, transport)

    def raw(self, turn: RawTurn, context: Context, transport: Transport) -> AbstractAsyncContextManager[RawAnswer]:
        from core.upstreams.chatgpt_web import raw

        return raw.answered(self._sessions, turn, context, transport)

    async def usage(self, context: Context, transport: Transport) -> Sequence[AccountUsage]:
        context.principal.require_login("Usage")
        return await self._usage.told(context.principal, transport)

    async def upload(self, upload: Upload, context: Context, transport: Transport) -> StoredFile:
        """Put a file into an account: the same one for all of a caller's files, so that one turn may name several."""
        from core.upstreams.chatgpt_web import files

        attempt = partial(files.upload, upload=upload, pause=self._pause)
        return await self._sessions.first(context, f"files\0{context.principal.key_digest}", transport, attempt)

    async def describe(self, file: StoredFile, context: Context, transport: Transport) -> StoredFile:
        from core.upstreams.chatgpt_web import files

        return await files.describe(await self._keeper(file, context, transport), file)

    @asynccontextmanager
    async def open_file(
        self, file: StoredFile, context: Context, transport: Transport
    ) -> AsyncGenerator[Download, None]:
        from core.upstreams.chatgpt_web import files

        async with files.open_file(await self._keeper(file, context, transport), file) as download:
            yield download

    async def remove_file(self, file: StoredFile, context: Context, transport: Transport) -> None:
        from core.upstreams.chatgpt_web import files

        await files.remove(await self._keeper(file, context, transport), file)

    async def _keeper(self, file: StoredFile, context: Context, transport: Transport) -> Session:
        return await self._sessions.ready(self._sessions.keeper(file.account, context.principal, transport))
