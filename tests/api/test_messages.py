"""Anthropic's dialect through the whole gateway, by its own SDK: over a vendor that speaks it, and over others."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from anthropic import (
    Anthropic,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    RateLimitError,
)
from msgspec import Struct
from openai import OpenAI

from tests.api.servers import KEY, PROMPT_MARK, SIMULATED, Gateway, Upstream, directive, running_gateway

VENDOR_KEY = "loopback-vendor-key-8e2"
VENDORS = {
    "ANTHROPIC_API_KEY": VENDOR_KEY,
    "OPENAI_API_KEY": VENDOR_KEY,
    "OPENAI_BASE_URL": "loopback://openai/v1",
    "UPSTREAMS": json.dumps(
        [
            {"name": "wrong", "kind": "anthropic", "base_url": "loopback://anthropic", "key": "sk-bad-7f"},
            {"name": "uncounted", "kind": "anthropic", "base_url": "loopback://anthropic/none", "key": "loopback-x"},
        ]
    ),
}
CLAUDE = "claude-sonnet-4-6"
OVER = [CLAUDE, "openai/loopback-large", "auto"]
"""A vendor that speaks the format, one that does not, and ChatGPT Web, which has no tools of its own."""

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {"name": "get_weather", "description": "Tells.", "input_schema": SCHEMA}
CITIES = ("Oslo", "Rome", "Bonn")


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway({**SIMULATED, **VENDORS}, ANTHROPIC_BASE_URL="loopback://anthropic") as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        yield client


def asking(prompt: object, **fields: Any) -> dict[str, Any]:
    return {"max_tokens": 1000, "messages": [{"role": "user", "content": prompt}], **fields}


def answer(client: Anthropic, *, stream: bool, **fields: Any) -> Any:
    if not stream:
        return client.messages.create(**fields)
    with client.messages.stream(**fields) as events:
        return events.get_final_message()


def post(gateway: Gateway, body: dict[str, Any], path: str = "/v1/messages", **headers: str) -> httpx.Response:
    return gateway.web.post(path, json=body, headers=headers)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("model", OVER)
def test_text_after_thought(client: Anthropic, model: str, stream: bool) -> None:
    asked = asking(directive(reasoning="hm", text="Hello"), thinking={"type": "adaptive"})
    message = answer(client, stream=stream, model=model, **asked)
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert (message.content[0].thinking, message.content[1].text) == ("hm", "Hello")
    assert (message.model, message.stop_reason) == (model, "end_turn")
    assert bool(message.content[0].signature) == (model == CLAUDE)
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("model", [model for model in OVER if model != CLAUDE])
@pytest.mark.parametrize("thinking", [{}, {"thinking": {"type": "disabled"}}], ids=["nothing said", "disabled"])
def test_thought_that_nobody_asked_for_is_not_shown(
    client: Anthropic, model: str, stream: bool, thinking: dict[str, Any]
) -> None:
    asked = asking(directive(reasoning="hm", text="Hello"), **thinking)
    message = answer(client, stream=stream, model=model, **asked)
    assert [(block.type, block.text) for block in message.content] == [("text", "Hello")]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("model", OVER)
def test_three_calls_and_their_results(client: Anthropic, model: str, stream: bool) -> None:
    """What tools answered comes back in one turn, with thoughts and a reminder, as Claude Code sends it."""
    calls = [{"name": "get_weather", "arguments": {"city": city}} for city in CITIES]
    rounds = [{"reasoning": "hm", "text": "Let me look.", "calls": calls}, {"text": "Done."}]
    asked = asking(directive(rounds=rounds), tools=[WEATHER])
    first = answer(client, stream=stream, model=model, **asked)
    made = [block for block in first.content if block.type == "tool_use"]
    assert ([call.input["city"] for call in made], first.stop_reason) == (list(CITIES), "tool_use")
    results: list[Any] = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"Sunny in {call.input['city']}"} for call in made
    ]
    turns = [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {
            "role": "user",
            "content": [*results, {"type": "text", "text": "<system-reminder>Be kind.</system-reminder>"}],
        },
    ]
    second = answer(client, stream=stream, model=model, **{**asked, "messages": [*asked["messages"], *turns]})
    assert [(block.type, block.text) for block in second.content] == [("text", "Done.")]


@pytest.mark.parametrize("model", OVER)
def test_a_tool_that_must_be_called(client: Anthropic, model: str) -> None:
    choice: Any = {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}
    message = answer(client, stream=True, model=model, **asking("Say hello", tools=[WEATHER], tool_choice=choice))
    assert [block.type for block in message.content] == ["tool_use"]


@pytest.mark.parametrize("model", OVER)
def test_a_search_that_must_be_made(client: Anthropic, model: str) -> None:
    search: Any = {"type": "web_search_20250305", "name": "web_search"}
    choice: Any = {"type": "any"}
    message = answer(client, stream=True, model=model, **asking("Say hello", tools=[search], tool_choice=choice))
    assert [block.type for block in message.content] == ["text"]


@pytest.mark.parametrize("model", OVER)
def test_a_schema_for_the_answer(client: Anthropic, model: str) -> None:
    config: Any = {"format": {"type": "json_schema", "schema": {**SCHEMA, "additionalProperties": False}}}
    message = answer(client, stream=False, model=model, **asking("Say hello", output_config=config))
    assert json.loads(message.content[0].text).keys() == {"city"}


def test_an_answer_and_an_error_tell_their_request(client: Anthropic) -> None:
    headers = {"x-request-id": "r-1"}
    message = client.messages.create(model="auto", extra_headers=headers, **asking("Say hello"))
    assert message._request_id == "r-1"
    with pytest.raises(BadRequestError) as raised:
        client.messages.create(model="auto", extra_headers=headers, max_tokens=9, messages=[])
    assert raised.value.request_id == "r-1"


def test_a_picture_goes_along(client: Anthropic) -> None:
    picture = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    content = [{"type": "text", "text": "What is it?"}, {"type": "image", "source": picture}]
    message = answer(client, stream=False, model="openai/loopback-large", **asking(content))
    assert "image_url" in message.content[0].text


def test_bytes_of_the_same_format_pass_as_they_are(upstream_server: Upstream) -> None:
    """Fields and headers that only Anthropic knows arrive there, and what it says arrives here."""
    environ = upstream_server.environ(**VENDORS, ANTHROPIC_BASE_URL=upstream_server.url)
    form = {"format": {"type": "json_schema", "schema": {"type": "integer", "minimum": 1}}}
    body = asking(directive(text="1"), model=CLAUDE, stream=True, output_config=form, brand_new=1)
    headers = {"anthropic-beta": "context-management-2025-06-27", "anthropic-version": "2026-10-21"}
    with running_gateway(environ) as gateway:
        told = post(gateway, {**body, "tools": [WEATHER], "tool_choice": {"type": "none"}}, **headers)
        renamed = post(gateway, {**body, "model": "anthropic/claude-x", "stream": False}, **headers)
    first, second = [call for call in upstream_server.log() if call["path"] == "/v1/messages"][-2:]
    assert (first["body"]["brand_new"], first["body"]["output_config"]) == (1, form)
    assert first["anthropic_headers"] == second["anthropic_headers"] == headers
    assert second["body"]["model"] == "claude-x"
    assert "event: ping\n" in told.text
    assert "x-isthmus-ignored-params" not in told.headers
    assert renamed.json()["usage"]["cache_creation_input_tokens"] == 0


def test_thoughts_of_another_model_do_not_reach_anthropic(gateway: Gateway) -> None:
    """They have no signature, and Anthropic refuses those: the request is written anew, without them."""
    thought = {"type": "thinking", "thinking": "hm", "signature": ""}
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "Say hello"},
    ]
    told = post(gateway, {"model": CLAUDE, "max_tokens": 9, "messages": messages, "metadata": {"user_id": "u"}})
    assert (told.status_code, told.json()["content"][0]["text"]) == (200, "Hello")


def test_a_whole_answer_may_be_insisted_on() -> None:
    with running_gateway({**SIMULATED, **VENDORS}, ANTHROPIC_BASE_URL="loopback://anthropic", STREAM_MODE="0") as other:
        told = post(other, asking("Say hello", model=CLAUDE, stream=True))
    assert told.json()["content"] == [{"type": "text", "text": "Hello"}]


def test_fields_that_nobody_honours_are_named(gateway: Gateway) -> None:
    fields: dict[str, Any] = {"metadata": {"user_id": "u"}, "context_management": {"edits": []}, "top_k": 3}
    told = post(gateway, asking("Say hello", model="auto", **fields))
    assert told.headers["x-isthmus-ignored-params"] == "metadata, context_management, top_k"


class Fault(Struct, frozen=True):
    id: str
    keys: dict[str, Any]
    raised: type[APIStatusError]
    kind: str


FAULTS = [
    Fault("a limit", {"status": 429, "headers": {"retry-after": "7"}}, RateLimitError, "rate_limit_error"),
    Fault("a refused request", {"status": 400}, BadRequestError, "invalid_request_error"),
    Fault("a failure", {"status": 500}, InternalServerError, "overloaded_error"),
    Fault("too much to do", {"status": 529}, InternalServerError, "overloaded_error"),
]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("model", OVER[:2])
@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.id)
def test_an_error_has_its_class(client: Anthropic, case: Fault, model: str, stream: bool) -> None:
    with pytest.raises(case.raised) as caught:
        answer(client, stream=stream, model=model, **asking(directive(**case.keys)))
    assert caught.value.type == case.kind
    if case.kind == "rate_limit_error":
        assert caught.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("model", OVER)
@pytest.mark.parametrize("keys", [{"cut_after_chars": 60}, {"error_after_chars": 60}], ids=["cut", "error"])
def test_a_failure_in_the_middle_is_the_last_event(gateway: Gateway, model: str, keys: dict[str, Any]) -> None:
    """A text that speaks of the end is not the end."""
    text = 'Hell"type":"message_stop"\nevent: message_stop\nevent: error\nare words of mine'
    told = post(gateway, asking(directive(text=text, chunk_chars=90, **keys), model=model, stream=True))
    events = told.text.split("\n\n")[:-1]
    assert events[0].startswith("event: message_start\n")
    assert events[-1].startswith("event: error\n")
    assert json.loads(events[-1].split("data: ")[1])["type"] == "error"
    assert "event: message_stop\ndata" not in told.text


def test_too_much_to_do_in_the_middle_keeps_its_kind(gateway: Gateway) -> None:
    told = post(gateway, asking(directive(error_after_chars=5), model=CLAUDE, stream=True))
    last = told.text.split("\n\n")[-2]
    assert json.loads(last.split("data: ")[1])["error"] == {"type": "overloaded_error", "message": "Overloaded"}


def test_a_wrong_key_and_a_refused_vendor_key(gateway: Gateway, client: Anthropic) -> None:
    with Anthropic(base_url=gateway.url, api_key="sk-wrong", max_retries=0) as stranger:
        with pytest.raises(AuthenticationError) as caught:
            stranger.messages.create(model="auto", **asking("Hi"))
        assert caught.value.type == "authentication_error"
    with pytest.raises(InternalServerError) as refused:
        client.messages.create(model="wrong/x", **asking("Hi"))
    assert (refused.value.status_code, "sk-bad" in str(refused.value)) == (502, False)


def test_a_bad_request_names_its_field(client: Anthropic) -> None:
    messages: list[Any] = [{"role": "queen", "content": "x"}]
    with pytest.raises(BadRequestError, match=r"messages\[0\]\.role"):
        client.messages.create(model="auto", max_tokens=9, messages=messages)


class Counted(Struct, frozen=True):
    id: str
    model: str
    estimated: bool


COUNTED = [
    Counted("by the vendor", CLAUDE, False),
    Counted("by the vendor, under its own name", "anthropic/claude-x", False),
    Counted("here, for a vendor of another format", "openai/loopback-large", True),
    Counted("here, for ChatGPT Web", "auto", True),
    Counted("here, for a vendor that does not count", "uncounted/claude-x", True),
]


@pytest.mark.parametrize("case", COUNTED, ids=lambda case: case.id)
def test_tokens_are_counted(gateway: Gateway, case: Counted) -> None:
    """The system prompt and the tools are counted too (P39)."""
    body: dict[str, Any] = {"model": case.model, "messages": [{"role": "user", "content": f"{PROMPT_MARK} hi"}]}
    plain = post(gateway, body, "/v1/messages/count_tokens?beta=true")
    full = post(gateway, {**body, "system": "Be brief and kind.", "tools": [WEATHER]}, "/v1/messages/count_tokens")
    assert plain.json().keys() == {"input_tokens"}
    assert full.json()["input_tokens"] > plain.json()["input_tokens"] + 10
    assert ("x-isthmus-estimated" in plain.headers) == case.estimated


def test_a_count_of_another_request_is_written_anew(gateway: Gateway) -> None:
    messages = [
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "b"}]}
    ]
    told = post(gateway, {"model": CLAUDE, "messages": messages}, "/v1/messages/count_tokens")
    assert (told.status_code, "x-isthmus-estimated" in told.headers) == (200, False)


def test_a_count_that_the_vendor_refuses_is_refused(gateway: Gateway) -> None:
    told = post(
        gateway, {"model": "wrong/x", "messages": [{"role": "user", "content": "x"}]}, "/v1/messages/count_tokens"
    )
    assert (told.status_code, told.json()["error"]["type"]) == (502, "api_error")


def test_the_models_in_anthropics_form(client: Anthropic, gateway: Gateway) -> None:
    names = [model.id for model in client.models.list()]
    assert {"auto", "claude-loopback-4-6"} <= set(names)
    one = client.models.retrieve("claude-loopback-4-6")
    assert (one.id, one.display_name, one.type) == ("claude-loopback-4-6",) * 2 + ("model",)
    assert gateway.web.get("/v1/models").json()["object"] == "list"


def test_claude_code_is_greeted(gateway: Gateway) -> None:
    assert httpx.head(f"{gateway.url}/api/hello", trust_env=False).status_code == 200


# Anthropic for clients of other dialects.


def test_chat_over_anthropic(gateway: Gateway) -> None:
    client = OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0)
    tool: Any = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
    messages: list[Any] = [{"role": "user", "content": "How is the weather?"}]
    first = client.chat.completions.create(model=CLAUDE, messages=messages, tools=[tool], reasoning_effort="low")
    [call] = first.choices[0].message.tool_calls or []
    assert call.id.startswith("toolu_")
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    second = client.chat.completions.create(model=CLAUDE, messages=messages, tools=[tool], reasoning_effort="low")
    assert 'get_weather answered "sunny"' in str(second.choices[0].message.content)


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}, {"city"}),
        ({"type": "json_object"}, {"answer"}),
    ],
    ids=["a schema that Anthropic knows", "any JSON, which the gateway sees to"],
)
def test_json_over_anthropic(gateway: Gateway, wanted: dict[str, Any], keys: set[str]) -> None:
    told = gateway.chat("Say hello", model=CLAUDE, response_format=wanted)
    assert json.loads(told.json()["choices"][0]["message"]["content"]).keys() == keys


def test_responses_over_anthropic(gateway: Gateway) -> None:
    client = OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0)
    tool: Any = {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}
    call = {"name": "get_weather", "arguments": {"city": "x"}}
    scripted = directive(reasoning="hm", text="Let me look.", calls=[call])
    with client.responses.stream(model=CLAUDE, input=scripted, tools=[tool]) as stream:
        stream.until_done()
        response = stream.get_final_response()
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call"]
