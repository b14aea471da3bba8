"""Forgetting a person: voice keys, names, acts, and what was said only where that is asked for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

import msgpack

from memory.forget.prints import Gathering
from memory.keys.keyers import unpack_vectors
from memory.log.reader import marks, pages
from memory.log.tombstones import VOICE_KEYS, ForgottenRange
from memory.people.names import said_by
from memory.people.told import all_names, anchors_of, persons_meant
from memory.people.view import VOICE, clear
from memory.people.wishes import ids_named
from stream.errors import ConfigError


class ForgottenPerson(NamedTuple):
    """Who is to go: every name, and the ids of the utterances of that voice."""

    names: tuple[str, ...]
    voices: tuple[bytes, ...]


def person_of(db: sqlite3.Connection, who: str) -> ForgottenPerson:
    """Whoever a name or an id means.

    Raises:
        ConfigError: If nobody is meant, or voices are kept and not told apart.
    """
    if not db.execute("SELECT 1 FROM voice LIMIT 1").fetchone() and _has_voices(db):
        raise ConfigError(
            "voice keys are kept, and whose they are is not told: people are off, or not heard yet",
            remedy="set memory.people.enabled, see omnirecall people, and forget then",
        )
    ids = persons_meant(db, who)
    return ForgottenPerson(tuple(all_names(db, who)), tuple(sorted(anchors_of(db, ids))))


def _has_voices(db: sqlite3.Connection) -> bool:
    return db.execute(f"SELECT 1 FROM key WHERE kind = '{VOICE}' LIMIT 1").fetchone() is not None  # noqa: S608


def person_within(db: sqlite3.Connection, ranges: Iterable[ForgottenRange]) -> ForgottenPerson | None:
    """Whoever was forgotten by these ranges in another log: for a snapshot, which may know no person yet.

    None where no key of a voice is to go.
    """
    voices: set[bytes] = set()
    for one in ranges:
        if one.kind == VOICE_KEYS:
            rows = db.execute(
                "SELECT observation_id FROM observation WHERE kind = 'utterance' AND source_id = ?"
                " AND session = ? AND pts0_ns < ? AND (pts1_ns > ? OR pts0_ns >= ?)",
                (one.source_id, one.session, one.pts1_ns, one.pts0_ns, one.pts0_ns),
            )
            voices.update(row[0] for row in rows)
    if not voices:
        return None
    labels = db.execute("SELECT target, text FROM act WHERE kind = 'label'").fetchall()
    names = {text for target, text in labels if target in voices}
    return ForgottenPerson(tuple(sorted(names)), tuple(sorted(voices)))


def words_of(db: sqlite3.Connection, person: ForgottenPerson) -> list[bytes]:
    """The ids of everything that a person said, by voice and as a written speaker."""
    found = set(person.voices)
    for name in person.names:
        said = said_by(db, name)
        rows = db.execute(
            f"SELECT o.observation_id FROM observation AS o WHERE o.kind IN ('utterance', 'caption')"  # noqa: S608
            f" AND ({said.sql})",
            said.values,
        )
        found.update(row[0] for row in rows)
    return sorted(found)


def keyless_ranges(db: sqlite3.Connection, person: ForgottenPerson) -> list[ForgottenRange]:
    """Where the voice was heard: keys of voices do not come back there, whoever makes them."""
    found: list[ForgottenRange] = []
    for some in pages(person.voices):
        rows = db.execute(
            "SELECT source_id, session, pts0_ns, pts1_ns FROM observation"  # noqa: S608
            f" WHERE observation_id IN ({marks(some)})",
            some,
        )
        for source_id, session, pts0_ns, pts1_ns in rows:
            end_ns = max(pts1_ns, pts0_ns + 1)
            found.append(ForgottenRange(source_id, session, pts0_ns, end_ns, None, None, VOICE_KEYS))
    return list(dict.fromkeys(found))


def take_voices(db: sqlite3.Connection, person: ForgottenPerson, gathering: Gathering) -> list[int]:
    """Takes the voice keys of a person away, and the whole view, to be made anew without them.

    Returns:
        The ids of the keys that went.
    """
    gone: list[int] = []
    for some in pages(person.voices):
        where = f"kind = '{VOICE}' AND owner IN ({marks(some)})"
        rows = db.execute(f"SELECT key_id, dimension, vector FROM key WHERE {where}", some)  # noqa: S608
        for key_id, dimension, vector in rows.fetchall():
            gone.append(key_id)
            gathering.content(bytes(vector))
            gathering.content(unpack_vectors([vector], dimension).astype("<f4").tobytes())
        db.execute(f"DELETE FROM key WHERE {where}", some)  # noqa: S608
    for name in person.names:
        gathering.text(name)
    clear(db)
    return gone


def acts_that_tell(db: sqlite3.Connection, person: ForgottenPerson) -> list[bytes]:
    """The ids of the acts on a person, those that were undone too, and of corrections that say a name of it.

    Acts of others stay, also those that name places or pin things.
    """
    voices, names = set(person.voices), {name.casefold() for name in person.names}
    rows = db.execute(
        "SELECT act_id, kind, target, text, value FROM act"
        " WHERE kind IN ('label', 'merge', 'split', 'correct')"
    ).fetchall()
    found: list[bytes] = []
    for act_id, kind, target, text, packed in rows:
        value = msgpack.unpackb(packed) if packed else {}
        if kind == "correct":
            told = " ".join(_words_in([text, value])).casefold()
            is_told = any(_says(told, name) for name in names)
        else:
            named = set(ids_named(target, value))
            is_person = value.get("of") == "person"
            is_told = is_person and (bool(named & voices) or text.casefold() in names)
        if is_told:
            found.append(act_id)
    return found


def _says(text: str, name: str) -> bool:
    """Whether a name stands in a text as words of their own."""
    place = text.find(name)
    while place >= 0:
        before = text[place - 1 : place]
        after = text[place + len(name) : place + len(name) + 1]
        if not before.isalnum() and not after.isalnum():
            return True
        place = text.find(name, place + 1)
    return False


def _words_in(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [word for one in value.values() for word in _words_in(one)]
    if isinstance(value, list | tuple):
        return [word for one in value for word in _words_in(one)]
    return []
