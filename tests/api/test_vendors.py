"""Simulated vendors through the whole gateway: who answers, what passes as it is, what is tried next."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct
from openai import OpenAI

from tests.api.servers import (
    KEY,
    SIMULATED,
    Gateway,
    Upstream,
    content,
    data_frames,
    directive,
    error_of,
    finish_reasons,
    running_gateway,
)

VENDOR_KEY = "loopback-vendor-key-4c1"
VENDORS = {
    "OPENAI_API_KEY": VENDOR_KEY,
    "OPENAI_BASE_URL": "loopback://openai/v1",
    "MODEL_ROUTES": "smart=openai/loopback-large; down-then-up=down,openai/loopback-large",
    "UPSTREAMS": '[{"name": "down", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "key": "loopback-x"},'
    ' {"name": "plain", "kind": "openai", "base_url": "loopback://openai/v1", "key": "loopback-y",'
    ' "capabilities": {"tools": false, "structured_output": false}},'
    ' {"name": "schemaless", "kind": "openai", "base_url": "loopback://openai/v1", "key": "loopback-z",'
    ' "capabilities": {"json_schema": false}},'
    ' {"name": "wrong", "kind": "openai", "base_url": "loopback://openai/v1", "key": "sk-bad-7f"}]',
}
ROUTE = "best=chatgpt_web/auto,openai/loopback-large"
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway({**SIMULATED, **VENDORS}) as gateway:
        yield gateway


class Case(Struct, frozen=True):
    id: str
    model: str
    upstream: str
    answered_as: str


ROUTED = [
    Case("a prefix names the vendor", "openai/loopback-small", "openai", "loopback-small"),
    Case("a route names vendor and model", "smart", "openai", "loopback-large"),
    Case("what nobody claims goes to ChatGPT Web", "gpt-5-6", "chatgpt_web", "gpt-5-6"),
    Case("one that cannot be reached is passed over", "down-then-up", "openai", "loopback-large"),
]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("case", ROUTED, ids=lambda case: case.id)
def test_the_model_name_decides_who_answers(gateway: Gateway, case: Case, stream: bool) -> None:
    answer = gateway.chat("Say hello", model=case.model, stream=stream)
    assert answer.status_code == 200
    assert answer.headers["x-isthmus-upstream"] == case.upstream
    if stream:
        frames = data_frames(answer.text)
        assert (content(frames), finish_reasons(frames), frames[-1]) == ("Hello", ["stop"], "[DONE]")
        assert frames[0]["model"] == case.answered_as
    else:
        assert answer.json()["choices"][0]["message"]["content"] == "Hello"


def test_bytes_of_the_same_format_pass_as_they_are(gateway: Gateway) -> None:
    """Fields that only the vendor has are still there, and usage comes exactly when it was asked for."""
    frames = data_frames(gateway.chat("Say hello", model="smart", stream=True).text)
    assert all(frame["service_tier"] == "default" for frame in frames[:-1])
    assert all("usage" not in frame for frame in frames[:-1])
    counted = gateway.chat("Say hello", model="smart", stream=True, stream_options={"include_usage": True})
    assert data_frames(counted.text)[-2]["usage"]["completion_tokens_details"] == {
        "reasoning_tokens": 0,
        "audio_tokens": 0,
    }


def test_a_vendors_own_function_calling_is_used(gateway: Gateway) -> None:
    client = OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY)
    messages: list[Any] = [{"role": "user", "content": "How is the weather?"}]
    tools: list[Any] = [WEATHER]
    first = client.chat.completions.create(model="smart", messages=messages, tools=tools)
    [call] = first.choices[0].message.tool_calls or []
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    second = client.chat.completions.create(model="smart", messages=messages, tools=tools)
    assert 'get_weather answered "sunny"' in str(second.choices[0].message.content)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_vendor_without_function_calling_is_given_it(gateway: Gateway, stream: bool) -> None:
    """The simulated vendor reads of the tools in the prompt, as a model would, and is offered none of its own."""
    client = OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY)
    model, messages, tools = "plain/loopback-small", [{"role": "user", "content": "How is the weather?"}], [WEATHER]
    first = turn(client, stream, model=model, messages=messages, tools=tools)
    [call] = first.tool_calls or []
    assert (call.function.name, json.loads(call.function.arguments).keys()) == ("get_weather", {"city"})
    said = first.to_dict(exclude_none=True)
    messages += [said, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    second = turn(client, stream, model=model, messages=messages, tools=tools)
    assert 'get_weather answered "sunny"' in second.content


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_vendor_without_structured_output_is_given_it(gateway: Gateway, stream: bool) -> None:
    client = OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    format_ = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    messages = [{"role": "user", "content": "How many?"}]
    answer = turn(client, stream, model="plain/loopback-small", messages=messages, response_format=format_)
    assert isinstance(json.loads(answer.content)["n"], int)


@pytest.mark.parametrize(
    ("format_", "passes"),
    [
        ({"type": "json_object"}, True),
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}, False),
    ],
    ids=["JSON passes as it is", "a schema is the gateway's matter"],
)
def test_a_vendor_whose_json_has_no_schema(gateway: Gateway, format_: dict[str, Any], passes: bool) -> None:
    answer = gateway.chat("How many, in JSON?", model="schemaless/loopback-small", response_format=format_).json()
    assert (answer.get("system_fingerprint") == "fp_loopback") is passes
    assert isinstance(json.loads(answer["choices"][0]["message"]["content"]), dict)


def turn(client: OpenAI, stream: bool, **fields: Any) -> Any:
    """Return the message of an answer."""
    if not stream:
        return client.chat.completions.create(**fields).choices[0].message
    with client.chat.completions.stream(**fields) as told:
        told.until_done()
        return told.get_final_completion().choices[0].message


def test_responses_over_a_vendor_that_speaks_chat(gateway: Gateway) -> None:
    client = OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY)
    call = {"name": "get_weather", "arguments": {"city": "x"}}
    scripted = directive(reasoning="hm", text="Let me look.", calls=[call])
    tool: Any = {"type": "function", **WEATHER["function"], "strict": False}
    with client.responses.stream(model="smart", input=scripted, tools=[tool]) as stream:
        stream.until_done()
        response = stream.get_final_response()
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call"]
    assert response.usage is not None
    assert response.usage.output_tokens_details.reasoning_tokens == 1


class Fault(Struct, frozen=True):
    id: str
    keys: dict[str, Any]
    status: int
    code: str | None


FAULTS = [
    Fault("a limit keeps its wait", {"status": 429, "headers": {"retry-after": "7"}}, 429, "rate_limit_error"),
    Fault("a request that the vendor refuses keeps its status", {"status": 404}, 404, "not_found_error"),
    Fault("a vendor that fails is unavailable", {"status": 500}, 503, "api_error"),
]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.id)
def test_a_vendors_error_keeps_its_meaning(gateway: Gateway, case: Fault, stream: bool) -> None:
    answer = gateway.chat(directive(**case.keys), model="smart", stream=stream)
    assert (answer.status_code, error_of(answer)["code"]) == (case.status, case.code)
    if case.status == 429:
        assert answer.headers["retry-after"] == "7"


def test_a_refused_vendor_key_is_the_operators_and_is_not_shown(gateway: Gateway) -> None:
    answer = gateway.chat(model="wrong/x")
    assert (answer.status_code, error_of(answer)["code"]) == (502, "upstream_key_refused")
    assert "sk-bad" not in answer.text


@pytest.mark.parametrize("keys", [{"cut_after_chars": 5}, {"error_after_chars": 5}], ids=["cut", "error"])
def test_a_relayed_stream_that_fails_ends_legally(gateway: Gateway, keys: dict[str, Any]) -> None:
    answer = gateway.chat(directive(text="Hello there, you.", **keys), model="smart", stream=True)
    frames = data_frames(answer.text)
    assert content(frames) == "Hello"
    assert [frame for frame in frames if "error" in frame] != []
    assert frames[-1] == "[DONE]"


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("rule", [{"status": 500}, {"cut": True}, {"stall": True}], ids=["500", "cut", "silence"])
def test_a_route_falls_back_before_the_first_byte(
    upstream_server: Upstream, rule: dict[str, Any], stream: bool
) -> None:
    """The first target is ChatGPT Web on a port, scripted to fail for this account; the second a simulated vendor."""
    environ = upstream_server.environ(**{**VENDORS, "MODEL_ROUTES": ROUTE})
    upstream_server.script(token=environ["CHATGPT_ACCESS_TOKENS"], path="/f/conversation", **rule)
    with running_gateway(environ, FIRST_BYTE_TIMEOUT_SECONDS="0.3") as gateway:
        answer = gateway.chat("Say hello", model="best", stream=stream)
        assert (answer.status_code, answer.headers["x-isthmus-upstream"]) == (200, "openai")
        assert "Hell" in answer.text


def test_a_request_error_never_falls_back(upstream_server: Upstream) -> None:
    environ = upstream_server.environ(**{**VENDORS, "MODEL_ROUTES": ROUTE})
    upstream_server.script(token=environ["CHATGPT_ACCESS_TOKENS"], path="/f/conversation", status=413)
    with running_gateway(environ) as gateway:
        answer = gateway.chat("Say hello", model="best")
        assert (answer.status_code, error_of(answer)["code"]) == (400, "context_length_exceeded")


def test_a_caller_with_an_account_of_their_own_cannot_use_the_operators_vendors() -> None:
    with running_gateway({**SIMULATED, **VENDORS}, ENABLE_EXTERNAL_TOKEN="true") as gateway:
        own = {"Authorization": "Bearer eyJhbGciOiJSUzI1NiJ9.e30.x"}
        refused = gateway.chat("Say hello", model="openai/loopback-large", headers=own)
        assert (refused.status_code, error_of(refused)["param"]) == (403, "model")
        assert gateway.chat("Say hello", model="smart", headers=own).headers["x-isthmus-upstream"] == "chatgpt_web"
