"""A bar chart as SVG, written by hand: horizontal bars on a logarithmic scale, for light and dark pages alike."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from msgspec import Struct

from bench.figures import significant

WIDTH, LABEL_WIDTH, FIGURE_WIDTH = 860, 270, 70
ROW_HEIGHT, BAR_HEIGHT, TOP, BOTTOM = 26, 16, 56, 14
SVG = 'xmlns="http://www.w3.org/2000/svg"'
FONT = 'font-family="system-ui, sans-serif" font-size="13" fill="#6b7280"'
OURS, OTHERS = "#2f7d6d", "#9aa5b1"


class Bar(Struct, frozen=True):
    label: str
    value: float
    is_ours: bool


def bar_chart(title: str, subtitle: str, bars: Sequence[Bar]) -> str:
    """Return an SVG document. Values must be above 0; the shortest bar keeps a tenth of the width."""
    height = TOP + ROW_HEIGHT * len(bars) + BOTTOM
    rows = [row(bar, length(bar.value, [each.value for each in bars]), number) for number, bar in enumerate(bars)]
    return "\n".join(
        [
            f'<svg {SVG} viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" {FONT} role="img">',
            f"<title>{escape(title)}</title>",
            f'<text x="8" y="22" font-size="16" font-weight="600">{escape(title)}</text>',
            f'<text x="8" y="42">{escape(subtitle)}</text>',
            *rows,
            "</svg>\n",
        ]
    )


def length(value: float, values: Sequence[float]) -> float:
    """Return how long a bar is: a tenth of the room for the smallest value, all of it for the largest."""
    room = WIDTH - LABEL_WIDTH - FIGURE_WIDTH
    low, high = math.log(min(values)), math.log(max(values))
    share = (math.log(value) - low) / (high - low) if high > low else 1.0
    return room * (0.1 + 0.9 * share)


def row(bar: Bar, width: float, number: int) -> str:
    y = TOP + ROW_HEIGHT * number
    baseline = y + BAR_HEIGHT - 3
    weight = ' font-weight="600"' if bar.is_ours else ""
    return (
        f'<text x="{LABEL_WIDTH - 8}" y="{baseline}" text-anchor="end"{weight}>{escape(bar.label)}</text>'
        f'<rect x="{LABEL_WIDTH}" y="{y}" width="{width:.1f}" height="{BAR_HEIGHT}" rx="2"'
        f' fill="{OURS if bar.is_ours else OTHERS}"/>'
        f'<text x="{LABEL_WIDTH + width + 6:.1f}" y="{baseline}">{significant(bar.value)}</text>'
    )
