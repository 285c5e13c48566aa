"""Tokens exchanged through the gateway: by the two routes, by a header, and for the pool; and never seen in a log."""

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from msgspec import Struct
from openai import AuthenticationError, OpenAI

from api import sessions
from tests.api.servers import GIVEN_OUT, TOKEN, Gateway, Upstream, error_of, running_gateway

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def open_gateway(upstream_server: Upstream) -> Iterator[Gateway]:
    """A gateway that lets callers in with accounts of their own."""
    with running_gateway(upstream_server.environ(ENABLE_EXTERNAL_TOKEN="true")) as gateway:
        yield gateway


def post(gateway: Gateway, path: str, **fields: object) -> httpx.Response:
    """Post without a key."""
    return httpx.post(f"{gateway.url}{path}", json=fields, timeout=30, trust_env=False)


def test_a_refresh_token_is_exchanged_and_its_replacement_given(socket_gateway: Gateway) -> None:
    answer = post(socket_gateway, "/auth/refresh", refresh_token=f"{TOKEN}-refresh")
    said = answer.json()
    assert answer.status_code == 200
    assert said.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert said["access_token"].startswith(GIVEN_OUT[0])
    assert (said["token_type"], said["expires_in"]) == ("Bearer", 3600)
    assert answer.headers["cache-control"] == "no-store"
    again = post(socket_gateway, "/auth/refresh", refresh_token=said["refresh_token"])
    assert again.status_code == 200
    error = error_of(post(socket_gateway, "/auth/refresh", refresh_token=f"{TOKEN}-refresh"))
    assert error["code"] == "refresh_token_reused"


def test_what_the_service_did_not_say_is_left_out(socket_gateway: Gateway) -> None:
    said = post(socket_gateway, "/auth/refresh", refresh_token="loopback-fixed-1").json()
    assert said.keys() == {"access_token", "token_type", "expires_in"}


@pytest.mark.parametrize("length", [20, 9_000], ids=["in one cookie", "in several cookies"])
def test_a_session_token_is_exchanged_and_its_replacement_given(socket_gateway: Gateway, length: int) -> None:
    token = f"{TOKEN}-{'s' * length}"
    said = post(socket_gateway, "/auth/session", session_token=token).json()
    assert said.keys() == {"access_token", "accessToken", "session_token", "expires"}
    assert said["access_token"] == said["accessToken"]
    assert said["session_token"].startswith(GIVEN_OUT[1])
    assert post(socket_gateway, "/auth/session", session_token=said["session_token"]).status_code == 200


class Refusal(Struct, frozen=True):
    id: str
    path: str
    body: bytes
    status: int
    told: tuple[str | None, str | None]
    """The code and the field."""


REFUSALS = [
    Refusal("no JSON", "/auth/refresh", b"refresh_token=x", 400, ("invalid_json", None)),
    Refusal("no object", "/auth/session", b"[]", 400, (None, None)),
    Refusal("no token", "/auth/refresh", b"{}", 400, ("missing_required_parameter", "refresh_token")),
    Refusal(
        "the other token",
        "/auth/session",
        b'{"refresh_token":"x"}',
        400,
        ("missing_required_parameter", "session_token"),
    ),
    Refusal("a null", "/auth/session", b'{"session_token":null}', 400, ("missing_required_parameter", "session_token")),
    Refusal("a number", "/auth/refresh", b'{"refresh_token":7}', 400, (None, "refresh_token")),
    Refusal("a blank", "/auth/refresh", b'{"refresh_token":" "}', 400, (None, "refresh_token")),
    Refusal("two words", "/auth/session", b'{"session_token":"a b"}', 400, (None, "session_token")),
    Refusal("a line break", "/auth/session", b'{"session_token":"a\\r\\nb"}', 400, (None, "session_token")),
    Refusal("a long one", "/auth/refresh", b'{"refresh_token":"%s"}' % (b"x" * 20_000), 400, (None, "refresh_token")),
    Refusal("a large body", "/auth/refresh", b'{"x":"%s"}' % (b"x" * 70_000), 413, ("request_too_large", None)),
    Refusal("a dead token", "/auth/refresh", b'{"refresh_token":"unknown"}', 401, ("refresh_token_invalidated", None)),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_a_refusal_has_the_usual_shape(case: Refusal, socket_gateway: Gateway) -> None:
    answer = httpx.post(
        f"{socket_gateway.url}{case.path}", content=case.body, headers=JSON, timeout=30, trust_env=False
    )
    error = error_of(answer)
    assert (answer.status_code, error["code"], error["param"]) == (case.status, *case.told)


class Trouble(Struct, frozen=True):
    id: str
    rule: dict[str, Any]
    status: int


TROUBLES = [
    Trouble("a limit", {"status": 429, "headers": {"retry-after": "30"}}, 429),
    Trouble("a fault", {"status": 500, "body": {"detail": "oops"}}, 503),
    Trouble("a page", {"status": 403, "body": "<html>Just a moment... _cf_chl_opt</html>"}, 403),
    Trouble("a refusal that may pass", {"status": 401, "body": {"error": "try_later"}}, 502),
]


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/session"])
@pytest.mark.parametrize("case", TROUBLES, ids=lambda case: case.id)
def test_trouble_upstream_keeps_its_meaning(
    case: Trouble, path: str, socket_gateway: Gateway, upstream_server: Upstream
) -> None:
    token = f"{TOKEN}-{case.id.replace(' ', '-')}-{path[6:]}"
    upstream_server.script(token=token, times=1, **case.rule)
    answer = post(socket_gateway, path, **{f"{path[6:]}_token": token})
    is_refused_session = path == "/auth/session" and case.rule["status"] == 401
    assert answer.status_code == (401 if is_refused_session else case.status)
    assert answer.headers.get("retry-after") == case.rule.get("headers", {}).get("retry-after")
    assert token not in error_of(answer)["message"]
    assert "<html" not in answer.text


def test_whoever_says_nothing_is_not_waited_for(socket_gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "BODY_TIMEOUT_S", 0.05)
    address = urlsplit(socket_gateway.url)
    head = f"POST /auth/refresh HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 100\r\n\r\n{{"
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 408"


def test_the_routes_take_nothing_but_post(socket_gateway: Gateway) -> None:
    for path in ("/auth/refresh", "/auth/session"):
        assert socket_gateway.web.get(path).status_code == 405


# A refresh token in the header.


def test_the_sdk_speaks_with_a_refresh_token(open_gateway: Gateway, upstream_server: Upstream) -> None:
    token = f"{TOKEN}-{'r' * 64}"
    before = exchanges(upstream_server)
    with OpenAI(api_key=token, base_url=f"{open_gateway.url}/v1", max_retries=0) as client:
        for words in ("hello", "again"):
            answer = client.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": f"Say {words}"}]
            )
            assert answer.choices[0].message.content == words.capitalize()
    assert exchanges(upstream_server) == before + 1


def test_the_sdk_is_told_that_a_refresh_token_is_dead(open_gateway: Gateway) -> None:
    client = OpenAI(api_key="dead" * 20, base_url=f"{open_gateway.url}/v1", max_retries=0)
    with client, pytest.raises(AuthenticationError) as caught:
        client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Say hello"}])
    assert caught.value.code == "refresh_token_invalidated"


def test_a_refresh_token_of_ones_own_goes_with_a_key_too(socket_gateway: Gateway) -> None:
    key = socket_gateway.web.headers["authorization"]
    answer = socket_gateway.chat("Say hello", headers={"Authorization": f"{key} {TOKEN}-short,team-1"})
    assert answer.status_code == 200


# The pool.


def test_the_pool_may_be_of_every_kind(upstream_server: Upstream) -> None:
    kinds = {"CHATGPT_REFRESH_TOKENS": f"{TOKEN}-pool-refresh", "CHATGPT_SESSION_TOKENS": f"{TOKEN}-pool-session"}
    before = exchanges(upstream_server)
    with running_gateway(upstream_server.environ(**kinds)) as gateway:
        assert gateway.web.get("/v1/accTokens").json()["count"] == 3
        for number in range(12):
            answer = gateway.chat(f"Say hello {number}")
            assert answer.json()["choices"][0]["message"]["content"] == f"Hello {number}"
    assert exchanges(upstream_server) == before + 2


def test_a_kept_conversation_is_reached_after_a_restart_and_another_exchange(upstream_server: Upstream) -> None:
    environ = {"CHATGPT_ACCESS_TOKENS": "", "CHATGPT_REFRESH_TOKENS": f"loopback-fixed-{TOKEN}"}
    identity = ""
    for _ in range(2):
        with running_gateway(upstream_server.environ(**environ)) as gateway:
            if not identity:
                said = gateway.web.post("/v1/responses", json={"model": "auto", "input": "Say hello"})
                identity = said.json()["id"]
                continue
            answer = gateway.web.get(f"/v1/responses/{identity}")
            assert answer.json()["output"][-1]["content"][0]["text"] == "Hello"


def exchanges(upstream: Upstream) -> int:
    return sum(call["path"] in ("/oauth/token", "/api/auth/session") for call in upstream.log())
