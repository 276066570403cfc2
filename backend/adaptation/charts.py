"""The report's drawings: lines and bars as inline SVG, coloured by the page's own variables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 340, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 26


def _scale(low: float, high: float, start: float, end: float):
    span = (high - low) or 1.0
    return lambda v: start + (v - low) / span * (end - start)


def _ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers that cover low..high."""
    raw = (high - low) / count or 1.0
    step = 10 ** math.floor(math.log10(raw))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if m * step >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def line_chart(
    xs: Sequence[float],
    ys: Sequence[float],
    *,
    chosen: float | None = None,
    floor: float | None = None,
    smooth: int = 1,
    label: str = "",
) -> str:
    """One curve over iterations. chosen = where a ring marks the style; floor = a dashed line; smooth = a running mean
    over so many values is drawn over the values themselves."""
    low, high = min([*ys, *([] if floor is None else [floor])]), max([*ys, *([] if floor is None else [floor])])
    pad = (high - low) * 0.08 or abs(high) * 0.1 or 0.1
    low, high = low - pad, high + pad
    x = _scale(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    y = _scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">']
    for tick in _ticks(low, high):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y(tick) + 3.5:.1f}" text-anchor="end">{tick:.3g}</text>')
    for tick in _ticks(min(xs), max(xs)):
        parts.append(f'<text class="tick" x="{x(tick):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{tick:g}</text>')
    if floor is not None:
        parts.append(f'<line class="floor" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(floor):.1f}" y2="{y(floor):.1f}"/>')
    if smooth > 1 and len(ys) > smooth:
        parts.append(_path(xs, ys, x, y, "raw"))
        ys = _mean(ys, smooth)
    parts.append(_path(xs, ys, x, y, "curve"))
    if smooth == 1:
        parts += [f'<circle class="dot" cx="{x(a):.1f}" cy="{y(b):.1f}" r="2.2"/>' for a, b in zip(xs, ys, strict=True)]
    if chosen is not None and min(xs) <= chosen <= max(xs):
        here = min(range(len(xs)), key=lambda n: abs(xs[n] - chosen))
        parts.append(f'<circle class="chosen" cx="{x(xs[here]):.1f}" cy="{y(ys[here]):.1f}" r="5"/>')
    return "".join([*parts, "</svg>"])


def _path(xs: Sequence[float], ys: Sequence[float], x, y, kind: str) -> str:
    points = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(xs, ys, strict=True))
    return f'<polyline class="{kind}" points="{points}"/>'


def _mean(ys: Sequence[float], width: int) -> list[float]:
    """The mean of the last `width` values at each place."""
    return [sum(ys[max(0, n - width + 1) : n + 1]) / (n + 1 - max(0, n - width + 1)) for n in range(len(ys))]


def bar_chart(rows: Sequence[tuple[str, float, float]], *, label: str = "") -> str:
    """Bars to the left (less) and right (more) of a middle line: (name, value, asked), asked -1..1 as a thin mark."""
    width, height, middle, room = 720, 24 * len(rows) + 30, 410, 250
    most = max([abs(value) for _, value, _ in rows] + [1.0])
    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">']
    for n, (name, value, asked) in enumerate(rows):
        y, length = 8 + 24 * n, abs(value) / most * room
        start = middle if value >= 0 else middle - length
        parts.append(f'<text class="name" x="140" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        kind = "more" if value >= 0 else "less"
        parts.append(f'<rect class="{kind}" x="{start:.1f}" y="{y}" width="{max(length, 1):.1f}" height="16" rx="3"/>')
        at = middle + asked * room
        parts.append(f'<line class="asked" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 2}" y2="{y + 18}"/>')
        parts.append(f'<text class="tick" x="{width - 4}" y="{y + 13}" text-anchor="end">{value:+.2f}</text>')
    parts.append(f'<line class="axis" x1="{middle}" x2="{middle}" y1="2" y2="{height - 24}"/>')
    parts.append(f'<text class="tick" x="{middle - 8}" y="{height - 6}" text-anchor="end">less</text>')
    parts.append(f'<text class="tick" x="{middle + 8}" y="{height - 6}">more</text>')
    return "".join([*parts, "</svg>"])
