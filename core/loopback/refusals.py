"""The error answers of the simulated service, in the words of reference chatgpt-web 1.1 and 3.10."""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec
from starlette.responses import Response

Json: TypeAlias = dict[str, object]

TOKEN_EXPIRED: Json = {
    "error": {
        "message": "Provided authentication token is expired. Please try signing in again.",
        "type": "invalid_request_error",
        "code": "token_expired",
        "param": None,
    },
    "status": 401,
}
UNUSUAL_ACTIVITY: Json = {"detail": "Unusual activity has been detected from your device. Try again later."}
CHALLENGE_PAGE = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    "<body><script>window._cf_chl_opt={}</script></body></html>"
)
CHALLENGE_HEADERS = {"cf-mitigated": "challenge"}
MODEL_CAP: Json = {
    "detail": {
        "message": "You have sent too many messages to the model. Please try again later.",
        "code": "model_cap_exceeded",
        "clears_in": 9665,
    }
}
IN_STREAM_ERROR = "Our systems have detected unusual activity coming from your system. Please try again later."

_USUAL_BODIES: dict[int, Json] = {
    401: TOKEN_EXPIRED,
    403: UNUSUAL_ACTIVITY,
    404: {"detail": {"message": "Conversation not found", "code": "conversation_not_found"}},
    422: {"detail": "Invalid conversation body"},
    429: {"detail": "Too many requests"},
}


class Refused(Exception):
    """A call is answered with an error. `body` is JSON, or text as it is; none means the usual one of its
    status.

    `reason` is for whoever debugs a client against the loopback; it goes into the header `x-loopback-reason`.
    """

    def __init__(
        self,
        status: int,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(reason or str(status))
        self.status = status
        self.body = body
        self.headers = dict(headers or {})
        self.reason = reason

    def response(self) -> Response:
        body = usual_body(self.status) if self.body is None else self.body
        headers = self.headers | ({"x-loopback-reason": self.reason} if self.reason else {})
        if isinstance(body, str):
            kind = "text/html" if body.lstrip().startswith("<") else "text/plain"
            return Response(body, self.status, headers, media_type=kind)
        return json_response(body, self.status, headers)


def usual_body(status: int) -> Json:
    """Return what the service says with this status when nothing else is asked for."""
    return _USUAL_BODIES.get(status, {"detail": f"loopback status {status}"})


def json_response(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")
