"""A tool that takes free text, in a format whose tools take objects: its text is the one field of an object."""

from msgspec import Struct, json

from core.errors import MALFORMED_JSON

FREE_TEXT = "input"
"""The name of that field."""


class _FreeText(Struct, frozen=True):
    input: str


_DECODER = json.Decoder(_FreeText)


def free_text(arguments: str) -> str:
    """Return what a custom tool is called with; arguments of another shape are given as they are."""
    try:
        return _DECODER.decode(arguments).input
    except MALFORMED_JSON:
        return arguments
