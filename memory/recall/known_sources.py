"""The sources of a store as a question needs them: read once, and then what commits have changed.

A store of thousands of films has thousands of sources, and a question asks how far all of them were
perceived. Whatever changes a source or a track is a commit, whose number stands beside the change.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from typing import NamedTuple

from memory.log.reader import SourceRow, last_commit, sources, sources_at, through_of

Origin = tuple[bytes, int]
"""Source and session."""

_CHANGED = (
    "SELECT source_id, session FROM source WHERE commit_no > ?1"
    " UNION SELECT source_id, session FROM source_uri WHERE commit_no > ?1"
    " UNION SELECT source_id, session FROM track WHERE commit_no > ?1 OR mark_commit > ?1"
)
MOST_CHANGED = 64
"""Sources that are read one by one; of more, all are read anew."""


class Sources(NamedTuple):
    """All sources of a snapshot, in the order in which they were first committed.

    `unread` are those whose tracks have not all ended; `through_ns` as `memory.log.reader.through_of`.
    """

    commit_no: int
    shape: tuple[float, ...]
    every: dict[Origin, SourceRow]
    unread: Sequence[SourceRow]
    through_ns: int | None


class KnownSources:
    """Keeps the newest `Sources` that was asked for; safe to use from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: Sources | None = None

    def forget(self) -> None:
        """Lets go of what was read: names of sources that were forgotten are among it."""
        with self._lock:
            self._newest = None

    def of(self, db: sqlite3.Connection, as_of: int | None = None) -> Sources:
        """The sources that a snapshot sees; those of a commit, where one is told, are read each time."""
        commit_no = last_commit(db)
        if as_of is not None:
            rows = {(row.source_id, row.session): row for row in sources_at(db, as_of)}
            return _made(commit_no, (), rows)
        # What goes, and an origin that the owner told later, have no commit beside them.
        shape = db.execute("SELECT COUNT(*), COUNT(t_origin_ns), TOTAL(commit_no) FROM source").fetchone()
        with self._lock:
            newest = self._newest
        if newest is not None and (newest.commit_no, newest.shape) == (commit_no, shape):
            return newest
        made = None
        if newest is not None and newest.commit_no < commit_no and newest.shape == shape:
            made = _moved(db, newest, commit_no)
        if made is None:
            made = _made(commit_no, shape, {(row.source_id, row.session): row for row in sources(db)})
        with self._lock:
            if self._newest is None or made.commit_no >= self._newest.commit_no:
                self._newest = made
        return made


def _moved(db: sqlite3.Connection, older: Sources, commit_no: int) -> Sources | None:
    """The same sources after later commits; None where it is better to read all anew."""
    changed = db.execute(_CHANGED, (older.commit_no,)).fetchall()
    if not changed:
        return older._replace(commit_no=commit_no)
    if len(changed) > MOST_CHANGED:
        return None
    every = dict(older.every)
    for origin in changed:
        every[origin] = sources(db, origin)[0]
    return _made(commit_no, older.shape, every)


def _made(commit_no: int, shape: tuple[float, ...], every: dict[Origin, SourceRow]) -> Sources:
    unread = [row for row in every.values() if not row.is_read]
    # Of those that are being read the least counts, whatever was read before.
    through_ns = through_of(unread)
    if through_ns is None:
        through_ns = through_of(list(every.values()))
    return Sources(commit_no, shape, every, unread, through_ns)
