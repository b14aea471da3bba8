"""Pins: what the owner keeps, whatever the budget. The acts are the truth; the table has what holds.

A pin has the stretch that it was put on in its act, so that it holds for spans that are made anew, too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import NamedTuple

import msgspec

from memory.log.reader import marks
from stream.messages import Act

LEVEL = "observation"
"""Of a pin that holds one observation and nothing else."""
FEWEST_CHARS = 4
"""Of the beginning of an id that stands for it."""


UNPINNED = (
    "NOT EXISTS (SELECT 1 FROM pin AS p WHERE p.target = o.observation_id OR (p.level <> 'observation'"
    " AND p.source_id = o.source_id AND p.session = o.session"
    " AND p.pts0_ns <= o.pts0_ns / 2 + o.pts1_ns / 2 AND p.pts1_ns > o.pts0_ns / 2 + o.pts1_ns / 2))"
)
"""A condition on a row `o` that no pin keeps."""


class Pin(NamedTuple):
    """A pin that holds: what it was put on, and the stretch of its source that it keeps."""

    act_id: bytes
    target: bytes
    level: str
    source_id: bytes
    session: int
    pts0_ns: int
    pts1_ns: int

    def holds(self, observation_id: bytes, source_id: bytes, session: int, middle_ns: int) -> bool:
        """Whether an observation is kept by it."""
        if self.level == LEVEL:
            return observation_id == self.target
        same = (source_id, session) == (self.source_id, self.session)
        return same and self.pts0_ns <= middle_ns < self.pts1_ns


def pins(db: sqlite3.Connection) -> list[Pin]:
    """Every pin that holds."""
    rows = db.execute("SELECT act_id, target, level, source_id, session, pts0_ns, pts1_ns FROM pin")
    return [Pin(*row) for row in rows]


def pinned_among(db: sqlite3.Connection, held: Collection[Pin], numbers: Collection[int]) -> set[int]:
    """Those of some observations that a pin keeps."""
    if not held or not numbers:
        return set()
    rows = db.execute(
        "SELECT n, observation_id, source_id, session, pts0_ns / 2 + pts1_ns / 2 FROM observation"  # noqa: S608
        f" WHERE n IN ({marks(list(numbers))})",
        list(numbers),
    )
    return {n for n, *where in rows if any(pin.holds(*where) for pin in held)}


def stretch_of(db: sqlite3.Connection, target: bytes) -> tuple[str, bytes, int, int, int] | None:
    """Level, source, session and stretch of an observation or a span; None where there is none."""
    row = db.execute(
        "SELECT ?, source_id, session, pts0_ns, pts1_ns FROM observation WHERE observation_id = ?",
        (LEVEL, target),
    ).fetchone()
    if row is None:
        row = db.execute(
            "SELECT level, source_id, session, pts0_ns, pts1_ns FROM span WHERE span_id = ?", (target,)
        ).fetchone()
    return None if row is None else (str(row[0]), bytes(row[1]), *map(int, row[2:]))  # type: ignore[return-value]


def with_stretch(db: sqlite3.Connection, act: Act) -> Act:
    """The act `pin` with the stretch of its target; where there is no such thing, it holds nothing."""
    found = None if "level" in act.value else stretch_of(db, act.target)
    if found is None:
        return act
    names = ("level", "source_id", "session", "pts0_ns", "pts1_ns")
    return msgspec.structs.replace(act, value=dict(act.value) | dict(zip(names, found, strict=True)))


def note_act(db: sqlite3.Connection, act: Act) -> None:
    """Brings the pins in step with an act that was just written."""
    if act.kind == "pin" and "level" in act.value:
        told = act.value
        where = (told["source_id"], told["session"], told["pts0_ns"], told["pts1_ns"])
        db.execute(
            "INSERT OR REPLACE INTO pin (act_id, target, level, source_id, session, pts0_ns, pts1_ns)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (act.act_id, act.target, told["level"], *where),
        )
        db.execute(f"UPDATE span SET pinned = 1 WHERE {_TOUCHED}", _bounds(where))  # noqa: S608
    elif act.kind == "undo":
        gone = db.execute(
            "DELETE FROM pin WHERE act_id = ? RETURNING source_id, session, pts0_ns, pts1_ns", (act.undoes,)
        ).fetchone()
        if gone is not None:
            db.execute(
                "UPDATE span SET pinned = EXISTS (SELECT 1 FROM pin AS p WHERE p.source_id = span.source_id"  # noqa: S608
                " AND p.session = span.session AND p.pts0_ns < span.pts1_ns AND (p.pts1_ns > span.pts0_ns"
                f" OR p.pts0_ns >= span.pts0_ns)) WHERE {_TOUCHED}",
                _bounds(gone),
            )


_TOUCHED = (
    "level IN ('event', 'shot', 'frame') AND source_id = ? AND session = ? AND ended_commit IS NULL"
    " AND pts0_ns < max(?, ? + 1) AND pts1_ns > ?"
)


def _bounds(where: tuple[object, object, object, object]) -> tuple[object, ...]:
    source_id, session, pts0_ns, pts1_ns = where
    return source_id, session, pts1_ns, pts0_ns, pts0_ns


def resolved(db: sqlite3.Connection, told: str) -> bytes | None:
    """The id of the observation or span whose hexadecimal id begins so; None where none does, or several."""
    if len(told) < FEWEST_CHARS:
        return None
    try:
        low = bytes.fromhex(told.ljust(32, "0"))
        high = bytes.fromhex(told.ljust(32, "f"))
    except ValueError:
        return None
    found: set[bytes] = set()
    for table, column in (("observation", "observation_id"), ("span", "span_id")):
        rows = db.execute(f"SELECT {column} FROM {table} WHERE {column} BETWEEN ? AND ? LIMIT 2", (low, high))  # noqa: S608
        found.update(bytes(row[0]) for row in rows)
    return found.pop() if len(found) == 1 else None
