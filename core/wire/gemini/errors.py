"""What our errors are called in Google's words.

Source: google.rpc.Code and google.rpc.error_details, as Google's API guide maps them to HTTP (November 2026).
"""

from collections.abc import Mapping
from typing import Any

from msgspec import json

from core.errors import GatewayError

_STATUSES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPES = "type.googleapis.com/google.rpc."


def status_of(status: int) -> str:
    """Return what Google calls an error of this HTTP status."""
    return _STATUSES.get(status, "INVALID_ARGUMENT" if 400 <= status < 500 else "INTERNAL")


def error_object(error: GatewayError) -> dict[str, Any]:
    """Return the body of an error. The field, the code and the wait are details, as Google gives them."""
    details: list[dict[str, Any]] = []
    if error.param:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": _TYPES + "BadRequest", "fieldViolations": [violation]})
    if error.code:
        details.append({"@type": _TYPES + "ErrorInfo", "reason": error.code.upper(), "domain": "isthmus"})
    if error.retry_after_s is not None:
        details.append({"@type": _TYPES + "RetryInfo", "retryDelay": f"{error.retry_after_s:.3f}s"})
    body: dict[str, Any] = {"code": error.status, "message": error.message, "status": status_of(error.status)}
    return {"error": {**body, "details": details} if details else body}


def render_error(error: GatewayError) -> bytes:
    return json.encode(error_object(error))
