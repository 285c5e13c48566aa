"""The page that a run leaves behind, as Markdown."""

from collections.abc import Iterable, Iterator, Sequence

from bench.figures import percentile, ratio, significant
from bench.goals import goals
from bench.legs import LEGS, Leg
from bench.results import Kind, Results
from bench.sections.cpu import Load

KB, MB = 1e3, 1e6
PER_DELTA = """## CPU per streamed delta

Milliseconds of CPU for 1,000 deltas, which is microseconds for each. In brackets: beside the bare passthrough of the
same upstream format.

"""
FIRST_WORDS = """## Added time to the first word

Milliseconds beyond asking the upstream itself, p50 / p99: when all streams begin at once; then, behind the semicolon,
when each begins at a moment of its own while the others run.

"""
MEMORY = """## Resident memory

Of one process; streams of 50 deltas a second.

"""
GROWTH = """## Growth

Isthmus, ChatGPT Web to chat (answer length: with tools). On a straight line the last column is 1.

"""

VERDICTS = {True: "met", False: "not met", None: "no figure"}


def page(results: Results, legs: Sequence[Leg], loads: Sequence[Load], picture: str) -> str:
    """Return the page; `picture` is the file beside it."""
    parts = [
        heading(results),
        f"![CPU per streamed delta]({picture})",
        goal_table(results),
        *cpu_tables(results, legs, loads),
        first_word_table(results, legs),
        memory_table(results, legs),
        start_table(results, legs),
        growth_table(results),
        notes(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def heading(results: Results) -> str:
    what = "`make bench ARGS=--quick`: too short a look to quote" if results.quick else "`make bench`"
    facts = [f"* {name}: {value}" for name, value in results.machine.items()]
    return "\n".join(
        [
            "# What the gateway costs, measured",
            "",
            f"Written by {what} in {results.took_s:.0f} s; [README.md](README.md) says how. Candidates take turns,",
            "figures are medians over the rounds, and only ratios within one run carry over to another machine.",
            "",
            *facts,
        ]
    )


def goal_table(results: Results) -> str:
    rows = [
        (
            goal.title,
            significant(goal.found),
            f"{'at least' if goal.at_least else 'at most'} {significant(goal.bound)}",
            VERDICTS[goal.met()],
        )
        for goal in goals(results)
    ]
    return "## Goals\n\n" + table(["", "found", "goal", ""], rows)


def cpu_tables(results: Results, legs: Sequence[Leg], loads: Sequence[Load]) -> Iterator[str]:
    deltas = [load for load in loads if load.per_delta]
    requests = [load for load in loads if not load.per_delta]
    if measured(legs, results, deltas):
        yield PER_DELTA + cpu_table(results, legs, deltas, 1e6)
    rates = [
        (leg.title, *(significant(ratio(1, results.cpu(load.name, leg.name))) for load in requests))
        for leg in measured(legs, results, requests)
    ]
    if not rates:
        return
    yield (
        "## CPU per request that is not streamed\n\nMilliseconds of CPU for each.\n\n"
        + cpu_table(results, legs, requests, 1e3)
        + "\n\nRequests per CPU second:\n\n"
        + table(["", *(load.title for load in requests)], rates)
    )


def measured(legs: Sequence[Leg], results: Results, loads: Sequence[Load]) -> list[Leg]:
    return [leg for leg in legs if any(results.cpu(load.name, leg.name) is not None for load in loads)]


def cpu_table(results: Results, legs: Sequence[Leg], loads: Sequence[Load], scale: float) -> str:
    def cell(leg: Leg, load: Load) -> str:
        figure = results.cpu(load.name, leg.name)
        if figure is None:
            return "-"
        beside = ratio(figure, results.cpu(load.name, leg.bare))
        return significant(figure * scale) + (f" ({significant(beside, 2)})" if beside else "")

    rows = [(leg.title, *(cell(leg, load) for load in loads)) for leg in measured(legs, results, loads)]
    return table(["", *(load.title for load in loads)], rows)


def first_word_table(results: Results, legs: Sequence[Leg]) -> str:
    counts = sorted(results.latency)

    def cell(leg: Leg, streams: int) -> str:
        kinds: tuple[Kind, ...] = ("burst", "spread") if streams > 1 else ("all",)
        pairs = [
            [significant(seconds * 1e3 if seconds is not None else None, 2) for seconds in pair]
            for pair in ([results.added_s(streams, leg.name, share, kind) for share in (0.5, 0.99)] for kind in kinds)
        ]
        return "; ".join(" / ".join(pair) for pair in pairs)

    taking_part = [leg for leg in legs if leg.name != "direct" and any(leg.name in results.latency[n] for n in counts)]
    if not taking_part:
        return ""
    return FIRST_WORDS + table(
        ["", *(f"{streams} stream{'s' if streams > 1 else ''}" for streams in counts)],
        [(leg.title, *(cell(leg, streams) for streams in counts)) for leg in taking_part],
    )


def memory_table(results: Results, legs: Sequence[Leg]) -> str:
    rows = []
    for leg in legs:
        if memory := results.memory.get(leg.name):
            lateness = [percentile(memory.lateness_s, share) for share in (0.5, 1)]
            rows.append(
                (
                    leg.title,
                    significant(memory.idle_bytes / MB),
                    f"{memory.streams:,}",
                    significant(memory.per_stream_bytes() * 1000 / MB),
                    significant(memory.per_stream_bytes() / KB),
                    f"{memory.late()} ({' / '.join(significant(seconds, 2) for seconds in lateness)} s)",
                )
            )
    head = ["", "idle, MB", "streams", "MB per 1,000", "KB each", "late by over 1 s (latest delta: median / worst)"]
    return (
        "## Resident memory\n\nOf one process; streams of 50 deltas a second.\n\n" + table(head, rows) if rows else ""
    )


def start_table(results: Results, legs: Sequence[Leg]) -> str:
    def milliseconds(seconds: float | None) -> str:
        return significant(seconds * 1e3 if seconds is not None else None)

    imported = {"bare": "starlette, httpx", "web": "api.index", "litellm": "litellm"}
    rows = [
        (LEGS[name].title, imported[name], milliseconds(results.import_s(name)), milliseconds(results.answer_s(name)))
        for name in results.start
    ]
    head = ["", "import of", "import, ms", "process start to first answer, ms"]
    text = "## Cold\n\nBytecode cached. `make bench-cold` measures AWS Lambda.\n\n"
    return text + table(head, rows) if rows else ""


def growth_table(results: Results) -> str:
    rows = []
    for growth in results.growth.values():
        points, line = growth.points(), growth.line()
        if line is None:
            continue
        costs = ", ".join(f"{size:.0f}: {significant(cost * 1e3)}" for size, cost in points)
        slope = f"{significant(line.base * 1e3)} + {significant(line.slope * 1e6)} µs"
        rows.append((growth.title, costs, f"{slope} each", f"{line.r_squared:.3f}", significant(line.bend, 2)))
    if not rows:
        return ""
    head = ["", "CPU ms of an answer (streams: of a second)", "line, ms", "R²", "upper half beside lower"]
    return GROWTH + table(head, rows)


def notes(results: Results) -> str:
    busy = results.busy
    lines = [
        f"* Flat out, the simulated upstream kept at most {busy.upstream:.0%} of a processor busy,",
        f"  the load client {busy.client:.0%}.",
        *(f"* Left out: {reason}." for reason in results.absent.values()),
        *(f"* {note}" for note in results.notes),
        *(f"* No figure: {failure}" for failure in results.failures),
    ]
    return "## Notes\n\n" + "\n".join(lines)
