"""Patterns that know their own beginnings: what tells a tag from text while the text still grows."""

import re
from collections.abc import Iterable

from msgspec import Struct


class Growing(Struct, frozen=True):
    """A pattern of bounded length. `beginning` fully matches everything that more text could make a match of it."""

    whole: "re.Pattern[str]"
    beginning: "re.Pattern[str]"

    def may_become(self, text: str) -> bool:
        return self.beginning.fullmatch(text) is not None


def growing(*steps: str) -> Growing:
    """Return the pattern of these steps in a row, each for one character or for a bounded run of like ones."""
    beginning = ""
    for step in reversed(steps):
        beginning = f"(?:{step}{beginning})?"
    return Growing(re.compile("".join(steps)), re.compile(beginning))


def spelled(text: str) -> Iterable[str]:
    """Return the steps of a fixed text."""
    return map(re.escape, text)
