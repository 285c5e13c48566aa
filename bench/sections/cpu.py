"""CPU per streamed delta and per request, of each load in turn."""

import time
from collections.abc import Sequence

from msgspec import Struct, structs

from bench.ground import Ground, Run
from bench.legs import Leg, job
from bench.load import Job
from bench.order import Order
from bench.sections.pace import RATE, Bench, Pace

TRIAL_DELTAS = 200


class Load(Struct, frozen=True):
    """`streams` at once, whose cost is counted by delta or by request. The number of requests is fitted to the time."""

    name: str
    title: str
    per_delta: bool
    streams: int
    order: Order
    stream: bool = True
    in_brief: bool = False

    def units(self, run: Run) -> int:
        return run.report.requests * (self.order.deltas if self.per_delta else 1)


def loads(pace: Pace) -> Sequence[Load]:
    def flat(batch: int) -> Load:
        title = "each delta its own chunk" if batch == 1 else f"{batch} deltas a chunk"
        order = Order(pace.deltas, 0, batch)
        return Load(f"flat-{batch}", f"20 streams flat out, {title}", True, 20, order, in_brief=batch == 1)

    return (
        *map(flat, pace.batches),
        Load("paced", f"40 streams, {RATE} deltas a second", True, 40, Order(RATE * 2, RATE)),
        Load("request-1", "not streamed, 1 in flight", False, 1, Order(10), stream=False),
        Load("request-256", "not streamed, 256 in flight", False, 256, Order(10), stream=False),
    )


class Sizes(Struct, frozen=True):
    streams: int
    requests: int


def measure_cpu(bench: Bench) -> None:
    """Measure CPU per delta and per request, of each load in turn."""
    end = bench.clock.section_end("cpu")
    every = loads(bench.pace)
    for number, load in enumerate(every):
        left_s = max(0.0, end - time.monotonic())
        measure_load(bench, load, time.monotonic() + left_s / (len(every) - number))


def measure_load(bench: Bench, load: Load, end: float) -> None:
    results = bench.results
    legs = [leg for leg in bench.legs if leg.name != "direct" and (load.in_brief or not leg.in_brief)]
    costs = results.cpu_s.setdefault(load.name, {})
    sizes: dict[str, Sizes] = {}

    def measure(leg: Leg, _: int) -> None:
        with bench.noting(f"{leg.title}: {load.title}"):
            if leg.name not in sizes:
                sizes[leg.name] = fitted(bench, leg, load)
            run = drive_load(bench.ground, leg, load, sizes[leg.name])
            costs.setdefault(leg.name, []).append(run.cpu_s / load.units(run))
            if load.per_delta and not load.order.rate:
                results.busy = results.busy.or_more(run.upstream_busy, run.client_busy)

    bench.in_turn(load.title, legs, end, measure)


def fitted(bench: Bench, leg: Leg, load: Load) -> Sizes:
    """Return how much of a load takes about the time that it should; the trial also warms the candidate up.

    A paced load takes its time whatever happens, and comes after others.
    """
    order = load.order
    if order.rate:
        return Sizes(load.streams, load.streams)
    trial = Order(min(order.deltas, TRIAL_DELTAS), 0, order.batch)
    run = drive_load(bench.ground, leg, structs.replace(load, order=trial), Sizes(load.streams, load.streams))
    per_request_s = run.report.wall_s / load.streams * order.deltas / trial.deltas
    sizes = fitting(load, per_request_s, bench.pace.target_s)
    if sizes.streams < load.streams:
        bench.results.notes.append(f"{leg.title}: {sizes.streams} streams instead of {load.streams}, {load.title}")
    return sizes


def fitting(load: Load, per_request_s: float, target_s: float) -> Sizes:
    """Return the requests that take `target_s`, at least one for each stream.

    There are fewer streams where that would take four times as long; but not where their number is what is measured.
    """
    streams = load.streams
    if load.per_delta:
        streams = min(streams, max(1, int(4 * target_s / per_request_s)))
    return Sizes(streams, max(streams, int(target_s / per_request_s)))


def drive_load(ground: Ground, leg: Leg, load: Load, sizes: Sizes) -> Run:
    def make(port: int) -> Job:
        return job(leg, port, load.order, sizes.streams, sizes.requests, stream=load.stream)

    return ground.drive(leg, make)
