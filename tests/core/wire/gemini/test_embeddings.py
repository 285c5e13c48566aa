"""Embeddings by Gemini: what it is sent, what is read of its answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec import Raw

from core.errors import ProtocolViolation, Unsupported
from core.services import EmbeddingRequest, Embeddings
from core.vectors import packed
from core.wire.gemini.embeddings import MAX_BATCH, batches, build_request, joined, read_answer

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


def test_what_is_too_much_for_one_call_is_several() -> None:
    asked = EmbeddingRequest(model="m", inputs=tuple(map(str, range(2 * MAX_BATCH + 1))), dimensions=4)
    several = batches(asked)
    assert [len(batch.inputs) for batch in several] == [MAX_BATCH, MAX_BATCH, 1]
    assert tuple(text for batch in several for text in batch.inputs) == asked.inputs
    assert {(batch.model, batch.dimensions) for batch in several} == {("m", 4)}


@pytest.mark.parametrize(("second", "tokens"), [(3, 5), (None, None)], ids=["counted", "counted in part"])
def test_the_answers_to_several_are_one(second: int | None, tokens: int | None) -> None:
    answers = [
        Embeddings(vectors=(b"a", b"b"), model="m", prompt_tokens=2, total_tokens=2, ignored=("user",)),
        Embeddings(vectors=(b"c",), model="m", prompt_tokens=second, total_tokens=second, ignored=("user",)),
    ]
    whole = Embeddings(
        vectors=(b"a", b"b", b"c"), model="m", prompt_tokens=tokens, total_tokens=tokens, ignored=("user",)
    )
    assert joined(answers) == whole


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
