"""The stream encodings of ChatGPT Web, writing side: delta v1, snapshots (reference chatgpt-web 3.5, 3.6).

A writer turns messages into SSE blocks; what is said, and in which order, is the business of turns.py. JSON
is written with `\\uXXXX` escapes, as the service does.
"""

import json
from typing import Literal, Protocol, TypeAlias

from msgspec.structs import replace

from core.loopback.messages import Message, code_content, text_content, thoughts_content
from core.loopback.refusals import Json

Form: TypeAlias = Literal["text", "thoughts", "code"]

DONE = b"data: [DONE]\n\n"

_POINTERS: dict[Form, str] = {
    "text": "/message/content/parts/0",
    "thoughts": "/message/content/thoughts/0/content",
    "code": "/message/content/text",
}
_CONTENTS = {"text": text_content, "thoughts": thoughts_content, "code": code_content}
_SNAPSHOT_EVENTS = frozenset({"title_generation", "moderation", "stream_handoff", "conversation_async_status"})
"""What is said beside messages in the older encoding; the other events came with delta v1."""


class Writer(Protocol):
    def opening(self) -> bytes:
        """Return what stands before everything else."""

    def whole(self, message: Message) -> bytes:
        """Return a message that is complete at once."""

    def begin(self, message: Message, form: Form) -> bytes:
        """Return an empty message in progress, which `append` and `finish` then fill."""

    def append(self, text: str) -> bytes: ...

    def finish(self, text: str, end_turn: bool | None, metadata: Json) -> bytes:
        """Return the last words of the message together with its new status."""

    def restate(self) -> None:
        """Say the path again with the next append: a reader may begin there."""

    def afterword(self) -> bytes:
        """Return the small change of metadata that follows a finished answer."""

    def event(self, kind: str, fields: Json) -> bytes:
        """Return something that is not a message, b"" when this encoding does not say it."""


class DeltaWriter:
    """Delta v1: one state document for each message, changed by operations whose path is said once."""

    def __init__(self, conversation_id: str) -> None:
        self._conversation_id = conversation_id
        self._channel = -1
        self._after_add = False
        self._pointer = _POINTERS["text"]
        self._pointer_said = False

    def opening(self) -> bytes:
        return b'event: delta_encoding\ndata: "v1"\n\n'

    def whole(self, message: Message) -> bytes:
        self._channel += 1
        value = {
            "message": message.wire(),
            "conversation_id": self._conversation_id,
            "error": None,
            "error_code": None,
        }
        explicit: Json = {} if self._after_add else {"p": "", "o": "add"}
        self._after_add, self._pointer_said = True, False
        return _delta({**explicit, "v": value, "c": self._channel})

    def begin(self, message: Message, form: Form) -> bytes:
        self._pointer = _POINTERS[form]
        return self.whole(message)

    def append(self, text: str) -> bytes:
        if self._pointer_said:
            return _delta({"v": text})
        self._after_add, self._pointer_said = False, True
        return _delta({"p": self._pointer, "o": "append", "v": text})

    def finish(self, text: str, end_turn: bool | None, metadata: Json) -> bytes:
        # A patch right after an add comes without its path (captures: delta_v1_gpt56_thinking_channels).
        root: Json = {} if self._after_add else {"p": ""}
        self._after_add, self._pointer_said = False, False
        operations = [
            {"p": self._pointer, "o": "append", "v": text},
            {"p": "/message/status", "o": "replace", "v": "finished_successfully"},
            {"p": "/message/end_turn", "o": "replace", "v": end_turn},
            {"p": "/message/metadata", "o": "append", "v": metadata},
        ]
        return _delta({**root, "o": "patch", "v": operations})

    def restate(self) -> None:
        self._pointer_said = False

    def afterword(self) -> bytes:
        pointer = "/message/metadata/conversation_followup_suggestions_eligible"
        return _delta({"p": pointer, "o": "replace", "v": True})

    def event(self, kind: str, fields: Json) -> bytes:
        return data_block({"type": kind, **fields, "conversation_id": self._conversation_id})


class SnapshotWriter:
    """Snapshots: every block holds the whole message so far."""

    def __init__(self, conversation_id: str) -> None:
        self._conversation_id = conversation_id
        self._form: Form = "text"
        self._text = ""

    def opening(self) -> bytes:
        return b""

    def whole(self, message: Message) -> bytes:
        return data_block({"message": message.wire(), "conversation_id": self._conversation_id, "error": None})

    def begin(self, message: Message, form: Form) -> bytes:
        self._message, self._form, self._text = message, form, ""
        return self.whole(message)

    def append(self, text: str) -> bytes:
        self._text += text
        return self.whole(replace(self._message, content=_CONTENTS[self._form](self._text)))

    def finish(self, text: str, end_turn: bool | None, metadata: Json) -> bytes:
        self._message = replace(
            self._message,
            status="finished_successfully",
            end_turn=end_turn,
            metadata=self._message.metadata | metadata,
        )
        return self.append(text)

    def restate(self) -> None:
        pass

    def afterword(self) -> bytes:
        return b""

    def event(self, kind: str, fields: Json) -> bytes:
        if kind not in _SNAPSHOT_EVENTS:
            return b""
        named: Json = {} if kind == "moderation" else {"type": kind}
        return data_block({**named, **fields, "conversation_id": self._conversation_id})


def data_block(value: object) -> bytes:
    """Return an SSE block without an event name."""
    return f"data: {_json(value)}\n\n".encode()


def _delta(value: object) -> bytes:
    return f"event: delta\ndata: {_json(value)}\n\n".encode()


_json = json.JSONEncoder(separators=(",", ":")).encode
