"""Google's own schema language (a part of OpenAPI's) as JSON Schema, and what of JSON Schema Gemini's models keep to.

Sources: the API's reference of `Schema` and of `responseJsonSchema` (November 2026).
"""

from collections.abc import Callable
from typing import Any

from msgspec import Raw, json

from core.errors import MALFORMED_JSON, InvalidRequest
from core.request import OutputFormat
from core.wire.gemini.spelling import camel

_COUNTS = ("minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength")
"""64-bit integers, which Google's JSON writes as strings."""
_DROPPED = ("nullable", "propertyOrdering", "example")
_MAX_DEPTH = 64

_KEPT_TO = frozenset(
    {
        "$id",
        "$defs",
        "$ref",
        "$anchor",
        "$schema",
        "type",
        "format",
        "title",
        "description",
        "enum",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
        "properties",
        "additionalProperties",
        "required",
        "propertyOrdering",
        "default",
        "examples",
    }
)
"""The keywords an answer is held to, or that only describe; the API takes others and lets the model forget them."""
_LISTS = ("anyOf", "oneOf", "prefixItems")
_TABLES = ("properties", "$defs")


def json_schema(schema: Raw, path: str) -> Raw:
    """Return a schema of Google's language as JSON Schema. Raises `InvalidRequest` for one that is no object."""
    value = json.decode(schema)
    if not isinstance(value, dict):
        raise InvalidRequest(f"{path} must be an object", param=path)
    return Raw(json.encode(_translated(value, path, 0)))


def _translated(schema: Any, path: str, depth: int) -> Any:
    if not isinstance(schema, dict):
        return schema
    if depth > _MAX_DEPTH:
        raise InvalidRequest(f"{path} is nested more than {_MAX_DEPTH} deep", param=path)
    fields = {camel(name): value for name, value in schema.items()}
    translated = {name: value for name, value in fields.items() if name not in _DROPPED}
    for name in _COUNTS:
        if isinstance(count := translated.get(name), str) and count.isdecimal():
            translated[name] = int(count)
    _translate_inner(translated, lambda inner: _translated(inner, path, depth + 1))
    return _with_type(translated, bool(fields.get("nullable")))


def _translate_inner(schema: dict[str, Any], translate: Callable[[Any], Any]) -> None:
    if isinstance(items := schema.get("items"), dict):
        schema["items"] = translate(items)
    if isinstance(properties := schema.get("properties"), dict):
        schema["properties"] = {name: translate(inner) for name, inner in properties.items()}
    for name in _LISTS:
        if isinstance(inner := schema.get(name), list):
            schema[name] = [translate(each) for each in inner]


def _with_type(schema: dict[str, Any], nullable: bool) -> dict[str, Any]:
    """Return the schema with its type in small letters, and with null allowed where `nullable` said so."""
    kind = schema.pop("type", None)
    names = [kind] if isinstance(kind, str) else kind if isinstance(kind, list) else []
    types = [name.lower() for name in names if isinstance(name, str) and name != "TYPE_UNSPECIFIED"]
    if nullable and types and "null" not in types:
        types.append("null")
        if isinstance(values := schema.get("enum"), list) and None not in values:
            schema["enum"] = [*values, None]
    if types:
        return {"type": types[0] if len(types) == 1 else types, **schema}
    return schema


def is_kept_to(wanted: OutputFormat) -> bool:
    """Say whether Gemini holds its answer to all that this format says."""
    if wanted.kind != "json_schema" or wanted.schema is None:
        return True
    try:
        return _knows(json.decode(wanted.schema), 0)
    except MALFORMED_JSON:
        return False


def _knows(schema: Any, depth: int) -> bool:
    if isinstance(schema, bool):
        return True
    if not isinstance(schema, dict) or depth > _MAX_DEPTH or not schema.keys() <= _KEPT_TO:
        return False
    lists = [schema[name] for name in _LISTS if name in schema]
    tables = [schema[name] for name in _TABLES if name in schema]
    if not all(isinstance(each, list) for each in lists) or not all(isinstance(each, dict) for each in tables):
        return False
    inner = [schema[name] for name in ("items", "additionalProperties") if name in schema]
    inner += (each for several in lists for each in several)
    inner += (each for several in tables for each in several.values())
    return all(_knows(each, depth + 1) for each in inner)
