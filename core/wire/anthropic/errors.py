"""Anthropic's errors: what ours are called there, and what its own mean here.

Source: the API's page on errors and the SDK's error types (November 2026).
"""

from collections.abc import Mapping
from typing import Any

from msgspec import json

from core.errors import (
    GatewayError,
    RateLimited,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamUnavailable,
)

_KINDS: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_REJECTED: Mapping[str, int] = {"invalid_request_error": 400, "not_found_error": 404, "request_too_large": 413}
_DENIED = ("authentication_error", "permission_error", "billing_error")


def error_object(error: GatewayError) -> dict[str, Any]:
    """Return the body of an error. The shape has no place for the field, so the message names it."""
    message = error.message
    if error.param and error.param not in message:
        message = f"{error.param}: {message}"
    return {"type": "error", "error": {"type": kind_of(error.status), "message": message}}


def render_error(error: GatewayError) -> bytes:
    return json.encode(error_object(error))


def kind_of(status: int) -> str:
    """Return what Anthropic calls an error of this status."""
    return _KINDS.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error")


def stated_error(kind: str, message: str, upstream: str) -> UpstreamError:
    """Return the error that an event of a stream states."""
    said = message or f"{upstream} reported an error without saying which"
    if kind == "rate_limit_error":
        return RateLimited(said, upstream=upstream, code=kind)
    if kind in _DENIED:
        # Vendors quote parts of the key in this message.
        return UpstreamDenied(f"{upstream} refused this gateway's key", upstream=upstream, code="upstream_key_refused")
    if kind in _REJECTED:
        return UpstreamRejected(said, upstream=upstream, status=_REJECTED[kind], code=kind)
    status = 503 if kind == "overloaded_error" else 502
    return UpstreamUnavailable(said, upstream=upstream, status=status, code=kind or None)
