"""Canonical events to Chat Completions: chunks for a stream, one object for a whole answer, the error shape for both.

A text chunk is written as fixed bytes around the one string that changes. Field rules: JR-5, JR-6, OM-7 to OM-9 and
what the strictest clients need (a role first, one finish chunk, the usage chunk with no choices, [DONE]).
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from msgspec import json

from core.contracts import Exchange
from core.errors import GatewayError
from core.events import (
    Citation,
    Event,
    Finish,
    ImageEnd,
    ReasoningDelta,
    ReasoningStart,
    Start,
    TextEnd,
    TextStart,
    ToolCallDelta,
    ToolCallStart,
)
from core.fold import FoldedImage, FoldedText, Response
from core.openai_words import FINISH_REASONS, render_error, usage_object
from core.request import Reasoning, ToolCall, Turn
from core.sse import COMMENT_FRAME, DONE_FRAME
from core.text_runs import grouped, write_run
from core.wire.openai_chat.pictures import picture_object, picture_text
from core.wire.openai_chat.requests import LEGACY

BLOCK_SEPARATOR = "\n\n"
"""What stands between two text blocks in the one `content` that Chat Completions has for them."""

_write = json.encode


class ChatEncoder:
    """Encodes one exchange's events as `chat.completion.chunk` frames."""

    def __init__(self, exchange: Exchange) -> None:
        shared = {**_identity(exchange), "object": "chat.completion.chunk"}
        usage = b',"usage":null' if exchange.request.include_usage else b""
        self._exchange = exchange
        self._include_usage = exchange.request.include_usage
        self._head = b"data: " + _write(shared)[:-1] + b',"choices":[{"index":0,"delta":'
        self._tail = b',"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n"
        self._text_head = self._head + b'{"content":'
        self._text_tail = b"}" + self._tail
        self._shared = shared
        self._has_text = self._has_reasoning = False
        self._chars = self._block_start = 0
        self._annotations: list[dict[str, Any]] = []
        self._calls: dict[int, tuple[int, str]] = {}
        self._pictures = 0
        self._legacy = is_legacy(exchange)
        self._begun: Start | None = None

    def encode(self, events: Sequence[Event]) -> bytes:
        frames: list[bytes] = []
        head, tail = self._text_head, self._text_tail
        for item in grouped(events):
            if isinstance(item, list):
                frames.append(write_run(item, head, tail))
                self._chars += sum(map(len, item))
            else:
                self._encode_other(item, frames)
        return b"".join(frames)

    def fail(self, error: GatewayError) -> bytes:
        return b"data: " + render_error(error) + b"\n\n" + DONE_FRAME

    def beat(self) -> bytes:
        return COMMENT_FRAME

    def _encode_other(self, event: Event, frames: list[bytes]) -> None:
        if self._begun is not None:
            # An answer that begins with a call has null for content, as the whole answer has.
            self._begin(None if type(event) is ToolCallStart else "", frames)
        match event:
            case Start():
                self._begun = event
            case TextStart():
                if self._has_text:
                    frames.append(self._delta({"content": BLOCK_SEPARATOR}))
                    self._chars += len(BLOCK_SEPARATOR)
                self._has_text, self._block_start = True, self._chars
            case TextEnd(citations=citations):
                self._annotations += [_annotation(citation, self._block_start) for citation in citations]
            case ReasoningStart():
                if self._has_reasoning:
                    frames.append(self._delta({"reasoning_content": BLOCK_SEPARATOR}))
                self._has_reasoning = True
            case ReasoningDelta(text=text):
                frames.append(self._delta({"reasoning_content": text}))
            case ToolCallStart() | ToolCallDelta():
                frames.append(self._delta(self._call(event)))
            case ImageEnd():
                frames.append(self._delta(self._picture(event)))
            case Finish():
                frames += self._finish(event)
            case _:
                pass

    def _call(self, event: ToolCallStart | ToolCallDelta) -> dict[str, Any]:
        """Return the delta of a call's beginning or of its arguments."""
        if isinstance(event, ToolCallStart):
            if self._legacy:
                return {"function_call": {"name": event.name, "arguments": ""}}
            return {"tool_calls": [self._opened_call(event)]}
        if self._legacy:
            return {"function_call": {"arguments": event.arguments}}
        position, kind = self._calls[event.index]
        name, field = ("custom", "input") if kind == "custom" else ("function", "arguments")
        return {"tool_calls": [{"index": position, name: {field: event.arguments}}]}

    def _picture(self, end: ImageEnd) -> dict[str, Any]:
        picture = FoldedImage(end.media_type, end.data, end.revised_prompt, end.file)
        shown = {"images": [picture_object(self._exchange, picture, self._pictures)]}
        self._pictures += 1
        text = picture_text(self._exchange, picture)
        if not text:
            return shown
        text = f"{BLOCK_SEPARATOR}{text}" if self._has_text else text
        self._has_text = True
        self._chars += len(text)
        return {"content": text, **shown}

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return self._head + _write(delta) + self._tail

    def _begin(self, content: str | None, frames: list[bytes]) -> None:
        """Write the first chunk, once it is known what the answer begins with."""
        turn = _turn(self._exchange, self._begun.turn if self._begun else None)
        self._begun = None
        choice = _choice({"role": "assistant", "content": content, "refusal": None}, None)
        frames.append(self._frame({**self._shared, "choices": [choice], **turn, **self._usage_field()}))

    def _opened_call(self, event: ToolCallStart) -> dict[str, Any]:
        position = len(self._calls)
        self._calls[event.index] = position, event.kind
        return {"index": position, **_call_body(event.id, event.name, "", event.kind)}

    def _finish(self, finish: Finish) -> list[bytes]:
        # All annotations in one delta: the SDK's stream helper cannot join lists whose items have no index.
        frames = [self._delta({"annotations": self._annotations})] if self._annotations else []
        choice = _choice({}, finish_reason(self._exchange, finish))
        turn = _turn(self._exchange, finish.turn)
        frames.append(self._frame({**self._shared, "choices": [choice], **turn, **self._usage_field()}))
        if self._include_usage and finish.usage is not None:
            frames.append(self._frame({**self._shared, "choices": [], "usage": usage_object(finish.usage)}))
        return [*frames, DONE_FRAME]

    def _usage_field(self) -> dict[str, None]:
        return {"usage": None} if self._include_usage else {}

    @staticmethod
    def _frame(chunk: dict[str, Any]) -> bytes:
        return b"data: " + _write(chunk) + b"\n\n"


def render_response(exchange: Exchange, response: Response) -> bytes:
    """Return the `chat.completion` object of a whole answer: text and calls share one choice (OM-9)."""
    texts = list(_texts(exchange, response))
    pictures = [part for part in response.parts if isinstance(part, FoldedImage)]
    calls = [part for part in response.parts if isinstance(part, ToolCall)]
    reasoning = BLOCK_SEPARATOR.join(part.text for part in response.parts if isinstance(part, Reasoning))
    message: dict[str, Any] = {
        "role": "assistant",
        "content": BLOCK_SEPARATOR.join(part.text for part in texts) if texts or not calls else None,
        "refusal": None,
    }
    if reasoning:
        message["reasoning_content"] = reasoning
    if pictures:
        message["images"] = [picture_object(exchange, picture, index) for index, picture in enumerate(pictures)]
    if annotations := _shifted_annotations(texts):
        message["annotations"] = annotations
    if calls and is_legacy(exchange):
        message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments}
    elif calls:
        message["tool_calls"] = [_call_body(call.id, call.name, call.arguments, call.kind) for call in calls]
    finish = response.finish
    reason = finish_reason(exchange, finish)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    usage = {"usage": usage_object(finish.usage)} if finish.usage else {}
    turn = _turn(exchange, response.turn)
    body = {**_identity(exchange), "object": "chat.completion", "choices": [choice], **usage, **turn}
    return _write(body)


def _texts(exchange: Exchange, response: Response) -> Iterator[FoldedText]:
    """Yield the blocks of the content, in order: texts, and the links of pictures."""
    for part in response.parts:
        if isinstance(part, FoldedText):
            yield part
        elif isinstance(part, FoldedImage) and (text := picture_text(exchange, part)):
            yield FoldedText(text)


def is_legacy(exchange: Exchange) -> bool:
    """Say whether the request offered `functions`: then a call is told as the `function_call` that its sender reads."""
    return LEGACY in exchange.request.echo


def finish_reason(exchange: Exchange, finish: Finish) -> str:
    if finish.reason == "tool_calls" and is_legacy(exchange):
        return "function_call"
    return FINISH_REASONS[finish.reason]


def _identity(exchange: Exchange) -> dict[str, Any]:
    return {
        "id": "chatcmpl-" + exchange.id,
        "created": exchange.created,
        "model": exchange.request.model,
        "system_fingerprint": _fingerprint(exchange),
    }


def _fingerprint(exchange: Exchange) -> str:
    """Name the backend as this gateway knows it: which upstream, which of its models."""
    backend = f"{exchange.target.upstream.name}/{exchange.target.model}"
    return "fp_" + sha256(backend.encode()).hexdigest()[:8]


def _choice(delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}


def _turn(exchange: Exchange, turn: Turn | None) -> dict[str, str]:
    """Return the seeds' way to go on with a conversation: both ids come back as the next request's fields."""
    if turn is None:
        return {}
    conversation = turn.conversation_id
    if exchange.signer is not None and turn.account is not None:
        whole = Turn(turn.conversation_id, None, turn.account, turn.kept)
        conversation = exchange.signer.sign_turn("conv", whole, exchange.principal, exchange.created)
    message = {"message_id": turn.message_id} if turn.message_id else {}
    return {"conversation_id": conversation, **message}


def _call_body(identity: str, name: str, arguments: str, kind: str) -> dict[str, Any]:
    if kind == "custom":
        return {"id": identity, "type": "custom", "custom": {"name": name, "input": arguments}}
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def _annotation(citation: Citation, offset: int) -> dict[str, Any]:
    where = {"start_index": citation.start + offset, "end_index": citation.end + offset}
    return {"type": "url_citation", "url_citation": {**where, "title": citation.title, "url": citation.url}}


def _shifted_annotations(texts: Sequence[FoldedText]) -> list[dict[str, Any]]:
    annotations: list[dict[str, Any]] = []
    offset = 0
    for part in texts:
        annotations += [_annotation(citation, offset) for citation in part.citations]
        offset += len(part.text) + len(BLOCK_SEPARATOR)
    return annotations
