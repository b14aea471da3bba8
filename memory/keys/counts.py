"""How many keys there are and are to be, counted as a person follows them: a key per text, event and turn.

The facts of a turn count as one, since they are made together. A store has millions of keys and
a command asks twice a second, so what was counted is kept, and what came since is added.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import NamedTuple

from memory.keys.facts import FACT
from memory.keys.keyers import DIGEST, count_digests, count_texts, count_turns
from memory.keys.speaks import TEXT_KINDS
from memory.log.reader import last_commit, marks

OF_TEXTS = tuple(kind for kind in TEXT_KINDS if kind != DIGEST)
_FIRST = (
    f"SELECT key_id FROM key INDEXED BY key_of_encoder WHERE encoder_id = ? AND kind IN ({marks(OF_TEXTS)})"  # noqa: S608
    " ORDER BY key_id LIMIT 1"
)
_MADE = (
    "SELECT COALESCE(MAX(key_id), 0), COALESCE(SUM(kind <> ?), 0), COALESCE(SUM(kind = ? AND terms = '1'), 0)"  # noqa: S608
    f" FROM key INDEXED BY {{}} WHERE encoder_id = ? AND key_id > ? AND kind IN ({marks(OF_TEXTS)})"
)
_DIGESTS_MADE = (
    "SELECT COUNT(*) FROM span AS s WHERE s.level = 'event' AND s.digest <> '' AND s.ended_commit IS NULL"
    " AND EXISTS (SELECT 1 FROM key AS k INDEXED BY key_of_owner WHERE k.owner = s.span_id"
    " AND k.kind = ? AND k.encoder_id = ?)"
)


class Count(NamedTuple):
    """Keys of texts and events, and turns with keys of their facts."""

    texts: int
    turns: int

    @property
    def all(self) -> int:
        """Both together."""
        return self.texts + self.turns


class _Counted(NamedTuple):
    """Of an encoder: its first key, its last, and how many texts and turns have theirs."""

    first: int
    last: int
    texts: int
    turns: int


class KeyCounts:
    """Counts of one store; safe to use from every thread.

    Args:
        facts: Whether keys of facts are made; if not, none is counted.
    """

    def __init__(self, *, facts: bool) -> None:
        self._facts = facts
        self._lock = threading.Lock()
        self._made: dict[str, _Counted] = {}
        self._total = (-1, 0, 0)

    def forget(self) -> None:
        """Counts anew from now on: keys have gone from among those that were counted."""
        with self._lock:
            self._made.clear()
            self._total = (-1, 0, 0)

    def made(self, db: sqlite3.Connection, encoder_id: str) -> Count:
        """Texts, events and turns that have the key, or keys of facts, of an encoder."""
        with self._lock:
            row = db.execute(_FIRST, (encoder_id, *OF_TEXTS)).fetchone()
            before = self._made.get(encoder_id)
            if row is None or before is None or before.first != row[0]:
                # Keys of an encoder go in order of their ids: it begins elsewhere if some have gone.
                before = _Counted(row[0] if row else 0, 0, 0, 0)
            # All of them are counted by the index that says the kind; few by their own rows.
            index = "key_of_encoder" if before.last else "key_of_owner"
            parameters = (FACT, FACT, encoder_id, before.last, *OF_TEXTS)
            last, texts, turns = db.execute(_MADE.format(index), parameters).fetchone()
            now = _Counted(before.first, max(before.last, last), before.texts + texts, before.turns + turns)
            self._made[encoder_id] = now
        digests = db.execute(_DIGESTS_MADE, (DIGEST, encoder_id)).fetchone()[0]
        return Count(now.texts + int(digests), now.turns if self._facts else 0)

    def total(self, db: sqlite3.Connection) -> Count:
        """How many there are once all are made; the log is walked anew after each commit."""
        commit_no = last_commit(db)
        with self._lock:
            if self._total[0] != commit_no:
                self._total = (commit_no, count_texts(db), count_turns(db) if self._facts else 0)
            _, texts, turns = self._total
        return Count(texts + count_digests(db), turns)
