"""A canonical request to a Chat Completions body for OpenAI or a compatible vendor.

Tuning that this format lacks is named as ignored; content that it has no place for is refused, with its field.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Literal, TypeAlias

from msgspec import Struct, json, structs

from core.continuing import refuse_continued
from core.contracts import Exchange
from core.errors import Unsupported
from core.media import as_url
from core.openai_words import told_content, unread
from core.request import (
    Audio,
    ChatRequest,
    File,
    Image,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from core.tool_names import Names

Object: TypeAlias = dict[str, Any]
Flavour: TypeAlias = Literal["openai", "compatible"]
"""OpenAI itself knows the role `developer` and wants `max_completion_tokens`; others know the older words."""

WIRE = "openai_chat"
COMPLETIONS = "openai_completions"
"""The older call, whose further fields have the same names and meaning."""

MAX_STOPS = 4
"""How many stop sequences OpenAI takes (its API reference); the gateway itself sees to all of them."""


MAX_NAME_CHARS = 64
"""How long a tool's name may be (`^[a-zA-Z0-9_-]{1,64}$`: OpenAI's API reference, and DeepSeek's)."""


class Built(Struct, frozen=True):
    """A request's body, what of the request it does not carry, and what its tools are called in it."""

    body: bytes
    ignored: tuple[str, ...]
    names: Names


def build_request(exchange: Exchange, flavour: Flavour, *, counted: bool = True, reasoned: bool = False) -> Built:
    """Return the body of a streamed request. Raises `Unsupported`, naming the field.

    `counted` asks for its usage; `reasoned` says again what was thought in earlier turns.
    """
    names = Names(exchange.request, MAX_NAME_CHARS)
    request = names.renamed(exchange.request)
    _refuse(request, exchange.target.upstream.name)
    extras, ignored = _extras(exchange)
    fields: Object = {
        **extras,
        "model": exchange.target.model,
        "messages": _messages(request.messages, flavour, reasoned),
        "stream": True,
        **({"stream_options": {"include_usage": True}} if counted else {}),
        **_tools(request),
        **_tuning(request, flavour),
    }
    if request.output_format is not None and request.output_format.kind != "text":
        fields["response_format"] = _response_format(request.output_format)
    return Built(json.encode(fields), (*ignored, *request.ignored), names)


def _refuse(request: ChatRequest, upstream: str) -> None:
    refuse_continued(request, upstream)
    if request.hints.image_generation or request.hints.deep_research:
        name = "image generation" if request.hints.image_generation else "deep research"
        raise Unsupported(f"{upstream} offers no {name} in a chat here", param="model")


def _extras(exchange: Exchange) -> tuple[Object, tuple[str, ...]]:
    """Return what passes as it came, if the client spoke this format, and the names of what does not.

    The members of `options` (JR-16) go to the vendor as fields of their own.
    """
    request = exchange.request
    hints = [name for name in ("web_search", "code_interpreter") if getattr(request.hints, name)]
    if exchange.dialect.name not in (WIRE, COMPLETIONS):
        return {}, (*hints, *request.extras)
    return unread(request.extras, ()), tuple(hints)


def _tuning(request: ChatRequest, flavour: Flavour) -> Object:
    limit = "max_completion_tokens" if flavour == "openai" else "max_tokens"
    effort = request.reasoning.effort if request.reasoning else None
    fields: Object = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        limit: request.max_output_tokens,
        "stop": list(request.stop[:MAX_STOPS]) or None,
        "reasoning_effort": effort,
        "parallel_tool_calls": request.parallel_tool_calls if request.tools else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tools(request: ChatRequest) -> Object:
    if not request.tools:
        return {}
    choice = request.tool_choice
    named: Object | str = choice.mode
    if choice.mode == "named":
        kind = next((tool.kind for tool in request.tools if tool.name == choice.name), "function")
        named = {"type": kind, kind: {"name": choice.name}}
    return {"tools": [_tool(tool) for tool in request.tools], "tool_choice": named}


def _tool(tool: Tool) -> Object:
    described = {"description": tool.description} if tool.description is not None else {}
    if tool.kind == "custom":
        grammar = {"syntax": tool.syntax or "lark", "definition": tool.grammar}
        format_ = {"format": {"type": "grammar", "grammar": grammar}} if tool.grammar else {}
        return {"type": "custom", "custom": {"name": tool.name, **described, **format_}}
    function: Object = {"name": tool.name, **described}
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _response_format(wanted: OutputFormat) -> Object:
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    schema: Object = {"name": wanted.name or "answer", "schema": wanted.schema}
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


# Messages.


def _messages(messages: Sequence[Message], flavour: Flavour, reasoned: bool) -> list[Object]:
    """Return the messages. Results of calls are messages of their own, and stand behind their calls without a gap.

    A result holds text only in this format: what else it holds is shown by the user, behind the last of them.
    """
    written: list[Object] = []
    shown: list[Object] = []
    for message in _joined(messages):
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        rest = [part for part in message.parts if not isinstance(part, ToolResult)]
        written += map(_result, results)
        shown += [_part(part) for result in results for part in result.content if not isinstance(part, Text)]
        if rest or not results:
            written += [*_user(shown), _plain(message, rest, flavour, reasoned)]
            shown = []
    return [*written, *_user(shown)]


def _joined(messages: Sequence[Message]) -> Iterator[Message]:
    """Yield the messages, neighbours of the assistant's as one where calls or thoughts are among them.

    The Responses API has an item for each; here those of one turn stand in one message, with what was said. Vendors
    insist that all results follow the message with the calls.
    """
    for (role, _), neighbours in groupby(messages, lambda message: (message.role, message.name)):
        run = list(neighbours)
        parts = tuple(part for message in run for part in message.parts)
        if role == "assistant" and any(isinstance(part, ToolCall | Reasoning) for part in parts):
            run = [structs.replace(run[0], parts=parts)]
        yield from run


def _user(content: list[Object]) -> list[Object]:
    return [{"role": "user", "content": content}] if content else []


def _plain(message: Message, parts: Sequence[Part], flavour: Flavour, reasoned: bool) -> Object:
    role = "system" if message.role == "developer" and flavour == "compatible" else message.role
    named = {"name": message.name} if message.name else {}
    if message.role == "assistant":
        return {"role": role, **named, **_assistant(parts, reasoned)}
    return {"role": role, **named, "content": _content([part for part in parts if not isinstance(part, Reasoning)])}


def _assistant(parts: Sequence[Part], reasoned: bool) -> Object:
    """Reasoning is sent back to vendors that want it alone: others refuse it or count it."""
    said = [part for part in parts if not isinstance(part, Reasoning | ToolCall)]
    calls = [_call(part) for part in parts if isinstance(part, ToolCall)]
    content = _content(said) if said else None
    thoughts = [part.text for part in parts if isinstance(part, Reasoning) and part.text]
    thought = {"reasoning_content": "\n\n".join(thoughts)} if reasoned and thoughts else {}
    return {**thought, **({"content": content, "tool_calls": calls} if calls else {"content": content or ""})}


def _call(call: ToolCall) -> Object:
    if call.kind == "custom":
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _result(result: ToolResult) -> Object:
    text = "\n".join(part.text for part in told_content(result) if isinstance(part, Text))
    return {"role": "tool", "tool_call_id": result.call_id, "content": text}


def _content(parts: Sequence[Part]) -> str | list[Object]:
    if all(isinstance(part, Text) for part in parts) and len(parts) <= 1:
        return "".join(part.text for part in parts if isinstance(part, Text))
    return [_part(part) for part in parts]


def _part(part: Part) -> Object:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image():
            return _image(part)
        case File():
            return _file(part)
        case Audio(data, format_):
            return {"type": "input_audio", "input_audio": {"data": data, "format": format_}}
        case Reasoning() | ToolCall() | ToolResult():
            raise Unsupported(f"a {type(part).__name__} has no place here", param="messages")


def _image(image: Image) -> Object:
    where = image.where or "the image"
    if image.url is None:
        raise Unsupported(f"{where}: a file of this gateway stays in its ChatGPT account", param=image.where or None)
    detail = {"detail": image.detail} if image.detail else {}
    return {"type": "image_url", "image_url": {"url": as_url(image.url, where), **detail}}


def _file(file: File) -> Object:
    if file.data is None:
        where = file.where or "the file"
        message = f"{where}: this upstream takes a document by its bytes only (file_data)"
        raise Unsupported(message, param=file.where or None)
    return {"type": "file", "file": {"file_data": file.data, "filename": file.filename or "file"}}
