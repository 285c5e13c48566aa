"""Answers with embeddings: as they are where they are what was asked for, else converted exactly (P37)."""

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec import Struct

from core.errors import ProtocolViolation
from core.services import EmbeddingRequest, Embeddings, Encoding
from core.vectors import packed
from core.wire.openai_embeddings import read_answer, render_answer

ONE, TWO = [0.5, -0.25, 1.0], [0.0, 2.0, -1.5]
"""Numbers that 32 bits hold exactly."""


def written(vector: list[float], encoding: Encoding) -> Any:
    return vector if encoding == "float" else base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def answer(*vectors: Any, **fields: Any) -> bytes:
    data = [{"object": "embedding", "index": index, "embedding": each} for index, each in enumerate(vectors)]
    usage = {"prompt_tokens": 3, "total_tokens": 4}
    return json.dumps({"object": "list", "data": data, "model": "m-1", "usage": usage, **fields}).encode()


def asking(encoding: Encoding | None = None, count: int = 2, **fields: Any) -> EmbeddingRequest:
    return EmbeddingRequest(model="m", inputs=("x",) * count, encoding=encoding, **fields)


@pytest.mark.parametrize("encoding", ["float", "base64", None])
def test_what_was_asked_for_passes_as_it_is(encoding: Encoding | None) -> None:
    data = answer(written(ONE, encoding or "float"), written(TWO, encoding or "float"), extra="kept")
    asked = asking(encoding)
    assert render_answer(read_answer(data, asked, "v"), asked) == data


@pytest.mark.parametrize(("given", "wanted"), [("float", "base64"), ("base64", "float"), ("base64", None)])
def test_the_other_encoding_is_converted(given: Encoding, wanted: Encoding | None) -> None:
    asked = asking(wanted)
    rendered = json.loads(
        render_answer(read_answer(answer(written(ONE, given), written(TWO, given)), asked, "v"), asked)
    )
    assert [item["embedding"] for item in rendered["data"]] == [
        written(ONE, wanted or "float"),
        written(TWO, wanted or "float"),
    ]
    assert [item["index"] for item in rendered["data"]] == [0, 1]
    assert rendered["usage"] == {"prompt_tokens": 3, "total_tokens": 4}
    assert (rendered["object"], rendered["model"]) == ("list", "m-1")


def test_vectors_in_another_order_are_put_right() -> None:
    items = [{"index": 1, "embedding": TWO}, {"index": 0, "embedding": ONE}]
    asked = asking()
    rendered = json.loads(render_answer(read_answer(answer(data=items), asked, "v"), asked))
    assert [item["embedding"] for item in rendered["data"]] == [ONE, TWO]


@pytest.mark.parametrize("index", [{}, {"index": None}, {"index": 0}], ids=["missing", "null", "the same"])
def test_indexes_that_tell_nothing_are_those_of_the_list(index: dict[str, Any]) -> None:
    asked = asking()
    data = answer(data=[{**index, "embedding": ONE}, {**index, "embedding": TWO}], usage=None, model=None)
    rendered = json.loads(render_answer(read_answer(data, asked, "v"), asked))
    assert [(item["index"], item["embedding"]) for item in rendered["data"]] == [(0, ONE), (1, TWO)]
    assert (rendered["usage"], rendered["model"]) == (None, "m")


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_dimensions_that_had_no_effect_are_named(encoding: Encoding) -> None:
    data = answer(written(ONE, encoding))
    assert read_answer(data, asking(encoding, 1, dimensions=3), "v").ignored == ()
    assert read_answer(data, asking(encoding, 1, dimensions=2), "v") == Embeddings(body=data, ignored=("dimensions",))


def test_tokens_may_be_counted_in_fractions() -> None:
    data = answer(ONE, TWO, usage={"prompt_tokens": 3.0, "total_tokens": 4.0})
    made = read_answer(data, asking("base64"), "v")
    assert (made.prompt_tokens, made.total_tokens) == (3, 4)


class Broken(Struct, frozen=True):
    id: str
    data: bytes


BROKEN = [
    Broken("no JSON", b"<html>"),
    Broken("another shape", b'{"embeddings": []}'),
    Broken("a vector too few", answer(ONE)),
    Broken("a vector too many", answer(ONE, ONE, ONE)),
    Broken("an index of no input", answer(data=[{"index": 0, "embedding": ONE}, {"index": 2, "embedding": TWO}])),
    Broken("an index for one of them only", answer(data=[{"index": 0, "embedding": ONE}, {"embedding": TWO}])),
    Broken("no vector", answer(ONE, None)),
    Broken("an object", answer(ONE, {"float": ONE})),
    Broken("a text that is no base64", answer(written(ONE, "base64"), "****")),
    Broken("words among numbers", answer(written(ONE, "base64"), ["a"])),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.id)
def test_what_is_no_answer_is_an_error(case: Broken) -> None:
    with pytest.raises(ProtocolViolation, match="embeddings of v"):
        read_answer(case.data, asking(), "v")


@given(some.binary(max_size=80))
def test_garbage_is_an_error(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        read_answer(data, asking(), "v")


def test_vectors_of_another_format_are_rendered_in_this_one() -> None:
    made = Embeddings(vectors=(packed(ONE),), prompt_tokens=2, total_tokens=2)
    assert json.loads(render_answer(made, asking("base64", 1))) == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": written(ONE, "base64")}],
        "model": "m",
        "usage": {"prompt_tokens": 2, "total_tokens": 2},
    }
