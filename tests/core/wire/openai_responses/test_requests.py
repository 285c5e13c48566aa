"""What a Responses body is parsed to, field by field, and what is refused at which path."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from core.errors import ClientError, InvalidRequest, Unsupported
from core.request import (
    ChatRequest,
    File,
    Hints,
    Image,
    ImageOptions,
    Message,
    Opaque,
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
from core.wire.openai_responses.compaction import INSTRUCTION, pack
from core.wire.openai_responses.pictures import EARLIER_PICTURE
from core.wire.openai_responses.requests import COMPACTS, parse_request
from core.wire.openai_responses.types import Item, ToolDefinition
from tests.strategies import JSON_VALUES

Json = dict[str, Any]

DATA = Path(__file__).parents[3] / "data" / "codex"
HELLO = Message("user", (Text("Hello"),))
SCHEMA: Json = {"type": "object", "properties": {"a": {"type": "string"}}}
LARK = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
CALL: Json = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": '{"a": 1}'}
CUSTOM_CALL: Json = {"type": "custom_tool_call", "call_id": "call_2", "name": "patch", "input": "+ a"}


def parse(**fields: Any) -> ChatRequest:
    return parse_request(json.dumps({"model": "m", "input": "Hello"} | fields).encode(), "application/json")


class Field(Struct, frozen=True):
    """A field of the body and what it makes of the request."""

    id: str
    body: Json
    expected: Json


FIELDS = [
    Field("the model", {"model": "gpt-x"}, {"model": "gpt-x"}),
    Field("no model means any", {"model": None}, {"model": "auto"}),
    Field("input as text", {"input": "Hi"}, {"messages": (Message("user", (Text("Hi"),)),)}),
    Field(
        "instructions come first",
        {"instructions": "Be brief."},
        {"messages": (Message("developer", (Text("Be brief."),)), HELLO)},
    ),
    Field("no instructions", {"instructions": None}, {"messages": (HELLO,)}),
    Field("stream", {"stream": True}, {"stream": True, "include_usage": True}),
    Field("stream is null", {"stream": None}, {"stream": False}),
    Field("a limit", {"max_output_tokens": 20}, {"max_output_tokens": 20}),
    Field("temperature", {"temperature": 0.5, "top_p": 0.25}, {"temperature": 0.5, "top_p": 0.25}),
    Field("parallel calls", {"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    Field("an effort", {"reasoning": {"effort": "xhigh"}}, {"reasoning": ReasoningOptions("xhigh")}),
    Field(
        "a summary of reasoning",
        {"reasoning": {"effort": None, "summary": "auto"}},
        {"reasoning": ReasoningOptions(None, "auto"), "ignored": ()},
    ),
    Field(
        "other wishes about reasoning are named, not heeded",
        {"reasoning": {"context": "all_turns", "generate_summary": "auto", "more": None}},
        {"reasoning": ReasoningOptions(), "ignored": ("reasoning.context", "reasoning.generate_summary")},
    ),
    Field("no store means kept", {}, {"store": True}),
    Field("store null means kept", {"store": None}, {"store": True}),
    Field("store true", {"store": True}, {"store": True}),
    Field("store false", {"store": False}, {"store": False}),
    Field("an earlier response", {"previous_response_id": "resp_1"}, {"previous": "resp_1"}),
    Field("text", {"text": {"format": {"type": "text"}}}, {"output_format": OutputFormat("text")}),
    Field("any object", {"text": {"format": {"type": "json_object"}}}, {"output_format": OutputFormat("json_object")}),
    Field(
        "a schema",
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}}},
        {"output_format": OutputFormat("json_schema", "n", Raw(json.dumps(SCHEMA).encode()), True)},
    ),
    Field(
        "verbosity is named, not heeded",
        {"text": {"verbosity": "low"}},
        {"output_format": None, "ignored": ("text.verbosity",)},
    ),
    Field(
        "what nobody reads travels as it is",
        {"include": ["reasoning.encrypted_content"], "metadata": {"a": "b"}, "prompt_cache_key": None},
        {"extras": {"include": Raw(b'["reasoning.encrypted_content"]'), "metadata": Raw(b'{"a": "b"}')}},
    ),
    Field(
        "what the answer repeats",
        {"metadata": {"a": "b"}, "temperature": 1, "user": "u"},
        {"echo": {"metadata": Raw(b'{"a": "b"}'), "temperature": Raw(b"1"), "user": Raw(b'"u"')}},
    ),
]


@pytest.mark.parametrize("case", FIELDS, ids=lambda case: case.id)
def test_a_field(case: Field) -> None:
    request = parse(**case.body)
    assert {name: getattr(request, name) for name in case.expected} == case.expected


PART = "input[0].content[0]"


class Items(Struct, frozen=True):
    """Input items and the messages they make; what is left out is `ignored`."""

    id: str
    items: list[Json]
    messages: tuple[Message, ...]
    ignored: tuple[str, ...] = ()
    previous: str | None = None


def message(*parts: Part, role: Any = "user") -> Message:
    return Message(role, parts)


def user(*parts: Json) -> Json:
    return {"type": "message", "role": "user", "content": list(parts)}


ITEM_FIELDS = [name for name in Item.__struct_fields__ if name != "type"]
HI: Json = {"role": "user", "content": "Hello"}
ITEMS = [
    Items("a message without a type", [HI], (HELLO,)),
    Items("a message in parts", [user({"type": "input_text", "text": "Hello"})], (HELLO,)),
    Items(
        "every role",
        [{"role": role, "content": role} for role in ("system", "developer", "user", "assistant")],
        tuple(message(Text(role), role=role) for role in ("system", "developer", "user", "assistant")),
    ),
    Items(
        "an answer as the API gave it",
        [
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}],
            },
            HI,
        ],
        (message(Text("Hi"), role="assistant"), HELLO),
    ),
    Items(
        "what an answer says on its way and at its end",
        [
            {"role": "assistant", "content": "Let me look.", "phase": "commentary"},
            {"role": "assistant", "content": "Four.", "phase": "final_answer"},
            {**HI, "phase": "commentary"},
        ],
        (
            Message("assistant", (Text("Let me look."),), phase="commentary"),
            Message("assistant", (Text("Four."),), phase="final_answer"),
            HELLO,
        ),
    ),
    Items(
        "a refusal",
        [{"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]}],
        (message(Text("No"), role="assistant"),),
    ),
    Items(
        "a picture by URL",
        [user({"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"})],
        (message(Image(url="data:image/png;base64,AA==", detail="low", where=f"{PART}.image_url")),),
    ),
    Items(
        "a picture in the form of Chat Completions",
        [user({"type": "input_image", "image_url": {"url": "u", "detail": "low"}})],
        (message(Image(url="u", detail="low", where=f"{PART}.image_url.url")),),
    ),
    Items(
        "a picture by id",
        [user({"type": "input_image", "file_id": "f"})],
        (message(Image(file_id="f", where=f"{PART}.file_id")),),
    ),
    Items(
        "a file by id, data and URL",
        [
            user(
                {"type": "input_file", "file_id": "f"},
                {"type": "input_file", "file_data": "AA==", "filename": "a.txt"},
                {"type": "input_file", "file_url": "https://example.com/a"},
            )
        ],
        (
            message(
                File(file_id="f", where="input[0].content[0].file_id"),
                File(data="AA==", filename="a.txt", where="input[0].content[1].file_data"),
                File(url="https://example.com/a", where="input[0].content[2].file_url"),
            ),
        ),
    ),
    Items(
        "a call and its output",
        [CALL, {"type": "function_call_output", "call_id": "call_1", "output": "Sunny"}],
        (
            message(ToolCall("call_1", "look", '{"a": 1}'), role="assistant"),
            message(ToolResult("call_1", (Text("Sunny"),)), role="tool"),
        ),
    ),
    Items(
        "an output in parts",
        [
            CALL,
            {
                "type": "function_call_output",
                "call_id": "call_1",
                "output": [{"type": "input_text", "text": "See"}, {"type": "input_image", "image_url": "u"}],
            },
        ],
        (
            message(ToolCall("call_1", "look", '{"a": 1}'), role="assistant"),
            message(
                ToolResult("call_1", (Text("See"), Image(url="u", where="input[1].output[1].image_url"))), role="tool"
            ),
        ),
    ),
    Items(
        "a custom call and its output",
        [CUSTOM_CALL, {"type": "custom_tool_call_output", "call_id": "call_2", "output": "Done"}],
        (
            message(ToolCall("call_2", "patch", "+ a", "custom"), role="assistant"),
            message(ToolResult("call_2", (Text("Done"),)), role="tool"),
        ),
    ),
    Items(
        "an output before its call",
        [{"type": "function_call_output", "call_id": "call_1", "output": "Sunny"}, CALL],
        (
            message(ToolResult("call_1", (Text("Sunny"),)), role="tool"),
            message(ToolCall("call_1", "look", '{"a": 1}'), role="assistant"),
        ),
    ),
    Items(
        "a call in a namespace",
        [CALL | {"namespace": "functions"}],
        (message(ToolCall("call_1", "functions.look", '{"a": 1}'), role="assistant"),),
    ),
    Items(
        "an output whose call is kept upstream",
        [{"type": "function_call_output", "call_id": "call_9", "output": "Sunny"}],
        (message(ToolResult("call_9", (Text("Sunny"),)), role="tool"),),
        previous="resp_1",
    ),
    Items(
        "reasoning",
        [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}],
                "encrypted_content": "sealed",
            },
            HI,
        ],
        (message(Reasoning("One.\n\nTwo.", Opaque("openai_responses", b"sealed")), role="assistant"), HELLO),
    ),
    Items(
        "a compaction of ours",
        [{"type": "compaction", "id": "cmp_1", "encrypted_content": pack("Much was said.")}, HI],
        (message(Text("Summary of the conversation so far:\nMuch was said."), role="developer"), HELLO),
    ),
    Items(
        "a reference to what is kept upstream",
        [{"type": "item_reference", "id": "msg_1"}, HI],
        (HELLO,),
        ("input[0]:item_reference",),
        previous="resp_1",
    ),
    Items(
        "a picture made earlier, shown by the user, for only users can",
        [{"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "iVBORw0KGgo="}, HI],
        (message(Image("iVBORw0KGgo=", where="input[0].result"), Text(EARLIER_PICTURE)), HELLO),
    ),
    Items(
        "a picture that is not there",
        [{"type": "image_generation_call", "id": "ig_1", "status": "failed", "result": None}, HI],
        (HELLO,),
        ("input[0]:image_generation_call",),
    ),
    Items(
        "kinds that nobody here knows",
        [{"type": "web_search_call", "id": "ws_1"}, HI, {"type": "from_the_future", "anything": [1]}],
        (HELLO,),
        ("input[0]:web_search_call", "input[2]:from_the_future"),
    ),
    Items(
        "unknown kinds whose fields are other things than those of known ones",
        [
            {"type": "tool_search_call", "execution": "client", "arguments": {"query": "x"}, "id": 1, "call_id": {}},
            HI,
            {"type": "from_the_future", **dict.fromkeys(ITEM_FIELDS, 1)},
        ],
        (HELLO,),
        ("input[0]:tool_search_call", "input[2]:from_the_future"),
    ),
]


@pytest.mark.parametrize("case", ITEMS, ids=lambda case: case.id)
def test_items(case: Items) -> None:
    request = parse(input=case.items, previous_response_id=case.previous)
    assert request.messages == case.messages
    assert request.ignored == case.ignored


class Tools(Struct, frozen=True):
    """`body` holds tools, or items with tools in them."""

    id: str
    body: Json
    tools: tuple[Tool, ...] = ()
    ignored: tuple[str, ...] = ()
    hints: Hints = Hints()
    image: ImageOptions | None = None
    choice: ToolChoice = ToolChoice("auto")


FUNCTION: Json = {"type": "function", "name": "look", "description": "Looks.", "parameters": SCHEMA, "strict": True}
LOOK = Tool("look", "function", "Looks.", Raw(json.dumps(SCHEMA).encode()), True)
PATCH = Tool("patch", "custom", "Patches.", grammar="start: /.+/")
CUSTOM: Json = {"type": "custom", "name": "patch", "description": "Patches.", "format": LARK}
NAMESPACE: Json = {"type": "namespace", "name": "functions", "tools": [FUNCTION, CUSTOM]}
NAMESPACED = (
    Tool("functions.look", "function", "Looks.", Raw(json.dumps(SCHEMA).encode()), True, namespace="functions"),
    Tool("functions.patch", "custom", "Patches.", grammar="start: /.+/", namespace="functions"),
)
TOOL_FIELDS = [name for name in ToolDefinition.__struct_fields__ if name != "type"]
DRAW: Json = {"type": "image_generation"}
DRAWS = Hints(image_generation=True)
SEARCH: Json = {"type": "web_search", "external_web_access": True}
CODE: Json = {"type": "code_interpreter", "container": {"type": "auto"}}
COMPUTES = Hints(code_interpreter=True)
IN_NAMESPACE: Json = {"type": "function", "name": "look", "namespace": "functions"}


def allow(mode: str, *tools: Json) -> Json:
    return {"type": "allowed_tools", "mode": mode, "tools": list(tools)}


TOOLS = [
    Tools("a function", {"tools": [FUNCTION]}, (LOOK,)),
    Tools("a function with a name only", {"tools": [{"type": "function", "name": "look"}]}, (Tool("look"),)),
    Tools("a custom tool with a grammar", {"tools": [CUSTOM]}, (PATCH,)),
    Tools("a custom tool", {"tools": [{"type": "custom", "name": "say"}]}, (Tool("say", "custom"),)),
    Tools("a namespace", {"tools": [NAMESPACE]}, NAMESPACED),
    Tools(
        "tools in an item, as Codex gives them for its newest models",
        {"input": [{"type": "additional_tools", "role": "developer", "tools": [NAMESPACE]}, HI]},
        NAMESPACED,
    ),
    Tools("search alone is a wish to search", {"tools": [SEARCH]}, hints=Hints(web_search=True)),
    Tools("search among other tools is an offer", {"tools": [FUNCTION, SEARCH]}, (LOOK,), ("tools[1]:web_search",)),
    Tools(
        "search that is chosen",
        {"tools": [FUNCTION, SEARCH], "tool_choice": {"type": "web_search"}},
        (LOOK,),
        hints=Hints(web_search=True),
    ),
    Tools(
        "options of a search",
        {"tools": [{**SEARCH, "search_context_size": "low", "user_location": None, "external_web_access": False}]},
        ignored=("tools[0].external_web_access", "tools[0].search_context_size"),
        hints=Hints(web_search=True),
    ),
    Tools("code alone is a wish to run some", {"tools": [CODE]}, hints=COMPUTES),
    Tools("code among other tools is an offer", {"tools": [FUNCTION, CODE]}, (LOOK,), ("tools[1]:code_interpreter",)),
    Tools(
        "code that is chosen",
        {"tools": [FUNCTION, CODE], "tool_choice": {"type": "code_interpreter"}},
        (LOOK,),
        hints=COMPUTES,
    ),
    Tools(
        "code that is not wanted",
        {"tools": [CODE], "tool_choice": "none"},
        (),
        ("tools[0]:code_interpreter",),
        choice=ToolChoice("none"),
    ),
    Tools("code and search", {"tools": [CODE, SEARCH]}, hints=Hints(web_search=True, code_interpreter=True)),
    Tools(
        "a container with files",
        {"tools": [{**CODE, "container": {"type": "auto", "file_ids": ["file-1"]}}]},
        ignored=("tools[0].container",),
        hints=COMPUTES,
    ),
    Tools(
        "pictures beside code are an offer", {"tools": [DRAW, CODE]}, (), (f"tools[0]:{DRAW['type']}",), hints=COMPUTES
    ),
    Tools("pictures alone are a wish to draw", {"tools": [DRAW]}, hints=DRAWS, image=ImageOptions()),
    Tools(
        "pictures among other tools are an offer", {"tools": [FUNCTION, DRAW]}, (LOOK,), (f"tools[1]:{DRAW['type']}",)
    ),
    Tools(
        "pictures beside search are an offer",
        {"tools": [DRAW, SEARCH]},
        (),
        (f"tools[0]:{DRAW['type']}",),
        Hints(web_search=True),
    ),
    Tools(
        "pictures that are not wanted",
        {"tools": [DRAW], "tool_choice": "none"},
        (),
        (f"tools[0]:{DRAW['type']}",),
        choice=ToolChoice("none"),
    ),
    Tools(
        "pictures that are chosen",
        {"tools": [FUNCTION, DRAW], "tool_choice": DRAW},
        (LOOK,),
        hints=DRAWS,
        image=ImageOptions(),
    ),
    Tools("pictures that are chosen but not offered", {"tool_choice": DRAW}, hints=DRAWS),
    Tools(
        "a function of that name is a function",
        {
            "tools": [{"type": "function", "name": "image_generation"}, DRAW],
            "tool_choice": {"type": "function", "name": "image_generation"},
        },
        (Tool("image_generation"),),
        (f"tools[1]:{DRAW['type']}",),
        choice=ToolChoice("named", "image_generation"),
    ),
    Tools(
        "how pictures are to be made",
        {
            "tools": [
                {
                    **DRAW,
                    "size": "1024x1024",
                    "quality": "high",
                    "background": "opaque",
                    "output_format": "webp",
                    "output_compression": 50,
                    "input_fidelity": "high",
                    "moderation": "low",
                    "partial_images": 2,
                    "input_image_mask": {"image_url": "data:image/png;base64,AA=="},
                    "action": "auto",
                    "model": "gpt-image-2",
                }
            ]
        },
        (),
        ("tools[0].model",),
        DRAWS,
        ImageOptions(
            size="1024x1024",
            quality="high",
            background="opaque",
            output_format="webp",
            output_compression=50,
            input_fidelity="high",
            moderation="low",
            previews=2,
            mask=Image("data:image/png;base64,AA==", where="tools[0].input_image_mask.image_url"),
        ),
    ),
    Tools(
        "a mask by file id",
        {"tools": [{**DRAW, "input_image_mask": {"file_id": "file_1"}}]},
        hints=DRAWS,
        image=ImageOptions(mask=Image(file_id="file_1", where="tools[0].input_image_mask.file_id")),
    ),
    Tools("a mask of nothing", {"tools": [{**DRAW, "input_image_mask": {}}]}, hints=DRAWS, image=ImageOptions()),
    Tools(
        "kinds that nobody here knows",
        {"tools": [{"type": "tool_search"}, FUNCTION, {"type": "mcp", "server_label": "x", "tools": None}]},
        (LOOK,),
        ("tools[0]:tool_search", "tools[2]:mcp"),
    ),
    Tools(
        "an unknown kind whose fields are other things than those of known ones",
        {"tools": [{"type": "from_the_future", **dict.fromkeys(TOOL_FIELDS, 1)}, FUNCTION]},
        (LOOK,),
        ("tools[0]:from_the_future",),
    ),
    Tools(
        "an unknown kind in a namespace",
        {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "odd"}, FUNCTION]}]},
        (Tool("n.look", "function", "Looks.", Raw(json.dumps(SCHEMA).encode()), True, namespace="n"),),
        ("tools[0].tools[0]:odd",),
    ),
    Tools("none may be called", {"tool_choice": "none"}, choice=ToolChoice("none")),
    Tools(
        "one must be called", {"tools": [CUSTOM], "tool_choice": "required"}, (PATCH,), choice=ToolChoice("required")
    ),
    Tools(
        "a function by name",
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "look"}},
        (LOOK,),
        choice=ToolChoice("named", "look"),
    ),
    Tools(
        "a custom tool by name",
        {"tools": [CUSTOM], "tool_choice": {"type": "custom", "name": "patch"}},
        (PATCH,),
        choice=ToolChoice("named", "patch"),
    ),
    Tools(
        "a tool in a namespace by name",
        {"tools": [NAMESPACE], "tool_choice": {"type": "function", "name": "look", "namespace": "functions"}},
        NAMESPACED,
        choice=ToolChoice("named", "functions.look"),
    ),
    Tools(
        "a choice among some of the tools",
        {"tools": [FUNCTION, CUSTOM, SEARCH, NAMESPACE], "tool_choice": allow("required", CUSTOM, IN_NAMESPACE)},
        (PATCH, NAMESPACED[0]),
        choice=ToolChoice("required"),
    ),
    Tools(
        "a choice among tools of which one is a standing offer",
        {"tools": [FUNCTION, CUSTOM, SEARCH, CODE], "tool_choice": allow("auto", FUNCTION, SEARCH)},
        (LOOK,),
        ("tools[2]:web_search",),
    ),
    Tools(
        "a choice that leaves the search alone",
        {"tools": [FUNCTION, SEARCH, CODE, DRAW], "tool_choice": allow("required", SEARCH)},
        hints=Hints(web_search=True),
        choice=ToolChoice("required"),
    ),
    Tools(
        "a choice among tools of which one is of a kind that nobody knows",
        {"tools": [FUNCTION, CUSTOM, {"type": "mcp"}], "tool_choice": allow("auto", CUSTOM, {"type": "mcp"})},
        (PATCH,),
        ("tools[2]:mcp",),
    ),
    Tools(
        "a choice of a kind that nobody knows",
        {"tools": [FUNCTION], "tool_choice": {"type": "mcp", "server_label": "x"}},
        (LOOK,),
        ("tool_choice:mcp",),
    ),
]


@pytest.mark.parametrize("case", TOOLS, ids=lambda case: case.id)
def test_tools(case: Tools) -> None:
    request = parse(**case.body)
    assert (request.tools, request.ignored, request.hints) == (case.tools, case.ignored, case.hints)
    assert (request.tool_choice, request.image) == (case.choice, case.image)


TOKEN = "A" * 40 + "b-_" + "9" * 40
KEPT = {"type": "item_reference", "id": f"msg_{TOKEN}01"}


class Reference(Struct, frozen=True):
    """Input items of which one refers to an item of a kept turn, and what is left to send to that conversation."""

    id: str
    items: list[Json]
    messages: tuple[Message, ...]


RESULT: Json = {"type": "function_call_output", "call_id": "call_1", "output": "Sunny"}
NAMED_RESULT = message(ToolResult("call_1", (Text("Sunny"),), "look"), role="tool")
REFERENCES = [
    Reference("what stands before it is kept upstream", [{"role": "user", "content": "Before"}, KEPT, HI], (HELLO,)),
    Reference("the rest of its answer is kept too", [HI, KEPT, CALL, RESULT], (NAMED_RESULT,)),
    Reference(
        "its pictures are kept too", [HI, KEPT, {"type": "image_generation_call", "result": "AA=="}, HI], (HELLO,)
    ),
    Reference("a picture leads back too", [HI, {"type": "item_reference", "id": f"ig_{TOKEN}00"}, HI], (HELLO,)),
    Reference(
        "the last one counts",
        [HI, {"type": "item_reference", "id": f"rs_{TOKEN}00"}, HI, KEPT, CALL, RESULT],
        (NAMED_RESULT,),
    ),
    Reference(
        "a later answer in full comes after it",
        [KEPT, CALL, RESULT, CUSTOM_CALL, {"type": "custom_tool_call_output", "call_id": "call_2", "output": "Done"}],
        (
            NAMED_RESULT,
            message(ToolCall("call_2", "patch", "+ a", "custom"), role="assistant"),
            message(ToolResult("call_2", (Text("Done"),), "patch"), role="tool"),
        ),
    ),
]


@pytest.mark.parametrize("case", REFERENCES, ids=lambda case: case.id)
def test_a_reference_to_a_kept_item_goes_on_from_its_turn(case: Reference) -> None:
    request = parse(input=case.items, tools=[FUNCTION])
    assert request.previous == f"resp_{TOKEN}"
    assert request.messages == case.messages
    assert (request.tools, request.ignored) == ((LOOK,), ())


def test_instructions_are_said_again_after_a_reference() -> None:
    request = parse(input=[KEPT, HI], instructions="Be brief.")
    assert request.messages == (message(Text("Be brief."), role="developer"), HELLO)


def test_a_reference_beside_a_previous_response_is_ignored_and_named() -> None:
    request = parse(input=[KEPT, HI], previous_response_id="resp_1")
    assert (request.previous, request.messages) == ("resp_1", (HELLO,))
    assert request.ignored == ("input[0]:item_reference",)


def test_a_compaction_trigger_asks_for_a_summary() -> None:
    request = parse(input=[HI, {"type": "compaction_trigger"}], tools=[FUNCTION], tool_choice="required", store=True)
    assert request.messages == (HELLO, INSTRUCTION)
    assert (request.tools, request.tool_choice, request.store) == ((), ToolChoice("auto"), False)
    assert COMPACTS in request.echo


class Refusal(Struct, frozen=True):
    """A body that is refused, at `param`, with words among which is `says`."""

    id: str
    body: Json
    param: str
    says: str
    error: type[ClientError] = InvalidRequest


OUTPUT: Json = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
REFUSALS = [
    Refusal("no input", {"input": None}, "input", "Missing required parameter: input"),
    Refusal("an empty input", {"input": []}, "input", "at least one item"),
    Refusal("an input that is a number", {"input": 7}, "input", "Expected `array`"),
    Refusal("an item that is no object", {"input": [HI, 7]}, "input[1]", "Expected `object`"),
    Refusal("nothing but tools", {"input": [{"type": "additional_tools", "tools": []}]}, "input", "nothing that"),
    Refusal("a NUL in the input", {"input": "a\0"}, "input", "NUL"),
    Refusal(
        "a NUL in a part", {"input": [user({"type": "input_text", "text": "\0"})]}, "input[0].content[0].text", "NUL"
    ),
    Refusal("an unknown role", {"input": [{"role": "queen", "content": ""}]}, "input[0].role", "'queen'"),
    Refusal("no role", {"input": [{"type": "message", "content": ""}]}, "input[0].role", "Missing"),
    Refusal("no content", {"input": [{"role": "user"}]}, "input[0].content", "Missing"),
    Refusal("content that is a number", {"input": [{"role": "user", "content": 1}]}, "input[0].content", "array"),
    Refusal("an unknown part", {"input": [user({"type": "odd"})]}, "input[0].content[0].type", "'odd'"),
    Refusal("a part without a type", {"input": [user({"text": "a"})]}, "input[0].content[0].type", "Missing"),
    Refusal(
        "a part without its text", {"input": [user({"type": "input_text"})]}, "input[0].content[0].text", "Missing"
    ),
    Refusal(
        "a picture of nothing", {"input": [user({"type": "input_image"})]}, "input[0].content[0].image_url", "Missing"
    ),
    Refusal("a file of nothing", {"input": [user({"type": "input_file"})]}, "input[0].content[0].file_id", "Missing"),
    Refusal("a call without an id", {"input": [CALL | {"call_id": None}]}, "input[0].call_id", "Missing"),
    Refusal("a call without a name", {"input": [CALL | {"name": None}]}, "input[0].name", "Missing"),
    Refusal("a call without arguments", {"input": [CALL | {"arguments": None}]}, "input[0].arguments", "Missing"),
    Refusal("arguments that are no text", {"input": [CALL | {"arguments": {}}]}, "input[0].arguments", "Expected `str"),
    Refusal("a custom call without input", {"input": [CUSTOM_CALL | {"input": None}]}, "input[0].input", "Missing"),
    Refusal("an output without an id", {"input": [CALL, OUTPUT | {"call_id": None}]}, "input[1].call_id", "Missing"),
    Refusal("an output of nothing", {"input": [CALL, OUTPUT | {"output": None}]}, "input[1].output", "Missing"),
    Refusal("an output that no call asked for", {"input": [HI, OUTPUT]}, "input[1].call_id", "call_1"),
    Refusal("a reference", {"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id", "send them in full"),
    Refusal(
        "another's compaction",
        {"input": [{"type": "compaction", "encrypted_content": "gAAAA"}]},
        "input[0].encrypted_content",
        "not a compaction of this gateway",
    ),
    Refusal("a tool without a type", {"tools": [{"name": "a"}]}, "tools[0].type", "Missing"),
    Refusal("a tool without a name", {"tools": [{"type": "function"}]}, "tools[0].name", "Missing"),
    Refusal("a tool with an empty name", {"tools": [{"type": "custom", "name": ""}]}, "tools[0].name", "Missing"),
    Refusal("a namespace without a name", {"tools": [{"type": "namespace", "tools": []}]}, "tools[0].name", "Missing"),
    Refusal(
        "a nameless tool in a namespace",
        {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function"}]}]},
        "tools[0].tools[0].name",
        "Missing",
    ),
    Refusal("an unknown choice", {"tool_choice": "perhaps"}, "tool_choice", "'perhaps'"),
    Refusal(
        "a choice among tools of which one is not there",
        {"tools": [FUNCTION], "tool_choice": allow("auto", FUNCTION, {"type": "function", "name": "serch"})},
        "tool_choice.tools[1]",
        "tool_choice.tools[1] names 'serch', which is not among tools: 'look'",
    ),
    Refusal(
        "a choice of a search that is not there",
        {"tools": [FUNCTION, CODE], "tool_choice": allow("auto", SEARCH)},
        "tool_choice.tools[0]",
        "names 'web_search', which is not among tools: 'code_interpreter'",
    ),
    Refusal("a choice among nothing", {"tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools", "Missing"),
    Refusal("a choice in an odd mode", {"tool_choice": allow("odd")}, "tool_choice.mode", "'odd'"),
    Refusal("a choice without a name", {"tool_choice": {"type": "function"}}, "tool_choice.name", "Missing"),
    Refusal("an unknown effort", {"reasoning": {"effort": "heroic"}}, "reasoning.effort", "'heroic'"),
    Refusal("an unknown format", {"text": {"format": {"type": "xml"}}}, "text.format.type", "'xml'"),
    Refusal("no schema", {"text": {"format": {"type": "json_schema"}}}, "text.format.schema", "Missing"),
    Refusal("a limit of nothing", {"max_output_tokens": 0}, "max_output_tokens", ">= 1"),
    Refusal("too hot", {"temperature": 3}, "temperature", "<= 2"),
    Refusal("a text for a truth", {"stream": "yes"}, "stream", "Expected `bool"),
    Refusal("in the background", {"background": True}, "background", "while the request waits", Unsupported),
    Refusal("a conversation object", {"conversation": "conv_1"}, "conversation", "previous_response_id", Unsupported),
    Refusal("a stored prompt", {"prompt": {"id": "p"}}, "prompt", "no stored prompts", Unsupported),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_a_refusal(case: Refusal) -> None:
    with pytest.raises(ClientError) as caught:
        parse(**case.body)
    assert type(caught.value) is case.error
    assert caught.value.param == case.param
    assert case.says in caught.value.message


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"text"', b"\xff", b"[" * 10_000, b'{"a":' * 10_000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_request(body, "application/json")


# What Codex CLI sends (tests/data/codex/README.md).


def test_codex_body_with_tools_is_read() -> None:
    request = parse_request((DATA / "tools.json").read_bytes(), "application/json")
    names = [tool.name for tool in request.tools]
    assert names[:2] == ["exec_command", "write_stdin"]
    assert "multi_agent_v1.spawn_agent" in names
    assert [message.role for message in request.messages] == [
        "developer",
        "developer",
        "user",
        "user",
        "assistant",
        "tool",
    ]
    assert (request.stream, request.store) == (True, False)
    assert request.ignored == ("tools[8]:web_search",)
    call, result = request.messages[-2].parts[0], request.messages[-1].parts[0]
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert (call.name, call.id) == ("exec_command", result.call_id)


def test_codex_body_of_the_newest_models_is_read() -> None:
    request = parse_request((DATA / "lite.json").read_bytes(), "application/json")
    assert {tool.namespace for tool in request.tools} == {"functions", "clock", "collaboration"}
    (execute,) = [tool for tool in request.tools if tool.kind == "custom"]
    assert (execute.name, execute.local_name) == ("functions.exec", "exec")
    assert execute.grammar is not None
    assert request.parallel_tool_calls is False
    call, result = request.messages[-2].parts[0], request.messages[-1].parts[0]
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert (call.name, call.kind, call.id) == ("functions.exec", "custom", result.call_id)
    assert len(result.content) == 2


# Any body at all.

NAMES = st.sampled_from(
    [
        "model",
        "input",
        "instructions",
        "stream",
        "tools",
        "tool_choice",
        "reasoning",
        "text",
        "store",
        "previous_response_id",
        "type",
        "role",
        "content",
        "call_id",
        "name",
        "arguments",
        "output",
        "summary",
        "encrypted_content",
        "format",
        "schema",
        "effort",
        "parameters",
        "strict",
        "id",
        "namespace",
    ]
)
WORDS = st.sampled_from(
    [
        "message",
        "user",
        "assistant",
        "function",
        "custom",
        "namespace",
        "web_search",
        "function_call",
        "function_call_output",
        "reasoning",
        "input_text",
        "input_image",
        "additional_tools",
        "compaction",
        "compaction_trigger",
        "item_reference",
        "json_schema",
        "auto",
    ]
)
BODIES = st.recursive(
    JSON_VALUES | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, BODIES, max_size=6))
def test_any_object_is_a_request_or_refused(body: Json) -> None:
    try:
        request = parse_request(json.dumps(body).encode(), "application/json")
    except ClientError:
        return
    assert request.messages


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_a_request(body: bytes) -> None:
    with suppress(ClientError):
        parse_request(body, "application/json")


@given(st.text(max_size=200))
def test_a_summary_comes_back_from_its_compaction(summary: str) -> None:
    summary = summary.replace("\0", "")
    request = parse(input=[{"type": "compaction", "encrypted_content": pack(summary)}, HI])
    assert request.messages[0] == message(Text(f"Summary of the conversation so far:\n{summary}"), role="developer")


@given(st.text(max_size=60))
def test_a_forged_compaction_is_refused(content: str) -> None:
    with pytest.raises(InvalidRequest):
        parse(input=[{"type": "compaction", "encrypted_content": "isthmus1." + content}, HI])
