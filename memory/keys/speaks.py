"""Whose keys of texts answer questions, and whose are to: kept in the store itself, as views are.

One encoder answers. Where another is wanted, by the configuration or by `omnirecall reindex`, keys of
both are made side by side, and questions go on with the old ones. Once the new one has a key of every
text, one transaction makes it the one that answers; a question reads who answers in the same snapshot
that it searches, so that it is compared with keys of one encoder only, and with all of them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from typing import NamedTuple

from memory.keys.facts import FACT
from memory.keys.keyers import DIGEST, KIND_OF_KEY
from memory.log.reader import marks

TEXT_KINDS = (*dict.fromkeys(KIND_OF_KEY.values()), "text", DIGEST, FACT)
"""Kinds of keys that are made of texts here; others came with their observations and cannot be made again."""
THROUGH = "keys_through.1:"
"""Begins the name of a view's state; the number is that of the rule which texts get a key, so that all are
looked at again where another rule comes."""
LOOKED_AT = 100
_ANSWERS, _MODEL, _CHOSEN, _KEPT = "text_encoder", "text_model", "text_chosen", "text_kept"


class Speaks(NamedTuple):
    """An encoder of texts, and the name by which the encoder process finds its model."""

    encoder_id: str
    model: str


class Choice(NamedTuple):
    """A model that was chosen for this store by hand: it stands until the configuration changes.

    `instead_of` is the encoder that was configured then.
    """

    model: str
    instead_of: str


def answering(db: sqlite3.Connection) -> Speaks | None:
    """Whose keys questions are compared with; None in a store without keys of texts."""
    encoder_id = _value(db, _ANSWERS)
    if not encoder_id:
        return None
    told = json.loads(_value(db, _MODEL) or "{}")
    # A store of an earlier release says no model: the encoder may know it by the id.
    return Speaks(encoder_id, told["model"] if told.get("of") == encoder_id else encoder_id)


def answer_with(db: sqlite3.Connection, speaks: Speaks) -> None:
    """Makes an encoder the one that answers, within the caller's transaction."""
    _set(db, _ANSWERS, speaks.encoder_id)
    _set(db, _MODEL, json.dumps({"of": speaks.encoder_id, "model": speaks.model}))


def chosen(db: sqlite3.Connection) -> Choice | None:
    """What was chosen by hand, if anything."""
    told = _value(db, _CHOSEN)
    return Choice(**json.loads(told)) if told else None


def choose(db: sqlite3.Connection, choice: Choice | None, keep_old: bool | None) -> None:
    """Notes a choice, or that the configuration decides; and whether replaced keys are kept.

    Args:
        db: The writer's connection, within a transaction.
        choice: None: the configuration decides.
        keep_old: None: as it was.
    """
    _set(db, _CHOSEN, json.dumps(choice._asdict()) if choice else "")
    keep(db, keep_old)


def keep(db: sqlite3.Connection, keep_old: bool | None) -> None:
    """Notes whether replaced keys are kept, within the caller's transaction; None: as it was."""
    if keep_old is not None:
        _set(db, _KEPT, "yes" if keep_old else "")


def keeps_old(db: sqlite3.Connection) -> bool:
    """Whether keys of an encoder that was replaced stay in the store."""
    return bool(_value(db, _KEPT))


def replaced(db: sqlite3.Connection, in_use: Collection[str]) -> list[str]:
    """Encoders of keys of texts that are not in use, by the first keys that each has."""
    found = []
    for encoder_id in encoders(db):
        kinds = db.execute(
            "SELECT kind FROM key WHERE encoder_id = ? ORDER BY key_id LIMIT ?", (encoder_id, LOOKED_AT)
        )
        if encoder_id not in in_use and any(kind in TEXT_KINDS for (kind,) in kinds):
            found.append(encoder_id)
    return found


def encoders(db: sqlite3.Connection) -> list[str]:
    """All encoders that have a key, in order of their ids; by the index of encoders alone.

    But those of voices: nobody searches among them, and no file but the log is to hold any.
    """
    voices = {row[0] for row in db.execute("SELECT DISTINCT encoder_id FROM key WHERE kind = 'voice'")}
    rows = db.execute("SELECT DISTINCT encoder_id FROM key ORDER BY encoder_id")
    return [row[0] for row in rows if row[0] not in voices]


def remove_keys(db: sqlite3.Connection, encoder_id: str, limit: int) -> int:
    """Takes the first `limit` keys of texts of an encoder away, within the caller's transaction."""
    return db.execute(
        "DELETE FROM key WHERE key_id IN (SELECT key_id FROM key WHERE encoder_id = ?"  # noqa: S608
        f" AND kind IN ({marks(TEXT_KINDS)}) ORDER BY key_id LIMIT ?)",
        (encoder_id, *TEXT_KINDS, limit),
    ).rowcount


def count_keys(db: sqlite3.Connection, encoder_id: str) -> int:
    """How many keys an encoder has, by the index of encoders alone."""
    return int(db.execute("SELECT COUNT(*) FROM key WHERE encoder_id = ?", (encoder_id,)).fetchone()[0])


def keys_by_encoder(db: sqlite3.Connection) -> dict[str, int]:
    """How many keys each encoder has in the store."""
    rows = db.execute("SELECT encoder_id, COUNT(*) FROM key GROUP BY encoder_id")
    return {encoder_id: int(n) for encoder_id, n in rows}


class Through(NamedTuple):
    """How far every text of a store has its key of an encoder, or gets none.

    `n` and `fact_n` are row numbers of observations, `digest` is a place as `newest_digest` tells it.
    """

    n: int
    digest: int
    fact_n: int


def through(db: sqlite3.Connection, encoder_id: str) -> Through:
    """How far it was noted that nothing lacks a key: two million rows take 20 s to look at."""
    try:
        noted = Through(*map(int, _value(db, f"{THROUGH}{encoder_id}").split()))
    except (TypeError, ValueError):
        return Through(0, 0, 0)
    newest = int(db.execute("SELECT COALESCE(MAX(n), 0) FROM observation").fetchone()[0])
    # A number that was not given yet is of another store.
    return noted if max(noted.n, noted.fact_n) <= newest else Through(0, 0, 0)


def note_through(db: sqlite3.Connection, encoder_id: str, so_far: Through) -> None:
    """Notes it, within the caller's transaction."""
    _set(db, f"{THROUGH}{encoder_id}", " ".join(map(str, so_far)))


def _value(db: sqlite3.Connection, name: str) -> str:
    row = db.execute("SELECT value FROM view_state WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else ""


def _set(db: sqlite3.Connection, name: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO view_state VALUES (?, ?)", (name, value))
