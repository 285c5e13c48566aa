"""Server-sent events: bytes to frames, whatever the chunking, in linear time; and the fixed bytes a writer needs.

Follows the WHATWG HTML standard, section "Server-sent events": LF, CRLF and CR line ends, comments, several
`data:` lines of one event, one leading byte order mark. Beyond the standard, `close()` returns an event whose final
blank line is missing, because recorded vendor streams end that way (tests/captures/README).
"""

import re
from typing import TypeAlias

from core.errors import ProtocolViolation

DONE_FRAME = b"data: [DONE]\n\n"
COMMENT_FRAME = b": keep-alive\n\n"

MAX_EVENT_BYTES = 64 << 20
"""An event larger than this is refused: a picture in base64 stays far below it."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


Frame: TypeAlias = tuple[bytes, bytes]
"""One event: its name (empty when none was given) and its data lines joined by LF."""

_PLAIN = re.compile(rb"(?:event: ([^\n]*)\n)?data: ([^\n]*)\n\n")
_ALL_PLAIN = re.compile(rb"(?:(?:event: [^\n]*+\n)?+data: [^\n]*+\n\n)*+")
"""Events of one line of data, named or not: nearly all there are, and found four times as fast."""


class FrameReader:
    """Cuts a byte stream into frames. Comments and frames without data are left out."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._after_carriage_return = False
        self._at_start = True

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that `data` completes. Raises `ProtocolViolation` for an event over the size limit."""
        return split(self.complete(data))

    def complete(self, data: bytes) -> bytes:
        """Return the blocks that `data` completes, with LF for every line end, for `split`. Raises as `feed` does."""
        if self._after_carriage_return or b"\r" in data:
            data = self._with_line_feeds(data)
        if not self._completes_a_block(data):
            self._hold(data)
            return b""
        if self._pending:
            data = b"".join((*self._pending, data))
            self._pending.clear()
            self._pending_bytes = 0
        end = data.rindex(b"\n\n") + 2
        if end < len(data):
            self._hold(data[end:])
            data = data[:end]
        if self._at_start:
            self._at_start = False
            data = data.removeprefix(_BYTE_ORDER_MARK)
        return data

    def close(self) -> list[Frame]:
        """Return the event that was still open, if it had data."""
        block = b"".join(self._pending)
        if self._at_start:
            block = block.removeprefix(_BYTE_ORDER_MARK)
        self._pending.clear()
        frame = _parse_block(block)
        return [frame] if frame else []

    def _completes_a_block(self, data: bytes) -> bool:
        if b"\n\n" in data:
            return True
        return bool(self._pending) and data[:1] == b"\n" and self._pending[-1][-1:] == b"\n"

    def _hold(self, data: bytes) -> None:
        if not data:
            return
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes > MAX_EVENT_BYTES:
            raise ProtocolViolation(f"an event of the upstream's stream is larger than {MAX_EVENT_BYTES} bytes")

    def _with_line_feeds(self, data: bytes) -> bytes:
        if self._after_carriage_return and data[:1] == b"\n":
            data = data[1:]
            self._after_carriage_return = False
        if data:
            self._after_carriage_return = data[-1:] == b"\r"
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def split(blocks: bytes) -> list[Frame]:
    """Return the frames of complete blocks, as `FrameReader.complete` gives them."""
    if _ALL_PLAIN.fullmatch(blocks):
        return _PLAIN.findall(blocks)
    return [frame for block in blocks.split(b"\n\n") if (frame := _parse_block(block))]


class WholeFrames:
    """Cuts a byte stream after its last whole frame, so that it can be passed on as it is and ended anywhere.

    Frames end with an empty line, of LF or CRLF. Nothing is copied while the reads end where frames do.
    """

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._seam = b""

    def feed(self, data: bytes) -> bytes:
        """Return the whole frames so far; raise `ProtocolViolation` for one over the size limit."""
        if not self._held and data.endswith(b"\n\n"):
            return data
        end = _last_end(self._seam + data) - len(self._seam)
        if end <= 0:
            self._hold(data)
            return b""
        whole = b"".join((*self._held, data[:end]))
        self._held, self._held_bytes, self._seam = [], 0, b""
        if end < len(data):
            self._hold(data[end:])
        return whole

    def close(self) -> bytes:
        """Return what came after the last whole frame."""
        rest = b"".join(self._held)
        self._held, self._held_bytes, self._seam = [], 0, b""
        return rest

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)
        self._seam = (self._seam + data[-3:])[-3:]
        if self._held_bytes > MAX_EVENT_BYTES:
            raise ProtocolViolation(f"an event of the upstream's stream is larger than {MAX_EVENT_BYTES} bytes")


def _last_end(data: bytes) -> int:
    """Return where the last whole frame ends, 0 when there is none."""
    # One byte is looked for in a tenth of the time, and hardly any stream has it.
    line_feeds, crlf = data.rfind(b"\n\n"), data.rfind(b"\r\n\r\n") if b"\r" in data else -1
    return max(line_feeds + 2 if line_feeds >= 0 else 0, crlf + 4 if crlf >= 0 else 0)


def _parse_block(block: bytes) -> Frame | None:
    name = b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        if line.startswith(b"data:"):
            data.append(_value(line, 5))
        elif line.startswith(b"event:"):
            name = _value(line, 6)
    return (name, data[0] if len(data) == 1 else b"\n".join(data)) if data else None


def _value(line: bytes, start: int) -> bytes:
    return line[start + 1 :] if line[start : start + 1] == b" " else line[start:]
