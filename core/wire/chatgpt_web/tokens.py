"""Tokens for tokens: what asks for an access token, and what the answer says (chatgpt-web reference, 1.3 and 1.4).

A refresh token is asked with in JSON, as Codex CLI asks; a session token travels as a cookie. The answer may replace
either: the new one is to be sent the next time.
"""

import re
from collections.abc import Mapping

from msgspec import Struct, json

from core.errors import (
    MALFORMED_JSON,
    ProtocolViolation,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamUnavailable,
)
from core.wire.chatgpt_web.errors import UPSTREAM, describe, refusal

PERMANENT = frozenset({"refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated", "invalid_grant"})
"""Codes after which a refresh token is dead for good (section 1.3; `invalid_grant` is OAuth's own, RFC 6749)."""

COOKIE = "__Secure-next-auth.session-token"
LARGEST_COOKIE_CHARS = 3_800
"""A longer token is sent in pieces, each of which fits into the 4 KB that cookies have."""

_set_cookie = re.compile(re.escape(COOKIE) + r"(?:\.(?P<place>\d{1,2}))?=(?P<value>[^;,\s]*)")


class Renewal(Struct, frozen=True):
    """The answer of `/oauth/token`. `expires_in` is in seconds; `refresh_token` replaces the one that was sent."""

    access_token: str
    refresh_token: str | None = None
    id_token: str | None = None
    token_type: str | None = None
    expires_in: int | float | None = None
    scope: str | None = None


class _Session(Struct, frozen=True, rename={"access_token": "accessToken"}):
    """The answer of `/api/auth/session`: without an access token for those who are not signed in."""

    access_token: str | None = None
    expires: str | None = None


def build_renewal(client_id: str, refresh_token: str) -> bytes:
    return json.encode({"client_id": client_id, "grant_type": "refresh_token", "refresh_token": refresh_token})


def read_renewal(body: bytes) -> Renewal:
    """Return what a refresh token was exchanged for. Raises `ProtocolViolation`."""
    try:
        return json.decode(body, type=Renewal)
    except MALFORMED_JSON as error:
        raise ProtocolViolation("the answer to a refresh token has an unknown shape", upstream=UPSTREAM) from error


def renewal_refused(status: int, headers: Mapping[str, str], body: bytes, wait_s: float | None) -> UpstreamError:
    """Return what the refusal of a refresh token means: `UpstreamDenied` when it is dead, else that it may do later.

    `wait_s` is the wait the answer itself stated.
    """
    code, message = _fault(body)
    if code in PERMANENT:
        return UpstreamDenied(message or str(code), upstream=UPSTREAM, upstream_status=status, code=code)
    meant = refusal(status, headers, body, wait_s)
    if not isinstance(meant, UpstreamDenied | UpstreamRejected):
        return meant
    message = message or meant.message
    return UpstreamUnavailable(message, upstream=UPSTREAM, upstream_status=status, status=502, code=code)


def build_cookie(session_token: str) -> str:
    """Return the `Cookie` header that presents a session token."""
    if len(session_token) <= LARGEST_COOKIE_CHARS:
        return f"{COOKIE}={session_token}"
    starts = range(0, len(session_token), LARGEST_COOKIE_CHARS)
    pieces = (session_token[start : start + LARGEST_COOKIE_CHARS] for start in starts)
    return "; ".join(f"{COOKIE}.{place}={piece}" for place, piece in enumerate(pieces))


def read_cookie(set_cookie: str) -> str | None:
    """Return the session token that `Set-Cookie` headers, joined with commas, put in the place of the one sent."""
    whole, pieces = "", dict[int, str]()
    for match in _set_cookie.finditer(set_cookie):
        if match["place"]:
            pieces[int(match["place"])] = match["value"]
        else:
            whole = match["value"]
    return "".join(piece for _, piece in sorted(pieces.items())) or whole or None


def read_session(body: bytes) -> tuple[str, str | None]:
    """Return the access token, and when the session itself ends. Raises `UpstreamDenied` when none is open."""
    try:
        said = json.decode(body, type=_Session)
    except MALFORMED_JSON as error:
        raise ProtocolViolation("the answer to a session token has an unknown shape", upstream=UPSTREAM) from error
    if not said.access_token:
        message = "the session token opens no session: it has ended, or another one took its place"
        raise UpstreamDenied(message, upstream=UPSTREAM, upstream_status=200, code="session_token_invalid")
    return said.access_token, said.expires


def _fault(body: bytes) -> tuple[str | None, str]:
    """Return (code, message) of an OAuth error: a word with a description, or an object with both."""
    try:
        said = json.decode(body)
    except MALFORMED_JSON:
        return None, ""
    if isinstance(said, dict) and isinstance(word := said.get("error"), str):
        description = said.get("error_description")
        return word, description if isinstance(description, str) else word
    message, code = describe(said)
    return code, message
