"""Counting a request's tokens: as the vendor counts them, or an estimate that says it is one (P39)."""

from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.handlers import gateway_of
from core.contracts import Dialect, Exchange, TokenCounter
from core.errors import UpstreamRejected
from core.transport import Transport
from core.usage import estimate_input

ESTIMATED = "x-isthmus-estimated"

_NO_SUCH_CALL = (404, 405, 501)
"""What a vendor answers that speaks a format but does not count."""


class CountDialect(Dialect, Protocol):
    """A dialect of requests whose tokens are counted."""

    def render_count(self, tokens: int) -> bytes: ...


class TokenCount:
    """The handler: answers with the count of the request that intake has read."""

    def __init__(self, dialect: CountDialect) -> None:
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["exchange"]
        counted = await _counted(exchange, gateway_of(scope).transport)
        headers = {"x-isthmus-upstream": exchange.target.upstream.name}
        if counted is None:
            headers[ESTIMATED] = "true"
        body = self._dialect.render_count(estimate_input(exchange.request) if counted is None else counted)
        await Response(body, headers=headers, media_type=self._dialect.media_type)(scope, receive, send)


async def _counted(exchange: Exchange, transport: Transport) -> int | None:
    """Return the vendor's own count, None where there is none to be had."""
    upstream = exchange.target.upstream
    if not isinstance(upstream, TokenCounter):
        return None
    try:
        return await upstream.count_tokens(exchange, transport)
    except UpstreamRejected as error:
        if error.upstream_status in _NO_SUCH_CALL:
            return None
        raise
