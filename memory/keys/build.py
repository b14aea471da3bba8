"""Makes a view in a process of its own, with the least claim to a CPU.

`python -P -m memory.keys.build words STORE FOLDER` writes the postings of a store's texts there,
`… vectors STORE FOLDER ENCODER DIMENSION STEM` an index of inverted lists of an encoder's keys,
`… rows STORE FOLDER ENCODER DIMENSION STEM` all its vectors as `memory.keys.mapped` takes them, and
`… columns STORE FOLDER` the columns of all observations.

How many lists a search looks into is what gives the recall that is wanted, measured here against exact
search: by keys as queries, without themselves, and by queries at a cosine of .6 to a key, as questions
lie to their answers. The lower of the two is the index's recall. A camera that sees the same again makes the
same key again: any of them is as good as another.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memory.keys.columns import COLUMNS, read_columns
from memory.keys.files import write_view
from memory.keys.gpu import Ids, Vectors, faiss_library
from memory.keys.keyers import unpack_vectors
from memory.keys.lexicon import STEM, sample_of
from memory.keys.mapped import write
from memory.keys.postings import segment_of
from memory.log.database import LOG_NAME, connect_reader

NICENESS = 15
ROWS = "rows"
"""The view of `memory.keys.mapped`, and the suffix of its file."""
BATCH = 65_536
LISTS_PER_ROOT = 4
"""Lists per square root of the number of keys: 4 000 for a million."""
PER_LIST, LEAST_PER_LIST = 64, 40
"""Keys per list that train it, and the fewest; FAISS warns below 39."""
KEYS_READ = 4_096
QUERIES, K = 200, 10
FOUND = 50
"""Keys found by their codes, among which the true ten must be: recall takes at least so many
candidates and orders them by the keys in the store (`memory.recall.candidates`)."""
MOST_PROBED, LEAST_PROBED = 4, 8
"""At most one in so many lists is looked into, whatever the recall is then; and so many in any case."""
COMPARED = 6.2
"""At least this times n^(2/3) of n keys are compared. The queries made here lie near one key, and the
keys nearest to it near each other; a person's question lies between topics. Of 20 000 turns of meetings
(MiniLM), the true ten of the questions to them were found at .97 with 12 of 502 lists for queries made
here and with 117 for the real ones; the share of lists needed fell with the cube root of n."""
SAME = 1e-4
"""Products of a query that differ by less are of the same key, said again."""
QUESTION_COSINE = 0.6
WANTED_RECALL = 0.98
"""What is set; .97 is what is promised."""
_PR_SET_PDEATHSIG = 1
_KEY_IDS = (
    "SELECT key_id FROM key WHERE encoder_id = ? AND vector IS NOT NULL AND dimension = ? AND kind <> 'fact'"
    " ORDER BY key_id"
)


def start(what: str, store_dir: Path, *more: str) -> subprocess.Popen[bytes]:
    """Starts a child that makes a view; it ends with this process."""
    command = [sys.executable, "-P", "-m", "memory.keys.build", what, str(store_dir), *more]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def build_words(store_dir: Path, folder: Path) -> int:
    """Writes the postings of all texts into `folder`; returns how many texts."""
    # The table that lists tokens is a temporary one, so `query_only` cannot be set.
    db = sqlite3.connect(
        f"{(store_dir / LOG_NAME).resolve().as_uri()}?mode=ro", uri=True, isolation_level=None
    )
    try:
        db.execute("CREATE VIRTUAL TABLE temp.tokens USING fts5vocab (main, observation_fts, instance)")
        db.execute("BEGIN")
        last_n = int(db.execute("SELECT COALESCE(MAX(n), 0) FROM observation").fetchone()[0])
        segment = segment_of(_batches(db))
        told = {"last_n": last_n, "texts": len(segment), "sample": sample_of(db, last_n)}
        write_view(folder, STEM, "postings", segment.dump(), told)
        return len(segment)
    finally:
        db.close()


def _batches(db: sqlite3.Connection) -> Iterator[Sequence[tuple[str, int]]]:
    rows = db.execute("SELECT term, doc FROM temp.tokens")
    while batch := rows.fetchmany(BATCH):
        yield batch


def build_vectors(store_dir: Path, folder: Path, encoder_id: str, dimension: int, stem: str) -> float:
    """Writes an index of all keys of an encoder into `folder`; returns its recall at 10."""
    faiss = faiss_library()
    db = connect_reader(store_dir / LOG_NAME)
    try:
        db.execute("BEGIN")
        commit_no = int(db.execute("SELECT COALESCE(MAX(commit_no), 0) FROM commit_log").fetchone()[0])
        every = db.execute(_KEY_IDS, (encoder_id, dimension)).fetchall()
        ids = np.array([key_id for (key_id,) in every], dtype=np.int64)
        rng = np.random.default_rng(len(ids))
        nlist = max(1, min(int(LISTS_PER_ROOT * len(ids) ** 0.5), len(ids) // LEAST_PER_LIST))
        chosen = rng.choice(ids, min(len(ids), PER_LIST * nlist), replace=False)
        sample = np.concatenate([rows[np.isin(of, chosen)] for of, rows in _keys(db, encoder_id, dimension)])
        inner = faiss.index_factory(dimension, f"IVF{nlist},SQ8", faiss.METRIC_INNER_PRODUCT)
        inner.train(sample)
        asked = _Asked(sample, rng)
        del sample
        for of, rows in _keys(db, encoder_id, dimension):
            inner.add_with_ids(rows, of)
            asked.see(of, rows)
    finally:
        db.close()
    recall = asked.choose_probes(inner)
    told = {
        "encoder_id": encoder_id,
        "kind": "ivf-sq8",
        "n": len(ids),
        "dimension": dimension,
        "commit_no": commit_no,
        "measured": {"recall_at_10": round(recall, 4), "of_keys": len(ids), "queries": 2 * QUERIES},
    }
    write_view(folder, stem, "faiss", bytes(faiss.serialize_index(inner).tobytes()), told)
    return recall


def build_rows(store_dir: Path, folder: Path, encoder_id: str, dimension: int, stem: str) -> int:
    """Writes the vectors of all keys of an encoder, facts too, into `folder`; returns how many."""
    which = "FROM key WHERE encoder_id = ? AND vector IS NOT NULL AND dimension = ? ORDER BY key_id"
    db = connect_reader(store_dir / LOG_NAME)
    try:
        db.execute("BEGIN")
        ids = [key_id for (key_id,) in db.execute(f"SELECT key_id {which}", (encoder_id, dimension))]
        rows = db.execute(f"SELECT vector {which}", (encoder_id, dimension))
        batches = iter(lambda: rows.fetchmany(KEYS_READ), [])
        halves = (np.frombuffer(b"".join([vector for (vector,) in some]), "<f2") for some in batches)
        write(folder / f"{stem}.{ROWS}", np.array(ids, np.int64), dimension, halves)
    finally:
        db.close()
    return len(ids)


def build_columns(store_dir: Path, folder: Path) -> int:
    """Writes the columns of all observations into `folder`; returns how many."""
    db = connect_reader(store_dir / LOG_NAME)
    try:
        db.execute("BEGIN")
        columns = read_columns(db)
    finally:
        db.close()
    with (folder / f"{COLUMNS}.{COLUMNS}").open("wb") as file:
        np.savez(file, allow_pickle=False, **columns)
    return len(columns["n"])


class _Asked:
    """Queries, and their true ten nearest keys among those seen so far."""

    def __init__(self, sample: Vectors, rng: np.random.Generator) -> None:
        keys = sample[rng.choice(len(sample), min(QUERIES, len(sample)), replace=False)]
        noise = rng.standard_normal(keys.shape).astype(np.float32)
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        near = QUESTION_COSINE * keys + np.float32((1 - QUESTION_COSINE**2) ** 0.5) * noise
        near /= np.linalg.norm(near, axis=1, keepdims=True)
        self._plain = len(keys)
        self._rows = np.concatenate([keys, near.astype(np.float32)])
        # A key finds itself first, which says nothing of its neighbours.
        self._scores = np.full((len(self._rows), K + 1), -2.0, np.float32)
        self._ids = np.full((len(self._rows), K + 1), -1, np.int64)
        self._keys = np.zeros((len(self._rows), K + 1, self._rows.shape[1]), np.float32)

    def see(self, ids: Ids, rows: Vectors) -> None:
        scores = np.concatenate([self._scores, self._rows @ rows.T], axis=1)
        every = np.concatenate([self._ids, np.broadcast_to(ids, (len(self._rows), len(ids)))], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, : K + 1]
        self._scores = np.take_along_axis(scores, best, 1)
        self._ids = np.take_along_axis(every, best, 1)
        is_new = best > K
        self._keys = np.take_along_axis(self._keys, np.where(is_new, 0, best)[:, :, None], 1)
        self._keys[is_new] = rows[best[is_new] - K - 1]

    def recall(self, inner: Any) -> float:
        """The share of the true ten that a search finds, or as many of the same keys, in the worse half."""
        scores, found = inner.search(self._rows, FOUND)
        by_codes = self._by_codes(inner)
        shares = []
        for place, ids in enumerate(self._ids):
            first = 1 if place < self._plain else 0
            wanted = [at for at in range(first, first + K) if ids[at] >= 0]
            known = set(found[place].tolist())
            missing = [at for at in wanted if int(ids[at]) not in known]
            others = scores[place][~np.isin(found[place], ids)]
            alike = _matched(by_codes[place, missing], others)
            shares.append((len(wanted) - len(missing) + alike) / max(len(wanted), 1))
        return float(min(np.mean(shares[: self._plain]), np.mean(shares[self._plain :])))

    def _by_codes(self, inner: Any) -> Vectors:
        """(Q, K + 1): the products of the queries with the codes of their true nearest, as searched."""
        n, k, dimension = self._keys.shape
        coded = inner.sa_decode(inner.sa_encode(self._keys.reshape(-1, dimension)))
        products: Vectors = np.einsum("nkd,nd->nk", coded.reshape(n, k, dimension), self._rows)
        return products

    def choose_probes(self, inner: Any) -> float:
        """Sets the fewest probes, in steps of 1.4, that give the recall wanted; returns it."""
        most = min(max(inner.nlist // MOST_PROBED, LEAST_PROBED), inner.nlist)
        probes = max(float(LEAST_PROBED), COMPARED * inner.nlist / max(inner.ntotal, 1) ** (1 / 3))
        while True:
            inner.nprobe = min(int(probes), most)
            recall = self.recall(inner)
            if recall >= WANTED_RECALL or inner.nprobe == most:
                return recall
            probes *= 1.4


def _matched(missing: Vectors, others: Vectors) -> int:
    """How many of some products have one of the others to themselves that is the same."""
    left, matched = others.tolist(), 0
    for product in missing.tolist():
        same = next((at for at, other in enumerate(left) if abs(other - product) < SAME), None)
        if same is not None:
            del left[same]
            matched += 1
    return matched


def _keys(db: sqlite3.Connection, encoder_id: str, dimension: int) -> Iterator[tuple[Ids, Vectors]]:
    rows = db.execute(
        "SELECT key_id, vector FROM key WHERE encoder_id = ? AND vector IS NOT NULL AND dimension = ?"
        " AND kind <> 'fact' ORDER BY key_id",
        (encoder_id, dimension),
    )
    while batch := rows.fetchmany(KEYS_READ):
        yield (
            np.array([row[0] for row in batch], np.int64),
            unpack_vectors([row[1] for row in batch], dimension),
        )


def main(arguments: Sequence[str]) -> int:
    """The child."""
    os.nice(NICENESS)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    what, store_dir, folder = arguments[0], Path(arguments[1]), Path(arguments[2])
    if what == "words":
        build_words(store_dir, folder)
    elif what == COLUMNS:
        build_columns(store_dir, folder)
    else:
        make = build_rows if what == ROWS else build_vectors
        make(store_dir, folder, arguments[3], int(arguments[4]), arguments[5])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
