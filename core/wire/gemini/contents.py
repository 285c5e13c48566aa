"""The `contents` of a request: each turn to a message, each part to a part, and calls matched with their results.

Gemini may leave out the id of a call; then it gets one from its place, and a result is matched by name, in order.
"""

from msgspec import Raw, json

from core.errors import InvalidRequest
from core.json_body import ITEMS, STRING, clean, decode, given, known, missing
from core.request import Audio, File, Image, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult
from core.wire.gemini import types
from core.wire.gemini.signatures import sealed
from core.wire.gemini.spelling import fields_of, respelled

_ROLES: dict[str, Role] = {"user": "user", "model": "assistant", "function": "user", "tool": "user"}
"""Results come from the user, or from `function` in older clients and `tool` in google-genai's own example."""
_PART_FIELDS = types.names_of(types.Part)
_HOLDERS = ("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode")
_OUTPUTS = ("output", "result", "error")
"""The one field of a function's response that stands for a plain text: Google's own two, and that of its SDK."""

_AUDIO = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav"}
"""What a sound's media type is called as a format, where the two differ."""
_LANGUAGES = {"LANGUAGE_UNSPECIFIED": ""}
"""What a program's language is called in Markdown, where that is not its name in small letters."""
_UNANSWERED = frozenset({"partMetadata"})
"""Fields of a part whose absence changes no answer."""

_CONTENT = json.Decoder(types.Content)
_PART = json.Decoder(types.Part)
_BLOB = json.Decoder(types.Blob)
_FILE = json.Decoder(types.FileData)
_CALL = json.Decoder(types.FunctionCall)
_RESPONSE = json.Decoder(types.FunctionResponse)
_CODE = json.Decoder(types.ExecutableCode)
_OUTCOME = json.Decoder(types.CodeExecutionResult)
_OBJECT = json.Decoder(dict[str, Raw])
_ANY = json.Decoder()


def items_of(value: Raw, path: str) -> list[Raw]:
    """Return the items of a list, or leniently one object alone."""
    return [value] if bytes(value)[:1] == b"{" else decode(ITEMS, value, path)


class Contents:
    """Reads the turns of one request in order. `ignored` and `relay_only` are those of the request."""

    def __init__(self) -> None:
        self.ignored: list[str] = []
        self.relay_only: list[tuple[str, str]] = []
        self._open: list[ToolCall] = []

    def messages(self, value: Raw) -> tuple[Message, ...]:
        """Raise `InvalidRequest` naming the part that is not understood."""
        items = items_of(value, "contents")
        if not items:
            raise InvalidRequest("contents is empty: at least one is required", param="contents")
        read = (self._content(item, f"contents[{position}]") for position, item in enumerate(items))
        return tuple(message for messages in read for message in messages)

    def instruction(self, value: Raw) -> tuple[Message, ...]:
        """Return the system instruction as a message, if there is one."""
        path = "systemInstruction"
        if given(value) is None:
            return ()
        if bytes(value)[:1] == b'"':
            return (Message("system", (Text(decode(STRING, value, path)),)),)
        parts = self._parts(decode(_CONTENT, value, path), path)
        return (Message("system", tuple(parts)),) if parts else ()

    def _content(self, item: Raw, path: str) -> list[Message]:
        content = decode(_CONTENT, item, path)
        role = known(_ROLES, content.role or "user", f"{path}.role")
        parts = self._parts(content, path)
        results = tuple(part for part in parts if isinstance(part, ToolResult))
        rest = tuple(part for part in parts if not isinstance(part, ToolResult))
        messages = [Message("tool", results)] if results else []
        return [*messages, Message(role, rest)] if rest or not results else messages

    def _parts(self, content: types.Content, path: str) -> list[Part]:
        if given(content.parts) is None:
            return []
        items = items_of(content.parts, f"{path}.parts")
        read = (self._part(item, f"{path}.parts[{position}]") for position, item in enumerate(items))
        return [part for parts in read for part in parts]

    def _part(self, item: Raw, path: str) -> list[Part]:
        """Return what a part holds, behind the thought whose signature it carries."""
        fields = fields_of(item, path)
        part = decode(_PART, respelled(item, path), path)
        opaque = sealed(part.thought_signature)
        if part.thought:
            return [Reasoning(clean(part.text or "", f"{path}.text"), opaque)]
        held = self._held(part, path)
        unread = [f"{path}.{name}" for name in fields if name not in _PART_FIELDS and name not in _UNANSWERED]
        if held is None and opaque is None:
            why = f"{path} holds nothing that is known here: {', '.join(_HOLDERS)}"
            if not unread:
                raise InvalidRequest(why, param=path)
            self.relay_only.append((path, why))
        else:
            self.ignored += unread
        return [*([Reasoning("", opaque)] if opaque else ()), *([held] if held is not None else ())]

    def _held(self, part: types.Part, path: str) -> Part | None:
        if part.text is not None:
            return Text(clean(part.text, f"{path}.text")) if part.text or not part.thought_signature else None
        if blob := given(part.inline_data):
            return _inline(blob, f"{path}.inlineData")
        if file := given(part.file_data):
            return _file(file, f"{path}.fileData")
        if call := given(part.function_call):
            return self._call(call, f"{path}.functionCall")
        if response := given(part.function_response):
            return self._result(response, f"{path}.functionResponse")
        if code := given(part.executable_code):
            ran = decode(_CODE, respelled(code, path), f"{path}.executableCode")
            return Text(fenced(ran.code, _LANGUAGES.get(ran.language, ran.language.lower())))
        if outcome := given(part.code_execution_result):
            return Text(fenced(decode(_OUTCOME, respelled(outcome, path), f"{path}.codeExecutionResult").output))
        return None

    # Calls and their results.

    def _call(self, item: Raw, path: str) -> ToolCall:
        call = decode(_CALL, respelled(item, path), path)
        if not call.name:
            raise missing(f"{path}.name")
        arguments = given(call.args)
        if arguments is not None:
            decode(_OBJECT, arguments, f"{path}.args")
        identity = call.id or "call_" + "_".join("".join(c if c.isdigit() else " " for c in path).split())
        made = ToolCall(identity, call.name, bytes(arguments or b"{}").decode())
        self._open.append(made)
        return made

    def _result(self, item: Raw, path: str) -> ToolResult:
        response = decode(_RESPONSE, respelled(item, path), path)
        call = self._answered(response, path)
        self._open.remove(call)
        text, is_error = _told(response.response, f"{path}.response")
        extra = (self._part(part, f"{path}.parts[{position}]") for position, part in enumerate(response.parts or ()))
        shown = [part for parts in extra for part in parts if isinstance(part, Text | Image | File)]
        return ToolResult(call.id, (Text(text), *shown), response.name, is_error)

    def _answered(self, response: types.FunctionResponse, path: str) -> ToolCall:
        """Return the call that a result answers: the one of its id, else the first of its name without an answer."""
        same_id = (call for call in self._open if call.id == response.id)
        same_name = (call for call in self._open if call.name == response.name)
        for call in (*same_id, *same_name):
            return call
        message = f"{path}.name is {response.name!r}: no functionCall of it came before that has no answer yet"
        raise InvalidRequest(message, param=f"{path}.name")


def fenced(text: str, language: str = "") -> str:
    """Return program text as Markdown shows it."""
    return f"```{language}\n{text.rstrip()}\n```"


def _told(value: Raw, path: str) -> tuple[str, bool]:
    """Return what a function answered, as text, and whether it says that it failed."""
    if given(value) is None:
        return "", False
    fields = decode(_OBJECT, value, path)
    if len(fields) == 1:
        [(name, only)] = fields.items()
        if name in _OUTPUTS:
            is_text = bytes(only)[:1] == b'"'
            return (_ANY.decode(only) if is_text else bytes(only).decode()), name == "error"
    return bytes(value).decode(), False


def _inline(item: Raw, path: str) -> Image | Audio | File:
    blob = decode(_BLOB, respelled(item, path), path)
    kind, _, subtype = blob.mime_type.partition("/")
    if not subtype:
        raise InvalidRequest(f"{path}.mimeType must name what data is, such as image/png", param=f"{path}.mimeType")
    url, where = f"data:{blob.mime_type};base64,{blob.data}", f"{path}.data"
    if kind == "image":
        return Image(url, where=where)
    if kind == "audio":
        return Audio(blob.data, _AUDIO.get(subtype, subtype), where)
    return File(data=url, filename=blob.display_name, where=where)


def _file(item: Raw, path: str) -> Image | File:
    file = decode(_FILE, respelled(item, path), path)
    where = f"{path}.fileUri"
    if file.mime_type.startswith("image/"):
        return Image(file.file_uri, where=where)
    return File(url=file.file_uri, filename=file.display_name, where=where)
