"""A canonical request to a Messages body: what goes, what is named as left out, what is refused (OM-5)."""

import json
from typing import Any, cast

import pytest
from msgspec import Raw, Struct, structs

from core.contracts import Exchange, Target, Upstream
from core.errors import Unsupported
from core.request import (
    Audio,
    ChatRequest,
    File,
    Hints,
    Image,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    ReasoningOptions,
    StoredFile,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from core.wire.anthropic import ANTHROPIC_MESSAGES
from core.wire.anthropic.build import FREE_TEXT, Built, build_request, count_body
from core.wire.anthropic.opaque import sealed
from tests.core.exchanges import Silent, exchange

SCHEMA = Raw(b'{"type":"object"}')
GET = Tool("get", "function", "Gets.", SCHEMA)
PDF = "data:application/pdf;base64,AA=="
NEW, MIDDLE, OLD, FIRST = "claude-opus-4-7", "claude-sonnet-4-6", "claude-sonnet-4-5", "claude-3-5-sonnet-20241022"


def asked(*messages: Message, model: str = MIDDLE, **fields: Any) -> Exchange:
    request = ChatRequest("auto", messages or (user("Hello"),), **fields)
    target = Target(cast(Upstream, Silent()), model)
    return structs.replace(exchange(), request=request, target=target)


def user(*parts: Part | str) -> Message:
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def said(*parts: Part) -> Message:
    return Message("assistant", parts)


def built(asking: Exchange) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(build_request(asking).body)
    return body


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


class Case(Struct, frozen=True):
    id: str
    messages: tuple[Message, ...]
    expected: list[dict[str, Any]]


CALL = ToolCall("toolu_1", "get", '{"a": 1}')
USE = {"type": "tool_use", "id": "toolu_1", "name": "get", "input": {"a": 1}}
CASES = [
    Case("text", (user("Hi"),), [{"role": "user", "content": [text("Hi")]}]),
    Case(
        "neighbours of one role are one turn",
        (user("a"), user("b"), said(Text("c")), said(Text("d"))),
        [{"role": "user", "content": [text("a"), text("b")]}, {"role": "assistant", "content": [text("c"), text("d")]}],
    ),
    Case(
        "empty texts, and messages of nothing else, are left out",
        (user("", "a"), said(Text(" \n")), user("b")),
        [{"role": "user", "content": [text("a"), text("b")]}],
    ),
    Case(
        "what tools answered stands first in the turn",
        (
            user("a"),
            said(CALL),
            user("Hurry!"),
            Message("tool", (ToolResult("toolu_1", (Text("sunny"),), is_error=True),)),
        ),
        [
            {"role": "user", "content": [text("a")]},
            {"role": "assistant", "content": [USE]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": [text("sunny")], "is_error": True},
                    text("Hurry!"),
                ],
            },
        ],
    ),
    Case(
        "ids in other letters, the same for a call and its result; no arguments, free text",
        (said(ToolCall("a:1", "get", ""), ToolCall("b", "sh", "ls", "custom")), user(ToolResult("a:1", ()))),
        [
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "a_1", "name": "get", "input": {}},
                    {"type": "tool_use", "id": "b", "name": "sh", "input": {"input": "ls"}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a_1", "content": []}]},
        ],
    ),
    Case(
        "thoughts go back to who signed them",
        (
            said(
                Reasoning("hm", sealed(signature="sig")),
                Reasoning("", sealed(data="xyz")),
                Reasoning("mine"),
                Reasoning("theirs", Opaque("openai_responses", b"x")),
                Reasoning("broken", Opaque("anthropic", b"{")),
                Text("a"),
            ),
        ),
        [
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "sig"},
                    {"type": "redacted_thinking", "data": "xyz"},
                    text("a"),
                ],
            }
        ],
    ),
    Case(
        "pictures by their address and by their bytes",
        (user(Image("https://a.example/x.png"), Image("iVBORw0KGgo="), Image("data:image/webp;base64,AA==")),),
        [
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "url", "url": "https://a.example/x.png"}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "AA=="}},
                ],
            }
        ],
    ),
    Case(
        "a picture whose declared type is wrong",
        (
            user(
                Image("data:image/jpg;base64,iVBORw0KGgo="),
                File(data="data:application/octet-stream;base64,iVBORw0KGgo="),
            ),
        ),
        [
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
                ]
                * 2,
            }
        ],
    ),
    Case(
        "documents: PDF, text and pictures by their bytes, any by its address",
        (
            user(
                File(data=PDF, filename="a.pdf"),
                File(data="aGk="),
                File(data="data:image/png;base64,AA=="),
                File(url="https://a.example/a.pdf"),
            ),
        ),
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                        "title": "a.pdf",
                    },
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                    {"type": "document", "source": {"type": "url", "url": "https://a.example/a.pdf"}},
                ],
            }
        ],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_messages_are_written_so(case: Case) -> None:
    assert built(asked(*case.messages))["messages"] == case.expected


def test_every_answer_is_asked_for_as_a_stream_with_a_limit() -> None:
    assert built(asked()) == {
        "model": MIDDLE,
        "stream": True,
        "max_tokens": 32000,
        "messages": [{"role": "user", "content": [text("Hello")]}],
    }


def test_all_instructions_have_one_place() -> None:
    messages = (Message("system", (Text("a"), Text(""))), user("x"), Message("developer", (Text("b"),)))
    assert built(asked(*messages))["system"] == [text("a"), text("b")]


class Tuned(Struct, frozen=True):
    """`expected` are fields of the body, absent ones as None."""

    id: str
    model: str
    fields: dict[str, Any]
    expected: dict[str, Any]
    ignored: tuple[str, ...] = ()


def effort(word: Any) -> dict[str, Any]:
    return {"reasoning": ReasoningOptions(word)}


TUNED = [
    Tuned("a limit", OLD, {"max_output_tokens": 7}, {"max_tokens": 7}),
    Tuned("a limit of nothing", OLD, {"max_output_tokens": 0}, {"max_tokens": 0}),
    Tuned("no limit, for the first models", FIRST, {}, {"max_tokens": 4096}),
    Tuned("no limit, for a model that nobody knows", "glm-5", {}, {"max_tokens": 8192}),
    Tuned("stop sequences", OLD, {"stop": ("a", "b")}, {"stop_sequences": ["a", "b"]}),
    Tuned("none of white space, which is refused", OLD, {"stop": ("\n\n", "\na")}, {"stop_sequences": ["\na"]}),
    Tuned("nothing but white space", OLD, {"stop": ("\n\n", " ")}, {"stop_sequences": None}),
    Tuned(
        "the first models take a temperature and a top_p",
        FIRST,
        {"temperature": 0.5, "top_p": 0.9},
        {"temperature": 0.5, "top_p": 0.9},
    ),
    Tuned(
        "later ones take one of them",
        OLD,
        {"temperature": 0.5, "top_p": 0.9},
        {"temperature": 0.5, "top_p": None},
        ("top_p",),
    ),
    Tuned("top_p alone", OLD, {"top_p": 0.9}, {"top_p": 0.9}),
    Tuned(
        "the newest take neither",
        NEW,
        {"temperature": 0.5, "top_p": 0.9},
        {"temperature": None, "top_p": None},
        ("temperature", "top_p"),
    ),
    Tuned("a temperature above 1", OLD, {"temperature": 1.5}, {"temperature": None}, ("temperature",)),
    Tuned(
        "an effort is a budget for models before 4.6, which then take no temperature",
        OLD,
        {**effort("medium"), "temperature": 0.5},
        {"thinking": {"type": "enabled", "budget_tokens": 8192}, "temperature": None},
        ("temperature",),
    ),
    Tuned(
        "a budget stays below the limit",
        OLD,
        {**effort("high"), "max_output_tokens": 2000},
        {"thinking": {"type": "enabled", "budget_tokens": 1999}},
    ),
    Tuned(
        "a limit that leaves no room for thought",
        OLD,
        {**effort("low"), "max_output_tokens": 1024},
        {"thinking": None},
        ("reasoning_effort",),
    ),
    Tuned("models that cannot think", FIRST, effort("low"), {"thinking": None}, ("reasoning_effort",)),
    Tuned(
        "no thought while a call is forced",
        OLD,
        {**effort("low"), "tools": (GET,), "tool_choice": ToolChoice("required")},
        {"thinking": None, "tool_choice": {"type": "any"}},
        ("reasoning_effort",),
    ),
    Tuned("no thought at all", OLD, effort("none"), {"thinking": {"type": "disabled"}}),
    Tuned(
        "newer models think as they see fit, with an effort",
        MIDDLE,
        effort("minimal"),
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
    ),
    Tuned(
        "newer models without an effort",
        MIDDLE,
        effort(None),
        {"thinking": {"type": "adaptive"}, "output_config": None},
    ),
    Tuned(
        "a summary of the thoughts",
        MIDDLE,
        {"reasoning": ReasoningOptions("low", "auto")},
        {"thinking": {"type": "adaptive", "display": "summarized"}},
    ),
    Tuned(
        "a format that cannot be asked for, should nobody have seen to it",
        MIDDLE,
        {"output_format": OutputFormat("json_object")},
        {"output_config": None},
        ("response_format",),
    ),
    Tuned("an effort that 4.6 does not know", MIDDLE, effort("xhigh"), {"output_config": {"effort": "high"}}),
    Tuned("an effort that 4.7 knows", NEW, effort("xhigh"), {"output_config": {"effort": "xhigh"}}),
    Tuned(
        "newer models while a call is forced keep the effort",
        MIDDLE,
        {**effort("high"), "tools": (GET,), "tool_choice": ToolChoice("named", "get")},
        {"thinking": None, "output_config": {"effort": "high"}},
    ),
    Tuned(
        "a model that nobody knows takes a budget",
        "glm-5",
        effort("low"),
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
    ),
    Tuned("and is not asked to think without an effort", "glm-5", effort(None), {"thinking": None}),
    Tuned("a Claude without a number is a new one", "claude-next", effort("max"), {"output_config": {"effort": "max"}}),
]


@pytest.mark.parametrize("case", TUNED, ids=lambda case: case.id)
def test_tuning_is_what_the_model_takes(case: Tuned) -> None:
    result = build_request(asked(model=case.model, **case.fields))
    body = json.loads(result.body)
    assert {name: body.get(name) for name in case.expected} == case.expected
    assert result.ignored == case.ignored


@pytest.mark.parametrize("signed", [True, False], ids=["with its thoughts", "without them"])
def test_a_round_of_calls_goes_on_with_thought_only_with_its_thoughts(signed: bool) -> None:
    """Anthropic refuses a budget when the turn of the calls does not begin with the thoughts that led to them."""
    thoughts = (Reasoning("hm", sealed(signature="sig")),) if signed else ()
    messages = (user("a"), said(*thoughts, CALL), Message("tool", (ToolResult("toolu_1", ()),)))
    result = build_request(asked(*messages, model=OLD, **effort("low")))
    assert ("thinking" in json.loads(result.body)) == signed
    assert result.ignored == (() if signed else ("reasoning_effort",))


class Choice(Struct, frozen=True):
    id: str
    choice: ToolChoice
    parallel: bool | None
    expected: object


CHOICES = [
    Choice("auto needs no word", ToolChoice("auto"), None, None),
    Choice("auto, one by one", ToolChoice("auto"), False, {"type": "auto", "disable_parallel_tool_use": True}),
    Choice("auto, side by side", ToolChoice("auto"), True, {"type": "auto", "disable_parallel_tool_use": False}),
    Choice("none", ToolChoice("none"), False, {"type": "none"}),
    Choice("required", ToolChoice("required"), None, {"type": "any"}),
    Choice("required, one by one", ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
    Choice("a tool", ToolChoice("named", "files.read"), None, {"type": "tool", "name": "files_read"}),
]


@pytest.mark.parametrize("case", CHOICES, ids=lambda case: case.id)
def test_tools_and_the_choice_among_them(case: Choice) -> None:
    tools = (
        GET,
        Tool("files.read", "function"),
        Tool("sh", "custom", "Runs.", grammar="start: WORD"),
        Tool("files_read", "function"),
    )
    body = built(asked(tools=tools, tool_choice=case.choice, parallel_tool_calls=case.parallel))
    names = ["get", "files_read_2", "sh", "files_read"]
    expected = case.expected
    if case.choice.mode == "named":
        expected = {"type": "tool", "name": "files_read_2"}
    assert body.get("tool_choice") == expected
    assert [tool["name"] for tool in body["tools"]] == names
    assert body["tools"][0] == {"name": "get", "description": "Gets.", "input_schema": {"type": "object"}}
    assert body["tools"][1]["input_schema"] == {"type": "object", "properties": {}}
    assert body["tools"][2]["input_schema"] == FREE_TEXT
    assert body["tools"][2]["description"] == "Runs.\n\nThe input must follow this grammar:\nstart: WORD"


def test_a_search_of_the_web_is_anthropics_own_tool() -> None:
    body = built(asked(hints=Hints(web_search=True)))
    assert body["tools"] == [{"type": "web_search_20250305", "name": "web_search"}]
    assert "tool_choice" not in body


def test_a_schema_for_the_answer_stands_beside_the_effort() -> None:
    schema = Raw(b'{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}')
    body = built(asked(output_format=OutputFormat("json_schema", "x", schema), **effort("low")))
    assert body["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": {**json.loads(bytes(schema)), "additionalProperties": False}},
    }


def extras(asking: Exchange) -> Built:
    return build_request(asking)


def test_unknown_fields_of_another_format_are_named_as_left_out() -> None:
    fields = {"top_k": Raw(b"3"), "seed": Raw(b"7")}
    result = extras(asked(extras=fields, hints=Hints(code_interpreter=True), ignored=("x",)))
    assert result.ignored == ("code_interpreter", "seed", "x")
    assert json.loads(result.body)["top_k"] == 3
    assert extras(asked(extras=fields, model=NEW)).ignored == ("top_k", "seed")


def test_unknown_fields_of_the_same_format_pass() -> None:
    asking = structs.replace(asked(extras={"metadata": Raw(b'{"user_id":"u"}')}), dialect=ANTHROPIC_MESSAGES)
    result = extras(asking)
    assert json.loads(result.body)["metadata"] == {"user_id": "u"}
    assert result.ignored == ()


def test_a_count_is_asked_for_without_what_bears_on_the_answer_alone() -> None:
    body = json.loads(count_body(build_request(asked(temperature=0.5, tools=(GET,))).body))
    assert sorted(body) == ["messages", "model", "tools"]


class Refused(Struct, frozen=True):
    id: str
    asking: Exchange
    param: str


REFUSED = [
    Refused("a conversation that is kept elsewhere", asked(continues=Turn("c")), "conversation_id"),
    Refused("a turn that is kept elsewhere", asked(continues=Turn("c"), previous="resp_x"), "previous_response_id"),
    Refused("pictures", asked(hints=Hints(image_generation=True)), "model"),
    Refused("research", asked(hints=Hints(deep_research=True)), "model"),
    Refused("nothing but a system prompt", asked(Message("system", (Text("a"),))), "messages"),
    Refused(
        "a picture in a system message", asked(Message("system", (Image("x", where="messages[0]"),))), "messages[0]"
    ),
    Refused("sound", asked(user(Audio("AAAA", "wav", "messages[0].content[1]"))), "messages[0].content[1]"),
    Refused(
        "a file in a ChatGPT account",
        asked(user(Image(file_id="file_x", stored=StoredFile("x"), where="messages[0].content[0].file_id"))),
        "messages[0].content[0].file_id",
    ),
    Refused("a document in a ChatGPT account", asked(user(File(file_id="file_x", where="at"))), "at"),
    Refused("a picture of another kind", asked(user(Image("data:image/tiff;base64,AA==", where="at"))), "at"),
    Refused("a document of another kind", asked(user(File(data="data:application/zip;base64,/w==", where="at"))), "at"),
    Refused("a document of zeros", asked(user(File(data="data:application/x;base64,AA==", where="at"))), "at"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_has_no_place_is_refused_by_its_field(case: Refused) -> None:
    with pytest.raises(Unsupported) as caught:
        build_request(case.asking)
    assert caught.value.param == case.param


def test_what_is_built_is_read_back_as_it_was() -> None:
    messages = (
        Message("system", (Text("Be brief."),)),
        user("Hi", Image("https://a.example/x.png"), File(data=PDF, filename="a.pdf")),
        said(Reasoning("hm", sealed(signature="sig")), Text("Let me look."), CALL),
        Message("tool", (ToolResult("toolu_1", (Text("sunny"),), is_error=True),)),
        user("Go on."),
    )
    fields: dict[str, Any] = {
        "tools": (GET,),
        "tool_choice": ToolChoice("auto"),
        "parallel_tool_calls": False,
        "max_output_tokens": 7,
        "temperature": 0.5,
        "stop": ("a",),
        "stream": True,
    }
    request = ANTHROPIC_MESSAGES.parse_request(build_request(asked(*messages, model=OLD, **fields)).body, "")
    assert {name: getattr(request, name) for name in fields} == fields
    assert tuple(map(without_place, request.messages)) == messages


def without_place(message: Message) -> Message:
    parts = (structs.replace(part, where="") if isinstance(part, Image | File) else part for part in message.parts)
    return structs.replace(message, parts=tuple(parts))
