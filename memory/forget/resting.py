"""What goes because of what goes: the owner's acts on it, and the questions whose answers cited it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

import msgpack

from memory.log.reader import marks, pages
from memory.people.forget import ForgottenPerson, acts_that_tell
from stream.messages.dialogue import DIALOGUE_ID, EXCHANGE, asked_in
from stream.messages.watch import ALERT, ALERTS_ID, alerted_in


def ids_of(db: sqlite3.Connection, numbers: Sequence[int]) -> set[bytes]:
    """The ids of some observations, by their row numbers."""
    return {
        bytes(observation_id)
        for some in pages(numbers)
        for (observation_id,) in db.execute(
            f"SELECT observation_id FROM observation WHERE n IN ({marks(some)})",  # noqa: S608
            some,
        )
    }


def exchanges_on(
    db: sqlite3.Connection,
    ids: Collection[bytes],
    named: Collection[bytes] = (),
    person: ForgottenPerson | None = None,
) -> list[int]:
    """Row numbers of the exchanges whose answers cited, or whose words were taken from, what goes.

    And of the alerts that rest on it, or on a standing question that goes.

    Args:
        db: A snapshot, or the writer's connection before anything was taken.
        ids: Observations that go.
        named: Observations and corrections that were named.
        person: Whose acts go.
    """
    rows = db.execute(
        "SELECT n, kind, payload FROM observation WHERE source_id IN (?, ?) AND session = 0"
        " AND kind IN (?, ?)",
        (DIALOGUE_ID, ALERTS_ID, EXCHANGE, ALERT),
    ).fetchall()
    gone = {*ids, *named}
    if rows:
        gone |= _acts_on(db, gone, person)
    return [n for n, kind, payload in rows if not gone.isdisjoint(_resting(kind, payload))]


def _resting(kind: str, payload: bytes | None) -> tuple[bytes, ...]:
    told = msgpack.unpackb(payload or b"\x80")
    return alerted_in(told).ids if kind == ALERT else asked_in(told).ids


def _acts_on(db: sqlite3.Connection, gone: Collection[bytes], person: ForgottenPerson | None) -> set[bytes]:
    """Acts on what goes, and corrections of answers that rested on it."""
    found = set() if person is None else set(acts_that_tell(db, person))
    for act_id, kind, target, value in db.execute("SELECT act_id, kind, target, value FROM act"):
        rests_on = msgpack.unpackb(value).get("rests_on", ()) if kind == "correct" and value else ()
        if target in gone or any(one in gone for one in rests_on):
            found.add(act_id)
    return found
