"""What was forgotten in one log, taken out of another: of a snapshot, of a store that is restored."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memory.forget.erase import Erased, erase
from memory.forget.prints import ByteSearch
from memory.forget.selection import TAKEN, Condition, condition_of
from memory.forget.wipe import compact, said_elsewhere, wipe
from memory.log.database import LOG_NAME, connect_reader, connect_writer, named_error, transaction
from memory.log.migrations import SCHEMA_VERSION, check_version, migrate
from memory.log.reader import marks, pages
from memory.log.tombstones import ForgottenRange, Tombstones
from memory.people.forget import person_within
from memory.snapshot.manifest import (
    MANIFEST,
    File,
    Manifest,
    hashed,
    log_name,
    read_manifest,
    sync,
    whole,
    write_manifest,
)

FORGETS_SINCE = 4
"""The first schema in which something could be forgotten."""


@dataclass(slots=True)
class Replayed:
    """What tombstones took out of a log: how many observations, and what the byte search still found."""

    observations: int = 0
    tombstones: int = 0
    remains: dict[str, int] = field(default_factory=dict)
    respected: list[str] = field(default_factory=list)


def replay(path: Path, others: Iterable[Path], media_dir: Path) -> tuple[Replayed, Erased | None]:
    """Takes out of a log what was forgotten in other logs, wipes it, and leaves one file.

    Args:
        path: The log, which nobody else has open.
        others: Logs with tombstones; ids and hashes of content are the same in every store.
        media_dir: Where its media lie.
    """
    told = Replayed()
    merged = [found for one in others if (found := _tombstones_of(one)) is not None]
    try:
        with closing(connect_writer(path)) as db:
            migrate(db, path)
            with transaction(db, path):
                told.tombstones = sum(_merge(db, found) for found in merged)
                erased = _take_covered(db, media_dir) if told.tombstones else None
            if erased is not None:
                told.observations = erased.counts["observations"]
                compact(db, path, lambda: None)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            db.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.Error as error:
        raise named_error(error, path) from error
    told.respected = [str(found.store_dir) for found in merged]
    return told, erased


@dataclass(frozen=True, slots=True)
class _Forgotten:
    """What another log has forgotten, and its acts that say that it did."""

    store_dir: Path
    tombstones: list[tuple[Any, ...]]
    acts: list[tuple[Any, ...]]


_TOMBSTONE = "observation_id, source_id, session, pts0_ns, pts1_ns, t0_ns, t1_ns, kind, reason, act_id"
_ACT = "act_id, kind, t_ns, target, undoes, text, value"


def _tombstones_of(path: Path) -> _Forgotten | None:
    """None where the log is of an earlier schema, hence has forgotten nothing."""
    if check_version(path) < FORGETS_SINCE:
        return None
    with closing(connect_reader(path)) as db:
        try:
            return _Forgotten(
                path.parent,
                db.execute(f"SELECT {_TOMBSTONE} FROM tombstone WHERE reason = 'forget'").fetchall(),  # noqa: S608
                db.execute(f"SELECT {_ACT} FROM act WHERE kind = 'forget'").fetchall(),  # noqa: S608
            )
        except sqlite3.Error as error:
            raise named_error(error, path) from error


def _merge(db: sqlite3.Connection, found: _Forgotten) -> int:
    """Adds the tombstones that are not there yet; returns how many."""
    known = set(db.execute(f"SELECT {_TOMBSTONE} FROM tombstone"))  # noqa: S608
    new = [row for row in found.tombstones if row not in known]
    if not new:
        return 0
    number = db.execute("INSERT INTO commit_log (t_ns) VALUES (?)", (time.time_ns(),)).lastrowid
    db.executemany(
        f"INSERT INTO tombstone ({_TOMBSTONE}, commit_no) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        ((*row, number) for row in new),
    )
    db.executemany(
        f"INSERT OR IGNORE INTO act ({_ACT}, commit_no) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        ((*row, number) for row in found.acts),
    )
    return len(new)


def _take_covered(db: sqlite3.Connection, media_dir: Path) -> Erased:
    """Takes away whatever the log's own tombstones cover."""
    # What retention let go is not there, and the owner's acts on it are not forgotten.
    rows = db.execute(
        "SELECT observation_id FROM tombstone WHERE observation_id NOT NULL AND reason = 'forget'"
    )
    ids = [row[0] for row in rows]
    ranges = db.execute(
        "SELECT source_id, session, pts0_ns, pts1_ns, t0_ns, t1_ns, kind FROM tombstone"
        " WHERE observation_id IS NULL AND reason = 'forget'"
    )
    covered = [ForgottenRange(*row) for row in ranges]
    conditions = [condition_of(one) for one in covered if one.kind in TAKEN]
    for some in pages(ids):
        conditions.append(Condition(f"o.observation_id IN ({marks(some)})", tuple(some)))
    tombstones = Tombstones(db)
    origins = db.execute("SELECT source_id, session FROM source").fetchall()
    gone = frozenset(origin for origin in origins if tombstones.blocks_source(*origin))
    return erase(db, conditions, gone, media_dir, ids=ids, person=person_within(db, covered))


def forget_in(folder: Path, store_dir: Path) -> Replayed:
    """Takes what a store has forgotten out of a snapshot of it, and looks for its bytes there.

    The new manifest is the moment at which it happens; before, it is the old snapshot.

    Raises:
        StoreError, Corrupt: As `whole`; nothing was touched then.
    """
    manifest = read_manifest(folder)
    _clear(folder, manifest)
    manifest = whole(folder)
    work = folder / f".{LOG_NAME}.partial"
    shutil.copyfile(folder / manifest.log.path, work)
    replayed, erased = replay(work, [store_dir / LOG_NAME], folder / "media")
    if erased is None:
        work.unlink(missing_ok=True)
        return replayed
    log = hashed(work, "")
    gone = {f"media/{path}" for path, _ in erased.files}
    after = Manifest(
        log=File(log_name(log), log.n_bytes, log.sha256),
        media=tuple(one for one in manifest.media if one.path not in gone),
        commit_no=manifest.commit_no,
        schema=SCHEMA_VERSION,
        t_ns=manifest.t_ns,
        origin=manifest.origin,
        lineage=manifest.lineage,
    )
    work.rename(folder / after.log.path)
    sync(folder / after.log.path)
    write_manifest(folder, after)
    _clear(folder, after)
    replayed.remains = _remains(folder, after, erased)
    return replayed


def _clear(folder: Path, manifest: Manifest) -> None:
    """Wipes files of a snapshot that its manifest does not name: of before something was forgotten in it."""
    known = {one.path for one in (manifest.log, *manifest.media)} | {MANIFEST}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        ours = inside.parts[0] == "media" or inside.name.startswith(("log-", f".{LOG_NAME}", f".{MANIFEST}"))
        if ours and not path.is_dir() and inside.as_posix() not in known:
            wipe(path)


def _remains(folder: Path, manifest: Manifest, erased: Erased) -> dict[str, int]:
    gathered = erased.gathering
    search = ByteSearch(gathered.salt, gathered.prints())
    hits = search.in_file(folder / manifest.log.path)
    if hits:
        with closing(connect_reader(folder / manifest.log.path, alone=True)) as db:
            hits -= said_elsewhere(db, search.narrowed(gathered.salt, hits), len(hits))
    files = sum((folder / "media" / path).exists() for path, _ in erased.files)
    return {place: n for place, n in (("log", len(hits)), ("media", files)) if n}
