from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.contracts import Exchange
from core.events import (
    Event,
    Finish,
    Progress,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    Start,
    TextDelta,
    TextEnd,
    TextStart,
)
from core.fold import FoldedText, fold
from core.grammar import check
from core.limits import Limiter, limiter_for
from core.request import Turn
from core.usage import estimate_tokens
from tests.core.exchanges import exchange
from tests.strategies import pieces, sentences

TURN = Turn("conv", "m1")


def limiter_of(asked: Exchange) -> Limiter | None:
    return limiter_for(asked, asked.target)


def answer(*chunks: str) -> list[Event]:
    deltas = [TextDelta(0, chunk) for chunk in chunks]
    return [Start(turn=TURN), TextStart(0), *deltas, TextEnd(0), Finish("stop", "stop")]


def limited(batches: Sequence[Sequence[Event]], stop: Sequence[str], most: int | None) -> list[Event]:
    limiter = Limiter(stop, most)
    return [event for batch in batches for event in limiter.feed(batch)]


def essence(events: Sequence[Event]) -> tuple[tuple[str, ...], Finish]:
    response = fold(events)
    return tuple(part.text for part in response.parts if isinstance(part, FoldedText)), response.finish


class Case(Struct, frozen=True):
    """`raw` is the reason the gateway gives when it ended the answer itself, "stop" when it did not.

    `met` is the stop sequence that it names then.
    """

    id: str
    given: tuple[str, ...]
    expected: str
    stop: tuple[str, ...] = ()
    most: int | None = None
    raw: str = "stop"
    met: str | None = None


CASES = [
    Case("no limit is met", ("a", "b"), "ab", ("END",), 50),
    Case("a stop in one delta", ("one END two",), "one ", ("END",), raw="stop_sequence", met="END"),
    Case("a stop across two deltas", ("one EN", "D two"), "one ", ("END",), raw="stop_sequence", met="END"),
    Case("a stop letter by letter", tuple("one END two"), "one ", ("END",), raw="stop_sequence", met="END"),
    Case("a stop at the very beginning", ("END", " two"), "", ("END",), raw="stop_sequence", met="END"),
    Case("a stop at the very end", ("one END",), "one ", ("END",), raw="stop_sequence", met="END"),
    Case("half a stop at the end is text", ("one EN",), "one EN", ("END",)),
    Case("half a stop that goes on otherwise is text", ("one EN", "TER"), "one ENTER", ("END",)),
    Case("half a stop within half a stop", ("aa", "ab"), "a", ("aab",), raw="stop_sequence", met="aab"),
    Case("the first of two stops counts", ("a B A",), "a ", ("A", "B"), raw="stop_sequence", met="B"),
    Case("the stop that is complete first counts", ("abcd",), "a", ("abcd", "bc"), raw="stop_sequence", met="bc"),
    Case(
        "of two that are complete together the longer counts", ("abc",), "a", ("c", "bc"), raw="stop_sequence", met="bc"
    ),
    Case("a stop of line feeds", ("one\n", "\ntwo"), "one", ("\n\n",), raw="stop_sequence", met="\n\n"),
    Case("a stop of letters beyond ASCII", ("eins†", "ENDE"), "eins", ("†E",), raw="stop_sequence", met="†E"),
    Case("as many tokens as are allowed", ("one two three",), "one two three", most=3),
    Case("one token too many", ("one two three four",), "one two three ", most=3, raw="max_output_tokens"),
    Case(
        "a token too many in a later delta",
        ("one two", " three", " four"),
        "one two three ",
        most=3,
        raw="max_output_tokens",
    ),
    Case("a word over two deltas is one word", ("one tw", "o thr", "ee"), "one two three", most=3),
    Case("a long word is more than one token", ("abcdefghijkl",), "abcdef", most=1, raw="max_output_tokens"),
    Case("a stop before the last token counts", ("one END two",), "one ", ("END",), 1, "stop_sequence", met="END"),
    Case("the last token before a stop counts", ("one two END",), "one ", ("END",), 1, "max_output_tokens"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.parametrize("batched", [True, False], ids=["one batch", "a batch each"])
def test_an_answer_is_cut(case: Case, batched: bool) -> None:
    events = answer(*case.given)
    out = limited([events] if batched else [[event] for event in events], case.stop, case.most)
    check(out)
    texts, finish = essence(out)
    assert (texts, finish.raw_reason, finish.stop_sequence) == ((case.expected,), case.raw, case.met)
    assert finish.reason == ("length" if case.raw == "max_output_tokens" else "stop")


def test_a_cut_answer_still_names_its_turn() -> None:
    finish = limited([answer("a END")], ["END"], None)[-1]
    assert finish == Finish("stop", "stop_sequence", None, TURN, "END")


def test_after_the_cut_nothing_passes() -> None:
    limiter = Limiter(["END"], None)
    assert limiter.feed(answer("END"))
    assert limiter.done
    assert limiter.feed([Progress("late"), TextDelta(0, "late")]) == []


def test_reasoning_is_not_cut_and_not_counted() -> None:
    thought: list[Event] = [ReasoningStart(0), ReasoningDelta(0, "one END two three"), ReasoningEnd(0)]
    events: list[Event] = [Start(), *thought, TextStart(1), TextDelta(1, "one"), TextEnd(1), Finish("stop")]
    assert limited([events], ["END"], 1) == events


def test_a_stop_does_not_reach_over_blocks() -> None:
    events: list[Event] = [
        Start(),
        TextStart(0),
        TextDelta(0, "EN"),
        TextEnd(0),
        TextStart(1),
        TextDelta(1, "D"),
        TextEnd(1),
    ]
    assert limited([[*events, Finish("stop")]], ["END"], None) == [*events, Finish("stop")]


# Laws.

WORDS = st.text("ab \n9é.", max_size=40)
STOPS = st.lists(st.text("ab \n", min_size=1, max_size=3), max_size=3)


@given(WORDS, STOPS, st.none() | st.integers(1, 60), st.data())
def test_chunking_never_matters(text: str, stop: list[str], most: int | None, data: st.DataObject) -> None:
    whole = essence(limited([answer(text)], stop, most))
    assert essence(limited([answer(*data.draw(pieces(text)))], stop, most)) == whole
    assert essence(limited([answer(*text)], stop, most)) == whole


@given(WORDS, STOPS, st.integers(1, 60))
def test_what_passes_is_a_beginning_within_the_limits(text: str, stop: list[str], most: int) -> None:
    (shown,), finish = essence(limited([answer(text)], stop, most))
    assert text.startswith(shown)
    assert estimate_tokens(shown) <= most
    assert not any(sequence in shown for sequence in stop)
    assert (shown == text) or finish.raw_reason != "stop"


@given(sentences(), STOPS, st.none() | st.integers(1, 60), st.data())
def test_a_sentence_stays_one(sentence: list[Event], stop: list[str], most: int | None, data: st.DataObject) -> None:
    check(limited(data.draw(pieces(sentence)), stop, most))


@given(sentences(("text", "reasoning")), st.data())
def test_without_limits_that_are_met_texts_are_conserved(sentence: list[Event], data: st.DataObject) -> None:
    assert fold(limited(data.draw(pieces(sentence)), ["\0never\0"], 10**9)).parts == fold(sentence).parts


@pytest.mark.parametrize("letter", ["\n", " ", "a", "9", "é"])
def test_endless_repetition_is_counted_in_bounded_space(letter: str) -> None:
    limiter = Limiter([], 10**9)
    limiter.feed([Start(), TextStart(0)])
    for _ in range(5000):
        limiter.feed([TextDelta(0, letter * 10)])
    assert limiter._budget is not None
    assert len(limiter._budget._open) <= 10


def test_tokens_are_limited_here_only_for_an_upstream_that_does_not() -> None:
    assert limiter_of(exchange(max_output_tokens=1)) is not None
    assert limiter_of(exchange("max_output_tokens", max_output_tokens=1)) is None
    assert limiter_of(exchange()) is None


def test_stops_are_seen_to_whatever_the_upstream_does() -> None:
    """Each vendor takes some of them only: OpenAI four, Gemini five, Anthropic none of mere white space."""
    limiter = limiter_of(exchange("max_output_tokens", stop=("x",), max_output_tokens=1))
    assert limiter is not None
    assert essence(limiter.feed(answer("one two x"))) == (
        ("one two ",),
        Finish("stop", "stop_sequence", None, TURN, "x"),
    )
