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
        self._places: dict[int, list[int]] = {}
        self._vectors: Vectors = np.empty((0, dimension), np.float32)

    def read(self, db: sqlite3.Connection, shelf: IndexShelf, numbers: Iterable[int]) -> None:
        """Reads the keys of those observations that were not looked up before."""
        unknown = set(numbers) - self._looked_up
        self._looked_up |= unknown
        if not unknown:
            return
        owners, read = shelf.keys_of(db, self._encoder_id, self._dimension, unknown)
        for place, n in enumerate(owners, start=len(self._vectors)):
            self._places.setdefault(n, []).append(place)
        self._vectors = np.concatenate([self._vectors, read]) if len(self._vectors) else read

    def place(self, n: int) -> int | None:
        """Where the last key of an observation that was read lies among `vectors`; None without one."""
        places = self._places.get(n)
        return None if places is None else places[-1]

    @property
    def vectors(self) -> Vectors:
        """All that were read, (K, D) float32."""
        return self._vectors

    def cosines(self, vector: Vectors, numbers: Iterable[int]) -> dict[int, float]:
        """The likeness of observations that were read to a vector; of one with several keys, the best."""
        owners = [n for n in numbers if n in self._places]
        places = [place for n in owners for place in self._places[n]]
        likenesses = (self._vectors[places] @ vector).tolist()
        if len(places) == len(owners):
            return dict(zip(owners, likenesses, strict=True))
        found: dict[int, float] = {}
        of = (n for n in owners for _ in self._places[n])
        for n, likeness in zip(of, likenesses, strict=True):
            found[n] = max(likeness, found.get(n, -1.0))
        return found

    def mean_cosines(self, vector: Vectors, groups: Mapping[int, Sequence[int]]) -> dict[int, float]:
        """The likeness to a vector of the mean key of each group of observations that were read."""
        names: list[int] = []
        starts: list[int] = []
        places: list[int] = []
        for name, group in groups.items():
            known = [self._places[n][-1] for n in group if n in self._places]
            if known:
                names.append(name)
                starts.append(len(places))
                places += known
        if not names:
            return {}
        totals = np.add.reduceat(self._vectors[places], starts, axis=0)
        lengths = np.sqrt(np.einsum("ij,ij->i", totals, totals))
        return dict(zip(names, (totals @ vector / np.maximum(lengths, 1e-9)).tolist(), strict=True))


class Gathered:
    """Rows and keys that one question has read so far. For one thread.

    Args:
        shelf: Where keys are; without it there are none.
        as_of: The commit of which the question may know; None: all.
    """

    def __init__(self, shelf: IndexShelf | None = None, as_of: int | None = None) -> None:
        self._as_of = as_of
        self._shelf = shelf
        self._looked_up: set[int] = set()
        self._turns: dict[int, Turn] = {}
        self._around: dict[tuple[int, int], dict[int, list[int]]] = {}
        self._keys: dict[tuple[str, int], KeptKeys] = {}

    def turns(self, db: sqlite3.Connection, numbers: Collection[int]) -> dict[int, Turn]:
        """Those of the observations that are of chats."""
        unknown = set(numbers) - self._looked_up
        for some in pages(sorted(unknown)):
            rows = db.execute(
                "SELECT o.n, o.kind, o.speaker, length(o.text) FROM observation AS o JOIN source AS s"  # noqa: S608
                " ON s.source_id = o.source_id AND s.session = o.session AND s.kind = 'chat'"
                f" WHERE o.n IN ({marks(some)})",
                some,
            )
            self._turns.update((n, Turn(*told)) for n, *told in rows)
        self._looked_up |= unknown
        return {n: self._turns[n] for n in numbers if n in self._turns}

    def keys(
        self, db: sqlite3.Connection, encoder_id: str, dimension: int, numbers: Iterable[int]
    ) -> KeptKeys:
        """The keys by an encoder, those of the observations among them."""
        kept = self._keys.setdefault((encoder_id, dimension), KeptKeys(encoder_id, dimension))
        if self._shelf is not None:
            kept.read(db, self._shelf, numbers)
        return kept

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
        for some in pages(n for n in numbers if n not in known):
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
    return [int(one) for one in joined.split(",")] if joined else []
