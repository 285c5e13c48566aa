"""What a run found, as values: raw figures of every round, and what may be read off them."""

from typing import Literal, TypeAlias

from msgspec import Struct

from bench.figures import Line, fit, middle, percentile

Kind: TypeAlias = Literal["burst", "spread", "all"]


LATE_S = 1.0
"""A delta that comes later than this is late."""


class Latency(Struct, frozen=True):
    """Seconds from a request to the first word of its answer, of one round.

    `burst`: all connections ask at once; `spread`: later, each at a moment of its own.
    """

    burst_s: tuple[float, ...]
    spread_s: tuple[float, ...]

    def seconds(self, kind: Kind) -> tuple[float, ...]:
        return {"burst": self.burst_s, "spread": self.spread_s, "all": self.burst_s + self.spread_s}[kind]


class Memory(Struct, frozen=True):
    """Resident bytes of a new process: idle after its first answers, and with so many paced streams open.

    `lateness_s` has the latest delta of each stream.
    """

    idle_bytes: int
    open_bytes: int
    streams: int
    lateness_s: tuple[float, ...]

    def per_stream_bytes(self) -> float:
        return (self.open_bytes - self.idle_bytes) / self.streams

    def late(self) -> int:
        return sum(lateness > LATE_S for lateness in self.lateness_s)


class Growth(Struct, frozen=True):
    """What one thing costs as another grows: CPU seconds by its size, of every round."""

    title: str
    rounds: dict[int, list[float]]

    def points(self) -> list[tuple[float, float]]:
        found = ((size, middle(values)) for size, values in sorted(self.rounds.items()))
        return [(float(size), value) for size, value in found if value is not None]

    def line(self) -> Line | None:
        points = self.points()
        return fit(points) if len(points) > 2 else None


class Start(Struct, frozen=True):
    """Seconds: of an import in a new interpreter, and from a process's start to its first whole answer."""

    imports_s: list[float] = []
    answers_s: list[float] = []


class Busy(Struct, frozen=True):
    """The most that the simulated vendors and the load client used of one processor in any flat-out load."""

    upstream: float = 0.0
    client: float = 0.0

    def or_more(self, upstream: float, client: float) -> "Busy":
        return Busy(max(self.upstream, upstream), max(self.client, client))


class Results(Struct):
    """Figures by load, then by leg. `cpu_s` holds CPU seconds per unit of the load."""

    quick: bool
    machine: dict[str, str]
    absent: dict[str, str]
    took_s: float = 0.0
    cpu_s: dict[str, dict[str, list[float]]] = {}
    busy: Busy = Busy()
    latency: dict[int, dict[str, list[Latency]]] = {}
    memory: dict[str, Memory] = {}
    growth: dict[str, Growth] = {}
    start: dict[str, Start] = {}
    notes: list[str] = []
    failures: list[str] = []

    def cpu(self, load: str, leg: str) -> float | None:
        """Return the median CPU seconds per unit."""
        return middle(self.cpu_s.get(load, {}).get(leg, []))

    def first_word_s(self, streams: int, leg: str, share: float, kind: Kind = "all") -> float | None:
        """Return the median over the rounds of a percentile of the time to the first word."""
        rounds = [each.seconds(kind) for each in self.latency.get(streams, {}).get(leg, [])]
        return middle([percentile(values, share) for values in rounds if values])

    def added_s(self, streams: int, leg: str, share: float, kind: Kind = "all") -> float | None:
        """Return `first_word_s` beyond what it takes without any gateway, at least nothing."""
        figure = self.first_word_s(streams, leg, share, kind)
        direct = self.first_word_s(streams, "direct", share, kind)
        return None if figure is None or direct is None else max(0.0, figure - direct)

    def import_s(self, name: str) -> float | None:
        return middle(self.start[name].imports_s) if name in self.start else None

    def answer_s(self, name: str) -> float | None:
        return middle(self.start[name].answers_s) if name in self.start else None
