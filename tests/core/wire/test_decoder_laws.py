"""The laws of every vendor's decoder: chunking never matters, garbage is refused politely, what is told is legal.

They hold of streams that fail, too: what came before the failure, and the failure, are the same for every chunking.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.contracts import Decoder
from core.events import Event, Finish, Progress
from core.grammar import check, endings
from core.request import ChatRequest
from core.tool_names import Names
from core.vendor_errors import failure
from core.wire.anthropic.decode import MessagesDecoder
from core.wire.gemini.decode import GeminiDecoder
from core.wire.openai_chat.decode import ChatDecoder
from core.wire.openai_responses.decode import ResponsesDecoder
from tests.core.outcomes import outcome_of
from tests.core.wire.anthropic import test_decode as anthropic
from tests.core.wire.gemini import test_decode as gemini
from tests.core.wire.openai_chat import test_decode as openai_chat
from tests.core.wire.openai_responses import test_decode as openai_responses
from tests.strategies import MANY, damaged, pieces

CAPTURES = Path(__file__).parents[2] / "captures" / "vendors"


class Case(Protocol):
    """A stream among a format's own tests."""

    @property
    def given(self) -> bytes: ...


class Format(Struct, frozen=True):
    """A vendor's format, and streams in it, written and recorded."""

    id: str
    decoder: Callable[[], Decoder]
    cases: Sequence[Case]

    def __repr__(self) -> str:
        return self.id

    def written(self) -> list[bytes]:
        return [case.given for case in self.cases]

    def recorded(self) -> list[bytes]:
        return [stream(path) for path in sorted(CAPTURES.glob(f"{self.id}-*")) if path.suffix in (".sse", ".jsonl")]


def stream(path: Path) -> bytes:
    """Return a capture as its vendor sent it."""
    data = path.read_bytes()
    return data if path.suffix == ".sse" else b"".join(b"data: %b\r\n\r\n" % line for line in data.splitlines())


FORMATS = [
    Format("openai-chat", partial(ChatDecoder, "vendor"), (*openai_chat.CASES, *openai_chat.FAILING)),
    Format(
        "openai-responses",
        partial(ResponsesDecoder, "vendor", partial(failure, "vendor")),
        (*openai_responses.CASES, *openai_responses.FAILING),
    ),
    Format(
        "anthropic",
        lambda: MessagesDecoder("vendor", Names(ChatRequest("m", ()))),
        (*anthropic.CASES, *anthropic.FAILING),
    ),
    Format("gemini", partial(GeminiDecoder, "vendor"), (*gemini.CASES, *gemini.FAILING)),
]
each_format = pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.id)


def streams(format_: Format) -> st.SearchStrategy[bytes]:
    found = st.sampled_from([*format_.written(), *format_.recorded()])
    return found | found.flatmap(damaged)


def is_legal(events: Sequence[Event]) -> None:
    """Raise if the events are no beginning of a sentence."""
    said = [event for event in events if not isinstance(event, Progress)]
    if said and not isinstance(said[-1], Finish):
        events = [*events, *endings(said[-1]), Finish("other")]
    if said:
        check(events)


@each_format
@given(data=st.data())
@MANY
def test_the_chunking_never_matters(format_: Format, data: st.DataObject) -> None:
    stream = data.draw(streams(format_))
    assert outcome_of(format_.decoder(), data.draw(pieces(stream))) == outcome_of(format_.decoder(), [stream])


@each_format
@given(data=st.data())
def test_what_is_told_of_a_damaged_stream_is_the_beginning_of_a_sentence(format_: Format, data: st.DataObject) -> None:
    events, failed = outcome_of(format_.decoder(), [data.draw(streams(format_))])
    is_legal(events)
    assert failed or isinstance(events[-1], Finish)


@each_format
@given(chunks=st.lists(st.binary(max_size=40)))
def test_garbage_gives_events_or_one_of_our_errors(format_: Format, chunks: list[bytes]) -> None:
    events, failed = outcome_of(format_.decoder(), chunks)
    assert failed or isinstance(events[-1], Finish)


@each_format
def test_a_recorded_stream_is_over_before_its_connection_is(format_: Format) -> None:
    """Gemini alone has no last word: what it says of its usage may come behind the reason."""
    for recorded in format_.recorded():
        decoder = format_.decoder()
        # Some recordings lack their last line end.
        decoder.feed(recorded + b"\n\n")
        assert decoder.over is (format_.id != "gemini")
