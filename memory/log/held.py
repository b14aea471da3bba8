"""What is held of files that somebody is about to index: by content, and by where it was met."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgpack
import numpy as np
import numpy.typing as npt

from memory.log.demotion import GONE
from memory.log.reader import marks, pages, sources
from memory.log.status import disk_bytes
from stream.messages.control import HistoryTold, SourceHeld, TrackStatus, TurnsFind, TurnsFound
from stream.wire.bounds import fitting

Values = npt.NDArray[np.float64]

FILE_SESSION = 0
HELD_KINDS = ("file", "chat")
"""Kinds of sources whose identity is their content."""
MOST_URIS = 16
"""Places told of one source, the newest first."""
MOST_FOUND = 512
"""Sources in one reply; askers ask for fewer."""
HISTORY_FILES = 50
"""Files last read to their end that a measurement rests on."""
IDLE_NS = 30 * 1_000_000_000
"""A longer time without a commit of a file that is being read was a pause, not work."""
LEAST_FOR_LINE = 4
"""Files needed to tell what a file costs from what a second of it costs."""
TURNS_PAGE = 4096
"""Turns of one reply: an array has at most 8 192 items on the wire."""
TURN_KINDS = ("utterance", "caption")


def held(db: sqlite3.Connection, source_ids: Sequence[bytes], uris: Sequence[str]) -> tuple[SourceHeld, ...]:
    """The files and chats of these contents or uris that the store holds; cost follows what is asked.

    Args:
        db: A snapshot.
        source_ids: Content hashes.
        uris: Where files were met; the table has no index of them, so many are asked at once.
    """
    wanted = dict.fromkeys(source_ids)
    for some in pages(uris):
        rows = db.execute(
            f"SELECT DISTINCT source_id FROM source_uri WHERE session = ? AND uri IN ({marks(some)})",  # noqa: S608
            (FILE_SESSION, *some),
        )
        wanted.update(dict.fromkeys(row[0] for row in rows))
    found = (_held(db, source_id) for source_id in list(wanted)[:MOST_FOUND])
    return tuple(fitting(one for one in found if one is not None))


def _held(db: sqlite3.Connection, source_id: bytes) -> SourceHeld | None:
    key = (source_id, FILE_SESSION)
    row = next(iter(sources(db, key)), None)
    if row is None and _is_forgotten(db, source_id):
        return SourceHeld(
            source_id=source_id,
            session=FILE_SESSION,
            uris=(),
            duration_ns=None,
            tracks=(),
            consolidated=True,
            forgotten=True,
        )
    if row is None or row.kind not in HELD_KINDS:
        return None
    uris = db.execute(
        "SELECT uri FROM source_uri WHERE source_id = ? AND session = ? ORDER BY n DESC LIMIT ?",
        (*key, MOST_URIS),
    )
    origin_from, time_zone = db.execute(
        "SELECT t_origin_from, time_zone FROM source WHERE source_id = ? AND session = ?", key
    ).fetchone()
    return SourceHeld(
        source_id=source_id,
        session=FILE_SESSION,
        uris=tuple(uri for (uri,) in uris),
        duration_ns=row.duration_ns,
        tracks=tuple(
            TrackStatus(track=t.track, media=t.media, through_pts_ns=t.through_pts_ns, eof=t.eof)
            for t in row.tracks
        ),
        consolidated=row.is_read and _is_consolidated(db, key),
        t_origin_ns=row.t_origin_ns,
        t_origin_from=origin_from,
        time_zone=time_zone,
        missing=_missing(db, key, row.duration_ns),
    )


def _is_consolidated(db: sqlite3.Connection, key: tuple[bytes, int]) -> bool:
    """Whether the spans hold all that was committed: a chat that was done may have got more turns."""
    row = db.execute(
        "SELECT p.done AND NOT EXISTS (SELECT 1 FROM observation AS o WHERE o.source_id = p.source_id"
        " AND o.session = p.session AND o.commit_no > p.through_commit) FROM progress AS p"
        " WHERE p.source_id = ? AND p.session = ?",
        key,
    ).fetchone()
    return row is not None and bool(row[0])


def turns_held(db: sqlite3.Connection, ask: TurnsFind) -> TurnsFound:
    """One page of the turns of a chat, and whether anything of it was forgotten."""
    key = (ask.source_id, ask.session)
    rows = db.execute(
        "SELECT observation_id, pts0_ns, commit_no, n FROM observation WHERE source_id = ? AND session = ?"  # noqa: S608
        f" AND (commit_no, n) > (?, ?) AND kind IN ({marks(TURN_KINDS)}) ORDER BY commit_no, n LIMIT ?",
        (*key, ask.after_commit, ask.after_n, *TURN_KINDS, TURNS_PAGE + 1),
    ).fetchall()
    page = rows[:TURNS_PAGE]
    # Those that retention let go were there: else a chat of which nothing is left would come in anew.
    gone = db.execute(
        "SELECT observation_id, pts0_ns FROM let_go WHERE source_id = ? AND session = ? AND step = ?"
        " AND observation_id NOT NULL ORDER BY n LIMIT ?",
        (*key, GONE, TURNS_PAGE if (ask.after_commit, ask.after_n) == (0, 0) else 0),
    ).fetchall()
    after_commit, after_n = page[-1][2:] if len(rows) > len(page) else (0, 0)
    forgotten = db.execute("SELECT 1 FROM tombstone WHERE source_id = ? LIMIT 1", key[:1]).fetchone()
    return TurnsFound(
        ids=b"".join(row[0] for row in (*page, *gone)),
        pts0_ns=tuple(row[1] for row in (*page, *gone)),
        after_commit=after_commit,
        after_n=after_n,
        is_forgotten=forgotten is not None,
    )


def _is_forgotten(db: sqlite3.Connection, source_id: bytes) -> bool:
    """Whether a tombstone covers all of a file or chat."""
    row = db.execute(
        "SELECT 1 FROM tombstone WHERE source_id = ? AND observation_id IS NULL AND COALESCE(session, ?) = ?"
        " AND COALESCE(pts0_ns, pts1_ns, t0_ns, t1_ns) IS NULL AND kind IS NULL",
        (source_id, FILE_SESSION, FILE_SESSION),
    ).fetchone()
    return row is not None


def _origin_from(db: sqlite3.Connection, key: tuple[bytes, int]) -> str:
    row = db.execute("SELECT t_origin_from FROM source WHERE source_id = ? AND session = ?", key).fetchone()
    return str(row[0]) if row is not None else ""


def _missing(db: sqlite3.Connection, key: tuple[bytes, int], duration_ns: int | None) -> str:
    """The reasons of the gaps that reach to the end of a file: what was cut off or damaged."""
    if duration_ns is None:
        return ""
    rows = db.execute(
        "SELECT track, payload FROM observation WHERE source_id = ? AND session = ? AND kind = 'gap'"
        " AND pts1_ns >= ? ORDER BY track",
        (*key, duration_ns),
    )
    told = ((track, msgpack.unpackb(packed)) for track, packed in rows)
    # A gap that names what alone was lost, such as captions, lies in a stretch that was read.
    whole = ((track, gap.get("reason", "")) for track, gap in told if not gap.get("lost"))
    return "; ".join(f"track {track}: {reason}" for track, reason in whole if reason)


def history(db: sqlite3.Connection, store_dir: Path) -> HistoryTold:
    """What reading files has cost in this store: time by the commits that came, room by what lies there.

    Files that were read at the same time share the time: their own are scaled to the time in
    which any of them was read.
    """
    rows = _newest_read(db, "s.duration_ns > 0")
    if not rows:
        return HistoryTold()
    photos = _newest_read(db, "COALESCE(s.duration_ns, 0) <= 0")
    row_bytes = _row_bytes(db, store_dir)
    media_s = np.array([duration_ns / 1e9 for _, duration_ns in rows])
    commits = [_commit_times(db, source_id) for source_id, _ in rows]
    alone_s = np.array([_busy_s(times) for times in commits])
    together_s = _busy_s(sorted({t_ns for times in commits for t_ns in times}))
    took_s = alone_s * (together_s / max(1e-9, float(alone_s.sum())))
    per_file_s, per_media_s = _line(media_s, took_s)
    return HistoryTold(
        n_files=len(rows),
        media_s=float(media_s.sum()),
        per_file_s=per_file_s,
        per_media_s=per_media_s,
        n_bytes_per_media_s=sum(_n_bytes(db, own, row_bytes) for own, _ in rows) / float(media_s.sum()),
        n_bytes_per_file=sum(_n_bytes(db, own, row_bytes) for own, _ in photos) / max(1, len(photos)),
    )


def _newest_read(db: sqlite3.Connection, which: str) -> list[tuple[bytes, int]]:
    """Files last read to their end, and their lengths in ns, 0 without; `which` is a condition in SQL."""
    return db.execute(
        "SELECT s.source_id, COALESCE(s.duration_ns, 0) FROM source AS s JOIN progress AS p"  # noqa: S608 - our own words
        " ON p.source_id = s.source_id AND p.session = s.session"
        f" WHERE s.session = ? AND s.kind = 'file' AND p.done AND {which}"
        " ORDER BY s.commit_no DESC LIMIT ?",
        (FILE_SESSION, HISTORY_FILES),
    ).fetchall()


def _row_bytes(db: sqlite3.Connection, store_dir: Path) -> float:
    """What an observation takes in the log and the views, over the whole store."""
    beside_media = sum(n for name, n in disk_bytes(db, store_dir).items() if name != "media")
    n_rows = db.execute("SELECT COUNT(*) FROM observation").fetchone()[0]
    return beside_media / max(1, int(n_rows))


def _n_bytes(db: sqlite3.Connection, source_id: bytes, row_bytes: float) -> float:
    """What a file takes on disk: its pictures, and its share of the rows and keys."""
    key = (source_id, FILE_SESSION)
    rows = db.execute("SELECT n FROM observation WHERE source_id = ? AND session = ?", key).fetchall()
    media = db.execute(
        "SELECT COALESCE(SUM(n_bytes), 0) FROM media WHERE media_hash IN (SELECT m.media_hash"
        " FROM observation_media AS m JOIN observation AS o ON o.n = m.n"
        " WHERE o.source_id = ? AND o.session = ?)",
        key,
    ).fetchone()[0]
    return int(media) + len(rows) * row_bytes


def _commit_times(db: sqlite3.Connection, source_id: bytes) -> list[int]:
    """UTC ns of the commits that brought a file, from its record to its last mark."""
    rows = db.execute(
        "SELECT t_ns FROM commit_log WHERE commit_no IN ("
        " SELECT commit_no FROM observation WHERE source_id = ?1 AND session = ?2"
        " UNION SELECT commit_no FROM source WHERE source_id = ?1 AND session = ?2"
        " UNION SELECT mark_commit FROM track WHERE source_id = ?1 AND session = ?2) ORDER BY t_ns",
        (source_id, FILE_SESSION),
    )
    return [int(t_ns) for (t_ns,) in rows]


def _busy_s(times_ns: Sequence[int]) -> float:
    gaps = (later - earlier for earlier, later in itertools.pairwise(times_ns))
    return sum(gap for gap in gaps if 0 < gap <= IDLE_NS) / 1e9


def _line(media_s: Values, took_s: Values) -> tuple[float, float]:
    """Seconds per file and per second of media, neither below nought: least squares."""
    ratio = float(took_s.sum() / media_s.sum())
    if len(media_s) < LEAST_FOR_LINE or float(np.ptp(media_s)) < 1.0:
        return 0.0, ratio
    design = np.stack([np.ones_like(media_s), media_s], axis=1)
    per_file_s, per_media_s = (float(x) for x in np.linalg.lstsq(design, took_s, rcond=None)[0])
    if per_file_s < 0:
        return 0.0, ratio
    return (per_file_s, per_media_s) if per_media_s > 0 else (float(took_s.mean()), 0.0)
