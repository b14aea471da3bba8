"""What the owner says about places, made into acts."""

from __future__ import annotations

import sqlite3
from typing import Literal

from memory.bounds import NAME_CHARS
from memory.places.owner import KINDS, OF, anchors_of, place_acts
from memory.places.told import named_places
from stream.errors import ConfigError
from stream.messages import Act, new_id
from stream.messages.places import PlacePut
from stream.wire.bounds import shortened

MOST_VISITS = 256
"""Visits that one split takes out."""
MOST_MERGED = 256
"""Places of one merge: with the stretches by which it names them it must fit a reply."""
LABEL_CHARS = 100


def act_of(db: sqlite3.Connection, put: PlacePut, now_ns: int) -> Act:
    """The act that a request stands for.

    Raises:
        ConfigError: If it names nothing, or what is not there.
    """
    if put.kind == "undo":
        return _undo(db, put, now_ns)
    if put.kind == "label":
        label = " ".join(put.label.split())
        if not label or len(label) > LABEL_CHARS:
            raise ConfigError(
                f"a label has 1 to {LABEL_CHARS} characters, not {len(label)}",
                remedy='omnirecall places label 1a2b3c4d "kitchen"',
            )
        target = _one(db, put.places)
        return _act("label", now_ns, target, {"label": label, "anchors": _anchors(db, [target])}, text=label)
    if put.kind == "merge":
        ids = list(dict.fromkeys(one for name in put.places for one in named_places(db, name)))
        if len(ids) < 2:
            raise ConfigError("a merge needs two places or more", remedy="omnirecall places merge A B")
        if len(ids) > MOST_MERGED:
            raise ConfigError(
                f"a merge is of 2 to {MOST_MERGED} places, not {len(ids)}",
                remedy="merge some of them, then that place with others",
            )
        return _act("merge", now_ns, ids[0], {"places": ids[1:], "anchors": _anchors(db, ids)})
    return _split(db, put, now_ns)


def _split(db: sqlite3.Connection, put: PlacePut, now_ns: int) -> Act:
    if not put.visits or len(put.visits) > MOST_VISITS:
        raise ConfigError(
            f"name 1 to {MOST_VISITS} visits of the place that are elsewhere",
            remedy="omnirecall places show PLACE tells them; then places split PLACE VISIT...",
        )
    target = _one(db, put.places)
    at = []
    for written in put.visits:
        row = _visit(db, written)
        if row[0] != target:
            raise ConfigError(f"the visit {shortened(written, NAME_CHARS)!r} is not at that place")
        at.append(list(row[1:]))
    n_visits = int(db.execute("SELECT COUNT(*) FROM visit WHERE place_id = ?", (target,)).fetchone()[0])
    if len({tuple(one) for one in at}) >= n_visits:
        raise ConfigError("these are all visits of that place: nothing would be left of it")
    return _act("split", now_ns, target, {"at": at, "anchors": _anchors(db, [target])})


def _undo(db: sqlite3.Connection, put: PlacePut, now_ns: int) -> Act:
    held = place_acts(db)
    named = put.undoes.strip().lower()
    fitting = [one for one in held if one.act_id.hex().startswith(named)] if named else held[-1:]
    if len(fitting) != 1:
        raise ConfigError(
            f"there is no act {shortened(named, NAME_CHARS)!r} about places, or several"
            if named
            else "nothing was decided about places that could be taken back",
            remedy=f"omnirecall places acts tells what holds ({', '.join(KINDS)})",
        )
    undone = fitting[0]
    return Act(act_id=new_id(), kind="undo", t_ns=now_ns, target=undone.target, undoes=undone.act_id)


def _act(
    kind: Literal["label", "merge", "split"],
    now_ns: int,
    target: bytes,
    value: dict[str, object],
    text: str = "",
) -> Act:
    told: dict[str, object] = {"of": OF, **value}
    return Act(act_id=new_id(), kind=kind, t_ns=now_ns, target=target, text=text, value=told)


def _one(db: sqlite3.Connection, names: tuple[str, ...]) -> bytes:
    if len(names) != 1:
        raise ConfigError(f"name one place, not {len(names)}", remedy="omnirecall places list")
    found = named_places(db, names[0])
    if len(found) > 1:
        raise ConfigError(
            f"{len(found)} places are called {shortened(names[0], NAME_CHARS)!r}",
            remedy="name one by its id, as places list tells it, or merge them",
        )
    return found[0]


def _anchors(db: sqlite3.Connection, ids: list[bytes]) -> dict[str, list[list[object]]]:
    return {one.hex(): anchors_of(db, one) for one in ids}


def _visit(db: sqlite3.Connection, written: str) -> tuple[bytes, bytes, int, int, int]:
    digits = written.strip().lower()
    if 4 <= len(digits) <= 32 and set(digits) <= set("0123456789abcdef"):
        low, high = bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))
        rows = db.execute(
            "SELECT place_id, source_id, session, pts0_ns, pts1_ns FROM visit"
            " WHERE visit_id BETWEEN ? AND ? LIMIT 2",
            (low, high),
        ).fetchall()
        if len(rows) == 1:
            found: tuple[bytes, bytes, int, int, int] = rows[0]
            return found
    raise ConfigError(
        f"{shortened(written, NAME_CHARS)!r} is no id of a visit, or of several",
        remedy="omnirecall places show PLACE tells its visits",
    )
