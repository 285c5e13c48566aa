"""How long a run looks, and how its time is shared out; what every section needs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

from msgspec import Struct

from bench.children import NotServing
from bench.ground import Clock, Ground, LoadFailed
from bench.legs import LEGS, Leg
from bench.results import Results

T = TypeVar("T")

RATE = 50
"""Deltas a second of a paced stream, about what a large model writes."""


class Pace(Struct, frozen=True):
    """How long a run looks: the default, or quick. `without` names legs that it leaves out."""

    limit_s: float
    rounds: int
    target_s: float
    deltas: int
    open_streams: int
    hold_s: float
    concurrencies: tuple[int, ...]
    latency_turns: float
    growth_sizes: int = 5
    batches: tuple[int, ...] = (1, 10, 100)
    without: tuple[str, ...] = ()


FULL = Pace(
    limit_s=530,
    rounds=3,
    target_s=1.5,
    deltas=4000,
    open_streams=1000,
    hold_s=4,
    concurrencies=(1, 16, 64, 256),
    latency_turns=1,
)
QUICK = Pace(
    limit_s=100,
    rounds=1,
    target_s=0.2,
    deltas=500,
    open_streams=200,
    hold_s=0.5,
    concurrencies=(64,),
    latency_turns=0.5,
    growth_sizes=3,
    batches=(1, 100),
    without=("litellm-pass", "nginx", "bare", *(leg.name for leg in LEGS.values() if leg.in_brief)),
)

SHARES = {"start": 0.08, "memory": 0.14, "growth": 0.1, "cpu": 0.4, "first words": 0.28}
"""Of the time, by section, in their order: first those that cannot be made shorter."""


class Bench(Struct, frozen=True):
    """What every section works with: where, with which legs, how long, and where the figures go."""

    ground: Ground
    legs: Sequence[Leg]
    pace: Pace
    clock: Clock
    results: Results

    def in_turn(
        self, what: str, keys: Sequence[T], end: float, measure: Callable[[T, int], None], rounds: int | None = None
    ) -> None:
        """Measure all of these, A B A B (`Clock.in_turn`); note what there was no time for."""
        missing = self.clock.in_turn(keys, self.pace.rounds if rounds is None else rounds, end, measure)
        if missing:
            self.results.failures.append(f"{what}: no time for the last {missing} of {len(keys)}")

    @contextmanager
    def noting(self, what: str) -> Iterator[None]:
        """Note a figure that could not be had, and go on."""
        try:
            yield
        except (LoadFailed, NotServing) as error:
            self.results.failures.append(f"{what}: {error}")


Section: TypeAlias = Callable[[Bench], None]
"""Measures as long as the clock allows, and adds what it found to the results."""
