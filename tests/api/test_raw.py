"""`POST /backend-api/conversation`: the client's bytes reach the upstream, and the upstream's bytes the client."""

import json
import socket
from typing import Any

import httpx
import pytest

from tests.api.servers import (
    CAPTURES,
    KEY,
    PROMPT_MARK,
    Gateway,
    Upstream,
    directive,
    error_of,
    running_gateway,
    running_upstream,
)

PATH = "/backend-api/conversation"
CAPTURE = "delta_v1_free_gpt52_a"


def turn(prompt: str) -> dict[str, Any]:
    return {
        "action": "next",
        "model": "auto",
        "messages": [
            {
                "id": "5d1a1a3e-0000-4000-8000-000000000001",
                "author": {"role": "user"},
                "content": {"content_type": "text", "parts": [prompt]},
            }
        ],
        "parent_message_id": "5d1a1a3e-0000-4000-8000-000000000002",
        "timezone_offset_min": -480,
        "history_and_training_disabled": True,
    }


def test_a_recorded_stream_comes_through_byte_for_byte(socket_gateway: Gateway) -> None:
    answer = socket_gateway.web.post(PATH, json=turn(directive(capture=CAPTURE)))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert len(answer.headers["x-isthmus-account"]) == 16
    assert answer.content == (CAPTURES / f"{CAPTURE}.sse").read_bytes()


def test_it_comes_as_it_is_said(socket_gateway: Gateway) -> None:
    prompt = directive(text="one two three", chunk_chars=4, delay_ms=20)
    with socket_gateway.web.stream("POST", PATH, json=turn(prompt)) as answer:
        pieces = list(answer.iter_raw())
    assert len(pieces) > 3
    assert b"".join(pieces).endswith(b"data: [DONE]\n\n")


def test_the_body_reaches_the_upstream_with_its_role_mended(upstream_server: Upstream, socket_gateway: Gateway) -> None:
    asked = turn(f"{PROMPT_MARK} raw") | {"unknown": {"kept": [1.5, None]}}
    asked["messages"][0]["author"]["role"] = ""
    assert socket_gateway.web.post(PATH, json=asked).status_code == 200
    call = [call for call in upstream_server.log() if call["path"] == PATH][-1]
    asked["messages"][0]["author"]["role"] = "user"
    assert call["body"] == asked
    assert "openai-sentinel-chat-requirements-token" in call["sentinel_headers"]


def test_a_refusal_comes_back_in_the_upstreams_words(socket_gateway: Gateway) -> None:
    prompt = directive(status=422, body={"detail": [{"msg": "odd"}]})
    answer = socket_gateway.web.post(PATH, json=turn(prompt))
    assert (answer.status_code, answer.json()) == (422, {"detail": [{"msg": "odd"}]})


def test_a_page_does_not(socket_gateway: Gateway) -> None:
    answer = socket_gateway.web.post(PATH, json=turn(directive(status=503, body="<html>maintenance</html>")))
    assert answer.status_code == 503
    assert "<html" not in error_of(answer)["message"]


@pytest.mark.parametrize(
    ("body", "headers", "param"),
    [
        (b"[]", {}, None),
        (b"{", {}, None),
        (b"{}", {"x-isthmus-account": "../odd"}, "x-isthmus-account"),
        (b"{}", {"x-isthmus-account": "a" * 65}, "x-isthmus-account"),
    ],
)
def test_what_cannot_be_sent_is_refused(
    socket_gateway: Gateway, body: bytes, headers: dict[str, str], param: str | None
) -> None:
    answer = socket_gateway.web.post(PATH, content=body, headers=headers)
    assert (answer.status_code, error_of(answer)["param"]) == (400, param)


def test_it_needs_a_key(socket_gateway: Gateway) -> None:
    assert httpx.post(f"{socket_gateway.url}{PATH}", json=turn("Hi"), trust_env=False).status_code == 401


def test_an_account_that_is_not_there_is_told(socket_gateway: Gateway) -> None:
    answer = socket_gateway.web.post(PATH, json=turn("Hi"), headers={"x-isthmus-account": "0" * 16})
    assert (answer.status_code, error_of(answer)["code"]) == (409, "account_unavailable")


def test_a_stream_that_is_cut_upstream_is_cut_here(socket_gateway: Gateway) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        socket_gateway.web.post(PATH, json=turn(directive(text="one two three", cut_after_chars=4)))


@pytest.mark.parametrize("script", [{"first_delay_ms": 60_000}, {"text": "word " * 2_000, "delay_ms": 20}])
def test_a_client_that_leaves_frees_the_upstream(script: dict[str, Any]) -> None:
    body = json.dumps(turn(directive(**script))).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with running_upstream() as upstream, running_gateway(upstream.environ()) as gateway:
        host, _, port = gateway.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as client:
            client.sendall(head.encode() + body)
            for _ in range(5_000):
                if any(call["path"] == PATH for call in upstream.log()):
                    break
        upstream.log(disconnects=1, within_s=1.0)
        [call] = [call for call in upstream.log() if call["path"] == PATH]
        assert call["disconnected_at"] is not None
