"""Embeddings (JR-7, P37; docs/embeddings.md)."""

import asyncio

from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response

from api.handlers import gateway_of
from api.middleware.intake import read_body
from api.middleware.sse import ignored_header
from core.contracts import Context, Embedder
from core.errors import NotConfigured
from core.wire.openai_embeddings import parse_embeddings, render_answer


async def embeddings(request: Request) -> Response:
    """Turn texts into vectors. No other vendor is tried: its model's vectors could not be compared with these."""
    context: Context = request.scope["context"]
    gateway = gateway_of(request.scope)
    body = await read_body(request.scope, request.receive, gateway.settings.max_body_bytes)
    asked = await asyncio.to_thread(parse_embeddings, body)
    if not any(isinstance(upstream, Embedder) for upstream in gateway.upstreams.values()):
        message = "embeddings need a vendor that makes them, such as OPENAI_API_KEY configures; ChatGPT has none"
        raise NotConfigured(message, code="not_configured")
    embedder, model = gateway.router.offer(Embedder, asked.model, context.principal)  # type: ignore[type-abstract]
    request.scope["upstream"] = embedder.name
    made = await embedder.embed(structs.replace(asked, model=model), context, gateway.transport)
    body = await asyncio.to_thread(render_answer, made, asked)
    return Response(body, headers=ignored_header(made.ignored), media_type="application/json")
