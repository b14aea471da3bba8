"""Whether damage to any index file of a store is found, and what is answered then.

`python -m tools.check_index --store DIR [--places 200] [--seed 0] [--rebuilds 10] [--json FILE]`.
Works on a copy; the store itself is read only, and no process may run on it. The three kinds of view
that memory makes are made of the copy: exact vectors, inverted lists, postings (the last two whatever
the size). Each is then damaged at so many places: bits flipped and stretches overwritten anywhere in
the file and its manifest, either cut short, either deleted. Each time the views are opened as memory opens
them: the damage must be found, and the answers be those of exact search over the keys and of FTS5. Every
so often the view is also made anew by its child, and must be what it was. Then views of another time and
of another store are put beside the log. Exit code 1 if anything was not found, or not equal.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.keys.index import IndexShelf
from memory.keys.keyers import TextKeyer, add_keys, unpack_vectors
from memory.keys.lexicon import STEM
from memory.keys.owners import OWNERS
from memory.keys.speaks import answering
from memory.log.database import LOG_NAME, connect_reader
from memory.log.store import LogStore, PutItem
from memory.recall.candidates import with_words
from memory.recall.gates import gates_of
from memory.recall.words import content_words, match_query
from stream.errors import DeadlineExceeded, OmniRecallError, StoreBusy, StoreError
from stream.messages import CommitPut, Cue, Observation, SourceRecord, TrackRecord, observation_id
from stream.process.start import is_running

WAYS = ("flip", "flip", "flip", "overwrite", "cut", "delete")
QUESTIONS, K, WORDS_K = 12, 10, 50
COSINE = 0.6
"""Of a question to the key that it was made of, as questions lie to their answers."""
ADDED = 40
"""Texts by which a store and its later self differ."""
MAKING_S = 300.0
NEARLY = 0.05
"""Part by which BM25 of a base and what came since may differ from FTS5's."""
KINDS = ("flat", "ivf-sq8", "postings")


@dataclass(slots=True)
class Report:
    """What became of one kind of view: of `damaged` times, how often it was found and answered alike."""

    kind: str
    files: int = 0
    damaged: int = 0
    found: int = 0
    equal: int = 0
    rebuilt: int = 0
    same: int = 0
    recall_at_10: float = 1.0

    @property
    def is_good(self) -> bool:
        """Whether each time it was found, answered alike, and made anew as it was."""
        return self.damaged == self.found == self.equal and self.rebuilt == self.same


class Store:
    """A copy of a store, and what exact search answers on it.

    Args:
        folder: The copy.
        encoder_id: Whose keys are searched.
    """

    def __init__(self, folder: Path, encoder_id: str, seed: int) -> None:
        self.folder, self.views, self.encoder_id = folder, folder / "views", encoder_id
        self._seed = seed
        self.look()

    def look(self) -> None:
        """Reads the keys, and makes the questions."""
        rng = np.random.default_rng(self._seed)
        with closing(connect_reader(self.folder / LOG_NAME)) as db:
            rows = db.execute(
                "SELECT key_id, vector, dimension FROM key WHERE encoder_id = ? ORDER BY key_id",
                (self.encoder_id,),
            ).fetchall()
            texts = db.execute("SELECT text FROM observation WHERE text <> '' ORDER BY n").fetchall()
            self.ids = np.array([row[0] for row in rows])
            self.vectors = unpack_vectors([row[1] for row in rows], rows[0][2])
            self.queries = [_near(row, rng) for row in self.vectors[rng.choice(len(rows), QUESTIONS)]]
            chosen = [content_words(texts[at][0]) for at in rng.choice(len(texts), QUESTIONS)]
            self.words = [some[:6] for some in chosen if some]
            self.by_words = [self._fts5(db, some) for some in self.words]
        self.nearest = [self._exact(query) for query in self.queries]

    def _exact(self, query: npt.NDArray[np.float32]) -> list[int]:
        best = np.lexsort((self.ids, -(self.vectors @ query)))[:K]
        return [int(one) for one in self.ids[best]]

    def _fts5(self, db: sqlite3.Connection, words: Sequence[str]) -> dict[int, float]:
        rows = db.execute(
            "SELECT rowid, -rank FROM observation_fts WHERE observation_fts MATCH ? ORDER BY rank LIMIT ?",
            (match_query(words), WORDS_K),
        )
        return dict(rows.fetchall())

    def shelf(self, kind: str) -> IndexShelf:
        """The views as memory opens them; small stores count as large for the kinds of large ones."""
        most_flat = max(1, len(self.ids) // 2) if kind == "ivf-sq8" else 10**9
        shelf = IndexShelf(self.views, gpu=False, most_flat=most_flat)
        shelf.words.fewest_texts = 1 if kind == "postings" else 10**9
        return shelf

    def made(self, kind: str) -> IndexShelf:
        """The views, once the wanted one is made and saved, by its child where it has one."""
        shelf = self.shelf(kind)
        with closing(connect_reader(self.folder / LOG_NAME)) as db:
            shelf.ready(db, self.encoder_id)
            shelf.words.load(db)
            ends_at_s = time.monotonic() + MAKING_S
            while kind != "flat" and not self._is_there(shelf, kind):
                if time.monotonic() > ends_at_s or shelf.builds_failed:
                    raise DeadlineExceeded(f"{kind} of {self.folder} was not made")
                shelf.tend(db)
                time.sleep(0.01)
        shelf.save()
        shelf.close()
        return shelf

    def _is_there(self, shelf: IndexShelf, kind: str) -> bool:
        if kind == "postings":
            return shelf.words.is_ready
        return shelf.describe()[self.encoder_id]["kind"] == kind

    def opened(self, kind: str, within: float = 1e-4) -> tuple[bool, bool, float]:
        """Opens the views anew: whether the wanted one was believed, whether all is answered, its recall.

        Args:
            kind: Which view.
            within: By which part scores of words may differ.
        """
        shelf = self.shelf(kind)
        with closing(connect_reader(self.folder / LOG_NAME)) as db:
            if kind == "postings":
                believed = shelf.words.load(db)
                return believed, self._words_are_equal(db, shelf, within), 1.0
            index = shelf.ready(db, self.encoder_id)
            if index is None:
                return False, False, 0.0
            # What was rebuilt is not saved yet.
            believed = index.kind == kind and bool(shelf.describe()[self.encoder_id]["saved"])
            wanted = zip(self.queries, self.nearest, strict=True)
            # As recall does: what codes find is ordered by the keys themselves.
            depth = K if index.is_exact else 5 * K
            found = [(set(index.search(query, depth).ids.tolist()), exact) for query, exact in wanted]
            recall = float(np.mean([len(ids & {*exact}) / max(len(exact), 1) for ids, exact in found]))
            return believed, recall == 1.0, recall

    def _words_are_equal(self, db: sqlite3.Connection, shelf: IndexShelf, within: float) -> bool:
        gates = gates_of(db, Cue())
        for words, expected in zip(self.words, self.by_words, strict=True):
            found = with_words(db, shelf, gates, words, WORDS_K)
            # At the cut, equal scores come in any order.
            scores = sorted(found.values()), sorted(expected.values())
            if len(found) != len(expected) or not np.allclose(*scores, rtol=within, atol=1e-5):
                return False
        return True

    def files(self, kind: str) -> list[Path]:
        """The files of a kind of view: the body, then the manifest."""
        of_words = [path for path in self.views.glob(f"{STEM}*") if path.is_file()]
        # What tells whose keys are answers no question: where it is damaged, the store is asked, and the
        # index stays as it is (tests/memory/test_memory_large_start.py).
        of_others = [*of_words, *self.views.glob(f"*-{OWNERS}*")]
        every = [path for path in self.views.iterdir() if path.is_file() and path not in of_others]
        return sorted(of_words if kind == "postings" else every, key=lambda path: path.suffix == ".json")


def _near(key: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    noise = rng.standard_normal(key.shape).astype(np.float32)
    near = COSINE * key + np.float32((1 - COSINE**2) ** 0.5) * noise / np.linalg.norm(noise)
    return np.asarray(near / np.linalg.norm(near), np.float32)


def damage(path: Path, chooser: random.Random) -> str:
    """Damages a file in one way, at one place; returns how."""
    way = chooser.choice(WAYS)
    body = bytearray(path.read_bytes())
    at = chooser.randrange(len(body))
    if way == "delete":
        path.unlink()
        return way
    if way == "flip":
        body[at] ^= 1 << chooser.randrange(8)
    elif way == "cut":
        del body[at:]
    else:
        stretch = slice(at, min(at + chooser.randrange(1, 4096), len(body)))
        body[stretch] = bytes(byte ^ 0xFF for byte in body[stretch])
    path.write_bytes(bytes(body))
    return f"{way} at {at}"


def check_kind(
    store: Store, kind: str, places: int, rebuilds: int, chooser: random.Random, told: Callable[[str], None]
) -> Report:
    """Damages one kind of view at so many places, one at a time."""
    shutil.rmtree(store.views, ignore_errors=True)
    first = _content(store, store.made(kind), kind)
    files = store.files(kind)
    whole = {path: path.read_bytes() for path in files}
    believed, equal, recall = store.opened(kind)
    report = Report(kind, files=len(files), recall_at_10=recall)
    if not believed or not (equal or kind == "ivf-sq8"):
        told(f"{kind}: the undamaged view is not believed, or answers otherwise")
        report.damaged = 1
        return report
    for turn in range(places):
        path = chooser.choice(files)
        how = damage(path, chooser)
        believed, equal, _ = store.opened(kind)
        report.damaged += 1
        report.found += not believed
        report.equal += equal
        if believed or not equal:
            told(f"{kind}: {path.name}, {how}: {'believed' if believed else 'other answers'}")
        if turn < rebuilds:
            report.rebuilt += 1
            report.same += _content(store, store.made(kind), kind) == first and store.opened(kind)[0]
        for old in store.files(kind):
            old.unlink()
        for path, body in whole.items():
            path.write_bytes(body)
    return report


def _content(store: Store, shelf: IndexShelf, kind: str) -> object:
    """What a view holds, to be compared with what it holds when it is made again."""
    if kind == "postings":
        return [path.read_bytes() for path in store.files(kind) if path.suffix != ".json"]
    with closing(connect_reader(store.folder / LOG_NAME)) as db:
        index = shelf.ready(db, store.encoder_id)
        return None if index is None else index.checksum()


def check_others(store: Store, folder: Path) -> dict[str, bool]:
    """Views of another time and another store, put beside a log; each case, and whether all was well."""
    later, apart, other = (_changed(store, folder / name, name) for name in ("later", "apart", "other"))
    cases = (
        ("a view of a later time beside a restored log", later, store, False),
        ("the same, after other texts were added there", later, apart, False),
        ("a view of another store", other, store, False),
        ("a view of an earlier time, which catches up", store, later, True),
    )
    results: dict[str, bool] = {}
    for kind in KINDS:
        for one in (store, later, apart, other):
            shutil.rmtree(one.views, ignore_errors=True)
            one.made(kind)
        for name, giver, taker, is_right in cases:
            kept = folder / "kept"
            shutil.copytree(taker.views, kept)
            shutil.rmtree(taker.views)
            shutil.copytree(giver.views, taker.views)
            shelf = taker.shelf(kind)
            rebuilt = _was_refused(taker, shelf, kind)
            # Lists are not exact; and a base weighs lengths by the mean of its own time.
            within = NEARLY if is_right else 1e-4
            equal = (kind == "ivf-sq8" and is_right) or taker.opened(kind, within)[1]
            results[f"{kind}: {name}"] = rebuilt != is_right and equal
            shutil.rmtree(taker.views)
            kept.rename(taker.views)
    return results


def _was_refused(store: Store, shelf: IndexShelf, kind: str) -> bool:
    with closing(connect_reader(store.folder / LOG_NAME)) as db:
        if kind == "postings":
            return not shelf.words.load(db)
        shelf.ready(db, store.encoder_id)
        return bool(shelf.rebuilt)


def _changed(store: Store, folder: Path, name: str) -> Store:
    """The store with some texts more, or, `other`, with as many keys of other texts."""
    rng = np.random.default_rng([*name.encode()])
    if name == "other":
        n = len(store.ids)
    else:
        copy_log(store.folder, folder)
        n = ADDED
    log = LogStore(folder)
    try:
        source = name.encode().ljust(16, b".")
        rows = [
            _told(source, at, f"{name} {at} of the {store.words[at % len(store.words)]}") for at in range(n)
        ]
        record = SourceRecord(
            source_id=source,
            session=0,
            kind="file",
            uri=f"/{name}",
            tracks=(TrackRecord(track=0, media="audio"),),
        )
        log.commit([PutItem("check", CommitPut(outbox_seq=1, sources=(record,), observations=tuple(rows)))])
        with log.views() as db:
            drafts = TextKeyer().pending(db, store.encoder_id, 0, 10**9)
            vectors = rng.standard_normal((len(drafts), store.vectors.shape[1])).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            add_keys(db, drafts, vectors, store.encoder_id, log.last_commit)
    finally:
        log.close()
    return Store(folder, store.encoder_id, 7)


def _told(source: bytes, at: int, text: str) -> Observation:
    return Observation(
        observation_id=observation_id(source, 0, "utterance", "check", at * 10**9, 0),
        source_id=source,
        session=0,
        track=0,
        kind="utterance",
        producer_id="check",
        pts0_ns=at * 10**9,
        pts1_ns=(at + 1) * 10**9,
        t0_ns=None,
        t1_ns=None,
        text=text,
    )


def copy_log(store_dir: Path, folder: Path) -> None:
    """The log of a store, once more.

    Raises:
        StoreError: If there is none.
        StoreBusy: If processes run on it.
    """
    if not (store_dir / LOG_NAME).is_file():
        raise StoreError(f"there is no store in {store_dir}")
    if is_running(store_dir):
        raise StoreBusy(f"processes run on {store_dir}", remedy="end them first")
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = (store_dir / LOG_NAME).with_name(f"{LOG_NAME}-wal")
    with (
        closing(connect_reader(store_dir / LOG_NAME, alone=not unfinished.exists())) as db,
        closing(sqlite3.connect(folder / LOG_NAME)) as copy,
    ):
        db.backup(copy)


def check(
    store_dir: Path, places: int, seed: int, rebuilds: int, told: Callable[[str], None] = print
) -> dict[str, Any]:
    """All kinds of view of a store, damaged and exchanged; the report as JSON types.

    Raises:
        StoreError: If the store has no keys of texts, or cannot be copied.
    """
    with tempfile.TemporaryDirectory(prefix="check-index-") as temporary:
        folder = Path(temporary)
        copy_log(store_dir, folder / "store")
        with closing(connect_reader(folder / "store" / LOG_NAME)) as db:
            speaks = answering(db)
        if speaks is None:
            raise StoreError(f"{store_dir} has no keys of texts", remedy="name a store with something in it")
        store = Store(folder / "store", speaks.encoder_id, seed)
        chooser = random.Random(seed)  # noqa: S311
        reports = [check_kind(store, kind, places, rebuilds, chooser, told) for kind in KINDS]
        others = check_others(store, folder)
    good = all(report.is_good for report in reports) and all(others.values())
    return {
        "keys": len(store.ids),
        "views": [asdict(report) for report in reports],
        "others": others,
        "good": good,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The tool."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--places", type=int, default=200, help="damages per kind of view")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rebuilds", type=int, default=10, help="how many of them are made anew")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    try:
        report = check(asked.store, asked.places, asked.seed, asked.rebuilds)
    except OmniRecallError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return error.exit_code
    for one in report["views"]:
        print(
            f"{one['kind']}: found {one['found']} of {one['damaged']}, equal {one['equal']} of"
            f" {one['damaged']}, made anew as before {one['same']} of {one['rebuilt']},"
            f" recall at 10 {one['recall_at_10']:.3f}"
        )
    for name, well in report["others"].items():
        print(f"{'ok ' if well else 'BAD'} {name}")
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if report["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
