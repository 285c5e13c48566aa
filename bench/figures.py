"""The arithmetic of the report: medians, percentiles, straight lines. Pure."""

from collections.abc import Sequence
from statistics import linear_regression, median

from msgspec import Struct


class Line(Struct, frozen=True):
    """The straight line that fits some points best (least squares).

    `r_squared` says how much of the points' spread it explains, up to 1. `bend` is how steep the upper half of the
    points is beside the lower half: 1 for a line, 2 if the cost of one more has doubled.
    """

    base: float
    slope: float
    r_squared: float
    bend: float


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below or at which this share (0 to 1) of the values lie, between neighbours as on a line."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def fit(points: Sequence[tuple[float, float]]) -> Line:
    """Fit a line to at least three points whose x differ and rise."""
    xs, ys = zip(*points, strict=True)
    slope, base = linear_regression(xs, ys)
    average = sum(ys) / len(ys)
    spread = sum((y - average) ** 2 for y in ys)
    missed = sum((y - base - slope * x) ** 2 for x, y in points)
    return Line(base, slope, 1 - missed / spread if spread else 1.0, bend(points))


def bend(points: Sequence[tuple[float, float]]) -> float:
    """Return `Line.bend` of some points; 1 where the lower half does not rise at all."""
    half = (len(points) - 1) // 2
    lower, upper = steepness(points[0], points[half]), steepness(points[half], points[-1])
    return upper / lower if lower > 0 else 1.0


def steepness(first: tuple[float, float], second: tuple[float, float]) -> float:
    return (second[1] - first[1]) / (second[0] - first[0])


def middle(values: Sequence[float]) -> float | None:
    """Return the median, `None` of nothing."""
    return median(values) if values else None


def ratio(figure: float | None, beside: float | None) -> float | None:
    return figure / beside if figure is not None and beside else None


def significant(value: float | None, digits: int = 3) -> str:
    """Write a figure with so many significant digits; `-` for none."""
    if value is None:
        return "-"
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:.{digits}g}"
