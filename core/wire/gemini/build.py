"""A canonical request to a generateContent body.

Tuning that this format lacks is named as ignored; content that it has no place for is refused, with its field.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Raw, Struct, json

from core.continuing import refuse_continued
from core.contracts import Exchange
from core.errors import Unsupported
from core.free_text import FREE_TEXT
from core.media import Blob
from core.request import ChatRequest, Message, Text, Tool
from core.wire.gemini.objects import Object
from core.wire.gemini.requests import CONFIG, TOOL_CONFIG
from core.wire.gemini.signatures import WIRE
from core.wire.gemini.thinking import FIRST_SIGNING, generation, thinking_config
from core.wire.gemini.turns import Turns

MAX_STOPS = 5
"""How many stop sequences the API takes; the gateway itself sees to all of them."""

_NOTHING_FETCHED: Mapping[str, Blob] = {}
_FREE_TEXT_SCHEMA = {"type": "object", "properties": {FREE_TEXT: {"type": "string"}}, "required": [FREE_TEXT]}
_SYSTEM = ("system", "developer")


class Built(Struct, frozen=True):
    """A request's body, and what of the request it does not carry."""

    body: bytes
    ignored: tuple[str, ...]


def build_request(exchange: Exchange, fetched: Mapping[str, Blob] = _NOTHING_FETCHED) -> Built:
    """Return the body; `fetched` holds what `references` named. Raises `Unsupported`, naming the field."""
    request, model = exchange.request, exchange.target.model
    is_same = exchange.dialect.name == WIRE
    _refuse(exchange, is_same)
    extras = request.extras if is_same else {}
    config, ignored = _config(exchange, is_same)
    turns = Turns(fetched, names_urls=is_same, signs=generation(model) >= FIRST_SIGNING)
    fields: Object = {
        **{name: value for name, value in extras.items() if "." not in name},
        **_conversation(request, turns),
        **_tools(request, extras),
    }
    if config := {**config, **_below(CONFIG, extras)}:
        fields[CONFIG] = config
    others = () if is_same else tuple(request.extras)
    return Built(json.encode(fields), (*ignored, *others, *request.ignored))


def _refuse(exchange: Exchange, is_same: bool) -> None:
    request, upstream = exchange.request, exchange.target.upstream.name
    refuse_continued(request, upstream)
    if request.hints.deep_research:
        raise Unsupported(f"{upstream} offers no deep research here", param="model")
    if request.hints.image_generation and not (is_same or _draws(exchange.target.model)):
        message = f"{upstream}'s model {exchange.target.model!r} makes no pictures: one whose name has 'image' does"
        raise Unsupported(message, param="model")


def _draws(model: str) -> bool:
    return "image" in model


def _below(holder: str, extras: Mapping[str, Raw]) -> Object:
    """Return the extras that belong into an object of the body."""
    return {name.partition(".")[2]: value for name, value in extras.items() if name.partition(".")[0] == holder}


# The conversation.


def _conversation(request: ChatRequest, turns: Turns) -> Object:
    """Return the turns, and the instructions apart from them; those alone are said by the user."""
    said = [message for message in request.messages if message.role not in _SYSTEM]
    told = [message for message in request.messages if message.role in _SYSTEM]
    if contents := turns.contents(said):
        instructions = _instructions(told)
        system = {"systemInstruction": {"parts": instructions}} if instructions else {}
        return {**system, "contents": contents}
    return {"contents": turns.contents([Message("user", message.parts) for message in told])}


def _instructions(messages: list[Message]) -> list[Object]:
    """Return the texts of all instructions: this format has one place for them, and only for text."""
    parts = [part for message in messages for part in message.parts]
    if any(not isinstance(part, Text) for part in parts):
        raise Unsupported("a system message can hold nothing but text for this upstream", param="messages")
    return [{"text": part.text} for part in parts if isinstance(part, Text) and part.text]


# Tools.


def _tools(request: ChatRequest, extras: Mapping[str, Raw]) -> Object:
    tools: list[Object] = []
    if request.tools:
        tools.append({"functionDeclarations": [_declaration(tool) for tool in request.tools]})
    if request.hints.web_search:
        tools.append({"googleSearch": {}})
    if request.hints.code_interpreter:
        tools.append({"codeExecution": {}})
    config = _below(TOOL_CONFIG, extras)
    if request.tools:
        config["functionCallingConfig"] = _calling(request)
    return {**({"tools": tools} if tools else {}), **({TOOL_CONFIG: config} if config else {})}


def _declaration(tool: Tool) -> Object:
    """Return a tool; its schema goes as the JSON Schema it is."""
    description = tool.description
    schema: Any = tool.parameters
    if tool.kind == "custom":
        grammar = f"The input must follow this grammar:\n{tool.grammar}" if tool.grammar else None
        description = "\n\n".join(filter(None, (description, grammar)))
        schema = _FREE_TEXT_SCHEMA
    described = {"description": description} if description else {}
    return {"name": tool.name, **described, **({"parametersJsonSchema": schema} if schema is not None else {})}


def _calling(request: ChatRequest) -> Object:
    choice = request.tool_choice
    match choice.mode:
        case "none":
            return {"mode": "NONE"}
        case "required":
            return {"mode": "ANY"}
        case "named":
            return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
        case "auto":
            return {"mode": "AUTO"}


# Tuning.


def _config(exchange: Exchange, is_same: bool) -> tuple[Object, tuple[str, ...]]:
    """Return `generationConfig`, and the names of what it does not carry."""
    request = exchange.request
    fields: Object = {
        "temperature": request.temperature,
        "topP": request.top_p,
        "maxOutputTokens": request.max_output_tokens,
        "stopSequences": list(request.stop[:MAX_STOPS]) or None,
    }
    config = {name: value for name, value in fields.items() if value is not None} | _form(request)
    ignored = ["parallel_tool_calls"] if request.parallel_tool_calls is False and request.tools else []
    if request.reasoning is not None:
        shows = request.reasoning.summary is not None or not is_same
        shows = shows and request.reasoning.effort != "none"
        thinking, is_as_asked = thinking_config(request.reasoning.effort, shows, exchange.target.model)
        if not is_as_asked:
            ignored.append("thinkingConfig" if is_same else "reasoning")
        if thinking:
            config["thinkingConfig"] = thinking
    if request.hints.image_generation:
        config["responseModalities"] = ["TEXT", "IMAGE"]
    return config, tuple(ignored)


def _form(request: ChatRequest) -> Object:
    """Return the form of the answer (OM-4); its schema goes as the JSON Schema it is."""
    wanted = request.output_format
    if wanted is None or wanted.kind == "text":
        return {}
    schema = {"responseJsonSchema": wanted.schema} if wanted.schema is not None else {}
    return {"responseMimeType": "application/json", **schema}
