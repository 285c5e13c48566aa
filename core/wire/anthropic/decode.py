"""Anthropic's stream of named events to canonical events.

Blocks in which Anthropic tells of tools that it ran itself are left out; the sources that they found stand in the
text's citations. A call of a tool that takes free text is kept back until its JSON is whole.
"""

from collections.abc import Sequence

from msgspec import json, structs

from core.errors import MALFORMED_JSON, ProtocolViolation
from core.events import Citation, Finish, FinishReason, Start, Usage
from core.free_text import free_text
from core.stream_decoder import StreamDecoder
from core.tool_names import Names
from core.wire.anthropic.errors import stated_error
from core.wire.anthropic.events import ContentBlock, Delta, Fault, Source, StreamEvent, TokenCounts
from core.wire.anthropic.opaque import sealed

_EVENT = json.Decoder(StreamEvent)

_FINISHES: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class _Block:
    """What is known of an open block beside its text; `pieces` is kept for a custom tool's call only."""

    __slots__ = ("chars", "citations", "data", "pieces", "signature")

    def __init__(self, data: str = "", custom: bool = False) -> None:
        self.data = data
        self.signature = ""
        self.chars = 0
        self.citations: list[Source] = []
        self.pieces: list[str] | None = [] if custom else None


class MessagesDecoder(StreamDecoder):
    """Decodes one stream. `upstream` is the vendor's name in errors, `names` what the request called the tools."""

    def __init__(self, upstream: str, names: Names, ignored: tuple[str, ...] = ()) -> None:
        super().__init__(upstream, ignored)
        self._names = names
        self._blocks: dict[int, _Block] = {}
        self._has_called = False
        self._raw_reason: str | None = None
        self._stop_sequence: str | None = None
        self._counts = TokenCounts()

    def _take(self, name: bytes, frame: bytes) -> None:
        if self._sentence.finished or frame == b"[DONE]":
            return
        self._take_event(_EVENT.decode(frame))

    def _bare_text(self, frame: bytes) -> str | None:
        try:
            event = _EVENT.decode(frame)
        except MALFORMED_JSON:
            return None
        text = event.delta.text if event.delta else None
        bare = StreamEvent("content_block_delta", event.index, delta=Delta("text_delta", text))
        return text if event == bare else None

    def _take_texts(self, texts: Sequence[str], example: bytes) -> None:
        index = _EVENT.decode(example).index
        block = None if index is None else self._blocks.get(index)
        if index is None or block is None or self._sentence.finished:
            return
        self._sentence.deltas(index, [text for text in texts if text])
        block.chars += sum(map(len, texts))

    def _take_event(self, event: StreamEvent) -> None:
        match event.type:
            case "content_block_delta":
                self._extend(event.index, event.delta or Delta())
            case "content_block_start":
                self._begin(event.index, event.content_block)
            case "content_block_stop":
                self._end_block(event.index)
            case "message_start":
                self._start(event)
            case "message_delta":
                delta = event.delta or Delta()
                self._raw_reason = delta.stop_reason or self._raw_reason
                self._stop_sequence = delta.stop_sequence or self._stop_sequence
                self._count(event.usage)
            case "message_stop":
                self._finish()
            case "error":
                fault = event.error or Fault()
                raise stated_error(fault.type, fault.message, self._upstream)
            case _:
                pass

    def _start(self, event: StreamEvent) -> None:
        message = event.message
        self._sentence.start(Start((message and message.model) or None, self._ignored))
        if message is not None:
            self._count(message.usage)

    # Blocks.

    def _begin(self, index: int | None, block: ContentBlock | None) -> None:
        if index is None or block is None:
            raise self._violation(f"{self._upstream} began a block without saying which")
        self._sentence.start(Start(None, self._ignored))
        match block.type:
            case "text":
                self._sentence.begin(index, "text")
                self._blocks[index] = _Block()
                self._text(index, block.text)
            case "thinking":
                self._sentence.begin(index, "reasoning")
                self._blocks[index] = _Block()
                self._extend(index, Delta(thinking=block.thinking, signature=block.signature))
            case "redacted_thinking":
                self._sentence.begin(index, "reasoning")
                self._blocks[index] = _Block(block.data or "")
            case "tool_use":
                self._begin_call(index, block)
            case _:
                pass

    def _begin_call(self, index: int, block: ContentBlock) -> None:
        if not block.id or not block.name:
            raise self._violation(f"{self._upstream} made a call without a name or an id")
        name = self._names.own(block.name)
        is_custom = self._names.is_custom(name)
        self._sentence.begin(index, "call", block.id, name, "custom" if is_custom else "function")
        self._blocks[index] = _Block(custom=is_custom)
        self._has_called = True
        given = bytes(block.input)
        if given.startswith(b"{") and given[1:-1].strip():
            # Compatible vendors give the arguments at once. Others begin with "", which is no object.
            self._arguments(index, given.decode())

    def _extend(self, index: int | None, delta: Delta) -> None:
        block = None if index is None else self._blocks.get(index)
        if index is None or block is None:
            return
        if delta.partial_json:
            self._arguments(index, delta.partial_json)
        elif delta.text:
            self._text(index, delta.text)
        elif delta.thinking:
            self._sentence.delta(index, delta.thinking)
        if delta.citation is not None:
            block.citations.append(delta.citation)
        if delta.signature:
            block.signature += delta.signature

    def _text(self, index: int, text: str | None) -> None:
        if text:
            self._sentence.delta(index, text)
            self._blocks[index].chars += len(text)

    def _arguments(self, index: int, text: str) -> None:
        pieces = self._blocks[index].pieces
        if pieces is None:
            self._sentence.delta(index, text)
        else:
            pieces.append(text)

    def _end_block(self, index: int | None) -> None:
        block = None if index is None else self._blocks.pop(index, None)
        if index is None or block is None:
            return
        if block.pieces:
            self._sentence.delta(index, free_text("".join(block.pieces)))
        cited = {source.url: source.title or source.url for source in block.citations if source.url}
        citations = tuple(Citation(url, title, 0, block.chars) for url, title in cited.items())
        self._sentence.end(index, citations, sealed(block.signature, block.data))

    # The end.

    def _count(self, counts: TokenCounts | None) -> None:
        if counts is not None:
            given = {name: value for name, value in structs.asdict(counts).items() if value is not None}
            self._counts = structs.replace(self._counts, **given)

    def _end(self) -> bool:
        if self._raw_reason is None and not self._sentence.finished:
            return False
        self._finish()
        return True

    def _finish(self) -> None:
        if self._sentence.finished:
            return
        self._sentence.start(Start(None, self._ignored))
        for index in list(self._blocks):
            self._end_block(index)
        raw = self._raw_reason or "end_turn"
        reason = _FINISHES.get(raw, "other")
        if self._has_called and reason in ("stop", "other"):
            # Compatible vendors say that a turn of calls has ended like any other.
            reason = "tool_calls"
        self._sentence.finish(Finish(reason, raw, _usage(self._counts), stop_sequence=self._stop_sequence))

    def _violation(self, message: str) -> ProtocolViolation:
        return ProtocolViolation(message, upstream=self._upstream)


def _usage(counts: TokenCounts) -> Usage | None:
    """Return the counts. Anthropic counts tokens that a cache held, or now holds, apart: all of them were read."""
    if counts.input_tokens is None or counts.output_tokens is None:
        return None
    read = counts.cache_read_input_tokens
    details = counts.output_tokens_details
    return Usage(
        input_tokens=counts.input_tokens + (read or 0) + (counts.cache_creation_input_tokens or 0),
        output_tokens=counts.output_tokens,
        cached_input_tokens=read,
        reasoning_tokens=details.thinking_tokens if details else None,
    )
