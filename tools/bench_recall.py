"""How long recall takes in a large store, and what its shortcuts cost.

`python -m tools.bench_recall --spans 10000 100000 [--text PATH…] [--questions 200] [--json FILE]`.
Texts are windows of 12 to 30 words of the files named (a text of the package, shuffled, where none
is); vectors are made here, 384 numbers around some thousand topics; each question takes some content
words of one text and a vector at a cosine of .6 to it. The encoder is left out. Views are
made by the children that make them in a real store. Prints, per size: p50 and p95 of dense and
lexical candidates and of the whole pipeline; recall at 10 of the index against exact search; how
often a question's own text is among ten by postings and by FTS5; and what commits and questions cost
each other.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.keys.index import IndexShelf
from memory.keys.keyers import pack_vectors
from memory.log.database import LOG_NAME, connect_writer
from memory.log.reader import LogReader
from memory.log.store import LogStore
from memory.recall.candidates import QuestionKey, _with_words, find
from memory.recall.gates import gates_of
from memory.recall.pipeline import Recall
from memory.recall.words import content_words
from memory.settings import RecallSettings
from stream.messages import Cue

Vectors = npt.NDArray[np.float32]

DIMENSION = 384
ENCODER = "bench-encoder"
SOURCE_SPANS = 500
SPAN_NS = 5_000_000_000
BATCH = 10_000
CANDIDATES = RecallSettings().candidates
COMMITS_HZ, COMMIT_ROWS = 20, 10
LOADED_S = 6.0


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its vector, and the text that it was made of."""

    text: str
    key: QuestionKey
    n: int


def words_of(paths: Sequence[Path]) -> list[str]:
    """The words of all text files named, folders searched; the licence of Python where none is."""
    files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    texts = [
        file.read_text(encoding="utf-8", errors="replace")
        for file in files
        if file.suffix in (".txt", ".md", ".json", ".jsonl", ".tsv") and file.is_file()
    ]
    if texts:
        return " ".join(texts).split()
    from pydoc_data import topics

    return " ".join(topics.topics.values()).split()


def texts_of(words: Sequence[str], n: int, rng: random.Random) -> Iterator[str]:
    """`n` windows of 12 to 30 words, the places drawn anew once the words have been walked through."""
    at = 0
    for _ in range(n):
        length = rng.randint(12, 30)
        if at + length >= len(words):
            at = rng.randrange(40)
        yield " ".join(words[at : at + length])
        at += length + rng.randrange(3)


@lru_cache
def _topics() -> Vectors:
    return np.random.default_rng(1).standard_normal((2_000, DIMENSION), dtype=np.float32)


def vectors_of(n: int, seed: int) -> Vectors:
    """Unit rows (n, 384) around 2,000 topics, the first directions the stronger, as sentences have them."""
    rng = np.random.default_rng(seed)
    scale = (1.0 / np.sqrt(1.0 + np.arange(DIMENSION) / 24)).astype(np.float32)
    topics = _topics()
    rows = topics[rng.integers(0, len(topics), n)] + rng.standard_normal((n, DIMENSION), dtype=np.float32)
    rows *= scale
    made: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return made


class Filler:
    """Writes rows straight into the tables of a store, as its writer would, without the wire.

    Args:
        store_dir: A store that was opened once.
        words: As `words_of`.
    """

    def __init__(self, store_dir: Path, words: Sequence[str]) -> None:
        self.db = connect_writer(store_dir / LOG_NAME)
        self._words, self._rng = words, random.Random(7)  # noqa: S311
        self.n = 0

    def fill(self, n: int) -> None:
        """One commit of `n` texts with keys."""
        vectors = pack_vectors(vectors_of(n, self.n))
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("INSERT INTO commit_log (t_ns) VALUES (?)", (self.n,))
        (commit,) = self.db.execute("SELECT MAX(commit_no) FROM commit_log").fetchone()
        rows, fts, keys = [], [], []
        for text, vector in zip(texts_of(self._words, n, self._rng), vectors, strict=True):
            number, self.n = self.n, self.n + 1
            source, place = divmod(number, SOURCE_SPANS)
            if not place:
                self._add_source(source, commit)
            oid, at_ns = number.to_bytes(16, "big"), place * SPAN_NS
            rows.append((number + 1, oid, commit, _source_id(source), at_ns, at_ns + SPAN_NS, text))
            fts.append((number + 1, text))
            keys.append((oid, ENCODER, DIMENSION, vector, commit))
        self.db.executemany(
            "INSERT INTO observation (n, observation_id, commit_no, source_id, session, track, kind,"
            " producer_id, pts0_ns, pts1_ns, text, language, speaker, about, audience, place, trace_id)"
            " VALUES (?, ?, ?, ?, 0, 0, 'utterance', 'bench', ?, ?, ?, 'en', '', '', '', '', x'')",
            rows,
        )
        self.db.executemany("INSERT INTO observation_fts (rowid, text) VALUES (?, ?)", fts)
        self.db.executemany(
            "INSERT INTO key (owner, owner_level, kind, encoder_id, dimension, vector, made_commit)"
            " VALUES (?, 'observation', 'transcript', ?, ?, ?, ?)",
            keys,
        )
        self.db.execute("COMMIT")

    def _add_source(self, source: int, commit: int) -> None:
        self.db.execute(
            "INSERT INTO source VALUES (?, 0, 'file', '', 0, ?, NULL, '', '', '', ?)",
            (_source_id(source), SOURCE_SPANS * SPAN_NS, commit),
        )
        self.db.execute(
            "INSERT INTO source_uri (source_id, session, uri, commit_no) VALUES (?, 0, ?, ?)",
            (_source_id(source), f"/bench/{source}.mp4", commit),
        )


def _source_id(source: int) -> bytes:
    return source.to_bytes(16, "little")


def questions_of(db: sqlite3.Connection, n_texts: int, n: int) -> list[Question]:
    """Questions of three to six content words of a text each."""
    rng, noise = random.Random(11), np.random.default_rng(11)  # noqa: S311
    made: list[Question] = []
    while len(made) < n:
        number = rng.randint(1, n_texts)
        (text,) = db.execute("SELECT text FROM observation WHERE n = ?", (number,)).fetchone()
        words = content_words(text)
        if len(words) < 6:
            continue
        batch, place = divmod(number - 1, BATCH)
        row = vectors_of(BATCH, batch * BATCH)[place] if n_texts >= BATCH else vectors_of(n_texts, 0)[place]
        other = noise.standard_normal(DIMENSION).astype(np.float32)
        vector = (0.6 * row + 0.8 * other / np.linalg.norm(other)).astype(np.float32)
        key = QuestionKey("dense", ENCODER, vector / np.linalg.norm(vector))
        made.append(Question(" ".join(rng.sample(words, rng.randint(3, 6))), key, number))
    return made


def timed(ask: Callable[[Question], Any], questions: Sequence[Question]) -> dict[str, float]:
    """Milliseconds of one question at a time, the first ten left out."""
    took_ms = []
    for question in [*questions[:10], *questions]:
        started_s = time.perf_counter()
        ask(question)
        took_ms.append((time.perf_counter() - started_s) * 1e3)
    p50, p95 = np.percentile(took_ms[10:], (50, 95))
    return {"p50_ms": round(float(p50), 2), "p95_ms": round(float(p95), 2)}


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
    return round(time.perf_counter() - started_s, 1)


def lexical_cost(db: sqlite3.Connection, shelf: IndexShelf, questions: Sequence[Question]) -> dict[str, Any]:
    """How often a question's own text is among ten, by postings and by FTS5."""
    gates, plain = gates_of(db, Cue()), IndexShelf(shelf.folder / "none")
    hits, same = [0, 0], []
    for question in questions:
        words = content_words(question.text)
        found = [list(_with_words(db, one, gates, words, 10)) for one in (shelf, plain)]
        hits = [count + (question.n in ids) for count, ids in zip(hits, found, strict=True)]
        same.append(len({*found[0]} & {*found[1]}) / max(len(found[1]), 1))
    total = len(questions)
    return {
        "views": hits[0] / total,
        "fts5": hits[1] / total,
        "overlap_at_10": round(float(np.mean(same)), 4),
    }


def each_other(
    filler: Filler, ask: Callable[[Question], Any], questions: Sequence[Question]
) -> dict[str, Any]:
    """Questions beside commits at a live pace, and commits beside questions."""
    done = threading.Event()
    commits_ms: list[float] = []

    def commit() -> None:
        while not done.is_set():
            started_s = time.perf_counter()
            filler.fill(COMMIT_ROWS)
            commits_ms.append((time.perf_counter() - started_s) * 1e3)
            time.sleep(max(0.0, 1 / COMMITS_HZ - (time.perf_counter() - started_s)))

    writer = threading.Thread(target=commit)
    writer.start()
    time.sleep(LOADED_S)
    alone = list(commits_ms)
    beside = timed(ask, questions)
    done.set()
    writer.join()
    return {
        "questions_beside_commits": beside,
        "commit_ms_p50_alone": round(float(np.median(alone)), 2),
        "commit_ms_p50_beside_questions": round(float(np.median(commits_ms[len(alone) :] or [0])), 2),
    }


def bench(n_spans: int, words: Sequence[str], n_questions: int, store_dir: Path) -> dict[str, Any]:
    """All figures of one size."""
    LogStore(store_dir).close()
    filler = Filler(store_dir, words)
    started_s = time.perf_counter()
    for start in range(0, n_spans, BATCH):
        filler.fill(min(BATCH, n_spans - start))
    told: dict[str, Any] = {"spans": n_spans, "fill_s": round(time.perf_counter() - started_s, 1)}
    shelf, reader = IndexShelf(store_dir / "views"), LogReader(store_dir)
    told["views_s"] = ready_views(shelf, reader)
    recall = Recall(shelf, RecallSettings())
    with reader.snapshot() as db:
        questions = questions_of(db, n_spans, n_questions)
        gates = gates_of(db, Cue())
        told["index"], told["words"] = shelf.describe()[ENCODER], shelf.words.describe()
        told["dense"] = timed(lambda q: find(db, shelf, gates, (), [q.key], CANDIDATES), questions)
        told["lexical"] = timed(
            lambda q: find(db, shelf, gates, content_words(q.text), [], CANDIDATES), questions
        )
        told["both"] = timed(
            lambda q: find(db, shelf, gates, content_words(q.text), [q.key], CANDIDATES), questions
        )
        told["own_text_among_10"] = lexical_cost(db, shelf, questions)

    def ask(question: Question) -> None:
        with reader.snapshot() as db:
            recall(db, Cue(text=question.text), 10, [question.key])

    told["pipeline"] = timed(ask, questions)
    told |= each_other(filler, ask, questions)
    shelf.close()
    reader.close()
    filler.db.close()
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--spans", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--text", type=Path, nargs="*", default=[], help="files or folders of real text")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    words = words_of(options.text)
    results = []
    for n_spans in options.spans:
        with tempfile.TemporaryDirectory() as folder:
            results.append(bench(n_spans, words, options.questions, Path(folder) / "store"))
        print(json.dumps(results[-1]), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps({"version": 1, "sizes": results}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
