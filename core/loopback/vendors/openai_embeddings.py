"""The simulated vendor's embeddings, in OpenAI's format: vectors of length 1, always the same for the same input."""

import base64
import hashlib
import math
import struct
from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from core.loopback.refusals import Json, Refused
from core.loopback.vendors.openai_chat import VENDOR
from core.loopback.vendors.services import answer_service

DIMENSIONS = 1536
"""As many as text-embedding-3-small has."""

_CHARS_A_TOKEN = 4


class EmbeddingRequest(Struct, frozen=True):
    model: str
    input: str | list[str | int | list[int]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Meta(ge=1, le=DIMENSIONS)] = DIMENSIONS


async def embed(request: Request) -> Response:
    """Answer `POST /v1/embeddings`."""
    return await answer_service(request, VENDOR, EmbeddingRequest, _texts, _made)


def vector(text: str, dimensions: int) -> tuple[float, ...]:
    """Return the vector of a text: made from its hash, of length 1, in numbers that 32 bits hold exactly."""
    drawn = struct.unpack(f"<{dimensions}h", hashlib.shake_256(text.encode()).digest(2 * dimensions))
    length = math.hypot(*drawn) or 1.0
    return struct.unpack(f"<{dimensions}f", _packed([number / length for number in drawn]))


def _texts(asked: EmbeddingRequest) -> list[str]:
    return [item for item in _items(asked) if isinstance(item, str)]


def _items(asked: EmbeddingRequest) -> list[str | int | list[int]]:
    """Return the inputs: a list of numbers is one."""
    if isinstance(asked.input, str):
        return [asked.input]
    numbers = [item for item in asked.input if isinstance(item, int)]
    return [numbers] if numbers else asked.input


def _made(asked: EmbeddingRequest) -> Json:
    items = [item if isinstance(item, str) else str(item) for item in _items(asked)]
    if not all(items):
        raise Refused(400, reason="input cannot be an empty string")
    write = _base64 if asked.encoding_format == "base64" else list
    vectors = [write(vector(item, asked.dimensions)) for item in items]
    tokens = sum(-(-len(item) // _CHARS_A_TOKEN) for item in items)
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": each} for index, each in enumerate(vectors)],
        "model": asked.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _base64(numbers: Sequence[float]) -> str:
    return base64.b64encode(_packed(numbers)).decode()


def _packed(numbers: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)
