"""Bars on a logarithmic scale, as an SVG that reads on light and dark pages."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 920
NAME_WIDTH = 410
# For the figure behind the longest bar.
FIGURE_WIDTH = 80
BAR_HEIGHT = 20
ROW_HEIGHT = 30
TOP = 52
BOTTOM = 34
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #4b5563 }
.title { font-weight: 600; font-size: 15px }
.bar { fill: #94a3b8 } .ours { fill: #f97316 }
.rule { stroke: #94a3b8; stroke-opacity: 0.35 } .range { stroke: #4b5563; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) { text { fill: #cbd5e1 } .range { stroke: #e2e8f0 } }"""


@dataclass(frozen=True)
class Bar:
    """A figure with the smallest and largest of its rounds, all above 0; `ours`: it is
    what the chart is about."""

    name: str
    value: float
    least: float
    most: float
    ours: bool = False


def draw(title: str, bars: Sequence[Bar]) -> str:
    """The bars in the order given, over powers of ten from below the smallest."""
    # A bar that begins at its own figure would look like none.
    first = math.floor(math.log10(min(bar.least for bar in bars) / 2))
    last = max(first + 1, math.ceil(math.log10(max(bar.most for bar in bars))))
    height = TOP + ROW_HEIGHT * len(bars) + BOTTOM
    scale = (WIDTH - NAME_WIDTH - FIGURE_WIDTH) / (last - first)

    def across(value: float) -> float:
        return NAME_WIDTH + (math.log10(value) - first) * scale

    parts = [f'<text class="title" x="8" y="24">{escape(title)}</text>']
    for power in range(first, last + 1):
        x, bottom = across(10**power), height - BOTTOM
        parts.append(f'<path class="rule" d="M{x:.1f} {TOP - 8}V{bottom}"/>')
        label = f"{10**power:,}"
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>')
    for number, bar in enumerate(bars):
        parts.extend(_row(bar, TOP + ROW_HEIGHT * number, across))
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    named = f"<title>{escape(title)}</title>"
    return "\n".join([head, named, f"<style>\n{STYLE}\n</style>", *parts, "</svg>", ""])


def _row(bar: Bar, top: float, across: Callable[[float], float]) -> list[str]:
    """The name, the bar, a line from the smallest to the largest, and the figure."""
    middle = top + BAR_HEIGHT / 2
    base, end, most = NAME_WIDTH, across(bar.value), across(bar.most)
    shape = f'x="{base}" y="{top}" width="{end - base:.1f}" height="{BAR_HEIGHT}" rx="2"'
    figure = f"{bar.value:,.0f}" if bar.value >= 100 else f"{bar.value:.3g}"
    baseline = middle + 4.5
    return [
        f'<text x="{base - 8}" y="{baseline}" text-anchor="end">{escape(bar.name)}</text>',
        f'<rect class="{"bar ours" if bar.ours else "bar"}" {shape}/>',
        f'<path class="range" d="M{across(bar.least):.1f} {middle}H{most:.1f}"/>',
        f'<text x="{max(end, most) + 6:.1f}" y="{baseline}">{figure}</text>',
    ]
