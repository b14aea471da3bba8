"""What the gates of a cue let through, found in the way that costs least in a large store.

Gates that let much through, such as one of the kind of what was said, are asked for each hit of a search
of everything: a list of all that they let through would be half of the store. Those that let little
through, such as one of an evening, are asked first, by an index, and the search keeps to what they name.
Which of the two they are is told by keys that are drawn from the whole index.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import numpy as np

from memory.keys.gpu import Ids
from memory.keys.index import IndexShelf
from memory.log.reader import marks, pages
from memory.recall.gates import Clause, Gates

LEAST_SHARE = 1 / 16
"""Of the keys that are drawn must pass for gates to count as wide."""
SPARE = 1.5
"""Times as many hits are asked for as should do, by the share of rows that pass: likes lie together."""
MOST_HITS = 16_384
"""Hits of one search; some milliseconds."""


def share_of(db: sqlite3.Connection, gates: Gates, drawn: Ids) -> float:
    """The share of keys whose observations pass, by some drawn: row numbers, 0 for those of spans."""
    through = passing(db, drawn[drawn > 0].tolist(), Clause(f"1{gates.sql}", gates.parameters))
    return float(np.isin(drawn, np.fromiter(through, np.int64, len(through))).mean()) if len(drawn) else 0.0


def passing(db: sqlite3.Connection, numbers: Iterable[int], condition: Clause) -> set[int]:
    """Those rows that meet a condition on a row `o`."""
    return {
        n
        for some in pages(numbers)
        for (n,) in db.execute(
            f"SELECT o.n FROM observation AS o WHERE o.n IN ({marks(some)}) AND ({condition.sql})",  # noqa: S608
            (*some, *condition.parameters),
        )
    }


class Passing:
    """The rows that the gates of a question let through, listed once, when they are first needed."""

    def __init__(self, db: sqlite3.Connection, shelf: IndexShelf, gates: Gates) -> None:
        self._db, self._shelf, self._gates = db, shelf, gates
        self._numbers: Ids | None = None

    @property
    def is_listed(self) -> bool:
        """Whether they were needed already."""
        return self._numbers is not None

    def numbers(self) -> Ids:
        """As `numbers_in`."""
        if self._numbers is None:
            self._numbers = numbers_in(self._db, self._shelf, self._gates)
        return self._numbers


def numbers_in(db: sqlite3.Connection, shelf: IndexShelf, gates: Gates) -> Ids:
    """The numbers of all rows that pass, (N,) int64; of kinds alone, also some that are there no more."""
    known = shelf.columns.known(db) if gates.only_kinds else None
    if known is not None:
        # No index is of kinds alone: all rows would be read.
        since = f" AND o.n > {known.columns.seen.last_n}"
        return np.concatenate([known.columns.of_kinds(gates.only_kinds), _asked(db, gates, since)])
    return _asked(db, gates, "")


def _asked(db: sqlite3.Connection, gates: Gates, since: str) -> Ids:
    numbers: set[int] = set()
    for sql, parameters in gates.ways or ((gates.sql, gates.parameters),):
        rows = db.execute(f"SELECT o.n FROM observation AS o WHERE 1{since}{sql}", parameters)  # noqa: S608
        numbers.update(n for (n,) in rows)
    return np.fromiter(numbers, np.int64, len(numbers))
