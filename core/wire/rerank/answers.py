"""A ranking: read from a vendor in any of the spellings in use, written for a client in all of them at once.

Cohere and Jina say `relevance_score` and `{"text": ...}`, the seed `score` and a plain string (JR-8, ruling 10).
"""

import math
from typing import Any, Literal, TypeAlias

from msgspec import Raw, Struct, json

from core.errors import MALFORMED_JSON, ProtocolViolation
from core.services import Document, Ranked, Ranking, RerankRequest

DocumentForm: TypeAlias = Literal["none", "text", "object"]
"""How an answer repeats a document that was given as a string: not at all, as that string, or as `{"text": ...}`."""

_SAID_ANEW = frozenset({"index", "relevance_score", "score", "document", "object"})


class RankedItem(Struct, frozen=True):
    index: int
    relevance_score: float | None = None
    score: float | None = None


class RerankAnswer(Struct, frozen=True):
    """Voyage and others call the results `data`."""

    results: tuple[Raw, ...] = ()
    data: tuple[Raw, ...] = ()
    id: str | None = None
    model: str | None = None
    usage: Raw = Raw(b"null")
    meta: Raw = Raw(b"null")


_ANSWER = json.Decoder(RerankAnswer)
_ITEM = json.Decoder(RankedItem)
_FIELDS = json.Decoder(dict[str, Raw])


def read_answer(data: bytes, request: RerankRequest, upstream: str) -> Ranking:
    """Return what a vendor answered, in its order, cut at `top_n`. Raises `ProtocolViolation`."""
    try:
        answer = _ANSWER.decode(data)
        results = tuple(map(_ranked, answer.results or answer.data))
        _check(results, request)
    except (*MALFORMED_JSON, _NoRanking) as error:
        raise ProtocolViolation(f"the ranking of {upstream} cannot be read: {error}", upstream=upstream) from error
    return Ranking(
        results=results[: request.top_n],
        model=answer.model,
        id=answer.id,
        usage=_said(answer.usage),
        meta=_said(answer.meta),
    )


def render_answer(ranking: Ranking, request: RerankRequest, form: DocumentForm, identity: str) -> bytes:
    """Return the client's body. `identity` is the answer's id where the upstream gave none."""
    usage = {} if ranking.usage is None else {"usage": ranking.usage}
    meta = {} if ranking.meta is None else {"meta": ranking.meta}
    estimated = {"estimated": True} if ranking.estimated else {}
    return json.encode(
        {
            "id": ranking.id or identity,
            "object": "list",
            "model": ranking.model or request.model,
            "results": [_result(ranked, request.documents[ranked.index], form) for ranked in ranking.results],
            **usage,
            **meta,
            **estimated,
        }
    )


class _NoRanking(ValueError):
    """What was answered does not rank these documents."""


def _ranked(item: Raw) -> Ranked:
    read = _ITEM.decode(item)
    score = read.score if read.relevance_score is None else read.relevance_score
    if score is None or not math.isfinite(score):
        raise _NoRanking("a result has no score")
    extras = {name: value for name, value in _FIELDS.decode(item).items() if name not in _SAID_ANEW}
    return Ranked(read.index, score, extras)


def _check(results: tuple[Ranked, ...], request: RerankRequest) -> None:
    places = {ranked.index for ranked in results}
    if len(places) != len(results) or not places <= set(range(len(request.documents))):
        raise _NoRanking("its indexes are not those of the documents")
    if not results:
        raise _NoRanking("it has no results")


def _said(value: Raw) -> Raw | None:
    return value if bytes(memoryview(value)[:1]) == b"{" else None


def _result(ranked: Ranked, document: Document, form: DocumentForm) -> dict[str, Any]:
    result = {"index": ranked.index, "relevance_score": ranked.score, "score": ranked.score, **ranked.extras}
    return result if form == "none" else {**result, "document": _repeated(document, form)}


def _repeated(document: Document, form: DocumentForm) -> Any:
    """Return the document: an object as it was given, a string in the form that this client knows."""
    is_string = bytes(memoryview(document.written)[:1]) == b'"'
    return {"text": document.text} if is_string and form == "object" else document.written
