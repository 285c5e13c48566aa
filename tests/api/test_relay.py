"""Bytes of a vendor of the client's own format: what a network, a slow vendor and a leaving client make of them."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from tests.api.servers import (
    KEY,
    Gateway,
    Upstream,
    chat_body,
    comments,
    content,
    data_frames,
    directive,
    error_of,
    running_gateway,
    running_upstream,
)

MODEL = "acme/loopback-large"
WITHIN_S = 1.0
TOOL: Any = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with running_upstream() as upstream:
        yield upstream


def environ(upstream: Upstream, **others: str) -> dict[str, str]:
    vendor = {"name": "acme", "kind": "openai", "base_url": f"{upstream.url}/v1", "key": "loopback-vendor-key-4c1"}
    return upstream.environ(UPSTREAMS=json.dumps([vendor]), **others)


@pytest.fixture(scope="module")
def gateway(upstream: Upstream) -> Iterator[Gateway]:
    with running_gateway(environ(upstream)) as gateway:
        yield gateway


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_client_that_leaves_frees_the_vendor(upstream: Upstream, gateway: Gateway, stream: bool) -> None:
    before = sum(call["disconnected_at"] is not None for call in upstream.log())
    prompt = directive(text="word " * 2_000, chunk_chars=5, delay_ms=20)
    body = chat_body(prompt, model=MODEL, stream=stream)
    if stream:
        with gateway.web.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert "chat.completion.chunk" in next(answer.iter_text())
    else:
        with pytest.raises(Exception, match="timed out"):
            gateway.web.post(
                "/v1/chat/completions",
                json=chat_body(directive(text="Hi", stall_after_chars=0), model=MODEL),
                timeout=0.3,
            )
    left_at = time.time()
    calls = upstream.log(disconnects=before + 1, within_s=WITHIN_S)
    gone = [call["disconnected_at"] for call in calls if call["disconnected_at"] is not None]
    assert len(gone) == before + 1
    assert gone[-1] - left_at < WITHIN_S


def test_a_silent_vendor_is_waited_for_with_heartbeats_between_whole_frames(upstream: Upstream) -> None:
    prompt = directive(text="Hello there", first_delay_ms=250, delay_ms=120)
    with running_gateway(environ(upstream, HEARTBEAT_SECONDS="0.1")) as gateway:
        answer = gateway.chat(prompt, model=MODEL, stream=True)
    assert comments(answer.text) >= 2
    assert all(block.startswith((": ", "data: ")) for block in answer.text.strip().split("\n\n"))
    assert content(data_frames(answer.text)) == "Hello there"


def test_where_there_are_no_streams_none_is_asked_for(upstream: Upstream) -> None:
    with running_gateway(environ(upstream, STREAM_MODE="false")) as gateway:
        answer = gateway.chat("Say hello", model=MODEL, stream=True, stream_options={"include_usage": True})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["choices"][0]["message"]["content"] == "Hello"
    asked = upstream.log()[-1]["body"]
    assert (asked["stream"], "stream_options" in asked) == (False, False)


def test_fields_that_this_gateway_refuses_elsewhere_pass_to_a_vendor_that_may_know_them(
    upstream: Upstream, gateway: Gateway
) -> None:
    assert gateway.chat("Say hello", model=MODEL, n=2, logprobs=True).status_code == 200
    asked = upstream.log()[-1]["body"]
    assert (asked["n"], asked["logprobs"]) == (2, True)
    assert error_of(gateway.chat("Say hello", n=2))["param"] == "n"


def test_options_are_fields_of_their_own_to_a_vendor(upstream: Upstream, gateway: Gateway) -> None:
    """JR-16: the seed's knobs for servers such as vLLM; ChatGPT Web names them as ignored."""
    answer = gateway.chat("Say hello", model=MODEL, options={"min_p": 0.1, "top_k": 3}, seed=7)
    assert answer.status_code == 200
    asked = upstream.log()[-1]["body"]
    assert (asked["min_p"], asked["top_k"], asked["seed"]) == (0.1, 3, 7)
    assert "options" not in asked
    assert "options" in gateway.chat("Say hello", options={"min_p": 0.1}).headers["x-isthmus-ignored-params"]
    refused = gateway.chat("Say hello", model=MODEL, options=7)
    assert (refused.status_code, error_of(refused)["param"]) == (400, "options")


@pytest.fixture(scope="module")
def chain(gateway: Gateway) -> Iterator[OpenAI]:
    """A gateway whose vendor is another gateway, whose vendor is simulated."""
    inner = {"name": "inner", "kind": "openai", "base_url": f"{gateway.url}/v1", "key": KEY, "models": ["*"]}
    environ = {"AUTH_TOKENS": KEY, "UPSTREAMS": json.dumps([inner])}
    with running_gateway(environ) as outer, OpenAI(api_key=KEY, base_url=f"{outer.url}/v1", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("model", [MODEL, "auto"], ids=["a vendor", "ChatGPT Web"])
def test_a_gateway_may_be_the_vendor_of_a_gateway(chain: OpenAI, model: str) -> None:
    messages: Any = [{"role": "user", "content": "How is the weather?"}]
    with chain.chat.completions.stream(model=model, messages=messages, tools=[TOOL]) as stream:
        stream.until_done()
        first = stream.get_final_completion().choices[0].message
    [call] = first.tool_calls or []
    messages += [first.to_dict(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    second = chain.chat.completions.create(model=model, messages=messages, tools=[TOOL])
    assert 'get_weather answered "sunny"' in str(second.choices[0].message.content)


def test_a_chain_of_gateways_translates_too(chain: OpenAI) -> None:
    with chain.responses.stream(model=MODEL, input="Say hello") as stream:
        stream.until_done()
        assert stream.get_final_response().output_text == "Hello"


def test_a_chain_of_gateways_lists_the_models_of_the_last(chain: OpenAI) -> None:
    names = {model.id for model in chain.models.list()}
    assert {"auto", MODEL} <= names
