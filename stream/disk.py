"""Room on the disk of a store: how much is left, and whether an error means that there is none."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from pathlib import Path

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
