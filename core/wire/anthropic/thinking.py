"""How much a model is to think, in Anthropic's terms and in ours, what each generation of models understands, and
what of it is shown.

Sources: the types of Anthropic's SDK (November 2026) and the notes on its models: adaptive thinking with an effort
came with Claude 4.6; fixed budgets and sampling parameters ended with 4.7; the first models to think were 3.7.
"""

import re
from collections.abc import Mapping
from typing import TypeAlias

from core.request import Effort

Generation: TypeAlias = tuple[int, int]

FIRST_THINKING: Generation = (3, 7)
FIRST_EITHER_SAMPLING: Generation = (4, 1)
"""From here on a request may have a temperature or a top_p, not both."""
FIRST_STRUCTURED: Generation = (4, 5)
FIRST_ADAPTIVE: Generation = (4, 6)
FIRST_WITHOUT_SAMPLING: Generation = (4, 7)
UNNUMBERED: Generation = (99, 0)
"""A Claude whose name has no number is taken for a new one."""

THINKING = "thinking"
"""In `echo`: blocks of thinking are wanted in the answer."""
OMITTED = "thinking.display"
"""In `echo`: of thinking the seals alone are wanted."""

SMALLEST_BUDGET = 1024
BUDGETS: Mapping[Effort, int] = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
    "max": 32768,
}
"""Tokens of thinking for an effort, for models that take a budget."""

_LIMITS: tuple[tuple[int, Effort], ...] = ((4096, "low"), (16384, "medium"))
_EFFORTS: Mapping[Effort, str] = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "max": "max"}

_NAME = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[.-](\d{1,2}))?(?!\d)")


def generation(model: str) -> Generation | None:
    """Return which generation a model is of, as (4, 5); None when it is no Claude, as far as its name tells."""
    found = _NAME.search(model)
    if found is not None:
        return int(found[1]), int(found[2] or 0)
    return UNNUMBERED if "claude" in model else None


def effort_of(budget_tokens: int) -> Effort:
    """Return the effort that a budget stands for: low below 4096 tokens, medium below 16384, else high."""
    return next((effort for limit, effort in _LIMITS if budget_tokens < limit), "high")


def effort_word(effort: Effort, known: Generation) -> str:
    """Return Anthropic's word for an effort; `xhigh` is newer than adaptive thinking itself."""
    if effort == "xhigh":
        return "xhigh" if known >= FIRST_WITHOUT_SAMPLING else "high"
    return _EFFORTS[effort]
