"""Rankings of vendors, in their spellings, and what each kind of client is told (JR-8, ruling 10)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec import Struct

from core.errors import ProtocolViolation
from core.services import Ranked, Ranking, RerankRequest
from core.wire.rerank import DocumentForm, parse_rerank, read_answer, render_answer


def asking(documents: Any = ("a", "b", "c"), **fields: Any) -> RerankRequest:
    return parse_rerank(json.dumps({"model": "m", "query": "q", "documents": documents, **fields}).encode()).request


class Case(Struct, frozen=True):
    id: str
    answer: dict[str, Any]


RESULTS = [{"index": 2, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]
CASES = [
    Case("Cohere's and Jina's", {"results": RESULTS}),
    Case("with documents", {"results": [{**result, "document": {"text": "c"}} for result in RESULTS]}),
    Case("the seed's", {"results": [{"index": 2, "score": 0.9}, {"index": 0, "score": 0.1}]}),
    Case("Voyage's", {"object": "list", "data": RESULTS}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_spellings_of_vendors_mean_the_same(case: Case) -> None:
    assert read_answer(json.dumps(case.answer).encode(), asking(), "v").results == (Ranked(2, 0.9), Ranked(0, 0.1))


def test_more_than_was_wanted_is_cut() -> None:
    assert read_answer(json.dumps({"results": RESULTS}).encode(), asking(top_n=1), "v").results == (Ranked(2, 0.9),)


def test_what_the_vendor_says_besides_is_passed_on() -> None:
    said = {"id": "x", "model": "m-1", "usage": {"total_tokens": 7}, "meta": {"billed_units": {"search_units": 1}}}
    spans = [{"start": 0, "end": 1}]
    data = json.dumps({**said, "results": [{"index": 0, "relevance_score": 0.9, "relevant_spans": spans}]}).encode()
    rendered = json.loads(render_answer(read_answer(data, asking(), "v"), asking(), "none", "ours"))
    result = {"index": 0, "relevance_score": 0.9, "score": 0.9, "relevant_spans": spans}
    assert rendered == {**said, "object": "list", "results": [result]}


def test_nothing_is_said_that_nobody_knows() -> None:
    ranking = Ranking(results=(Ranked(0, 0.5),))
    rendered = json.loads(render_answer(ranking, asking(), "none", "ours"))
    result = {"index": 0, "relevance_score": 0.5, "score": 0.5}
    assert rendered == {"id": "ours", "object": "list", "model": "m", "results": [result]}


class Repeated(Struct, frozen=True):
    id: str
    form: DocumentForm
    document: Any
    expected: Any


REPEATED = [
    Repeated("a string as itself", "text", "a", "a"),
    Repeated("a string as an object", "object", "a", {"text": "a"}),
    Repeated("an object as it was given", "text", {"text": "a", "id": 1}, {"text": "a", "id": 1}),
    Repeated("an object for whoever reads objects", "object", {"text": "a", "id": 1}, {"text": "a", "id": 1}),
    Repeated("an object without text", "object", {"image": "u"}, {"image": "u"}),
]


@pytest.mark.parametrize("case", REPEATED, ids=lambda case: case.id)
def test_a_document_is_repeated(case: Repeated) -> None:
    ranking = Ranking(results=(Ranked(0, 0.5),))
    [result] = json.loads(render_answer(ranking, asking([case.document]), case.form, "ours"))["results"]
    assert result["document"] == case.expected


class Broken(Struct, frozen=True):
    id: str
    answer: dict[str, Any]


BROKEN = [
    Broken("another shape", {"rankings": RESULTS}),
    Broken("no results", {"results": []}),
    Broken("an index too high", {"results": [{"index": 3, "score": 1}]}),
    Broken("an index below nought", {"results": [{"index": -1, "score": 1}]}),
    Broken("the same document twice", {"results": [RESULTS[0], RESULTS[0]]}),
    Broken("no index", {"results": [{"score": 1}]}),
    Broken("no score", {"results": [{"index": 1}]}),
    Broken("a score in words", {"results": [{"index": 1, "score": "high"}]}),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.id)
def test_what_is_no_ranking_is_an_error(case: Broken) -> None:
    with pytest.raises(ProtocolViolation, match="ranking of v"):
        read_answer(json.dumps(case.answer).encode(), asking(), "v")


@given(some.binary(max_size=80))
def test_garbage_is_an_error(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        read_answer(data, asking(), "v")
