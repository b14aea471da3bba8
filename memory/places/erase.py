"""Forgetting, as far as places go: what is to go of a place, and what goes with observations."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from memory.log.reader import marks, pages
from memory.places.map import place_id_of
from memory.places.owner import Owner
from memory.places.store import leave_bare_places, note_change, visit_settings
from memory.places.visits import make_visits, tend_places

Stretch = tuple[bytes, int, int, int]
"""Source, session and positions, end excluded."""


def stretches_of(db: sqlite3.Connection, place_ids: Iterable[bytes]) -> list[Stretch]:
    """The visits of some places."""
    ids = sorted(set(place_ids))
    found: list[Stretch] = []
    for some in pages(ids):
        found += db.execute(
            "SELECT source_id, session, pts0_ns, max(pts1_ns, pts0_ns + 1) FROM visit"  # noqa: S608
            f" WHERE place_id IN ({marks(some)}) ORDER BY source_id, session, pts0_ns",
            some,
        ).fetchall()
    return found


def views_of(db: sqlite3.Connection, place_ids: Iterable[bytes]) -> list[bytes]:
    """The ids of the views of some places."""
    ids = sorted(set(place_ids))
    found: list[bytes] = []
    for some in pages(ids):
        rows = db.execute(
            f"SELECT view_id FROM place_view WHERE place_id IN ({marks(some)}) ORDER BY n",  # noqa: S608
            some,
        )
        found += (view_id for (view_id,) in rows)
    return found


def mend_places(db: sqlite3.Connection, origins: Iterable[tuple[bytes, int]]) -> list[bytes]:
    """Brings visits and places in step once views of some streams have gone with their observations.

    Args:
        db: The writer's connection, within the transaction that took the rows.
        origins: Sources and sessions of which something went.

    Returns:
        The acts about places of which nothing is left; their words are to go.
    """
    if db.execute("SELECT 1 FROM place LIMIT 1").fetchone() is None:
        return []
    settings = visit_settings(db)
    for source_id, session in sorted(set(origins)):
        make_visits(db, settings, source_id, session, -(2**62))
        left = db.execute(
            "SELECT 1 FROM place_view WHERE source_id = ? AND session = ? LIMIT 1", (source_id, session)
        ).fetchone()
        if left is None:
            db.execute("DELETE FROM place_at WHERE source_id = ? AND session = ?", (source_id, session))
    db.execute(
        "DELETE FROM place_home WHERE NOT EXISTS"
        " (SELECT 1 FROM place_view AS v WHERE v.found = place_home.found)"
    )
    leave_bare_places(db)
    owner = Owner(db)
    places = [place_id for (place_id,) in db.execute("SELECT place_id FROM place").fetchall()]
    tend_places(db, places, owner.labels())
    note_change(db)
    return _bare_acts(db, owner)


def _bare_acts(db: sqlite3.Connection, owner: Owner) -> list[bytes]:
    """Acts whose places are gone: labels and splits of one, merges of all but one."""
    alive = {place_id for (place_id,) in db.execute("SELECT place_id FROM place")}
    made = {place_id_of(act.act_id) for act in owner.acts if act.kind == "split"}

    def is_left(place_id: bytes) -> bool:
        found = db.execute("SELECT 1 FROM place_view WHERE found = ? LIMIT 1", (place_id,)).fetchone()
        return owner.final(place_id) in alive and (found is not None or place_id in made | alive)

    bare = []
    for act in owner.acts:
        left = sum(is_left(place_id) for place_id in (act.target, *act.places))
        if left < (2 if act.kind == "merge" else 1):
            bare.append(act.act_id)
    # What was undone says as much.
    held = {act.act_id for act in owner.acts}
    for act_id, target in db.execute(
        "SELECT a.act_id, a.target FROM act AS a JOIN act AS u ON u.kind = 'undo' AND u.undoes = a.act_id"
        " WHERE a.kind IN ('label', 'merge', 'split')"
    ).fetchall():
        if act_id not in held and not is_left(target):
            bare.append(act_id)
    return bare
