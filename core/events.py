"""The canonical event stream: what every decoder emits and every encoder reads.

    stream = Start block* Finish          block = XStart XDelta* XEnd, same X and same index throughout

    rule 1  indexes are 0, 1, 2 ... in order of opening
    rule 2  one block is open at a time (a decoder whose vendor interleaves buffers the later one)
    rule 3  failure is an exception, not an event: whoever holds the socket decides how to tell the client

`Progress` may stand anywhere before `Finish`; a fold ignores it. `core/grammar.py` holds the same rules as a table.
"""

from typing import Literal, TypeAlias

from msgspec import Struct

from core.request import Opaque, StoredFile, ToolKind, Turn

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "other"]

CUT_SHORT: frozenset[FinishReason] = frozenset({"length", "content_filter"})
"""Reasons for which an answer ends in the middle of what it says: the call it ends with may be unfinished."""


class Usage(Struct, frozen=True, gc=False):
    """Token counts. `None` means that nobody said; `estimated` means that the gateway counted, not the upstream."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False


class Citation(Struct, frozen=True, gc=False):
    """A source of a text block. `start` and `end` count characters of the block's own text, end excluded."""

    url: str
    title: str
    start: int
    end: int


class Start(Struct, frozen=True):
    """The upstream has begun to answer.

    `model` is what the upstream says it uses, `None` while it has not said. `ignored` names the request's
    parameters that this upstream cannot honour. `turn` is where the upstream keeps the conversation. `notes` are
    facts about how the answer came to be, as (name, value): response headers tell them to the client.
    """

    model: str | None = None
    ignored: tuple[str, ...] = ()
    turn: Turn | None = None
    notes: tuple[tuple[str, str], ...] = ()


class TextStart(Struct, frozen=True, gc=False):
    """`phase` is as in `Message`: a mere label, left out by dialects that have none and where text is told anew."""

    index: int
    phase: str | None = None


class TextDelta(Struct, frozen=True, gc=False):
    index: int
    text: str


class TextEnd(Struct, frozen=True):
    index: int
    citations: tuple[Citation, ...] = ()


class ReasoningStart(Struct, frozen=True, gc=False):
    index: int


class ReasoningDelta(Struct, frozen=True, gc=False):
    index: int
    text: str


class ReasoningEnd(Struct, frozen=True):
    index: int
    opaque: Opaque | None = None


class ToolCallStart(Struct, frozen=True, gc=False):
    index: int
    id: str
    name: str
    kind: ToolKind = "function"


class ToolCallDelta(Struct, frozen=True, gc=False):
    index: int
    arguments: str


class ToolCallEnd(Struct, frozen=True, gc=False):
    index: int


class ImageStart(Struct, frozen=True, gc=False):
    index: int


class ImageDelta(Struct, frozen=True, gc=False):
    """A preview: `data` is a whole, coarser picture."""

    index: int
    data: bytes


class ImageEnd(Struct, frozen=True):
    """The finished picture. `file` says where the upstream keeps it; `data` is empty when a link was asked for."""

    index: int
    media_type: str
    data: bytes
    revised_prompt: str | None = None
    file: StoredFile | None = None


class Progress(Struct, frozen=True, gc=False):
    note: str


class Finish(Struct, frozen=True):
    """The answer is whole. `raw_reason` is the upstream's own word; `turn` names the answer upstream, if it does.

    `stop_sequence` is the request's own that ended the answer, `None` when nobody said which one did.
    """

    reason: FinishReason
    raw_reason: str | None = None
    usage: Usage | None = None
    turn: Turn | None = None
    stop_sequence: str | None = None


Event: TypeAlias = (
    Start
    | TextStart
    | TextDelta
    | TextEnd
    | ReasoningStart
    | ReasoningDelta
    | ReasoningEnd
    | ToolCallStart
    | ToolCallDelta
    | ToolCallEnd
    | ImageStart
    | ImageDelta
    | ImageEnd
    | Progress
    | Finish
)
