"""What the decoders of vendors' streams share: frames in, a sentence out, and a failure that waits for its turn."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from msgspec import ValidationError

from core.errors import MALFORMED_JSON, ProtocolViolation, UpstreamError, UpstreamUnavailable
from core.events import Event
from core.sentence import Sentence
from core.sse import Frame, FrameReader, split
from core.text_runs import TextRun, learn_run

_LEAST_TO_LEARN_FROM = 4
"""Fewer events in a read are read one by one: to look for a run would take as long."""

_WORTH_LEARNING_BYTES = 4096
"""Of a read as long as this, the first half of so much is read one by one and learnt from, before the rest is read."""


class StreamDecoder(ABC):
    """Decodes one stream into `_sentence`. `upstream` is the vendor's name in errors.

    A format's own decoder takes its frames, and says at the end of the bytes whether the answer is whole.
    """

    def __init__(self, upstream: str, ignored: tuple[str, ...]) -> None:
        self._upstream = upstream
        self._ignored = ignored
        self._sentence = Sentence()
        self._reader = FrameReader()
        self._run: TextRun | None = None
        self._failure: UpstreamError | None = None

    @property
    def over(self) -> bool:
        """Whether the stream has said its last word."""
        return self._sentence.finished

    def feed(self, data: bytes) -> list[Event]:
        """Return the events `data` completes; a failure that came behind some of them is raised by the next call."""
        if self._failure is not None:
            raise self._failure
        try:
            self._take_blocks(self._reader.complete(data))
        except UpstreamError as error:
            self._failure = error
        events = self._sentence.take()
        if self._failure is not None and not events:
            raise self._failure
        return events

    def close(self) -> list[Event]:
        """Return the last events. A stream that had not said its last word was cut (P15, P16)."""
        if self._failure is not None:
            raise self._failure
        self._take_each(self._reader.close())
        if not self._end():
            message = f"{self._upstream} cut its stream off before the answer was whole"
            raise UpstreamUnavailable(message, upstream=self._upstream)
        return self._sentence.take()

    def _take_blocks(self, blocks: bytes) -> None:
        run, pieces = self._run, self._cut(blocks)
        if len(pieces) == 1 and pieces[0][1] is None and len(blocks) > _WORTH_LEARNING_BYTES:
            end = blocks.index(b"\n\n", _WORTH_LEARNING_BYTES // 2) + 2
            self._take_frames(blocks[:end])
            run, pieces = self._run, self._cut(blocks[end:])
        for piece, texts in pieces:
            if texts is not None and run is not None:
                self._take_texts(texts, run.example)
            else:
                self._take_frames(piece)

    def _cut(self, blocks: bytes) -> Sequence[tuple[bytes, list[str] | None]]:
        return self._run.cut(blocks) if self._run else ((blocks, None),)

    def _take_frames(self, blocks: bytes) -> None:
        """Take blocks one by one, and learn from the last of several."""
        frames = split(blocks)
        self._take_each(frames)
        if len(frames) >= _LEAST_TO_LEARN_FROM:
            self._run = learn_run(*frames[-1], self._bare_text)

    def _take_each(self, frames: Sequence[Frame]) -> None:
        """Take frames. What cannot be read is told here: msgspec reads parts of a frame late, or never."""
        try:
            for name, frame in frames:
                self._take(name, frame)
        except MALFORMED_JSON as error:
            fault = "a field has the wrong type" if isinstance(error, ValidationError) else "it is not JSON"
            message = f"an event of {self._upstream}'s stream cannot be read: {fault}"
            raise ProtocolViolation(message, upstream=self._upstream) from error

    def _bare_text(self, frame: bytes) -> str | None:
        """Return the text of a frame that does nothing but tell it, None for any other frame.

        A format without this is read event by event.
        """
        return None

    def _take_texts(self, texts: Sequence[str], example: bytes) -> None:
        """Take the texts of frames that differ from `example` in their text alone."""
        raise NotImplementedError

    @abstractmethod
    def _take(self, name: bytes, frame: bytes) -> None:
        """Take one event. Raises `UpstreamError`, and what msgspec raises on bytes that are not what they should be."""

    @abstractmethod
    def _end(self) -> bool:
        """Finish the sentence if the stream has said all of it; return whether it has."""
