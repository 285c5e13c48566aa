"""A Completions request: what becomes of its fields, and which are for a vendor that has this call itself."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from core.errors import ClientError, InvalidRequest
from core.request import ChatRequest, Message, Text
from core.wire.openai_completions.requests import parse_request


def parsed(**fields: Any) -> ChatRequest:
    return parse_request(json.dumps({"model": "m", "prompt": "Hi", **fields}).encode())


class Case(Struct, frozen=True):
    id: str
    fields: dict[str, Any]
    expected: dict[str, Any]


CASES = [
    Case("a prompt is one user message", {}, {"messages": (Message("user", (Text("Hi"),)),), "model": "m"}),
    Case("a list of one prompt is that prompt", {"prompt": ["Hi"]}, {"messages": (Message("user", (Text("Hi"),)),)}),
    Case("no model is auto", {"model": None}, {"model": "auto"}),
    Case(
        "tuning has its places",
        {"max_tokens": 7, "temperature": 0.5, "top_p": 0.9, "stop": ["a"]},
        {"max_output_tokens": 7, "temperature": 0.5, "top_p": 0.9, "stop": ("a",)},
    ),
    Case("a whole answer counts its tokens", {}, {"stream": False, "include_usage": True}),
    Case("a stream does when asked", {"stream": True}, {"stream": True, "include_usage": False}),
    Case(
        "it was asked",
        {"stream": True, "stream_options": {"include_usage": True}},
        {"stream": True, "include_usage": True},
    ),
    Case("what nobody reads travels by its own name", {"seed": 7, "user": None}, {"extras": {"seed": Raw(b"7")}}),
    Case("what is as usual needs nothing", {"n": 1, "best_of": 1, "echo": False, "suffix": ""}, {"relay_only": ()}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_fields(case: Case) -> None:
    request = parsed(**case.fields)
    assert {name: getattr(request, name) for name in case.expected} == case.expected


RELAY_ONLY = {
    "suffix": "end.",
    "echo": True,
    "logprobs": 0,
    "n": 2,
    "best_of": 3,
    "prompt": ["a", "b"],
}


@pytest.mark.parametrize("name", RELAY_ONLY)
def test_what_a_chat_cannot_do_is_named(name: str) -> None:
    [(param, why)] = parsed(**{name: RELAY_ONLY[name]}).relay_only
    assert param == name
    assert name in why


@pytest.mark.parametrize("prompt", [[1, 2], [[1, 2], [3]]], ids=["one", "several"])
def test_tokens_are_for_their_vendor(prompt: Any) -> None:
    assert [param for param, _ in parsed(prompt=prompt).relay_only] == ["prompt"]


REFUSED = [
    ("no prompt", {"prompt": None}, "prompt"),
    ("an empty prompt", {"prompt": ""}, "prompt"),
    ("an empty list", {"prompt": []}, "prompt"),
    ("a prompt that is none", {"prompt": {"a": 1}}, "prompt"),
    ("a NUL", {"prompt": "a\0"}, "prompt"),
    ("no tokens", {"max_tokens": 0}, "max_tokens"),
    ("too hot", {"temperature": 3}, "temperature"),
    ("a long stop", {"stop": "x" * 501}, "stop"),
]


@pytest.mark.parametrize(("fields", "param"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_refusal_names_its_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**fields)
    assert caught.value.param == param


VALUES = st.none() | st.integers() | st.text() | st.lists(st.integers() | st.text())
BODIES = st.dictionaries(st.sampled_from(["prompt", "n", "stop"]), VALUES).map(
    lambda fields: json.dumps(fields).encode()
)


@given(body=st.binary(max_size=40) | BODIES)
def test_garbage_is_refused_politely(body: bytes) -> None:
    with suppress(ClientError):
        assert parse_request(body).messages
