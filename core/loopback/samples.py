"""A value made from a JSON Schema, always the same one: what the simulated model fills in.

It holds what is required and no more. `pattern`, `not` and conditions are not followed.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]

_DEEP = 8
"""Beyond this depth the shortest way out is taken: empty lists, null where that is possible."""

_DEEPEST = 40
"""Beyond this depth there is nothing but null: the schema demands what never ends."""

_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "loopback@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uri-reference": "/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample(schema: Schema, name: str = "value") -> object:
    """Return a value that satisfies the schema; a text of no other form is its own property's name.

    A schema that contradicts the rules of schemas stands for any object.
    """
    try:
        return _Sampler(schema).value(schema, name, 0)
    except (TypeError, ValueError, AttributeError, ArithmeticError):
        return {}


class _Sampler:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._makers: Mapping[str, Callable[[Schema, str, int], object]] = {
            "object": self._object,
            "array": self._array,
            "string": _string,
            "integer": _number,
            "number": _number,
            "boolean": lambda schema, name, depth: True,
            "null": lambda schema, name, depth: None,
        }

    def value(self, schema: object, name: str, depth: int) -> object:
        if not isinstance(schema, dict):
            return name
        if depth > _DEEPEST:
            return None
        plain = self._plain(schema, depth)
        if "const" in plain:
            return plain["const"]
        if "default" in plain:
            return plain["default"]
        if plain.get("enum"):
            return plain["enum"][0]
        maker = self._makers.get(_type(plain))
        return maker(plain, name, depth) if maker else name

    def _plain(self, schema: Schema, depth: int) -> Schema:
        """Return the schema with its references and combinations resolved, one level of each at a time."""
        for _ in range(_DEEPEST):
            if isinstance(schema.get("$ref"), str):
                found = self._referred(schema["$ref"])
            elif branches := schema.get("anyOf") or schema.get("oneOf"):
                found = self._branch(branches, depth)
            elif schema.get("allOf"):
                first, *others = schema["allOf"]
                schema = {**schema, "allOf": others}
                found = first
            else:
                break
            rest = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf", "oneOf")}
            schema = _merged(found if isinstance(found, dict) else {}, rest)
        return schema

    def _referred(self, reference: str) -> object:
        """Return what a reference within the schema leads to, anything for one that leads outside."""
        found: object = self._root
        for key in reference.removeprefix("#").split("/")[1:]:
            found = found.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        return found if reference.startswith("#") else {}

    def _branch(self, branches: list[object], depth: int) -> object:
        """Return the first branch, but rather null when it is time to end, and rather not when it is not."""
        wanted = depth > _DEEP
        return next((branch for branch in branches if _is_null(branch) is wanted), branches[0])

    def _object(self, schema: Schema, name: str, depth: int) -> object:
        properties = schema.get("properties", {})
        return {key: self.value(properties.get(key), key, depth + 1) for key in schema.get("required", ())}

    def _array(self, schema: Schema, name: str, depth: int) -> object:
        first = [self.value(item, name, depth + 1) for item in schema.get("prefixItems", ())]
        fewest = schema.get("minItems", 0 if depth > _DEEP or first else 1)
        count = min(max(fewest - len(first), 0), schema.get("maxItems", math.inf))
        return first + [self.value(schema.get("items"), name, depth + 1) for _ in range(int(count))]


def _merged(one: Schema, other: Schema) -> Schema:
    """Return both schemas as one; of two words on the same thing that of `other` counts."""
    properties = {**one.get("properties", {}), **other.get("properties", {})}
    required = list(dict.fromkeys([*one.get("required", ()), *other.get("required", ())]))
    joined = {"properties": properties} if properties else {}
    return {**one, **other, **joined, **({"required": required} if required else {})}


def _type(schema: Schema) -> str:
    given = schema.get("type")
    if isinstance(given, list):
        return next((name for name in given if name != "null"), "null")
    if given is None:
        return next((kind for key, kind in _TELLING.items() if key in schema), "")
    return str(given)


_TELLING = {
    "properties": "object",
    "required": "object",
    "items": "array",
    "prefixItems": "array",
    "minimum": "integer",
    "maximum": "integer",
}
"""Keywords that tell a type which a schema leaves out."""


def _is_null(branch: object) -> bool:
    return isinstance(branch, dict) and branch.get("type") == "null"


def _string(schema: Schema, name: str, depth: int) -> str:
    text = _FORMATS.get(schema.get("format", ""), name)
    shortest = schema.get("minLength", 0)
    text = text if len(text) >= shortest else text.ljust(shortest, "-")
    return text[: schema.get("maxLength", len(text))]


def _number(schema: Schema, name: str, depth: int) -> float:
    """Return 1, or the whole number nearest to it; a fraction where no whole number fits."""
    limits: dict[str, float] = schema
    low = _whole(max(limits.get("minimum", -math.inf), limits.get("exclusiveMinimum", -math.inf) + 1), math.ceil)
    high = _whole(min(limits.get("maximum", math.inf), limits.get("exclusiveMaximum", math.inf) - 1), math.floor)
    if low > high:
        return _middle(limits)
    step = limits.get("multipleOf", 1)
    value = math.ceil(min(max(1, low), high) / step) * step
    return value if value <= high else math.floor(high / step) * step


def _whole(limit: float, rounded: Callable[[float], int]) -> float:
    return limit if math.isinf(limit) else rounded(limit)


def _middle(limits: Mapping[str, float]) -> float:
    low = limits.get("minimum", limits.get("exclusiveMinimum", 0))
    return (low + limits.get("maximum", limits.get("exclusiveMaximum", 0))) / 2
