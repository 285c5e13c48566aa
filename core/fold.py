"""Folding: a sentence of events becomes the response it spells. A non-streaming answer is nothing else."""

from collections.abc import Sequence
from typing import TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import replace

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
from core.grammar import Checker
from core.request import Reasoning, StoredFile, ToolCall, Turn


class FoldedText(Struct, frozen=True, tag="text"):
    text: str
    citations: tuple[Citation, ...] = ()
    phase: str | None = None


class FoldedImage(Struct, frozen=True, tag="image"):
    """A finished picture; previews leave no trace."""

    media_type: str
    data: bytes
    revised_prompt: str | None = None
    file: StoredFile | None = None


ResponsePart: TypeAlias = FoldedText | Reasoning | ToolCall | FoldedImage


class Response(Struct, frozen=True):
    """A whole answer. `parts` are the blocks in order; `turn` is that of `Finish`, or else of `Start`."""

    model: str | None
    ignored: tuple[str, ...]
    parts: tuple[ResponsePart, ...]
    finish: Finish
    turn: Turn | None


class Fold:
    """Takes events as they come and keeps what a response needs: time and memory are linear in their text."""

    def __init__(self) -> None:
        self._checker = Checker()
        self._start = Start()
        self._finish = Finish("other")
        self._call = ToolCall(id="", name="", arguments="")
        self._phase: str | None = None
        self._pieces: list[str] = []
        self._parts: list[ResponsePart] = []

    def add(self, events: Sequence[Event]) -> None:
        """Raise `GrammarError`, a `ValueError`, when the events do not continue the sentence."""
        self._checker.feed(events)
        for event in events:
            self._add(event)

    def response(self) -> Response:
        """Return the response; raise `GrammarError` while the sentence has no `Finish`."""
        self._checker.done()
        return Response(
            model=self._start.model,
            ignored=self._start.ignored,
            parts=tuple(self._parts),
            finish=self._finish,
            turn=self._finish.turn or self._start.turn,
        )

    def _add(self, event: Event) -> None:
        match event:
            case TextDelta() | ReasoningDelta():
                self._pieces.append(event.text)
            case ToolCallDelta():
                self._pieces.append(event.arguments)
            case TextStart():
                self._phase = event.phase
            case ReasoningStart() | ImageStart() | ImageDelta() | Progress():
                pass
            case ToolCallStart():
                self._call = ToolCall(id=event.id, name=event.name, arguments="", kind=event.kind)
            case TextEnd():
                self._parts.append(FoldedText(self._joined(), event.citations, self._phase))
            case ReasoningEnd():
                self._parts.append(Reasoning(self._joined(), event.opaque))
            case ToolCallEnd():
                self._parts.append(replace(self._call, arguments=self._joined()))
            case ImageEnd():
                self._parts.append(FoldedImage(event.media_type, event.data, event.revised_prompt, event.file))
            case Start():
                self._start = event
            case Finish():
                self._finish = event
            case _:
                assert_never(event)

    def _joined(self) -> str:
        text = "".join(self._pieces)
        self._pieces.clear()
        return text


def fold(events: Sequence[Event]) -> Response:
    """Return the response that a whole sentence spells; raise `GrammarError` when it is not one."""
    folding = Fold()
    folding.add(events)
    return folding.response()
