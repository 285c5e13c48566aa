"""Several sentences of the event grammar into one: the turns that share one answer. No I/O, no order of its own.

What comes first is told first, but a block is never interrupted: while one turn's block is open, what the others say
waits. The merged sentence belongs to no conversation, so it names no turn.
"""

from collections import deque
from collections.abc import Sequence

from msgspec import structs

from core.events import (
    Event,
    Finish,
    ImageEnd,
    Progress,
    ReasoningEnd,
    Start,
    TextEnd,
    ToolCallEnd,
    Usage,
)
from core.grammar import BlockStart

_BlockEnd = TextEnd | ReasoningEnd | ToolCallEnd | ImageEnd


class Merger:
    """Takes the events of `count` legal sentences, by their number from 0, and gives those of one."""

    def __init__(self, count: int) -> None:
        self._waiting: list[deque[Event]] = [deque() for _ in range(count)]
        self._finishes: list[Finish] = []
        self._speaker: int | None = None
        self._opened = 0
        self._started = False

    def feed(self, number: int, events: Sequence[Event]) -> list[Event]:
        """Return what may be told by now. The last sentence's `Finish` gives that of all."""
        out: list[Event] = []
        for event in events:
            match event:
                case Start():
                    self._start(event, out)
                case Progress():
                    out.append(event)
                case Finish():
                    self._finishes.append(event)
                case _:
                    self._waiting[number].append(event)
        self._tell(out)
        if len(self._finishes) == len(self._waiting):
            out.append(_finish(self._finishes))
        return out

    def _start(self, start: Start, out: list[Event]) -> None:
        if not self._started:
            self._started = True
            out.append(structs.replace(start, turn=None))

    def _tell(self, out: list[Event]) -> None:
        """Let the open block go on, then the others one after the other, as far as each has come."""
        while self._speaker is not None or any(self._waiting):
            if self._speaker is None:
                self._speaker = next(number for number, events in enumerate(self._waiting) if events)
            if not self._let_speak(self._waiting[self._speaker], out):
                return
            self._speaker = None

    def _let_speak(self, events: deque[Event], out: list[Event]) -> bool:
        """Tell what there is of one block; say whether it is at its end."""
        while events:
            event = events.popleft()
            self._opened += isinstance(event, BlockStart)
            out.append(structs.replace(event, index=self._opened - 1))
            if isinstance(event, _BlockEnd):
                return True
        return False


def _finish(finishes: Sequence[Finish]) -> Finish:
    """Return the end of all: the first that was not an ordinary one speaks for them."""
    chosen = next((finish for finish in finishes if finish.reason != "stop"), finishes[0])
    return structs.replace(chosen, usage=_total([finish.usage for finish in finishes]), turn=None)


def _total(usages: Sequence[Usage | None]) -> Usage | None:
    """Return the sum of all counts, None when one is missing."""
    known = [usage for usage in usages if usage is not None]
    if len(known) < len(usages):
        return None
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in known),
        output_tokens=sum(usage.output_tokens for usage in known),
        cached_input_tokens=_sum([usage.cached_input_tokens for usage in known]),
        reasoning_tokens=_sum([usage.reasoning_tokens for usage in known]),
        estimated=any(usage.estimated for usage in known),
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
