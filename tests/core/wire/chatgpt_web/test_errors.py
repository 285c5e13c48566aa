import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, field, json

from core.errors import (
    ChallengeRequired,
    RateLimited,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamUnavailable,
)
from core.wire.chatgpt_web.errors import describe, refusal, unexpected_answer
from tests.strategies import JSON_VALUES

PAGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><script>_cf_chl_opt={}</script></html>"
JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html; charset=utf-8"}
EXPIRED = "Provided authentication token is expired. Please try signing in again."


class Case(Struct, frozen=True):
    """`status` is the client's, `upstream` the service's."""

    id: str
    upstream: int
    body: object
    error: type[UpstreamError]
    status: int
    message: str
    code: str | None = None
    scope: str = "account"
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    param: str | None = None


REFUSALS = [
    Case(
        "an expired token",
        401,
        {"error": {"message": EXPIRED, "code": "token_expired", "type": None}},
        UpstreamDenied,
        502,
        EXPIRED,
        "token_expired",
    ),
    Case("a token that is refused in one word", 401, {"detail": "Unauthorized"}, UpstreamDenied, 502, "Unauthorized"),
    Case(
        "unusual activity",
        403,
        {"detail": "Unusual activity has been detected from your device. Try again later."},
        ChallengeRequired,
        403,
        "Unusual activity has been detected from your device. Try again later.",
    ),
    Case(
        "a workspace that is not allowed",
        403,
        {"detail": {"message": "No.", "code": "workspace"}},
        ChallengeRequired,
        403,
        "No.",
        "workspace",
    ),
    Case(
        "a model's cap",
        429,
        {"detail": {"message": "Too many messages.", "code": "model_cap_exceeded", "clears_in": 9665}},
        RateLimited,
        429,
        "Too many messages.",
        "model_cap_exceeded",
    ),
    Case(
        "one message at a time",
        429,
        {"detail": "Only one message at a time."},
        RateLimited,
        429,
        "Only one message at a time.",
    ),
    Case(
        "a message that is too long",
        413,
        {"detail": {"message": "Too long.", "code": "message_length_exceeds_limit"}},
        UpstreamRejected,
        400,
        "Too long.",
        "context_length_exceeded",
        "request",
        param="messages",
    ),
    Case(
        "a message that is too long, with another status",
        422,
        {"detail": {"message": "Too long.", "code": "message_length_exceeds_limit"}},
        UpstreamRejected,
        400,
        "Too long.",
        "context_length_exceeded",
        "request",
        param="messages",
    ),
    Case(
        "a flagged message",
        400,
        {"detail": {"message": "Flagged.", "code": "flagged_by_moderation"}},
        UpstreamRejected,
        400,
        "Flagged.",
        "flagged_by_moderation",
        "request",
    ),
    Case(
        "a list of faults",
        422,
        {"detail": [{"loc": ["body"], "msg": "field required"}, {"msg": "too short"}]},
        UpstreamRejected,
        422,
        "field required; too short",
        None,
        "request",
    ),
    Case(
        "an unknown model",
        404,
        {"detail": {"message": "No such model.", "code": "model_not_found"}},
        UpstreamRejected,
        404,
        "No such model.",
        "model_not_found",
        "request",
    ),
    Case("a busy conversation", 409, {"detail": "busy"}, UpstreamRejected, 409, "busy", None, "request"),
    Case("a fault of the service", 500, {"detail": "oops"}, UpstreamUnavailable, 503, "oops", None, "provider"),
    Case(
        "a gateway without words",
        502,
        b"",
        UpstreamUnavailable,
        503,
        "the upstream answered 502 without saying why",
        None,
        "provider",
    ),
    Case(
        "a body that is no JSON",
        503,
        b"overloaded",
        UpstreamUnavailable,
        503,
        "the upstream answered 503 without saying why",
        None,
        "provider",
        {},
    ),
    Case(
        "a challenge page",
        403,
        PAGE,
        ChallengeRequired,
        403,
        "upstream blocked by Cloudflare",
        "upstream_challenge_required",
        "provider",
        HTML,
    ),
    Case(
        "a challenge page with another status",
        503,
        PAGE,
        ChallengeRequired,
        403,
        "upstream blocked by Cloudflare",
        "upstream_challenge_required",
        "provider",
        HTML,
    ),
    Case(
        "a challenge that only a header tells",
        403,
        b"",
        ChallengeRequired,
        403,
        "upstream blocked by Cloudflare",
        "upstream_challenge_required",
        "provider",
        {"cf-mitigated": "challenge"},
    ),
    Case(
        "a page that does not say it is one",
        403,
        PAGE,
        ChallengeRequired,
        403,
        "upstream blocked by Cloudflare",
        "upstream_challenge_required",
        "provider",
        {},
    ),
    Case(
        "another page",
        502,
        b"<html><h1>Bad gateway</h1></html>",
        UpstreamUnavailable,
        503,
        "the upstream answered 502 with a web page",
        None,
        "provider",
        HTML,
    ),
    Case(
        "a page that says not found",
        404,
        b"<html></html>",
        UpstreamUnavailable,
        502,
        "the upstream answered 404 with a web page",
        None,
        "provider",
        HTML,
    ),
    Case(
        "words like a page's in JSON are words",
        429,
        {"detail": "Just a moment, please."},
        RateLimited,
        429,
        "Just a moment, please.",
    ),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_a_refusal_becomes_an_error(case: Case) -> None:
    body = case.body if isinstance(case.body, bytes) else json.encode(case.body)
    error = refusal(case.upstream, case.headers, body, None)
    assert type(error) is case.error
    assert (error.status, error.message, error.code, error.scope) == (case.status, case.message, case.code, case.scope)
    assert (error.upstream, error.upstream_status, error.param) == ("chatgpt_web", case.upstream, case.param)
    assert error.retry_after_s is None
    assert "<" not in error.message


def test_a_wait_that_was_stated_is_passed_on() -> None:
    assert refusal(429, JSON, b"{}", 9665.0).retry_after_s == 9665.0


@pytest.mark.parametrize(
    ("headers", "body", "message"),
    [
        (JSON, b'{"detail":"Please wait."}', "Please wait."),
        (JSON, b"{}", "the upstream answered with something that is not a stream"),
        (HTML, b"<html>captive</html>", "the upstream answered 200 with a web page"),
    ],
    ids=["JSON that says why", "JSON that does not", "a page"],
)
def test_a_success_that_is_no_stream_is_an_error(headers: dict[str, str], body: bytes, message: str) -> None:
    error = unexpected_answer(200, headers, body)
    assert (type(error), error.status, error.message) == (UpstreamUnavailable, 502, message)


def test_a_challenge_page_in_place_of_a_stream_is_a_challenge() -> None:
    assert unexpected_answer(200, HTML, PAGE).message == "upstream blocked by Cloudflare"


@given(st.integers(300, 599), st.binary() | JSON_VALUES.map(json.encode))
def test_any_body_is_an_error_of_ours(status: int, body: bytes) -> None:
    assert refusal(status, {}, body, None).message


@given(JSON_VALUES)
def test_a_description_is_text(value: object) -> None:
    message, code = describe(value)
    assert isinstance(message, str)
    assert code is None or isinstance(code, str)
