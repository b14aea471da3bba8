"""What the map asks of whoever recognises views, and how the recogniser knows a store's statistics.

These are of the first views of the store, so many of them that the log alone decides which: a process that is
started anew finds the same likenesses, and so does a map that is made anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from memory.places import whitening
from memory.places.geometry import Agreement, LocalFeatures
from memory.places.recogniser import Recogniser, RecogniserRules

Vector = npt.NDArray[np.float32]
FLOOR = 0.06
"""Squared distance from the mean within which all pictures of a store are of one spot."""
WHITENED_FROM = 128
"""Views of a sample from which its directions are made equal."""


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


@dataclass(frozen=True, slots=True, eq=False)
class FlooredWhitening(whitening.Whitening):
    """Whitening with one more coordinate that all views share, `floor` before rows come to unit length.

    Views that differ from the mean, and from each other, by less than that are alike. Without it the noise of
    a camera that sees one room would be told apart as if it were rooms.
    """

    floor: float = 0.0

    def __call__(self, vectors: Vector) -> Vector:
        """As `Whitening`, (N, d + 1) float32."""
        rows = whitening.unit(vectors)
        rows = rows if self.mean is None else rows - self.mean
        rows = rows if self.projection is None else rows @ self.projection
        shared = np.full((len(rows), 1), self.floor, np.float32)
        return whitening.unit(np.concatenate([rows, shared], axis=1))


def floored(sample: Vector, rules: RecogniserRules) -> FlooredWhitening:
    """The whitening of a sample of a store's views (N, d) float32, and the floor at the same scale.

    Of fewer than `WHITENED_FROM` views the mean alone is taken away: their directions are mostly noise.
    """
    if not len(sample):
        return FlooredWhitening()
    rows = whitening.unit(sample)
    made = whitening.fit(rows, rules.dimensions, rules.power)
    projection = made.projection if len(rows) >= WHITENED_FROM else None
    away = rows if made.mean is None else rows - made.mean
    before = float((away * away).sum(axis=1).mean())
    moved = away if projection is None else away @ projection
    after = float((moved * moved).sum(axis=1).mean())
    return FlooredWhitening(made.mean, projection, len(rows), (FLOOR * after / max(before, 1e-6)) ** 0.5)


class SampledRecogniser(Recogniser):
    """A recogniser with the statistics of a sample of a store's views, which it has before it holds any.

    Args:
        sample: (N, d) float32, views without labels.
    """

    def __init__(self, sample: Vector) -> None:
        super().__init__()
        self._sampled = floored(sample, self.rules)

    def add(self, view_id: bytes, vector: Vector, local: LocalFeatures | None, quality: float) -> None:
        """As `Recogniser.add`; the statistics stay those of the sample."""
        super().add(view_id, vector, local, quality)
        if len(self) == 1:
            self.fit(self._sampled)

    def _is_fit_due(self) -> bool:
        return False


def centred(vectors: Sequence[Vector], centre: Vector | None) -> Vector:
    """Vectors as rows of unit length around a centre; None: around nothing."""
    rows = np.stack(list(vectors))
    return whitening.unit(rows if centre is None else rows - centre)
