"""Values made from schemas: written down for each keyword, and checked by a validator that is not ours."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from msgspec import Struct

from core.loopback.samples import sample


class Case(Struct, frozen=True):
    id: str
    schema: dict[str, Any]
    expected: object


def holder(**properties: object) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


TREE = {
    "$defs": {
        "node": holder(name={"type": "string"}, below={"type": "array", "items": {"$ref": "#/$defs/node"}}),
        "list": holder(next={"anyOf": [{"$ref": "#/$defs/list"}, {"type": "null"}]}),
    }
}

TEXT = {"$defs": {"a": {"type": "string"}}}

CASES = [
    Case("a text is its property's name", holder(city={"type": "string"}), {"city": "city"}),
    Case("only what is required is there", {"type": "object", "properties": {"a": {}}}, {}),
    Case("required without a property takes anything", {"type": "object", "required": ["a"]}, {"a": "a"}),
    Case("numbers are one", holder(a={"type": "integer"}, b={"type": "number"}), {"a": 1, "b": 1}),
    Case("not below the minimum", {"type": "integer", "minimum": 3}, 3),
    Case("above an exclusive minimum", {"type": "integer", "exclusiveMinimum": 3}, 4),
    Case("not above the maximum", {"type": "integer", "maximum": -2}, -2),
    Case("below an exclusive maximum", {"type": "integer", "exclusiveMaximum": 1}, 0),
    Case(
        "a fraction where no whole number fits",
        {"type": "number", "exclusiveMinimum": 2, "maximum": 2.5},
        2.25,
    ),
    Case("a fraction within limits", {"type": "number", "minimum": 0.25, "maximum": 0.75}, 0.5),
    Case("a multiple", {"type": "integer", "minimum": 3, "multipleOf": 5}, 5),
    Case("yes", {"type": "boolean"}, True),
    Case("nothing", {"type": "null"}, None),
    Case("the first of an enumeration", {"enum": ["celsius", "kelvin"]}, "celsius"),
    Case("the constant", {"const": 7}, 7),
    Case("the default", {"type": "integer", "default": 7}, 7),
    Case("the first type that is not null", {"type": ["null", "integer"]}, 1),
    Case("a type told by other words", {"properties": {"a": {"minimum": 2}}, "required": ["a"]}, {"a": 2}),
    Case("a list has one item", {"type": "array", "items": {"type": "integer"}}, [1]),
    Case(
        "a list has as many as it needs",
        {"type": "array", "items": {"type": "integer"}, "minItems": 3},
        [1, 1, 1],
    ),
    Case("a list may have to be empty", {"type": "array", "items": {"type": "integer"}, "maxItems": 0}, []),
    Case("a tuple", {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}]}, [1, True]),
    Case("objects within objects", holder(a=holder(b={"type": "string"})), {"a": {"b": "b"}}),
    Case("the first branch", {"anyOf": [{"type": "null"}, {"type": "integer"}]}, 1),
    Case("the first of oneOf", {"oneOf": [{"type": "integer"}, {"type": "string"}]}, 1),
    Case("all of allOf", {"allOf": [holder(a={"type": "integer"}), holder(b={"const": 2})]}, {"a": 1, "b": 2}),
    Case("what stands beside a reference counts too", TEXT | {"$ref": "#/$defs/a", "minLength": 7}, "value--"),
    Case("a text cut to fit", {"type": "string", "maxLength": 3}, "val"),
    Case("a date", {"type": "string", "format": "date"}, "2026-01-31"),
    Case("an address", {"type": "string", "format": "email"}, "loopback@example.com"),
    Case(
        "a reference to old definitions",
        {"definitions": {"a": {"type": "integer"}}, "$ref": "#/definitions/a"},
        1,
    ),
    Case(
        "a reference with signs in its path",
        {"$defs": {"a/b": {"type": "integer"}}, "$ref": "#/$defs/a~1b"},
        1,
    ),
    Case("anything", {}, "value"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_sample(case: Case) -> None:
    made = sample(case.schema)
    assert made == case.expected
    assert type(made) is type(case.expected)
    Draft202012Validator(case.schema, format_checker=FormatChecker()).validate(made)


@pytest.mark.parametrize("name", ["node", "list"])
def test_a_schema_that_contains_itself_comes_to_an_end(name: str) -> None:
    schema = TREE | {"$ref": f"#/$defs/{name}"}
    Draft202012Validator(schema).validate(sample(schema))


ENDLESS = {"$defs": {"a": holder(a={"$ref": "#/$defs/a"})}, "$ref": "#/$defs/a"}


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(ENDLESS, id="a demand without end"),
        pytest.param({"$ref": "#"}, id="a reference to itself"),
        pytest.param({"$ref": "https://example.com/schema"}, id="a reference to elsewhere"),
        pytest.param({"$ref": "#/$defs/none"}, id="a reference to nothing"),
        pytest.param({"type": "object", "required": 7}, id="required is no list"),
        pytest.param({"type": "object", "properties": [], "required": ["a"]}, id="properties are no object"),
        pytest.param({"type": "integer", "minimum": "a"}, id="a limit is no number"),
        pytest.param({"type": "integer", "multipleOf": 0}, id="a multiple of nothing"),
        pytest.param({"type": {"a": 1}}, id="a type is no name"),
        pytest.param({"anyOf": 7}, id="branches are no list"),
        pytest.param({"allOf": [7]}, id="a part is no schema"),
    ],
)
def test_a_bad_schema_is_survived(schema: dict[str, Any]) -> None:
    sample(schema)
