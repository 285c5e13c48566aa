"""Several sentences become one, however they come: legal, complete, each block whole and in its own order."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from core.events import (
    Event,
    Finish,
    ImageDelta,
    ImageEnd,
    ImageStart,
    Progress,
    Start,
    TextDelta,
    TextEnd,
    TextStart,
    Usage,
)
from core.fold import fold
from core.grammar import check
from core.merging import Merger
from core.request import Turn
from tests.strategies import pieces, sentences


def picture(index: int, data: bytes) -> list[Event]:
    return [ImageStart(index), ImageEnd(index, "image/png", data)]


class Case(Struct, frozen=True):
    """What comes from whom, and what is told at once."""

    id: str
    count: int
    given: list[tuple[int, list[Event]]]
    told: list[list[Event]]


CASES = [
    Case(
        "one start and one end, and blocks numbered anew",
        2,
        [
            (1, [Start("m", ("quality",), Turn("c1"))]),
            (0, [Start("m", ("quality",), Turn("c0"))]),
            (1, [*picture(0, b"b"), Finish("stop")]),
            (0, [*picture(0, b"a"), Finish("stop")]),
        ],
        [[Start("m", ("quality",))], [], picture(0, b"b"), [*picture(1, b"a"), Finish("stop")]],
    ),
    Case(
        "an open block is not interrupted",
        2,
        [
            (0, [Start(), ImageStart(0), ImageDelta(0, b"1")]),
            (1, [Start(), *picture(0, b"b"), ImageStart(1)]),
            (0, [ImageDelta(0, b"2"), ImageEnd(0, "image/png", b"a")]),
            (1, [ImageEnd(1, "image/png", b"c"), Finish("stop")]),
            (0, [Finish("stop")]),
        ],
        [
            [Start(), ImageStart(0), ImageDelta(0, b"1")],
            [],
            [ImageDelta(0, b"2"), ImageEnd(0, "image/png", b"a"), *picture(1, b"b"), ImageStart(2)],
            [ImageEnd(2, "image/png", b"c")],
            [Finish("stop")],
        ],
    ),
    Case(
        "progress is told at once",
        2,
        [(0, [Progress("thinking"), Start(), ImageStart(0)]), (1, [Progress("drawing"), Start()])],
        [[Progress("thinking"), Start(), ImageStart(0)], [Progress("drawing")]],
    ),
    Case(
        "the end that is not an ordinary one speaks for all",
        2,
        [(0, [Start(), Finish("stop", "done")]), (1, [Start(), Finish("content_filter", "blocked", None, Turn("c"))])],
        [[Start()], [Finish("content_filter", "blocked")]],
    ),
    Case(
        "usage is the sum",
        2,
        [
            (0, [Start(), Finish("stop", usage=Usage(1, 2, 3, 4))]),
            (1, [Finish("stop", usage=Usage(10, 20, None, 40, True))]),
        ],
        [[Start()], [Finish("stop", usage=Usage(11, 22, None, 44, True))]],
    ),
    Case(
        "usage that one does not tell is unknown",
        2,
        [(0, [Start(), Finish("stop", usage=Usage(1, 2))]), (1, [Finish("stop")])],
        [[Start()], [Finish("stop")]],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_told(case: Case) -> None:
    merger = Merger(case.count)
    assert [merger.feed(number, events) for number, events in case.given] == case.told


@given(st.data())
def test_any_sentences_in_any_order_are_one_sentence(data: st.DataObject) -> None:
    whole = [data.draw(sentences(max_blocks=3)) for _ in range(data.draw(st.integers(1, 4)))]
    waiting = [data.draw(pieces(sentence)) for sentence in whole]
    merger = Merger(len(whole))
    told: list[Event] = []
    while numbers := [number for number, batches in enumerate(waiting) if batches]:
        number = data.draw(st.sampled_from(numbers))
        told += merger.feed(number, waiting[number].pop(0))
    check(told)
    parts = [part for sentence in whole for part in fold(sentence).parts]
    assert Counter(map(repr, fold(told).parts)) == Counter(map(repr, parts))


@given(sentences())
def test_one_sentence_alone_stays_as_it_is(sentence: list[Event]) -> None:
    told = Merger(1).feed(0, sentence)
    without_turns = [
        structs.replace(event, turn=None) if isinstance(event, Start | Finish) else event for event in sentence
    ]
    assert fold(told) == fold(without_turns)


def test_text_of_two_turns_is_not_mixed() -> None:
    merger = Merger(2)
    told = merger.feed(0, [Start(), TextStart(0), TextDelta(0, "a")])
    told += merger.feed(1, [Start(), TextStart(0), TextDelta(0, "x"), TextEnd(0), Finish("stop")])
    told += merger.feed(0, [TextDelta(0, "b"), TextEnd(0), Finish("stop")])
    assert [getattr(part, "text", None) for part in fold(told).parts] == ["ab", "x"]
