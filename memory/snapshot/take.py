"""Taking a snapshot of a store, whether its processes run or not."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from memory.log.database import LOG_NAME, connect_reader, connect_writer, named_error
from memory.log.media import media_hash, media_path, sync_folder
from memory.log.migrations import check_version
from memory.log.reader import last_commit
from memory.log.writer_lock import WriterLock
from memory.snapshot.manifest import (
    SNAPSHOTS,
    SPARE_BYTES,
    File,
    Manifest,
    Told,
    hashed,
    lineage_of,
    log_name,
    sync,
    untold,
    unwritable,
    write_manifest,
)
from stream.disk import free_bytes
from stream.errors import Corrupt, DiskFull, StoreBusy, StoreError

ATTEMPTS = 5
"""How often a snapshot is begun anew since something was forgotten meanwhile."""


def take(store_dir: Path, folder: Path, told: Told = untold) -> Manifest:
    """Makes a snapshot of a store, whether its processes run or not.

    Args:
        store_dir: The store.
        folder: Where it goes; made, and not there before. Killed inside, there is none.
        told: Progress.

    Raises:
        StoreError: One of its kinds: no store, the folder is there, no room, a damaged log.
    """
    if not (store_dir / LOG_NAME).is_file():
        raise StoreError(f"there is no store in {store_dir}", remedy="name another with --store")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(f"{folder} is there already", remedy="name a folder that is new")
    _refuse_within(store_dir, folder)
    _recover(store_dir)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(mode=0o700, parents=True)
        for _ in range(ATTEMPTS):
            manifest = _take_once(store_dir, partial, told)
            if manifest is not None:
                break
        else:
            raise StoreBusy(f"{store_dir}: too much is being forgotten", remedy="try again in a while")
        write_manifest(partial, manifest)
        with suppress(OSError):
            folder.rmdir()  # An empty one makes room.
        partial.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _refuse_within(store_dir: Path, folder: Path) -> None:
    """Of snapshots in the store's own folder those forget with it that lie where it looks for them."""
    own, wanted = store_dir.resolve(), folder.resolve()
    if own in (wanted, *wanted.parents) and wanted.parent != own / SNAPSHOTS:
        raise StoreError(
            f"{folder} is in the folder of the store, where what is forgotten would be left in it",
            remedy=f"take it elsewhere, or as {own / SNAPSHOTS / wanted.name}, which forgets with the store",
        )


def _recover(store_dir: Path) -> None:
    """Brings a log in order whose writer was killed, which those who only read cannot do."""
    try:
        lock = WriterLock(store_dir, 0.0)
    except StoreBusy:
        return  # Its writer lives.
    try:
        check_version(store_dir / LOG_NAME)
        connect_writer(store_dir / LOG_NAME).close()
    finally:
        lock.release()


def _take_once(store_dir: Path, partial: Path, told: Told) -> Manifest | None:
    """One attempt; None where media went or something was forgotten meanwhile."""
    copy = partial / "log.sqlite"
    copy.unlink(missing_ok=True)
    shutil.rmtree(partial / "media", ignore_errors=True)
    live = store_dir / LOG_NAME
    if free_bytes(partial) < live.stat().st_size + SPARE_BYTES:
        raise DiskFull(f"there is no room for {partial.parent}", remedy="free some space")
    try:
        with closing(connect_reader(live)) as db:
            db.execute("PRAGMA query_only=OFF")  # It would refuse to write the copy; the file is read-only.
            db.execute("VACUUM INTO ?", (str(copy),))
        with closing(connect_reader(copy, alone=True)) as db:
            rows = db.execute("SELECT media_hash, media_type, n_bytes FROM media WHERE refs > 0").fetchall()
            commit_no, erased, lineage = last_commit(db), _erasures(db), lineage_of(db)
            schema = int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise named_error(error, live) from error
    log = hashed(copy, LOG_NAME)
    total = log.n_bytes + sum(int(row[2]) for row in rows)
    media = _take_media(store_dir / "media", partial, rows, lambda done: told(log.n_bytes + done, total))
    with closing(connect_reader(live)) as db:
        if _erasures(db) != erased:
            return None
        if isinstance(media, bytes):
            gone = "SELECT 1 FROM media WHERE media_hash = ? AND refs > 0"
            if db.execute(gone, (media,)).fetchone() is None:
                return None  # Retention let it go.
            raise Corrupt(
                f"{store_dir}: {media.hex()} of its media is missing or damaged", remedy="omnirecall doctor"
            )
    named = partial / log_name(log)
    copy.rename(named)
    sync(named)
    return Manifest(
        log=File(named.name, log.n_bytes, log.sha256),
        media=tuple(media),
        commit_no=commit_no,
        schema=schema,
        t_ns=time.time_ns(),
        origin=str(store_dir.resolve()),
        lineage=lineage,
    )


def _take_media(
    media_dir: Path, partial: Path, rows: Sequence[tuple[bytes, str, int]], done: Callable[[int], None]
) -> list[File] | bytes:
    """Links or copies media; or the hash of the first that is not what its row says."""
    found: list[File] = []
    n_bytes = 0
    for digest, media_type, _ in rows:
        inside = f"media/{media_path(digest, media_type)}"
        target = partial / inside
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not target.exists() and not _bring(media_dir / media_path(digest, media_type), target):
            return digest
        body = target.read_bytes()
        if media_hash(body) != digest:
            return digest
        n_bytes += len(body)
        found.append(File(inside, len(body), hashlib.sha256(body).hexdigest()))
        done(n_bytes)
    return found


def _bring(source: Path, target: Path) -> bool:
    """A file under another name: linked where the disk is the same, else copied; False if it is gone."""
    try:
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:
            shutil.copyfile(source, target)
            sync(target)
    except FileNotFoundError:
        return False
    return True


def _erasures(db: sqlite3.Connection) -> int:
    """A number that grows when something is forgotten."""
    row = db.execute("SELECT COALESCE(MAX(n), 0) FROM tombstone WHERE reason = 'forget'").fetchone()
    return int(row[0])
