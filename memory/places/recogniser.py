"""Recognises a view among many: likeness of whitened keys first, points of the likest after that.

Whitening is fitted on the views that are held, at sizes that double, so that what is held decides.
Keys are compared flat: at 10,000 views that is a millisecond. Points are compared for the likest few alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memory.places import geometry, whitening
from memory.places.geometry import Agreement, LocalFeatures
from stream.errors import ConfigError

Vector = npt.NDArray[np.float32]

_FIRST_ROWS = 64


@dataclass(frozen=True, slots=True)
class RecogniserRules:
    """What evidence is worth.

    `dimensions` and `power` are those of the whitening. `verified` of the likest views are compared point by
    point. `gain` is what an agreement of `sure` inliers, `chance` of which come about by chance, adds to the
    likeness, and no agreement adds more than twice that; `poor` is what a view of quality 0 loses.
    """

    dimensions: int = whitening.DIMENSIONS
    power: float = whitening.POWER
    verified: int = 12
    gain: float = 0.2
    chance: float = 8.0
    sure: float = 24.0
    poor: float = 0.1


@dataclass(frozen=True, slots=True)
class Match:
    """A view that was found: its likeness, how far points agree, and both together as `score`."""

    view_id: bytes
    score: float
    likeness: float
    agreement: Agreement


class Recogniser:
    """Holds views and finds those that show the same place.

    Args:
        rules: What evidence is worth.
    """

    def __init__(self, rules: RecogniserRules | None = None) -> None:
        self.rules = rules or RecogniserRules()
        self._ids: list[bytes] = []
        self._rows: dict[bytes, int] = {}
        self._raw = np.empty((0, 0), np.float16)
        self._white = np.empty((0, 0), np.float32)
        self._quality = np.empty(0, np.float32)
        self._local: dict[bytes, LocalFeatures] = {}
        self._whitening = whitening.Whitening()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, view_id: bytes, vector: Vector, local: LocalFeatures | None, quality: float) -> None:
        """Holds a view from now on; one that is held already is replaced.

        Args:
            view_id: Its id.
            vector: (D,) float32, finite.
            local: Its points, if any.
            quality: 0 to 1.

        Raises:
            ConfigError: If the vector is of another length than those that are held, or not finite.
        """
        if (
            vector.ndim != 1
            or not np.isfinite(vector).all()
            or (self._ids and len(vector) != self._raw.shape[1])
        ):
            raise ConfigError(
                f"a view of shape {vector.shape} among views of {self._raw.shape[1]} finite numbers",
                remedy="compare views of one encoder alone",
            )
        self.remove(view_id)
        row = len(self._ids)
        if row >= len(self._raw):
            self._grow(len(vector))
        self._ids.append(view_id)
        self._rows[view_id] = row
        self._raw[row] = whitening.unit(vector[None])[0]
        self._quality[row] = quality
        if local is not None and len(local.xy):
            self._local[view_id] = local
        if self._is_fit_due():
            self.fit()
        elif self._white.shape[1]:
            self._white[row] = self._whitening(self._raw[row : row + 1].astype(np.float32))[0]
        else:
            self._white = np.zeros((len(self._raw), len(vector)), np.float32)
            self._white[row] = self._raw[row]

    def _is_fit_due(self) -> bool:
        return whitening.is_due(len(self._ids), self._whitening.n_views)

    def remove(self, view_id: bytes) -> None:
        """Lets go of a view, its points and its numbers; one that is not held is nothing to do."""
        row = self._rows.pop(view_id, None)
        if row is None:
            return
        self._local.pop(view_id, None)
        last = len(self._ids) - 1
        moved = self._ids.pop()
        for held in (self._raw, self._white, self._quality):
            if row != last:
                held[row] = held[last]
            held[last] = 0
        if row != last:
            self._ids[row] = moved
            self._rows[moved] = row

    def fit(self, whitened_by: whitening.Whitening | None = None) -> None:
        """Fits the whitening on the views that are held, or takes one that was fitted on others."""
        count = len(self._ids)
        rules, rows = self.rules, self._raw[:count].astype(np.float32)
        self._whitening = whitened_by or whitening.fit(rows, rules.dimensions, rules.power)
        white = self._whitening(rows) if count else rows
        self._white = np.zeros((len(self._raw), white.shape[1]), np.float32)
        self._white[:count] = white

    def likeness(self, vectors: Vector) -> Vector:
        """Cosines of views (N, D) to all that are held, (N, len(self)) in the order of `ids`."""
        return np.asarray(self._whitening(vectors) @ self._white[: len(self._ids)].T, np.float32)

    @property
    def ids(self) -> Sequence[bytes]:
        """The views that are held, in the order of the columns of `likeness`."""
        return self._ids

    @property
    def quality(self) -> npt.NDArray[np.float32]:
        """Of the views that are held, in the order of `ids`."""
        return self._quality[: len(self._ids)]

    def candidates(self, vector: Vector, k: int) -> list[tuple[bytes, float]]:
        """The likest views that are held and their likeness, at most 1, the likest first.

        Rounded, so that nothing depends on how many rows were multiplied at once; equals in the order of ids.
        """
        if not self._ids or k < 1:
            return []
        likeness = self.likeness(vector[None])[0]
        best = np.argpartition(-likeness, k)[:k] if k < len(likeness) else np.arange(len(likeness))
        found = [(self._ids[row], round(float(likeness[row]), 5)) for row in best.tolist()]
        return sorted(found, key=lambda one: (-one[1], one[0]))

    def verify(self, a: LocalFeatures, b: LocalFeatures) -> Agreement:
        """How far the points of two pictures agree on one geometry."""
        return geometry.verify(a, b)

    def recognise(
        self, vector: Vector, local: LocalFeatures | None, quality: float = 1.0, k: int = 32
    ) -> list[Match]:
        """The views that show the same place, the surest first.

        Args:
            vector: (D,) float32.
            local: Points of the picture; without them likeness alone decides.
            quality: Of the picture; points of a poor one are not looked at.
            k: How many, at most; `rules.verified` of them are compared point by point.
        """
        found = []
        for place, (view_id, likeness) in enumerate(self.candidates(vector, k)):
            other = self._local.get(view_id)
            is_checked = (
                place < self.rules.verified and local is not None and other is not None and quality > 0
            )
            agreement = self.verify(local, other) if is_checked and local and other else geometry.NONE
            score = self.score(likeness, agreement, float(self._quality[self._rows[view_id]]))
            found.append(Match(view_id, score, likeness, agreement))
        return sorted(found, key=lambda one: (-one.score, one.view_id))

    def score(self, likeness: float, agreement: Agreement, quality: float) -> float:
        """Likeness and agreement as one, for a view of some quality."""
        return likeness + self.gain(agreement) - self.rules.poor * (1 - quality)

    def gain(self, agreement: Agreement) -> float:
        """What an agreement adds to likeness: grows with the logarithm of inliers beyond chance."""
        rules = self.rules
        beyond = max(0.0, agreement.weight - rules.chance)
        return rules.gain * min(2.0, math.log1p(beyond) / math.log1p(rules.sure))

    def _grow(self, dimensions: int) -> None:
        room = max(_FIRST_ROWS, 2 * len(self._raw))
        for name, width in (("_raw", dimensions), ("_white", self._white.shape[1])):
            held = getattr(self, name)
            grown = np.zeros((room, width), held.dtype)
            grown[: len(held), : held.shape[1]] = held
            setattr(self, name, grown)
        quality = np.zeros(room, np.float32)
        quality[: len(self._quality)] = self._quality
        self._quality = quality
