"""The layer that answers for every failure before the first byte, in the dialect's own error shape.

A `GatewayError` keeps its status and its words; anything else is a fault of ours: 500, logged, and nothing leaked.
"""

import logging
import math
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.contracts import Dialect
from core.errors import GatewayError, UpstreamError

log = logging.getLogger("isthmus.errors")

INTERNAL = "The gateway failed to handle this request."


class Errors:
    """Puts `scope["dialect"]` in place, for whoever answers inside or outside this layer.

    On a path that several APIs share, `by_header` says whose header makes it whose.
    """

    def __init__(self, app: ASGIApp, dialect: Dialect, by_header: Mapping[str, Dialect] | None = None) -> None:
        self.app = app
        self.dialect = dialect
        self.by_header = by_header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        dialect = spoken(Headers(scope=scope), self.by_header, self.dialect) if self.by_header else self.dialect
        scope["dialect"] = dialect

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            if started:
                raise
            await respond(scope, send, dialect, as_gateway_error(error, scope))


def spoken(headers: Headers, by_header: Mapping[str, Dialect], default: Dialect) -> Dialect:
    """Return the dialect of whoever sent these headers."""
    return next((dialect for name, dialect in by_header.items() if name in headers), default)


def as_gateway_error(error: Exception, scope: Scope) -> GatewayError:
    """Return the error to tell the client; one that is not ours is logged and told without its words."""
    if isinstance(error, GatewayError):
        return error
    log.error("request %s failed", scope.get("request_id"), exc_info=error)
    return GatewayError(INTERNAL, code="internal_error")


async def respond(scope: Scope, send: Send, dialect: Dialect, error: GatewayError) -> None:
    """Send an error as a whole response."""
    scope["error_kind"] = type(error).__name__
    body = dialect.render_error(error)
    headers = [(b"content-type", dialect.media_type.encode()), (b"content-length", str(len(body)).encode())]
    headers += _more_headers(error)
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _more_headers(error: GatewayError) -> list[tuple[bytes, bytes]]:
    headers = []
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(math.ceil(error.retry_after_s)).encode()))
        headers.append((b"retry-after-ms", str(math.ceil(error.retry_after_s * 1000)).encode()))
    if isinstance(error, UpstreamError) and error.scope == "request":
        headers.append((b"x-should-retry", b"false"))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers
