"""Which calls Gemini would refuse for want of a signature."""

import pytest
from msgspec import Struct

from core.request import Message, Opaque, Part, Reasoning, Text, ToolCall
from core.wire.gemini.signatures import has_unsigned_call, sealed

FIRST, SECOND = ToolCall("a", "now", "{}"), ToolCall("b", "now", "{}")
SIGNED, FOREIGN = Reasoning("", sealed("sig")), Reasoning("Hm.", Opaque("anthropic", b"sig"))


class Case(Struct, frozen=True):
    id: str
    said: tuple[Part, ...]
    expected: bool


CASES = [
    Case("words alone", (Text("a"),), False),
    Case("a signed call", (SIGNED, FIRST), False),
    Case("the first of two is signed", (SIGNED, FIRST, SECOND), False),
    Case("a thought behind its signature", (SIGNED, Reasoning("Hm."), FIRST), False),
    Case("a bare call", (FIRST,), True),
    Case("another vendor's signature", (FOREIGN, FIRST), True),
    Case("the signature is that of the words before", (SIGNED, Text("a"), FIRST), True),
    Case("the second of two is signed", (FIRST, SIGNED, SECOND), True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_steps_first_call_needs_one(case: Case) -> None:
    question = Message("user", (Text("When?"),))
    assert has_unsigned_call((question, Message("assistant", case.said))) is case.expected
