"""Credentials: secrets, accounts, who asks, and the pool that chooses an account.

Nothing here does I/O or lives at module level: a pool belongs to one application instance and learns only
what that instance saw. JWT claims are read without verifying the signature; they say when a token ends and
which workspace it opens, and never decide what a caller may do.
"""

import hashlib
import hmac
import math
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from core.errors import Forbidden, GatewayError, RateLimited, UpstreamUnavailable

DIGEST_CHARS = 16
LONGEST_TOKEN_CHARS = 16 * 1024

AUTH_CLAIM = "https://api.openai.com/auth"
"""Where ChatGPT's tokens keep the user and the workspace (chatgpt-web 1.1)."""

_claims_decoder = msgspec.json.Decoder(dict[str, object])


class Secret:
    """Text that must not be seen: it prints as dots and compares in constant time."""

    __slots__ = ("_sha256", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._sha256 = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

    def reveal(self) -> str:
        """Return the text, for the one place that sends it."""
        return self._text

    @property
    def digest(self) -> str:
        """A short hex name of this secret, fit for logs."""
        return self._sha256.hex()[:DIGEST_CHARS]

    def __repr__(self) -> str:
        return "........"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._sha256, other._sha256)

    def __hash__(self) -> int:
        return hash(self._sha256)


def jwt_claims(token: str) -> dict[str, object]:
    """Return the claims of a JWT, unverified; `{}` for anything that is not one, however odd or long."""
    parts = token.split(".", 3)
    if len(token) > LONGEST_TOKEN_CHARS or len(parts) != 3:
        return {}
    try:
        return _claims_decoder.decode(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}


AccountKind: TypeAlias = Literal["access", "refresh", "session"]


class Account(Struct, frozen=True, dict=True):
    """One ChatGPT credential. `account_id` names the workspace to act in, `proxy` its own way out.

    `kind` says what `token` is: an access token, which is sent as it is, or a refresh or session token, which is
    exchanged for one. Whatever it is exchanged for, the account is named by the token that was given; or by `user`,
    whom an access token of the operator's names, so that it may be renewed. A caller's own has none: anybody can write
    claims.
    """

    token: Secret
    account_id: str | None = None
    proxy: Secret | None = None
    kind: AccountKind = "access"
    user: str | None = None

    @cached_property
    def digest(self) -> str:
        """A short hex name of the token or user, and the workspace: for signed ids, logs and the choice by session."""
        named = f"{self.token.reveal()}\0{self.account_id or ''}"
        if self.user is not None:
            # No token begins with a null, so none is named as a user is.
            named = f"\0{self.user}\0{self.workspace}"
        return hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_CHARS]

    @cached_property
    def _claims(self) -> dict[str, object]:
        return jwt_claims(self.token.reveal())

    @cached_property
    def expires_at(self) -> float | None:
        """When the access token ends, in Unix seconds; `None` when it does not say, or another kind of token is."""
        return expiry(self._claims) if self.kind == "access" else None

    @cached_property
    def workspace(self) -> str | None:
        """The workspace this account acts in: the configured one, else the token's default one."""
        return self.account_id or default_workspace(self._claims)


def expiry(claims: Mapping[str, object]) -> float | None:
    """Return when a token with these claims ends, in Unix seconds; `None` when they do not say."""
    ends = claims.get("exp")
    if isinstance(ends, bool) or not isinstance(ends, int | float):
        return None
    return _finite(ends)


def default_workspace(claims: Mapping[str, object]) -> str | None:
    """Return the workspace that a token with these claims opens when none is asked for."""
    return _auth_claim(claims, "chatgpt_account_id")


def user_of(claims: Mapping[str, object]) -> str | None:
    """Return whose token this is, if it names a workspace as well: the same in each token of one account."""
    user = _auth_claim(claims, "chatgpt_user_id") or _auth_claim(claims, "user_id")
    return user if user and default_workspace(claims) else None


def _auth_claim(claims: Mapping[str, object], name: str) -> str | None:
    claim = claims.get(AUTH_CLAIM)
    value = claim.get(name) if isinstance(claim, dict) else None
    return value if isinstance(value, str) else None


def _finite(number: float) -> float | None:
    try:
        return float(number) if math.isfinite(number) else None
    except OverflowError:
        return None


PrincipalKind: TypeAlias = Literal["pool", "account", "anonymous"]


class Principal(Struct, frozen=True):
    """Who asks, with which credential.

    `pool`: a holder of a gateway key, served by the operator's accounts; `workspace`, when set, leaves only
    the accounts that act in it. `account`: a caller with an account of their own, in `account`. `anonymous`:
    a device without an account, named by `device_id`. `key_digest` names the gateway key or prefix that let
    them in, empty for neither.
    """

    kind: PrincipalKind
    account: Account | None = None
    device_id: str | None = None
    key_digest: str = ""
    workspace: str | None = None

    def require_login(self, feature: str) -> None:
        """Raise `Forbidden` for an anonymous device; `feature` begins the sentence (AU-16, AU-41)."""
        if self.kind == "anonymous":
            raise Forbidden(f"{feature} requires a logged-in ChatGPT account.", code="missing_access_token")


class PoolStatus(Struct, frozen=True):
    """Each account counts once, for the first reason that holds: retired, expired, cooling, else usable.

    `earliest_s` is the wait in seconds until the first cooling account is usable again, `None` when none
    will be.
    """

    count: int
    usable: int
    expired: int
    cooling: int
    retired: int
    earliest_s: float | None = None

    def __str__(self) -> str:
        accounts = "1 account" if self.count == 1 else f"{self.count} accounts"
        return f"{accounts}, {self.expired} expired, {self.cooling} cooling down, {self.retired} retired"


Condition: TypeAlias = Literal["usable", "expired", "cooling", "retired"]


class Pool:
    """The operator's accounts, and what this instance has learnt about them.

    The choice is by highest random weight over the accounts' digests, so instances agree without talking and
    a session keeps its account while that one is usable. Accounts that are not members (a caller's own) are
    never remembered: the memory is bounded by the number of members.
    """

    def __init__(self, accounts: Sequence[Account], clock: Callable[[], float] = time.time) -> None:
        self._accounts = {account.digest: account for account in accounts}
        self._clock = clock
        self._cool_until: dict[str, float] = {}
        self._retired: set[str] = set()

    def candidates(self, session: str, workspace: str | None = None) -> list[Account]:
        """Return the usable accounts, the preferred one first; the same session gives the same order.

        A request that belongs to no session should pass something of its own, such as its id.
        """
        usable = (account for account in self._members(workspace) if self._condition(account) == "usable")
        return sorted(usable, key=lambda account: _weight(session, account), reverse=True)

    def conditions(self, workspace: str | None = None) -> list[tuple[Account, Condition]]:
        """Return every member with its condition, those of one workspace or all."""
        return [(account, self._condition(account)) for account in self._members(workspace)]

    def apart(self) -> "Pool":
        """Return a pool of the same members for another service of theirs: what one learns, the other does not."""
        return Pool(tuple(self._accounts.values()), self._clock)

    def find(self, digest: str) -> Account | None:
        """Return the member with this digest, usable or not."""
        return self._accounts.get(digest)

    def cool(self, account: Account, until: float) -> None:
        """Leave a member alone until a Unix time that the upstream stated; the later of two ends holds."""
        if account.digest in self._accounts:
            self._cool_until[account.digest] = max(until, self._cool_until.get(account.digest, until))

    def retire(self, account: Account) -> None:
        """Leave a member alone for as long as this instance lives: its token was refused."""
        if account.digest in self._accounts:
            self._retired.add(account.digest)

    def status(self, workspace: str | None = None) -> PoolStatus:
        """Count the members by condition, those of one workspace or all."""
        members = self._members(workspace)
        conditions = [condition for _, condition in self.conditions(workspace)]
        return PoolStatus(
            count=len(members),
            usable=conditions.count("usable"),
            expired=conditions.count("expired"),
            cooling=conditions.count("cooling"),
            retired=conditions.count("retired"),
            earliest_s=self._earliest_s(members),
        )

    def unavailable(self, workspace: str | None = None) -> GatewayError:
        """Return the error that says why no account is left, with the true wait when waiting helps.

        429 when cooling is the only reason, 503 otherwise.
        """
        status = self.status(workspace)
        if status.cooling == status.count and status.earliest_s is not None:
            message = f"every account of the access token pool is cooling down: {status}"
            return RateLimited(message, scope="provider", retry_after_s=status.earliest_s)
        message = f"access token pool is empty: {status}"
        return UpstreamUnavailable(message, scope="provider", retry_after_s=status.earliest_s)

    def _members(self, workspace: str | None) -> list[Account]:
        members = self._accounts.values()
        return [account for account in members if workspace is None or account.workspace == workspace]

    def _condition(self, account: Account) -> Condition:
        now = self._clock()
        if account.digest in self._retired:
            return "retired"
        if account.expires_at is not None and account.expires_at <= now:
            return "expired"
        return "cooling" if self._cool_until.get(account.digest, now) > now else "usable"

    def _earliest_s(self, members: Sequence[Account]) -> float | None:
        """An account whose token ends before its cooldown does not come back."""
        ends = [
            self._cool_until[account.digest]
            for account in members
            if self._condition(account) == "cooling"
            and (account.expires_at is None or account.expires_at > self._cool_until[account.digest])
        ]
        return max(0.0, min(ends) - self._clock()) if ends else None


def _weight(session: str, account: Account) -> bytes:
    data = session.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, key=account.digest.encode(), digest_size=8).digest()
