"""Every field of a request body (AU-19, AU-21, JR-3, OM-3 to OM-8), and every refusal with the field it names."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from core.errors import ClientError, InvalidRequest
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
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from core.wire.openai_chat import OPENAI_CHAT
from tests.strategies import JSON_VALUES

USER: dict[str, Any] = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
FUNCTION = {"name": "multiply", "description": "Multiply.", "parameters": SCHEMA, "strict": True}
TOOL = {"type": "function", "function": FUNCTION}
SAY = {"type": "custom", "custom": {"name": "say"}}


def allow(mode: str, *tools: dict[str, Any]) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}


def parse(body: object) -> ChatRequest:
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return OPENAI_CHAT.parse_request(data, "application/json")


def with_fields(**fields: object) -> dict[str, object]:
    return {"model": "m", "messages": [USER], **fields}


class Case(Struct, frozen=True):
    """`expected` are fields of the canonical request."""

    id: str
    given: dict[str, Any]
    expected: dict[str, Any]


def raw(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))


FIELDS = [
    Case(
        "the smallest request",
        {},
        {"model": "m", "messages": (Message("user", (Text("Hi"),)),), "stream": False, "extras": {}},
    ),
    Case("no model is auto", {"model": None}, {"model": "auto"}),
    Case("an empty model is auto", {"model": ""}, {"model": "auto"}),
    Case("a whole answer counts its tokens", {"stream": False}, {"stream": False, "include_usage": True}),
    Case("a stream does not count unless asked", {"stream": True}, {"stream": True, "include_usage": False}),
    Case(
        "a stream counts when asked",
        {"stream": True, "stream_options": {"include_usage": True}},
        {"include_usage": True},
    ),
    Case(
        "a stream does not count when asked not to",
        {"stream": True, "stream_options": {"include_usage": False}},
        {"include_usage": False},
    ),
    Case("stream options may be null", {"stream": True, "stream_options": None}, {"include_usage": False}),
    Case("max_tokens", {"max_tokens": 7}, {"max_output_tokens": 7}),
    Case("max_completion_tokens", {"max_completion_tokens": 8}, {"max_output_tokens": 8}),
    Case("the newer of both limits counts", {"max_tokens": 7, "max_completion_tokens": 8}, {"max_output_tokens": 8}),
    Case("temperature and top_p", {"temperature": 0, "top_p": 0.5}, {"temperature": 0.0, "top_p": 0.5}),
    Case(
        "penalties travel by their own name",
        {"presence_penalty": -2, "frequency_penalty": 2},
        {"extras": {"presence_penalty": Raw(b"-2"), "frequency_penalty": Raw(b"2")}},
    ),
    Case("stop as a string", {"stop": "END"}, {"stop": ("END",)}),
    Case("stop as a list", {"stop": ["a", "b"]}, {"stop": ("a", "b")}),
    Case("an empty stop is none", {"stop": ["", "a"]}, {"stop": ("a",)}),
    Case("n of one is nothing special", {"n": 1}, {"extras": {}}),
    Case(
        "what only a relaying upstream can do is named with the reason",
        {"n": 2, "logprobs": True, "modalities": ["text", "audio"]},
        {
            "relay_only": (
                ("n", "n is 2: this gateway gives one choice for each request"),
                ("logprobs", "logprobs: no log probabilities are available here"),
                ("modalities", "modalities: only text answers are available here"),
            )
        },
    ),
    Case(
        "unknown fields travel verbatim",
        {
            "seed": 7,
            "logit_bias": {"5": 1},
            "user": "u",
            "metadata": {"a": "b"},
            "top_k": 3,
            "artifact_delivery": "url",
        },
        {
            "extras": {
                "seed": Raw(b"7"),
                "logit_bias": raw({"5": 1}),
                "user": raw("u"),
                "metadata": raw({"a": "b"}),
                "top_k": Raw(b"3"),
                "artifact_delivery": raw("url"),
            }
        },
    ),
    Case("an unknown field that is null is absent", {"seed": None}, {"extras": {}}),
    Case(
        "an integer that no machine holds travels as it is",
        {"seed": 10**15},
        {"extras": {"seed": Raw(b"1" + b"0" * 15)}},
    ),
    Case("store", {"store": True}, {"store": True}),
    Case("store that is not said", {"store": None}, {"store": None}),
    Case("reasoning effort", {"reasoning_effort": "high"}, {"reasoning": ReasoningOptions("high")}),
    Case("parallel tool calls", {"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    Case("a format of text", {"response_format": {"type": "text"}}, {"output_format": OutputFormat("text")}),
    Case(
        "a format of JSON", {"response_format": {"type": "json_object"}}, {"output_format": OutputFormat("json_object")}
    ),
    Case(
        "a format with a schema",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}},
        {"output_format": OutputFormat("json_schema", "x", raw(SCHEMA), True)},
    ),
    Case(
        "a schema under its other name",
        {"response_format": {"type": "json_schema", "json_schema": {"parameters": SCHEMA}}},
        {"output_format": OutputFormat("json_schema", None, raw(SCHEMA))},
    ),
    Case("web search by options", {"web_search_options": {}}, {"hints": Hints(web_search=True), "extras": {}}),
    Case(
        "options of a web search are named",
        {"web_search_options": {"search_context_size": "low", "user_location": {"type": "approximate"}, "new": None}},
        {
            "hints": Hints(web_search=True),
            "ignored": ("web_search_options.search_context_size", "web_search_options.user_location"),
        },
    ),
    Case(
        "the seeds' switches",
        {"function_web_search": True, "function_image_gen": True, "function_code_interpreter": True},
        {"hints": Hints(web_search=True, image_generation=True, code_interpreter=True)},
    ),
    Case(
        "a conversation to go on with",
        {"conversation_id": "c", "parent_message_id": "p"},
        {"continues": Turn("c", "p")},
    ),
    Case("a conversation without a message", {"conversation_id": "c"}, {"continues": Turn("c")}),
    Case("log probabilities that are not wanted", {"logprobs": False}, {"extras": {}}),
    Case("answers in text", {"modalities": ["text"]}, {"extras": {}}),
    Case(
        "tools",
        {"tools": [{"type": "function", "function": FUNCTION}]},
        {"tools": (Tool("multiply", "function", "Multiply.", raw(SCHEMA), True),)},
    ),
    Case("a tool without anything", {"tools": [{"function": {"name": "now"}}]}, {"tools": (Tool("now"),)}),
    Case(
        "a custom tool with a grammar",
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {
                        "name": "sql",
                        "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": ".+"}},
                    },
                }
            ]
        },
        {"tools": (Tool("sql", "custom", grammar=".+", syntax="regex"),)},
    ),
    Case(
        "the old form of tools",
        {"functions": [FUNCTION], "function_call": {"name": "multiply"}},
        {
            "tools": (Tool("multiply", "function", "Multiply.", raw(SCHEMA), True),),
            "tool_choice": ToolChoice("named", "multiply"),
        },
    ),
    Case("a choice of its own", {"tool_choice": "auto"}, {"tool_choice": ToolChoice("auto")}),
    Case("no choice", {"tool_choice": "none"}, {"tool_choice": ToolChoice("none")}),
    Case("any tool", {"tool_choice": "required"}, {"tool_choice": ToolChoice("required")}),
    Case("any tool in other words", {"tool_choice": "any"}, {"tool_choice": ToolChoice("required")}),
    Case(
        "a named tool",
        {"tool_choice": {"type": "function", "function": {"name": "x"}}},
        {"tool_choice": ToolChoice("named", "x")},
    ),
    Case(
        "a named custom tool",
        {"tool_choice": {"type": "custom", "custom": {"name": "x"}}},
        {"tool_choice": ToolChoice("named", "x")},
    ),
    Case(
        "some of the tools",
        {"tools": [TOOL, SAY], "tool_choice": allow("required", SAY)},
        {"tools": (Tool("say", "custom"),), "tool_choice": ToolChoice("required")},
    ),
    Case("white space around values", {"messages": [USER], "stop": None}, {"stop": ()}),
]


@pytest.mark.parametrize("case", FIELDS, ids=lambda case: case.id)
def test_fields(case: Case) -> None:
    request = parse(with_fields(**case.given))
    assert {name: getattr(request, name) for name in case.expected} == case.expected


def test_white_space_between_tokens_does_not_matter() -> None:
    body = b' { "messages" : [ { "role" : "user" , "content" : [ "a" , { "type" : "text" , "text" : "b" } ] } ] } '
    assert parse(body).messages == (Message("user", (Text("a"), Text("b"))),)


PART = "messages[0].content[0]"


class Content(Struct, frozen=True):
    id: str
    given: object
    expected: tuple[Part, ...]


CONTENTS = [
    Content("a string", "Hi", (Text("Hi"),)),
    Content("an empty string", "", (Text(""),)),
    Content("an empty list", [], ()),
    Content("a list of parts", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], (Text("a"), Text("b"))),
    Content("a part alone", {"type": "text", "text": "a"}, (Text("a"),)),
    Content("strings in a list", ["a", "b"], (Text("a"), Text("b"))),
    Content(
        "text of the Responses form",
        [{"type": "input_text", "text": "a"}, {"type": "output_text", "text": "b"}],
        (Text("a"), Text("b")),
    ),
    Content("a refusal", [{"type": "refusal", "refusal": "no"}], (Text("no"),)),
    Content(
        "a picture as an object",
        [{"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}}],
        (Image(url="https://a.example/b.png", detail="low", where=f"{PART}.image_url.url"),),
    ),
    Content(
        "a picture as a bare string",
        [{"type": "image_url", "image_url": "https://a.example/b.png"}],
        (Image(url="https://a.example/b.png", where=f"{PART}.image_url"),),
    ),
    Content(
        "a picture of the Responses form",
        [{"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"}],
        (Image(url="data:image/png;base64,AA==", detail="auto", where=f"{PART}.image_url"),),
    ),
    Content(
        "a picture by its file",
        [{"type": "image", "file_id": "file-1"}],
        (Image(file_id="file-1", where=f"{PART}.file_id"),),
    ),
    *(
        Content(f"a picture in {name}", [{"type": "image", name: "AA=="}], (Image("AA==", where=f"{PART}.{name}"),))
        for name in ("url", "base64", "b64_json")
    ),
    Content(
        "a picture of the Messages form",
        [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}],
        (Image("data:image/png;base64,AA==", where=f"{PART}.source.data"),),
    ),
    Content(
        "a picture of the Messages form by URL",
        [{"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}],
        (Image("https://a.example/b.png", where=f"{PART}.source.url"),),
    ),
    Content(
        "several pictures among text",
        ["See", {"type": "image_url", "image_url": "u"}, {"type": "image_url", "image_url": "v"}],
        (
            Text("See"),
            Image("u", where="messages[0].content[1].image_url"),
            Image("v", where="messages[0].content[2].image_url"),
        ),
    ),
    Content(
        "a file",
        [{"type": "file", "file": {"file_id": "file-1", "filename": "a.pdf"}}],
        (File(file_id="file-1", filename="a.pdf", where=f"{PART}.file.file_id"),),
    ),
    Content(
        "a file with its data",
        [{"type": "file", "file": {"file_data": "AA==", "filename": "a.pdf"}}],
        (File(data="AA==", filename="a.pdf", where=f"{PART}.file.file_data"),),
    ),
    Content(
        "a file by its URL",
        [{"type": "file", "file": {"file_url": "https://a.example/a.pdf"}}],
        (File(url="https://a.example/a.pdf", where=f"{PART}.file.file_url"),),
    ),
    Content(
        "a file of the Responses form",
        [{"type": "input_file", "file_url": "https://a.example/a.pdf"}],
        (File(url="https://a.example/a.pdf", where=f"{PART}.file_url"),),
    ),
    Content(
        "a file of the seed's form (AU-40)",
        [{"type": "input_file", "file_id": "file-1"}],
        (File(file_id="file-1", where=f"{PART}.file_id"),),
    ),
    Content(
        "sound",
        [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}],
        (Audio("AA==", "wav", f"{PART}.input_audio.data"),),
    ),
    Content("any letter there is", "é🚀\u2028\ue200", (Text("é🚀\u2028\ue200"),)),
]


@pytest.mark.parametrize("case", CONTENTS, ids=lambda case: case.id)
def test_contents(case: Content) -> None:
    assert parse({"messages": [{"role": "user", "content": case.given}]}).messages[0].parts == case.expected


def test_files_may_stand_beside_the_content() -> None:
    attachments = [{"file_id": "file-1", "tools": []}, {"id": "file-2"}]
    message = {"role": "user", "content": "See", "attachments": attachments}
    assert parse({"messages": [message]}).messages[0].parts == (
        Text("See"),
        File(file_id="file-1", where="messages[0].attachments[0].file_id"),
        File(file_id="file-2", where="messages[0].attachments[1].file_id"),
    )


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
ASKED = {"role": "assistant", "tool_calls": [CALL]}


class Talk(Struct, frozen=True):
    id: str
    given: list[dict[str, Any]]
    expected: tuple[Message, ...]


TALKS = [
    Talk(
        "all roles",
        [
            {"role": "system", "content": "s"},
            {"role": "developer", "content": "d"},
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": "a"},
        ],
        (
            Message("system", (Text("s"),)),
            Message("developer", (Text("d"),)),
            Message("user", (Text("u"),)),
            Message("assistant", (Text("a"),)),
        ),
    ),
    Talk("a name", [{"role": "user", "content": "u", "name": "Ada"}], (Message("user", (Text("u"),), "Ada"),)),
    Talk("an assistant that said nothing", [{"role": "assistant", "content": None}], (Message("assistant", ()),)),
    Talk(
        "an assistant that thought and refused",
        [{"role": "assistant", "reasoning_content": "why", "refusal": "no"}],
        (Message("assistant", (Reasoning("why"), Text("no"))),),
    ),
    Talk(
        "a call and its result",
        [ASKED, {"role": "tool", "tool_call_id": "call_1", "content": "1"}],
        (
            Message("assistant", (ToolCall("call_1", "f", '{"a": 1}'),)),
            Message("tool", (ToolResult("call_1", (Text("1"),)),)),
        ),
    ),
    Talk(
        "a result of many parts",
        [ASKED, {"role": "tool", "tool_call_id": "call_1", "content": ["a", {"type": "text", "text": "b"}]}],
        (
            Message("assistant", (ToolCall("call_1", "f", '{"a": 1}'),)),
            Message("tool", (ToolResult("call_1", (Text("a"), Text("b"))),)),
        ),
    ),
    Talk(
        "arguments that are an object",
        [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": "é"}}}]}],
        (Message("assistant", (ToolCall("c", "f", '{"a":"é"}'),)),),
    ),
    Talk(
        "arguments that are not JSON stay what they are",
        [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "oops"}}]}],
        (Message("assistant", (ToolCall("c", "f", "oops"),)),),
    ),
    Talk(
        "a call without arguments",
        [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}}]}],
        (Message("assistant", (ToolCall("c", "f", ""),)),),
    ),
    Talk(
        "a custom call",
        [
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "sql", "input": "select"}}],
            }
        ],
        (Message("assistant", (ToolCall("c", "sql", "select", "custom"),)),),
    ),
    Talk(
        "a call of the old form and its result",
        [
            USER,
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
        (
            Message("user", (Text("Hi"),)),
            Message("assistant", (ToolCall("call_legacy_1", "f", "{}"),)),
            Message("tool", (ToolResult("call_legacy_1", (Text("1"),), "f"),), "f"),
        ),
    ),
]


@pytest.mark.parametrize("case", TALKS, ids=lambda case: case.id)
def test_messages(case: Talk) -> None:
    assert parse({"messages": case.given}).messages == case.expected


class Refusal(Struct, frozen=True):
    id: str
    given: object
    param: str | None
    message: str
    error: type[ClientError] = InvalidRequest
    code: str | None = None


MISSING = "missing_required_parameter"
NESTED = b'{"messages":[{"role":"user","content":' + b"[" * 10_000 + b"]" * 10_000 + b"}]}"
NOT_JSON = "Request must be proper JSON: "


def of_user(content: object) -> dict[str, object]:
    return {"messages": [USER, {"role": "user", "content": content}]}


def in_tools(tool: object) -> dict[str, object]:
    return with_fields(tools=[tool])


REFUSALS = [
    Refusal("nothing", b"", None, NOT_JSON + "Input data was truncated", code="invalid_json"),
    Refusal("no JSON", b"{", None, NOT_JSON + "Input data was truncated", code="invalid_json"),
    Refusal(
        "two documents",
        b"{} {}",
        None,
        NOT_JSON + "JSON is malformed: trailing characters (byte 4)",
        code="invalid_json",
    ),
    Refusal(
        "NaN",
        b'{"messages":[],"temperature":NaN}',
        None,
        NOT_JSON + "JSON is malformed: invalid character (byte 29)",
        code="invalid_json",
    ),
    Refusal("a list", [], None, "Invalid value for the body: Expected `object`, got `array`"),
    Refusal("a string", "x", None, "Invalid value for the body: Expected `object`, got `str`"),
    Refusal(
        "bytes that are not UTF-8",
        b'{"messages":[{"role":"user","content":"\xff"}]}',
        None,
        NOT_JSON + "it is not UTF-8 (invalid start byte)",
        code="invalid_json",
    ),
    Refusal(
        "bytes that are not UTF-8 where nobody reads",
        b'{"messages":[{"role":"user","content":"x"}],"seed":"\xff"}',
        None,
        NOT_JSON + "it is not UTF-8 (invalid start byte)",
        code="invalid_json",
    ),
    Refusal(
        "bytes that are not UTF-8 in arguments",
        b'{"messages":[{"role":"assistant","tool_calls":[{"id":"c","function":'
        b'{"name":"f","arguments":{"a":"\xff"}}}]}]}',
        None,
        NOT_JSON + "it is not UTF-8 (invalid start byte)",
        code="invalid_json",
    ),
    Refusal("nesting without end", NESTED, None, NOT_JSON + "it is nested too deeply", code="invalid_json"),
    Refusal(
        "half of a surrogate pair",
        b'{"messages":[{"role":"user","content":"\\ud83d"}]}',
        "messages[0].content",
        "messages[0].content holds half of a surrogate pair, which is no text",
        code="invalid_json",
    ),
    Refusal(
        "half of a surrogate pair before more",
        b'{"messages":[{"role":"user","content":"\\ud83d and more"}]}',
        "messages[0].content",
        "messages[0].content holds half of a surrogate pair, which is no text",
        code="invalid_json",
    ),
    Refusal(
        "half of a surrogate pair deep inside",
        b'{"messages":[{"role":"user","content":[{"text":"ok"},{"text":"\\udead."}]}]}',
        "messages[0].content[1].text",
        "messages[0].content[1].text holds half of a surrogate pair, which is no text",
        code="invalid_json",
    ),
    Refusal(
        "half of a surrogate pair in a name",
        b'{"messages":[],"metadata":{"\\udead.":1}}',
        "metadata",
        "metadata holds half of a surrogate pair, which is no text",
        code="invalid_json",
    ),
    Refusal("no messages", {"model": "m"}, "messages", "Missing required parameter: messages", code=MISSING),
    Refusal(
        "messages that are null", {"messages": None}, "messages", "Missing required parameter: messages", code=MISSING
    ),
    Refusal(
        "an empty list of messages", {"messages": []}, "messages", "messages is empty: at least one message is required"
    ),
    Refusal(
        "messages that are a string",
        {"messages": "Hi"},
        "messages",
        "Invalid value for messages: Expected `array | null`, got `str`",
    ),
    Refusal(
        "a message that is a string",
        {"messages": [USER, "Hi"]},
        "messages[1]",
        "Invalid value for messages[1]: Expected `object`, got `str`",
    ),
    Refusal(
        "a message without a role",
        {"messages": [{"content": "x"}]},
        "messages[0].role",
        "Missing required parameter: messages[0].role",
        code=MISSING,
    ),
    Refusal(
        "an unknown role",
        {"messages": [{"role": "robot", "content": "x"}]},
        "messages[0].role",
        "messages[0].role is 'robot', which is not among: system, developer, user, assistant, tool, function",
    ),
    Refusal(
        "a role that is a number",
        {"messages": [{"role": 7, "content": "x"}]},
        "messages[0].role",
        "Invalid value for messages[0].role: Expected `str`, got `int`",
    ),
    Refusal(
        "a message without content",
        {"messages": [{"role": "user"}]},
        "messages[0].content",
        "Missing required parameter: messages[0].content",
        code=MISSING,
    ),
    Refusal(
        "content that is null",
        of_user(None),
        "messages[1].content",
        "Missing required parameter: messages[1].content",
        code=MISSING,
    ),
    Refusal(
        "content that is a number",
        of_user(7),
        "messages[1].content",
        "messages[1].content must be a string or a list of content parts",
    ),
    Refusal(
        "content with a NUL", of_user("a\0b"), "messages[1].content", "messages[1].content contains a NUL character"
    ),
    Refusal(
        "a part with a NUL",
        of_user([{"type": "text", "text": "\0"}]),
        "messages[1].content[0].text",
        "messages[1].content[0].text contains a NUL character",
    ),
    Refusal(
        "a part that is a number",
        of_user(["a", 7]),
        "messages[1].content[1]",
        "Invalid value for messages[1].content[1]: Expected `object`, got `int`",
    ),
    Refusal(
        "a part without a type",
        of_user([{"text": "x"}]),
        "messages[1].content[0].type",
        "Missing required parameter: messages[1].content[0].type",
        code=MISSING,
    ),
    Refusal(
        "a part of an unknown type",
        of_user([{"type": "video"}]),
        "messages[1].content[0].type",
        "messages[1].content[0].type is 'video', which is not among: text, input_text, output_text, "
        "image_url, input_image, image, "
        "file, input_file, input_audio, refusal",
    ),
    Refusal(
        "a part of text without text",
        of_user([{"type": "text"}]),
        "messages[1].content[0].text",
        "Missing required parameter: messages[1].content[0].text",
        code=MISSING,
    ),
    Refusal(
        "a picture without an address",
        of_user([{"type": "image_url", "image_url": {}}]),
        "messages[1].content[0].image_url.url",
        "Missing required parameter: messages[1].content[0].image_url.url",
        code=MISSING,
    ),
    Refusal(
        "a picture without anything",
        of_user([{"type": "image_url"}]),
        "messages[1].content[0].image_url",
        "Missing required parameter: messages[1].content[0].image_url",
        code=MISSING,
    ),
    Refusal(
        "a file without anything",
        of_user([{"type": "file", "file": {}}]),
        "messages[1].content[0]",
        "messages[1].content[0] names no file: file_id, file_data or file_url is required",
    ),
    Refusal(
        "sound without anything",
        of_user([{"type": "input_audio"}]),
        "messages[1].content[0].input_audio",
        "Missing required parameter: messages[1].content[0].input_audio",
        code=MISSING,
    ),
    Refusal(
        "a result that answers no call",
        {"messages": [{"role": "tool", "content": "x"}]},
        "messages[0].tool_call_id",
        "tool message missing tool_call_id",
    ),
    Refusal(
        "a result of the old form that answers no call",
        {"messages": [{"role": "function", "name": "f", "content": "x"}]},
        "messages[0].role",
        "function message without an earlier function_call",
    ),
    Refusal(
        "a result of a call that nobody made",
        {"messages": [ASKED, {"role": "tool", "tool_call_id": "c", "content": "x"}]},
        "messages[1].tool_call_id",
        "tool_call_id=c not found in conversation history. Ensure the assistant message with this "
        "tool_call is included in the messages array",
    ),
    Refusal(
        "a result without content",
        {"messages": [{"role": "tool", "tool_call_id": "c"}]},
        "messages[0].content",
        "tool message missing content for tool_call_id=c",
    ),
    Refusal(
        "a result that is a sound",
        {
            "messages": [
                {
                    "role": "tool",
                    "tool_call_id": "c",
                    "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}],
                }
            ]
        },
        "messages[0].content[0]",
        "messages[0].content[0]: a tool message takes text, images and files only",
    ),
    Refusal(
        "a call without an id",
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]},
        "messages[0].tool_calls[0].id",
        "Missing required parameter: messages[0].tool_calls[0].id",
        code=MISSING,
    ),
    Refusal(
        "a call of nothing",
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]},
        "messages[0].tool_calls[0].function",
        "Missing required parameter: messages[0].tool_calls[0].function",
        code=MISSING,
    ),
    Refusal(
        "a call without a name",
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "function": {}}]}]},
        "messages[0].tool_calls[0].function.name",
        "Missing required parameter: messages[0].tool_calls[0].function.name",
        code=MISSING,
    ),
    Refusal(
        "arguments that are a number",
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": 7}}]}]},
        "messages[0].tool_calls[0].function.arguments",
        "messages[0].tool_calls[0].function.arguments must be a string that holds JSON",
    ),
    Refusal(
        "a model that is a number",
        {"model": 7, "messages": [USER]},
        "model",
        "Invalid value for model: Expected `str | null`, got `int`",
    ),
    Refusal(
        "a name with a NUL",
        {"messages": [{**USER, "name": "a\0"}]},
        "messages[0].name",
        "messages[0].name contains a NUL character",
    ),
    Refusal("a model with a NUL", {"model": "a\0", "messages": [USER]}, "model", "model contains a NUL character"),
    Refusal(
        "a stream that is a word",
        with_fields(stream="yes"),
        "stream",
        "Invalid value for stream: Expected `bool | null`, got `str`",
    ),
    Refusal(
        "a temperature too high",
        with_fields(temperature=3),
        "temperature",
        "Invalid value for temperature: Expected `float` <= 2.0",
    ),
    Refusal("a top_p too low", with_fields(top_p=-1), "top_p", "Invalid value for top_p: Expected `float` >= 0.0"),
    Refusal(
        "a penalty too high",
        with_fields(presence_penalty=2.5),
        "presence_penalty",
        "Invalid value for presence_penalty: Expected `float` <= 2.0",
    ),
    Refusal(
        "a limit of nothing",
        with_fields(max_tokens=0),
        "max_tokens",
        "Invalid value for max_tokens: Expected `int` >= 1",
    ),
    Refusal(
        "a limit that no machine holds",
        with_fields() | {"max_tokens": Raw(b"9" * 5000)},
        "max_tokens",
        "Invalid value for max_tokens: Integer value out of range",
    ),
    Refusal(
        "a stop that is a number",
        with_fields(stop=7),
        "stop",
        "Invalid value for stop: Expected `str | array | null`, got `int`",
    ),
    Refusal(
        "more stops than can be looked for",
        with_fields(stop=["x"] * 17),
        "stop",
        "stop may name 16 sequences of at most 500 characters each",
    ),
    Refusal(
        "a stop longer than can be looked for",
        with_fields(stop="x" * 501),
        "stop",
        "stop may name 16 sequences of at most 500 characters each",
    ),
    Refusal("a stop with a NUL", with_fields(stop=["a", "\0"]), "stop[1]", "stop[1] contains a NUL character"),
    Refusal(
        "an unknown effort",
        with_fields(reasoning_effort="huge"),
        "reasoning_effort",
        "reasoning_effort is 'huge', which is not among: none, minimal, low, medium, high, xhigh, max",
    ),
    Refusal(
        "an unknown format",
        with_fields(response_format={"type": "xml"}),
        "response_format.type",
        "response_format.type is 'xml', which is not among: text, json_object, json_schema",
    ),
    Refusal(
        "a format without a schema",
        with_fields(response_format={"type": "json_schema"}),
        "response_format.json_schema",
        "Missing required parameter: response_format.json_schema",
        code=MISSING,
    ),
    Refusal(
        "a schema of nothing",
        with_fields(response_format={"type": "json_schema", "json_schema": {"name": "x"}}),
        "response_format.json_schema.schema",
        "Missing required parameter: response_format.json_schema.schema",
        code=MISSING,
    ),
    Refusal(
        "a format that is a string",
        with_fields(response_format="json"),
        "response_format",
        "Invalid value for response_format: Expected `object`, got `str`",
    ),
    Refusal(
        "a tool without a function",
        in_tools({"type": "function"}),
        "tools[0].function",
        "Missing required parameter: tools[0].function",
        code=MISSING,
    ),
    Refusal(
        "a tool without a name",
        in_tools({"type": "function", "function": {}}),
        "tools[0].function.name",
        "Missing required parameter: tools[0].function.name",
        code=MISSING,
    ),
    Refusal(
        "a tool with an empty name",
        in_tools({"type": "function", "function": {"name": ""}}),
        "tools[0].function.name",
        "tools[0].function.name is empty",
    ),
    Refusal(
        "a tool of another type",
        in_tools({"type": "web_search"}),
        "tools[0].type",
        "tools[0].type is 'web_search': only function and custom tools can be used here",
    ),
    Refusal(
        "a function without a name",
        with_fields(functions=[{}]),
        "functions[0].name",
        "Missing required parameter: functions[0].name",
        code=MISSING,
    ),
    Refusal(
        "options of a search that are none",
        with_fields(web_search_options=["x"]),
        "web_search_options",
        "Invalid value for web_search_options: Expected `object`, got `array`",
    ),
    Refusal(
        "an unknown choice",
        with_fields(tool_choice="perhaps"),
        "tool_choice",
        "tool_choice is 'perhaps', which is not among: auto, none, required, any",
    ),
    Refusal(
        "a choice among tools of which one is not there",
        with_fields(tools=[SAY], tool_choice=allow("auto", {"type": "function", "function": {"name": "serch"}})),
        "tool_choice.allowed_tools.tools[0]",
        "tool_choice.allowed_tools.tools[0] names 'serch', which is not among tools: 'say'",
    ),
    Refusal(
        "a choice without a name",
        with_fields(tool_choice={"type": "function"}),
        "tool_choice.function.name",
        "Missing required parameter: tool_choice.function.name",
        code=MISSING,
    ),
    Refusal(
        "a parent without a conversation",
        with_fields(parent_message_id="p"),
        "conversation_id",
        "parent_message_id goes with conversation_id, which is missing",
        code=MISSING,
    ),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_refusals(case: Refusal) -> None:
    with pytest.raises(case.error) as caught:
        parse(case.given)
    error = caught.value
    assert (error.message, error.param, error.code, error.status) == (case.message, case.param, case.code, 400)


NAMES = [
    "messages",
    "model",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "presence_penalty",
    "stop",
    "n",
    "response_format",
    "reasoning_effort",
    "store",
    "logprobs",
    "modalities",
    "web_search_options",
    "conversation_id",
    "parent_message_id",
    "seed",
]
KEYS = [
    "role",
    "content",
    "type",
    "text",
    "image_url",
    "file",
    "name",
    "tool_calls",
    "function",
    "arguments",
    "id",
    "tool_call_id",
    "refusal",
    "reasoning_content",
    "function_call",
    "input_audio",
    "custom",
    "json_schema",
    "schema",
]
LEAVES = JSON_VALUES | st.sampled_from(
    ["user", "assistant", "tool", "text", "function", "custom", "json_schema", "\0", 10**400]
)
NEARLY = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool", "function"])}, optional=dict.fromkeys(KEYS[1:], NEARLY)
    ),
    min_size=1,
    max_size=3,
)


@given(
    NEARLY
    | st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, NEARLY))
    | st.fixed_dictionaries({"messages": MESSAGES}, optional=dict.fromkeys(NAMES[1:], NEARLY))
)
def test_any_json_is_a_request_or_refused(body: object) -> None:
    accepted_or_refused(msgspec.json.encode(body))


@given(st.binary())
def test_any_bytes_are_a_request_or_refused(body: bytes) -> None:
    accepted_or_refused(body)


@given(st.binary(max_size=6), st.integers(0, 200), st.integers(0, 5))
def test_a_damaged_request_is_a_request_or_refused(damage: bytes, place: int, lost: int) -> None:
    body = msgspec.json.encode(with_fields(tools=[{"type": "function", "function": FUNCTION}], messages=[USER, ASKED]))
    accepted_or_refused(body[:place] + damage + body[place + lost :])


def accepted_or_refused(body: bytes) -> None:
    try:
        request = parse(body)
    except ClientError as error:
        refused = error
    else:
        msgspec.json.encode(request)
        return
    assert refused.status == 400
    assert refused.message


def test_a_result_may_answer_a_call_that_the_conversation_keeps() -> None:
    result = {"role": "tool", "tool_call_id": "c", "content": "1"}
    assert parse({"messages": [result], "conversation_id": "conv"}).messages[0].role == "tool"


def test_a_large_body_of_many_messages_is_read() -> None:
    assert len(parse({"messages": [USER] * 50_000}).messages) == 50_000
