"""The application: every route and the layers around it, on one screen.

access > cors > router > errors > auth > handler                                 what is asked about the gateway
access > cors > router > errors > auth > intake > sse > tools > answer           a turn of a conversation
"""

from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, WebSocketRoute, request_response

from api import handlers, responses
from api.gateway import Gateway, build_gateway
from api.log import configure_logging
from api.middleware.access import REQUEST_ID, Access
from api.middleware.auth import Auth
from api.middleware.errors import Errors
from api.middleware.intake import Intake
from api.middleware.sse import Sse
from api.middleware.tools import Tools
from api.routing import Stack, no_such_route, stack, wrong_method
from core.contracts import Dialect
from core.settings import Settings
from core.wire.openai_chat import OPENAI_CHAT
from core.wire.openai_responses import OPENAI_COMPACTION, OPENAI_RESPONSES

EXPOSED_HEADERS = (
    REQUEST_ID,
    "retry-after",
    "retry-after-ms",
    "x-isthmus-upstream",
    "x-isthmus-upstream-model",
    "x-isthmus-ignored-params",
    "x-isthmus-tools",
)


def create_app(settings: Settings, gateway: Gateway | None = None) -> Starlette:
    """Return the ASGI app for these settings. Tests pass a gateway of their own."""
    gateway = gateway or build_gateway(settings)
    configure_logging(settings.log_level)

    def turn(path: str, dialect: Dialect) -> Route:
        layers = (
            partial(Errors, dialect=dialect),
            partial(Auth, settings=settings),
            partial(Intake, gateway=gateway, dialect=dialect),
            partial(Sse, heartbeat_s=settings.heartbeat_s),
            partial(Tools, settings=settings),
        )
        return Route(path, stack(handlers.answer, *layers), methods=["POST"])

    def guarded(path: str, handler: Any, method: str = "GET") -> Route:
        layers = (partial(Errors, dialect=OPENAI_CHAT), partial(Auth, settings=settings))
        return Route(path, stack(request_response(handler), *layers), methods=[method])

    app = Starlette(
        routes=[
            Route("/", handlers.home),
            Route("/ping", handlers.ping),
            Route("/health", handlers.health),
            Route("/health/ready", handlers.ready),
            guarded("/v1/models", handlers.models),
            guarded("/v1/models/{model:path}", handlers.model),
            guarded("/v1/accTokens", handlers.account_counts),
            turn("/v1/chat/completions", OPENAI_CHAT),
            turn("/v1/responses", OPENAI_RESPONSES),
            turn("/v1/responses/compact", OPENAI_COMPACTION),
            Route("/v1/responses", Stack(responses.upgrade), methods=["GET"]),
            WebSocketRoute("/v1/responses", Stack(responses.upgrade)),
            guarded("/v1/responses/{response_id}", responses.retrieve),
            guarded("/v1/responses/{response_id}", responses.delete, "DELETE"),
            guarded("/v1/responses/{response_id}/input_items", responses.input_items),
            guarded("/v1/responses/{response_id}/cancel", responses.cancel, "POST"),
        ],
        middleware=[
            Middleware(Access),
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=EXPOSED_HEADERS,
            ),
        ],
        exception_handlers={404: no_such_route, 405: wrong_method},
    )
    app.state.gateway = gateway
    return app
