"""The estimator against counts that vendors reported for recorded requests and answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from core.events import (
    Event,
    Finish,
    Start,
    TextDelta,
    TextEnd,
    TextStart,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
)
from core.fold import FoldedText, fold
from core.request import (
    ChatRequest,
    Image,
    Message,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from core.usage import IMAGE_TOKENS, Meter, estimate_input, estimate_tokens
from tests.strategies import pieces, sentences

QUESTION = Message("user", (Text("What is 1231 * 2331?"),))
ASKED = ChatRequest("m", (QUESTION,))


class Reported(Struct, frozen=True):
    """A text, or a call's name and arguments, and how many tokens its vendor counted for it."""

    id: str
    text: str
    tokens: int
    name: str | None = None


ANSWERS = [
    Reported("gpt-4o-mini, a product", "The result of \\( 1231 \\times 2331 \\) is \\( 2,869,461 \\).", 26),
    Reported("gpt-4o-mini, a call", '{"a":1231,"b":2331}', 20, "multiply"),
    Reported("gpt-5.5, one word", "pong", 5),
    Reported("gpt-5.5, a call", '{"a":1231,"b":2331}', 23, "multiply"),
    Reported("claude, a greeting", "Hello there!", 6),
    Reported("gemini, letters in bold", 'There are **3** "r"s in strawberry.\n\nst**r**awbe**rr**y', 23),
    Reported("gemini, a call", '{"location":"San Francisco"}', 15, "weather"),
]
ENVELOPE_TOKENS = 4
"""Newer models count up to four tokens of markup around a text. They are left out on purpose: an answer that was cut
at `max_tokens` would seem to have more than it was allowed."""


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case.id)
def test_an_answer_is_estimated_upwards(case: Reported) -> None:
    text: list[Event] = [TextStart(0), TextDelta(0, case.text), TextEnd(0)]
    call: list[Event] = [ToolCallStart(0, "call_1", case.name or ""), ToolCallDelta(0, case.text), ToolCallEnd(0)]
    finish = Meter(ASKED).feed([Start(), *(call if case.name else text), Finish("stop")])[-1]
    assert isinstance(finish, Finish)
    assert finish.usage is not None
    estimate = finish.usage.output_tokens
    assert estimate + (0 if case.name else ENVELOPE_TOKENS) >= case.tokens
    if case.tokens > 10:
        assert case.tokens <= estimate < 2 * case.tokens


MULTIPLY = Tool(
    "multiply",
    description="Multiply two numbers.",
    parameters=Raw(
        b'{"properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"],"type":"object"}'
    ),
)
CALLED = Message("assistant", (ToolCall("call_1EYWDzueHEp8OsB8jJSEp7WB", "multiply", '{"a": 1231, "b": 2331}'),))
RESULT = Message("tool", (ToolResult("call_1EYWDzueHEp8OsB8jJSEp7WB", (Text("2869461"),)),))
REQUESTS = [
    ("a question with a tool", ChatRequest("m", (QUESTION,), tools=(MULTIPLY,)), 54),
    (
        "a question, a call and its result",
        ChatRequest("m", (QUESTION, Message("assistant", (Text(""),)), CALLED, RESULT), tools=(MULTIPLY,)),
        87,
    ),
]


@pytest.mark.parametrize(("request_", "reported"), [row[1:] for row in REQUESTS], ids=[row[0] for row in REQUESTS])
def test_a_request_is_estimated_upwards(request_: ChatRequest, reported: int) -> None:
    assert reported <= estimate_input(request_) < 2 * reported


class Case(Struct, frozen=True):
    id: str
    text: str
    tokens: int


PIECES = [
    Case("nothing", "", 0),
    Case("a short word", "Hello", 1),
    Case("spaces between words are part of them", "one two three", 3),
    Case("a long word", "internationalization", 4),
    Case("a number", "2869461", 3),
    Case("signs one by one", "()!", 3),
    Case("letters beyond ASCII one by one", "여보세요", 4),
    Case("line feeds together", "a\n\n\n\nb", 3),
    Case("indentation together", "a     b", 3),
    Case("a tenth is added", "a b c d e f g h i j", 11),
]


@pytest.mark.parametrize("case", PIECES, ids=lambda case: case.id)
def test_pieces(case: Case) -> None:
    assert estimate_tokens(case.text) == case.tokens


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(one: str, two: str) -> None:
    assert estimate_tokens(one + two) >= max(estimate_tokens(one), estimate_tokens(two)) - 1


def test_a_picture_counts_as_one_and_reasoning_as_text() -> None:
    bare = estimate_input(ChatRequest("m", (Message("user", ()),)))
    picture = estimate_input(ChatRequest("m", (Message("user", (Image(url="https://a.example"),)),)))
    thought = estimate_input(ChatRequest("m", (Message("user", (Reasoning("one two"),)),)))
    assert (picture - bare, thought - bare) == (IMAGE_TOKENS, 2)


# The meter.


@given(sentences(), st.data())
def test_the_meter_counts_the_same_in_any_batches_and_changes_nothing_else(
    sentence: list[Event], data: st.DataObject
) -> None:
    meter = Meter(ASKED)
    out = [event for batch in data.draw(pieces(sentence)) for event in meter.feed(batch)]
    assert out == Meter(ASKED).feed(sentence)
    assert out[:-1] == sentence[:-1]
    before, after = sentence[-1], out[-1]
    assert isinstance(before, Finish)
    assert isinstance(after, Finish)
    assert after.usage is not None
    if before.usage is not None:
        assert after == before
        return
    assert after.usage.estimated
    assert after.usage.cached_input_tokens is None
    texts = [part.text for part in fold(sentence).parts if isinstance(part, FoldedText | Reasoning)]
    assert after.usage.output_tokens >= estimate_tokens("".join(texts)) - 1


def test_what_nobody_counted_is_estimated_and_says_so() -> None:
    counted = Meter(ASKED).feed([Finish("stop", "stop_sequence", stop_sequence="END")])
    usage = Usage(estimate_input(ASKED), 0, None, None, True)
    assert counted == [Finish("stop", "stop_sequence", usage, stop_sequence="END")]
