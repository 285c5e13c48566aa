"""The simulated Responses API, and the service behind Codex with its rules: both in the words of the real ones."""

import json
from typing import Any

import pytest
from httpx import Response
from msgspec import Struct
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from core.loopback.vendors.codex import LIMITS, MODELS
from tests.core.loopback.client import Service

Json = dict[str, Any]

OPENAI, CODEX = "/v1/responses", "/backend-api/codex/responses"
SDK_EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
GET = {"type": "function", "name": "get", "parameters": {"type": "object", "properties": {}}}
BODY: Json = {"model": "m", "input": [{"role": "user", "content": "Say hello"}]}
ASKED: Json = {**BODY, "model": MODELS[0], "instructions": "", "store": False, "stream": True}
CALL = {"type": "function_call", "call_id": "c1", "name": "get", "arguments": "{}"}

pytestmark = pytest.mark.anyio


async def ask(service: Service, path: str, body: Json, **headers: str) -> Response:
    return await service.web.post(path, json=body, headers={"originator": "test", **headers})


def events_of(answer: Response) -> list[Json]:
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


def scripted(**keys: object) -> list[Json]:
    return [{"role": "user", "content": f"Hi\nloopback: {json.dumps(keys)}"}]


@pytest.mark.parametrize(
    ("path", "body"), [(OPENAI, {**BODY, "stream": True}), (CODEX, ASKED)], ids=["openai", "codex"]
)
async def test_a_stream_is_what_the_sdk_reads(service: Service, path: str, body: Json) -> None:
    calls = [{"name": "get", "arguments": {}}, {"name": "ns.say", "input": "x"}]
    tools = [GET, {"type": "namespace", "name": "ns", "tools": [{"type": "custom", "name": "say"}]}]
    said = scripted(reasoning="hm", text="Hello there", calls=calls)
    events = events_of(await ask(service, path, {**body, "input": said, "tools": tools}))
    for event in events:
        SDK_EVENT.validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [item["type"] for item in items] == ["reasoning", "message", "function_call", "custom_tool_call"]
    assert (items[3]["namespace"], items[3]["name"], items[3]["input"]) == ("ns", "say", "x")
    assert "".join(event["delta"] for event in events if "text.delta" in event["type"]) == "hmHello there"
    assert events[-1]["type"] == "response.completed"
    # Codex leaves the answer's last repetition empty (section 10.3).
    assert events[-1]["response"]["output"] == (items if path == OPENAI else [])


async def test_a_whole_answer_has_the_same_items(service: Service) -> None:
    response = (await ask(service, OPENAI, {**BODY, "input": scripted(text="Hello", finish="max_tokens")})).json()
    assert response["output"][0]["content"][0]["text"] == "Hello"
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


async def test_results_are_answered_by_name(service: Service) -> None:
    output = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
    body = {**BODY, "input": [{"role": "user", "content": "Hi"}, CALL, output], "tools": [GET]}
    answer = (await ask(service, OPENAI, body)).json()
    assert 'get answered "sunny"' in answer["output"][0]["content"][0]["text"]


async def test_tools_may_stand_in_the_input(service: Service) -> None:
    items = [{"type": "additional_tools", "tools": [GET]}, {"role": "user", "content": "Hi"}]
    [call] = (await ask(service, OPENAI, {**BODY, "input": items})).json()["output"]
    assert (call["type"], call["name"]) == ("function_call", "get")


class Refusal(Struct, frozen=True):
    id: str
    body: Json
    says: str
    path: str = CODEX


def codex_without(*names: str) -> Json:
    return {name: value for name, value in ASKED.items() if name not in names}


FOREIGN = [{"type": "reasoning", "summary": [], "encrypted_content": "of-another"}]
REFUSALS = [
    Refusal("storing", {**ASKED, "store": True}, "Store must be set to false"),
    Refusal("not streaming", codex_without("stream"), "Stream must be set to true"),
    Refusal("no instructions", codex_without("instructions"), "Instructions are required"),
    Refusal("a text for the input", {**ASKED, "input": "Hi"}, "Input must be a list"),
    Refusal("a system message", {**ASKED, "input": [{"role": "system", "content": "x"}]}, "System messages"),
    Refusal("a long id", {**BODY, "input": [{"id": "msg_" + 61 * "x", "content": "x"}]}, "'input[0].id'", OPENAI),
    Refusal("an item's id", {**ASKED, "input": [{"id": "msg_1", "content": "x"}]}, "msg_1"),
    Refusal("tuning", {**ASKED, "temperature": 1}, "Unsupported parameter: temperature"),
    Refusal("a model of the web", {**ASKED, "model": "gpt-5-6"}, "is not supported when using Codex"),
    Refusal("reasoning of others", {**ASKED, "input": FOREIGN}, "invalid_encrypted_content"),
    Refusal("reasoning of others, by a vendor", {**BODY, "input": FOREIGN}, "invalid_encrypted_content", OPENAI),
    Refusal(
        "an orphan",
        {**BODY, "input": [{"type": "function_call_output", "call_id": "c9", "output": "x"}]},
        "No tool call found for function call output with call_id c9.",
        OPENAI,
    ),
    Refusal("an id of nobody's", {**BODY, "previous_response_id": "resp_x"}, "previous_response_id", OPENAI),
    Refusal("a name with a dot", {**BODY, "tools": [{**GET, "name": "a.b"}]}, "regex", OPENAI),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
async def test_it_refuses_what_the_real_one_refuses(case: Refusal, service: Service) -> None:
    answer = await ask(service, case.path, case.body)
    assert answer.status_code == 400
    assert case.says in answer.text


async def test_codex_wants_to_know_who_calls(service: Service) -> None:
    assert (await service.web.post(CODEX, json=ASKED)).status_code == 400
    dead = await ask(service, CODEX, ASKED, authorization="Bearer nobody")
    assert dead.status_code == 401


@pytest.mark.parametrize("keys", [{"text": "Hello"}, {"status": 429}], ids=["an answer", "a refusal"])
async def test_every_answer_of_codex_tells_the_limits(service: Service, keys: Json) -> None:
    answer = await ask(service, CODEX, {**ASKED, "input": scripted(**keys)})
    assert {name: answer.headers.get(name) for name in LIMITS} == LIMITS
    if answer.status_code == 429:
        error = answer.json()["error"]
        assert (error["type"], error["resets_in_seconds"]) == ("usage_limit_reached", 5321)


async def test_codex_has_models_that_it_does_not_show(service: Service) -> None:
    models = (await service.web.get("/backend-api/codex/models?client_version=0")).json()["models"]
    assert [model["slug"] for model in models if model["visibility"] == "list"] == list(MODELS)
    assert len(models) > len(MODELS)
    assert (await service.web.get("/backend-api/codex/models")).status_code == 400
