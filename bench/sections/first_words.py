"""The time to the first word of an answer, by the number of streams."""

import time
from collections.abc import Callable, Mapping

from bench.legs import Leg, job
from bench.load import Job
from bench.order import Order
from bench.results import Latency
from bench.sections.pace import RATE, Bench

SHAPES: Mapping[int, tuple[Order, int]] = {
    1: (Order(1), 100),
    16: (Order(10, RATE), 10),
    64: (Order(25, RATE), 4),
    256: (Order(50, RATE), 3),
}
"""By the number of connections: what each orders, and how often. Where it is paced, a connection waits at random up to
the length of an answer before it asks again; so the first requests come all at once, and the later ones spread."""


LIMIT_S = 40.0
"""A candidate that takes longer for one round has no figure."""


def measure_first_words(bench: Bench) -> None:
    """Measure the time to an answer's first word, by the number of streams."""
    end = bench.clock.section_end("first words")
    counts = bench.pace.concurrencies
    for number, streams in enumerate(counts):
        left_s = max(0.0, end - time.monotonic())
        measure_concurrency(bench, streams, time.monotonic() + left_s / (len(counts) - number))


def measure_concurrency(bench: Bench, streams: int, end: float) -> None:
    found = bench.results.latency.setdefault(streams, {})
    order, turns = SHAPES[streams]
    requests = streams * max(2, int(turns * bench.pace.latency_turns))
    pause_s = order.deltas / order.rate if order.rate else 0
    title = f"first words of {streams} streams"

    def make_job(leg: Leg) -> Callable[[int], Job]:
        return lambda port: job(leg, port, order, streams, requests, pause_s=pause_s, limit_s=LIMIT_S)

    def measure(leg: Leg, _: int) -> None:
        with bench.noting(f"{leg.title}: {title}"):
            run = bench.ground.drive(leg, make_job(leg))
            latency = Latency(tuple(run.report.burst_s), tuple(run.report.spread_s))
            found.setdefault(leg.name, []).append(latency)

    bench.in_turn(title, [leg for leg in bench.legs if not leg.in_brief], end, measure)
