"""A canonical request to a Responses body, for OpenAI's API or for Codex (chatgpt-web reference, section 10.2).

The body is always that of a streamed request of which nothing is kept. Tuning that cannot be sent is named as ignored;
content that this format has no place for is refused, with its field. Items go without ids: those are of other answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import Raw, Struct, json

from core.continuing import refuse_continued
from core.contracts import Exchange
from core.errors import Unsupported
from core.json_body import NULL, given
from core.media import as_url
from core.openai_words import told_content
from core.request import (
    NO_PARAMETERS,
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
from core.wire.openai_responses import types
from core.wire.openai_responses.requests import SEARCH_TOOLS, WIRE

Object: TypeAlias = dict[str, Any]
Variant: TypeAlias = Literal["openai", "codex"]

ENCRYPTED = "reasoning.encrypted_content"

_TUNING: Mapping[Variant, tuple[str, ...]] = {"openai": ("max_output_tokens", "temperature", "top_p"), "codex": ()}
_CODEX_EXTRAS = frozenset({"client_metadata", "include", "service_tier"})
"""The other fields that Codex's own client sends; the service refuses many more (section 10.2)."""

_ENFORCED = ("max_output_tokens", "stop")
"""What the gateway sees to itself where the upstream does not."""

_kind = json.Decoder(types.Kind)
_namespace = json.Decoder(types.ToolDefinition)
_verbosity = json.Decoder(types.TextField)
_reasoning = json.Decoder(types.ReasoningField)


class Built(Struct, frozen=True):
    """A request's body, and what of the request it does not carry."""

    body: bytes
    ignored: tuple[str, ...]


def build_request(exchange: Exchange, variant: Variant, cache_key: str | None = None, reasoned: bool = True) -> Built:
    """Return the body of a streamed request. Raises `Unsupported`, naming the field.

    `cache_key` names the conversation for the upstream's cache, in place of the client's word for it. Without
    `reasoned` the encrypted reasoning of earlier turns stays behind.
    """
    request = exchange.request
    _refuse(request, exchange.target.upstream.name)
    extras, ignored = _extras(exchange, variant, cache_key)
    verbosity, context, searches = _verbosity_of(exchange), _context_of(exchange), _searches(exchange)
    instructions, messages = _instructions(request.messages)
    fields: Object = {
        **extras,
        "model": exchange.target.model,
        "instructions": instructions,
        "input": _Items(request, reasoned).of(messages),
        "store": False,
        "stream": True,
        "include": _include(request),
        **_tools(request, searches),
        **_tuning(request, variant, context),
    }
    if text := {**_format(request.output_format), **verbosity}:
        fields["text"] = text
    if cache_key is not None:
        fields["prompt_cache_key"] = cache_key
    sent = (*(f"text.{name}" for name in verbosity), *(f"reasoning.{name}" for name in context), *searches)
    within = tuple(f"{place.partition(':')[0]}." for place in searches)
    left_out = [name for name in request.ignored if name not in sent and not name.startswith(within)]
    return Built(json.encode(fields), (*ignored, *_unsent(exchange, variant), *left_out))


def _refuse(request: ChatRequest, upstream: str) -> None:
    refuse_continued(request, upstream)
    if request.hints.image_generation or request.hints.deep_research:
        name = "image generation" if request.hints.image_generation else "deep research"
        raise Unsupported(f"{upstream} offers no {name} in a turn here", param="model")


# The fields around the conversation.


def _extras(exchange: Exchange, variant: Variant, cache_key: str | None) -> tuple[Object, list[str]]:
    """Return what passes as it came, if the client spoke this format, and the names of what does not."""
    extras = exchange.request.extras
    known = set(extras) if variant == "openai" else _CODEX_EXTRAS
    passed: Object = {}
    if exchange.dialect.name == WIRE:
        passed = {name: value for name, value in extras.items() if name in known and name != "include"}
    if variant == "codex" and bytes(extras.get("service_tier", b"")) != b'"priority"':
        passed.pop("service_tier", None)
    seen = {*passed, "include", *(["prompt_cache_key"] if cache_key is not None else ())}
    return passed, [name for name in extras if name not in seen]


def _include(request: ChatRequest) -> list[str]:
    sent = request.extras.get("include")
    asked = json.decode(sent) if sent is not None else []
    others = [name for name in asked if name != ENCRYPTED] if isinstance(asked, list) else []
    return [*others, ENCRYPTED]


def _verbosity_of(exchange: Exchange) -> Object:
    """Return the wish for longer or shorter answers, which has no place in the canonical request."""
    text = _as_sent(exchange, "text")
    verbosity = _verbosity.decode(text).verbosity if text is not None else None
    return {} if verbosity is None else {"verbosity": verbosity}


def _context_of(exchange: Exchange) -> Object:
    """Return which earlier reasoning the client wants heeded, which has no place in the canonical request either."""
    reasoning = _as_sent(exchange, "reasoning")
    context = _reasoning.decode(reasoning).context if reasoning is not None else None
    return {} if context is None else {"context": context}


def _as_sent(exchange: Exchange, name: str) -> Raw | None:
    """Return a field as the client wrote it, None if it did not, or speaks another format."""
    return given(exchange.request.echo.get(name, NULL)) if exchange.dialect.name == WIRE else None


def _tuning(request: ChatRequest, variant: Variant, context: Object) -> Object:
    fields: Object = {name: getattr(request, name) for name in _TUNING[variant]}
    fields["parallel_tool_calls"] = request.parallel_tool_calls if request.tools else None
    reasoning = request.reasoning
    wanted = {"effort": reasoning.effort, "summary": reasoning.summary} if reasoning else {}
    if variant == "codex" and wanted.get("summary") is None:
        # Without a summary there is nothing of the reasoning to be shown.
        wanted["summary"] = "auto"
    fields["reasoning"] = {**{name: value for name, value in wanted.items() if value is not None}, **context} or None
    return {name: value for name, value in fields.items() if value is not None}


def _unsent(exchange: Exchange, variant: Variant) -> list[str]:
    """Return the names of the tuning that neither the upstream nor the gateway sees to."""
    request = exchange.request
    enforced = () if variant == "openai" else _ENFORCED
    names = [name for name in ("max_output_tokens", "temperature", "top_p") if name not in _TUNING[variant]]
    unsent = [name for name in names if name not in enforced and getattr(request, name) is not None]
    if request.stop and "stop" not in enforced:
        unsent.append("stop")
    return [*unsent, *(["code_interpreter"] if request.hints.code_interpreter else ())]


def _format(wanted: OutputFormat | None) -> Object:
    if wanted is None or wanted.kind == "text":
        return {}
    if wanted.kind != "json_schema":
        return {"format": {"type": wanted.kind}}
    schema: Object = {"type": "json_schema", "name": wanted.name or "answer", "schema": wanted.schema}
    return {"format": schema if wanted.strict is None else {**schema, "strict": wanted.strict}}


# Tools.


def _searches(exchange: Exchange) -> dict[str, Raw]:
    """Return the search that the client offers among its tools, as it wrote it, by the path it would be ignored by.

    One that its choice of tools does not allow is neither wanted nor ignored.
    """
    request, sent = exchange.request, _as_sent(exchange, "tools")
    tools = enumerate(json.decode(sent, type=list[Raw]) if sent is not None else ())
    kinds = ((position, tool, _kind.decode(tool).type) for position, tool in tools)
    searches = {f"tools[{position}]:{kind}": tool for position, tool, kind in kinds if kind in SEARCH_TOOLS}
    return {place: tool for place, tool in searches.items() if request.hints.web_search or place in request.ignored}


def _tools(request: ChatRequest, searches: Mapping[str, Raw]) -> Object:
    tools: list[Object | Raw] = [*_grouped(request), *searches.values()]
    if request.hints.web_search and not searches:
        tools.append({"type": "web_search"})
    if not tools:
        return {}
    choice = request.tool_choice
    if choice.mode != "named":
        return {"tools": tools, "tool_choice": choice.mode}
    chosen = next((tool for tool in request.tools if tool.name == choice.name), Tool(choice.name or ""))
    return {"tools": tools, "tool_choice": {"type": chosen.kind, **_names(chosen)}}


def _grouped(request: ChatRequest) -> list[Object]:
    """Return the tools, those of one namespace together, in the place of the first of them."""
    tools: list[Object] = []
    groups: dict[str, list[Object]] = {}
    for tool in request.tools:
        if tool.namespace is None:
            tools.append(_tool(tool))
            continue
        if tool.namespace not in groups:
            groups[tool.namespace] = []
            description = _description(request, tool.namespace)
            group = {"type": "namespace", "name": tool.namespace, "description": description}
            tools.append({**group, "tools": groups[tool.namespace]})
        groups[tool.namespace].append(_tool(tool))
    return tools


def _description(request: ChatRequest, namespace: str) -> str:
    """Return how the client described a namespace, which has no place in the canonical request."""
    sent = request.echo.get("tools")
    tools = json.decode(sent, type=list[Raw] | None) if sent is not None else None
    groups = (_namespace.decode(tool) for tool in tools or () if _kind.decode(tool).type == "namespace")
    named = (group.description for group in groups if group.name == namespace)
    return next(named, None) or f"The tools of {namespace}."


def _tool(tool: Tool) -> Object:
    described: Object = {"name": tool.local_name}
    if tool.description is not None:
        described["description"] = tool.description
    if tool.kind == "custom":
        grammar = (
            {"type": "grammar", "syntax": tool.syntax or "lark", "definition": tool.grammar}
            if tool.grammar
            else {"type": "text"}
        )
        return {"type": "custom", **described, "format": grammar}
    parameters = tool.parameters if tool.parameters is not None else NO_PARAMETERS
    return {"type": "function", **described, "parameters": parameters, "strict": bool(tool.strict)}


def _names(tool: Tool) -> Object:
    return {"name": tool.local_name, **({"namespace": tool.namespace} if tool.namespace else {})}


# The conversation.


def _instructions(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """Return the first message as instructions if it is the developer's and others follow, and what follows."""
    first = messages[0]
    is_text = all(isinstance(part, Text) for part in first.parts)
    if first.role not in ("system", "developer") or not is_text or len(messages) == 1:
        return "", messages
    return "\n".join(part.text for part in first.parts if isinstance(part, Text)), messages[1:]


class _Items:
    """Writes the input's items. Which kind a result is, and where a tool belongs, stands with its call or its tool."""

    def __init__(self, request: ChatRequest, reasoned: bool) -> None:
        self._tools = {tool.name: tool for tool in request.tools}
        parts = [part for message in request.messages for part in message.parts]
        self._kinds = {part.id: part.kind for part in parts if isinstance(part, ToolCall)}
        self._reasoned = reasoned

    def of(self, messages: Iterable[Message]) -> list[Object]:
        return [item for message in messages for item in self._of_message(message)]

    def _of_message(self, message: Message) -> list[Object]:
        """Return what one message becomes: reasoning, calls and results are items of their own, in their order."""
        role = _role(message)
        items: list[Object] = []
        said: list[Object] = []
        for part in message.parts:
            if isinstance(part, Reasoning | ToolCall | ToolResult):
                items += [*_spoken(message, said), *self._of_part(part)]
                said = []
            else:
                said.append(_content(part, role))
        return [*items, *_spoken(message, said)]

    def _of_part(self, part: Reasoning | ToolCall | ToolResult) -> list[Object]:
        match part:
            case Reasoning():
                return self._reasoning(part)
            case ToolCall():
                return [self._call(part)]
            case ToolResult():
                return [self._result(part)]

    def _reasoning(self, part: Reasoning) -> list[Object]:
        """Only what this wire has sealed itself goes back; the words of a summary alone are of no use to it."""
        if not self._reasoned or part.opaque is None or part.opaque.wire != WIRE:
            return []
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        return [{"type": "reasoning", "summary": summary, "encrypted_content": part.opaque.data.decode()}]

    def _call(self, call: ToolCall) -> Object:
        names = {"call_id": call.id, **_names(self._tool_of(call))}
        if call.kind == "custom":
            return {"type": "custom_tool_call", **names, "input": call.arguments}
        return {"type": "function_call", **names, "arguments": call.arguments}

    def _tool_of(self, call: ToolCall) -> Tool:
        """Return the tool that was called. One that is not offered any more may yet have a namespace."""
        namespace, dot, _ = call.name.partition(".")
        return self._tools.get(call.name) or Tool(call.name, call.kind, namespace=namespace if dot else None)

    def _result(self, result: ToolResult) -> Object:
        kind = "custom_tool_call_output" if self._kinds.get(result.call_id) == "custom" else "function_call_output"
        content = told_content(result)
        if all(isinstance(part, Text) for part in content):
            output: str | list[Object] = "\n".join(part.text for part in content if isinstance(part, Text))
        else:
            output = [_content(part, "user") for part in content]
        return {"type": kind, "call_id": result.call_id, "output": output}


def _role(message: Message) -> str:
    return "developer" if message.role == "system" else message.role


def _spoken(message: Message, content: Sequence[Object]) -> list[Object]:
    phase = {} if message.phase is None else {"phase": message.phase}
    return [{"type": "message", "role": _role(message), "content": list(content), **phase}] if content else []


def _content(part: Part, role: str) -> Object:
    match part:
        case Text(text):
            return {"type": "output_text" if role == "assistant" else "input_text", "text": text}
        case Image():
            return _image(part)
        case File():
            return _file(part)
        case Audio():
            where = part.where or "messages"
            raise Unsupported(f"{where}: sound is not understood here, transcribe it first", param=where)
        case Reasoning() | ToolCall() | ToolResult():
            raise Unsupported(f"a {type(part).__name__} has no place here", param="messages")


def _image(image: Image) -> Object:
    where = image.where or "the image"
    detail = {"detail": image.detail} if image.detail else {}
    if image.url is None:
        raise Unsupported(f"{where}: a file of this gateway stays in its ChatGPT account", param=image.where or None)
    return {"type": "input_image", "image_url": as_url(image.url, where), **detail}


def _file(file: File) -> Object:
    name = {"filename": file.filename or "file"}
    if file.url is not None:
        return {"type": "input_file", "file_url": file.url}
    if file.data is not None:
        return {"type": "input_file", "file_data": file.data, **name}
    where = file.where or "the file"
    raise Unsupported(f"{where}: a file of this gateway stays in its ChatGPT account", param=file.where or None)
