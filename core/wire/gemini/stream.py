"""Canonical events to Gemini's answer: chunks of a stream, as server-sent events or as one JSON array, or one object.

Each chunk is an answer of its own kind, with the parts that are new. A call is told whole, for its arguments are an
object; one that the answer's end broke off is left out. Neither a comment nor `[DONE]` may stand in the stream:
google-genai takes them for broken JSON.
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
    Progress,
    ReasoningDelta,
    ReasoningEnd,
    TextDelta,
    TextEnd,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from core.fold import FoldedImage, FoldedText, Response
from core.request import Reasoning, ToolCall
from core.wire.gemini.errors import error_object, render_error
from core.wire.gemini.objects import (
    Object,
    call_part,
    finish_fields,
    grounding,
    identity,
    is_cut_off,
    is_whole,
    picture_part,
    usage_object,
)
from core.wire.gemini.requests import ALT, THOUGHTS
from core.wire.gemini.signatures import signature_of

EMPTY_LINE = b"\n"
"""A heartbeat: server-sent events allow it between events, JSON between the items of an array."""

_write = json.encode


class GeminiEncoder:
    """Encodes one exchange's events. Texts that come in one batch are one chunk."""

    def __init__(self, exchange: Exchange) -> None:
        self._is_array = ALT in exchange.request.echo
        self.media_type = "application/json" if self._is_array else "text/event-stream"
        self._shows_thoughts = THOUGHTS in exchange.request.echo
        self._identity = identity(exchange)
        self._begun = False
        self._signature: str | None = None
        self._text: list[str] = []
        self._texts: list[FoldedText] = []
        self._call: ToolCallStart | None = None
        self._arguments: list[str] = []
        self._unfinished: ToolCall | None = None
        self._text_head = b'{"candidates":[{"content":{"parts":[{"text":'
        self._text_tail = b'}],"role":"model"},"index":0}],' + _write(self._identity)[1:]

    def encode(self, events: Sequence[Event]) -> bytes:
        frames: list[bytes] = []
        said: list[str] = []
        for event in events:
            if type(event) is TextDelta:
                said.append(event.text)
                continue
            if said:
                self._say(said, frames)
            self._encode_other(event, frames)
        if said:
            self._say(said, frames)
        return b"".join(frames)

    def fail(self, error: GatewayError) -> bytes:
        if not self._is_array:
            return error_frames(error)
        return self._frame(_write(error_object(error))) + b"]"

    def beat(self) -> bytes:
        return EMPTY_LINE

    def _say(self, said: list[str], frames: list[bytes]) -> None:
        text = "".join(said)
        said.clear()
        self._text.append(text)
        if self._signature is not None:
            frames.append(self._chunk([{"text": text, **self._signed()}]))
        elif text:
            frames.append(self._frame(self._text_head + _write(text) + self._text_tail))

    def _encode_other(self, event: Event, frames: list[bytes]) -> None:
        if self._unfinished is not None and not isinstance(event, Progress):
            self._settle(self._unfinished, event, frames)
        match event:
            case ReasoningDelta(text=text):
                if self._shows_thoughts and text:
                    frames.append(self._chunk([{"text": text, "thought": True}]))
            case ReasoningEnd(opaque=opaque):
                self._signature = signature_of(opaque) or self._signature
            case TextEnd(citations=citations):
                self._texts.append(FoldedText("".join(self._text), citations))
                self._text.clear()
            case ToolCallStart():
                self._call, self._arguments = event, []
            case ToolCallDelta(arguments=arguments):
                self._arguments.append(arguments)
            case ToolCallEnd():
                self._end_call(frames)
            case ImageEnd():
                picture = FoldedImage(event.media_type, event.data)
                frames.append(self._chunk([{**picture_part(picture), **self._signed()}]))
            case Finish():
                frames.append(self._finished(event))
            case _:
                pass

    def _end_call(self, frames: list[bytes]) -> None:
        """Tell a call at its end; what follows one that is not whole says whether it was cut off."""
        assert self._call is not None
        start = self._call
        call = ToolCall(start.id, start.name, "".join(self._arguments), start.kind)
        if is_whole(call):
            self._tell(call, frames)
        else:
            self._unfinished = call

    def _settle(self, call: ToolCall, following: Event, frames: list[bytes]) -> None:
        self._unfinished = None
        if not (isinstance(following, Finish) and is_cut_off(call, following)):
            self._tell(call, frames)

    def _tell(self, call: ToolCall, frames: list[bytes]) -> None:
        frames.append(self._chunk([{**call_part(call), **self._signed()}]))

    def _finished(self, finish: Finish) -> bytes:
        sources = grounding(self._texts)
        more = {"groundingMetadata": sources} if sources else {}
        last = self._chunk([{"text": "", **self._signed()}], {**finish_fields(finish), **more}, usage_of(finish))
        return last + b"]" if self._is_array else last

    def _signed(self) -> dict[str, str]:
        """Return the signature that the next part carries, once."""
        signature, self._signature = self._signature, None
        return {"thoughtSignature": signature} if signature else {}

    def _chunk(self, parts: list[Object], more: Object | None = None, usage: Object | None = None) -> bytes:
        candidate = {"content": {"parts": parts, "role": "model"}, **(more or {}), "index": 0}
        return self._frame(_write({"candidates": [candidate], **(usage or {}), **self._identity}))

    def _frame(self, chunk: bytes) -> bytes:
        if not self._is_array:
            return b"data: " + chunk + b"\n\n"
        lead, self._begun = b",\n" if self._begun else b"[", True
        return lead + chunk


def error_frames(error: GatewayError) -> bytes:
    """Return the end of a stream of events that failed; google-genai raises it, in Python and in JavaScript."""
    return b"data: " + render_error(error) + b"\n\n"


def usage_of(finish: Finish) -> Object:
    return {"usageMetadata": usage_object(finish.usage)} if finish.usage else {}


def render_response(exchange: Exchange, response: Response) -> bytes:
    """Return the object of a whole answer."""
    finish = response.finish
    texts = [part for part in response.parts if isinstance(part, FoldedText)]
    candidate: Object = {
        "content": {"parts": _parts(exchange, response), "role": "model"},
        **finish_fields(finish),
        "index": 0,
    }
    if sources := grounding(texts):
        candidate["groundingMetadata"] = sources
    return _write({"candidates": [candidate], **usage_of(finish), **identity(exchange)})


def _parts(exchange: Exchange, response: Response) -> list[Object]:
    """Return the parts, each with the signature of the thought before it; the last may be a call that was cut off."""
    parts: list[Object] = []
    signature: str | None = None
    last = response.parts[-1] if response.parts else None
    is_cut = isinstance(last, ToolCall) and is_cut_off(last, response.finish)
    for part in response.parts[:-1] if is_cut else response.parts:
        if isinstance(part, Reasoning):
            signature = signature_of(part.opaque) or signature
            if part.text and THOUGHTS in exchange.request.echo:
                parts.append({"text": part.text, "thought": True})
            continue
        parts.append({**_part(part), **({"thoughtSignature": signature} if signature else {})})
        signature = None
    if signature:
        parts.append({"text": "", "thoughtSignature": signature})
    return parts


def _part(part: FoldedText | ToolCall | FoldedImage) -> dict[str, Any]:
    match part:
        case FoldedText(text):
            return {"text": text}
        case ToolCall():
            return call_part(part)
        case FoldedImage():
            return picture_part(part)
