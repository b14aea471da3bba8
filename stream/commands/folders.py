"""Which files are meant by paths, folders and globs, and which come later while folders are watched.

Watching is polling with `stat`, by choice: the kernel's notices do not come from network
disks, a file must be polled anyway to see that it has stopped growing, and one way works
everywhere. A look at a thousand files takes some milliseconds; pauses grow with it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.errors import ConfigError

MEDIA_SUFFIXES = frozenset(
    """
    .mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .mts .m2ts .wmv .flv .ogv .3gp .vob .mxf
    .jpg .jpeg .png .webp .tif .tiff .bmp .heic .heif .avif .gif
    .wav .mp3 .m4a .aac .flac .ogg .oga .opus .wma .aif .aiff .amr
    """.split()  # noqa: SIM905 - a list this long is read more easily as text
)
"""What is taken from a folder; a file that is named outright is tried whatever its name."""

STORE_FILES = frozenset(("log.sqlite", "writer.lock"))
"""What the folder of a store or a snapshot holds: its pictures are no photos of the owner's."""

SETTLE_S = 4.0
"""A file whose size and time stayed the same for this long is taken to be whole."""
LEAST_PAUSE_S = 1.0
PAUSE_FACTOR = 20.0
"""Looking takes at most a twentieth of the time, however slow the disk."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that is meant; `fault` says why it cannot be read, empty if nothing is known against it."""

    path: Path
    fault: str = ""
    remedy: str = ""


def found_media(paths: Sequence[str]) -> list[Found]:
    """The files that are meant, each once, folders in order of name; what cannot be read with its fault.

    Raises:
        ConfigError: If a path is empty, as that of a variable that is not set: it would mean the folder that
            the command runs in.
    """
    if not all(path.strip() for path in paths):
        raise ConfigError("a path is empty", remedy="give a file, a folder or a glob; . is this folder")
    found = (one for path in paths for one in _files_of(path))
    return list({one.path: one for one in found}.values())


def _files_of(path: str) -> Iterator[Found]:
    named = Path(path).expanduser().absolute()
    if _is_folder(named):
        any_file = False
        for one in files_below(named):
            any_file = True
            yield one
        if not any_file:
            yield Found(named, "holds no films or recordings", "name files, or a folder that holds some")
    elif any(c in path for c in "*?[") and not os.path.lexists(named):
        import glob

        matches = sorted(glob.glob(str(named), recursive=True))  # noqa: PTH207 - absolute patterns too
        for match in matches:
            yield from _files_of(match)
        if not matches:
            yield Found(named, "matches nothing", "check the pattern")
    else:
        yield found_file(named)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def files_below(folder: Path) -> Iterator[Found]:
    """Everything below a folder that is called like a medium, in order of name.

    Links to folders are followed, each folder once, so that loops of links end. Stores are passed over.
    """
    yield from _walk(folder, set())


def _walk(folder: Path, visited: set[tuple[int, int]]) -> Iterator[Found]:
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in visited:
            return
        visited.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            names = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        yield Found(folder, _named(error), "give this user the right to read it, or leave it out")
        return
    if {entry.name for entry in names} >= STORE_FILES:
        return
    for entry in names:
        path = folder / entry.name
        if _is_folder(path):
            yield from _walk(path, visited)
        elif path.suffix.lower() in MEDIA_SUFFIXES:
            yield found_file(path)


def found_file(path: Path) -> Found:
    """A file with what a look from outside tells against it."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        return Found(path, _named(error, is_link=path.is_symlink()), "check the path")
    if not stat.S_ISREG(status.st_mode):
        kind = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
        what = kind.get(stat.S_IFMT(status.st_mode), "a device")
        return Found(path, f"is {what}, not a file", "give a video or sound file")
    if not os.access(path, os.R_OK):
        return Found(path, "may not be read", "give this user the right to read the file")
    if status.st_size == 0:
        return Found(path, "is empty", "copy or record the file again")
    return Found(path)


def _named(error: OSError | ValueError, *, is_link: bool = False) -> str:
    code = error.errno if isinstance(error, OSError) else errno.EINVAL
    if code == errno.ELOOP:
        return "is a link that leads back to itself"
    if code == errno.ENOENT and is_link:
        return "is a link to something that is not there"
    if code in (errno.ENOENT, errno.ENOTDIR):
        return "is not a file: nothing is there"
    if code in (errno.EACCES, errno.EPERM):
        return "may not be read"
    return f"cannot be looked at ({os.strerror(code or 0)})"


@dataclass(slots=True)
class _Growing:
    """A file that may still be written: how it looked, and since when it has looked so."""

    looks: tuple[int, int]
    since_s: float


class FolderWatch:
    """Finds files that are new, or other than they were, once they have stopped growing.

    Args:
        paths: Folders and globs; what each of them holds now counts as known.
        settle_s: How long a file must look the same.
    """

    def __init__(self, paths: Sequence[str], settle_s: float = SETTLE_S) -> None:
        self._paths = list(paths)
        self._settle_s = settle_s
        self._growing: dict[Path, _Growing] = {}
        self._known: dict[Path, tuple[int, int]] = {
            one.path: _looks(one.path) for one in found_media(self._paths)
        }
        self._due_s = 0.0

    def poll(self, now_s: float) -> list[Found]:
        """What has settled since the last call; looks only when a look is due.

        Args:
            now_s: Monotonic seconds.
        """
        import time

        if now_s < self._due_s:
            return []
        began_s = time.monotonic()
        settled = list(self._settled(now_s))
        self._due_s = now_s + max(LEAST_PAUSE_S, PAUSE_FACTOR * (time.monotonic() - began_s))
        return settled

    def _settled(self, now_s: float) -> Iterator[Found]:
        present: set[Path] = set()
        for one in found_media(self._paths):
            looks = _looks(one.path)
            if looks == _NOTHING or _is_folder(one.path):
                continue
            present.add(one.path)
            if self._known.get(one.path) == looks:
                continue
            growing = self._growing.get(one.path)
            if growing is None or growing.looks != looks:
                self._growing[one.path] = _Growing(looks, now_s)
            elif now_s - growing.since_s >= self._settle_s:
                del self._growing[one.path]
                self._known[one.path] = looks
                yield one
        # What went is new when it comes back, and is forgotten, however many come and go.
        self._growing = {path: growing for path, growing in self._growing.items() if path in present}
        self._known = {path: looks for path, looks in self._known.items() if path in present}


_NOTHING = (-1, -1)


def _looks(path: Path) -> tuple[int, int]:
    """Size and time of change of a file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return _NOTHING
    return status.st_size, status.st_mtime_ns
