"""Validation by schema: what is noticed, what is of no use, and that nothing is ever fetched."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct, json

from core.tools.schema import MAX_REASON_CHARS, violation
from tests.strategies import JSON_VALUES

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"


class Case(Struct, frozen=True):
    """A schema, a value, and the beginning of what is wrong with it: empty for nothing."""

    id: str
    schema: Any
    value: Any
    reason: str = ""


CASES = [
    Case("a value that satisfies", {"type": "object"}, {}),
    Case("a wrong type", {"type": "object"}, [], "[] is not of type 'object'"),
    Case(
        "a wrong type further in",
        {"properties": {"a": {"items": {"type": "integer"}}}},
        {"a": [1, "x"]},
        "a[1]: 'x' is not of type",
    ),
    Case("a missing property", {"required": ["a"]}, {}, "'a' is a required property"),
    Case(
        "a property too many",
        {"properties": {}, "additionalProperties": False},
        {"b": 1},
        "Additional properties are not",
    ),
    Case("a value that is not in the list", {"enum": ["a"]}, "b", "'b' is not one of ['a']"),
    Case("a reference within", {"$defs": {"n": {"type": "null"}}, "$ref": "#/$defs/n"}, 1, "1 is not of type 'null'"),
    Case("a draft 7 schema", {"$schema": DRAFT_7, "items": [{"type": "null"}]}, [1], "[0]: 1 is not of type 'null'"),
    Case(
        "a list of items means nothing in 2020-12",
        {"$schema": DRAFT_2020, "prefixItems": [{"type": "null"}]},
        [1],
        "[0]: 1 is not of type 'null'",
    ),
    Case(
        "an unknown draft is read as 2020-12",
        {"$schema": "urn:none", "prefixItems": [{"type": "null"}]},
        [1],
        "[0]: 1 is not",
    ),
    Case("a remote reference is of no use", {"$ref": "http://127.0.0.1:9/schema.json"}, 1),
    Case(
        "a remote reference further in is of no use", {"properties": {"a": {"$ref": "https://example.com/s"}}}, {"a": 1}
    ),
    Case("a reference to a file is of no use", {"$ref": "file:///etc/hosts"}, 1),
    Case("a reference to nothing is of no use", {"$ref": "#/$defs/none"}, 1),
    Case("a reference in a circle is of no use", {"$ref": "#"}, 1),
    Case("a schema that is none is of no use", {"type": "integre"}, "x"),
    Case("a list is no schema", [], 1),
    Case("a number is no schema", 5, 1),
    Case("a name of a draft that is no text is of no use", {"$schema": [1]}, 1),
    Case("a bad pattern is of no use", {"pattern": "("}, "x"),
    Case("a bad base is of no use", {"$id": "http://[", "$ref": "x"}, 1),
    Case("a huge number is no fault of ours", {"multipleOf": 0.1}, 10**400),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_value_is_judged_by_its_schema(case: Case) -> None:
    reason = violation(Raw(json.encode(case.schema)), case.value)
    assert reason.startswith(case.reason)
    assert bool(reason) is bool(case.reason)


def test_broken_json_is_no_schema() -> None:
    assert violation(Raw(b'{"type":'), 1) == ""
    assert violation(Raw(b"\xff"), 1) == ""
    assert violation(Raw(b"[" * 100_000), 1) == ""


def test_a_reason_is_short() -> None:
    reason = violation(Raw(b'{"type":"null"}'), "x" * 10_000)
    assert MAX_REASON_CHARS < len(reason) <= MAX_REASON_CHARS + 3


KEYWORDS = st.sampled_from(
    (
        "type",
        "$ref",
        "$id",
        "$schema",
        "$anchor",
        "$dynamicRef",
        "items",
        "properties",
        "required",
        "enum",
        "pattern",
        "allOf",
        "not",
        "multipleOf",
        "minimum",
        "patternProperties",
        "if",
        "then",
        "uniqueItems",
        "format",
        "const",
        "dependentRequired",
    )
)
SCHEMAS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats(allow_nan=False)
    | st.sampled_from(("object", "#", "#/a", "http://[", "(", "date")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=3),
    max_leaves=8,
)


@given(schema=SCHEMAS, value=JSON_VALUES)
def test_no_schema_is_too_odd(schema: Any, value: Any) -> None:
    violation(Raw(json.encode(schema)), value)


def run_python(source: str) -> str:
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60).stdout


GUARDED = """
import sys
def refuse(event, arguments):
    if event.startswith(("socket.", "urllib.")):
        raise AssertionError(event)
from msgspec import Raw
from core.tools.schema import violation
sys.addaudithook(refuse)
for place in ("http://127.0.0.1:9/s", "https://example.com/s", "ftp://example.com/s", "file:///etc/hosts"):
    assert violation(Raw(b'{"$ref": "' + place.encode() + b'"}'), 1) == ""
print(violation(Raw(b'{"type":"null"}'), 1))
"""


def test_validation_opens_no_socket() -> None:
    assert run_python(GUARDED) == "1 is not of type 'null'\n"


def test_the_application_does_not_load_the_validator() -> None:
    loaded = run_python("import sys, api.index; print(*(name.split('.')[0] for name in sys.modules))").split()
    assert "core" in loaded
    assert not {"jsonschema", "referencing", "rpds", "jsonschema_specifications"} & set(loaded)
