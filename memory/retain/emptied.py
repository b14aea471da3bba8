"""Spans of which retention has let everything go: they stand for nothing, and would fill the budget alone."""

from __future__ import annotations

import sqlite3

from memory.log.reader import MIDDLE
from memory.spans.due import note_due

SPAN_BYTES = 512
"""What the row of a span and its entries in indexes take, some: 400 sittings have 880, and 0.45 MB."""


def drop_emptied(
    db: sqlite3.Connection, source_id: bytes, session: int, pts0_ns: int, pts1_ns: int
) -> tuple[list[int], int]:
    """Takes the shots and events away that held this observation and hold none any more.

    An episode that loses its last event goes with it; the tree makes its day anew, or takes it away, in idle
    time. Frames hold no span: they go before anything else, and have neither words nor keys.

    Args:
        db: The writer's connection, within the transaction that deleted the row.
        source_id: Of the observation that went.
        session: Likewise.
        pts0_ns: Where it began.
        pts1_ns: Where it ended.

    Returns:
        The numbers of the keys that went with them, and how many spans went.
    """
    emptied = db.execute(
        "SELECT s.span_id, s.level, s.parent_id, s.pts0_ns FROM span AS s WHERE s.level IN ('event', 'shot')"  # noqa: S608
        " AND s.source_id = ?1 AND s.session = ?2 AND s.pts0_ns <= ?3 AND s.pts1_ns > ?3"
        " AND NOT EXISTS (SELECT 1 FROM observation AS o WHERE o.source_id = ?1 AND o.session = ?2"
        f" AND {MIDDLE} >= s.pts0_ns AND {MIDDLE} < s.pts1_ns AND o.kind <> 'frame')",
        (source_id, session, pts0_ns // 2 + pts1_ns // 2),
    ).fetchall()
    keys: list[int] = []
    spans = len(emptied)
    for span_id, level, parent_id, begins_ns in emptied:
        keys += _take(db, span_id)
        if level == "event" and parent_id and not _leave(db, parent_id, source_id, session, begins_ns):
            db.execute(
                "DELETE FROM roll_due WHERE level IN ('pairs', 'prototypes') AND source_id = ?"
                " AND session = ? AND pts_ns = (SELECT pts0_ns FROM span WHERE span_id = ?)",
                (source_id, session, parent_id),
            )
            keys += _take(db, parent_id)  # Its day is due by a trigger.
            spans += 1
    return keys, spans


def _take(db: sqlite3.Connection, span_id: bytes) -> list[int]:
    gone = db.execute("DELETE FROM key WHERE owner = ? RETURNING key_id", (span_id,)).fetchall()
    db.execute("DELETE FROM span_pair WHERE left_id = ?1 OR right_id = ?1", (span_id,))
    db.execute("DELETE FROM span WHERE span_id = ?", (span_id,))
    return [key_id for (key_id,) in gone]


def _leave(db: sqlite3.Connection, parent_id: bytes, source_id: bytes, session: int, begins_ns: int) -> bool:
    """Has an episode out of which an event went made anew from the others; False where there are none."""
    nearest = db.execute(
        "SELECT pts0_ns FROM span WHERE parent_id = ? AND level = 'event' AND ended_commit IS NULL"
        " ORDER BY ABS(pts0_ns - ?) LIMIT 1",
        (parent_id, begins_ns),
    ).fetchone()
    if nearest is not None:
        note_due(db, "episode", source_id, session, nearest[0])
    return nearest is not None
