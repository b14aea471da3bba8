"""The tree above events: event → episode → day.

An episode is a stretch of events of one source, ended by a long pause, its greatest length, midnight,
or the end of the source; in a chat it is a sitting. A day is a calendar day in the sources' own time
zones, over all sources, and so belongs to the store: its `source_id` is empty, its positions are those
of the calendar (midnight to midnight as if it were UTC), and `t0_ns` to `t1_ns` is what it was in UTC,
from the earliest of its zones to the latest. What is not closed yet stands too, with `open` as its
reason: the live tail.

A step makes one episode or one day anew from what lies under it, so that it may stop after any, and
the order in which they were made cannot be told from the result. Digests rest on observations of the
digests below (`span.cited`), never on words of other digests.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from memory.keys.facts import FACT
from memory.keys.keyers import unpack_vectors
from memory.keys.speaks import answering
from memory.log.reader import (
    COLUMNS,
    Logged,
    SourceRow,
    known_by,
    last_commit,
    logged,
    marks,
    pages,
    sources,
)
from memory.settings import SpanSettings
from memory.spans.consolidate import packed_ids, span_id_of
from memory.spans.digest import cited_of, line_of
from memory.spans.due import note_all_due, note_due
from memory.spans.segment import perceived
from stream.messages.observation import ID_BYTES

STORE = b""
"""The `source_id` of what belongs to no source: days."""
OPEN = "open"
DAY_NS = 86_400 * 1_000_000_000
_EPOCH = date(1970, 1, 1)
Vectors = npt.NDArray[np.float32]


@dataclass(slots=True)
class Rolled:
    """What steps did: episodes and days made anew, pairs of events merged, keys that went with spans.

    `more`: work is left.
    """

    episodes: int = 0
    days: int = 0
    merged: int = 0
    more: bool = False
    removed_keys: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Event:
    span_id: bytes
    pts0_ns: int
    pts1_ns: int
    cited: bytes
    thumbnail: bytes | None
    parent_id: bytes


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The events of one episode, why it ends, its date where that is known, and the event that follows it."""

    events: list[_Event]
    why: str
    day: date | None
    following_ns: int | None


class Tree:
    """Makes episodes and days.

    Args:
        settings: When episodes end, and whose days are meant.
        live_close_after_ns: As of `Consolidator`.
    """

    def __init__(self, settings: SpanSettings, live_close_after_ns: int) -> None:
        self._settings = settings
        self._gap_ns = int(settings.episode_gap_s * 1e9)
        self._sitting_ns = int(settings.sitting_gap_s * 1e9)
        self._max_ns = int(settings.episode_max_s * 1e9)
        self._live_close_after_ns = live_close_after_ns
        self._zone = zone_of(settings.time_zone, None)

    @property
    def tree_id(self) -> str:
        """Names the way and what it was set to; part of the ids of episodes."""
        zone = self._settings.time_zone or "local"
        return f"tree/gap{self._gap_ns}/sitting{self._sitting_ns}/max{self._max_ns}/{zone}"

    def ready(self, db: sqlite3.Connection) -> bool:
        """Marks everything due where another way made what stands; returns whether it did.

        What stands stays until what takes its place is made. Within the caller's transaction.
        """
        row = db.execute("SELECT value FROM view_state WHERE name = 'tree'").fetchone()
        if row is not None and row[0] == self.tree_id:
            return False
        db.execute("INSERT OR REPLACE INTO view_state VALUES ('tree', ?)", (self.tree_id,))
        note_all_due(db)
        return True

    def is_due(self, db: sqlite3.Connection) -> bool:
        """Whether a step has anything to do."""
        return (
            db.execute("SELECT 1 FROM roll_due WHERE level IN ('episode', 'day') LIMIT 1").fetchone()
            is not None
        )

    def look_again(self, db: sqlite3.Connection, now_ns: int) -> None:
        """Marks due what time alone may have closed, and what was dated since it was made."""
        opened = db.execute(
            "SELECT level, source_id, session, pts0_ns, t1_ns FROM span WHERE why = ? AND level IN"
            " ('episode', 'day')",
            (OPEN,),
        ).fetchall()
        for level, source_id, session, pts0_ns, t1_ns in opened:
            if level == "day":
                if t1_ns <= now_ns:
                    note_due(db, "day", source_id, session, pts0_ns)
            elif any(self._is_over(db, row, pts0_ns, now_ns) for row in sources(db, (source_id, session))):
                note_due(db, "episode", source_id, session, pts0_ns)
        db.execute(
            "INSERT OR IGNORE INTO roll_due SELECT 'episode', s.source_id, s.session, MIN(s.pts0_ns)"
            " FROM span AS s JOIN source AS c ON c.source_id = s.source_id AND c.session = s.session"
            " WHERE s.level = 'episode' AND s.t0_ns IS NULL AND c.t_origin_ns IS NOT NULL"
            " AND s.ended_commit IS NULL GROUP BY s.source_id, s.session"
        )

    def advance(self, db: sqlite3.Connection, now_ns: int, limit: int = 4) -> Rolled:
        """Makes at most `limit` episodes and days anew, within the caller's transaction."""
        rolled = Rolled()
        for _ in range(limit):
            row = db.execute(
                "SELECT level, source_id, session, pts_ns FROM roll_due WHERE level IN ('episode', 'day')"
                " ORDER BY level = 'day', source_id, session, pts_ns LIMIT 1"
            ).fetchone()
            if row is None:
                return rolled
            level, source_id, session, pts_ns = row
            if level == "day":
                self._day(db, pts_ns, now_ns)
                rolled.days += 1
            else:
                rolled.episodes += self._episode_around(db, (source_id, session), pts_ns, now_ns)
            db.execute(
                "DELETE FROM roll_due WHERE level = ? AND source_id = ? AND session = ? AND pts_ns = ?", row
            )
        rolled.more = self.is_due(db)
        return rolled

    # Episodes.

    def _episode_around(
        self, db: sqlite3.Connection, key: tuple[bytes, int], pts_ns: int, now_ns: int
    ) -> int:
        """Makes the episode around a position; returns how many were made or made anew."""
        source = next(iter(sources(db, key)), None)
        if source is None:
            return 0
        before = db.execute(
            "SELECT MAX(pts0_ns) FROM span WHERE level = 'episode' AND source_id = ? AND session = ?"
            " AND pts0_ns <= ? AND ended_commit IS NULL",
            (*key, pts_ns),
        ).fetchone()[0]
        start_ns: int | None = self._first_event(db, source, -1 if before is None else before)
        if start_ns is None or start_ns > pts_ns:
            start_ns = self._first_event(db, source, -1)
        if start_ns is None:
            self._drop(db, source, -1, 2**62)
            return 0
        through = perceived(source, now_ns, self._live_close_after_ns)
        while True:
            stretch = self._stretch(db, source, start_ns, through)
            end_ns, next_ns = stretch.events[-1].pts1_ns, stretch.following_ns
            if pts_ns < end_ns or next_ns is None or next_ns > pts_ns:
                break
            start_ns = next_ns
        self._write_episode(db, source, stretch)
        return 1

    def _first_event(self, db: sqlite3.Connection, source: SourceRow, from_ns: int) -> int | None:
        row = db.execute(
            "SELECT MIN(pts0_ns) FROM span WHERE level = 'event' AND source_id = ? AND session = ?"
            " AND pts0_ns >= ? AND ended_commit IS NULL",
            (source.source_id, source.session, from_ns),
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def _stretch(
        self, db: sqlite3.Connection, source: SourceRow, start_ns: int, through: tuple[int | None, bool]
    ) -> _Stretch:
        """The events from `start_ns` on that are one episode."""
        is_chat = source.kind == "chat"
        gap_ns = self._sitting_ns if is_chat else self._gap_ns
        zone = self._zone_of(db, source)
        events: list[_Event] = []
        day: date | None = None
        for event in _events(db, source, start_ns):
            its_day = _day_of(source, event.pts0_ns, zone)
            if events:
                why = ""
                if event.pts0_ns - events[-1].pts1_ns >= gap_ns:
                    why = "sitting" if is_chat else "pause"
                elif its_day != day:
                    why = "midnight"
                elif not is_chat and event.pts1_ns - events[0].pts0_ns > self._max_ns:
                    why = "max"
                if why:
                    return _Stretch(events, why, day, event.pts0_ns)
            else:
                day = its_day
            events.append(event)
        return _Stretch(events, self._why_last(db, source, events[-1].pts1_ns, gap_ns, through), day, None)

    def _why_last(
        self,
        db: sqlite3.Connection,
        source: SourceRow,
        end_ns: int,
        gap_ns: int,
        through: tuple[int | None, bool],
    ) -> str:
        """Why the last episode of a source ends where it does; `open` where that is not known yet."""
        through_ns, is_read = through
        if is_read and _is_done(db, source):
            return "eof"
        # Nothing that begins within the pause can come any more.
        if not is_read and through_ns is not None and through_ns - end_ns >= 2 * gap_ns:
            return "pause"
        return OPEN

    def _is_over(self, db: sqlite3.Connection, source: SourceRow, pts0_ns: int, now_ns: int) -> bool:
        gap_ns = self._sitting_ns if source.kind == "chat" else self._gap_ns
        end_ns = db.execute(
            "SELECT pts1_ns FROM span WHERE level = 'episode' AND source_id = ? AND session = ?"
            " AND pts0_ns = ? AND ended_commit IS NULL",
            (source.source_id, source.session, pts0_ns),
        ).fetchone()[0]
        through = perceived(source, now_ns, self._live_close_after_ns)
        return self._why_last(db, source, end_ns, gap_ns, through) != OPEN

    def _write_episode(self, db: sqlite3.Connection, source: SourceRow, stretch: _Stretch) -> None:
        events = stretch.events
        pts0_ns, pts1_ns = events[0].pts0_ns, events[-1].pts1_ns
        span_id = span_id_of("episode", source.source_id, source.session, pts0_ns, self.tree_id)
        day_id, day_ns = b"", None
        if stretch.day is not None:
            day_ns = (stretch.day - _EPOCH).days * DAY_NS
            day_id = day_id_of(day_ns)
        known = db.execute(
            "SELECT made_commit, pts1_ns, why FROM span WHERE span_id = ?", (span_id,)
        ).fetchone()
        self._drop(db, source, pts0_ns, pts1_ns, but=span_id)
        chosen = self._chosen(db, _ids_of(event.cited for event in events))
        origin_ns = source.t_origin_ns
        _insert(
            db,
            (span_id, "episode", day_id, source.source_id, source.session, pts0_ns, pts1_ns),
            None if origin_ns is None else (origin_ns + pts0_ns, origin_ns + pts1_ns),
            stretch.why,
            chosen,
            _picture(events),
            self.tree_id,
            known[0] if known is not None else last_commit(db),
        )
        db.execute(
            "UPDATE span SET parent_id = ? WHERE level = 'event' AND source_id = ? AND session = ?"
            " AND pts0_ns >= ? AND pts0_ns < ? AND ended_commit IS NULL AND parent_id <> ?",
            (span_id, source.source_id, source.session, pts0_ns, pts1_ns, span_id),
        )
        db.execute(
            "DELETE FROM roll_due WHERE level = 'episode' AND source_id = ? AND session = ?"
            " AND pts_ns >= ? AND pts_ns < ?",
            (source.source_id, source.session, pts0_ns, pts1_ns),
        )
        if day_ns is not None:
            note_due(db, "day", STORE, 0, day_ns)
        if stretch.why != OPEN:
            note_due(db, "pairs", source.source_id, source.session, pts0_ns)
            note_due(db, "prototypes", source.source_id, source.session, pts0_ns)
        if stretch.following_ns is not None and not self._begins_at(db, source, stretch.following_ns):
            note_due(db, "episode", source.source_id, source.session, stretch.following_ns)

    def _begins_at(self, db: sqlite3.Connection, source: SourceRow, pts_ns: int) -> bool:
        span_id = span_id_of("episode", source.source_id, source.session, pts_ns, self.tree_id)
        found = db.execute("SELECT 1 FROM span WHERE span_id = ?", (span_id,)).fetchone()
        return found is not None

    def _drop(
        self, db: sqlite3.Connection, source: SourceRow, low_ns: int, high_ns: int, but: bytes = b""
    ) -> None:
        """Takes away the episodes that begin in a range, all but one; their days are due."""
        rows = db.execute(
            "SELECT span_id, parent_id FROM span WHERE level = 'episode' AND source_id = ? AND session = ?"
            " AND pts0_ns >= ? AND pts0_ns < ? AND ended_commit IS NULL AND span_id <> ?",
            (source.source_id, source.session, low_ns, high_ns, but),
        ).fetchall()
        for span_id, day_id in rows:
            db.execute("DELETE FROM span WHERE span_id = ?", (span_id,))
            self._day_due(db, day_id)
        old = db.execute("SELECT parent_id FROM span WHERE span_id = ?", (but,)).fetchone()
        if old is not None:
            self._day_due(db, old[0])

    def _day_due(self, db: sqlite3.Connection, day_id: bytes) -> None:
        row = db.execute("SELECT pts0_ns FROM span WHERE span_id = ?", (day_id,)).fetchone()
        if row is not None:
            note_due(db, "day", STORE, 0, row[0])

    # Days.

    def _day(self, db: sqlite3.Connection, day_ns: int, now_ns: int) -> None:
        """Makes a day anew from its episodes; one without any goes."""
        span_id = day_id_of(day_ns)
        rows = db.execute(
            "SELECT span_id, source_id, session, t0_ns, t1_ns, why, cited, thumbnail FROM span"
            " WHERE parent_id = ? AND level = 'episode' AND ended_commit IS NULL"
            " ORDER BY t0_ns, source_id, session, pts0_ns",
            (span_id,),
        ).fetchall()
        if not rows:
            db.execute("DELETE FROM span WHERE span_id = ?", (span_id,))
            return
        day = _EPOCH + timedelta(days=day_ns // DAY_NS)
        bounds = []
        for key in {(source_id, session) for _, source_id, session, *_ in rows}:
            for source in sources(db, key):
                bounds.append(day_bounds(day, self._zone_of(db, source)))
        t0_ns, t1_ns = min(begin for begin, _ in bounds), max(end for _, end in bounds)
        known = db.execute("SELECT made_commit FROM span WHERE span_id = ?", (span_id,)).fetchone()
        is_open = now_ns < t1_ns or any(row[5] == OPEN for row in rows)
        chosen = self._chosen(db, _ids_of(row[6] for row in rows), spread_over_time=True)
        longest = max(rows, key=lambda row: (row[7] is not None, row[4] - row[3]))
        _insert(
            db,
            (span_id, "day", b"", STORE, 0, day_ns, day_ns + DAY_NS),
            (t0_ns, t1_ns),
            OPEN if is_open else "midnight",
            chosen,
            longest[7],
            self.tree_id,
            known[0] if known is not None else last_commit(db),
        )

    def _zone_of(self, db: sqlite3.Connection, source: SourceRow) -> tzinfo | None:
        row = db.execute(
            "SELECT time_zone FROM source WHERE source_id = ? AND session = ?",
            (source.source_id, source.session),
        ).fetchone()
        return zone_of(row[0] if row else "", self._zone)

    def _chosen(
        self, db: sqlite3.Connection, ids: Sequence[bytes], *, spread_over_time: bool = False
    ) -> list[Logged]:
        told = observations_by_id(db, ids)
        vectors = keys_of(db, told) if self._settings.central else None
        return cited_of(
            told, spread_over_time=spread_over_time, vectors=vectors, central=self._settings.central
        )


def day_id_of(day_ns: int) -> bytes:
    """The id of a day, by its midnight as if it were UTC. The same whichever way days are made."""
    return span_id_of("day", STORE, 0, day_ns, "day")


@lru_cache(maxsize=256)
def zone_of(name: str, otherwise: tzinfo | None) -> tzinfo | None:
    """A zone by its IANA name or offset, such as `+02:00`; None stands for this machine's."""
    if name:
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            pass
        try:
            offset = datetime.fromisoformat(f"1970-01-01T00:00{name}").utcoffset()
        except ValueError:
            offset = None
        if offset is not None:
            return timezone(offset)
    return otherwise


def day_bounds(day: date, zone: tzinfo | None) -> tuple[int, int]:
    """UTC ns of a calendar day of a zone, end excluded; None: this machine's zone."""
    return _midnight_ns(day, zone), _midnight_ns(day + timedelta(days=1), zone)


def _midnight_ns(day: date, zone: tzinfo | None) -> int:
    naive = datetime(day.year, day.month, day.day)
    when = naive.astimezone() if zone is None else naive.replace(tzinfo=zone)
    return round(when.timestamp()) * 1_000_000_000


def _day_of(source: SourceRow, pts_ns: int, zone: tzinfo | None) -> date | None:
    if source.t_origin_ns is None:
        return None
    try:
        when = datetime.fromtimestamp((source.t_origin_ns + pts_ns) // 1_000_000_000, UTC)
        return when.astimezone(zone).date()
    except (ValueError, OverflowError, OSError):
        return None


def observations_by_id(
    db: sqlite3.Connection, ids: Sequence[bytes], as_of: int | None = None
) -> list[Logged]:
    """Observations by their ids in the order of these; those that are gone, or of later, are left out."""
    found: dict[bytes, Logged] = {}
    for some in pages(ids):
        rows = db.execute(
            f"SELECT {COLUMNS} FROM observation AS o WHERE o.observation_id IN ({marks(some)})"  # noqa: S608
            f" AND o.text <> ''{known_by(as_of)}",
            some,
        )
        found.update((one.observation_id, one) for one in map(logged, rows))
    return [found[one] for one in dict.fromkeys(ids) if one in found]


def ids_in(cited: bytes) -> list[bytes]:
    """The ids that `span.cited` holds."""
    return [cited[at : at + ID_BYTES] for at in range(0, len(cited), ID_BYTES)]


def keys_of(db: sqlite3.Connection, told: Sequence[Logged]) -> Vectors | None:
    """(N, D) float32, keys of observations by one encoder; None unless each has one."""
    speaks = answering(db)
    if speaks is None:
        return None
    found: dict[bytes, tuple[int, bytes]] = {}
    for some in pages(one.observation_id for one in told):
        rows = db.execute(
            "SELECT owner, dimension, vector FROM key INDEXED BY key_of_owner"  # noqa: S608
            f" WHERE owner IN ({marks(some)}) AND encoder_id = ? AND kind <> ? AND vector IS NOT NULL",
            (*some, speaks.encoder_id, FACT),
        )
        found.update((owner, (dimension, vector)) for owner, dimension, vector in rows)
    sizes = {dimension for dimension, _ in found.values()}
    if len(found) < len(told) or len(sizes) != 1:
        return None
    return unpack_vectors([found[one.observation_id][1] for one in told], sizes.pop())


def _ids_of(cited: Iterator[bytes] | Sequence[bytes]) -> list[bytes]:
    return [one for some in cited for one in ids_in(some)]


def _is_done(db: sqlite3.Connection, source: SourceRow) -> bool:
    row = db.execute(
        "SELECT done FROM progress WHERE source_id = ? AND session = ?", (source.source_id, source.session)
    ).fetchone()
    return row is not None and bool(row[0])


def _events(db: sqlite3.Connection, source: SourceRow, from_ns: int) -> Iterator[_Event]:
    rows = db.execute(
        "SELECT span_id, pts0_ns, pts1_ns, cited, thumbnail, parent_id FROM span WHERE level = 'event'"
        " AND source_id = ? AND session = ? AND pts0_ns >= ? AND ended_commit IS NULL ORDER BY pts0_ns",
        (source.source_id, source.session, from_ns),
    )
    for row in rows:
        yield _Event(*row)


def _picture(events: Sequence[_Event]) -> bytes | None:
    """The picture of the longest event that has one."""
    pictured = [event for event in events if event.thumbnail is not None]
    longest = max(pictured, key=lambda event: event.pts1_ns - event.pts0_ns, default=None)
    return None if longest is None else longest.thumbnail


def _insert(
    db: sqlite3.Connection,
    what: tuple[bytes, str, bytes, bytes, int, int, int],
    utc: tuple[int, int] | None,
    why: str,
    chosen: Sequence[Logged],
    thumbnail: bytes | None,
    tree_id: str,
    made_commit: int,
) -> None:
    """Writes a span: id, level, parent, source, session, positions, and the rest.

    A pin that stands on it stays.
    """
    db.execute(
        "INSERT INTO span (span_id, level, parent_id, source_id, session, pts0_ns, pts1_ns,"
        " t0_ns, t1_ns, why, digest, thumbnail, segmenter_id, made_commit, cited)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (span_id) DO UPDATE SET"
        " parent_id = excluded.parent_id, pts1_ns = excluded.pts1_ns, t0_ns = excluded.t0_ns,"
        " t1_ns = excluded.t1_ns, why = excluded.why, digest = excluded.digest,"
        " thumbnail = excluded.thumbnail, segmenter_id = excluded.segmenter_id, cited = excluded.cited",
        (
            *what,
            *(utc or (None, None)),
            why,
            " · ".join(line_of(one) for one in chosen),
            thumbnail,
            tree_id,
            made_commit,
            packed_ids(chosen),
        ),
    )
