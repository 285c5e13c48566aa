"""The ground a run stands on: the simulated vendors, the candidates that are there, and one load driven against one.

Also the turn-taking (A B A B) and the bounds of time: no figure is waited for longer than the run allows.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from bench.candidates import CANDIDATES, Peers, serving
from bench.children import ROOT, NotServing, Running, environment, free_port, module, running
from bench.legs import UPSTREAM, Leg
from bench.load import Job, Report
from bench.proc import cpu_s

T = TypeVar("T")

GRACE_S = 10.0
"""How much longer than its own limit a load client may take: it has to start and to stop."""

SLOW_S = 12.0
"""What takes longer is measured once and not in every round."""


class LoadFailed(Exception):
    """A load was not answered as ordered, or not in time; the message is the load client's last line."""


class Run(Struct, frozen=True):
    """One load, driven. `cpu_s` is the candidate's, with its descendants; `*_busy` are shares of one processor."""

    report: Report
    cpu_s: float
    upstream_busy: float
    client_busy: float


class Ground(Struct, frozen=True):
    """`absent` has the reason for each candidate that is not there. `folder` is for files of this run alone."""

    upstream: Running
    candidates: Mapping[str, Running]
    absent: Mapping[str, str]
    folder: Path
    peers: Peers

    def there(self, legs: Sequence[Leg]) -> list[Leg]:
        return [leg for leg in legs if leg.candidate in self.candidates]

    def drive(self, leg: Leg, make_job: Callable[[int], Job]) -> Run:
        """Drive a load against the leg's candidate; `make_job` takes its port. Raises `LoadFailed`."""
        return drive(self.candidates[leg.candidate], self.upstream, make_job)

    @contextmanager
    def fresh(self, leg: Leg) -> Iterator[Running]:
        """Run another process of the leg's candidate. Raises `NotServing`."""
        with serving(CANDIDATES[leg.candidate], self.upstream.port, self.folder, self.peers) as child:
            yield child


def drive(candidate: Running, upstream: Running, make_job: Callable[[int], Job]) -> Run:
    before, upstream_before = cpu_s(candidate.pid), cpu_s(upstream.pid)
    report = run_client(make_job(candidate.port))
    spent, upstream_spent = cpu_s(candidate.pid) - before, cpu_s(upstream.pid) - upstream_before
    return Run(report, spent, upstream_spent / report.wall_s, report.client_cpu_s / report.wall_s)


def run_client(job: Job) -> Report:
    """Run a load client in a process of its own. Raises `LoadFailed`."""
    try:
        done = subprocess.run(
            module("bench.load"),
            cwd=ROOT,
            env=environment({}),
            input=msgspec.json.encode(job),
            capture_output=True,
            timeout=job.limit_s + GRACE_S,
        )
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"the load client did not end within {job.limit_s + GRACE_S:.0f} s") from None
    if done.returncode:
        raise LoadFailed(done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:500])
    return msgspec.json.decode(done.stdout, type=Report)


@contextmanager
def ground(names: Sequence[str], folder: Path, peers: Peers) -> Iterator[Ground]:
    """Start the simulated vendors and these candidates; what does not start is absent."""
    with ExitStack() as stack:
        port = free_port()
        upstream = stack.enter_context(
            running(module("bench.mock_upstream", "--port", port), port, {}, folder / "upstream.log")
        )
        there: dict[str, Running] = {UPSTREAM: upstream}
        absent: dict[str, str] = {}
        for name in names:
            candidate = CANDIDATES[name]
            if reason := candidate.absent(peers):
                absent[name] = reason
                continue
            try:
                there[name] = stack.enter_context(serving(candidate, port, folder, peers))
            except NotServing as error:
                absent[name] = f"{candidate.title} did not start: {error}"
        yield Ground(upstream, there, absent, folder, peers)


class Clock:
    """A run's time. Each section may use its share of what is left, so that a slow one does not eat the others'."""

    def __init__(self, limit_s: float, shares: Mapping[str, float]) -> None:
        self._end = time.monotonic() + limit_s
        self._shares = dict(shares)

    def section_end(self, name: str) -> float:
        """Return when this section is to be over, on the monotonic clock; its share is spent with that."""
        now, left = time.monotonic(), sum(self._shares.values())
        return now + max(0.0, self._end - now) * self._shares.pop(name) / left

    def in_turn(self, keys: Sequence[T], rounds: int, end: float, measure: Callable[[T, int], None]) -> int:
        """Measure all of these in each round, A B A B, until `end` would be passed; in the first round even then.

        `measure` takes the round's number. What takes longer than `SLOW_S` is left alone in later rounds. Return how
        many measurements the first round lacks because the whole run is over.
        """
        left, longest = list(keys), 0.0
        for number in range(rounds):
            began = time.monotonic()
            if number and began + longest > end:
                break
            for done, key in enumerate(tuple(left)):
                started = time.monotonic()
                if started > self._end:
                    return 0 if number else len(keys) - done
                measure(key, number)
                if time.monotonic() - started > SLOW_S:
                    left.remove(key)
            longest = max(longest, time.monotonic() - began)
        return 0
