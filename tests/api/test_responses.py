"""`POST /v1/responses` and its neighbours over a socket: what is ignored is named, what is not there is refused."""

import json
import socket
from typing import Any

import pytest
from msgspec import Struct
from starlette.types import Message, Scope

from api import responses
from tests.api.responses_calls import post, streamed, text_of, whole
from tests.api.servers import KEY, Gateway, directive, error_of, running_gateway

UPGRADE = b"GET /v1/responses HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
UPGRADE += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

ALLOWED = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "serch"}]}
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}


def test_a_whole_answer(gateway_server: Gateway) -> None:
    response = whole(gateway_server, "Say this is a test!")
    assert text_of(response) == "This is a test!"
    assert (response["model"], response["status"], response["store"]) == ("auto", "completed", True)
    assert response["usage"]["estimated"] is True
    assert response["output"][0]["id"].startswith("msg_")


def test_a_streamed_answer(gateway_server: Gateway) -> None:
    events = streamed(gateway_server, "Say this is a test!")
    assert "".join(event["delta"] for event in events if "delta" in event) == "This is a test!"
    assert text_of(events[-1]["response"]) == "This is a test!"


def test_instructions_reach_the_model(gateway_server: Gateway) -> None:
    response = whole(gateway_server, "Say hello", instructions="Be brief.")
    assert response["instructions"] == "Be brief."


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", ["web_search", "code_interpreter", "image_generation"])
def test_what_the_upstream_does_by_itself_can_be_required(kind: str, stream: bool, gateway_server: Gateway) -> None:
    answer = post(gateway_server, "Draw a cat", tools=[{"type": kind}], tool_choice="required", stream=stream)
    assert answer.status_code == 200, answer.text
    assert "x-isthmus-ignored-params" not in answer.headers
    assert ("image_generation_call" in answer.text) is (kind == "image_generation")


class Ignored(Struct, frozen=True):
    id: str
    body: dict[str, Any]
    header: str


IGNORED = [
    Ignored("nothing", {}, ""),
    Ignored(
        "knobs that the upstream lacks",
        {"include": ["reasoning.encrypted_content"], "prompt_cache_key": "k", "temperature": 0.5},
        "include, prompt_cache_key, temperature",
    ),
    Ignored(
        "tools and items of unknown kinds",
        {
            "input": [{"type": "web_search_call", "id": "w"}, {"role": "user", "content": "Say hi"}],
            "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}, {"type": "tool_search"}],
        },
        "input[0]:web_search_call, tools[0]:file_search, tools[1]:tool_search",
    ),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", IGNORED, ids=lambda case: case.id)
def test_what_is_ignored_is_named(case: Ignored, stream: bool, gateway_server: Gateway) -> None:
    answer = post(gateway_server, stream=stream, **{"input": "Say hi"} | case.body)
    assert answer.status_code == 200
    named = answer.headers.get("x-isthmus-ignored-params", "")
    assert sorted(named.split(", ")) == sorted(case.header.split(", "))


class Refused(Struct, frozen=True):
    id: str
    body: dict[str, Any]
    param: str
    says: str


REFUSED = [
    Refused("no input", {"input": None}, "input", "Missing required parameter"),
    Refused("an unknown role", {"input": [{"role": "queen", "content": ""}]}, "input[0].role", "'queen'"),
    Refused("in the background", {"background": True}, "background", "while the request waits"),
    Refused(
        "a choice that is not there",
        {"tools": [TOOL], "tool_choice": {"type": "function", "name": "serch"}},
        "tool_choice",
        "'serch', which is not among tools: 'look'",
    ),
    Refused(
        "a call of a tool that is not had here",
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}], "tool_choice": "required"},
        "tool_choice",
        "none of the tools can be called here: tools[0]:file_search",
    ),
    Refused(
        "a choice among tools of which one is not there",
        {"tools": [TOOL], "tool_choice": ALLOWED},
        "tool_choice.tools[0]",
        "'serch', which is not among tools: 'look'",
    ),
    Refused("a tool twice", {"tools": [TOOL, TOOL]}, "tools[1]", "twice"),
    Refused("an unknown id", {"previous_response_id": "resp_odd"}, "previous_response_id", "not an id of this gateway"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_a_refusal(case: Refused, stream: bool, gateway_server: Gateway) -> None:
    answer = post(gateway_server, stream=stream, **{"input": "Say hi"} | case.body)
    assert answer.status_code == 400
    error = error_of(answer)
    assert (error["type"], error["param"]) == ("invalid_request_error", case.param)
    assert case.says in error["message"]


def test_a_schema_is_satisfied_at_the_second_attempt(gateway_server: Gateway) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"format": {"type": "json_schema", "name": "number", "schema": schema, "strict": True}}
    script = directive(attempts=[{"text": '{"n": "one"}'}, {"text": '```json\n{"n": 1}\n```'}])
    assert json.loads(text_of(whole(gateway_server, script, text=form))) == {"n": 1}


def test_a_switch_answers_everything_whole() -> None:
    with running_gateway(STREAM_MODE="false") as gateway:
        answer = post(gateway, "Say hi", stream=True)
    assert answer.headers["content-type"] == "application/json"
    assert text_of(answer.json()) == "Hi"


# WebSockets: Codex's own provider tries one first, and takes 426 for an answer.


def test_an_upgrade_is_refused_with_426(gateway_server: Gateway) -> None:
    host, port = gateway_server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(UPGRADE)
        head = connection.recv(4096)
    assert head.startswith(b"HTTP/1.1 426 ")


def test_a_plain_get_is_told_the_same(gateway_server: Gateway) -> None:
    answer = gateway_server.web.get("/v1/responses")
    assert answer.status_code == 426
    assert "POST /v1/responses" in answer.text


async def refused(scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await responses.upgrade(scope, receive, send)
    return sent


@pytest.mark.anyio
async def test_a_server_with_websockets_refuses_with_426_too() -> None:
    start, body = await refused({"type": "websocket", "extensions": {"websocket.http.response": {}}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 426)
    assert body["type"] == "websocket.http.response.body"


@pytest.mark.anyio
async def test_a_server_whose_refusals_have_no_status_closes() -> None:
    (closed,) = await refused({"type": "websocket"})
    assert closed["type"] == "websocket.close"


def test_the_other_routes_need_a_key(gateway_server: Gateway) -> None:
    wrong = {"Authorization": f"Bearer {KEY}-wrong"}
    for method, path in (("GET", "/x"), ("DELETE", "/x"), ("GET", "/x/input_items"), ("POST", "/x/cancel")):
        answer = gateway_server.web.request(method, f"/v1/responses{path}", headers=wrong)
        assert answer.status_code == 401
    assert gateway_server.web.post("/v1/responses/compact", json={"input": "x"}, headers=wrong).status_code == 401
