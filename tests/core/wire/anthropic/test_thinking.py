"""Generations of models by their names, and efforts as budgets."""

import pytest

from core.wire.anthropic.thinking import BUDGETS, UNNUMBERED, Generation, effort_of, generation

NAMES: list[tuple[str, Generation | None]] = [
    ("claude-3-5-sonnet-20241022", (3, 5)),
    ("claude-3-opus-latest", (3, 0)),
    ("claude-3-7-sonnet-20250219", (3, 7)),
    ("claude-sonnet-4-20250514", (4, 0)),
    ("claude-opus-4-1-20250805", (4, 1)),
    ("claude-opus-4-7", (4, 7)),
    ("claude-sonnet-5", (5, 0)),
    ("claude-2.1", (2, 1)),
    ("us.anthropic.claude-haiku-4-5-20251001-v1:0", (4, 5)),
    ("anthropic/claude-sonnet-4.6", (4, 6)),
    ("claude-mythos-preview", UNNUMBERED),
    ("glm-4.6", None),
    ("loopback-large", None),
]


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_a_name_tells_the_generation(name: str, expected: Generation | None) -> None:
    assert generation(name) == expected


@pytest.mark.parametrize("effort", ["low", "medium", "high"])
def test_a_budget_stands_for_the_effort_that_it_was_made_of(effort: str) -> None:
    budget = next(tokens for name, tokens in BUDGETS.items() if name == effort)
    assert effort_of(budget) == effort
