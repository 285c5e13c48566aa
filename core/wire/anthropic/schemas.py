"""What of JSON Schema Anthropic can be told, and a schema put into those terms.

A tool's arguments have any schema, as long as it says that it is an object's. Structured output wants every object
closed (`additionalProperties: false`), takes no schema that refers to itself, and knows no limits of numbers, lengths
or counts (Anthropic's page on structured outputs, November 2026). Closing an object that names its properties is
sound: what the closed schema allows, the open one does too. Any other schema is left to the gateway, which checks the
answer itself.
"""

from typing import Any

from msgspec import Raw, json

from core.errors import MALFORMED_JSON
from core.request import NO_PARAMETERS, OutputFormat

_PLAIN = frozenset({"type", "title", "description", "enum", "const", "format", "default", "$schema", "$ref"})
_LISTS = ("anyOf", "allOf")
_TABLES = ("properties", "$defs", "definitions")
_KNOWN = _PLAIN | {*_LISTS, *_TABLES, "items", "required", "additionalProperties"}
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_MAX_DEPTH = 64
_FIELDS = json.Decoder(dict[str, Raw])


class _Inexpressible(Exception):
    """A part of the schema has no place in Anthropic's language."""


def arguments_schema(parameters: Raw | None) -> dict[str, Any] | Raw:
    """Return the schema of a tool's arguments. Without `"type": "object"` Anthropic refuses the request."""
    if parameters is None:
        return NO_PARAMETERS
    try:
        fields = _FIELDS.decode(parameters)
    except MALFORMED_JSON:
        return parameters
    return parameters if "type" in fields else {"type": "object", **fields}


def adapted(wanted: OutputFormat) -> dict[str, Any] | None:
    """Return the schema in Anthropic's terms, None when it cannot be said in them."""
    if wanted.kind != "json_schema" or wanted.schema is None:
        return None
    try:
        return _Closing(json.decode(wanted.schema)).schema()
    except (*MALFORMED_JSON, _Inexpressible):
        return None


class _Closing:
    """Closes every object of one schema; raises `_Inexpressible` where something else would have to change."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._sound: set[str] = set()

    def schema(self) -> dict[str, Any]:
        closed = self._closed(self._root, (), 0)
        closed.pop("$schema", None)
        return closed

    def _closed(self, schema: Any, trail: tuple[str, ...], depth: int) -> dict[str, Any]:
        """Return a part of the schema, closed; `trail` names the references that led to it."""
        if not isinstance(schema, dict) or not schema.keys() <= _KNOWN or depth > _MAX_DEPTH:
            raise _Inexpressible
        if schema.get("format", "date") not in _FORMATS:
            raise _Inexpressible
        if "$ref" in schema:
            self._follow(schema["$ref"], trail, depth)
        closed = dict(schema)
        for name in _LISTS:
            if name in schema:
                closed[name] = [self._closed(inner, trail, depth + 1) for inner in _list(schema[name])]
        for name in _TABLES:
            if name in schema:
                inner = _table(schema[name]).items()
                closed[name] = {key: self._closed(value, trail, depth + 1) for key, value in inner}
        if "items" in schema:
            closed["items"] = self._closed(schema["items"], trail, depth + 1)
        return _closed_object(closed) if _is_object(schema) else closed

    def _follow(self, reference: Any, trail: tuple[str, ...], depth: int) -> None:
        """See that a reference leads to something that can be said, and never back to itself."""
        if reference in trail:
            raise _Inexpressible
        if reference in self._sound:
            return
        self._closed(self._named(reference), (*trail, reference), depth + 1)
        self._sound.add(reference)

    def _named(self, reference: Any) -> Any:
        steps = reference.split("/") if isinstance(reference, str) else []
        if len(steps) != 3 or steps[0] != "#" or steps[1] not in ("$defs", "definitions"):
            raise _Inexpressible
        return _table(self._root.get(steps[1])).get(steps[2])


def _is_object(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "object" or (isinstance(schema.get("type"), list) and "object" in schema["type"])


def _closed_object(schema: dict[str, Any]) -> dict[str, Any]:
    """Close an object. One whose properties have no names would be left with none at all."""
    if not schema.get("properties") or schema.get("additionalProperties", False) is not False:
        raise _Inexpressible
    return {**schema, "additionalProperties": False}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _Inexpressible
    return value


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Inexpressible
    return value
