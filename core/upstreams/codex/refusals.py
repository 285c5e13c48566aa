"""What the refusals of the Codex service mean, with an HTTP status or inside a stream (chatgpt-web reference, 10.4).

It speaks for ChatGPT's accounts, so statuses, pages and shapes are those of ChatGPT Web; the words are its own.
"""

import re
import time
from collections.abc import Mapping
from typing import Any

from msgspec import json

from core.errors import (
    MALFORMED_JSON,
    RateLimited,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamUnavailable,
)
from core.retry_after import cooldown_s
from core.settings import CODEX
from core.wire.chatgpt_web import errors

STALE_REASONING = "invalid_encrypted_content"
"""The code of a refusal that names reasoning of another account, or too old."""

_STATUSES: Mapping[str, int] = {
    "usage_limit_reached": 429,
    "usage_not_included": 429,
    "rate_limit_exceeded": 429,
    "server_error": 500,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "token_expired": 401,
    "token_invalidated": 401,
    "token_revoked": 401,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "context_length_exceeded": 400,
    "context_too_large": 400,
    "cyber_policy": 400,
    STALE_REASONING: 400,
}
"""What the words of an error inside a stream amount to; it has no status of its own there."""

_BUSY = re.compile(r"\bat capacity\b|overloaded", re.IGNORECASE)
_NO_SUCH_MODEL = re.compile(r"\bmodel is not supported\b", re.IGNORECASE)
_TRY_AGAIN = re.compile(r"\btry again in (?P<number>\d{1,6}(?:\.\d{1,6})?) ?(?P<unit>ms|s)\b")


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """Return the error for an HTTP answer that is no stream.

    What is this account's matter has the scope "account": a plan without Codex, or without this model.
    """
    said = _decoded(body)
    wait_s = cooldown_s(said, headers, time.time())
    if status == 200:
        return _of_codex(errors.unexpected_answer(status, headers, body), _kind(said))
    error = errors.refusal(status, headers, body, wait_s if wait_s is not None else _wait_in_words(body))
    return _of_codex(error, _kind(said))


def failure(said: Any) -> UpstreamError:
    """Return the error that a stream states, as `{"error": {...}}`."""
    kind = _kind(said)
    stated = said.get("status") if isinstance(said, dict) else None
    status = stated if isinstance(stated, int) and 400 <= stated < 600 else _STATUSES.get(kind or "", 502)
    error = refusal(status, {}, json.encode(said))
    if status == 502:
        error.status, error.upstream_status = 502, None
    return error


def _of_codex(error: UpstreamError, kind: str | None) -> UpstreamError:
    message, status = error.message, error.upstream_status
    if kind == "usage_not_included":
        return UpstreamDenied(message, upstream=CODEX, upstream_status=status, status=403, code=kind)
    if _BUSY.search(message) and not isinstance(error, RateLimited):
        return UpstreamUnavailable(message, upstream=CODEX, upstream_status=status, code=kind)
    error.upstream = CODEX
    error.code = kind or error.code
    if isinstance(error, UpstreamRejected) and (status == 404 or _NO_SUCH_MODEL.search(message)):
        error.scope = "account"
    return error


def _kind(said: Any) -> str | None:
    """Return the code of an error, else its type: the service uses either for the same words."""
    error = said.get("error") if isinstance(said, dict) else None
    if not isinstance(error, dict):
        return None
    names = [error.get("code"), error.get("type")]
    return next((name for name in names if isinstance(name, str) and name), None)


def _wait_in_words(body: bytes) -> float | None:
    found = _TRY_AGAIN.search(body.decode("utf-8", "replace"))
    if found is None:
        return None
    return float(found["number"]) / (1000 if found["unit"] == "ms" else 1)


def _decoded(body: bytes) -> Any:
    try:
        return json.decode(body)
    except MALFORMED_JSON:
        return None
