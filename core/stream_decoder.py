"""What the decoders of vendors' streams share: frames in, a sentence out, and a failure that waits for its turn."""

from abc import ABC, abstractmethod

from msgspec import ValidationError

from core.errors import ProtocolViolation, UpstreamError, UpstreamUnavailable
from core.events import Event
from core.sentence import Sentence
from core.sse import FrameReader


class StreamDecoder(ABC):
    """Decodes one stream into `_sentence`. `upstream` is the vendor's name in errors.

    A format's own decoder takes its frames, and says at the end of the bytes whether the answer is whole.
    """

    def __init__(self, upstream: str, ignored: tuple[str, ...]) -> None:
        self._upstream = upstream
        self._ignored = ignored
        self._sentence = Sentence()
        self._reader = FrameReader()
        self._failure: UpstreamError | None = None

    def feed(self, data: bytes) -> list[Event]:
        """Return the events `data` completes; a failure that came behind some of them is raised by the next call."""
        if self._failure is not None:
            raise self._failure
        try:
            for name, frame in self._reader.feed(data):
                self._take(name, frame)
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
        for name, frame in self._reader.close():
            self._take(name, frame)
        if not self._end():
            message = f"{self._upstream} cut its stream off before the answer was whole"
            raise UpstreamUnavailable(message, upstream=self._upstream)
        return self._sentence.take()

    @abstractmethod
    def _take(self, name: bytes, frame: bytes) -> None:
        """Take one event. Raises `UpstreamError`."""

    @abstractmethod
    def _end(self) -> bool:
        """Finish the sentence if the stream has said all of it; return whether it has."""

    def _unreadable(self, what: str, error: Exception) -> ProtocolViolation:
        """Return the error for a frame that msgspec could not decode."""
        fault = "a field has the wrong type" if isinstance(error, ValidationError) else "it is not JSON"
        message = f"{what} of {self._upstream}'s stream cannot be read: {fault}"
        return ProtocolViolation(message, upstream=self._upstream)
