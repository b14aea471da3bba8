"""Visits: stays at a place, made of views that follow one another, and the ways between places."""

from __future__ import annotations

import hashlib
import itertools
import sqlite3
import struct
from collections import Counter
from collections.abc import Iterable

from memory.places.settings import PlaceSettings

ID_BYTES = 16


def make_visits(
    db: sqlite3.Connection, settings: PlaceSettings, source_id: bytes, session: int, from_ns: int
) -> None:
    """Makes the visits of a stream anew from the one on that holds a position, and its ways.

    A visit ends where the next one begins; where nothing follows for `gap_s`, `reach_s` after its last view,
    or where its file ends. Views that say nothing are of the visit in which they lie.
    """
    stream = (source_id, session)
    row = db.execute(
        "SELECT pts0_ns FROM visit WHERE source_id = ? AND session = ? AND pts0_ns < ?"
        " ORDER BY pts0_ns DESC LIMIT 1",
        (*stream, from_ns),
    ).fetchone()
    start_ns = from_ns if row is None else int(row[0])
    db.execute("DELETE FROM visit WHERE source_id = ? AND session = ? AND pts0_ns >= ?", (*stream, start_ns))
    rows = db.execute(
        "SELECT place_id, pts0_ns, pts1_ns, commit_no FROM place_view WHERE source_id = ? AND session = ?"
        " AND pts0_ns >= ? AND place_id <> x'' ORDER BY pts0_ns, n",
        (*stream, start_ns),
    ).fetchall()
    gap_ns, reach_ns = int(settings.gap_s * 1e9), int(settings.reach_s * 1e9)
    made: list[list[int | bytes]] = []
    for place_id, pts0_ns, pts1_ns, commit_no in rows:
        end_ns = max(pts1_ns, pts0_ns)
        last = made[-1] if made else None
        if last is not None and pts0_ns - int(last[2]) <= gap_ns:
            if last[0] == place_id:
                last[2], last[3], last[4] = (
                    max(end_ns, int(last[2])),
                    int(last[3]) + 1,
                    min(last[4], commit_no),
                )
                continue
            last[2] = pts0_ns
        elif last is not None:
            last[2] = int(last[2]) + min(reach_ns, pts0_ns - int(last[2]))
        made.append([place_id, pts0_ns, end_ns, 1, commit_no])
    if made:
        last_ns = int(made[-1][2])
        made[-1][2] = max(last_ns + 1, min(last_ns + reach_ns, _length_ns(db, source_id, session)))
    db.executemany(
        "INSERT OR REPLACE INTO visit (visit_id, place_id, source_id, session, pts0_ns, pts1_ns, views,"
        " made_commit) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (visit_id(source_id, session, int(pts0)), place_id, *stream, pts0, pts1, views, commit)
            for place_id, pts0, pts1, views, commit in made
        ),
    )
    _make_transitions(db, source_id, session)


def _length_ns(db: sqlite3.Connection, source_id: bytes, session: int) -> int:
    """Where a source ends: of a still at once; without an end where none is known."""
    row = db.execute(
        "SELECT duration_ns, EXISTS (SELECT 1 FROM track AS t WHERE t.source_id = s.source_id"
        " AND t.session = s.session AND t.media <> 'stills') FROM source AS s"
        " WHERE source_id = ? AND session = ?",
        (source_id, session),
    ).fetchone()
    if row is None:
        return 2**62
    return 2**62 if row[0] is None and row[1] else int(row[0] or 0)


def visit_id(source_id: bytes, session: int, pts0_ns: int) -> bytes:
    """The id of the visit that begins there, of whichever place it is."""
    told = struct.pack(">I", len(source_id)) + source_id + struct.pack(">qq", session, pts0_ns)
    return hashlib.blake2b(b"visit" + told, digest_size=ID_BYTES).digest()


def _make_transitions(db: sqlite3.Connection, source_id: bytes, session: int) -> None:
    visits = db.execute(
        "SELECT place_id FROM visit WHERE source_id = ? AND session = ? ORDER BY pts0_ns",
        (source_id, session),
    ).fetchall()
    ways = Counter((one, other) for (one,), (other,) in itertools.pairwise(visits) if one != other)
    db.execute("DELETE FROM transition WHERE source_id = ? AND session = ?", (source_id, session))
    db.executemany(
        "INSERT INTO transition (source_id, session, from_id, to_id, times) VALUES (?, ?, ?, ?, ?)",
        ((source_id, session, one, other, times) for (one, other), times in sorted(ways.items())),
    )


def tend_places(db: sqlite3.Connection, place_ids: Iterable[bytes], labels: dict[bytes, str]) -> None:
    """Brings the rows of some places in step with their views; a place without views is none."""
    for place_id in sorted(set(place_ids)):
        if not place_id:
            continue
        row = db.execute("SELECT MIN(commit_no) FROM place_view WHERE place_id = ?", (place_id,)).fetchone()
        if row[0] is None:
            db.execute("DELETE FROM place WHERE place_id = ?", (place_id,))
            continue
        db.execute(
            "INSERT INTO place (place_id, label, made_commit) VALUES (?, ?, ?) ON CONFLICT (place_id)"
            " DO UPDATE SET label = excluded.label, made_commit = excluded.made_commit",
            (place_id, labels.get(place_id, ""), row[0]),
        )
