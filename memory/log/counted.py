"""Rows of large tables by group, counted once: after that only what came since is.

A status is asked for every few seconds, and by each question that goes source by source; to count two million
rows by group takes some 0.2 s each time, to count them alone a tenth of that.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import Any


class GroupCounts:
    """How many rows of a table are of each group; safe to use from every thread.

    Args:
        table: Whose rows are never edited, as far as their groups go.
        row_id: Its column of numbers that only grow.
        groups: The columns that make a group.
    """

    def __init__(self, table: str, row_id: str, groups: str) -> None:
        self._total = f"SELECT COUNT(*) FROM {table}"  # noqa: S608 - names of our own
        self._last = f"SELECT COALESCE(MAX({row_id}), 0) FROM {table}"  # noqa: S608
        self._by_group = f"SELECT {groups}, COUNT(*) FROM {table} {{where}} GROUP BY {groups}"  # noqa: S608
        self._since = f"WHERE {row_id} > ?"
        self._lock = threading.Lock()
        self._counted: dict[Any, int] = {}
        self._through = 0

    def of(self, db: sqlite3.Connection) -> dict[Any, int]:
        """The groups that a snapshot sees, a tuple of their columns each, and how many rows are of each."""
        with self._lock:
            counted, through = self._counted, self._through
        last, total = (int(db.execute(sql).fetchone()[0]) for sql in (self._last, self._total))
        found = dict(counted)
        if last >= through:
            for *group, n in db.execute(self._by_group.format(where=self._since), (through,)):
                found[tuple(group)] = found.get(tuple(group), 0) + int(n)
        if last < through or sum(found.values()) != total:
            # Some went since, or the snapshot is of a time before.
            found = {tuple(group): int(n) for *group, n in db.execute(self._by_group.format(where=""))}
        with self._lock:
            if last >= self._through:
                self._counted, self._through = found, last
        return dict(found)


class Counted:
    """What a status counts of the rows of a store."""

    def __init__(self) -> None:
        self.observations = GroupCounts("observation", "n", "source_id, session")
        self.keys = GroupCounts("key", "key_id", "encoder_id")
