"""What the map asks of whoever recognises views, and the plainest way to do it.

`CentredCosine` subtracts the mean of some views of the store, which takes away what all pictures of one
camera share. Which views these are is decided by the log alone, so that a process that is started anew finds
the same likenesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from memory.places import whitening
from memory.places.geometry import Agreement, LocalFeatures
from memory.places.recogniser import Recogniser

Vector = npt.NDArray[np.float32]
FLOOR = 0.06
"""Squared distance from the mean within which all pictures of a store are of one spot."""


class Recognises(Protocol):
    """Finds the views that are like one."""

    def add(self, view_id: bytes, vector: Vector, local: LocalFeatures | None, quality: float) -> None:
        """Holds a view from now on; `vector` (d,) float32 of unit length."""
        ...

    def remove(self, view_id: bytes) -> None:
        """Lets go of a view; one that is not held is nothing to do."""
        ...

    def candidates(self, vector: Vector, k: int) -> list[tuple[bytes, float]]:
        """The likest views that it holds and their likeness, at most 1, the likest first."""
        ...

    def verify(self, a: LocalFeatures, b: LocalFeatures) -> Agreement:
        """How far the points of two pictures agree."""
        ...


class SampledRecogniser(Recogniser):
    """A recogniser with the statistics of a sample of a store's views, which it has before it holds any.

    Args:
        sample: (N, d) float32, views without labels.
    """

    def __init__(self, sample: Vector) -> None:
        super().__init__()
        self._sampled = whitening.fit(sample, self.rules.dimensions, self.rules.power)

    def add(self, view_id: bytes, vector: Vector, local: LocalFeatures | None, quality: float) -> None:
        """As `Recogniser.add`."""
        super().add(view_id, vector, local, quality)
        if len(self) == 1:
            self.fit(self._sampled)


class CentredCosine:
    """Cosines of views after the mean of a sample of views was taken away.

    `FLOOR` is added to every product, as if all views shared one more coordinate: views that differ from the
    mean, and from each other, by less than that are alike. Without it the noise of a camera that sees one
    room would be told apart as if it were rooms.

    Args:
        sample: (N, d) float32, views without labels; of none nothing is taken away.
    """

    def __init__(self, sample: Vector) -> None:
        self._mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32) if len(sample) else None
        self._places: dict[bytes, int] = {}
        self._ids: list[bytes] = []
        self._rows: Vector = np.zeros((0, 0), np.float32)

    def add(self, view_id: bytes, vector: Vector, local: LocalFeatures | None, quality: float) -> None:
        """As `Recognises.add`."""
        del local, quality
        place, row = len(self._ids), self._of(vector)
        if place >= len(self._rows):
            room = np.zeros((max(64, 2 * place), row.size), np.float32)
            room[:place] = self._rows[:place] if place else 0
            self._rows = room
        self._rows[place] = row
        self._ids.append(view_id)
        self._places[view_id] = place

    def remove(self, view_id: bytes) -> None:
        """As `Recognises.remove`."""
        place = self._places.pop(view_id, None)
        if place is None:
            return
        last = len(self._ids) - 1
        moved = self._ids.pop()
        if place != last:
            self._ids[place], self._rows[place] = moved, self._rows[last]
            self._places[moved] = place

    def candidates(self, vector: Vector, k: int) -> list[tuple[bytes, float]]:
        """As `Recognises.candidates`."""
        n = len(self._ids)
        if not n:
            return []
        likeness = self._rows[:n] @ self._of(vector)
        best = np.argpartition(-likeness, k)[:k] if k < n else np.arange(n)
        # Rounded, so that nothing depends on how many rows were multiplied at once.
        found = [(self._ids[place], round(float(likeness[place]), 5)) for place in best.tolist()]
        return sorted(found, key=lambda one: (-one[1], one[0]))

    def verify(self, a: LocalFeatures, b: LocalFeatures) -> Agreement:
        """Nothing is compared point by point here."""
        del a, b
        return Agreement(0, 0.0)

    def _of(self, vector: Vector) -> Vector:
        away = vector if self._mean is None else vector - self._mean
        row: Vector = unit(np.append(away, np.float32(FLOOR**0.5))[None])[0]
        return row


def unit(rows: Vector) -> Vector:
    """Rows (N, D) at unit length; one of zeros stays."""
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return np.asarray(rows / lengths, dtype=np.float32)


def centred(vectors: Sequence[Vector], centre: Vector | None) -> Vector:
    """Vectors as rows of unit length around a centre; None: around nothing."""
    rows = np.stack(list(vectors))
    return unit(rows if centre is None else rows - centre)
