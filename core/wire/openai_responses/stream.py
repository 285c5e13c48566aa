"""Canonical events to the Responses event sequence, and a whole answer to one response object.

Every event has its `type` in name and data, a sequence number, and all ids and indexes; the last one is exactly one
of completed, incomplete and failed. Deltas are written as fixed bytes around what changes.
"""

import base64
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, json, structs

from core.contracts import Exchange, Relay
from core.errors import MALFORMED_JSON, GatewayError, RateLimited
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
from core.fold import FoldedImage, FoldedText, Response
from core.media import sniff
from core.request import Opaque, ToolCall, Turn
from core.sse import COMMENT_FRAME, FrameReader
from core.wire.openai_responses import objects
from core.wire.openai_responses.compaction import compaction_item
from core.wire.openai_responses.objects import Items, Object

_write = json.encode

_TERMINAL = {"completed": "response.completed", "incomplete": "response.incomplete"}

LAST_NUMBER = (1 << 31) - 1
"""The sequence number of an event that follows an unknown number of others."""


class _Told(Struct, frozen=True):
    """An event of a vendor that tells of a response."""

    response: Object


class ResponsesEncoder:
    """Encodes one exchange's events."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._make = Items(exchange)
        self._sequence = 0
        self._response: Object = {}
        self._items: list[Object] = []
        self._pieces: list[str] = []
        self._phase: str | None = None
        self._call: ToolCallStart | None = None
        self._previews = 0
        self._delta_head = b""
        self._is_told = True

    def encode(self, events: Sequence[Event]) -> bytes:
        frames: list[bytes] = []
        for event in events:
            if type(event) is TextDelta:
                self._pieces.append(event.text)
                if self._make.compacts:
                    continue
                frames += (self._delta_head, _write(event.text), b',"sequence_number":%d}\n\n' % self._sequence)
                self._sequence += 1
                continue
            if type(event) not in (Finish, Progress):
                self._tell_end(frames)
            self._encode_other(event, frames)
        return b"".join(frames)

    def fail(self, error: GatewayError) -> bytes:
        frames: list[bytes] = []
        self._create(None, frames)
        self._tell_end(frames)
        detail = {"code": error_code(error), "message": error.message}
        output = [*self._items, *self._open_item()]
        failed = {**self._response, "status": "failed", "error": detail, "output": output}
        frames.append(self._frame("response.failed", {"response": failed}))
        return b"".join(frames)

    def beat(self) -> bytes:
        """Codex's idle timer counts events only; but before the turn is known upstream, its id cannot be named.

        Nor can it in a vendor's own stream, whose events have another id.
        """
        frames: list[bytes] = []
        if not self._response:
            if self._exchange.request.store or _may_be_relayed(self._exchange):
                return COMMENT_FRAME
            self._create(None, frames)
            return b"".join(frames)
        return self._frame("response.in_progress", {"response": self._response})

    # Events.

    def _encode_other(self, event: Event, frames: list[bytes]) -> None:
        match event:
            case Start(turn=turn):
                self._create(turn, frames)
            case TextStart(phase=phase):
                self._start_text(phase, frames)
            case TextEnd(citations=citations):
                self._end_text(citations, frames)
            case ReasoningStart():
                self._start_reasoning(frames)
            case ReasoningDelta(text=text):
                self._begin_summary(frames)
                self._delta(text, frames)
            case ToolCallDelta(arguments=text):
                self._delta(text, frames)
            case ReasoningEnd(opaque=opaque):
                self._end_reasoning(opaque, frames)
            case ToolCallStart():
                self._start_call(event, frames)
            case ToolCallEnd():
                self._end_call(frames)
            case ImageStart() | ImageDelta() | ImageEnd():
                self._picture(event, frames)
            case Finish():
                self._finish(event, frames)
            case _:
                pass

    def _create(self, turn: Turn | None, frames: list[bytes]) -> None:
        if self._response:
            return
        identity = objects.response_id(self._exchange, turn)
        kept = bool(turn and turn.kept)
        self._make = Items(self._exchange, identity if kept else None)
        self._response = objects.response_object(self._exchange, identity, kept)
        frames.append(self._frame("response.created", {"response": self._response}))
        frames.append(self._frame("response.in_progress", {"response": self._response}))

    def _finish(self, finish: Finish, frames: list[bytes]) -> None:
        response = objects.finished(self._response, finish, self._items)
        self._items = response["output"]
        self._tell_end(frames)
        frames.append(self._frame(_TERMINAL[response["status"]], {"response": response}))

    def _start_text(self, phase: str | None, frames: list[bytes]) -> None:
        if self._make.compacts:
            self._pieces = []
            return
        self._phase = phase
        item = self._make.message(self._index, [], "in_progress", phase)
        self._open(item, frames)
        place = {**self._place(item), "content_index": 0}
        frames.append(self._frame("response.content_part.added", {**place, "part": objects.text_part("")}))
        self._prepare_delta("response.output_text.delta", {**place, "logprobs": []})

    def _end_text(self, citations: Sequence[Citation], frames: list[bytes]) -> None:
        if self._make.compacts:
            item = self._make.compaction(self._index, self._joined())
            self._open(item, frames)
            self._close(item)
            return
        part = objects.text_part(self._joined(), citations)
        item = self._make.message(self._index, [part], "completed", self._phase)
        place = {**self._place(item), "content_index": 0}
        for position, annotation in enumerate(part["annotations"]):
            added = {**place, "annotation_index": position, "annotation": annotation}
            frames.append(self._frame("response.output_text.annotation.added", added))
        frames.append(self._frame("response.output_text.done", {**place, "text": part["text"], "logprobs": []}))
        frames.append(self._frame("response.content_part.done", {**place, "part": part}))
        self._close(item)

    def _delta(self, text: str, frames: list[bytes]) -> None:
        self._pieces.append(text)
        frames += (self._delta_head, _write(text), b',"sequence_number":%d}\n\n' % self._sequence)
        self._sequence += 1

    def _start_reasoning(self, frames: list[bytes]) -> None:
        self._open(self._make.reasoning(self._index, ""), frames)

    def _begin_summary(self, frames: list[bytes]) -> None:
        """Open the summary with its first words; reasoning that is only sealed has none."""
        if self._pieces:
            return
        place = {**self._place(self._make.reasoning(self._index, "")), "summary_index": 0}
        part = {"type": "summary_text", "text": ""}
        frames.append(self._frame("response.reasoning_summary_part.added", {**place, "part": part}))
        self._prepare_delta("response.reasoning_summary_text.delta", place)

    def _end_reasoning(self, opaque: Opaque | None, frames: list[bytes]) -> None:
        text = self._joined()
        item = self._make.reasoning(self._index, text, opaque)
        if self._pieces:
            place = {**self._place(item), "summary_index": 0}
            part = {"type": "summary_text", "text": text}
            frames.append(self._frame("response.reasoning_summary_text.done", {**place, "text": text}))
            frames.append(self._frame("response.reasoning_summary_part.done", {**place, "part": part}))
        self._close(item)

    def _start_call(self, start: ToolCallStart, frames: list[bytes]) -> None:
        self._call = start
        item = self._make.call(self._index, ToolCall(start.id, start.name, "", start.kind), "in_progress")
        self._open(item, frames)
        kind = "custom_tool_call_input" if start.kind == "custom" else "function_call_arguments"
        self._prepare_delta(f"response.{kind}.delta", self._place(item))

    def _end_call(self, frames: list[bytes]) -> None:
        item = self._call_item("completed")
        place = self._place(item)
        self._call = None
        if item["type"] == "custom_tool_call":
            frames.append(self._frame("response.custom_tool_call_input.done", {**place, "input": item["input"]}))
        else:
            done = {**place, "name": item["name"], "arguments": item["arguments"]}
            frames.append(self._frame("response.function_call_arguments.done", done))
        self._close(item)

    def _picture(self, event: ImageStart | ImageDelta | ImageEnd, frames: list[bytes]) -> None:
        match event:
            case ImageStart():
                self._start_picture(frames)
            case ImageDelta(data=data):
                self._show_preview(data, frames)
            case ImageEnd():
                self._end_picture(event, frames)

    def _start_picture(self, frames: list[bytes]) -> None:
        item = self._make.picture(self._index, None, "in_progress")
        self._open(item, frames)
        self._previews = 0
        frames.append(self._frame("response.image_generation_call.in_progress", self._place(item)))
        frames.append(self._frame("response.image_generation_call.generating", self._place(item)))

    def _show_preview(self, data: bytes, frames: list[bytes]) -> None:
        place = self._place(self._make.picture(self._index, None))
        facts = objects.picture_facts(sniff(data) or "", data)
        told = {name: value for name, value in facts.items() if value is not None}
        shown = {"partial_image_index": self._previews, "partial_image_b64": base64.b64encode(data).decode()}
        frames.append(self._frame("response.image_generation_call.partial_image", {**place, **shown, **told}))
        self._previews += 1

    def _end_picture(self, end: ImageEnd, frames: list[bytes]) -> None:
        item = self._make.picture(self._index, FoldedImage(end.media_type, end.data, end.revised_prompt, end.file))
        frames.append(self._frame("response.image_generation_call.completed", self._place(item)))
        self._close(item)

    # What they share.

    @property
    def _index(self) -> int:
        return len(self._items)

    def _place(self, item: Object) -> Object:
        return {"item_id": item["id"], "output_index": self._index}

    def _open(self, item: Object, frames: list[bytes]) -> None:
        self._pieces = []
        self._opened = item
        frames.append(self._frame("response.output_item.added", {"output_index": self._index, "item": item}))

    def _close(self, item: Object) -> None:
        """End an item. Its last event waits: whether the answer was cut within it, only what follows says."""
        self._items.append(item)
        self._is_told = False
        self._opened = None
        self._pieces = []

    def _tell_end(self, frames: list[bytes]) -> None:
        if not self._is_told:
            done = {"output_index": self._index - 1, "item": self._items[-1]}
            frames.append(self._frame("response.output_item.done", done))
            self._is_told = True

    _opened: Object | None = None

    def _open_item(self) -> list[Object]:
        """Return the item that a failure left open, as far as it came."""
        if self._opened is None:
            return []
        if self._call is not None:
            return [self._call_item("incomplete")]
        if self._opened["type"] == "image_generation_call":
            return [self._make.picture(self._index, None, "failed")]
        if self._opened["type"] == "message":
            part = objects.text_part(self._joined())
            return [self._make.message(self._index, [part], "incomplete", self._phase)]
        return [self._make.reasoning(self._index, self._joined())]

    def _call_item(self, status: str) -> Object:
        start = self._call
        if start is None:
            raise RuntimeError("no call is open")
        return self._make.call(self._index, ToolCall(start.id, start.name, self._joined(), start.kind), status)

    def _joined(self) -> str:
        return "".join(self._pieces)

    def _prepare_delta(self, kind: str, fields: Object) -> None:
        """Set the bytes before a delta's text; the sequence number comes behind it."""
        body = _write({"type": kind, **fields})[:-1]
        self._delta_head = b"event: " + kind.encode() + b"\ndata: " + body + b',"delta":'

    def _frame(self, kind: str, fields: dict[str, Any]) -> bytes:
        data = _write({"type": kind, "sequence_number": self._sequence, **fields})
        self._sequence += 1
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def _may_be_relayed(exchange: Exchange) -> bool:
    """Say whether one of the upstreams may give its own bytes for the client."""
    targets = (exchange.target, *exchange.fallbacks)
    upstreams = ((target, target.upstream) for target in targets)
    return any(
        isinstance(upstream, Relay) and upstream.relays(structs.replace(exchange, target=target))
        for target, upstream in upstreams
    )


def failed_frame(exchange: Exchange, error: GatewayError, begun: bytes) -> bytes:
    """Return the last event of a stream whose earlier ones the upstream wrote; their numbers are not known here.

    It is about the same response as the upstream's first event, for clients insist on that.
    """
    response = _created_in(begun) or objects.response_object(exchange, f"resp_{exchange.id}", kept=False)
    failed = {**response, "status": "failed", "error": {"code": error_code(error), "message": error.message}}
    data = _write({"type": "response.failed", "sequence_number": LAST_NUMBER, "response": failed})
    return b"event: response.failed\ndata: " + data + b"\n\n"


def _created_in(frames: bytes) -> Object | None:
    """Return the response that the first of these frames tells of."""
    for _, data in FrameReader().feed(frames)[:1]:
        try:
            response = json.decode(data, type=_Told).response
        except MALFORMED_JSON:
            return None
        return response if isinstance(response.get("id"), str) else None
    return None


def render_response(exchange: Exchange, response: Response) -> bytes:
    """Return the response object of a whole answer: what the stream's last event would carry."""
    identity = objects.response_id(exchange, response.turn)
    kept = bool(response.turn and response.turn.kept)
    make = Items(exchange, identity if kept else None)
    items = [make.of_part(index, part) for index, part in enumerate(response.parts)]
    begun = objects.response_object(exchange, identity, kept)
    return _write(objects.finished(begun, response.finish, items))


def render_compaction(exchange: Exchange, response: Response) -> bytes:
    """Return the object of `POST /v1/responses/compact`."""
    summary = "\n\n".join(part.text for part in response.parts if isinstance(part, FoldedText))
    usage = response.finish.usage
    return _write(
        {
            "id": f"resp_{exchange.id}",
            "object": "response.compaction",
            "created_at": exchange.created,
            "output": [compaction_item(exchange.id, summary)],
            "usage": objects.usage_object(usage) if usage else None,
        }
    )


def error_code(error: GatewayError) -> str:
    """Return the code of a failed response: the error's own, or the nearest of the API's."""
    if isinstance(error, RateLimited):
        return "rate_limit_exceeded"
    return error.code or "server_error"
