"""ChatGPT Web's answer stream, both encodings, to canonical events: the frames, and how the turn stands.

What a delta block does is in `delta`, what is shown of the messages in `answer`. Sections 3.4 to 3.8 of the
chatgpt-web reference are the source; the captures are the proof.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import json

from core.errors import MALFORMED_JSON, ProtocolViolation, UpstreamError, UpstreamUnavailable
from core.events import Event
from core.sse import Frame, FrameReader, split
from core.wire.chatgpt_web import tree
from core.wire.chatgpt_web.answer import Answer, Sent
from core.wire.chatgpt_web.delta import DeltaChannels
from core.wire.chatgpt_web.errors import UPSTREAM, check_stated, stated_error, unreadable
from core.wire.chatgpt_web.gallery import Gallery, failure
from core.wire.chatgpt_web.research import research_error
from core.wire.chatgpt_web.sandbox import FileLink

Verdict: TypeAlias = Literal["answered", "truncated", "blocked", "handed_off", "silent", "cut"]

_JSON = json.Decoder()


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
        link: FileLink | None = None,
    ) -> None:
        self._answer = Answer(sent, ignored, account, kept, link)
        self._deltas = DeltaChannels(self._answer)
        self._reader = FrameReader()
        self._blocks_seen = 0
        self._handed_off = self._elsewhere = False
        self._blocked = False
        self._failure: UpstreamError | None = None
        self.over = False
        self.resume_token: str | None = None

    # What a caller asks between reads.

    @property
    def conversation_id(self) -> str | None:
        return self._answer.conversation_id

    @property
    def message_id(self) -> str | None:
        """The id of the last message shown as text."""
        return self._answer.message_id

    @property
    def events_seen(self) -> int:
        """How many events of the newest stream were read, over all of its connections."""
        return self._blocks_seen + self._deltas.blocks_seen

    @property
    def failed(self) -> bool:
        """Whether the stream itself said that it failed, or broke its own format: reading on is of no use."""
        return self._failure is not None

    def gallery(self) -> Gallery:
        """Return the pictures that the turn has made so far."""
        return self._answer.gallery()

    @property
    def researches(self) -> bool:
        """Whether the report of a research is still to come."""
        return self._answer.research().awaited

    @property
    def awaits_result(self) -> bool:
        """Whether something is still being made that comes after the turn's own stream."""
        return self._answer.gallery().awaited or self.researches

    def verdict(self) -> Verdict:
        """Say how the turn stands, as far as the bytes so far tell."""
        answer, pictures = self._answer, self._answer.gallery()
        awaited = pictures.awaited or self.researches
        # An asynchronous turn may give its picture in its own stream all the same: then nothing is elsewhere.
        handed_off = self._handed_off or awaited or (self._elsewhere and not pictures.finished)
        if self._blocked:
            return "blocked"
        if answer.awaits_rest:
            return "truncated"
        has_answer = answer.has_text or bool(pictures.finished or pictures.charts)
        if not awaited and (answer.ends_turn or (has_answer and self.over and not handed_off)):
            return "truncated" if answer.finish_reason()[0] == "length" else "answered"
        if not self.over:
            return "cut"
        return "handed_off" if handed_off else "silent"

    # Bytes in.

    def feed(self, data: bytes) -> list[Event]:
        """Return the events `data` completes; what follows the upstream's last word is left out.

        Raises `UpstreamError`, as the stream spells it, or `ProtocolViolation`. Events that came before the failure,
        in the same data, are returned first: then `over` is set, and the next call raises.
        """
        out: list[Event] = []
        try:
            for blocks, texts in self._deltas.cut(self._reader.complete(data)):
                if self.over:
                    break
                if texts is None or not self._deltas.take_texts(texts, out):
                    self._take_all(split(blocks), out)
        except UpstreamError as error:
            self._failure, self.over = error, True
        return self._returned(out)

    def feed_tree(self, data: bytes) -> list[Event]:
        """Take the stored conversation of the turn under way as it came; see `take_tree`."""
        stored = _decode(data)
        return self._take_stored((*tree.answer(stored), *tree.beside_answer(stored)))

    def take_tree(self, stored: Any) -> list[Event]:
        """Take a stored conversation (section 3.7); `over` tells whether its answer is whole."""
        if isinstance(stored, dict) and isinstance(conversation := stored.get("conversation_id"), str):
            self._answer.conversation_id = conversation
        return self._take_stored(tree.answer(stored))

    def take_tasks(self, data: bytes) -> list[Event]:
        """Take the account's tasks (section 6): one of this conversation that failed says why there is no picture.

        Raises `UpstreamUnavailable` when it does not say why.
        """
        said = failure(_decode(data), self.conversation_id)
        return [] if said is None else self._take_stored((said,))

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
        else:
            if not self.failed:
                self._settle_research(out)
        return self._returned(out)

    def reconnect(self) -> None:
        """Prepare for the rest of the same stream, from `events_seen` on."""
        self._reader = FrameReader()
        self.over = self._handed_off = self._elsewhere = False

    def go_on(self) -> None:
        """Prepare for the stream of a `continue` turn, whose text belongs to the block that is open."""
        self.reconnect()
        self._deltas = DeltaChannels(self._answer)
        self._answer.go_on()
        self._blocks_seen = 0

    def open_picture(self) -> tuple[int, list[Event]]:
        """Begin the block of a picture; return its index and the events up to its start. The caller ends it."""
        out: list[Event] = []
        return self._answer.open_picture(out), out

    def remark(self, text: str) -> list[Event]:
        """Return a block of reasoning in which the gateway says something of its own."""
        out: list[Event] = []
        self._answer.remark(text, out)
        return out

    def close(self) -> list[Event]:
        """Return the end of the answer. Raises `UpstreamUnavailable` when there is none to end."""
        out = self.end_of_stream()
        if self._failure is not None:
            raise self._failure
        verdict = self.verdict()
        if verdict in ("cut", "handed_off", "silent"):
            raise UpstreamUnavailable(self._missing_answer(verdict), upstream=UPSTREAM)
        reason, raw = ("content_filter", "moderation") if verdict == "blocked" else self._answer.finish_reason()
        self._answer.finish(reason, raw, out)
        return out

    def _missing_answer(self, verdict: Verdict) -> str:
        if self.gallery().awaited:
            return "the upstream did not finish the picture while it was waited for"
        if self.researches:
            return "the upstream did not finish its research while it was waited for"
        if verdict == "cut":
            return "the upstream cut its stream off before the answer was whole"
        if verdict == "handed_off":
            return "the upstream went on without this stream, and the rest of the answer could not be fetched"
        return self._answer.trouble or "the upstream ended the turn without an answer"

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
            self._deltas.take(data, out)
        elif (said := data.strip()) == b"[DONE]":
            self.over = True
        elif said:
            block = _decode(data)
            self._blocks_seen += 1
            self._take_block(name, block, out)

    def _take_block(self, name: bytes, block: Any, out: list[Event]) -> None:
        if name == b"delta_encoding":
            if block != "v1":
                named = f" {block[:40]!r}" if isinstance(block, str) else ""
                raise ProtocolViolation(f"the upstream chose an unknown stream encoding{named}", upstream=UPSTREAM)
            return
        if not isinstance(block, dict):
            raise ProtocolViolation("a block of the upstream's stream is not a JSON object", upstream=UPSTREAM)
        if isinstance(conversation := block.get("conversation_id"), str):
            self._answer.conversation_id = conversation
        kind = block.get("type")
        if kind == "error" or name == b"error":
            raise stated_error(block)
        if isinstance(kind, str):
            self._take_typed(kind, block)
        elif "message" in block:
            check_stated(block)
            self._take_message(block, out)
        elif "error" in block:
            check_stated(block)
        elif isinstance(block.get("moderation_response"), dict):
            self._moderate(block)

    def _take_typed(self, kind: str, block: dict[str, Any]) -> None:
        if kind == "message_stream_complete":
            self.over = True
        elif kind == "resume_conversation_token" and isinstance(block.get("token"), str):
            self.resume_token = block["token"]
        elif kind == "stream_handoff":
            self._handed_off = True
        elif kind == "conversation_async_status":
            self._elsewhere = True
        elif kind == "server_ste_metadata" and isinstance(metadata := block.get("metadata"), dict):
            elsewhere = metadata.get("resume_with_websockets") or metadata.get("streaming_async_status")
            self._elsewhere = self._elsewhere or (bool(elsewhere) and not self._answer.has_text)
        elif kind == "moderation":
            self._moderate(block)

    def _take_stored(self, messages: Iterable[Any]) -> list[Event]:
        out: list[Event] = []
        for message in messages:
            self._take_message({"message": message}, out)
        self._settle_research(out)
        answer, pictures = self._answer, self.gallery()
        is_whole = answer.ends_turn or (bool(pictures.finished) and not answer.is_being_written)
        self.over = is_whole and not self.awaits_result
        self._handed_off, self._elsewhere = self._handed_off and not self.over, self._elsewhere and not self.over
        return self._returned(out)

    def _settle_research(self, out: list[Event]) -> None:
        """Show the report of a research if there is one; of one that goes on, say only that the answer has begun."""
        found = self._answer.research()
        if found.failure is not None:
            self._failure, self.over = research_error(found.failure), True
        elif found.report is not None:
            self._answer.show_report(found.report, out)
        elif found.awaited:
            self._answer.begin(out)

    def _take_message(self, document: dict[str, Any], out: list[Event]) -> None:
        self._deltas.look_again()
        self._answer.take(document, out)

    def _moderate(self, block: dict[str, Any]) -> None:
        response = block.get("moderation_response")
        if isinstance(response, dict) and response.get("blocked") is True:
            self._blocked = self.over = True


def _decode(data: bytes) -> Any:
    try:
        return _JSON.decode(data)
    except MALFORMED_JSON as error:
        raise unreadable("a block", error) from error
