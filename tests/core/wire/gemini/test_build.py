"""A canonical request to Gemini's body: what goes, what is named as left out, what is refused."""

import json
from typing import Any, cast

import pytest
from msgspec import Raw, Struct, structs

from core.contracts import Exchange, Target, Upstream
from core.errors import Unsupported
from core.media import Blob
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
from core.wire.gemini import GEMINI
from core.wire.gemini.build import build_request
from core.wire.gemini.signatures import FOREIGN
from core.wire.gemini.turns import Reference, references
from tests.core.exchanges import Silent, exchange

SCHEMA = Raw(b'{"type":"object","additionalProperties":false}')
GET = Tool("get", "function", "Gets.", SCHEMA, strict=True)
PNG = "data:image/png;base64,iVBORw0KGgo="
SIGNED = Opaque("gemini", b"c2ln")


def asked(*messages: Message, model: str = "gemini-3-pro", **fields: Any) -> Exchange:
    request = ChatRequest("auto", messages or (user("Hello"),), **fields)
    return structs.replace(exchange(), request=request, target=Target(cast(Upstream, Silent()), model))


def same(asking: Exchange) -> Exchange:
    """Return the exchange as if its client spoke Gemini's format too."""
    return structs.replace(asking, dialect=GEMINI)


def user(*parts: Part | str) -> Message:
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def model(*parts: Part) -> Message:
    return Message("assistant", parts)


def tool(*results: ToolResult) -> Message:
    return Message("tool", results)


def built(asking: Exchange, **fetched: Blob) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(build_request(asking, fetched).body)
    return body


def turn(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def called(identity: str, name: str = "get", signature: str | None = None, **args: Any) -> dict[str, Any]:
    signed = {"thoughtSignature": signature} if signature else {}
    return {"functionCall": {"id": identity, "name": name, "args": args}, **signed}


def answered(identity: str, name: str = "get", **response: Any) -> dict[str, Any]:
    return {"functionResponse": {"id": identity, "name": name, "response": response}}


def inline(mime_type: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": data}}


class Case(Struct, frozen=True):
    id: str
    messages: tuple[Message, ...]
    expected: list[dict[str, Any]]


CASES = [
    Case("a text", (user("Hi"),), [turn("user", {"text": "Hi"})]),
    Case(
        "neighbours of one speaker are one turn, and what is empty is none",
        (user("a"), user("", "b"), model(Text("")), model(Text("c")), model(Text("d"))),
        [turn("user", {"text": "a"}, {"text": "b"}), turn("model", {"text": "c"}, {"text": "d"})],
    ),
    Case(
        "pictures, sounds and documents are bytes",
        (
            user(
                Image(PNG),
                Image("iVBORw0KGgo="),
                Image("data:image/gif,GIF89a%01"),
                Audio("AAAA", "wav"),
                File(data="data:application/pdf;base64,AA==", filename="a.pdf"),
                File(data="AA==", filename="notes.md"),
                File(data="AA=="),
            ),
        ),
        [
            turn(
                "user",
                inline("image/png", "iVBORw0KGgo="),
                inline("image/png", "iVBORw0KGgo="),
                inline("image/gif", "R0lGODlhAQ=="),
                inline("audio/wav", "AAAA"),
                inline("application/pdf", "AA=="),
                inline("text/markdown", "AA=="),
                inline("application/pdf", "AA=="),
            )
        ],
    ),
    Case(
        "a picture whose declared type is wrong",
        (user(Image("data:image/jpg;base64,iVBORw0KGgo="), File(data="data:text/plain;base64,iVBORw0KGgo=")),),
        [turn("user", inline("image/png", "iVBORw0KGgo="), inline("image/png", "iVBORw0KGgo="))],
    ),
    Case(
        "what was fetched goes as bytes too, by the type they have",
        (user(Image("http://a.example/x"), File(url="HTTPS://a.example/doc")),),
        [turn("user", inline("image/png", "iVBORw0KGgo="), inline("text/csv", "YSxi"))],
    ),
    Case(
        "calls have their ids and an object; the first of a step has a signature, which Gemini wants",
        (model(Reasoning("hm"), Text("Wait."), ToolCall("a", "get", '{"x": 1}'), ToolCall("b", "get", "")),),
        [turn("model", {"text": "Wait."}, called("a", "get", FOREIGN, x=1), called("b"))],
    ),
    Case(
        "its own signatures go back to where they came from",
        (
            model(
                Reasoning("hm", SIGNED),
                ToolCall("a", "get", "{}"),
                Reasoning("", Opaque("gemini", b"Zm9v")),
                Text("Hi"),
                Reasoning("", Opaque("gemini", b"YmFy")),
            ),
        ),
        [
            turn(
                "model",
                called("a", "get", "c2ln"),
                {"text": "Hi", "thoughtSignature": "Zm9v"},
                {"text": "", "thoughtSignature": "YmFy"},
            )
        ],
    ),
    Case(
        "the seal of another vendor is left out",
        (model(Reasoning("hm", Opaque("anthropic", b"x")), Text("Hi")),),
        [turn("model", {"text": "Hi"})],
    ),
    Case(
        "free text and broken arguments become the one argument of an object",
        (model(ToolCall("a", "sh", "ls", "custom"), ToolCall("b", "get", "[1")),),
        [turn("model", called("a", "sh", FOREIGN, input="ls"), called("b", "get", input="[1"))],
    ),
    Case(
        "all results of a step are one turn, by the names of their calls; an object stays one",
        (
            model(ToolCall("a", "get", "{}"), ToolCall("b", "put", "{}")),
            tool(ToolResult("a", (Text("sunny"), Text("warm")))),
            tool(ToolResult("b", (Text('{"ok": true}'),))),
            user("And?"),
        ),
        [
            turn("model", called("a", "get", FOREIGN), called("b", "put")),
            turn("user", answered("a", "get", output="sunny\nwarm"), answered("b", "put", ok=True)),
            turn("user", {"text": "And?"}),
        ],
    ),
    Case(
        "a failure is told as one; what is no text stands behind its result",
        (
            model(ToolCall("a", "get", "{}")),
            tool(ToolResult("a", (Text('{"why": 1}'), Image(PNG)), is_error=True)),
        ),
        [
            turn("model", called("a", "get", FOREIGN)),
            turn("user", answered("a", "get", error='{"why": 1}'), inline("image/png", "iVBORw0KGgo=")),
        ],
    ),
    Case(
        "a result and a text of one message are two turns; braces do not make an object",
        (Message("user", (ToolResult("a", (Text("{no"),), "get"), Text("Go on."))),),
        [turn("user", answered("a", "get", output="{no")), turn("user", {"text": "Go on."})],
    ),
    Case(
        "instructions alone are said by the user",
        (Message("system", (Text("Hi"),)),),
        [turn("user", {"text": "Hi"})],
    ),
]
FETCHED = {
    "http://a.example/x": Blob(b"\x89PNG\r\n\x1a\n", "text/html"),
    "HTTPS://a.example/doc": Blob(b"a,b", "text/csv"),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_messages_become_contents(case: Case) -> None:
    assert built(asked(*case.messages), **FETCHED)["contents"] == case.expected


def test_what_has_to_be_fetched_is_told_once() -> None:
    picture = Image("http://a.example/x", where="messages[0].content[0].image_url.url")
    result = ToolResult("a", (Image("http://a.example/y"),))
    request = asked(user(picture, picture, Image(PNG)), tool(result)).request
    assert references(request) == (
        Reference("http://a.example/x", "messages[0].content[0].image_url.url"),
        Reference("http://a.example/y", "messages"),
    )


def test_instructions_stand_apart_wherever_they_came() -> None:
    told = Message("system", (Text("Be brief."),)), user("Hi"), Message("developer", (Text("In verse."), Text("")))
    body = built(asked(*told))
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "In verse."}]}
    assert body["contents"] == [turn("user", {"text": "Hi"})]


@pytest.mark.parametrize("name", ["gemini-2.5-pro", "gemini-2.0-flash", "gemma-3-27b-it", "models/gemini-1.5-pro"])
def test_before_gemini_3_no_call_needs_a_signature(name: str) -> None:
    [content] = built(asked(model(ToolCall("a", "get", "{}")), model=name))["contents"]
    assert content == turn("model", called("a"))


class Field(Struct, frozen=True):
    id: str
    fields: dict[str, Any]
    expected: dict[str, Any]
    model: str = "gemini-3-pro"


def calling(**fields: Any) -> dict[str, Any]:
    return {"functionCallingConfig": fields}


DECLARED = {"name": "get", "description": "Gets.", "parametersJsonSchema": json.loads(bytes(SCHEMA))}
TOOLS = [{"functionDeclarations": [DECLARED]}]


def chosen(choice: ToolChoice, **expected: Any) -> Field:
    return Field(
        f"the choice {choice.mode}",
        {"tools": (GET,), "tool_choice": choice},
        {"tools": TOOLS, "toolConfig": calling(**expected)},
    )


def thinking(effort: Any, model: str, **expected: Any) -> Field:
    shown = {"includeThoughts": True} if effort != "none" else {}
    config = {"generationConfig": {"thinkingConfig": {**expected, **shown}}}
    return Field(f"the effort {effort} for {model}", {"reasoning": ReasoningOptions(effort)}, config, model)


FIELDS = [
    Field("nothing", {}, {}),
    Field(
        "tuning",
        {"temperature": 0.0, "top_p": 0.5, "max_output_tokens": 7, "stop": ("a", "b", "c", "d", "e", "f")},
        {
            "generationConfig": {
                "temperature": 0.0,
                "topP": 0.5,
                "maxOutputTokens": 7,
                "stopSequences": ["a", "b", "c", "d", "e"],
            }
        },
    ),
    chosen(ToolChoice("auto"), mode="AUTO"),
    chosen(ToolChoice("none"), mode="NONE"),
    chosen(ToolChoice("required"), mode="ANY"),
    chosen(ToolChoice("named", "get"), mode="ANY", allowedFunctionNames=["get"]),
    Field(
        "a custom tool takes one text",
        {"tools": (Tool("sh", "custom", "Runs.", grammar="start: X"),)},
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {
                            "name": "sh",
                            "description": "Runs.\n\nThe input must follow this grammar:\nstart: X",
                            "parametersJsonSchema": {
                                "type": "object",
                                "properties": {"input": {"type": "string"}},
                                "required": ["input"],
                            },
                        }
                    ]
                }
            ],
            "toolConfig": calling(mode="AUTO"),
        },
    ),
    Field(
        "a tool without parameters",
        {"tools": (Tool("x"),)},
        {"tools": [{"functionDeclarations": [{"name": "x"}]}], "toolConfig": calling(mode="AUTO")},
    ),
    Field(
        "what Google's service does during a turn",
        {"hints": Hints(web_search=True, code_interpreter=True)},
        {"tools": [{"googleSearch": {}}, {"codeExecution": {}}]},
    ),
    Field(
        "pictures, by a model that makes them",
        {"hints": Hints(image_generation=True)},
        {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}},
        "gemini-3-pro-image",
    ),
    Field("text is no form", {"output_format": OutputFormat("text")}, {}),
    Field(
        "any JSON (OM-4)",
        {"output_format": OutputFormat("json_object")},
        {"generationConfig": {"responseMimeType": "application/json"}},
    ),
    Field(
        "a schema (OM-4)",
        {"output_format": OutputFormat("json_schema", "answer", SCHEMA)},
        {
            "generationConfig": {
                "responseMimeType": "application/json",
                "responseJsonSchema": json.loads(bytes(SCHEMA)),
            }
        },
    ),
    thinking("none", "gemini-3-flash-preview", thinkingLevel="minimal"),
    thinking("low", "gemini-3-pro", thinkingLevel="low"),
    thinking("max", "loopback-large", thinkingLevel="high"),
    thinking("none", "gemini-2.5-flash", thinkingBudget=0),
    thinking("medium", "gemini-2.5-flash", thinkingBudget=8192),
    thinking(None, "gemini-2.5-flash"),
]


@pytest.mark.parametrize("case", FIELDS, ids=lambda case: case.id)
def test_a_field_has_its_place(case: Field) -> None:
    body = built(asked(model=case.model, **case.fields))
    body.pop("contents")
    assert body == case.expected


class Nearest(Struct, frozen=True):
    """An effort that a model does not have, and what stands for it."""

    effort: Any
    model: str
    expected: dict[str, Any]


NEAREST = [
    Nearest("none", "gemini-3-pro-preview", {"thinkingLevel": "low"}),
    Nearest("minimal", "gemini-3-pro", {"thinkingLevel": "low"}),
    Nearest("medium", "gemini-3-pro", {"thinkingLevel": "high"}),
    Nearest("minimal", "gemini-3.1-pro-preview", {"thinkingLevel": "low"}),
    Nearest("minimal", "gemini-3.7-flash", {"thinkingLevel": "low"}),
    Nearest("minimal", "gemini-flash-latest", {"thinkingLevel": "low"}),
    Nearest("low", "gemini-3.1-flash-image", {"thinkingLevel": "minimal"}),
    Nearest("low", "gemini-3-pro-image", {"thinkingLevel": "high"}),
    Nearest("none", "gemini-2.5-pro", {"thinkingBudget": 128}),
]


@pytest.mark.parametrize("case", NEAREST, ids=lambda case: f"{case.effort} for {case.model}")
def test_an_effort_that_a_model_lacks_becomes_the_nearest_and_is_named(case: Nearest) -> None:
    result = build_request(asked(model=case.model, reasoning=ReasoningOptions(case.effort)))
    config = json.loads(result.body)["generationConfig"]["thinkingConfig"]
    config.pop("includeThoughts", None)
    assert (config, result.ignored) == (case.expected, ("reasoning",))


@pytest.mark.parametrize(
    ("effort", "model"),
    [
        ("medium", "gemini-3.1-pro-preview"),
        ("minimal", "gemini-3.6-flash"),
        ("minimal", "gemini-3.5-flash-lite"),
        ("minimal", "gemini-2.5-pro"),
        ("xhigh", "gemini-3-pro"),
    ],
)
def test_an_effort_that_a_model_has_is_not_named(effort: Any, model: str) -> None:
    assert build_request(asked(model=model, reasoning=ReasoningOptions(effort))).ignored == ()


def test_what_is_left_out_is_named() -> None:
    asking = asked(
        model="gemini-2.0-flash",
        tools=(GET,),
        parallel_tool_calls=False,
        reasoning=ReasoningOptions("low"),
        extras={"seed": Raw(b"1")},
        ignored=("given",),
    )
    result = build_request(asking)
    assert result.ignored == ("parallel_tool_calls", "reasoning", "seed", "given")
    assert "thinkingConfig" not in result.body.decode()


def test_what_only_gemini_has_goes_back_to_its_place() -> None:
    extras = {
        "safetySettings": Raw(b"[]"),
        "generationConfig.topK": Raw(b"3"),
        "toolConfig.retrievalConfig": Raw(b"{}"),
    }
    asking = asked(
        user(Image("https://a.example/x")),
        tools=(GET,),
        reasoning=ReasoningOptions("low"),
        hints=Hints(image_generation=True),
        extras=extras,
    )
    result = build_request(same(asking))
    assert result.ignored == ()
    assert json.loads(result.body) == {
        "contents": [turn("user", {"fileData": {"fileUri": "https://a.example/x"}})],
        "safetySettings": [],
        "tools": TOOLS,
        "toolConfig": {"retrievalConfig": {}, **calling(mode="AUTO")},
        "generationConfig": {
            "topK": 3,
            "thinkingConfig": {"thinkingLevel": "low"},
            "responseModalities": ["TEXT", "IMAGE"],
        },
    }


class Refusal(Struct, frozen=True):
    id: str
    asking: Exchange
    param: str | None


REFUSALS = [
    Refusal("a conversation to go on with", asked(continues=Turn("c")), "conversation_id"),
    Refusal("a turn to go on with", asked(continues=Turn("c"), previous="resp_x"), "previous_response_id"),
    Refusal("deep research", asked(hints=Hints(deep_research=True)), "model"),
    Refusal("pictures of a model that makes none", asked(hints=Hints(image_generation=True)), "model"),
    Refusal("a picture of this gateway", asked(user(Image(file_id="f", stored=StoredFile("f"), where="x"))), "x"),
    Refusal("a file of this gateway", asked(user(File(file_id="f", where="x"))), "x"),
    Refusal("a file of another place", asked(user(File(url="gs://bucket/x", where="x"))), "x"),
    Refusal("instructions with a picture", asked(Message("system", (Image(PNG),)), user("Hi")), "messages"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_what_has_no_place_is_refused(case: Refusal) -> None:
    with pytest.raises(Unsupported) as raised:
        build_request(case.asking)
    assert raised.value.param == case.param
