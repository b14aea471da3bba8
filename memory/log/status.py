"""What a store holds, for `status`: counts, bytes, and how far each source is known."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from memory.keys.speaks import keeps_old, replaced
from memory.log.counted import Counted
from memory.log.migrations import SCHEMA_VERSION
from memory.log.reader import T0, SourceRow, last_commit, sources
from stream.messages.control import SourceStatus, StatusMemory, TrackStatus
from stream.messages.dialogue import DIALOGUE
from stream.wire.bounds import fitting

PICTURE_KINDS = ("frame", "shot", "seen_text")
OF_MAPS = ("voice-", "place-")
"""How encoders are called whose keys no question is compared with: persons and places are made of them."""
MOST_SOURCES = 500
"""Sources described in one reply; the counts are of all."""


def status_of(
    db: sqlite3.Connection,
    store_dir: Path,
    indexes: dict[str, dict[str, object]],
    pending_keys: int,
    awaited: Collection[tuple[bytes, int]] = (),
    searched: Collection[str] | None = None,
    wanted: str = "",
    counted: Counted | None = None,
) -> StatusMemory:
    """The state of a store.

    Of very many sources it describes the awaited ones, then the unfinished, then the
    newest, as many as fit into a reply, in the order in which they were first committed.

    Args:
        db: A snapshot.
        store_dir: Folder of the store.
        indexes: As `IndexShelf.describe` gives them.
        pending_keys: Texts whose keys are still to be made.
        awaited: Sources and sessions that somebody is just reading, new to the store or not.
        searched: Encoders that are configured, None where that is not known: keys of others are
            left out of dense search. `counts` has their number as `unsearched_keys`, and each index
            says whether it is `searched`; `replaced` are keys of texts that answered before, and
            `kept` if they stay.
        wanted: The encoder that is to answer, whose keys may be `being_made`.
        counted: Remembers what was counted, from one call to the next.
    """
    rows = sources(db)
    counted = counted or Counted()
    of_source = counted.observations.of(db)
    held = {encoder_id: n for (encoder_id,), n in counted.keys.of(db).items()}
    asked = {name: n for name, n in held.items() if not name.startswith(OF_MAPS)}
    counts = {
        "observations": sum(of_source.values()),
        "sources": len(rows),
        "acts": _count(db, "SELECT COUNT(*) FROM act"),
        "citations": _count(db, "SELECT COUNT(*) FROM citation"),
        "keys": sum(held.values()),
        "media": _count(db, "SELECT COUNT(*) FROM media WHERE refs > 0"),
        "tombstones": _count(db, "SELECT COUNT(*) FROM tombstone"),
    }
    counts |= {
        f"{level}_spans": int(n)
        for level, n in db.execute(
            "SELECT level, COUNT(*) FROM span WHERE ended_commit IS NULL GROUP BY level"
        )
    }
    if searched is not None:
        told = {name: index | {"searched": name in searched} for name, index in indexes.items()}
        # Keys that were replaced and kept have no index.
        told |= {
            name: {"kind": "none", "n": n, "searched": False}
            for name, n in asked.items()
            if name not in told and name not in searched
        }
        if wanted in told and wanted not in searched:
            told[wanted] = told[wanted] | {"being_made": True}
        for name in replaced(db, {*searched, wanted}):
            told[name] = told[name] | {"replaced": True, "kept": keeps_old(db)}
        counts["unsearched_keys"] = sum(n for name, n in asked.items() if name not in searched)
        indexes = told
    return StatusMemory(
        commit_no=last_commit(db),
        schema=SCHEMA_VERSION,
        counts=counts,
        n_bytes=disk_bytes(db, store_dir),
        indexes=indexes,
        sources=_described(db, rows, of_source, awaited),
        pending_keys=pending_keys,
    )


def _described(
    db: sqlite3.Connection,
    rows: Sequence[SourceRow],
    of_source: Mapping[tuple[bytes, int], int],
    awaited: Collection[tuple[bytes, int]],
) -> tuple[SourceStatus, ...]:
    consolidated = set(db.execute("SELECT source_id, session FROM progress WHERE done"))
    places = {(row.source_id, row.session): place for place, row in enumerate(rows)}

    def is_consolidated(row: SourceRow) -> bool:
        return row.kind == DIALOGUE or (row.is_read and (row.source_id, row.session) in consolidated)

    def wanted(row: SourceRow) -> tuple[bool, bool, int]:
        key = (row.source_id, row.session)
        return key not in awaited, is_consolidated(row), -places[key]

    told = fitting(
        _source_status(db, row, of_source.get((row.source_id, row.session), 0), is_consolidated(row))
        for row in sorted(rows, key=wanted)[:MOST_SOURCES]
    )
    return tuple(sorted(told, key=lambda one: places[one.source_id, one.session]))


def _source_status(
    db: sqlite3.Connection, row: SourceRow, observations: int, consolidated: bool
) -> SourceStatus:
    return SourceStatus(
        source_id=row.source_id,
        session=row.session,
        kind=row.kind,
        uri=row.uri,
        duration_ns=row.duration_ns,
        tracks=tuple(
            TrackStatus(
                track=track.track, media=track.media, through_pts_ns=track.through_pts_ns, eof=track.eof
            )
            for track in row.tracks
        ),
        observations=observations,
        newest_frame_t_ns=_newest_picture(db, row),
        consolidated=consolidated,
    )


def _newest_picture(db: sqlite3.Connection, row: SourceRow) -> int | None:
    """UTC of the newest picture that an observation describes, by the index of kinds."""
    newest: list[int] = []
    for kind in PICTURE_KINDS:
        found = db.execute(
            f"SELECT {T0} FROM observation AS o WHERE o.source_id = ? AND o.session = ? AND o.kind = ?"  # noqa: S608
            " ORDER BY o.pts0_ns DESC LIMIT 1",
            (row.source_id, row.session, kind),
        ).fetchone()
        if found is not None and found[0] is not None:
            newest.append(int(found[0]))
    return max(newest, default=None)


def _count(db: sqlite3.Connection, sql: str) -> int:
    return int(db.execute(sql).fetchone()[0])


def disk_bytes(db: sqlite3.Connection, store_dir: Path) -> dict[str, int]:
    """Bytes on disk by class. Media are summed in the log: there may be very many files."""
    media = db.execute("SELECT COALESCE(SUM(n_bytes), 0) FROM media").fetchone()[0]
    return {
        "log": _size(store_dir.glob("log.sqlite*")),
        "media": int(media),
        "views": _size((store_dir / "views").glob("*")),
        "spool": _size((store_dir / "spool").glob("*")),
    }


def _size(files: Iterable[Path]) -> int:
    total = 0
    for path in files:
        try:
            total += path.stat().st_size
        except OSError:
            continue  # It was replaced while we looked.
    return total
