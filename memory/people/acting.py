"""Acts on persons, made of what the owner says: each names utterances, which stay what they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from memory.bounds import NAME_CHARS
from memory.log.acts import acts_on_persons
from memory.people.told import anchors_of, bounds_of, persons_meant
from memory.people.wishes import OF_PERSON, wishes_of
from stream.errors import ConfigError
from stream.messages import Act, new_id
from stream.messages.people import PeopleAsk
from stream.wire.bounds import shortened

MOST_NAME_CHARS = 120


def act_of(db: sqlite3.Connection, ask: PeopleAsk, now_ns: int) -> Act:
    """The act that a request asks for.

    Raises:
        ConfigError: If it names nobody, nothing, or too much.
    """
    if ask.op == "undo":
        return _undo(db, ask.act_id, now_ns)
    value: dict[str, object] = {"of": OF_PERSON}
    if ask.op == "label":
        text = name_told(ask.name)
        target, others = _voice_named(db, ask.who)
        value |= {"also": True} if ask.also else {"with": others} if others else {}
        return Act(act_id=new_id(), kind="label", t_ns=now_ns, target=target, text=text, value=value)
    ids = persons_meant(db, ask.who)
    target = _anchor(db, ids[0])
    if ask.op == "merge":
        others = [_anchor(db, one) for who in ask.others for one in persons_meant(db, who) if one not in ids]
        if not others:
            raise ConfigError(
                "name two persons that are one", remedy="omnirecall people merge ANNA VOICE [VOICE ...]"
            )
        told = [*(_anchor(db, one) for one in ids[1:]), *others]
        return Act(act_id=new_id(), kind="merge", t_ns=now_ns, target=target, value={**value, "with": told})
    if ask.op != "split":
        raise ConfigError(f"there is no act {ask.op!r}")
    apart = [_utterance(db, one, ids) for one in ask.others] or _last_joined(db, ids[0], target)
    kept = _kept_anchor(db, ids[0], apart, target)
    more = {"apart": apart} | ({"only": True} if ask.only else {})
    return Act(act_id=new_id(), kind="split", t_ns=now_ns, target=kept, value={**value, **more})


def name_told(name: str) -> str:
    """A name as it is kept: one line, of at most `MOST_NAME_CHARS`.

    Raises:
        ConfigError: If there is none, or it is too long.
    """
    told = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    if not told or len(told) > MOST_NAME_CHARS or not any(c.isalnum() for c in told):
        raise ConfigError(
            f"{shortened(name, NAME_CHARS)!r} is no name",
            remedy=f'give 1 to {MOST_NAME_CHARS} letters: omnirecall people label ID "my sister"',
        )
    return told


def _voice_named(db: sqlite3.Connection, who: str) -> tuple[bytes, list[bytes]]:
    """The utterance that a label names: the one that was told, or the one that has the person's name.

    A person who is called by name, or by the id of a person, is renamed, hence all others that gave the same
    name, too; an utterance that is told by its own id says of its voice alone whose it is, so that what was
    taken for somebody else's is put right.
    """
    bounds = bounds_of(who)
    rows = []
    if bounds is not None:
        rows = db.execute(
            "SELECT o.observation_id FROM observation AS o JOIN voice_of AS v ON v.n = o.n"
            " WHERE o.observation_id BETWEEN ? AND ? LIMIT 2",
            bounds,
        ).fetchall()
    if len(rows) == 1:
        return _same_person_anchor(db, bytes(rows[0][0])), []
    ids = persons_meant(db, who)
    target = _anchor(db, ids[0])
    given = wishes_of(acts_on_persons(db)).names
    old = {one.name.casefold() for one in given.get(target, ()) if not one.also}
    heard = anchors_of(db, ids)
    return target, [
        other
        for other, theirs in given.items()
        if other != target
        and other in heard
        and any(one.name.casefold() in old and not one.also for one in theirs)
    ]


def _same_person_anchor(db: sqlite3.Connection, observation_id: bytes) -> bytes:
    """The anchor of an utterance's own voice that was named before, else the utterance itself."""
    own, _ = _whose(db, observation_id)
    return _named_last(db, lambda voice_id, _: voice_id == own) or observation_id


def _anchor(db: sqlite3.Connection, person_id: bytes) -> bytes:
    """The utterance that stands for a person: the one that was named last, else the first that was heard."""
    if (named := _named_last(db, lambda _, person: person == person_id)) is not None:
        return named
    row = db.execute("SELECT anchor FROM person WHERE person_id = ?", (person_id,)).fetchone()
    return bytes(row[0])


def _named_last(
    db: sqlite3.Connection, is_meant: Callable[[bytes | None, bytes | None], bool]
) -> bytes | None:
    """The utterance of the newest label whose voice and person are meant; None where there is none."""
    named = [act.target for act in acts_on_persons(db) if act.kind == "label" and not act.value.get("also")]
    for target in reversed(named):
        voice_id, person_id = _whose(db, target)
        if voice_id is not None and is_meant(voice_id, person_id):
            return target
    return None


def _whose(db: sqlite3.Connection, observation_id: bytes) -> tuple[bytes | None, bytes | None]:
    """The voice of an utterance, and the person whose voice it is; None for what is not known."""
    row = db.execute(
        "SELECT v.voice_id, w.person_id FROM observation AS o JOIN voice_of AS v ON v.n = o.n"
        " LEFT JOIN voice AS w ON w.voice_id = v.voice_id WHERE o.observation_id = ?",
        (observation_id,),
    ).fetchone()
    return row if row is not None else (None, None)


def _utterance(db: sqlite3.Connection, told: str, persons: list[bytes]) -> bytes:
    """An utterance of a person, by the beginning of its id.

    Raises:
        ConfigError: If it is none of the person's.
    """
    bounds = bounds_of(told)
    rows = []
    if bounds is not None:
        rows = db.execute(
            "SELECT o.observation_id, w.person_id FROM observation AS o JOIN voice_of AS v ON v.n = o.n"
            " JOIN voice AS w ON w.voice_id = v.voice_id WHERE o.observation_id BETWEEN ? AND ? LIMIT 2",
            bounds,
        ).fetchall()
    if len(rows) != 1 or rows[0][1] not in persons:
        raise ConfigError(
            f"{shortened(told, NAME_CHARS)!r} is no utterance of this person",
            remedy="omnirecall people show NAME tells their ids",
        )
    return bytes(rows[0][0])


def _last_joined(db: sqlite3.Connection, person_id: bytes, target: bytes) -> list[bytes]:
    """The first utterances of the voices of the source that joined a person last."""
    rows = db.execute(
        "SELECT w.anchor, w.source_id, w.session FROM voice AS w JOIN observation AS o"
        " ON o.observation_id = w.anchor WHERE w.person_id = ? ORDER BY o.n DESC",
        (person_id,),
    ).fetchall()
    origins = list(dict.fromkeys(row[1:] for row in rows))
    if len(origins) < 2:
        raise ConfigError(
            "all of this person is of one source",
            remedy="say which utterances are not: omnirecall people split NAME ID [ID ...]",
        )
    last = next(
        origin for origin in origins if not any(row[0] == target and row[1:] == origin for row in rows)
    )
    return [bytes(row[0]) for row in rows if row[1:] == last]


def _kept_anchor(db: sqlite3.Connection, person_id: bytes, apart: list[bytes], target: bytes) -> bytes:
    """An utterance of what stays: not of a voice that goes.

    Raises:
        ConfigError: If nothing stays.
    """
    gone = {
        row[0]
        for one in apart
        for row in db.execute(
            "SELECT v.voice_id FROM voice_of AS v JOIN observation AS o ON o.n = v.n"
            " WHERE o.observation_id = ?",
            (one,),
        )
    }
    rows = db.execute(
        "SELECT w.anchor, w.voice_id, w.turn FROM voice AS w JOIN observation AS o"
        " ON o.observation_id = w.anchor WHERE w.person_id = ? ORDER BY w.anchor <> ?, o.n",
        (person_id, target),
    ).fetchall()
    for anchor, voice_id, turn in rows:
        if voice_id not in gone or (turn < 0 and anchor not in apart):
            return bytes(anchor)
    others = db.execute(
        "SELECT o.observation_id FROM voice AS w JOIN voice_of AS v ON v.voice_id = w.voice_id"
        " JOIN observation AS o ON o.n = v.n WHERE w.person_id = ? ORDER BY o.n",
        (person_id,),
    ).fetchall()
    kept = next((bytes(row[0]) for row in others if row[0] not in apart), None)
    if kept is None:
        raise ConfigError("nothing of this person would be left", remedy="omnirecall people label renames it")
    return kept


def _undo(db: sqlite3.Connection, begun: bytes, now_ns: int) -> Act:
    """Takes an act on a person back: the one whose id begins so, or the last that stands."""
    standing = acts_on_persons(db)
    found = [act for act in standing if act.act_id.startswith(begun)] if begun else standing[-1:]
    if len(found) != 1:
        raise ConfigError(
            "there is no act on a person to undo"
            if not standing
            else f"{len(found)} acts that stand begin with {begun.hex()}",
            remedy="omnirecall people show NAME tells the acts on a person",
        )
    return Act(act_id=new_id(), kind="undo", t_ns=now_ns, target=found[0].act_id, undoes=found[0].act_id)
