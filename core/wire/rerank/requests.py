"""A rerank request as the seed, Cohere (v1, v2) and Jina write it (JR-8; Cohere API reference, rerank)."""

from typing import Annotated

from msgspec import Meta, Raw, Struct, json

from core.errors import InvalidRequest
from core.json_body import ITEMS, NULL, STRING, clean, decode, given, missing, read_top, required
from core.openai_words import unread
from core.services import Document, RerankRequest

MAX_DOCUMENTS = 10_000
"""As many as Cohere takes in one request."""

RANK_FIELDS = "rank_fields"
"""Cohere's word for the fields of an object by which it is to be judged, in place of its text."""


class RerankBody(Struct, frozen=True):
    model: str | None = None
    query: Raw = NULL
    documents: Raw = NULL
    top_n: Annotated[int, Meta(ge=1)] | None = None
    return_documents: bool | None = None


class TextObject(Struct, frozen=True):
    """A query or a document that is an object: Cohere's and Jina's other form of a text."""

    text: str | None = None


class RerankCall(Struct, frozen=True):
    """What is asked. `return_documents` says whether the answer is to repeat the documents, if the client said it."""

    request: RerankRequest
    return_documents: bool | None


_BODY = json.Decoder(RerankBody)
_OBJECT = json.Decoder(TextObject)


def parse_rerank(body: bytes) -> RerankCall:
    """Raise `InvalidRequest`, naming the field, when the body is not understood."""
    top = read_top(body)
    fields = decode(_BODY, body, "")
    request = RerankRequest(
        model=clean(required(fields.model or None, "model"), "model"),
        query=_query(fields.query),
        documents=_documents(fields.documents),
        top_n=fields.top_n,
        extras=unread(top, RerankBody.__struct_fields__),
    )
    return RerankCall(request, fields.return_documents)


def build_request(request: RerankRequest) -> bytes:
    """Return the body for a vendor.

    What a document says goes as a plain string, for that all of them take; an object without text, or one that is
    judged by its fields, goes as it came. Nobody is asked to send the documents back.
    """
    by_fields = RANK_FIELDS in request.extras
    documents = [_sent(document, by_fields) for document in request.documents]
    top_n = {} if request.top_n is None else {"top_n": request.top_n}
    fields = {"model": request.model, "query": request.query, "documents": documents, **top_n}
    return json.encode({**request.extras, **fields})


def _sent(document: Document, by_fields: bool) -> str | Raw:
    return document.written if by_fields or document.text is None else document.text


def _query(value: Raw) -> str:
    if given(value) is None:
        raise missing("query")
    text = _text(value, "query")
    if not text:
        raise InvalidRequest("query is empty: it must be a text", param="query")
    return text


def _documents(value: Raw) -> tuple[Document, ...]:
    if given(value) is None:
        raise missing("documents")
    items = decode(ITEMS, value, "documents")
    if not items:
        raise InvalidRequest("documents is empty: it must hold what is to be ranked", param="documents")
    if len(items) > MAX_DOCUMENTS:
        message = f"documents has {len(items)} items, but at most {MAX_DOCUMENTS} can be ranked at once"
        raise InvalidRequest(message, param="documents", code="array_above_max_length")
    return tuple(Document(_text(item, f"documents[{position}]"), item) for position, item in enumerate(items))


def _text(value: Raw, path: str) -> str | None:
    """Return what a string says, or an object with a text; `None` for an object of another kind."""
    first = bytes(memoryview(value)[:1])
    if first == b'"':
        return clean(decode(STRING, value, path), path)
    if first != b"{":
        raise InvalidRequest(f"{path} must be a string, or an object with a text", param=path)
    text = decode(_OBJECT, value, path).text
    return None if text is None else clean(text, f"{path}.text")
