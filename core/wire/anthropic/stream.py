"""Canonical events to Anthropic's stream of named events.

A text delta is written as fixed bytes around the one string that changes. Every event is named twice, in `event:` and
in `type`, and every block is opened and closed: clients differ in which of these they cannot do without.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import json

from core.contracts import Exchange
from core.errors import GatewayError
from core.events import (
    Event,
    Finish,
    ImageEnd,
    ReasoningDelta,
    ReasoningEnd,
    Start,
    TextEnd,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from core.fold import FoldedImage
from core.text_runs import grouped, write_run
from core.wire.anthropic.errors import error_object
from core.wire.anthropic.objects import (
    citation_object,
    message_object,
    picture_text,
    shows_thinking,
    shows_thoughts,
    stop_object,
    usage_object,
)
from core.wire.anthropic.opaque import seal_of

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

_TAIL = b"}}\n\n"
_DELTA_EVENT = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
_TEXT_DELTA = _DELTA_EVENT + b'{"type":"text_delta","text":'
_THINKING_DELTA = _DELTA_EVENT + b'{"type":"thinking_delta","thinking":'
_INPUT_DELTA = _DELTA_EVENT + b'{"type":"input_json_delta","partial_json":'

_write = json.encode


class MessagesEncoder:
    """Encodes one exchange's events.

    A block of text or thinking begins with its first delta, so that empty ones are left out. Thinking is shown to those
    who asked for it.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._index = -1
        self._is_open = False
        self._text_head = self._thinking_head = self._input_head = b""
        self._is_custom = False
        self._shows_thinking = shows_thinking(exchange)
        self._shows_thoughts = shows_thoughts(exchange)

    def encode(self, events: Sequence[Event]) -> bytes:
        frames: list[bytes] = []
        for event in grouped(events):
            if isinstance(event, list):
                if not self._is_open:
                    self._open({"type": "text", "text": ""}, frames)
                frames.append(write_run(event, self._text_head, _TAIL))
            elif type(event) is ToolCallDelta and not self._is_custom:
                frames.append(self._input_head + _write(event.arguments) + _TAIL)
            else:
                self._encode_other(event, frames)
        return b"".join(frames)

    def fail(self, error: GatewayError) -> bytes:
        frames: list[bytes] = []
        self._close(frames)
        return b"".join((*frames, error_frame(error)))

    def beat(self) -> bytes:
        return PING

    def _encode_other(self, event: Event, frames: list[bytes]) -> None:
        match event:
            case Start():
                started = message_object(self._exchange, [], _UNSTOPPED, usage_object(None))
                frames.append(_frame("message_start", {"message": started}))
            case TextEnd():
                self._end_text(event, frames)
            case ReasoningDelta(text=text):
                if self._shows_thoughts:
                    self._think(text, frames)
            case ReasoningEnd():
                if self._shows_thinking:
                    self._end_reasoning(event, frames)
            case ToolCallStart() | ToolCallDelta() | ToolCallEnd():
                self._encode_call(event, frames)
            case ImageEnd():
                self._picture(event, frames)
            case Finish():
                ended = {"delta": stop_object(event), "usage": usage_object(event.usage)}
                frames += (_frame("message_delta", ended), STOP)
            case _:
                pass

    def _encode_call(self, event: ToolCallStart | ToolCallDelta | ToolCallEnd, frames: list[bytes]) -> None:
        """Write a call; free text, for which there is no place, becomes the one member of an object."""
        match event:
            case ToolCallStart():
                self._open({"type": "tool_use", "id": event.id, "name": event.name, "input": {}}, frames)
                self._is_custom = event.kind == "custom"
                if self._is_custom:
                    self._input('{"input":"', frames)
            case ToolCallDelta():
                self._input(_write(event.arguments)[1:-1].decode(), frames)
            case ToolCallEnd():
                if self._is_custom:
                    self._input('"}', frames)
                    self._is_custom = False
                self._close(frames)

    def _end_text(self, end: TextEnd, frames: list[bytes]) -> None:
        if end.citations and not self._is_open:
            self._open({"type": "text", "text": ""}, frames)
        for citation in end.citations:
            self._delta({"type": "citations_delta", "citation": citation_object(citation)}, frames)
        self._close(frames)

    def _think(self, text: str, frames: list[bytes]) -> None:
        if not self._is_open:
            self._open(_THINKING, frames)
        frames.append(self._thinking_head + _write(text) + _TAIL)

    def _end_reasoning(self, end: ReasoningEnd, frames: list[bytes]) -> None:
        seal = seal_of(end.opaque)
        if seal.data and not self._is_open:
            self._open({"type": "redacted_thinking", "data": seal.data}, frames)
        elif seal.signature:
            if not self._is_open:
                self._open(_THINKING, frames)
            self._delta({"type": "signature_delta", "signature": seal.signature}, frames)
        self._close(frames)

    def _picture(self, end: ImageEnd, frames: list[bytes]) -> None:
        picture = FoldedImage(end.media_type, end.data, end.revised_prompt, end.file)
        self._open({"type": "text", "text": ""}, frames)
        frames.append(self._text_head + _write(picture_text(self._exchange, picture)) + _TAIL)
        self._close(frames)

    def _open(self, block: dict[str, Any], frames: list[bytes]) -> None:
        self._index += 1
        self._is_open = True
        index = self._index
        self._text_head, self._thinking_head = _TEXT_DELTA % index, _THINKING_DELTA % index
        self._input_head = _INPUT_DELTA % index
        frames.append(_frame("content_block_start", {"index": index, "content_block": block}))

    def _close(self, frames: list[bytes]) -> None:
        if self._is_open:
            self._is_open = False
            frames.append(_frame("content_block_stop", {"index": self._index}))

    def _delta(self, delta: dict[str, Any], frames: list[bytes]) -> None:
        frames.append(_frame("content_block_delta", {"index": self._index, "delta": delta}))

    def _input(self, text: str, frames: list[bytes]) -> None:
        frames.append(self._input_head + _write(text) + _TAIL)


_THINKING = {"type": "thinking", "thinking": "", "signature": ""}
_UNSTOPPED: dict[str, Any] = {"stop_reason": None, "stop_sequence": None}


def error_frame(error: GatewayError) -> bytes:
    """Return the event that ends a stream with an error; nothing follows it."""
    return b"event: error\ndata: " + _write(error_object(error)) + b"\n\n"


def _frame(name: str, fields: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + _write({"type": name, **fields}) + b"\n\n"
