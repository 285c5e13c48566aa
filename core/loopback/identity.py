"""Who calls the simulated service: a signed-in account, or an anonymous device (reference chatgpt-web 1)."""

import base64
import binascii
import hashlib
from typing import Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Struct
from starlette.datastructures import Headers

from core.loopback.directives import SentinelSwitches
from core.loopback.refusals import Refused

Prefix: TypeAlias = Literal["/backend-api/", "/backend-anon/"]


class Claims(Struct, frozen=True):
    """What is read of an access token. `loopback_sentinel` scripts the sentinel for this token, always.

    `loopback_account` names the account of a token that the loopback itself gave out (tokens.py).
    """

    exp: float | None = None
    loopback_account: str | None = None
    loopback_sentinel: SentinelSwitches | None = None


class Caller(Struct, frozen=True):
    """`key` names the account by a digest of its token, or `device:` and the id of an anonymous one."""

    key: str
    user_agent: str
    sentinel: SentinelSwitches | None = None

    @property
    def is_anonymous(self) -> bool:
        return self.key.startswith("device:")


def digest(token: str) -> str:
    """Return the name under which the loopback knows a token; the token itself is not kept."""
    return hashlib.sha256(token.encode()).hexdigest()[:12]


def bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def identify(headers: Headers, prefix: Prefix, now: float) -> Caller:
    """Return who calls; raise `Refused` 401 for an expired or malformed token, or no device id.

    Accepted is whatever looks like a JWT and every word that begins with `loopback`.
    """
    user_agent = headers.get("user-agent", "")
    if prefix == "/backend-anon/":
        return Caller(f"device:{_device(headers)}", user_agent)
    token = bearer(headers)
    if token.startswith("loopback"):
        return Caller(digest(token), user_agent)
    claims = _claims(token)
    if claims.exp is not None and claims.exp <= now:
        raise Refused(401, reason="the token has expired")
    return Caller(claims.loopback_account or digest(token), user_agent, claims.loopback_sentinel)


def _device(headers: Headers) -> str:
    try:
        return str(UUID(headers.get("oai-device-id", "")))
    except ValueError as error:
        raise Refused(401, reason="Oai-Device-Id is not a UUID") from error


def _claims(token: str) -> Claims:
    parts = token.split(".")
    if len(parts) != 3 or not token.startswith("eyJ"):
        raise Refused(401, reason="the access token does not look like a JWT")
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(payload, type=Claims)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
        # Made-up tokens of tests need not hold a payload: they just have no claims.
        return Claims()
