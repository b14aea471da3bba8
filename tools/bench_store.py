"""Stores for `tools.bench_recall`: real words beside vectors that are shaped like those of sentences.

Three of four sources are films whose utterances have no day, every fourth is a chat of four people,
whose turns have a day and a speaker, and keys of one to three facts. Ten of each make an event with a
digest and its key.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from memory.keys.facts import FACT
from memory.keys.keyers import DIGEST, pack_vectors
from memory.log.database import LOG_NAME, connect_writer
from memory.log.store import LogStore
from memory.recall.candidates import QuestionKey
from memory.recall.words import content_words

Vectors = npt.NDArray[np.float32]

DIMENSION = 384
ENCODER = "bench-encoder"
SOURCE_SPANS, EVENT_SPANS = 500, 10
CHAT_EVERY = 4
MOST_FACTS = 3
SPEAKERS = ("Ada", "Blaise", "Caroline", "Dmitri", "Edsger", "Frances", "Grace", "Hedy")
SPAN_NS = 5_000_000_000
DAY_NS = 86_400_000_000_000
BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its vector, and the text that it was made of."""

    text: str
    key: QuestionKey
    n: int


def words_of(paths: Sequence[Path]) -> list[str]:
    """The words of all text files named, folders searched; the manual of Python where none is.

    Of JSON the strings alone.
    """
    files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    texts: list[str] = []
    for file in files:
        if file.suffix in (".txt", ".md", ".tsv") and file.is_file():
            texts.append(file.read_text(encoding="utf-8", errors="replace"))
        elif file.suffix in (".json", ".jsonl") and file.is_file():
            body = file.read_text(encoding="utf-8")
            parts = body.splitlines() if file.suffix == ".jsonl" else [body]
            texts += (text for part in parts if part.strip() for text in _strings(json.loads(part)))
    if texts:
        return " ".join(texts).split()
    from pydoc_data import topics

    return " ".join(topics.topics.values()).split()


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def texts_of(words: Sequence[str], n: int, rng: random.Random) -> Iterator[str]:
    """`n` windows of 12 to 30 words, from a place drawn anew once the words have been walked through."""
    at = rng.randrange(max(1, len(words) - 40))
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
    return unit(rows)


def unit(rows: Vectors) -> Vectors:
    """The rows at length 1."""
    made: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return made


def source_id_of(source: int) -> bytes:
    """The id of a source by its number."""
    return source.to_bytes(16, "little")


def is_chat(source: int) -> bool:
    """Whether the source of this number is a chat."""
    return source % CHAT_EVERY == CHAT_EVERY - 1


def speaker_of(source: int, place: int) -> str:
    """Who says the text at this place of a chat; nobody in a film."""
    return SPEAKERS[(source + place * 7 % 4) % len(SPEAKERS)] if is_chat(source) else ""


class Filler:
    """Writes rows straight into the tables of a store, as its writer would, without the wire.

    Args:
        store_dir: Its folder; made where it is missing.
        words: As `words_of`.
        vectors: Rows that are drawn from in the place of those of `vectors_of`.
    """

    def __init__(self, store_dir: Path, words: Sequence[str], vectors: Vectors | None = None) -> None:
        LogStore(store_dir).close()
        self.db = connect_writer(store_dir / LOG_NAME)
        self._words, self._vectors = words, vectors
        self.n = int(self.db.execute("SELECT COALESCE(MAX(n), 0) FROM observation").fetchone()[0])

    def fill(self, n: int) -> None:
        """One commit of `n` texts with keys."""
        rng, first = random.Random(self.n), self.n  # noqa: S311
        rows = key_rows(n, first, self._vectors)
        texts = list(texts_of(self._words, n, rng))
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("INSERT INTO commit_log (t_ns) VALUES (?)", (first,))
        (commit,) = self.db.execute("SELECT MAX(commit_no) FROM commit_log").fetchone()
        for source in range(-(-first // SOURCE_SPANS), -(-(first + n) // SOURCE_SPANS)):
            self._add_source(source, commit)
        self.db.executemany(
            "INSERT INTO observation (n, observation_id, commit_no, source_id, session, track, kind,"
            " producer_id, pts0_ns, pts1_ns, t0_ns, t1_ns, text, language, speaker, about, audience, place,"
            " trace_id) VALUES (?, ?, ?, ?, 0, 0, 'utterance', 'bench', ?, ?, ?, ?, ?, 'en', ?, '', '', '',"
            " x'')",
            [_observation(first + at, commit, text) for at, text in enumerate(texts)],
        )
        self.db.execute(
            "INSERT INTO observation_fts (rowid, text, speaker, day)"
            " SELECT n, text, speaker, day FROM observation_text WHERE n > ?",
            (first,),
        )
        self._add_keys(
            "observation",
            "transcript",
            [(number + 1).to_bytes(16, "big") for number in range(first, first + n)],
            rows,
            commit,
        )
        self._add_facts(first, rows, commit)
        self._add_events(first, n, rows, commit)
        self.db.execute("COMMIT")
        self.n += n

    def _add_facts(self, first: int, rows: Vectors, commit: int) -> None:
        """Of each turn of a chat one to three, each at a cosine of some .7 to the turn's own key."""
        turns = [at for at in range(len(rows)) if is_chat((first + at) // SOURCE_SPANS)]
        for place in range(MOST_FACTS):
            some = [at for at in turns if (first + at) % MOST_FACTS >= place]
            if some:
                noise = vectors_of(len(some), first + place + 1)
                owners = [(first + at + 1).to_bytes(16, "big") for at in some]
                self._add_keys("observation", FACT, owners, unit(rows[some] + noise), commit, str(place + 1))

    def _add_events(self, first: int, n: int, rows: Vectors, commit: int) -> None:
        """An event of each ten texts that are whole here."""
        starts = list(range(-first % EVENT_SPANS, n - EVENT_SPANS + 1, EVENT_SPANS))
        spans = []
        for at in starts:
            source, place = divmod(first + at, SOURCE_SPANS)
            begin, end = place * SPAN_NS, (place + EVENT_SPANS) * SPAN_NS
            span_id = (first + at + 1).to_bytes(16, "little")
            spans.append((span_id, source_id_of(source), begin, end, "digest", commit))
        self.db.executemany(
            "INSERT INTO span (span_id, level, source_id, session, pts0_ns, pts1_ns, why, digest,"
            " segmenter_id, made_commit) VALUES (?, 'event', ?, 0, ?, ?, 'pause', ?, 'bench', ?)",
            spans,
        )
        if spans:
            digests = unit(np.stack([rows[at : at + EVENT_SPANS].sum(axis=0) for at in starts]))
            self._add_keys("event", DIGEST, [span[0] for span in spans], digests, commit)

    def _add_keys(
        self, level: str, kind: str, owners: Sequence[bytes], rows: Vectors, commit: int, part: str = ""
    ) -> None:
        self.db.executemany(
            "INSERT INTO key (owner, owner_level, kind, encoder_id, dimension, vector, made_commit, terms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (owner, level, kind, ENCODER, rows.shape[1], vector, commit, part)
                for owner, vector in zip(owners, pack_vectors(rows), strict=True)
            ],
        )

    def _add_source(self, source: int, commit: int) -> None:
        kind, name = ("chat", f"{source}.jsonl") if is_chat(source) else ("file", f"{source}.mp4")
        length_ns = SOURCE_SPANS * SPAN_NS
        self.db.execute(
            "INSERT INTO source VALUES (?, 0, ?, '', 0, ?, NULL, '', '', '', ?)",
            (source_id_of(source), kind, length_ns, commit),
        )
        self.db.execute(
            "INSERT INTO source_uri (source_id, session, uri, commit_no) VALUES (?, 0, ?, ?)",
            (source_id_of(source), f"/bench/{name}", commit),
        )
        self.db.execute(
            "INSERT INTO track (source_id, session, track, media, codec, language, width_px, height_px,"
            " rate_hz, through_pts_ns, eof, commit_no) VALUES (?, 0, 0, 'audio', '', '', 0, 0, 0, ?, 1, ?)",
            (source_id_of(source), length_ns, commit),
        )


def key_rows(n: int, first: int, vectors: Vectors | None) -> Vectors:
    """The vectors of `n` texts from number `first` on."""
    return vectors_of(n, first) if vectors is None else vectors[np.arange(first, first + n) % len(vectors)]


def _observation(number: int, commit: int, text: str) -> tuple[object, ...]:
    source, place = divmod(number, SOURCE_SPANS)
    at_ns = place * SPAN_NS
    day_ns = source * DAY_NS + 1_600_000_000_000_000_000 if is_chat(source) else None
    t0_ns, t1_ns = (None, None) if day_ns is None else (day_ns + at_ns, day_ns + at_ns + SPAN_NS)
    speaker = speaker_of(source, place)
    oid = (number + 1).to_bytes(16, "big")
    at = (at_ns, at_ns + SPAN_NS, t0_ns, t1_ns)
    return (number + 1, oid, commit, source_id_of(source), *at, text, speaker)


def questions_of(
    db: sqlite3.Connection, n_texts: int, n: int, *, of_chats: bool = False, vectors: Vectors | None = None
) -> list[Question]:
    """Questions of three to six content words of a text each, and a vector at a cosine of .6 to its key.

    Those of chats are put to turns of chats, and name who said it.
    """
    rng, noise = random.Random(11), np.random.default_rng(11)  # noqa: S311
    made: list[Question] = []
    while len(made) < n:
        number = rng.randint(1, n_texts)
        source, place = divmod(number - 1, SOURCE_SPANS)
        (text,) = db.execute("SELECT text FROM observation WHERE n = ?", (number,)).fetchone()
        words = content_words(text)
        if len(words) < 6 or (of_chats and not is_chat(source)):
            continue
        batch, at = divmod(number - 1, min(BATCH, n_texts))
        row = key_rows(min(BATCH, n_texts), batch * BATCH, vectors)[at]
        other = noise.standard_normal(len(row)).astype(np.float32)
        vector = (0.6 * row + 0.8 * other / np.linalg.norm(other)).astype(np.float32)
        chosen = rng.sample(words, rng.randint(3, 6))
        asked = [speaker_of(source, place), *chosen] if of_chats else chosen
        key = QuestionKey("dense", ENCODER, vector / np.linalg.norm(vector))
        made.append(Question(" ".join(asked), key, number))
    return made
