"""Names of voices where readers want them: who said it, and what is said by, or to, whom."""

from __future__ import annotations

import re
import sqlite3
import string
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from memory.log.reader import LIVE_KINDS, Logged, marks, pages

HEARING_NS = 900_000_000_000
"""How long before or after it somebody spoke who heard what a live source heard: a quarter of an hour."""
MOST_NAME_CHARS = 1_000
"""Of what is looked for as a name."""
_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_NAMES_LIKE = (
    "SELECT p.name FROM person_name AS p WHERE p.person_id IN"
    " (SELECT q.person_id FROM person_name AS q WHERE q.name = ?)"
)
"""All names of whoever has a name."""
_VOICES_LIKE = (
    "SELECT v.n FROM person_name AS q JOIN voice AS w ON w.person_id = q.person_id"
    " JOIN voice_of AS v ON v.voice_id = w.voice_id WHERE q.name = ?"
)
"""What the voices of whoever has a name say."""


class Said(NamedTuple):
    """A condition on a row `o` of the log, with its values."""

    sql: str
    values: tuple[object, ...]


def speakers_of(db: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, str]:
    """The names of those whose voices utterances are, by row number; those of nobody named are left out."""
    found: dict[int, str] = {}
    if not any_named(db):
        return found
    for some in pages(sorted(set(numbers))):
        found.update(
            db.execute(
                "SELECT v.n, p.name FROM voice_of AS v JOIN voice AS w ON w.voice_id = v.voice_id"  # noqa: S608
                " JOIN person_name AS p ON p.person_id = w.person_id AND p.place = 0"
                f" WHERE v.n IN ({marks(some)})",
                some,
            ).fetchall()
        )
    return found


def any_named(db: sqlite3.Connection) -> bool:
    """Whether a voice has a name at all."""
    return db.execute("SELECT 1 FROM person_name LIMIT 1").fetchone() is not None


def with_speakers(db: sqlite3.Connection, items: Sequence[Logged]) -> list[Logged]:
    """The same observations, with the names of those whose voices they are where no speaker is told."""
    mute = [item.n for item in items if item.kind == "utterance" and not item.speaker]
    names = speakers_of(db, mute) if mute else {}
    if not names:
        return list(items)
    return [replace(item, speaker=names[item.n]) if item.n in names else item for item in items]


def said_by(db: sqlite3.Connection, name: str, *, by_voice: bool = True) -> Said:
    """Said by somebody: a speaker that is written, by any name of that person, or a voice of that person.

    Without `by_voice` written speakers alone count: as of a commit nobody knows what was named by then.
    """
    if not by_voice or not any_named(db):
        return Said("o.speaker = ? COLLATE NOCASE", (name,))
    return Said(
        f"o.speaker = ? COLLATE NOCASE OR (o.speaker <> '' AND o.speaker COLLATE NOCASE IN ({_NAMES_LIKE}))"
        f" OR o.n IN ({_VOICES_LIKE})",
        (name, name, name),
    )


def about(db: sqlite3.Connection, name: str, *, by_voice: bool = True) -> Said:
    """About somebody: written so, or one of the person's names is a word of what was said.

    What a person says of herself is not about her by name: that is `said_by`.
    """
    names = names_of(db, name) if by_voice else [lowered(name)]
    padded = "(' ' || lower(o.text) || ' ')"
    globs = tuple(f"*[^a-z0-9]{_globbed(one)}[^a-z0-9]*" for one in names)
    equal = " OR ".join("o.about = ? COLLATE NOCASE" for _ in names)
    return Said(f"{equal} OR {' OR '.join(f'{padded} GLOB ?' for _ in names)}", (*names, *globs))


def names_of(db: sqlite3.Connection, name: str) -> list[str]:
    """A name and all others of whoever has it, without case as the log tells it: of a to z."""
    rows = db.execute(_NAMES_LIKE, (name,)).fetchall()
    return list(dict.fromkeys([lowered(name), *(lowered(row[0]) for row in rows)]))


def is_known(db: sqlite3.Connection, name: str) -> bool:
    """Whether somebody of a name speaks in a chat, or is a voice that the owner named."""
    words = re.findall(r"[^\W_]+", name)
    if not words or db.execute("SELECT 1 FROM person_name WHERE name = ? LIMIT 1", (name,)).fetchone():
        return bool(words)
    query = "speaker: (" + " AND ".join(f'"{word}"' for word in words) + ")"
    row = db.execute(
        "SELECT 1 FROM observation_fts AS f JOIN observation AS o ON o.n = f.rowid"
        " WHERE observation_fts MATCH ? AND o.speaker = ? COLLATE NOCASE LIMIT 1",
        (query, name),
    ).fetchone()
    return row is not None


def heard_by(db: sqlite3.Connection, name: str, *, by_voice: bool = True) -> Said:
    """Said in somebody's hearing: to that person, by that person, or where that person speaks too.

    Where an audience is written it alone decides. Else whoever takes part in a chat, or speaks in a
    recording, hears all of it; of a live source, what is said within `HEARING_NS` of a word of that person's.
    """
    names = names_of(db, name) if by_voice else [lowered(name)]
    listed = " OR ".join(
        "(',' || replace(replace(lower(o.audience), '; ', ','), ', ', ',') || ',') LIKE ? ESCAPE '\\'"
        for _ in names
    )
    likes = tuple(f"%,{_escaped(one)},%" for one in names)
    by = said_by(db, name, by_voice=by_voice)
    other = Said(by.sql.replace("o.", "h."), by.values)
    live = ",".join(f"'{kind}'" for kind in LIVE_KINDS)
    is_live = (
        "EXISTS (SELECT 1 FROM source AS c WHERE c.source_id = o.source_id AND c.session = o.session"  # noqa: S608
        f" AND (c.kind IN ({live}) OR c.session <> 0))"
    )
    present = (
        "(o.source_id, o.session) IN (SELECT h.source_id, h.session FROM observation AS h"  # noqa: S608
        f" WHERE h.kind = 'utterance' AND ({other.sql}))"
    )
    near = (
        "EXISTS (SELECT 1 FROM observation AS h WHERE h.source_id = o.source_id AND h.session = o.session"  # noqa: S608
        f" AND h.kind = 'utterance' AND h.pts0_ns BETWEEN o.pts0_ns - {HEARING_NS}"
        f" AND o.pts0_ns + {HEARING_NS} AND ({other.sql}))"
    )
    sql = (
        f"CASE WHEN o.audience <> '' THEN ({listed}) OR ({by.sql})"
        f" WHEN o.kind NOT IN ('utterance', 'caption') THEN 0"
        f" WHEN {is_live} THEN {near} ELSE {present} END"
    )
    return Said(sql, (*likes, *by.values, *other.values, *other.values))


def lowered(name: str) -> str:
    """In small letters as SQLite makes them, which leaves all but A to Z as they are.

    No more of it than a pattern can have: nobody has so long a name.
    """
    return name[:MOST_NAME_CHARS].translate(_SMALL)


def _globbed(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
