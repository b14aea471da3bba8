"""Pictures and clips on disk, each under the hash of its bytes.

`media/ab/abcdef….jpg`: the same picture met twice is one file. A file is written under a
temporary name, synced and renamed before the commit that refers to it, so that a row of
the log never points at half a picture. What no row refers to is swept at start-up.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stream.disk import is_no_room
from stream.errors import DiskFull, SourceCorrupt, SourceGone

HASH_BYTES = 16
_EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "video/x-matroska": "mkv",
    "video/webm": "webm",
    "audio/mp4": "m4a",
    "audio/webm": "webm",
    "audio/x-matroska": "mka",
}
_HASH_STEP_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A file that another process of the store wrote to the spool: its content was compared with its hash."""

    path: Path
    digest: bytes
    n_bytes: int
    inode: tuple[int, int, int]
    """Device, number and time of change of the very file that was read."""


def spooled_file(path: Path, spool: Path, content_hash: str, n_bytes: int) -> SpooledFile:
    """Makes sure that a file is what it is said to be, and lies in a folder of the spool.

    Args:
        path: As it was told; links are not followed at its end, nor out of the spool.
        spool: The folder under which it must lie.
        content_hash: Its blake2b-128 in hexadecimal.
        n_bytes: Its size.

    Raises:
        SourceGone: If it is not there, or not in the spool.
        SourceCorrupt: If its size or its hash is another.
    """
    try:
        inside = path.parent.resolve(strict=True).is_relative_to(spool.resolve(strict=True))
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise SourceGone(f"{path.name!r} is not in the spool any more") from error
    status = os.fstat(descriptor)
    if not inside or not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise SourceGone(f"{path.name!r} is no file of the spool")
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    with os.fdopen(descriptor, "rb") as file:
        while status.st_size == n_bytes and (block := file.read(_HASH_STEP_BYTES)):
            digest.update(block)
        os.fsync(descriptor)
    if status.st_size != n_bytes or digest.hexdigest() != content_hash:
        raise SourceCorrupt(f"{path.name!r} is not what was told: {status.st_size} of {n_bytes} bytes")
    return SpooledFile(path, digest.digest(), n_bytes, _inode(status))


def _inode(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_dev, status.st_ino, status.st_mtime_ns


def media_hash(body: bytes | memoryview) -> bytes:
    """The address of some bytes: blake2b-128."""
    return hashlib.blake2b(body, digest_size=HASH_BYTES).digest()


def media_path(digest: bytes, media_type: str) -> str:
    """Where a medium lies, relative to `media/`."""
    name = digest.hex()
    return f"{name[:2]}/{name}.{_EXTENSIONS.get(media_type, 'bin')}"


class MediaFolder:
    """The files under `media/`. For the writer alone.

    Args:
        folder: The store's `media` folder; made if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._unsynced: set[Path] = set()
        self._made: list[Path] = []

    def write(self, body: bytes | memoryview, media_type: str) -> bytes:
        """Puts the bytes under their hash, which is returned; `sync` makes them durable.

        Raises:
            DiskFull: If there is no room; no part of the file is left.
        """
        digest = media_hash(body)
        self._put(digest, media_type, len(body), lambda path: _write_file(path, body))
        return digest

    def adopt(self, file: SpooledFile, media_type: str) -> bytes:
        """As `write`, without its bytes passing through: the file also stays where it is.

        Raises:
            DiskFull: As `write`.
            ValueError: If it is not the file any more that was looked at.
        """

        def link(path: Path) -> None:
            partial = path.with_name(f".{path.name}.partial")
            partial.unlink(missing_ok=True)
            try:
                os.link(file.path, partial, follow_symlinks=False)
                is_same = _inode(partial.lstat()) == file.inode
            except FileNotFoundError as error:
                raise ValueError(f"{file.path.name} is gone") from error
            except OSError as error:  # Not every disk knows links.
                if is_no_room(error, path):
                    raise
                body = file.path.read_bytes()
                is_same = media_hash(body) == file.digest
                _write_file(partial, body)
            if not is_same:
                partial.unlink()
                raise ValueError(f"{file.path.name} was changed while it was taken")
            partial.rename(path)

        self._put(file.digest, media_type, file.n_bytes, link)
        return file.digest

    def _put(self, digest: bytes, media_type: str, n_bytes: int, make: Callable[[Path], None]) -> None:
        path = self.folder / media_path(digest, media_type)
        self._unsynced.add(path.parent)
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(mode=0o700)
                self._unsynced.add(self.folder)
            if not path.exists() or path.stat().st_size != n_bytes:
                path.unlink(missing_ok=True)
                make(path)
                self._made.append(path)
        except OSError as error:
            if is_no_room(error, path):
                raise DiskFull(f"{path}: {error}", remedy="free some space on the store's disk") from error
            raise

    def sync(self) -> None:
        """Returns when every rename since the last call is on disk."""
        for folder in self._unsynced:
            sync_folder(folder)
        self._unsynced.clear()

    def keep(self) -> None:
        """The commit that refers to the new files stands."""
        self._made.clear()

    def drop(self) -> None:
        """The commit was rolled back: the files made for it go."""
        for path in self._made:
            path.unlink(missing_ok=True)
        self._made.clear()
        self._unsynced.clear()

    def shards(self) -> list[Path]:
        """The subfolders that exist, for a sweep in small steps."""
        return sorted(path for path in self.folder.iterdir() if path.is_dir())

    def sweep(self, shard: Path, wanted: set[bytes]) -> int:
        """Removes the files of one subfolder that are not wanted, and leftovers of writing.

        Args:
            shard: One of `shards()`.
            wanted: Hashes that rows of the log refer to.

        Returns:
            How many files went.
        """
        gone = 0
        for path in shard.iterdir():
            try:
                digest = bytes.fromhex(path.stem)
            except ValueError:
                digest = b""
            if digest not in wanted:
                path.unlink(missing_ok=True)
                gone += 1
        return gone


def sync_folder(folder: Path) -> None:
    """Returns when the names in a folder are on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, body: bytes | memoryview) -> None:
    """Replaces a file as a whole, durably: the old or the new content, never a mixture."""
    _write_file(path, body)
    sync_folder(path.parent)


def _write_file(path: Path, body: bytes | memoryview) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
