"""Files held open while they are read: one may be moved meanwhile, or another take its name.

Who holds a file goes on calling it by its path; it is opened through its descriptor
(`/proc/self/fd`), which names the file itself. Where there is no such folder the path is
opened, and `is_same` tells whether it still names that file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_DESCRIPTORS = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True)
class _Stamp:
    """Which file it is, and which state of it."""

    device: int
    inode: int
    n_bytes: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class _Held:
    descriptor: int
    stamp: _Stamp


_held: dict[Path, _Held] = {}


def keep_open(path: Path) -> None:
    """Opens a file until `let_go`; opening never waits for anybody.

    Raises:
        OSError: If it cannot be opened.
    """
    let_go(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    _held[path] = _Held(descriptor, _stamp(os.fstat(descriptor)))


def let_go(path: Path) -> None:
    """Closes a file that was held; nothing happens to others."""
    held = _held.pop(path, None)
    if held is not None:
        os.close(held.descriptor)


def place_of(path: Path) -> Path:
    """What to open for a path: the held file wherever it is by now, else the path itself."""
    held = _held.get(path)
    if held is None or not _DESCRIPTORS.is_dir():
        return path
    return _DESCRIPTORS / str(held.descriptor)


def is_same(path: Path) -> bool:
    """Whether what would be opened is the file that was held, unchanged; True of one that is not held.

    Raises:
        OSError: If nothing is there any more.
    """
    held = _held.get(path)
    return held is None or held.stamp == _stamp(place_of(path).stat())


def _stamp(status: os.stat_result) -> _Stamp:
    return _Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
