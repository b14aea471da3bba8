"""What the owner decided about places: acts on top of what the map found, none of them in it.

The map alone says of which place a view is (`found`). Acts are played over that in the order of their
commits: a merge makes views of some places those of another, a split takes the views of some stretches out, a
label names. Whatever is undone is as if it had never been, and nothing is recognised again for it. After a
split a new view goes with the likest of the views that were there then.

An act names a place by its id and by stretches where views of it lie, so that it still holds where the map is
made anew and its ids are others.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from memory.keys.keyers import unpack_vectors
from memory.log.reader import marks, pages
from memory.places.map import place_id_of
from memory.places.recognition import Vector

OF = "place"
"""In the value of an act: that it is about a place, not a person."""
KINDS = ("label", "merge", "split")
ANCHORS = 12
"""Stretches by which an act names a place."""
SIDE_VIEWS = 512
"""Views of a place that was split by which new ones are told apart, the newest."""

Where = tuple[bytes, int, int]
"""Source, session and position of a view."""


class PlaceAct(NamedTuple):
    """One act that holds. `places` are other places of a merge; `at` stretches of a split."""

    act_id: bytes
    kind: str
    commit_no: int
    target: bytes
    places: tuple[bytes, ...]
    label: str
    at: tuple[tuple[bytes, int, int, int], ...]


class _Value(msgspec.Struct):
    """The value of an act about places; what was committed in another form says nothing."""

    of: Literal["place"]
    label: str = ""
    places: list[bytes] = []
    at: list[tuple[bytes, int, int, int]] = []
    anchors: dict[str, list[tuple[bytes, int, int]]] = {}


class Row(NamedTuple):
    """A view as acts look at it."""

    n: int
    source_id: bytes
    session: int
    pts0_ns: int
    commit_no: int
    found: bytes


@dataclass(slots=True)
class _Sides:
    """Views of a place as it was when it was split, by encoder: their vectors, and which went out."""

    rows: dict[str, tuple[Vector, list[bool]]] = field(default_factory=dict)

    def goes_out(self, encoder_id: str, vector: Vector) -> bool:
        vectors, out = self.rows.get(encoder_id, (None, []))
        return vectors is not None and bool(out) and out[int(np.argmax(vectors @ vector))]


def place_acts(db: sqlite3.Connection) -> list[PlaceAct]:
    """The acts about places that hold, in the order of their commits, places as they are called now."""
    rows = db.execute(
        "SELECT a.act_id, a.kind, a.commit_no, a.target, a.value FROM act AS a WHERE a.kind IN ('label',"
        " 'merge', 'split') AND a.value IS NOT NULL AND NOT EXISTS (SELECT 1 FROM act AS u"
        " WHERE u.kind = 'undo' AND u.undoes = a.act_id) ORDER BY a.commit_no, a.t_ns, a.act_id"
    ).fetchall()
    found: list[PlaceAct] = []
    made: set[bytes] = set()
    for act_id, kind, commit_no, target, value in rows:
        try:
            told = msgspec.msgpack.decode(value, type=_Value)
        except msgspec.DecodeError:
            continue  # About a person, or not of that form.
        names = {
            one: one if one in made else _now(db, one, told.anchors.get(one.hex(), ()))
            for one in (target, *told.places)
        }
        if kind == "split":
            made.add(place_id_of(act_id))
        found.append(
            PlaceAct(
                act_id,
                kind,
                commit_no,
                names[target],
                tuple(names[one] for one in told.places),
                told.label,
                tuple(told.at),
            )
        )
    return found


def anchors_of(db: sqlite3.Connection, place_id: bytes) -> list[list[object]]:
    """Positions of some views of a place, spread over all of them; of prototypes first."""
    rows = db.execute(
        "SELECT v.source_id, v.session, v.pts0_ns FROM place_view AS v WHERE v.place_id = ?"
        " ORDER BY EXISTS (SELECT 1 FROM place_change AS c WHERE c.n = v.n) DESC, v.n",
        (place_id,),
    ).fetchall()
    step = max(1, len(rows) // ANCHORS)
    return [list(row) for row in rows[::step][:ANCHORS]]


def _now(db: sqlite3.Connection, place_id: bytes, anchors: Iterable[Sequence[object]]) -> bytes:
    """What a place is called now: as it was, or as most of its views are found."""
    if db.execute("SELECT 1 FROM place_view WHERE found = ? LIMIT 1", (place_id,)).fetchone():
        return place_id
    votes: Counter[bytes] = Counter()
    for source_id, session, pts_ns in anchors:
        row = db.execute(
            "SELECT found FROM place_view WHERE source_id = ? AND session = ? AND pts0_ns = ?"
            " AND found <> x''",
            (source_id, session, pts_ns),
        ).fetchone()
        if row is not None:
            votes[row[0]] += 1
    return max(votes, key=lambda one: (votes[one], one)) if votes else place_id


class Owner:
    """The acts that hold, played over what was found.

    Args:
        db: A connection; read now, and at the first view after a split.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self.acts = place_acts(db)
        self._db = db
        self._sides: dict[bytes, _Sides] = {}

    @property
    def ids(self) -> str:
        """Names what holds: equal where the same acts do."""
        return " ".join(f"{one.act_id.hex()}:{one.target.hex()}" for one in self.acts)

    def splits(self, found: bytes) -> bool:
        """Whether two views that were found at one place may be of two now."""
        now = found
        for act in self.acts:
            if act.kind == "merge" and now in act.places:
                now = act.target
            elif act.kind == "split" and now == act.target:
                return True
        return False

    def final(self, place_id: bytes) -> bytes:
        """As which place one counts after all merges."""
        for act in self.acts:
            if act.kind == "merge" and place_id in act.places:
                place_id = act.target
        return place_id

    def place_of(self, row: Row, encoder_id: str = "", vector: Vector | None = None) -> bytes:
        """The place of a view; its key is needed where it came after a split of its place."""
        now = row.found
        for act in self.acts if now else ():
            if act.kind == "merge" and now in act.places:
                now = act.target
            elif act.kind == "split" and now == act.target and self._is_out(act, row, encoder_id, vector):
                now = place_id_of(act.act_id)
        return now

    def labels(self) -> dict[bytes, str]:
        """The label of each place that has one."""
        found: dict[bytes, str] = {}
        for act in self.acts:
            if act.kind == "label":
                found[act.target] = act.label
            elif act.kind == "merge":
                for other in act.places:
                    label = found.pop(other, "")
                    if label and not found.get(act.target):
                        found[act.target] = label
        return {place_id: label for place_id, label in found.items() if label}

    def _is_out(self, act: PlaceAct, row: Row, encoder_id: str, vector: Vector | None) -> bool:
        if row.commit_no <= act.commit_no or vector is None:
            return _in_stretches(row, act)
        if act.act_id not in self._sides:
            self._sides[act.act_id] = self._read_sides(act)
        return _in_stretches(row, act) or self._sides[act.act_id].goes_out(encoder_id, vector)

    def _read_sides(self, act: PlaceAct) -> _Sides:
        """The views that a place had when it was split, as earlier acts have it."""
        earlier = Owner.__new__(Owner)
        earlier.acts, earlier._db, earlier._sides = [], self._db, {}
        for one in self.acts:
            if one.act_id == act.act_id:
                break
            earlier.acts.append(one)
        read: dict[str, list[Row]] = {}
        for encoder_id, row in self._rows_before(act, earlier):
            of = read.setdefault(encoder_id, [])
            if len(of) < SIDE_VIEWS and earlier.place_of(row) == act.target:
                of.append(row)
        return _Sides({one: self._side(one, rows, act) for one, rows in read.items() if rows})

    def _rows_before(self, act: PlaceAct, earlier: Owner) -> list[tuple[str, Row]]:
        """The views that a split may be of, with their encoders, the newest first; none of other places."""
        every = self._db.execute("SELECT DISTINCT found FROM place_view WHERE found <> x''").fetchall()
        founds = [
            found
            for (found,) in every
            if earlier.splits(found) or earlier.place_of(Row(0, b"", 0, 0, 0, found)) == act.target
        ]
        rows: list[tuple[str, Row]] = []
        for some in pages(founds):
            rows += (
                (encoder_id, Row(*fields))
                for *fields, encoder_id in self._db.execute(
                    "SELECT n, source_id, session, pts0_ns, commit_no, found, encoder_id FROM place_view"  # noqa: S608
                    f" WHERE commit_no <= ? AND found IN ({marks(some)})",
                    (act.commit_no, *some),
                )
            )
        return sorted(rows, key=lambda one: -one[1].n)

    def _side(self, encoder_id: str, rows: Sequence[Row], act: PlaceAct) -> tuple[Vector, list[bool]]:
        vectors, out, dimension = [], [], 0
        for row in rows:
            key = self._db.execute(
                "SELECT k.vector, k.dimension FROM place_view AS v JOIN key AS k ON k.owner = v.view_id"
                " AND k.kind = 'place' AND k.encoder_id = ? WHERE v.n = ?",
                (encoder_id, row.n),
            ).fetchone()
            if key is not None:
                dimension = key[1]
                vectors.append(key[0])
                out.append(_in_stretches(row, act))
        return unpack_vectors(vectors, dimension or 1), out


def _in_stretches(row: Row, act: PlaceAct) -> bool:
    return any(
        (row.source_id, row.session) == (source_id, session) and pts0_ns <= row.pts0_ns < pts1_ns
        for source_id, session, pts0_ns, pts1_ns in act.at
    )
