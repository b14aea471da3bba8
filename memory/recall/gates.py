"""Gates: what a cue demands outright; an item that does not fit is not considered.

Hard gates pay only where the constraint is explicit, such as a date; likeness is never a
gate.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from memory.log.reader import marks, named_sources
from stream.messages import Cue


class Clause(NamedTuple):
    """A condition on a row `o` of the log, with its parameters."""

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
    time is not known.
    """

    sql: str
    parameters: tuple[object, ...]
    undated: int = 0

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
        t0_ns, t1_ns = _range(cue.t0_ns, cue.t1_ns)
        return Clause(
            "o.t0_ns IS NOT NULL AND o.t0_ns < ? AND (o.t0_ns >= ? OR COALESCE(o.t1_ns, o.t0_ns) > ?)",
            (t1_ns, t0_ns, t0_ns),
        )


class PositionGate:
    """Shares a moment with the wanted stretch of its source."""

    name = "position"

    def clause(self, db: sqlite3.Connection, cue: Cue) -> Clause | None:
        """As `Gate.clause`."""
        if cue.pts0_ns is None and cue.pts1_ns is None:
            return None
        pts0_ns, pts1_ns = _range(cue.pts0_ns, cue.pts1_ns)
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
        ids = sorted({row.source_id for row in named_sources(db, cue.sources)})
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


GATES: tuple[Gate, ...] = (
    PositionGate(),
    SourceGate(),
    KindGate(),
    PlaceGate(),
    PersonGate(),
    KnownGate(),
)
"""All gates but that of UTC time, which must also count what it left out for want of a date."""


def gates_of(db: sqlite3.Connection, cue: Cue) -> Gates:
    """The conditions of a cue.

    Raises:
        SourceGone: As `SourceGate.clause`.
    """
    clauses = [clause for gate in GATES if (clause := gate.clause(db, cue)) is not None]
    timed = UtcGate().clause(db, cue)
    undated = 0
    if timed is not None:
        others = _joined(clauses)
        undated = int(
            db.execute(
                "SELECT COUNT(*) FROM observation AS o WHERE o.t0_ns IS NULL AND o.text <> ''" + others.sql,  # noqa: S608
                others.parameters,
            ).fetchone()[0]
        )
        clauses.append(timed)
    joined = _joined(clauses)
    return Gates(joined.sql, joined.parameters, undated)


def _joined(clauses: Sequence[Clause]) -> Clause:
    return Clause(
        "".join(f" AND ({clause.sql})" for clause in clauses),
        tuple(parameter for clause in clauses for parameter in clause.parameters),
    )


def _range(low: int | None, high: int | None) -> tuple[int, int]:
    return -(2**62) if low is None else low, 2**62 if high is None else high
