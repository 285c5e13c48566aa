"""The simulated vendor's embeddings, in Gemini's format; the vectors are those of openai_embeddings.py."""

from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.refusals import Json
from core.loopback.vendors.gemini import VENDOR
from core.loopback.vendors.openai_embeddings import vector
from core.loopback.vendors.services import answer_service

DIMENSIONS = 3072
"""As many as gemini-embedding-001 has."""


class Text(Struct, frozen=True):
    text: str


class Content(Struct, frozen=True):
    parts: tuple[Text, ...]


class One(Struct, frozen=True, rename="camel"):
    content: Content
    output_dimensionality: Annotated[int, Meta(ge=1, le=DIMENSIONS)] = DIMENSIONS


class Batch(Struct, frozen=True):
    requests: Annotated[tuple[One, ...], Meta(max_length=100)]


async def embed(request: Request) -> Response:
    """Answer `POST /v1beta/models/{model}:batchEmbedContents`."""
    return await answer_service(request, VENDOR, Batch, lambda asked: [_text(one) for one in asked.requests], _made)


def _text(one: One) -> str:
    return "".join(part.text for part in one.content.parts)


def _made(asked: Batch) -> Json:
    return {"embeddings": [{"values": vector(_text(one), one.output_dimensionality)} for one in asked.requests]}
