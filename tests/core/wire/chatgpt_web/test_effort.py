"""How hard to think, by the request or by the model's name."""

import pytest
from msgspec import Struct

from core.request import Effort
from core.wire.chatgpt_web.effort import Thinking, thinking


class Case(Struct, frozen=True):
    id: str
    model: str
    effort: Effort | None
    expected: Thinking


CASES = [
    Case("nothing said", "gpt-5-6-thinking", None, Thinking("gpt-5-6-thinking")),
    Case("an effort", "gpt-5-6-thinking", "low", Thinking("gpt-5-6-thinking", "standard")),
    Case("an effort that is none", "gpt-5-6-thinking", "none", Thinking("gpt-5-6-thinking")),
    Case("an effort in the name", "gpt-5-6-thinking-high", None, Thinking("gpt-5-6-thinking", "max")),
    Case(
        "the service's own word in the name",
        "gpt-5-6-thinking-extended",
        None,
        Thinking("gpt-5-6-thinking", "extended"),
    ),
    Case("the request outweighs the name", "gpt-5-6-thinking-high", "low", Thinking("gpt-5-6-thinking", "standard")),
    Case("not to think outweighs the name", "gpt-5-6-thinking-high", "none", Thinking("gpt-5-6-thinking")),
    Case("a slug that only looks alike", "o4-mini-high", None, Thinking("o4-mini-high")),
    Case("another ending", "gpt-5-6-thinking-mini", None, Thinking("gpt-5-6-thinking-mini")),
    Case("auto is told to reason", "auto", "medium", Thinking("auto", "extended", ("reason",))),
    Case("auto alone", "auto", None, Thinking("auto")),
    Case("auto that is not to think", "auto", "minimal", Thinking("auto")),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_thinking(case: Case) -> None:
    assert thinking(case.model, case.effort) == case.expected
