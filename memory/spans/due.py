"""What of the tree above events is to be made anew: rows that are written with what makes them due.

So a process that is killed between the two steps forgets nothing, and whoever takes them up may
stop after each.
"""

from __future__ import annotations

import sqlite3
from typing import Literal

DueLevel = Literal["episode", "day", "pairs", "prototypes"]


def note_due(db: sqlite3.Connection, level: DueLevel, source_id: bytes, session: int, pts_ns: int) -> None:
    """Something at this position changed, within the caller's transaction.

    Args:
        db: The writer's connection.
        level: What is to be made: the `episode` around an event that begins there, the `day` that begins
            there (of the store: `source_id` is empty), the `pairs` of events of the episode there, or the
            `prototypes` of its events from there on.
        source_id: As `Span.source_id`.
        session: As `Span.session`.
        pts_ns: As said.
    """
    db.execute("INSERT OR IGNORE INTO roll_due VALUES (?, ?, ?, ?)", (level, source_id, session, pts_ns))


def note_all_due(db: sqlite3.Connection) -> None:
    """Every episode, and so every day, is to be made anew: one row per source leads to all of it."""
    db.execute(
        "INSERT OR IGNORE INTO roll_due SELECT 'episode', source_id, session, MIN(pts0_ns) FROM span"
        " WHERE level = 'event' AND ended_commit IS NULL GROUP BY source_id, session"
    )
