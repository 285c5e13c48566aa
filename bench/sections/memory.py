"""The resident memory of a new process, idle and with many paced streams open, and how late their deltas are."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import structs

from bench.candidates import CANDIDATES
from bench.children import Running
from bench.ground import drive, run_client
from bench.legs import Leg, job
from bench.load import Job
from bench.order import Order
from bench.proc import resident_bytes
from bench.results import Memory
from bench.sections.pace import RATE, Bench, Pace

SAMPLE_S = 0.1
ENDLESS = Order(RATE * 3600, RATE)


def measure_memory(bench: Bench) -> None:
    """Measure a new process of each leg: idle, and with many paced streams open."""
    end, ground = bench.clock.section_end("memory"), bench.ground

    def measure(leg: Leg, _: int) -> None:
        with bench.noting(f"{leg.title}: memory"), ground.fresh(leg) as candidate:
            bench.results.memory[leg.name] = memory_of(candidate, ground.upstream, leg, bench.pace)

    bench.in_turn("memory", [leg for leg in bench.legs if leg.name != "direct" and not leg.in_brief], end, measure, 1)


def memory_of(candidate: Running, upstream: Running, leg: Leg, pace: Pace) -> Memory:
    drive(candidate, upstream, lambda port: job(leg, port, Order(10), 4, 40))
    idle = resident_bytes(candidate.pid)
    streams = min(pace.open_streams, CANDIDATES[leg.candidate].most_streams or pace.open_streams)
    with watching(candidate.pid) as highest:
        report = run_client(holding(leg, candidate.port, streams, pace.hold_s))
    return Memory(idle, max(highest), streams, tuple(report.lateness_s))


def holding(leg: Leg, port: int, streams: int, hold_s: float) -> Job:
    """Return the job of opening so many paced streams, over as long as they are then held."""
    opened = job(leg, port, ENDLESS, streams, streams)
    return structs.replace(opened, ramp_s=hold_s, hold_s=hold_s)


@contextmanager
def watching(pid: int) -> Iterator[list[int]]:
    """Look at the resident memory of a process and its descendants until the context ends; give what was seen."""
    seen = [resident_bytes(pid)]
    over = threading.Event()

    def look() -> None:
        while not over.wait(SAMPLE_S):
            seen.append(resident_bytes(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
