"""The words that Chat Completions and Responses share, and what they mean here; and the error object of both."""

from collections.abc import Mapping
from typing import get_args

from msgspec import json

from core.errors import GatewayError
from core.request import Effort, OutputKind, ToolChoice

EFFORTS: Mapping[str, Effort] = {name: name for name in get_args(Effort)}
OUTPUT_KINDS: Mapping[str, OutputKind] = {name: name for name in get_args(OutputKind)}
TOOL_CHOICES: Mapping[str, ToolChoice] = {
    "auto": ToolChoice("auto"),
    "none": ToolChoice("none"),
    "required": ToolChoice("required"),
    "any": ToolChoice("required"),
}
"""`any` means `required` (ruling 1)."""


def render_error(error: GatewayError) -> bytes:
    """Return OpenAI's error object (JR-13); the type is one of JR-14."""
    detail = {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}
    return json.encode({"error": detail})
