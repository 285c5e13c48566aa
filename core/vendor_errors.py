"""What a vendor's error body means: read in any of the shapes in use, told as one of our errors.

The vendor's words are passed on, except about its key, which is the operator's.
"""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Raw, Struct, json

from core.errors import (
    MALFORMED_JSON,
    RateLimited,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)

_STATUSES: Mapping[str, int] = {
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "RESOURCE_EXHAUSTED": 429,
    "authentication_error": 401,
    "UNAUTHENTICATED": 401,
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "INVALID_ARGUMENT": 400,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "overloaded_error": 529,
}
"""What the words of an error inside of an answer amount to; it has no status of its own there."""

MAX_WORDS_CHARS = 1000
"""How long a text may be that is taken for an error's words, where nothing says that it is."""

MAX_PROBLEMS = 5
"""How many problems with a request are told, where a vendor lists them."""

_KEY_IS_WRONG = re.compile(r"\bapi[ _]?key\b.*\b(invalid|not valid|incorrect)|\b(invalid|incorrect)\b.*\bapi[ _]?key\b")
"""Gemini and xAI say this with a 400."""


class Stated(Struct, frozen=True):
    """What an error body says, as far as it says it. `status` is a number that it gives as its code."""

    message: str = ""
    kind: str | None = None
    code: str | None = None
    param: str | None = None
    status: int | None = None


def refusal(name: str, status: int, said: Any, wait_s: float | None) -> UpstreamError:
    """Return the error for a status that is no success, and the JSON that came with it."""
    error = stated(said)
    message = error.message or f"{name} answered {status} without saying why"
    if _is_about_the_key(status, message.lower()):
        # Vendors quote parts of the key in this message.
        return UpstreamDenied(
            f"{name} refused this gateway's key", upstream=name, upstream_status=status, code="upstream_key_refused"
        )
    if status == 402:
        return UpstreamDenied(message, upstream=name, upstream_status=status, code=error.code)
    if status == 408:
        return UpstreamTimeout(message, upstream=name, upstream_status=status, code=error.code)
    if status == 429:
        return RateLimited(message, upstream=name, upstream_status=status, code=error.code, retry_after_s=wait_s)
    if 400 <= status < 500:
        return UpstreamRejected(
            message, upstream=name, upstream_status=status, status=status, param=error.param, code=error.code
        )
    return UpstreamUnavailable(message, upstream=name, upstream_status=status, code=error.code, retry_after_s=wait_s)


def failure(name: str, said: Any) -> UpstreamError:
    """Return the error that an answer states which began as a success: in a stream, or in place of the answer."""
    error = stated(said)
    status = error.status or _STATUSES.get(error.code or "") or _STATUSES.get(error.kind or "")
    if status is not None and 400 <= status < 600:
        return refusal(name, status, said, None)
    message = error.message or f"{name} reported an error without saying which"
    return UpstreamUnavailable(message, upstream=name, status=502, code=error.code)


def failure_in(name: str, body: bytes) -> UpstreamError | None:
    """Return the error that a JSON object states in its field `error`, if it has one; `None` for all else."""
    if b'"error"' not in body:
        return None
    try:
        said = _ERROR_FIELD.decode(body)
    except MALFORMED_JSON:
        return None
    return None if bytes(said.error) == b"null" else failure(name, json.decode(body))


def said_in(body: bytes | str) -> Any:
    """Return what an error body says: its JSON, or a short text. A page says nothing, nor do bytes that are no text."""
    try:
        return json.decode(body)
    except MALFORMED_JSON:
        pass
    text = (body if isinstance(body, str) else body.decode(errors="replace")).strip()
    is_words = len(text) <= MAX_WORDS_CHARS and "\ufffd" not in text and not text.startswith("<")
    return text if is_words else None


def stated(said: Any) -> Stated:
    """Read an error body: OpenAI's, Anthropic's, Gemini's (also inside a list), FastAPI's `detail`, or a plain text."""
    if isinstance(said, list):
        return _problems(said) or (stated(said[0]) if said else Stated())
    if isinstance(said, str):
        return Stated(said)
    if not isinstance(said, dict):
        return Stated()
    for name in ("error", "detail", "message"):
        inner = said.get(name)
        if isinstance(inner, str) and inner:
            return Stated(inner, _text(said.get("type")), _text(said.get("code")), _text(said.get("param")))
        if isinstance(inner, dict):
            return _inner(inner)
        if isinstance(inner, list) and inner:
            return stated(inner)
    return Stated(_text(said.get("msg")) or "")


class _ErrorField(Struct, frozen=True):
    error: Raw = Raw(b"null")


_ERROR_FIELD = json.Decoder(_ErrorField)


def _inner(inner: dict[str, Any]) -> Stated:
    kind = _text(inner.get("type")) or _text(inner.get("status"))
    code = inner.get("code")
    status = code if isinstance(code, int) and not isinstance(code, bool) else None
    detail = _problems(inner.get("detail")) or Stated(_text(inner.get("detail")) or "")
    words = (_text(inner.get("message")) or detail.message, _behind(inner.get("metadata")))
    param = _text(inner.get("param")) or detail.param
    return Stated(": ".join(dict.fromkeys(filter(None, words))), kind, _text(code) or kind, param, status)


def _behind(metadata: Any) -> str:
    """Return the words of the provider behind a vendor that only passes requests on (OpenRouter's `metadata.raw`)."""
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return stated(said_in(raw)).message if isinstance(raw, str) else ""


def _problems(listed: Any) -> Stated | None:
    """Return what FastAPI lists as wrong with a request, each with its field, of which the first is the `param`."""
    items = listed if isinstance(listed, list) else []
    problems = [item for item in items if isinstance(item, dict) and _text(item.get("msg"))][:MAX_PROBLEMS]
    if not problems:
        return None
    told = [(_field(problem.get("loc")), problem["msg"]) for problem in problems]
    return Stated("; ".join(": ".join(filter(None, each)) for each in told), param=told[0][0] or None)


def _field(place: Any) -> str:
    """Return the path of a field as clients know it: of body, messages, 0, content it is messages[0].content."""
    steps = place if isinstance(place, list) else []
    inside = steps[1:] if steps[:1] == ["body"] else steps
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in inside)
    return path.removeprefix(".")


def _is_about_the_key(status: int, message: str) -> bool:
    if status == 401:
        return True
    return (status == 403 and "key" in message) or (status == 400 and _KEY_IS_WRONG.search(message) is not None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
