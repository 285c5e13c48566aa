"""Reranking, for clients of Cohere, of Jina and of the seed (JR-8, ruling 10; docs/embeddings.md)."""

import asyncio

from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response

from api.handlers import gateway_of
from api.middleware.intake import read_body
from api.middleware.sse import ignored_header
from api.turns import take_turn
from core.contracts import Context, Reranker, Target
from core.reranking import listwise_request, read_ranking
from core.services import Ranking, RerankRequest
from core.wire.rerank import DocumentForm, parse_rerank, render_answer


async def rerank(request: Request) -> Response:
    """Put documents in the order in which they answer a query: by a vendor's call for it, else by a chat model."""
    context: Context = request.scope["context"]
    gateway = gateway_of(request.scope)
    body = await read_body(request.scope, request.receive, gateway.settings.max_body_bytes)
    call = await asyncio.to_thread(parse_rerank, body)
    targets = gateway.router.resolve(call.request.model, context.principal)
    ranking = await _by_vendor(call.request, targets, request) or await _by_chat(call.request, targets, request)
    headers = ignored_header(ranking.ignored)
    if ranking.estimated:
        headers["x-isthmus-rerank"] = "listwise"
    form = document_form(request, call.return_documents)
    answer = render_answer(ranking, call.request, form, f"rerank-{context.id}")
    return Response(answer, headers=headers, media_type="application/json")


def document_form(request: Request, return_documents: bool | None) -> DocumentForm:
    """Return how documents are repeated: ruling 10's plain string under /v1, an object where that is expected.

    Cohere's SDK reads objects from /v1 too, and its API repeats nothing unless asked (cohere 7.3: it names itself in
    X-Fern-SDK-Name).
    """
    is_cohere = request.url.path.startswith("/v2/") or request.headers.get("x-fern-sdk-name", "").startswith("cohere")
    if return_documents is False or (return_documents is None and is_cohere):
        return "none"
    return "text" if request.url.path.startswith("/v1/") and not is_cohere else "object"


async def _by_vendor(asked: RerankRequest, targets: tuple[Target, ...], request: Request) -> Ranking | None:
    """Return the ranking of the first target that has a call for it; `None` if there is none."""
    for target in targets:
        upstream = target.upstream
        if isinstance(upstream, Reranker) and upstream.reranks(target.model):
            theirs = structs.replace(asked, model=target.model)
            request.scope["upstream"] = upstream.name
            return await upstream.rerank(theirs, request.scope["context"], gateway_of(request.scope).transport)
    return None


async def _by_chat(asked: RerankRequest, targets: tuple[Target, ...], request: Request) -> Ranking:
    turn = await asyncio.to_thread(listwise_request, asked)
    response, target = await take_turn(turn, targets, request.scope["context"], request.scope, request.receive)
    request.scope["upstream"] = target.upstream.name
    return read_ranking(response, asked, target.model)
