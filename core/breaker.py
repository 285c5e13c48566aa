"""A circuit breaker for each upstream: one that keeps failing is asked last for a while, then tried again.

It learns from failures of the provider alone (an upstream that refuses a request is there), and only what this instance
saw. An upstream is never left out altogether: when all of a route's targets are open, the first is still better than
none.
"""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

FAILURES_TO_OPEN = 5
"""Failures in a row (JR-18's usual threshold)."""

OPEN_S = 30.0
"""How long an open upstream is passed over before one request tries it again."""

T = TypeVar("T")


class Breaker:
    """Counts failures in a row by upstream name. `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, int] = {}
        self._closed_at: dict[str, float] = {}

    def order(self, targets: Sequence[T], name: Callable[[T], str]) -> list[T]:
        """Return the targets, those whose upstream is open last."""
        return sorted(targets, key=lambda target: self.is_open(name(target)))

    def is_open(self, name: str) -> bool:
        return self._closed_at.get(name, 0.0) > self._clock()

    def failed(self, name: str) -> None:
        """Count a failure; from the fifth in a row on each one opens the circuit anew."""
        self._failures[name] = self._failures.get(name, 0) + 1
        if self._failures[name] >= FAILURES_TO_OPEN:
            self._closed_at[name] = self._clock() + OPEN_S

    def succeeded(self, name: str) -> None:
        self._failures.pop(name, None)
        self._closed_at.pop(name, None)
