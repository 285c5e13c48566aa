"""Delta encoding v1, carried out: what a block inherits from the one before, and which message it changes.

The operations themselves are in `document`, what a changed message shows in `answer`. Source: chatgpt-web reference,
section 3.6.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType, json

from core.errors import MALFORMED_JSON
from core.events import Event
from core.text_runs import LEAST_BYTES, TextRun
from core.wire.chatgpt_web import document as doc
from core.wire.chatgpt_web.answer import Answer
from core.wire.chatgpt_web.errors import check_stated, unreadable
from core.wire.chatgpt_web.message import Message


class Delta(Struct, frozen=True, gc=False):
    """One delta block. A missing `c`, `p` or `o` takes the value of the block before; `v` is never inherited."""

    v: Any = None
    p: str | None | UnsetType = UNSET
    o: str | None | UnsetType = UNSET
    c: int | None | UnsetType = UNSET


class Operation(Struct, frozen=True):
    p: str = ""
    o: str = "add"
    v: Any = None


_DELTA = json.Decoder(Delta)

# Both spellings are seen in captures, one of them throughout a stream.
_SPACED_MARK = b'\ndata: {"v": "'
_SPACED = TextRun(b"event: delta" + _SPACED_MARK, b'"}\n\n')
_TIGHT = TextRun(b'event: delta\ndata: {"v":"', b'"}\n\n')


class DeltaChannels:
    """The messages that one stream's delta blocks build, by channel. What they grow by is shown in `answer`.

    `blocks_seen` counts the blocks that could be read.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._messages: dict[int, Message] = {}
        self._channel, self._path, self._operation = 0, "", "add"
        self._growing: doc.Rope | None = None
        self.blocks_seen = 0

    def take(self, data: bytes, out: list[Event]) -> None:
        """Carry out one block. Raises `ProtocolViolation`, or the `UpstreamError` that the changed document states."""
        try:
            delta = _DELTA.decode(data)
        except MALFORMED_JSON as error:
            raise unreadable("a delta block", error) from error
        self.blocks_seen += 1
        value = delta.v
        growing = self._growing
        if growing is not None and type(value) is str and delta.p is delta.o is delta.c is UNSET:
            growing.append(value)
            self._answer.grow(self._messages[self._channel], value, out)
            return
        self._inherit(delta)
        self._growing = None
        if self._operation == "patch":
            for operation in _operations(value):
                self._apply(operation.p, operation.o, operation.v, out)
        else:
            self._apply(self._path, self._operation, value, out)
            self._remember_growing()

    def cut(self, blocks: bytes) -> Iterable[tuple[bytes, list[str] | None]]:
        """Return the blocks cut where runs of bare texts begin and end, each run with its texts."""
        if len(blocks) < LEAST_BYTES:
            return ((blocks, None),) if blocks else ()
        return (_SPACED if _SPACED_MARK in blocks else _TIGHT).cut(blocks)

    def take_texts(self, texts: Sequence[str], out: list[Event]) -> bool:
        """Take a run of texts, if there is a text that they grow; say whether."""
        growing = self._growing
        if growing is None:
            return False
        self.blocks_seen += len(texts)
        growing.append("".join(texts))
        self._answer.grow_by_all(self._messages[self._channel], texts, out)
        return True

    def look_again(self) -> None:
        """Find the text that grows anew: a message came whole, and may have replaced its document."""
        self._growing = None

    def _inherit(self, delta: Delta) -> None:
        if isinstance(delta.c, int):
            self._channel = delta.c
        if isinstance(delta.p, str):
            self._path = delta.p
        if isinstance(delta.o, str):
            self._operation = delta.o

    def _apply(self, path: str, operation: str, value: Any, out: list[Event]) -> None:
        if not path:
            if operation in ("add", "replace"):
                self._replace_document(value, out)
            return
        message = self._messages.get(self._channel)
        if message is None:
            return
        if operation == "append" and isinstance(value, str) and message.ends_with(doc.leaf(message.document, path)):
            doc.apply(message.document, path, operation, value)
            self._answer.grow(message, value, out)
        elif message.shown and path.startswith("/message/content"):
            before = message.text()
            doc.apply(message.document, path, operation, value)
            self._answer.rewrite(message, before, out)
        else:
            doc.apply(message.document, path, operation, value)
            check_stated(message.document)

    def _replace_document(self, document: Any, out: list[Event]) -> None:
        self._messages.pop(self._channel, None)
        if not isinstance(document, dict):
            return
        check_stated(document)
        message = self._answer.take(document, out)
        if message is not None:
            self._messages[self._channel] = message

    def _remember_growing(self) -> None:
        """Find the text that a following bare `{"v": ...}` would append to."""
        message = self._messages.get(self._channel)
        if message is not None and self._operation == "append" and self._path.startswith("/message/content/"):
            target = doc.leaf(message.document, self._path)
            if isinstance(target, doc.Rope) and (not message.shown or message.ends_with(target)):
                self._growing = target


def _operations(value: Any) -> list[Operation]:
    items = value if isinstance(value, list) else []
    return [
        Operation(item["p"], item["o"], item.get("v"))
        for item in items
        if isinstance(item, dict) and isinstance(item.get("p"), str) and isinstance(item.get("o"), str)
    ]
