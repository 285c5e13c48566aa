"""The page and its picture: goals are judged, figures stand where they belong, what is missing is said."""

import xml.etree.ElementTree as ElementTree

import pytest

from bench.goals import Goal, goals
from bench.legs import LEGS
from bench.picture import Bar, bar_chart
from bench.report import page
from bench.results import Growth, Latency, Memory, Results, Start
from bench.sections.cpu import loads
from bench.sections.pace import FULL

SVG = "{http://www.w3.org/2000/svg}"


def found() -> Results:
    return Results(
        quick=False,
        machine={"processor": "one of some kind"},
        absent={"nginx": "nginx is not installed"},
        cpu_s={
            "flat-1": {"bare-web": [4e-6, 5e-6, 9e-6], "web": [2e-6], "web-tools": [4e-6], "litellm": [400e-6]},
            "request-1": {"web": [0.001]},
            "request-256": {"web": [0.002]},
        },
        latency={
            64: {
                "direct": [Latency((0.001,), (0.001,))],
                "bare-web": [Latency((0.011,), (0.021,))],
                "web": [Latency((0.003,), (0.0015,))],
            }
        },
        memory={"web": Memory(40_000_000, 80_000_000, 1000, (0.1, 0.2, 1.5))},
        growth={"length": Growth("answer length", {100: [0.15], 200: [0.25], 400: [0.45]})},
        start={"web": Start([0.1], [0.3]), "litellm": Start([4.0], [])},
        failures=["LiteLLM: memory: it was late"],
    )


JUDGED = [
    ("ChatGPT Web to chat, CPU per delta flat out, beside the bare passthrough", 0.4, True),
    ("the same, paced", None, None),
    ("LiteLLM, chat to chat, beside ChatGPT Web to chat, flat out", 200, True),
    ("with tools beside without, flat out", 2, False),
    ("CPU per request not streamed, 256 in flight beside 1", 2, False),
    ("KB resident for each open paced stream", 40, True),
    ("of these streams, late by more than a second", 1, False),
    ("cold import of api.index beside that of litellm", 0.025, True),
]


@pytest.mark.parametrize(("title", "figure", "met"), JUDGED)
def test_goals_are_judged_by_ratios_of_medians(title: str, figure: float | None, met: bool | None) -> None:
    goal = next(each for each in goals(found()) if each.title == title)
    assert goal.found == (figure if figure is None else pytest.approx(figure))
    assert goal.met() is met


def test_the_time_without_a_gateway_is_taken_off() -> None:
    assert found().added_s(64, "bare-web", 0.5, "burst") == pytest.approx(0.010)
    assert found().added_s(64, "web", 0.5, "spread") == pytest.approx(0.0005)
    assert found().added_s(16, "web", 0.5) is None


def test_without_figures_there_is_no_verdict() -> None:
    nothing = Results(True, {}, {})
    assert {goal.met() for goal in goals(nothing)} == {None}
    text = page(nothing, list(LEGS.values()), loads(FULL), "picture.svg")
    assert "too short a look to quote" in text
    assert "## Resident memory" not in text


def test_a_bound_is_met_exactly() -> None:
    assert Goal("x", 2, 2).met()
    assert Goal("x", 2, 2, at_least=True).met()
    assert not Goal("x", 1.9, 2, at_least=True).met()


def test_the_page_has_every_figure_in_its_place() -> None:
    text = page(found(), list(LEGS.values()), loads(FULL), "picture.svg")
    assert "| Isthmus, ChatGPT Web to chat | 2 (0.4) | - | - | - |" in text
    assert "| Isthmus, ChatGPT Web to chat | 1 | 2 |" in text
    assert "| Isthmus, ChatGPT Web to chat | 1,000 | 500 |" in text
    assert "| Isthmus, ChatGPT Web to chat | 2 / 2; 0.5 / 0.5 |" in text
    assert "| Isthmus, ChatGPT Web to chat | 40 | 1,000 | 40 | 40 | 1 (0.2 / 1.5 s) |" in text
    assert "| answer length | 100: 150, 200: 250, 400: 450 | 50 + 1,000 µs each | 1.000 | 1 |" in text
    assert "* Left out: nginx is not installed." in text
    assert "* No figure: LiteLLM: memory: it was late" in text


def test_the_picture_is_svg_and_longer_bars_cost_more() -> None:
    bars = [Bar("a <b> & c", 1, True), Bar("d", 10, False), Bar("e", 100, False)]
    drawn = ElementTree.fromstring(bar_chart("title", "subtitle", bars))
    widths = [float(bar.get("width", "0")) for bar in drawn.iter(f"{SVG}rect")]
    assert widths == sorted(set(widths))
    assert len(widths) == 3
    assert "a <b> & c" in [text.text for text in drawn.iter(f"{SVG}text")]


def test_one_bar_takes_all_of_the_room() -> None:
    assert f'width="{520}.0"' in bar_chart("title", "subtitle", [Bar("a", 5, True)])


def test_a_picture_of_nothing_has_no_bars() -> None:
    assert "<rect" not in bar_chart("title", "subtitle", [])
