"""A Responses body that passes as it is, and the end of the answer to it."""

import json
from typing import Any

import pytest
from msgspec import Raw, Struct, structs

from core.passing import passing_body
from core.request import ChatRequest, Message, Opaque, Reasoning, Text
from core.wire.openai_responses.compaction import pack
from core.wire.openai_responses.relay import can_pass, is_last
from core.wire.openai_responses.requests import COMPACTS

REQUEST = ChatRequest("m", (Message("user", (Text("Hi"),)),), stream=True)
WHOLE = structs.replace(REQUEST, stream=False)
BODY = b'{"model": "m", "input": "Hi",  "stream": true}'


def test_a_body_passes_byte_for_byte() -> None:
    assert passing_body(BODY, REQUEST, "m") is BODY


class Case(Struct, frozen=True):
    id: str
    request: ChatRequest
    model: str
    expected: dict[str, Any]


CASES = [
    Case("the vendor has its own name for the model", REQUEST, "x", {"model": "x", "input": "Hi", "stream": True}),
    Case("the gateway gives no streams", WHOLE, "m", {"model": "m", "input": "Hi", "stream": False}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_the_gateway_decides_is_written(case: Case) -> None:
    assert json.loads(passing_body(BODY, case.request, case.model)) == case.expected


def test_compactions_are_the_gateways_own() -> None:
    assert can_pass(BODY, REQUEST)
    assert not can_pass(BODY, structs.replace(REQUEST, echo={COMPACTS: Raw(b"true")}))
    item = {"type": "compaction", "encrypted_content": pack("Much done.")}
    assert not can_pass(json.dumps({"model": "m", "input": [item]}).encode(), REQUEST)


class Item(Struct, frozen=True):
    id: str
    item: dict[str, Any]
    expected: bool


TOKEN = "Ab-_" * 31
ITEMS = [
    Item("a message of a kept turn", {"type": "message", "id": f"msg_{TOKEN}00"}, False),
    Item("a call of a kept turn", {"type": "function_call", "id": f"fc_{TOKEN}0a"}, False),
    Item("reasoning of a kept turn", {"type": "reasoning", "id": f"rs_{TOKEN}00"}, False),
    Item("reasoning of a temporary turn", {"type": "reasoning", "id": f"rs_{'0123456789ab' * 2}00"}, False),
    Item("sealed reasoning of ours", {"encrypted_content": "gAAA", "id": f"rs_{'0123456789ab' * 2}00"}, False),
    Item("a message of a temporary turn", {"type": "message", "id": f"msg_{'0123456789ab' * 2}00"}, True),
    Item("reasoning of the vendor", {"type": "reasoning", "id": f"rs_{'0123456789ab' * 4}00"}, True),
    Item("an id that a text speaks of", {"content": f'{{"id": "msg_{TOKEN}00"}}'}, True),
]


@pytest.mark.parametrize("case", ITEMS, ids=lambda case: case.id)
def test_ids_that_only_the_gateway_knows_do_not_pass(case: Item) -> None:
    for indent in (None, 2):
        body = json.dumps({"model": "m", "input": [case.item]}, indent=indent).encode()
        assert can_pass(body, REQUEST) is case.expected


def test_reasoning_that_nobody_can_look_up_does_not_pass() -> None:
    def reasoned(store: bool | None, opaque: Opaque | None) -> ChatRequest:
        thought = Message("assistant", (Reasoning("Hm.", opaque), Text("Four.")))
        return structs.replace(REQUEST, messages=(*REQUEST.messages, thought), store=store)

    assert not can_pass(BODY, reasoned(False, None))
    assert can_pass(BODY, reasoned(True, None)), "the vendor keeps it"
    assert can_pass(BODY, reasoned(False, Opaque("openai_responses", b"sealed")))


class End(Struct, frozen=True):
    id: str
    frames: bytes
    expected: bool


ENDS = [
    End("a completed answer", b'event: response.completed\ndata: {"type":"response.completed"}\n\n', True),
    End("an incomplete answer behind a delta", b"event: x\ndata: {}\n\nevent: response.incomplete\ndata: {}\n\n", True),
    End("a failed answer", b"event: response.failed\r\ndata: {}\r\n\r\n", True),
    End("an error", b'event: error\ndata: {"type":"error"}\n\n', True),
    End("an end without a name", b'data: {"type": "response.completed", "response": {}}\n\n', True),
    End("a delta", b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta"}\n\n', False),
    End("a delta that speaks of the end", b'data: {"delta":"\\nevent: response.completed\\n"}\n\n', False),
    End("an item that is done", b"event: response.output_item.done\ndata: {}\n\n", False),
]


@pytest.mark.parametrize("case", ENDS, ids=lambda case: case.id)
def test_the_end_is_known(case: End) -> None:
    assert is_last(case.frames) is case.expected
