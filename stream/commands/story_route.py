"""A sketch of the route: the stops of an album as dots and a line between them, without a map.

Positions are those of chapters, put onto a coarse grid of the sketch itself: it tells the shape of a way, not
where it was, and carries neither scale nor north.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.commands.story_document import Document

WIDTH, HEIGHT, MARGIN = 600, 260, 30
GRID = 20
"""Steps of the grid, in units of the sketch: positions are rounded to them."""
APART = 26.0
"""Dots nearer to each other than this are moved apart, so that their numbers can be read."""


def route_of(document: Document) -> str:
    """The sketch as a section of the page; empty with fewer than two stops that have a place."""
    stops = []
    for number, chapter in enumerate(document.story.chapters, start=1):
        own = [document.pictures[one - 1] for one in chapter.pictures]
        lats = [one.lat for one in own if one.lat is not None and one.lon is not None]
        lons = [one.lon for one in own if one.lat is not None and one.lon is not None]
        if lats:
            stops.append((number, sum(lats) / len(lats), sum(lons) / len(lons)))
    if len(stops) < 2:
        return ""
    points = _apart(_placed([(lat, lon) for _, lat, lon in stops]))
    way = "M" + " L".join(f"{x:.0f} {y:.0f}" for x, y in points)
    dots = "".join(
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="11"/><text x="{x:.0f}" y="{y + 4:.0f}">{number}</text>'
        for (number, _, _), (x, y) in zip(stops, points, strict=True)
    )
    label = escape(f"Sketch of the route through {len(stops)} stops, in order")
    return (
        f'<section class="route"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f'<path d="{way}"/>{dots}</svg></section>\n'
    )


def _placed(positions: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Positions in degrees as points of the sketch, equirectangular about their middle, on the grid."""
    middle = math.radians(sum(lat for lat, _ in positions) / len(positions))
    flat = [(lon * math.cos(middle), -lat) for lat, lon in positions]
    left, right = min(x for x, _ in flat), max(x for x, _ in flat)
    top, bottom = min(y for _, y in flat), max(y for _, y in flat)
    scale = min(
        (WIDTH - 2 * MARGIN) / max(right - left, 1e-9), (HEIGHT - 2 * MARGIN) / max(bottom - top, 1e-9)
    )
    x0 = (WIDTH - (right - left) * scale) / 2
    y0 = (HEIGHT - (bottom - top) * scale) / 2
    return [
        (round((x0 + (x - left) * scale) / GRID) * GRID, round((y0 + (y - top) * scale) / GRID) * GRID)
        for x, y in flat
    ]


def _apart(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same with later dots moved along a spiral until they cover none before them."""
    placed: list[tuple[float, float]] = []
    for x, y in points:
        step = 0
        best = (x, y)
        while any(math.dist(best, other) < APART for other in placed) and step < 200:
            step += 1
            angle, radius = step * 2.4, 6.0 * math.sqrt(step)
            best = (
                min(WIDTH - MARGIN, max(MARGIN, x + radius * math.cos(angle))),
                min(HEIGHT - MARGIN, max(MARGIN, y + radius * math.sin(angle))),
            )
        placed.append(best)
    return placed
