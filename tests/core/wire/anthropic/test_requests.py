"""Every field of a Messages request, and every refusal with the field it names (clients, section 1.2)."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from core.errors import ClientError, InvalidRequest
from core.request import (
    ChatRequest,
    File,
    Hints,
    Image,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    ReasoningOptions,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from core.wire.anthropic import ANTHROPIC_MESSAGES, ANTHROPIC_TOKEN_COUNT
from core.wire.anthropic.opaque import sealed
from core.wire.anthropic.thinking import OMITTED, THINKING
from tests.strategies import JSON_VALUES

USER: dict[str, Any] = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
TOOL = {"name": "get", "description": "Gets.", "input_schema": SCHEMA}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "get", "input": {"a": 1}}
CALLED = {"role": "assistant", "content": [CALL]}


def parse(body: object) -> ChatRequest:
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return ANTHROPIC_MESSAGES.parse_request(data, "application/json")


def with_fields(**fields: object) -> dict[str, object]:
    return {"model": "m", "max_tokens": 9, "messages": [USER], **fields}


def raw(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))


class Case(Struct, frozen=True):
    """`expected` are fields of the canonical request."""

    id: str
    given: dict[str, Any]
    expected: dict[str, Any]


FIELDS = [
    Case(
        "the smallest request",
        {},
        {
            "model": "m",
            "messages": (Message("user", (Text("Hi"),)),),
            "stream": False,
            "include_usage": True,
            "max_output_tokens": 9,
            "tool_choice": ToolChoice("auto"),
            "parallel_tool_calls": None,
            "reasoning": None,
            "extras": {},
            "ignored": (),
        },
    ),
    Case("a limit of nothing, which fills a cache", {"max_tokens": 0}, {"max_output_tokens": 0}),
    Case("a stream always counts its tokens", {"stream": True}, {"stream": True, "include_usage": True}),
    Case(
        "a system prompt is the first message",
        {"system": "Be brief."},
        {"messages": (Message("system", (Text("Be brief."),)), Message("user", (Text("Hi"),)))},
    ),
    Case(
        "a system prompt in blocks keeps them apart",
        {
            "system": [
                {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "b"},
            ]
        },
        {"messages": (Message("system", (Text("a"), Text("b"))), Message("user", (Text("Hi"),)))},
    ),
    Case("an empty system prompt is none", {"system": []}, {"messages": (Message("user", (Text("Hi"),)),)}),
    Case("a temperature and a top_p", {"temperature": 0, "top_p": 0.5}, {"temperature": 0.0, "top_p": 0.5}),
    Case("stop sequences, the empty one left out", {"stop_sequences": ["a", ""]}, {"stop": ("a",)}),
    Case(
        "tools",
        {"tools": [{**TOOL, "type": "custom", "strict": True, "defer_loading": True, "cache_control": None}]},
        {"tools": (Tool("get", "function", "Gets.", raw(SCHEMA), True),), "ignored": ()},
    ),
    Case(
        "what Anthropic runs itself is a hint, and a choice of it asks for no more",
        {
            "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}],
            "tool_choice": {"type": "tool", "name": "web_search"},
        },
        {"tools": (), "hints": Hints(web_search=True), "tool_choice": ToolChoice("auto")},
    ),
    Case(
        "what such a tool is limited to is named as ignored",
        {
            "tools": [
                {
                    "type": "web_search_20250305",
                    "name": "web_search",
                    "cache_control": {"type": "ephemeral"},
                    "allowed_domains": ["a.example"],
                    "blocked_domains": None,
                    "max_uses": 8,
                    "user_location": {"type": "approximate", "city": "Oslo"},
                }
            ]
        },
        {"ignored": ("tools[0].allowed_domains", "tools[0].max_uses", "tools[0].user_location")},
    ),
    Case(
        "what else is said of a tool is named as ignored",
        {
            "tools": [
                {**TOOL, "input_examples": [{"a": 1}], "allowed_callers": ["direct"], "eager_input_streaming": True}
            ]
        },
        {"ignored": ("tools[0].input_examples", "tools[0].allowed_callers")},
    ),
    Case(
        "code execution is a hint",
        {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
        {"hints": Hints(code_interpreter=True)},
    ),
    Case(
        "another tool of Anthropic's is named as ignored",
        {"tools": [TOOL, {"type": "bash_20250124", "name": "bash"}]},
        {"tools": (Tool("get", "function", "Gets.", raw(SCHEMA)),), "ignored": ("tools[1]",)},
    ),
    Case("any is required", {"tool_choice": {"type": "any"}}, {"tool_choice": ToolChoice("required")}),
    Case("none", {"tool_choice": {"type": "none"}}, {"tool_choice": ToolChoice("none")}),
    Case("one tool", {"tool_choice": {"type": "tool", "name": "get"}}, {"tool_choice": ToolChoice("named", "get")}),
    Case(
        "calls one by one",
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"parallel_tool_calls": False},
    ),
    Case(
        "calls side by side",
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
        {"parallel_tool_calls": True},
    ),
    Case(
        "a budget stands for an effort",
        {"thinking": {"type": "enabled", "budget_tokens": 5000, "display": "summarized"}},
        {"reasoning": ReasoningOptions("medium"), "echo": {THINKING: Raw(b"true")}},
    ),
    Case(
        "adaptive thinking names no effort, and may be kept out of sight",
        {"thinking": {"type": "adaptive", "display": "omitted"}},
        {"reasoning": ReasoningOptions(), "echo": {THINKING: Raw(b"true"), OMITTED: Raw(b"true")}},
    ),
    Case(
        "an effort that is named counts before a budget",
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "max"}},
        {"reasoning": ReasoningOptions("max")},
    ),
    Case(
        "an effort alone shows no thinking",
        {"output_config": {"effort": "low"}},
        {"reasoning": ReasoningOptions("low"), "echo": {}},
    ),
    Case(
        "thinking that is off is no wish",
        {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
        {"reasoning": None, "echo": {}},
    ),
    Case(
        "a schema for the answer",
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"output_format": OutputFormat("json_schema", None, raw(SCHEMA), True)},
    ),
    Case(
        "a schema for the answer where it stood before",
        {"output_format": {"type": "json_schema", "schema": SCHEMA}},
        {"output_format": OutputFormat("json_schema", None, raw(SCHEMA), True)},
    ),
    Case(
        "fields of betas travel by their own name, cache control leaves no trace",
        {"metadata": {"user_id": "u"}, "context_management": {"edits": []}, "brand_new": 1, "cache_control": {}},
        {
            "extras": {
                "metadata": raw({"user_id": "u"}),
                "context_management": raw({"edits": []}),
                "brand_new": Raw(b"1"),
            }
        },
    ),
]


@pytest.mark.parametrize("case", FIELDS, ids=lambda case: case.id)
def test_a_field_is_read(case: Case) -> None:
    request = parse(with_fields(**case.given))
    assert {name: getattr(request, name) for name in case.expected} == case.expected


class Content(Struct, frozen=True):
    """The messages of a request, and what they become."""

    id: str
    given: list[dict[str, Any]]
    expected: tuple[Message, ...]
    ignored: tuple[str, ...] = ()


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def source(kind: str, **fields: str) -> dict[str, Any]:
    return {"type": kind, **fields}


def one(role: Any, *parts: Part) -> tuple[Message, ...]:
    return (Message(role, parts),)


AT = "messages[0].content[0].source"
CONTENT = [
    Content("text in blocks", [user({"type": "text", "text": "a", "cache_control": {}})], one("user", Text("a"))),
    Content(
        "an image by its bytes",
        [user({"type": "image", "source": source("base64", media_type="image/png", data="AA==")})],
        one("user", Image("data:image/png;base64,AA==", where=f"{AT}.data")),
    ),
    Content(
        "an image by its address",
        [user({"type": "image", "source": source("url", url="https://a.example/x.png")})],
        one("user", Image("https://a.example/x.png", where=f"{AT}.url")),
    ),
    Content(
        "an image that Anthropic keeps",
        [user({"type": "image", "source": source("file", file_id="file_1")})],
        one("user", Image(file_id="file_1", where=f"{AT}.file_id")),
    ),
    Content(
        "a document by its bytes",
        [
            user(
                {
                    "type": "document",
                    "title": "A",
                    "source": source("base64", media_type="application/pdf", data="AA=="),
                }
            )
        ],
        one("user", File(data="data:application/pdf;base64,AA==", filename="A", where=f"{AT}.data")),
    ),
    Content(
        "what is said of a document, and the wish for quotations of it",
        [
            user(
                {
                    "type": "document",
                    "context": "Old.",
                    "citations": {"enabled": True},
                    "source": source("url", url="https://a.example/x.pdf"),
                },
                {
                    "type": "document",
                    "title": "A",
                    "context": "New.",
                    "citations": {"enabled": False},
                    "source": source("text", media_type="text/plain", data="words"),
                },
            )
        ],
        one("user", Text("Old."), File(url="https://a.example/x.pdf", where=f"{AT}.url"), Text("A\nNew.\nwords")),
        ("messages[0].content[0].citations",),
    ),
    Content(
        "a document by its address",
        [user({"type": "document", "source": source("url", url="https://a.example/x.pdf")})],
        one("user", File(url="https://a.example/x.pdf", where=f"{AT}.url")),
    ),
    Content(
        "a document that Anthropic keeps",
        [user({"type": "document", "source": source("file", file_id="file_1")})],
        one("user", File(file_id="file_1", where=f"{AT}.file_id")),
    ),
    Content(
        "a document of text",
        [user({"type": "document", "title": "A", "source": source("text", media_type="text/plain", data="words")})],
        one("user", Text("A\nwords")),
    ),
    Content(
        "a document of blocks",
        [
            user(
                {
                    "type": "document",
                    "context": "Old.",
                    "source": {"type": "content", "content": [{"type": "text", "text": "words"}]},
                }
            )
        ],
        one("user", Text("Old."), Text("words")),
    ),
    Content(
        "a search result",
        [
            user(
                {
                    "type": "search_result",
                    "source": "s",
                    "title": "T",
                    "content": [{"type": "text", "text": "found"}],
                    "citations": {"enabled": True},
                }
            )
        ],
        one("user", Text("T\ns"), Text("found")),
        ("messages[0].content[0].citations",),
    ),
    Content(
        "thoughts, signed, unsigned and hidden",
        [
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "sig"},
                    {"type": "thinking", "thinking": "hm", "signature": ""},
                    {"type": "redacted_thinking", "data": "xyz"},
                ],
            }
        ],
        one(
            "assistant",
            Reasoning("hm", sealed(signature="sig")),
            Reasoning("hm"),
            Reasoning("", sealed(data="xyz")),
        ),
    ),
    Content(
        "results stand apart from what the user says beside them",
        [
            CALLED,
            user(
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny", "is_error": False},
                {"type": "text", "text": "Go on."},
            ),
        ],
        (
            Message("assistant", (ToolCall("toolu_1", "get", '{"a":1}'),)),
            Message("tool", (ToolResult("toolu_1", (Text("sunny"),)),)),
            Message("user", (Text("Go on."),)),
        ),
    ),
    Content(
        "a result of blocks, one that failed, and one of nothing",
        [
            CALLED,
            user(
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [
                        {"type": "text", "text": "a"},
                        {"type": "image", "source": source("base64", media_type="image/png", data="AA==")},
                    ],
                    "is_error": True,
                },
                {"type": "tool_result", "tool_use_id": "toolu_1"},
            ),
        ],
        (
            Message("assistant", (ToolCall("toolu_1", "get", '{"a":1}'),)),
            Message(
                "tool",
                (
                    ToolResult(
                        "toolu_1",
                        (
                            Text("a"),
                            Image("data:image/png;base64,AA==", where="messages[1].content[0].content[1].source.data"),
                        ),
                        is_error=True,
                    ),
                    ToolResult("toolu_1", ()),
                ),
            ),
        ),
    ),
    Content(
        "a search for tools answers with their names",
        [
            CALLED,
            user(
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "tool_reference", "tool_name": "fetch"}],
                }
            ),
        ],
        (
            Message("assistant", (ToolCall("toolu_1", "get", '{"a":1}'),)),
            Message("tool", (ToolResult("toolu_1", (Text("The tool fetch is loaded and can be called."),)),)),
        ),
    ),
    Content(
        "tools that come and go are left out by name",
        [USER, {"role": "system", "content": [{"type": "tool_addition", "tool": {"type": "tool_reference"}}]}],
        (Message("user", (Text("Hi"),)), Message("system", ())),
        ("messages[1].content[0]",),
    ),
    Content(
        "what Anthropic tells of its own tools is left out by name",
        [
            {
                "role": "assistant",
                "content": [
                    {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}},
                    {"type": "web_search_tool_result", "tool_use_id": "srv", "content": []},
                    {"type": "text", "text": "a"},
                ],
            }
        ],
        one("assistant", Text("a")),
        ("messages[0].content[0]", "messages[0].content[1]"),
    ),
    Content(
        "a system message between the others",
        [USER, {"role": "system", "content": "Be brief."}],
        (Message("user", (Text("Hi"),)), Message("system", (Text("Be brief."),))),
    ),
    Content("a message of nothing", [USER, user()], (Message("user", (Text("Hi"),)), Message("user", ()))),
]


@pytest.mark.parametrize("case", CONTENT, ids=lambda case: case.id)
def test_messages_become_these(case: Content) -> None:
    request = parse(with_fields(messages=case.given))
    assert (request.messages, request.ignored) == (case.expected, case.ignored)


class Refused(Struct, frozen=True):
    id: str
    given: dict[str, Any]
    param: str


REFUSED = [
    Refused("no model", {"model": None}, "model"),
    Refused("no messages", {"messages": None}, "messages"),
    Refused("an empty list of messages", {"messages": []}, "messages"),
    Refused("no limit, on which the API insists", {"max_tokens": None}, "max_tokens"),
    Refused("a limit below nothing", {"max_tokens": -1}, "max_tokens"),
    Refused("a temperature above 1", {"temperature": 1.5}, "temperature"),
    Refused("a system prompt that is no text", {"system": 1}, "system"),
    Refused("an unknown role", {"messages": [{"role": "queen", "content": "x"}]}, "messages[0].role"),
    Refused("no content", {"messages": [{"role": "user"}]}, "messages[0].content"),
    Refused("content that is no text", {"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
    Refused("an unknown block", {"messages": [user({"type": "txt"})]}, "messages[0].content[0].type"),
    Refused("a text of nothing", {"messages": [user({"type": "text"})]}, "messages[0].content[0].text"),
    Refused(
        "a NUL character",
        {"messages": [user({"type": "text", "text": "a\0"})]},
        "messages[0].content[0].text",
    ),
    Refused("an image from nowhere", {"messages": [user({"type": "image"})]}, "messages[0].content[0].source"),
    Refused(
        "an image from an unknown source",
        {"messages": [user({"type": "image", "source": {"type": "text"}})]},
        f"{AT}.type",
    ),
    Refused(
        "bytes without their type",
        {"messages": [user({"type": "image", "source": source("base64", data="AA==")})]},
        f"{AT}.media_type",
    ),
    Refused(
        "a document from an unknown source",
        {"messages": [user({"type": "document", "source": {"type": "tape"}})]},
        f"{AT}.type",
    ),
    Refused(
        "a result that no call asked for",
        {"messages": [user({"type": "tool_result", "tool_use_id": "x"})]},
        "messages[0].content[0].tool_use_id",
    ),
    Refused(
        "a result of something else",
        {"messages": [CALLED, user({"type": "tool_result", "tool_use_id": "toolu_1", "content": [CALL]})]},
        "messages[1].content[0].content",
    ),
    Refused(
        "a call with arguments that are no object",
        {"messages": [{"role": "assistant", "content": [{**CALL, "input": "x"}]}]},
        "messages[0].content[0].input",
    ),
    Refused(
        "citations that are no wish",
        {"messages": [user({"type": "document", "source": source("text", data="a"), "citations": {"enabled": 1}})]},
        "messages[0].content[0].citations.enabled",
    ),
    Refused("a tool without a name", {"tools": [{"input_schema": SCHEMA}]}, "tools[0].name"),
    Refused("a tool with an empty name", {"tools": [{"name": "", "input_schema": SCHEMA}]}, "tools[0].name"),
    Refused("a tool without a schema", {"tools": [{"name": "get"}]}, "tools[0].input_schema"),
    Refused("an unknown choice", {"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
    Refused("a choice of no tool", {"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    Refused("an unknown effort", {"output_config": {"effort": "huge"}}, "output_config.effort"),
    Refused("an unknown format", {"output_format": {"type": "xml"}}, "output_format.type"),
    Refused(
        "a format without a schema",
        {"output_config": {"format": {"type": "json_schema"}}},
        "output_config.format.schema",
    ),
    Refused("too many stop sequences", {"stop_sequences": ["x"] * 65}, "stop_sequences"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_a_refusal_names_its_field(case: Refused) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(with_fields(**case.given))
    assert caught.value.param == case.param
    assert case.param in ANTHROPIC_MESSAGES.render_error(caught.value).decode()


def test_a_count_needs_no_limit() -> None:
    body = msgspec.json.encode({"model": "m", "messages": [USER]})
    assert ANTHROPIC_TOKEN_COUNT.parse_request(body, "application/json").max_output_tokens is None


@given(st.binary(max_size=60) | JSON_VALUES.map(msgspec.json.encode))
def test_garbage_is_refused_politely(body: bytes) -> None:
    with pytest.raises(ClientError):
        parse(body)


@given(st.sampled_from(sorted(with_fields(system="", tools=[], tool_choice={}, thinking={}))), JSON_VALUES)
def test_a_field_of_any_value_is_read_or_refused(name: str, value: object) -> None:
    try:
        parse(with_fields(**{name: value}))
    except ClientError:
        return
