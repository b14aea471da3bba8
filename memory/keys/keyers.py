"""Keyers: which texts of an observation become keys, and the keys that are still to be made.

Nothing is queued: what has a text and no key of the encoder in use is pending, so a
restart, or another encoder, needs no bookkeeping. `frame` observations get no key of
their own (there are too many); they are reached by time and through their shot.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from memory.keys.facts import FACT, facts_of
from memory.keys.vectors import unit_rows
from memory.log.demotion import HAS_FACTS, HAS_KEYS
from memory.log.reader import marks, pages

KIND_OF_KEY: Mapping[str, str] = {
    "utterance": "transcript",
    "seen_text": "seen_text",
    "shot": "caption",
    "caption": "caption",
}
"""Kind of the text key per kind of observation; others with a text get `text`."""
WITHOUT_KEY = ("frame", "gap", "voice")
DIGEST = "digest"
"""Kind of the key of an event's digest."""
COUNT_LIMIT = 10_000
"""Pending keys are counted up to this per keyer; beyond, `status` says at least so many."""
_KIND_SQL = (
    "CASE o.kind "
    + " ".join(f"WHEN '{kind}' THEN '{key}'" for kind, key in KIND_OF_KEY.items())
    + " ELSE 'text' END"
)
_TOLD_SQL = (
    "o.text || CASE WHEN t.speaker || t.day = '' THEN '' ELSE"
    " COALESCE((SELECT ' ' || c.text FROM observation AS c WHERE c.source_id = o.source_id"
    " AND c.session = o.session AND c.kind = 'caption' AND c.pts0_ns = o.pts0_ns"
    " AND c.track = o.track AND c.text <> '' AND c.commit_no <= o.commit_no LIMIT 1), '') END"
)
"""What the key of an observation is made of: that of a turn of a chat holds its photo.

Who said it is a word for the text index and a scorer, and stands before each fact; in the key of the turn
it cost recall (tools.eval_recall --keys). Its day is a word and a gate. Nothing that was committed after it,
so that a key says of it what was known then.
"""
_TEXTS = (
    f"FROM observation AS o WHERE o.n > ? AND o.text <> '' AND o.kind NOT IN ({marks(WITHOUT_KEY)})"  # noqa: S608
    f" AND {HAS_KEYS}"
    " AND NOT EXISTS (SELECT 1 FROM key AS k INDEXED BY key_of_owner WHERE k.owner = o.observation_id"
    f" AND k.kind = {_KIND_SQL} AND k.encoder_id = ?)"
)
_BLANKS = (*range(9, 14), *range(28, 33), 133, 160, 5760, *range(8192, 8203), 8232, 8233, 8239, 8287, 12288)
"""What `str.strip` takes away: a turn of these alone states nothing."""
_TURNS = (
    "FROM observation AS o CROSS JOIN observation_text AS t ON t.n = o.n WHERE o.n > ?"
    f" AND o.kind = 'utterance' AND {HAS_FACTS} AND t.speaker || t.day <> ''"
    f" AND trim(o.text, char({', '.join(map(str, _BLANKS))})) <> ''"
)
"""Turns of chats that state something."""
_STATED = (
    f"{_TURNS} AND NOT EXISTS (SELECT 1 FROM key AS k"  # noqa: S608
    " INDEXED BY key_of_owner WHERE k.owner = o.observation_id AND k.kind = ? AND k.encoder_id = ?)"
)
"""Turns of chats that have no keys of their facts yet."""
_DIGESTS = (
    "FROM event_told AS e CROSS JOIN span AS s ON s.span_id = e.span_id"
    " WHERE e.seq > ? AND s.digest <> '' AND s.ended_commit IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM key AS k INDEXED BY key_of_owner WHERE k.owner = s.span_id"
    " AND k.kind = ? AND k.encoder_id = ?)"
)


@dataclass(frozen=True, slots=True)
class KeyDraft:
    """A key to be made: whose, of which kind, from which text.

    `n` is the row of the observation; 0 for spans.
    """

    owner: bytes
    owner_level: str
    kind: str
    text: str
    n: int = 0
    part: str = ""
    """Which of several keys of the same kind."""


class Keyer(Protocol):
    """Finds drafts that are still without a key of an encoder."""

    def pending(self, db: sqlite3.Connection, encoder_id: str, after_n: int, limit: int) -> list[KeyDraft]:
        """At most `limit` drafts, oldest first, of observations after row `after_n`."""
        ...


class TextKeyer:
    """One key per observation with a text: transcript, seen text or caption."""

    def pending(self, db: sqlite3.Connection, encoder_id: str, after_n: int, limit: int) -> list[KeyDraft]:
        """As `Keyer.pending`."""
        rows = db.execute(
            f"SELECT o.n, o.observation_id, o.kind, {_TOLD_SQL} FROM (SELECT o.* {_TEXTS} ORDER BY o.n"  # noqa: S608
            " LIMIT ?) AS o JOIN observation_text AS t ON t.n = o.n ORDER BY o.n",
            (after_n, *WITHOUT_KEY, encoder_id, limit),
        )
        return [
            KeyDraft(observation_id, "observation", KIND_OF_KEY.get(kind, "text"), text, n)
            for n, observation_id, kind, text in rows
        ]


class DigestKeyer:
    """One key per event with a digest."""

    def pending(self, db: sqlite3.Connection, encoder_id: str, after_n: int, limit: int) -> list[KeyDraft]:
        """As `Keyer.pending`, of events whose digest came after `after_n`, as `newest_digest` tells it."""
        rows = db.execute(
            f"SELECT s.span_id, s.level, s.digest {_DIGESTS} ORDER BY e.seq LIMIT ?",
            (after_n, DIGEST, encoder_id, limit),
        )
        return [KeyDraft(span_id, level, DIGEST, text) for span_id, level, text in rows]


def newest_digest(db: sqlite3.Connection) -> int:
    """The place of the newest digest among all; one that comes or changes later has a larger."""
    return int(db.execute("SELECT COALESCE(MAX(seq), 0) FROM event_told").fetchone()[0])


class FactKeyer:
    """A key per fact of a turn of a chat; all of a turn together, since any says that it has them."""

    def pending(
        self,
        db: sqlite3.Connection,
        encoder_id: str,
        after_n: int,
        limit: int,
        without: Collection[bytes] = frozenset(),
    ) -> list[KeyDraft]:
        """As `Keyer.pending`, in whole turns: more than `limit` only where one turn has more.

        Goes past the turns `without` which it is asked for: none are left where it finds none.
        """
        rows = db.execute(
            f"SELECT o.n, o.observation_id, o.text, t.speaker {_STATED} ORDER BY o.n",
            (after_n, FACT, encoder_id),
        )
        drafts: list[KeyDraft] = []
        for n, owner, text, speaker in rows:
            if len(drafts) >= limit:
                break
            if owner in without:
                continue
            facts = facts_of(text, speaker)
            if drafts and len(drafts) + len(facts) > limit:
                break
            drafts += [
                KeyDraft(owner, "observation", FACT, fact, n, str(place))
                for place, fact in enumerate(facts, start=1)
            ]
        return drafts


def count_pending(db: sqlite3.Connection, encoder_id: str, after_n: int, after_digest: int = 0) -> int:
    """How many keys are still to be made, of observations after row `after_n` and of later digests.

    Those of facts are apart. Counts at most `COUNT_LIMIT` of each.
    """
    texts = _counted(db, _TEXTS, (after_n, *WITHOUT_KEY, encoder_id))
    return texts + _counted(db, _DIGESTS, (after_digest, DIGEST, encoder_id))


def count_turns_pending(db: sqlite3.Connection, encoder_id: str, after_n: int) -> int:
    """How many turns after row `after_n` have no keys of their facts; at most `COUNT_LIMIT`."""
    return _counted(db, _STATED, (after_n, FACT, encoder_id))


def _counted(db: sqlite3.Connection, sql: str, parameters: tuple[object, ...]) -> int:
    rows = f"SELECT COUNT(*) FROM (SELECT 1 {sql} LIMIT ?)"  # noqa: S608
    return int(db.execute(rows, (*parameters, COUNT_LIMIT)).fetchone()[0])


def count_texts(db: sqlite3.Connection) -> int:
    """How many texts of observations get a key. Walks the log: some 0.5 s for a million texts."""
    every = db.execute(
        f"SELECT COUNT(*) FROM observation AS o WHERE text <> '' AND {HAS_KEYS}"  # noqa: S608
        f" AND kind NOT IN ({marks(WITHOUT_KEY)})",
        WITHOUT_KEY,
    ).fetchone()[0]
    return int(every)


def count_turns(db: sqlite3.Connection) -> int:
    """How many turns of chats get keys of their facts. Walks the log too."""
    return int(db.execute(f"SELECT COUNT(*) {_TURNS}", (0,)).fetchone()[0])


def count_digests(db: sqlite3.Connection) -> int:
    """How many events get a key of their digest."""
    digests = db.execute(
        "SELECT COUNT(*) FROM span WHERE level = 'event' AND digest <> '' AND ended_commit IS NULL"
    )
    return int(digests.fetchone()[0])


def add_keys(
    db: sqlite3.Connection,
    drafts: Sequence[KeyDraft],
    vectors: npt.NDArray[np.float32],
    encoder_id: str,
    made_commit: int,
) -> int:
    """Writes keys within the caller's transaction; returns how many were new.

    A draft whose owner went meanwhile (forgotten, or a digest that changed) gets none.

    Args:
        db: The writer's connection.
        drafts: What was encoded.
        vectors: (N, D) float32, unit length, one row per draft.
        encoder_id: Who made them.
        made_commit: The newest commit at this time.
    """
    added = 0
    shared = (encoder_id, vectors.shape[1], made_commit)
    for some in pages(zip(drafts, pack_vectors(vectors), strict=True)):
        values = ", ".join("(?, ?, ?, ?, ?, ?)" for _ in some)
        # One statement: between two of them others get Python's lock.
        added += db.execute(
            "INSERT INTO key (owner, owner_level, kind, encoder_id, dimension, vector, made_commit, terms)"  # noqa: S608
            f" WITH draft (owner, owner_level, kind, vector, text, part) AS (VALUES {values})"
            " SELECT d.owner, d.owner_level, d.kind, ?, ?, d.vector, ?, d.part FROM draft AS d"
            " WHERE EXISTS (SELECT 1 FROM observation WHERE observation_id = d.owner)"
            " OR EXISTS (SELECT 1 FROM span WHERE span_id = d.owner AND digest = d.text)"
            " ON CONFLICT DO NOTHING",
            [value for draft, vector in some for value in _values(draft, vector)] + [*shared],
        ).rowcount
    return added


def _values(draft: KeyDraft, vector: bytes) -> tuple[object, ...]:
    return (draft.owner, draft.owner_level, draft.kind, vector, draft.text, draft.part)


def pack_vectors(vectors: npt.NDArray[np.float32]) -> list[bytes]:
    """Vectors as they lie in the store: float16, little-endian.

    Half the bytes of float32; the cosine of two unit vectors moves by less than 0.001,
    far below what separates two answers (test_memory_keys measures it).
    """
    return [row.tobytes() for row in vectors.astype("<f2")]


def unpack_vectors(rows: Sequence[Any], dimension: int) -> npt.NDArray[np.float32]:
    """What `pack_vectors` made: (N, D) float32, brought back to unit length."""
    return unit_rows(np.frombuffer(b"".join(rows), dtype="<f2"), dimension)
