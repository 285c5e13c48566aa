"""Every way a request can fail, as one tree.

    GatewayError                      status · kind · message · param · code · retry_after_s
    ├── ClientError                   the caller can fix it; never retried
    │   ├── InvalidRequest      400   param names the field, in the form messages[0].content
    │   ├── Unauthenticated     401      ├── Forbidden 403      ├── NotFound 404
    │   ├── MethodNotAllowed    405      ├── BodyTooSlow  408     ├── BodyTooLarge 413
    │   └── Unsupported         400   well-formed, but this gateway or this upstream cannot do it
    ├── NotConfigured           503   the deployment lacks a setting that this route needs
    └── UpstreamError                 the other side's fault; upstream and its status are recorded
        ├── UpstreamRejected    4xx   refused our request: status and message passed on
        ├── ChallengeRequired   403   a human check, or a page in place of an answer
        ├── UpstreamDenied      502   our credential was refused (pool), or 401 when it is the caller's own
        ├── RateLimited         429   retry_after_s only if they said so: never invented
        ├── UpstreamUnavailable 503   could not connect, 5xx, cut off before the first byte; no usable account
        ├── UpstreamTimeout     504
        └── ProtocolViolation   502   bytes that do not follow their own format

`scope` decides what may be tried next, before the first byte: an "account" failure the next account,
a "provider" failure the next target of the route, a "request" failure nothing at all.
"""

from typing import ClassVar, Literal, TypeAlias

from msgspec import DecodeError

MALFORMED_JSON = (DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises on bytes that are not the JSON they should be (nesting and UTF-8 have errors of their own)."""

Scope: TypeAlias = Literal["request", "account", "provider"]


class GatewayError(Exception):
    status: int = 500
    kind: ClassVar[str] = "api_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.retry_after_s = retry_after_s


class ClientError(GatewayError):
    status = 400
    kind = "invalid_request_error"


class InvalidRequest(ClientError):
    """The request is malformed; `param` names the field in the form `messages[0].content`."""


class Unauthenticated(ClientError):
    status = 401
    kind = "authentication_error"


class Forbidden(ClientError):
    status = 403
    kind = "permission_error"


class NotFound(ClientError):
    status = 404
    kind = "not_found_error"


class MethodNotAllowed(ClientError):
    status = 405


class BodyTooSlow(ClientError):
    status = 408


class BodyTooLarge(ClientError):
    status = 413


class Unsupported(ClientError):
    """Well-formed, but this gateway or this upstream cannot do it."""


class NotConfigured(GatewayError):
    status = 503


class UpstreamError(GatewayError):
    """The other side failed. `upstream` names it; `upstream_status` is its HTTP status, when there was one."""

    status = 502
    default_scope: ClassVar[Scope] = "provider"

    def __init__(
        self,
        message: str,
        *,
        upstream: str = "",
        upstream_status: int | None = None,
        scope: Scope | None = None,
        status: int | None = None,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, param=param, code=code, retry_after_s=retry_after_s)
        self.upstream = upstream
        self.upstream_status = upstream_status
        self.scope: Scope = scope or self.default_scope
        if status is not None:
            self.status = status


class UpstreamRejected(UpstreamError):
    """The upstream refused this request: `status` is its own (4xx), the message its words."""

    status = 400
    kind = "invalid_request_error"
    default_scope = "request"


class ChallengeRequired(UpstreamError):
    """A human check stands in the way. The gateway reports it and never answers it."""

    status = 403
    kind = "permission_error"
    default_scope = "account"


class UpstreamDenied(UpstreamError):
    """A credential was refused upstream."""

    status = 502
    kind = "authentication_error"
    default_scope = "account"


class RateLimited(UpstreamError):
    status = 429
    kind = "rate_limit_error"
    default_scope = "account"


class UpstreamUnavailable(UpstreamError):
    status = 503
    kind = "overloaded_error"


class UpstreamTimeout(UpstreamError):
    status = 504


class ProtocolViolation(UpstreamError):
    """The upstream's bytes do not follow its own format."""
