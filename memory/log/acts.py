"""Acts of the owner in the log: written once, never edited, undone only by later acts."""

from __future__ import annotations

import sqlite3

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


def _act(row: tuple[object, ...]) -> Act:
    *fields, value = row
    named: dict[str, object] = dict(zip(_COLUMNS.split(", "), fields, strict=False))
    named["value"] = msgpack.unpackb(value) if isinstance(value, bytes) else {}
    return msgspec.convert(named, Act)
