"""What the route table is made of: stacks of layers, and the answers for what is not in the table."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp

from core.contracts import Dialect
from core.errors import GatewayError, MethodNotAllowed, NotFound
from core.wire.gemini import GEMINI
from core.wire.openai_chat import OPENAI_CHAT


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
    """Return an error in the shape of those whose path it is."""
    dialect: Dialect = GEMINI if request.url.path.startswith("/v1beta/") else OPENAI_CHAT
    return Response(dialect.render_error(error), error.status, headers, media_type=dialect.media_type)
