"""Names of tools in the letters that vendors allow: each is sent under one of its own, and found again."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.request import ChatRequest, Message, Text, Tool, ToolCall, ToolChoice
from core.tool_names import Names


class Case(Struct, frozen=True):
    id: str
    given: tuple[str, ...]
    sent: tuple[str, ...]


CASES = [
    Case("plain names stay", ("get", "files_read"), ("get", "files_read")),
    Case("other letters become underscores", ("mcp_srv.get", "a.b:c"), ("mcp_srv_get", "a_b_c")),
    Case("a long name is cut", ("m" * 90,), ("m" * 64,)),
    Case("names that become alike are told apart", ("a.b", "a:b", "a_b"), ("a_b_2", "a_b_3", "a_b")),
    Case("so are long ones", ("m" * 90, "m" * 91), ("m" * 64, "m" * 60 + "_2")),
]


def asking(*names: str) -> ChatRequest:
    return ChatRequest("m", (), tools=tuple(Tool(name) for name in names))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_name_is_sent_so(case: Case) -> None:
    names = Names(asking(*case.given), 64)
    assert tuple(map(names.sent, case.given)) == case.sent


@given(st.lists(st.text(max_size=80), unique=True, max_size=8))
def test_every_name_is_allowed_and_found_again(given: list[str]) -> None:
    names = Names(asking(*given), 64)
    sent = [names.sent(name) for name in given]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in sent)
    assert [names.own(name) for name in sent] == given


def test_a_request_is_renamed_wherever_it_names_a_tool() -> None:
    def said(name: str) -> ChatRequest:
        messages = (Message("assistant", (Text("a.b"), ToolCall("c1", name, "{}"))),)
        return ChatRequest("m", messages, tools=(Tool(name),), tool_choice=ToolChoice("named", name))

    assert Names(said("a.b"), 64).renamed(said("a.b")) == said("a_b")
    plain = said("a_b")
    assert Names(plain, 64).renamed(plain) is plain
