"""What a longer answer, more tools, a longer history and more streams cost the gateway: it must be a straight line."""

from collections.abc import Callable

from msgspec import Struct

from bench.legs import LEGS, Leg, job
from bench.load import Job
from bench.order import Order
from bench.results import Growth
from bench.sections.pace import RATE, Bench, Pace


class Series(Struct, frozen=True):
    """One thing that grows: the sizes it takes, and the job of one size. `per_request`: or else per run."""

    name: str
    title: str
    leg: Leg
    sizes: tuple[int, ...]
    job: Callable[[Leg, int, int], Job]
    per_request: bool = True


def by_length(leg: Leg, port: int, size: int) -> Job:
    return job(leg, port, Order(size), 4, max(8, 40_000 // size))


def by_tools(leg: Leg, port: int, size: int) -> Job:
    return job(leg, port, Order(10), 2, 40, tools=size)


def by_history(leg: Leg, port: int, size: int) -> Job:
    return job(leg, port, Order(10), 2, 40, history=size)


def by_streams(leg: Leg, port: int, size: int) -> Job:
    return job(leg, port, Order(RATE, RATE), size, size)


WEB, WEB_TOOLS = LEGS["web"], LEGS["web-tools"]
SERIES = (
    Series("length", "answer length, deltas", WEB_TOOLS, (500, 1000, 2000, 4000, 8000), by_length),
    Series("tools", "number of tools", WEB, (1, 16, 32, 64, 128), by_tools),
    Series("history", "history, messages", WEB, (2, 64, 128, 256, 512), by_history),
    Series("streams", "paced streams at once", WEB, (16, 32, 64, 128, 256), by_streams, per_request=False),
)


def measure_growth(bench: Bench) -> None:
    """Measure each series, its sizes in turn."""
    end, found = bench.clock.section_end("growth"), bench.results.growth
    points = [(series, size) for series in SERIES if series.leg in bench.legs for size in sizes(series, bench.pace)]
    for series, _ in points:
        found[series.name] = Growth(series.title, {})

    def measure(point: tuple[Series, int], _: int) -> None:
        series, size = point
        with bench.noting(f"{series.title} {size}"):
            run = bench.ground.drive(series.leg, lambda port: series.job(series.leg, port, size))
            cost = run.cpu_s / (run.report.requests if series.per_request else 1)
            found[series.name].rounds.setdefault(size, []).append(cost)

    bench.in_turn("growth", points, end, measure)


def sizes(series: Series, pace: Pace) -> tuple[int, ...]:
    return series.sizes[: pace.growth_sizes]
