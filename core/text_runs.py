"""Runs of events that differ in one string alone: most of a streamed answer, read and written in one step.

One by one, a delta costs a frame, a decoder and an encoder call. In a run they cost one call of each together, and a
thousandth of the bytes is looked at in Python. What is not such a run, to the last byte, is left to the ordinary way.
"""

from collections.abc import Callable, Iterator, Sequence

from msgspec import json

from core.errors import MALFORMED_JSON
from core.events import Event, TextDelta

LEAST_BYTES = 256
"""A shorter block holds a delta or two, for which the ordinary way is as quick."""

_PROBE = "Is this the text?"
_TEXTS = json.Decoder(list[str])
_write = json.encode


class TextRun:
    """Reads runs. `before` ends with the quote that opens the string, `after` begins with the one that closes it.

    `example` is the data of an event of the run, where somebody may ask what its events have in common.
    """

    def __init__(self, before: bytes, after: bytes, example: bytes = b"") -> None:
        self.example = example
        self._before, self._after = before, after
        self._between = after + before
        self._escaped = b"\\" + after
        self._begin = b"\n\n" + before

    def cut(self, blocks: bytes) -> Sequence[tuple[bytes, list[str] | None]]:
        """Return the blocks cut around the run among them, which comes with its strings; uncut if there is none."""
        whole = ((blocks, None),) if blocks else ()
        if len(blocks) < LEAST_BYTES or (begin := self._first(blocks)) < 0:
            return whole
        last = blocks.rfind(self._between, begin)
        end = blocks.find(self._after, last + len(self._between)) + len(self._after)
        if last < 0 or end <= last or (texts := self.texts(blocks[begin:end])) is None:
            return whole
        cut = ((blocks[:begin], None), (blocks[begin:end], texts), (blocks[end:], None))
        return [piece for piece in cut if piece[0]]

    def _first(self, blocks: bytes) -> int:
        """Return where a run may begin, at the beginning or behind an empty line; below 0 when there is none."""
        if blocks.startswith(self._before):
            return 0
        found = blocks.find(self._begin)
        return found + 2 if found >= 0 else -1

    def texts(self, block: bytes) -> list[str] | None:
        """Return the strings of a block that is a run from end to end, None for any other block.

        Each string is valid where it stands: it could otherwise only be mended by its neighbour, through a quote that
        a backslash takes away (then `_escaped` is found) or one too many (then there are more strings than events).
        """
        before, after = self._before, self._after
        is_framed = block.startswith(before) and block.endswith(after) and len(block) >= len(before) + len(after)
        if not is_framed or self._escaped in block:
            return None
        inside = block[len(before) : len(block) - len(after)]
        try:
            texts = _TEXTS.decode(b'["' + inside.replace(self._between, b'","') + b'"]')
        except MALFORMED_JSON:
            return None
        return texts if len(texts) == inside.count(self._between) + 1 else None


def learn_run(name: bytes, frame: bytes, text_of: Callable[[bytes], str | None]) -> TextRun | None:
    """Return the run of events like this one, None if there can be none.

    `text_of` returns the text of a frame that does nothing but add it to what is open, None for any other frame. That
    the string found is the one that is read is proven: with another text in its place, that text is read.
    """
    text = text_of(frame)
    if text is None or b"\n" in frame or frame.count(written := _write(text)) != 1:
        return None
    head, tail = frame.split(written)
    if text_of(head + _write(_PROBE) + tail) != _PROBE:
        return None
    named = b"event: %b\n" % name if name else b""
    return TextRun(named + b"data: " + head + b'"', b'"' + tail + b"\n\n", frame)


def grouped(events: Sequence[Event]) -> Iterator[list[str] | Event]:
    """Yield the events in their order, the texts of neighbouring text deltas together."""
    texts: list[str] = []
    for event in events:
        if type(event) is TextDelta:
            texts.append(event.text)
            continue
        if texts:
            yield texts
            texts = []
        yield event
    if texts:
        yield texts


def write_run(texts: Sequence[str], before: bytes, after: bytes) -> bytes:
    """Return each text as JSON, between `before` and `after`; there is at least one."""
    if len(texts) == 1:
        return b"".join((before, _write(texts[0]), after))
    written = _write(texts)
    if b'\\"' in written:
        return b"".join([part for text in texts for part in (before, _write(text), after)])
    # Without escaped quotes, each quote after the first ends a string or begins one, so that `","` does both.
    return before + b'"' + written[2:-2].replace(b'","', b'"' + after + before + b'"') + b'"' + after
