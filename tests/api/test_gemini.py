"""Gemini's API through the whole gateway: its routes, its keys, its shapes; and Gemini as an upstream of others."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from msgspec import Struct

from tests.api.servers import KEY, SIMULATED, Gateway, Upstream, comments, data_frames, directive, running_gateway

VENDORS = {
    "GEMINI_API_KEY": "loopback-gemini-key-3f",
    "GEMINI_BASE_URL": "loopback://gemini",
    "OPENAI_API_KEY": "loopback-openai-key-3f",
    "OPENAI_BASE_URL": "loopback://openai/v1",
    "UPSTREAMS": json.dumps(
        [{"name": "wrong", "kind": "gemini", "base_url": "loopback://gemini", "key": "AIza-wrong-3f"}]
    ),
}
MODELS = ["gemini/loopback-large", "openai/loopback-large", "auto"]
FUNCTION = {
    "name": "get_weather",
    "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
}
TOOLS = [{"functionDeclarations": [FUNCTION]}]
CHAT_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

Json = dict[str, Any]


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway({**SIMULATED, **VENDORS}) as gateway:
        yield gateway


def body(prompt: str = "Say hello", **fields: Any) -> Json:
    return {"contents": [{"role": "user", "parts": [{"text": prompt}]}], **fields}


def ask(
    gateway: Gateway, model: str, asked: Json, method: str = "generateContent", base: str = "v1beta"
) -> httpx.Response:
    """Post with the key where Google's clients put it."""
    headers = {"x-goog-api-key": KEY}
    return httpx.post(f"{gateway.url}/{base}/models/{model}:{method}", json=asked, headers=headers, timeout=30)


def parts_of(answers: list[Any]) -> list[Json]:
    return [part for answer in answers for part in answer["candidates"][0]["content"]["parts"]]


def text_of(answers: list[Any]) -> str:
    return "".join(part.get("text", "") for part in parts_of(answers) if not part.get("thought"))


def error_of(answer: httpx.Response) -> Json:
    """Return the error object of an answer, having checked that it has Google's shape."""
    assert answer.headers["content-type"] == "application/json"
    error: Json = answer.json()["error"]
    assert answer.json().keys() == {"error"}
    assert error.keys() - {"details"} == {"code", "message", "status"}
    assert error["code"] == answer.status_code
    return error


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("base", ["v1", "v1beta"])
def test_all_forms_of_an_answer_say_the_same(gateway: Gateway, model: str, base: str) -> None:
    whole = ask(gateway, model, body(), base=base)
    events = ask(gateway, model, body(), "streamGenerateContent?alt=sse", base)
    array = ask(gateway, model, body(), "streamGenerateContent", base)
    assert (whole.headers["content-type"], text_of([whole.json()])) == ("application/json", "Hello")
    assert events.headers["content-type"].startswith("text/event-stream")
    assert text_of(data_frames(events.text)) == "Hello"
    assert (array.headers["content-type"], text_of(array.json())) == ("application/json", "Hello")
    for last in (whole.json(), data_frames(events.text)[-1], array.json()[-1]):
        assert last["candidates"][0]["finishReason"] == "STOP"
        assert last["usageMetadata"]["totalTokenCount"] > 0


def test_a_stream_that_beats_holds_nothing_but_json() -> None:
    with running_gateway({**SIMULATED, **VENDORS}, HEARTBEAT_SECONDS="0.05") as beating:
        prompt = directive(text="Hello there", first_delay_ms=200)
        for model in ("auto", "gemini/loopback-large"):
            answer = ask(beating, model, body(prompt), "streamGenerateContent?alt=sse")
            assert answer.text.startswith("\n")
            assert comments(answer.text) == 0
            assert "[DONE]" not in answer.text
            assert text_of(data_frames(answer.text)) == "Hello there"
            assert text_of(ask(beating, model, body(prompt), "streamGenerateContent").json()) == "Hello there"


def test_bytes_of_the_same_format_pass_as_they_are(gateway: Gateway) -> None:
    """The vendor's own names are still there, and what only it can do goes to it."""
    asked = body("Say hello", cachedContent="cachedContents/x")
    frames = data_frames(ask(gateway, "gemini/loopback-large", asked, "streamGenerateContent?alt=sse").text)
    assert {frame["modelVersion"] for frame in frames} == {"loopback-large"}
    whole = ask(gateway, "gemini/loopback-large", asked).json()
    assert (whole["modelVersion"], len(whole["responseId"])) == ("loopback-large", 24)


@pytest.mark.parametrize("model", ["openai/loopback-large", "auto"])
@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent?alt=sse"])
def test_what_only_gemini_can_do_is_refused_elsewhere(gateway: Gateway, model: str, method: str) -> None:
    error = error_of(ask(gateway, model, body(cachedContent="cachedContents/x"), method))
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["details"][0]["fieldViolations"][0]["field"] == "cachedContent"


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("model", MODELS)
def test_a_function_is_called_and_its_result_is_read(gateway: Gateway, model: str, stream: bool) -> None:
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"

    def answered(asked: Json) -> list[Json]:
        answer = ask(gateway, model, asked, method)
        assert answer.status_code == 200, answer.text
        return parts_of(data_frames(answer.text) if stream else [answer.json()])

    asked = body("How is the weather?", tools=TOOLS)
    said = answered(asked)
    [call] = [part["functionCall"] for part in said if "functionCall" in part]
    assert (call["name"], call["args"]) == ("get_weather", {"city": "city"})
    result = {"name": "get_weather", "id": call["id"], "response": {"output": "sunny"}}
    asked["contents"] += [
        {"role": "model", "parts": said},
        {"role": "user", "parts": [{"functionResponse": result}]},
    ]
    assert 'get_weather answered "sunny"' in text_of([{"candidates": [{"content": {"parts": answered(asked)}}]}])


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_has_the_form_of_googles_schema(gateway: Gateway, model: str) -> None:
    schema = {"type": "OBJECT", "properties": {"age": {"type": "INTEGER"}}, "required": ["age"]}
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    answer = ask(gateway, model, body("A person", generationConfig=config))
    assert json.loads(text_of([answer.json()])) == {"age": 1}


@pytest.mark.parametrize("shows", [True, False], ids=["asked for", "not asked for"])
@pytest.mark.parametrize("model", ["openai/loopback-large", "auto"])
def test_thoughts_come_when_they_are_asked_for(gateway: Gateway, model: str, shows: bool) -> None:
    config = {"thinkingConfig": {"includeThoughts": shows, "thinkingLevel": "low"}}
    asked = body(directive(reasoning="hm", text="Hi"), generationConfig=config)
    for answers in (
        [ask(gateway, model, asked).json()],
        data_frames(ask(gateway, model, asked, "streamGenerateContent?alt=sse").text),
    ):
        thoughts = "".join(part["text"] for part in parts_of(answers) if part.get("thought"))
        assert (thoughts, text_of(answers)) == ("hm" if shows else "", "Hi")


# Keys.


def test_a_key_may_stand_in_the_query_and_is_seen_by_nobody_further_in(upstream_server: Upstream) -> None:
    with running_gateway(upstream_server.environ()) as gateway:
        url = f"{gateway.url}/v1beta/models/auto:streamGenerateContent?key={KEY}&alt=sse"
        assert text_of(data_frames(httpx.post(url, json=body()).text)) == "Hello"


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?key=wrong", {}, 401),
        ("", {}, 401),
        (f"?key={KEY}&key=another", {}, 401),
        (f"?key={KEY}", {"x-goog-api-key": "wrong"}, 401),
        ("?key=wrong", {"x-goog-api-key": KEY}, 200),
        ("", {"authorization": f"Bearer {KEY}"}, 200),
    ],
)
def test_a_key_in_a_header_wins_over_one_in_the_query(
    gateway: Gateway, query: str, headers: dict[str, str], status: int
) -> None:
    url = f"{gateway.url}/v1beta/models/auto:generateContent{query}"
    answer = httpx.post(url, json=body(), headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert error_of(answer)["status"] == "UNAUTHENTICATED"


def test_other_routes_take_no_key_from_the_query(gateway: Gateway) -> None:
    assert httpx.get(f"{gateway.url}/v1/models?key={KEY}").status_code == 401


# Models and counts.


def test_the_models_are_listed_in_googles_shape(gateway: Gateway) -> None:
    listed = gateway.web.get("/v1beta/models").json()["models"]
    assert "models/auto" in {model["name"] for model in listed}
    assert all("generateContent" in model["supportedGenerationMethods"] for model in listed)
    assert gateway.web.get("/v1beta/models/auto").json()["name"] == "models/auto"
    assert error_of(gateway.web.get("/v1beta/models/none"))["status"] == "NOT_FOUND"


def test_googles_clients_find_their_list_beside_openais(gateway: Gateway) -> None:
    """google-genai 3.4 asks for its list at /v1/models, where OpenAI's clients ask for theirs."""
    plain = gateway.web.get("/v1/models").json()
    both = httpx.get(f"{gateway.url}/v1/models", headers={"x-goog-api-key": KEY}).json()
    assert plain == {name: both[name] for name in ("object", "data")}
    assert [model["name"] for model in both["models"]] == [f"models/{model['id']}" for model in both["data"]]
    one = httpx.get(f"{gateway.url}/v1/models/auto", headers={"x-goog-api-key": KEY}).json()
    assert (one["name"], one["id"]) == ("models/auto", "auto")
    assert "name" not in gateway.web.get("/v1/models/auto").json()


@pytest.mark.parametrize(("model", "estimated"), [("gemini/loopback-large", None), ("auto", "true")])
@pytest.mark.parametrize("asked", [body(), {"generateContentRequest": {"model": "models/x", **body()}}])
def test_tokens_are_counted_by_gemini_or_estimated(
    gateway: Gateway, model: str, estimated: str | None, asked: Json
) -> None:
    answer = ask(gateway, model, asked, "countTokens")
    assert answer.json()["totalTokens"] > 0
    assert answer.headers.get("x-isthmus-estimated") == estimated


# Errors.


class Fault(Struct, frozen=True):
    id: str
    keys: dict[str, Any]
    status: int
    word: str


FAULTS = [
    Fault("a limit", {"status": 429, "headers": {"retry-after": "7"}}, 429, "RESOURCE_EXHAUSTED"),
    Fault("a refusal", {"status": 404}, 404, "NOT_FOUND"),
    Fault("an outage", {"status": 500}, 503, "UNAVAILABLE"),
]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("model", ["gemini/loopback-large", "openai/loopback-large"])
@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.id)
def test_a_vendors_error_keeps_its_meaning(gateway: Gateway, case: Fault, model: str, stream: bool) -> None:
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    answer = ask(gateway, model, body(directive(**case.keys)), method)
    error = error_of(answer)
    assert (answer.status_code, error["status"]) == (case.status, case.word)
    if case.status == 429:
        assert answer.headers["retry-after"] == "7"
        assert error["details"][-1]["retryDelay"] == "7.000s"


@pytest.mark.parametrize("keys", [{"cut_after_chars": 5}, {"error_after_chars": 5}], ids=["cut", "error"])
@pytest.mark.parametrize("model", ["gemini/loopback-large", "openai/loopback-large"])
def test_a_stream_that_fails_ends_with_its_error(gateway: Gateway, model: str, keys: Json) -> None:
    asked = body(directive(text="Hello there, you.", **keys))
    *said, failed = data_frames(ask(gateway, model, asked, "streamGenerateContent?alt=sse").text)
    assert text_of(said) == "Hello"
    assert failed["error"]["status"] == "UNAVAILABLE"
    *said, failed = ask(gateway, model, asked, "streamGenerateContent").json()
    assert text_of(said) == "Hello"
    assert failed["error"]["status"] == "UNAVAILABLE"


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_refused_vendor_key_is_the_operators_and_is_not_shown(gateway: Gateway, stream: bool) -> None:
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    answer = ask(gateway, "wrong/x", body(), method)
    assert answer.status_code == 502
    assert "AIza" not in answer.text


@pytest.mark.parametrize("path", ["/v1beta/models/auto:embedNothing", "/v1beta/nothing"])
def test_what_is_no_route_has_googles_shape_on_its_paths(gateway: Gateway, path: str) -> None:
    assert error_of(gateway.web.post(path, json={}))["code"] in (404, 405)


# Gemini as an upstream of other dialects.


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_chat_over_gemini_goes_on_without_the_signatures_it_cannot_carry(gateway: Gateway, stream: bool) -> None:
    """The simulated Gemini refuses a step whose first call has no signature, as the real one does."""
    calls = [{"name": "get_weather", "arguments": {"city": city}} for city in ("Oslo", "Rome")]
    prompt = directive(rounds=[{"calls": calls}, {"text": "Sunny."}])
    messages: list[Json] = [{"role": "user", "content": prompt}]
    first = gateway.chat("", model="gemini/loopback-large", messages=messages, tools=[CHAT_TOOL])
    said = first.json()["choices"][0]["message"]
    assert [json.loads(call["function"]["arguments"])["city"] for call in said["tool_calls"]] == ["Oslo", "Rome"]
    messages += [said]
    messages += [{"role": "tool", "tool_call_id": call["id"], "content": "sun"} for call in said["tool_calls"]]
    second = gateway.chat("", model="gemini/loopback-large", messages=messages, tools=[CHAT_TOOL], stream=stream)
    assert second.status_code == 200, second.text
    assert "Sunny." in second.text if not stream else "Sunn" in second.text


def test_reasoning_is_asked_of_gemini_when_it_is_asked_of_us(gateway: Gateway) -> None:
    prompt = directive(reasoning="hm", text="Hi")
    plain = gateway.chat(prompt, model="gemini/loopback-large").json()
    asked = gateway.chat(prompt, model="gemini/loopback-large", reasoning_effort="low").json()
    assert "reasoning_content" not in plain["choices"][0]["message"]
    assert asked["choices"][0]["message"]["reasoning_content"] == "hm"
    assert asked["usage"]["completion_tokens_details"]["reasoning_tokens"] == 1


def test_a_form_that_gemini_cannot_keep_to_is_emulated(gateway: Gateway) -> None:
    """The simulated vendor answers a native schema with a sample, and knows nothing of a prompt that holds one."""

    def form(**limits: Any) -> Json:
        schema = {"type": "object", "properties": {"name": {"type": "string", **limits}}, "required": ["name"]}
        return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    native = gateway.chat("A person", model="gemini/loopback-large", response_format=form())
    assert json.loads(native.json()["choices"][0]["message"]["content"]) == {"name": "name"}
    emulated = gateway.chat("A person", model="gemini/loopback-large", response_format=form(pattern="^x$"))
    assert emulated.status_code == 502
    assert "does not have the format" in emulated.json()["error"]["message"]


def test_a_picture_goes_to_gemini_as_bytes(gateway: Gateway) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    content = [{"type": "text", "text": "Look"}, picture]
    answer = gateway.chat("", model="gemini/loopback-large", messages=[{"role": "user", "content": content}])
    assert "With it came: image/png." in answer.json()["choices"][0]["message"]["content"]


def test_a_picture_on_this_machine_is_not_fetched(gateway: Gateway) -> None:
    picture = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/x.png"}}
    answer = gateway.chat("", model="gemini/loopback-large", messages=[{"role": "user", "content": [picture]}])
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "messages[0].content[0].image_url.url"
