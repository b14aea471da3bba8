"""What an owner names, as stretches and ids: conditions on the log now, tombstones for ever."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from memory.bounds import NAME_CHARS
from memory.log.reader import T0, T1, SourceRow, marks, named_sources, pages, sources
from memory.log.tombstones import ForgottenRange
from memory.people.forget import ForgottenPerson, keyless_ranges, person_of, words_of
from memory.places.erase import stretches_of, views_of
from memory.places.told import named_places
from stream.errors import ConfigError
from stream.messages.dialogue import DIALOGUE
from stream.messages.forget import ForgetAsk, ForgottenPart
from stream.wire.bounds import shortened

LEAST_DIGITS = 8
MOST_PARTS = 64
MOST_TITLES = 12
ID_BYTES = 16
CLIP = "clip"
TAKEN = (None, CLIP)
"""Kinds of ranges by which observations are taken away; those of other kinds only keep out."""

Origin = tuple[bytes, int]
"""Source and session."""


class Condition(NamedTuple):
    """A condition in SQL on a row `o` of the log, with its values."""

    sql: str
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to go.

    `ids` are observations, and corrections of the owner's; `ranges` are stretches; `whole` sources go with
    their names. A range of its kind stands beside each id: nothing is taken away by it, but the same content
    does not come back from another producer. Clips of the moment go with it, since it is seen or heard in
    them.
    """

    by: str
    ids: tuple[bytes, ...] = ()
    ranges: tuple[ForgottenRange, ...] = ()
    whole: frozenset[Origin] = field(default_factory=frozenset)
    person: ForgottenPerson | None = None

    def conditions(self) -> list[Condition]:
        """Conditions of which an observation that is to go meets one."""
        found = [condition_of(one) for one in self.ranges if one.kind in TAKEN]
        for some in pages(self.ids):
            found.append(Condition(f"o.observation_id IN ({marks(some)})", tuple(some)))
        return found


def selection_of(db: sqlite3.Connection, ask: ForgetAsk) -> Selection:
    """What a request names.

    Raises:
        ConfigError: If it names nothing, several kinds of things, or what is not there.
        SourceGone: If there is no source of a name.
    """
    has_utc, has_pts = (ask.t0_ns, ask.t1_ns) != (None, None), (ask.pts0_ns, ask.pts1_ns) != (None, None)
    in_range = bool(ask.sources) or has_utc or has_pts
    kinds = [bool(ask.ids), bool(ask.spans), in_range, bool(ask.person), bool(ask.places)]
    if sum(kinds) != 1:
        raise ConfigError(
            "name one kind of thing to forget: ids, spans, a person, places, or sources and a range",
            remedy="omnirecall forget --help",
        )
    if ask.person:
        return _of_person(db, ask)
    if ask.ids:
        return _of_ids(db, ask.ids)
    if ask.spans:
        return _of_spans(db, ask.spans)
    if ask.places:
        return _of_places(db, ask.places, only_views=ask.only_views)
    if has_pts and (has_utc or not ask.sources):
        raise ConfigError(
            "positions count within a source", remedy="omnirecall forget --source NAME --between A B"
        )
    for start, end in ((ask.t0_ns, ask.t1_ns), (ask.pts0_ns, ask.pts1_ns)):
        if start is not None and end is not None and end <= start:
            raise ConfigError("the range ends before it begins", remedy="give the earlier time first")
    if has_utc or has_pts:
        return _of_range(db, ask)
    return _of_sources(named_sources(db, ask.sources), sources(db))


def _of_person(db: sqlite3.Connection, ask: ForgetAsk) -> Selection:
    """A person's voice, and what it said where that is asked for."""
    person = person_of(db, ask.person)
    keyless = tuple(keyless_ranges(db, person))
    words = words_of(db, person) if ask.with_words else []
    if not words:
        return Selection("person", ranges=keyless, person=person)
    said = _of_ids(db, [one.hex() for one in words])
    return Selection("person", said.ids, (*said.ranges, *keyless), person=person)


def _of_ids(db: sqlite3.Connection, written: Sequence[str]) -> Selection:
    ids: list[bytes] = []
    ranges: list[ForgottenRange] = []
    for one in written:
        if correction := _correction(db, one):
            ids.append(correction)
            continue
        observation_id = _begun_with(db, "observation", "observation_id", one)[0]
        row = db.execute(
            "SELECT source_id, session, pts0_ns, pts1_ns, kind FROM observation WHERE observation_id = ?",
            (observation_id,),
        ).fetchone()
        ids.append(observation_id)
        source_id, session, pts0_ns, pts1_ns, kind = row
        for of in dict.fromkeys((kind, CLIP)):
            end_ns = max(pts1_ns, pts0_ns + 1)
            ranges.append(ForgottenRange(source_id, session, pts0_ns, end_ns, None, None, of))
    return Selection("ids", tuple(ids), tuple(ranges))


def _correction(db: sqlite3.Connection, written: str) -> bytes:
    """The one correction, or standing question, that has this id or begins with it; empty for none."""
    try:
        low, high = (bytes.fromhex(written.lower().ljust(2 * ID_BYTES, end)) for end in "0f")
    except ValueError:
        return b""
    rows = db.execute(
        "SELECT act_id FROM act WHERE act_id BETWEEN ? AND ? AND kind IN ('correct', 'watch') LIMIT 2",
        (low, high),
    ).fetchall()
    return bytes(rows[0][0]) if len(rows) == 1 and len(written) >= LEAST_DIGITS else b""


def corrections_of(db: sqlite3.Connection, selection: Selection) -> list[str]:
    """The first lines of the corrections and standing questions that are named."""
    called = {"correct": "your correction", "watch": "your standing question"}
    rows = [
        db.execute("SELECT kind, text FROM act WHERE act_id = ?", (one,)).fetchone() for one in selection.ids
    ]
    return [
        f"{called[row[0]]}: {shortened(row[1], NAME_CHARS)}"
        for row in rows
        if row is not None and row[0] in called
    ]


def _of_spans(db: sqlite3.Connection, written: Sequence[str]) -> Selection:
    ranges: list[ForgottenRange] = []
    for one in written:
        span_id = _begun_with(db, "span", "span_id", one)[0]
        source_id, session, pts0_ns, pts1_ns = db.execute(
            "SELECT source_id, session, pts0_ns, pts1_ns FROM span WHERE span_id = ?", (span_id,)
        ).fetchone()
        ranges.append(ForgottenRange(source_id, session, pts0_ns, max(pts1_ns, pts0_ns + 1)))
    return Selection("spans", ranges=tuple(ranges))


def _of_places(db: sqlite3.Connection, names: Sequence[str], *, only_views: bool) -> Selection:
    """All that was perceived at some places; or what they are known by alone, and what was there stays."""
    place_ids = [one for name in names for one in named_places(db, name)]
    stretches = stretches_of(db, place_ids)
    kind = "view" if only_views else None
    ranges = tuple(
        ForgottenRange(source_id, session, pts0_ns, pts1_ns, None, None, kind)
        for source_id, session, pts0_ns, pts1_ns in stretches
    )
    # A view may say nothing of its visit's place, and be of a place for all that.
    return Selection("places", tuple(views_of(db, place_ids)), ranges)


def _begun_with(db: sqlite3.Connection, table: str, column: str, written: str) -> list[bytes]:
    """The one id in a table that has these digits, or begins with them."""
    digits = written.lower()
    try:
        low = bytes.fromhex(digits.ljust(2 * ID_BYTES, "0"))
        high = bytes.fromhex(digits.ljust(2 * ID_BYTES, "f"))
    except ValueError:
        low = high = b""
    if not LEAST_DIGITS <= len(digits) <= 2 * ID_BYTES or not low:
        raise ConfigError(
            f"{shortened(written, NAME_CHARS)!r} is no id",
            remedy=f"give {LEAST_DIGITS} to {2 * ID_BYTES} hexadecimal digits, as search tells them",
        )
    rows = db.execute(
        f"SELECT {column} FROM {table} WHERE {column} BETWEEN ? AND ? LIMIT 2",  # noqa: S608 - our own words
        (low, high),
    ).fetchall()
    if len(rows) != 1:
        why = "several ids begin with" if rows else f"there is no {table} with the id"
        raise ConfigError(f"{why} {written!r}", remedy="omnirecall search and timeline tell ids")
    return [bytes(rows[0][0])]


def _of_range(db: sqlite3.Connection, ask: ForgetAsk) -> Selection:
    origins: list[Origin | None] = [None]
    if ask.sources:
        origins = list(dict.fromkeys((row.source_id, row.session) for row in named_sources(db, ask.sources)))
    ranges = []
    for origin in origins:
        source_id, session = origin or (None, None)
        ranges.append(ForgottenRange(source_id, session, ask.pts0_ns, ask.pts1_ns, ask.t0_ns, ask.t1_ns))
    return Selection("range", ranges=tuple(ranges))


def _of_sources(named: Iterable[SourceRow], every: Iterable[SourceRow]) -> Selection:
    """All of some sources. What comes to a live one, or to the dialogue, from now on is not meant."""
    wanted = {row.source_id for row in named}
    rows = [row for row in every if row.source_id in wanted]
    ranges: dict[ForgottenRange, None] = {}
    whole: set[Origin] = set()
    for row in rows:
        if row.kind == DIALOGUE or (row.is_live and not row.is_read):
            ends = [track.through_pts_ns or 0 for track in row.tracks]
            ranges[ForgottenRange(row.source_id, row.session, pts1_ns=max(ends, default=0) + 1)] = None
        else:
            session = row.session if row.is_live else None
            ranges[ForgottenRange(row.source_id, session)] = None
            whole.add((row.source_id, row.session))
    return Selection("source", ranges=tuple(ranges), whole=frozenset(whole))


def condition_of(one: ForgottenRange) -> Condition:
    """As `ForgottenRange.covers`, on a row `o` of the log."""
    parts: list[str] = []
    values: list[object] = []

    def add(sql: str, *of: object) -> None:
        parts.append(sql)
        values.extend(of)

    if one.source_id is not None:
        add("o.source_id = ?", one.source_id)
    if one.session is not None:
        add("o.session = ?", one.session)
    if one.kind is not None:
        add("o.kind = ?", one.kind)
    for start, end, low, high in (
        ("o.pts0_ns", "o.pts1_ns", one.pts0_ns, one.pts1_ns),
        (T0, f"COALESCE({T1}, {T0})", one.t0_ns, one.t1_ns),
    ):
        if high is not None:
            add(f"{start} < ?", high)
        if low is not None:
            add(f"({end} > ? OR {start} >= ?)", low, low)
    return Condition(" AND ".join(parts) or "1", tuple(values))


def doom(db: sqlite3.Connection, conditions: Iterable[Condition]) -> None:
    """Fills the temporary table `doomed` with the observations that meet a condition."""
    db.execute(
        "CREATE TEMP TABLE IF NOT EXISTS doomed (n INTEGER PRIMARY KEY, observation_id BLOB, source_id BLOB,"
        " session INTEGER, kind TEXT, pts0_ns INTEGER, middle INTEGER)"
    )
    db.execute("DELETE FROM temp.doomed")
    for sql, values in conditions:
        db.execute(
            "INSERT OR IGNORE INTO temp.doomed SELECT o.n, o.observation_id, o.source_id, o.session, o.kind,"  # noqa: S608
            f" o.pts0_ns, o.pts0_ns / 2 + o.pts1_ns / 2 FROM observation AS o WHERE {sql}",
            values,
        )
    db.execute("CREATE INDEX IF NOT EXISTS temp.doomed_middle ON doomed (source_id, session, middle)")


def numbers_of(db: sqlite3.Connection, selection: Selection) -> list[int]:
    """Row numbers of what is to go, in order. For a connection that cannot write."""
    found: set[int] = set()
    for sql, values in selection.conditions():
        found.update(n for (n,) in db.execute(f"SELECT o.n FROM observation AS o WHERE {sql}", values))  # noqa: S608
    return sorted(found)


def parts_of(db: sqlite3.Connection, selection: Selection, numbers: Sequence[int]) -> list[ForgottenPart]:
    """What would go of each source, at most `MOST_PARTS`."""
    told: dict[Origin, list[int | None]] = {}
    for some in pages(numbers):
        rows = db.execute(
            f"SELECT o.source_id, o.session, COUNT(*), MIN(o.pts0_ns), MAX(o.pts1_ns), MIN({T0}), MAX({T1})"  # noqa: S608
            f" FROM observation AS o WHERE o.n IN ({marks(some)}) GROUP BY o.source_id, o.session",
            some,
        )
        for source_id, session, *of in rows:
            before = told.get((source_id, session))
            told[source_id, session] = of if before is None else _joined(before, of)
    for origin in selection.whole:
        told.setdefault(origin, [0, 0, 0, None, None])
    names = {(row.source_id, row.session): row.uri for row in sources(db)}
    return [
        ForgottenPart(
            uri=shortened(names.get(origin) or "", NAME_CHARS),
            source_id=origin[0],
            session=origin[1],
            observations=of[0] or 0,
            pts0_ns=of[1] or 0,
            pts1_ns=of[2] or 0,
            t0_ns=of[3],
            t1_ns=of[4],
            whole=origin in selection.whole,
        )
        for origin, of in sorted(told.items())[:MOST_PARTS]
    ]


def _joined(one: list[int | None], other: list[int | None]) -> list[int | None]:
    both = [[value for value in pair if value is not None] for pair in zip(one, other, strict=True)]
    count, pts0_ns, pts1_ns, t0_ns, t1_ns = both
    return [
        sum(count),
        min(pts0_ns),
        max(pts1_ns),
        min(t0_ns, default=None),
        max(t1_ns, default=None),
    ]


def titles_of(db: sqlite3.Connection, numbers: Sequence[int]) -> list[str]:
    """The first lines of what would go."""
    found: list[str] = []
    for some in pages(numbers):
        rows = db.execute(
            f"SELECT kind, text FROM observation WHERE n IN ({marks(some)})"  # noqa: S608
            " AND text <> '' ORDER BY n LIMIT ?",
            (*some, MOST_TITLES - len(found)),
        )
        found += [f"{kind}: {shortened(text, NAME_CHARS)}" for kind, text in rows]
        if len(found) >= MOST_TITLES:
            break
    return found
