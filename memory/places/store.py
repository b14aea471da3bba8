"""The map of a store: views of the log through `PlaceMap` into the tables of places.

A step has two halves. `look` reads what was committed since and recognises it, on a snapshot and in a lane of
its own, since comparing pictures takes time; `write` puts down what came out in one small transaction. What
the map knows stands in the tables too, so that a process that was killed goes on as if nothing had happened.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np

from memory.keys.keyers import unpack_vectors
from memory.log.reader import LIVE_KINDS
from memory.places.geometry import LocalFeatures
from memory.places.map import At, Change, PlaceMap, Stream, View
from memory.places.owner import Owner, Row
from memory.places.recognition import Recognises, SampledRecogniser, Vector
from memory.places.settings import PlaceSettings
from memory.places.visits import make_visits, tend_places
from stream.errors import Malformed
from stream.messages.place_view import PlaceView, place_view

KEY = "place"
"""Kind of the keys of views, and of the views themselves."""
VIEW = "view"
PER_STEP = 32
"""Views recognised in one look; at 60 ms each, two seconds of a lane that nobody waits for."""
FITS = (0, 4, 8, 16, 32, 64, 128, 256, 512)
"""Numbers of views whose statistics whoever recognises may know. While there are few, each doubling makes the
map anew with better ones: the map is decided by the log, not by when its views came."""
MOST_UNREAD = 4_096
"""Rows without a view that are passed before the tables say so: in a store without views nothing is written
for each commit."""
RULES = "places-2"
"""Version of the map; a store of another one has its places made anew."""
_READ, _RULES, _EPOCH, _ACTS = "places.read", "places.rules", "places.epoch", "places.acts"
_FITS = "places.fits"
_LENGTHS = "places.lengths"
"""Of the settings, those that visits are made with: who mends them after forgetting has no others."""

_VIEWS = (
    "SELECT o.n, o.observation_id, o.source_id, o.session, o.pts0_ns, o.pts1_ns, o.commit_no, o.lat, o.lon,"
    " o.payload, k.encoder_id, k.dimension, k.vector, s.kind, (SELECT u.uri FROM source_uri AS u"
    " WHERE u.source_id = o.source_id AND u.session = o.session ORDER BY u.n DESC LIMIT 1)"
    " FROM observation AS o JOIN key AS k ON k.key_id = (SELECT MIN(p.key_id) FROM key AS p"
    " WHERE p.owner = o.observation_id AND p.kind = 'place' AND p.vector IS NOT NULL"
    " AND p.dimension = (SELECT f.dimension FROM key AS f WHERE f.encoder_id = p.encoder_id"
    " ORDER BY f.key_id LIMIT 1))"
    " JOIN source AS s ON s.source_id = o.source_id AND s.session = o.session WHERE o.kind = 'view'"
)


@dataclass(frozen=True, slots=True, eq=False)
class LoggedView:
    """A view with where it stands in the log."""

    n: int
    pts1_ns: int
    commit_no: int
    encoder_id: str
    view: View


@dataclass(slots=True)
class Looked:
    """What a look found: rows to write, in order, and what the map is to remember.

    `found` are (view, place as found, likeness). `edits`, in order, are of what was written before: an
    earlier view that is of another place now ("moved"), or a place all of whose views are ("dissolved").
    """

    epoch: int
    before: int
    read: int
    more: bool = False
    fits: str = ""
    found: list[tuple[LoggedView, bytes, float]] = field(default_factory=list)
    edits: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    changes: dict[str, list[tuple[Change, int]]] = field(default_factory=dict)
    at: dict[tuple[str, Stream], bytes] = field(default_factory=dict)
    homes: dict[tuple[str, bytes], bytes] = field(default_factory=dict)


class PlaceStore:
    """Makes the tables of places. `look` and `write` take turns, whatever lanes they run in.

    Args:
        settings: Of the map.
        make_recogniser: Makes whoever compares views, one for each encoder, given (N, d) float32, a sample of
            the views.
    """

    def __init__(
        self, settings: PlaceSettings, make_recogniser: Callable[[Vector], Recognises] = SampledRecogniser
    ) -> None:
        self._settings, self._make_recogniser = settings, make_recogniser
        self._maps: dict[str, PlaceMap] = {}
        self._numbers: dict[bytes, int] = {}
        self._samples: dict[str, Vector] = {}
        self._known: tuple[int, int] | None = None
        self._bare = (0, 0)
        """Epoch, and the row up to which no view is beyond what was read."""

    # Looking: on a snapshot.

    def is_due(self, db: sqlite3.Connection) -> bool:
        """Whether something was committed, decided or forgotten that the tables do not have yet."""
        if _text(db, _RULES) != RULES or _text(db, _ACTS) != Owner(db).ids:
            return True
        return _text(db, _LENGTHS) != _lengths(self._settings) or self._has_unread(db)

    def _has_unread(self, db: sqlite3.Connection) -> bool:
        """Whether there is a view beyond what was read, or a great many other rows."""
        read = _number(db, _READ)
        last = int(db.execute("SELECT COALESCE(MAX(n), 0) FROM observation").fetchone()[0])
        epoch = _number(db, _EPOCH)
        after = max(read, self._bare[1]) if self._bare[0] == epoch else read
        view = db.execute("SELECT 1 FROM observation WHERE n > ? AND +kind = ? LIMIT 1", (after, VIEW))
        if view.fetchone() is not None or last - read > MOST_UNREAD:
            return True
        self._bare = (epoch, last)
        return False

    def look(self, db: sqlite3.Connection, limit: int = PER_STEP) -> Looked:
        """Recognises the views that came since, at most so many; nothing is written."""
        epoch, read = _number(db, _EPOCH), _number(db, _READ)
        fits = fits_of(db)
        if _text(db, _RULES) != RULES or _text(db, _FITS) != json.dumps(fits):
            self._known = None
            return Looked(epoch, read, read, more=True, fits=json.dumps(fits))
        if self._known != (epoch, read):
            self._load(db)
        rows = db.execute(f"{_VIEWS} AND o.n > ? ORDER BY o.n LIMIT ?", (read, limit + 1)).fetchall()
        looked = Looked(epoch, read, 0, more=len(rows) > limit, fits=json.dumps(fits))
        for row in rows[:limit]:
            self._see(_logged_view(row, self._settings), looked)
        if looked.more:
            looked.read = rows[limit - 1][0]
        else:
            looked.read = int(db.execute("SELECT COALESCE(MAX(n), 0) FROM observation").fetchone()[0])
        for encoder_id, made in self._maps.items():
            changes = made.take_changes()
            if changes:
                looked.changes[encoder_id] = [(one, self._numbers[one.view_id]) for one in changes]
            for source_id, home in made.homes.items():
                looked.homes[encoder_id, source_id] = home
        self._known = (epoch, looked.read)
        return looked

    def _see(self, logged: LoggedView, looked: Looked) -> None:
        made = self._map(logged.encoder_id)
        view = logged.view
        self._numbers[view.view_id] = logged.n
        seen = made.see(view)
        looked.found.append((logged, seen.place_id, seen.likeness))
        if seen.dissolved:
            looked.found = [
                (one, seen.place_id if found == seen.dissolved else found, likeness)
                for one, found, likeness in looked.found
            ]
            looked.edits.append(("dissolved", seen.dissolved, seen.place_id))
            # Other streams may have been there.
            looked.at |= {
                (logged.encoder_id, stream): _packed_at(at)
                for stream, at in made.at.items()
                if at.place_id == seen.place_id
            }
        moved = set(seen.moved)
        if moved:
            looked.found = [
                (one, seen.place_id if one.view.view_id in moved else found, likeness)
                for one, found, likeness in looked.found
            ]
            looked.edits += [("moved", view_id, seen.place_id) for view_id in seen.moved]
        looked.at[logged.encoder_id, view.stream] = _packed_at(made.at[view.stream])

    def _map(self, encoder_id: str) -> PlaceMap:
        if encoder_id not in self._maps:
            self._maps[encoder_id] = PlaceMap(
                self._make_recogniser(self._samples[encoder_id]), self._settings
            )
        return self._maps[encoder_id]

    def _load(self, db: sqlite3.Connection) -> None:
        """Takes what the tables remember into maps."""
        self._maps, self._numbers = {}, {}
        fits: dict[str, int] = json.loads(_text(db, _FITS))
        self._samples = {encoder_id: _sample(db, encoder_id, n) for encoder_id, n in fits.items()}
        for (encoder_id,) in db.execute("SELECT DISTINCT encoder_id FROM place_view").fetchall():
            made = self._map(encoder_id)
            changes = _changes(db, encoder_id)
            views, owner = self._views_of(db, [n for _, n in changes])
            by_number = {n: view_id for view_id, n in self._numbers.items()}
            made.resume(
                [one._replace(view_id=by_number[n]) for one, n in changes if n in by_number], views, owner
            )
            made.resume_seq(max((one.seq for one, _ in changes), default=0))
            for source_id, session, state in db.execute(
                "SELECT source_id, session, state FROM place_at WHERE encoder_id = ?", (encoder_id,)
            ).fetchall():
                made.at[source_id, session] = at = _unpacked_at(state)
                held, _ = self._views_of(db, self._numbers_of(db, at.away))
                for view_id in at.away:
                    if view_id in held:
                        made.resume_held(held[view_id])
            made.homes = dict(
                db.execute(
                    "SELECT source_id, found FROM place_home WHERE encoder_id = ?", (encoder_id,)
                ).fetchall()
            )
            for found, lat, lon, n_located in db.execute(
                "SELECT v.found, SUM(o.lat), SUM(o.lon), COUNT(*) FROM place_view AS v JOIN observation AS o"
                " ON o.n = v.n WHERE v.encoder_id = ? AND v.found <> x'' AND o.lat BETWEEN"
                " -90 AND 90 AND o.lon BETWEEN -180 AND 180 GROUP BY v.found",
                (encoder_id,),
            ):
                made.locate(found, lat, lon, n_located)

    def _numbers_of(self, db: sqlite3.Connection, view_ids: Sequence[bytes]) -> list[int]:
        found = []
        for view_id in view_ids:
            row = db.execute("SELECT n FROM observation WHERE observation_id = ?", (view_id,)).fetchone()
            found += [int(row[0])] if row is not None else []
        return found

    def _views_of(
        self, db: sqlite3.Connection, numbers: Sequence[int]
    ) -> tuple[dict[bytes, View], dict[bytes, bytes]]:
        """Some views by id, and the places where they were found."""
        views: dict[bytes, View] = {}
        owner: dict[bytes, bytes] = {}
        for n in sorted(set(numbers)):
            row = db.execute(f"{_VIEWS} AND o.n = ?", (n,)).fetchone()
            if row is None:
                continue  # Its key was let go.
            logged = _logged_view(row, self._settings)
            views[logged.view.view_id] = logged.view
            self._numbers[logged.view.view_id] = n
            found = db.execute("SELECT found FROM place_view WHERE n = ?", (n,)).fetchone()
            owner[logged.view.view_id] = found[0] if found is not None else b""
        return views, owner

    # Writing: in the writer's transaction.

    def write(self, db: sqlite3.Connection, looked: Looked) -> bool:
        """Puts down what was found; and what the owner decided since, on all of it.

        Returns:
            Whether there is more to do.
        """
        if _text(db, _RULES) != RULES or _text(db, _FITS) != looked.fits:
            forget_map(db)
            _keep(db, _RULES, RULES)
            _keep(db, _FITS, looked.fits)
            return True
        if (looked.epoch, looked.before) != (_number(db, _EPOCH), _number(db, _READ)):
            self._known = None  # Something was forgotten meanwhile: what the map learnt may rest on it.
            return True
        self.apply_acts(db)
        owner = Owner(db)
        touched = self._of_other_lengths(db)
        places: set[bytes] = set()
        self._write_found(db, looked, owner, touched, places)
        self._write_state(db, looked)
        self._tend(db, owner, touched, places)
        _keep(db, _READ, looked.read)
        return looked.more

    def apply_acts(self, db: sqlite3.Connection) -> None:
        """Plays what the owner decided over what was found until now, within the writer's transaction."""
        owner = Owner(db)
        touched: dict[Stream, int] = {}
        places: set[bytes] = set()
        if _text(db, _ACTS) != owner.ids:
            _regroup(db, owner, touched, places)
            _keep(db, _ACTS, owner.ids)
            self._tend(db, owner, touched, places)

    def _of_other_lengths(self, db: sqlite3.Connection) -> dict[Stream, int]:
        """All streams from their beginnings on where visits were made with other settings."""
        if _text(db, _LENGTHS) == _lengths(self._settings):
            return {}
        _keep(db, _LENGTHS, _lengths(self._settings))
        rows = db.execute("SELECT DISTINCT source_id, session FROM place_view").fetchall()
        return dict.fromkeys(rows, -(2**62))

    def _tend(
        self, db: sqlite3.Connection, owner: Owner, touched: dict[Stream, int], places: set[bytes]
    ) -> None:
        for (source_id, session), from_ns in sorted(touched.items()):
            make_visits(db, self._settings, source_id, session, from_ns)
        tend_places(db, places, owner.labels())

    def _write_found(
        self,
        db: sqlite3.Connection,
        looked: Looked,
        owner: Owner,
        touched: dict[Stream, int],
        places: set[bytes],
    ) -> None:
        for kind, which, place_id in looked.edits:
            where = "found = ?" if kind == "dissolved" else "view_id = ?"
            _refind(db, where, which, place_id, owner, touched, places)
        for logged, found, likeness in looked.found:
            view = logged.view
            row = Row(logged.n, *view.stream, view.pts_ns, logged.commit_no, found)
            place_id = owner.place_of(row, logged.encoder_id, view.vector)
            db.execute(
                "INSERT INTO place_view (n, view_id, source_id, session, pts0_ns, pts1_ns, commit_no,"
                " encoder_id, found, place_id, likeness) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
                " WHERE EXISTS (SELECT 1 FROM observation WHERE n = ?)",
                (
                    *(logged.n, view.view_id, *view.stream, view.pts_ns, logged.pts1_ns, logged.commit_no),
                    *(logged.encoder_id, found, place_id, likeness, logged.n),
                ),
            )
            _touch(touched, view.stream, view.pts_ns)
            places.add(place_id)

    @staticmethod
    def _write_state(db: sqlite3.Connection, looked: Looked) -> None:
        for encoder_id, changes in looked.changes.items():
            db.executemany(
                "INSERT INTO place_change (seq, encoder_id, n, added) SELECT ?, ?, ?, ?"
                " WHERE EXISTS (SELECT 1 FROM place_view WHERE n = ?)",
                ((one.seq, encoder_id, n, one.is_added, n) for one, n in changes),
            )
        db.executemany(
            "INSERT OR REPLACE INTO place_at (source_id, session, encoder_id, state) VALUES (?, ?, ?, ?)",
            ((*stream, encoder_id, state) for (encoder_id, stream), state in looked.at.items()),
        )
        db.executemany(
            "INSERT OR REPLACE INTO place_home (source_id, encoder_id, found) VALUES (?, ?, ?)",
            ((source_id, encoder_id, home) for (encoder_id, source_id), home in looked.homes.items()),
        )


def forget_map(db: sqlite3.Connection) -> None:
    """Takes all tables of places away; the next steps make them from the log."""
    tables = ("place_change", "place_view", "place_at", "place_home", "visit", "transition", "place")
    for table in tables:
        db.execute(f"DELETE FROM {table}")  # noqa: S608
    for name in (_READ, _RULES, _ACTS, _FITS):
        db.execute("DELETE FROM view_state WHERE name = ?", (name,))
    note_change(db)


def leave_bare_places(db: sqlite3.Connection) -> None:
    """Has streams that are at places of which no view is left be nowhere, so that none comes back by them."""
    rows = db.execute("SELECT source_id, session, encoder_id, state FROM place_at").fetchall()
    for *stream, state in rows:
        at = _unpacked_at(state)
        left = db.execute("SELECT 1 FROM place_view WHERE found = ? LIMIT 1", (at.place_id,)).fetchone()
        if at.place_id and left is None:
            db.execute(
                "UPDATE place_at SET state = ? WHERE source_id = ? AND session = ? AND encoder_id = ?",
                (_packed_at(At(last_pts_ns=at.last_pts_ns)), *stream),
            )


def ask_anew(db: sqlite3.Connection) -> None:
    """Has the map made anew from the log, from the next step on."""
    _keep(db, _RULES, "")


def note_change(db: sqlite3.Connection) -> None:
    """What the map holds in memory is no longer what the tables say: it is read anew."""
    _keep(db, _EPOCH, _number(db, _EPOCH) + 1)


def visit_settings(db: sqlite3.Connection) -> PlaceSettings:
    """Settings of which those of visits are the ones that the store's visits were made with."""
    return PlaceSettings(**json.loads(_text(db, _LENGTHS) or "{}"))


def _lengths(settings: PlaceSettings) -> str:
    return json.dumps({"gap_s": settings.gap_s, "reach_s": settings.reach_s})


def fits_of(db: sqlite3.Connection) -> dict[str, int]:
    """Of how many views of each encoder of pictures of places the statistics are to be known."""
    fits: dict[str, int] = {}
    encoder_id = ""
    while True:  # From one to the next by the index: a store has millions of keys and a few encoders.
        row = db.execute("SELECT MIN(encoder_id) FROM key WHERE encoder_id > ?", (encoder_id,)).fetchone()
        if row[0] is None:
            return fits
        encoder_id = row[0]
        kind = db.execute("SELECT kind FROM key WHERE encoder_id = ? LIMIT 1", (encoder_id,)).fetchone()[0]
        if kind == KEY:
            rows = db.execute("SELECT 1 FROM key WHERE encoder_id = ? LIMIT ?", (encoder_id, FITS[-1]))
            n_keys = len(rows.fetchall())
            fits[encoder_id] = max(one for one in FITS if one <= n_keys)


def _sample(db: sqlite3.Connection, encoder_id: str, n: int) -> Vector:
    """The first views of an encoder: (N, d) float32; nothing where N is 0."""
    rows = db.execute(
        "SELECT vector, dimension FROM key WHERE encoder_id = ? ORDER BY key_id LIMIT ?",
        (encoder_id, n),
    ).fetchall()
    if not rows:
        return np.zeros((0, 0), np.float32)
    dimension = rows[0][1]
    return unpack_vectors([vector for vector, of in rows if of == dimension], dimension)


def pending(db: sqlite3.Connection) -> int:
    """How many views were not looked at yet."""
    read = _number(db, _READ) if _text(db, _RULES) == RULES else 0
    row = db.execute("SELECT COUNT(*) FROM observation WHERE kind = ? AND n > ?", (VIEW, read)).fetchone()
    return int(row[0])


def _regroup(db: sqlite3.Connection, owner: Owner, touched: dict[Stream, int], places: set[bytes]) -> None:
    """Plays other acts over all that was found."""
    pairs = db.execute("SELECT DISTINCT found, place_id FROM place_view WHERE found <> x''").fetchall()
    places.update(place_id for _, place_id in pairs)
    for found in sorted({found for found, _ in pairs}):
        if owner.splits(found):
            _refind(db, "found = ?", found, found, owner, touched, places)
            continue
        place_id = owner.place_of(Row(0, b"", 0, 0, 0, found))
        for source_id, session, pts_ns in db.execute(
            "SELECT source_id, session, MIN(pts0_ns) FROM place_view WHERE found = ? AND place_id <> ?"
            " GROUP BY source_id, session",
            (found, place_id),
        ).fetchall():
            _touch(touched, (source_id, session), pts_ns)
        db.execute(
            "UPDATE place_view SET place_id = ? WHERE found = ? AND place_id <> ?",
            (place_id, found, place_id),
        )
        places.add(place_id)


def _refind(
    db: sqlite3.Connection,
    where: str,
    value: bytes,
    found: bytes,
    owner: Owner,
    touched: dict[Stream, int],
    places: set[bytes],
) -> None:
    """Views that are written already are found to be of another place, or are of another by acts."""
    rows = db.execute(
        "SELECT n, source_id, session, pts0_ns, commit_no, encoder_id, place_id,"  # noqa: S608
        " (SELECT k.vector FROM key AS k WHERE k.owner = view_id AND k.kind = 'place'"
        " AND k.encoder_id = place_view.encoder_id)"
        f" FROM place_view WHERE {where}",
        (value,),
    ).fetchall()
    for n, source_id, session, pts_ns, commit_no, encoder_id, before, packed in rows:
        vector = unpack_vectors([packed], len(packed) // 2)[0] if packed else None
        row = Row(n, source_id, session, pts_ns, commit_no, found)
        place_id = owner.place_of(row, encoder_id, vector)
        db.execute("UPDATE place_view SET found = ?, place_id = ? WHERE n = ?", (found, place_id, n))
        if place_id != before:
            _touch(touched, (source_id, session), pts_ns)
            places.update((before, place_id))


def _touch(touched: dict[Stream, int], stream: Stream, pts_ns: int) -> None:
    touched[stream] = min(pts_ns, touched.get(stream, pts_ns))


def _changes(db: sqlite3.Connection, encoder_id: str) -> list[tuple[Change, int]]:
    rows = db.execute(
        "SELECT seq, n, added FROM place_change WHERE encoder_id = ? ORDER BY seq", (encoder_id,)
    )
    return [(Change(seq, b"", bool(added)), n) for seq, n, added in rows]


def _logged_view(row: Sequence[Any], settings: PlaceSettings) -> LoggedView:
    n, view_id, source_id, session, pts0_ns, pts1_ns, commit_no, lat, lon, payload, *rest = row
    encoder_id, dimension, packed, kind, uri = rest
    told, name = view_in(payload), uri or ""
    if lat is None or lon is None or abs(lat) > 90 or abs(lon) > 180:
        lat = lon = None
    view = View(
        view_id,
        (source_id, session),
        pts0_ns,
        unpack_vectors([packed], dimension)[0],
        LocalFeatures(*told.points()) if told.xy else None,
        told.quality,
        lat,
        lon,
        camera=kind in LIVE_KINDS,
        fixed=any(one and one in name for one in settings.fixed),
    )
    return LoggedView(n, pts1_ns, commit_no, encoder_id, view)


def view_in(payload: bytes | None) -> PlaceView:
    """What the payload of a view says; of one that cannot be read that it says nothing of its place."""
    try:
        return place_view({"quality": 1.0} | (msgpack.unpackb(payload) if payload else {}))
    except Malformed:
        return PlaceView(quality=0.0)


def _packed_at(at: At) -> bytes:
    told = [at.place_id, at.founded, at.last_pts_ns, at.visit, at.away, at.signs, at.away_signs]
    packed: bytes = msgpack.packb(told)
    return packed


def _unpacked_at(state: bytes) -> At:
    return At(*msgpack.unpackb(state, strict_map_key=False))


def _text(db: sqlite3.Connection, name: str) -> str:
    row = db.execute("SELECT value FROM view_state WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row is not None else ""


def _number(db: sqlite3.Connection, name: str) -> int:
    return int(_text(db, name) or 0)


def _keep(db: sqlite3.Connection, name: str, value: object) -> None:
    db.execute("INSERT OR REPLACE INTO view_state (name, value) VALUES (?, ?)", (name, str(value)))
