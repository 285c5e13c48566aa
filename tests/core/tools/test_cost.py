"""The lifter's time is linear in the text, whatever the text is and however it comes. Bounds are loose: see bench."""

import time

import pytest
from msgspec import Struct

from core.events import Start, TextDelta, TextEnd, TextStart
from core.tools.lifter import Lifter
from core.tools.protocol import Plan
from tests.core.tools.lifting import EXCHANGE_ID, TAG, TOOLS
from tests.core.tools.table import own

SIZE = 20_000
GROWTH = 4
MOST_PER_CHARACTER_S = 20e-6


class Case(Struct, frozen=True):
    id: str
    unit: str
    opening: str = ""


CASES = [
    Case("plain text", "Some words. \n"),
    Case("signs of tags", "<"),
    Case("beginnings of our tag", f"<{TAG} na"),
    Case("beginnings of foreign tags", "<tool_cal <function_c"),
    Case("openings of foreign blocks", "<tool_call>{"),
    Case("openings of XML blocks", "<function_calls><function_call><tool>f</tool><args_json>"),
    Case("closings of foreign blocks", "</tool_call>", opening="<tool_call>{"),
    Case("white space", " "),
    Case("empty lines", "\n"),
    Case("backticks", "`"),
    Case("fences", "```\n"),
    Case("many calls", own("any", '{"a": [1, "x"]}')),
    Case("many bad calls", own("nope", "{}")),
    Case("a long string", "words ", opening=f'<{TAG} name="any">{{"a": "'),
    Case("white space before arguments", " ", opening=f'<{TAG} name="any">'),
    Case("white space within arguments", " ", opening=f'<{TAG} name="any">{{'),
    Case("white space behind arguments", " ", opening=f'<{TAG} name="any">{{}}'),
    Case("white space in a foreign block", " ", opening='<tool_call>{"a":1}'),
    Case("white space in an XML block", " ", opening="<function_calls><function_call><tool>f</tool><args_json>"),
    Case("a long free text", "line\n", opening=f'<{TAG} name="note">'),
    Case("line ends behind a bare tag in a free text", "\n", opening=f'<{TAG} name="note"></call>'),
    Case("a call that is given up", "x ", opening=f'<{TAG} name="nope">'),
    Case("denials", "no "),
]


@pytest.mark.parametrize("by", [1, 4, 10**9], ids=["letter by letter", "in deltas", "in one piece"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_time_grows_with_the_text_and_no_faster(case: Case, by: int) -> None:
    small, large = (
        seconds_for(case.opening + case.unit * (size // len(case.unit)), by) for size in (SIZE, GROWTH * SIZE)
    )
    assert large < 3 * GROWTH * small + 0.05
    assert large < MOST_PER_CHARACTER_S * GROWTH * SIZE


def seconds_for(text: str, by: int) -> float:
    """Return the CPU time to lift a text in pieces of `by` characters; bad calls are given back as text."""
    lifter = Lifter(Plan(TAG, {tool.name: tool for tool in TOOLS}, False, True, None, ()), EXCHANGE_ID, True, 3)
    lifter.feed([Start(), TextStart(0), TextDelta(0, own("nope", "{}"))])
    lifter.restart()
    batches = [[TextDelta(0, text[begin : begin + by])] for begin in range(0, len(text), by)]
    began = time.process_time()
    for batch in batches:
        lifter.feed(batch)
    lifter.feed([TextEnd(0)])
    return time.process_time() - began
