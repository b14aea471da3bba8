"""A store from a snapshot: whole or not at all, and without what was forgotten since."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from memory.log.database import LOG_NAME, connect_reader, connect_writer, named_error
from memory.log.media import MediaFolder, media_path, sync_folder
from memory.log.migrations import check_version
from memory.log.writer_lock import WriterLock
from memory.snapshot.manifest import (
    SPARE_BYTES,
    Manifest,
    Told,
    lineage_of,
    sync,
    untold,
    unwritable,
    whole,
)
from memory.snapshot.replay import Replayed, replay
from stream.disk import free_bytes
from stream.errors import DiskFull, StoreBusy, StoreError

WORK = ".log.sqlite.restoring"
MARKER = ".restoring"
"""In a folder that a restore is making; there is no store in it yet."""


def restore(
    folder: Path,
    store_dir: Path,
    *,
    over: bool = False,
    respect: Sequence[Path] = (),
    told: Told = untold,
) -> tuple[Manifest, Replayed]:
    """Makes a store of a snapshot; killed inside, there is the old store or the new one.

    What was forgotten is taken out first, by the tombstones of the store that is replaced, of the one
    that the snapshot came from if it still lies there, and of those named.

    Args:
        folder: The snapshot.
        store_dir: Where it goes. A folder with a store is refused without `over`.
        over: Replace what the store there has; its tombstones stay in force.
        respect: Other stores whose tombstones are kept.
        told: Progress.

    Raises:
        Corrupt: If the snapshot is damaged; nothing was touched.
        StoreBusy: If processes run on the store.
        StoreError: If there is a store already, or something else.
        DiskFull: If there is no room.
    """
    manifest = whole(folder, told)
    _check_place(store_dir, over=over)
    try:
        store_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if free_bytes(store_dir) < 3 * manifest.log.n_bytes + SPARE_BYTES:
            raise DiskFull(f"there is no room in {store_dir}", remedy="free some space")
        with _held(store_dir):
            sweep(store_dir, marker=False)
            if not (store_dir / LOG_NAME).exists():
                (store_dir / MARKER).touch(mode=0o600)
            return manifest, _restore(folder, manifest, store_dir, respect)
    except OSError as error:
        raise unwritable(store_dir, error) from error


def _check_place(store_dir: Path, *, over: bool) -> None:
    if (store_dir / LOG_NAME).exists():
        if not over:
            raise StoreError(
                f"there is a store in {store_dir} already", remedy="name a new folder, or give --over"
            )
        check_version(store_dir / LOG_NAME)
        return
    is_ours = not store_dir.exists() or (store_dir / MARKER).exists()
    if not is_ours and (not store_dir.is_dir() or any(store_dir.iterdir())):
        raise StoreError(f"{store_dir} is not empty, and no store", remedy="name a new folder")


class _held:
    """Keeps a store from its processes: the supervisor's lock and the writer's."""

    def __init__(self, store_dir: Path) -> None:
        from stream.process.store_lock import take_lock

        try:
            self._lock = take_lock(store_dir)
        except StoreBusy as error:
            raise StoreBusy(
                error.message, remedy="end them first: they end by themselves after a while without work"
            ) from error
        try:
            self._writer = WriterLock(store_dir, 1.0)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._writer.release()
        self._lock.close()


def _restore(folder: Path, manifest: Manifest, store_dir: Path, respect: Sequence[Path]) -> Replayed:
    live, work = store_dir / LOG_NAME, store_dir / WORK
    shutil.copyfile(folder / manifest.log.path, work)
    work.chmod(0o600)
    others = [live] if live.exists() else []
    origin = Path(manifest.origin) / LOG_NAME
    if origin.is_file() and origin.resolve() != live.resolve() and _is_of(origin, manifest):
        others.append(origin)
    others += [one / LOG_NAME for one in respect]
    media = MediaFolder(store_dir / "media")
    replayed, _ = replay(work, others, folder / "media")
    with closing(connect_reader(work, alone=True)) as db:
        wanted = db.execute("SELECT media_hash, media_type FROM media WHERE refs > 0").fetchall()
    for digest, media_type in wanted:
        inside = media_path(digest, media_type)
        target = media.folder / inside
        target.parent.mkdir(mode=0o700, exist_ok=True)
        if not target.exists():
            # Copied, never linked: what the new store forgets is overwritten.
            shutil.copyfile(folder / "media" / inside, target.with_name(f".{target.name}.partial"))
            sync(target.with_name(f".{target.name}.partial"))
            target.with_name(f".{target.name}.partial").rename(target)
    for shard in media.shards():
        sync_folder(shard)
    shutil.rmtree(store_dir / "views", ignore_errors=True)
    if live.exists():
        _settle(live)
    sync(work)
    work.rename(live)  # From here on it is the new one.
    sync_folder(store_dir)
    (store_dir / MARKER).unlink(missing_ok=True)
    names = {digest for digest, _ in wanted}
    for shard in media.shards():
        media.sweep(shard, names)
    return replayed


def _is_of(path: Path, manifest: Manifest) -> bool:
    """Whether a log is of the store that a snapshot was taken of, and has not been replaced by another."""
    try:
        check_version(path)
        with closing(connect_reader(path)) as db:
            return lineage_of(db) == manifest.lineage
    except (StoreError, sqlite3.Error):
        return False


def _settle(path: Path) -> None:
    """Moves the write-ahead log into the file and does away with it: it must not meet another log."""
    with closing(connect_writer(path)) as db:
        try:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            mode = db.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
        except sqlite3.Error as error:
            raise named_error(error, path) from error
    if mode != "delete" or path.with_name(f"{path.name}-wal").exists():
        raise StoreBusy(f"{path} is being read", remedy="end whoever reads this store")


def sweep(store_dir: Path, *, marker: bool = True) -> None:
    """Takes away what a restore that was killed left beside a store. For who holds its lock."""
    for path in store_dir.glob(f"{WORK}*"):
        path.unlink(missing_ok=True)
    if marker and (store_dir / LOG_NAME).exists():
        (store_dir / MARKER).unlink(missing_ok=True)
