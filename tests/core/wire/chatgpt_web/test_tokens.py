"""What asks for an access token, and what its answers and refusals mean."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.errors import (
    ChallengeRequired,
    ProtocolViolation,
    RateLimited,
    UpstreamDenied,
    UpstreamError,
    UpstreamUnavailable,
)
from core.wire.chatgpt_web.tokens import (
    COOKIE,
    LARGEST_COOKIE_CHARS,
    build_cookie,
    build_renewal,
    read_cookie,
    read_renewal,
    read_session,
    renewal_refused,
)

JSON = {"content-type": "application/json"}
PAGE = b"<html>Just a moment... _cf_chl_opt</html>"


def test_a_refresh_token_is_sent_as_codex_sends_it() -> None:
    assert json.loads(build_renewal("client", "token")) == {
        "client_id": "client",
        "grant_type": "refresh_token",
        "refresh_token": "token",
    }


class Refusal(Struct, frozen=True):
    id: str
    status: int
    body: object
    expected: type[UpstreamError]
    told: tuple[int, str, str | None]
    """The status for the client, the message, the code."""


def stated(code: str) -> object:
    return {"error": {"message": "Sign in again.", "type": "invalid_request_error", "code": code}}


REFUSALS = [
    *(
        Refusal(f"{code} is for good", 401, stated(code), UpstreamDenied, (502, "Sign in again.", code))
        for code in ("refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated")
    ),
    Refusal(
        "an OAuth error with a description",
        400,
        {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."},
        UpstreamDenied,
        (502, "Unknown or invalid refresh token.", "invalid_grant"),
    ),
    Refusal(
        "an OAuth error in a word",
        403,
        {"error": "invalid_grant"},
        UpstreamDenied,
        (502, "invalid_grant", "invalid_grant"),
    ),
    Refusal(
        "a code as the whole error",
        401,
        {"error": "refresh_token_reused"},
        UpstreamDenied,
        (502, "refresh_token_reused", "refresh_token_reused"),
    ),
    Refusal(
        "a 401 of another kind may pass",
        401,
        stated("try_later"),
        UpstreamUnavailable,
        (502, "Sign in again.", "try_later"),
    ),
    Refusal(
        "a client that is not known is not the token's fault",
        400,
        {"error": "invalid_client", "error_description": "Unknown client."},
        UpstreamUnavailable,
        (502, "Unknown client.", "invalid_client"),
    ),
    Refusal("a limit", 429, {"detail": "Slow down.", "retry_after": 7}, RateLimited, (429, "Slow down.", None)),
    Refusal("a fault of the service", 500, {"detail": "oops"}, UpstreamUnavailable, (503, "oops", None)),
    Refusal(
        "nothing said",
        503,
        None,
        UpstreamUnavailable,
        (503, "the upstream answered 503 without saying why", None),
    ),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_a_refusal_keeps_its_meaning(case: Refusal) -> None:
    error = renewal_refused(case.status, JSON, json.dumps(case.body).encode(), 7.0)
    assert type(error) is case.expected
    assert (error.status, error.message, error.code) == case.told
    assert error.upstream_status == case.status
    assert error.retry_after_s == (7.0 if case.status == 429 else None)


def test_a_page_is_a_check_and_not_a_dead_token() -> None:
    error = renewal_refused(403, {"content-type": "text/html"}, PAGE, None)
    assert isinstance(error, ChallengeRequired)
    assert "<html" not in error.message


@given(
    st.integers(400, 599),
    st.binary(max_size=60) | st.recursive(st.none() | st.text(), st.lists).map(repr).map(str.encode),
)
def test_any_refusal_is_one_of_our_errors(status: int, body: bytes) -> None:
    assert isinstance(renewal_refused(status, {}, body, None), UpstreamError)


def test_an_answer_is_read_for_what_it_says() -> None:
    said = read_renewal(b'{"access_token":"a","expires_in":60,"token_type":"Bearer","x":1}')
    assert (said.access_token, said.expires_in, said.token_type) == ("a", 60, "Bearer")
    assert (said.refresh_token, said.id_token, said.scope) == (None, None, None)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"access_token":null}', b"<html>", b"\xff", b"[" * 100_000])
def test_an_answer_without_a_token_is_a_violation(body: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        read_renewal(body)


@pytest.mark.parametrize("body", [b"{}", b'{"WARNING_BANNER":"x"}', b'{"accessToken":null}', b'{"accessToken":""}'])
def test_an_object_without_a_token_is_no_session(body: bytes) -> None:
    with pytest.raises(UpstreamDenied, match="opens no session"):
        read_session(body)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"<html>", b'{"accessToken":7}'])
def test_an_answer_that_is_no_object_is_a_violation(body: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        read_session(body)


class Cookies(Struct, frozen=True):
    id: str
    set_cookie: str
    expected: str | None


COOKIES = [
    Cookies("none", "", None),
    Cookies("one", f"{COOKIE}=new; Path=/; Secure", "new"),
    Cookies("one among others", f"oai-did=1; Path=/, {COOKIE}=new; HttpOnly, x=y", "new"),
    Cookies("a date has a comma too", f"{COOKIE}=new; Expires=Wed, 09 Jun 2027 10:18:14 GMT", "new"),
    Cookies("pieces", f"{COOKIE}.0=ne; Path=/, {COOKIE}.1=w; Path=/", "new"),
    Cookies("pieces in any order", f"{COOKIE}.1=w, {COOKIE}.0=ne", "new"),
    Cookies(
        "eleven pieces are in the order of numbers", ", ".join(f"{COOKIE}.{n}={n}" for n in range(11)), "012345678910"
    ),
    Cookies(
        "a whole that is taken back leaves the pieces", f"{COOKIE}=; Max-Age=0, {COOKIE}.0=ne, {COOKIE}.1=w", "new"
    ),
    Cookies("pieces that are taken back leave the whole", f"{COOKIE}=new, {COOKIE}.0=; Max-Age=0", "new"),
    Cookies("one that is taken back", f"{COOKIE}=; Max-Age=0", None),
    Cookies("another that begins alike", f"{COOKIE}-x=new", None),
]


@pytest.mark.parametrize("case", COOKIES, ids=lambda case: case.id)
def test_the_new_session_token_is_found(case: Cookies) -> None:
    assert read_cookie(case.set_cookie) == case.expected


@pytest.mark.parametrize("length", [1, LARGEST_COOKIE_CHARS, LARGEST_COOKIE_CHARS + 1, 3 * LARGEST_COOKIE_CHARS])
def test_a_session_token_is_sent_in_pieces_that_fit(length: int) -> None:
    token = "".join(chr(ord("a") + place % 26) for place in range(length))
    header = build_cookie(token)
    assert all(len(cookie) < 4096 for cookie in header.split("; "))
    assert read_cookie(header.replace("; ", ", ")) == token
