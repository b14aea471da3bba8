"""Room on a disk, files that are written whole or not at all, and what their faults are called."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stream.errors import ConfigError, DiskFull, OmniRecallError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
LEAST_TO_WRITE_BYTES = 1 << 20
"""With less free than this, an input-output error while writing means a full disk: SQLite tells a
quota, or shared memory that cannot grow, by a general code."""


_VAGUE = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


def free_bytes(path: Path) -> int:
    """Bytes that may still be written where a file or folder lies or will lie."""
    folder = next(parent for parent in (path, *path.parents) if parent.exists())
    return shutil.disk_usage(folder).free


def is_no_room(error: BaseException, path: Path) -> bool:
    """Whether writing at `path` failed since there is no room left on its disk."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return True
        return code in _VAGUE and free_bytes(path) < LEAST_TO_WRITE_BYTES
    return isinstance(error, OSError) and error.errno in NO_ROOM


def unwritable(path: Path, error: OSError) -> OmniRecallError:
    """The error of the project's tree for a file that the owner wants, and that cannot be written."""
    if is_no_room(error, path):
        return DiskFull(f"there is no room for {path}", remedy="free some space, or name another disk")
    if isinstance(error, PermissionError):
        return ConfigError(f"{path} may not be written", remedy="name a folder that is yours")
    return ConfigError(
        f"cannot write {path}: {error.strerror or type(error).__name__}", remedy="name another place"
    )


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A place beside `path`; what lies there takes its name if the block ends well, and else goes.

    Errors that the block itself raises pass through untouched.

    Raises:
        DiskFull, ConfigError: As `unwritable`, if it cannot take the name.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield unfinished
        try:
            unfinished.replace(path)
        except OSError as error:
            raise unwritable(path, error) from error
    finally:
        # A folder that is none, or a name that is too long, cannot be unlinked either; the first error tells.
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
