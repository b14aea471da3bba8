"""The ledger of claims: a view of utterances, seen text and the owner's corrections, made step by step.

A claim is a slot's value from when it was said until something else was; equal values said one after
the other support the same claim. Nothing is overwritten: the older claim keeps its row, with the
claim that superseded it and when. Which values are one is decided by the slot and the spelling of the
value, never by likeness: of sentences that differ in one word, two thirds have a cosine above .9.
Ids are made of the slot, the value and the first support, so that the same log gives the same ledger.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from memory.claims.clauses import Voices
from memory.claims.grammar import statements_of
from memory.claims.statement import CERTAIN, DENIED, HOLDS, MANY, MAYBE, Statement, normal
from memory.log.demotion import DIGEST, REASON
from memory.log.reader import T0, last_commit, marks, pages

RULES = "claims-4"
"""Version of the grammar and of this view; a store of another one has its claims made anew."""
PER_STEP = 96
"""Observations read in one transaction, some 30 ms at a third of a millisecond each."""
MOST_STATEMENTS = 8
"""Of one observation: a page of text that is read as more is a table, not somebody's words."""
KINDS = ("utterance", "seen_text")
DAY_NS = 86_400_000_000_000
ID_BYTES = 16
_THROUGH, _READ, _RULES = "claims.through", "claims.read", "claims.rules"
_TOMBSTONE, _ACT = "claims.tombstone", "claims.undone"


@dataclass(frozen=True, slots=True)
class Told:
    """A statement in the ledger, and what it rests on.

    `t_ns` is UTC; None where it is not known: `n` then orders within a source. `is_act`: the owner's
    own word, whose id is `support_id`.
    """

    value: str
    confidence: float
    support_id: bytes
    commit_no: int
    source: tuple[bytes, int]
    kind: str
    t_ns: int | None
    pts_ns: int
    n: int
    is_shifted: bool = False
    is_act: bool = False

    @property
    def key(self) -> tuple[int, int, int, int]:
        """Order of time: what has no date comes before what has one, as it was committed."""
        if self.t_ns is None:
            return 0, 0, self.n, self.pts_ns
        return 1, self.t_ns, self.pts_ns, self.n

    @property
    def plain(self) -> str:
        """The value in one spelling."""
        return normal(self.value)


def advance(db: sqlite3.Connection, limit: int = PER_STEP) -> bool:
    """Reads what was committed since the last step, at most `limit` observations.

    Returns:
        Whether there is more.
    """
    _refresh(db)
    through, read = _state(db, _THROUGH), _state(db, _READ)
    last = last_commit(db)
    rows = db.execute(
        "SELECT o.n, o.commit_no, o.observation_id, o.source_id, o.session, o.text, o.speaker, o.kind,"  # noqa: S608
        f" {T0}, o.pts0_ns FROM observation AS o WHERE o.n > ? AND o.kind IN {KINDS}"
        " AND o.text <> '' ORDER BY o.n LIMIT ?",
        (read, limit + 1),
    ).fetchall()
    more = len(rows) > limit
    # Rows are numbered in the order of commits; of a commit that is read in part, only its rows are.
    through_now = max(through, rows[limit][1] - 1) if more else last
    rows = rows[:limit]
    fresh: dict[tuple[str, str], list[Told]] = {}
    voices = _Partners(db)
    for row in rows:
        _read(row, voices, fresh)
    for act in _acts(db, through, through_now):
        for one in act_statements(act):
            _add(fresh, one, act)
    for (about, relation), told in fresh.items():
        _enter(db, about, relation, told)
    _keep(db, _THROUGH, through_now)
    if rows:
        _keep(db, _READ, rows[-1][0])
    return more


def _refresh(db: sqlite3.Connection) -> None:
    """Makes the ledger anew where the rules changed, something was forgotten, or an act was undone."""
    gone = int(
        db.execute("SELECT COALESCE(MAX(n), 0) FROM tombstone WHERE reason <> ?", (REASON,)).fetchone()[0]
    )
    undone = int(db.execute("SELECT COUNT(*) FROM act WHERE kind = 'undo'").fetchone()[0])
    rules = db.execute("SELECT value FROM view_state WHERE name = ?", (_RULES,)).fetchone()
    is_same = rules is not None and rules[0] == RULES
    if is_same and _state(db, _TOMBSTONE) == gone and _state(db, _ACT) == undone:
        return
    forget_claims(db)
    _keep(db, _RULES, RULES)
    _keep(db, _TOMBSTONE, gone)
    _keep(db, _ACT, undone)


def forget_claims(db: sqlite3.Connection) -> None:
    """Takes the view away; the next steps make it from the log.

    What rests on texts that retention let go stays: the log cannot tell it again.
    """
    kept = _of_let_go_texts(db)
    db.execute("DELETE FROM claim_support")
    db.execute("UPDATE claim SET superseded_by = NULL")
    db.execute("DELETE FROM claim")
    _keep(db, _THROUGH, 0)
    _keep(db, _READ, 0)
    for (about, relation), some in kept.items():
        _write(db, about, relation, runs(some, relation))


def _of_let_go_texts(db: sqlite3.Connection) -> dict[tuple[str, str], list[Told]]:
    """Statements of observations that are there without their text, by slot."""
    rows = db.execute(
        "SELECT DISTINCT c.about, c.relation, o.observation_id FROM observation AS o JOIN claim_support AS s"
        " ON s.observation_id = o.observation_id JOIN claim AS c ON c.claim_id = s.claim_id"
        " WHERE o.demoted >= ?",
        (DIGEST,),
    )
    bare: dict[tuple[str, str], set[bytes]] = {}
    for about, relation, observation_id in rows.fetchall():
        bare.setdefault((about, relation), set()).add(observation_id)
    return {slot: [one for one in told_of(db, *slot) if one.support_id in ids] for slot, ids in bare.items()}


def through_commit(db: sqlite3.Connection) -> int:
    """Up to which commit the ledger was made."""
    return _state(db, _THROUGH)


def is_behind(db: sqlite3.Connection, as_of: int | None = None) -> bool:
    """Whether something that was said by a commit (None: by now) has not been read yet."""
    row = db.execute(
        f"SELECT 1 FROM observation AS o WHERE o.commit_no > ? AND o.commit_no <= ? AND o.kind IN {KINDS}"  # noqa: S608
        " AND o.text <> '' LIMIT 1",
        (through_commit(db), 2**62 if as_of is None else as_of),
    ).fetchone()
    return row is not None


def _state(db: sqlite3.Connection, name: str) -> int:
    row = db.execute("SELECT value FROM view_state WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row is not None else 0


def _keep(db: sqlite3.Connection, name: str, value: object) -> None:
    db.execute("INSERT OR REPLACE INTO view_state (name, value) VALUES (?, ?)", (name, str(value)))


class _Partners:
    """Who is spoken to: the other one of the two who speak in a source."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._speakers: dict[tuple[bytes, int], list[str]] = {}

    def voices(self, source: tuple[bytes, int], speaker: str) -> Voices:
        """The voices of an utterance."""
        if source not in self._speakers:
            rows = self._db.execute(
                "SELECT DISTINCT speaker FROM (SELECT speaker FROM observation WHERE source_id = ?"
                " AND session = ? AND kind = 'utterance' AND speaker <> '' LIMIT 1000)",
                source,
            )
            self._speakers[source] = [row[0] for row in rows]
        others = [one for one in self._speakers[source] if one != speaker]
        partner = others[0] if len(others) == 1 and speaker else ""
        return Voices(speaker, partner)


def _read(row: Sequence[Any], partners: _Partners, fresh: dict[tuple[str, str], list[Told]]) -> None:
    n, commit_no, observation_id, source_id, session, text, speaker, kind, t0_ns, pts_ns = row
    source = (bytes(source_id), int(session))
    made = statements_of(str(text), partners.voices(source, str(speaker)))
    if len(made) > MOST_STATEMENTS:
        return
    base = Told(
        "",
        CERTAIN,
        bytes(observation_id),
        int(commit_no),
        source,
        str(kind),
        t0_ns,
        int(pts_ns),
        int(n),
    )
    for one in made:
        _add(fresh, one, base)


def _add(fresh: dict[tuple[str, str], list[Told]], one: Statement, base: Told) -> None:
    t_ns = base.t_ns
    if one.day_shift_ns is not None:
        # Without a date the days of one source are all the same day: order is all that is known.
        t_ns = (t_ns // DAY_NS * DAY_NS if t_ns is not None else 0) + one.day_shift_ns
    told = Told(
        one.value, one.confidence, base.support_id, base.commit_no, base.source, base.kind, t_ns, base.pts_ns,
        base.n, one.day_shift_ns is not None, base.is_act,
    )  # fmt: skip
    fresh.setdefault((one.about, one.relation), []).append(told)


# Acts.


def _acts(db: sqlite3.Connection, after: int, through: int) -> list[Told]:
    rows = db.execute(
        "SELECT a.act_id, a.commit_no, a.t_ns, a.value, a.text FROM act AS a WHERE a.kind = 'correct'"
        " AND a.commit_no > ? AND a.commit_no <= ? AND NOT EXISTS"
        " (SELECT 1 FROM act AS u WHERE u.kind = 'undo' AND u.undoes = a.act_id)"
        " ORDER BY a.commit_no, a.act_id",
        (after, through),
    )
    found = []
    for act_id, commit_no, t_ns, value, text in rows:
        packed = msgpack.unpackb(value) if isinstance(value, bytes) else {}
        slot = f"{packed.get('about', '')}\n{packed.get('relation', '')}\n{packed.get('value', '')}\n{text}"
        found.append(Told(slot, CERTAIN, act_id, commit_no, (b"", 0), "act", t_ns, 0, 2**62, is_act=True))
    return found


def act_statements(act: Told) -> list[Statement]:
    """What a correction states: the slot it names with its value, else what its own words state."""
    about, relation, value, text = act.value.split("\n", 3)
    if about and relation and value:
        return [Statement(about, relation, value)]
    return statements_of(text, Voices())


# Entering.


def has_many(relation: str) -> bool:
    """Whether a relation has several values at once."""
    return relation == HOLDS or relation.startswith(MANY)


def _enter(db: sqlite3.Connection, about: str, relation: str, fresh: list[Told]) -> None:
    known = told_of(db, about, relation)
    seen = {(one.support_id, one.plain, one.confidence) for one in known}
    new = [one for one in fresh if (one.support_id, one.plain, one.confidence) not in seen]
    if not new:
        return
    if known and not has_many(relation) and min(one.key for one in new) > known[-1].key:
        _append(db, about, relation, known, sorted(new, key=lambda one: one.key))
        return
    db.execute("UPDATE claim SET superseded_by = NULL WHERE about = ? AND relation = ?", (about, relation))
    db.execute("DELETE FROM claim WHERE about = ? AND relation = ?", (about, relation))
    _write(db, about, relation, runs(sorted([*known, *new], key=lambda one: one.key), relation))


def _append(db: sqlite3.Connection, about: str, relation: str, known: list[Told], new: list[Told]) -> None:
    """The usual case: what is new comes last, so that only the newest runs change."""
    kept = runs(known, relation)
    again = runs([*known, *new], relation)
    first = next(
        (i for i, (a, b) in enumerate(zip(kept, again, strict=False)) if a != b), min(len(kept), len(again))
    )
    _write(db, about, relation, again, first)


Run = tuple[list[Told], int | None, int | None]
"""Statements of one claim; the place of the run that superseded it, and the end of its validity in ns."""


def runs(told: Sequence[Told], relation: str) -> list[Run]:
    """Statements of a slot in order of time as claims: equal values that follow one another are one."""
    many = has_many(relation)
    made: list[list[Told]] = []
    last: dict[str, int] = {}
    for one in told:
        place = last.get(one.plain if many else "")
        head = made[place][-1] if place is not None else None
        is_same = head is not None and (head.plain, head.confidence) == (one.plain, one.confidence)
        if is_same and place is not None and not one.is_shifted and not made[place][0].is_shifted:
            made[place].append(one)
            continue
        made.append([one])
        last[one.plain if many else ""] = len(made) - 1
    return [(run, *_ended(made, place, many=many)) for place, run in enumerate(made)]


def _ended(made: list[list[Told]], place: int, *, many: bool) -> tuple[int | None, int | None]:
    """By which later run a claim is superseded: another value said outright, or its own denied."""
    mine = made[place][0]
    for later in range(place + 1, len(made)):
        other = made[later][0]
        if other.support_id == mine.support_id and other.confidence == mine.confidence:
            continue  # Said in one breath: "in the school or the park".
        same = other.plain == mine.plain
        if many:
            ends = (same and other.confidence != mine.confidence) or (
                not other.plain and other.confidence == DENIED
            )
        elif mine.confidence == DENIED:
            ends = (other.confidence > DENIED and same) or other.confidence == CERTAIN
        else:
            ends = (not same and other.confidence >= MAYBE) or (same and other.confidence != mine.confidence)
        if ends:
            return later, other.t_ns
    return None, None


def _write(db: sqlite3.Connection, about: str, relation: str, made: list[Run], first: int = 0) -> None:
    ids = [_claim_id(about, relation, run) for run, *_ in made]
    volatility = float(sum(1 for _, by, _ in made if by is not None))
    db.execute(
        "UPDATE claim SET volatility = ? WHERE about = ? AND relation = ? AND volatility <> ?",
        (volatility, about, relation, volatility),
    )
    for place in range(len(made) - 1, first - 1, -1):  # The superseding one is there before it is named.
        run, by, valid_to_ns = made[place]
        ended = made[by][0][0].commit_no if by is not None else None
        db.execute(
            "INSERT INTO claim (claim_id, about, relation, value, valid_from_ns, valid_to_ns, confidence,"
            " volatility, learnt_commit, superseded_by, ended_commit)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (claim_id) DO UPDATE SET valid_to_ns = excluded.valid_to_ns,"
            " volatility = excluded.volatility, superseded_by = excluded.superseded_by,"
            " ended_commit = excluded.ended_commit",
            (
                *(ids[place], about, relation, run[0].value, run[0].t_ns, valid_to_ns, run[0].confidence),
                *(volatility, min(one.commit_no for one in run), ids[by] if by is not None else None, ended),
            ),
        )
        db.executemany(
            "INSERT OR IGNORE INTO claim_support (claim_id, observation_id, contradicts) VALUES (?, ?, 0)",
            [(ids[place], one.support_id) for one in run],
        )


def _claim_id(about: str, relation: str, run: Sequence[Told]) -> bytes:
    digest = hashlib.blake2b(digest_size=ID_BYTES)
    for part in (about, relation, run[0].plain, str(run[0].confidence), run[0].support_id.hex()):
        digest.update(len(part).to_bytes(4, "big") + part.encode())
    return digest.digest()


_READ = (
    "SELECT (SELECT COUNT(*) FROM claim_support AS p WHERE p.claim_id = c.claim_id), c.value, c.confidence,"  # noqa: S608
    " c.valid_from_ns, s.observation_id, o.commit_no, o.source_id,"
    f" o.session, o.kind, {T0}, o.pts0_ns, o.n, a.commit_no, a.t_ns FROM claim AS c"
    " JOIN claim_support AS s ON s.claim_id = c.claim_id"
    " LEFT JOIN observation AS o ON o.observation_id = s.observation_id"
    " LEFT JOIN act AS a ON a.act_id = s.observation_id WHERE c.about = ? AND c.relation = ?"
)


def told_of(
    db: sqlite3.Connection,
    about: str,
    relation: str,
    only: Iterable[tuple[bytes, int]] | None = None,
    as_of: int | None = None,
) -> list[Told]:
    """The statements of a slot in order of time; of `only` some sources, as known at a commit."""
    wanted = None if only is None else set(only)
    rows = _READ
    values: list[str | bytes] = [about, relation]
    found: list[Told] = []
    some = pages(sorted({source for source, _ in wanted})) if wanted else []
    if len(some) == 1:
        rows += f" AND (o.source_id IN ({marks(some[0])}) OR a.act_id IS NOT NULL)"
        values += some[0]
    for supports, value, confidence, from_ns, support, *seen in db.execute(rows, values):
        one = _told(value, confidence, support, seen, from_ns, alone=supports == 1)
        if one is None or (as_of is not None and one.commit_no > as_of):
            continue
        if wanted is None or one.source in wanted or one.is_act:
            found.append(one)
    return sorted(found, key=lambda one: (one.key, one.confidence, one.value))


def _told(
    value: str, confidence: float, support: bytes, seen: Sequence[Any], from_ns: int | None, *, alone: bool
) -> Told | None:
    commit_no, source_id, session, kind, t0_ns, pts_ns, n, act_commit, act_ns = seen
    if commit_no is None and act_commit is None:
        return None  # Forgotten meanwhile; the next step makes the ledger anew.
    if commit_no is None:
        return Told(value, confidence, support, act_commit, (b"", 0), "act", act_ns, 0, 2**62, is_act=True)
    # A claim of one support keeps the time that was told, which may be "yesterday".
    t_ns = from_ns if alone else t0_ns
    return Told(
        value,
        confidence,
        support,
        commit_no,
        (source_id, session),
        kind,
        t_ns,
        pts_ns,
        n,
        t_ns != t0_ns,
    )
