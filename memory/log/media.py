"""Pictures and clips on disk, each under the hash of its bytes.

`media/ab/abcdef….jpg`: the same picture met twice is one file. A file is written under a
temporary name, synced and renamed before the commit that refers to it, so that a row of
the log never points at half a picture. What no row refers to is swept at start-up.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from stream.disk import is_no_room
from stream.errors import DiskFull

HASH_BYTES = 16
_EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "video/x-matroska": "mkv",
}


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
        path = self.folder / media_path(digest, media_type)
        self._unsynced.add(path.parent)
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(mode=0o700)
                self._unsynced.add(self.folder)
            if not path.exists() or path.stat().st_size != len(body):
                _write_file(path, body)
                self._made.append(path)
        except OSError as error:
            if is_no_room(error, path):
                raise DiskFull(f"{path}: {error}", remedy="free some space on the store's disk") from error
            raise
        return digest

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
