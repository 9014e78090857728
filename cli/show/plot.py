"""A timeline as a picture: SVG, which every browser shows and a comment of a pull request takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

STEP_SECONDS = 0.1
"""What one point of a series covers."""
WIDTH, ROW_HEIGHT, LEFT, TOP, GAP = 960, 90, 150, 44, 26
COLOURS = ("#1f6feb", "#cf222e", "#1a7f37", "#9a6700", "#8250df")


def count_by_step(moments: Sequence[float], begun: float, ended: float) -> list[float]:
    """Count what happened in each step of a time."""
    counts = [0.0] * max(1, round((ended - begun) / STEP_SECONDS))
    for moment in moments:
        step = int((moment - begun) / STEP_SECONDS)
        if 0 <= step < len(counts):
            counts[step] += 1
    return counts


def draw_timeline(title: str, series: Mapping[str, Sequence[float]], marks: Mapping[str, float] | None = None) -> str:
    """Draw one row a series, a point each step; `marks` are moments in seconds, with what happened."""
    steps = max((len(values) for values in series.values()), default=1)
    height = TOP + len(series) * (ROW_HEIGHT + GAP) + 30
    across = (WIDTH - LEFT - 20) / max(1, steps)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>',
    ]
    for row, (name, values) in enumerate(series.items()):
        base, most = TOP + (row + 1) * ROW_HEIGHT + row * GAP, max([*values, 1])
        points = " ".join(f"{LEFT + at * across:.1f},{base - value / most * ROW_HEIGHT:.1f}" for at, value in enumerate(values))
        parts += [
            f'<text x="8" y="{base - ROW_HEIGHT / 2:.0f}">{escape(name)}</text>',
            f'<text x="{LEFT - 6}" y="{base - ROW_HEIGHT + 10}" text-anchor="end">{most:g}</text>',
            f'<line x1="{LEFT}" y1="{base}" x2="{WIDTH - 20}" y2="{base}" stroke="#888"/>',
            f'<polyline fill="none" stroke="{COLOURS[row % len(COLOURS)]}" points="{points}"/>',
        ]
    bottom = height - 24
    for second in range(0, int(steps * STEP_SECONDS) + 1, max(1, round(steps * STEP_SECONDS / 12))):
        at = LEFT + second / STEP_SECONDS * across
        parts.append(f'<text x="{at:.1f}" y="{bottom + 14}" text-anchor="middle">{second} s</text>')
    for name, moment in (marks or {}).items():
        at = LEFT + moment / STEP_SECONDS * across
        parts += [
            f'<line x1="{at:.1f}" y1="{TOP - 6}" x2="{at:.1f}" y2="{bottom}" stroke="#cf222e" stroke-dasharray="4 3"/>',
            f'<text x="{at + 4:.1f}" y="{TOP - 8}" fill="#cf222e">{escape(name)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
