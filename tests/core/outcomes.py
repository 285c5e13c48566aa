"""What a decoder makes of a stream, its failure included: for the laws that hold of every format."""

from collections.abc import Iterable
from typing import TypeAlias

from core.contracts import Decoder
from core.errors import UpstreamError
from core.events import Event

Outcome: TypeAlias = tuple[list[Event], tuple[str, str] | None]


def outcome_of(decoder: Decoder, chunks: Iterable[bytes]) -> Outcome:
    """Return what came out and, when it ended in an error, that error's name and message."""
    events: list[Event] = []
    try:
        for chunk in chunks:
            events += decoder.feed(chunk)
        events += decoder.close()
    except UpstreamError as error:
        return events, (type(error).__name__, error.message)
    return events, None
