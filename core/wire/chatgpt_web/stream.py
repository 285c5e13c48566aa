"""ChatGPT Web's answer stream, both encodings, to canonical events.

Snapshots and delta v1 meet in one idea: a message has a text, the text grows, and what it grew by is a delta.
Which messages are shown is decided by `_shown_as`. Sections 3.4 to 3.8 of the chatgpt-web reference are the source;
the captures are the proof.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType, ValidationError, json

from core.errors import MALFORMED_JSON, ProtocolViolation, UpstreamError, UpstreamUnavailable
from core.events import (
    Citation,
    Event,
    Finish,
    FinishReason,
    Progress,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    Start,
    TextDelta,
    TextEnd,
    TextStart,
)
from core.request import Turn
from core.sse import Frame, FrameReader
from core.wire.chatgpt_web import document as doc
from core.wire.chatgpt_web import tree
from core.wire.chatgpt_web.citations import MarkerFilter, citations
from core.wire.chatgpt_web.errors import UPSTREAM, describe, in_stream_error

Shown: TypeAlias = Literal["text", "reasoning"]
Verdict: TypeAlias = Literal["answered", "truncated", "blocked", "handed_off", "silent", "cut"]

REWRITTEN = "the upstream rewrote text that had already been sent"

_TEXT_TYPES = ("text", "multimodal_text")
_FINISHED = ("finished_successfully", "finished_partial_completion")
_FINISH_REASONS: dict[str, FinishReason] = {"stop": "stop", "interrupted": "stop", "max_tokens": "length"}


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


class Sent(Struct, frozen=True):
    """What this turn sent, so that an echo of it is not taken for an answer."""

    message_ids: frozenset[str] = frozenset()
    assistant_texts: frozenset[str] = frozenset()


_DELTA = json.Decoder(Delta)
_JSON = json.Decoder()


class _Message:
    """One message of the turn and what of it has been shown.

    `earlier` is the message that this one goes on from in the same block.
    """

    __slots__ = ("_ahead", "_ahead_at", "document", "earlier", "filter", "shown")

    def __init__(self, document: dict[str, Any], shown: Shown | None) -> None:
        self.document = document
        self.shown = shown
        self.filter = MarkerFilter()
        self.earlier: _Message | None = None
        self._ahead, self._ahead_at = "", 0

    def rewind(self, lost: str) -> None:
        """Note that the upstream's text is now shorter by `lost` than what was shown."""
        self._ahead, self._ahead_at = lost + self._ahead[self._ahead_at :], 0

    def catch_up(self, text: str) -> tuple[str, bool]:
        """Return what of `text`, by which the message grew, is new, and whether the rest is what was shown before."""
        if not self._ahead:
            return text, True
        if self._ahead.startswith(text, self._ahead_at):
            self._ahead_at += len(text)
            return "", True
        ahead = self._ahead[self._ahead_at :]
        self._ahead, self._ahead_at = "", 0
        return (text[len(ahead) :], True) if text.startswith(ahead) else (text, False)

    def ends_with(self, target: Any) -> bool:
        """Say whether `target` is the leaf at the end of the message's text, so that what it grows by is a delta."""
        content = doc.leaf(self.document, "/message/content")
        if not isinstance(target, doc.Rope) or not isinstance(content, dict):
            return False
        if content.get("content_type") == "thoughts":
            thoughts = content.get("thoughts")
            last = thoughts[-1] if isinstance(thoughts, list) and thoughts else None
            return isinstance(last, dict) and last.get("content") is target
        parts = content.get("parts")
        return isinstance(parts, list) and bool(parts) and parts[-1] is target

    def metadata(self, name: str) -> list[Any]:
        """Return the items of a list in the metadata of the block's messages, the earliest message's first."""
        found = self.field("metadata/" + name)
        items = found if isinstance(found, list) else []
        return self.earlier.metadata(name) + items if self.earlier else items

    def text(self) -> str:
        content = doc.leaf(self.document, "/message/content")
        if not isinstance(content, dict):
            return ""
        if content.get("content_type") == "thoughts":
            return _thoughts_text(content.get("thoughts"))
        parts = content.get("parts")
        return "".join(map(doc.text_of, parts)) if isinstance(parts, list) else ""

    def field(self, name: str) -> Any:
        return doc.leaf(self.document, "/message/" + name)

    @property
    def is_whole(self) -> bool:
        return doc.text_of(self.field("status")) in _FINISHED

    @property
    def ends_turn(self) -> bool:
        return self.is_whole and self.field("end_turn") is True


class TurnDecoder:
    """Decodes one turn, over as many streams as it takes (resume, continue, polling).

    `conversation_id`, `resume_token`, `message_id` and `events_seen` are what a resume needs; `over` says that the
    upstream has said its last word on this stream.
    """

    def __init__(
        self,
        sent: Sent = Sent(),  # noqa: B008
        ignored: Sequence[str] = (),
        account: str | None = None,
        kept: bool = False,
    ) -> None:
        self._sent = sent
        self._account = account
        self._kept = kept
        self._ignored = tuple(ignored)
        self._reader = FrameReader()
        self._messages: dict[str, _Message] = {}
        self._channels: dict[int, _Message] = {}
        self._channel, self._path, self._operation = 0, "", "add"
        self._growing: doc.Rope | None = None
        self._started = False
        self._next_index = 0
        self._block: _Message | None = None
        self._block_index = 0
        self._last_text: _Message | None = None
        self._continued: _Message | None = None
        self._handed_off = False
        self._blocked = False
        self._trouble = ""
        self._failure: UpstreamError | None = None
        self.over = False
        self.events_seen = 0
        self.conversation_id: str | None = None
        self.resume_token: str | None = None

    # What a caller asks between reads.

    @property
    def message_id(self) -> str | None:
        """The id of the last message shown as text."""
        identity = self._last_text.field("id") if self._last_text else None
        return identity if isinstance(identity, str) else None

    @property
    def failed(self) -> bool:
        """Whether the stream itself said that it failed, or broke its own format: reading on is of no use."""
        return self._failure is not None

    def verdict(self) -> Verdict:
        """Say how the turn stands, as far as the bytes so far tell."""
        if self._blocked:
            return "blocked"
        last = self._last_text
        if last is not None and last is self._continued:
            return "truncated"
        if last is not None and (last.ends_turn or (self.over and not self._handed_off)):
            return "truncated" if self._finish_reason()[0] == "length" else "answered"
        if not self.over:
            return "cut"
        return "handed_off" if self._handed_off else "silent"

    # Bytes in.

    def feed(self, data: bytes) -> list[Event]:
        """Return the events `data` completes; what follows the upstream's last word is left out.

        Raises `UpstreamError`, as the stream spells it, or `ProtocolViolation`. Events that came before the failure,
        in the same data, are returned first: then `over` is set, and the next call raises.
        """
        out: list[Event] = []
        try:
            self._take_all(self._reader.feed(data), out)
        except UpstreamError as error:
            self._failure, self.over = error, True
        return self._returned(out)

    def feed_tree(self, data: bytes) -> list[Event]:
        """Take a stored conversation (section 3.7); `over` tells whether its answer is whole."""
        out: list[Event] = []
        for message in tree.answer(self._decode(data)):
            self._open({"message": message}, out)
        self.over = bool(self._last_text and self._last_text.ends_turn)
        self._handed_off = self._handed_off and not self.over
        return out

    def end_of_stream(self) -> list[Event]:
        """Take what the stream held back at its end. The turn may still go on in another stream."""
        out: list[Event] = []
        try:
            self._take_all(self._reader.close(), out)
        except ProtocolViolation:
            # Half an event: the stream was cut off within it, and its verdict says so.
            pass
        except UpstreamError as error:
            self._failure, self.over = error, True
        return self._returned(out)

    def reconnect(self) -> None:
        """Prepare for the rest of the same stream, from `events_seen` on."""
        self._reader = FrameReader()
        self.over = self._handed_off = False

    def go_on(self) -> None:
        """Prepare for the stream of a `continue` turn, whose text belongs to the block that is open."""
        self.reconnect()
        self._channels.clear()
        self._channel, self._path, self._operation = 0, "", "add"
        self._growing = None
        self._continued = self._last_text
        self.events_seen = 0

    def close(self) -> list[Event]:
        """Return the end of the answer. Raises `UpstreamUnavailable` when there is none to end."""
        out = self.end_of_stream()
        verdict = self.verdict()
        if verdict in ("cut", "handed_off", "silent"):
            raise UpstreamUnavailable(self._missing_answer(verdict), upstream=UPSTREAM)
        reason, raw = ("content_filter", "moderation") if verdict == "blocked" else self._finish_reason()
        self._start(out)
        self._close_block(out)
        out.append(Finish(reason, raw, None, self._turn()))
        return out

    def _missing_answer(self, verdict: Verdict) -> str:
        if verdict == "cut":
            return "the upstream cut its stream off before the answer was whole"
        if verdict == "handed_off":
            return "the upstream went on without this stream, and the rest of the answer could not be fetched"
        return self._trouble or "the upstream ended the turn without an answer"

    # One frame.

    def _take_all(self, frames: Iterable[Frame], out: list[Event]) -> None:
        for frame in frames:
            if self.over:
                return
            self._take(frame, out)

    def _returned(self, out: list[Event]) -> list[Event]:
        if self._failure is not None and not out:
            raise self._failure
        return out

    def _take(self, frame: Frame, out: list[Event]) -> None:
        name, data = frame
        if name == b"delta":
            self._take_delta(data, out)
        elif (said := data.strip()) == b"[DONE]":
            self.over = True
        elif said:
            block = self._decode(data)
            self.events_seen += 1
            self._take_block(name, block, out)

    def _take_delta(self, data: bytes, out: list[Event]) -> None:
        try:
            delta = _DELTA.decode(data)
        except MALFORMED_JSON as error:
            raise _broken("a delta block", error) from error
        self.events_seen += 1
        value = delta.v
        growing = self._growing
        if growing is not None and type(value) is str and delta.p is delta.o is delta.c is UNSET:
            growing.pieces.append(value)
            self._grow(self._channels[self._channel], value, out)
            return
        self._inherit(delta)
        self._growing = None
        if self._operation == "patch":
            for operation in _operations(value):
                self._apply(operation.p, operation.o, operation.v, out)
        else:
            self._apply(self._path, self._operation, value, out)
            self._remember_growing()

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
        message = self._channels.get(self._channel)
        if message is None:
            return
        if operation == "append" and isinstance(value, str) and message.ends_with(doc.leaf(message.document, path)):
            doc.apply(message.document, path, operation, value)
            self._grow(message, value, out)
        elif message.shown and path.startswith("/message/content"):
            before = message.text()
            doc.apply(message.document, path, operation, value)
            self._rewrite(message, before, out)
        else:
            doc.apply(message.document, path, operation, value)
            self._check_error(message.document)

    def _remember_growing(self) -> None:
        """Find the text that a following bare `{"v": ...}` would append to."""
        message = self._channels.get(self._channel)
        if message is not None and self._operation == "append" and self._path.startswith("/message/content/"):
            target = doc.leaf(message.document, self._path)
            if isinstance(target, doc.Rope) and (not message.shown or message.ends_with(target)):
                self._growing = target

    def _replace_document(self, document: Any, out: list[Event]) -> None:
        self._channels.pop(self._channel, None)
        if not isinstance(document, dict):
            return
        self._check_error(document)
        message = self._open(document, out)
        if message is not None:
            self._channels[self._channel] = message

    def _take_block(self, name: bytes, block: Any, out: list[Event]) -> None:
        if name == b"delta_encoding":
            if block != "v1":
                named = f" {block[:40]!r}" if isinstance(block, str) else ""
                raise ProtocolViolation(f"the upstream chose an unknown stream encoding{named}", upstream=UPSTREAM)
            return
        if not isinstance(block, dict):
            raise ProtocolViolation("a block of the upstream's stream is not a JSON object", upstream=UPSTREAM)
        if isinstance(conversation := block.get("conversation_id"), str):
            self.conversation_id = conversation
        kind = block.get("type")
        if kind == "error" or name == b"error":
            raise in_stream_error(*_described(block))
        if isinstance(kind, str):
            self._take_typed(kind, block)
        elif "message" in block:
            self._check_error(block)
            self._open(block, out)
        elif "error" in block:
            self._check_error(block)
        elif isinstance(block.get("moderation_response"), dict):
            self._moderate(block)

    def _take_typed(self, kind: str, block: dict[str, Any]) -> None:
        if kind == "message_stream_complete":
            self.over = True
        elif kind == "resume_conversation_token" and isinstance(block.get("token"), str):
            self.resume_token = block["token"]
        elif kind in ("stream_handoff", "conversation_async_status"):
            self._handed_off = True
        elif kind == "server_ste_metadata" and isinstance(metadata := block.get("metadata"), dict):
            elsewhere = metadata.get("resume_with_websockets") or metadata.get("streaming_async_status")
            self._handed_off = self._handed_off or (bool(elsewhere) and self._last_text is None)
        elif kind == "moderation":
            self._moderate(block)

    def _moderate(self, block: dict[str, Any]) -> None:
        response = block.get("moderation_response")
        if isinstance(response, dict) and response.get("blocked") is True:
            self._blocked = self.over = True

    def _check_error(self, document: dict[str, Any]) -> None:
        if document.get("error") is not None or document.get("error_code") is not None:
            raise in_stream_error(*_described(document))

    # Messages and the blocks they are shown in.

    def _open(self, document: dict[str, Any], out: list[Event]) -> _Message | None:
        """Take a whole message, new or as it now stands, and show what of its text is new."""
        content = document.get("message")
        if not isinstance(content, dict):
            return None
        if isinstance(conversation := document.get("conversation_id"), str):
            self.conversation_id = conversation
        identity = content.get("id")
        key = identity if isinstance(identity, str) else ""
        self._growing = None
        message = self._messages.get(key)
        if message is None:
            message = self._messages[key] = _Message(document, None)
            message.shown = None if self._is_echo(message, key) else _shown_as(content)
            before = ""
        else:
            before = message.text()
            message.document = document
        if _content_type(content) == "system_error":
            self._trouble = doc.text_of(doc.leaf(content, "/content/text")) or self._trouble
        self._rewrite(message, before, out)
        if message.shown == "text":
            self._last_text = message
        return message

    def _adopt(self, message: _Message, cut: _Message) -> None:
        """Let a continuing message write into the block that the cut one left open."""
        self._continued = None
        if message is not cut and self._block is cut:
            message.filter, message.earlier = cut.filter, cut
            self._block = message

    def _is_echo(self, message: _Message, identity: str) -> bool:
        if identity in self._sent.message_ids:
            return True
        return not self._started and message.is_whole and message.text() in self._sent.assistant_texts

    def _rewrite(self, message: _Message, before: str, out: list[Event]) -> None:
        if not message.shown:
            return
        after = message.text()
        if after.startswith(before):
            self._grow(message, after[len(before) :], out)
        elif before.startswith(after) and message is not self._continued:
            message.rewind(before[len(after) :])
        else:
            out.append(Progress(REWRITTEN))

    def _grow(self, message: _Message, text: str, out: list[Event]) -> None:
        """Show `text`, which the message's text just grew by."""
        shown = message.shown
        text, agrees = message.catch_up(text)
        if not agrees and shown:
            out.append(Progress(REWRITTEN))
        if not text or not shown:
            return
        if shown == "text":
            if self._continued is not None:
                self._adopt(message, self._continued)
            self._last_text = message
            text = message.filter.feed(text)
            if not text:
                return
        if self._block is not message:
            self._open_block(message, out)
        out.append(TextDelta(self._block_index, text) if shown == "text" else ReasoningDelta(self._block_index, text))

    def _open_block(self, message: _Message, out: list[Event]) -> None:
        self._start(out)
        self._close_block(out)
        self._block, self._block_index = message, self._next_index
        self._next_index += 1
        out.append(TextStart(self._block_index) if message.shown == "text" else ReasoningStart(self._block_index))

    def _close_block(self, out: list[Event]) -> None:
        block, index = self._block, self._block_index
        if block is None:
            return
        self._block = None
        if block.shown == "reasoning":
            out.append(ReasoningEnd(index))
            return
        if rest := block.filter.close():
            out.append(TextDelta(index, rest))
        out.append(TextEnd(index, self._citations(block)))
        block.filter = MarkerFilter()

    def _citations(self, block: _Message) -> tuple[Citation, ...]:
        marks = block.filter.marks
        if not marks:
            return ()
        references, legacy = block.metadata("content_references"), block.metadata("citations")
        return citations(marks, references, self._result_groups(), legacy)

    def _result_groups(self) -> list[Any]:
        """Gather search results: they arrive on tool or hidden messages before the answer (section 3.11)."""
        found = (message.field("metadata/search_result_groups") for message in self._messages.values())
        return [group for groups in found if isinstance(groups, list) for group in groups]

    def _start(self, out: list[Event]) -> None:
        if not self._started:
            self._started = True
            out.append(Start(self._model(), self._ignored, self._turn()))

    def _model(self) -> str | None:
        for message in reversed(self._messages.values()):
            for name in ("resolved_model_slug", "model_slug"):
                if message.shown and isinstance(slug := message.field("metadata/" + name), str):
                    return slug
        return None

    def _turn(self) -> Turn | None:
        if not self.conversation_id:
            return None
        return Turn(self.conversation_id, self.message_id, self._account, self._kept)

    def _finish_reason(self) -> tuple[FinishReason, str | None]:
        kind = self._last_text.field("metadata/finish_details/type") if self._last_text else None
        return (_FINISH_REASONS.get(kind, "stop"), kind) if isinstance(kind, str) else ("stop", None)

    def _decode(self, data: bytes) -> Any:
        try:
            return _JSON.decode(data)
        except MALFORMED_JSON as error:
            raise _broken("a block", error) from error


def _shown_as(message: dict[str, Any]) -> Shown | None:
    """Say how a message is shown: as the answer, as reasoning, or not at all (section 3.7)."""
    author, metadata = message.get("author"), message.get("metadata")
    role = author.get("role") if isinstance(author, dict) else message.get("role")
    if role != "assistant" or message.get("recipient") not in ("all", None) or message.get("weight") == 0:
        return None
    if isinstance(metadata, dict) and metadata.get("is_visually_hidden_from_conversation"):
        return None
    content_type = _content_type(message)
    if content_type == "thoughts":
        return "reasoning"
    if content_type not in _TEXT_TYPES:
        return None
    return "text" if message.get("channel") in (None, "final") else "reasoning"


def _content_type(message: dict[str, Any]) -> Any:
    content = message.get("content")
    return content.get("content_type") if isinstance(content, dict) else None


def _thoughts_text(thoughts: Any) -> str:
    if not isinstance(thoughts, list):
        return ""
    pieces = []
    for thought in thoughts:
        if isinstance(thought, dict):
            lines = (doc.text_of(thought.get("summary")), doc.text_of(thought.get("content")))
            pieces.append("\n".join(line for line in lines if line))
    return "\n\n".join(piece for piece in pieces if piece)


def _operations(value: Any) -> list[Operation]:
    items = value if isinstance(value, list) else []
    return [
        Operation(item["p"], item["o"], item.get("v"))
        for item in items
        if isinstance(item, dict) and isinstance(item.get("p"), str) and isinstance(item.get("o"), str)
    ]


def _described(block: dict[str, Any]) -> tuple[str, str | None]:
    message, code = describe(block)
    return message or "the upstream reported an error without saying which", code


def _broken(what: str, error: Exception) -> ProtocolViolation:
    fault = "a field has the wrong type" if isinstance(error, ValidationError) else "it is not JSON"
    return ProtocolViolation(f"{what} of the upstream's stream cannot be read: {fault}", upstream=UPSTREAM)
