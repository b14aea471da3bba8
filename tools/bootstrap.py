"""How sure a figure is: the percentile bootstrap (Efron 1979), always with the same draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

DRAWS = 1_000


def bootstrap(
    n: int, statistic: Callable[[Sequence[int]], float], *, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Both ends of the 95 % interval of a statistic; (nan, nan) without anything to draw from.

    Args:
        n: How many things there are.
        statistic: Of n places among them, drawn with replacement.
        draws: How often.
        seed: Of the draws.
    """
    if not n:
        return float("nan"), float("nan")
    places = np.random.default_rng(seed).integers(0, n, size=(draws, n))
    low, high = np.percentile([statistic(row) for row in places.tolist()], (2.5, 97.5))
    return float(low), float(high)
