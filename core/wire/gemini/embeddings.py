"""Embeddings by Gemini: `batchEmbedContents` (Google's API reference, embeddings; google-gemini/api-examples)."""

from msgspec import Struct, json

from core.errors import MALFORMED_JSON, ProtocolViolation, Unsupported
from core.services import EmbeddingRequest, Embeddings
from core.vectors import NoVector, packed


class Vector(Struct, frozen=True):
    values: tuple[float, ...]


class Counted(Struct, frozen=True, rename="camel"):
    prompt_token_count: int | None = None


class BatchAnswer(Struct, frozen=True, rename="camel"):
    embeddings: tuple[Vector, ...]
    usage_metadata: Counted | None = None


_ANSWER = json.Decoder(BatchAnswer)


def build_request(request: EmbeddingRequest, upstream: str) -> bytes:
    """Return the body. Raises `Unsupported` for token numbers: they mean something to OpenAI's models alone."""
    if not all(isinstance(item, str) for item in request.inputs):
        raise Unsupported(f"input holds token numbers: {upstream} embeds texts only", param="input")
    size = {} if request.dimensions is None else {"outputDimensionality": request.dimensions}
    name = f"models/{request.model}"
    asked = [{"model": name, "content": {"parts": [{"text": text}]}, **size} for text in request.inputs]
    return json.encode({"requests": asked})


def read_answer(data: bytes, request: EmbeddingRequest, upstream: str) -> Embeddings:
    """Return the vectors. Raises `ProtocolViolation` for what is none, and when there is not one for each input."""
    try:
        answer = _ANSWER.decode(data)
        vectors = tuple(packed(vector.values) for vector in answer.embeddings)
        if len(vectors) != len(request.inputs):
            raise NoVector(f"there are {len(vectors)} of them for {len(request.inputs)} inputs")
    except (*MALFORMED_JSON, NoVector) as error:
        message = f"the embeddings of {upstream} cannot be read: {error}"
        raise ProtocolViolation(message, upstream=upstream) from error
    tokens = answer.usage_metadata.prompt_token_count if answer.usage_metadata else None
    user = () if request.user is None else ("user",)
    return Embeddings(
        vectors=vectors,
        model=request.model,
        prompt_tokens=tokens,
        total_tokens=tokens,
        ignored=(*user, *request.extras),
    )
