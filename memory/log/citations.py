"""Which answers rested on an observation: facts about use, which nothing in the log could give back.

So they are kept in the log, one row per observation and turn, and go with the observation: the
schema takes them away when Forget deletes it. Neither question nor answer is kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from memory.log.reader import marks, pages
from stream.messages import Citations

TURN_BYTES = 64
"""A turn's id is no longer."""


def add_citations(db: sqlite3.Connection, told: Citations, commit_no: int) -> bool | None:
    """Writes what an answer cited.

    Returns:
        True if it was new, False if the turn is known already, None if nothing that it cites is
        there (any more).

    Raises:
        ValueError: If the turn has no id, or too long a one.
    """
    if not 0 < len(told.turn_id) <= TURN_BYTES:
        raise ValueError(f"a turn id has 1 to {TURN_BYTES} bytes")
    if db.execute("SELECT 1 FROM citation WHERE turn_id = ?", (told.turn_id,)).fetchone():
        return False
    added = 0
    for some in pages(told.cited):
        added += db.execute(
            "INSERT OR IGNORE INTO citation (observation_id, turn_id, commit_no)"  # noqa: S608
            f" SELECT observation_id, ?, ? FROM observation WHERE observation_id IN ({marks(some)})",
            (told.turn_id, commit_no, *some),
        ).rowcount
    return True if added else None


def times_cited(
    db: sqlite3.Connection, numbers: Sequence[int], as_of_commit: int | None = None
) -> dict[int, int]:
    """By how many answers each observation was cited, by row number; those never cited are left out.

    Args:
        db: A snapshot.
        numbers: Row numbers of observations.
        as_of_commit: Later citations do not count.
    """
    last = 2**62 if as_of_commit is None else as_of_commit
    found: dict[int, int] = {}
    for some in pages(numbers):
        found |= dict(
            db.execute(
                "SELECT o.n, COUNT(*) FROM observation AS o JOIN citation AS c"  # noqa: S608
                " ON c.observation_id = o.observation_id AND c.commit_no <= ?"
                f" WHERE o.n IN ({marks(some)}) GROUP BY o.n",
                (last, *some),
            )
        )
    return found
