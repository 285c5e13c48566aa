"""The words that OpenAI's calls share, and what they mean here; and the error object of them all."""

from collections.abc import Collection, Mapping
from typing import Any, get_args

from msgspec import Raw, json

from core.errors import GatewayError, InvalidRequest
from core.events import FinishReason, Usage
from core.json_body import clean, decode, given, known
from core.request import Effort, File, Image, OutputKind, Text, ToolChoice, ToolResult

BOOLEANS: Mapping[str, bool] = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(
    ("false", "0", "no", "off"), False
)
"""What a text may say for yes and no, where there is no JSON (AU-43)."""

EFFORTS: Mapping[str, Effort] = {name: name for name in get_args(Effort)}
OUTPUT_KINDS: Mapping[str, OutputKind] = {name: name for name in get_args(OutputKind)}
TOOL_CHOICES: Mapping[str, ToolChoice] = {
    "auto": ToolChoice("auto"),
    "none": ToolChoice("none"),
    "required": ToolChoice("required"),
    "any": ToolChoice("required"),
}
"""`any` means `required` (ruling 1)."""

ALLOWED_MODES: Mapping[str, ToolChoice] = {name: TOOL_CHOICES[name] for name in ("auto", "required")}
"""What may be said beside `allowed_tools`."""

FINISH_REASONS: Mapping[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "other": "stop",
}

IMAGE_FORMATS: Mapping[str, str] = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp"}
"""What a picture's media type is called as an output format."""


MAX_STOPS, MAX_STOP_CHARS = 16, 500
"""Each is looked for in every delta. OpenAI allows four; other vendors allow more."""

OPTIONS = "options"
"""The seed's object of knobs that OpenAI's calls lack (JR-16): its members are meant as fields of their own."""

_OBJECT = json.Decoder(dict[str, Raw])


def unread(top: Mapping[str, Raw], read: Collection[str]) -> dict[str, Raw]:
    """Return the top-level fields that nobody here reads, those in `options` among them; null ones are left out.

    Raises `InvalidRequest` when `options` is no object.
    """
    extras = {name: value for name, value in top.items() if name not in read and given(value) is not None}
    options = extras.pop(OPTIONS, None)
    return extras if options is None else decode(_OBJECT, options, OPTIONS) | extras


def read_stops(stop: str | list[str] | None) -> tuple[str, ...]:
    """Return the sequences that `stop` names. Raises `InvalidRequest` for too many, or one that is too long."""
    if isinstance(stop, str):
        stop = [stop]
    if stop and (len(stop) > MAX_STOPS or max(map(len, stop)) > MAX_STOP_CHARS):
        message = f"stop may name {MAX_STOPS} sequences of at most {MAX_STOP_CHARS} characters each"
        raise InvalidRequest(message, param="stop")
    return tuple(clean(sequence, f"stop[{position}]") for position, sequence in enumerate(stop or ()) if sequence)


def read_allowed(name: str, offered: Collection[str], path: str) -> str:
    """Return the name of a tool that is allowed to be called. Raises `InvalidRequest` when it is not offered."""
    if name not in offered:
        there = ", ".join(map(repr, offered)) or "none at all"
        raise InvalidRequest(f"{path} names {name!r}, which is not among tools: {there}", param=path)
    return name


def read_boolean(text: str, path: str) -> bool:
    """Return what a text of a form or a URL says. Raises `InvalidRequest`."""
    return known(BOOLEANS, text.lower(), path)


def told_content(result: ToolResult) -> tuple[Text | Image | File, ...]:
    """Return a result's content; that of a call which failed says so in words, as there is no field for it."""
    said = next((part.text for part in result.content if isinstance(part, Text)), "")
    if not result.is_error or said.lower().startswith("error"):
        return result.content
    if result.content and isinstance(first := result.content[0], Text):
        return (Text(f"Error: {first.text}"), *result.content[1:])
    return (Text("Error:"), *result.content)


def size_word(pixels: tuple[int, int] | None) -> str | None:
    """Return a picture's size as both APIs write it, such as `1024x1536`."""
    return None if pixels is None else f"{pixels[0]}x{pixels[1]}"


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return the counts of a chat or a completion: as reported, or marked `estimated`; none that nobody counted."""
    body: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_input_tokens is not None:
        body["prompt_tokens_details"] = {"cached_tokens": usage.cached_input_tokens}
    if usage.reasoning_tokens is not None:
        body["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    if usage.estimated:
        body["estimated"] = True
    return body


def render_error(error: GatewayError) -> bytes:
    """Return OpenAI's error object (JR-13); the type is one of JR-14."""
    detail = {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}
    return json.encode({"error": detail})
