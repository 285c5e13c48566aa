"""What the route table is made of: stacks of layers, and the answers for what is not in the table."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from core.errors import GatewayError, MethodNotAllowed, NotFound
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
    return rendered(NotFound(f"there is no route {request.url.path!r} here", code="unknown_url"))


async def wrong_method(request: Request, error: Exception) -> Response:
    allowed = error.headers or {} if isinstance(error, HTTPException) else {}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=allowed)
    return rendered(MethodNotAllowed(f"{request.method} does not go with {request.url.path!r}"), allowed)


def rendered(error: GatewayError, headers: Any = None) -> Response:
    return Response(OPENAI_CHAT.render_error(error), error.status, headers, media_type="application/json")
