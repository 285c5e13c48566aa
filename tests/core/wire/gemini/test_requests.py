"""Gemini's bodies to canonical requests: what is read, in either spelling, and what is refused, by its field."""

import json
from typing import Any

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
    Opaque,
    OutputFormat,
    Reasoning,
    ReasoningOptions,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from core.wire.gemini import GEMINI, GEMINI_COUNT, GEMINI_STREAM
from tests.strategies import JSON_VALUES

HELLO = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def parse(body: Any) -> ChatRequest:
    return GEMINI.parse_request(json.dumps(body).encode(), "application/json")


def said(*parts: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def call(name: str = "f", **fields: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, **fields}}


def answer(name: str = "f", response: Any = None, **fields: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": response or {"output": "ok"}, **fields}}


class Case(Struct, frozen=True):
    id: str
    contents: Any
    expected: tuple[Message, ...]


CASES = [
    Case("a text", [said({"text": "Hi"})], (Message("user", (Text("Hi"),)),)),
    Case("one turn and one part alone", {"parts": {"text": "Hi"}}, (Message("user", (Text("Hi"),)),)),
    Case(
        "bytes are a picture, a sound or a document by their type, in either spelling",
        [
            said(
                {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
                {"inline_data": {"mime_type": "audio/mpeg", "data": "AA=="}},
                {"inlineData": {"mimeType": "application/pdf", "data": "AA==", "displayName": "a.pdf"}},
            )
        ],
        (
            Message(
                "user",
                (
                    Image("data:image/png;base64,AA==", where="contents[0].parts[0].inlineData.data"),
                    Audio("AA==", "mp3", "contents[0].parts[1].inlineData.data"),
                    File(
                        data="data:application/pdf;base64,AA==",
                        filename="a.pdf",
                        where="contents[0].parts[2].inlineData.data",
                    ),
                ),
            ),
        ),
    ),
    Case(
        "references are kept by their URL",
        [
            said(
                {"fileData": {"fileUri": "https://a.example/x", "mimeType": "image/png"}},
                {"file_data": {"file_uri": "u"}},
            )
        ],
        (
            Message(
                "user",
                (
                    Image("https://a.example/x", where="contents[0].parts[0].fileData.fileUri"),
                    File(url="u", where="contents[0].parts[1].fileData.fileUri"),
                ),
            ),
        ),
    ),
    Case(
        "calls without ids get them from their place, and results are matched by name in order",
        [
            said(call(args={"a": 1}), call(args={"a": 2}), call("g"), role="model"),
            said(answer(response={"output": "1"}), answer("g"), answer(response={"b": 2}), role="function"),
        ],
        (
            Message(
                "assistant",
                (
                    ToolCall("call_0_0", "f", '{"a": 1}'),
                    ToolCall("call_0_1", "f", '{"a": 2}'),
                    ToolCall("call_0_2", "g", "{}"),
                ),
            ),
            Message(
                "tool",
                (
                    ToolResult("call_0_0", (Text("1"),), "f"),
                    ToolResult("call_0_2", (Text("ok"),), "g"),
                    ToolResult("call_0_1", (Text('{"b": 2}'),), "f"),
                ),
            ),
        ),
    ),
    Case(
        "results may come from the role that google-genai's own example gives them",
        [said(call(id="a"), role="model"), said(answer(id="a"), {"text": "Go on."}, role="tool")],
        (
            Message("assistant", (ToolCall("a", "f", "{}"),)),
            Message("tool", (ToolResult("a", (Text("ok"),), "f"),)),
            Message("user", (Text("Go on."),)),
        ),
    ),
    Case(
        "ids win over the order; an error says so; what comes beside a result is the user's",
        [
            said(call(id="a"), call(id="b"), role="model"),
            said(
                answer(id="b", response={"error": "no"}),
                answer(id="a", response={"result": [1]}),
                {"text": "Go on."},
            ),
        ],
        (
            Message("assistant", (ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}"))),
            Message(
                "tool",
                (ToolResult("b", (Text("no"),), "f", is_error=True), ToolResult("a", (Text("[1]"),), "f")),
            ),
            Message("user", (Text("Go on."),)),
        ),
    ),
    Case(
        "a result may hold pictures",
        [
            said(call(id="a"), role="model"),
            said(answer(id="a", parts=[{"inlineData": {"mimeType": "image/png", "data": "AA=="}}])),
        ],
        (
            Message("assistant", (ToolCall("a", "f", "{}"),)),
            Message(
                "tool",
                (
                    ToolResult(
                        "a",
                        (
                            Text("ok"),
                            Image(
                                "data:image/png;base64,AA==",
                                where="contents[1].parts[0].functionResponse.parts[0].inlineData.data",
                            ),
                        ),
                        "f",
                    ),
                ),
            ),
        ),
    ),
    Case(
        "thoughts are reasoning, and a signature stands before the part it came on",
        [
            said(
                {"text": "hm", "thought": True},
                {"text": "Hi", "thoughtSignature": "c2ln"},
                {"thought_signature": "Zm9v", **call(id="a")},
                {"text": "", "thoughtSignature": "bGFzdA=="},
                role="model",
            )
        ],
        (
            Message(
                "assistant",
                (
                    Reasoning("hm"),
                    Reasoning("", Opaque("gemini", b"c2ln")),
                    Text("Hi"),
                    Reasoning("", Opaque("gemini", b"Zm9v")),
                    ToolCall("a", "f", "{}"),
                    Reasoning("", Opaque("gemini", b"bGFzdA==")),
                ),
            ),
        ),
    ),
    Case(
        "code that was run is text",
        [
            said(
                {"executableCode": {"language": "PYTHON", "code": "print(1)\n"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
                {"executableCode": {"language": "LANGUAGE_UNSPECIFIED", "code": "ls"}},
                role="model",
            )
        ],
        (Message("assistant", (Text("```python\nprint(1)\n```"), Text("```\n1\n```"), Text("```\nls\n```"))),),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_contents_become_messages(case: Case) -> None:
    assert parse({"contents": case.contents}).messages == case.expected


class Field(Struct, frozen=True):
    id: str
    body: dict[str, Any]
    name: str
    expected: Any


SCHEMA = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}, "propertyOrdering": ["a"]}
JSON_SCHEMA = Raw(b'{"type":"object","properties":{"a":{"type":["string","null"]}}}')
DECLARED = {"name": "f", "description": "Does.", "parameters": SCHEMA}
FUNCTION = Tool("f", "function", "Does.", JSON_SCHEMA)


def config(**fields: Any) -> dict[str, Any]:
    return {"generationConfig": fields}


def calling(*names: str, **fields: Any) -> dict[str, Any]:
    tools = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]
    allowed = {"allowedFunctionNames": list(names)} if names else {}
    return {"tools": tools, "toolConfig": {"functionCallingConfig": {**fields, **allowed}}}


FIELDS = [
    Field(
        "instructions come first",
        {"systemInstruction": {"parts": [{"text": "Be brief."}]}},
        "messages",
        (Message("system", (Text("Be brief."),)), Message("user", (Text("Hi"),))),
    ),
    Field(
        "instructions in the other spelling, as one part or as a text",
        {"system_instruction": {"parts": {"text": "Be brief."}}},
        "messages",
        (Message("system", (Text("Be brief."),)), Message("user", (Text("Hi"),))),
    ),
    Field("temperature", config(temperature=0.5), "temperature", 0.5),
    Field("topP in the other spelling", {"generation_config": {"top_p": 0.5}}, "top_p", 0.5),
    Field("maxOutputTokens", config(maxOutputTokens=7), "max_output_tokens", 7),
    Field("stopSequences", config(stopSequences=["a", ""]), "stop", ("a",)),
    Field("one candidate is what there is", config(candidateCount=1), "model", "auto"),
    Field(
        "a budget is an effort",
        config(thinkingConfig={"thinkingBudget": 0}),
        "reasoning",
        ReasoningOptions("none"),
    ),
    Field(
        "a level is an effort, and thoughts may be asked for",
        config(thinkingConfig={"thinkingLevel": "HIGH", "include_thoughts": True}),
        "reasoning",
        ReasoningOptions("high", "auto"),
    ),
    Field(
        "a level of no meaning leaves it to the model",
        config(thinkingConfig={"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}),
        "reasoning",
        ReasoningOptions(),
    ),
    Field("a budget left to the model", config(thinkingConfig={"thinkingBudget": -1}), "reasoning", ReasoningOptions()),
    Field("plain text", config(responseMimeType="text/plain"), "output_format", None),
    Field("any JSON", config(responseMimeType="application/json"), "output_format", OutputFormat("json_object")),
    Field(
        "a schema of Google's own",
        config(response_mime_type="application/json", response_schema=SCHEMA),
        "output_format",
        OutputFormat("json_schema", None, JSON_SCHEMA),
    ),
    Field(
        "a JSON Schema",
        config(responseMimeType="application/json", responseJsonSchema={"type": "object"}),
        "output_format",
        OutputFormat("json_schema", None, Raw(b'{"type": "object"}')),
    ),
    Field(
        "a JSON Schema under its older name",
        config(responseMimeType="application/json", _responseJsonSchema={"type": "object"}),
        "output_format",
        OutputFormat("json_schema", None, Raw(b'{"type": "object"}')),
    ),
    Field("functions", {"tools": [{"functionDeclarations": [DECLARED]}]}, "tools", (FUNCTION,)),
    Field(
        "functions in the other spelling",
        {"tools": {"function_declarations": [{"name": "f", "parameters_json_schema": {"x_y": 1}}]}},
        "tools",
        (Tool("f", parameters=Raw(b'{"x_y": 1}')),),
    ),
    Field(
        "what the model's own service does",
        {"tools": [{"googleSearch": {}}, {"code_execution": {}}]},
        "hints",
        Hints(web_search=True, code_interpreter=True),
    ),
    Field("pictures", config(responseModalities=["Text", "Image"]), "hints", Hints(image_generation=True)),
    Field("a modality of no meaning", config(responseModalities=["MODALITY_UNSPECIFIED"]), "relay_only", ()),
    Field("AUTO", calling(mode="AUTO"), "tool_choice", ToolChoice("auto")),
    Field("a mode of no meaning", calling(mode="MODE_UNSPECIFIED"), "tool_choice", ToolChoice("auto")),
    Field("NONE", calling(mode="none"), "tool_choice", ToolChoice("none")),
    Field("ANY", calling(mode="ANY"), "tool_choice", ToolChoice("required")),
    Field("ANY of one", calling("g", mode="ANY"), "tool_choice", ToolChoice("named", "g")),
    Field("VALIDATED", calling("g", mode="VALIDATED"), "tools", (Tool("g"),)),
    Field("ANY of one leaves the others in sight", calling("g", mode="ANY"), "tools", (Tool("f"), Tool("g"))),
    Field(
        "what is not read travels under its name",
        {
            "safety_settings": [],
            **config(topK=3),
            "toolConfig": {"retrievalConfig": {"languageCode": "en"}},
        },
        "extras",
        {
            "safetySettings": Raw(b"[]"),
            "generationConfig.topK": Raw(b"3"),
            "toolConfig.retrievalConfig": Raw(b'{"languageCode": "en"}'),
        },
    ),
    Field(
        "what has no place is named",
        {
            "contents": [said({"text": "Hi", "videoMetadata": {}, "partMetadata": {}})],
            "tools": [{"functionDeclarations": [{"name": "f", "response": {}}]}],
        },
        "ignored",
        ("contents[0].parts[0].videoMetadata", "tools[0].functionDeclarations[0].response"),
    ),
]


@pytest.mark.parametrize("case", FIELDS, ids=lambda case: case.id)
def test_a_field_has_its_place(case: Field) -> None:
    assert getattr(parse({**HELLO, **case.body}), case.name) == case.expected


class Refusal(Struct, frozen=True):
    id: str
    body: Any
    param: str | None


REFUSALS = [
    Refusal("no object", [], None),
    Refusal("no contents", {}, "contents"),
    Refusal("empty contents", {"contents": []}, "contents"),
    Refusal("a text for contents", {"contents": "Hi"}, "contents"),
    Refusal("an unknown role", {"contents": [{"role": "x", "parts": []}]}, "contents[0].role"),
    Refusal("an empty part", {"contents": [said({})]}, "contents[0].parts[0]"),
    Refusal("a part that is a text", {"contents": [said("Hi")]}, "contents[0].parts[0]"),
    Refusal("a NUL", {"contents": [said({"text": "\0"})]}, "contents[0].parts[0].text"),
    Refusal("a number for a text", {"contents": [said({"text": 1})]}, "contents[0].parts[0].text"),
    Refusal(
        "bytes of no type",
        {"contents": [said({"inlineData": {"data": "AA=="}})]},
        "contents[0].parts[0].inlineData.mimeType",
    ),
    Refusal(
        "no bytes",
        {"contents": [said({"inlineData": {"mimeType": "image/png"}})]},
        "contents[0].parts[0].inlineData.data",
    ),
    Refusal(
        "a call without a name",
        {"contents": [said({"functionCall": {"name": ""}})]},
        "contents[0].parts[0].functionCall.name",
    ),
    Refusal(
        "arguments that are no object", {"contents": [said(call(args=[]))]}, "contents[0].parts[0].functionCall.args"
    ),
    Refusal("a result without its call", {"contents": [said(answer())]}, "contents[0].parts[0].functionResponse.name"),
    Refusal(
        "two results of one call",
        {"contents": [said(call(), role="model"), said(answer(), answer())]},
        "contents[1].parts[1].functionResponse.name",
    ),
    Refusal(
        "a response that is no object",
        {"contents": [said(call(), role="model"), said(answer(response=[1]))]},
        "contents[1].parts[0].functionResponse.response",
    ),
    Refusal("too warm", {**HELLO, **config(temperature=3)}, "generationConfig.temperature"),
    Refusal("no tokens", {**HELLO, **config(maxOutputTokens=0)}, "generationConfig.maxOutputTokens"),
    Refusal("too many stops", {**HELLO, **config(stopSequences=["a"] * 17)}, "generationConfig.stopSequences"),
    Refusal(
        "a schema without its media type",
        {**HELLO, **config(responseSchema={"type": "OBJECT"})},
        "generationConfig.responseMimeType",
    ),
    Refusal(
        "a schema that is no object",
        {**HELLO, **config(responseMimeType="application/json", responseSchema=[])},
        "generationConfig.responseSchema",
    ),
    Refusal(
        "an unknown level",
        {**HELLO, **config(thinkingConfig={"thinkingLevel": "lots"})},
        "generationConfig.thinkingConfig.thinkingLevel",
    ),
    Refusal(
        "a function without a name",
        {**HELLO, "tools": [{"functionDeclarations": [{"name": ""}]}]},
        "tools[0].functionDeclarations[0].name",
    ),
    Refusal("an unknown mode", {**HELLO, **calling(mode="MAYBE")}, "toolConfig.functionCallingConfig.mode"),
    Refusal(
        "a choice among others than the tools",
        {**HELLO, **calling("h", mode="ANY")},
        "toolConfig.functionCallingConfig.allowedFunctionNames",
    ),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_a_body_that_is_not_understood_is_refused_by_its_field(case: Refusal) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse(case.body)
    assert raised.value.param == case.param


@given(
    JSON_VALUES | st.dictionaries(st.sampled_from(["contents", "tools", "toolConfig", "generationConfig"]), JSON_VALUES)
)
def test_garbage_is_read_or_refused_politely(body: Any) -> None:
    try:
        parse(body)
    except ClientError:
        return


def test_the_url_says_which_model_and_how() -> None:
    request = GEMINI_STREAM.parse_request(json.dumps(HELLO).encode(), "")
    request = GEMINI_STREAM.read_path(request, {"model": "openai/gpt-x"})
    assert (request.model, request.stream) == ("openai/gpt-x", True)
    assert GEMINI_STREAM.read_query(request, "alt=sse").echo == {}
    assert GEMINI_STREAM.read_query(request, "").echo == {"alt": Raw(b'"json"')}
    assert GEMINI_STREAM.read_query(request, "%24alt=json").echo == {"alt": Raw(b'"json"')}
    assert GEMINI.read_query(parse(HELLO), "").echo == {}
    with pytest.raises(InvalidRequest, match="proto") as raised:
        GEMINI_STREAM.read_query(request, "alt=proto")
    assert raised.value.param == "alt"


@pytest.mark.parametrize("body", [HELLO, {"generateContentRequest": {"model": "models/x", **HELLO}}])
def test_a_count_is_asked_of_contents_or_of_a_whole_request(body: dict[str, Any]) -> None:
    request = GEMINI_COUNT.parse_request(json.dumps(body).encode(), "")
    assert request.messages == (Message("user", (Text("Hi"),)),)
    assert request.extras == {}
