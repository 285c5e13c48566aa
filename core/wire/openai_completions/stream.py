"""Canonical events to `text_completion` objects: chunks for a stream, one object for a whole answer.

The format has a place for text alone; a chat's reasoning stays out of it.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import json

from core.contracts import Exchange
from core.errors import GatewayError
from core.events import Event, Finish, TextDelta, TextStart
from core.fold import FoldedText, Response
from core.openai_words import FINISH_REASONS, render_error, usage_object
from core.sse import COMMENT_FRAME, DONE_FRAME

BLOCK_SEPARATOR = "\n\n"
"""What stands between two text blocks."""


class CompletionEncoder:
    """Encodes one exchange's events as chunks."""

    def __init__(self, exchange: Exchange) -> None:
        self._shared = _shared(exchange)
        self._include_usage = exchange.request.include_usage
        usage = b',"usage":null' if self._include_usage else b""
        self._head = b"data: " + json.encode(self._shared)[:-1] + b',"choices":[{"text":'
        self._tail = b',"index":0,"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n"
        self._has_text = False

    def encode(self, events: Sequence[Event]) -> bytes:
        frames: list[bytes] = []
        for event in events:
            if type(event) is TextDelta:
                frames += (self._head, json.encode(event.text), self._tail)
            elif type(event) is TextStart:
                if self._has_text:
                    frames += (self._head, json.encode(BLOCK_SEPARATOR), self._tail)
                self._has_text = True
            elif type(event) is Finish:
                frames += self._finish(event)
        return b"".join(frames)

    def fail(self, error: GatewayError) -> bytes:
        return b"data: " + render_error(error) + b"\n\n" + DONE_FRAME

    def beat(self) -> bytes:
        return COMMENT_FRAME

    def _finish(self, finish: Finish) -> list[bytes]:
        usage = {"usage": None} if self._include_usage else {}
        frames = [_frame({**self._shared, "choices": [_choice("", finish)], **usage})]
        if self._include_usage and finish.usage is not None:
            frames.append(_frame({**self._shared, "choices": [], "usage": usage_object(finish.usage)}))
        return [*frames, DONE_FRAME]


def render_response(exchange: Exchange, response: Response) -> bytes:
    """Return the whole answer."""
    text = BLOCK_SEPARATOR.join(part.text for part in response.parts if isinstance(part, FoldedText))
    usage = {"usage": usage_object(response.finish.usage)} if response.finish.usage else {}
    return json.encode({**_shared(exchange), "choices": [_choice(text, response.finish)], **usage})


def _shared(exchange: Exchange) -> dict[str, Any]:
    return {
        "id": "cmpl-" + exchange.id,
        "object": "text_completion",
        "created": exchange.created,
        "model": exchange.request.model,
    }


def _choice(text: str, finish: Finish) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": FINISH_REASONS[finish.reason]}


def _frame(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.encode(chunk) + b"\n\n"
