"""Keys as the store has them, beside an index: what is read of them, and whether both agree."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memory.keys.files import read_view
from memory.keys.gpu import Ids, Vectors
from memory.keys.keyers import unpack_vectors
from memory.keys.vectors import FlatIndex, IvfIndex
from memory.log.reader import last_commit, last_given, marks, pages
from stream.errors import Corrupt

LATE_SHARE = 64
"""One in so many keys of lists comes or goes before their file is written again: of two million keys that is
nearly a GB, and a start reads what came since from the store in a second."""
SAMPLED_KEYS = 64
"""Keys that are compared with the store when an index is loaded."""
READ_ROWS = 4096
"""Keys read from SQLite at a time when an index catches up; 12 MB at 768 dimensions."""


class Matched(NamedTuple):
    """The keys of an index as the store has them.

    `ids` in ascending order and the row `numbers` of their owners, as `Owners` takes them, (N,) int64
    both; `last_key` of the encoder, which may be of no part of the index; whether the index `has_changed`.
    """

    ids: Ids
    numbers: Ids
    last_key: int
    has_changed: bool


KEY_IDS = "SELECT key_id FROM key INDEXED BY key_of_encoder WHERE encoder_id = ? ORDER BY key_id"
"""Those of facts too; of the index alone, so that two million are read in a second."""
KEYS_SINCE = (
    "SELECT k.key_id, CASE WHEN k.kind <> 'fact' THEN k.vector END, COALESCE(o.n, 0) FROM key AS k"
    " LEFT JOIN observation AS o ON o.observation_id = k.owner"
    " WHERE k.encoder_id = ? AND k.key_id > ? AND k.vector IS NOT NULL"
    " AND k.dimension = ? ORDER BY k.key_id LIMIT ?"
)
KEY_OWNERS = (
    "SELECT k.key_id, COALESCE(o.n, 0) FROM key AS k LEFT JOIN observation AS o"
    " ON o.observation_id = k.owner WHERE k.encoder_id = ? AND k.vector IS NOT NULL AND k.dimension = ?"
    " AND k.kind <> 'fact' ORDER BY k.key_id"
)


def matched_of(db: sqlite3.Connection, index: FlatIndex | IvfIndex, kept: Ids | None = None) -> Matched:
    """Adds what only the store has and removes what only the index has.

    Args:
        db: A snapshot.
        index: Is changed.
        kept: The row numbers of the owners of its keys, in order of their ids, where they are known
            (`memory.keys.owners.read_owners`): then only what else the store has is looked up in it.
    """
    encoder_id, dimension = index.encoder_id, index.dimension
    there = np.sort(index.ids())
    every = np.fromiter((key_id for (key_id,) in db.execute(KEY_IDS, (encoder_id,))), np.int64)
    if kept is None:
        rows = np.array(db.execute(KEY_OWNERS, (encoder_id, dimension)).fetchall(), dtype=np.int64)
        stored, numbers = rows.reshape(-1, 2).T.copy()
    else:
        is_stored = np.isin(there, every, kind="table")
        more = _owners_of(db, _without(every, there), dimension)
        stored = np.concatenate([there[is_stored], more[:, 0]])
        order = np.argsort(stored, kind="stable")
        stored, numbers = stored[order], np.concatenate([kept[is_stored], more[:, 1]])[order]
    gone, missing = _without(there, stored), _without(stored, there)
    index.remove(gone)
    for start in range(0, len(missing), READ_ROWS):
        ids = missing[start : start + READ_ROWS]
        index.add(*read_keys(db, encoder_id, ids, dimension))
    index.commit_no = last_commit(db)
    last_key = int(every[-1]) if len(every) else 0
    return Matched(stored, numbers, last_key, bool(len(missing) or len(gone)))


def _without(ids: Ids, others: Ids) -> Ids:
    """Those of some ids that are not among others; by a table, since both are many and seldom miss any."""
    left: Ids = ids[~np.isin(ids, others, kind="table")]
    return left


def _owners_of(db: sqlite3.Connection, key_ids: Ids, dimension: int) -> Ids:
    """(N, 2) int64: those of some keys that belong into an index, and the row numbers of their owners."""
    rows: list[tuple[int, int]] = []
    for some in pages(key_ids.tolist()):
        rows += db.execute(
            "SELECT k.key_id, COALESCE(o.n, 0) FROM key AS k LEFT JOIN observation AS o"  # noqa: S608
            f" ON o.observation_id = k.owner WHERE k.key_id IN ({marks(some)}) AND k.vector IS NOT NULL"
            " AND k.dimension = ? AND k.kind <> 'fact' ORDER BY k.key_id",
            (*some, dimension),
        )
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


def stored_vectors(
    db: sqlite3.Connection, key_ids: Sequence[int], dimension: int
) -> tuple[list[int], Vectors]:
    """Keys as the store has them: ids of those that are there, and vectors (K, D) float32."""
    rows: list[tuple[int, bytes]] = []
    for some in pages(key_ids):
        rows += db.execute(
            f"SELECT key_id, vector FROM key WHERE key_id IN ({marks(some)})"  # noqa: S608
            " AND vector IS NOT NULL AND dimension = ?",
            (*some, dimension),
        )
    return [key_id for key_id, _ in rows], unpack_vectors([vector for _, vector in rows], dimension)


def read_keys(db: sqlite3.Connection, encoder_id: str, ids: Ids, dimension: int) -> tuple[Ids, Vectors]:
    """The keys of these ids, which are in order, as they lie in the store."""
    rows = db.execute(
        "SELECT key_id, vector FROM key WHERE encoder_id = ? AND key_id BETWEEN ? AND ?"
        " AND vector IS NOT NULL AND dimension = ? ORDER BY key_id",
        (encoder_id, int(ids[0]), int(ids[-1]), dimension),
    )
    wanted = set(ids.tolist())
    kept = [row for row in rows if row[0] in wanted]
    return (
        np.array([row[0] for row in kept], dtype=np.int64),
        unpack_vectors([row[1] for row in kept], dimension),
    )


def manifest_of(index: FlatIndex | IvfIndex, measured: dict[str, Any]) -> dict[str, Any]:
    """What stands beside the file of an index, as `load_index` wants it."""
    return {
        "encoder_id": index.encoder_id,
        "kind": index.kind,
        "n": len(index),
        "dimension": index.dimension,
        "n_bytes": index.n_bytes,
        "commit_no": index.commit_no,
        "measured": measured,
    }


def is_kept(
    index: FlatIndex | IvfIndex, saved: tuple[int, int] | None, now: tuple[int, int], *, every: bool
) -> bool:
    """Whether the file of an index has all of it, or, of lists and not `every`, nearly all.

    `saved` and `now` are how many keys it had and has, and how many were taken out of it; None: no file.
    """
    if every or saved is None or isinstance(index, FlatIndex):
        return saved == now
    return sum(abs(one - other) for one, other in zip(now, saved, strict=True)) <= len(index) // LATE_SHARE


def described(index: FlatIndex | IvfIndex, leaving: int) -> dict[str, object]:
    """What an index is, for `status`, without keys that are `leaving`."""
    n = len(index)
    return {
        "kind": index.kind,
        "n": n - leaving,
        "dimension": index.dimension,
        "n_bytes": index.n_bytes,
        # What its file takes once it is saved.
        "file_bytes": index.file_bytes * (n - leaving) // max(n, 1),
        "commit_no": index.commit_no,
        "gpu": index.on_gpu,
        "exact": index.is_exact,
    }


def load_index(
    db: sqlite3.Connection, folder: Path, stem: str, encoder_id: str, dimension: int, *, gpu: bool
) -> tuple[FlatIndex | IvfIndex, dict[str, Any]]:
    """The index of an encoder that the manifest in `folder` points to, and what was measured of it.

    Raises:
        Corrupt: If file and manifest disagree, or they are of another kind.
        OSError: If one of them is missing.
        TypeError, KeyError, ValueError: If the manifest tells something else.
    """
    body, told = read_view(folder, stem)
    if (told["encoder_id"], told["dimension"]) != (encoder_id, dimension):
        raise Corrupt(f"the index in {folder} is of another encoder")
    kind = IvfIndex if told["kind"] == IvfIndex.kind else FlatIndex
    index = kind.load(encoder_id, body, gpu=gpu)
    if len(index) != told["n"] or index.dimension != dimension or not agrees(db, index):
        raise Corrupt(f"the index in {folder} is of another store or time")
    return index, dict(told["measured"])


def agrees(db: sqlite3.Connection, index: FlatIndex | IvfIndex) -> bool:
    """Whether some keys of an index, the newest among them, are there, and what the store holds as them.

    A store that was restored gives ids anew that a newer index file has already, or will give them.
    """
    ids = np.sort(index.ids())
    if not len(ids):
        return True
    if ids[-1] > last_given(db, "key"):
        return False
    spread = np.linspace(0, len(ids) - 1, min(len(ids), SAMPLED_KEYS)).astype(np.int64)
    known = 0
    for one in ids[np.unique(spread)]:
        there, vectors = read_keys(db, index.encoder_id, np.array([one]), index.dimension)
        known += len(there)
        if len(there) and not index.holds(int(one), vectors[0]):
            return False
    # A store that was encoded anew has other ids: what shares none of them is no index of it.
    return known > 0
