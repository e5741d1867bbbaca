"""Curves of how much there was by when, as an SVG of its own: no library, no script, light or dark as the reader's.

Two panels where that helps: the whole, and its first seconds, where single steps can be seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

__all__ = ("Curve", "plot")

WIDTH, PANEL = 960, 320  # pixels
LEFT, RIGHT, ABOVE, BELOW, LINE = 64, 24, 12, 52, 20
ZOOM = 3.0
"""Seconds of the second panel; there is one where the whole takes twice as long."""

_LIGHT = ("#8a8f98", "#0b62a8", "#c2410c", "#0a7d55", "#a21caf", "#8a6100", "#0e7490", "#be123c", "#4d5b00")
_DARK = ("#8b919c", "#6cb6ff", "#ff9e64", "#4fd6a0", "#e39bf0", "#e5c07b", "#67d4e8", "#ff8fa3", "#c3d24d")


@dataclass(frozen=True)
class Curve:
    """A curve that rises in steps: `(seconds, how much by then)`, in order."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class _Panel:
    """A rectangle of the picture and what part of the curves it shows; pixels, seconds, units."""

    title: str
    top: float
    start: float
    end: float
    most: float

    def x(self, at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (at - self.start) / (self.end - self.start)

    def y(self, units: float) -> float:
        return self.top + PANEL * (1 - units / self.most)


def plot(curves: Sequence[Curve], unit: str) -> str:
    """The picture. The first curve is what the others follow, and is drawn wider and paler.

    Args:
        curves: at least one, with at least one point.
        unit: what is counted, for the axis.
    """
    start = min(curve.points[0][0] for curve in curves)
    end = max(max(curve.points[-1][0] for curve in curves), start + 0.1)
    top = ABOVE + LINE * len(curves) + 28
    panels = [_panel("the whole", curves, top, start, end)]
    if end - start >= 2 * ZOOM:
        panels.append(_panel(f"the first {ZOOM:g} seconds", curves, top + PANEL + BELOW + 28, start, start + ZOOM))
    height = panels[-1].top + PANEL + BELOW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="13">',
        f"<title>How much text there was by when: {escape(', '.join(curve.name for curve in curves))}</title>",
        f"<style>{_style(len(curves))}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height:g}"/>',
        *_legend(curves),
    ]
    for i, panel in enumerate(panels):
        parts += _axes(panel, unit)
        parts.append(
            f'<clipPath id="panel{i}"><rect x="{LEFT}" y="{panel.top - 2:g}" width="{WIDTH - LEFT - RIGHT}" '
            f'height="{PANEL + 4}"/></clipPath><g clip-path="url(#panel{i})">'
        )
        parts += [f'<path class="curve c{_colour(j)}" d="{_path(panel, curve)}"/>' for j, curve in enumerate(curves)]
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(title: str, curves: Sequence[Curve], top: float, start: float, end: float) -> _Panel:
    seen = [units for curve in curves for at, units in curve.points if at <= end]
    return _Panel(title, top, start, end, max(*seen, 1) * 1.04)


def _colour(number: int) -> int:
    return number if number == 0 else (number - 1) % (len(_LIGHT) - 1) + 1


def _style(count: int) -> str:
    def colours(palette: Sequence[str]) -> str:
        return " ".join(f".c{i} {{ stroke: {colour}; }}" for i, colour in enumerate(palette[: count + 1]))

    return (
        ".paper { fill: #ffffff; } text { fill: #1f2328; } .grid { stroke: #d8dde3; } "
        ".curve { fill: none; stroke-width: 1.8; stroke-linejoin: round; } "
        ".curve.c0 { stroke-width: 7; opacity: 0.4; } "
        f"{colours(_LIGHT)} @media (prefers-color-scheme: dark) {{ .paper {{ fill: #14171c; }} "
        f"text {{ fill: #e4e7eb; }} .grid {{ stroke: #343a43; }} {colours(_DARK)} }}"
    )


def _legend(curves: Sequence[Curve]) -> Iterator[str]:
    for i, curve in enumerate(curves):
        y = ABOVE + LINE * i + 10
        yield f'<path class="curve c{_colour(i)}" d="M{LEFT} {y}h32"/>'
        yield f'<text x="{LEFT + 42}" y="{y + 4}">{escape(curve.name)}</text>'


def _axes(panel: _Panel, unit: str) -> Iterator[str]:
    bottom, right = panel.top + PANEL, WIDTH - RIGHT
    yield f'<text x="{LEFT}" y="{panel.top - 10:g}" font-weight="600">{escape(panel.title)}</text>'
    for units in _ticks(0, panel.most, 6):
        y = panel.y(units)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{units:,g}</text>'
    for at in _ticks(panel.start, panel.end, 10):
        x = panel.x(at)
        yield f'<path class="grid" d="M{x:.1f} {panel.top:g}V{bottom:g}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 18:g}" text-anchor="middle">{at:,g}</text>'
    yield f'<text x="{right}" y="{bottom + 38:g}" text-anchor="end">seconds since the first event</text>'
    yield (
        f'<text transform="translate(16 {panel.top + PANEL / 2:g}) rotate(-90)" text-anchor="middle">'
        f"{escape(unit)}</text>"
    )


def _ticks(low: float, high: float, most: int) -> list[float]:
    """At most so many round numbers from `low` to `high`."""
    least = (high - low) / most
    power = 10.0 ** floor(log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
    return [round(i * step, 9) for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def _path(panel: _Panel, curve: Curve) -> str:
    """Level until the next point, then up; what is less than half a pixel away is left out."""
    x, y = LEFT if curve.points[0][0] > panel.start else panel.x(panel.start), panel.y(0)
    steps = [f"M{x:.1f} {y:.1f}"]
    for at, units in curve.points:
        if at > panel.end:
            steps.append(f"H{panel.x(panel.end):.1f}")
            return "".join(steps)
        to_x, to_y = panel.x(at), panel.y(units)
        if to_x - x >= 0.5 or y - to_y >= 0.5:
            steps.append(f"H{to_x:.1f}V{to_y:.1f}")
            x, y = to_x, to_y
    steps.append(f"H{panel.x(min(curve.points[-1][0], panel.end)):.1f}V{panel.y(curve.points[-1][1]):.1f}")
    return "".join(steps)
