"""A canonical request to a Responses body: what goes, what is named or refused; and the round trip."""

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
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    ReasoningOptions,
    Role,
    StoredFile,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from core.wire.openai_responses import OPENAI_RESPONSES
from core.wire.openai_responses.build import Built, Variant, build_request
from core.wire.openai_responses.requests import WIRE, parse_request
from tests.core.exchanges import exchange

Json = dict[str, Any]

SCHEMA = Raw(b'{"type":"object"}')
GET = Tool("get", "function", "Gets.", SCHEMA, strict=True)
PATCH = Tool("patch", "custom", "Patches.", grammar="start: /.+/")
SEALED = Reasoning("hm", Opaque(WIRE, b"gAAA"))


def asked(*messages: Message, **fields: Any) -> Exchange:
    request = ChatRequest("auto", messages or (said("Hello"),), **fields)
    return structs.replace(exchange(), request=request)


def of_client(**body: Any) -> Exchange:
    """Return the exchange of a client that speaks this format."""
    sent = json.dumps({"model": "m", "input": "Hello", **body}).encode()
    return structs.replace(exchange(), request=parse_request(sent, "application/json"), dialect=OPENAI_RESPONSES)


def said(*parts: Part | str, role: Role = "user") -> Message:
    return Message(role, tuple(Text(part) if isinstance(part, str) else part for part in parts))


def built(asking: Exchange, variant: Variant = "codex", **how: Any) -> Json:
    body: Json = json.loads(build_request(asking, variant, **how).body)
    return body


def ignored(asking: Exchange, variant: Variant = "codex", **how: Any) -> tuple[str, ...]:
    made: Built = build_request(asking, variant, **how)
    return made.ignored


def item(role: str, *content: Json) -> Json:
    return {"type": "message", "role": role, "content": list(content)}


def words(text: str, kind: str = "input_text") -> Json:
    return {"type": kind, "text": text}


class Case(Struct, frozen=True):
    id: str
    messages: tuple[Message, ...]
    expected: list[Json]
    instructions: str = ""


CASES = [
    Case("a question", (said("Hi"),), [item("user", words("Hi"))]),
    Case(
        "the first words of the developer are instructions, later ones are items",
        (said("Be brief.", role="system"), said("Be kind.", role="system"), said("Hi")),
        [item("developer", words("Be kind.")), item("user", words("Hi"))],
        "Be brief.",
    ),
    Case(
        "instructions that are no text are an item",
        (said("See:", Image(url="https://a/x.png"), role="developer"), said("Hi")),
        [
            item("developer", words("See:"), {"type": "input_image", "image_url": "https://a/x.png"}),
            item("user", words("Hi")),
        ],
    ),
    Case("an input is never empty", (said("Go.", role="system"),), [item("developer", words("Go."))]),
    Case(
        "pictures and documents in each of their forms",
        (
            said(
                Image(url="iVBORw0KGgo=", detail="low"),
                File(data="data:application/pdf;base64,AA==", filename="a.pdf"),
                File(url="https://a/b.pdf"),
            ),
        ),
        [
            item(
                "user",
                {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
                {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
                {"type": "input_file", "file_url": "https://a/b.pdf"},
            )
        ],
    ),
    Case(
        "an answer's parts are items in their order",
        (said(SEALED, "Let me look.", ToolCall("c1", "get", '{"a": 1}'), "So.", role="assistant"),),
        [
            {"type": "reasoning", "summary": [words("hm", "summary_text")], "encrypted_content": "gAAA"},
            item("assistant", words("Let me look.", "output_text")),
            {"type": "function_call", "call_id": "c1", "name": "get", "arguments": '{"a": 1}'},
            item("assistant", words("So.", "output_text")),
        ],
    ),
    Case(
        "what an answer says keeps its phase",
        (Message("assistant", (Text("Let me look."), ToolCall("c1", "get", "{}"), Text("So.")), phase="commentary"),),
        [
            {**item("assistant", words("Let me look.", "output_text")), "phase": "commentary"},
            {"type": "function_call", "call_id": "c1", "name": "get", "arguments": "{}"},
            {**item("assistant", words("So.", "output_text")), "phase": "commentary"},
        ],
    ),
    Case(
        "reasoning that this vendor has not sealed stays here",
        (said(Reasoning("a"), Reasoning("b", Opaque("anthropic", b"x")), "Hi", role="assistant"),),
        [item("assistant", words("Hi", "output_text"))],
    ),
    Case(
        "sealed reasoning may have no words",
        (said(Reasoning("", Opaque(WIRE, b"gAAA")), role="assistant"),),
        [{"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}],
    ),
    Case(
        "results are of the kind of their calls",
        (
            said(ToolCall("c1", "get", "{}"), ToolCall("c2", "patch", "ls", "custom"), role="assistant"),
            said(ToolResult("c1", (Text("one"), Text("two"))), role="tool"),
            said(ToolResult("c2", (Text("see"), Image(url="https://a/x.png"))), role="tool"),
        ),
        [
            {"type": "function_call", "call_id": "c1", "name": "get", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "ls"},
            {"type": "function_call_output", "call_id": "c1", "output": "one\ntwo"},
            {
                "type": "custom_tool_call_output",
                "call_id": "c2",
                "output": [words("see"), {"type": "input_image", "image_url": "https://a/x.png"}],
            },
        ],
    ),
    Case(
        "results that failed say so in their text",
        (
            said(ToolCall("c1", "get", "{}"), ToolCall("c2", "get", "{}"), role="assistant"),
            said(ToolResult("c1", (Text("no such city"),), is_error=True), role="tool"),
            said(ToolResult("c2", (Text("see"), Image(url="https://a/x.png")), is_error=True), role="tool"),
        ),
        [
            {"type": "function_call", "call_id": "c1", "name": "get", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "get", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "Error: no such city"},
            {
                "type": "function_call_output",
                "call_id": "c2",
                "output": [words("Error: see"), {"type": "input_image", "image_url": "https://a/x.png"}],
            },
        ],
    ),
    Case(
        "a call of a tool that is no longer offered keeps its namespace",
        (said(ToolCall("c1", "ns.look", "{}"), role="assistant"),),
        [{"type": "function_call", "call_id": "c1", "name": "look", "namespace": "ns", "arguments": "{}"}],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_messages_become_items(case: Case) -> None:
    body = built(asked(*case.messages))
    assert (body["instructions"], body["input"]) == (case.instructions, case.expected)


def test_a_body_for_codex_keeps_its_rules() -> None:
    """Section 10.2 of the chatgpt-web reference."""
    asking = asked(temperature=0.5, top_p=0.5, max_output_tokens=9, stop=("x",), reasoning=ReasoningOptions("low"))
    assert built(asking, cache_key="k") == {
        "model": "gpt-5",
        "instructions": "",
        "input": [item("user", words("Hello"))],
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low", "summary": "auto"},
        "prompt_cache_key": "k",
    }
    # The gateway sees to stop and max_output_tokens itself.
    assert ignored(asking) == ("temperature", "top_p")


def test_a_body_for_openai_has_the_tuning_that_it_takes() -> None:
    asking = asked(temperature=0.5, top_p=0.25, max_output_tokens=9, stop=("x",), reasoning=ReasoningOptions("low"))
    body = built(asking, "openai")
    tuning = {name: body[name] for name in ("temperature", "top_p", "max_output_tokens", "reasoning")}
    assert tuning == {"temperature": 0.5, "top_p": 0.25, "max_output_tokens": 9, "reasoning": {"effort": "low"}}
    assert ignored(asking, "openai") == ("stop",)


def test_tools_are_flat_and_stand_with_their_namespace() -> None:
    sent: list[Json] = [
        {"type": "namespace", "name": "ns", "description": "Of ns.", "tools": [{"type": "function", "name": "look"}]},
        {"type": "custom", "name": "say", "format": {"type": "grammar", "syntax": "regex", "definition": ".+"}},
        {"type": "from_the_future", "name": ["ns"], "description": {}, "tools": "all"},
    ]
    asking = of_client(tools=sent, tool_choice={"type": "function", "name": "look", "namespace": "ns"})
    body = built(asking)
    empty = {"type": "object", "properties": {}}
    look = {"type": "function", "name": "look", "parameters": empty, "strict": False}
    assert body["tools"] == [{**sent[0], "tools": [look]}, sent[1]]
    assert body["tool_choice"] == {"type": "function", "name": "look", "namespace": "ns"}


SEARCH: Json = {"type": "web_search", "external_web_access": True, "search_context_size": "low"}


@pytest.mark.parametrize("tools", [[SEARCH], [{"type": "function", "name": "get"}, SEARCH]], ids=["alone", "offered"])
def test_a_search_goes_as_the_client_wrote_it(tools: list[Json]) -> None:
    asking = of_client(tools=tools)
    assert built(asking)["tools"][len(tools) - 1 :] == [SEARCH]
    assert ignored(asking) == ()


def test_a_search_that_the_clients_choice_does_not_allow_does_not_go() -> None:
    get: Json = {"type": "function", "name": "get"}
    choice = {"type": "allowed_tools", "mode": "required", "tools": [get]}
    body = built(of_client(tools=[get, SEARCH], tool_choice=choice))
    assert [tool["type"] for tool in body["tools"]] == ["function"]
    assert body["tool_choice"] == "required"


class Tooled(Struct, frozen=True):
    id: str
    fields: dict[str, Any]
    expected: Json


NAMED = Tool("ns.look", namespace="ns")
TOOLED = [
    Tooled(
        "a function",
        {"tools": (GET,), "parallel_tool_calls": False},
        {
            "tools": [
                {
                    "type": "function",
                    "name": "get",
                    "description": "Gets.",
                    "parameters": {"type": "object"},
                    "strict": True,
                }
            ],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
        },
    ),
    Tooled(
        "a custom tool that must be called",
        {"tools": (PATCH,), "tool_choice": ToolChoice("named", "patch")},
        {
            "tools": [
                {
                    "type": "custom",
                    "name": "patch",
                    "description": "Patches.",
                    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
                }
            ],
            "tool_choice": {"type": "custom", "name": "patch"},
        },
    ),
    Tooled(
        "a custom tool of any text, a namespace without a description",
        {"tools": (Tool("say", "custom"), NAMED), "tool_choice": ToolChoice("required")},
        {
            "tools": [
                {"type": "custom", "name": "say", "format": {"type": "text"}},
                {
                    "type": "namespace",
                    "name": "ns",
                    "description": "The tools of ns.",
                    "tools": [
                        {
                            "type": "function",
                            "name": "look",
                            "parameters": {"type": "object", "properties": {}},
                            "strict": False,
                        }
                    ],
                },
            ],
            "tool_choice": "required",
        },
    ),
    Tooled(
        "a search, which the upstream makes itself",
        {"hints": Hints(web_search=True)},
        {"tools": [{"type": "web_search"}], "tool_choice": "auto"},
    ),
    Tooled("a flag about calls without tools is not sent", {"parallel_tool_calls": True}, {}),
]


@pytest.mark.parametrize("case", TOOLED, ids=lambda case: case.id)
def test_tools(case: Tooled) -> None:
    body = built(asked(**case.fields), "openai")
    names = ("tools", "tool_choice", "parallel_tool_calls")
    assert {name: body[name] for name in names if name in body} == case.expected


FORMATS = [
    (OutputFormat("text"), None),
    (OutputFormat("json_object"), {"type": "json_object"}),
    (
        OutputFormat("json_schema", None, SCHEMA),
        {"type": "json_schema", "name": "answer", "schema": {"type": "object"}},
    ),
    (
        OutputFormat("json_schema", "a", SCHEMA, True),
        {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True},
    ),
]


@pytest.mark.parametrize(("wanted", "expected"), FORMATS)
def test_the_form_of_the_answer(wanted: OutputFormat, expected: Json | None) -> None:
    body = built(asked(output_format=wanted))
    assert body.get("text") == (None if expected is None else {"format": expected})


def test_a_client_of_this_format_keeps_what_only_it_can_say() -> None:
    asking = of_client(
        text={"verbosity": "low", "format": {"type": "json_object"}},
        include=["reasoning.encrypted_content", "web_search_call.action.sources"],
        metadata={"a": "b"},
        prompt_cache_key="mine",
        service_tier="flex",
    )
    body = built(asking, "openai")
    assert body["text"] == {"format": {"type": "json_object"}, "verbosity": "low"}
    assert body["include"] == ["web_search_call.action.sources", "reasoning.encrypted_content"]
    assert (body["metadata"], body["prompt_cache_key"], body["service_tier"]) == ({"a": "b"}, "mine", "flex")
    assert ignored(asking, "openai") == ()


@pytest.mark.parametrize("variant", ["openai", "codex"])
def test_which_reasoning_is_heeded_goes_as_the_client_said(variant: Variant) -> None:
    asking = of_client(reasoning={"effort": "low", "summary": "auto", "context": "all_turns", "generate_summary": "x"})
    assert built(asking, variant)["reasoning"] == {"effort": "low", "summary": "auto", "context": "all_turns"}
    assert ignored(asking, variant) == ("reasoning.generate_summary",)


@pytest.mark.parametrize(("tier", "left_out"), [("priority", ("metadata",)), ("flex", ("metadata", "service_tier"))])
def test_what_codex_refuses_is_left_out_and_named(tier: str, left_out: tuple[str, ...]) -> None:
    asking = of_client(metadata={"a": "b"}, prompt_cache_key="mine", service_tier=tier, client_metadata={"x": "y"})
    body = built(asking, cache_key="ours")
    assert (body["prompt_cache_key"], body["client_metadata"]) == ("ours", {"x": "y"})
    assert "metadata" not in body
    assert body.get("service_tier") == (tier if tier == "priority" else None)
    assert ignored(asking, cache_key="ours") == left_out


def test_fields_of_other_formats_are_named() -> None:
    asking = asked(
        extras={"frequency_penalty": Raw(b"1")}, hints=Hints(code_interpreter=True), ignored=("tools[0]:mcp",)
    )
    assert ignored(asking) == ("frequency_penalty", "code_interpreter", "tools[0]:mcp")


def test_sealed_reasoning_can_be_left_behind() -> None:
    asking = asked(said("Hi"), said(SEALED, "Hello", role="assistant"), said("And?"))
    kinds = [each["type"] for each in built(asking, reasoned=False)["input"]]
    assert kinds == ["message", "message", "message"]


class Refused(Struct, frozen=True):
    id: str
    asking: Exchange
    param: str | None


KEPT = StoredFile("f", account="a")
REFUSED = [
    Refused("a conversation", asked(continues=Turn("c")), "conversation_id"),
    Refused("a turn of ours", asked(continues=Turn("c"), previous="resp_x"), "previous_response_id"),
    Refused(
        "an item of a turn of ours",
        asked(continues=Turn("c"), previous="resp_x", previous_where="input[1].id"),
        "input[1].id",
    ),
    Refused("a turn of somebody else's", asked(previous="resp_x"), "previous_response_id"),
    Refused("a picture to be made", asked(hints=Hints(image_generation=True)), "model"),
    Refused("deep research", asked(hints=Hints(deep_research=True)), "model"),
    Refused("sound", asked(said(Audio("AAAA", "wav"))), "messages"),
    Refused("a picture of ours", asked(said(Image(file_id="f", stored=KEPT, where="input[0]"))), "input[0]"),
    Refused("a file of ours", asked(said(File(file_id="f", stored=KEPT, where="input[0]"))), "input[0]"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_cannot_be_sent_is_refused_by_its_name(case: Refused) -> None:
    with pytest.raises(Unsupported) as raised:
        build_request(case.asking, "codex")
    assert raised.value.param == case.param


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_sent_is_what_our_own_server_half_reads(case: Case) -> None:
    """A body is parsed to the conversation that it was built from: ids, sealed reasoning and the text of calls too."""
    body = build_request(asked(*case.messages), "openai").body
    again = asked(*parse_request(body, "application/json").messages)
    assert json.loads(build_request(again, "openai").body) == json.loads(body)
