"""A chat that passes as it is: what of the body changes, and which frames are the last."""

import json
from typing import Any

import pytest
from msgspec import Struct

from core.request import ChatRequest
from core.wire.openai_chat.relay import can_pass, is_last, is_terminated, passing_body
from core.wire.openai_chat.requests import parse_request

MESSAGES = [{"role": "user", "content": "Hi"}]


class Case(Struct, frozen=True):
    id: str
    frame: bytes
    last: bool
    terminated: bool = False


def chunk(content: str, finish: str | None = None) -> bytes:
    return (
        b"data: "
        + json.dumps({"choices": [{"finish_reason": finish, "delta": {"content": content}}]}).encode()
        + b"\n\n"
    )


CASES = [
    Case("a delta", chunk("Hi"), last=False),
    Case("a reason", chunk("", "stop"), last=True),
    Case("a reason without spaces", chunk("", "stop").replace(b": ", b":"), last=True),
    Case("the terminator", b"data: [DONE]\n\n", last=True, terminated=True),
    Case("the terminator without a space, in CRLF", b"data:[DONE]\r\n\r\n", last=True, terminated=True),
    Case("the terminator behind much else", chunk("Hi") * 9 + b"data: [DONE]\n\n", last=True, terminated=True),
    Case("a text that spells the terminator", chunk("[DONE]"), last=False),
    Case("a text that spells a reason", chunk('"finish_reason": "stop"'), last=False),
    Case("a comment", b": [DONE]? no\n\n", last=False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_which_frames_are_the_last(case: Case) -> None:
    assert (is_last(case.frame), is_terminated(case.frame)) == (case.last, case.terminated)


def asked(**fields: Any) -> tuple[bytes, ChatRequest]:
    body = json.dumps({"model": "m", "messages": MESSAGES, **fields}).encode()
    return body, parse_request(body, "application/json")


def test_a_body_is_as_it_was_where_nothing_must_change() -> None:
    body, request = asked(stream=True, vendor_field={"a": [1.50]})
    assert passing_body(body, request, "m") == body
    assert b'"vendor_field":{"a": [1.5]}' in passing_body(body, request, "other")


@pytest.mark.parametrize("name", ["options", "function_web_search", "function_image_gen", "function_code_interpreter"])
def test_what_is_for_the_gateway_alone_does_not_pass(name: str) -> None:
    assert can_pass(asked()[0])
    assert not can_pass(asked(**{name: {} if name == "options" else True})[0])
