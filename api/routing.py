"""What the route table is made of: stacks of layers, and the answers for what is not in the table."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp

from api.middleware.errors import spoken
from core.contracts import Dialect
from core.errors import GatewayError, MethodNotAllowed, NotFound
from core.wire.anthropic import ANTHROPIC_MESSAGES
from core.wire.anthropic.models import VERSION_HEADER
from core.wire.gemini import GEMINI
from core.wire.gemini.models import KEY_HEADER
from core.wire.openai_chat import OPENAI_CHAT

SHARED = "/v1/models"
BY_HEADER: Mapping[str, Dialect] = {VERSION_HEADER: ANTHROPIC_MESSAGES, KEY_HEADER: GEMINI}
"""Whose header makes a shared path whose; without one it is OpenAI's."""

_BY_PATH: Mapping[str, Dialect] = {"/v1/messages": ANTHROPIC_MESSAGES, "/v1beta": GEMINI}


def stack(handler: ASGIApp, *layers: Any) -> ASGIApp:
    """Return `handler` inside `layers`, the first one outermost."""
    app = handler
    for layer in reversed(layers):
        app = layer(app)
    return Stack(app)


class Stack:
    """An endpoint that the router takes for an ASGI app, not for a function of a request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


async def no_such_route(request: Request, error: Exception) -> Response:
    return rendered(NotFound(f"there is no route {request.url.path!r} here", code="unknown_url"), request)


async def wrong_method(request: Request, error: Exception) -> Response:
    allowed = {"allow": ", ".join(sorted(_methods(request)))}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=allowed)
    return rendered(MethodNotAllowed(f"{request.method} does not go with {request.url.path!r}"), request, allowed)


def _methods(request: Request) -> set[str]:
    """Return the methods of all routes with the request's path; the router itself names those of the first."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    return set().union(*(route.methods or () for route in routes if route.matches(request.scope)[0] is not Match.NONE))


def rendered(error: GatewayError, request: Request, headers: Any = None) -> Response:
    """Return an error in the shape of those whose path it is (ruling 8)."""
    dialect = _dialect_of(request)
    return Response(dialect.render_error(error), error.status, headers, media_type=dialect.media_type)


def _dialect_of(request: Request) -> Dialect:
    path = f"{request.url.path}/"
    if path.startswith(f"{SHARED}/"):
        return spoken(request.headers, BY_HEADER, OPENAI_CHAT)
    return next((dialect for start, dialect in _BY_PATH.items() if path.startswith(f"{start}/")), OPENAI_CHAT)
