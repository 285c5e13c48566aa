"""What a request orders from the simulated vendors: it stands in the prompt, so that every gateway carries it there.

The answer's text is `Once.` on a line of its own, so many times ` upon` or ` upon,`, ` end.`. The first sentence is
short because a gateway may keep one back until it is whole, which costs time but no work. The word has two forms as
one gateway takes a hundred equal deltas for a model that is stuck. Where there is a pace, the first sentence names the
time of the first delta, so that a client can tell how late each of the others is.
"""

import re

from msgspec import Struct

FIRST_WORD = b"Once"
FIRST_SENTENCE = "Once.\n"
WORDS = (b" upon", b" upon,")
COUNTED = b"upon"
LAST_WORD = b" end."

_ORDER = re.compile(rb"deltas=(\d+) rate=(\d+) batch=(\d+)")
_STARTED_AT = re.compile(rb"Once at (\d+)us")


class Order(Struct, frozen=True):
    """`deltas` of one word each, `rate` a second (0: at once), then `batch` of them in each HTTP chunk."""

    deltas: int = 1
    rate: int = 0
    batch: int = 1

    def prompt(self) -> str:
        return f"deltas={self.deltas} rate={self.rate} batch={self.batch}"


DEFAULT = Order()


def read_order(request: bytes) -> Order:
    """Return the last order in a request, the default where there is none."""
    begin = request.rfind(b"deltas=")
    found = _ORDER.match(request, begin) if begin >= 0 else None
    return Order(*map(int, found.groups())) if found else DEFAULT


def paced_first_text(started_at_s: float) -> str:
    """Return the first text of a paced answer; the time is the monotonic clock's, which all processes here share."""
    return f"{FIRST_WORD.decode()} at {int(started_at_s * 1e6)}us.\n"


def read_start(text: bytes) -> float | None:
    """Return when a paced answer began, in seconds of the monotonic clock; `None` until that is there."""
    found = _STARTED_AT.search(text)
    return int(found[1]) / 1e6 if found else None
