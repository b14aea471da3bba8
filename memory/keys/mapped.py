"""The keys of an encoder once more, in a file that this process maps: read without the store.

An index of lists holds codes, and each question needs some thousand true vectors: of what it found, of
what lies around that, of digests and facts. As rows of the store each is a look-up in a tree, and each
commit makes SQLite drop its map of the file, so that the next question pays for every page again.

A child writes the file (`memory.keys.build`), the process maps it and takes its name away: it ends
with the process, nothing that was forgotten can be found in it later, and it needs no checksum of its own.
Keys that came since are read from the store.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from memory.keys.gpu import Ids, Vectors
from memory.keys.lookup import Lookup
from memory.keys.vectors import unit_rows
from stream.errors import Corrupt

_HEADER = "<8sqq"
_NAME = b"OMNI-ROW"
"""What the file is, dimension, number of keys; their ids and then their vectors, float16, follow."""
_POPULATE_READ = 22
"""MADV_POPULATE_READ of Linux 5.14; older ones refuse it."""
MOST_SINCE = 50_000
"""Keys that are not in it, from which it is made anew; and at least a quarter of it."""


class MappedVectors:
    """Keys in order of their ids. Safe to read from every thread.

    Args:
        path: What `write` made; its name is taken away.

    Raises:
        Corrupt: If it is something else, or not whole.
        OSError: If it cannot be mapped.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            body = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        path.unlink()
        with suppress(OSError):
            # The child has just written it, so it is in memory: 50 ms for a GB, once. Else each row that is
            # read for the first time costs a page fault, five times as much as reading it.
            body.madvise(_POPULATE_READ)
        header = struct.Struct(_HEADER)
        if len(body) < header.size:
            raise Corrupt(f"{path} holds {len(body)} bytes")
        name, self.dimension, n = header.unpack_from(body)
        start = header.size + 8 * n
        if name != _NAME or len(body) != start + 2 * self.dimension * n:
            raise Corrupt(f"{path} holds {len(body)} bytes for {n} keys")
        self.n_bytes = len(body)
        self._n_gone = 0
        self._ids: Ids = np.frombuffer(body, "<i8", n, header.size).astype(np.int64)
        self._lookup = Lookup(self._ids)
        halves = np.frombuffer(body, "<f2", n * self.dimension, start)
        self._halves: npt.NDArray[np.float16] = halves.reshape(n, self.dimension)

    def __len__(self) -> int:
        return len(self._ids)

    def keys_since(self, last_id: int) -> int:
        """How many keys were given ids after its last one, those of other encoders counted too."""
        return last_id - (int(self._ids[-1]) if len(self._ids) else 0)

    def note_gone(self, ids: Ids) -> None:
        """Counts those of some keys that are here: each went from the store, and is told once."""
        self._n_gone += int((self._lookup.places(ids) >= 0).sum())

    @property
    def is_mostly_gone(self) -> bool:
        """Whether it has more than twice the keys that are left of it, so that it is worth making anew."""
        return 2 * self._n_gone > len(self)

    def vectors(self, ids: Ids) -> tuple[npt.NDArray[np.bool_], Vectors]:
        """Which of some keys are here, (N,) bool, and the vectors of these, (K, D) float32 of unit length."""
        places = self._lookup.places(ids)
        there = places >= 0
        return there, unit_rows(self._halves.take(places[there], axis=0), self.dimension)


def is_due(mapped: MappedVectors | None, last_id: int) -> bool:
    """Whether a file is to be made, or made anew, where the last key that was given is `last_id`."""
    if mapped is None or mapped.is_mostly_gone:
        return True
    return mapped.keys_since(last_id) > max(MOST_SINCE, len(mapped) // 4)


def write(path: Path, ids: Ids, dimension: int, rows: Iterable[npt.NDArray[np.float16]]) -> None:
    """Writes the file: ids in ascending order, (N,) int64, and batches of their vectors, (K, D) float16.

    Raises:
        OSError: If it cannot be written; what was written of it is taken away.
    """
    try:
        with path.open("wb") as file:
            file.write(struct.pack(_HEADER, _NAME, dimension, len(ids)))
            file.write(ids.astype("<i8").tobytes())
            for some in rows:
                file.write(some.astype("<f2").tobytes())
    except OSError:
        path.unlink(missing_ok=True)
        raise
