"""Moments: the stretch of a source that a hit stands for, and hits that are different moments.

Observations are of very different lengths: a caption stands for one picture of a shot that
may last half a minute, a word on the screen for a second of it. Somebody who searches
wants a moment that can be played, and does not want five names of the same one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgpack

from memory.log.reader import Logged, ends_of, marks, pages
from memory.recall.scorers import Scored

SAME_SHARE = 0.5
"""Two moments are the same if they share more than this part of the shorter one."""


class Moment(NamedTuple):
    """A stretch of a source."""

    pts0_ns: int
    pts1_ns: int


def moments_of(
    db: sqlite3.Connection, items: Sequence[Logged], length_ns: int, as_of: int | None = None
) -> dict[int, Moment]:
    """The moment of each observation, by row number: `length_ns` around its middle.

    That of a shot lies around the picture that its caption was made of. A moment ends with
    its source.

    Args:
        db: A snapshot.
        items: The observations.
        length_ns: How long a moment is.
        as_of: The commit at which ends of sources are looked up; None: now.
    """
    keyframes = _keyframes(db, [item.n for item in items if item.kind == "shot"])
    ends = ends_of(db, as_of)
    moments: dict[int, Moment] = {}
    for item in items:
        begin = max(0, keyframes.get(item.n, item.middle_ns) - length_ns // 2)
        # What is known of a length may be too short: a moment is never empty, and holds its middle.
        end = max(min(begin + length_ns, ends.get((item.source_id, item.session), 2**62)), item.pts1_ns)
        moments[item.n] = Moment(begin, min(end, begin + length_ns))
    return moments


def distinct_moments(ranked: Sequence[Scored], moments: Mapping[int, Moment], k: int) -> list[Scored]:
    """The best `k` of which no two are the same moment; of those that are, the best stands for it.

    Args:
        ranked: Scored items, best first.
        moments: By row number; items without one are left out.
        k: How many.
    """
    kept: list[tuple[Scored, Moment]] = []
    for one in ranked:
        if len(kept) >= k:
            break
        own = moments.get(one.item.n)
        if own is not None and not any(_is_same(one.item, own, other.item, at) for other, at in kept):
            kept.append((one, own))
    return [one for one, _ in kept]


def _is_same(item: Logged, moment: Moment, other: Logged, at: Moment) -> bool:
    if (item.source_id, item.session) != (other.source_id, other.session):
        return False
    shared = min(moment.pts1_ns, at.pts1_ns) - max(moment.pts0_ns, at.pts0_ns)
    shorter = min(moment.pts1_ns - moment.pts0_ns, at.pts1_ns - at.pts0_ns)
    return shared > SAME_SHARE * shorter


def _keyframes(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, int]:
    """Where the picture lies that stands for each shot; those that do not say are left out."""
    found: dict[int, int] = {}
    for some in pages(numbers):
        rows = db.execute(
            f"SELECT n, payload, pts0_ns, pts1_ns FROM observation WHERE n IN ({marks(some)})"  # noqa: S608
            " AND payload IS NOT NULL",
            some,
        )
        for n, payload, pts0_ns, pts1_ns in rows:
            told = msgpack.unpackb(payload).get("keyframe_pts_ns")
            if isinstance(told, int) and pts0_ns <= told <= pts1_ns:
                found[n] = told
    return found
