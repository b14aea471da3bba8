"""The clips of live sources in the log: which events still want one, which are kept, which go first."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import NamedTuple

from memory.log.media import media_path
from memory.log.reader import LIVE_KINDS, SourceRow, marks, sources
from memory.settings import ClipSettings
from stream.messages.media import KeptClip

PRODUCER = "clip/1"
MOST_EVENTS = 256
"""Events of one source looked at at a time, the oldest first."""
MOST_FOUND = 32
OVERLAP_NS = 700 * 1_000_000_000
"""A clip that began longer ago does not reach as far: the longest is 10 minutes."""

Origin = tuple[bytes, int]
Range = tuple[int, int]

_HELD = (
    "FROM source AS s JOIN observation AS o"
    " ON o.source_id = s.source_id AND o.session = s.session AND o.kind = 'clip'"
    " JOIN observation_media AS m ON m.n = o.n AND m.role = 'clip'"
    " JOIN media AS f ON f.media_hash = m.media_hash"
    f" WHERE (s.session <> 0 OR s.kind IN ({marks(LIVE_KINDS)}))"
)
"""Clips that are kept: found source by source, since no index knows the roles of media."""


class Room(NamedTuple):
    """Whether a clip fits into the budget, and the hashes of those that went for it."""

    fits: bool
    let_go: list[bytes]


def source_of(db: sqlite3.Connection, origin: Origin) -> SourceRow | None:
    """The source, if the store knows it and it is live."""
    found = next(iter(sources(db, origin)), None)
    return found if found is not None and found.is_live else None


def to_ask(
    db: sqlite3.Connection, origin: Origin, from_ns: int, known: Collection[Range], settings: ClipSettings
) -> tuple[list[Range], bool]:
    """The ranges of closed events that want a clip, and whether no event will close any more.

    Args:
        db: A snapshot.
        origin: A live source.
        from_ns: Events that ended before are not looked at.
        known: Ranges that were asked for already.
        settings: Which events, and how much around them.
    """
    heard = (
        ""
        if settings.of == "all"
        else " AND EXISTS (SELECT 1 FROM observation AS o WHERE o.source_id = s.source_id"  # noqa: S608
        " AND o.session = s.session AND o.kind IN ('utterance', 'seen_text') AND o.text <> ''"
        f" AND o.pts0_ns >= s.pts0_ns - {OVERLAP_NS} AND o.pts0_ns < s.pts1_ns AND o.pts1_ns > s.pts0_ns)"
    )
    rows = db.execute(
        "SELECT s.pts0_ns, s.pts1_ns FROM span AS s WHERE s.level = 'event' AND s.source_id = ?"  # noqa: S608
        f" AND s.session = ? AND s.ended_commit IS NULL AND s.pts1_ns > ?{heard}"
        " ORDER BY s.pts0_ns LIMIT ?",
        (*origin, from_ns, MOST_EVENTS),
    )
    events = [_around(pts0_ns, pts1_ns, settings) for pts0_ns, pts1_ns in rows]
    done = db.execute("SELECT done FROM progress WHERE source_id = ? AND session = ?", origin).fetchone()
    wanted = [one for one in events if one not in known and not _is_kept(db, origin, one)]
    return wanted, done is not None and bool(done[0])


def _around(pts0_ns: int, pts1_ns: int, settings: ClipSettings) -> Range:
    begins_ns = max(0, pts0_ns - int(settings.before_s * 1e9))
    ends_ns = pts1_ns + int(settings.after_s * 1e9)
    return begins_ns, min(ends_ns, begins_ns + int(settings.longest_s * 1e9))


def _is_kept(db: sqlite3.Connection, origin: Origin, wanted: Range) -> bool:
    """Whether there is a clip of this range, or was one."""
    rows = db.execute(
        "SELECT pts0_ns, pts1_ns FROM observation WHERE source_id = ? AND session = ? AND kind = 'clip'"
        " AND pts0_ns > ? AND pts0_ns <= ?",
        (*origin, wanted[0] - OVERLAP_NS, wanted[0]),
    )
    return any(pts1_ns >= wanted[1] for _, pts1_ns in rows)


def covering(db: sqlite3.Connection, origin: Origin, stretch: Range) -> tuple[list[KeptClip], bool]:
    """The kept clips that share a moment with a stretch, in order of time; and whether one was let go."""
    rows = db.execute(
        "SELECT o.observation_id, o.pts0_ns, o.pts1_ns, f.media_hash, f.media_type, f.n_bytes"
        " FROM observation AS o"
        " LEFT JOIN observation_media AS m ON m.n = o.n AND m.role = 'clip'"
        " LEFT JOIN media AS f ON f.media_hash = m.media_hash"
        " WHERE o.source_id = ? AND o.session = ? AND o.kind = 'clip'"
        " AND o.pts0_ns > ? AND o.pts0_ns < ? AND o.pts1_ns > ? ORDER BY o.pts0_ns LIMIT ?",
        (*origin, stretch[0] - OVERLAP_NS, max(stretch[1], stretch[0] + 1), stretch[0], MOST_FOUND),
    ).fetchall()
    kept = [
        KeptClip(
            observation_id=own_id,
            path=media_path(digest, media_type),
            media_type=media_type,
            pts0_ns=pts0_ns,
            pts1_ns=pts1_ns,
            n_bytes=n_bytes,
        )
        for own_id, pts0_ns, pts1_ns, digest, media_type, n_bytes in rows
        if digest is not None
    ]
    return kept, len(kept) < len(rows)


def make_room(db: sqlite3.Connection, n_bytes: int, budget_bytes: int) -> Room:
    """Lets the oldest clips go that are not pinned until another fits into the budget.

    What goes is the film; that there was one stays. Within the caller's transaction; the files are
    for the sweep. The budgets of `memory.retention` take the place of this, once they are there.
    """
    rows = db.execute(
        "SELECT o.n, f.media_hash, f.n_bytes, EXISTS (SELECT 1 FROM act AS a WHERE a.kind = 'pin'"  # noqa: S608
        " AND a.target = o.observation_id AND NOT EXISTS (SELECT 1 FROM act AS u WHERE u.undoes = a.act_id))"
        " OR EXISTS (SELECT 1 FROM span AS p WHERE p.level = 'event' AND p.source_id = o.source_id"
        " AND p.session = o.session AND p.pinned AND p.pts0_ns < o.pts1_ns AND p.pts1_ns > o.pts0_ns)"
        f" {_HELD} ORDER BY o.n",
        LIVE_KINDS,
    ).fetchall()
    left_bytes = budget_bytes - sum(size for _, _, size, _ in rows) - n_bytes
    loose = [(n, digest, size) for n, digest, size, pinned in rows if not pinned]
    if left_bytes + sum(size for _, _, size in loose) < 0:
        return Room(False, [])
    gone: list[bytes] = []
    for n, digest, size in loose:
        if left_bytes >= 0:
            break
        db.execute("DELETE FROM observation_media WHERE n = ? AND role = 'clip'", (n,))
        left_bytes += size
        gone.append(digest)
    return Room(True, gone)
