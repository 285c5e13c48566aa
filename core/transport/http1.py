"""HTTP/1.1 as a client reads and writes it, with no I/O: a request head out, a response head and a body in.

The readers take bytes in any chunking and raise `Malformed` for everything that is not HTTP/1.1. h11 is the
oracle of their tests and not their engine: writing and reading one pair of heads with it costs 62 µs of CPU,
with these functions 22 (bench/README.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct

MAX_HEAD_BYTES = 1 << 16
MAX_CHUNK_LINE_BYTES = 1 << 13

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_VALUE = rb"[^\x00-\x08\x0a-\x1f\x7f]*"
_NAME = re.compile(_TOKEN)
_SAFE_VALUE = re.compile(_VALUE)
_SAFE_TARGET = re.compile(rb"[\x21-\x7e]+")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: " + _VALUE + rb")?\r?\n")
_FIELD_LINE = re.compile(rb"(" + _TOKEN + rb"):(" + _VALUE + rb")\r?\n")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")

_CHUNK_SIZE = rb"([0-9A-Fa-f]{1,16})(?:;[^\r\n]*|[ \t]*)\r"
_FIRST_CHUNK = re.compile(_CHUNK_SIZE + rb"\n")
_NEXT_CHUNK = re.compile(rb"\r\n" + _CHUNK_SIZE + rb"\n")
_PART_OF_FIRST_CHUNK = re.compile(rb"(?:" + _CHUNK_SIZE + rb"?)?")
_PART_OF_NEXT_CHUNK = re.compile(rb"\r(?:\n(?:" + _CHUNK_SIZE + rb"?)?)?|")
_TRAILERS = re.compile(rb"(?:" + _TOKEN + rb":" + _VALUE + rb"\r\n)*\r\n")

RawHeaders = tuple[tuple[bytes, bytes], ...]


class Malformed(Exception):
    """The peer's bytes are not HTTP/1.1. The message never quotes them."""


class Unwritable(Exception):
    """Our own request holds something HTTP has no room for. The message names the place, not the value."""


class Head(Struct, frozen=True):
    """The head of a final response: header names in lower case, values without outer blanks."""

    status: int
    headers: RawHeaders
    keep_alive: bool


class BodyReader(Protocol):
    """Takes a response's bytes after the head. `surplus` says that bytes came after the end of the body."""

    complete: bool
    surplus: bool

    def feed(self, data: bytes) -> bytes:
        """Return the body bytes in `data`, joined; raise `Malformed`."""

    def finish(self) -> bool:
        """Take the end of the connection; return whether the body is whole."""


def write_head(method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a request head; raise `Unwritable` rather than let a value become a header or a request."""
    if not _NAME.fullmatch(method) or not _SAFE_TARGET.fullmatch(target):
        raise Unwritable("the method or the path holds characters that HTTP does not allow")
    lines = [b"%b %b HTTP/1.1\r\n" % (method, target)]
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _SAFE_VALUE.fullmatch(value):
            raise Unwritable(f"the header {name!r:.60} holds characters that HTTP does not allow")
        lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join([*lines, b"\r\n"])


class HeadReader:
    """Collects the head of the final response; interim (1xx) responses are read and dropped."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    @property
    def rest(self) -> bytes:
        """The bytes after the head."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> Head | None:
        """Return the head once it is whole; raise `Malformed`."""
        self._buffer += data
        while (block := self._next_block()) is not None:
            head = parse_head(block)
            if head.status >= 200:
                return head
            if head.status == 101:
                raise Malformed("it switched protocols without being asked")
        return None

    def _next_block(self) -> bytes | None:
        buffer = self._buffer
        if not b"HTTP/1.".startswith(bytes(buffer[:7])):
            raise Malformed("its answer does not begin as HTTP/1.1 does")
        found = _END_OF_HEAD.search(buffer, self._searched)
        if len(buffer) > MAX_HEAD_BYTES and (found is None or found.end() > MAX_HEAD_BYTES):
            raise Malformed(f"its response head is longer than {MAX_HEAD_BYTES} bytes")
        if found is None:
            self._searched = max(0, len(buffer) - 2)
            return None
        block = bytes(buffer[: found.end()])
        del buffer[: found.end()]
        self._searched = 0
        return block


def parse_head(block: bytes) -> Head:
    """Parse a head up to and including its empty line; raise `Malformed`."""
    status_line = _STATUS_LINE.match(block)
    if status_line is None:
        raise Malformed("its status line is not one of HTTP/1.1")
    headers = _parse_fields(block[status_line.end() :])
    return Head(int(status_line[2]), headers, keep_alive=status_line[1] == b"1" and _may_persist(headers))


def _parse_fields(block: bytes) -> RawHeaders:
    if b"\n " in block or b"\n\t" in block:
        # Obsolete line folding: RFC 9112 section 5.2 lets a client read it as blanks.
        block = _FOLD.sub(b" ", block)
    fields = []
    position, end = 0, len(block) - (2 if block.endswith(b"\r\n") else 1)
    while position < end:
        line = _FIELD_LINE.match(block, position)
        if line is None:
            raise Malformed("a line of its response head is not a header")
        fields.append((line[1].lower(), line[2].strip(b" \t")))
        position = line.end()
    return tuple(fields)


def _may_persist(headers: RawHeaders) -> bool:
    # A body framed in two ways at once is a sign of request smuggling (RFC 9112 section 6.3): do not go on.
    names = {name for name, _ in headers}
    is_ambiguous = b"transfer-encoding" in names and b"content-length" in names
    return not is_ambiguous and b"close" not in _elements(headers, b"connection")


def _elements(headers: RawHeaders, name: bytes) -> list[bytes]:
    """Return the comma-separated elements of every header of this name, in lower case."""
    lines = [value for key, value in headers if key == name]
    return [item.strip(b" \t").lower() for item in b",".join(lines).split(b",")] if lines else []


def body_reader(head: Head, method: bytes) -> BodyReader:
    """Choose the reader by RFC 9112 section 6.3; raise `Malformed` when the head contradicts itself."""
    reader = _framed_reader(head)
    if method == b"HEAD" or head.status in (204, 304) or (method == b"CONNECT" and head.status < 300):
        return SizedBody(0)
    return reader


def _framed_reader(head: Head) -> BodyReader:
    if encodings := _elements(head.headers, b"transfer-encoding"):
        if encodings != [b"chunked"]:
            raise Malformed("its transfer-encoding is not 'chunked'")
        return ChunkedBody()
    if lengths := set(_elements(head.headers, b"content-length")):
        length = lengths.pop()
        if lengths or not _LENGTH.fullmatch(length):
            raise Malformed("its content-length is not one number")
        return SizedBody(int(length))
    return BodyUntilClose()


class SizedBody:
    def __init__(self, length: int) -> None:
        self._left = length
        self.complete = length == 0
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        taken = data[: self._left]
        self._left -= len(taken)
        self.complete = self._left == 0
        self.surplus = self.surplus or len(taken) < len(data)
        return taken

    def finish(self) -> bool:
        return self.complete


class BodyUntilClose:
    def __init__(self) -> None:
        self.complete = False
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bool:
        self.complete = True
        return True


class ChunkedBody:
    """Reads chunks; extensions are ignored, trailers are checked and dropped."""

    def __init__(self) -> None:
        self.complete = False
        self.surplus = False
        self._left = 0
        self._rest = b""
        self._line, self._part_of_line = _FIRST_CHUNK, _PART_OF_FIRST_CHUNK
        self._in_trailers = False

    def feed(self, data: bytes) -> bytes:
        if self.complete:
            self.surplus = True
            return b""
        data = self._rest + data
        pieces: list[bytes] = []
        position = self._read_chunks(data, pieces)
        self._rest = b""
        if self._in_trailers:
            self._read_trailers(data, position)
        elif position < len(data):
            self._keep_part_of_line(data[position:])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def finish(self) -> bool:
        return self.complete

    def _read_chunks(self, data: bytes, pieces: list[bytes]) -> int:
        """Move the chunks, and what is there of the last one, to `pieces`; return where the reading stopped."""
        position, left, line = 0, self._left, self._line
        while not self._in_trailers:
            if left:
                piece = data[position : position + left]
                pieces.append(piece)
                position += len(piece)
                left -= len(piece)
                if left:
                    break
            found = line.match(data, position)
            if found is None:
                break
            # From the second on, the end of the chunk before is read together with the size.
            line, self._part_of_line = _NEXT_CHUNK, _PART_OF_NEXT_CHUNK
            position = found.end()
            left = int(found[1], 16)
            self._in_trailers = left == 0
        self._left, self._line = left, line
        return position

    def _read_trailers(self, data: bytes, position: int) -> None:
        found = _TRAILERS.match(data, position)
        if found is not None:
            self.complete = True
            self.surplus = found.end() < len(data)
            return
        self._rest = data[position:]
        if b"\r\n\r\n" in self._rest or len(self._rest) > MAX_CHUNK_LINE_BYTES:
            raise Malformed("the trailers after its last chunk are not headers")

    def _keep_part_of_line(self, rest: bytes) -> None:
        if len(rest) > MAX_CHUNK_LINE_BYTES or not self._part_of_line.fullmatch(rest):
            raise Malformed("a chunk of its body does not begin with a size")
        self._rest = rest
