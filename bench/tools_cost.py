"""Measures the CPU that the tools layer's lifter costs: per text delta without a call, and for a long answer with one.

`python -m bench.tools_cost` prints microseconds and seconds of this process's CPU time; nothing is sent anywhere.
"""

import time
from collections.abc import Iterable

from core.events import Event, Finish, Start, TextDelta, TextEnd, TextStart
from core.request import Tool
from core.tools.lifter import Lifter
from core.tools.protocol import Plan

TAG = "call_abcdef"
PLAN = Plan(TAG, {"f": Tool("f")}, False, True, None, ())
DELTA_CHARS = 4
DELTAS = 100_000
PROSE = "Some ordinary words, a few of them `code`, and every now and then a new line.\n"
REPEATS = 5
MEGABYTE = 1_000_000


def main() -> None:
    per_delta_us = min(seconds_for(pieces(prose(DELTAS * DELTA_CHARS))) for _ in range(REPEATS)) / DELTAS * 1e6
    print(f"per text delta of {DELTA_CHARS} characters: {per_delta_us:.2f} us of CPU")
    for size in (MEGABYTE, 2 * MEGABYTE):
        answer = answer_with_call(size)
        in_deltas = min(seconds_for(pieces(answer)) for _ in range(3))
        in_one = min(seconds_for([answer]) for _ in range(3))
        print(f"{size // MEGABYTE} MB with a call at its end: {in_deltas:.2f} s in deltas, {in_one:.3f} s in one piece")
    arguments = f'<{TAG} name="f">{{"q": "' + prose(MEGABYTE).replace("\n", "\\n") + f'"}}</{TAG}>'
    print(f"1 MB of arguments in deltas: {min(seconds_for(pieces(arguments)) for _ in range(3)):.2f} s")


def prose(size: int) -> str:
    return (PROSE * (size // len(PROSE) + 1))[:size]


def answer_with_call(size: int) -> str:
    call = f'\n<{TAG} name="f">{{"query": "x"}}</{TAG}>'
    return prose(size - len(call)) + call


def pieces(text: str) -> list[str]:
    return [text[begin : begin + DELTA_CHARS] for begin in range(0, len(text), DELTA_CHARS)]


def seconds_for(texts: Iterable[str]) -> float:
    """Return the CPU time to lift one answer that comes in these deltas, each a batch of its own."""
    batches: list[list[Event]] = [[TextDelta(0, text)] for text in texts]
    lifter = Lifter(PLAN, "0" * 24, True, 3)
    lifter.feed([Start(), TextStart(0)])
    began = time.process_time()
    for batch in batches:
        lifter.feed(batch)
    ending = lifter.feed([TextEnd(0), Finish("stop")])
    took = time.process_time() - began
    assert isinstance(ending[-1], Finish)
    return took


if __name__ == "__main__":
    main()
