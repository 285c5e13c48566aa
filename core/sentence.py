"""Writes legal sentences for decoders whose vendors name their blocks: indexes, one open block at a time, a Finish.

A vendor may let blocks overlap. The one that began first stays open; what comes for later ones is kept back until its
turn, so nothing is lost and nothing is out of order.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Literal, TypeAlias

from core.errors import ProtocolViolation
from core.events import (
    Citation,
    Event,
    Finish,
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
from core.request import Opaque, StoredFile, ToolKind

BlockKind: TypeAlias = Literal["text", "reasoning", "call"]

NO_ARGUMENTS = "{}"
"""What clients must find in a call of a function for which the vendor wrote nothing: they read JSON there."""

_DELTAS: dict[BlockKind, type[TextDelta] | type[ReasoningDelta] | type[ToolCallDelta]] = {
    "text": TextDelta,
    "reasoning": ReasoningDelta,
    "call": ToolCallDelta,
}


class Block:
    """One block on its way: what is known of it, and what is kept back while another one is open."""

    __slots__ = ("call_id", "citations", "ended", "image", "kept_back", "kind", "name", "opaque", "phase", "tool_kind")

    def __init__(self, kind: BlockKind, call_id: str = "", name: str = "", tool_kind: ToolKind = "function") -> None:
        self.kind = kind
        self.call_id, self.name, self.tool_kind = call_id, name, tool_kind
        self.kept_back: list[str] = []
        self.citations: tuple[Citation, ...] = ()
        self.opaque: Opaque | None = None
        self.phase: str | None = None
        self.image: ImageEnd | None = None
        self.ended = False


class Sentence:
    """Takes a vendor's blocks by its own keys for them; `take` returns the events they have become."""

    def __init__(self) -> None:
        self._out: list[Event] = []
        self._blocks: OrderedDict[Hashable, Block] = OrderedDict()
        self._open: Hashable = None
        self._delta: type[TextDelta] | type[ReasoningDelta] | type[ToolCallDelta] = TextDelta
        self._index = -1
        self._is_bare = True
        self._is_cut = False
        self.started = False
        self.finished = False

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        out, self._out = self._out, []
        return out

    @property
    def is_empty(self) -> bool:
        """Whether no block has begun."""
        return self._index < 0

    def start(self, start: Start) -> None:
        """Open the sentence, unless it is open already."""
        if not self.started:
            self.started = True
            self._out.append(start)

    def has(self, key: Hashable) -> bool:
        """Say whether a block of this key has begun and not ended."""
        block = self._blocks.get(key)
        return block is not None and not block.ended

    def begin(
        self,
        key: Hashable,
        kind: BlockKind,
        call_id: str = "",
        name: str = "",
        tool_kind: ToolKind = "function",
        phase: str | None = None,
    ) -> None:
        """Begin a block. Raises `ProtocolViolation` while another one of the same key is there."""
        if key in self._blocks:
            raise ProtocolViolation("the upstream began one block twice")
        block = self._blocks[key] = Block(kind, call_id, name, tool_kind)
        block.phase = phase
        if len(self._blocks) == 1:
            self._open_next()

    def delta(self, key: Hashable, text: str) -> None:
        """Add to a block. Raises `ProtocolViolation` for one that has not begun or has ended."""
        if key == self._open:
            self._is_bare = False
            self._out.append(self._delta(self._index, text))
            return
        block = self._blocks.get(key)
        if block is None or block.ended:
            raise ProtocolViolation("the upstream went on with a block that is not open")
        block.kept_back.append(text)

    def deltas(self, key: Hashable, texts: Sequence[str]) -> None:
        """Add to a block several times. Raises as `delta` does."""
        if key == self._open:
            self._is_bare = self._is_bare and not texts
            self._out += [self._delta(self._index, text) for text in texts]
            return
        for text in texts:
            self.delta(key, text)

    def end(self, key: Hashable, citations: tuple[Citation, ...] = (), opaque: Opaque | None = None) -> None:
        """End a block; one that is not there is left alone."""
        block = self._blocks.get(key)
        if block is None:
            return
        block.ended, block.citations, block.opaque = True, citations, opaque
        self._settle()

    def progress(self, note: str) -> None:
        """Tell what the upstream is at that is no block."""
        self._out.append(Progress(note))

    def image(self, media_type: str, data: bytes, revised: str | None = None, file: StoredFile | None = None) -> None:
        """Add a finished picture."""
        block = Block("text")
        block.image = ImageEnd(0, media_type, data, revised, file)
        block.ended = True
        self._blocks[object()] = block
        self._settle()

    def finish(self, finish: Finish) -> None:
        """End whatever is open, and the sentence."""
        # A call that is cut for length here has not come to its arguments.
        self._is_cut = finish.reason == "length"
        for block in self._blocks.values():
            block.ended = True
        self._settle()
        self.finished = True
        self._out.append(finish)

    def _settle(self) -> None:
        """Close the first block when it has ended, and open the ones after it."""
        while self._blocks:
            key, block = next(iter(self._blocks.items()))
            if self._open is None:
                self._open_next()
                continue
            if not block.ended:
                return
            del self._blocks[key]
            self._close(block)
            if self._blocks:
                self._open_next()

    def _open_next(self) -> None:
        key, block = next(iter(self._blocks.items()))
        self._index += 1
        self._open, self._delta, self._is_bare = key, _DELTAS[block.kind], not block.kept_back
        self._out.append(self._opening(block))
        self._out += (self._delta(self._index, text) for text in block.kept_back)
        block.kept_back.clear()

    def _opening(self, block: Block) -> Event:
        if block.image is not None:
            return ImageStart(self._index)
        if block.kind == "call":
            return ToolCallStart(self._index, block.call_id, block.name, block.tool_kind)
        return TextStart(self._index, block.phase) if block.kind == "text" else ReasoningStart(self._index)

    def _close(self, block: Block) -> None:
        self._open = None
        image = block.image
        if image is not None:
            done: Event = ImageEnd(self._index, image.media_type, image.data, image.revised_prompt, image.file)
        elif block.kind == "call":
            if self._is_bare and block.tool_kind == "function" and not self._is_cut:
                self._out.append(ToolCallDelta(self._index, NO_ARGUMENTS))
            done = ToolCallEnd(self._index)
        elif block.kind == "reasoning":
            done = ReasoningEnd(self._index, block.opaque)
        else:
            done = TextEnd(self._index, block.citations)
        self._out.append(done)
