"""Vector indexes: a cache of the keys in the log, checksummed, and disposable.

One index per encoder: vectors of different encoders are never compared. FAISS loads many
a damaged file without a word, so a file is only read after its sha256 was checked, and
everything else is rebuilt from SQLite.

Up to `MOST_FLAT` keys the index is exact. Beyond, a child process makes one of inverted lists
(`memory.keys.build`), whose measured recall is kept beside it; until it is there, and whenever its
file is missing or damaged, the exact one answers. Beside one of lists, the true vectors are mapped
from a file of this process (`memory.keys.mapped`); until a child has made that, and for what came since,
they are read from the store.
"""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from memory.keys import build
from memory.keys.columns import COLUMNS, ColumnShelf
from memory.keys.files import remove_view, sweep_partials, sweep_unnamed, write_view
from memory.keys.gpu import Ids, Vectors, faiss_library
from memory.keys.keyers import unpack_vectors
from memory.keys.lexicon import STEM, Lexicon
from memory.keys.mapped import MappedVectors, is_due
from memory.keys.owners import OWNERS, Gone, Owners, read_owners, write_owners
from memory.keys.speaks import encoders
from memory.keys.stored import (
    KEY_IDS,
    KEYS_SINCE,
    READ_ROWS,
    Matched,
    described,
    is_kept,
    load_index,
    manifest_of,
    matched_of,
    stored_vectors,
)
from memory.keys.turns import Turns
from memory.keys.vectors import FlatIndex, Hits, IvfIndex
from memory.log.reader import last_commit
from stream.errors import Corrupt

MOST_FLAT = 100_000
"""From so many keys on, which exact search takes some 10 ms for, an index of inverted lists is made."""
BUILT = "built"
"""Where a child writes, under the folder of the views."""
FEWEST_MAPPED = 65_536
"""Keys in lists from which their vectors are mapped: fewer are as quickly read from the store."""
_MAPPED = "vectors of "
"""Begins the name by which such a file gets its turn."""
SEARCHES = 2
"""Searches at the same time that go on beside what else a question asks; threads begin with the first."""
PATIENCE_S = 0.2
"""For the lock, where something is told that is as good from a moment ago."""
MOST_LEAVING, SMALL = 4_096, 16_384
"""Keys that went and are still in the arrays, of an index that is not small: FAISS walks all of an index to
take any out, some milliseconds for each 10 000 keys, so that retention in small steps would do little else
in a large store."""


class IndexShelf:
    """All indexes of a store, kept in step with its keys; safe to use from every thread.

    Args:
        folder: The store's `views` folder; made if missing.
        gpu: As `FlatIndex`.
        most_flat: As `MOST_FLAT`; tests need fewer.

    Attributes:
        words: The postings of a large store, beside the vectors.
        columns: The columns of its observations.
    """

    def __init__(self, folder: Path, *, gpu: bool = False, most_flat: int = MOST_FLAT) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for one in (folder, folder / BUILT):
            sweep_partials(one)
        self._sweep_rows()
        self.columns = ColumnShelf()
        self.words = Lexicon(folder, columns=self.columns)
        self._turns = Turns()
        self._child: subprocess.Popen[bytes] | None = None
        self._making = ""
        self._opening = threading.Lock()
        self._gone = Gone()
        self._leaving: dict[str, set[int]] = {}
        self._measured: dict[str, dict[str, Any]] = {}
        self.builds_failed = 0
        self.most_flat = most_flat
        self.fewest_mapped = FEWEST_MAPPED
        self._gpu = gpu
        self._lock = threading.RLock()
        self._indexes: dict[str, FlatIndex | IvfIndex] = {}
        self._beside = ThreadPoolExecutor(SEARCHES, "search", initializer=faiss_library)
        self._owners: dict[str, Owners] = {}
        self._mapped: dict[str, MappedVectors] = {}
        self._last_key: dict[str, int] = {}
        self._saved: dict[str, tuple[int, int]] = {}
        self._changes: dict[str, int] = {}
        self._told: dict[str, dict[str, object]] = {}
        self.rebuilt = 0

    def ready(self, db: sqlite3.Connection, encoder_id: str) -> FlatIndex | IvfIndex | None:
        """The index of an encoder, with every key that `db` sees in it; None where it has no key.

        The first call loads the file, or rebuilds what is missing, damaged or of another
        time; later ones add what came since.
        """
        with self._lock:
            is_there = encoder_id in self._indexes
        if not is_there and not self._open_once(db, encoder_id):
            return None
        return self._catch_up(db, encoder_id)

    def keep_up(self, db: sqlite3.Connection, encoder_id: str) -> None:
        """Adds the keys of an encoder, and the words, that `db` sees. For the background, after commits.

        A question would add them itself, and its asker would wait for it.
        """
        self.words.catch_up(db)
        self.columns.known(db)
        if encoder_id:
            self.ready(db, encoder_id)

    def owners_of(self, encoder_id: str, ids: Ids) -> Ids:
        """The row number of each key's observation; 0 for a span's key, -1 for one that is gone.

        Of an encoder without an index, which may have been dropped just now, all are gone.
        """
        with self._lock:
            owners = self._owners.get(encoder_id)
            return np.full(len(ids), -1, np.int64) if owners is None else owners.numbers_of(ids)

    def ids_of(self, encoder_id: str, numbers: Ids) -> Ids:
        """The keys, (K,) int64 in no order, of observations by their row numbers; none that have gone."""
        with self._lock:
            owners = self._owners.get(encoder_id)
            return numbers[:0] if owners is None else owners.keys_of(np.sort(numbers))[1]

    def drawn_owners(self, encoder_id: str) -> Ids:
        """The row numbers of some keys, as `Owners.drawn`."""
        with self._lock:
            owners = self._owners.get(encoder_id)
            return np.empty(0, np.int64) if owners is None else owners.drawn()

    def is_read(self, db: sqlite3.Connection, encoder_id: str) -> bool:
        """Whether an index is at hand, or so small that whoever asks opens it without a delay."""
        with self._lock:
            if encoder_id in self._indexes:
                return True
        return db.execute(f"{KEY_IDS} LIMIT 1 OFFSET ?", (encoder_id, self.most_flat)).fetchone() is None

    def keys_of(
        self, db: sqlite3.Connection, encoder_id: str, dimension: int, numbers: Iterable[int]
    ) -> tuple[list[int], Vectors]:
        """Keys of observations by an encoder: row numbers of their owners, and vectors (K, D) float32.

        Those of a flat index are taken from it, others as `vectors_of` does. Of an encoder for which
        `ready` has not been called there are none.
        """
        with self._lock:
            index = self._indexes.get(encoder_id)
            if index is None or index.dimension != dimension:
                return [], np.empty((0, dimension), np.float32)
            of, ids = self._owners[encoder_id].keys_of(np.array(sorted(numbers), dtype=np.int64))
            if isinstance(index, FlatIndex):
                return of.tolist(), index.vectors(ids)
        there, vectors = self.vectors_of(db, encoder_id, dimension, ids)
        if there == ids.tolist():  # As nearly always, where all are mapped.
            return of.tolist(), vectors
        owner = dict(zip(ids.tolist(), of.tolist(), strict=True))
        return [owner[key_id] for key_id in there], vectors

    def vectors_of(
        self, db: sqlite3.Connection, encoder_id: str, dimension: int, ids: Ids
    ) -> tuple[list[int], Vectors]:
        """Keys of an encoder that are in the store: ids of those that are there, and vectors (K, D) float32.

        Those that are mapped are told even where they have just gone from the store; in any order.
        """
        mapped = self._mapped.get(encoder_id)
        if mapped is None or mapped.dimension != dimension:
            return stored_vectors(db, ids.tolist(), dimension)
        there, vectors = mapped.vectors(ids)
        if there.all():
            return ids.tolist(), vectors
        since, read = stored_vectors(db, ids[~there].tolist(), dimension)
        return [*ids[there].tolist(), *since], np.concatenate([vectors, read])

    def search(
        self,
        index: FlatIndex | IvfIndex,
        query: Vectors,
        k: int,
        allowed: Ids | None = None,
        share: float = 1.0,
    ) -> Hits:
        """As `FlatIndex.search`, while nobody changes the index; without keys that went."""
        with self._lock:
            leaving = self._leaving.get(index.encoder_id)
            if not leaving or self._indexes.get(index.encoder_id) is not index:
                return index.search(query, k, allowed, share=share)
            gone = np.fromiter(leaving, np.int64, len(leaving))
            if allowed is not None:
                return index.search(query, k, np.setdiff1d(allowed, gone))
            found = index.search(query, k + min(len(leaving), k), share=share)
            there = ~np.isin(found.ids, gone)
            if there.sum() < min(k, len(index) - len(leaving)):
                self._take_out(index.encoder_id)
                return index.search(query, k, share=share)
            return Hits(found.ids[there][:k], found.scores[there][:k], found.are_exact)

    def search_beside(
        self,
        index: FlatIndex | IvfIndex,
        query: Vectors,
        k: int,
        allowed: Ids | None = None,
        share: float = 1.0,
    ) -> Future[Hits]:
        """The same in a thread of its own, while the caller looks for words."""
        return self._beside.submit(self.search, index, query, k, allowed, share)

    def remove(self, ids: list[int]) -> None:
        """Takes keys that are gone from the store out of all indexes."""
        with self._lock:
            # A snapshot from before still has them: they are not to come back by it.
            self._gone.note(ids)
            for mapped in self._mapped.values():
                mapped.note_gone(np.array(ids, dtype=np.int64))
            for encoder_id, owners in self._owners.items():
                own = np.array(ids, dtype=np.int64)
                own = own[owners.numbers_of(own) >= 0]
                owners.remove(ids)
                leaving = self._leaving.setdefault(encoder_id, set())
                leaving.update(own.tolist())
                if len(leaving) >= MOST_LEAVING or len(self._indexes[encoder_id]) <= SMALL:
                    self._take_out(encoder_id)

    def _take_out(self, encoder_id: str) -> None:
        """Takes the keys that went out of an index, bytes and all. With the lock held."""
        ids = self._leaving.pop(encoder_id, set())
        index = self._indexes.get(encoder_id)
        if index is not None and ids:
            went = index.remove(np.array(sorted(ids), dtype=np.int64))
            self._changes[encoder_id] = self._changes.get(encoder_id, 0) + went

    def drop(self, encoder_id: str) -> None:
        """Takes the index of an encoder away, its file too; its keys are none of the index's business."""
        self.clear(encoder_id)
        remove_view(self.folder, _stem(encoder_id))

    @property
    def is_elsewhere(self) -> bool:
        """Whether another process keeps the indexes and their files."""
        return False

    def clear(self, encoder_id: str | None = None) -> None:
        """Lets go of what is held in memory of an encoder, or of all of them; files stay."""
        with self._lock:
            views = (self._indexes, self._leaving, self._owners, self._last_key, self._mapped)
            for held in (*views, self._saved, self._changes, self._measured):
                if encoder_id is None:
                    held.clear()
                else:
                    held.pop(encoder_id, None)

    def erase(self, db: sqlite3.Connection, key_ids: list[int], erasure_id: bytes = b"") -> bool:
        """Takes keys out of memory and of every file, whatever else lies there. For the background.

        Indexes are written anew; files of encoders without a key go, as do the words and what a child is
        making, which will be made again. True once it is done; `erasure_id` is why.
        """
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None
            self._turns.end(self._making, made=True)  # No failure: it need not wait for its next turn.
            with self._lock:
                self._making = ""
        self.remove(key_ids)
        self.words.forget()
        self.columns.forget()
        self._mapped.clear()
        self._sweep_rows()
        kept = encoders(db)
        for encoder_id in set(self.describe()) - set(kept):
            self.drop(encoder_id)
        stems = {_stem(encoder_id) for encoder_id in kept if self.ready(db, encoder_id) is not None}
        for folder in (self.folder, self.folder / BUILT):
            sweep_partials(folder)
        for path in [*self.folder.glob("*.json"), *(self.folder / BUILT).glob("*.json")]:
            if path.parent != self.folder or path.stem.removesuffix(f"-{OWNERS}") not in stems:
                remove_view(path.parent, path.stem)
        self.save(every=True)
        sweep_unnamed(self.folder)
        return True

    def _is_saved(self, encoder_id: str, index: FlatIndex | IvfIndex, *, every: bool = False) -> bool:
        now = (len(index), self._changes.get(encoder_id, 0))
        return is_kept(index, self._saved.get(encoder_id), now, every=every)

    def save(self, *, every: bool = False) -> list[str]:
        """Writes every index that changed since its last save; returns their encoders.

        One of lists is written once much has changed, or if `every` change is to be on disk.
        """
        saved: list[str] = []
        with self._lock:
            indexes = list(self._indexes.items())
        for encoder_id, index in indexes:
            with self._lock:
                self._take_out(encoder_id)
                state = (len(index), self._changes.get(encoder_id, 0))
                if self._is_saved(encoder_id, index, every=every):
                    continue
                body, ids = index.dump(), np.sort(index.ids()) if isinstance(index, IvfIndex) else None
                numbers = None if ids is None else self._owners[encoder_id].numbers_of(ids)
                told = manifest_of(index, self._measured.get(encoder_id, {}))
            # Slow disks must not hold up searches: the lock is not held while writing.
            write_view(self.folder, _stem(encoder_id), "faiss", body, told)
            if ids is not None and numbers is not None:
                write_owners(self.folder, _stem(encoder_id), ids, numbers)
            self._saved[encoder_id] = state
            saved.append(encoder_id)
        return saved

    def tend(self, db: sqlite3.Connection) -> None:
        """Takes what a child has made, or starts one where a view is to be made anew. For the background."""
        if self._child is not None:
            ended = self._child.poll()
            if ended is not None:
                self._child = None
                self._end(db, ended == 0)
            return
        self._unmap()
        due = [name for name, held in ((STEM, self.words), (COLUMNS, self.columns)) if held.is_due(db)]
        view = self._turns.next_of(due + self._outgrown() + self._unmapped())
        if view is not None:
            self._start(view)

    def _outgrown(self) -> list[str]:
        """Encoders whose index has outgrown its kind or its training."""
        with self._lock:
            sizes = {encoder_id: len(index) for encoder_id, index in self._indexes.items()}
        found = []
        for encoder_id, size in sizes.items():
            trained = int(self._measured.get(encoder_id, {}).get("of_keys", self.most_flat // 2))
            if size >= max(self.most_flat, 2 * trained):
                found.append(encoder_id)
        return found

    def _unmapped(self) -> list[str]:
        """Indexes of lists of which too few vectors are mapped, or too many, by the names of their turns."""
        with self._lock:
            sizes = {
                encoder_id: len(index)
                for encoder_id, index in self._indexes.items()
                if isinstance(index, IvfIndex) and len(index) >= self.fewest_mapped
            }
            found = []
            for encoder_id in sizes:
                if is_due(self._mapped.get(encoder_id), self._last_key.get(encoder_id, 0)):
                    found.append(_MAPPED + encoder_id)
            return found

    def _unmap(self) -> None:
        """Gives files back that are mostly of keys that went, where what is left is as quickly read."""
        with self._lock:
            for encoder_id, mapped in list(self._mapped.items()):
                if mapped.is_mostly_gone and len(self._indexes.get(encoder_id, ())) < self.fewest_mapped:
                    del self._mapped[encoder_id]

    def _sweep_rows(self) -> None:
        """Takes away such files that nobody has mapped."""
        for suffix in (build.ROWS, COLUMNS):
            for path in (self.folder / BUILT).glob(f"*.{suffix}"):
                path.unlink(missing_ok=True)

    def _start(self, view: str) -> None:
        """Starts a child that makes the words, or the lists or the file of vectors of an encoder."""
        self._turns.begin(view)
        self._making = view
        store_dir, folder = self.folder.parent, self.folder / BUILT
        try:
            if view == STEM:
                self._child = build.start("words", store_dir, str(self.folder))
            else:
                folder.mkdir(mode=0o700, exist_ok=True)
                if view == COLUMNS:
                    self._child = build.start(COLUMNS, store_dir, str(folder))
                    return
                encoder_id = view.removeprefix(_MAPPED)
                what = "vectors" if encoder_id == view else build.ROWS
                dimension = str(self._indexes[encoder_id].dimension)
                self._child = build.start(
                    what, store_dir, str(folder), encoder_id, dimension, _stem(encoder_id)
                )
        finally:
            if self._child is None:
                self._note_end(view, made=False)

    def _end(self, db: sqlite3.Connection, succeeded: bool) -> None:
        """Takes what a child has made, if it has made it."""
        view, made = self._making, False
        try:
            if succeeded and view.startswith(_MAPPED):
                made = self._take_mapped(view.removeprefix(_MAPPED))
            elif succeeded and view == COLUMNS:
                made = self.columns.load(self.folder / BUILT / f"{COLUMNS}.{COLUMNS}")
            elif succeeded:
                made = self.words.load(db) if view == STEM else self._take_built(db, view)
        finally:
            self._note_end(view, made=made)
        if made and view not in (STEM, COLUMNS) and not view.startswith(_MAPPED):
            self.save(every=True)

    def _note_end(self, view: str, *, made: bool) -> None:
        """Whatever happened: nothing is being made now."""
        with self._lock:
            self._making = ""
        self.builds_failed += not made
        self._turns.end(view, made=made)

    def _take_built(self, db: sqlite3.Connection, encoder_id: str) -> bool:
        """Puts what a child made in place of the index, with what came and went since; whether it could."""
        folder = self.folder / BUILT
        try:
            dimension = self._indexes[encoder_id].dimension
            index, measured = load_index(db, folder, _stem(encoder_id), encoder_id, dimension, gpu=self._gpu)
            self._measured[encoder_id] = measured
        except (Corrupt, OSError, ValueError, TypeError, KeyError):
            return False
        finally:
            remove_view(folder, _stem(encoder_id))
        matched = matched_of(db, index)
        with self._lock:
            self._take(index, matched)
            self._changes[encoder_id] = self._changes.get(encoder_id, 0) + 1
        return True

    def _take_mapped(self, encoder_id: str) -> bool:
        """Maps the vectors that a child has written; whether it could."""
        try:
            mapped = MappedVectors(self.folder / BUILT / f"{_stem(encoder_id)}.{build.ROWS}")
        except (Corrupt, OSError, ValueError):
            return False
        with self._lock:
            if encoder_id in self._indexes:
                self._mapped[encoder_id] = mapped
        return True

    def _take(self, index: FlatIndex | IvfIndex, matched: Matched) -> None:
        """Puts an index in its place, without the keys that are gone since it was matched with the store."""
        gone = self._gone.among(matched.ids)
        index.remove(gone)
        self._leaving.pop(index.encoder_id, None)
        self._indexes[index.encoder_id] = index
        self._owners[index.encoder_id] = Owners(matched.ids, matched.numbers)
        self._owners[index.encoder_id].remove(gone.tolist())
        self._last_key[index.encoder_id] = matched.last_key

    @property
    def is_building(self) -> bool:
        """Whether a child is at work, or its work was not taken yet."""
        return self._child is not None

    def close(self) -> None:
        """Ends a child that is still at work, and the threads of searches."""
        self._beside.shutdown()
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    @property
    def mapped_bytes(self) -> int:
        """Bytes on disk of the files of vectors that are mapped, which have no name there."""
        return sum(mapped.n_bytes for mapped in list(self._mapped.values()))

    def describe(self) -> dict[str, dict[str, object]]:
        """For `status`: per encoder, what the index is and how far it reaches.

        While an index is copied to be saved, which takes seconds in a large store, as it was told last: it is
        asked for with each beat of a process's heart.
        """
        if self._lock.acquire(timeout=PATIENCE_S):
            try:
                self._told = {one: self._description(index) for one, index in self._indexes.items()}
            finally:
                self._lock.release()
        return dict(self._told)

    def _description(self, index: FlatIndex | IvfIndex) -> dict[str, object]:
        encoder_id, mapped = index.encoder_id, self._mapped.get(index.encoder_id)
        return {
            **described(index, len(self._leaving.get(encoder_id, ()))),
            "mapped_bytes": mapped.n_bytes if mapped is not None else 0,
            **self._measured.get(encoder_id, {}),
            "saved": self._is_saved(encoder_id, index),
        }

    def describe_words(self) -> dict[str, object]:
        """For `status`, as `Lexicon.describe`."""
        return self.words.describe()

    def _open_once(self, db: sqlite3.Connection, encoder_id: str) -> bool:
        """Loads an index or makes it anew; whether there is one.

        That takes a while in a large store, and the lock is not held meanwhile: who asks in the space
        of another encoder, or for the status, does not wait.
        """
        with self._opening:
            with self._lock:
                if encoder_id in self._indexes:
                    return True
            opened = self._open(db, encoder_id)
            if opened is None:
                return False
            index, matched = opened
            with self._lock:
                self._take(index, matched)
                self._changes[encoder_id] = self._changes.get(encoder_id, 0) + matched.has_changed
            return True

    def _open(self, db: sqlite3.Connection, encoder_id: str) -> tuple[FlatIndex | IvfIndex, Matched] | None:
        """The index of an encoder, and how it was brought in step with the store."""
        row = db.execute(
            "SELECT dimension FROM key WHERE encoder_id = ? AND kind <> 'fact' AND vector IS NOT NULL"
            " LIMIT 1",
            (encoder_id,),
        ).fetchone()
        if row is None:
            return None
        dimension = int(row[0])
        index: FlatIndex | IvfIndex
        kept: Ids | None = None
        try:
            stem = _stem(encoder_id)
            index, measured = load_index(db, self.folder, stem, encoder_id, dimension, gpu=self._gpu)
            self._measured[encoder_id] = measured
            if isinstance(index, IvfIndex):
                kept = read_owners(self.folder, stem, np.sort(index.ids()))
            if kept is not None or isinstance(index, FlatIndex):
                self._saved[encoder_id] = (len(index), self._changes.get(encoder_id, 0))
        except (Corrupt, OSError, ValueError, TypeError, KeyError):
            self.rebuilt += (self.folder / f"{_stem(encoder_id)}.json").exists()
            self._measured.pop(encoder_id, None)
            index = FlatIndex(encoder_id, dimension, gpu=self._gpu)
        return index, matched_of(db, index, kept)

    def _catch_up(self, db: sqlite3.Connection, encoder_id: str) -> FlatIndex | IvfIndex | None:
        """Adds the keys made since the last call; ids only grow, so they are those above the last one.

        They are read without the lock, so that nobody waits for the disk; None where the index was dropped.
        """
        while True:
            with self._lock:
                index, after = self._indexes.get(encoder_id), self._last_key.get(encoder_id, 0)
            if index is None:
                return None
            rows = db.execute(KEYS_SINCE, (encoder_id, after, index.dimension, READ_ROWS)).fetchall()
            commit_no = last_commit(db)
            with self._lock:
                if (self._indexes.get(encoder_id), self._last_key.get(encoder_id, 0)) != (index, after):
                    continue  # Somebody else has added them, or another index took its place.
                self._add(index, rows)
                if len(rows) < READ_ROWS:
                    index.commit_no = max(index.commit_no, commit_no)
                    return index

    def _add(self, index: FlatIndex | IvfIndex, rows: Sequence[tuple[int, bytes | None, int]]) -> None:
        """Adds keys as `KEYS_SINCE` gives them, but those that have gone since that snapshot."""
        if not rows:
            return
        gone = set(self._gone.among(np.array([row[0] for row in rows], dtype=np.int64)).tolist())
        # Facts are no part of an index, but they are passed here, not looked at again each time.
        own = [row for row in rows if row[1] is not None and row[0] not in gone]
        ids = np.array([row[0] for row in own], dtype=np.int64)
        if len(ids):
            index.add(ids, unpack_vectors([row[1] for row in own], index.dimension))
        self._owners[index.encoder_id].add(ids, np.array([row[2] for row in own], dtype=np.int64))
        self._last_key[index.encoder_id] = int(rows[-1][0])


def _stem(encoder_id: str) -> str:
    """A file name for an encoder: readable, and unique by a hash."""
    readable = "".join(char if char.isalnum() else "-" for char in encoder_id)[:48]
    return f"{readable}-{hashlib.sha256(encoder_id.encode()).hexdigest()[:8]}"
