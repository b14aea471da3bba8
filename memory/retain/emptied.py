"""Spans of which retention has let everything go: they stand for nothing, and would fill the budget alone."""

from __future__ import annotations

import sqlite3

from memory.log.reader import MIDDLE
from memory.spans.due import note_due

SPAN_BYTES = 512
"""What the row of a span and its entries in indexes take, some: 400 sittings have 880, and 0.45 MB."""
MOST_NEAR = 16
"""Spans of a level looked at backwards from a position: standing ones lie side by side, and of ended ones
each stretch has had a few."""


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
    middle_ns = pts0_ns // 2 + pts1_ns // 2
    emptied = [
        (span_id, level, parent_id, begins_ns)
        for level, span_id, parent_id, begins_ns, ends_ns in _near(db, source_id, session, middle_ns)
        if ends_ns > middle_ns and not _holds(db, source_id, session, begins_ns, ends_ns)
    ]
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


def _near(
    db: sqlite3.Connection, source_id: bytes, session: int, at_ns: int
) -> list[tuple[str, bytes, bytes, int, int]]:
    """The last shots and events that begin before a position, those that stand and those that ended.

    Each by an index of its own, backwards: of a long source all that began before would be read.
    """
    return [
        row
        for level in ("event", "shot")
        for stands in ("IS NULL", "IS NOT NULL")
        for row in db.execute(
            "SELECT level, span_id, parent_id, pts0_ns, pts1_ns FROM span WHERE level = ? AND source_id = ?"  # noqa: S608
            f" AND session = ? AND pts0_ns <= ? AND ended_commit {stands} ORDER BY pts0_ns DESC LIMIT ?",
            (level, source_id, session, at_ns, MOST_NEAR),
        ).fetchall()
    ]


def _holds(db: sqlite3.Connection, source_id: bytes, session: int, pts0_ns: int, pts1_ns: int) -> bool:
    """Whether anything but frames is left in a stretch."""
    row = db.execute(
        f"SELECT 1 FROM observation AS o WHERE o.source_id = ? AND o.session = ? AND {MIDDLE} >= ?"  # noqa: S608
        f" AND {MIDDLE} < ? AND o.kind <> 'frame' LIMIT 1",
        (source_id, session, pts0_ns, pts1_ns),
    ).fetchone()
    return row is not None


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
