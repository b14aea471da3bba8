"""Moments: the stretch of a source that a hit stands for, and hits that are different moments.

Observations are of very different lengths: a caption stands for one picture of a shot that
may last half a minute, a word on the screen for a second of it. Somebody who searches
wants a moment that can be played, and does not want five names of the same one. A turn of a
chat or a meeting may be two words long, and is understood from those around it: its moment
is counted in turns, not in seconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgpack

from memory.log.reader import Logged, ends_of, known_by, marks, pages
from memory.recall.gathered import Gathered, sides_within
from memory.recall.known_sources import Origin
from memory.recall.scorers import Scored

SAME_SHARE = 0.5
"""Two moments are the same if they share more than this part of the shorter one."""
TURNS_WITHIN_NS = 3_600_000_000_000
"""A turn that begins further away than this belongs to another sitting, and to no moment of this one."""


class Moment(NamedTuple):
    """A stretch of a source."""

    pts0_ns: int
    pts1_ns: int


def moments_of(
    db: sqlite3.Connection,
    items: Sequence[Logged],
    length_ns: int,
    turns: int = 0,
    as_of: int | None = None,
    ends: Mapping[Origin, int] | None = None,
) -> dict[int, Moment]:
    """The moment of each observation, by row number: `length_ns` around its middle.

    That of a shot lies around the picture that its caption was made of. A moment begins and ends
    within its source: at either end it is moved, and no shorter. That of a turn of a chat begins and
    ends with turns.

    Args:
        db: A snapshot.
        items: The observations.
        length_ns: How long a moment is.
        turns: Of a chat, how many before and after a turn are of its moment; 0: seconds count there too.
        as_of: The commit at which all is looked up; None: now.
        ends: Where sources end (`memory.log.reader.ends_of`), if that was read already.
    """
    keyframes = _keyframes(db, [item.n for item in items if item.kind == "shot"])
    if ends is None:
        ends = ends_of(db, {(item.source_id, item.session) for item in items}, as_of)
    moments: dict[int, Moment] = {}
    for item in items:
        end_ns = ends.get((item.source_id, item.session), 2**62)
        begin = max(0, min(keyframes.get(item.n, item.middle_ns) - length_ns // 2, end_ns - length_ns))
        # What is known of a length may be too short: a moment is never empty, and holds its middle.
        end = max(min(begin + length_ns, end_ns), item.pts1_ns)
        moments[item.n] = Moment(begin, min(end, begin + length_ns))
    if turns:
        moments |= _of_turns(db, sorted(Gathered().turns(db, list(moments))), turns, as_of)
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


def _of_turns(
    db: sqlite3.Connection, numbers: Sequence[int], turns: int, as_of: int | None
) -> dict[int, Moment]:
    """From the beginning of the earliest to the end of the latest turn around each."""
    sides = ", ".join(
        f"(SELECT {end}(pts{bound}_ns) FROM (SELECT p.pts{bound}_ns FROM observation AS p"  # noqa: S608
        " WHERE p.source_id = o.source_id AND p.session = o.session AND p.kind = 'utterance'"
        f" AND {within}{known_by(as_of, 'p')} ORDER BY p.pts0_ns {order} LIMIT {int(turns)}))"
        for end, bound, (within, order) in zip(
            ("min", "max"), (0, 1), sides_within(TURNS_WITHIN_NS), strict=True
        )
    )
    found: dict[int, Moment] = {}
    for some in pages(numbers):
        rows = db.execute(
            f"SELECT o.n, o.pts0_ns, o.pts1_ns, {sides} FROM observation AS o WHERE o.n IN ({marks(some)})",  # noqa: S608
            some,
        )
        for n, pts0_ns, pts1_ns, before_ns, after_ns in rows:
            begin = pts0_ns if before_ns is None else min(before_ns, pts0_ns)
            found[n] = Moment(begin, pts1_ns if after_ns is None else max(after_ns, pts1_ns))
    return found


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
