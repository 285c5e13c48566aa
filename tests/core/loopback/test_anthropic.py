"""The simulated Anthropic: what it refuses, as the real one does, so that a wrong request cannot pass unseen."""

from typing import Any

import pytest
from msgspec import Struct

from tests.core.loopback.client import Service

pytestmark = pytest.mark.anyio

USER: dict[str, Any] = {"role": "user", "content": "Say hello"}
CALL: dict[str, Any] = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "toolu_1", "name": "get", "input": {}}],
}
RESULT: dict[str, Any] = {
    "role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}],
}


async def ask(service: Service, key: str = "loopback-k", **fields: Any) -> Any:
    body = {"model": "claude", "max_tokens": 9, "messages": [USER], **fields}
    wanted = {name: value for name, value in body.items() if value is not None}
    return await service.web.post("/v1/messages", json=wanted, headers={"x-api-key": key})


async def test_an_answer(service: Service) -> None:
    told = (await ask(service)).json()
    assert (told["content"], told["stop_reason"]) == ([{"type": "text", "text": "Hello"}], "end_turn")


async def test_a_result_of_the_turn_before(service: Service) -> None:
    told = (await ask(service, messages=[USER, CALL, RESULT])).json()
    assert told["content"][0]["text"].endswith('get answered "x".')


class Case(Struct, frozen=True):
    id: str
    fields: dict[str, Any]


REFUSED = [
    Case("no limit", {"max_tokens": None}),
    Case("no messages", {"messages": []}),
    Case("an unknown role", {"messages": [{"role": "developer", "content": "x"}]}),
    Case("a text of nothing but space", {"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]}),
    Case("a result without its call", {"messages": [USER, RESULT]}),
    Case("a result behind another turn", {"messages": [USER, CALL, USER, RESULT]}),
    Case(
        "thoughts that it did not sign",
        {"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""}]}]},
    ),
    Case("a name in other letters", {"tools": [{"name": "files.read", "input_schema": {}}]}),
    Case("a budget that is the limit", {"max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 2000}}),
    Case("an effort nobody knows", {"output_config": {"effort": "minimal"}}),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
async def test_a_wrong_request_is_refused_in_its_own_shape(service: Service, case: Case) -> None:
    answer = await ask(service, **case.fields)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_a_wrong_key_is_refused(service: Service) -> None:
    answer = await ask(service, "sk-x")
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")


async def test_the_models_have_its_form_where_a_version_is_named(service: Service) -> None:
    headers = {"x-api-key": "loopback-k", "anthropic-version": "2023-06-01"}
    told = (await service.web.get("/v1/models", headers=headers)).json()
    assert told["data"][0]["type"] == "model"
    other = await service.web.get("/v1/models", headers={"authorization": "Bearer loopback-k"})
    assert other.json()["object"] == "list"
