"""The journal of erasures: what was begun is finished, whatever ends the process in between."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Literal

import msgpack

from memory.forget.erase import Erased

Stage = Literal["media", "views", "log", "spool", "search", "done"]
STAGES: tuple[Stage, ...] = ("media", "views", "log", "spool", "search", "done")
"""In this order; rows are gone before the first."""


@dataclass(slots=True)
class Erasure:
    """One row of the journal. `key_ids` are known to the process that took the rows only."""

    erasure_id: bytes
    stage: Stage
    counts: dict[str, int]
    remains: dict[str, int] = field(default_factory=dict)
    salt: bytes = b""
    prints: bytes = b""
    key_ids: list[int] = field(default_factory=list)
    problem: str = ""

    @property
    def verified(self) -> bool:
        """Whether it is over and no byte was found."""
        return self.stage == "done" and not self.remains


def begin(db: sqlite3.Connection, erasure_id: bytes, commit_no: int, t_ns: int, erased: Erased) -> Erasure:
    """Writes what is still to be wiped, in the transaction that took the rows."""
    made = Erasure(
        erasure_id,
        STAGES[0],
        erased.counts,
        salt=erased.gathering.salt,
        prints=erased.gathering.prints(),
        key_ids=erased.key_ids,
    )
    db.execute(
        "INSERT INTO erasure (erasure_id, commit_no, t_ns, stage, counts, salt, prints)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (erasure_id, commit_no, t_ns, made.stage, msgpack.packb(made.counts), made.salt, made.prints),
    )
    db.executemany(
        "INSERT OR IGNORE INTO erasure_file (erasure_id, path, media_hash) VALUES (?, ?, ?)",
        ((erasure_id, path, digest) for path, digest in erased.files),
    )
    return made


def advance(db: sqlite3.Connection, erasure: Erasure, remains: dict[str, int] | None = None) -> Stage:
    """Notes that a stage is over; the last one takes fingerprints and names of files away."""
    stage = STAGES[STAGES.index(erasure.stage) + 1]
    if stage != "done":
        db.execute("UPDATE erasure SET stage = ? WHERE erasure_id = ?", (stage, erasure.erasure_id))
        return stage
    db.execute("DELETE FROM erasure_file WHERE erasure_id = ?", (erasure.erasure_id,))
    db.execute(
        "UPDATE erasure SET stage = ?, remains = ?, salt = NULL, prints = NULL WHERE erasure_id = ?",
        (stage, msgpack.packb(remains or {}), erasure.erasure_id),
    )
    return stage


def unfinished(db: sqlite3.Connection) -> list[Erasure]:
    """Erasures that were begun and are not done, oldest first."""
    rows = db.execute(
        "SELECT erasure_id, stage, counts, remains, salt, prints FROM erasure WHERE stage <> 'done'"
        " ORDER BY commit_no"
    )
    return [_erasure(row) for row in rows.fetchall()]


def known(db: sqlite3.Connection, erasure_id: bytes) -> Erasure | None:
    """One erasure, or None if it was never begun."""
    row = db.execute(
        "SELECT erasure_id, stage, counts, remains, salt, prints FROM erasure WHERE erasure_id = ?",
        (erasure_id,),
    ).fetchone()
    return _erasure(row) if row is not None else None


def _erasure(row: tuple[bytes, Stage, bytes, bytes | None, bytes | None, bytes | None]) -> Erasure:
    erasure_id, stage, counts, remains, salt, prints = row
    return Erasure(
        bytes(erasure_id),
        stage,
        msgpack.unpackb(counts),
        msgpack.unpackb(remains) if remains else {},
        bytes(salt or b""),
        bytes(prints or b""),
    )
