"""Measures the gateway beside its peers, in turn within one run, and writes what it found.

`python -m bench.run` takes about ten minutes and writes bench/RESULTS.md with its picture; `--quick` takes two and
writes to build/bench. Everything runs on 127.0.0.1 in child processes that end with this one. CPU time is the kernel's
(user and system, all threads and children).
"""

import argparse
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import msgspec

from bench.candidates import CANDIDATES, find_peers
from bench.children import ROOT
from bench.ground import Clock, ground
from bench.legs import LEGS, UPSTREAM, Leg
from bench.machine import describe
from bench.picture import Bar, bar_chart
from bench.report import page
from bench.results import Results
from bench.sections.cpu import loads, measure_cpu
from bench.sections.first_words import measure_first_words
from bench.sections.growth import measure_growth
from bench.sections.memory import measure_memory
from bench.sections.pace import FULL, QUICK, SHARES, Bench, Pace, Section
from bench.sections.start import measure_start

OVERTIME_S = 120
"""After the limit of a run and this much more, it is given up: something hangs."""

OPEN_FILES = 16_384

SECTIONS: Mapping[str, Section] = {
    "start": measure_start,
    "memory": measure_memory,
    "growth": measure_growth,
    "cpu": measure_cpu,
    "first words": measure_first_words,
}


def main() -> None:
    arguments = parse_arguments()
    pace = QUICK if arguments.quick else FULL
    bound_time(pace.limit_s + OVERTIME_S)
    allow_open_files()
    legs = [leg for leg in chosen(arguments.candidates) if leg.name not in pace.without]
    sections = [name for name in SHARES if name in arguments.sections]
    peers = find_peers(arguments.litellm)
    results = Results(arguments.quick, describe(peers), {})
    began = time.monotonic()
    names = [name for name in CANDIDATES if any(leg.candidate == name for leg in legs)]
    with tempfile.TemporaryDirectory() as temporary, ground(names, Path(temporary), peers) as place:
        results.absent = dict(place.absent)
        for reason in place.absent.values():
            print(f"LEFT OUT: {reason}", file=sys.stderr, flush=True)
        clock = Clock(pace.limit_s, {name: SHARES[name] for name in sections})
        measure(Bench(place, place.there(legs), pace, clock, results), sections)
    results.took_s = time.monotonic() - began
    default = ROOT / "build" / "bench" if arguments.quick or len(sections) < len(SHARES) else ROOT / "bench"
    write(results, legs, pace, arguments.output or default)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    standard = list(dict.fromkeys(leg.candidate for leg in LEGS.values() if not leg.is_extra))
    everyone = list(dict.fromkeys(leg.candidate for leg in LEGS.values()))
    parser.add_argument("--quick", action="store_true", help="look for two minutes, to see that it works")
    parser.add_argument("--candidates", nargs="+", choices=everyone, default=standard)
    parser.add_argument("--sections", nargs="+", choices=list(SHARES), default=list(SHARES))
    parser.add_argument("--litellm", type=Path, help="LiteLLM's program, where it is installed (make bench-peers)")
    parser.add_argument("--output", type=Path, help="the folder for RESULTS.md and its picture")
    return parser.parse_args()


def chosen(candidates: Sequence[str]) -> list[Leg]:
    return [leg for leg in LEGS.values() if leg.candidate in {UPSTREAM, *candidates}]


def bound_time(limit_s: float) -> None:
    """End this process and its children when asked to, and when it takes too long."""

    def give_up(number: int, _: FrameType | None) -> NoReturn:
        sys.exit(f"ended by signal {number}" if number != signal.SIGALRM else f"not done after {limit_s:.0f} s")

    signal.signal(signal.SIGTERM, give_up)
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(int(limit_s))


def allow_open_files() -> None:
    """Let this process and its children hold a thousand streams, each of them two sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def measure(bench: Bench, sections: Sequence[str]) -> None:
    for name in sections:
        began = time.monotonic()
        SECTIONS[name](bench)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def write(results: Results, legs: Sequence[Leg], pace: Pace, folder: Path) -> None:
    """Write the page, its picture, and every round's figures, the last below build/ alone."""
    raw = ROOT / "build" / "bench" / "results.json"
    for each in (folder, raw.parent):
        each.mkdir(parents=True, exist_ok=True)
    raw.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    text = page(results, legs, loads(pace), "results.svg")
    (folder / "RESULTS.md").write_text(text)
    (folder / "results.svg").write_text(picture(results, legs))
    print(text)
    print(f"written to {folder}", file=sys.stderr)


def picture(results: Results, legs: Sequence[Leg]) -> str:
    figures = [(leg, results.cpu("flat-1", leg.name)) for leg in legs if not leg.in_brief]
    bars = [Bar(leg.title, value * 1e6, leg.candidate == "isthmus") for leg, value in figures if value]
    bars.sort(key=lambda bar: bar.value)
    subtitle = "microseconds of CPU, streams flat out, each delta its own chunk; logarithmic scale"
    return bar_chart("What one streamed delta costs", subtitle, bars)


if __name__ == "__main__":
    main()
