"""The application: every route and the layers around it, on one screen.

guarded   access > cors > router > errors > auth > handler
service   access > cors > router > errors > auth > attend > handler
count     access > cors > router > errors > auth > attend > intake > handler
turn      access > cors > router > errors > auth > intake > sse > [pages] > fallback > tools > answer

What each kind of route is for is told in `api/routes.py`.
"""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, WebSocketRoute

from api import handlers
from api.gateway import Gateway, build_gateway
from api.later import Later
from api.log import configure_logging
from api.middleware.access import ANTHROPIC_REQUEST_ID, REQUEST_ID, Access
from api.middleware.links import AuthOrLink
from api.middleware.query_key import AuthByQuery
from api.routes import Routes
from api.routing import Stack, no_such_route, wrong_method
from api.token_counts import ESTIMATED
from core.settings import Settings
from core.wire.anthropic import ANTHROPIC_MESSAGES, ANTHROPIC_TOKEN_COUNT
from core.wire.gemini import GEMINI
from core.wire.openai_chat import OPENAI_CHAT
from core.wire.openai_completions import OPENAI_COMPLETIONS
from core.wire.openai_images import OPENAI_IMAGE_EDITS, OPENAI_IMAGE_GENERATIONS, OPENAI_IMAGE_VARIATIONS
from core.wire.openai_responses import OPENAI_COMPACTION, OPENAI_RESPONSES, OPENAI_TOKEN_COUNT

audio, embeddings, files, images = Later("audio"), Later("embeddings"), Later("files"), Later("images")
raw, rerank, responses = Later("raw"), Later("rerank"), Later("responses")
sessions, usage = Later("sessions"), Later("usage")

EXPOSED_HEADERS = (
    REQUEST_ID,
    ANTHROPIC_REQUEST_ID,
    "retry-after",
    "retry-after-ms",
    "x-isthmus-upstream",
    "x-isthmus-upstream-model",
    "x-isthmus-ignored-params",
    "x-isthmus-tools",
    ESTIMATED,
    "x-isthmus-note",
    "content-disposition",
    "x-isthmus-speech-text",
    "x-isthmus-urls",
    "x-isthmus-rerank",
)


def create_app(settings: Settings, gateway: Gateway | None = None) -> Starlette:
    """Return the ASGI app for these settings. Tests pass a gateway of their own."""
    gateway = gateway or build_gateway(settings)
    configure_logging(settings.log_level)
    to = Routes(gateway)
    app = Starlette(
        routes=[
            Route("/", handlers.home),
            Route("/ping", handlers.ping),
            Route("/api/hello", handlers.hello),
            Route("/health", handlers.health),
            Route("/health/ready", handlers.ready),
            to.shared("/v1/models", handlers.models),
            to.shared("/v1/models/{model:path}", handlers.model),
            *to.gemini("/v1/models"),
            *to.gemini("/v1beta/models"),
            to.guarded("/v1beta/models", handlers.gemini_model_list, dialect=GEMINI, gate=AuthByQuery),
            to.guarded("/v1beta/models/{model:path}", handlers.gemini_model, dialect=GEMINI, gate=AuthByQuery),
            to.guarded("/v1/accTokens", handlers.account_counts),
            to.turn("/v1/chat/completions", OPENAI_CHAT),
            to.turn("/v1/completions", OPENAI_COMPLETIONS),
            to.turn("/v1/responses", OPENAI_RESPONSES),
            to.turn("/v1/responses/compact", OPENAI_COMPACTION),
            to.count("/v1/responses/input_tokens", OPENAI_TOKEN_COUNT),
            to.turn("/v1/messages", ANTHROPIC_MESSAGES),
            to.count("/v1/messages/count_tokens", ANTHROPIC_TOKEN_COUNT),
            to.turn("/v1/images/generations", OPENAI_IMAGE_GENERATIONS, images.answer),
            to.turn("/v1/images/edits", OPENAI_IMAGE_EDITS, images.answer),
            to.turn("/v1/images/variations", OPENAI_IMAGE_VARIATIONS, images.answer),
            to.service("/v1/files", files.create),
            to.service("/v1/files", files.listed, "GET"),
            to.service("/v1/files/{file_id}", files.retrieve, "GET"),
            to.service("/v1/files/{file_id}", files.remove, "DELETE"),
            to.service("/v1/files/{file_id}/content", files.content, "GET", AuthOrLink),
            to.service("/v1/audio/speech", audio.speech),
            to.service("/v1/audio/transcriptions", audio.transcriptions),
            to.service("/v1/audio/translations", audio.translations),
            to.service("/v1/embeddings", embeddings.embeddings),
            to.service("/v1/rerank", rerank.rerank),
            to.service("/v2/rerank", rerank.rerank),
            to.service("/rerank", rerank.rerank),
            to.service("/backend-api/conversation", raw.conversation),
            to.service("/v1/usage", usage.usage, "GET"),
            to.service("/v1/dashboard/billing/subscription", usage.subscription, "GET"),
            to.guarded("/v1/dashboard/billing/usage", usage.billing_usage),
            to.guarded("/api/usage/token", usage.token),
            to.unguarded("/auth/refresh", sessions.refresh),
            to.unguarded("/auth/session", sessions.session),
            Route("/v1/responses", Stack(responses.upgrade), methods=["GET"]),
            WebSocketRoute("/v1/responses", Stack(responses.upgrade)),
            to.guarded("/v1/responses/{response_id}", responses.retrieve),
            to.guarded("/v1/responses/{response_id}", responses.delete, "DELETE"),
            to.guarded("/v1/responses/{response_id}/input_items", responses.input_items),
            to.guarded("/v1/responses/{response_id}/cancel", responses.cancel, "POST"),
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
