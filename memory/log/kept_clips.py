"""The clips of live sources in the log: which events still want one, and which are kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from memory.log.media import media_path
from memory.log.reader import SourceRow, sources
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
