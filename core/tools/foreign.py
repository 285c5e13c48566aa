"""Tool calls in the forms of other gateways, which models fall into: recognised when whole, with their usual slips.

`<tool_call>{json}</tool_call>` with the tolerances of AU-34, and the `<function_calls>` XML of C2-27. Arguments stay
the text that the model wrote, wherever that is JSON.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from msgspec import Raw, Struct, json

from core.errors import MALFORMED_JSON
from core.tools.jsonscan import JsonScanner
from core.tools.patterns import growing, spelled

Calls: TypeAlias = tuple[tuple[str, str], ...]
"""Calls as (name, arguments); none when a block cannot be read."""

SHELL = ""
"""The name of a call that has none, only a `cmd`: the one tool that looks like a shell is meant (AU-34)."""

MAX_CLOSING_CHARS = 32
"""No closing tag is longer than this."""

_NAME_KEYS = ("name", "tool", "tool_name", "function")
_ARGUMENT_KEYS = ("arguments", "parameters", "args")
_SPACE = r"\s{0,32}"

_TOOL_CALL_BODY = (_SPACE, "`{0,3}", "[A-Za-z]{0,16}", _SPACE, r"[\[{]")
_TOOL_CALL = growing(*spelled("<tool"), "[_ ]", *spelled("call"), "s?", ">", *_TOOL_CALL_BODY)
_TOOL_CALL_TAGS = re.compile(r"\A<tool[_ ]calls?>|</tool[_ ]calls?>\s*\Z")
_XML_STEPS = (*spelled("<function_calls>"), _SPACE, *spelled("<function_call>"))
_XML = growing(*_XML_STEPS)
_TRIGGERED = growing(*spelled("<Function_chat2api_Start/>"), _SPACE, *_XML_STEPS)

_FENCE_OPENING = re.compile(r"```[A-Za-z]*")
_BETWEEN_VALUES = re.compile(r"[\s,;]*")
_XML_HEAD = re.compile(r"(?:<Function_chat2api_Start/>\s*)?<function_calls>\s*")
_XML_CALL = re.compile(
    r"<function_call>\s*<tool>\s*(?P<name>[^<>]{1,128}?)\s*</tool>\s*"
    r"<args_json>(?P<arguments>.*?)</args_json>\s*</function_call>\s*",
    re.DOTALL,
)
_XML_TAIL = re.compile(r"(?:</function_calls>\s*)?\Z")
_CDATA = re.compile(r"\A<!\[CDATA\[(?P<text>.*)\]\]>\Z", re.DOTALL)

_FIELDS = json.Decoder(dict[str, Raw])
_ITEMS = json.Decoder(list[Raw])
_STRING = json.Decoder(str)


class Form(Struct, frozen=True):
    """One foreign form: how a block of it ends, and how its calls are read."""

    closing: "re.Pattern[str]"
    read: Callable[[str], Calls]


def opened_by(text: str) -> Form | None:
    """Return the form of which a block begins `text`, if one does: its tag and what must follow it."""
    if _TOOL_CALL.whole.match(text):
        return TOOL_CALL
    if _XML.whole.match(text) or _TRIGGERED.whole.match(text):
        return FUNCTION_CALLS
    return None


def may_open(text: str) -> bool:
    """Say whether a block begins `text`, or might begin it once there is more."""
    return any(form.whole.match(text) or form.may_become(text) for form in (_TOOL_CALL, _XML, _TRIGGERED))


# JSON in <tool_call>.


def _read_tool_call(raw: str) -> Calls:
    body = _unfenced(_TOOL_CALL_TAGS.sub("", raw))
    try:
        return tuple(_call(item) for value in _values(body) for item in _items(value))
    except (*MALFORMED_JSON, ValueError):
        return ()


def _unfenced(text: str) -> str:
    text = text.strip()
    opening = _FENCE_OPENING.match(text)
    return text[opening.end() :].strip().removesuffix("```").strip() if opening else text


def _values(text: str) -> list[str]:
    """Return the JSON values that stand one behind the other in `text`; raise `ValueError` for anything else."""
    values: list[str] = []
    position = 0
    while position < len(text):
        scanner = JsonScanner()
        mended, position = scanner.feed(text, position)
        values.append(_ended(scanner, mended))
        position = _BETWEEN_VALUES.match(text, position).end()  # type: ignore[union-attr]
    return values


def _ended(scanner: JsonScanner, mended: str) -> str:
    missing = scanner.finish()
    if missing is None:
        raise ValueError(scanner.failure or "it ends in the middle")
    return mended + missing


def _items(value: str) -> list[str]:
    return [bytes(item).decode() for item in _ITEMS.decode(value)] if value.lstrip().startswith("[") else [value]


def _call(item: str) -> tuple[str, str]:
    """Return one call; raise `ValueError` for a value that is none."""
    fields = _FIELDS.decode(item)
    if "cmd" in fields and not any(key in fields for key in _NAME_KEYS):
        return SHELL, item
    if (inner := fields.get("function")) is not None and bytes(inner).startswith(b"{"):
        fields = _FIELDS.decode(inner)
    name = next((text for key in _NAME_KEYS if (text := _string(fields.get(key)))), None)
    if name is None:
        raise ValueError("it names no tool")
    return name, _arguments(fields)


def _string(value: Raw | None) -> str | None:
    return _STRING.decode(value) if value is not None and bytes(value).startswith(b'"') else None


def _arguments(fields: Mapping[str, Raw]) -> str:
    key = next((key for key in _ARGUMENT_KEYS if key in fields), None)
    if key is None:
        return json.encode({key: fields[key] for key in fields if key not in (*_NAME_KEYS, "id", "type")}).decode()
    text = _string(fields[key])
    if text is not None:
        return text if text.lstrip().startswith("{") else json.encode({"command": text}).decode()
    written = bytes(fields[key]).decode()
    return "{}" if written == "null" else written


# XML.


def _read_function_calls(raw: str) -> Calls:
    head = _XML_HEAD.match(raw)
    position = head.end() if head else 0
    calls: list[tuple[str, str]] = []
    try:
        while found := _XML_CALL.match(raw, position):
            calls.append((found["name"], _xml_arguments(found["arguments"])))
            position = found.end()
    except ValueError:
        return ()
    return tuple(calls) if _XML_TAIL.match(raw, position) else ()


def _xml_arguments(written: str) -> str:
    """Return the arguments between the tags, out of their CDATA section and code fence, mended."""
    text = _unfenced(written)
    if cdata := _CDATA.match(text):
        text = _unfenced(cdata["text"])
    scanner = JsonScanner("{")
    mended, end = scanner.feed(text)
    if text[end:].strip():
        raise ValueError("something follows the arguments")
    return _ended(scanner, mended)


TOOL_CALL = Form(re.compile(r"</tool[_ ]calls?>"), _read_tool_call)
FUNCTION_CALLS = Form(re.compile(r"</function_calls>"), _read_function_calls)
