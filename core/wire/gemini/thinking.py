"""How much a model is to think, in Gemini's terms and in ours, and what each generation of models understands.

Sources: Google's pages on thinking, with a table of each model's levels, and on OpenAI's `reasoning_effort`
(November 2026): budgets of tokens for 2.5, levels from Gemini 3 on, which cannot be told not to think at all; nothing
before 2.5. A level, or a budget, that a model does not have is 400.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from core.request import Effort

Generation: TypeAlias = tuple[int, int]

FIRST_THINKING: Generation = (2, 5)
FIRST_SIGNING: Generation = (3, 0)
"""From here on a call must come back with the signature of the thought behind it, and budgets have become levels."""

_UNNUMBERED: Generation = (99, 0)
"""A model whose name has no number is taken for a new one: so are Google's own `-latest` names."""

_BUDGETS: Mapping[Effort, int] = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 24576,
    "max": 24576,
}
_SMALLEST_BUDGET_OF_PRO = 128
"""Gemini 2.5 Pro always thinks; the others may be told not to."""

_LEVELS: Mapping[Effort, str] = {
    "none": "minimal",
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
_EVERY_LEVEL = ("minimal", "low", "medium", "high")
_USUAL_LEVELS = _EVERY_LEVEL[1:]
"""What 3.1 Pro has, and 3.7 Flash, and whatever is newer as far as is known."""

_LEVELS_BY_NAME: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"pro-image"), ("high",)),
    (re.compile(r"image"), ("minimal", "high")),
    (re.compile(r"gemini-3-pro"), ("low", "high")),
    (re.compile(r"flash-lite|gemini-3(\.[0-6])?-flash"), _EVERY_LEVEL),
)
"""The first that a model's name has counts."""

LEVELS: Mapping[str, Effort | None] = {
    "thinking_level_unspecified": None,
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
}
_LIMITS: tuple[tuple[int, Effort], ...] = ((1, "none"), (4096, "low"), (16384, "medium"))

_NAME = re.compile(r"gemini-(\d{1,2})(?:\.(\d{1,2}))?(?![\d.])")


def generation(model: str) -> Generation:
    """Return which generation a model is of, as (2, 5). The open Gemma models understand what the first one does."""
    found = _NAME.search(model)
    if found is not None:
        return int(found[1]), int(found[2] or 0)
    return (1, 0) if model.startswith("gemma") else _UNNUMBERED


def effort_of(budget_tokens: int) -> Effort | None:
    """Return the effort a budget stands for: below 4096 tokens low, below 16384 medium; -1 leaves it to the model."""
    if budget_tokens < 0:
        return None
    return next((effort for limit, effort in _LIMITS if budget_tokens < limit), "high")


def thinking_config(effort: Effort | None, shows_thoughts: bool, model: str) -> tuple[dict[str, Any], bool]:
    """Return the `thinkingConfig` for a model, and whether it says what was asked: else it is the nearest there is."""
    known = generation(model)
    if known < FIRST_THINKING:
        return {}, False
    shown = {"includeThoughts": True} if shows_thoughts else {}
    if effort is None:
        return shown, True
    if known < FIRST_SIGNING:
        budget = max(_BUDGETS[effort], _SMALLEST_BUDGET_OF_PRO if "-pro" in model else 0)
        return {"thinkingBudget": budget, **shown}, budget == _BUDGETS[effort]
    level = _nearest(_LEVELS[effort], model)
    return {"thinkingLevel": level, **shown}, level == _LEVELS[effort]


def _nearest(level: str, model: str) -> str:
    """Return the model's level that is nearest to one; of two the higher, for less than was asked would be worse."""
    levels = next((levels for name, levels in _LEVELS_BY_NAME if name.search(model)), _USUAL_LEVELS)
    wanted = _EVERY_LEVEL.index(level)
    return min(reversed(levels), key=lambda each: abs(_EVERY_LEVEL.index(each) - wanted))
