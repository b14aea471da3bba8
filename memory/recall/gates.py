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

from memory.log.reader import DATED_LATER, ORIGIN_LATER, T0, T1, known_by, marks, named_sources
from memory.recall.dates import ranges_of
from stream.messages import Cue


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
class Gates:
    """All conditions of a cue, joined.

    `undated` counts the items that only the UTC gate left out, because their recording
    time is not known. `reach` are the conditions on where and when alone, for what is
    neither said nor seen, such as a gap. `as_of` is the commit of which the whole of recall may know.
    """

    sql: str
    parameters: tuple[object, ...]
    undated: int
    reach: Clause
    as_of: int | None = None

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
        own = Clause(
            "o.t0_ns IS NOT NULL AND o.t0_ns < ? AND (o.t0_ns >= ? OR COALESCE(o.t1_ns, o.t0_ns) > ?)",
            (t1_ns, t0_ns, t0_ns),
        )
        later = db.execute("SELECT 1 FROM source WHERE t_origin_from = ? LIMIT 1", (DATED_LATER,)).fetchone()
        if later is None:
            return own  # Alone it can use the index of UTC times.
        return Clause(
            f"({own.sql}) OR (o.t0_ns IS NULL AND o.source_id IN"  # noqa: S608
            " (SELECT c.source_id FROM source AS c WHERE c.t_origin_from = ?)"
            f" AND {T0} < ? AND ({T0} >= ? OR {T1} > ?))",
            (*own.parameters, DATED_LATER, t1_ns, t0_ns, t0_ns),
        )


class PositionGate:
    """Shares a moment with the wanted stretch of its source."""

    name = "position"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`."""
        if cue.pts0_ns is None and cue.pts1_ns is None:
            return None
        pts0_ns, pts1_ns = wanted_range(cue.pts0_ns, cue.pts1_ns)
        return Clause("o.pts0_ns < ? AND (o.pts0_ns >= ? OR o.pts1_ns > ?)", (pts1_ns, pts0_ns, pts0_ns))


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
        ids = sorted({row.source_id for row in named_sources(db, cue.sources, cue.as_of_commit)})
        return Clause(f"o.source_id IN ({marks(ids)})", tuple(ids))


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
        """As `Gate.clause`."""
        return Clause("o.place = ? COLLATE NOCASE", (cue.place,)) if cue.place else None


class PersonGate:
    """Was said by, or is about, the named person."""

    name = "person"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`."""
        if not cue.person:
            return None
        return Clause("o.speaker = ? COLLATE NOCASE OR o.about = ? COLLATE NOCASE", (cue.person, cue.person))


class KnownGate:
    """Was known at the wanted commit."""

    name = "as_of"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`."""
        return None if cue.as_of_commit is None else Clause("o.commit_no <= ?", (cue.as_of_commit,))


class NamedDateGate:
    """Of the turns of chats, those around a day or in a month that the question's own words name.

    Only where the cue has no range of its own, and where something was said in that time. A film is
    seldom asked for by the day of its recording, and many have none: other sources pass.
    """

    name = "named_date"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`."""
        if (
            cue.t0_ns is not None
            or cue.t1_ns is not None
            or not any(c.isdigit() or c.isupper() for c in cue.text)
        ):
            return None
        as_of = cue.as_of_commit
        ranges = ranges_of(cue.text, ()) or ranges_of(cue.text, _years(db, as_of))
        said = "".join(" OR o.t0_ns >= ? AND o.t0_ns < ?" for _ in ranges)[4:]
        told = tuple(bound for one in ranges for bound in one)
        chats = "SELECT c.source_id FROM source AS c WHERE c.kind = 'chat'"
        if (
            not ranges
            or not db.execute(
                f"SELECT 1 FROM observation AS o WHERE ({said}) AND o.source_id IN ({chats})"  # noqa: S608
                f"{known_by(as_of)} LIMIT 1",
                told,
            ).fetchone()
        ):
            return None
        return Clause(f"o.source_id NOT IN ({chats}) OR {said}", told)


def _years(db: sqlite3.Connection, as_of: int | None) -> range:
    """The years of what the store holds, or held at a commit, at most the newest 20."""
    dated = f"FROM observation AS o WHERE o.t0_ns IS NOT NULL{known_by(as_of)}"
    first_ns, last_ns = db.execute(
        f"SELECT (SELECT MIN(o.t0_ns) {dated}), (SELECT MAX(o.t0_ns) {dated})"
    ).fetchone()
    if first_ns is None:
        return range(0)
    first, last = (datetime.fromtimestamp(ns / 1e9, UTC).year for ns in (first_ns, last_ns))
    return range(max(first, last - 19), last + 1)


REACH_GATES: tuple[Gate, ...] = (PositionGate(), SourceGate(), KnownGate())
CONTENT_GATES: tuple[Gate, ...] = (KindGate(), PlaceGate(), PersonGate(), NamedDateGate())
"""All gates but that of UTC time, which must also count what it left out for want of a date."""


def gates_of(db: sqlite3.Connection, cue: Cue, *, named_dates: bool = True) -> Gates:
    """The conditions of a cue; `named_dates`: those of the dates in its words among them.

    Raises:
        SourceGone: As `SourceGate.clause`.
    """
    reach = _clauses(db, cue, REACH_GATES)
    content = CONTENT_GATES if named_dates else tuple(g for g in CONTENT_GATES if g.name != "named_date")
    clauses = [*reach, *_clauses(db, cue, content)]
    timed = UtcGate().clause(db, cue)
    undated = 0
    if timed is not None:
        others = _joined(clauses)
        undated = int(
            db.execute(
                "SELECT COUNT(*) FROM observation AS o WHERE o.t0_ns IS NULL AND o.text <> ''"  # noqa: S608
                f" AND {ORIGIN_LATER} IS NULL{others.sql}",
                others.parameters,
            ).fetchone()[0]
        )
        clauses.append(timed)
        reach.append(timed)
    joined = _joined(clauses)
    return Gates(joined.sql, joined.parameters, undated, _joined(reach), cue.as_of_commit)


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
