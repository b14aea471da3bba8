"""Quotas of places: what one room filled goes before what another has little of.

A camera that stands still all day and is carried out for ten minutes would, oldest first, soon have nothing
of those ten minutes. So of what is over a budget the place that has most gives first, the oldest of it (the
policy MVFO of Adaptive Memory with Spatial Awareness, ICLR 2024), and the last of a place stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from memory.log.pins import UNPINNED
from memory.log.reader import MIDDLE, marks, pages
from memory.retain.subjects import Subject

FairShares = Callable[[Mapping[bytes, int], int], Mapping[bytes, float]]
NOWHERE = b""
"""The place of what lies in no visit."""


class _Stretch(NamedTuple):
    """A visit, or what lies between two, with how many frames there are in it."""

    place_id: bytes
    session: int
    pts0_ns: int
    pts1_ns: int
    frames: int


def frames_over(
    db: sqlite3.Connection, source_id: bytes, wanted: int, fair_shares: FairShares
) -> dict[int, list[int]]:
    """The frames of a source that go first: of places that have more than a fair share, the oldest.

    Args:
        db: A snapshot.
        source_id: Of the source.
        wanted: How many are to go.
        fair_shares: Says how much of what each has is within its share of a capacity.

    Returns:
        Row numbers by session; nothing where the source was at no place.
    """
    stretches = _stretches(db, source_id)
    held: dict[bytes, int] = {}
    for one in stretches:
        held[one.place_id] = held.get(one.place_id, 0) + one.frames
    if not held:
        return {}
    shares = fair_shares(held, sum(held.values()) - wanted)
    goes = {p: min(n - 1, n - int(shares[p] * n + 0.5)) for p, n in held.items() if n > 1}
    found: dict[int, list[int]] = {}
    left = wanted
    for one in stretches:
        most = min(goes.get(one.place_id, 0), one.frames, left)
        if most <= 0:
            continue
        rows = db.execute(
            "SELECT o.n FROM observation AS o WHERE o.source_id = ? AND o.session = ? AND o.kind = 'frame'"  # noqa: S608
            f" AND o.pts0_ns >= ? AND o.pts0_ns < ? AND {UNPINNED} ORDER BY o.pts0_ns LIMIT ?",
            (source_id, one.session, one.pts0_ns, one.pts1_ns, most),
        ).fetchall()
        found.setdefault(one.session, []).extend(n for (n,) in rows)
        goes[one.place_id] -= len(rows)
        left -= len(rows)
    return {session: numbers for session, numbers in found.items() if numbers}


def _stretches(db: sqlite3.Connection, source_id: bytes) -> list[_Stretch]:
    """The visits of a source and what lies between them, the oldest first; nothing where there is none."""
    rows = db.execute(
        "SELECT v.place_id, v.session, v.pts0_ns, v.pts1_ns FROM visit AS v JOIN source AS s"
        " ON s.source_id = v.source_id AND s.session = v.session WHERE v.source_id = ?"
        " ORDER BY v.session, v.pts0_ns",
        (source_id,),
    ).fetchall()
    if not rows:
        return []
    visits: dict[int, list[tuple[bytes, int, int]]] = {}
    for place_id, session, pts0_ns, pts1_ns in rows:
        visits.setdefault(session, []).append((place_id, pts0_ns, pts1_ns))
    found: list[_Stretch] = []
    for (session,) in db.execute(
        "SELECT session FROM source WHERE source_id = ? ORDER BY commit_no, session", (source_id,)
    ).fetchall():
        end_ns = -(2**62)
        for place_id, pts0_ns, pts1_ns in [*visits.get(session, ()), (NOWHERE, 2**62, 2**62)]:
            found.append(_counted(db, source_id, NOWHERE, session, end_ns, pts0_ns))
            found.append(_counted(db, source_id, place_id, session, pts0_ns, pts1_ns))
            end_ns = pts1_ns
    return [one for one in found if one.frames]


def _counted(
    db: sqlite3.Connection, source_id: bytes, place_id: bytes, session: int, pts0_ns: int, pts1_ns: int
) -> _Stretch:
    row = db.execute(
        "SELECT COUNT(*) FROM observation WHERE source_id = ? AND session = ? AND kind = 'frame'"
        " AND pts0_ns >= ? AND pts0_ns < ?",
        (source_id, session, pts0_ns, pts1_ns),
    ).fetchone()
    return _Stretch(place_id, session, pts0_ns, pts1_ns, int(row[0]))


def places_of(db: sqlite3.Connection, found: Sequence[Subject]) -> list[bytes]:
    """The place of each of some observations; what is at none is of its source."""
    if db.execute("SELECT 1 FROM visit LIMIT 1").fetchone() is None:
        return [one.source_id for one in found]
    places: dict[int, bytes] = {}
    for some in pages([one.n for one in found]):
        rows = db.execute(
            "SELECT o.n, (SELECT v.place_id FROM visit AS v WHERE v.source_id = o.source_id"  # noqa: S608
            f" AND v.session = o.session AND v.pts0_ns <= {MIDDLE} AND v.pts1_ns > {MIDDLE} LIMIT 1)"
            f" FROM observation AS o WHERE o.n IN ({marks(some)})",
            some,
        )
        places.update((n, place_id) for n, place_id in rows if place_id is not None)
    return [places.get(one.n, one.source_id) for one in found]
