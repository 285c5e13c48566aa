"""A Responses request body to the canonical request. Refusals name their field, as input[0].content[1].image_url.

What agents offer and cannot be had here (tool kinds, item kinds) never breaks a request: it is left out and named.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import dropwhile

from msgspec import Raw, json, structs

from core.errors import InvalidRequest, Unsupported
from core.json_body import ITEMS, STRING, clean, decode, given, known, missing, read_top, required
from core.openai_words import ALLOWED_MODES, EFFORTS, OUTPUT_KINDS, TOOL_CHOICES, read_allowed
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
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from core.wire.openai_responses import types
from core.wire.openai_responses.compaction import asks_for_summary, unpack
from core.wire.openai_responses.pictures import IMAGE_TOOL, earlier_picture, read_image_tool

WIRE = "openai_responses"
DEFAULT_MODEL = "auto"

COMPACTS = "compaction_trigger"
"""In `echo`: the answer is to be a compaction item, not a message (Codex's own provider asks so)."""

KEPT_ITEM = re.compile(r"(?:msg|rs|fc|ctc|ig)_(?P<token>[A-Za-z0-9_-]{60,})[0-9a-f]{2}")
"""The id of an item of a kept turn: it holds the token of the response's own id (objects.Items)."""

_ROLES: dict[str, Role] = {"system": "system", "developer": "developer", "user": "user", "assistant": "assistant"}
_TEXT_PARTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
SEARCH_TOOLS = ("web_search", "web_search_preview", "web_search_2025_08_26", "web_search_preview_2025_03_11")

CODE_TOOL = "code_interpreter"

_ITEMS = frozenset(
    {
        None,
        "message",
        "function_call",
        "custom_tool_call",
        "function_call_output",
        "custom_tool_call_output",
        "reasoning",
        "image_generation_call",
        "additional_tools",
        "compaction",
        "compaction_summary",
        "compaction_trigger",
        "item_reference",
    }
)
"""The kinds of items that are read."""

_BODY = json.Decoder(types.Body)
_KIND = json.Decoder(types.Kind)
_ITEM = json.Decoder(types.Item)
_PART = json.Decoder(types.Part)
_TOOL = json.Decoder(types.ToolDefinition)
_CHOICE = json.Decoder(types.Choice)
_REASONING = json.Decoder(types.ReasoningField)
_TEXT = json.Decoder(types.TextField)
_FIELDS = json.Decoder(dict[str, Raw])

_LIVE_SEARCH = {"external_web_access": b"true"}
_OWN_CONTAINER = {"container": b'{"type":"auto"}'}


def parse_request(body: bytes, content_type: str) -> ChatRequest:
    """Raise `InvalidRequest` or `Unsupported`, naming the field, when the body is not understood."""
    top = read_top(body)
    fields = decode(_BODY, body, "")
    _refuse_unsupported(fields)
    reader = _InputReader(is_whole=fields.previous_response_id is None)
    reader.read_tools(fields.tools or (), "tools")
    messages = [*_instructions(fields.instructions), *reader.read(fields.input)]
    choice = reader.tool_choice(fields.tool_choice)
    text = decode(_TEXT, fields.text, "text") if given(fields.text) else types.TextField()
    if text.verbosity is not None:
        reader.ignored.append("text.verbosity")
    reader.ignored += _unread_reasoning(fields.reasoning)
    hints = reader.hints()
    request = ChatRequest(
        model=clean(fields.model or DEFAULT_MODEL, "model"),
        messages=tuple(messages),
        stream=bool(fields.stream),
        include_usage=True,
        tools=tuple(reader.tools),
        tool_choice=choice,
        parallel_tool_calls=fields.parallel_tool_calls,
        max_output_tokens=fields.max_output_tokens,
        temperature=fields.temperature,
        top_p=fields.top_p,
        reasoning=_reasoning(fields.reasoning),
        output_format=_output_format(text.format),
        hints=hints,
        image=reader.image if hints.image_generation else None,
        store=fields.store is not False,
        previous=fields.previous_response_id or reader.previous,
        previous_where=reader.previous_where,
        extras={name: value for name, value in top.items() if name not in types.READ_FIELDS and given(value)},
        ignored=tuple(reader.ignored),
        echo={name: top[name] for name in types.ECHOED_FIELDS if name in top},
    )
    if not reader.compacts:
        return request
    return structs.replace(asks_for_summary(request), echo={**request.echo, COMPACTS: Raw(b"true")})


def _refuse_unsupported(fields: types.Body) -> None:
    if fields.background:
        raise Unsupported("background: answers are given while the request waits, not later", param="background")
    if given(fields.conversation):
        raise Unsupported("conversation: go on with previous_response_id instead", param="conversation")
    if given(fields.prompt):
        raise Unsupported("prompt: there are no stored prompts here", param="prompt")
    if given(fields.input) is None:
        raise missing("input")


def _instructions(value: Raw) -> list[Message]:
    if given(value) is None:
        return []
    return [Message("developer", (Text(clean(decode(STRING, value, "instructions"), "instructions")),))]


class _InputReader:
    """Reads the input's items and the tools in them. `is_whole` says that no earlier items are kept upstream."""

    def __init__(self, is_whole: bool) -> None:
        self.tools: list[Tool] = []
        self.ignored: list[str] = []
        self.compacts = False
        self.previous: str | None = None
        self.previous_where = "previous_response_id"
        self._is_whole = is_whole
        self.image: ImageOptions | None = None
        self._searches: list[str] = []
        self._search_options: list[str] = []
        self._codes: list[str] = []
        self._code_options: list[str] = []
        self._image_tools: list[str] = []
        self._others: list[str] = []
        self._chosen = "auto"

    # Items.

    def read(self, value: Raw) -> list[Message]:
        if bytes(value)[:1] == b'"':
            return [Message("user", (Text(clean(decode(STRING, value, "input"), "input")),))]
        items = decode(ITEMS, value, "input")
        if not items:
            raise InvalidRequest("input is empty: at least one item is required", param="input")
        wires = [_item(item, f"input[{position}]") for position, item in enumerate(items)]
        calls = {wire.call_id: _name(wire) for wire in wires if wire.type in ("function_call", "custom_tool_call")}
        kept = self._go_on_from_reference(wires) if self._is_whole else 0
        messages: list[Message] = []
        for position, wire in enumerate(wires):
            found = self._item(wire, f"input[{position}]", calls)
            messages += found if position >= kept else ()
        if self.previous is not None:
            messages = list(dropwhile(_is_assistants, messages))
        if not messages:
            raise InvalidRequest("input holds nothing that a model could read", param="input")
        return messages

    def _go_on_from_reference(self, wires: Sequence[types.Item]) -> int:
        """Take the last reference to an item of a kept turn for a wish to go on from there.

        The AI SDK refers so to what it takes to be kept. Return how many items the conversation upstream has by then;
        the rest of the answer's own items may still follow.
        """
        for position in range(len(wires) - 1, -1, -1):
            if wires[position].type == "item_reference" and (named := KEPT_ITEM.fullmatch(wires[position].id or "")):
                self.previous = f"resp_{named['token']}"
                self.previous_where = f"input[{position}].id"
                self._is_whole = False
                return position + 1
        return 0

    def _item(self, wire: types.Item, path: str, calls: Mapping[str | None, str]) -> list[Message]:
        match wire.type or "message":
            case "message":
                return [self._message(wire, path)]
            case "function_call" | "custom_tool_call":
                return [Message("assistant", (_call(wire, path),))]
            case "function_call_output" | "custom_tool_call_output":
                return [self._result(wire, path, calls)]
            case "reasoning":
                return [Message("assistant", (_reasoning_part(wire, path),))]
            case "image_generation_call" if self.previous is not None:
                return []
            case "image_generation_call" if shown := earlier_picture(wire, path):
                return [shown]
            case "additional_tools":
                self.read_tools(wire.tools or (), f"{path}.tools")
                return []
            case "compaction" | "compaction_summary" if wire.encrypted_content:
                summary = unpack(wire.encrypted_content, f"{path}.encrypted_content")
                return [Message("developer", (Text(f"Summary of the conversation so far:\n{summary}"),))]
            case "compaction_trigger":
                self.compacts = True
                return []
            case "item_reference" if self._is_whole:
                message = f"Item with id {wire.id!r} not found: items are not kept here, send them in full"
                raise InvalidRequest(message, param=f"{path}.id")
            case "item_reference" if self.previous is not None and KEPT_ITEM.fullmatch(wire.id or ""):
                return []
            case other:
                self.ignored.append(f"{path}:{other}")
                return []

    def _message(self, wire: types.Item, path: str) -> Message:
        role = known(_ROLES, required(wire.role, f"{path}.role"), f"{path}.role")
        if given(wire.content) is None:
            raise missing(f"{path}.content")
        phase = wire.phase if role == "assistant" else None
        return Message(role, tuple(_content(wire.content, f"{path}.content")), phase=phase)

    def _result(self, wire: types.Item, path: str, calls: Mapping[str | None, str]) -> Message:
        call_id = required(wire.call_id, f"{path}.call_id")
        if self._is_whole and call_id not in calls:
            message = f"No tool call found for function call output with call_id {call_id}."
            raise InvalidRequest(message, param=f"{path}.call_id")
        if given(wire.output) is None:
            raise missing(f"{path}.output")
        content = _content(wire.output, f"{path}.output")
        parts = tuple(part for part in content if isinstance(part, Text | Image | File))
        # The call itself may be left out, being kept upstream: then its name is known here only.
        name = calls.get(call_id) if self.previous is not None else None
        return Message("tool", (ToolResult(call_id, parts, name),))

    # Tools.

    def read_tools(self, items: list[Raw] | tuple[()], path: str, namespace: str | None = None) -> None:
        for position, item in enumerate(items):
            self._tool(item, f"{path}[{position}]", namespace)

    def _tool(self, item: Raw, path: str, namespace: str | None) -> None:
        match required(decode(_KIND, item, path).type, f"{path}.type"):
            case "function" | "custom":
                self.tools.append(_tool(decode(_TOOL, item, path), path, namespace))
            case "namespace":
                tool = decode(_TOOL, item, path)
                inner = required(tool.name, f"{path}.name")
                self.read_tools(tool.tools or (), f"{path}.tools", inner)
            case kind if kind == IMAGE_TOOL:
                self.image, ignored = read_image_tool(item, path)
                self.ignored += ignored
                self._image_tools.append(f"{path}:{kind}")
            case kind if kind in SEARCH_TOOLS:
                self._searches.append(f"{path}:{kind}")
                self._search_options += _options(item, path, _LIVE_SEARCH)
            case kind if kind == CODE_TOOL:
                self._codes.append(f"{path}:{kind}")
                self._code_options += _options(item, path, _OWN_CONTAINER)
            case kind:
                self.ignored.append(f"{path}:{kind}")
                self._others.append(f"{path}:{kind}")

    def tool_choice(self, value: Raw) -> ToolChoice:
        if given(value) is None:
            return ToolChoice("auto")
        if bytes(value)[:1] == b'"':
            self._chosen = decode(STRING, value, "tool_choice")
            return known(TOOL_CHOICES, self._chosen, "tool_choice")
        choice = decode(_CHOICE, value, "tool_choice")
        match choice.type:
            case "function" | "custom":
                return ToolChoice("named", _chosen_name(choice, "tool_choice"))
            case "allowed_tools":
                return self._allow(choice)
            case kind if kind in (*SEARCH_TOOLS, CODE_TOOL, IMAGE_TOOL):
                self._chosen = kind
            case kind:
                self.ignored.append(f"tool_choice:{kind}")
        return ToolChoice("auto")

    def _allow(self, choice: types.Choice) -> ToolChoice:
        """Leave no tools but those that may be called. Raises `InvalidRequest` for one that is not offered."""
        path = "tool_choice.tools"
        names, kinds = set(), set()
        for position, item in enumerate(required(choice.tools, path)):
            place = f"{path}[{position}]"
            allowed = decode(_CHOICE, item, place)
            if allowed.type in ("function", "custom"):
                offered = [tool.name for tool in self.tools]
                names.add(read_allowed(_chosen_name(allowed, place), offered, place))
            else:
                kinds.add(read_allowed(allowed.type, self._kinds(), place))
        self.tools = [tool for tool in self.tools if tool.name in names]
        for offers in (self._searches, self._codes, self._image_tools):
            offers[:] = [offer for offer in offers if _kind(offer) in kinds]
        return known(ALLOWED_MODES, choice.mode, "tool_choice.mode")

    def _kinds(self) -> list[str]:
        return [_kind(offer) for offer in (*self._searches, *self._codes, *self._image_tools, *self._others)]

    def hints(self) -> Hints:
        """An agent's standing offer of search, code or pictures, among its tools, is no wish for them in every turn."""
        alone = not self.tools
        others = self._searches or self._codes
        draws = self._wants(self._image_tools, (IMAGE_TOOL,), alone=alone and not others)
        searches = self._wants(self._searches, SEARCH_TOOLS, alone=alone) and not draws
        computes = self._wants(self._codes, (CODE_TOOL,), alone=alone) and not draws
        self.ignored += self._search_options if searches else []
        self.ignored += self._code_options if computes else []
        return Hints(web_search=searches, image_generation=draws, code_interpreter=computes)

    def _wants(self, offered: list[str], names: tuple[str, ...], *, alone: bool) -> bool:
        if self._chosen in names or (offered and alone and self._chosen != "none"):
            return True
        self.ignored += offered
        return False


def _kind(offer: str) -> str:
    """Return the kind of a tool, of `tools[0]:web_search`."""
    return offer.partition(":")[2]


def _options(item: Raw, path: str, meant: Mapping[str, bytes]) -> list[str]:
    """Name the options of a tool, which have no place here, but for those that say what is meant anyway."""
    named = {name: value for name, value in decode(_FIELDS, item, path).items() if name != "type" and given(value)}
    return [f"{path}.{name}" for name, value in named.items() if bytes(value).replace(b" ", b"") != meant.get(name)]


def _item(item: Raw, path: str) -> types.Item:
    """Return an item; of an unknown kind its kind alone, for its other fields may be anything."""
    kind = decode(_KIND, item, path).type
    return decode(_ITEM, item, path) if kind in _ITEMS else types.Item(type=kind)


def _is_assistants(message: Message) -> bool:
    return message.role == "assistant"


def _call(wire: types.Item, path: str) -> ToolCall:
    call_id = required(wire.call_id, f"{path}.call_id")
    required(wire.name, f"{path}.name")
    qualified = _name(wire)
    if wire.type == "custom_tool_call":
        return ToolCall(call_id, qualified, required(wire.input, f"{path}.input"), "custom")
    return ToolCall(call_id, qualified, required(wire.arguments, f"{path}.arguments"))


def _chosen_name(choice: types.Choice, path: str) -> str:
    return qualified(required(choice.name, f"{path}.name"), choice.namespace)


def _name(call: types.Item) -> str:
    return qualified(call.name or "", call.namespace)


def qualified(name: str, namespace: str | None) -> str:
    """Return a tool's name in the canonical request: names of different namespaces stay apart."""
    return f"{namespace}.{name}" if namespace else name


def _reasoning_part(wire: types.Item, path: str) -> Reasoning:
    texts = [part.text for part in _content(wire.summary, f"{path}.summary") if isinstance(part, Text)]
    opaque = Opaque(WIRE, wire.encrypted_content.encode()) if wire.encrypted_content else None
    return Reasoning("\n\n".join(texts), opaque)


def _content(value: Raw, path: str) -> list[Part]:
    if given(value) is None:
        return []
    if bytes(value)[:1] == b'"':
        return [Text(clean(decode(STRING, value, path), path))]
    items = decode(ITEMS, value, path)
    places = [f"{path}[{position}]" for position in range(len(items))]
    return [_part(decode(_PART, item, place), place) for place, item in zip(places, items, strict=True)]


def _part(part: types.Part, path: str) -> Part:
    if part.type in _TEXT_PARTS:
        return Text(clean(required(part.text, f"{path}.text"), f"{path}.text"))
    match part.type:
        case "refusal":
            return Text(clean(required(part.refusal, f"{path}.refusal"), f"{path}.refusal"))
        case "input_image":
            return _image(part, path)
        case "input_file":
            return _file(part, path)
        case "input_audio":
            raise Unsupported(f"{path}: sound is not understood here, transcribe it first", param=path)
        case other:
            names = ", ".join((*_TEXT_PARTS, "input_image", "input_file", "refusal"))
            raise InvalidRequest(f"{path}.type is {other!r}, which is not among: {names}", param=f"{path}.type")


def _image(part: types.Part, path: str) -> Image:
    """Read a picture; a bare object in `image_url` is Chat Completions' spelling, which some clients keep."""
    if part.file_id:
        return Image(file_id=part.file_id, detail=part.detail, where=f"{path}.file_id")
    if isinstance(part.image_url, types.ImageUrl):
        return Image(part.image_url.url, detail=part.image_url.detail or part.detail, where=f"{path}.image_url.url")
    if not part.image_url:
        raise missing(f"{path}.image_url")
    return Image(part.image_url, detail=part.detail, where=f"{path}.image_url")


def _file(part: types.Part, path: str) -> File:
    if part.file_id:
        return File(file_id=part.file_id, filename=part.filename, where=f"{path}.file_id")
    if part.file_url:
        return File(url=part.file_url, filename=part.filename, where=f"{path}.file_url")
    if part.file_data:
        return File(data=part.file_data, filename=part.filename, where=f"{path}.file_data")
    raise missing(f"{path}.file_id")


def _tool(tool: types.ToolDefinition, path: str, namespace: str | None) -> Tool:
    name = clean(required(tool.name or None, f"{path}.name"), f"{path}.name")
    whole = qualified(name, namespace)
    if tool.type == "function":
        return Tool(whole, "function", tool.description, given(tool.parameters), tool.strict, namespace=namespace)
    form = tool.format or types.Grammar()
    syntax = form.syntax if form.syntax != "lark" else None
    return Tool(whole, "custom", tool.description, grammar=form.definition, syntax=syntax, namespace=namespace)


def _reasoning(value: Raw) -> ReasoningOptions | None:
    if given(value) is None:
        return None
    field = decode(_REASONING, value, "reasoning")
    effort = known(EFFORTS, field.effort, "reasoning.effort") if field.effort is not None else None
    return ReasoningOptions(effort, field.summary)


def _unread_reasoning(value: Raw) -> list[str]:
    named = decode(_FIELDS, value, "reasoning") if given(value) else {}
    return [f"reasoning.{name}" for name in named if name not in ("effort", "summary") and given(named[name])]


def _output_format(wire: types.Format | None) -> OutputFormat | None:
    if wire is None:
        return None
    kind = known(OUTPUT_KINDS, wire.type, "text.format.type")
    if kind != "json_schema":
        return OutputFormat(kind)
    return OutputFormat(kind, wire.name, required(given(wire.schema), "text.format.schema"), wire.strict)
