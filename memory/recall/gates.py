"""Gates: what a cue demands outright; an item that does not fit is not considered.

Hard gates pay only where the constraint is explicit, such as a date; likeness is never a
gate.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from memory.log.long_schema import LONG_NS
from memory.log.reader import (
    DATED_LATER,
    MIDDLE,
    ORIGIN_LATER,
    T0,
    T1,
    known_by,
    last_commit,
    marks,
    named_sources,
)
from memory.people.names import about, heard_by, is_known, said_by
from memory.places.told import named_places, places_called
from memory.recall.at_places import at_any
from memory.recall.words import content_words
from stream.errors import ConfigError
from stream.messages import Cue
from stream.named_dates import named_dates as dates_in
from stream.named_dates import ranges_of, without_dates

BRIEF_ROWS = 50_000
"""Observations of a range of times up to which they are looked at one by one, some 0.1 s."""
MOST_ORIGINS = 200
"""Sources and sessions named with positions in them up to which each is looked at by itself."""
_OF = "o.source_id = ? AND o.session = ?"


class Clause(NamedTuple):
    """A condition on a row `o` of the log, or several begun by AND each, with its parameters."""

    sql: str
    parameters: tuple[object, ...]


class Gate(Protocol):
    """One hard filter."""

    name: str

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """The condition, or None where the cue does not ask for it."""
        ...


@dataclass(frozen=True, slots=True)
class NamedDates:
    """The dates in the words of a cue, where they leave turns of chats out.

    `ranges` in UTC ns, end excluded, in order, none meeting another; `rest` is the cue without its dates.
    `clause` is the condition; `ways` are the same one as several that share no row, each with an index, the
    first of them for what is no turn of a dated chat.
    """

    ranges: tuple[tuple[int, int], ...]
    rest: str
    clause: Clause
    ways: tuple[Clause, ...]

    @property
    def others(self) -> Clause:
        """The condition on what is no turn of a dated chat."""
        return self.ways[0]

    def without(self, words: Sequence[str]) -> list[str]:
        """Those of the content words of the cue that are not of its dates, in order."""
        rest = set(content_words(self.rest))
        return [word for word in words if word in rest]

    def hold(self, t_ns: int | None) -> bool:
        """Whether a time is one of those named."""
        return t_ns is not None and any(begin <= t_ns < end for begin, end in self.ranges)


@dataclass(frozen=True, slots=True)
class Gates:
    """All conditions of a cue, joined.

    `undated` counts the items that only the UTC gate left out, because their recording
    time is not known. `reach` are the conditions on where and when alone, for what is
    neither said nor seen, such as a gap. `as_of` is the commit of which the whole of recall may know.
    `dates` are those of the cue's words, where they limit it; then `ways` are all conditions once more, as
    several that share no row, each of which an index can serve. `only_kinds` are the kinds that are wanted,
    where nothing else is.
    """

    sql: str
    parameters: tuple[object, ...]
    undated: int
    reach: Clause
    as_of: int | None = None
    dates: NamedDates | None = None
    ways: tuple[Clause, ...] = ()
    only_kinds: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether everything passes."""
        return not self.sql


class UtcGate:
    """Shares a moment with the wanted time; what has no UTC time does not."""

    name = "time"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`."""
        if cue.t0_ns is None and cue.t1_ns is None:
            return None
        t0_ns, t1_ns = wanted_range(cue.t0_ns, cue.t1_ns)
        own = _meets(t0_ns, t1_ns)
        later = db.execute("SELECT 1 FROM source WHERE t_origin_from = ? LIMIT 1", (DATED_LATER,)).fetchone()
        if later is None:
            return own  # Alone it can use the index of UTC times.
        return Clause(
            f"{own.sql} OR (o.t0_ns IS NULL AND o.source_id IN"  # noqa: S608
            " (SELECT c.source_id FROM source AS c WHERE c.t_origin_from = ?)"
            f" AND {T0} < ? AND ({T0} >= ? OR {T1} > ?))",
            (*own.parameters, DATED_LATER, t1_ns, t0_ns, t0_ns),
        )


def _origins(db: sqlite3.Connection, cue: Cue) -> list[tuple[bytes, int]]:
    """The sources that a cue names, with their sessions; none where it names none."""
    rows = named_sources(db, cue.sources, cue.as_of_commit) if cue.sources else []
    return [(row.source_id, row.session) for row in rows]


def _is_brief(db: sqlite3.Connection, cue: Cue) -> bool:
    """Whether a cue asks for a range of times in which little began."""
    if cue.t0_ns is None and cue.t1_ns is None:
        return False
    t0_ns, t1_ns = wanted_range(cue.t0_ns, cue.t1_ns)
    some = "SELECT 1 FROM observation WHERE t0_ns >= ? AND t0_ns < ? LIMIT 1 OFFSET ?"
    return db.execute(some, (t0_ns, t1_ns, BRIEF_ROWS)).fetchone() is None


def _meets(t0_ns: int, t1_ns: int) -> Clause:
    """Shares a moment with a range: two conditions that share no row, each with an index.

    By one of them, without a bound for the beginning, all that ever was before would be looked at for what
    reaches into the range.
    """
    low_ns = t0_ns - LONG_NS
    return Clause(
        "((o.t0_ns >= ? AND o.t0_ns < ? AND (o.t0_ns >= ? OR COALESCE(o.t1_ns, o.t0_ns) > ?))"
        f" OR (o.t1_ns - o.t0_ns > {LONG_NS} AND o.t0_ns < ? AND o.t1_ns > ?))",
        (low_ns, t1_ns, t0_ns, t0_ns, min(low_ns, t1_ns), t0_ns),
    )


class PositionGate:
    """Shares a moment with the wanted stretch of its source."""

    name = "position"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`."""
        if cue.pts0_ns is None and cue.pts1_ns is None:
            return None
        pts0_ns, pts1_ns = wanted_range(cue.pts0_ns, cue.pts1_ns)
        own = Clause("o.pts0_ns < ? AND (o.pts0_ns >= ? OR o.pts1_ns > ?)", (pts1_ns, pts0_ns, pts0_ns))
        origins = _origins(db, cue)
        if not 0 < len(origins) <= MOST_ORIGINS:
            return own
        # By the middles of what is short, and apart from it what is long: each has an index in its source.
        half_ns = LONG_NS // 2 + 1
        ways = []
        for origin in origins:
            short = f"({_OF} AND {MIDDLE} >= ? AND {MIDDLE} < ?)"
            ways.append(Clause(short, (*origin, pts0_ns - half_ns, pts1_ns + half_ns)))
            ways.append(
                Clause(f"({_OF} AND o.pts1_ns - o.pts0_ns > {LONG_NS} AND o.pts0_ns < ?)", (*origin, pts1_ns))
            )
        near = _either(ways)
        return Clause(f"({near.sql}) AND {own.sql}", (*near.parameters, *own.parameters))


class SourceGate:
    """Comes from one of the named sources."""

    name = "source"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`.

        Raises:
            SourceGone: If the store has no source of a name.
        """
        if not cue.sources:
            return None
        origins = _origins(db, cue)
        ids = sorted({source_id for source_id, _ in origins})
        # The plus keeps SQLite at the index of times: a camera's whole memory is more than an evening.
        is_placed = (cue.pts0_ns, cue.pts1_ns) != (None, None) and len(origins) <= MOST_ORIGINS
        plus = "+" if is_placed or _is_brief(db, cue) else ""
        return Clause(f"{plus}o.source_id IN ({marks(ids)})", tuple(ids))


class KindGate:
    """Is an observation of one of the wanted kinds."""

    name = "kind"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`."""
        if not cue.kinds:
            return None
        return Clause(f"o.kind IN ({marks(cue.kinds)})", tuple(cue.kinds))


class PlaceGate:
    """Was perceived at the named place."""

    name = "place"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`: in a visit of a place of that label or id, or itself said to be there.

        Raises:
            ConfigError: If nothing was ever perceived at a place of that name.
        """
        if not cue.place:
            return None
        own = Clause("o.place = ? COLLATE NOCASE", (cue.place,))
        place_ids = places_called(db, cue.place)
        if place_ids:
            sql, values = at_any(place_ids, cue.as_of_commit)
            return Clause(f"{own.sql} OR {sql}", (*own.parameters, *values))
        said = db.execute(f"SELECT 1 FROM observation AS o WHERE {own.sql} LIMIT 1", own.parameters)  # noqa: S608
        if said.fetchone() is None:
            named_places(db, cue.place)
        return own


class PersonGate:
    """Was said by, or is about, the named person."""

    name = "person"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`."""
        if not cue.person:
            return None
        said = said_by(db, cue.person, by_voice=cue.as_of_commit is None)
        return Clause(f"{said.sql} OR o.about = ? COLLATE NOCASE", (*said.values, cue.person))


class SpeakerGate:
    """Was said by the named person: by voice, or as it is written."""

    name = "speaker"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`."""
        return (
            Clause(*said_by(db, cue.of_talk.speaker, by_voice=cue.as_of_commit is None))
            if cue.of_talk.speaker
            else None
        )


class AboutGate:
    """Is about the named person: written so, or the name is said in it."""

    name = "about"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`."""
        return (
            Clause(*about(db, cue.of_talk.about, by_voice=cue.as_of_commit is None))
            if cue.of_talk.about
            else None
        )


class HearingGate:
    """Was said in the hearing of the named person: what others were told alone stays between them."""

    name = "in_hearing_of"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`."""
        if cue.of_talk.in_hearing_of:
            return Clause(*heard_by(db, cue.of_talk.in_hearing_of, by_voice=cue.as_of_commit is None))
        # Read out of the words of a question: somebody of whom nothing is known shuts nothing out.
        if cue.of_talk.spoken_to and is_known(db, cue.of_talk.spoken_to):
            return Clause(*heard_by(db, cue.of_talk.spoken_to, by_voice=cue.as_of_commit is None))
        return None


class KnownGate:
    """Was known at the wanted commit."""

    name = "as_of"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`.

        Raises:
            ConfigError: If that commit is still to come.
        """
        if cue.as_of_commit is None:
            return None
        last = last_commit(db)
        if cue.as_of_commit > last:
            raise ConfigError(
                f"there is no commit {cue.as_of_commit} yet; the last one is {last}",
                remedy=f"ask as of {last} or earlier, or without it for all there is",
            )
        return Clause("o.commit_no <= ?", (cue.as_of_commit,))


_CHATS = "SELECT c.source_id FROM source AS c WHERE c.kind = 'chat' AND c.t_origin_ns IS NOT NULL"
_CHATS_LATER = f"{_CHATS} AND c.t_origin_from = '{DATED_LATER}'"
_OTHERS = "SELECT c.source_id FROM source AS c WHERE c.kind <> 'chat' OR c.t_origin_ns IS NULL"
_SAID_THEN = "o.t0_ns >= ? AND o.t0_ns < ?"
_SAID_THEN_LATER = f"o.t0_ns IS NULL AND {T0} >= ? AND {T0} < ?"


def named_dates_of(db: sqlite3.Connection, cue: Cue, others: Clause) -> NamedDates | None:
    """Of the turns of chats, those of the times that the cue's own words name, with their reach.

    Only where the cue has no range of its own, and where something was said then that passes the
    cue's other gates. A film is seldom asked for by the day of its recording, and many have none: other
    sources pass, and so do chats without a date.

    Args:
        db: A snapshot.
        cue: What is asked.
        others: Its other gates, begun by AND.
    """
    may_be_date = any(c.isdigit() or c.isupper() for c in cue.text)
    if cue.t0_ns is not None or cue.t1_ns is not None or not may_be_date:
        return None
    stretches = dates_in(cue.text)
    if not stretches or db.execute(f"{_CHATS} LIMIT 1").fetchone() is None:
        return None
    years = () if all(one.has_year for one in stretches) else _years(db, cue.as_of_commit)
    ranges = ranges_of(stretches, years)
    later = db.execute(f"{_CHATS_LATER} LIMIT 1").fetchone() is not None
    # The plus keeps SQLite at the index of times: a whole chat is more than a few days.
    ways = [Clause(f"{_SAID_THEN} AND +o.source_id IN ({_CHATS})", one) for one in ranges]
    if later:
        ways += [Clause(f"{_SAID_THEN_LATER} AND o.source_id IN ({_CHATS_LATER})", one) for one in ranges]
    if not any(_is_any(db, way, others) for way in ways):
        return None
    said = [Clause(_SAID_THEN, one) for one in ranges]
    said += [Clause(_SAID_THEN_LATER, one) for one in ranges] if later else []
    return NamedDates(
        tuple(ranges),
        without_dates(cue.text, stretches)[0],
        _either([Clause(f"o.source_id NOT IN ({_CHATS})", ()), *said]),
        (Clause(f"o.source_id IN ({_OTHERS})", ()), *ways),
    )


def _is_any(db: sqlite3.Connection, way: Clause, others: Clause) -> bool:
    """Whether a turn of chats passes; of its own time, found by the index of times whatever else is asked."""
    by = " INDEXED BY observation_utc" if way.sql.startswith(_SAID_THEN) else ""
    return (
        db.execute(
            f"SELECT 1 FROM observation AS o{by} WHERE {way.sql}{others.sql} LIMIT 1",  # noqa: S608
            (*way.parameters, *others.parameters),
        ).fetchone()
        is not None
    )


def _either(clauses: Sequence[Clause]) -> Clause:
    return Clause(
        " OR ".join(f"({clause.sql})" for clause in clauses),
        tuple(parameter for clause in clauses for parameter in clause.parameters),
    )


def _years(db: sqlite3.Connection, as_of: int | None) -> range:
    """The years of what the store holds, or held at a commit, at most the newest 20."""
    dated = f"FROM observation AS o WHERE o.t0_ns IS NOT NULL{known_by(as_of)}"
    later = f"FROM source AS c WHERE c.t_origin_from = '{DATED_LATER}'"
    told = db.execute(
        f"SELECT (SELECT MIN(o.t0_ns) {dated}), (SELECT MAX(o.t0_ns) {dated}),"
        f" (SELECT MIN(c.t_origin_ns) {later}), (SELECT MAX(c.t_origin_ns) {later})"
    ).fetchone()
    years = [datetime.fromtimestamp(ns / 1e9, UTC).year for ns in told if ns is not None]
    if not years:
        return range(0)
    return range(max(min(years), max(years) - 19), max(years) + 1)


REACH_GATES: tuple[Gate, ...] = (PositionGate(), SourceGate(), KnownGate())
CONTENT_GATES: tuple[Gate, ...] = (
    KindGate(),
    PlaceGate(),
    PersonGate(),
    SpeakerGate(),
    AboutGate(),
    HearingGate(),
)
"""All gates but those of time, which must also know what passes the others."""


def gates_of(db: sqlite3.Connection, cue: Cue, *, named_dates: bool = True) -> Gates:
    """The conditions of a cue; `named_dates`: those of the dates in its words among them.

    Raises:
        SourceGone: As `SourceGate.clause`.
        ConfigError: As `KnownGate.clause`.
    """
    reach = _clauses(db, cue, REACH_GATES)
    clauses = [*reach, *_clauses(db, cue, CONTENT_GATES)]
    others = _joined(clauses)
    timed = UtcGate().clause(db, cue)
    undated = 0
    if timed is not None:
        undated = int(
            db.execute(
                # The undated first, which are few or none, whatever else is asked.
                "SELECT COUNT(*) FROM (SELECT n FROM observation WHERE t0_ns IS NULL AND text <> '') AS u"  # noqa: S608
                " CROSS JOIN observation AS o ON o.n = u.n WHERE o.t0_ns IS NULL AND o.text <> ''"
                f" AND {ORIGIN_LATER} IS NULL{others.sql}",
                others.parameters,
            ).fetchone()[0]
        )
        clauses.append(timed)
        reach.append(timed)
    dated = named_dates_of(db, cue, others) if named_dates else None
    ways: tuple[Clause, ...] = ()
    if dated is not None:
        ways = tuple(_joined([*clauses, way]) for way in dated.ways)
        clauses.append(dated.clause)
    joined = _joined(clauses)
    only_kinds = cue.kinds if len(clauses) == 1 else ()
    return Gates(
        joined.sql, joined.parameters, undated, _joined(reach), cue.as_of_commit, dated, ways, only_kinds
    )


def live_gates(db: sqlite3.Connection, cue: Cue) -> Gates:
    """As `gates_of`, for sources whose times are known: nothing undated is counted, no date is read.

    Raises:
        SourceGone, ConfigError: As `gates_of`.
    """
    reach = _clauses(db, cue, (*REACH_GATES, UtcGate()))
    joined = _joined([*reach, *_clauses(db, cue, CONTENT_GATES)])
    return Gates(joined.sql, joined.parameters, 0, _joined(reach), cue.as_of_commit)


def wanted_range(low: int | None, high: int | None) -> tuple[int, int]:
    """A range of times in which an open end is one that no stored time reaches."""
    return -(2**62) if low is None else low, 2**62 if high is None else high


def _clauses(db: sqlite3.Connection, cue: Cue, gates: Sequence[Gate]) -> list[Clause]:
    return [clause for gate in gates if (clause := gate.clause(db, cue)) is not None]


def _joined(clauses: Sequence[Clause]) -> Clause:
    return Clause(
        "".join(f" AND ({clause.sql})" for clause in clauses),
        tuple(parameter for clause in clauses for parameter in clause.parameters),
    )
