"""A Chat Completions request body to the canonical request. Every refusal names its field, as messages[0].content."""

from collections.abc import Iterator

from msgspec import Raw, json

from core.errors import InvalidRequest
from core.json_body import ITEMS, STRING, clean, decode, given, known, missing, read_top, required
from core.openai_words import ALLOWED_MODES, EFFORTS, OUTPUT_KINDS, TOOL_CHOICES, read_allowed, read_stops
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
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from core.wire.openai_chat import types

LEGACY = "functions"
"""In `echo`: the tools came as `functions`, the form before `tools`."""

DEFAULT_MODEL = "auto"
"""What a request without a model asks for (C2-9)."""

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_TEXT_TYPES = ("text", "input_text", "output_text")
_IMAGE_TYPES = ("image_url", "input_image", "image")
_FILE_TYPES = ("file", "input_file")

_BODY = json.Decoder(types.ChatBody)
_MESSAGE = json.Decoder(types.ChatMessage)
_PART = json.Decoder(types.ContentPart)
_CALL = json.Decoder(types.MessageToolCall)
_CALLED_FUNCTION = json.Decoder(types.CalledFunction)
_TOOL = json.Decoder(types.ToolDefinition)
_FUNCTION = json.Decoder(types.Function)
_CUSTOM = json.Decoder(types.CustomTool)
_CHOICE = json.Decoder(types.ChoiceObject)
_ALLOWED = json.Decoder(types.AllowedChoice)
_FORMAT = json.Decoder(types.ResponseFormat)
_FIELDS = json.Decoder(dict[str, Raw])


def parse_request(body: bytes, content_type: str) -> ChatRequest:
    """Raise `InvalidRequest`, naming the field, when the body is not understood."""
    top = read_top(body)
    fields = decode(_BODY, body, "")
    if fields.messages is None:
        raise missing("messages")
    if not fields.messages:
        raise InvalidRequest("messages is empty: at least one message is required", param="messages")
    tools = _tools(fields)
    tools, choice = _allowed(tools, given(fields.tool_choice)) or (tools, _tool_choice(fields))
    legacy = bool(fields.functions) and not fields.tools
    return ChatRequest(
        model=clean(fields.model or DEFAULT_MODEL, "model"),
        messages=_messages(fields.messages, is_whole=not fields.conversation_id),
        stream=bool(fields.stream),
        include_usage=not fields.stream or bool(fields.stream_options and fields.stream_options.include_usage),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=False if legacy else fields.parallel_tool_calls,
        max_output_tokens=fields.max_completion_tokens or fields.max_tokens,
        temperature=fields.temperature,
        top_p=fields.top_p,
        stop=read_stops(fields.stop),
        reasoning=_reasoning(fields.reasoning_effort),
        output_format=_output_format(fields.response_format),
        hints=_hints(fields),
        ignored=_ignored_search(fields.web_search_options),
        store=fields.store,
        continues=_continues(fields),
        relay_only=tuple(_relay_only(fields)),
        extras={name: value for name, value in top.items() if name not in types.READ_FIELDS and given(value)},
        echo={LEGACY: Raw(b"true")} if legacy else {},
    )


def _relay_only(fields: types.ChatBody) -> Iterator[tuple[str, str]]:
    """Yield what only an upstream that speaks this format itself may be able to do."""
    if fields.n is not None and fields.n > 1:
        yield "n", f"n is {fields.n}: this gateway gives one choice for each request"
    if fields.logprobs:
        yield "logprobs", "logprobs: no log probabilities are available here"
    if fields.modalities and "audio" in fields.modalities:
        yield "modalities", "modalities: only text answers are available here"


# Messages.


def _messages(items: list[Raw], is_whole: bool) -> tuple[Message, ...]:
    """Return the messages; `is_whole` says that no earlier ones are kept upstream."""
    messages: list[Message] = []
    called: set[str] = set()
    last_function_call = ""
    for position, item in enumerate(items):
        path = f"messages[{position}]"
        wire = decode(_MESSAGE, item, path)
        message = _message(wire, path, last_function_call)
        if is_whole:
            _check_pairing(message, called, path)
        called.update(part.id for part in message.parts if isinstance(part, ToolCall))
        messages.append(message)
        if given(wire.function_call) is not None:
            last_function_call = _legacy_call_id(path)
    return tuple(messages)


def _check_pairing(message: Message, called: set[str], path: str) -> None:
    """Refuse a result whose call no earlier message made (C2-22)."""
    for part in message.parts:
        if isinstance(part, ToolResult) and part.call_id not in called:
            raise InvalidRequest(
                f"tool_call_id={part.call_id} not found in conversation history. Ensure the assistant message with "
                "this tool_call is included in the messages array",
                param=f"{path}.tool_call_id",
            )


def _message(wire: types.ChatMessage, path: str, last_function_call: str) -> Message:
    role = known(_ROLES, wire.role, f"{path}.role")
    clean(wire.name or "", f"{path}.name")
    content = _content(wire.content, f"{path}.content")
    if role == "tool":
        return _result_message(wire, content, path, last_function_call)
    parts: list[Part] = []
    if role == "assistant":
        if wire.reasoning_content:
            parts.append(Reasoning(clean(wire.reasoning_content, f"{path}.reasoning_content")))
        parts += content
        if wire.refusal:
            parts.append(Text(clean(wire.refusal, f"{path}.refusal")))
        parts += _calls(wire, path)
    else:
        parts += content + _attachments(wire, path)
    if not parts and role != "assistant" and given(wire.content) is None:
        raise missing(f"{path}.content")
    return Message(role, tuple(parts), wire.name)


def _result_message(wire: types.ChatMessage, content: list[Part], path: str, last_function_call: str) -> Message:
    call_id = wire.tool_call_id if wire.role == "tool" else last_function_call
    if not call_id and wire.role == "function":
        raise InvalidRequest("function message without an earlier function_call", param=f"{path}.role")
    if not call_id:
        raise InvalidRequest("tool message missing tool_call_id", param=f"{path}.tool_call_id")
    if given(wire.content) is None:
        message = f"tool message missing content for tool_call_id={call_id}"
        raise InvalidRequest(message, param=f"{path}.content")
    parts: list[Text | Image | File] = []
    for position, part in enumerate(content):
        if not isinstance(part, Text | Image | File):
            where = f"{path}.content[{position}]"
            raise InvalidRequest(f"{where}: a tool message takes text, images and files only", param=where)
        parts.append(part)
    return Message("tool", (ToolResult(call_id, tuple(parts), wire.name),), wire.name)


def _calls(wire: types.ChatMessage, path: str) -> list[Part]:
    calls: list[Part] = []
    for position, item in enumerate(wire.tool_calls or ()):
        calls.append(_call(item, f"{path}.tool_calls[{position}]"))
    if legacy := given(wire.function_call):
        called = decode(_CALLED_FUNCTION, legacy, f"{path}.function_call")
        arguments = _arguments(called.arguments, f"{path}.function_call.arguments")
        calls.append(ToolCall(_legacy_call_id(path), called.name, arguments))
    return calls


def _legacy_call_id(path: str) -> str:
    """Name a call of the old `function_call` form, which has no id of its own, after its message."""
    return "call_legacy_" + "".join(filter(str.isdigit, path))


def _call(item: Raw, path: str) -> ToolCall:
    call = decode(_CALL, item, path)
    if not call.id:
        raise missing(f"{path}.id")
    if call.custom is not None:
        return ToolCall(call.id, call.custom.name, call.custom.input, "custom")
    if call.function is None:
        raise missing(f"{path}.function")
    return ToolCall(call.id, call.function.name, _arguments(call.function.arguments, f"{path}.function.arguments"))


def _arguments(value: Raw, path: str) -> str:
    """Return the arguments' JSON text: given as a string, or leniently as an object (seed-behaviour A6)."""
    if bytes(value)[:1] == b'"':
        return decode(STRING, value, path)
    if bytes(value)[:1] == b"{":
        return bytes(value).decode()
    raise InvalidRequest(f"{path} must be a string that holds JSON", param=path)


# Content.


def _content(value: Raw, path: str) -> list[Part]:
    """Return the parts of a content: a string, a list of parts or strings, or one part alone (AU-21)."""
    if given(value) is None:
        return []
    first = bytes(value)[:1]
    if first == b'"':
        return [Text(clean(decode(STRING, value, path), path))]
    if first == b"{":
        return [_part(value, path)]
    if first != b"[":
        raise InvalidRequest(f"{path} must be a string or a list of content parts", param=path)
    items = decode(ITEMS, value, path)
    return [_part(item, f"{path}[{position}]") for position, item in enumerate(items)]


def _part(item: Raw, path: str) -> Part:
    if bytes(item)[:1] == b'"':
        return Text(clean(decode(STRING, item, path), path))
    part = decode(_PART, item, path)
    if part.type in _TEXT_TYPES:
        return Text(clean(required(part.text, f"{path}.text"), f"{path}.text"))
    if part.type in _IMAGE_TYPES:
        return _image(part, path)
    if part.type in _FILE_TYPES:
        return _file(part, path)
    if part.type == "refusal":
        return Text(clean(required(part.refusal, f"{path}.refusal"), f"{path}.refusal"))
    if part.type == "input_audio":
        audio = required(part.input_audio, f"{path}.input_audio")
        return Audio(audio.data, audio.format, f"{path}.input_audio.data")
    known = ", ".join((*_TEXT_TYPES, *_IMAGE_TYPES, *_FILE_TYPES, "input_audio", "refusal"))
    raise InvalidRequest(f"{path}.type is {part.type!r}, which is not among: {known}", param=f"{path}.type")


def _image(part: types.ContentPart, path: str) -> Image:
    """Read a picture in any of the spellings in use (AU-21, OM-11; seed-behaviour A5)."""
    detail = part.detail
    if part.file_id:
        return Image(file_id=part.file_id, detail=detail, where=f"{path}.file_id")
    if isinstance(part.image_url, types.ImageUrl):
        return Image(part.image_url.url, detail=part.image_url.detail or detail, where=f"{path}.image_url.url")
    if part.source is not None:
        return _image_source(part.source, detail, f"{path}.source")
    spellings = {name: getattr(part, name) for name in ("image_url", "url", "base64", "b64_json")}
    for name, value in spellings.items():
        if value:
            return Image(value, detail=detail, where=f"{path}.{name}")
    raise missing(f"{path}.image_url")


def _image_source(source: types.ImageSource, detail: str | None, path: str) -> Image:
    name = "data" if source.data else "url"
    value = required(source.data or source.url, f"{path}.{name}")
    if source.data and source.media_type:
        value = f"data:{source.media_type};base64,{source.data}"
    return Image(value, detail=detail, where=f"{path}.{name}")


def _file(part: types.ContentPart, path: str) -> File:
    """Read a document, whose fields may stand in `file` or in the part itself."""
    holder, place = (part.file, f"{path}.file") if part.file else (part, path)
    name = holder.filename or part.filename
    if holder.file_id:
        return File(file_id=holder.file_id, filename=name, where=f"{place}.file_id")
    if holder.file_data:
        return File(data=holder.file_data, filename=name, where=f"{place}.file_data")
    if holder.file_url:
        return File(url=holder.file_url, filename=name, where=f"{place}.file_url")
    if part.file_url:
        return File(url=part.file_url, filename=name, where=f"{path}.file_url")
    raise InvalidRequest(f"{path} names no file: file_id, file_data or file_url is required", param=path)


def _attachments(wire: types.ChatMessage, path: str) -> list[Part]:
    """Return the files that stand beside the content of a message (AU-21)."""
    files: list[Part] = []
    for position, item in enumerate(wire.attachments or ()):
        where = f"{path}.attachments[{position}].file_id"
        files.append(File(file_id=required(item.file_id or item.id, where), where=where))
    return files


# Tools and the rest.


def _tools(fields: types.ChatBody) -> tuple[Tool, ...]:
    tools = [_tool(item, f"tools[{position}]") for position, item in enumerate(fields.tools or ())]
    for position, item in enumerate(fields.functions or ()):
        tools.append(_function_tool(item, f"functions[{position}]"))
    return tuple(tools)


def _tool(item: Raw, path: str) -> Tool:
    definition = decode(_TOOL, item, path)
    if definition.type == "function":
        return _function_tool(required(given(definition.function), f"{path}.function"), f"{path}.function")
    if definition.type == "custom":
        custom = decode(_CUSTOM, required(given(definition.custom), f"{path}.custom"), f"{path}.custom")
        grammar = (custom.format and custom.format.grammar) or types.Grammar()
        syntax = grammar.syntax if grammar.syntax != "lark" else None
        name = _named(custom.name, f"{path}.custom.name")
        return Tool(name, "custom", custom.description, grammar=grammar.definition, syntax=syntax)
    raise InvalidRequest(
        f"{path}.type is {definition.type!r}: only function and custom tools can be used here", param=f"{path}.type"
    )


def _function_tool(item: Raw, path: str) -> Tool:
    function = decode(_FUNCTION, item, path)
    parameters = given(function.parameters)
    name = _named(function.name, f"{path}.name")
    return Tool(name, "function", function.description, parameters, function.strict)


def _named(name: str, path: str) -> str:
    if not name:
        raise InvalidRequest(f"{path} is empty", param=path)
    return clean(name, path)


def _allowed(tools: tuple[Tool, ...], value: Raw | None) -> tuple[tuple[Tool, ...], ToolChoice] | None:
    """Return what an `allowed_tools` choice leaves of the tools, and its mode; None for any other choice."""
    if value is None or bytes(value)[:1] != b"{" or decode(_CHOICE, value, "tool_choice").type != "allowed_tools":
        return None
    path = "tool_choice.allowed_tools"
    allowed = required(decode(_ALLOWED, value, "tool_choice").allowed_tools, path)
    offered = [tool.name for tool in tools]
    places = ((f"{path}.tools[{position}]", item) for position, item in enumerate(allowed.tools))
    names = {read_allowed(_chosen_name(item, place), offered, place) for place, item in places}
    return tuple(tool for tool in tools if tool.name in names), known(ALLOWED_MODES, allowed.mode, f"{path}.mode")


def _tool_choice(fields: types.ChatBody) -> ToolChoice:
    path = "tool_choice"
    value = given(fields.tool_choice)
    if value is None:
        path = "function_call"
        value = given(fields.function_call)
    if value is None:
        return ToolChoice("auto")
    if bytes(value)[:1] != b'"':
        return ToolChoice("named", _chosen_name(decode(_CHOICE, value, path), path))
    return known(TOOL_CHOICES, decode(STRING, value, path), path)


def _chosen_name(choice: types.ChoiceObject, path: str) -> str:
    named = choice.function or choice.custom
    return required(named.name if named else choice.name, f"{path}.function.name")


def _reasoning(effort: str | None) -> ReasoningOptions | None:
    if effort is None:
        return None
    return ReasoningOptions(effort=known(EFFORTS, effort, "reasoning_effort"))


def _output_format(value: Raw) -> OutputFormat | None:
    if given(value) is None:
        return None
    wire = decode(_FORMAT, value, "response_format")
    kind = known(OUTPUT_KINDS, wire.type, "response_format.type")
    if kind != "json_schema":
        return OutputFormat(kind)
    schema = required(wire.json_schema, "response_format.json_schema")
    body = required(given(schema.schema) or given(schema.parameters), "response_format.json_schema.schema")
    return OutputFormat("json_schema", schema.name, body, schema.strict)


def _hints(fields: types.ChatBody) -> Hints:
    return Hints(
        web_search=bool(fields.function_web_search) or given(fields.web_search_options) is not None,
        image_generation=bool(fields.function_image_gen),
        code_interpreter=bool(fields.function_code_interpreter),
    )


def _ignored_search(options: Raw) -> tuple[str, ...]:
    """Name the options of a search: that there is one is all that can be asked for here."""
    if given(options) is None:
        return ()
    named = decode(_FIELDS, options, "web_search_options")
    return tuple(f"web_search_options.{name}" for name, value in named.items() if given(value) is not None)


def _continues(fields: types.ChatBody) -> Turn | None:
    if fields.conversation_id:
        return Turn(fields.conversation_id, fields.parent_message_id)
    if fields.parent_message_id:
        message = "parent_message_id goes with conversation_id, which is missing"
        raise InvalidRequest(message, param="conversation_id", code="missing_required_parameter")
    return None
