"""What has been read of the store for one question: each row and each key once, whoever asks for it.

Scorers look at the same few hundred observations and at what lies around them. Each of them asking
for itself took half of the time of a question.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from memory.keys.columns import KnownColumns
from memory.keys.index import IndexShelf
from memory.log.reader import known_by, marks, pages

Vectors = npt.NDArray[np.float32]
FAR_NS = 2**62
"""Further than anything in a source lies from anything else."""


class Turn(NamedTuple):
    """What scorers need of a turn of a chat; of a photo in a chat, its kind says that it is one."""

    kind: str
    speaker: str
    n_chars: int


class KeptKeys:
    """Keys of observations by one encoder. For one thread.

    Args:
        encoder_id: Whose.
        dimension: Of the vectors.
    """

    def __init__(self, encoder_id: str, dimension: int) -> None:
        self._encoder_id, self._dimension = encoder_id, dimension
        self._looked_up: set[int] = set()
        self._last: dict[int, int] = {}
        self._others: dict[int, list[int]] = {}
        self._vectors: Vectors = np.empty((0, dimension), np.float32)

    def read(self, db: sqlite3.Connection, shelf: IndexShelf, numbers: Iterable[int]) -> None:
        """Reads the keys of those observations that were not looked up before."""
        unknown = set(numbers) - self._looked_up
        self._looked_up |= unknown
        if not unknown:
            return
        owners, read = shelf.keys_of(db, self._encoder_id, self._dimension, unknown)
        first = len(self._vectors)
        last = dict(zip(owners, range(first, first + len(owners)), strict=True))
        self._last |= last
        if len(last) < len(owners):  # Nearly always each has one.
            for place, n in enumerate(owners, start=first):
                if place != last[n]:
                    self._others.setdefault(n, []).append(place)
        self._vectors = np.concatenate([self._vectors, read]) if first else read

    def cosines(self, vector: Vectors, numbers: Iterable[int]) -> dict[int, float]:
        """The likeness of observations that were read to a vector; of one with several keys, the best."""
        owners = [n for n in numbers if n in self._last]
        found = dict(zip(owners, self._products(vector, [self._last[n] for n in owners]), strict=True))
        for n in self._others.keys() & found.keys():
            found[n] = max(found[n], *self._products(vector, self._others[n]))
        return found

    def mean_cosines(self, vector: Vectors, groups: Mapping[int, Sequence[int]]) -> dict[int, float]:
        """The likeness to a vector (D,) float32 of the mean key of each group of those that were read."""
        return self.sum_cosines(vector, {name: (group,) for name, group in groups.items()})

    def sum_cosines(self, vector: Vectors, groups: Mapping[int, Iterable[Sequence[int]]]) -> dict[int, float]:
        """The likeness to a vector (D,) float32 of the sum of the directions of groups' means, by name.

        Each name has groups of observations that were read; one of which none has a key is left out, and so
        is a name without any.
        """
        parts: list[list[int]] = []
        of_name: dict[int, list[int]] = {}
        for name, some in groups.items():
            known = [there for group in some if (there := [self._last[n] for n in group if n in self._last])]
            if known:
                of_name[name] = list(range(len(parts), len(parts) + len(known)))
                parts += known
        means = _directions(_sums(self._vectors, parts))
        sums = _directions(_sums(means, list(of_name.values())))
        return dict(zip(of_name, (sums @ vector).tolist(), strict=True))

    def _products(self, vector: Vectors, places: Sequence[int]) -> list[float]:
        products: list[float] = (self._vectors[places] @ vector).tolist()
        return products


def _sums(rows: Vectors, groups: Sequence[Sequence[int]]) -> Vectors:
    """The sum of the rows (N, D) float32 of each group of places, none of them empty: (G, D) float32.

    Groups of one size lie side by side and are summed at once, which `np.add.reduceat` does not.
    """
    of_size: dict[int, list[int]] = {}
    for at, group in enumerate(groups):
        of_size.setdefault(len(group), []).append(at)
    sums = np.empty((len(groups), rows.shape[1]), np.float32)
    for size, some in of_size.items():
        together = [place for at in some for place in groups[at]]
        sums[some] = rows[together].reshape(len(some), size, -1).sum(axis=1)
    return sums


def _directions(rows: Vectors) -> Vectors:
    """Rows (N, D) float32, brought to unit length."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    made: Vectors = rows / np.maximum(lengths, 1e-9)[:, None]
    return made


class Gathered:
    """Rows and keys that one question has read so far. For one thread.

    Args:
        shelf: Where keys are; without it there are none.
        as_of: The commit of which the question may know; None: all.
    """

    def __init__(self, shelf: IndexShelf | None = None, as_of: int | None = None) -> None:
        self._as_of = as_of
        self._shelf = shelf
        self._has_asked = False
        self._known: KnownColumns | None = None
        self._looked_up: set[int] = set()
        self._kinds: dict[int, str] = {}
        self._turns: dict[int, Turn] = {}
        self._around: dict[tuple[int, int], dict[int, list[int]]] = {}
        self._keys: dict[tuple[str, int], KeptKeys] = {}

    def kinds(self, db: sqlite3.Connection, numbers: Collection[int]) -> dict[int, str]:
        """The kind of each observation; what is not there is left out."""
        self._look_up(db, numbers)
        return {n: self._kinds[n] for n in numbers if n in self._kinds}

    def turns(self, db: sqlite3.Connection, numbers: Collection[int]) -> dict[int, Turn]:
        """Those of the observations that are of chats."""
        self._look_up(db, numbers)
        return {n: self._turns[n] for n in numbers if n in self._turns}

    def _look_up(self, db: sqlite3.Connection, numbers: Collection[int]) -> None:
        unknown = set(numbers) - self._looked_up
        self._looked_up |= unknown
        known = self.columns(db)
        if known is not None:
            others, at = known.places(unknown)
            self._describe(known.columns.described(at))
            unknown = set(others)
        for some in pages(sorted(unknown)):
            rows = db.execute(
                "SELECT o.n, o.kind, CASE WHEN s.kind = 'chat' THEN o.speaker END, length(o.text)"  # noqa: S608
                " FROM observation AS o"
                " JOIN source AS s ON s.source_id = o.source_id AND s.session = o.session"
                f" WHERE o.n IN ({marks(some)})",
                some,
            ).fetchall()
            self._describe(rows)

    def _describe(self, rows: Sequence[tuple[int, str, str | None, int]]) -> None:
        self._kinds.update([row[:2] for row in rows])
        self._turns.update([(n, Turn(kind, who, chars)) for n, kind, who, chars in rows if who is not None])

    def columns(self, db: sqlite3.Connection) -> KnownColumns | None:
        """The columns as far as they hold for this question; None where the store is to be asked."""
        if not self._has_asked and self._shelf is not None and self._as_of is None:
            self._known = self._shelf.columns.known(db)
        self._has_asked = True
        return self._known

    def keys(
        self, db: sqlite3.Connection, encoder_id: str, dimension: int, numbers: Iterable[int]
    ) -> KeptKeys:
        """The keys by an encoder, those of the observations among them."""
        kept = self._keys.setdefault((encoder_id, dimension), KeptKeys(encoder_id, dimension))
        if self._shelf is not None:
            kept.read(db, self._shelf, numbers)
        return kept

    def key_cosines(
        self, db: sqlite3.Connection, encoder_id: str, vector: Vectors, key_ids: Iterable[int]
    ) -> dict[int, float]:
        """The likeness of keys of an encoder to a vector of its, by their ids."""
        if self._shelf is None:
            return {}
        ids = np.array(sorted(key_ids), dtype=np.int64)
        there, vectors = self._shelf.vectors_of(db, encoder_id, vector.size, ids)
        return dict(zip(there, (vectors @ vector).tolist(), strict=True))

    def around(
        self, db: sqlite3.Connection, numbers: Collection[int], reach: int, within_ns: int = FAR_NS
    ) -> dict[int, list[int]]:
        """The row numbers of up to `reach` observations of the same kind before and after each.

        Of those that begin no further away than `within_ns`; each side the nearest first.
        """
        known = self._around.setdefault((reach, within_ns), {})
        sides = ", ".join(
            "(SELECT group_concat(n) FROM (SELECT p.n FROM observation AS p WHERE p.source_id = o.source_id"  # noqa: S608
            f" AND p.session = o.session AND p.kind = o.kind AND {within} AND p.text <> ''"
            f"{known_by(self._as_of, 'p')} ORDER BY p.pts0_ns {order} LIMIT {int(reach)}))"
            for within, order in sides_within(within_ns)
        )
        others = [n for n in numbers if n not in known]
        columns = self.columns(db) if others else None
        if columns is not None:
            others, at = columns.with_text(others)
            known |= columns.columns.around(at, reach, within_ns)
        for some in pages(others):
            rows = db.execute(
                f"SELECT o.n, {sides} FROM observation AS o WHERE o.n IN ({marks(some)})",  # noqa: S608
                some,
            )
            known.update((n, [*numbers_in(before), *numbers_in(after)]) for n, before, after in rows)
        return {n: known[n] for n in numbers if n in known}


def sides_within(within_ns: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """Conditions on a row `p` before and after a row `o`, no further away than told; each with its order.

    Both ends bound the index of kinds: by a distance, a sparse chat was walked to its end.
    """
    return (
        (f"p.pts0_ns < o.pts0_ns AND p.pts0_ns >= o.pts0_ns - {int(within_ns)}", "DESC"),
        (f"p.pts0_ns > o.pts0_ns AND p.pts0_ns <= o.pts0_ns + {int(within_ns)}", "ASC"),
    )


def numbers_in(joined: str | None) -> list[int]:
    """What `group_concat` joined."""
    return list(map(int, joined.split(","))) if joined else []
