"""Access tokens had on demand: one exchange at a time for a token, its yield kept by this instance while it is fresh.

A refresh or session token may be replaced when it is used. The replacement is kept here too, and nowhere else: what
that means for several instances is told in docs/accounts.md.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeAlias

from msgspec import Struct, structs

from core.accounts import Account, AccountKind, Secret, expiry, jwt_claims
from core.chatgpt.exchange import Exchanger, Way
from core.services import Grant

MARGIN_S = 300.0
"""How long before its end an access token is no longer used: longer than most answers take."""

UNKNOWN_LIFETIME_S = 3_600.0
"""How long an access token is used whose end nobody stated."""

STRANGERS_HELD = 256
"""How many callers' own tokens are remembered; the pool's are never forgotten."""

Key: TypeAlias = tuple[AccountKind, Secret]
"""Accounts of one token share its exchanges, whatever workspace each acts in: a rotating token dies when used twice."""


class _Held(Struct, frozen=True):
    """`next_token` is the one to exchange when `bearer` is no longer fresh."""

    bearer: Secret
    fresh_until: float
    next_token: Secret


class Tokens:
    """What this instance knows of the access tokens of accounts that are given by another kind of token."""

    def __init__(
        self, exchanger: Exchanger, members: Iterable[Account], clock: Callable[[], float] = time.time
    ) -> None:
        self._exchanger = exchanger
        self._members = frozenset(_key(account) for account in members)
        self._clock = clock
        self._held: OrderedDict[Key, _Held] = OrderedDict()
        self._flights: dict[Key, asyncio.Task[_Held]] = {}

    async def bearer(self, account: Account, way: Way) -> Secret:
        """Return an access token that can be used now. Raises `UpstreamError`."""
        if account.kind == "access":
            return account.token
        key = _key(account)
        held = self._held.get(key)
        if held is None or held.fresh_until <= self._clock():
            held = await self._exchanged(key, way)
        elif key not in self._members:
            self._held.move_to_end(key)
        return held.bearer

    async def renewed(self, account: Account, refused: Secret, way: Way) -> Secret:
        """Return an access token after one was refused: a new one, unless another request has had it already."""
        key = _key(account)
        held = self._held.get(key)
        if held is not None and held.bearer == refused:
            self._held[key] = structs.replace(held, fresh_until=0.0)
        return await self.bearer(account, way)

    async def _exchanged(self, key: Key, way: Way) -> _Held:
        """Wait for the one exchange of this token. Who is cancelled meanwhile leaves when it is over.

        Cut off, it might have used up the token and lost the one that takes its place.
        """
        flight = self._flights.get(key)
        if flight is None or flight.get_loop() is not asyncio.get_running_loop():
            flight = asyncio.create_task(self._exchange(key, way))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        try:
            return await asyncio.shield(flight)
        except asyncio.CancelledError:
            await asyncio.wait({flight})
            raise

    async def _exchange(self, key: Key, way: Way) -> _Held:
        kind, token = key
        if known := self._held.get(key):
            token = known.next_token
        grant = await self._exchanger.exchange(kind, token, way)
        held = _Held(grant.access_token, fresh_until(grant, self._clock()), grant.successor or token)
        self._keep(key, held)
        return held

    def _keep(self, key: Key, held: _Held) -> None:
        self._held[key] = held
        self._held.move_to_end(key)
        strangers = [known for known in self._held if known not in self._members]
        for oldest in strangers[:-STRANGERS_HELD]:
            del self._held[oldest]

    def _landed(self, key: Key, flight: "asyncio.Task[_Held]") -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # told to whoever waits; if nobody does, it is no news


def fresh_until(grant: Grant, now: float) -> float:
    """Return until when an access token is used: somewhat less than its own end (`exp`, else what was said)."""
    ends = expiry(jwt_claims(grant.access_token.reveal()))
    if ends is not None:
        lifetime_s = ends - now
    else:
        lifetime_s = UNKNOWN_LIFETIME_S if grant.expires_in_s is None else grant.expires_in_s
    return now + lifetime_s - min(MARGIN_S, max(0.0, lifetime_s) / 10)


def _key(account: Account) -> Key:
    return account.kind, account.token
