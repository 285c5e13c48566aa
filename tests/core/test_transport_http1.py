"""HTTP/1.1 as read and written by hand, against tables and against h11 as an oracle."""

from collections.abc import Iterable
from itertools import pairwise
from typing import TypeAlias

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.transport.http1 import (
    MAX_CHUNK_LINE_BYTES,
    MAX_HEAD_BYTES,
    Head,
    HeadReader,
    Malformed,
    RawHeaders,
    Unwritable,
    body_reader,
    write_head,
)


class Whole(Struct, frozen=True):
    """A response that was read to its end."""

    status: int
    headers: RawHeaders
    body: bytes
    can_go_on: bool = True


Outcome: TypeAlias = Whole | str
"""A response, or "malformed" or "cut"."""


def read(parts: Iterable[bytes], method: bytes = b"GET") -> Outcome:
    """Return what our readers make of these reads and the end of the connection after them."""
    try:
        return _read(iter(parts), method)
    except Malformed:
        return "malformed"


def _read(parts: Iterable[bytes], method: bytes) -> Outcome:
    reader = HeadReader()
    head: Head | None = None
    for part in parts:
        head = reader.feed(part)
        if head is not None:
            break
    if head is None:
        return "cut"
    body = body_reader(head, method)
    data = b"".join(body.feed(part) for part in (reader.rest, *parts) if part)
    at_close = not body.complete
    if not body.finish():
        return "cut"
    return Whole(head.status, head.headers, data, head.keep_alive and not body.surplus and not at_close)


def read_with_h11(data: bytes, method: bytes = b"GET") -> Outcome:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
    connection.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    connection.receive_data(b"")
    status, body = 0, b""
    headers: RawHeaders = ()
    try:
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            match event:
                case h11.Response():
                    status, headers = event.status_code, tuple(event.headers)
                case h11.Data():
                    body += event.data
                case h11.ConnectionClosed():
                    return "cut"
                case _:
                    pass
    except h11.RemoteProtocolError:
        return "malformed"
    return Whole(status, headers, body)


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKED_HEADERS = ((b"transfer-encoding", b"chunked"),)


def sized(body: bytes, headers: RawHeaders = (), *, length: int | None = None) -> Whole:
    count = len(body) if length is None else length
    return Whole(200, (*headers, (b"content-length", str(count).encode())), body)


class Case(Struct, frozen=True):
    id: str
    given: bytes
    expected: Outcome
    method: bytes = b"GET"
    chunking_matters: bool = False


READ_CASES = [
    Case("a body of a stated length", OK + b"Content-Length: 3\r\n\r\nabc", sized(b"abc")),
    Case("a length that is said twice alike", OK + b"Content-Length: 1, 1\r\n\r\na",
         Whole(200, ((b"content-length", b"1, 1"),), b"a")),
    Case("an empty body", OK + b"Content-Length: 0\r\n\r\n", sized(b"")),
    Case("a body that ends with the connection", OK + b"\r\nabc", Whole(200, (), b"abc", can_go_on=False)),
    Case("chunks", CHUNKED + b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", Whole(200, CHUNKED_HEADERS, b"abcd")),
    Case("chunk sizes in both cases with zeros before", CHUNKED + b"00a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
         Whole(200, CHUNKED_HEADERS, b"0123456789" * 2)),
    Case("chunk extensions are ignored", CHUNKED + b"1;name=value\r\na\r\n0;last\r\n\r\n",
         Whole(200, CHUNKED_HEADERS, b"a")),
    Case("blanks after a chunk size are ignored", CHUNKED + b"1  \r\na\r\n0\r\n\r\n",
         Whole(200, CHUNKED_HEADERS, b"a")),
    Case("trailers are dropped", CHUNKED + b"1\r\na\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n",
         Whole(200, CHUNKED_HEADERS, b"a")),
    Case("a chunk that holds line ends", CHUNKED + b"4\r\n\r\n\r\n\r\n0\r\n\r\n",
         Whole(200, CHUNKED_HEADERS, b"\r\n\r\n")),
    Case("interim responses are skipped",
         b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
         + OK + b"content-length: 1\r\n\r\na", sized(b"a")),
    Case("204 has no body, whatever its head says", b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n",
         Whole(204, ((b"content-length", b"5"),), b"")),
    Case("304 has no body", b"HTTP/1.1 304 Not Modified\r\n\r\n", Whole(304, (), b"")),
    Case("the answer to HEAD has no body", OK + b"content-length: 5\r\n\r\n", sized(b"", length=5), method=b"HEAD"),
    Case("the answer to CONNECT has no body", OK + b"content-length: 5\r\n\r\n",
         sized(b"", length=5), method=b"CONNECT"),
    Case("a status line without a reason", b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", sized(b"")),
    Case("lines that end in LF alone", b"HTTP/1.1 200 OK\nx: 1\ncontent-length: 1\n\na", sized(b"a", ((b"x", b"1"),))),
    Case("a folded header", OK + b"x: 1\r\n  2\r\n\t3\r\ncontent-length: 0\r\n\r\n", sized(b"", ((b"x", b"1 2 3"),))),
    Case("a header without a value", OK + b"x:\r\ncontent-length: 0\r\n\r\n", sized(b"", ((b"x", b""),))),
    Case("a repeated header", OK + b"x: 1\r\nX: 2\r\ncontent-length: 0\r\n\r\n",
         sized(b"", ((b"x", b"1"), (b"x", b"2")))),
    Case("bytes beyond ASCII in a value", OK + b"x: \xe9\r\ncontent-length: 0\r\n\r\n", sized(b"", ((b"x", b"\xe9"),))),
    Case("HTTP/1.0 is read and its connection not kept", b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na",
         Whole(200, ((b"content-length", b"1"),), b"a", can_go_on=False)),
    Case("connection: close is honoured", OK + b"Connection: x, Close\r\ncontent-length: 0\r\n\r\n",
         Whole(200, ((b"connection", b"x, Close"), (b"content-length", b"0")), b"", can_go_on=False)),
    Case("chunks win over a length, and the connection is not kept",
         OK + b"content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
         Whole(200, ((b"content-length", b"9"), *CHUNKED_HEADERS), b"a", can_go_on=False)),
    Case("bytes after the body spoil the connection", OK + b"content-length: 1\r\n\r\naHTTP/1.1 200 OK\r\n\r\n",
         Whole(200, ((b"content-length", b"1"),), b"a", can_go_on=False)),
    Case("bytes after the last chunk spoil the connection", CHUNKED + b"0\r\n\r\nx",
         Whole(200, CHUNKED_HEADERS, b"", can_go_on=False)),
    Case("nothing at all", b"", "cut"),
    Case("half a head", OK + b"content-le", "cut"),
    Case("half a body", OK + b"content-length: 3\r\n\r\nab", "cut"),
    Case("chunks without a last one", CHUNKED + b"1\r\na\r\n", "cut"),
    Case("half a chunk", CHUNKED + b"5\r\nab", "cut"),
    Case("half a chunk size", CHUNKED + b"5", "cut"),
    Case("no end after the last chunk", CHUNKED + b"0\r\n", "cut"),
    Case("another protocol's greeting", b"SSH-2.0-OpenSSH_9.6\r\n", "malformed"),
    Case("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x28", "malformed"),
    Case("HTTP/2", b"HTTP/2 200 OK\r\n\r\n", "malformed"),
    Case("a status of two digits", b"HTTP/1.1 20 OK\r\n\r\n", "malformed"),
    Case("a status line that is folded", OK + b" x: 1\r\n\r\n", "malformed"),
    Case("a line without a colon", OK + b"nonsense\r\n\r\n", "malformed"),
    Case("a blank before the colon", OK + b"x : 1\r\n\r\n", "malformed"),
    Case("a NUL in a value", OK + b"x: \x00\r\n\r\n", "malformed"),
    Case("a carriage return in a value", OK + b"x: a\rb\r\n\r\n", "malformed"),
    Case("switching protocols unasked", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "malformed"),
    Case("two lengths", OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab", "malformed"),
    Case("a negative length", OK + b"content-length: -1\r\n\r\n", "malformed"),
    Case("a length with a plus", OK + b"content-length: +1\r\n\r\na", "malformed"),
    Case("an empty length", OK + b"content-length:\r\n\r\n", "malformed"),
    Case("a coding we did not ask for", OK + b"transfer-encoding: gzip, chunked\r\n\r\n", "malformed"),
    Case("a chunk size that is not a number", CHUNKED + b"xyz\r\n", "malformed"),
    Case("a chunk size with a prefix", CHUNKED + b"0x1\r\na\r\n0\r\n\r\n", "malformed"),
    Case("a chunk size of seventeen digits", CHUNKED + b"1" * 17, "malformed"),
    Case("an empty line for a chunk size", CHUNKED + b"\r\n", "malformed"),
    Case("a chunk longer than its size", CHUNKED + b"1\r\nab\r\n0\r\n\r\n", "malformed"),
    Case("a trailer that is not a header", CHUNKED + b"0\r\nnonsense\r\n\r\n", "malformed"),
    Case("a head without an end", OK + b"x: " + b"a" * MAX_HEAD_BYTES, "malformed", chunking_matters=True),
    Case("a head that is whole but too long", OK + b"x: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n", "malformed",
         chunking_matters=True),
    Case("a chunk extension without an end", CHUNKED + b"1;" + b"a" * MAX_CHUNK_LINE_BYTES, "malformed",
         chunking_matters=True),
    Case("trailers without an end", CHUNKED + b"0\r\n" + b"a: b\r\n" * MAX_CHUNK_LINE_BYTES, "malformed",
         chunking_matters=True),
]  # fmt: skip


@pytest.mark.parametrize("case", READ_CASES, ids=lambda case: case.id)
def test_responses_are_read(case: Case) -> None:
    assert read([case.given], case.method) == case.expected


@pytest.mark.parametrize("case", [case for case in READ_CASES if not case.chunking_matters], ids=lambda case: case.id)
def test_responses_are_read_alike_however_they_are_split(case: Case) -> None:
    data = case.given
    assert read([data[i : i + 1] for i in range(len(data))], case.method) == case.expected
    for i in range(len(data)):
        assert read([data[:i], data[i:]], case.method) == case.expected


TOKENS = st.text("abcXYZ019-_", min_size=1, max_size=8).map(str.encode)
VALUES = st.text("abc 09,;\té", max_size=12).map(lambda text: text.strip(" \t").encode("latin-1"))
FRAMING = {b"content-length", b"transfer-encoding"}
FIELDS = st.lists(st.tuples(TOKENS, VALUES), max_size=4)
FINAL_STATUSES = st.sampled_from([200, 201, 204, 301, 304, 400, 429, 503, 999])
METHODS = st.sampled_from([b"GET", b"POST", b"HEAD"])


def _head(status: int, fields: list[tuple[bytes, bytes]]) -> bytes:
    lines = [b"%b: %b\r\n" % field for field in fields]
    return b"HTTP/1.1 %d Reason given\r\n" % status + b"".join(lines) + b"\r\n"


def _chunks(pieces: list[bytes], extension: bytes, trailers: list[tuple[bytes, bytes]]) -> bytes:
    chunks = [b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces if piece]
    return b"".join([*chunks, b"0\r\n", *(b"%b: %b\r\n" % field for field in trailers), b"\r\n"])


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """Draw a well-formed response, framed in one of the three ways, perhaps after interim ones."""
    interim = b"".join(
        _head(status, draw(FIELDS)) for status in draw(st.lists(st.sampled_from([100, 103]), max_size=2))
    )
    pieces = draw(st.lists(st.binary(max_size=20), max_size=4))
    fields, body = draw(FIELDS), b"".join(pieces)
    framing = draw(st.sampled_from(["length", "chunks", "close"]))
    if framing == "length":
        fields.append((b"Content-Length", b"%d" % len(body)))
    elif framing == "chunks":
        fields.append((b"Transfer-Encoding", draw(st.sampled_from([b"chunked", b"Chunked"]))))
        body = _chunks(pieces, draw(st.sampled_from([b"", b";a", b';a="b c"', b"  "])), draw(FIELDS))
    return interim + _head(draw(FINAL_STATUSES), fields) + body


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a response with a few of its bytes replaced, removed or added."""
    data = draw(responses())
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 3)))
        patch = draw(st.sampled_from([b"", b"\r", b"\n", b"\r\n", b" ", b":", b"0", b"f", b";", b"\x00", b"\xff"]))
        data = data[:start] + patch + data[stop:]
    return data


def splits(data: bytes, cuts: list[int]) -> list[bytes]:
    bounds = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:stop] for start, stop in pairwise(bounds)]


def content(outcome: Outcome) -> Outcome:
    """Leave out the framing: h11 rewrites its headers, and does not say whether the connection may go on."""
    if isinstance(outcome, str):
        return outcome
    headers = tuple(field for field in outcome.headers if field[0] not in FRAMING)
    return Whole(outcome.status, headers, outcome.body)


CUTS = st.lists(st.integers(0, 1000), max_size=6)


@given(responses(), METHODS, CUTS)
def test_well_formed_responses_are_read_as_h11_reads_them(data: bytes, method: bytes, cuts: list[int]) -> None:
    ours = read(splits(data, cuts), method)
    assert isinstance(ours, Whole)
    assert content(ours) == content(read_with_h11(data, method))


@given(damaged() | st.binary(max_size=60).map(CHUNKED.__add__) | st.binary(max_size=60), METHODS, CUTS)
def test_what_is_read_from_garbage_is_what_h11_reads(data: bytes, method: bytes, cuts: list[int]) -> None:
    ours = read([data], method)
    assert read(splits(data, cuts), method) == ours
    if isinstance(ours, Whole):
        assert content(ours) == content(read_with_h11(data, method))


class WriteCase(Struct, frozen=True):
    id: str
    target: bytes = b"/"
    headers: RawHeaders = ()
    method: bytes = b"GET"


def test_a_request_head_is_written() -> None:
    head = write_head(b"POST", b"/a?b=c", [(b"Host", b"example.com"), (b"x", b"\xe9 \t1")])
    assert head == b"POST /a?b=c HTTP/1.1\r\nHost: example.com\r\nx: \xe9 \t1\r\n\r\n"


@pytest.mark.parametrize(
    "case",
    [
        WriteCase("a line end in a value", headers=((b"authorization", b"secret\r\nx: 1"),)),
        WriteCase("a line feed at the end of a value", headers=((b"authorization", b"secret\n"),)),
        WriteCase("a NUL in a value", headers=((b"authorization", b"secret\x00"),)),
        WriteCase("a colon in a name", headers=((b"a:b", b"secret"),)),
        WriteCase("an empty name", headers=((b"", b"secret"),)),
        WriteCase("a blank in the path", target=b"/secret HTTP/1.1"),
        WriteCase("a line end in the path", target=b"/secret\r\n"),
        WriteCase("a line end in the method", method=b"GET\r\n"),
    ],
    ids=lambda case: case.id,
)
def test_what_would_forge_a_request_is_refused_without_quoting_it(case: WriteCase) -> None:
    with pytest.raises(Unwritable) as caught:
        write_head(case.method, case.target, case.headers)
    assert "secret" not in str(caught.value)
