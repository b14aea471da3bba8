"""Reading the store: connections that cannot write, and the rows that views are made of."""

from __future__ import annotations

import difflib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgpack

from memory.log.database import LOG_NAME, READER_CACHE_KIB, connect_reader, named_error, snapshot
from memory.log.media import media_path
from stream.errors import SourceGone
from stream.messages import MediaRef, Observation, TrackMark
from stream.messages.observation import FeedItem
from stream.source_names import names_of

T = TypeVar("T")

SQL_VALUES = 500
"""Values bound to one statement; SQLite takes 32 766."""
PAGE_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, SQL_VALUES)
MOST_NEAR = 5
LEAST_NEAR_CHARS = 3
"""Names that are told for one that there is not; fewer letters are in most names."""
LIVE_KINDS = ("camera", "microphone", "network")

MIDDLE = "(o.pts0_ns / 2 + o.pts1_ns / 2)"
"""Where an observation belongs, as the index `observation_middle` has it."""

DATED_LATER = "owner, later"
"""`source.t_origin_from` where the owner told the time after observations without one were committed."""
ORIGIN_LATER = (
    "(SELECT c.t_origin_ns FROM source AS c WHERE c.source_id = o.source_id AND c.session = o.session"  # noqa: S608
    f" AND c.t_origin_from = '{DATED_LATER}')"
)
T0 = f"COALESCE(o.t0_ns, o.pts0_ns + {ORIGIN_LATER})"
T1 = f"COALESCE(o.t1_ns, o.pts1_ns + {ORIGIN_LATER})"
"""UTC of an observation `o`, also of one whose source was dated after it; NULL where none is known."""

_THUMBNAIL = (
    "(SELECT lower(hex(m.media_hash)) || ' ' || f.media_type FROM observation_media AS m"
    " JOIN media AS f ON f.media_hash = m.media_hash"
    " WHERE m.n = o.n AND m.role IN ('thumbnail', 'keyframe') ORDER BY m.role DESC, m.ordinal LIMIT 1)"
)
_BARE = (
    f"o.n, o.observation_id, o.commit_no, o.source_id, o.session, o.kind, o.pts0_ns, o.pts1_ns, {T0},"
    f" {T1}, o.text, o.language, o.confidence, o.speaker, o.place"
)
COLUMNS = f"{_BARE}, {_THUMBNAIL}"
"""What `Logged` is made of, from a table named `o`."""
WORD_COLUMNS = f"{_BARE}, ''"
"""The same without the picture, which costs two look-ups per row."""

_FEED_FIELDS = tuple(name for name in Observation.__struct_fields__ if name not in ("media", "keys"))
"""Columns of the log that bear the names of the message's fields."""


@dataclass(frozen=True, slots=True)
class Logged:
    """An observation as recall needs it. Times as in `stream.messages.Observation`, or by `T0` and `T1`.

    `thumbnail` is a path under `media/`, or empty.
    """

    n: int
    observation_id: bytes
    commit_no: int
    source_id: bytes
    session: int
    kind: str
    pts0_ns: int
    pts1_ns: int
    t0_ns: int | None
    t1_ns: int | None
    text: str
    language: str
    confidence: float | None
    speaker: str
    place: str
    thumbnail: str

    @property
    def middle_ns(self) -> int:
        """The position that decides which span it belongs to."""
        return self.pts0_ns // 2 + self.pts1_ns // 2


@dataclass(frozen=True, slots=True)
class TrackRow:
    """One track with its last mark; `through_pts_ns` is None before the first."""

    track: int
    media: str
    through_pts_ns: int | None
    eof: bool


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source and session, its newest uri and its tracks."""

    source_id: bytes
    session: int
    kind: str
    uri: str
    duration_ns: int | None
    t_origin_ns: int | None
    tracks: tuple[TrackRow, ...]
    time_zone: str = ""

    @property
    def is_live(self) -> bool:
        """Whether it was perceived while it happened (a file played as a camera too)."""
        return self.session != 0 or self.kind in LIVE_KINDS

    @property
    def is_read(self) -> bool:
        """Whether every track has ended."""
        return bool(self.tracks) and all(track.eof for track in self.tracks)


class LogReader:
    """Read-only connections to a store, one per thread.

    Args:
        store_dir: Folder of the store; its writer must have made the log before.
        cache_kib: Most of the pages that each connection keeps, in KiB.
        is_mapped: As `connect_reader`.
    """

    def __init__(
        self, store_dir: Path, cache_kib: int = READER_CACHE_KIB, *, is_mapped: bool = False
    ) -> None:
        self.path = store_dir / LOG_NAME
        self._cache_kib = cache_kib
        self._is_mapped = is_mapped
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []

    @property
    def db(self) -> sqlite3.Connection:
        """The calling thread's connection."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = connect_reader(self.path, cache_kib=self._cache_kib, is_mapped=self._is_mapped)
            self._local.db = db
            with self._lock:
                self._connections.append(db)
        return db

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """The calling thread's connection, seeing one unchanging state of the store.

        Raises:
            StoreError: In place of what SQLite raises.
        """
        try:
            with snapshot(self.db) as db:
                yield db
        except sqlite3.Error as error:
            raise named_error(error, self.path) from error

    def close(self) -> None:
        """Closes the connections of all threads; none may be in use."""
        with self._lock:
            for db in self._connections:
                db.close()
            self._connections.clear()


def logged(row: Sequence[Any]) -> Logged:
    """A row of `COLUMNS` as an object."""
    *fields, thumbnail = row
    digest, _, media_type = str(thumbnail or "").partition(" ")
    path = media_path(bytes.fromhex(digest), media_type) if digest else ""
    return Logged(*(*fields, path))


def observations_by_id(db: sqlite3.Connection, ids: Sequence[bytes]) -> dict[bytes, Logged]:
    """Observations by their ids; what is not there is left out."""
    numbers = [
        n
        for some in pages(ids)
        for (n,) in db.execute(
            f"SELECT n FROM observation WHERE observation_id IN ({marks(some)})",  # noqa: S608
            some,
        )
    ]
    return {one.observation_id: one for one in observations_of(db, numbers).values()}


def observations_of(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, Logged]:
    """Observations by their row numbers; what is not there is left out."""
    found: dict[int, Logged] = {}
    for some in pages(numbers):
        rows = db.execute(
            f"SELECT {COLUMNS} FROM observation AS o WHERE o.n IN ({marks(some)})",  # noqa: S608
            some,
        )
        found.update((int(row[0]), logged(row)) for row in rows)
    return found


def pages(values: Iterable[T]) -> list[list[T]]:
    """Values in lists that one statement can bind; for `IN (…)`, since the last may stand there again.

    Lists are of few lengths, so that statements are prepared once and not for each length.
    """
    every = list(values)
    made = [every[start : start + SQL_VALUES] for start in range(0, len(every), SQL_VALUES)]
    for some in made:
        wanted = next(size for size in PAGE_SIZES if size >= len(some))
        some += some[-1:] * (wanted - len(some))
    return made


def marks(values: Sequence[object]) -> str:
    """As many question marks as there are values, for `IN (…)`."""
    return ",".join("?" * len(values))


def known_by(as_of: int | None, table: str = "o") -> str:
    """A condition, begun by AND, on a row that was committed by then; nothing where `as_of` is None."""
    return "" if as_of is None else f" AND {table}.commit_no <= {int(as_of)}"


def sources_at(
    db: sqlite3.Connection, as_of: int | None, only: Iterable[tuple[bytes, int]] | None = None
) -> list[SourceRow]:
    """As `sources`, of all or of `only` some, as far as they were known at a commit; None: now.

    Where a mark stood then is not kept. A track that had ended by then has its last mark; of others
    the end of what had been perceived of it stands for the mark; so has a chat that has grown since, which
    had not ended then. A uri that was met again after
    another has lost its first time; where none is left from then, the earliest is told.
    """
    rows = sources(db) if only is None else [row for one in sorted(set(only)) for row in sources(db, one)]
    if as_of is None:
        return rows
    first = {
        (source_id, session)
        for source_id, session in db.execute(
            "SELECT source_id, session FROM source WHERE commit_no <= ?", (as_of,)
        )
    }
    rows = [row for row in rows if (row.source_id, row.session) in first]
    return [replace(row, uri=_uri_at(db, row, as_of), tracks=_tracks_at(db, row, as_of)) for row in rows]


def _uri_at(db: sqlite3.Connection, row: SourceRow, as_of: int) -> str:
    found = db.execute(
        "SELECT uri FROM source_uri WHERE source_id = ? AND session = ?"
        " ORDER BY commit_no > ?, CASE WHEN commit_no > ? THEN n ELSE -n END LIMIT 1",
        (row.source_id, row.session, as_of, as_of),
    ).fetchone()
    return str(found[0]) if found is not None else row.uri


def _tracks_at(db: sqlite3.Connection, row: SourceRow, as_of: int) -> tuple[TrackRow, ...]:
    key = (row.source_id, row.session)
    told = db.execute(
        "SELECT track, media, through_pts_ns, COALESCE(eof AND mark_commit <= ?, 0) FROM track"
        " WHERE source_id = ? AND session = ? AND commit_no <= ? ORDER BY track",
        (as_of, *key, as_of),
    ).fetchall()
    reached: dict[int, int] = {}
    if not all(ended for *_, ended in told):
        # Walks all that was perceived of the source, hence only where it was still being perceived.
        reached = dict(
            db.execute(
                "SELECT track, MAX(pts1_ns) FROM observation WHERE source_id = ? AND session = ?"
                " AND commit_no <= ? GROUP BY track",
                (*key, as_of),
            ).fetchall()
        )
    return tuple(
        TrackRow(track, media, through if ended else reached.get(track), bool(ended))
        for track, media, through, ended in told
    )


def sources(db: sqlite3.Connection, only: tuple[bytes, int] | None = None) -> list[SourceRow]:
    """All sources and sessions (or `only` one), in the order in which they were first committed."""
    where = "" if only is None else "WHERE s.source_id = ? AND s.session = ?"
    tracks: dict[tuple[bytes, int], list[TrackRow]] = {}
    for source_id, session, track, media, through, eof in db.execute(
        "SELECT source_id, session, track, media, through_pts_ns, eof FROM track AS s"  # noqa: S608
        f" {where} ORDER BY track",
        only or (),
    ):
        tracks.setdefault((source_id, session), []).append(TrackRow(track, media, through, bool(eof)))
    rows = db.execute(
        "SELECT s.source_id, s.session, s.kind, (SELECT u.uri FROM source_uri AS u"  # noqa: S608
        " WHERE u.source_id = s.source_id AND u.session = s.session ORDER BY u.n DESC LIMIT 1),"
        f" s.duration_ns, s.t_origin_ns, s.time_zone FROM source AS s {where}"
        " ORDER BY s.commit_no, s.source_id, s.session",
        only or (),
    )
    return [
        SourceRow(*(*key, *described, tuple(tracks.get(key, ())), time_zone))
        for source_id, session, *described, time_zone in rows
        for key in ((source_id, session),)
    ]


def ends_of(
    db: sqlite3.Connection, only: Iterable[tuple[bytes, int]] | None = None, as_of: int | None = None
) -> dict[tuple[bytes, int], int]:
    """Where each source and session (or `only` some) ends, in ns; left out where that is not known.

    As far as it was known at a commit, where one is told.
    """
    return ends_in(sources_at(db, as_of, only))


def ends_in(rows: Iterable[SourceRow]) -> dict[tuple[bytes, int], int]:
    """Where each of some sources ends, in ns; left out where that is not known."""
    ends: dict[tuple[bytes, int], int] = {}
    for row in rows:
        read_ns = max((track.through_pts_ns or 0 for track in row.tracks), default=0)
        end_ns = read_ns if row.is_read or row.duration_ns is None else max(read_ns, row.duration_ns)
        if end_ns:
            ends[row.source_id, row.session] = end_ns
    return ends


def through_of(rows: Sequence[SourceRow]) -> int | None:
    """UTC up to which every source of known time was perceived: the least of those still being read."""
    reading: list[int] = []
    read: list[int] = []
    for row in rows:
        if row.t_origin_ns is None or not row.tracks:
            continue
        ends = [track.through_pts_ns or 0 for track in row.tracks if row.is_read or not track.eof]
        if row.is_read:
            read.append(row.t_origin_ns + max(ends))
        else:
            reading.append(row.t_origin_ns + min(ends))
    if reading:
        return min(reading)
    return max(read, default=None)


def named_sources(db: sqlite3.Connection, names: Sequence[str], as_of: int | None = None) -> list[SourceRow]:
    """The sources of these names: id in hexadecimal, file name, or whole uri; those known at a commit.

    The name of a file that holds several chats means all of them, that of a chat inside it this one.

    Raises:
        SourceGone: If there is none of a name now; one that is of a later commit is left out.
    """
    rows = sources(db)
    chats = {(row.source_id, row.session) for row in rows if row.kind == "chat"}
    places: dict[tuple[bytes, int], set[str]] = {}
    for source_id, session, uri in db.execute("SELECT source_id, session, uri FROM source_uri"):
        key = (source_id, session)
        places.setdefault(key, set()).update(names_of(uri, is_chat=key in chats))
    found: list[SourceRow] = []
    for name in names:
        matching = [
            row
            for row in rows
            if name == row.source_id.hex() or name in places.get((row.source_id, row.session), ())
        ]
        if not matching:
            near = _near(name, {one for known in places.values() for one in known})
            raise SourceGone(
                f"there is no source called {name!r} in this store",
                remedy=f"near it: {', '.join(near)}" if near else "omnirecall status lists the sources",
            )
        found += matching
    if as_of is None:
        return found
    only = {(row.source_id, row.session) for row in found}
    then = {(row.source_id, row.session): row for row in sources_at(db, as_of, only)}
    return [then[key] for row in found if (key := (row.source_id, row.session)) in then]


def _near(name: str, known: Iterable[str]) -> list[str]:
    """Names like one that there is not, the likest first; case and folders do not count."""
    wanted = PurePosixPath(name).name.casefold()
    short = {one.casefold(): one for one in sorted(known) if one and "/" not in one}
    alike = difflib.get_close_matches(wanted, short, n=MOST_NEAR, cutoff=0.6)
    alike += [one for one in short if len(wanted) >= LEAST_NEAR_CHARS and wanted in one and one not in alike]
    return [short[one] for one in alike[:MOST_NEAR]]


def last_commit(db: sqlite3.Connection) -> int:
    """The number of the newest commit that this connection sees; 0 in an empty store."""
    return int(db.execute("SELECT COALESCE(MAX(commit_no), 0) FROM commit_log").fetchone()[0])


def last_given(db: sqlite3.Connection, table: str) -> int:
    """The largest row number that a table ever gave, be the row still there or not; 0 if none."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return 0 if row is None else int(row[0])


def last_mark(db: sqlite3.Connection, source_id: bytes, session: int, track: int) -> TrackMark | None:
    """The last durable mark of a track, or None if there is none."""
    row = db.execute(
        "SELECT through_pts_ns, eof FROM track WHERE source_id = ? AND session = ? AND track = ?",
        (source_id, session, track),
    ).fetchone()
    if row is None or row[0] is None:
        return None
    return TrackMark(
        source_id=source_id, session=session, track=track, through_pts_ns=row[0], eof=bool(row[1])
    )


def feed(db: sqlite3.Connection, from_commit: int, limit: int) -> list[FeedItem]:
    """What was committed after `from_commit`, oldest first, whole commits only.

    The last commit is given whole even where that exceeds `limit`: a reader that goes on
    from its number would otherwise lose the rest of it.
    """
    head = db.execute(
        "SELECT commit_no FROM observation WHERE commit_no > ? ORDER BY commit_no, n LIMIT 1 OFFSET ?",
        (from_commit, max(0, limit - 1)),
    ).fetchone()
    through = int(head[0]) if head else last_commit(db)
    rows = db.execute(
        f"SELECT commit_no, n, {observation_columns()} FROM observation"  # noqa: S608
        " WHERE commit_no > ? AND commit_no <= ? ORDER BY commit_no, n",
        (from_commit, through),
    ).fetchall()
    media = media_of(db, [row[1] for row in rows])
    return [
        FeedItem(commit_no=row[0], observation=observation_of(row, media.get(row[1], ()))) for row in rows
    ]


def observation_columns(table: str = "observation") -> str:
    """The columns that `observation_of` takes after the numbers of the commit and of the row."""
    return ", ".join(f"{table}.{name}" for name in _FEED_FIELDS)


def observation_of(row: Sequence[Any], media: Sequence[MediaRef]) -> Observation:
    """An observation as it was committed, from its commit, its number and `observation_columns`."""
    fields: dict[str, Any] = dict(zip(_FEED_FIELDS, row[2:], strict=True))
    packed = fields["payload"]
    fields["payload"] = msgpack.unpackb(packed) if isinstance(packed, bytes) else {}
    return Observation(**fields, media=tuple(media))


def media_of(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, list[MediaRef]]:
    """Media by row number of their observation; `part` is the path under `media/`."""
    found: dict[int, list[MediaRef]] = {}
    for some in pages(numbers):
        rows = db.execute(
            "SELECT m.n, m.role, f.media_hash, f.media_type, f.width_px, f.height_px"  # noqa: S608
            " FROM observation_media AS m JOIN media AS f ON f.media_hash = m.media_hash"
            f" WHERE m.n IN ({marks(some)}) ORDER BY m.n, m.ordinal",
            some,
        )
        for n, role, digest, media_type, width_px, height_px in rows:
            medium = MediaRef(
                part=media_path(digest, media_type),
                role=role,
                media_type=media_type,
                width_px=width_px,
                height_px=height_px,
            )
            found.setdefault(n, []).append(medium)
    return found
