"""Embeddings requests: every form of input, what is refused, and what a vendor is sent."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec import Struct

from core.errors import GatewayError, InvalidRequest
from core.services import EmbeddingRequest
from core.wire.openai_embeddings import build_request, parse_embeddings


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "input": "hello", **fields}).encode()


class Form(Struct, frozen=True):
    id: str
    input: Any
    inputs: tuple[Any, ...]


FORMS = [
    Form("a text", "hello", ("hello",)),
    Form("texts", ["a", "b"], ("a", "b")),
    Form("a list of tokens is one input", [1, 2, 3], ((1, 2, 3),)),
    Form("lists of tokens", [[1, 2], [3]], ((1, 2), (3,))),
]


@pytest.mark.parametrize("case", FORMS, ids=lambda case: case.id)
def test_every_form_of_input_is_read(case: Form) -> None:
    assert parse_embeddings(body(input=case.input)).inputs == case.inputs


def test_what_is_said_besides_is_read_or_kept() -> None:
    asked = parse_embeddings(
        body(encoding_format="base64", dimensions=3, user="u", truncate="END", options={"priority": 1, "truncate": "X"})
    )
    assert (asked.encoding, asked.dimensions, asked.user) == ("base64", 3, "u")
    assert {name: bytes(value) for name, value in asked.extras.items()} == {"truncate": b'"END"', "priority": b"1"}


def test_nothing_is_said_for_the_client() -> None:
    asked = parse_embeddings(body(encoding_format=None, dimensions=None, user=None, extra=None))
    assert asked == EmbeddingRequest(model="m", inputs=("hello",))


class Refusal(Struct, frozen=True):
    id: str
    fields: dict[str, Any]
    param: str
    code: str | None = None


REFUSALS = [
    Refusal("no model", {"model": None}, "model", "missing_required_parameter"),
    Refusal("an empty model", {"model": ""}, "model", "missing_required_parameter"),
    Refusal("no input", {"input": None}, "input", "missing_required_parameter"),
    Refusal("an empty text", {"input": ""}, "input"),
    Refusal("no texts", {"input": []}, "input"),
    Refusal("an empty text among others", {"input": ["a", ""]}, "input[1]"),
    Refusal("no tokens", {"input": [[1], []]}, "input[1]"),
    Refusal("a number", {"input": 7}, "input"),
    Refusal("an object", {"input": {"text": "a"}}, "input"),
    Refusal("objects", {"input": [{"text": "a"}]}, "input[0]"),
    Refusal("a token among texts", {"input": ["a", 1]}, "input[1]"),
    Refusal("a token below nought", {"input": [1, -1]}, "input[1]"),
    Refusal("a token with a fraction", {"input": [[1], [1.5]]}, "input[1][0]"),
    Refusal("a NUL character", {"input": ["a\0"]}, "input[0]"),
    Refusal("too many", {"input": ["a"] * 2049}, "input", "array_above_max_length"),
    Refusal("too many lists", {"input": [[1]] * 2049}, "input", "array_above_max_length"),
    Refusal("an encoding of another kind", {"encoding_format": "bytes"}, "encoding_format"),
    Refusal("no dimensions at all", {"dimensions": 0}, "dimensions"),
    Refusal("dimensions in words", {"dimensions": "3"}, "dimensions"),
    Refusal("a user that is no text", {"user": 7}, "user"),
    Refusal("options that are no object", {"options": []}, "options"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.id)
def test_a_refusal_names_the_field(case: Refusal) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_embeddings(body(**case.fields))
    assert (raised.value.param, raised.value.code) == (case.param, case.code)


@given(some.binary(max_size=60) | some.sampled_from([b"[]", b"null", b'{"model":"m","input":[[[1]]]}']))
def test_garbage_is_refused_politely(data: bytes) -> None:
    with pytest.raises(GatewayError):
        parse_embeddings(data)


def test_a_vendor_is_sent_what_was_said_and_no_more() -> None:
    asked = parse_embeddings(body(input=[[1, 2], [3]], dimensions=3, extra={"a": [1]}, encoding_format="base64"))
    sent = {"extra": {"a": [1]}, "model": "m", "input": [[1, 2], [3]], "dimensions": 3}
    assert json.loads(build_request(asked, asked.encoding)) == {**sent, "encoding_format": "base64"}
    assert json.loads(build_request(asked, None)) == sent
