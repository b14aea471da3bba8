"""Persons as a view of the log: voice keys in the order of their commits, under the acts that stand.

The map itself is held in memory and made anew at a start, and after every act on a person: what an act says
holds for what was heard before it, too. Tables tell readers what it came to; no mean of voices is ever
written. Steps are small, and what readers see changes once a whole stretch was heard.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass, field

import msgpack
import numpy as np

from memory.log.acts import acts_on_persons
from memory.people.calibration import Calibration, calibration_of
from memory.people.map import Heard, Person, PersonMap
from memory.people.wishes import Wishes, wishes_of
from memory.settings import PeopleSettings

VOICE = "voice"
"""The kind of the keys."""
MOST_IN_STEP = 256
"""Utterances of one step, some 20 ms."""
STATE = "people"
_TABLES = ("voice_of", "voice", "person_name", "person", "person_scale")

Row = tuple[object, ...]


@dataclass(slots=True)
class _Written:
    """What the tables hold, so that only what changed is written."""

    voices: dict[bytes, Row] = field(default_factory=dict)
    persons: dict[bytes, Row] = field(default_factory=dict)
    names: dict[tuple[bytes, int], str] = field(default_factory=dict)


class PeopleView:
    """Makes the tables of persons. For the writer's lane alone.

    Args:
        settings: How alike voices must be.
    """

    def __init__(self, settings: PeopleSettings) -> None:
        self._settings = settings
        self._maps: dict[str, PersonMap] = {}
        self._scales: dict[str, Calibration] = {}
        self._sizes: dict[str, int] = {}
        self._wishes = Wishes()
        self._acts_seen: tuple[int, int] = (-1, -1)
        self._reset_seen = 0
        self._last_key = 0
        self._written = _Written()
        self._is_anew = True

    def advance(self, db: sqlite3.Connection) -> bool:
        """Hears the next stretch within the writer's transaction; True where there is more to hear."""
        seen, reset = _acts_seen(db), reset_of(db)
        if (seen, reset) != (self._acts_seen, self._reset_seen):
            self._acts_seen, self._reset_seen = seen, reset
            self._begin(db)
        rows = _heard(db, self._last_key)
        for key_id, encoder_id, heard in rows:
            self._last_key = key_id
            if heard is not None and self._is_of_size(encoder_id, heard):
                self._map(encoder_id).hear(heard)
        if len(rows) == MOST_IN_STEP:
            return True
        self._write(db)
        return False

    def scales(self) -> list[Calibration]:
        """How alike two voices must be, for each encoder that was met."""
        return list(self._scales.values())

    def _begin(self, db: sqlite3.Connection) -> None:
        self._wishes = wishes_of(acts_on_persons(db))
        self._maps, self._scales, self._sizes, self._last_key = {}, {}, {}, 0
        self._written, self._is_anew = _read(db), True

    def _map(self, encoder_id: str) -> PersonMap:
        if encoder_id not in self._maps:
            scale = calibration_of(encoder_id, self._settings.join_at)
            self._scales[encoder_id] = scale
            self._maps[encoder_id] = PersonMap(scale, self._wishes)
        return self._maps[encoder_id]

    def _is_of_size(self, encoder_id: str, heard: Heard) -> bool:
        """Whether a key is as long as the first of its encoder: others can be compared with none of them."""
        return heard.vector.size == self._sizes.setdefault(encoder_id, heard.vector.size)

    def _write(self, db: sqlite3.Connection) -> None:
        """Brings the tables in step with the maps."""
        new, old = self._rows(), self._written
        # A person may go before whoever became that person is told after another.
        db.execute("PRAGMA defer_foreign_keys = ON")
        self._write_utterances(db)
        db.executemany(
            "DELETE FROM voice WHERE voice_id = ?", ((one,) for one in old.voices.keys() - new.voices.keys())
        )
        db.executemany(
            "INSERT OR REPLACE INTO voice (voice_id, person_id, source_id, session, turn, anchor, seconds,"
            " utterances) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((one, *row) for one, row in new.voices.items() if old.voices.get(one) != row),
        )
        db.executemany(
            "DELETE FROM person WHERE person_id = ?",
            ((one,) for one in old.persons.keys() - new.persons.keys()),
        )
        db.executemany(
            "INSERT OR REPLACE INTO person (person_id, label, visits, encoder_id, merged_into, made_commit,"
            " ended_commit, anchor, seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((one, *row) for one, row in new.persons.items() if old.persons.get(one) != row),
        )
        if new.names != old.names:
            db.execute("DELETE FROM person_name")
            db.executemany(
                "INSERT INTO person_name (person_id, place, name) VALUES (?, ?, ?)",
                ((*key, name) for key, name in new.names.items()),
            )
        for scale in self._scales.values():
            told = json.dumps(asdict(scale), sort_keys=True)
            db.execute("INSERT OR REPLACE INTO person_scale VALUES (?, ?)", (scale.encoder_id, told))
        self._written = new

    def _write_utterances(self, db: sqlite3.Connection) -> None:
        """All of them where the maps were made anew, else those that are new: what was heard stays so."""
        known: dict[int, tuple[bytes, float]] = {}
        if self._is_anew:
            rows = db.execute("SELECT n, voice_id, seconds FROM voice_of")
            known = {row[0]: row[1:] for row in rows}
        heard: dict[int, tuple[bytes, float]] = {}
        for one in self._maps.values():
            numbers = one.voice_of if self._is_anew else one.fresh
            told = ((n, *one.voice_of[n]) for n in numbers)
            heard |= {n: (voice.voice_id, seconds) for n, voice, seconds in told}
            one.fresh.clear()
        gone = known.keys() - heard.keys()
        db.executemany("DELETE FROM voice_of WHERE n = ?", ((n,) for n in gone))
        db.executemany(
            # What was let go between two steps was heard, and is not there any more.
            "INSERT OR REPLACE INTO voice_of (n, voice_id, seconds)"
            " SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM observation WHERE n = ?1)",
            ((n, *of) for n, of in heard.items() if known.get(n) != of),
        )
        self._is_anew = False

    def _rows(self) -> _Written:
        made = _Written()
        for encoder_id, one in self._maps.items():
            standing = {id(person): person.person_id for person in one.persons()}
            for voice in one.voices():
                person_id = standing[id(voice.person)] if voice.person is not None else b""
                where = (*voice.origin, voice.turn, voice.anchor)
                made.voices[voice.voice_id] = (person_id, *where, round(voice.seconds, 3), voice.utterances)
            for person in one.persons():
                _add_person(made, person, encoder_id)
            for gone, into in one.merged.items():
                into = _standing(into, one.merged)
                if gone not in made.persons and into in made.persons:
                    made.persons[gone] = ("", 0, encoder_id, into, 0, 0, None, 0.0)
        return made


def _add_person(made: _Written, person: Person, encoder_id: str) -> None:
    names = person.names
    label = next((one.name for one in names if not one.also), names[0].name if names else "")
    visits = len({voice.origin for voice in person.voices.values()})
    row = (label, visits, encoder_id, None, 0, None, person.first.anchor, round(person.seconds, 3))
    made.persons[person.person_id] = row
    ordered = [label, *(one.name for one in names if one.name != label)] if label else []
    made.names |= {(person.person_id, place): name for place, name in enumerate(ordered)}


def _standing(person_id: bytes, merged: dict[bytes, bytes]) -> bytes:
    for _ in range(len(merged)):
        if person_id not in merged:
            break
        person_id = merged[person_id]
    return person_id


def _heard(db: sqlite3.Connection, after: int) -> list[tuple[int, str, Heard | None]]:
    """The next voice keys, in the order of their commits."""
    rows = db.execute(
        "SELECT k.key_id, k.encoder_id, k.vector, o.n, o.observation_id, o.source_id, o.session, o.pts0_ns,"
        " o.pts1_ns, o.payload FROM key AS k LEFT JOIN observation AS o ON o.observation_id = k.owner"
        " WHERE k.kind = 'voice' AND k.key_id > ? ORDER BY k.key_id LIMIT ?",
        (after, MOST_IN_STEP),
    )
    return [(key_id, encoder_id, _one(*row)) for key_id, encoder_id, *row in rows]


def _one(
    vector: bytes | None,
    n: int | None,
    observation_id: bytes,
    source_id: bytes,
    session: int,
    pts0_ns: int,
    pts1_ns: int,
    payload: bytes | None,
) -> Heard | None:
    if n is None or vector is None:
        return None
    row = np.frombuffer(vector, "<f2").astype(np.float32)
    told = voice_told(payload)
    whole_s = max(0.0, (pts1_ns - pts0_ns) / 1e9)
    return Heard(
        n,
        observation_id,
        source_id,
        session,
        int(_number(told.get("turn"), -1)),
        pts0_ns,
        pts1_ns,
        max(0.0, _number(told.get("seconds"), whole_s)),
        min(1.0, max(0.0, _number(told.get("overlap"), 0.0))),
        row / max(float(np.linalg.norm(row)), 1e-9),
    )


def voice_told(payload: bytes | None) -> dict[str, object]:
    """What perception says of the voice of an utterance; empty where it says nothing, or something odd."""
    unpacked = msgpack.unpackb(payload, strict_map_key=False) if payload else {}
    told = unpacked.get(VOICE) if isinstance(unpacked, dict) else None
    return told if isinstance(told, dict) else {}


def _number(value: object, otherwise: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9
    return float(value) if is_number and isinstance(value, int | float) else otherwise


def _acts_seen(db: sqlite3.Connection) -> tuple[int, int]:
    """Changes with every act on a person, and every undo."""
    row = db.execute(
        "SELECT COUNT(*), COALESCE(MAX(commit_no), 0) FROM act WHERE kind IN ('label', 'merge', 'split',"
        " 'undo')"
    ).fetchone()
    return int(row[0]), int(row[1])


def reset_of(db: sqlite3.Connection) -> int:
    """How often persons had to be made anew because something of them was forgotten."""
    row = db.execute("SELECT value FROM view_state WHERE name = ?", (STATE,)).fetchone()
    return int(row[0]) if row is not None else 0


def clear(db: sqlite3.Connection) -> None:
    """Takes all of the view away, to be made anew from what the log still has."""
    for table in _TABLES:
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own words
    again = reset_of(db) + 1
    db.execute("INSERT OR REPLACE INTO view_state (name, value) VALUES (?, ?)", (STATE, str(again)))


def _read(db: sqlite3.Connection) -> _Written:
    """What the tables hold already."""
    columns = "label, visits, encoder_id, merged_into, made_commit, ended_commit, anchor, seconds"
    return _Written(
        {
            row[0]: row[1:]
            for row in db.execute(
                "SELECT voice_id, person_id, source_id, session, turn, anchor, seconds, utterances FROM voice"
            )
        },
        {row[0]: row[1:] for row in db.execute(f"SELECT person_id, {columns} FROM person")},  # noqa: S608
        {(row[0], row[1]): row[2] for row in db.execute("SELECT person_id, place, name FROM person_name")},
    )
