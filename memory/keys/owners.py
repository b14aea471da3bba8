"""Whose each key of an index is: row numbers of observations by key, and keys by row number.

In the store that is a look-up in three trees, and a question asks for it some hundred times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

import numpy as np

from memory.keys.files import read_view, write_view
from memory.keys.gpu import Ids
from memory.keys.lookup import Lookup
from stream.errors import Corrupt

OWNERS = "owners"
"""The suffix of the file beside that of a large index, and the end of its stem."""

MOST_APART = 8_192
"""Keys that came since and keys that went, before the large arrays are made anew."""
DRAWN = 256
"""Keys by which it is told what share of all something is true of."""
MOST_GONE = 65_536
"""Keys that went last and are remembered, half a MB. A snapshot in which an older one is still there
would have stood for as many removals, which are some milliseconds each."""


class Owners:
    """Keys in order of their ids, which only grow. Not thread-safe; `IndexShelf` holds the lock.

    Args:
        ids: Key ids in ascending order, (N,) int64.
        numbers: Row numbers of their observations, (N,) int64; 0 for the keys of spans.
    """

    def __init__(self, ids: Ids, numbers: Ids) -> None:
        self._base = _Part(ids, numbers)
        self._since = _Part(ids[:0], numbers[:0])
        self._gone: set[int] = set()

    def add(self, ids: Ids, numbers: Ids) -> None:
        """Keys whose ids are above all that are here."""
        if not len(ids):
            return
        self._since = self._since.with_more(ids, numbers)
        if len(self._since.ids) + len(self._gone) > MOST_APART:
            self._merge()

    def remove(self, ids: Collection[int]) -> None:
        """Keys that are gone."""
        self._gone.update(ids)
        if len(self._gone) > MOST_APART:
            self._merge()

    def numbers_of(self, ids: Ids) -> Ids:
        """The observation of each key: its row number, 0 for a span's, -1 for a key that is not here."""
        found = self._base.numbers_of(ids)
        later = self._since.numbers_of(ids)
        found = np.where(later >= 0, later, found)
        if self._gone:
            found[[one in self._gone for one in ids.tolist()]] = -1
        return found

    def drawn(self) -> Ids:
        """The row numbers of at most `DRAWN` keys, (K,) int64; the same as long as all keys are the same."""
        every = self._base.numbers
        places = np.random.default_rng(len(every)).integers(0, len(every), DRAWN if len(every) else 0)
        return every[np.unique(places)]

    def keys_of(self, numbers: Ids) -> tuple[Ids, Ids]:
        """The keys of observations: for each its observation's row number, and its id."""
        parts = [self._base.keys_of(numbers), self._since.keys_of(numbers)]
        of, ids = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
        if self._gone:
            there = np.array([one not in self._gone for one in ids.tolist()], dtype=bool)
            of, ids = of[there], ids[there]
        return of, ids

    def _merge(self) -> None:
        whole = self._base.with_more(self._since.ids, self._since.numbers)
        there = ~np.isin(whole.ids, np.array(sorted(self._gone), dtype=np.int64))
        self._base = _Part(whole.ids[there], whole.numbers[there])
        self._since = _Part(whole.ids[:0], whole.numbers[:0])
        self._gone = set()


def write_owners(folder: Path, stem: str, ids: Ids, numbers: Ids) -> None:
    """Keeps whose the keys of an index are beside its file: asked of the store, two million take 10 s.

    Args:
        folder: Of the views.
        stem: Of the index.
        ids: Its key ids in ascending order, (N,) int64.
        numbers: As `Owners` takes them.
    """
    body = numbers.astype("<i8").tobytes()
    write_view(folder, f"{stem}-{OWNERS}", OWNERS, body, {"ids": _digest(ids)})


def read_owners(folder: Path, stem: str, ids: Ids) -> Ids | None:
    """What `write_owners` kept for an index of these ids; None where there is nothing whole of that kind."""
    try:
        body, told = read_view(folder, f"{stem}-{OWNERS}")
        is_of_it = told["ids"] == _digest(ids) and len(body) == 8 * len(ids)
    except (Corrupt, OSError, KeyError, TypeError):
        return None
    return np.frombuffer(body, "<i8").astype(np.int64) if is_of_it else None


def _digest(ids: Ids) -> str:
    return hashlib.sha256(ids.astype("<i8").tobytes()).hexdigest()


class Gone:
    """Keys that went, which a snapshot from before still has. Ids are never given again. Not thread-safe."""

    def __init__(self) -> None:
        self._ids: Ids = np.empty(0, np.int64)

    def note(self, ids: Collection[int]) -> None:
        """Keys that have just gone."""
        self._ids = np.concatenate([self._ids, np.array(list(ids), dtype=np.int64)])[-MOST_GONE:]

    def among(self, ids: Ids) -> Ids:
        """Those of some keys that are gone."""
        gone: Ids = ids[np.isin(ids, self._ids)]
        return gone


class _Part:
    """Some keys in order of their ids, and in order of their observations."""

    def __init__(self, ids: Ids, numbers: Ids) -> None:
        self.ids, self.numbers = ids, numbers
        order = np.argsort(numbers, kind="stable")
        self._sorted_ids = ids[order]
        self._of_ids, self._of_numbers = Lookup(ids), Lookup(numbers[order])

    def with_more(self, ids: Ids, numbers: Ids) -> _Part:
        return _Part(np.concatenate([self.ids, ids]), np.concatenate([self.numbers, numbers]))

    def numbers_of(self, ids: Ids) -> Ids:
        if not len(self.ids):
            return np.full(len(ids), -1, np.int64)
        places = self._of_ids.places(ids)
        found: Ids = np.where(places >= 0, self.numbers[places], -1)
        return found

    def keys_of(self, numbers: Ids) -> tuple[Ids, Ids]:
        first, counts = self._of_numbers.ranges(numbers)
        of = np.repeat(numbers, counts)
        # The n-th key of an observation lies n places behind its first.
        behind = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
        return of, self._sorted_ids[np.repeat(first, counts) + behind]
