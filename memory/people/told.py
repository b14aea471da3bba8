"""What is known of persons, for people: the list, and one with its timeline."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from memory.bounds import NAME_CHARS, TEXT_CHARS
from memory.log.acts import acts_on_persons
from memory.log.reader import T0, T1, marks
from memory.people.names import any_named, lowered, names_of, said_by
from memory.people.wishes import ids_in
from stream.errors import ConfigError
from stream.messages.people import PeopleAsk, PeopleTold, PersonTold, Spoken
from stream.wire.bounds import fitting, shortened

FEWEST_DIGITS = 6
"""Of the beginning of an id that stands for it."""
MOST_PERSONS = 500
MOST_SPOKEN = 1_000
BREAK_NS = 30_000_000_000
"""Silence of a person, or another's words so long, after which a stretch of the timeline is over."""
MOST_ACTS = 50


def people(db: sqlite3.Connection, ask: PeopleAsk) -> PeopleTold:
    """The persons of a store: the named ones first, then by how long they spoke."""
    rows = db.execute(
        "SELECT person_id FROM person WHERE merged_into IS NULL"
        " ORDER BY label = '', CASE WHEN label = '' THEN -seconds ELSE 0 END, label COLLATE NOCASE, person_id"
    ).fetchall()
    limit = max(0, min(ask.limit, MOST_PERSONS))
    some = [row[0] for row in rows][max(0, ask.offset) :][:limit]
    unplaced = db.execute("SELECT COALESCE(SUM(utterances), 0) FROM voice WHERE person_id = x''").fetchone()
    return PeopleTold(
        persons=tuple(fitting(_persons(db, some))),
        total=len(rows),
        unplaced=int(unplaced[0]),
    )


def person(db: sqlite3.Connection, ask: PeopleAsk) -> PeopleTold:
    """One person, or all that bear a name, with what was said in order of time, and the acts on it.

    Raises:
        ConfigError: If nobody is meant, or somebody else may be, too.
    """
    ids = persons_meant(db, ask.who)
    told = list(_persons(db, ids))
    spoken = _timeline(db, ids, [name for one in told for name in one.names])
    offset, limit = max(0, ask.offset), max(0, min(ask.limit, MOST_SPOKEN))
    anchors = anchors_of(db, ids)
    acts = [act for act in acts_on_persons(db) if anchors & set(ids_in(act))]
    return PeopleTold(
        persons=tuple(told),
        spoken=tuple(fitting(spoken[offset : offset + limit])),
        total=len(spoken),
        acts=tuple(acts[-MOST_ACTS:]),
    )


def anchors_of(db: sqlite3.Connection, ids: Sequence[bytes]) -> set[bytes]:
    """The ids of all utterances of some persons."""
    rows = db.execute(
        "SELECT o.observation_id FROM voice AS w JOIN voice_of AS v ON v.voice_id = w.voice_id"  # noqa: S608
        f" JOIN observation AS o ON o.n = v.n WHERE w.person_id IN ({marks(ids)})",
        list(ids),
    )
    return {row[0] for row in rows}


def persons_meant(db: sqlite3.Connection, who: str) -> list[bytes]:
    """The persons that a name, an id or the beginning of one means; several of one name where keys differ.

    Raises:
        ConfigError: If nobody is meant, or different ones may be.
    """
    wanted = who.strip()
    rows = db.execute(
        "SELECT DISTINCT p.person_id FROM person_name AS p WHERE p.name = ? ORDER BY p.person_id", (wanted,)
    ).fetchall()
    if not rows:
        rows = _begun_with(db, wanted)
    if not rows:
        known = [
            row[0] for row in db.execute("SELECT DISTINCT name FROM person_name ORDER BY place, name LIMIT 5")
        ]
        raise ConfigError(
            f"nobody is known as {shortened(wanted, NAME_CHARS)!r}",
            remedy=f"known are {', '.join(known)}" if known else "omnirecall people lists the voices",
        )
    if len(rows) > 1 and not _is_name(db, wanted):
        raise ConfigError(f"several persons have ids that begin with {wanted!r}", remedy="give more digits")
    return [row[0] for row in rows]


def _is_name(db: sqlite3.Connection, wanted: str) -> bool:
    return db.execute("SELECT 1 FROM person_name WHERE name = ? LIMIT 1", (wanted,)).fetchone() is not None


def bounds_of(digits: str) -> tuple[bytes, bytes] | None:
    """The first and the last id that begin with some digits; None where they are none."""
    told = digits.strip().lower()
    if not FEWEST_DIGITS <= len(told) <= 32:
        return None
    try:
        return bytes.fromhex(told.ljust(32, "0")), bytes.fromhex(told.ljust(32, "f"))
    except ValueError:
        return None


def _begun_with(db: sqlite3.Connection, digits: str) -> list[tuple[bytes]]:
    """Persons by the beginning of their id, of one that became them, or of an utterance of theirs."""
    bounds = bounds_of(digits)
    if bounds is None:
        return []
    found: list[tuple[bytes]] = db.execute(
        "SELECT DISTINCT COALESCE(merged_into, person_id) FROM person WHERE person_id BETWEEN ? AND ?"
        " LIMIT 2",
        bounds,
    ).fetchall()
    if not found:
        found = db.execute(
            "SELECT DISTINCT w.person_id FROM observation AS o JOIN voice_of AS v ON v.n = o.n"
            " JOIN voice AS w ON w.voice_id = v.voice_id WHERE o.observation_id BETWEEN ? AND ?"
            " AND w.person_id <> x'' LIMIT 2",
            bounds,
        ).fetchall()
    return found


def _persons(db: sqlite3.Connection, ids: Sequence[bytes]) -> Iterator[PersonTold]:
    turns = _turns(db)
    return (_person(db, one, turns) for one in ids)


def _person(db: sqlite3.Connection, person_id: bytes, turns: Mapping[str, int]) -> PersonTold:
    visits, seconds, anchor, encoder_id = db.execute(
        "SELECT visits, seconds, anchor, encoder_id FROM person WHERE person_id = ?", (person_id,)
    ).fetchone()
    names = [
        row[0]
        for row in db.execute("SELECT name FROM person_name WHERE person_id = ? ORDER BY place", (person_id,))
    ]
    count, first, last = db.execute(
        f"SELECT COUNT(*), MIN({T0}), MAX({T1}) FROM voice AS w JOIN voice_of AS v ON v.voice_id = w.voice_id"  # noqa: S608
        " JOIN observation AS o ON o.n = v.n WHERE w.person_id = ?",
        (person_id,),
    ).fetchone()
    merged = db.execute("SELECT person_id FROM person WHERE merged_into = ?", (person_id,)).fetchall()
    return PersonTold(
        person_id=person_id,
        names=tuple(shortened(name, NAME_CHARS) for name in names),
        visits=int(visits),
        utterances=int(count),
        seconds=float(seconds),
        turns=sum(turns.get(lowered(name), 0) for name in names),
        first_ns=first,
        last_ns=last,
        anchor=anchor or b"",
        encoder_id=encoder_id,
        merged=tuple(row[0] for row in merged),
    )


def _turns(db: sqlite3.Connection) -> dict[str, int]:
    """How many turns are written as said by each name that a voice has: one look at all of them."""
    if not any_named(db):
        return {}
    rows = db.execute(
        "SELECT lower(o.speaker), COUNT(*) FROM observation AS o WHERE o.kind = 'utterance'"
        " AND o.speaker <> '' AND o.speaker COLLATE NOCASE IN (SELECT name FROM person_name) GROUP BY 1"
    )
    return dict(rows.fetchall())


def _timeline(db: sqlite3.Connection, ids: Sequence[bytes], names: Sequence[str]) -> list[Spoken]:
    """What persons said, stretch by stretch, by their voices and as written speakers."""
    wheres = [
        "o.n IN (SELECT v.n FROM voice AS w JOIN voice_of AS v ON v.voice_id = w.voice_id"  # noqa: S608
        f" WHERE w.person_id IN ({marks(ids)}))"
    ]
    values: list[object] = list(ids)
    if names:
        said = said_by(db, names[0])
        wheres.append(f"({said.sql})")
        values += said.values
    rows = db.execute(
        f"SELECT o.observation_id, o.source_id, o.session, o.pts0_ns, o.pts1_ns, {T0} AS t0, {T1},"  # noqa: S608
        " o.text, c.kind, c.time_zone, (SELECT u.uri FROM source_uri AS u WHERE u.source_id = o.source_id"
        " AND u.session = o.session ORDER BY u.n DESC LIMIT 1) FROM observation AS o"
        " JOIN source AS c ON c.source_id = o.source_id AND c.session = o.session"
        f" WHERE o.kind = 'utterance' AND ({' OR '.join(wheres)})"
        " ORDER BY t0 IS NULL, COALESCE(t0 - o.pts0_ns, c.commit_no), o.source_id, o.session, o.pts0_ns, o.n",
        values,
    )
    spoken: list[Spoken] = []
    for oid, source_id, session, pts0, pts1, t0, t1, text, kind, zone, uri in rows:
        last = spoken[-1] if spoken else None
        follows = last is not None and (last.source_id, last.session) == (source_id, session)
        if last is not None and follows and pts0 - last.pts1_ns <= BREAK_NS:
            spoken[-1] = msgspec.structs.replace(
                last,
                pts1_ns=max(last.pts1_ns, pts1),
                t1_ns=t1,
                utterances=last.utterances + 1,
                text=shortened(f"{last.text} {text}", TEXT_CHARS),
            )
            continue
        spoken.append(
            Spoken(
                observation_id=oid,
                uri=shortened(uri or "", NAME_CHARS),
                source_id=source_id,
                session=session,
                pts0_ns=pts0,
                pts1_ns=pts1,
                t0_ns=t0,
                t1_ns=t1,
                text=shortened(text, TEXT_CHARS),
                source_kind=kind if kind == "chat" else "",
                time_zone=zone if kind == "chat" else "",
            )
        )
    return spoken


def all_names(db: sqlite3.Connection, who: str) -> list[str]:
    """Every name of whoever is meant."""
    found: list[str] = []
    for person_id in persons_meant(db, who):
        rows = db.execute("SELECT name FROM person_name WHERE person_id = ? ORDER BY place", (person_id,))
        found += (row[0] for row in rows)
    return list(dict.fromkeys([*found, *(name for one in found for name in names_of(db, one))]))
