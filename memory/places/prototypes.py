"""Which views stand for a place: as few as keep its relations.

A prototype is a view that was there, never a mean, so that it cannot drift; what drifts is the choice. As in
prototype-sample relation distillation (Asadi et al. 2023, ICML) a place's prototypes are known by how they
relate to samples: a distribution over these. The prototype without which that distribution changes least goes
first. What comes out depends on the set of views alone, not on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

TEMPERATURE = 0.1
"""Of the distributions; that of supervised contrastive learning, on which the relation is built."""

Rows = npt.NDArray[np.float32]


def relation(prototypes: Rows, samples: Rows) -> npt.NDArray[np.float64]:
    """How prototypes (K, D) relate to samples (N, D), rows of unit length: a distribution (N,).

    A sample is as near to a place as to the likest of its prototypes.
    """
    return _shares((samples @ prototypes.T).max(axis=1).astype(np.float64) / TEMPERATURE)


def drift(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]) -> float:
    """Kullback-Leibler divergence of two relations, in nats."""
    return float(np.sum(before * np.log(np.maximum(before, 1e-12) / np.maximum(after, 1e-12))))


def gives_way(ids: Sequence[bytes], vectors: Rows, others: Rows) -> int:
    """The place in `ids` of the prototype without which a place relates to samples most as with it.

    Args:
        ids: Of two or more prototypes; of equals the later id gives way.
        vectors: (K, D), theirs, of unit length.
        others: (N, D), prototypes of other places; with the place's own they are the samples.
    """
    samples = np.concatenate([vectors, others]) if len(others) else vectors
    nearness = (samples @ vectors.T).astype(np.float64) / TEMPERATURE
    before = _shares(nearness.max(axis=1))
    changes = []
    for place in range(len(ids)):
        left = np.delete(nearness, place, axis=1).max(axis=1)
        changes.append((round(drift(before, _shares(left)), 9), place))
    least = min(change for change, _ in changes)
    return max((place for change, place in changes if change == least), key=lambda place: ids[place])


def _shares(nearest: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shares = np.exp(nearest - nearest.max())
    return np.asarray(shares / shares.sum())
