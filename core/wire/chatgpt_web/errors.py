"""What ChatGPT Web's refusals mean: HTTP status and body, or an error inside a stream, to one of our errors.

Shapes and texts: chatgpt-web reference, sections 1.1, 2.5 and 3.10. `detail` may be a string, an object or a list,
`error` a string or an object. Pages are never forwarded.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import ValidationError, json

from core.errors import (
    MALFORMED_JSON,
    ChallengeRequired,
    ProtocolViolation,
    RateLimited,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamUnavailable,
)

UPSTREAM = "chatgpt_web"

POLICY_VIOLATION = "content_policy_violation"
"""The code of what the service will not draw or say; in a stream it may have another ending (section 6)."""

NO_PICTURE = "image_generation_error"
"""The code of a picture that did not come for no reason of its own (AU-51)."""

_PAGE_MARKS = (b"<html", b"<!doctype", b"_cf_chl_opt", b"Just a moment", b"cf-please-wait", b"challenge-platform")
_CHALLENGE_MARKS = (b"_cf_chl_opt", b"Just a moment", b"cf-please-wait", b"challenge-platform")


def refusal(status: int, headers: Mapping[str, str], body: bytes, wait_s: float | None) -> UpstreamError:
    """Return the error for an HTTP answer that is not a success. `wait_s` is the wait the answer itself stated."""
    if _is_page(headers, body):
        return _page(status, headers, body)
    message, code = read_error(body)
    message = message or f"the upstream answered {status} without saying why"
    if status == 401:
        return UpstreamDenied(message, upstream=UPSTREAM, upstream_status=401, code=code)
    if status == 403:
        return ChallengeRequired(message, upstream=UPSTREAM, upstream_status=403, code=code)
    if status == 429:
        return RateLimited(message, upstream=UPSTREAM, upstream_status=429, code=code, retry_after_s=wait_s)
    if status == 413 or code == "message_length_exceeds_limit":
        code = "context_length_exceeded"
        return UpstreamRejected(message, upstream=UPSTREAM, upstream_status=status, param="messages", code=code)
    if 400 <= status < 500:
        return UpstreamRejected(message, upstream=UPSTREAM, upstream_status=status, status=status, code=code)
    return UpstreamUnavailable(message, upstream=UPSTREAM, upstream_status=status, code=code)


def unexpected_answer(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """Return the error for a success that is not a stream: a page, or JSON in its place."""
    if _is_page(headers, body):
        return _page(status, headers, body)
    message, code = read_error(body)
    message = message or "the upstream answered with something that is not a stream"
    return UpstreamUnavailable(message, upstream=UPSTREAM, upstream_status=status, status=502, code=code)


def in_stream_error(message: str, code: str | None = None) -> UpstreamError:
    """Return the error for one that came inside a stream, where the HTTP status is gone."""
    if "unusual activity" in message.lower():
        return ChallengeRequired(message, upstream=UPSTREAM, code=code)
    if code in ("rate_limit_exceeded", "model_cap_exceeded"):
        return RateLimited(message, upstream=UPSTREAM, code=code)
    if code in (POLICY_VIOLATION, "content_policy_error"):
        return UpstreamRejected(message, upstream=UPSTREAM, code=POLICY_VIOLATION)
    return UpstreamUnavailable(message, upstream=UPSTREAM, status=502, code=code)


def stated_error(block: dict[str, Any]) -> UpstreamError:
    """Return the error that a block of a stream states."""
    message, code = describe(block)
    return in_stream_error(message or "the upstream reported an error without saying which", code)


def check_stated(document: dict[str, Any]) -> None:
    """Raise the error that a message's document states, if it states one."""
    if document.get("error") is not None or document.get("error_code") is not None:
        raise stated_error(document)


def unreadable(what: str, error: Exception) -> ProtocolViolation:
    """Return the error for a part of a stream that could not be decoded."""
    fault = "a field has the wrong type" if isinstance(error, ValidationError) else "it is not JSON"
    return ProtocolViolation(f"{what} of the upstream's stream cannot be read: {fault}", upstream=UPSTREAM)


def read_error(body: bytes) -> tuple[str, str | None]:
    """Return (message, code) of a JSON error body; an empty message when there is none to be read."""
    try:
        decoded = json.decode(body)
    except MALFORMED_JSON:
        return "", None
    return describe(decoded)


def describe(value: Any, depth: int = 8) -> tuple[str, str | None]:
    """Return (message, code) of an error of any of the known shapes; what lies deeper than `depth` is not looked at."""
    if isinstance(value, str):
        return value, None
    if isinstance(value, list) and depth:
        return "; ".join(text for item in value if (text := describe(item, depth - 1)[0])), None
    if not isinstance(value, dict) or not depth:
        return "", None
    code = value.get("code") or value.get("error_code")
    for key in ("detail", "error", "message", "msg"):
        if found := value.get(key):
            message, inner_code = describe(found, depth - 1)
            return message, inner_code or (code if isinstance(code, str) else None)
    return "", code if isinstance(code, str) else None


def _is_page(headers: Mapping[str, str], body: bytes) -> bool:
    kind = headers.get("content-type", "")
    if "text/html" in kind or headers.get("cf-mitigated") == "challenge":
        return True
    if "json" in kind:
        return False
    beginning = body[:4096]
    return any(mark in beginning or mark in beginning.lower() for mark in _PAGE_MARKS)


def _page(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    challenged = headers.get("cf-mitigated") == "challenge" or any(mark in body for mark in _CHALLENGE_MARKS)
    if challenged or status == 403:
        return ChallengeRequired(
            "upstream blocked by Cloudflare",
            upstream=UPSTREAM,
            upstream_status=status,
            code="upstream_challenge_required",
            scope="provider",
        )
    message = f"the upstream answered {status} with a web page"
    return UpstreamUnavailable(message, upstream=UPSTREAM, upstream_status=status, status=502 if status < 500 else 503)
