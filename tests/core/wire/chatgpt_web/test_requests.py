from typing import Any, get_args

import pytest
from msgspec import Raw, Struct, json, structs

from core.accounts import Pool, Principal
from core.contracts import Exchange, Target
from core.errors import InvalidRequest, Unsupported
from core.request import (
    Audio,
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
    StoredFile,
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
from core.wire.chatgpt_web.research import RESEARCH_HINT
from core.wire.openai_chat import OPENAI_CHAT


def said(text: str, role: Role = "user") -> Message:
    return Message(role, (Text(text),))


def exchange(*messages: Message, **fields: Any) -> Exchange:
    upstream = ChatGPTWeb(Settings.from_env({}), Pool(()))
    request = ChatRequest("auto", messages or (said("Hello"),), **fields)
    return Exchange(
        id="x" * 24,
        created=0,
        dialect=OPENAI_CHAT,
        request=request,
        target=Target(upstream, "gpt-5"),
        principal=Principal("pool"),
    )


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
    Case("a picture is asked for", {"hints": Hints(image_generation=True)}, {"system_hints": ["picture_v2"]}),
    Case(
        "a research is asked for, and searches by itself",
        {"hints": Hints(deep_research=True, web_search=True)},
        {"system_hints": ["connector:connector_openai_deep_research"], "model": "gpt-5"},
    ),
    Case("code is asked for in words alone", {"hints": Hints(code_interpreter=True)}, {"system_hints": []}),
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


RESEARCHED = {
    "system_hints": ["connector:connector_openai_deep_research"],
    "selected_sources": ["web"],
    "caterpillar_selected_sources": ["web"],
    "selected_mcp_sources": [],
    "deep_research_version": "standard",
    "venus_model_variant": "standard",
}
IN_THE_MESSAGE: list[tuple[Hints, dict[str, Any]]] = [
    (Hints(image_generation=True), {"system_hints": ["picture_v2"]}),
    (Hints(web_search=True), {"system_hints": ["search"]}),
    (Hints(web_search=True, image_generation=True), {"system_hints": ["search", "picture_v2"]}),
    (Hints(deep_research=True), RESEARCHED),
]


@pytest.mark.parametrize(("hints", "metadata"), IN_THE_MESSAGE, ids=lambda value: str(value)[:70])
def test_the_newest_message_of_a_turn_says_what_is_wanted_too(hints: Hints, metadata: dict[str, Any]) -> None:
    first, newest = turn(said("Hi"), said("A cat"), hints=hints)["messages"]
    assert "metadata" not in first
    assert newest["metadata"] == metadata


def with_model(name: str, **fields: Any) -> Exchange:
    asked = exchange(**fields)
    return structs.replace(asked, target=structs.replace(asked.target, model=name))


THOUGHT: list[tuple[str, ReasoningOptions | None, tuple[str, str | None, tuple[str, ...]]]] = [
    ("auto", ReasoningOptions("low"), ("auto", "standard", ("reason",))),
    ("gpt-5-6-thinking-high", None, ("gpt-5-6-thinking", "max", ())),
    ("gpt-5-6-thinking", None, ("gpt-5-6-thinking", None, ())),
]


@pytest.mark.parametrize(("name", "reasoning", "expected"), THOUGHT)
def test_thinking(
    name: str, reasoning: ReasoningOptions | None, expected: tuple[str, str | None, tuple[str, ...]]
) -> None:
    made = prepare_outgoing(with_model(name, reasoning=reasoning), True)
    assert (made.model, made.thinking_effort, made.hints) == expected


@pytest.mark.parametrize(("named", "slug"), [("o3-deep-research", "auto"), ("gpt-5-6-thinking", "gpt-5-6-thinking")])
def test_a_name_of_the_api_leaves_the_choice_to_the_service(named: str, slug: str) -> None:
    asked = with_model(named, hints=Hints(deep_research=True), reasoning=ReasoningOptions("high"))
    made = prepare_outgoing(asked, False)
    assert (made.model, made.thinking_effort, made.hints) == (slug, "max", (RESEARCH_HINT,))


MODELS = {
    "gpt-image-2": "auto",
    "gpt-image-1-mini": "auto",
    "dall-e-3": "auto",
    "chatgpt-image-latest": "auto",
    "gpt-5-5": "gpt-5-5",
}


@pytest.mark.parametrize(("named", "drawing"), MODELS.items())
def test_a_chat_model_draws_and_an_image_model_leaves_the_choice_to_the_service(named: str, drawing: str) -> None:
    assert prepare_outgoing(with_model(named, hints=Hints(image_generation=True)), False).model == drawing


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


@pytest.mark.parametrize(("detail", "ignored"), [(None, ()), ("auto", ()), ("low", ("detail",)), ("high", ("detail",))])
def test_how_closely_to_look_at_a_picture_is_named(detail: str | None, ignored: tuple[str, ...]) -> None:
    image = Image(file_id="f", detail=detail)
    asked = exchange(Message("user", (image,)))
    assert prepare_outgoing(asked, True, {image: StoredFile("f")}).ignored == ignored


IGNORED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ()),
    ({"temperature": 0.5, "top_p": 0.0, "parallel_tool_calls": False}, ("temperature", "top_p", "parallel_tool_calls")),
    ({"extras": {"seed": Raw(b"1"), "user": Raw(b'"u"')}}, ("seed", "user")),
    ({"stop": ("x",), "max_output_tokens": 7}, ()),
    *(({"reasoning": ReasoningOptions(effort)}, ("reasoning_effort",)) for effort in ("none", "minimal")),
]


@pytest.mark.parametrize(("fields", "ignored"), IGNORED, ids=lambda value: str(value)[:60])
def test_what_it_cannot_take_along_is_named(fields: dict[str, Any], ignored: tuple[str, ...]) -> None:
    assert outgoing(**fields).ignored == ignored


REFUSED: list[tuple[str, Exchange]] = [
    ("messages[1].content[1]", exchange(said("x"), Message("user", (Text("hear"), Audio("AA==", "wav"))))),
    ("contents[0].parts[1]", exchange(Message("user", (Audio("AA==", "wav", "contents[0].parts[1]"),)))),
    ("messages[0]", exchange(Message("assistant", (ToolCall("call_1", "now", "{}"),)))),
    ("model", exchange(hints=Hints(deep_research=True, image_generation=True))),
]


@pytest.mark.parametrize(("param", "asked"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_it_cannot_do_is_refused(param: str, asked: Exchange) -> None:
    with pytest.raises(Unsupported) as caught:
        prepare_outgoing(asked, True)
    assert caught.value.param == param


MISPLACED: list[tuple[str, Message]] = [
    ("messages[0]", Message("assistant", (Image(url="https://a.example/b.png"),))),
    ("input[3].content[0].file_id", Message("system", (File(file_id="x", where="input[3].content[0].file_id"),))),
]


@pytest.mark.parametrize(("param", "message"), MISPLACED, ids=lambda value: value if isinstance(value, str) else "")
def test_only_users_show_pictures_and_files(param: str, message: Message) -> None:
    with pytest.raises(InvalidRequest) as caught:
        prepare_outgoing(exchange(message), True)
    assert caught.value.param == param


PICTURE = Image(url="u", where="messages[0].content[1].image_url")
DOCUMENT = File(data="d", where="messages[0].content[2].file_data")
ATTACHED: dict[Image | File, StoredFile] = {
    PICTURE: StoredFile("file_00a", name="cat.png", media_type="image/png", size=70, width=4, height=3),
    DOCUMENT: StoredFile("file-0b", name="a.pdf", media_type="application/pdf", size=9),
}


def test_pictures_stand_before_the_text_and_documents_beside_it() -> None:
    asked = exchange(Message("user", (Text("See"), PICTURE, DOCUMENT, PICTURE, Text("them"))))
    made = prepare_outgoing(asked, True, ATTACHED)
    shown = {
        "content_type": "image_asset_pointer",
        "asset_pointer": "sediment://file_00a",
        "size_bytes": 70,
        "width": 4,
        "height": 3,
    }
    message = json.decode(build_turn(made, True))["messages"][0]
    assert message["content"] == {"content_type": "multimodal_text", "parts": [shown, shown, "See\n\nthem"]}
    common = {"source": "local", "is_big_paste": False}
    assert message["metadata"]["attachments"] == [
        {"id": "file_00a", "name": "cat.png", "size": 70, "mime_type": "image/png", "width": 4, "height": 3, **common},
        {"id": "file-0b", "name": "a.pdf", "size": 9, "mime_type": "application/pdf", **common},
    ]
    assert json.decode(build_prepare(made))["attachment_mime_types"] == ["image/png", "application/pdf"]
    assert made.sent().message_ids == {made.messages[0].id}


def test_a_document_alone_leaves_the_content_text() -> None:
    made = prepare_outgoing(exchange(Message("user", (DOCUMENT,))), True, ATTACHED)
    assert json.decode(build_turn(made, True))["messages"][0]["content"] == {"content_type": "text", "parts": [""]}


def test_a_picture_of_the_older_kind_has_the_older_pointer() -> None:
    older: dict[Image | File, StoredFile] = {PICTURE: StoredFile("file-abc", media_type="image/webp", size=1)}
    made = prepare_outgoing(exchange(Message("user", (PICTURE,))), True, older)
    pointer = json.decode(build_turn(made, True))["messages"][0]["content"]["parts"][0]
    assert pointer["asset_pointer"] == "file-service://file-abc"
    assert "width" not in pointer


def test_efforts_are_all_known() -> None:
    asked = exchange()
    for effort in get_args(Effort):
        request = structs.replace(asked.request, reasoning=ReasoningOptions(effort))
        made = prepare_outgoing(structs.replace(asked, request=request), True)
        assert (made.thinking_effort is None) == ("reasoning_effort" in made.ignored)
