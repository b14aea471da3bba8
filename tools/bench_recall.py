"""How long recall takes in a large store, and what its shortcuts cost.

`python -m tools.bench_recall --spans 10000 100000 1000000 [--text PATH…] [--questions 200]
[--store DIR] [--vectors FILE.npy] [--queries FILE.npy] [--most-flat N] [--json FILE]`.
Texts are windows of 12 to 30 words of the files named (of the manual of Python where none is); vectors
are made here, 384 numbers around some thousand topics, or are the rows of `--vectors` over and over.
Each question takes some content words of one text and a vector at a cosine of .6 to it; the encoder is
left out. Views are made by the children that make them in a real store. With `--store`, stores are kept
in that folder and used again.

Prints, per size, p50 and p95 in milliseconds of wall time and of CPU time, beside the load of the
machine: dense and lexical candidates, the whole pipeline with the median of each stage, and the
pipeline for questions to turns of chats; recall at 10 against exact search, of these questions and of
`--queries`; how often a question's own text is among ten by postings and by FTS5; and how far commits
of the real writer and questions slow each other, without a pause and at some paces: with questions answered
`inside` the process that commits, and by a recall process of its `own` (`tools.bench_apart`).
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from memory.keys.facts import FACT
from memory.keys.index import MOST_FLAT, IndexShelf
from memory.keys.keyers import TextKeyer, add_keys, unpack_vectors
from memory.keys.stored import stored_vectors
from memory.log.database import RECALL_CACHE_KIB
from memory.log.reader import LogReader
from memory.log.store import LogStore, PutItem
from memory.recall.candidates import find, with_words
from memory.recall.gates import gates_of
from memory.recall.pipeline import Recall
from memory.recall.words import content_words
from memory.settings import RecallSettings
from stream.messages import CommitPut, Cue, Observation, SourceRecord
from tools.bench_apart import PACES, Took, arms, each_other, took
from tools.bench_store import (
    BATCH,
    DIMENSION,
    ENCODER,
    Filler,
    Question,
    Vectors,
    questions_of,
    unit,
    words_of,
)

CANDIDATES = RecallSettings().candidates
COMMITS_HZ, COMMIT_ROWS = 20, 10
Asked = Callable[[Question], Any]


def timed(ask: Asked, questions: Sequence[Question]) -> dict[str, float]:
    """Milliseconds of one question at a time, of wall and of CPU, the first ten left out."""
    every = [took(ask, question) for question in [*questions[:10], *questions]]
    told: dict[str, float] = {}
    for place, name in enumerate(("", "cpu_")):
        p50, p95 = np.percentile([one[place] for one in every[10:]], (50, 95))
        told |= {f"{name}p50_ms": round(float(p50), 2), f"{name}p95_ms": round(float(p95), 2)}
    return told | {"load": round(os.getloadavg()[0], 1)}


def staged(recall: Recall, reader: LogReader, questions: Sequence[Question]) -> dict[str, Any]:
    """The whole pipeline, and the median of each of its stages, CPU time in milliseconds."""
    laps_ms: dict[str, list[float]] = {}

    def ask(question: Question) -> None:
        last_s = time.process_time()

        def hop(stage: str) -> None:
            nonlocal last_s
            now_s = time.process_time()
            laps_ms.setdefault(stage.removeprefix("recall."), []).append((now_s - last_s) * 1e3)
            last_s = now_s

        with reader.snapshot() as db:
            recall(db, Cue(text=question.text), 10, [question.key], hop)
        hop("verdict")

    told: dict[str, Any] = timed(ask, questions)
    return told | {
        "stages_cpu_p50_ms": {name: round(float(np.median(ms)), 2) for name, ms in laps_ms.items()}
    }


def ready_views(shelf: IndexShelf, reader: LogReader) -> float:
    """Waits for the children that make the views; seconds."""
    started_s = time.perf_counter()
    with reader.snapshot() as db:
        shelf.ready(db, ENCODER)
        shelf.tend(db)
        while shelf.is_building:
            time.sleep(0.2)
            shelf.tend(db)
            if not shelf.is_building:
                shelf.tend(db)  # the next view may be due
        shelf.save()
    return round(time.perf_counter() - started_s, 1)


def lexical_cost(db: sqlite3.Connection, shelf: IndexShelf, questions: Sequence[Question]) -> dict[str, Any]:
    """How often a question's own text is among ten, by postings and by FTS5."""
    gates, plain = gates_of(db, Cue()), IndexShelf(shelf.folder / "none")
    hits, same = [0, 0], []
    for question in questions:
        words = content_words(question.text)
        found = [list(with_words(db, one, gates, words, 10)) for one in (shelf, plain)]
        hits = [count + (question.n in ids) for count, ids in zip(hits, found, strict=True)]
        same.append(len({*found[0]} & {*found[1]}) / max(len(found[1]), 1))
    total = len(questions)
    return {
        "views": hits[0] / total,
        "fts5": hits[1] / total,
        "overlap_at_10": round(float(np.mean(same)), 4),
    }


def recall_at_10(db: sqlite3.Connection, shelf: IndexShelf, queries: Vectors) -> float:
    """The share of the ten nearest keys, or of others as near as the tenth, among those found."""
    scores = np.full((len(queries), 10), -2.0, np.float32)
    rows = db.execute("SELECT vector FROM key WHERE encoder_id = ? AND kind <> ?", (ENCODER, FACT))
    while batch := rows.fetchmany(BATCH):
        held = unpack_vectors([vector for (vector,) in batch], queries.shape[1])
        scores = -np.sort(-np.concatenate([scores, queries @ held.T], axis=1), axis=1)[:, :10]
    index = shelf.ready(db, ENCODER)
    assert index is not None
    shares = []
    for query, least in zip(queries, scores[:, -1], strict=True):
        _, found = stored_vectors(db, shelf.search(index, query, CANDIDATES).ids.tolist(), len(query))
        shares.append(min(int((found @ query >= least - 1e-5).sum()), 10) / 10)
    return round(float(np.mean(shares)), 4)


class Commits:
    """The real writer at a live pace: utterances committed, keys added, in a thread of its own.

    That keeps the views in step afterwards, as the memory process's background does.

    Args:
        store_dir: The store.
        words: What is said.
        shelf: The views.
        reader: Connections to the store.
    """

    def __init__(self, store_dir: Path, words: Sequence[str], shelf: IndexShelf, reader: LogReader) -> None:
        self._store, self._words = LogStore(store_dir), words
        self._shelf, self._reader = shelf, reader
        self._source = SourceRecord(source_id=os.urandom(16), session=1, kind="camera", uri="bench:live")
        self._seq = 0

    @contextmanager
    def running(self) -> Iterator[list[Took]]:
        """Commits until the block ends; what each took, for which its acknowledgement waits."""
        done, took_ms = threading.Event(), list[Took]()

        def work() -> None:
            while not done.is_set():
                started_s = time.perf_counter()
                item = PutItem("bench", self._put())
                took_ms.append(took(self._store.commit, [item], time.thread_time))
                self._add_keys()
                time.sleep(max(0.0, 1 / COMMITS_HZ - (time.perf_counter() - started_s)))

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield took_ms
        finally:
            done.set()
            thread.join()

    def _put(self) -> CommitPut:
        self._seq += 1
        observations = [
            Observation(
                observation_id=os.urandom(16),
                source_id=self._source.source_id,
                session=1,
                track=0,
                kind="utterance",
                producer_id="bench",
                pts0_ns=(self._seq * COMMIT_ROWS + at) * 5_000_000_000,
                pts1_ns=(self._seq * COMMIT_ROWS + at + 1) * 5_000_000_000,
                text=" ".join(self._words[(self._seq * 211 + at * 20) % 9_000 :][:20]),
            )
            for at in range(COMMIT_ROWS)
        ]
        return CommitPut(outbox_seq=self._seq, sources=(self._source,), observations=tuple(observations))

    def _add_keys(self) -> None:
        with self._store.views() as db:
            (newest,) = db.execute("SELECT MAX(n) FROM observation").fetchone()
            drafts = TextKeyer().pending(db, ENCODER, newest - COMMIT_ROWS, COMMIT_ROWS)
            rows = np.random.default_rng(self._seq).standard_normal((len(drafts), DIMENSION), np.float32)
            add_keys(db, drafts, unit(rows), ENCODER, self._store.last_commit)
        with self._reader.snapshot() as db:
            self._shelf.keep_up(db, ENCODER)

    def close(self) -> None:
        """Lets the next writer in."""
        self._store.close()


class Bench:
    """All figures of one size.

    Args:
        store_dir: Made and filled where it is not there.
        n_spans: How many texts.
        words: As `words_of`.
        vectors: As `Filler` takes them.
        most_flat: As `IndexShelf` takes it.
    """

    def __init__(
        self, store_dir: Path, n_spans: int, words: Sequence[str], vectors: Vectors | None, most_flat: int
    ) -> None:
        self.told: dict[str, Any] = {"spans": n_spans}
        self._store_dir, self._n_spans, self._words, self._vectors = store_dir, n_spans, words, vectors
        started_s = time.perf_counter()
        filler = Filler(store_dir, words, vectors)
        while filler.n < n_spans:
            filler.fill(min(BATCH, n_spans - filler.n))
        filler.db.close()
        self.told["fill_s"] = round(time.perf_counter() - started_s, 1)
        self._shelf = IndexShelf(store_dir / "views", most_flat=most_flat)
        self._reader = LogReader(store_dir, RECALL_CACHE_KIB, is_mapped=True)
        self.told["views_s"] = ready_views(self._shelf, self._reader)
        self._recall = Recall(self._shelf, RecallSettings())

    def measure(self, n_questions: int, queries: Vectors | None) -> None:
        """Times everything."""
        shelf, told = self._shelf, self.told
        with self._reader.snapshot() as db:
            questions = questions_of(db, self._n_spans, n_questions, vectors=self._vectors)
            of_chats = questions_of(db, self._n_spans, n_questions, of_chats=True, vectors=self._vectors)
            gates = gates_of(db, Cue())
            told["index"], told["words"] = shelf.describe()[ENCODER], shelf.words.describe()

            def candidates(words: bool, dense: bool) -> Asked:
                return lambda q: find(
                    db,
                    shelf,
                    gates,
                    content_words(q.text) if words else (),
                    [q.key] if dense else [],
                    CANDIDATES,
                )

            told["dense"] = timed(candidates(words=False, dense=True), questions)
            told["lexical"] = timed(candidates(words=True, dense=False), questions)
            told["both"] = timed(candidates(words=True, dense=True), questions)
        told["pipeline"] = staged(self._recall, self._reader, questions)
        told["pipeline_of_chats"] = staged(self._recall, self._reader, of_chats)
        with self._reader.snapshot() as db:
            asked = np.stack([question.key.vector for question in questions])
            told["recall_at_10"] = recall_at_10(db, shelf, asked)
            if queries is not None:
                told["recall_at_10_of_queries"] = recall_at_10(db, shelf, queries)
            told["own_text_among_10"] = lexical_cost(db, shelf, questions[:100])

    def measure_each_other(self, n_questions: int = 200, paces: Sequence[float | None] = PACES) -> None:
        """Times commits and questions beside each other; the store has more texts afterwards."""
        with self._reader.snapshot() as db:
            questions = questions_of(db, self._n_spans, n_questions, vectors=self._vectors)
        with arms(self._store_dir, self._shelf, self._reader, questions) as both:
            told: dict[str, list[dict[str, Any]]] = {arm.name: [] for arm in both}
            for pace in paces:
                for arm in both:
                    commits = Commits(self._store_dir, self._words, arm.shelf, self._reader)
                    try:
                        told[arm.name].append(each_other(commits, arm, questions, pace))
                    finally:
                        commits.close()
        self.told["each_other"] = told

    def close(self) -> None:
        """Ends what was opened."""
        self._shelf.close()
        self._reader.close()


def bench(options: argparse.Namespace, n_spans: int, words: Sequence[str], store_dir: Path) -> dict[str, Any]:
    """The figures of one size."""
    vectors, queries = (
        None if path is None else unit(np.load(path).astype(np.float32))
        for path in (options.vectors, options.queries)
    )
    one = Bench(store_dir, n_spans, words, vectors, options.most_flat)
    try:
        if not options.beside_only:
            one.measure(options.questions, queries)
        if not options.reading_only:
            one.measure_each_other(options.questions, [pace or None for pace in options.paces])
    finally:
        one.close()
    return one.told


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--spans", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--text", type=Path, nargs="*", default=[], help="files or folders of real text")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--store", type=Path, help="folder in which stores are kept and looked for")
    parser.add_argument("--vectors", type=Path, help="real vectors (N, 384) to be keys")
    parser.add_argument("--queries", type=Path, help="real vectors (N, 384) of questions, for recall at 10")
    parser.add_argument("--most-flat", type=int, default=MOST_FLAT, help="keys from which lists are made")
    parser.add_argument("--reading-only", action="store_true", help="no commits beside questions")
    parser.add_argument("--beside-only", action="store_true", help="commits beside questions alone")
    parser.add_argument(
        "--paces",
        type=float,
        nargs="+",
        default=[pace or 0.0 for pace in PACES],
        help="questions a second beside commits; 0: without a pause",
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    words = words_of(options.text)
    results = []
    for n_spans in options.spans:
        with tempfile.TemporaryDirectory() as folder:
            store_dir = Path(folder) / "store" if options.store is None else options.store / str(n_spans)
            results.append(bench(options, n_spans, words, store_dir))
        print(json.dumps(results[-1], indent=1), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps({"version": 1, "sizes": results}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
