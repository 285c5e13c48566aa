"""Responses for a vendor that has that API itself: bytes pass as they are, its own ids work, failures end legally."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct
from openai import APIError, BadRequestError, OpenAI

from tests.api.servers import KEY, SIMULATED, Gateway, comments, data_frames, directive, error_of, running_gateway

VENDORS = {
    "OPENAI_API_KEY": "loopback-vendor-key-5d2",
    "OPENAI_BASE_URL": "loopback://openai/v1",
    "MODEL_ROUTES": "smart=openai/loopback-large; both=chatgpt_web/auto,openai/loopback-large; web=chatgpt_web/auto",
    "UPSTREAMS": '[{"name": "chats", "kind": "openai", "base_url": "loopback://openai/v1", "key": "loopback-y"},'
    ' {"name": "plain", "kind": "openai", "base_url": "loopback://openai/v1", "key": "loopback-z",'
    ' "capabilities": {"tools": false, "responses": true}}]',
}
TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
FOREIGN = "resp_" + "0" * 24


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway({**SIMULATED, **VENDORS}) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> OpenAI:
    return OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0)


def ask(gateway: Gateway, **fields: Any) -> Any:
    return gateway.web.post("/v1/responses", json={"model": "smart", "input": "Say hello", **fields})


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_the_vendors_own_answer_comes_back(gateway: Gateway, stream: bool) -> None:
    answer = ask(gateway, stream=stream)
    assert (answer.status_code, answer.headers["x-isthmus-upstream"]) == (200, "openai")
    frames = data_frames(answer.text) if stream else [{"response": answer.json()}]
    response = frames[-1]["response"]
    assert (response["model"], response["status"]) == ("loopback-large", "completed")
    assert response["output"][0]["phase"] == "final_answer"
    assert stream is False or all("obfuscation" in frame for frame in frames if "delta" in frame)


def test_the_sdk_goes_on_with_the_vendors_own_ids(client: OpenAI) -> None:
    with client.responses.stream(model="smart", input=directive(reasoning="hm"), tools=[TOOL]) as stream:
        stream.until_done()
        first = stream.get_final_response()
    thought, call = first.output
    assert thought.type == "reasoning"
    assert thought.encrypted_content is not None
    assert call.type == "function_call"
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    second = client.responses.create(model="smart", input=[result], previous_response_id=first.id, tools=[TOOL])
    assert 'answered "sunny"' in second.output_text


class Refusal(Struct, frozen=True):
    id: str
    model: str
    previous: str


REFUSALS = [
    Refusal("ChatGPT Web knows ids of ours only", "web", FOREIGN),
    Refusal("so does a vendor that only chats", "chats/loopback-large", FOREIGN),
    Refusal("and one whose tools are emulated, where there are none to pass", "codex/gpt-5.5", FOREIGN),
    Refusal("a vendor's own id may be wrong", "smart", "resp_nobody"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_an_id_that_nobody_knows_is_refused(case: Refusal, gateway: Gateway) -> None:
    answer = ask(gateway, model=case.model, previous_response_id=case.previous)
    assert answer.status_code == 400
    if case.model != "smart":
        error = error_of(answer)
        assert (error["code"], error["param"]) == ("previous_response_not_found", "previous_response_id")


def test_a_foreign_id_is_never_dropped_where_the_body_cannot_pass(gateway: Gateway) -> None:
    answer = ask(gateway, model="plain/loopback-large", previous_response_id=FOREIGN, tools=[TOOL])
    assert (answer.status_code, error_of(answer)["param"]) == (400, "previous_response_id")


class Kept(Struct, frozen=True):
    """A turn that ChatGPT Web keeps, named to an upstream that keeps none."""

    id: str
    model: str
    names: str
    param: str


KEPT = [
    Kept("its response, for a vendor of the format", "smart", "response", "previous_response_id"),
    Kept("its response, for a vendor that only chats", "chats/loopback-large", "response", "previous_response_id"),
    Kept("its response, for Codex", "codex/gpt-5.5", "response", "previous_response_id"),
    Kept("an item of it", "smart", "item", "input[0].id"),
]


@pytest.mark.parametrize("case", KEPT, ids=lambda case: case.id)
def test_a_kept_turn_is_not_continued_elsewhere(case: Kept, gateway: Gateway) -> None:
    first = ask(gateway, model="web").json()
    fields: dict[str, Any] = {"previous_response_id": first["id"]}
    if case.names == "item":
        reference = {"type": "item_reference", "id": first["output"][0]["id"]}
        fields = {"input": [reference, {"role": "user", "content": "And?"}]}
    answer = ask(gateway, model=case.model, **fields)
    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (400, "previous_response_not_found")
    assert error["param"] == case.param
    assert "keeps no conversations to go on with" in error["message"]


def test_of_several_targets_the_one_that_can_know_the_id_answers(gateway: Gateway) -> None:
    assert ask(gateway, model="both").headers["x-isthmus-upstream"] == "chatgpt_web"
    assert ask(gateway, model="both", previous_response_id=FOREIGN).headers["x-isthmus-upstream"] == "openai"


def test_a_vendor_that_has_the_api_is_asked_in_it_when_the_body_changed(gateway: Gateway) -> None:
    """Its tools are emulated, so the request is written anew: as Responses, for the sealed reasoning to pass."""
    asked = [{"role": "user", "content": "Hi"}, {"type": "reasoning", "summary": [], "encrypted_content": "of-another"}]
    answer = ask(gateway, model="plain/loopback-large", input=asked, tools=[TOOL])
    assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_encrypted_content")


@pytest.mark.parametrize("store", [True, False], ids=["kept", "temporary"])
def test_a_conversation_moves_from_chatgpt_web_to_the_vendor(gateway: Gateway, store: bool) -> None:
    """The vendor refuses the long ids of a kept turn's items, and finds no reasoning but its own."""
    question = {"role": "user", "content": directive(text="Two.", reasoning="One and one.")}
    said = ask(gateway, model="web", input=[question], store=store).json()["output"]
    assert [item["type"] for item in said] == ["reasoning", "message"]
    answer = ask(gateway, input=[question, *said, {"role": "user", "content": "Say hello"}])
    assert (answer.status_code, answer.headers["x-isthmus-upstream"]) == (200, "openai"), answer.text


def test_what_the_vendor_refuses_keeps_its_words(client: OpenAI) -> None:
    result: Any = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
    with pytest.raises(BadRequestError, match="No tool call found"):
        client.responses.create(model="smart", input=[result], previous_response_id=None)


FAULTS = {"cut": {"cut_after_chars": 5}, "error": {"error_after_chars": 5}}


@pytest.mark.parametrize("keys", FAULTS.values(), ids=FAULTS)
def test_a_relayed_stream_that_fails_has_one_legal_end(gateway: Gateway, keys: dict[str, int]) -> None:
    answer = ask(gateway, input=directive(text="Hello there, you.", **keys), stream=True)
    frames = data_frames(answer.text)
    numbers = [frame["sequence_number"] for frame in frames]
    assert numbers == sorted(set(numbers))
    assert "".join(frame.get("delta", "") for frame in frames) == "Hello"
    ends = [frame for frame in frames if frame["type"].removeprefix("response.") in ("completed", "failed", "error")]
    assert ends == frames[-1:]
    response = ends[0]["response"]
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
    assert response["id"] == frames[0]["response"]["id"]


@pytest.mark.parametrize("keys", FAULTS.values(), ids=FAULTS)
def test_the_sdk_sees_the_failure_of_a_relayed_stream(client: OpenAI, keys: dict[str, int]) -> None:
    prompt = directive(text="Hello there, you.", **keys)
    with client.responses.stream(model="smart", input=prompt) as stream:
        events = list(stream)
        with pytest.raises((RuntimeError, APIError)):
            stream.get_final_response()
    last = events[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None


def test_a_heartbeat_says_nothing_in_the_vendors_place() -> None:
    prompt = directive(text="Hello", first_delay_ms=300)
    with running_gateway({**SIMULATED, **VENDORS}, HEARTBEAT_SECONDS="0.1") as gateway:
        answer = ask(gateway, input=prompt, stream=True, store=False)
    assert comments(answer.text) > 0
    frames = data_frames(answer.text)
    assert [frame["type"] for frame in frames].count("response.created") == 1
    assert frames[-1]["response"]["id"] == frames[0]["response"]["id"]


def test_ids_of_a_vendor_cannot_be_read_again_here(gateway: Gateway) -> None:
    for method in ("GET", "DELETE"):
        answer = gateway.web.request(method, f"/v1/responses/{FOREIGN}")
        assert (answer.status_code, error_of(answer)["message"]) == (
            404,
            f"Response with id {FOREIGN!r} not found: it is not an id of this gateway",
        )


def test_a_compaction_is_the_gateways_own(client: OpenAI, gateway: Gateway) -> None:
    compacted = client.responses.compact(model="smart", input="Say hello")
    item = compacted.output[-1]
    assert item.type == "compaction"
    answer = ask(gateway, input=[item.to_dict(), {"role": "user", "content": "Say hello"}])
    assert (answer.status_code, json.loads(answer.text)["object"]) == (200, "response")
