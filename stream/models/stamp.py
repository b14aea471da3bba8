"""What was verified, and when: so that a second look costs a `stat`, not a hash.

Beside an item's files lies ``.stamp.json``. A file counts as verified while its size and
modification time are those of the stamp. `verify` never believes a stamp: it hashes.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from stream.models.lock import LockedItem

STAMP_NAME = ".stamp.json"
_BLOCK_BYTES = 1 << 20


class FileStamp(msgspec.Struct, frozen=True):
    """A file as it was when its sha256 was computed."""

    bytes: int
    mtime_ns: int
    sha256: str

    def vouches_for(self, path: Path) -> bool:
        """Whether the file still has the size and modification time of this stamp."""
        try:
            found = path.stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.bytes, self.mtime_ns)


class Stamp(msgspec.Struct, frozen=True):
    """The stamp of one item.

    Attributes:
        files: Locked files.
        derived: Files made from them.
        made_from: `item_digest` of the item that the derived files were made from.
        exporter: Version of the export, and of the libraries that it ran with.
    """

    version: int = 1
    files: dict[str, FileStamp] = {}
    derived: dict[str, FileStamp] = {}
    made_from: str = ""
    exporter: str = ""


def item_digest(item: LockedItem) -> str:
    """Sha256 over names and sha256 of the item's locked files: changes when any content does."""
    listing = "\n".join(f"{locked.sha256}  {locked.file}" for locked in item.files)
    return hashlib.sha256(listing.encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def stamp_file(path: Path, sha256: str) -> FileStamp:
    """The stamp of a file whose sha256 was just computed."""
    found = path.stat()
    return FileStamp(bytes=found.st_size, mtime_ns=found.st_mtime_ns, sha256=sha256)


def read_stamp(folder: Path) -> Stamp:
    """The stamp of an item's folder; an empty one where none is, or it cannot be read."""
    try:
        return msgspec.json.decode((folder / STAMP_NAME).read_bytes(), type=Stamp)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return Stamp()


def without(stamp: Stamp, names: set[str]) -> Stamp:
    """The stamp without files of these names."""
    return msgspec.structs.replace(
        stamp,
        files={name: kept for name, kept in stamp.files.items() if name not in names},
        derived={name: kept for name, kept in stamp.derived.items() if name not in names},
    )


def write_stamp(folder: Path, stamp: Stamp) -> None:
    """Replace the stamp of an item's folder, atomically."""
    temporary = folder / f"{STAMP_NAME}.{os.getpid()}"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(stamp), indent=1))
    temporary.replace(folder / STAMP_NAME)
