"""The places as a drawing: circles by how often one was there, lines by how often one went that way.

One SVG that needs nothing else: no host, no script, no font of its own. Its colours follow the reader's
choice of light or dark. Circles are placed by the forces of Fruchterman and Reingold (1991), begun on a ring,
then moved apart until no circle or name lies on another; so the same places give the same drawing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from stream.commands.places import time_spent
from stream.commands.terminal import clean

if TYPE_CHECKING:
    from stream.messages.places import PlaceTold, WayTold

WIDTH_PX, HEIGHT_PX = 960, 640
ROOMY = 12
"""Places that a drawing of this size has room for; of more it grows."""
EDGE_PX = 24
ROUNDS = 200
LEAST_RADIUS_PX, MOST_RADIUS_PX = 9.0, 30.0
LABEL_CHARS = 24
CHAR_PX, SMALL_CHAR_PX = 8.0, 6.4
"""Width of a letter of a name, and of what is below it, at most for most fonts."""
TEXT_PX, GAP_PX = 34.0, 18.0
"""Height of the two lines below a circle, and what is left between two places."""
TIP_PX = 10.0
"""Length of the point of an arrow."""
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2129; --soft: #5a6270; --paper: #fbfbf9; --dot: #d5e4f5;
  --rim: #0b57a4; --way: #8a93a1; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e9ec; --soft: #a4abb8; --paper: #15171b;
  --dot: #223650; --rim: #8ab8ff; --way: #6d7683; } }
.paper { fill: var(--paper); }
circle { fill: var(--dot); stroke: var(--rim); stroke-width: 1.5; }
path { fill: none; stroke: var(--way); }
text { fill: var(--ink); font: 600 13px system-ui, sans-serif; text-anchor: middle;
  paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
.more { fill: var(--soft); font-weight: 400; font-size: 11px; }
marker path { fill: var(--way); stroke: none; }
"""

Point = tuple[float, float]


class Spot(NamedTuple):
    """A place as it is drawn: its middle, the radius of its circle, and the two lines below that."""

    x: float
    y: float
    radius: float
    name: str
    more: str

    @property
    def short(self) -> str:
        """Its name at a length that can be drawn."""
        return self.name if len(self.name) <= LABEL_CHARS else f"{self.name[: LABEL_CHARS - 1].rstrip()}…"

    @property
    def half_px(self) -> float:
        """Half of the width of all of it."""
        return max(self.radius, len(self.short) * CHAR_PX / 2, len(self.more) * SMALL_CHAR_PX / 2)


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
    grown = max(1.0, math.sqrt(len(shown) / ROOMY))
    width, height = round(WIDTH_PX * grown), round(HEIGHT_PX * grown)
    spots = _spots(shown, placed([one.place_id for one in shown], times), width, height)
    parts = [_way(spots, *pair, n, max(times.values())) for pair, n in sorted(times.items())]
    parts += [_circle(spot) for spot in spots.values()]
    parts += [_text(spot) for spot in spots.values()]
    left = len(places) - len(shown)
    if left:
        parts.append(
            f'<text class="more" x="{width / 2}" y="{height - 8}">and {left} more'
            f" place{'' if left == 1 else 's'}</text>"
        )
    if not shown:
        parts.append(f'<text x="{width / 2}" y="{height / 2}">no places yet</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{len(shown)} places and the ways between them">\n<style>{_STYLE}</style>\n'
        f'<defs><marker id="tip" viewBox="0 0 8 8" refX="0.5" refY="4" markerWidth="{TIP_PX:g}"'
        f' markerHeight="{TIP_PX:g}" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 8 4 0 8z"/>'
        f'</marker></defs>\n<rect class="paper" width="{width}" height="{height}"/>\n{body}\n</svg>\n'
    )


def placed(ids: Sequence[bytes], times: Mapping[tuple[bytes, bytes], int]) -> dict[bytes, Point]:
    """Where each place is drawn, 0 to 1 each way: those between which one goes lie near each other."""
    n = len(ids)
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
    """Brought to 0 to 1, each direction by itself; in the middle where there is no difference."""
    spans = []
    for axis in range(2):
        values = [spot[axis] for spot in at]
        low, high = min(values, default=0.0), max(values, default=1.0)
        wide = high - low
        spans.append([(value - low) / wide if wide > 1e-3 else 0.5 for value in values])
    return list(zip(*spans, strict=True))


def _spots(
    places: Sequence[PlaceTold], at: Mapping[bytes, Point], width: float, height: float
) -> dict[bytes, Spot]:
    """The places on paper of some pixels, none on another."""
    most = max((one.visits for one in places), default=1) or 1
    spots = []
    for one in places:
        radius = LEAST_RADIUS_PX + (MOST_RADIUS_PX - LEAST_RADIUS_PX) * math.sqrt(one.visits / most)
        name = clean(one.label) or one.place_id.hex()[:8]
        more = f"{one.visits} visit{'' if one.visits == 1 else 's'}, {time_spent(one.spent_ns)}"
        x, y = at[one.place_id]
        spots.append(Spot(x * width, y * height, radius, name, more))
    for _ in range(ROUNDS):
        spots = [_inside(spot, width, height) for spot in spots]
        if not _part(spots):
            break
    return {one.place_id: _inside(spot, width, height) for one, spot in zip(places, spots, strict=True)}


def _inside(spot: Spot, width: float, height: float) -> Spot:
    """A place moved so that all of it is on the paper."""
    side = spot.half_px + EDGE_PX
    top, bottom = spot.radius + EDGE_PX, height - spot.radius - TEXT_PX - EDGE_PX
    return spot._replace(x=min(max(spot.x, side), width - side), y=min(max(spot.y, top), bottom))


def _part(spots: list[Spot]) -> bool:
    """Moves places that lie on each other a little apart, the shorter way; whether there were any."""
    moved = False
    for one in range(len(spots)):
        for other in range(one):
            a, b = spots[one], spots[other]
            # From the top of a circle to the last line below it.
            upper, lower = (a, b) if (a.y - a.radius, one) < (b.y - b.radius, other) else (b, a)
            over_x = a.half_px + b.half_px + GAP_PX - abs(a.x - b.x)
            over_y = upper.y + upper.radius + TEXT_PX + GAP_PX - (lower.y - lower.radius)
            if over_x <= 0.5 or over_y <= 0.5:
                continue
            moved = True
            if over_x < over_y:
                step = over_x / 2 * (1 if (a.x, one) > (b.x, other) else -1)
                spots[one], spots[other] = a._replace(x=a.x + step), b._replace(x=b.x - step)
            else:
                step = over_y / 2 * (1 if lower is a else -1)
                spots[one], spots[other] = a._replace(y=a.y + step), b._replace(y=b.y - step)
    return moved


def _way(spots: Mapping[bytes, Spot], one: bytes, other: bytes, times: int, most: int) -> str:
    """A line bent to one side, so that there and back are two; the point of its arrow touches the circle."""
    x0, y0, x1, y1 = *spots[one][:2], *spots[other][:2]
    dx, dy, _ = _apart((x1, y1), (x0, y0))
    bend_x, bend_y = (x0 + x1) / 2 - dy * 0.12, (y0 + y1) / 2 + dx * 0.12
    bx, by, from_bend = _apart((x1, y1), (bend_x, bend_y))
    share = max(0.0, 1 - (spots[other].radius + TIP_PX + 1) / from_bend)
    end_x, end_y = bend_x + bx * share, bend_y + by * share
    wide = 1 + 2.5 * times / most
    return (
        f'<path d="M{x0:.1f} {y0:.1f}Q{bend_x:.1f} {bend_y:.1f} {end_x:.1f} {end_y:.1f}"'
        f' stroke-width="{wide:.1f}" marker-end="url(#tip)"><title>{times}'
        f" time{'' if times == 1 else 's'}</title></path>"
    )


def _circle(spot: Spot) -> str:
    return (
        f"<g><title>{escape(spot.name)}: {spot.more}</title>"
        f'<circle cx="{spot.x:.1f}" cy="{spot.y:.1f}" r="{spot.radius:.1f}"/></g>'
    )


def _text(spot: Spot) -> str:
    """The two lines, drawn after all circles and ways."""
    below = spot.y + spot.radius
    return (
        f'<text x="{spot.x:.1f}" y="{below + 15:.1f}">{escape(spot.short)}</text>'
        f'<text class="more" x="{spot.x:.1f}" y="{below + 29:.1f}">{spot.more}</text>'
    )
