"""Nearest keys of one encoder: exactly, or by inverted lists where there are very many.

`FlatIndex` compares with every key. `IvfIndex` compares with those of the nearest of some
thousand lists, each key in one byte per dimension: about a fiftieth of the work and a quarter of
the memory. Product quantization is not used: what it mistakes, only exact re-ranking can repair.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from memory.keys.gpu import GpuCopy, Ids, Vectors, faiss_library, gpu_copy
from stream.errors import Corrupt

Kind = Literal["flat", "ivf-sq8"]
_HALVES = b"OMNI-F16"
_HEADER = "<8sqq"
"""Of the file of an exact index: what it is, dimension, number of keys."""
LOADED_ROWS = 4_096
"""Rows read from, or written to, such a file at a time."""
HOLDING_LISTS = 8
"""Lists nearest to a key among which is the one that holds it."""
CODE_ERROR = 0.02
"""What one byte per dimension may change of the product of a unit vector with itself."""


@dataclass(frozen=True, slots=True)
class Hits:
    """What a search found, best first: key ids (N,) int64 and inner products (N,) float32.

    Those of an index of lists are products of codes, not `are_exact`.
    """

    ids: Ids
    scores: Vectors
    are_exact: bool = True


def unit_rows(halves: npt.NDArray[np.float16], dimension: int) -> Vectors:
    """Vectors as they are stored, float16, as (N, D) float32 of unit length."""
    unit = halves.astype(np.float32).reshape(-1, dimension)
    # Half of the time of np.linalg.norm, which squares into an array of its own.
    lengths = np.sqrt(np.einsum("ij,ij->i", unit, unit))
    unit /= np.maximum(lengths, np.float32(1e-12))[:, None]
    return unit


class KeyIndex(Protocol):
    """Nearest keys by inner product; of unit vectors, by cosine."""

    kind: Kind
    encoder_id: str
    commit_no: int

    def __len__(self) -> int:
        """How many keys are in it."""
        ...

    def ids(self) -> Ids:
        """The key ids, (N,) int64, in no order."""
        ...

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Adds keys whose ids are not in it. `vectors` (N, D) float32, unit length."""
        ...

    def remove(self, ids: Ids) -> int:
        """Takes keys out, bytes and all; returns how many were there."""
        ...

    def search(self, query: Vectors, k: int, allowed: Ids | None = None, *, share: float = 1.0) -> Hits:
        """The `k` nearest of `allowed` (None: of all) to `query` (D,) float32.

        `share` of what is found, where that is known, is what the caller takes: as many of those are to be
        compared as of all where everything is taken.
        """
        ...

    def checksum(self) -> str:
        """sha256 over ids and vectors in order of ids: equal content, equal checksum."""
        ...

    def dump(self) -> memoryview:
        """The whole index as the bytes of a file."""
        ...

    @property
    def n_bytes(self) -> int:
        """What its vectors or codes and its ids take in memory."""
        ...


class _FaissIndex:
    """What the two kinds share. Not thread-safe by itself; `IndexShelf` holds the lock."""

    kind: Kind
    value_bytes: int
    """Of one number of a vector, as it is kept."""

    def __init__(self, encoder_id: str, inner: Any, *, gpu: bool) -> None:
        self.encoder_id = encoder_id
        self.dimension = int(inner.d)
        self.commit_no = 0
        self._index = inner
        self._gpu = gpu
        self._copy: GpuCopy | None = gpu_copy(inner) if gpu else None

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def on_gpu(self) -> bool:
        """Whether searches of everything run on a GPU."""
        return self._copy is not None

    @property
    def is_exact(self) -> bool:
        """Whether a search finds the nearest for certain, with their true products."""
        return self.kind == "flat"

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """As `KeyIndex.add`. FAISS would take an id twice; keys are unique in the store."""
        if not len(ids):
            return
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        self._index.add_with_ids(rows, np.ascontiguousarray(ids, dtype=np.int64))
        if self._copy is not None:
            try:
                self._copy.add(ids, rows)
            except RuntimeError:
                self._renew_copy()

    def remove(self, ids: Ids) -> int:
        """As `KeyIndex.remove`."""
        if not len(ids):
            return 0
        removed = int(self._index.remove_ids(np.ascontiguousarray(ids, dtype=np.int64)))
        if self._copy is not None and removed:
            self._copy.hide(ids)
            if self._copy.is_worn:
                self._renew_copy()
        return removed

    def search(self, query: Vectors, k: int, allowed: Ids | None = None, *, share: float = 1.0) -> Hits:
        """As `KeyIndex.search`; ties in order of ids."""
        wanted = min(k, len(self) if allowed is None else len(allowed))
        if wanted <= 0:
            return Hits(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
        row = np.ascontiguousarray(query, dtype=np.float32).reshape(1, -1)
        if allowed is None:
            scores, ids = self._search_all(row, wanted, share)
        else:
            scores, ids = self._search_some(row, wanted, np.ascontiguousarray(allowed, dtype=np.int64))
        found = ids[0] >= 0
        order = np.lexsort((ids[0][found], -scores[0][found]))
        return Hits(ids[0][found][order], scores[0][found][order], self.is_exact)

    def dump(self) -> memoryview:
        """As `KeyIndex.dump`."""
        return memoryview(faiss_library().serialize_index(self._index))

    @property
    def file_bytes(self) -> int:
        """What its file takes, nearly: what is not vectors, codes and ids is some hundred bytes."""
        return self.n_bytes

    @property
    def n_bytes(self) -> int:
        """As `KeyIndex.n_bytes`; it grows by so much with each key, and by nothing else."""
        return len(self) * (self.value_bytes * self.dimension + np.dtype(np.int64).itemsize)

    def _renew_copy(self) -> None:
        # The old one goes first: the GPU may not have room for both.
        self._copy = None
        self._copy = gpu_copy(self._index)

    def _search_all(self, row: Vectors, k: int, share: float) -> tuple[Vectors, Ids]:
        if self._copy is not None and share == 1.0 and self._copy.can_find(k):
            try:
                return self._copy.search(row, k)
            except RuntimeError:
                # Out of memory: the master has everything.
                self._copy = None
        scores, ids = self._index.search(row, k, params=self._looking(share))
        return scores, ids

    def _looking(self, share: float) -> Any:
        """How a search goes about it; None: as ever."""
        return None

    def _search_some(self, row: Vectors, k: int, allowed: Ids) -> tuple[Vectors, Ids]:
        raise NotImplementedError


class FlatIndex(_FaissIndex):
    """Exact search.

    Args:
        encoder_id: Whose vectors these are.
        dimension: Of the vectors.
        gpu: Keep a disposable copy on a GPU where FAISS finds one.
    """

    kind: Kind = "flat"
    value_bytes = 4

    def __init__(self, encoder_id: str, dimension: int, *, gpu: bool = False, inner: Any = None) -> None:
        faiss = faiss_library()
        if inner is None:
            inner = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        super().__init__(encoder_id, inner, gpu=gpu)

    @classmethod
    def load(cls, encoder_id: str, body: bytes | memoryview, *, gpu: bool = False) -> FlatIndex:
        """An index from bytes that `dump` made, now or in an earlier release, whose checksum was verified.

        Raises:
            Corrupt: If they hold something else after all.
        """
        if bytes(body[: len(_HALVES)]) != _HALVES:
            inner = _deserialized(encoder_id, body, "IndexIDMap2")
            return cls(encoder_id, int(inner.d), gpu=gpu, inner=inner)
        header = struct.Struct(_HEADER)
        _, dimension, n = header.unpack_from(body)
        if len(body) != header.size + n * (2 * dimension + 8):
            raise Corrupt(f"index of {encoder_id} holds {len(body)} bytes")
        ids = np.frombuffer(body, "<i8", n, header.size)
        halves = np.frombuffer(body, "<f2", n * dimension, header.size + ids.nbytes)
        index = cls(encoder_id, dimension, gpu=gpu)
        for start in range(0, n, LOADED_ROWS):
            rows = halves[start * dimension : (start + LOADED_ROWS) * dimension]
            index.add(ids[start : start + LOADED_ROWS].astype(np.int64), unit_rows(rows, dimension))
        return index

    def dump(self) -> memoryview:
        """As `KeyIndex.dump`: ids, and vectors as float16, as they lie in the store.

        Of a hundred dimensions or more nothing is lost: a number that was a float16 before its vector was
        brought to unit length is rounded back to it, since that moved it by far less than half of its
        last digit. Of fewer a cosine may move by 0.001, as by storing it.
        """
        ids = self.ids()
        parts = [struct.pack(_HEADER, _HALVES, self.dimension, len(ids)), ids.astype("<i8").tobytes()]
        for start in range(0, len(ids), LOADED_ROWS):
            rows = self._index.index.reconstruct_n(start, min(LOADED_ROWS, len(ids) - start))
            parts.append(rows.astype("<f2").tobytes())
        return memoryview(b"".join(parts))

    @property
    def file_bytes(self) -> int:
        """As `_FaissIndex.file_bytes`; half of the memory."""
        return len(self) * (2 * self.dimension + np.dtype(np.int64).itemsize)

    def ids(self) -> Ids:
        """As `KeyIndex.ids`."""
        if not len(self):
            return np.empty(0, dtype=np.int64)
        found: Ids = faiss_library().vector_to_array(self._index.id_map).astype(np.int64)
        return found

    def vector(self, key_id: int) -> Vectors:
        """One key, (D,) float32. Raises RuntimeError if it is not there."""
        found: Vectors = self._index.reconstruct(key_id)
        return found

    def vectors(self, ids: Ids) -> Vectors:
        """Keys that are there, (N, D) float32."""
        if not len(ids):
            return np.empty((0, self.dimension), np.float32)
        found: Vectors = self._index.reconstruct_batch(ids)
        return found

    def holds(self, key_id: int, vector: Vectors) -> bool:
        """Whether the key under this id is this vector."""
        return bool(np.allclose(self.vector(key_id), vector, atol=1e-5))

    def checksum(self) -> str:
        """As `KeyIndex.checksum`."""
        ids = self.ids()
        order = np.argsort(ids)
        digest = hashlib.sha256(ids[order].tobytes())
        if len(ids):
            vectors = self._index.index.reconstruct_n(0, len(self))
            digest.update(np.ascontiguousarray(vectors[order]).tobytes())
        return digest.hexdigest()

    def _search_some(self, row: Vectors, k: int, allowed: Ids) -> tuple[Vectors, Ids]:
        faiss = faiss_library()
        parameters = faiss.SearchParameters(sel=faiss.IDSelectorBatch(allowed))
        scores, ids = self._index.search(row, k, params=parameters)
        return scores, ids


def _deserialized(encoder_id: str, body: bytes | memoryview, wanted: str) -> Any:
    faiss = faiss_library()
    try:
        inner = faiss.deserialize_index(np.frombuffer(body, dtype=np.uint8))
    except RuntimeError as error:
        raise Corrupt(f"index of {encoder_id}: {error}") from error
    if type(inner).__name__ != wanted:
        raise Corrupt(f"index of {encoder_id} holds a {type(inner).__name__}")
    return inner


class IvfIndex(_FaissIndex):
    """Search in the nearest lists, one byte per dimension.

    Args:
        encoder_id: Whose vectors these are.
        inner: A trained `IndexIVFScalarQuantizer`; see `memory.keys.build`.
        gpu: As `FlatIndex`.
    """

    kind: Kind = "ivf-sq8"
    value_bytes = 1

    def __init__(self, encoder_id: str, inner: Any, *, gpu: bool = False) -> None:
        super().__init__(encoder_id, inner, gpu=gpu)

    @classmethod
    def load(cls, encoder_id: str, body: bytes | memoryview, *, gpu: bool = False) -> IvfIndex:
        """As `FlatIndex.load`."""
        return cls(encoder_id, _deserialized(encoder_id, body, "IndexIVFScalarQuantizer"), gpu=gpu)

    @property
    def lists(self) -> tuple[int, int]:
        """How many lists there are, and how many of them a search looks into."""
        return int(self._index.nlist), int(self._index.nprobe)

    def ids(self) -> Ids:
        """As `KeyIndex.ids`; no code is read."""
        found: Ids = np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in self._lists())])
        return found

    def holds(self, key_id: int, vector: Vectors) -> bool:
        """Whether the key under this id is this vector, as near as one byte per dimension tells."""
        faiss = faiss_library()
        # It lies in the list that is nearest to it, or beside that, where rounding moved it.
        parameters = faiss.SearchParametersIVF(
            sel=faiss.IDSelectorBatch(np.array([key_id], dtype=np.int64)), nprobe=HOLDING_LISTS
        )
        row = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
        scores, ids = self._index.search(row, 1, params=parameters)
        return int(ids[0, 0]) == key_id and abs(float(scores[0, 0]) - 1.0) < CODE_ERROR

    def checksum(self) -> str:
        """sha256 over ids and codes in order of ids: equal keys by equal training, equal checksum."""
        digest = hashlib.sha256()
        if len(self):
            ids, codes = (np.concatenate(parts) for parts in zip(*self._lists(), strict=True))
            order = np.argsort(ids)
            digest.update(ids[order].tobytes())
            digest.update(np.ascontiguousarray(codes[order]).tobytes())
        return digest.hexdigest()

    def _search_some(self, row: Vectors, k: int, allowed: Ids) -> tuple[Vectors, Ids]:
        faiss = faiss_library()
        nlist, nprobe = self.lists
        # As many of the allowed are to be compared as are of all without gates; where they lie in
        # other lists than the nearest, too few are met there, and all lists are looked into.
        probed = min(nlist, math.ceil(nprobe * len(self) / len(allowed)))
        chosen = faiss.IDSelectorBatch(allowed)
        while True:
            parameters = faiss.SearchParametersIVF(sel=chosen, nprobe=probed)
            scores, ids = self._index.search(row, k, params=parameters)
            if probed == nlist or (ids >= 0).all():
                return scores, ids
            probed = nlist

    def _looking(self, share: float) -> Any:
        if share == 1.0:
            return None
        nlist, nprobe = self.lists
        return faiss_library().SearchParametersIVF(nprobe=min(nlist, math.ceil(nprobe / share)))

    def _lists(self) -> Iterator[tuple[Ids, Any]]:
        """Ids and codes of each list that has any, as they lie in the index: to be copied."""
        faiss = faiss_library()
        lists = self._index.invlists
        for number in range(self._index.nlist):
            if size := lists.list_size(number):
                ids = faiss.rev_swig_ptr(lists.get_ids(number), size)
                codes = faiss.rev_swig_ptr(lists.get_codes(number), size * lists.code_size)
                yield ids, codes.reshape(size, -1)
