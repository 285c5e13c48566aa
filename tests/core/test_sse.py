import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core import sse
from core.errors import ProtocolViolation
from core.sse import Frame, FrameReader, WholeFrames
from tests.strategies import pieces


class Case(Struct, frozen=True):
    id: str
    given: bytes
    expected: list[tuple[bytes, bytes]]


CASES = [
    Case("one event with a name", b"event: delta\ndata: {}\n\n", [(b"delta", b"{}")]),
    Case("an event without a name has an empty one", b"data: 1\n\n", [(b"", b"1")]),
    Case("several data lines are joined by a line feed", b"data: a\ndata: b\n\n", [(b"", b"a\nb")]),
    Case("only one space after the colon is dropped", b"data:  a \n\n", [(b"", b" a ")]),
    Case("the space after the colon may be missing", b"data:a\n\n", [(b"", b"a")]),
    Case("comments are left out", b": ping\n\ndata: a\n: between\n\n", [(b"", b"a")]),
    Case("an event without data is left out", b"event: delta\n\ndata: a\n\n", [(b"", b"a")]),
    Case("other fields are left out", b"id: 7\nretry: 10\ndata: a\n\n", [(b"", b"a")]),
    Case("the last of several names counts", b"event: a\nevent: b\ndata: 1\n\n", [(b"b", b"1")]),
    Case("a name does not outlive its event", b"event: a\ndata: 1\n\ndata: 2\n\n", [(b"a", b"1"), (b"", b"2")]),
    Case("more blank lines than one end an event once", b"\n\ndata: 1\n\n\n\ndata: 2\n\n", [(b"", b"1"), (b"", b"2")]),
    Case("empty data is data", b"data:\n\n", [(b"", b"")]),
    Case("a leading byte order mark is dropped", b"\xef\xbb\xbfdata: 1\n\n", [(b"", b"1")]),
    Case("a later byte order mark is not", b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n", [(b"", b"1")]),
    Case("nor is a later one at the end", b"data: 1\n\n\xef\xbb\xbfdata: 2", [(b"", b"1")]),
    Case("an event whose blank line is missing comes at the end", b"data: 1\n\ndata: 2", [(b"", b"1"), (b"", b"2")]),
    Case("an event whose blank line is half there comes too", b"data: 1\n", [(b"", b"1")]),
    Case("line feeds inside JSON strings are escaped, so none is lost", b'data: "a\\nb"\n\n', [(b"", b'"a\\nb"')]),
    Case("no bytes are no events", b"", []),
    Case("line ends may be mixed", b"data: 1\r\rdata: 2\r\n\ndata: 3\n\r\n", [(b"", b"1"), (b"", b"2"), (b"", b"3")]),
]


def read(chunks: list[bytes]) -> list[Frame]:
    reader = FrameReader()
    frames = [frame for chunk in chunks for frame in reader.feed(chunk)]
    return frames + reader.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_it_reads_frames(case: Case) -> None:
    assert read([case.given]) == case.expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"], ids=["CRLF", "CR"])
def test_line_ends_never_matter(case: Case, line_end: bytes) -> None:
    if b"\r" not in case.given:
        assert read([case.given.replace(b"\n", line_end)]) == case.expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_no_cut_into_two_or_into_bytes_matters(case: Case, line_end: bytes) -> None:
    whole = case.given if b"\r" in case.given else case.given.replace(b"\n", line_end)
    expected = read([whole])
    assert read([whole[at : at + 1] for at in range(len(whole))]) == expected
    for cut in range(len(whole) + 1):
        assert read([whole[:cut], b"", whole[cut:]]) == expected


STREAMS = st.lists(st.sampled_from([b"data: ", b"event:", b": c", b"a", b"\n", b"\r", b"\n\n", b"\xef\xbb\xbf"])).map(
    b"".join
)


@given(STREAMS | st.binary(), st.data())
def test_chunking_never_matters(whole: bytes, data: st.DataObject) -> None:
    assert read(data.draw(pieces(whole))) == read([whole])


@given(STREAMS)
def test_it_agrees_with_the_standard_read_line_by_line(whole: bytes) -> None:
    assert read([whole]) == by_the_book(whole)


def by_the_book(whole: bytes) -> list[tuple[bytes, bytes]]:
    """The oracle: the standard's algorithm over the lines of a whole stream, the last event without its blank line."""
    frames: list[tuple[bytes, bytes]] = []
    name, data = b"", list[bytes]()
    text = whole.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for line in [*text.split(b"\n"), b""]:
        field, _, value = line.partition(b":")
        if field == b"data" and b":" in line:
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
        elif not line:
            frames += [(name, b"\n".join(data))] if data else []
            name, data = b"", []
    return frames


def test_an_event_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    reader = FrameReader()
    reader.feed(b"data: " + b"a" * 900)
    with pytest.raises(ProtocolViolation, match="larger than 1000 bytes"):
        reader.feed(b"a" * 200)


def test_the_limit_is_for_one_event_and_not_for_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    reader = FrameReader()
    frames = [frame for _ in range(100) for half in (b"data: " + b"a" * 400, b"\n\n") for frame in reader.feed(half)]
    assert len(frames) == 100


WHOLE = b'event: a\ndata: {"x": 1}\n\ndata: two\r\n\r\n: note\n\ndata: [DONE]\n\n'


@given(cuts=pieces(WHOLE + b"data: unfinished"))
def test_a_relay_passes_whole_frames_whatever_the_chunking(cuts: list[bytes]) -> None:
    frames = WholeFrames()
    passed = [frames.feed(cut) for cut in cuts]
    assert b"".join(passed) == WHOLE
    assert all(not part or part.endswith((b"\n\n", b"\r\n\r\n")) for part in passed)
    assert frames.close() == b"data: unfinished"


def test_a_relay_does_not_copy_reads_that_end_where_frames_do() -> None:
    data = b"data: x\n\n"
    assert WholeFrames().feed(data) is data


def test_a_relayed_frame_has_a_size_limit() -> None:
    frames = WholeFrames()
    assert frames.feed(b"x" * sse.MAX_EVENT_BYTES) == b""
    with pytest.raises(ProtocolViolation, match="larger than"):
        frames.feed(b"x")
