"""The places as a drawing: circles by how often one was there, lines by how often one went that way.

One SVG that needs nothing else: no host, no script, no font of its own. Its colours follow the reader's
choice of light or dark. Circles are placed by the forces of Fruchterman and Reingold (1991), begun on a ring,
so that the same places give the same drawing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from stream.commands.terminal import clean

if TYPE_CHECKING:
    from stream.messages.places import PlaceTold, WayTold

WIDTH_PX, HEIGHT_PX, EDGE_PX = 960, 640, 70
ROUNDS = 200
LEAST_RADIUS_PX, MOST_RADIUS_PX = 9.0, 30.0
LABEL_CHARS = 24
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2129; --soft: #5a6270; --paper: #fbfbf9; --dot: #d5e4f5;
  --rim: #0b57a4; --way: #8a93a1; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e9ec; --soft: #a4abb8; --paper: #15171b;
  --dot: #223650; --rim: #8ab8ff; --way: #6d7683; } }
.paper { fill: var(--paper); }
circle { fill: var(--dot); stroke: var(--rim); stroke-width: 1.5; }
path { fill: none; stroke: var(--way); stroke-linecap: round; }
text { fill: var(--ink); font: 600 13px system-ui, sans-serif; text-anchor: middle;
  paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
.more { fill: var(--soft); font-weight: 400; font-size: 11px; }
marker path { fill: var(--way); stroke: none; }
"""

Point = tuple[float, float]


def drawn(places: Sequence[PlaceTold], ways: Sequence[WayTold], most: int = 40) -> str:
    """The SVG of the places that were visited most, and of the ways between them.

    Args:
        places: In any order.
        ways: Those between places that are not drawn are left out.
        most: How many places.
    """
    shown = sorted(places, key=lambda one: (-one.visits, -one.spent_ns, one.place_id))[:most]
    ids = {one.place_id for one in shown}
    times = {(one.from_id, one.to_id): one.times for one in ways if one.from_id in ids and one.to_id in ids}
    at = placed([one.place_id for one in shown], times)
    radius = _radii(shown)
    parts = [_way(at, radius, *pair, n, max(times.values())) for pair, n in sorted(times.items())]
    parts += [_circle(one, at[one.place_id], radius[one.place_id]) for one in shown]
    left = len(places) - len(shown)
    if left:
        parts.append(
            f'<text class="more" x="{WIDTH_PX / 2}" y="{HEIGHT_PX - 12}">and {left} more places</text>'
        )
    if not shown:
        parts.append(f'<text x="{WIDTH_PX / 2}" y="{HEIGHT_PX / 2}">no places yet</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" role="img"'
        f' aria-label="{len(shown)} places and the ways between them">\n<style>{_STYLE}</style>\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
        ' markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>\n'
        f'<rect class="paper" width="{WIDTH_PX}" height="{HEIGHT_PX}"/>\n{body}\n</svg>\n'
    )


def placed(ids: Sequence[bytes], times: Mapping[tuple[bytes, bytes], int]) -> dict[bytes, Point]:
    """Where each place is drawn, in pixels: those between which one goes lie near each other."""
    n = len(ids)
    if n == 1:
        return {ids[0]: (WIDTH_PX / 2, HEIGHT_PX / 2)}
    at = [[math.cos(2 * math.pi * k / n), math.sin(2 * math.pi * k / n)] for k in range(n)]
    number = {one: k for k, one in enumerate(ids)}
    pulls = {(number[a], number[b]): math.log1p(times[a, b]) for a, b in times}
    rest = 2.0 / math.sqrt(max(n, 1))
    for turn in range(ROUNDS):
        heat = 0.2 * (1 - turn / ROUNDS)
        force = [[-0.1 * x, -0.1 * y] for x, y in at]  # Towards the middle, so that nothing drifts away.
        for one in range(n):
            for other in range(one):
                dx, dy, far = _apart(at[one], at[other])
                push = rest * rest / far
                _push(force[one], force[other], dx, dy, push / far)
        for (one, other), pull in pulls.items():
            dx, dy, far = _apart(at[one], at[other])
            _push(force[one], force[other], dx, dy, -far * pull / rest)
        for spot, (fx, fy) in zip(at, force, strict=True):
            size = math.hypot(fx, fy) or 1.0
            step = min(size, heat) / size
            spot[0] += fx * step
            spot[1] += fy * step
    return dict(zip(ids, _scaled(at), strict=True))


def _apart(one: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    dx, dy = one[0] - other[0], one[1] - other[1]
    far = math.hypot(dx, dy)
    return (dx, dy, far) if far > 1e-3 else (1e-3, 1e-3, 1.5e-3)


def _push(one: list[float], other: list[float], dx: float, dy: float, force: float) -> None:
    one[0] += dx * force
    one[1] += dy * force
    other[0] -= dx * force
    other[1] -= dy * force


def _scaled(at: Sequence[Sequence[float]]) -> list[Point]:
    """Brought onto the paper, each direction by itself."""
    spans = []
    for axis, length in enumerate((WIDTH_PX, HEIGHT_PX)):
        values = [spot[axis] for spot in at]
        low, high = min(values, default=0.0), max(values, default=1.0)
        wide = max(high - low, 1e-6)
        spans.append([EDGE_PX + (value - low) / wide * (length - 2 * EDGE_PX) for value in values])
    return list(zip(*spans, strict=True))


def _radii(places: Sequence[PlaceTold]) -> dict[bytes, float]:
    most = max((one.visits for one in places), default=1) or 1
    grown = MOST_RADIUS_PX - LEAST_RADIUS_PX
    return {one.place_id: LEAST_RADIUS_PX + grown * math.sqrt(one.visits / most) for one in places}


def _way(
    at: Mapping[bytes, Point],
    radius: Mapping[bytes, float],
    one: bytes,
    other: bytes,
    times: int,
    most: int,
) -> str:
    """A line bent to one side, so that there and back are two; its end touches the circle."""
    (x0, y0), (x1, y1) = at[one], at[other]
    dx, dy, _ = _apart((x1, y1), (x0, y0))
    bend_x, bend_y = (x0 + x1) / 2 - dy * 0.12, (y0 + y1) / 2 + dx * 0.12
    bx, by, from_bend = _apart((x1, y1), (bend_x, bend_y))
    share = max(0.0, 1 - (radius[other] + 3) / from_bend)
    end_x, end_y = bend_x + bx * share, bend_y + by * share
    wide = 1 + 4 * times / most
    return (
        f'<path d="M{x0:.1f} {y0:.1f}Q{bend_x:.1f} {bend_y:.1f} {end_x:.1f} {end_y:.1f}"'
        f' stroke-width="{wide:.1f}" marker-end="url(#tip)"><title>{times} times</title></path>'
    )


def _circle(one: PlaceTold, at: Point, radius: float) -> str:
    name = clean(one.label) or one.place_id.hex()[:8]
    short = name if len(name) <= LABEL_CHARS else f"{name[: LABEL_CHARS - 1]}…"
    minutes = round(one.spent_ns / 6e10)
    more = f"{one.visits} visit{'' if one.visits == 1 else 's'}, {minutes} min"
    x, y = at
    return (
        f'<g><title>{escape(name)}: {more}</title><circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'
        f'<text x="{x:.1f}" y="{y + radius + 15:.1f}">{escape(short)}</text>'
        f'<text class="more" x="{x:.1f}" y="{y + radius + 29:.1f}">{more}</text></g>'
    )
