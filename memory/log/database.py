"""Connections to `log.sqlite`: one writer, any number of readers, one set of named errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.disk import is_no_room
from stream.errors import Corrupt, DiskFull, StoreBusy, StoreError

LOG_NAME = "log.sqlite"
BUSY_TIMEOUT_S = 10.0
"""How long a connection waits for another one's lock; only start-up and backups ever hold it long."""

READER_CACHE_KIB = 1_024
"""Pages that a connection keeps, 1 MB: a commit makes them worthless, so what looks between commits
needs no more than it uses in one look."""
RECALL_CACHE_KIB = 16_384
"""For questions, 16 MB; SQLite's own 2 MB are read anew for each question to a large store."""
MAPPED_BYTES = 2**31 - 2**16
"""Of the file, read where the system's cache has it instead of being copied page by page; the most
that SQLite maps. Nobody shortens the file while the store is open."""
STATEMENTS = 512
"""Prepared statements that a reader keeps; Python's own 128 are fewer than the forms of one question."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def named_error(error: sqlite3.Error, path: Path) -> StoreError:
    """The error of our tree for what SQLite raised on `path`."""
    # Extended codes carry the primary one in their low byte.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if is_no_room(error, path):
        return DiskFull(f"{path}: {error}", remedy="free some space on the store's disk")
    if code in _DAMAGED:
        return Corrupt(f"{path}: {error}", remedy="restore the store from a snapshot")
    if code in _LOCKED:
        return StoreBusy(f"{path}: {error}", remedy="end the other process that writes to this store")
    return StoreError(f"{path}: {error}")


def connect_writer(path: Path) -> sqlite3.Connection:
    """The connection of the one writer.

    `synchronous=FULL` makes COMMIT return after the fsync of the write-ahead log, which
    is what an acknowledgement promises; `secure_delete` overwrites what is deleted.

    Raises:
        StoreError: One of its kinds, if the file cannot be opened as a database.
    """
    try:
        path.touch(mode=0o600)  # SQLite gives the files beside it the same mode.
        # The writer lane opens it in one thread and uses it in another, never in two at once.
        db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON"):
            db.execute(f"PRAGMA {pragma}")
    except sqlite3.Error as error:
        raise named_error(error, path) from error
    return db


def connect_reader(
    path: Path, *, alone: bool = False, cache_kib: int = READER_CACHE_KIB, is_mapped: bool = False
) -> sqlite3.Connection:
    """A connection that cannot write, for use by the thread that made it.

    Args:
        path: The database.
        alone: Nobody has it open and its write-ahead log is empty; then not even the
            files beside it are made.
        cache_kib: Most of the pages that it keeps, in KiB.
        is_mapped: Read through a map of the file (`MAPPED_BYTES`).

    Raises:
        StoreError: One of its kinds, if the file is missing or no database.
    """
    try:
        # Used by one thread, and closed by another when the process ends.
        db = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if alone else ''}",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS,
        )
        db.execute("PRAGMA query_only=ON")
        db.execute(f"PRAGMA cache_size=-{cache_kib}")
        db.execute(f"PRAGMA mmap_size={MAPPED_BYTES if is_mapped else 0}")
        db.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error as error:
        raise named_error(error, path) from error
    return db


@contextmanager
def transaction(db: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """All or nothing: commits at the end, rolls back on any error.

    Raises:
        StoreError: In place of what SQLite raises; errors of other kinds pass as they are.
    """
    try:
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")
    except BaseException as error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise named_error(error, path) from error
        raise


@contextmanager
def snapshot(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One unchanging view of the store for several reads, whatever is committed meanwhile."""
    db.execute("BEGIN")
    try:
        yield db
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
