"""A canonical request to a vendor's chat body: what goes, what is named as left out, what is refused."""

import json
from typing import Any

import pytest
from msgspec import Raw, Struct, structs

from core.contracts import Exchange
from core.errors import Unsupported
from core.request import (
    Audio,
    ChatRequest,
    File,
    Hints,
    Image,
    Message,
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
from core.wire.openai_chat import OPENAI_CHAT
from core.wire.openai_chat.build import Built, Flavour, build_request
from tests.core.exchanges import exchange

SCHEMA = Raw(b'{"type":"object"}')
GET = Tool("get", "function", "Gets.", SCHEMA, strict=True)


def asked(*messages: Message, **fields: Any) -> Exchange:
    request = ChatRequest("auto", messages or (user("Hello"),), **fields)
    return structs.replace(exchange(), request=request)


def user(*parts: Part | str) -> Message:
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def built(asking: Exchange, flavour: Flavour = "compatible") -> dict[str, Any]:
    body: dict[str, Any] = json.loads(build_request(asking, flavour).body)
    return body


class Case(Struct, frozen=True):
    id: str
    message: Message
    expected: list[dict[str, Any]]


CASES = [
    Case("one text is a string", user("Hi"), [{"role": "user", "content": "Hi"}]),
    Case(
        "several parts are a list",
        user("Look: ", Image(url="https://a.example/x.png", detail="low")),
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look: "},
                    {"type": "image_url", "image_url": {"url": "https://a.example/x.png", "detail": "low"}},
                ],
            }
        ],
    ),
    Case(
        "bare base64 becomes a data URL",
        user(Image(url="iVBORw0KGgo=")),
        [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}],
            }
        ],
    ),
    Case(
        "sound and documents go by their bytes",
        user(Audio("AAAA", "wav"), File(data="data:application/pdf;base64,AA==", filename="a.pdf")),
        [
            {
                "role": "user",
                "content": [
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
                ],
            }
        ],
    ),
    Case(
        "calls keep their ids and the text they were written in",
        Message("assistant", (Reasoning("hm"), Text("Let me look."), ToolCall("c1", "get", '{"a": 1}'))),
        [
            {
                "role": "assistant",
                "content": "Let me look.",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "get", "arguments": '{"a": 1}'}}],
            }
        ],
    ),
    Case(
        "a call alone has null for content",
        Message("assistant", (ToolCall("c1", "sh", "ls", "custom"),)),
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}],
            }
        ],
    ),
    Case("an empty answer is an empty text", Message("assistant", ()), [{"role": "assistant", "content": ""}]),
    Case(
        "results are messages of their own, and what is no text follows them",
        Message("tool", (ToolResult("c1", (Text("a"), Image(url="https://a.example/x.png"))), ToolResult("c2", ()))),
        [
            {"role": "tool", "tool_call_id": "c1", "content": "a"},
            {"role": "tool", "tool_call_id": "c2", "content": ""},
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}],
            },
        ],
    ),
    Case(
        "a result that failed says so in its text",
        Message("tool", (ToolResult("c1", (Text("no such city"),), is_error=True),)),
        [{"role": "tool", "tool_call_id": "c1", "content": "Error: no such city"}],
    ),
    Case(
        "a developer is a system to vendors who know no other word",
        Message("developer", (Text("Be brief."),), "ops"),
        [{"role": "system", "name": "ops", "content": "Be brief."}],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_message_is_written_so(case: Case) -> None:
    assert built(asked(case.message))["messages"] == case.expected


PICTURE = Image(url="https://a.example/x.png")
SHOWN = {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}


def calling(identity: str) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": "get", "arguments": "{}"}}


def answered(identity: str, text: str = "") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identity, "content": text}


class Conversation(Struct, frozen=True):
    id: str
    messages: tuple[Message, ...]
    expected: list[dict[str, Any]]


CONVERSATIONS = [
    Conversation(
        "calls of one turn are one message, and its results follow without a gap",
        (
            Message("assistant", (Text("Let me look."),)),
            Message("assistant", (ToolCall("c1", "get", "{}"),)),
            Message("assistant", (Reasoning("hm"),)),
            Message("assistant", (ToolCall("c2", "get", "{}"),)),
            Message("tool", (ToolResult("c1", (PICTURE,)),)),
            Message("tool", (ToolResult("c2", (Text("two"), PICTURE)),)),
            user("Well?"),
        ),
        [
            {"role": "assistant", "content": "Let me look.", "tool_calls": [calling("c1"), calling("c2")]},
            answered("c1"),
            answered("c2", "two"),
            {"role": "user", "content": [SHOWN, SHOWN]},
            {"role": "user", "content": "Well?"},
        ],
    ),
    Conversation(
        "calls of two turns stay two messages",
        (
            Message("assistant", (ToolCall("c1", "get", "{}"),)),
            user(ToolResult("c1", (PICTURE,))),
            Message("assistant", (ToolCall("c2", "get", "{}"),)),
            user(ToolResult("c2", ())),
        ),
        [
            {"role": "assistant", "content": None, "tool_calls": [calling("c1")]},
            answered("c1"),
            {"role": "user", "content": [SHOWN]},
            {"role": "assistant", "content": None, "tool_calls": [calling("c2")]},
            answered("c2"),
        ],
    ),
    Conversation(
        "neighbours that only speak stay apart",
        (Message("assistant", (Text("a"),)), Message("assistant", (Text("b"),))),
        [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}],
    ),
]


@pytest.mark.parametrize("case", CONVERSATIONS, ids=lambda case: case.id)
def test_a_conversation_is_written_so(case: Conversation) -> None:
    assert built(asked(*case.messages))["messages"] == case.expected


class Thought(Struct, frozen=True):
    id: str
    messages: tuple[Message, ...]
    reasoned: bool
    expected: list[str | None]


CALLED = Message("assistant", (Reasoning("hm"), ToolCall("c1", "get", "{}")))
THOUGHTS = [
    Thought("where it is wanted", (CALLED,), True, ["hm"]),
    Thought("elsewhere not", (CALLED,), False, [None]),
    Thought(
        "together, where what makes a turn are items of their own",
        (Message("assistant", (Reasoning("a"),)), CALLED, Message("assistant", (Reasoning("b"),))),
        True,
        ["a\n\nhm\n\nb"],
    ),
    Thought(
        "with what was said behind it",
        (Message("assistant", (Reasoning("hm"),)), Message("assistant", (Text("a"),))),
        True,
        ["hm"],
    ),
    Thought(
        "not where its words are unknown", (Message("assistant", (Reasoning(""), *CALLED.parts[1:])),), True, [None]
    ),
]


@pytest.mark.parametrize("case", THOUGHTS, ids=lambda case: case.id)
def test_reasoning_is_sent_back(case: Thought) -> None:
    body = json.loads(build_request(asked(*case.messages), "compatible", reasoned=case.reasoned).body)
    assert [message.get("reasoning_content") for message in body["messages"]] == case.expected


def test_openai_itself_knows_the_newer_words() -> None:
    body = built(asked(Message("developer", (Text("Be brief."),)), max_output_tokens=9), "openai")
    assert body["messages"] == [{"role": "developer", "content": "Be brief."}]
    assert body["max_completion_tokens"] == 9


def test_every_answer_is_asked_for_as_a_stream_with_its_usage() -> None:
    body = built(asked())
    assert body == {
        "model": "gpt-5",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_usage_is_not_asked_for_where_that_is_refused() -> None:
    body = json.loads(build_request(asked(), "compatible", counted=False).body)
    assert "stream_options" not in body


def test_tuning_goes_under_the_vendors_names() -> None:
    tuning = {"temperature": 0.5, "top_p": 0.9, "stop": ("a",), "max_output_tokens": 7}
    body = built(asked(**tuning, reasoning=ReasoningOptions("low"), tools=(GET,), parallel_tool_calls=False))
    assert {name: body[name] for name in ("temperature", "top_p", "stop", "max_tokens", "reasoning_effort")} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["a"],
        "max_tokens": 7,
        "reasoning_effort": "low",
    }
    assert body["parallel_tool_calls"] is False


def test_as_many_stop_sequences_go_as_openai_takes() -> None:
    assert built(asked(stop=tuple("abcdef")))["stop"] == ["a", "b", "c", "d"]


class Choice(Struct, frozen=True):
    id: str
    choice: ToolChoice
    expected: object


CHOICES = [
    Choice("auto", ToolChoice("auto"), "auto"),
    Choice("none", ToolChoice("none"), "none"),
    Choice("required", ToolChoice("required"), "required"),
    Choice("a function", ToolChoice("named", "get"), {"type": "function", "function": {"name": "get"}}),
    Choice("a custom tool", ToolChoice("named", "sh"), {"type": "custom", "custom": {"name": "sh"}}),
]


@pytest.mark.parametrize("case", CHOICES, ids=lambda case: case.id)
def test_tools_and_the_choice_among_them(case: Choice) -> None:
    body = built(asked(tools=(GET, Tool("sh", "custom")), tool_choice=case.choice))
    assert body["tool_choice"] == case.expected
    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "get", "description": "Gets.", "parameters": {"type": "object"}, "strict": True},
        },
        {"type": "custom", "custom": {"name": "sh"}},
    ]


def test_a_tool_is_named_in_the_letters_that_openai_allows() -> None:
    calling = Message("assistant", (ToolCall("c1", "mcp.get", "{}"),))
    asking = asked(calling, tools=(Tool("mcp.get"), Tool("m" * 90)), tool_choice=ToolChoice("named", "mcp.get"))
    body = built(asking)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["mcp_get", "m" * 64]
    assert body["tool_choice"]["function"]["name"] == "mcp_get"
    assert body["messages"][0]["tool_calls"][0]["function"]["name"] == "mcp_get"
    assert build_request(asking, "compatible").names.own("mcp_get") == "mcp.get"


def test_a_schema_for_the_answer_goes_as_it_is() -> None:
    wanted = OutputFormat("json_schema", "thing", SCHEMA, True)
    assert built(asked(output_format=wanted))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "thing", "schema": {"type": "object"}, "strict": True},
    }
    assert built(asked(output_format=OutputFormat("json_object")))["response_format"] == {"type": "json_object"}
    assert "response_format" not in built(asked(output_format=OutputFormat("text")))


def extras(asking: Exchange) -> Built:
    return build_request(asking, "compatible")


def test_unknown_fields_of_the_same_format_pass_and_options_are_spread() -> None:
    options = Raw(b'{"min_p": 0.1, "seed": 1}')
    result = extras(asked(extras={"seed": Raw(b"7"), "options": options}, hints=Hints(web_search=True)))
    body = json.loads(result.body)
    assert (body["seed"], body["min_p"], "options" in body) == (7, 0.1, False)
    assert result.ignored == ("web_search",)


def test_unknown_fields_of_another_format_are_named_as_left_out() -> None:
    class Other:
        name = "anthropic"

    foreign = structs.replace(asked(extras={"top_k": Raw(b"3")}), dialect=Other())
    result = extras(foreign)
    assert result.ignored == ("top_k",)
    assert "top_k" not in json.loads(result.body)


class Refused(Struct, frozen=True):
    id: str
    asking: Exchange
    param: str


REFUSED = [
    Refused("a conversation that is kept elsewhere", asked(continues=Turn("c")), "conversation_id"),
    Refused("a turn that is kept elsewhere", asked(continues=Turn("c"), previous="resp_x"), "previous_response_id"),
    Refused("pictures", asked(hints=Hints(image_generation=True)), "model"),
    Refused("research", asked(hints=Hints(deep_research=True)), "model"),
    Refused(
        "a file in a ChatGPT account",
        asked(user(Image(file_id="file_x", stored=StoredFile("x"), where="messages[0].content[0].file_id"))),
        "messages[0].content[0].file_id",
    ),
    Refused(
        "a document by its address",
        asked(user(File(url="https://a.example/a.pdf", where="messages[0].content[0].file_url"))),
        "messages[0].content[0].file_url",
    ),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_has_no_place_is_refused_by_its_field(case: Refused) -> None:
    with pytest.raises(Unsupported) as caught:
        build_request(case.asking, "compatible")
    assert caught.value.param == case.param


@pytest.mark.parametrize("case", CASES[:2] + CASES[3:6], ids=lambda case: case.id)
def test_what_is_built_is_read_back_as_it_was(case: Case) -> None:
    body = build_request(asked(case.message), "openai").body
    [message] = OPENAI_CHAT.parse_request(body, "application/json").messages
    kept = tuple(part for part in case.message.parts if not isinstance(part, Reasoning))
    assert [_bare(part) for part in message.parts] == [_bare(part) for part in kept]


def _bare(part: Part) -> Part:
    """Return a part without the place it came from."""
    return structs.replace(part, where="") if isinstance(part, Image | File | Audio) else part
