"""Whose account asks: the sessions a principal may use, in order, and what this instance learns from their failures."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

from msgspec import structs

from core.accounts import Account, Pool, Principal
from core.chatgpt.exchange import Exchanger, Way, owned
from core.chatgpt.session import Session, device_id
from core.chatgpt.tokens import Tokens
from core.contracts import Context
from core.errors import GatewayError, RateLimited, UpstreamDenied, UpstreamError
from core.events import Event
from core.settings import Settings
from core.transport import Transport
from core.wire.chatgpt_web.errors import UPSTREAM
from core.wire.chatgpt_web.files import LIMIT_REACHED

T = TypeVar("T")


class Sessions:
    """The credentials of one app instance, and which of them may be tried for whom.

    `pool` learns what one service says of the accounts; `tokens` are the same for all services, as a token that is
    replaced when it is used must be exchanged in one place.
    """

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        clock: Callable[[], float] = time.time,
        tokens: Tokens | None = None,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._tokens = tokens or Tokens(Exchanger(settings), settings.accounts, clock)

    def of(self, principal: Principal, affinity: str, transport: Transport) -> list[Session]:
        """Return who may answer, the preferred one first; the same `affinity` gives the same order."""
        if principal.kind == "anonymous":
            return [self._session(transport, None, principal)]
        if principal.account is not None:
            return [self._session(transport, principal.account, principal)]
        accounts = self._pool.candidates(affinity, principal.workspace)
        return [self._session(transport, account, principal) for account in accounts]

    def keeper(self, digest: str | None, principal: Principal, transport: Transport) -> Session:
        """Return the session of the account with this digest (P5). Raises `UpstreamError` 409 when it is not usable."""
        for session in self.of(principal, "", transport):
            if session.account is not None and session.account.digest == digest:
                return session
        message = "the account that keeps this is not usable now: it is gone, expired or cooling down"
        raise UpstreamError(message, upstream=UPSTREAM, status=409, code="account_unavailable", scope="request")

    async def any(self, transport: Transport) -> Session | None:
        """Return a session for what is the same for all of the pool's accounts, such as the list of models."""
        sessions = self.of(Principal("pool"), "", transport)
        return await self.ready(sessions[0]) if sessions else None

    async def ready(self, session: Session) -> Session:
        """Return the session with a bearer token that can be used now. Raises `UpstreamError`."""
        account = session.account
        if account is None or account.kind == "access":
            return session
        way = Way(session.transport, session.proxy)
        granted = owned if session.owned else _as_it_is
        return structs.replace(
            session,
            bearer=await granted(self._tokens.bearer(account, way)),
            renew=lambda refused: granted(self._tokens.renewed(account, refused, way)),
        )

    async def first(
        self, context: Context, affinity: str, transport: Transport, attempt: Callable[[Session], Awaitable[T]]
    ) -> T:
        """Return what the first session gives that can; an account-scoped failure moves on to the next one."""
        failures: list[UpstreamError] = []
        for session in self.of(context.principal, affinity, transport):
            try:
                return await attempt(await self.ready(session))
            except UpstreamError as error:
                self.learn(session, error)
                if not may_move_on(session, error):
                    raise
                failures.append(error)
        raise self.exhausted(failures, context.principal)

    async def stream(
        self,
        sessions: Sequence[Session],
        principal: Principal,
        answer: Callable[[Session], Awaitable[AsyncGenerator[list[Event], None]]],
    ) -> AsyncGenerator[list[Event], None]:
        """Yield the first answer that comes. Before its first batch, an account-scoped failure moves on."""
        failures: list[UpstreamError] = []
        for session in sessions:
            started = False
            try:
                async with aclosing(await answer(await self.ready(session))) as batches:
                    async for batch in batches:
                        started = True
                        yield batch
                return
            except UpstreamError as error:
                self.learn(session, error)
                if started or not may_move_on(session, error):
                    raise
                failures.append(error)
        raise self.exhausted(failures, principal)

    def learn(self, session: Session, error: UpstreamError) -> None:
        """Note what a failure says of a pool member: how long to leave it alone, or that its token is refused."""
        if session.account is None or error.code == LIMIT_REACHED:
            return
        if isinstance(error, RateLimited) and error.retry_after_s is not None:
            self._pool.cool(session.account, time.time() + error.retry_after_s)
        elif isinstance(error, UpstreamDenied):
            self._pool.retire(session.account)

    def exhausted(self, failures: Sequence[UpstreamError], principal: Principal) -> GatewayError:
        """Return the error that says why nobody answered."""
        if len(failures) == 1:
            return failures[0]
        if failures and self._pool.candidates("", principal.workspace):
            return failures[-1]
        return self._pool.unavailable(principal.workspace)

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


async def _as_it_is(bearer: Awaitable[T]) -> T:
    return await bearer


def may_move_on(session: Session, error: UpstreamError) -> bool:
    """Say whether another account may be tried after this failure: it is this account's, and not the caller's own."""
    return error.scope == "account" and not session.owned and not session.is_anonymous
