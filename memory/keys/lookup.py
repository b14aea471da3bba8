"""Where ids stand in an array of them, by a table: each look-up is one read, and not one per bisection.

Ids of the store only grow and few are ever missing, so that a table over all that were given is little
larger than the array. A question looks some thousand up; by bisection, each met some ten pages of memory
that no other had just read.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memory.keys.gpu import Ids

FEWEST = 8_192
"""Ids from which a table is made: fewer stay in the processor's cache."""
SPARSEST = 4
"""Numbers that a table has per id at most, 16 bytes; beyond, ids are looked up by bisection."""


class Lookup:
    """Ids in ascending order, some of them maybe more than once. Safe to read from every thread.

    Args:
        ids: (N,) int64.
    """

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._first = int(ids[0]) if len(ids) else 0
        span = int(ids[-1]) - self._first + 1 if len(ids) else 0
        self._starts: npt.NDArray[np.int32] | None = None
        if len(ids) >= FEWEST and span <= SPARSEST * len(ids):
            counts = np.bincount(ids - self._first, minlength=span)
            self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)

    def ranges(self, ids: Ids) -> tuple[Ids, Ids]:
        """Where each of some ids begins, and how often it is there, (K,) int64 both."""
        if self._starts is None:
            first = np.searchsorted(self._ids, ids, "left")
            return first, np.searchsorted(self._ids, ids, "right") - first
        # One place further on where an id lies outside: there, nothing begins and nothing ends.
        at = np.clip(ids - self._first, -1, len(self._starts) - 1)
        first = self._starts[np.maximum(at, 0)].astype(np.int64)
        ends = self._starts[np.minimum(at + 1, len(self._starts) - 1)].astype(np.int64)
        return first, ends - first

    def places(self, ids: Ids) -> Ids:
        """Where each of some ids is first, (K,) int64; -1 where it is not."""
        first, counts = self.ranges(ids)
        return np.where(counts > 0, first, -1)
