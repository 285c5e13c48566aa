"""Embeddings by Gemini: what it is sent, what is read of its answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec import Raw

from core.errors import ProtocolViolation, Unsupported
from core.services import EmbeddingRequest
from core.vectors import packed
from core.wire.gemini.embeddings import build_request, read_answer

ASKED = EmbeddingRequest(
    model="gemini-embedding-001", inputs=("a", "b"), dimensions=2, user="u", extras={"x": Raw(b"1")}
)
ANSWER = {"embeddings": [{"values": [1, 0.5]}, {"values": [0, -2]}], "usageMetadata": {"promptTokenCount": 2}}


def test_every_text_is_a_request_of_its_own() -> None:
    one = {"model": "models/gemini-embedding-001", "outputDimensionality": 2}
    assert json.loads(build_request(ASKED, "gemini")) == {
        "requests": [{**one, "content": {"parts": [{"text": text}]}} for text in "ab"]
    }


def test_the_size_is_left_to_the_model_unless_it_was_said() -> None:
    [one] = json.loads(build_request(EmbeddingRequest(model="m", inputs=("a",)), "gemini"))["requests"]
    assert "outputDimensionality" not in one


def test_token_numbers_are_refused() -> None:
    with pytest.raises(Unsupported) as raised:
        build_request(EmbeddingRequest(model="m", inputs=((1, 2),)), "gemini")
    assert raised.value.param == "input"


def test_the_vectors_are_read_and_what_had_no_effect_is_named() -> None:
    made = read_answer(json.dumps(ANSWER).encode(), ASKED, "gemini")
    assert made.vectors == (packed([1, 0.5]), packed([0, -2]))
    assert (made.model, made.prompt_tokens, made.total_tokens) == ("gemini-embedding-001", 2, 2)
    assert made.ignored == ("user", "x")


def test_tokens_that_nobody_counted_are_none() -> None:
    data = json.dumps({"embeddings": ANSWER["embeddings"]}).encode()
    assert read_answer(data, ASKED, "gemini").prompt_tokens is None


@pytest.mark.parametrize(
    "data",
    [b"{}", b'{"embeddings": []}', b'{"embeddings": [{"values": [1]}, {"values": [1e300]}]}'],
    ids=["another shape", "too few", "a number too large"],
)
def test_what_is_no_answer_is_an_error(data: bytes) -> None:
    with pytest.raises(ProtocolViolation, match="embeddings of gemini"):
        read_answer(data, ASKED, "gemini")


@given(some.binary(max_size=80))
def test_garbage_is_an_error(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        read_answer(data, ASKED, "gemini")
