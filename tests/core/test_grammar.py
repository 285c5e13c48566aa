"""The grammar against an oracle written quite differently: a regular expression over one mark an event."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from msgspec import Struct
from msgspec.structs import replace

from core.events import (
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
from core.grammar import TRANSITIONS, Checker, GrammarError, check
from tests.strategies import pieces, sentences

FINISH = Finish("stop")


class Case(Struct, frozen=True):
    id: str
    given: tuple[Event, ...]
    position: int
    message: str


REFUSED = [
    Case("nothing at all is no sentence", (), 0, "ends before Start"),
    Case("progress alone is no sentence", (Progress("thinking"),), 1, "ends before Start"),
    Case("a stream cut between blocks lacks its finish", (Start(),), 1, "ends between blocks"),
    Case("a stream cut inside a text lacks its finish", (Start(), TextStart(0)), 2, "ends in text"),
    Case("a text may not come before the start", (TextStart(0),), 0, "TextStart stands before Start"),
    Case("a second start is refused", (Start(), Start()), 1, "Start stands between blocks"),
    Case("a delta outside a block is refused", (Start(), TextDelta(0, "a")), 1, "TextDelta stands between"),
    Case(
        "a delta of another kind than its block is refused",
        (Start(), TextStart(0), ReasoningDelta(0, "a")),
        2,
        "ReasoningDelta stands in text, where only Progress or TextDelta or TextEnd may",
    ),
    Case(
        "a block may not be closed as another kind",
        (Start(), ToolCallStart(0, "call_1", "now"), TextEnd(0)),
        2,
        "TextEnd stands in a tool call",
    ),
    Case(
        "a second block may not open inside the first",
        (Start(), ReasoningStart(0), TextStart(1)),
        2,
        "TextStart stands in reasoning",
    ),
    Case("a finish inside a block is refused", (Start(), ImageStart(0), FINISH), 2, "Finish stands in an"),
    Case(
        "a preview after the picture is refused",
        (Start(), ImageStart(0), ImageEnd(0, "image/png", b""), ImageDelta(0, b"")),
        3,
        "ImageDelta stands between blocks",
    ),
    Case("the first block has index 0", (Start(), TextStart(1)), 1, "index 1, but the next block"),
    Case(
        "an index is not used twice",
        (Start(), TextStart(0), TextEnd(0), TextStart(0)),
        3,
        "index 0, but the next block to open is 1",
    ),
    Case(
        "a delta has the index of its block",
        (Start(), TextStart(0), TextDelta(1, "a")),
        2,
        "index 1, but the open block is 0",
    ),
    Case(
        "an end has the index of its block",
        (Start(), ToolCallStart(0, "call_1", "now"), ToolCallDelta(0, "{}"), ToolCallEnd(1)),
        3,
        "index 1, but the open block is 0",
    ),
    Case("nothing follows the finish", (Start(), FINISH, Progress("late")), 2, "where only nothing may"),
    Case("a second finish is refused", (Start(), FINISH, FINISH), 2, "Finish stands after Finish"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_it_names_the_place_and_the_rule(case: Case) -> None:
    with pytest.raises(GrammarError, match=re.escape(case.message)) as caught:
        check(case.given)
    assert caught.value.position == case.position


@given(sentences())
def test_every_sentence_is_accepted(sentence: list[Event]) -> None:
    check(sentence)


@given(sentences(), st.data())
def test_a_checker_accepts_a_sentence_in_any_batches(sentence: list[Event], data: st.DataObject) -> None:
    checker = Checker()
    for batch in data.draw(pieces(sentence)):
        checker.feed(batch)
    checker.done()


@given(sentences(), st.data())
def test_every_beginning_of_a_sentence_is_unfinished(sentence: list[Event], data: st.DataObject) -> None:
    beginning = sentence[: data.draw(st.integers(0, len(sentence) - 1))]
    checker = Checker()
    checker.feed(beginning)
    with pytest.raises(GrammarError) as caught:
        checker.done()
    assert caught.value.position == len(beginning)


@given(sentences(), sentences())
def test_nothing_follows_a_sentence(sentence: list[Event], other: list[Event]) -> None:
    with pytest.raises(GrammarError) as caught:
        check([*sentence, other[0]])
    assert caught.value.position == len(sentence)


@st.composite
def edited_sentences(draw: DrawFn) -> list[Event]:
    """A sentence after up to two slips of the pen: legal still, or not."""
    events = draw(sentences(max_blocks=3))
    for _ in range(draw(st.integers(0, 2))):
        events = draw(slips(events))
    return events


@st.composite
def slips(draw: DrawFn, events: list[Event]) -> list[Event]:
    """One event lost, doubled, moved, or given another index."""
    if not events:
        return events
    position = draw(st.integers(0, len(events) - 1))
    before, event, after = events[:position], events[position], events[position + 1 :]
    rest = before + after
    place = draw(st.integers(0, len(rest)))
    edits = [rest, [*before, event, event, *after], [*rest[:place], event, *rest[place:]]]
    if not isinstance(event, Start | Progress | Finish):
        edits.append([*before, replace(event, index=draw(st.integers(0, 3))), *after])
    return draw(st.sampled_from(edits))


@given(edited_sentences())
def test_it_agrees_with_the_oracle(events: list[Event]) -> None:
    assert is_accepted(events) == is_sentence(events)


def is_accepted(events: list[Event]) -> bool:
    try:
        check(events)
    except GrammarError:
        return False
    return True


def is_sentence(events: list[Event]) -> bool:
    """The oracle: each event is a mark such as `<t0`, `+t0`, `>t0`; `Progress` before the end is dropped."""
    marks = "".join(mark(event) for event in events)
    marks = re.sub(r"P(?=.*F$)", "", marks)
    in_order = [str(index) for index in range(marks.count("<"))] == re.findall(r"<\w(\d)", marks)
    return in_order and re.fullmatch(r"S(?:<(\w\d)(?:\+\1)*>\1)*F", marks) is not None


MARKS: dict[type[Event], str] = {
    Start: "S",
    Progress: "P",
    Finish: "F",
    TextStart: "<t",
    TextDelta: "+t",
    TextEnd: ">t",
    ReasoningStart: "<r",
    ReasoningDelta: "+r",
    ReasoningEnd: ">r",
    ToolCallStart: "<c",
    ToolCallDelta: "+c",
    ToolCallEnd: ">c",
    ImageStart: "<i",
    ImageDelta: "+i",
    ImageEnd: ">i",
}


def mark(event: Event) -> str:
    return MARKS[type(event)] + str(getattr(event, "index", ""))


def test_the_table_knows_every_event_and_only_leads_to_its_own_states() -> None:
    known = {kind for row in TRANSITIONS.values() for kind in row}
    assert known == set(MARKS)
    assert {state for row in TRANSITIONS.values() for state in row.values()} == set(TRANSITIONS)
