"""Reranking by a vendor's call for it and by a chat model, in the shapes of the seed, Cohere and Jina (JR-8)."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from msgspec import Struct

from tests.api.servers import SIMULATED, Gateway, directive, error_of, running_gateway

QUERY = "red apple"
DOCUMENTS = ["green apple", "red apple", "sky"]
SCORES = '{"d0": 0.25, "d1": 0.75, "d2": 0}'
COHERE = {"X-Fern-SDK-Name": "cohere", "User-Agent": "cohere/7.3.1"}
VENDORS = {
    "OPENAI_API_KEY": "loopback-vendor-key-8d2",
    "OPENAI_BASE_URL": "loopback://openai/v1",
    "ANTHROPIC_API_KEY": "loopback-a",
    "ANTHROPIC_BASE_URL": "loopback://anthropic",
    "GEMINI_API_KEY": "loopback-g",
    "GEMINI_BASE_URL": "loopback://gemini",
    "MODEL_ROUTES": "rank=chatgpt_web/auto,ranker/rerank-9; down-then-up=down,openai/loopback-large",
    "UPSTREAMS": '[{"name": "ranker", "kind": "openai", "base_url": "loopback://openai/v1", "key": "loopback-r",'
    ' "models": ["rerank-*"], "capabilities": {"rerank": true}},'
    ' {"name": "down", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "key": "loopback-x"}]',
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway({**SIMULATED, **VENDORS}) as gateway:
        yield gateway


def rerank(gateway: Gateway, path: str = "/v1/rerank", headers: Any = None, **fields: Any) -> httpx.Response:
    body = {"model": "rerank-1", "query": QUERY, "documents": DOCUMENTS, **fields}
    return gateway.web.post(path, json=body, headers=headers)


def order(answer: httpx.Response) -> list[tuple[int, float]]:
    """Return index and score of each result, having checked that both names have the same score."""
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert all(result["score"] == result["relevance_score"] for result in results)
    return [(result["index"], result["score"]) for result in results]


# By a vendor.


def test_a_vendors_ranking(gateway: Gateway) -> None:
    answer = rerank(gateway)
    assert order(answer) == [(1, 1.0), (0, 0.5), (2, 0.0)]
    body = answer.json()
    assert body.keys() == {"id", "object", "model", "results", "usage"}
    assert (body["model"], body["usage"]) == ("rerank-1", {"total_tokens": 10})
    assert body["id"].startswith("rerank-")
    assert answer.headers["x-isthmus-upstream"] == "ranker"
    assert "x-isthmus-rerank" not in answer.headers


class Shape(Struct, frozen=True):
    id: str
    path: str
    fields: dict[str, Any]
    headers: dict[str, str]
    document: Any


AS_OBJECT = {"text": "red apple"}
SHAPES = [
    Shape("the seed's string", "/v1/rerank", {}, {}, "red apple"),
    Shape("the seed's string when asked for", "/v1/rerank", {"return_documents": True}, {}, "red apple"),
    Shape("nothing when that is asked for", "/v1/rerank", {"return_documents": False}, {}, None),
    Shape("Jina's and vLLM's object", "/rerank", {}, {}, AS_OBJECT),
    Shape("nothing there either when that is asked for", "/rerank", {"return_documents": False}, {}, None),
    Shape("nothing for Cohere's second version", "/v2/rerank", {}, {}, None),
    Shape("an object there when asked for", "/v2/rerank", {"return_documents": True}, {}, AS_OBJECT),
    Shape("nothing for Cohere's SDK", "/v1/rerank", {}, COHERE, None),
    Shape("an object for Cohere's SDK when asked for", "/v1/rerank", {"return_documents": True}, COHERE, AS_OBJECT),
]


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.id)
def test_each_client_gets_documents_as_it_knows_them(gateway: Gateway, case: Shape) -> None:
    answer = rerank(gateway, case.path, case.headers, **case.fields)
    assert order(answer)[0] == (1, 1.0)
    best = answer.json()["results"][0]
    assert best.get("document") == case.document
    assert ("document" in best) is (case.document is not None)


def test_documents_that_are_objects_come_back_as_they_were(gateway: Gateway) -> None:
    documents = [{"text": "sky"}, {"text": "red apple", "id": 7}]
    answer = rerank(gateway, documents=documents, top_n=1)
    assert order(answer) == [(1, 1.0)]
    assert answer.json()["results"][0]["document"] == {"text": "red apple", "id": 7}


def test_a_route_goes_to_whoever_reranks(gateway: Gateway) -> None:
    answer = rerank(gateway, model="rank")
    assert (answer.headers["x-isthmus-upstream"], answer.json()["model"]) == ("ranker", "rerank-9")


# By a chat model.


CHATS = [
    ("auto", "chatgpt_web"),
    ("openai/loopback-large", "openai"),
    ("claude-opus-5", "anthropic"),
    ("gemini-3-pro", "gemini"),
]


@pytest.mark.parametrize(("model", "upstream"), CHATS)
def test_a_chat_model_ranks_where_nobody_offers_it(gateway: Gateway, model: str, upstream: str) -> None:
    answer = rerank(gateway, model=model, query=directive(text=SCORES), top_n=2, max_chunks_per_doc=3)
    assert order(answer) == [(1, 0.75), (0, 0.25)]
    assert answer.json()["estimated"] is True
    assert answer.headers["x-isthmus-rerank"] == "listwise"
    assert answer.headers["x-isthmus-upstream"] == upstream
    assert answer.headers["x-isthmus-ignored-params"] == "max_chunks_per_doc"
    assert ("usage" in answer.json()) is (upstream != "chatgpt_web")


def test_the_next_of_a_route_ranks_when_the_first_cannot(gateway: Gateway) -> None:
    answer = rerank(gateway, model="down-then-up", query=directive(text=SCORES))
    assert (order(answer)[0], answer.headers["x-isthmus-upstream"]) == ((1, 0.75), "openai")


def test_a_model_that_answers_in_words_is_asked_once_more(gateway: Gateway) -> None:
    query = directive(attempts=[{"text": "The second one."}, {"text": SCORES}])
    assert order(rerank(gateway, model="auto", query=query))[0] == (1, 0.75)


class Fault(Struct, frozen=True):
    id: str
    fields: dict[str, Any]
    status: int
    param: str | None = None
    code: str | None = None


FAULTS = [
    Fault("no documents", {"documents": []}, 400, "documents"),
    Fault("no query", {"query": None}, 400, "query", "missing_required_parameter"),
    Fault(
        "more than a chat model ranks",
        {"model": "auto", "documents": ["a"] * 101},
        400,
        "documents",
        "array_above_max_length",
    ),
    Fault("a picture for a chat model", {"model": "auto", "documents": [{"image": "u"}]}, 400, "documents[0]"),
    Fault("a limit of the vendor's", {"query": directive(status=429)}, 429, None, "rate_limit_error"),
    Fault("a vendor that fails", {"query": directive(status=500)}, 503, None, "api_error"),
    Fault("an answer of another shape", {"query": directive(status=200, body={"hits": []})}, 502),
    Fault(
        "a chat model of ChatGPT that gives no scores",
        {"model": "auto", "query": directive(text="The second one.")},
        502,
        None,
        "schema_not_satisfied",
    ),
    Fault(
        "a vendor's chat model that gives no scores",
        {"model": "openai/loopback-large", "query": directive(text="The second one.")},
        502,
        None,
        "rerank_failed",
    ),
    Fault(
        "a chat upstream that is limited",
        {"model": "auto", "query": directive(status=413)},
        400,
        None,
        "context_length_exceeded",
    ),
]


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.id)
def test_a_failure_says_why(gateway: Gateway, case: Fault) -> None:
    answer = rerank(gateway, **case.fields)
    error = error_of(answer)
    assert (answer.status_code, error["param"], error["code"]) == (case.status, case.param, case.code)


def test_a_vendor_ranks_more_than_a_chat_model_does(gateway: Gateway) -> None:
    assert len(order(rerank(gateway, documents=["a"] * 101))) == 101


def test_a_caller_without_a_key_is_refused(gateway: Gateway) -> None:
    assert rerank(gateway, headers={"Authorization": ""}).status_code == 401
