"""Blocks by a vendor's own names become a legal sentence: in order, one at a time, nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.errors import ProtocolViolation
from core.events import (
    Citation,
    Event,
    Finish,
    FinishReason,
    ImageEnd,
    ImageStart,
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
from core.fold import FoldedText, fold
from core.request import Opaque, ToolKind
from core.sentence import Sentence

SOURCE = Citation("https://example.com", "Example", 0, 2)


def begun() -> Sentence:
    sentence = Sentence()
    sentence.start(Start("m"))
    return sentence


def ended(sentence: Sentence) -> list[Event]:
    sentence.finish(Finish("stop"))
    return sentence.take()


def test_each_block_is_written_as_it_comes() -> None:
    sentence = begun()
    sentence.begin("a", "reasoning")
    sentence.delta("a", "hm")
    sentence.end("a", opaque=Opaque("w", b"x"))
    sentence.begin("b", "text")
    assert sentence.take() == [
        Start("m"),
        ReasoningStart(0),
        ReasoningDelta(0, "hm"),
        ReasoningEnd(0, Opaque("w", b"x")),
        TextStart(1),
    ]
    sentence.delta("b", "Hi")
    sentence.end("b", (SOURCE,))
    assert ended(sentence) == [TextDelta(1, "Hi"), TextEnd(1, (SOURCE,)), Finish("stop")]


def test_a_block_that_overlaps_waits_for_its_turn() -> None:
    sentence = begun()
    sentence.begin(0, "call", "c0", "first")
    sentence.begin(1, "call", "c1", "second", "custom")
    sentence.delta(1, "later")
    sentence.delta(0, "{}")
    sentence.end(1)
    sentence.end(0)
    assert ended(sentence) == [
        Start("m"),
        ToolCallStart(0, "c0", "first"),
        ToolCallDelta(0, "{}"),
        ToolCallEnd(0),
        ToolCallStart(1, "c1", "second", "custom"),
        ToolCallDelta(1, "later"),
        ToolCallEnd(1),
        Finish("stop"),
    ]


def test_a_waiting_block_goes_on_live_once_it_is_open() -> None:
    sentence = begun()
    sentence.begin(0, "text")
    sentence.begin(1, "text")
    sentence.delta(1, "a")
    sentence.end(0)
    sentence.take()
    sentence.delta(1, "b")
    assert sentence.take() == [TextDelta(1, "b")]


def test_a_finish_ends_what_is_open() -> None:
    sentence = begun()
    sentence.begin(0, "text", phase="commentary")
    sentence.begin(1, "text", phase="final_answer")
    sentence.delta(1, "a")
    assert ended(sentence)[1:] == [
        TextStart(0, "commentary"),
        TextEnd(0),
        TextStart(1, "final_answer"),
        TextDelta(1, "a"),
        TextEnd(1),
        Finish("stop"),
    ]


def test_a_picture_is_a_block_of_its_own() -> None:
    sentence = begun()
    sentence.begin(0, "text")
    sentence.image("image/png", b"x", "a cat")
    sentence.end(0)
    assert ended(sentence)[2:] == [
        TextEnd(0),
        ImageStart(1),
        ImageEnd(1, "image/png", b"x", "a cat"),
        Finish("stop"),
    ]


class Bare(Struct, frozen=True):
    id: str
    kind: ToolKind
    reason: FinishReason
    arguments: list[str]


BARE = [
    Bare("of a function has no arguments", "function", "tool_calls", ["{}"]),
    Bare("of a custom tool has no input", "custom", "tool_calls", []),
    Bare("that was cut has not come to its arguments", "function", "length", []),
]


@pytest.mark.parametrize("case", BARE, ids=lambda case: case.id)
def test_a_call_without_a_word(case: Bare) -> None:
    sentence = begun()
    sentence.begin(0, "call", "c0", "now", case.kind)
    sentence.finish(Finish(case.reason))
    assert [event.arguments for event in sentence.take() if isinstance(event, ToolCallDelta)] == case.arguments


def test_each_call_has_arguments_of_its_own() -> None:
    sentence = begun()
    for key, text in enumerate(("", '{"a":1}', "")):
        sentence.begin(key, "call", f"c{key}", "now")
        sentence.deltas(key, [text] if text else [])
    assert [event for event in ended(sentence) if isinstance(event, ToolCallDelta)] == [
        ToolCallDelta(0, "{}"),
        ToolCallDelta(1, '{"a":1}'),
        ToolCallDelta(2, "{}"),
    ]


def test_only_the_first_start_counts() -> None:
    sentence = begun()
    sentence.start(Start("other"))
    assert sentence.take() == [Start("m")]


def test_what_does_not_exist_can_be_ended_but_not_gone_on_with() -> None:
    sentence = begun()
    sentence.end("nothing")
    with pytest.raises(ProtocolViolation, match="not open"):
        sentence.delta("nothing", "x")


def test_no_block_begins_twice() -> None:
    sentence = begun()
    sentence.begin(0, "text")
    with pytest.raises(ProtocolViolation, match="twice"):
        sentence.begin(0, "text")


@given(st.lists(st.tuples(st.sampled_from("bde"), st.integers(0, 3), st.text(max_size=3))))
def test_whatever_overlaps_the_sentence_is_legal_and_every_text_is_kept(steps: list[tuple[str, int, str]]) -> None:
    sentence = begun()
    texts: dict[int, str] = {}
    events: list[Event] = []
    for step, key, text in steps:
        if step == "b" and not sentence.has(key) and key not in texts:
            sentence.begin(key, "text")
            texts[key] = ""
        elif step == "d" and sentence.has(key):
            sentence.delta(key, text)
            texts[key] += text
        elif step == "e":
            sentence.end(key)
        events += sentence.take()
    response = fold([*events, *ended(sentence)])
    assert [part.text for part in response.parts if isinstance(part, FoldedText)] == [*texts.values()]
