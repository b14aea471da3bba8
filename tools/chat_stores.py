"""Chats and meetings as stores of their own, and plain searches over the same turns, for measuring.

A store is made as `omnirecall import` makes it (`stream.capture.turns`, the log, spans, keys) and
asked by `memory.recall`, all in this process: no role runs.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from memory.claims.view import advance
from memory.keys.index import IndexShelf
from memory.keys.keyers import DigestKeyer, FactKeyer, KeyDraft, Keyer, TextKeyer, add_keys
from memory.keys.vectors import FlatIndex
from memory.log.reader import LogReader
from memory.log.store import LogStore, PutItem
from memory.recall.candidates import QuestionKey
from memory.recall.pipeline import Recall
from memory.recall.words import match_query
from memory.settings import ChatWeights, MemorySettings, SpanSettings
from memory.spans.consolidate import Consolidator
from memory.spans.segment import segmenter_of
from perception.encoder.text import TEXT_ENCODER_IDS, TextEncoder
from stream.capture.turns import Chat, Placed, Turn, placed, puts_of, record_of
from stream.messages import Cue, Evidence, EvidenceItem
from stream.models import model_file

ENCODER = TEXT_ENCODER_IDS["fp32"]
"""Whose keys lie in these stores."""
BATCH = 32
TERMS = tuple(name for name in ChatWeights.model_fields if name != "image_text")
"""The scorers of turns whose weights are fitted; there are no pictures here."""
EVERY = 400
"""Candidates from each index whose terms are gathered for fitting."""
Vectors = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]
"""Texts to (N, D) float32, rows of unit length."""


def text_encoder() -> Encode:
    """The house's own encoder of texts, any number of them at once."""
    encoder = TextEncoder(
        model_file("all-minilm-l6-v2", "model.onnx"), model_file("all-minilm-l6-v2", "tokenizer.json")
    )

    def encode(texts: Sequence[str]) -> Vectors:
        parts = [encoder.encode(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)

    return encode


def keeping(encode: Encode, folder: Path) -> Encode:
    """The same, with what was encoded kept in files of a folder, so that a later run need not.

    A file is of one call: its name is a hash of the encoder's id and of all texts.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def encode_or_read(texts: Sequence[str]) -> Vectors:
        digest = hashlib.blake2b(TEXT_ENCODER_IDS["fp32"].encode(), digest_size=16)
        for text in texts:
            digest.update(b"\0" + text.encode("utf-8", "replace"))
        path = folder / f"{digest.hexdigest()}.npy"
        if path.is_file():
            kept: Vectors = np.load(path)
            return kept
        made = encode(texts)
        half_made = path.with_suffix(".part.npy")
        np.save(half_made, made)
        half_made.replace(path)
        return made

    return encode_or_read


def remembering(encode: Encode) -> Encode:
    """The same, with the key of a text made once."""
    known: dict[str, Vectors] = {}

    def encode_new(texts: Sequence[str]) -> Vectors:
        new = list(dict.fromkeys(text for text in texts if text not in known))
        if new:
            known.update(zip(new, encode(new), strict=True))
        return np.stack([known[text] for text in texts])

    return encode_new


class KeyVariant(NamedTuple):
    """How keys of turns are made; as it stands, as the house makes them.

    `told` makes the text of a turn's own key in the place of the house; `emptied` is a field of the
    text index, `speaker` or `day`, that has no words.
    """

    keyers: tuple[Keyer, ...] = (TextKeyer(), DigestKeyer(), FactKeyer())
    told: Callable[[Turn], str] | None = None
    emptied: str = ""


AS_SHIPPED = KeyVariant()


def z(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Standard scores; zeros where all are equal."""
    made: npt.NDArray[Any] = (values - values.mean()) / max(float(values.std()), 1e-9)
    return made


class PlainSearch:
    """Flat (FAISS), lexical (FTS5, `porter unicode61`, all words of the question) and z-sum hybrid search.

    Args:
        texts: What is searched.
        vectors: (N, D) float32, their keys.
    """

    def __init__(self, texts: Sequence[str], vectors: Vectors) -> None:
        self._n = len(texts)
        self._index = FlatIndex(ENCODER, vectors.shape[1])
        self._index.add(np.arange(self._n, dtype=np.int64), vectors)
        self._db = sqlite3.connect(":memory:")
        self._db.execute("CREATE VIRTUAL TABLE t USING fts5 (x, tokenize='porter unicode61')")
        self._db.executemany("INSERT INTO t (rowid, x) VALUES (?, ?)", enumerate(texts))

    def scores(self, question: str, key: Vectors) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """What each text gets: cosines (N,), and BM25 (N,), 0 without any of the words."""
        hits = self._index.search(key, self._n)
        dense, lexical = np.zeros(self._n), np.zeros(self._n)
        dense[hits.ids] = hits.scores
        query = match_query(re.findall(r"[^\W_]+", question.casefold()))
        for row, rank in self._db.execute("SELECT rowid, rank FROM t WHERE t MATCH ?", (query,)):
            lexical[row] = -rank
        return dense, lexical

    def systems(self, question: str, key: Vectors) -> dict[str, npt.NDArray[Any]]:
        """What each text gets by each of the plain systems, larger for better."""
        dense, lexical = self.scores(question, key)
        return {"flat": dense, "bm25": lexical, "hybrid": z(dense) + z(lexical)}


class ChatStore:
    """A store of chats, and recall over it.

    `turns` are those of one chat after the other, in order of time; `place_of` gives the place among
    them of each observation's turn.

    Args:
        chats: The chats.
        encode: Makes its keys.
        folder: Of the store; new.
        settings: Of its recall.
        keys: How keys are made.
    """

    def __init__(
        self,
        chats: Sequence[Chat],
        encode: Encode,
        folder: Path,
        settings: MemorySettings,
        keys: KeyVariant = AS_SHIPPED,
    ) -> None:
        self._store = LogStore(folder)
        self.reader = LogReader(folder)
        self.turns: list[Placed] = []
        self.place_of: dict[bytes, int] = {}
        for number, chat in enumerate(chats):
            self._commit(chat, f"/chat/{number}")
        spans = SpanSettings()
        made = Consolidator(segmenter_of(spans), 10**10, informative=spans.digest == "informative")
        with self._store.views() as db:
            while made.advance(db, 0, self._store.touched).more:
                pass
            for keyer in keys.keyers:
                drafts = keyer.pending(db, ENCODER, 0, 10**9)
                if drafts:
                    texts = [self._text_of(draft, keys) for draft in drafts]
                    add_keys(db, drafts, encode(texts), ENCODER, 1)
            if keys.emptied:
                _empty(db, keys.emptied)
        self.shelf = IndexShelf(folder / "views")
        self.recall = Recall(self.shelf, settings.recall)

    def _commit(self, chat: Chat, uri: str) -> None:
        turns = placed(chat.turns, ZoneInfo("UTC"))
        places = {one.turn.number: place for place, one in enumerate(turns, start=len(self.turns))}
        self.turns += turns
        for put in puts_of(record_of(chat, turns, uri, "UTC", "container"), chat, turns):
            self._store.commit([PutItem("eval", put, {})])
            for one in put.observations:
                self.place_of[one.observation_id] = places[int(str(one.payload["turn"]))]

    def _text_of(self, draft: KeyDraft, keys: KeyVariant) -> str:
        if keys.told is None or draft.kind != "transcript":
            return draft.text
        return keys.told(self.turns[self.place_of[draft.owner]].turn)

    def learn_claims(self) -> None:
        """Brings the ledger of claims up to the turns."""
        with self._store.views() as db:
            while advance(db):
                pass

    def close(self) -> None:
        """Closes the store; what is in it can be opened by its folder."""
        self.reader.close()
        self.shelf.close()
        self._store.close()

    def hits(self, question: str, key: Vectors, k: int) -> list[EvidenceItem]:
        """What recall gives for a question, best first."""
        told = self.evidence(self.recall, question, key, k)
        return sorted(told.items, key=lambda item: -item.score)

    def evidence(self, recall: Recall, question: str, key: Vectors, k: int, **how: Any) -> Evidence:
        """What recall gives for a question; `how` as `Recall.__call__` takes it."""
        with self.reader.snapshot() as db:
            return recall(db, Cue(text=question), k, [QuestionKey("dense", ENCODER, key)], **how)

    def at_unit_weights(self, settings: MemorySettings) -> Recall:
        """Recall over the same store in which every scorer counts 1 and every candidate is scored."""
        weights = ChatWeights(**dict.fromkeys(TERMS, 1.0))
        every = settings.recall.model_copy(update={"chat": weights, "pool": EVERY})
        return Recall(self.shelf, every)


def _empty(db: sqlite3.Connection, field: str) -> None:
    """Takes the words of a field out of the text index of a store."""
    (sql,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'observation_text'").fetchone()
    _, body = re.split(r"\sAS\s", sql, maxsplit=1)
    columns = ", ".join(
        f"'' AS {name}" if name == field else name for name in ("n", "text", "speaker", "day")
    )
    db.execute("DROP VIEW observation_text")
    db.execute(f"CREATE VIEW observation_text AS SELECT {columns} FROM ({body})")  # noqa: S608
    db.execute("INSERT INTO observation_fts (observation_fts) VALUES ('rebuild')")
