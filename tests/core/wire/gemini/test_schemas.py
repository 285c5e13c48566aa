"""Google's schemas as JSON Schema, what Gemini keeps to, and how much it thinks."""

import json
from typing import Any

import pytest
from hypothesis import given
from msgspec import Raw, Struct

from core.errors import InvalidRequest
from core.request import Effort, OutputFormat
from core.wire.gemini.schemas import is_kept_to, json_schema
from core.wire.gemini.thinking import effort_of, generation
from tests.strategies import JSON_VALUES


class Case(Struct, frozen=True):
    id: str
    given: dict[str, Any]
    expected: dict[str, Any]


CASES = [
    Case("types in capitals", {"type": "STRING"}, {"type": "string"}),
    Case("no type", {"type": "TYPE_UNSPECIFIED", "title": "T"}, {"title": "T"}),
    Case("nullable", {"type": "INTEGER", "nullable": True}, {"type": ["integer", "null"]}),
    Case("not nullable", {"type": "INTEGER", "nullable": False}, {"type": "integer"}),
    Case(
        "a nullable enumeration",
        {"type": "STRING", "nullable": True, "enum": ["a"]},
        {"type": ["string", "null"], "enum": ["a", None]},
    ),
    Case("counts written as texts", {"type": "ARRAY", "min_items": "1"}, {"type": "array", "minItems": 1}),
    Case("order and example", {"type": "OBJECT", "property_ordering": ["a"], "example": 1}, {"type": "object"}),
    Case(
        "all the way down, but no names of properties",
        {
            "type": "OBJECT",
            "properties": {"a_b": {"type": "ARRAY", "items": {"type": "NUMBER"}}},
            "any_of": [{"type": "BOOLEAN"}, True],
        },
        {
            "type": "object",
            "properties": {"a_b": {"type": "array", "items": {"type": "number"}}},
            "anyOf": [{"type": "boolean"}, True],
        },
    ),
    Case("JSON Schema stays as it is", {"type": ["string", "null"]}, {"type": ["string", "null"]}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_schema_of_googles_own_is_translated(case: Case) -> None:
    assert json.loads(bytes(json_schema(Raw(json.dumps(case.given).encode()), "x"))) == case.expected


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "STRING"}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize("schema", [[], deep(65)], ids=["no object", "too deep"])
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    with pytest.raises(InvalidRequest) as raised:
        json_schema(Raw(json.dumps(schema).encode()), "tools[0].x")
    assert raised.value.param == "tools[0].x"


@given(JSON_VALUES)
def test_any_object_is_translated(value: Any) -> None:
    wrapped = {"type": value, "properties": value, "items": value, "anyOf": value, "enum": value, "nullable": True}
    assert isinstance(json.loads(bytes(json_schema(Raw(json.dumps(wrapped).encode()), "x"))), dict)


class Kept(Struct, frozen=True):
    schema: Any
    expected: bool


KEPT = [
    Kept({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"enum": ["x"]}}}, True),
    Kept({"anyOf": [{"type": "string"}], "additionalProperties": False}, True),
    Kept({"type": "string", "pattern": "x"}, False),
    Kept({"properties": {"a": {"minLength": 1}}}, False),
    Kept({"properties": {"minLength": {}}}, True),
    Kept({"items": {"not": {}}}, False),
    Kept({"anyOf": [{"allOf": []}]}, False),
    Kept({"properties": []}, False),
    Kept({"anyOf": {}}, False),
    Kept([], False),
    Kept(deep(65), False),
]


@pytest.mark.parametrize("case", KEPT, ids=lambda case: json.dumps(case.schema)[:60])
def test_gemini_keeps_to_a_part_of_json_schema(case: Kept) -> None:
    assert is_kept_to(OutputFormat("json_schema", schema=Raw(json.dumps(case.schema).encode()))) is case.expected


@pytest.mark.parametrize("wanted", [OutputFormat("text"), OutputFormat("json_object")])
def test_what_has_no_schema_is_kept_to(wanted: OutputFormat) -> None:
    assert is_kept_to(wanted)


@given(JSON_VALUES)
def test_any_schema_is_judged(value: Any) -> None:
    wrapped = {"properties": value, "items": value, "anyOf": value, "$defs": value}
    assert is_kept_to(OutputFormat("json_schema", schema=Raw(json.dumps(wrapped).encode()))) in (True, False)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemini-3-pro-preview", (3, 0)),
        ("gemini-2.5-flash-lite", (2, 5)),
        ("gemini-3.1-pro", (3, 1)),
        ("gemini-flash-latest", (99, 0)),
        ("gemini-exp-1206", (99, 0)),
        ("gemma-3-27b-it", (1, 0)),
        ("something", (99, 0)),
    ],
)
def test_a_models_name_tells_its_generation(model: str, expected: tuple[int, int]) -> None:
    assert generation(model) == expected


@pytest.mark.parametrize(
    ("budget", "expected"), [(-1, None), (0, "none"), (1, "low"), (4096, "medium"), (16384, "high")]
)
def test_a_budget_is_an_effort(budget: int, expected: Effort | None) -> None:
    assert effort_of(budget) == expected
