"""The simulated vendor's reranking, in the words of Jina and vLLM: the more of the query's words, the better."""

import re
from typing import Annotated
from uuid import uuid4

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.refusals import Json
from core.loopback.vendors.openai_chat import VENDOR
from core.loopback.vendors.services import answer_service

_WORD = re.compile(r"\w+")
_CHARS_A_TOKEN = 4


class TextDocument(Struct, frozen=True):
    text: str


class RerankRequest(Struct, frozen=True):
    model: str
    query: str
    documents: Annotated[list[str | TextDocument], Meta(min_length=1)]
    top_n: Annotated[int, Meta(ge=1)] | None = None
    return_documents: bool = True


async def rerank(request: Request) -> Response:
    """Answer `POST /v1/rerank`."""
    return await answer_service(request, VENDOR, RerankRequest, lambda asked: [*_texts(asked), asked.query], _made)


def relevance(query: str, document: str) -> float:
    """Return which part of the query's words stands in the document, from 0 to 1."""
    wanted = set(_WORD.findall(query.lower()))
    return len(wanted & set(_WORD.findall(document.lower()))) / len(wanted) if wanted else 0.0


def _texts(asked: RerankRequest) -> list[str]:
    return [item if isinstance(item, str) else item.text for item in asked.documents]


def _made(asked: RerankRequest) -> Json:
    texts = _texts(asked)
    scores = [relevance(asked.query, text) for text in texts]
    order = sorted(range(len(texts)), key=lambda index: -scores[index])[: asked.top_n]
    results: list[Json] = [{"index": index, "relevance_score": scores[index]} for index in order]
    if asked.return_documents:
        results = [{**result, "document": {"text": texts[index]}} for result, index in zip(results, order, strict=True)]
    tokens = sum(-(-len(text) // _CHARS_A_TOKEN) for text in (asked.query, *texts))
    usage = {"total_tokens": tokens}
    return {"id": f"rerank-{uuid4().hex}", "model": asked.model, "usage": usage, "results": results}
