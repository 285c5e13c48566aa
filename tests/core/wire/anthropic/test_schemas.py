"""Which schemas Anthropic can be given, and how they are closed."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from core.request import OutputFormat
from core.wire.anthropic.schemas import adapted, arguments_schema
from tests.strategies import JSON_VALUES

NAME = {"type": "string"}


def closed(schema: object) -> Any:
    return adapted(OutputFormat("json_schema", "x", Raw(json.dumps(schema).encode())))


def thing(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


class Case(Struct, frozen=True):
    id: str
    given: Any
    expected: Any


CASES = [
    Case("an object is closed", thing(a=NAME), {**thing(a=NAME), "additionalProperties": False}),
    Case(
        "objects inside lists and choices are closed too",
        {"$schema": "x", "type": "array", "items": {"anyOf": [thing(a=NAME), {"type": "null"}]}},
        {
            "type": "array",
            "items": {"anyOf": [{**thing(a=NAME), "additionalProperties": False}, {"type": "null"}]},
        },
    ),
    Case(
        "an object that may be null",
        {"type": ["object", "null"], "properties": {"a": NAME}},
        {"type": ["object", "null"], "properties": {"a": NAME}, "additionalProperties": False},
    ),
    Case(
        "references to what is defined",
        {**thing(a={"$ref": "#/$defs/b"}, c={"$ref": "#/$defs/b"}), "$defs": {"b": thing(d=NAME)}},
        {
            **thing(a={"$ref": "#/$defs/b"}, c={"$ref": "#/$defs/b"}),
            "$defs": {"b": {**thing(d=NAME), "additionalProperties": False}},
            "additionalProperties": False,
        },
    ),
    Case("a list of words", {"enum": ["a", 1, None]}, {"enum": ["a", 1, None]}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_schema_is_put_into_anthropics_terms(case: Case) -> None:
    assert closed(case.given) == case.expected


INEXPRESSIBLE = {
    "a limit of a number": {"type": "integer", "minimum": 1},
    "a limit of a length": {"type": "string", "maxLength": 1},
    "a pattern": {"type": "string", "pattern": "a"},
    "a format nobody knows": {"type": "string", "format": "phone"},
    "an object of unnamed properties": {"type": "object"},
    "an object of any other properties": {**thing(a=NAME), "additionalProperties": NAME},
    "an object that is open on purpose": {**thing(a=NAME), "additionalProperties": True},
    "exactly one of several": {"oneOf": [NAME]},
    "a limit deep inside": thing(a={"type": "array", "items": {"type": "string", "minLength": 1}}),
    "a schema that refers to itself": {
        **thing(a={"$ref": "#/$defs/b"}),
        "$defs": {"b": thing(c={"$ref": "#/$defs/b"})},
    },
    "a reference to the whole": thing(a={"$ref": "#"}),
    "a reference to nothing": thing(a={"$ref": "#/$defs/b"}),
    "a reference elsewhere": thing(a={"$ref": "https://a.example/b"}),
    "a reference that is none": thing(a={"$ref": 1}),
    "anything": True,
    "choices that are no list": {"anyOf": 1},
    "properties that are no table": {"type": "object", "properties": [1]},
}


@pytest.mark.parametrize("schema", INEXPRESSIBLE.values(), ids=INEXPRESSIBLE)
def test_what_cannot_be_said_is_left_to_the_gateway(schema: Any) -> None:
    assert closed(schema) is None


def test_json_of_any_shape_cannot_be_asked_for() -> None:
    assert adapted(OutputFormat("json_object")) is None
    assert adapted(OutputFormat("json_schema", "x", Raw(b"{"))) is None


SCHEMAS = st.recursive(
    st.sampled_from([NAME, {"type": "integer"}, {"type": "null"}, {"const": 1}]),
    lambda inner: (
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(lambda named: thing(**named))
        | inner.map(lambda item: {"type": "array", "items": item})
        | st.lists(inner, min_size=1, max_size=2).map(lambda several: {"anyOf": several})
    ),
    max_leaves=5,
)


@given(SCHEMAS, JSON_VALUES | st.dictionaries(st.sampled_from("abcd"), JSON_VALUES))
def test_what_a_closed_schema_allows_the_open_one_does_too(schema: Any, value: Any) -> None:
    tight = closed(schema)
    assert tight is not None
    if jsonschema.Draft202012Validator(tight).is_valid(value):
        assert jsonschema.Draft202012Validator(schema).is_valid(value)


ARGUMENTS = [
    Case("no schema", None, thing()),
    Case("nothing in it", {}, {"type": "object"}),
    Case("properties without a type", {"properties": {"a": NAME}}, thing(a=NAME)),
    Case("an object's", thing(a=NAME), thing(a=NAME)),
    Case("what is no object is left to Anthropic to judge", [], []),
]


@pytest.mark.parametrize("case", ARGUMENTS, ids=lambda case: case.id)
def test_the_arguments_of_a_tool_are_an_object(case: Case) -> None:
    parameters = None if case.given is None else Raw(json.dumps(case.given).encode())
    assert json.loads(msgspec.json.encode(arguments_schema(parameters))) == case.expected
