"""What is left of an account, as the service tells it: its plan, and what its features have left (P8).

Nothing is computed and nothing is made up: what was not said is None, and why is said with it.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from msgspec import structs

from core.accounts import Account, Pool, Principal, default_workspace, expiry, jwt_claims
from core.chatgpt.session import Session
from core.chatgpt.sessions import Sessions
from core.errors import UpstreamError
from core.parallel import side_by_side
from core.services import AccountUsage, Limit, Subscription
from core.transport import Transport
from core.wire.chatgpt_web.usage import CHECK_PATH, INIT_BODY, INIT_PATH, AccountEntry, Check, Entitlement, Init

T = TypeVar("T")

FRESH_S = 60.0
"""How long what was said of a pool account is told again without asking."""

AT_ONCE = 4
"""How many accounts are asked side by side."""


class UsageDesk:
    """Asks for usage, and remembers for a minute what it learnt of the pool's accounts."""

    def __init__(self, sessions: Sessions, pool: Pool, clock: Callable[[], float] = time.time) -> None:
        self._sessions = sessions
        self._pool = pool
        self._clock = clock
        self._known: dict[str, AccountUsage] = {}

    async def told(self, principal: Principal, transport: Transport) -> Sequence[AccountUsage]:
        """Return the caller's own account, or each of the pool's. Raises `UpstreamError` for the caller's own."""
        if principal.kind == "account":
            [session] = self._sessions.of(principal, "", transport)
            return [await self._ask(session)]
        sessions = self._sessions.of(principal, "", transport)
        usable = {session.account.digest: session for session in sessions if session.account}
        calls = [
            partial(self._member, account, condition, usable.get(account.digest))
            for account, condition in self._pool.conditions(principal.workspace)
        ]
        return await side_by_side(calls, AT_ONCE)

    async def _member(self, account: Account, condition: str, session: Session | None) -> AccountUsage:
        """An account that cannot be used now is not asked."""
        known = self._known.get(account.digest)
        if known is not None and known.as_of is not None and known.as_of + FRESH_S > self._clock():
            return structs.replace(known, condition=condition)
        if session is None:
            return AccountUsage(account=account.digest, condition=condition, token_expires_at=account.expires_at)
        try:
            usage = await self._ask(session)
        except UpstreamError as error:
            self._sessions.learn(session, error)
            return AccountUsage(account=account.digest, condition=condition, failures=(error.message,))
        self._known[account.digest] = structs.replace(usage, condition=condition)
        return self._known[account.digest]

    async def _ask(self, session: Session) -> AccountUsage:
        """Return what both calls tell; one of them may fail."""
        session = await self._sessions.ready(session)
        check = await _tried(session.fetch("GET", CHECK_PATH, Check))
        init = await _tried(session.fetch("POST", INIT_PATH, Init, INIT_BODY))
        if isinstance(check, UpstreamError) and isinstance(init, UpstreamError):
            raise check
        return _usage(session, check, init, self._clock())


async def _tried(call: Awaitable[T]) -> T | UpstreamError:
    try:
        return await call
    except UpstreamError as error:
        return error


def _usage(session: Session, check: Check | UpstreamError, init: Init | UpstreamError, now: float) -> AccountUsage:
    assert session.account is not None
    said = None if isinstance(check, UpstreamError) else check
    limits = Init() if isinstance(init, UpstreamError) else init
    claims = jwt_claims((session.bearer or session.account.token).reveal())
    workspace = session.account.account_id or default_workspace(claims)
    return AccountUsage(
        account=session.account.digest,
        as_of=now,
        token_expires_at=expiry(claims),
        subscription=_subscription(said.entry(workspace) if said else None),
        limits=_limits(limits),
        model_limits=None if limits.model_limits is None else tuple(limits.model_limits),
        blocked_features=None if limits.blocked_features is None else tuple(limits.blocked_features),
        failures=tuple(answer.message for answer in (check, init) if isinstance(answer, UpstreamError)),
    )


def _subscription(entry: AccountEntry | None) -> Subscription | None:
    if entry is None:
        return None
    entitled = entry.entitlement or Entitlement()
    return Subscription(
        plan=entry.account.plan_type if entry.account else None,
        subscription=entitled.subscription_plan,
        active=entitled.has_active_subscription,
        expires_at=entitled.expires_at,
        renews_at=entitled.renews_at,
    )


def _limits(init: Init) -> tuple[Limit, ...] | None:
    if init.limits_progress is None:
        return None
    return tuple(Limit(said.feature_name, said.remaining, said.reset_after) for said in init.limits_progress)
