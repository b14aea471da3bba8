"""What happened in a stretch of time: the observations that the digests of its days and episodes cite.

A day that lies whole in the stretch is told by its own digest, the rest of it by those of episodes,
and what no event holds yet (the live tail) by what was perceived last. Of all these lines those that
say most together are chosen, so that a year costs what a week costs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from memory.log.reader import MIDDLE, Logged, marks, named_sources, observations_of, pages
from memory.recall.gates import Gates
from memory.spans.digest import cited_of
from memory.spans.tree import ids_in
from stream.messages import Cue

MOST_SPANS = 512
"""Days and episodes that one question reads; of more, the newest."""
MOST_PER_DAY = 64
"""Episodes of a day that is told already, which are passed over."""
TAIL_LINES = 64
"""Observations that are read of what no event holds yet, per source."""
TAIL_SOURCES = 16
TOLD_KINDS = ("utterance", "caption", "seen_text", "shot", "chapter")
LONGEST_NS = 2 * 86_400 * 1_000_000_000
"""No episode of a known time is longer than a day of its zone."""
FOREVER_NS = 2**62


@dataclass(frozen=True, slots=True)
class Line:
    """An observation that tells of a stretch, and whose digest cites it; `b""` and `tail`: none does yet."""

    item: Logged
    span_id: bytes
    level: str


def recount(db: sqlite3.Connection, cue: Cue, gates: Gates, k: int) -> list[Line]:
    """At most `k` observations that tell most of what the gates of a cue let through, in order of time.

    Args:
        db: A snapshot.
        cue: Its gates count, its words do not.
        gates: The same, as conditions.
        k: How many at most.
    """
    t0_ns = -FOREVER_NS if cue.t0_ns is None else cue.t0_ns
    t1_ns = FOREVER_NS if cue.t1_ns is None else cue.t1_ns
    cited: dict[bytes, tuple[bytes, str]] = {}
    only = None
    if cue.sources:
        only = sorted({row.source_id for row in named_sources(db, cue.sources, cue.as_of_commit)})
        if not only:
            return []  # They were not known yet.
    days = _days(db, t0_ns, t1_ns) if only is None and (t0_ns, t1_ns) != (-FOREVER_NS, FOREVER_NS) else []
    told_days = {day for day, _, _ in days}
    for span_id, level, packed in [*days, *_episodes(db, t0_ns, t1_ns, told_days, only)]:
        for one in ids_in(packed):
            cited.setdefault(one, (span_id, level))
    numbers: dict[int, tuple[bytes, str]] = {}
    for some in pages(cited):
        rows = db.execute(
            f"SELECT o.n, o.observation_id FROM observation AS o WHERE o.observation_id IN ({marks(some)})"  # noqa: S608
            f" AND o.text <> ''{gates.sql}",
            (*some, *gates.parameters),
        )
        numbers.update((n, cited[one]) for n, one in rows)
    numbers |= dict.fromkeys(_tail(db, cue, gates, only), (b"", "tail"))
    items = observations_of(db, list(numbers)).values()
    told = sorted(items, key=lambda one: (one.t0_ns is None, one.t0_ns or 0, one.pts0_ns, one.n))
    return [Line(one, *numbers[one.n]) for one in cited_of(told, k, spread_over_time=True)]


def _days(db: sqlite3.Connection, t0_ns: int, t1_ns: int) -> list[tuple[bytes, str, bytes]]:
    """The days that lie whole in a range: id, level, what they cite."""
    rows = db.execute(
        "SELECT span_id, level, cited FROM span WHERE level = 'day' AND source_id = x'' AND session = 0"
        " AND t0_ns >= ? AND t1_ns <= ? AND ended_commit IS NULL ORDER BY pts0_ns DESC LIMIT ?",
        (t0_ns, t1_ns, MOST_SPANS),
    )
    return rows.fetchall()


def _episodes(
    db: sqlite3.Connection, t0_ns: int, t1_ns: int, told: set[bytes], ids: Sequence[bytes] | None
) -> list[tuple[bytes, str, bytes]]:
    """The episodes that share a moment with a range and are of none of the days that are told."""
    # Where nothing limits time, those of sources that have no known time count too.
    index = " INDEXED BY span_episode_utc"
    when, bounds = "s.t0_ns IS NOT NULL AND s.t0_ns < ? AND s.t0_ns > ? AND s.t1_ns > ?", [t1_ns]
    bounds += [max(t0_ns - LONGEST_NS, -FOREVER_NS), t0_ns]
    if (t0_ns, t1_ns) == (-FOREVER_NS, FOREVER_NS):
        index, when, bounds = "", "s.pts0_ns < ? AND s.pts1_ns > ?", [FOREVER_NS, -1]
    own = "" if ids is None else f" AND s.source_id IN ({marks(ids)})"
    rows = db.execute(
        f"SELECT s.span_id, s.level, s.cited, s.parent_id FROM span AS s{index}"  # noqa: S608
        f" WHERE s.level = 'episode' AND {when}{own} AND s.ended_commit IS NULL"
        " ORDER BY s.t0_ns DESC, s.pts0_ns DESC LIMIT ?",
        (*bounds, *(ids or ()), MOST_SPANS + MOST_PER_DAY * len(told)),
    )
    return [(span_id, level, cited) for span_id, level, cited, day in rows if day not in told]


def _tail(db: sqlite3.Connection, cue: Cue, gates: Gates, ids: Sequence[bytes] | None) -> list[int]:
    """The newest of what no event of a source holds yet, by row number."""
    own = "" if ids is None else f" AND p.source_id IN ({marks(ids)})"
    rows = db.execute(
        "SELECT p.source_id, p.session, COALESCE(p.closed_pts_ns, -1) FROM progress AS p WHERE NOT p.done"  # noqa: S608
        f"{own} ORDER BY p.through_commit DESC LIMIT ?",
        (*(ids or ()), TAIL_SOURCES),
    ).fetchall()
    kinds = cue.kinds or TOLD_KINDS
    found: list[int] = []
    for source_id, session, closed_ns in rows:
        newest = db.execute(
            "SELECT o.n FROM observation AS o WHERE o.source_id = ? AND o.session = ?"  # noqa: S608
            f" AND {MIDDLE} >= ? AND o.kind IN ({marks(kinds)}) AND o.text <> ''{gates.sql}"
            f" ORDER BY {MIDDLE} DESC LIMIT ?",
            (source_id, session, closed_ns, *kinds, *gates.parameters, TAIL_LINES),
        )
        found += [n for (n,) in newest]
    return found
