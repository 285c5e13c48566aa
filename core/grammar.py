"""The event grammar of core/events.py as a table, and the checks that read it.

`Progress` may stand before `Start`, between blocks and inside them; nothing at all follows `Finish`.
What the table cannot say, because it counts, is rule 1: indexes are 0, 1, 2 ... in order of opening.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

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

State: TypeAlias = Literal[
    "before Start",
    "between blocks",
    "in text",
    "in reasoning",
    "in a tool call",
    "in an image",
    "after Finish",
]
BlockStart: TypeAlias = TextStart | ReasoningStart | ToolCallStart | ImageStart

TRANSITIONS: Mapping[State, Mapping[type[Event], State]] = {
    "before Start": {Progress: "before Start", Start: "between blocks"},
    "between blocks": {
        Progress: "between blocks",
        TextStart: "in text",
        ReasoningStart: "in reasoning",
        ToolCallStart: "in a tool call",
        ImageStart: "in an image",
        Finish: "after Finish",
    },
    "in text": {Progress: "in text", TextDelta: "in text", TextEnd: "between blocks"},
    "in reasoning": {
        Progress: "in reasoning",
        ReasoningDelta: "in reasoning",
        ReasoningEnd: "between blocks",
    },
    "in a tool call": {
        Progress: "in a tool call",
        ToolCallDelta: "in a tool call",
        ToolCallEnd: "between blocks",
    },
    "in an image": {Progress: "in an image", ImageDelta: "in an image", ImageEnd: "between blocks"},
    "after Finish": {},
}


class GrammarError(ValueError):
    """Events that are not a sentence. `position` counts from 0; at a missing end it is their number."""

    def __init__(self, position: int, rule: str) -> None:
        super().__init__(f"event {position}: {rule}")
        self.position = position


class Checker:
    """Follows a stream event by event. After a `GrammarError` it is of no further use."""

    def __init__(self) -> None:
        self._state: State = "before Start"
        self._opened = 0
        self._position = 0

    def feed(self, events: Iterable[Event]) -> None:
        """Raise `GrammarError` at the first event that may not stand where it stands."""
        for event in events:
            self._step(event)

    def done(self) -> None:
        """Raise `GrammarError` unless the events so far are a whole sentence."""
        if self._state != "after Finish":
            raise GrammarError(self._position, f"the stream ends {self._state}, but only Finish ends one")

    def _step(self, event: Event) -> None:
        following = TRANSITIONS[self._state].get(type(event))
        if following is None:
            raise GrammarError(self._position, _misplaced(event, self._state))
        if not isinstance(event, Start | Progress | Finish):
            self._check_index(event.index, opens=isinstance(event, BlockStart), name=type(event).__name__)
        self._state = following
        self._position += 1

    def _check_index(self, index: int, *, opens: bool, name: str) -> None:
        self._opened += opens
        if index == self._opened - 1:
            return
        rule = "the next block to open is" if opens else "the open block is"
        raise GrammarError(self._position, f"{name} has index {index}, but {rule} {self._opened - 1}")


def check(events: Iterable[Event]) -> None:
    """Raise `GrammarError` unless `events` are one whole sentence of the grammar."""
    checker = Checker()
    checker.feed(events)
    checker.done()


def _misplaced(event: Event, state: State) -> str:
    legal = " or ".join(kind.__name__ for kind in TRANSITIONS[state]) or "nothing"
    return f"{type(event).__name__} stands {state}, where only {legal} may"


def endings(last: Event) -> tuple[Event, ...]:
    """Return the events that must come between `last`, whatever it is but `Finish`, and a `Finish`.

    Raises `ValueError` within an image: half a picture is none.
    """
    match last:
        case TextStart(index) | TextDelta(index):
            return (TextEnd(index),)
        case ReasoningStart(index) | ReasoningDelta(index):
            return (ReasoningEnd(index),)
        case ToolCallStart(index) | ToolCallDelta(index):
            return (ToolCallEnd(index),)
        case ImageStart() | ImageDelta():
            raise ValueError("an image cannot be ended before it is whole")
        case _:
            return ()
