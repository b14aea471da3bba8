"""What the ledger says to a question: what holds, what held before, and what speaks against it.

Where a thing is follows from who holds it: it is where its holder is, and stays where it was let go.
What was known at a commit and what was true at a time are read the same way: statements that came
later, or that are of a later time, are left out before anything is decided.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from memory.claims.asked import ASKER, Asked, read_asked
from memory.claims.statement import CERTAIN, DENIED, HOLDER, IS, LOCATION, MANY, NAME, NUMBER, PHONE, normal
from memory.claims.verbs import word_set
from memory.claims.view import Told, has_many, is_behind, through_commit, told_of
from memory.log.acts import acts_of, corrections_at
from memory.log.reader import COLUMNS, Logged, logged, named_sources, sources_at
from memory.recall.expand import spans_of
from stream.messages import Act, ClaimsAsk, ClaimsTold, ClaimTold, Cue, EvidenceItem

MOST_BEFORE = 3
MOST_NOW = 8
MOST_CORRECTIONS = 256
"""The newest ones; each question looks at all of them."""


@dataclass(frozen=True, slots=True)
class Event:
    """From when a slot had a value, and the statements that say so."""

    told: tuple[Told, ...]
    value: str
    confidence: float

    @property
    def at(self) -> Told:
        """The statement that made it so."""
        return max(self.told, key=lambda one: one.key)


@dataclass(slots=True)
class Standing:
    """The state of a slot: what holds for certain, what may, what does not, and the changes so far."""

    certain: list[Event]
    maybe: list[Event]
    denied: list[Event]
    past: list[Event]
    changes: int


def told(db: sqlite3.Connection, ask: ClaimsAsk, *, by_claims: bool = True) -> ClaimsTold:
    """The answer to `claims.ask`; only the owner's corrections where claims are switched off.

    Raises:
        SourceGone: If a source of the cue is not there.
    """
    cue = ask.cue
    corrections = corrections_at(db, cue.as_of_commit, MOST_CORRECTIONS)
    corrected = _corrected(db, corrections)
    found = ClaimsTold(
        corrections=tuple(corrections), corrected=tuple(corrected), through_commit=through_commit(db)
    )
    asked = read_asked(cue.text)
    if (
        not by_claims
        or asked is None
        or cue.place
        or cue.person
        or cue.image_part
        or cue.pts0_ns is not None
        or cue.pts1_ns is not None
        or is_behind(db, cue.as_of_commit)  # What held before would be told as what holds.
    ):
        return found
    view = _View(db, cue)
    slot = view.slot(asked)
    if slot is None:
        return msgspec.structs.replace(found, about=asked.about, relation=asked.relation)
    asked = Asked(asked.form, *slot, asked.value)
    return view.answer(asked, found)


class _View:
    """The ledger as one cue may see it."""

    def __init__(self, db: sqlite3.Connection, cue: Cue) -> None:
        self._db, self._cue = db, cue
        self._only: list[tuple[bytes, int]] | None = None
        if cue.sources:
            self._only = [
                (row.source_id, row.session) for row in named_sources(db, cue.sources, cue.as_of_commit)
            ]

    def statements(self, about: str, relation: str) -> list[Told]:
        """Those of a slot that pass the gates, in order of time."""
        cue = self._cue
        found = told_of(self._db, about, relation, self._only, cue.as_of_commit)
        if cue.kinds:
            found = [one for one in found if one.kind in cue.kinds]
        if cue.t0_ns is not None:
            found = [one for one in found if one.t_ns is not None and one.t_ns >= cue.t0_ns]
        if cue.t1_ns is not None:
            found = [one for one in found if one.t_ns is not None and one.t_ns < cue.t1_ns]
        if cue.valid_at_ns is not None:
            found = [one for one in found if one.t_ns is not None and one.t_ns <= cue.valid_at_ns]
        return found

    def slot(self, asked: Asked) -> tuple[str, str] | None:
        """The slot in the ledger that is meant: the very one, else the only one that it can be."""
        about, relation = asked.about, asked.relation
        if about.startswith(ASKER):
            found = self._askers(about, relation)
            return self._askers(about, PHONE) if found is None and relation == NUMBER else found
        if self._has(about, relation) or (relation == LOCATION and self._has(about, HOLDER)):
            return about, relation
        if relation == IS:
            rows = self._db.execute(
                "SELECT DISTINCT about FROM claim WHERE relation = ?", (about,)
            ).fetchall()
            return (rows[0][0], about) if len(rows) == 1 else None
        rows = self._db.execute(
            "SELECT DISTINCT about FROM claim WHERE relation = ? AND about >= ? AND about < ?",
            (relation, f"{about} ", f"{about}!"),
        ).fetchall()
        if len(rows) == 1 and "'s " not in rows[0][0]:
            return rows[0][0], relation
        owner, mark, attribute = about.rpartition("'s ")
        if relation == NAME and mark and self._has(owner, attribute):
            return owner, attribute  # What somebody's manager is called is who their manager is.
        return self._near(about, relation)

    def _near(self, about: str, relation: str) -> tuple[str, str] | None:
        """A relation that says the same in more or fewer words: "email" and "email address".

        One is the beginning or the end of the other; what only grades it ("favourite") names nothing.
        """
        rows = self._db.execute("SELECT DISTINCT relation FROM claim WHERE about = ?", (about,)).fetchall()
        near = [row[0] for row in rows if _is_within(row[0], relation) or _is_within(relation, row[0])]
        if relation == NUMBER and PHONE in near:
            return about, PHONE  # Somebody's number, of all that they have, is that of their phone.
        return (about, near[0]) if len(near) == 1 else None

    def _askers(self, about: str, relation: str) -> tuple[str, str] | None:
        suffix = about.removeprefix(ASKER)
        rows = self._db.execute(
            "SELECT DISTINCT about FROM claim WHERE relation = ? AND substr(about, -length(?)) = ?"
            if suffix
            else "SELECT DISTINCT about FROM claim WHERE relation = ? AND ? = ? AND instr(about, ' ') = 0",
            (relation, suffix, suffix),
        ).fetchall()
        return (rows[0][0], relation) if len(rows) == 1 else None

    def _has(self, about: str, relation: str) -> bool:
        found = self._db.execute(
            "SELECT 1 FROM claim WHERE about = ? AND relation = ? LIMIT 1", (about, relation)
        )
        return found.fetchone() is not None

    # Answers.

    def answer(self, asked: Asked, found: ClaimsTold) -> ClaimsTold:
        """The claims of a slot for a question of some form."""
        events = self._events(asked.about, asked.relation)
        if asked.form == "before":
            return self._answer_before(asked, events, found)
        standing = _standing(events, many=has_many(asked.relation))
        if asked.relation.startswith(MANY) and not standing.changes:
            return found  # Nothing has changed: evidence tells as much, and what no grammar reads as well.
        now = standing.certain or standing.maybe
        holds = _holds(asked.value, standing) if asked.form == "whether" else ""
        if asked.form == "whether":
            now = now if holds else []
            if not now and holds == "no":
                now = [one for one in standing.denied if _is_value(one.value, asked.value)]
        if not now and not (asked.form in ("items", "count") and standing.past):
            return msgspec.structs.replace(found, about=asked.about, relation=asked.relation)
        against = [] if has_many(asked.relation) else _against(events, now)
        return msgspec.structs.replace(
            found,
            form=asked.form,
            about=asked.about,
            relation=asked.relation,
            asked=asked.value,
            holds=holds,
            now=self._told(asked, now[-MOST_NOW:]),
            before=self._told(asked, standing.past[::-1][:MOST_BEFORE]),
            against=self._told(asked, against),
            changes=standing.changes,
        )

    def _answer_before(self, asked: Asked, events: Sequence[Event], found: ClaimsTold) -> ClaimsTold:
        outright = [event for event in events if event.confidence == CERTAIN]
        runs = [
            event
            for place, event in enumerate(outright)
            if not place or outright[place - 1].value != event.value
        ]
        for place in range(len(runs) - 1, 0, -1):
            if _is_value(runs[place].value, asked.value):
                return msgspec.structs.replace(
                    found, form="before", about=asked.about, relation=asked.relation, asked=asked.value,
                    now=self._told(asked, [runs[place - 1], runs[place]][:1]), before=(),
                )  # fmt: skip
        return msgspec.structs.replace(found, about=asked.about, relation=asked.relation)

    def _events(self, about: str, relation: str) -> list[Event]:
        own = [Event((one,), one.value, one.confidence) for one in self.statements(about, relation)]
        if relation != LOCATION:
            return own
        return sorted([*own, *self._with_holders(about)], key=lambda event: event.at.key)

    def _with_holders(self, about: str) -> list[Event]:
        """Where a thing was while others held it."""
        made: list[Event] = []
        held = self.statements(about, HOLDER)
        for place, taken in enumerate(held):
            if taken.confidence != CERTAIN or taken.plain == about:
                continue
            until = next(
                (later.key for later in held[place + 1 :] if later.confidence in (CERTAIN, DENIED)), None
            )
            ways = [one for one in self.statements(taken.plain, LOCATION) if one.confidence == CERTAIN]
            at_first = [way for way in ways if way.key <= taken.key][-1:]
            while_held = [way for way in ways if way.key > taken.key and (until is None or way.key < until)]
            made += [Event((taken, way), way.value, CERTAIN) for way in (*at_first, *while_held)]
            gone = held[place + 1] if place + 1 < len(held) else None
            if (
                gone is not None
                and gone.confidence == DENIED
                and (last := [way for way in ways if way.key < gone.key])
            ):
                made.append(Event((gone, last[-1]), last[-1].value, CERTAIN))
        return made

    def _told(self, asked: Asked, events: Sequence[Event]) -> tuple[ClaimTold, ...]:
        items = self._items([one for event in events for one in event.told])
        return tuple(
            ClaimTold(
                about=asked.about,
                relation=asked.relation,
                value=event.value,
                confidence=event.confidence,
                valid_from_ns=event.at.t_ns,
                items=tuple(
                    items[one.support_id]
                    for one in sorted(event.told, key=lambda one: one.key, reverse=True)
                    if one.support_id in items
                ),
            )
            for event in events
        )

    def _items(self, told: Sequence[Told]) -> dict[bytes, EvidenceItem]:
        acts = {one.support_id for one in told if one.is_act}
        found = items_of(self._db, {one.support_id for one in told if not one.is_act}, self._cue.as_of_commit)
        for act in acts_of(self._db, acts):
            found[act.act_id] = act_item(act)
        return found


_GRADES = word_set("favourite best first last next main old other only whole")


def _is_within(short: str, long: str) -> bool:
    ends = long.startswith(f"{short} ") or long.endswith(f" {short}")
    return ends and short not in _GRADES


def _standing(events: Sequence[Event], *, many: bool) -> Standing:
    """The state after all events, in order of time."""
    state = Standing([], [], [], [], 0)
    for event in events:
        if many:
            _step_many(state, event)
        else:
            _step(state, event)
    return state


def _step(state: Standing, event: Event) -> None:
    same = [one for one in state.certain if _same(one, event)]
    if event.confidence == CERTAIN:
        if state.certain and not same:
            state.past.append(state.certain[0])
            state.changes += 1
        # Said again: from when it holds stays, what it rests on is the newest.
        state.certain, state.maybe, state.denied = [event], [], []
    elif event.confidence == DENIED:
        if same:
            state.past.append(state.certain[0])
            state.certain = []
            state.changes += 1
        state.maybe = [one for one in state.maybe if not _same(one, event)]
        state.denied.append(event)
    elif not same:
        if state.certain:
            state.past.append(state.certain[0])
            state.changes += 1
        said = [one for one in state.maybe if one.at.support_id == event.at.support_id]
        state.certain, state.maybe, state.denied = [], [*said, event], []


def _step_many(state: Standing, event: Event) -> None:
    gone = [one for one in state.certain if _same(one, event) or not event.value]
    state.certain = [one for one in state.certain if one not in gone]
    if event.confidence == DENIED:
        state.past += gone
        state.changes += bool(gone)
    elif event.value:
        state.certain.append(event)


def _same(one: Event, other: Event) -> bool:
    return normal(one.value) == normal(other.value)


def _is_value(value: str, asked: str) -> bool:
    """Whether a value is the one that a question names, be it with fewer words."""
    have, want = normal(value).split(), normal(asked).split()
    return bool(want) and (have[: len(want)] == want or have[-len(want) :] == want)


def _holds(asked: str, standing: Standing) -> str:
    if standing.certain:
        return "yes" if any(_is_value(one.value, asked) for one in standing.certain) else "no"
    if any(_is_value(one.value, asked) for one in standing.denied):
        return "no"
    if standing.maybe:
        return "maybe" if any(_is_value(one.value, asked) for one in standing.maybe) else "no"
    return ""


def _against(events: Sequence[Event], now: Sequence[Event]) -> list[Event]:
    """What differs from what holds and cannot be told to be older: the same time, or no common clock."""
    found: list[Event] = []
    for head in now[:1]:
        last = {event.at.source: event for event in events}
        for event in events:
            if event.confidence < head.confidence or any(_same(event, one) for one in (*now, *found)):
                continue
            one, other = head.at, event.at
            if one.is_act or other.is_act:
                continue
            if one.t_ns is not None and other.t_ns is not None:
                unordered = one.t_ns == other.t_ns and (one.source != other.source)
            else:
                unordered = one.source != other.source and last[other.source] is event
            if unordered:
                found.append(event)
    return found


# Items.


def items_of(
    db: sqlite3.Connection, ids: Iterable[bytes], as_of: int | None = None
) -> dict[bytes, EvidenceItem]:
    """Observations as evidence, by id."""
    found: list[Logged] = []
    for observation_id in sorted(set(ids)):
        row = db.execute(
            f"SELECT {COLUMNS} FROM observation AS o WHERE o.observation_id = ?",  # noqa: S608
            (observation_id,),
        ).fetchone()
        if row is not None and (as_of is None or row[2] <= as_of):
            found.append(logged(row))
    homes = spans_of(db, found, as_of)
    rows = {
        (row.source_id, row.session): row
        for row in sources_at(db, as_of, {(o.source_id, o.session) for o in found})
    }
    return {
        one.observation_id: EvidenceItem(
            observation_id=one.observation_id,
            span_id=homes.get(one.n, (b"", "", ""))[0],
            source_id=one.source_id,
            session=one.session,
            uri=rows[one.source_id, one.session].uri,
            kind=one.kind,
            level=homes.get(one.n, (b"", "", ""))[1],
            pts0_ns=one.pts0_ns,
            pts1_ns=one.pts1_ns,
            t0_ns=one.t0_ns,
            t1_ns=one.t1_ns,
            text=one.text,
            place=one.place,
            speaker=one.speaker,
            language=one.language,
            confidence=one.confidence,
            thumbnail=one.thumbnail,
            source_kind=rows[one.source_id, one.session].kind,
            time_zone=rows[one.source_id, one.session].time_zone,
        )
        for one in found
        if (one.source_id, one.session) in rows
    }


def act_item(act: Act) -> EvidenceItem:
    """The owner's word as evidence: kind `correction`, no source, the time of the act."""
    return EvidenceItem(
        observation_id=act.act_id,
        span_id=b"",
        source_id=b"",
        session=0,
        uri="",
        kind="correction",
        level="",
        pts0_ns=0,
        pts1_ns=0,
        t0_ns=act.t_ns,
        t1_ns=act.t_ns,
        text=act.text,
    )


# Corrections.


def _corrected(db: sqlite3.Connection, corrections: Sequence[Act]) -> list[EvidenceItem]:
    found = items_of(db, {act.target for act in corrections if act.target})
    return [found[act.target] for act in corrections if act.target in found]
