"""Writes streams as ChatGPT Web does, block by block, and reads ours to their end."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from core.events import Event, ReasoningDelta, TextDelta
from core.wire.chatgpt_web.answer import Sent
from core.wire.chatgpt_web.stream import TurnDecoder
from tests.core.outcomes import Outcome, outcome_of

Json = dict[str, Any]
TEXT = "/message/content/parts/0"
DONE = b"data: [DONE]\n\n"


def block(value: object, event: str = "") -> bytes:
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(value)}\n\n".encode()


def delta(value: object = ..., **fields: object) -> bytes:
    """Write a delta block; `...` leaves `v` out."""
    return block(fields if value is ... else {"v": value} | fields, "delta")


def typed(kind: str, **fields: object) -> bytes:
    return block({"type": kind, **fields})


OPENING = block("v1", "delta_encoding")
COMPLETE = typed("message_stream_complete", conversation_id="conv")


def message(text: str = "", identity: str = "m1", **changes: object) -> Json:
    """Return an assistant's text message in progress, with these fields otherwise."""
    return {
        "id": identity,
        "author": {"role": "assistant", "name": None, "metadata": {}},
        "content": {"content_type": "text", "parts": [text]},
        "status": "in_progress",
        "end_turn": None,
        "weight": 1.0,
        "metadata": {},
        "recipient": "all",
        "channel": None,
    } | changes


def whole(text: str = "", identity: str = "m1", **changes: object) -> Json:
    """Return a finished message that ends the turn."""
    return message(text, identity, **({"status": "finished_successfully", "end_turn": True} | changes))


def document(message: object, **fields: object) -> Json:
    return {"message": message, "conversation_id": "conv", "error": None, "error_code": None} | fields


def add(message: object, channel: int = 0) -> bytes:
    return delta(document(message), p="", o="add", c=channel)


def snapshot(message: object) -> bytes:
    return block({"message": message, "conversation_id": "conv", "error": None})


def append(text: object, path: str = TEXT) -> bytes:
    return delta(text, p=path, o="append")


def finish(text: str = "", kind: str | None = "stop", **metadata: object) -> bytes:
    """Write the patch that says a message's last words and ends the turn."""
    details: Json = {"finish_details": {"type": kind}} if kind else {}
    operations = [
        {"p": TEXT, "o": "append", "v": text},
        {"p": "/message/status", "o": "replace", "v": "finished_successfully"},
        {"p": "/message/end_turn", "o": "replace", "v": True},
        {"p": "/message/metadata", "o": "append", "v": details | metadata},
    ]
    return delta(operations, p="", o="patch")


def role(name: str) -> Json:
    return {"author": {"role": name, "name": None, "metadata": {}}}


def content(kind: str, **fields: object) -> Json:
    return {"content": {"content_type": kind, **fields}}


def decode(chunks: Iterable[bytes], sent: Sent | None = None) -> list[Event]:
    decoder = TurnDecoder(sent or Sent())
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.close()


def outcome(chunks: Iterable[bytes], sent: Sent | None = None) -> Outcome:
    return outcome_of(TurnDecoder(sent or Sent()), chunks)


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def reasoning_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, ReasoningDelta))


def bytewise(whole: bytes) -> list[bytes]:
    return [whole[at : at + 1] for at in range(len(whole))]
