"""Where httpx's exceptions become ours. The messages say what happened and never quote the request.

Our own connections raise a few exact classes; the stock transports (other proxies than http) and mounted
ones may raise any of httpx's. Hence one table, the most specific class first.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import httpx

from core.errors import (
    GatewayError,
    InvalidRequest,
    NotConfigured,
    ProtocolViolation,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)

Phase: TypeAlias = Literal["head", "body"]

FOREIGN = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, EOFError)

_CUT: dict[Phase, str] = {
    "head": "closed the connection before it answered",
    "body": "was cut off in the middle of its answer",
}
# httpcore has one class for bytes that are not HTTP and for a connection that ends too early (httpcore 1.0).
_HTTPCORE_CUTS = ("Server disconnected", "peer closed connection", "peer unexpectedly closed")

_OURS: tuple[tuple[type[Exception], type[UpstreamError]], ...] = (
    (httpx.TimeoutException, UpstreamTimeout),
    (TimeoutError, UpstreamTimeout),
    (httpx.RemoteProtocolError, ProtocolViolation),
    (httpx.DecodingError, ProtocolViolation),
    (Exception, UpstreamUnavailable),
)


def translate(error: Exception, upstream: str, phase: Phase) -> GatewayError:
    """Return our error for one of `FOREIGN`; `upstream` is what the message calls the other side."""
    if isinstance(error, httpx.LocalProtocolError):
        return InvalidRequest(f"the request to {_named(upstream)} cannot be written: {error}")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return NotConfigured(f"the address of {_named(upstream)} is not an http or https URL")
    ours = next(ours for theirs, ours in _OURS if isinstance(error, theirs))
    if ours is ProtocolViolation and str(error).startswith(_HTTPCORE_CUTS):
        ours = UpstreamUnavailable
    return ours(f"{_named(upstream)} {_predicate(error, ours, phase)}", upstream=upstream)


def _named(upstream: str) -> str:
    return upstream or "the upstream"


def _predicate(error: Exception, ours: type[UpstreamError], phase: Phase) -> str:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return f"could not be reached: {error}"
    if ours is UpstreamTimeout:
        return "did not answer in time" if phase == "head" else "stopped sending in the middle of its answer"
    if ours is ProtocolViolation:
        return f"broke HTTP: {error}"
    return _CUT[phase]
