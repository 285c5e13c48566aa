"""ChatGPT Web as an upstream: which account asks, what may be tried next, which models there are."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Literal

from core.accounts import Account, Pool, Principal
from core.contracts import Capabilities, Exchange, Recalled
from core.errors import RateLimited, UpstreamDenied, UpstreamError
from core.events import Event
from core.request import Text, Turn
from core.settings import Settings
from core.transport import Transport
from core.upstreams.chatgpt_web import stored
from core.upstreams.chatgpt_web.models import ModelList
from core.upstreams.chatgpt_web.session import Session, device_id
from core.upstreams.chatgpt_web.turn import Pause, Plan, TurnRun
from core.wire.chatgpt_web.errors import UPSTREAM
from core.wire.chatgpt_web.requests import prepare_outgoing

_CAPABILITIES = Capabilities()
_TURN_PATHS: dict[str, Literal["/f/conversation", "/conversation"]] = {
    "f": "/f/conversation",
    "plain": "/conversation",
}


class ChatGPTWeb:
    """The upstream behind the pool, a caller's own access token, or an anonymous device."""

    name = UPSTREAM

    def __init__(self, settings: Settings, pool: Pool, pause: Pause = asyncio.sleep) -> None:
        self._settings = settings
        self._pool = pool
        self._pause = pause
        self._models = ModelList(self._any_session)

    def capabilities(self, model: str) -> Capabilities:
        return _CAPABILITIES

    async def model_names(self, transport: Transport) -> Sequence[str]:
        return await self._models.names(transport)

    async def stream(self, exchange: Exchange, transport: Transport) -> AsyncGenerator[list[Event], None]:
        """Yield the answer. Before the first batch, an account-scoped failure moves on to the next account."""
        temporary = not self._keeps(exchange)
        plan = Plan(
            exchange=exchange,
            outgoing=prepare_outgoing(exchange, temporary),
            path=_TURN_PATHS[self._settings.chatgpt_turn_path],
            max_continue_count=self._settings.max_continue_count,
            user_agent=transport.user_agent,
            pause=self._pause,
        )
        failures: list[UpstreamError] = []
        for session in self._sessions_for(exchange, transport):
            started = False
            try:
                async with aclosing(TurnRun(plan, session).events()) as batches:
                    async for batch in batches:
                        started = True
                        yield batch
                return
            except UpstreamError as error:
                self._learn(session, error)
                if started or session.owned or session.is_anonymous or error.scope != "account":
                    raise
                failures.append(error)
        raise self._exhausted(failures, exchange.principal)

    async def recall(self, turn: Turn, principal: Principal, transport: Transport) -> Recalled:
        return await stored.recall(self._keeper(turn, principal, transport), turn)

    async def forget(self, turn: Turn, principal: Principal, transport: Transport) -> None:
        await stored.forget(self._keeper(turn, principal, transport), turn)

    def _keeper(self, turn: Turn, principal: Principal, transport: Transport) -> Session:
        return keeper(self._sessions(principal, "", transport), turn.account or "")

    def _keeps(self, exchange: Exchange) -> bool:
        """Say whether the turn stays in the account: a setting decides, else the request (ruling 14)."""
        if exchange.principal.kind == "anonymous":
            return False
        if self._settings.enable_history is not None:
            return self._settings.enable_history
        return exchange.request.store is True

    def _sessions_for(self, exchange: Exchange, transport: Transport) -> list[Session]:
        """Return who may answer: for a turn that is kept in one account, that account alone (P5)."""
        continued = exchange.request.continues
        if continued is None or continued.account is None:
            return self._sessions(exchange.principal, affinity(exchange), transport)
        return [keeper(self._sessions(exchange.principal, "", transport), continued.account)]

    def _sessions(self, principal: Principal, affinity: str, transport: Transport) -> list[Session]:
        if principal.kind == "anonymous":
            return [self._session(transport, None, principal)]
        if principal.account is not None:
            return [self._session(transport, principal.account, principal)]
        accounts = self._pool.candidates(affinity, principal.workspace)
        return [self._session(transport, account, principal) for account in accounts]

    def _session(self, transport: Transport, account: Account | None, principal: Principal) -> Session:
        proxy = (account.proxy if account else None) or self._settings.proxy
        return Session(
            transport=transport,
            base_url=self._settings.chatgpt_base_url,
            account=account,
            device_id=device_id(account) if account else principal.device_id or "",
            proxy=proxy.reveal() if proxy else None,
            owned=principal.kind == "account",
        )

    def _any_session(self, transport: Transport) -> Session | None:
        """Return a session for what is the same for all of the pool's accounts, such as the list of models."""
        sessions = self._sessions(Principal("pool"), "", transport)
        return sessions[0] if sessions else None

    def _learn(self, session: Session, error: UpstreamError) -> None:
        if session.account is None:
            return
        if isinstance(error, RateLimited) and error.retry_after_s is not None:
            self._pool.cool(session.account, time.time() + error.retry_after_s)
        elif isinstance(error, UpstreamDenied):
            self._pool.retire(session.account)

    def _exhausted(self, failures: list[UpstreamError], principal: Principal) -> Exception:
        if len(failures) == 1:
            return failures[0]
        if failures and self._pool.candidates("", principal.workspace):
            return failures[-1]
        return self._pool.unavailable(principal.workspace)


def keeper(sessions: Sequence[Session], digest: str) -> Session:
    """Return the session of the account with this digest. Raises `UpstreamError` 409 when it cannot be used now."""
    for session in sessions:
        if session.account is not None and session.account.digest == digest:
            return session
    message = "the account that keeps this conversation is not usable now: it is gone, expired or cooling down"
    raise UpstreamError(message, upstream=UPSTREAM, status=409, code="account_unavailable", scope="request")


def affinity(exchange: Exchange) -> str:
    """Return what ties a request to an account: the conversation it goes on with, else its session (P6).

    The session is the one the caller names for its cache, else who asks and how the conversation began.
    """
    request = exchange.request
    if request.continues is not None:
        return request.continues.conversation_id
    if named := request.extras.get("prompt_cache_key"):
        return hashlib.sha256(exchange.principal.key_digest.encode() + b"\0" + bytes(named)).hexdigest()
    first = next((message for message in request.messages if message.role == "user"), request.messages[0])
    text = "".join(part.text for part in first.parts if isinstance(part, Text))
    return hashlib.sha256(f"{exchange.principal.key_digest}\0{text}".encode(errors="surrogatepass")).hexdigest()
