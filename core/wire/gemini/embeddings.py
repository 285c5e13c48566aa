"""Embeddings by Gemini: `batchEmbedContents` (Google's API reference, embeddings; google-gemini/api-examples)."""

from collections.abc import Sequence

from msgspec import Struct, json, structs

from core.errors import MALFORMED_JSON, ProtocolViolation, Unsupported
from core.services import EmbeddingRequest, Embeddings
from core.vectors import NoVector, packed

MAX_BATCH = 100
"""A larger one is 400: "at most 100 requests can be in one batch"."""


class Vector(Struct, frozen=True):
    values: tuple[float, ...]


class Counted(Struct, frozen=True, rename="camel"):
    prompt_token_count: int | None = None


class BatchAnswer(Struct, frozen=True, rename="camel"):
    embeddings: tuple[Vector, ...]
    usage_metadata: Counted | None = None


_ANSWER = json.Decoder(BatchAnswer)


def batches(request: EmbeddingRequest) -> list[EmbeddingRequest]:
    """Return requests for as many inputs as go into one call, in their order."""
    starts = range(0, len(request.inputs), MAX_BATCH)
    return [structs.replace(request, inputs=request.inputs[start : start + MAX_BATCH]) for start in starts]


def joined(answers: Sequence[Embeddings]) -> Embeddings:
    """Return the answers to the batches of one request as one; its tokens are known if those of each batch are."""
    counted = [answer.prompt_tokens for answer in answers if answer.prompt_tokens is not None]
    tokens = sum(counted) if len(counted) == len(answers) else None
    vectors = tuple(vector for answer in answers for vector in answer.vectors)
    return structs.replace(answers[0], vectors=vectors, prompt_tokens=tokens, total_tokens=tokens)


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
