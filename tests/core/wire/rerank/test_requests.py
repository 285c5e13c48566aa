"""Rerank requests as the seed, Cohere and Jina write them, what is refused, and what a vendor is sent."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec import Struct

from core.errors import GatewayError, InvalidRequest
from core.wire.rerank import build_request, parse_rerank


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "query": "q", "documents": ["a", "b"], **fields}).encode()


class Case(Struct, frozen=True):
    id: str
    fields: dict[str, Any]
    sent: dict[str, Any]


CASES = [
    Case("the seed's form", {}, {"documents": ["a", "b"]}),
    Case("a text in an object is sent as that text", {"documents": [{"text": "a"}, "b"]}, {"documents": ["a", "b"]}),
    Case("so is that of an object with more", {"documents": [{"text": "a", "id": 1}]}, {"documents": ["a"]}),
    Case("an object without text goes as it is", {"documents": [{"image": "u"}]}, {"documents": [{"image": "u"}]}),
    Case(
        "so does one that is judged by its fields",
        {"documents": [{"text": "a", "title": "t"}], "rank_fields": ["title"]},
        {"documents": [{"text": "a", "title": "t"}], "rank_fields": ["title"]},
    ),
    Case("Jina's query in an object", {"query": {"text": "q"}}, {"documents": ["a", "b"]}),
    Case("an empty document is one", {"documents": ["", "b"]}, {"documents": ["", "b"]}),
    Case("how many are wanted", {"top_n": 1}, {"documents": ["a", "b"], "top_n": 1}),
    Case("what is not ours passes", {"max_tokens_per_doc": 9}, {"documents": ["a", "b"], "max_tokens_per_doc": 9}),
    Case("options are fields", {"options": {"priority": 1}}, {"documents": ["a", "b"], "priority": 1}),
    Case("documents are not asked back", {"return_documents": True}, {"documents": ["a", "b"]}),
    Case("null is nothing", {"top_n": None, "rank_fields": None}, {"documents": ["a", "b"]}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_vendor_is_sent_what_all_of_them_understand(case: Case) -> None:
    call = parse_rerank(body(**case.fields))
    assert json.loads(build_request(call.request)) == {"model": "m", "query": "q", **case.sent}


@pytest.mark.parametrize("said", [True, False, None])
def test_whether_documents_are_wanted_back_is_read(said: bool | None) -> None:
    assert parse_rerank(body(return_documents=said)).return_documents is said


class Refusal(Struct, frozen=True):
    id: str
    fields: dict[str, Any]
    param: str
    code: str | None = None


REFUSALS = [
    Refusal("no model", {"model": None}, "model", "missing_required_parameter"),
    Refusal("an empty model", {"model": ""}, "model", "missing_required_parameter"),
    Refusal("no query", {"query": None}, "query", "missing_required_parameter"),
    Refusal("an empty query", {"query": ""}, "query"),
    Refusal("a query without text", {"query": {"image": "u"}}, "query"),
    Refusal("a query that is a number", {"query": 7}, "query"),
    Refusal("no documents", {"documents": None}, "documents", "missing_required_parameter"),
    Refusal("an empty list", {"documents": []}, "documents"),
    Refusal("a text in place of the list", {"documents": "a"}, "documents"),
    Refusal("a number among them", {"documents": ["a", 7]}, "documents[1]"),
    Refusal("a text that is none", {"documents": [{"text": 7}]}, "documents[0].text"),
    Refusal("a NUL character", {"documents": ["a", {"text": "\0"}]}, "documents[1].text"),
    Refusal("too many", {"documents": ["a"] * 10_001}, "documents", "array_above_max_length"),
    Refusal("none are wanted", {"top_n": 0}, "top_n"),
    Refusal("options that are no object", {"options": 1}, "options"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_a_refusal_names_the_field(case: Refusal) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_rerank(body(**case.fields))
    assert (raised.value.param, raised.value.code) == (case.param, case.code)


@given(some.binary(max_size=60))
def test_garbage_is_refused_politely(data: bytes) -> None:
    with pytest.raises(GatewayError):
        parse_rerank(data)
