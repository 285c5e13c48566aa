from typing import Any, get_args

import pytest
from msgspec import Raw, Struct, json, structs

from core.accounts import Pool, Principal
from core.contracts import Exchange, Target
from core.errors import Unsupported
from core.request import (
    ChatRequest,
    Effort,
    File,
    Hints,
    Image,
    Message,
    Part,
    Reasoning,
    ReasoningOptions,
    Role,
    Text,
    ToolCall,
    Turn,
)
from core.settings import Settings
from core.upstreams.chatgpt_web import ChatGPTWeb
from core.wire.chatgpt_web.requests import (
    Outgoing,
    build_continue,
    build_prepare,
    build_resume,
    build_turn,
    prepare_outgoing,
)
from core.wire.openai_chat import OPENAI_CHAT


def said(text: str, role: Role = "user") -> Message:
    return Message(role, (Text(text),))


def exchange(*messages: Message, **fields: Any) -> Exchange:
    upstream = ChatGPTWeb(Settings.from_env({}), Pool(()))
    request = ChatRequest("auto", messages or (said("Hello"),), **fields)
    return Exchange("x" * 24, 0, OPENAI_CHAT, request, Target(upstream, "gpt-5"), Principal("pool"))


def outgoing(*messages: Message, temporary: bool = True, **fields: Any) -> Outgoing:
    return prepare_outgoing(exchange(*messages, **fields), temporary)


def turn(*messages: Message, temporary: bool = True, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.decode(build_turn(outgoing(*messages, temporary=temporary, **fields), True))
    return body


def test_a_new_turn_in_full() -> None:
    body = turn(said("Be brief.", "system"), said("Hello"))
    ids = [message.pop("id") for message in body["messages"]]
    assert len(set(ids)) == 2
    assert body == {
        "action": "next",
        "messages": [
            {"author": {"role": "system"}, "content": {"content_type": "text", "parts": ["Be brief."]}},
            {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["Hello"]}},
        ],
        "parent_message_id": "client-created-root",
        "model": "gpt-5",
        "timezone_offset_min": 0,
        "history_and_training_disabled": True,
        "conversation_mode": {"kind": "primary_assistant"},
        "system_hints": [],
        "supported_encodings": ["v1"],
        "supports_buffering": True,
        "client_prepare_state": "sent",
    }


def test_the_same_exchange_is_written_the_same() -> None:
    assert turn(said("Hello")) == turn(said("Hello"))


class Case(Struct, frozen=True):
    id: str
    fields: dict[str, Any]
    expected: dict[str, Any]


EFFORTS: dict[Effort, str] = {
    "low": "standard",
    "medium": "extended",
    "high": "max",
    "xhigh": "max",
    "max": "max",
}
FIELDS = [
    Case("a kept turn is not temporary", {"temporary": False}, {"history_and_training_disabled": False}),
    Case(
        "a turn may go on from another",
        {"continues": Turn("c1", "m9")},
        {"conversation_id": "c1", "parent_message_id": "m9"},
    ),
    Case(
        "a conversation without a message goes on from its root",
        {"continues": Turn("c1")},
        {"conversation_id": "c1", "parent_message_id": "client-created-root"},
    ),
    Case(
        "a search is asked for twice",
        {"hints": Hints(web_search=True)},
        {"system_hints": ["search"], "force_use_search": True},
    ),
    *(
        Case(f"effort {effort} is {theirs}", {"reasoning": ReasoningOptions(effort)}, {"thinking_effort": theirs})
        for effort, theirs in EFFORTS.items()
    ),
]


@pytest.mark.parametrize("case", FIELDS, ids=lambda case: case.id)
def test_fields_of_a_turn(case: Case) -> None:
    body = turn(**case.fields)
    assert {name: body[name] for name in case.expected} == case.expected


def test_without_a_conduit_the_turn_says_so() -> None:
    assert json.decode(build_turn(outgoing(), announced=False))["client_prepare_state"] == "none"


ROLES: list[tuple[Role, str]] = [
    ("developer", "system"),
    ("system", "system"),
    ("user", "user"),
    ("assistant", "assistant"),
]


@pytest.mark.parametrize(("ours", "theirs"), ROLES)
def test_roles(ours: Role, theirs: str) -> None:
    assert turn(said("x", ours))["messages"][0]["author"] == {"role": theirs}


def test_a_name_goes_along() -> None:
    assert turn(Message("user", (Text("x"),), "Ada"))["messages"][0]["author"] == {"role": "user", "name": "Ada"}


def test_parts_of_text_are_joined_and_earlier_reasoning_stays_here() -> None:
    parts: tuple[Part, ...] = (Reasoning("why"), Text("one"), Text("two"))
    assert turn(Message("assistant", parts))["messages"][0]["content"]["parts"] == ["one\n\ntwo"]


def test_what_was_sent_is_remembered_to_know_its_echo() -> None:
    made = outgoing(said("Hi"), said("Hello!", "assistant"), said("", "assistant"), said("And?"))
    sent = made.sent()
    assert sent.assistant_texts == {"Hello!"}
    assert sent.message_ids == {message.id for message in made.messages}


def test_an_announcement_in_full() -> None:
    made = outgoing(said("Hi"), said("Hello"), reasoning=ReasoningOptions("low"), continues=Turn("c1", "m9"))
    assert json.decode(build_prepare(made)) == {
        "action": "next",
        "model": "gpt-5",
        "conversation_id": "c1",
        "parent_message_id": "m9",
        "system_hints": [],
        "timezone_offset_min": 0,
        "conversation_mode": {"kind": "primary_assistant"},
        "supported_encodings": ["v1"],
        "supports_buffering": True,
        "client_prepare_state": "none",
        "thinking_effort": "standard",
        "partial_query": {
            "id": made.messages[-1].id,
            "author": {"role": "user"},
            "content": {"content_type": "text", "parts": ["Hello"]},
        },
    }


def test_a_continuation_has_no_messages() -> None:
    body = json.decode(build_continue(outgoing(), Turn("c1", "m9")))
    assert (body["action"], body["conversation_id"], body["parent_message_id"]) == ("continue", "c1", "m9")
    assert "messages" not in body


def test_a_resume_in_full() -> None:
    assert json.decode(build_resume("c1", 7)) == {"conversation_id": "c1", "offset": 7}


IGNORED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ()),
    ({"temperature": 0.5, "top_p": 0.0, "parallel_tool_calls": False}, ("temperature", "top_p", "parallel_tool_calls")),
    ({"extras": {"seed": Raw(b"1"), "user": Raw(b'"u"')}}, ("seed", "user")),
    ({"stop": ("x",), "max_output_tokens": 7}, ()),
    ({"hints": Hints(code_interpreter=True)}, ("function_code_interpreter",)),
    *(({"reasoning": ReasoningOptions(effort)}, ("reasoning_effort",)) for effort in ("none", "minimal")),
]


@pytest.mark.parametrize(("fields", "ignored"), IGNORED, ids=lambda value: str(value)[:60])
def test_what_it_cannot_take_along_is_named(fields: dict[str, Any], ignored: tuple[str, ...]) -> None:
    assert outgoing(**fields).ignored == ignored


REFUSED: list[tuple[str, Exchange]] = [
    (
        "messages[1].content[1]",
        exchange(said("x"), Message("user", (Text("see"), Image(url="https://a.example/b.png")))),
    ),
    ("messages[0].content[0]", exchange(Message("user", (File(file_id="file-1"),)))),
    ("messages[0]", exchange(Message("assistant", (ToolCall("call_1", "now", "{}"),)))),
    ("function_image_gen", exchange(hints=Hints(image_generation=True))),
    ("model", exchange(hints=Hints(deep_research=True))),
]


@pytest.mark.parametrize(("param", "asked"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_it_cannot_do_is_refused(param: str, asked: Exchange) -> None:
    with pytest.raises(Unsupported) as caught:
        prepare_outgoing(asked, True)
    assert caught.value.param == param


def test_efforts_are_all_known() -> None:
    asked = exchange()
    for effort in get_args(Effort):
        request = structs.replace(asked.request, reasoning=ReasoningOptions(effort))
        made = prepare_outgoing(structs.replace(asked, request=request), True)
        assert (made.thinking_effort is None) == ("reasoning_effort" in made.ignored)
