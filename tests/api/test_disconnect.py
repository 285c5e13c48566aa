"""A client that leaves takes its upstream connection with it, within a second."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct
from openai import OpenAI

from tests.api.children import GRACE_S, child
from tests.api.servers import KEY, Upstream, chat_body, directive, running_gateway, running_upstream

WITHIN_S = 1.0
LONG = {"text": "word " * 2_000, "chunk_chars": 5, "delay_ms": 20}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """An upstream of the test's own: its log counts every disconnect."""
    with running_upstream() as upstream:
        yield upstream


class Case(Struct, frozen=True):
    """`hears` is what the client waits for before it leaves; empty means that the turn has reached the upstream."""

    name: str
    script: dict[str, Any]
    stream: bool
    hears: bytes = b""
    environ: dict[str, str] = {}


CASES = [
    Case("a stream before its first token", {"first_delay_ms": 60_000}, stream=True),
    Case("a stream after its first token", LONG, stream=True, hears=b'"content":"word '),
    Case(
        "a stream of heartbeats",
        {"first_delay_ms": 60_000},
        stream=True,
        hears=b":",
        environ={"HEARTBEAT_SECONDS": "0.2"},
    ),
    Case("a whole answer before its first token", {"first_delay_ms": 60_000}, stream=False),
    Case("a whole answer in the middle of it", LONG, stream=False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_client_that_leaves_frees_the_upstream_within_a_second(case: Case, upstream: Upstream) -> None:
    with running_gateway(upstream.environ(**case.environ)) as gateway:
        with connection(gateway.url) as client:
            client.sendall(request_bytes(directive(**case.script), case.stream))
            upstream.wait_for_turn()
            heard = b""
            while case.hears not in heard:
                heard += client.recv(4096)
        left_at = time.time()
        upstream.log(disconnects=1, within_s=WITHIN_S)
        turn = upstream.turns()[0]
    assert turn["disconnected_at"] is not None
    assert turn["disconnected_at"] - left_at < WITHIN_S


def test_a_stall_of_the_sentinel_is_left_too(upstream: Upstream) -> None:
    upstream.script(path="/chat-requirements/prepare", stall=True)
    with running_gateway(upstream.environ()) as gateway:
        with connection(gateway.url) as client:
            client.sendall(request_bytes("Say hello", stream=True))
            for _ in range(5_000):
                if upstream.log():
                    break
        calls = upstream.log(disconnects=1, within_s=WITHIN_S)
    assert [call["path"] for call in calls if call["disconnected_at"]] == [
        "/backend-api/sentinel/chat-requirements/prepare"
    ]


def test_the_sdk_closing_its_stream_frees_the_upstream(upstream: Upstream) -> None:
    with running_gateway(upstream.environ()) as gateway:
        with OpenAI(api_key=KEY, base_url=f"{gateway.url}/v1", max_retries=0) as client:
            messages = chat_body(directive(**LONG))["messages"]
            with client.chat.completions.create(model="auto", messages=messages, stream=True) as stream:
                assert next(iter(stream)).choices[0].delta.role == "assistant"
        upstream.log(disconnects=1, within_s=WITHIN_S)
        assert upstream.turns()[0]["disconnected_at"] is not None


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_limit_frees_the_upstream_too(stream: bool, upstream: Upstream) -> None:
    """What comes after a stop sequence is not wanted: nobody pays for it."""
    with running_gateway(upstream.environ()) as gateway:
        script = LONG | {"text": "one two three four " * 500}
        answer = gateway.chat(directive(**script), stream=stream, stop=["three"])
        assert answer.status_code == 200
        upstream.log(disconnects=1, within_s=WITHIN_S)
        assert upstream.turns()[0]["disconnected_at"] is not None


def test_a_client_that_leaves_before_its_body_is_whole_does_no_harm(upstream: Upstream) -> None:
    with running_gateway(upstream.environ()) as gateway:
        for _ in range(3):
            with connection(gateway.url) as client:
                client.sendall(request_bytes("Say hello", stream=True)[:-10])
        assert gateway.chat("Say hello").status_code == 200
    assert len(upstream.turns()) == 1


def connection(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def request_bytes(prompt: str, stream: bool) -> bytes:
    body = json.dumps(chat_body(prompt, stream=stream)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {KEY}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def test_a_client_that_stops_reading_does_not_hang_the_shutdown(upstream: Upstream) -> None:
    flood = directive(text="x" * 10_000, repeat=3_000, chunk_chars=10_000)
    with child("gateway", upstream.environ()) as (_, url):
        client = connection(url)
        client.sendall(request_bytes(flood, stream=True))
        assert client.recv(16).startswith(b"HTTP/1.1 200")
        stopped_at = time.monotonic()
    # Leaving the block has stopped the process: it is given two seconds of grace.
    assert time.monotonic() - stopped_at < GRACE_S + 2 * WITHIN_S
    client.close()
