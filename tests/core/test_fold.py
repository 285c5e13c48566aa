"""The fold: what each block becomes, that no text is lost, and that batches do not matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.events import (
    Citation,
    Event,
    Finish,
    ImageDelta,
    ImageEnd,
    ImageStart,
    Progress,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    Start,
    TextDelta,
    TextEnd,
    TextStart,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from core.fold import Fold, FoldedImage, FoldedText, Response, ResponsePart, fold
from core.grammar import GrammarError
from core.request import Opaque, Reasoning, ToolCall, Turn
from tests.strategies import pieces, sentences

FINISH = Finish("stop")
CITATION = Citation("https://example.com/", "Example", 0, 5)
OPAQUE = Opaque("anthropic_messages", b"signature")


class PartsCase(Struct, frozen=True):
    id: str
    given: tuple[Event, ...]
    expected: tuple[ResponsePart, ...]


PARTS = [
    PartsCase("no blocks make no parts", (), ()),
    PartsCase(
        "a text joins its deltas and keeps its citations",
        (TextStart(0), TextDelta(0, "hel"), TextDelta(0, "lo"), TextEnd(0, (CITATION,))),
        (FoldedText("hello", (CITATION,)),),
    ),
    PartsCase("a text without deltas is empty", (TextStart(0), TextEnd(0)), (FoldedText(""),)),
    PartsCase(
        "reasoning keeps what only its vendor understands",
        (ReasoningStart(0), ReasoningDelta(0, "hm"), ReasoningEnd(0, OPAQUE)),
        (Reasoning("hm", OPAQUE),),
    ),
    PartsCase(
        "a call keeps its arguments as they were written",
        (
            ToolCallStart(0, "call_1", "now"),
            ToolCallDelta(0, '{ "zone" :'),
            ToolCallDelta(0, '"utc"}'),
            ToolCallEnd(0),
        ),
        (ToolCall("call_1", "now", '{ "zone" :"utc"}'),),
    ),
    PartsCase(
        "a custom call stays custom",
        (ToolCallStart(0, "call_1", "patch", "custom"), ToolCallDelta(0, "*** Begin"), ToolCallEnd(0)),
        (ToolCall("call_1", "patch", "*** Begin", "custom"),),
    ),
    PartsCase(
        "a picture leaves its previews behind",
        (ImageStart(0), ImageDelta(0, b"coarse"), ImageEnd(0, "image/png", b"fine", "a cat")),
        (FoldedImage("image/png", b"fine", "a cat"),),
    ),
    PartsCase(
        "progress leaves no trace",
        (Progress("a"), TextStart(0), Progress("b"), TextDelta(0, "c"), TextEnd(0), Progress("d")),
        (FoldedText("c"),),
    ),
    PartsCase(
        "texts keep their phases",
        (TextStart(0, "commentary"), TextDelta(0, "a"), TextEnd(0), TextStart(1), TextDelta(1, "b"), TextEnd(1)),
        (FoldedText("a", phase="commentary"), FoldedText("b")),
    ),
    PartsCase(
        "blocks stay apart and in order",
        (
            ReasoningStart(0),
            ReasoningDelta(0, "r"),
            ReasoningEnd(0),
            TextStart(1),
            TextDelta(1, "t"),
            TextEnd(1),
            ToolCallStart(2, "call_2", "a"),
            ToolCallDelta(2, "{}"),
            ToolCallEnd(2),
            ToolCallStart(3, "call_3", "b"),
            ToolCallEnd(3),
        ),
        (Reasoning("r"), FoldedText("t"), ToolCall("call_2", "a", "{}"), ToolCall("call_3", "b", "")),
    ),
]


@pytest.mark.parametrize("case", PARTS, ids=lambda case: case.id)
def test_blocks_become_parts(case: PartsCase) -> None:
    assert fold((Start(), *case.given, FINISH)).parts == case.expected


class TurnCase(Struct, frozen=True):
    id: str
    start: Turn | None
    finish: Turn | None
    expected: Turn | None


FIRST, LAST = Turn("c1", "m1"), Turn("c1", "m2")

TURNS = [
    TurnCase("no turn is none", None, None, None),
    TurnCase("the turn of the start stands when the finish names none", FIRST, None, FIRST),
    TurnCase("the turn of the finish is enough", None, LAST, LAST),
    TurnCase("the turn of the finish is the later word", FIRST, LAST, LAST),
]


@pytest.mark.parametrize("case", TURNS, ids=lambda case: case.id)
def test_the_turn_is_the_last_one_named(case: TurnCase) -> None:
    assert fold((Start(turn=case.start), Finish("stop", turn=case.finish))).turn == case.expected


def test_the_head_and_the_finish_are_kept() -> None:
    finish = Finish("length", raw_reason="max_tokens")
    assert fold((Start("gpt-5", ("seed",)), finish)) == Response("gpt-5", ("seed",), (), finish, None)


@given(sentences())
def test_text_is_conserved(sentence: list[Event]) -> None:
    assert [part_text(part) for part in fold(sentence).parts] == block_texts(sentence)


def part_text(part: ResponsePart) -> str:
    if isinstance(part, ToolCall):
        return part.arguments
    return "" if isinstance(part, FoldedImage) else part.text


def block_texts(sentence: list[Event]) -> list[str]:
    opened = [
        event.index for event in sentence if isinstance(event, TextStart | ReasoningStart | ToolCallStart | ImageStart)
    ]
    return ["".join(delta_text(event, index) for event in sentence) for index in opened]


def delta_text(event: Event, index: int) -> str:
    if isinstance(event, TextDelta | ReasoningDelta) and event.index == index:
        return event.text
    return event.arguments if isinstance(event, ToolCallDelta) and event.index == index else ""


@given(sentences(), st.data())
def test_batches_do_not_matter(sentence: list[Event], data: st.DataObject) -> None:
    folding = Fold()
    for batch in data.draw(pieces(sentence)):
        folding.add(batch)
    assert folding.response() == fold(sentence)


@given(sentences(), st.data())
def test_an_unfinished_sentence_has_no_response(sentence: list[Event], data: st.DataObject) -> None:
    folding = Fold()
    folding.add(sentence[: data.draw(st.integers(0, len(sentence) - 1))])
    with pytest.raises(GrammarError):
        folding.response()


def test_an_ungrammatical_event_is_refused() -> None:
    with pytest.raises(ValueError, match="TextDelta stands between blocks"):
        Fold().add((Start(), TextDelta(0, "lost")))
