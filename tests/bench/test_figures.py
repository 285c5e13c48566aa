"""The report's arithmetic: percentiles lie between neighbours, a straight line is recognised, figures are readable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from bench.figures import fit, middle, percentile, ratio, significant


class Case(Struct, frozen=True):
    id: str
    values: tuple[float, ...]
    share: float
    expected: float


CASES = [
    Case("the middle of three", (3, 1, 2), 0.5, 2),
    Case("the middle of two lies between them", (1, 2), 0.5, 1.5),
    Case("one value is every percentile", (7,), 0.99, 7),
    Case("all of the values lie below or at the largest", (5, 1, 9), 1, 9),
    Case("none lies below the smallest", (5, 1, 9), 0, 1),
    Case("a quarter of five", (10, 20, 30, 40, 50), 0.25, 20),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_percentile(case: Case) -> None:
    assert percentile(case.values, case.share) == case.expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_percentile_lies_within_the_values(values: list[float], share: float) -> None:
    assert min(values) <= percentile(values, share) <= max(values) * (1 + 1e-9)


def test_a_straight_line_is_found_and_does_not_bend() -> None:
    line = fit([(x, 5 + 0.25 * x) for x in (1.0, 2.0, 4.0, 8.0, 16.0)])
    assert (line.base, line.slope) == pytest.approx((5, 0.25))
    assert (line.r_squared, line.bend) == pytest.approx((1, 1))


def test_a_square_bends() -> None:
    assert fit([(x, x * x) for x in (1.0, 2.0, 4.0, 8.0, 16.0)]).bend > 3


def test_a_cost_that_does_not_rise_is_a_line() -> None:
    line = fit([(1, 2), (2, 2), (3, 2)])
    assert (line.slope, line.r_squared, line.bend) == (0, 1, 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.01234, "0.0123"), (1.5, "1.5"), (12.34, "12.3"), (123.4, "123"), (12345.0, "12,300"), (0.0, "0")],
)
def test_a_figure_has_three_digits(value: float | None, text: str) -> None:
    assert significant(value) == text


def test_there_is_no_figure_of_nothing() -> None:
    assert middle([]) is None
    assert ratio(1, None) is ratio(None, 1) is ratio(1, 0) is None
    assert ratio(3, 2) == 1.5
