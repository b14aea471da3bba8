"""Whitening: of the directions in which views differ, the common ones are made less of.

Pictures of one camera share most of what a network says of them. Their mean is taken away, and the principal
directions are divided by a power of how much views differ along them (PCA whitening of image descriptors,
Jegou and Chum, 2012). The half power, 0.25 of the variance, is between plain cosine and full whitening: full
whitening raises directions that hold nothing but noise where there are fewer views than dimensions.

Fitted on views without labels, and on nothing else; the same views in any order give the same projection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.errors import ConfigError

Vectors = npt.NDArray[np.float32]

DIMENSIONS = 256
"""Of whitened views, at most."""
POWER = 0.25
"""Of the variances: 0.5 is full whitening, 0 plain principal directions."""
LEAST_VIEWS = 16
"""Views with which directions are estimated; fewer give their mean alone."""
FIT_VIEWS = 4_096
"""Views that one fit is made of, at most: the covariance of 1,400 dimensions has settled by then."""
_LEAST_SHARE = 1e-6
"""Directions with less than this share of the largest variance are rounding noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """A mean (D,) and a projection (D, d), both float32; None of which stands for doing nothing."""

    mean: Vectors | None = None
    projection: Vectors | None = None
    n_views: int = 0

    def __call__(self, vectors: Vectors) -> Vectors:
        """Views (N, D) whitened, rows of unit length, (N, d) float32."""
        rows = unit(vectors)
        if self.mean is not None:
            rows = rows - self.mean
        if self.projection is not None:
            rows = rows @ self.projection
        return unit(rows)


def fit(vectors: Vectors, dimensions: int = DIMENSIONS, power: float = POWER) -> Whitening:
    """The whitening of some views.

    Args:
        vectors: (N, D) float32, unlabelled. Beyond `FIT_VIEWS` they are thinned out evenly in an order that
            only their values give.
        dimensions: To keep, at most.
        power: Of the variances.

    Raises:
        ConfigError: If they are not rows, or not finite.
    """
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ConfigError(f"views to whiten by are finite rows, not {vectors.shape}")
    if not len(vectors):
        return Whitening()
    rows = unit(vectors)[_by_value(vectors)].astype(np.float64)
    mean = rows.mean(axis=0)
    if len(rows) < LEAST_VIEWS:
        return Whitening(mean.astype(np.float32), None, len(rows))
    spread = rows - mean
    variances, directions = _principal(spread)
    order = np.argsort(-variances, kind="stable")[: min(dimensions, len(rows) - 1)]
    order = order[variances[order] > _LEAST_SHARE * max(float(variances.max()), 1e-12)]
    if not len(order):
        return Whitening(mean.astype(np.float32), None, len(rows))
    scaled = directions[:, order] / variances[order] ** power
    return Whitening(mean.astype(np.float32), scaled.astype(np.float32), len(rows))


def _principal(spread: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Variances and directions (D, n) of centred rows; of few rows by their products, which is quicker."""
    n_rows, dimensions = spread.shape
    if n_rows >= dimensions:
        variances, directions = np.linalg.eigh(spread.T @ spread / n_rows)
        return variances, directions
    variances, weights = np.linalg.eigh(spread @ spread.T / n_rows)
    return variances, spread.T @ weights / np.sqrt(np.maximum(variances * n_rows, 1e-12))


def is_due(n_views: int, n_fitted: int) -> bool:
    """Whether a fit of `n_fitted` views is to be made anew at `n_views`: at sizes that double."""
    return n_views >= LEAST_VIEWS and n_views >= 2 * max(n_fitted, LEAST_VIEWS // 2)


def unit(rows: Vectors) -> Vectors:
    """Rows (N, D) at unit length, float32; one of zeros stays."""
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return np.asarray(rows / lengths, dtype=np.float32)


def _by_value(vectors: Vectors) -> npt.NDArray[np.int64]:
    """An order of the rows that does not depend on the order they came in; thinned to `FIT_VIEWS`."""
    order = np.lexsort(vectors[:, : min(4, vectors.shape[1])].T[::-1])
    if len(order) <= FIT_VIEWS:
        return np.asarray(order, np.int64)
    return np.asarray(order[np.linspace(0, len(order) - 1, FIT_VIEWS).astype(np.int64)], np.int64)
