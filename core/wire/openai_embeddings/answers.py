"""An answer with embeddings: read from a vendor, written for a client, its vectors as numbers or as base64 (P37)."""

from collections.abc import Sequence

from msgspec import Raw, Struct, json

from core.errors import MALFORMED_JSON, ProtocolViolation
from core.services import EmbeddingRequest, Embeddings, Encoding
from core.vectors import FLOAT_BYTES, NoVector, from_base64, packed, to_base64, unpacked

_NUMBERS = json.Decoder(list[float])
_TEXT = json.Decoder(str)
_MARKS: dict[bytes, Encoding] = {b"[": "float", b'"': "base64"}
"""What the JSON of a vector begins with."""


class EmbeddingItem(Struct, frozen=True):
    embedding: Raw
    index: int | None = None


class TokensUsed(Struct, frozen=True):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class EmbeddingAnswer(Struct, frozen=True):
    data: tuple[EmbeddingItem, ...]
    model: str | None = None
    usage: TokensUsed | None = None


_ANSWER = json.Decoder(EmbeddingAnswer, strict=False)
"""Not strict: some vendors count in fractions, as 3.0."""


def read_answer(data: bytes, request: EmbeddingRequest, upstream: str) -> Embeddings:
    """Return what a vendor answered: as it is, if it is what was asked for, else its vectors.

    Raises `ProtocolViolation` for what is no vector, and when there is not one for each input.
    """
    try:
        answer = _ANSWER.decode(data)
        items = _ordered(answer.data, len(request.inputs))
        ignored = ("dimensions",) if _ignores_dimensions(items[0], request) else ()
        if _is_as_asked(answer.data, request.encoding or "float"):
            return Embeddings(body=data, ignored=ignored)
        vectors = tuple(_vector(item.embedding) for item in items)
    except (*MALFORMED_JSON, NoVector) as error:
        message = f"the embeddings of {upstream} cannot be read: {error}"
        raise ProtocolViolation(message, upstream=upstream) from error
    usage = answer.usage or TokensUsed()
    return Embeddings(
        vectors=vectors,
        model=answer.model,
        prompt_tokens=usage.prompt_tokens,
        total_tokens=usage.total_tokens,
        ignored=ignored,
    )


def render_answer(embeddings: Embeddings, request: EmbeddingRequest) -> bytes:
    """Return the client's body. The usage is null when nobody counted."""
    if embeddings.body:
        return embeddings.body
    written = to_base64 if request.encoding == "base64" else unpacked
    items = enumerate(embeddings.vectors)
    counted = embeddings.prompt_tokens is not None or embeddings.total_tokens is not None
    usage = {"prompt_tokens": embeddings.prompt_tokens, "total_tokens": embeddings.total_tokens}
    return json.encode(
        {
            "object": "list",
            "data": [{"object": "embedding", "index": index, "embedding": written(data)} for index, data in items],
            "model": embeddings.model or request.model,
            "usage": usage if counted else None,
        }
    )


def _ordered(items: tuple[EmbeddingItem, ...], count: int) -> Sequence[EmbeddingItem]:
    """Return the items in the order of the inputs."""
    if len(items) != count:
        raise NoVector(f"there are {len(items)} of them for {count} inputs")
    if len({item.index for item in items}) == 1:
        # No index, or one that all share (some vendors write 0 everywhere), tells nothing of an order.
        return items
    places = {item.index: item for item in items}
    if places.keys() != set(range(count)):
        raise NoVector("their indexes are not those of the inputs")
    return [places[index] for index in range(count)]


def _is_as_asked(items: tuple[EmbeddingItem, ...], encoding: Encoding) -> bool:
    return all(item.index == index and _encoding(item.embedding) == encoding for index, item in enumerate(items))


def _encoding(embedding: Raw) -> Encoding:
    first = bytes(memoryview(embedding)[:1])
    if first not in _MARKS:
        raise NoVector("one is neither a list of numbers nor base64")
    return _MARKS[first]


def _ignores_dimensions(item: EmbeddingItem, request: EmbeddingRequest) -> bool:
    return request.dimensions is not None and len(_vector(item.embedding)) != request.dimensions * FLOAT_BYTES


def _vector(embedding: Raw) -> bytes:
    if _encoding(embedding) == "base64":
        return from_base64(_TEXT.decode(embedding))
    return packed(_NUMBERS.decode(embedding))
