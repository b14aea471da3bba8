"""FAISS itself, and the disposable copy of an index on a GPU.

The index in main memory is the master: it is what is saved, checked, and searched where a
GPU cannot. A copy can take keys in and cannot let go of one, so what was removed is hidden,
and a copy that hides much is made anew.

Tested against faiss-gpu 1.15 by `tools/check_gpu.py`. Where an allocation fails, FAISS raises and the
master goes on. Where a kernel fails, or cuBLAS finds no memory at the start, it ends the process
(seen on an H100 whose memory another had taken): so the free memory is looked at first.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

MOST_HIDDEN = 512
"""Removed keys that a copy carries along; each costs one more place in every search."""
MOST_FOUND = 2_048
"""What FAISS selects on a GPU at most, results and lists alike (`gpu/utils/DeviceDefs.cuh`)."""
WORKSPACE_BYTES = 256 << 20
"""Memory of the GPU that FAISS takes for searching; by itself it takes 1.5 GiB."""
RESERVE_BYTES = 1 << 30
"""What must be free beside the keys: the workspace, the contexts of CUDA and cuBLAS, and room to grow."""
RUNTIMES = ("libcudart.so.12", "libcudart.so.13")
"""The CUDA runtimes that FAISS may be linked with; it has loaded its own when it is asked here."""


def faiss_library() -> Any:
    """FAISS, imported when first needed, with one thread.

    A store without keys, and a commit, never pay for the import.
    """
    import faiss

    faiss.omp_set_num_threads(1)
    return faiss


def free_bytes() -> int | None:
    """Memory free on the current GPU; None where the runtime that FAISS loaded cannot be asked."""
    for name in RUNTIMES:
        try:
            ask = ctypes.CDLL(name).cudaMemGetInfo
        except (OSError, AttributeError):
            continue
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        return free.value if ask(ctypes.byref(free), ctypes.byref(total)) == 0 else None
    return None


def has_room(master: Any) -> bool:
    """Whether the GPU has room for a copy. Where its memory cannot be read, FAISS finds out by trying."""
    free = free_bytes()
    return free is None or free >= int(master.ntotal) * int(master.d) * 4 + RESERVE_BYTES


class GpuCopy:
    """The keys of a master once more on the first GPU. As thread-safe as its master: not.

    Args:
        master: An `IndexIDMap2` over a flat index, or an IVF index.

    Raises:
        RuntimeError: If the GPU has no room for it, or FAISS cannot use it.
    """

    def __init__(self, master: Any) -> None:
        faiss = faiss_library()
        self._resources = faiss.StandardGpuResources()
        self._resources.setTempMemory(WORKSPACE_BYTES)
        self._hidden: set[int] = set()
        self._numbered = isinstance(master, faiss.IndexIDMap2)
        self._ids: Ids = np.empty(0, dtype=np.int64)
        if self._numbered:
            # FAISS has no ids for flat indexes there: they are places, translated here.
            self._index = faiss.GpuIndexFlatIP(self._resources, master.d)
            if master.ntotal:
                self._index.add(master.index.reconstruct_n(0, master.ntotal))
                self._ids = faiss.vector_to_array(master.id_map).astype(np.int64)
        else:
            self._index = faiss.index_cpu_to_gpu(self._resources, 0, master)
            self._index.nprobe = min(master.nprobe, MOST_FOUND)

    @property
    def is_worn(self) -> bool:
        """Whether it hides so much that it should be made anew."""
        return len(self._hidden) > MOST_HIDDEN

    def can_find(self, k: int) -> bool:
        """Whether a search for `k` fits what a GPU selects."""
        return k + len(self._hidden) <= MOST_FOUND

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """As the master. Raises RuntimeError where there is no room, or an id was hidden before."""
        if not self._hidden.isdisjoint(ids.tolist()):
            raise RuntimeError("a key that is hidden here was added again")
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        if self._numbered:
            self._index.add(rows)
            self._ids = np.concatenate([self._ids, ids])
        else:
            self._index.add_with_ids(rows, np.ascontiguousarray(ids, dtype=np.int64))

    def hide(self, ids: Ids) -> None:
        """Finds these keys no more, whether they are there or not."""
        self._hidden.update(ids.tolist())

    def search(self, rows: Vectors, k: int) -> tuple[Vectors, Ids]:
        """Inner products (1, ≤ k) float32 and ids (1, ≤ k) int64 of the nearest to one row (1, D)."""
        wanted = min(k + len(self._hidden), int(self._index.ntotal))
        scores, found = self._index.search(rows, wanted)
        ids = self._ids[found[0]] if self._numbered else found[0]
        ids = np.where(found[0] >= 0, ids, -1)
        seen = ids >= 0
        if self._hidden:
            seen &= ~np.isin(ids, np.fromiter(self._hidden, dtype=np.int64))
        return scores[:, seen][:, :k], ids[None, seen][:, :k]


def gpu_copy(master: Any) -> GpuCopy | None:
    """A copy on the GPU, or None where there is none or it has no room."""
    if faiss_library().get_num_gpus() == 0:
        return None
    if not has_room(master):
        return None
    try:
        return GpuCopy(master)
    except RuntimeError:
        return None
