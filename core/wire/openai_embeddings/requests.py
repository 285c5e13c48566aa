"""An embeddings request (JR-7; OpenAI API reference, embeddings): read from a client, written for a vendor."""

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias, TypeVar

from msgspec import Meta, Raw, Struct, json

from core.errors import InvalidRequest
from core.json_body import ITEMS, NULL, STRING, clean, decode, given, known, missing, read_top, required
from core.openai_words import unread
from core.services import EmbeddingRequest, Encoding

MAX_INPUTS = 2048
"""OpenAI's own limit for one request."""

ENCODINGS: Mapping[str, Encoding] = {"float": "float", "base64": "base64"}

_SHAPE = "a string, a list of strings, a list of token numbers or a list of such lists"

Token: TypeAlias = Annotated[int, Meta(ge=0)]
T = TypeVar("T", str, tuple[int, ...])


class EmbeddingBody(Struct, frozen=True):
    model: str | None = None
    input: Raw = NULL
    encoding_format: str | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    user: str | None = None


_BODY = json.Decoder(EmbeddingBody)
_TEXTS = json.Decoder(tuple[str, ...])
_TOKENS = json.Decoder(tuple[Token, ...])
_TOKEN_LISTS = json.Decoder(tuple[tuple[Token, ...], ...])


def parse_embeddings(body: bytes) -> EmbeddingRequest:
    """Raise `InvalidRequest`, naming the field, when the body is not understood."""
    top = read_top(body)
    fields = decode(_BODY, body, "")
    encoding = fields.encoding_format
    return EmbeddingRequest(
        model=clean(required(fields.model or None, "model"), "model"),
        inputs=_inputs(fields.input),
        encoding=None if encoding is None else known(ENCODINGS, encoding, "encoding_format"),
        dimensions=fields.dimensions,
        user=fields.user,
        extras=unread(top, EmbeddingBody.__struct_fields__),
    )


def build_request(request: EmbeddingRequest, encoding: Encoding | None) -> bytes:
    """Return the body for a vendor; without an `encoding` it writes the vectors as it likes."""
    fields = {
        "encoding_format": encoding,
        "dimensions": request.dimensions,
        "user": request.user,
    }
    said = {name: value for name, value in fields.items() if value is not None}
    return json.encode({**request.extras, "model": request.model, "input": request.inputs, **said})


def _inputs(value: Raw) -> tuple[str, ...] | tuple[tuple[int, ...], ...]:
    if given(value) is None:
        raise missing("input")
    match bytes(value)[:1]:
        case b'"':
            return (_text(decode(STRING, value, "input"), "input"),)
        case b"[":
            return _listed(value)
        case _:
            raise InvalidRequest(f"input must be {_SHAPE}", param="input")


def _listed(value: Raw) -> tuple[str, ...] | tuple[tuple[int, ...], ...]:
    items = decode(ITEMS, value, "input")
    if not items:
        raise InvalidRequest(f"input is empty: it must be {_SHAPE}", param="input")
    match bytes(items[0])[:1]:
        case b'"':
            texts = decode(_TEXTS, value, "input")
            _check_count(texts)
            return tuple(_text(text, f"input[{position}]") for position, text in enumerate(texts))
        case b"[":
            lists = decode(_TOKEN_LISTS, value, "input")
            _check_count(lists)
            return tuple(_filled(tokens, f"input[{position}]") for position, tokens in enumerate(lists))
        case _:
            return (decode(_TOKENS, value, "input"),)


def _check_count(inputs: Sequence[object]) -> None:
    if len(inputs) > MAX_INPUTS:
        message = f"input has {len(inputs)} items, but at most {MAX_INPUTS} can be embedded at once"
        raise InvalidRequest(message, param="input", code="array_above_max_length")


def _text(text: str, path: str) -> str:
    return clean(_filled(text, path), path)


def _filled(value: T, path: str) -> T:
    if not value:
        raise InvalidRequest(f"{path} is empty: there is nothing to embed", param=path)
    return value
