"""The messages of a Messages request: blocks of content to canonical parts, each refusal at its own path.

What a tool answered stands in a message of its own, as the waist has it, though its sender puts it into the user's.
Blocks in which Anthropic reports on tools that it ran itself mean nothing elsewhere: they are named as ignored.
"""

from msgspec import Raw, json

from core.errors import InvalidRequest
from core.json_body import ITEMS, STRING, clean, decode, given, known, required
from core.request import File, Image, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult
from core.wire.anthropic import types
from core.wire.anthropic.opaque import sealed

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_REPORTS = ("_tool_use", "_tool_result")
"""How the types of blocks end in which Anthropic tells of its own tools."""
_FOREIGN = (
    "container_upload",
    "browser_state",
    "compaction",
    "fallback",
    "tool_addition",
    "tool_removal",
    "mcp_tool_listing",
)
"""Other blocks that only Anthropic's servers understand. Tools that come and go are all offered from the beginning."""
_KNOWN = (
    "text",
    "image",
    "document",
    "search_result",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "tool_result",
)

_MESSAGE = json.Decoder(types.Message)
_BLOCK = json.Decoder(types.Block)
_SOURCE = json.Decoder(types.Source)
_CITATIONS = json.Decoder(types.Citations)


class MessageReader:
    """Reads the messages of one request. `ignored` names what had to be left out of them."""

    def __init__(self) -> None:
        self.ignored: list[str] = []
        self._called: set[str] = set()

    def system(self, value: Raw) -> list[Message]:
        """Return the system prompt, a string or blocks of text, as a message; none for an empty one."""
        parts = self._blocks(value, "system")
        return [Message("system", tuple(parts))] if parts else []

    def messages(self, items: list[Raw]) -> list[Message]:
        return [message for position, item in enumerate(items) for message in self._read(item, f"messages[{position}]")]

    def _read(self, item: Raw, path: str) -> list[Message]:
        wire = decode(_MESSAGE, item, path)
        role = known(_ROLES, wire.role, f"{path}.role")
        parts = self._blocks(required(given(wire.content), f"{path}.content"), f"{path}.content")
        if role == "assistant":
            self._called.update(part.id for part in parts if isinstance(part, ToolCall))
            return [Message(role, tuple(parts))]
        return _without_results(role, parts)

    def _blocks(self, value: Raw, path: str) -> list[Part]:
        if given(value) is None:
            return []
        if bytes(value)[:1] == b'"':
            return [Text(clean(decode(STRING, value, path), path))]
        if bytes(value)[:1] != b"[":
            raise InvalidRequest(f"{path} must be a string or a list of content blocks", param=path)
        items = decode(ITEMS, value, path)
        return [part for position, item in enumerate(items) for part in self._block(item, f"{path}[{position}]")]

    def _block(self, item: Raw, path: str) -> list[Part]:
        """Return what a block is: one part, or none when it has to be left out."""
        block = decode(_BLOCK, item, path)
        match block.type:
            case "text":
                return [Text(clean(required(block.text, f"{path}.text"), f"{path}.text"))]
            case "image":
                return [_image(_source(block, path), f"{path}.source")]
            case "document":
                return self._document(block, path)
            case "search_result":
                return self._search_result(block, path)
            case "thinking":
                return [Reasoning(block.thinking or "", sealed(signature=block.signature or ""))]
            case "redacted_thinking":
                return [Reasoning("", sealed(data=required(block.data, f"{path}.data")))]
            case "tool_use":
                return [_call(block, path)]
            case "tool_result":
                return [self._result(block, path)]
            case "tool_reference":
                # What a search for tools answers (Claude Code's ToolSearch); the tool itself stands in `tools`.
                name = clean(required(block.tool_name, f"{path}.tool_name"), f"{path}.tool_name")
                return [Text(f"The tool {name} is loaded and can be called.")]
            case kind if kind.endswith(_REPORTS) or kind in _FOREIGN:
                self.ignored.append(path)
                return []
            case kind:
                message = f"{path}.type is {kind!r}, which is not among: {', '.join(_KNOWN)}"
                raise InvalidRequest(message, param=f"{path}.type")

    def _document(self, block: types.Block, path: str) -> list[Part]:
        """Return what a document is, below what its sender says of it; the title of a file is the file's name."""
        source, where = _source(block, path), f"{path}.source"
        self._leave_out_citations(block, path)
        if source.type == "text":
            return [_titled(block, required(source.data, f"{where}.data"))]
        if source.type == "content":
            head = [_titled(block, "")] if block.title or block.context else []
            return [*head, *self._blocks(required(given(source.content), f"{where}.content"), f"{where}.content")]
        return [*([Text(block.context)] if block.context else []), _file(source, block.title, where)]

    def _leave_out_citations(self, block: types.Block, path: str) -> None:
        """Name the wish for quotations, which nobody here can make."""
        if given(block.citations) is not None and decode(_CITATIONS, block.citations, f"{path}.citations").enabled:
            self.ignored.append(f"{path}.citations")

    def _search_result(self, block: types.Block, path: str) -> list[Part]:
        origin = decode(STRING, required(given(block.source), f"{path}.source"), f"{path}.source")
        inner = self._blocks(required(given(block.content), f"{path}.content"), f"{path}.content")
        self._leave_out_citations(block, path)
        return [_titled(block, origin), *inner]

    def _result(self, block: types.Block, path: str) -> ToolResult:
        identity = required(block.tool_use_id, f"{path}.tool_use_id")
        if identity not in self._called:
            message = f"{path}.tool_use_id is {identity!r}, which no earlier tool_use block has as its id"
            raise InvalidRequest(message, param=f"{path}.tool_use_id")
        content = self._blocks(block.content, f"{path}.content")
        for part in content:
            if not isinstance(part, Text | Image | File):
                where = f"{path}.content"
                raise InvalidRequest(f"{where}: a tool_result takes text, images and documents only", param=where)
        kept = tuple(part for part in content if isinstance(part, Text | Image | File))
        return ToolResult(identity, kept, is_error=bool(block.is_error))


def _without_results(role: Role, parts: list[Part]) -> list[Message]:
    """Return a message in which results may stand as messages, in order: results apart from the rest."""
    messages: list[Message] = []
    for part in parts:
        place: Role = "tool" if isinstance(part, ToolResult) else role
        if messages and messages[-1].role == place:
            messages[-1] = Message(place, (*messages[-1].parts, part))
        else:
            messages.append(Message(place, (part,)))
    return messages or [Message(role, ())]


def _source(block: types.Block, path: str) -> types.Source:
    return decode(_SOURCE, required(given(block.source), f"{path}.source"), f"{path}.source")


def _titled(block: types.Block, text: str) -> Text:
    """Return the text of a document or a search result, below its title and what is said of it."""
    return Text("\n".join(filter(None, (block.title, block.context, text))))


def _image(source: types.Source, path: str) -> Image:
    match source.type:
        case "base64":
            return Image(_data_url(source, path), where=f"{path}.data")
        case "url":
            return Image(required(source.url, f"{path}.url"), where=f"{path}.url")
        case "file":
            return Image(file_id=required(source.file_id, f"{path}.file_id"), where=f"{path}.file_id")
        case _:
            raise _unknown_source(source, path, "base64, url, file")


def _file(source: types.Source, title: str | None, path: str) -> File:
    match source.type:
        case "base64":
            return File(data=_data_url(source, path), filename=title, where=f"{path}.data")
        case "url":
            return File(url=required(source.url, f"{path}.url"), filename=title, where=f"{path}.url")
        case "file":
            file_id = required(source.file_id, f"{path}.file_id")
            return File(file_id=file_id, filename=title, where=f"{path}.file_id")
        case _:
            raise _unknown_source(source, path, "base64, text, content, url, file")


def _data_url(source: types.Source, path: str) -> str:
    data = required(source.data, f"{path}.data")
    return f"data:{required(source.media_type, f'{path}.media_type')};base64,{data}"


def _unknown_source(source: types.Source, path: str, kinds: str) -> InvalidRequest:
    message = f"{path}.type is {source.type!r}, which is not among: {kinds}"
    return InvalidRequest(message, param=f"{path}.type")


def _call(block: types.Block, path: str) -> ToolCall:
    arguments = required(given(block.input), f"{path}.input")
    if bytes(arguments)[:1] != b"{":
        raise InvalidRequest(f"{path}.input must be an object", param=f"{path}.input")
    name = required(block.name, f"{path}.name")
    return ToolCall(required(block.id, f"{path}.id"), name, bytes(arguments).decode())
