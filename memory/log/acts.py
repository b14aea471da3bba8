"""Acts of the owner in the log: written once, never edited, undone only by later acts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgpack
import msgspec

from memory.log.pins import note_act, with_stretch
from stream.messages import Act

_COLUMNS = "act_id, kind, t_ns, target, undoes, text, value"


def add_act(db: sqlite3.Connection, act: Act, commit_no: int) -> bool:
    """Writes an act; False if it is there already."""
    if db.execute("SELECT 1 FROM act WHERE act_id = ?", (act.act_id,)).fetchone():
        return False
    if act.kind == "pin":
        act = with_stretch(db, act)
    value = msgpack.packb(act.value) if act.value else None
    added = db.execute(
        f"INSERT INTO act ({_COLUMNS}, commit_no) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        " ON CONFLICT (act_id) DO NOTHING",
        (act.act_id, act.kind, act.t_ns, act.target, act.undoes, act.text, value, commit_no),
    )
    note_act(db, act)
    return added.rowcount == 1


def acts_on(db: sqlite3.Connection, target: bytes) -> list[Act]:
    """What the owner decided about one thing, oldest first, undone acts left out."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM act AS a WHERE target = ? AND kind <> 'undo'"  # noqa: S608
        " AND NOT EXISTS (SELECT 1 FROM act AS u WHERE u.kind = 'undo' AND u.undoes = a.act_id)"
        " ORDER BY commit_no, t_ns, act_id",
        (target,),
    )
    return [_act(row) for row in rows]


def acts_on_persons(db: sqlite3.Connection) -> list[Act]:
    """What the owner decided about persons, oldest first, undone acts left out."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM act AS a WHERE kind IN ('label', 'merge', 'split') AND NOT EXISTS"  # noqa: S608
        " (SELECT 1 FROM act AS u WHERE u.kind = 'undo' AND u.undoes = a.act_id)"
        " ORDER BY commit_no, t_ns, act_id"
    )
    return [act for act in map(_act, rows) if act.value.get("of") == "person"]


def acts_of(db: sqlite3.Connection, ids: Iterable[bytes]) -> list[Act]:
    """The acts of some ids, in order of these; what is not there is left out."""
    rows = [
        db.execute(f"SELECT {_COLUMNS} FROM act WHERE act_id = ?", (one,)).fetchone()  # noqa: S608
        for one in sorted(set(ids))
    ]
    return [_act(row) for row in rows if row is not None]


def corrections_at(db: sqlite3.Connection, as_of: int | None, limit: int) -> list[Act]:
    """The newest corrections that were known and not undone at a commit (None: now), oldest first."""
    last = 2**62 if as_of is None else as_of
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM act AS a WHERE kind = 'correct' AND commit_no <= ? AND NOT EXISTS"  # noqa: S608
        " (SELECT 1 FROM act AS u WHERE u.kind = 'undo' AND u.undoes = a.act_id AND u.commit_no <= ?)"
        " ORDER BY commit_no DESC, t_ns DESC LIMIT ?",
        (last, last, limit),
    ).fetchall()
    return [_act(row) for row in reversed(rows)]


def acts_of_kind(db: sqlite3.Connection, kind: str) -> list[tuple[Act, int, bool]]:
    """Every act of a kind, the oldest first, with its commit and whether it was undone."""
    rows = db.execute(
        f"SELECT commit_no, EXISTS (SELECT 1 FROM act AS u WHERE u.kind = 'undo' AND u.undoes = a.act_id),"  # noqa: S608
        f" {_COLUMNS} FROM act AS a WHERE kind = ? ORDER BY commit_no, t_ns, act_id",
        (kind,),
    )
    return [(_act(fields), int(commit_no), bool(is_undone)) for commit_no, is_undone, *fields in rows]


def _act(row: Sequence[object]) -> Act:
    *fields, value = row
    named: dict[str, object] = dict(zip(_COLUMNS.split(", "), fields, strict=False))
    named["value"] = msgpack.unpackb(value) if isinstance(value, bytes) else {}
    return msgspec.convert(named, Act)
