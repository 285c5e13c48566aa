"""The blocks of an answer that is lifted: their indexes, which of them is open, and the beginning before them."""

import hashlib

from msgspec.structs import replace

from core.events import (
    Event,
    ImageStart,
    ReasoningStart,
    Start,
    TextDelta,
    TextEnd,
    TextStart,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from core.request import Tool


class Blocks:
    """Writes events to an `out` of the caller's. `calls` counts those that are whole, `index` is the newest block's.

    `Start` is passed on as late as possible: until it has `begun` nothing is committed, and `notes` may still be added.
    """

    def __init__(self, exchange_id: str) -> None:
        self._exchange_id = exchange_id
        self.begun = False
        self.start = Start()
        self.notes: tuple[tuple[str, str], ...] = ()
        self.index = -1
        self.in_text = False
        self.calls = 0

    def begin(self, out: list[Event]) -> None:
        if not self.begun:
            self.begun = True
            out.append(replace(self.start, notes=self.notes))

    def started_by(self, start: Start) -> None:
        """Take an attempt's beginning, unless an earlier one's was passed on."""
        if not self.begun:
            self.start = start

    def text(self, text: str, out: list[Event]) -> None:
        if not text:
            return
        if not self.in_text:
            self._open(out)
            self.in_text = True
            out.append(TextStart(self.index))
        out.append(TextDelta(self.index, text))

    def end_text(self, out: list[Event], end: TextEnd | None = None) -> None:
        """End the text that is open, if one is, as `end` does."""
        if self.in_text:
            self.in_text = False
            out.append(TextEnd(self.index, end.citations if end else ()))

    def foreign(self, start: ReasoningStart | ImageStart, out: list[Event]) -> None:
        """Open a block that the upstream brings itself."""
        self._open(out)
        out.append(replace(start, index=self.index))

    def start_call(self, tool: Tool, out: list[Event]) -> None:
        self._open(out)
        out.append(ToolCallStart(self.index, self._new_id(), tool.name, tool.kind))

    def arguments(self, arguments: str, out: list[Event]) -> None:
        if arguments:
            out.append(ToolCallDelta(self.index, arguments))

    def end_call(self, out: list[Event]) -> None:
        out.append(ToolCallEnd(self.index))
        self.calls += 1

    def _open(self, out: list[Event]) -> None:
        self.begin(out)
        self.end_text(out)
        self.index += 1

    def _new_id(self) -> str:
        named = f"{self._exchange_id}/{self.index}"
        return "call_" + hashlib.sha256(named.encode()).hexdigest()[:24]
