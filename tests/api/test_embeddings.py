"""Embeddings by the official SDK and by hand: both encodings as asked, whatever the vendor gives (JR-7, P37)."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from msgspec import Struct
from openai import OpenAI

from core.loopback.vendors.openai_embeddings import vector
from core.vectors import packed
from tests.api.servers import KEY, SIMULATED, Gateway, Upstream, directive, error_of, running_gateway

MODEL = "text-embedding-3-small"
TEXT = "Two seas."
FLOATS = [0.5, -0.25]
VENDORS = {
    "OPENAI_API_KEY": "loopback-vendor-key-8d2",
    "OPENAI_BASE_URL": "loopback://openai/v1",
    "GEMINI_API_KEY": "loopback-g",
    "GEMINI_BASE_URL": "loopback://gemini",
    "MODEL_ROUTES": "ada=openai/text-embedding-ada-002; spread=chatgpt_web/auto,openai/text-embedding-3-large",
    "UPSTREAMS": '[{"name": "wrong", "kind": "openai", "base_url": "loopback://openai/v1", "key": "sk-bad-7f"}]',
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway({**SIMULATED, **VENDORS}) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(api_key=KEY, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        yield client


def embed(gateway: Gateway, **fields: Any) -> httpx.Response:
    return gateway.web.post("/v1/embeddings", json={"model": MODEL, "input": TEXT, **fields})


def only_vector(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    [item] = answer.json()["data"]
    return item["embedding"]


def in_base64(numbers: list[float]) -> str:
    return base64.b64encode(packed(numbers)).decode()


# The SDK.


@pytest.mark.parametrize("asked", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}], ids=str)
def test_the_sdk_gets_its_vectors(client: OpenAI, asked: dict[str, Any]) -> None:
    """It asks for base64 when nothing is said, and decodes that itself."""
    made = client.embeddings.create(model=MODEL, input=["a", "b"], dimensions=8, **asked)
    found: list[Any] = [item.embedding for item in made.data]
    expected = [list(vector("a", 8)), list(vector("b", 8))]
    if asked.get("encoding_format") == "base64":
        assert found == [in_base64(numbers) for numbers in expected]
    else:
        assert found == expected
    assert ([item.index for item in made.data], made.object, made.model) == ([0, 1], "list", MODEL)
    assert made.usage.prompt_tokens == made.usage.total_tokens == 2


@pytest.mark.parametrize("given", ["a", ["a"], [1, 2], [[1, 2]]], ids=str)
def test_every_form_of_input_gives_one_vector(client: OpenAI, given: Any) -> None:
    made = client.embeddings.create(model=MODEL, input=given, dimensions=2)
    assert made.data[0].embedding == list(vector("a" if "a" in given else "[1, 2]", 2))


# Both encodings.


def test_a_list_of_numbers_is_what_comes_when_nothing_is_said(gateway: Gateway) -> None:
    assert only_vector(embed(gateway, dimensions=4)) == list(vector(TEXT, 4))


class Given(Struct, frozen=True):
    id: str
    asked: str
    given: Any
    expected: Any


CONVERTED = [
    Given("numbers for base64", "base64", FLOATS, in_base64(FLOATS)),
    Given("base64 for numbers", "float", in_base64(FLOATS), FLOATS),
    Given("numbers as they are", "float", FLOATS, FLOATS),
    Given("base64 as it is", "base64", in_base64(FLOATS), in_base64(FLOATS)),
]


@pytest.mark.parametrize("case", CONVERTED, ids=lambda case: case.id)
def test_what_a_vendor_gives_is_converted_if_need_be(gateway: Gateway, case: Given) -> None:
    body = {"data": [{"index": 0, "embedding": case.given}], "model": "theirs", "usage": {"total_tokens": 3}}
    answer = embed(gateway, input=directive(status=200, body=body), encoding_format=case.asked)
    assert only_vector(answer) == case.expected
    assert (answer.json()["model"], answer.json()["usage"]["total_tokens"]) == ("theirs", 3)


def test_a_vendor_that_knows_no_encodings_is_asked_without(upstream_server: Upstream) -> None:
    unknown = {"detail": [{"type": "extra_forbidden", "loc": ["body", "encoding_format"], "msg": "Not permitted"}]}
    given = directive(attempts=[{"status": 422, "body": unknown}, {}])
    environ = upstream_server.environ(OPENAI_API_KEY="loopback-k", OPENAI_BASE_URL=f"{upstream_server.url}/v1")
    with running_gateway(environ) as gateway:
        answer = embed(gateway, input=given, encoding_format="base64", dimensions=4)
    assert only_vector(answer) == in_base64(list(vector(given, 4)))
    asked = [call["body"] for call in upstream_server.log() if call["path"] == "/v1/embeddings"]
    same = {"model": MODEL, "input": [given], "dimensions": 4}
    assert asked[-2:] == [{**same, "encoding_format": "base64"}, same]


def test_dimensions_that_had_no_effect_are_named(gateway: Gateway) -> None:
    body = {"data": [{"index": 0, "embedding": FLOATS}]}
    answer = embed(gateway, input=directive(status=200, body=body), dimensions=1)
    assert only_vector(answer) == FLOATS
    assert answer.headers["x-isthmus-ignored-params"] == "dimensions"
    assert "x-isthmus-ignored-params" not in embed(gateway, dimensions=1).headers


# Who answers.


class Routed(Struct, frozen=True):
    id: str
    model: str
    upstream: str
    answered_as: str


ROUTED = [
    Routed("a vendor that claims the name", MODEL, "openai", MODEL),
    Routed("a vendor that is named", "openai/nomic", "openai", "nomic"),
    Routed("a route", "ada", "openai", "text-embedding-ada-002"),
    Routed("the first of a route that makes embeddings", "spread", "openai", "text-embedding-3-large"),
    Routed("Gemini", "gemini-embedding-001", "gemini", "gemini-embedding-001"),
]


@pytest.mark.parametrize("case", ROUTED, ids=lambda case: case.id)
def test_the_model_name_decides_who_answers(gateway: Gateway, case: Routed) -> None:
    answer = embed(gateway, model=case.model, dimensions=4)
    assert only_vector(answer) == list(vector(TEXT, 4))
    assert (answer.headers["x-isthmus-upstream"], answer.json()["model"]) == (case.upstream, case.answered_as)


def test_gemini_answers_in_this_format(gateway: Gateway) -> None:
    answer = embed(gateway, model="gemini-embedding-001", dimensions=4, encoding_format="base64", user="u", extra=1)
    assert only_vector(answer) == in_base64(list(vector(TEXT, 4)))
    assert answer.json()["usage"] is None
    assert answer.headers["x-isthmus-ignored-params"] == "user, extra"


def test_gemini_embeds_more_than_it_takes_in_one_call(gateway: Gateway) -> None:
    texts = [f"text {number}" for number in range(201)]
    answer = embed(gateway, model="gemini-embedding-001", input=texts, dimensions=2)
    assert answer.status_code == 200, answer.text
    assert [item["embedding"] for item in answer.json()["data"]] == [list(vector(text, 2)) for text in texts]


# What is refused.


class Refused(Struct, frozen=True):
    id: str
    fields: dict[str, Any]
    status: int
    param: str | None = None
    code: str | None = None


REFUSED = [
    Refused("an empty text", {"input": ["a", ""]}, 400, "input[1]"),
    Refused("no input", {"input": None}, 400, "input", "missing_required_parameter"),
    Refused("an encoding of another kind", {"encoding_format": "int8"}, 400, "encoding_format"),
    Refused("a model of ChatGPT", {"model": "gpt-5-6"}, 400, "model"),
    Refused("tokens for Gemini", {"model": "gemini-embedding-001", "input": [1, 2]}, 400, "input"),
    Refused("what the vendor refuses", {"input": directive(status=404)}, 404, None, "not_found_error"),
    Refused("a limit of the vendor's", {"input": directive(status=429)}, 429, None, "rate_limit_error"),
    Refused("a vendor that fails", {"input": directive(status=500)}, 503, None, "api_error"),
    Refused("a vendor that hangs up", {"input": directive(cut_after_chars=5)}, 503),
    Refused("an answer of another shape", {"input": directive(status=200, body={"vectors": []})}, 502),
    Refused("an answer with nothing in it", {"input": directive(status=200, body={"data": []})}, 502),
    Refused("a vendor that refuses our key", {"model": "wrong/x"}, 502, None, "upstream_key_refused"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_a_refusal_says_why(gateway: Gateway, case: Refused) -> None:
    answer = embed(gateway, **case.fields)
    error = error_of(answer)
    assert (answer.status_code, error["param"], error["code"]) == (case.status, case.param, case.code)


@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "base64"}], ids=["unsaid", "base64"])
def test_a_request_that_is_wrong_is_sent_once(upstream_server: Upstream, encoding: dict[str, str]) -> None:
    given = directive(status=400, body={"error": {"message": "input is too long"}})
    environ = upstream_server.environ(OPENAI_API_KEY="loopback-k", OPENAI_BASE_URL=f"{upstream_server.url}/v1")
    before = len(upstream_server.log())
    with running_gateway(environ) as gateway:
        answer = embed(gateway, input=given, **encoding)
    assert (answer.status_code, error_of(answer)["message"]) == (400, "input is too long")
    assert [call["path"] for call in upstream_server.log()[before:]] == ["/v1/embeddings"]


def test_a_body_that_is_no_json_is_refused(gateway: Gateway) -> None:
    answer = gateway.web.post("/v1/embeddings", content=b"{")
    assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_json")


def test_a_gateway_without_a_vendor_says_what_is_missing(gateway_server: Gateway) -> None:
    answer = embed(gateway_server)
    assert (answer.status_code, error_of(answer)["code"]) == (503, "not_configured")
    assert "OPENAI_API_KEY" in error_of(answer)["message"]


def test_a_caller_without_a_key_is_refused(gateway: Gateway) -> None:
    answer = gateway.web.post("/v1/embeddings", json={"model": MODEL, "input": "a"}, headers={"Authorization": ""})
    assert answer.status_code == 401


def test_a_caller_with_an_account_of_their_own_has_no_use_of_the_operators_vendors() -> None:
    with running_gateway({**SIMULATED, **VENDORS}, ENABLE_EXTERNAL_TOKEN="true") as gateway:
        own = {"Authorization": "Bearer eyJhbGciOiJSUzI1NiJ9.e30.x"}
        answer = gateway.web.post("/v1/embeddings", json={"model": MODEL, "input": "a"}, headers=own)
    assert (answer.status_code, error_of(answer)["param"]) == (400, "model")


def test_many_inputs_come_back_in_their_order(gateway: Gateway) -> None:
    texts = [f"text {number}" for number in range(300)]
    answer = embed(gateway, input=texts, dimensions=2)
    assert [item["embedding"] for item in answer.json()["data"]] == [list(vector(text, 2)) for text in texts]
    assert json.loads(answer.text)["usage"]["prompt_tokens"] > 300
