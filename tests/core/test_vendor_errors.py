"""What vendors' error bodies mean: every shape in use is read, and nothing of the operator's key is told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, json

from core.errors import (
    RateLimited,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from core.vendor_errors import MAX_WORDS_CHARS, Stated, failure, failure_in, refusal, said_in, stated


class Shape(Struct, frozen=True):
    id: str
    said: Any
    expected: Stated


SHAPES = [
    Shape(
        "OpenAI's",
        {"error": {"message": "no", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}},
        Stated("no", "invalid_request_error", "model_not_found", "model"),
    ),
    Shape(
        "Anthropic's",
        {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
        Stated("busy", "overloaded_error", "overloaded_error"),
    ),
    Shape(
        "Gemini's",
        {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}},
        Stated("quota", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", None, 429),
    ),
    Shape("Gemini's inside a list", [{"error": {"message": "quota"}}], Stated("quota")),
    Shape("FastAPI's text", {"detail": "Not Found"}, Stated("Not Found")),
    Shape("FastAPI's list", {"detail": [{"loc": ["body"], "msg": "field required"}]}, Stated("field required")),
    Shape(
        "FastAPI's list with fields",
        {
            "detail": [
                {"loc": ["body", "messages", 0, "content"], "msg": "Field required", "input": "secret"},
                {"loc": ["body", "n"], "msg": "Too many"},
                "hm",
            ]
        },
        Stated("messages[0].content: Field required; n: Too many", param="messages[0].content"),
    ),
    Shape(
        "Mistral's list",
        {"object": "error", "message": {"detail": [{"loc": ["body", "n"], "msg": "Extra inputs are not permitted"}]}},
        Stated("n: Extra inputs are not permitted", param="n"),
    ),
    Shape("a text below", {"message": {"detail": "no"}}, Stated("no")),
    Shape(
        "OpenRouter's, with the words of the provider behind it",
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": '{"error":{"message":"max_tokens is too large"}}', "provider_name": "acme"},
            }
        },
        Stated("Provider returned error: max_tokens is too large", status=400),
    ),
    Shape(
        "OpenRouter's, with a text of the provider",
        {"error": {"message": "Provider returned error", "metadata": {"raw": "out of memory"}}},
        Stated("Provider returned error: out of memory"),
    ),
    Shape(
        "OpenRouter's, with a page of the provider",
        {"error": {"message": "Provider returned error", "metadata": {"raw": " <html>oops"}}},
        Stated("Provider returned error"),
    ),
    Shape(
        "Mistral's",
        {"message": "bad", "type": "invalid", "param": "x", "code": "1000"},
        Stated("bad", "invalid", "1000", "x"),
    ),
    Shape("an error that is a text", {"error": "busy"}, Stated("busy")),
    Shape("a text", "busy", Stated("busy")),
    Shape("nothing", None, Stated()),
    Shape("an empty list", [], Stated()),
    Shape("no words in it", {"error": {"message": 7, "code": True}}, Stated()),
]


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.id)
def test_an_error_body_is_read_in_any_shape(case: Shape) -> None:
    assert stated(case.said) == case.expected


class Case(Struct, frozen=True):
    id: str
    status: int
    message: str
    error: type[UpstreamError]
    told: int
    scope: str


REFUSALS = [
    Case("a wrong request", 400, "too long", UpstreamRejected, 400, "request"),
    Case("a model that is not there", 404, "no such model", UpstreamRejected, 404, "request"),
    Case("what cannot be processed", 422, "no", UpstreamRejected, 422, "request"),
    Case("a wrong key", 401, "Incorrect API key sk-1 provided", UpstreamDenied, 502, "account"),
    Case("a key without rights", 403, "Your key sk-1 has no access", UpstreamDenied, 502, "account"),
    Case("a wrong key in Gemini's words", 400, "API key not valid: sk-1", UpstreamDenied, 502, "account"),
    Case("a wrong key in xAI's words", 400, "Incorrect API key provided: sk-1", UpstreamDenied, 502, "account"),
    Case("a place from which nobody is served", 403, "Country not supported", UpstreamRejected, 403, "request"),
    Case("an account without money", 402, "Insufficient Balance", UpstreamDenied, 502, "account"),
    Case("a limit", 429, "slow down", RateLimited, 429, "account"),
    Case("a request that took too long", 408, "timeout", UpstreamTimeout, 504, "provider"),
    Case("a failure", 500, "oops", UpstreamUnavailable, 503, "provider"),
    Case("too much to do", 529, "overloaded", UpstreamUnavailable, 503, "provider"),
    Case("a redirect", 302, "over there", UpstreamUnavailable, 503, "provider"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_a_status_means_this(case: Case) -> None:
    error = refusal("acme", case.status, {"error": {"message": case.message}}, 7.0)
    assert (type(error), error.status, error.scope) == (case.error, case.told, case.scope)
    assert (error.upstream, error.upstream_status) == ("acme", case.status)
    if case.error is UpstreamDenied and case.status != 402:
        assert error.message == "acme refused this gateway's key"
    else:
        assert error.message == case.message


def test_only_limits_and_failures_have_a_wait() -> None:
    waits = {status: refusal("acme", status, None, 7.0).retry_after_s for status in (400, 401, 429, 503)}
    assert waits == {400: None, 401: None, 429: 7.0, 503: 7.0}


def test_a_refusal_without_words_says_its_status() -> None:
    assert refusal("acme", 500, None, None).message == "acme answered 500 without saying why"


class Inside(Struct, frozen=True):
    id: str
    error: Any
    type: type[UpstreamError]
    status: int


INSIDE = [
    Inside("a text", "busy", UpstreamUnavailable, 502),
    Inside("no words", {}, UpstreamUnavailable, 502),
    Inside("a number for a limit", {"code": 429, "message": "slow"}, RateLimited, 429),
    Inside("a word for a limit", {"code": "rate_limit_exceeded", "message": "slow"}, RateLimited, 429),
    Inside("a type for a limit", {"type": "rate_limit_error", "message": "slow"}, RateLimited, 429),
    Inside("a refused request", {"type": "invalid_request_error", "message": "no"}, UpstreamRejected, 400),
    Inside("a refused key", {"code": 401, "message": "sk-1 is wrong"}, UpstreamDenied, 502),
    Inside("a failure behind the vendor", {"code": 502, "message": "provider down"}, UpstreamUnavailable, 503),
    Inside("too much to do", {"type": "overloaded_error", "message": "Overloaded"}, UpstreamUnavailable, 503),
    Inside("a model that is not there", {"type": "not_found_error", "message": "no"}, UpstreamRejected, 404),
    Inside("an unknown type", {"type": "strange", "message": "hm"}, UpstreamUnavailable, 502),
]


@pytest.mark.parametrize("case", INSIDE, ids=lambda case: case.id)
def test_an_error_inside_of_a_success_means_this(case: Inside) -> None:
    error = failure_in("acme", json.encode({"error": case.error}))
    assert error is not None
    assert (type(error), error.status) == (case.type, case.status)
    assert "sk-1" not in error.message


def test_a_list_of_problems_is_told_in_part() -> None:
    said = stated([{"loc": ["body", str(number)], "msg": "no"} for number in range(100)])
    assert said.message == "0: no; 1: no; 2: no; 3: no; 4: no"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"detail": "no"}', {"detail": "no"}),
        (b"404 page not found\n", "404 page not found"),
        (b"x" * MAX_WORDS_CHARS, "x" * MAX_WORDS_CHARS),
        (b"x" * (MAX_WORDS_CHARS + 1), None),
        (b" <!DOCTYPE html><html>", None),
        (b"\x1f\x8b\x08", None),
    ],
    ids=["JSON", "a text", "as long as may be", "too long", "a page", "no text"],
)
def test_words_are_told_from_pages_and_bytes(body: bytes, said: Any) -> None:
    assert said_in(body) == said


@pytest.mark.parametrize("body", [b'{"error": null}', b'{"id": "error"}', b'["error"]', b'{"error"', b""])
def test_what_states_no_error_is_none(body: bytes) -> None:
    assert failure_in("acme", body) is None


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "detail", "message", "code", "type", "status", "msg", "loc", "metadata", "raw"]),
            inner,
        )
    ),
    max_leaves=8,
)


@given(said=anything, status=st.integers(300, 599))
def test_whatever_is_said_becomes_an_error_of_ours(said: Any, status: int) -> None:
    assert refusal("acme", status, said, None).message
    assert 400 <= failure("acme", said).status <= 599
