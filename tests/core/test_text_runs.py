"""The law of runs: what is read or written in one step is what would be read or written one by one."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct, json

from core.contracts import Decoder
from core.errors import MALFORMED_JSON
from core.events import TextDelta
from core.request import ChatRequest
from core.text_runs import TextRun, write_run
from core.tool_names import Names
from core.wire.anthropic.decode import MessagesDecoder
from core.wire.openai_chat.decode import ChatDecoder
from tests.core.outcomes import outcome_of
from tests.strategies import MANY

BEFORE, AFTER = b'data: {"v": "', b'"}\n\n'
RUN = TextRun(BEFORE, AFTER)
ROUGH = st.text('",\\x[]{}:u0 \n\x00é', max_size=6).map(str.encode)
"""What may stand between two quotes by accident or malice."""


def one_by_one(inner: list[bytes]) -> list[str] | None:
    """Return what each string is by itself, None when one of them is none."""
    try:
        return [json.decode(b'"' + each + b'"', type=str) for each in inner]
    except MALFORMED_JSON:
        return None


def block(inner: list[bytes]) -> bytes:
    return b"".join(BEFORE + each + AFTER for each in inner)


@given(st.lists(ROUGH, min_size=1, max_size=5))
@MANY
@example([b"a\\", b'x","y'])
@example([b'x","y', b"a\\"])
@example([b'x",', b',"y'])
@example([b"", b","])
def test_a_run_is_read_as_its_events_are_or_not_at_all(inner: list[bytes]) -> None:
    found = RUN.texts(block(inner))
    assert found is None or found == one_by_one(inner)


@given(st.lists(st.text(), min_size=1))
def test_texts_are_read_unless_a_backslash_stands_at_an_end(texts: list[str]) -> None:
    inner = [json.encode(text)[1:-1] for text in texts]
    expected = None if any(each.endswith(b"\\") for each in inner) else texts
    assert RUN.texts(block(inner)) == expected


OTHERS = st.sampled_from(
    [b": beat\n\n", b"data: [DONE]\n\n", b'data: {"v": "a", "p": "x"}\n\n', b"x\n" + BEFORE, BEFORE]
)
PIECES = st.lists(OTHERS | st.lists(ROUGH, min_size=1, max_size=40).map(block))


@given(PIECES)
@MANY
def test_blocks_are_cut_into_runs_and_others_and_nothing_is_lost(pieces: list[bytes]) -> None:
    blocks = b"".join(pieces)
    cut = list(RUN.cut(blocks))
    assert b"".join(piece for piece, _ in cut) == blocks
    assert all(piece and (texts is None or RUN.texts(piece) == texts) for piece, texts in cut)
    for piece, _ in cut[:-1]:
        assert piece.endswith(b"\n\n"), "a block is cut in two"


def test_a_long_run_among_others_is_found() -> None:
    run, other = block([b"word"] * 40), b"data: {}\n\n"
    assert list(RUN.cut(other + run + other)) == [(other, None), (run, ["word"] * 40), (other, None)]


@pytest.mark.parametrize(
    "other",
    [
        b"",
        BEFORE,
        AFTER,
        b'data: {"v": "}\n\n',
        block([b"a"])[:-1],
        b": beat\n\n" + block([b"a"]),
        block([b"a"]) + b"data: [DONE]\n\n",
        block([b"a"]) + b'data: {"v":"b"}\n\n',
        b'data: {"v": "a", "p": "x"}\n\n' + block([b"b"]),
        block([b"\xff"]),
        block([b"\\ud800"]),
    ],
)
def test_another_block_is_left_alone(other: bytes) -> None:
    assert RUN.texts(other) is None


@given(st.lists(st.text() | st.sampled_from([",", '"', '",', ',"', '","', "\\", ""]), min_size=1))
@MANY
@example([",", ",", '"'])
@example(["", "", ","])
def test_a_run_is_written_as_its_texts_are(texts: list[str]) -> None:
    assert write_run(texts, b"<", b">") == b"".join(b"<" + json.encode(text) + b">" for text in texts)


# The decoders that learn their runs from the stream.


class Stream(Struct, frozen=True):
    """A decoder, and the frame of a text, of another event, and of the beginning."""

    id: str
    decoder: Callable[[], Decoder]
    beginning: bytes
    text: Callable[[str], bytes]
    others: tuple[bytes, ...]


def chunk(delta: object, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None} | more
    return b"data: " + json.encode({"id": "c1", "model": "m", "choices": [choice], "error": None}) + b"\n\n"


def named(kind: str, **fields: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.encode({"type": kind} | fields))


def text_of_block(text: str, index: int = 0) -> bytes:
    return named("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


STREAMS = [
    Stream(
        "openai_chat",
        lambda: ChatDecoder("vendor"),
        chunk({"role": "assistant", "content": ""}),
        lambda text: chunk({"content": text}),
        (
            b"data: [DONE]\n\n",
            chunk({"content": "x"}, finish_reason="stop"),
            chunk({"reasoning_content": "hm"}),
            chunk({"content": "y"}, index=1),
            chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]}),
        ),
    ),
    Stream(
        "anthropic",
        lambda: MessagesDecoder("vendor", Names(ChatRequest("m", ()))),
        named("message_start", message={"model": "m"})
        + named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        text_of_block,
        (
            named("content_block_stop", index=0),
            named("content_block_start", index=1, content_block={"type": "thinking", "thinking": ""}),
            text_of_block("z", 1),
            named("message_stop"),
            named("ping"),
        ),
    ),
]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.id)
@given(data=st.data())
@MANY
def test_a_decoder_that_has_learnt_a_run_reads_what_it_would_read_event_by_event(
    stream: Stream, data: st.DataObject
) -> None:
    texts = st.lists(st.text(max_size=4) | st.sampled_from(["the", ",", '"', "\\"]), min_size=4, max_size=12)
    run = texts.map(lambda found: list(map(stream.text, found)))
    others = st.lists(st.sampled_from(stream.others), min_size=1, max_size=6)
    reads = st.lists(run | others | st.tuples(others, run).map(joined))
    whole = [[stream.beginning], *data.draw(reads)]
    events = [event for read in whole for event in read]
    assert outcome_of(stream.decoder(), [b"".join(read) for read in whole]) == outcome_of(stream.decoder(), events)
    assert outcome_of(stream.decoder(), [b"".join(events)]) == outcome_of(stream.decoder(), events)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.id)
def test_a_run_behind_other_events_of_one_read_is_told(stream: Stream) -> None:
    """The others are learnt from before the run is told, of which the decoder must not know less then."""
    for other in stream.others:
        learnt = [stream.beginning, *map(stream.text, "abcd")]
        events = [*learnt, *[other] * 4, *map(stream.text, "efgh")]
        reads = [b"".join(learnt), b"".join(events[len(learnt) :])]
        assert outcome_of(stream.decoder(), reads) == outcome_of(stream.decoder(), events)


def joined(reads: tuple[list[bytes], list[bytes]]) -> list[bytes]:
    return [*reads[0], *reads[1]]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.id)
def test_a_run_is_learnt_and_not_read_event_by_event(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = stream.decoder()
    decoder.feed(stream.beginning + stream.text("a word ") * 4)
    monkeypatch.setattr(decoder, "_take", None)
    [*events] = decoder.feed(stream.text("or two") * 4)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["or two"] * 4
