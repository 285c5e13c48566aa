"""The answer that a turn's messages make: which of them are shown, and the blocks they are written into.

Snapshots and deltas meet here in one idea: a message has a text, the text grows, and what it grew by is a delta.
How the messages came, and whether the turn is over, is the business of `delta` and `stream`.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from core.events import (
    Citation,
    Event,
    Finish,
    FinishReason,
    ImageStart,
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
from core.wire.chatgpt_web import document as doc
from core.wire.chatgpt_web.citations import MarkerFilter, citations
from core.wire.chatgpt_web.code import FENCE, LANGUAGES
from core.wire.chatgpt_web.gallery import Gallery, gallery
from core.wire.chatgpt_web.message import Message, content_type, shown_as
from core.wire.chatgpt_web.research import Research, research
from core.wire.chatgpt_web.sandbox import FileLink, SandboxLinks, sandbox_file

REWRITTEN = "the upstream rewrote text that had already been sent"

_FINISH_REASONS: dict[str, FinishReason] = {"stop": "stop", "interrupted": "stop", "max_tokens": "length"}


class Sent(Struct, frozen=True):
    """What this turn sent, so that an echo of it is not taken for an answer."""

    message_ids: frozenset[str] = frozenset()
    assistant_texts: frozenset[str] = frozenset()
    file_ids: frozenset[str] = frozenset()


class Answer:
    """Writes the events of one answer to an `out` of the caller's.

    `trouble` is what a message of the upstream's system said went wrong, empty when none did. `link` makes links to
    the files that the text names; without it the text stays as it is.
    """

    def __init__(
        self, sent: Sent, ignored: Sequence[str], account: str | None, kept: bool, link: FileLink | None = None
    ) -> None:
        self._sent = sent
        self._ignored = tuple(ignored)
        self._account = account
        self._kept = kept
        self._link = link
        self._reported = False
        self._messages: dict[str, Message] = {}
        self._started = False
        self._next_index = 0
        self._block: Message | None = None
        self._block_index = 0
        self._last_text: Message | None = None
        self._continued: Message | None = None
        self.conversation_id: str | None = None
        self.trouble = ""

    # How the answer stands.

    @property
    def message_id(self) -> str | None:
        """The id of the last message shown as text."""
        identity = self._last_text.field("id") if self._last_text else None
        return identity if isinstance(identity, str) else None

    @property
    def has_text(self) -> bool:
        return self._last_text is not None

    @property
    def ends_turn(self) -> bool:
        """Whether the last message shown as text says that the turn ends with it."""
        return self._last_text is not None and self._last_text.ends_turn

    @property
    def awaits_rest(self) -> bool:
        """Whether a `continue` turn began that has not gone on with the text yet."""
        return self._last_text is not None and self._last_text is self._continued

    @property
    def is_being_written(self) -> bool:
        """Whether the last message shown as text is not whole."""
        return self._last_text is not None and not self._last_text.is_whole

    def gallery(self) -> Gallery:
        """Return the pictures among the messages so far."""
        return gallery(self._messages.values(), self._sent.file_ids)

    def research(self) -> Research:
        """Return how the turn's research stands, nothing once its report is shown."""
        return Research() if self._reported else research(self._messages.values())

    def finish_reason(self) -> tuple[FinishReason, str | None]:
        """Return why the answer ended, in our word and in the upstream's."""
        kind = self._last_text.field("metadata/finish_details/type") if self._last_text else None
        return (_FINISH_REASONS.get(kind, "stop"), kind) if isinstance(kind, str) else ("stop", None)

    # Messages in.

    def take(self, document: dict[str, Any], out: list[Event], key: str = "") -> Message | None:
        """Take a whole message, new or as it now stands, and show what of its text is new.

        It is known by its id, unless `key` says by what.
        """
        content = document.get("message")
        if not isinstance(content, dict):
            return None
        if isinstance(conversation := document.get("conversation_id"), str):
            self.conversation_id = conversation
        identity = content.get("id")
        key = key or (identity if isinstance(identity, str) else "")
        message = self._messages.get(key)
        if message is None:
            message = self._messages[key] = Message(document)
            message.shown = None if self._is_echo(message, key) else shown_as(content)
            if message.shown == "text" and self._link is not None:
                message.links = SandboxLinks(partial(self._linked, identity))
            before = ""
        else:
            before = message.text()
            message.document = document
        if content_type(content) == "system_error":
            self.trouble = doc.text_of(doc.leaf(content, "/content/text")) or self.trouble
        self.rewrite(message, before, out)
        if message.shown == "text":
            self._last_text = message
        return message

    def rewrite(self, message: Message, before: str, out: list[Event]) -> None:
        """Show what a message's text has more than `before`, which it was."""
        if not message.shown:
            return
        after = message.text()
        if after.startswith(before):
            self.grow(message, after[len(before) :], out)
        elif before.startswith(after) and message is not self._continued:
            message.rewind(before[len(after) :])
        else:
            out.append(Progress(REWRITTEN))

    def grow(self, message: Message, text: str, out: list[Event]) -> None:
        """Show `text`, which the message's text just grew by."""
        shown = message.shown
        if message.ahead:
            text, agrees = message.catch_up(text)
            if not agrees and shown:
                out.append(Progress(REWRITTEN))
        if not text or not shown:
            return
        if shown == "text":
            if self._continued is not None:
                self._adopt(message, self._continued)
            self._last_text = message
            text = message.let_through(text)
        if self._block is not message:
            # Also when all of the text is held back as yet: it may be all there is, and is let through at the end.
            self._open_block(message, out)
        if text:
            index = self._block_index
            out.append(TextDelta(index, text) if shown == "text" else ReasoningDelta(index, text))

    def grow_by_all(self, message: Message, texts: Sequence[str], out: list[Event]) -> None:
        """Show texts by which the message's grew one after the other."""
        whole = "".join(texts)
        if whole and self._block is message and self._continued is None and message.passes(whole):
            self._last_text, index = message, self._block_index
            out += [TextDelta(index, text) for text in texts if text]
            return
        for text in texts:
            self.grow(message, text, out)

    def go_on(self) -> None:
        """Prepare for the messages of a `continue` turn, whose text belongs to the block that is open."""
        self._continued = self._last_text

    def begin(self, out: list[Event]) -> None:
        """Say that there is an answer, before there is anything to show of it."""
        self._start(out)

    def show_report(self, report: dict[str, Any], out: list[Event]) -> None:
        """Show the report of the turn's research as its answer."""
        self._reported = True
        self.take({"message": report}, out, key="report")

    def remark(self, text: str, out: list[Event]) -> None:
        """Say something of the gateway's own, as reasoning: it is no part of the answer."""
        self._start(out)
        self._close_block(out)
        index = self._next_index
        self._next_index += 1
        out += [ReasoningStart(index), ReasoningDelta(index, text), ReasoningEnd(index)]

    def open_picture(self, out: list[Event]) -> int:
        """Begin the block of a picture, after the block that is open; return its index. The caller ends it."""
        self._start(out)
        self._close_block(out)
        index = self._next_index
        self._next_index += 1
        out.append(ImageStart(index))
        return index

    def finish(self, reason: FinishReason, raw_reason: str | None, out: list[Event]) -> None:
        self._start(out)
        self._close_block(out)
        out.append(Finish(reason, raw_reason, None, self._turn()))

    def _is_echo(self, message: Message, identity: str) -> bool:
        if identity in self._sent.message_ids:
            return True
        # What was sent is told again without an end of the turn; an answer in the same words ends it.
        is_past = message.is_whole and not message.ends_turn
        return not self._started and is_past and message.text() in self._sent.assistant_texts

    def _adopt(self, message: Message, cut: Message) -> None:
        """Let a continuing message write into the block that the cut one left open."""
        self._continued = None
        if message is not cut and self._block is cut:
            message.adopt(cut)
            self._block = message

    def _linked(self, message_id: str | None, path: str) -> str | None:
        """Return the link to a file that a message names, None when it cannot be said where it is."""
        if self._link is None or not self.conversation_id:
            return None
        return self._link(sandbox_file(path, self.conversation_id, message_id, self._account))

    # The blocks, and what stands around them.

    def _open_block(self, message: Message, out: list[Event]) -> None:
        self._start(out)
        self._close_block(out)
        self._block, self._block_index = message, self._next_index
        self._next_index += 1
        out.append(TextStart(self._block_index) if message.shown == "text" else ReasoningStart(self._block_index))
        if message.shown in LANGUAGES:
            out.append(ReasoningDelta(self._block_index, f"{FENCE}{LANGUAGES[message.shown]}\n"))

    def _close_block(self, out: list[Event]) -> None:
        block, index = self._block, self._block_index
        if block is None:
            return
        self._block = None
        if block.shown != "text":
            if block.shown in LANGUAGES:
                out.append(ReasoningDelta(index, f"\n{FENCE}"))
            out.append(ReasoningEnd(index))
            return
        if rest := block.let_rest_through():
            out.append(TextDelta(index, rest))
        out.append(TextEnd(index, self._citations(block)))
        block.filter = MarkerFilter()

    def _citations(self, block: Message) -> tuple[Citation, ...]:
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
        return Turn(self.conversation_id, self.message_id or self._picture_message(), self._account, self._kept)

    def _picture_message(self) -> str | None:
        return next((picture.message_id for picture in reversed(self.gallery().finished)), None)
