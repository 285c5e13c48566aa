"""Codex behind the gateway: who is sent there, what its tools, its sealed reasoning and its limits become."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct
from openai import OpenAI, RateLimitError

from tests.api.servers import (
    KEY,
    Gateway,
    Upstream,
    content,
    data_frames,
    directive,
    error_of,
    running_gateway,
)

MODEL = "codex/gpt-5.5"
FUNCTION: dict[str, Any] = {
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CHAT_TOOL = {"type": "function", "function": FUNCTION}
TOOL: Any = {"type": "function", "strict": False, **FUNCTION}


@pytest.fixture(scope="module")
def upstream(upstream_server: Upstream) -> Upstream:
    return upstream_server


@pytest.fixture(scope="module")
def gateway(upstream: Upstream) -> Iterator[Gateway]:
    with running_gateway(upstream.environ()) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> OpenAI:
    return OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0)


def bodies(upstream: Upstream) -> list[Any]:
    """Return what Codex was asked, the newest last."""
    return [call["body"] for call in upstream.log() if call["path"] == "/backend-api/codex/responses"]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_chat_says_what_is_left_of_the_account(gateway: Gateway, stream: bool) -> None:
    answer = gateway.chat("Say hello", model=MODEL, stream=stream, temperature=0.5)
    assert (answer.status_code, answer.headers["x-isthmus-upstream"]) == (200, "codex")
    assert answer.headers["x-isthmus-upstream-model"] == "gpt-5.5"
    assert answer.headers["x-isthmus-codex-primary-used-percent"] == "12.5"
    assert answer.headers["x-isthmus-ignored-params"] == "temperature"
    text = content(data_frames(answer.text)) if stream else answer.json()["choices"][0]["message"]["content"]
    assert text == "Hello"


def test_what_codex_cannot_limit_the_gateway_does(gateway: Gateway) -> None:
    answer = gateway.chat(directive(text="one two three"), model=MODEL, stop=["three"]).json()
    assert answer["choices"][0]["message"]["content"] == "one two "


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_round_of_tools_gives_the_sealed_reasoning_back(client: OpenAI, upstream: Upstream, stream: bool) -> None:
    calls = [{"name": "get_weather", "arguments": {"city": city}} for city in ("a", "b", "c")]
    rounds = [{"reasoning": "hm", "text": "Let me look.", "calls": calls}, {}]
    asked: list[Any] = [{"role": "user", "content": directive(rounds=rounds)}]
    if stream:
        with client.responses.stream(model=MODEL, input=asked, tools=[TOOL]) as events:
            events.until_done()
            first: Any = events.get_final_response()
    else:
        first = client.responses.create(model=MODEL, input=asked, tools=[TOOL])
    assert [item.type for item in first.output] == ["reasoning", "message", *["function_call"] * 3]
    sealed = first.output[0].encrypted_content
    assert sealed.startswith("loopback-sealed-")
    for number, call in enumerate(first.output[2:]):
        result = {"type": "function_call_output", "call_id": call.call_id, "output": f"sunny {number}"}
        asked = [*asked, call.to_dict(), result]
    said = [item.to_dict() for item in first.output[:2]]
    second = client.responses.create(model=MODEL, input=[asked[0], *said, *asked[1:]], tools=[TOOL])
    for number in range(3):
        assert f'get_weather answered "sunny {number}"' in second.output_text
    body = bodies(upstream)[-1]
    thought, answered = body["input"][1:3]
    summary = [{"type": "summary_text", "text": "hm"}]
    assert thought == {"type": "reasoning", "summary": summary, "encrypted_content": sealed}
    assert (answered["role"], answered["phase"]) == ("assistant", "final_answer"), "OpenAI wants it back"


def test_reasoning_of_another_account_is_left_behind(client: OpenAI, upstream: Upstream) -> None:
    foreign: Any = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "of-another"}
    asked: list[Any] = [{"role": "user", "content": "Hi"}, foreign, {"role": "user", "content": "Say hello"}]
    answer = client.responses.with_raw_response.create(model=MODEL, input=asked)
    assert answer.headers["x-isthmus-ignored-params"] == "reasoning.encrypted_content"
    assert answer.parse().output_text == "Hello"


def test_a_schema_is_kept_by_codex_itself(client: OpenAI, upstream: Upstream) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    text: Any = {"format": {"type": "json_schema", "name": "a", "schema": schema, "strict": True}, "verbosity": "low"}
    answer = client.responses.create(model=MODEL, input="Give me one", text=text)
    assert json.loads(answer.output_text).keys() == {"a"}
    assert bodies(upstream)[-1]["text"] == text


def test_a_refusal_inside_of_the_stream_keeps_its_status(client: OpenAI) -> None:
    error = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 0}
    body = f"event: error\ndata: {json.dumps({'type': 'error', 'error': error})}\n\n"
    refusal = directive(status=200, headers={"content-type": "text/event-stream"}, body=body)
    with pytest.raises(RateLimitError) as raised:
        client.responses.create(model=MODEL, input=refusal, stream=True)
    assert (raised.value.status_code, raised.value.code) == (429, "usage_limit_reached")


def test_a_response_of_codex_is_not_kept(client: OpenAI, gateway: Gateway) -> None:
    first = client.responses.create(model=MODEL, input="Say hello")
    assert first.to_dict()["store"] is False
    body = {"model": MODEL, "input": "And?", "previous_response_id": first.id}
    answer = gateway.web.post("/v1/responses", json=body)
    assert (answer.status_code, error_of(answer)["code"]) == (400, "previous_response_not_found")


class Choice(Struct, frozen=True):
    """Who answers: `upstream` says it, by the header."""

    id: str
    wanted: str
    fields: dict[str, Any]
    upstream: str


TOOLED: dict[str, Any] = {"model": "gpt-5.5", "tools": [CHAT_TOOL]}
PICTURE = {"function_image_gen": True, "stream": True}
CHOICES = [
    Choice("with web, nothing goes there by itself", "web", TOOLED, "chatgpt_web"),
    Choice("with web, its prefix still leads there", "web", {"model": "codex/gpt-5.5"}, "codex"),
    Choice("with codex, a text goes there", "codex", {"model": "gpt-5.5"}, "codex"),
    Choice("with codex, a picture is the web's", "codex", PICTURE, "chatgpt_web"),
    Choice("with codex, the web's prefix leads to the web", "codex", {"model": "chatgpt_web/auto"}, "chatgpt_web"),
    Choice("with auto, tools go there", "auto", TOOLED, "codex"),
    Choice("with auto, a text is the web's", "auto", {"model": "gpt-5.5"}, "chatgpt_web"),
    Choice("with auto, a model that only the web has", "auto", {**TOOLED, "model": "auto"}, "chatgpt_web"),
]


@pytest.mark.parametrize("case", CHOICES, ids=lambda case: case.id)
def test_the_setting_decides_who_answers_for_the_accounts(case: Choice, upstream: Upstream) -> None:
    with running_gateway(upstream.environ(CHATGPT_UPSTREAM=case.wanted)) as gateway:
        answer = gateway.chat("Say hello", **case.fields)
        assert (answer.status_code, answer.headers["x-isthmus-upstream"]) == (200, case.upstream)


def test_with_auto_an_account_whose_plan_lacks_codex_is_served_by_the_web(upstream: Upstream) -> None:
    environ = upstream.environ(CHATGPT_UPSTREAM="auto")
    refusal = {"error": {"type": "usage_not_included", "message": "Not in your plan."}}
    upstream.script(token=environ["CHATGPT_ACCESS_TOKENS"], path="/codex/responses", status=429, body=refusal, times=1)
    with running_gateway(environ) as gateway:
        before = len(bodies(upstream))
        for _ in range(2):
            answer = gateway.chat("Say hello", **TOOLED)
            assert (answer.status_code, answer.headers["x-isthmus-upstream"]) == (200, "chatgpt_web")
            assert answer.json()["choices"][0]["message"]["tool_calls"]
        # The account is not asked there again.
        assert len([body for body in bodies(upstream)[before:] if body]) == 0
        assert gateway.web.get("/v1/accTokens").json()["canUseCount"] == 1


def test_a_caller_with_an_account_of_their_own_has_codex_too(upstream: Upstream) -> None:
    with running_gateway(upstream.environ(), ENABLE_EXTERNAL_TOKEN="true") as gateway:
        own = {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30.x"}
        assert gateway.chat("Say hello", model=MODEL, headers=own).headers["x-isthmus-upstream"] == "codex"
        device = {"Authorization": "Bearer 00000000-0000-4000-8000-000000000001"}
        assert gateway.chat("Say hello", model=MODEL, headers=device).status_code == 403


def test_the_models_of_codex_are_listed_by_the_names_that_lead_there(upstream: Upstream) -> None:
    for wanted, name in (("codex", "gpt-5.5"), ("auto", "codex/gpt-5.5")):
        with running_gateway(upstream.environ(CHATGPT_UPSTREAM=wanted)) as gateway:
            models = {model["id"]: model["owned_by"] for model in gateway.web.get("/v1/models").json()["data"]}
            assert models[name] == "codex"
            assert "codex-auto-review" not in str(models)
