"""Places as people are told of them: lists, visits, ways, names."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from memory.bounds import NAME_CHARS
from memory.log.acts import acts_of
from memory.log.media import media_path
from memory.log.reader import marks
from memory.places.owner import place_acts
from memory.places.store import pending
from stream.errors import ConfigError
from stream.messages import Act
from stream.messages.places import PlacesAsk, PlacesTold, PlaceTold, VisitTold, WayTold
from stream.wire.bounds import fitting, shortened

LEAST_DIGITS = 4
"""Of the beginning of an id that stands for it."""
MOST_TOLD = 2_000
MOST_WAYS = 4_000
"""Ways between places in one reply, the most used."""
MOST_ACTS = 500
LINES = 3
"""Texts of a visit that are shown."""
SHORT_DIGITS = 8
"""Digits by which a place without a label is called."""

_VISIT = (
    "v.visit_id, v.place_id, v.source_id, v.session, (SELECT u.uri FROM source_uri AS u WHERE u.source_id ="
    " v.source_id AND u.session = v.session ORDER BY u.n DESC LIMIT 1), v.pts0_ns, v.pts1_ns,"
    " v.pts0_ns + c.t_origin_ns, v.pts1_ns + c.t_origin_ns, v.views"
)
_VISITS = "visit AS v JOIN source AS c ON c.source_id = v.source_id AND c.session = v.session"


def places_told(db: sqlite3.Connection, ask: PlacesAsk) -> PlacesTold:
    """What is known of places.

    Raises:
        ConfigError: If a place is named that there is not.
    """
    limit, offset = max(0, min(ask.limit, MOST_TOLD)), max(0, ask.offset)
    if ask.labels:
        rows = db.execute("SELECT place_id, label FROM place WHERE label <> '' ORDER BY label, place_id")
        named = [PlaceTold(place_id=one, label=shortened(label, NAME_CHARS)) for one, label in rows]
        return PlacesTold(places=tuple(fitting(named)), total=len(named))
    wanted = named_places(db, ask.place) if ask.place else []
    acts = tuple(fitting(_acts(db, wanted))) if ask.acts else ()
    if ask.visits:
        where, values = _among("v.place_id", wanted)
        total = int(db.execute(f"SELECT COUNT(*) FROM visit AS v WHERE {where}", values).fetchone()[0])  # noqa: S608
        rows = db.execute(
            f"SELECT {_VISIT} FROM {_VISITS} WHERE {where}"  # noqa: S608
            " ORDER BY v.made_commit DESC, v.pts0_ns DESC, v.visit_id LIMIT ? OFFSET ?",
            (*values, limit, offset),
        )
        visits = [_visit(db, row) for row in rows.fetchall()]
    else:
        visits, total = [], 0
    if ask.visits:
        places = places_by_id(db, wanted)
    else:
        places, total = _places(db, wanted, limit, offset)
    return PlacesTold(
        places=tuple(fitting(places)),
        visits=tuple(fitting(visits)),
        ways=() if ask.visits else tuple(_ways(db)),
        acts=acts,
        total=total,
        pending=pending(db),
    )


def places_by_id(db: sqlite3.Connection, place_ids: Sequence[bytes]) -> list[PlaceTold]:
    """Some places as they are told; those that are not there are left out."""
    return _places(db, place_ids)[0] if place_ids else []


def _among(column: str, wanted: Sequence[bytes]) -> tuple[str, tuple[object, ...]]:
    return (f"{column} IN ({marks(wanted)})", tuple(wanted)) if wanted else ("1", ())


def _places(
    db: sqlite3.Connection, wanted: Sequence[bytes], limit: int = MOST_TOLD, offset: int = 0
) -> tuple[list[PlaceTold], int]:
    """A page of some places, or of all, those that were visited last first; and how many there are."""
    where, values = _among("p.place_id", wanted)
    rows = db.execute(
        "SELECT p.place_id, p.label, COUNT(v.visit_id), COALESCE(SUM(v.views), 0),"  # noqa: S608
        " COALESCE(SUM(v.pts1_ns - v.pts0_ns), 0), MIN(v.pts0_ns + c.t_origin_ns),"
        " MAX(v.pts1_ns + c.t_origin_ns), MAX(v.made_commit) FROM place AS p"
        " LEFT JOIN visit AS v ON v.place_id = p.place_id"
        " LEFT JOIN source AS c ON c.source_id = v.source_id AND c.session = v.session"
        f" WHERE {where} GROUP BY p.place_id ORDER BY 7 IS NULL, 7 DESC, 8 DESC, p.place_id",
        values,
    ).fetchall()
    told = []
    for place_id, label, visits, views, spent_ns, first_ns, last_ns, _ in rows[offset : offset + limit]:
        lat, lon, prototypes = db.execute(
            "SELECT AVG(o.lat), AVG(o.lon), SUM(EXISTS (SELECT 1 FROM place_change AS c WHERE c.n = v.n"
            " GROUP BY c.n HAVING SUM(2 * c.added - 1) > 0)) FROM place_view AS v"
            " JOIN observation AS o ON o.n = v.n WHERE v.place_id = ?",
            (place_id,),
        ).fetchone()
        told.append(
            PlaceTold(
                place_id=place_id,
                label=shortened(label, NAME_CHARS),
                visits=visits,
                views=views,
                prototypes=prototypes or 0,
                spent_ns=spent_ns,
                first_ns=first_ns,
                last_ns=last_ns,
                lat=lat,
                lon=lon,
                thumbnail=_thumbnail(db, place_id),
            )
        )
    return told, len(rows)


def _thumbnail(db: sqlite3.Connection, place_id: bytes) -> str:
    """A picture of a place: of a view, else of what was seen during one of its visits."""
    row = db.execute(
        "SELECT f.media_hash, f.media_type FROM place_view AS v JOIN observation_media AS m ON m.n = v.n"
        " JOIN media AS f ON f.media_hash = m.media_hash WHERE v.place_id = ?"
        " AND m.role IN ('thumbnail', 'keyframe') ORDER BY v.likeness DESC, v.n LIMIT 1",
        (place_id,),
    ).fetchone()
    if row is None:
        row = db.execute(
            "SELECT f.media_hash, f.media_type FROM visit AS v JOIN observation AS o"
            " ON o.source_id = v.source_id AND o.session = v.session AND o.pts0_ns / 2 + o.pts1_ns / 2 >="
            " v.pts0_ns AND o.pts0_ns / 2 + o.pts1_ns / 2 < v.pts1_ns"
            " JOIN observation_media AS m ON m.n = o.n JOIN media AS f ON f.media_hash = m.media_hash"
            " WHERE v.place_id = ?"
            " AND m.role IN ('thumbnail', 'keyframe') LIMIT 1",
            (place_id,),
        ).fetchone()
    return media_path(row[0], row[1]) if row is not None else ""


def _visit(db: sqlite3.Connection, row: Sequence[Any]) -> VisitTold:
    visit_id, place_id, source_id, session, uri, pts0_ns, pts1_ns, t0_ns, t1_ns, views = row
    within = (source_id, session, pts0_ns, pts1_ns)
    texts = db.execute(
        "SELECT o.kind, o.text FROM observation AS o WHERE o.source_id = ? AND o.session = ?"
        " AND o.pts0_ns / 2 + o.pts1_ns / 2 >= ? AND o.pts0_ns / 2 + o.pts1_ns / 2 < ? AND o.text <> ''"
        " AND o.kind IN ('utterance', 'seen_text', 'caption', 'shot') ORDER BY CASE o.kind WHEN 'utterance'"
        " THEN 0 WHEN 'seen_text' THEN 1 ELSE 2 END, o.pts0_ns LIMIT ?",
        (*within, LINES),
    )
    return VisitTold(
        visit_id=visit_id,
        place_id=place_id,
        source_id=source_id,
        session=session,
        uri=str(uri or ""),
        pts0_ns=pts0_ns,
        pts1_ns=pts1_ns,
        t0_ns=t0_ns,
        t1_ns=t1_ns,
        views=views,
        lines=tuple(shortened(str(text), NAME_CHARS) for _, text in texts),
    )


def _ways(db: sqlite3.Connection) -> list[WayTold]:
    rows = db.execute(
        "SELECT from_id, to_id, SUM(times) AS n FROM transition GROUP BY from_id, to_id"
        " ORDER BY n DESC, from_id, to_id LIMIT ?",
        (MOST_WAYS,),
    )
    return fitting(WayTold(from_id=one, to_id=other, times=n) for one, other, n in rows)


def _acts(db: sqlite3.Connection, wanted: Sequence[bytes]) -> list[Act]:
    """The acts about places that hold, the newest first; of some places where these are named."""
    held = [
        one.act_id
        for one in reversed(place_acts(db))
        if not wanted or one.target in wanted or set(one.places) & set(wanted)
    ]
    by_id = {act.act_id: act for act in acts_of(db, held[:MOST_ACTS])}
    return [by_id[one] for one in held[:MOST_ACTS]]


# Names.


def name_of(place_id: bytes, label: str) -> str:
    """What a place is called: by its label, else by the beginning of its id, by which it can be asked for."""
    return label or f"place {place_id.hex()[:SHORT_DIGITS]}"


def places_called(db: sqlite3.Connection, name: str) -> list[bytes]:
    """The places of a label, whatever its case; or the one whose id begins so. None: an empty list."""
    name = " ".join(name.split())
    rows = db.execute(
        "SELECT place_id FROM place WHERE label = ? COLLATE NOCASE AND label <> '' ORDER BY place_id", (name,)
    ).fetchall()
    if not rows and not name.isascii():  # NOCASE knows the letters of ASCII alone.
        every = db.execute("SELECT place_id, label FROM place WHERE label <> '' ORDER BY place_id")
        rows = [(one,) for one, label in every if label.casefold() == name.casefold()]
    if rows:
        return [one for (one,) in rows]
    digits = name.removeprefix("place ").lower()
    if not LEAST_DIGITS <= len(digits) <= 32 or not set(digits) <= set("0123456789abcdef"):
        return []
    low, high = bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))
    rows = db.execute(
        "SELECT place_id FROM place WHERE place_id BETWEEN ? AND ? LIMIT 2", (low, high)
    ).fetchall()
    return [rows[0][0]] if len(rows) == 1 else []


def named_places(db: sqlite3.Connection, name: str) -> list[bytes]:
    """As `places_called`.

    Raises:
        ConfigError: If there is none, or several whose ids begin so.
    """
    found = places_called(db, name)
    if not found:
        labels = [
            label for (label,) in db.execute("SELECT DISTINCT label FROM place WHERE label <> '' LIMIT 6")
        ]
        known = f"; labels are {', '.join(shortened(one, 40) for one in labels)}" if labels else ""
        raise ConfigError(
            f"there is no place {shortened(name, NAME_CHARS)!r}, or several{known}",
            remedy="omnirecall places list tells labels and ids; give a label, or an id's first digits",
        )
    return found


def labels_of(db: sqlite3.Connection, place_ids: Iterable[bytes]) -> dict[bytes, str]:
    """The labels of some places."""
    ids = sorted(set(place_ids))
    rows = db.execute(f"SELECT place_id, label FROM place WHERE place_id IN ({marks(ids)})", ids)  # noqa: S608
    return dict(rows.fetchall())
