"""What a snapshot says of itself, and whether every byte of it is still so."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from memory.log.media import write_atomically
from memory.log.migrations import SCHEMA_VERSION
from stream.disk import is_no_room
from stream.errors import Corrupt, DiskFull, SchemaTooNew, StoreError

MANIFEST = "manifest.json"
SNAPSHOTS = "snapshots"
"""The folder within a store whose snapshots forget with it."""
VERSION = 1
READ_BYTES = 1 << 20
SPARE_BYTES = 16 << 20
"""Room left beside what a copy needs."""

Told = Callable[[int, int], None]
"""Bytes done, and bytes in all."""


def untold(_: int, __: int) -> None:
    """For those who draw nothing."""


class File(NamedTuple):
    """One file of a snapshot: its path in it, its size and its sha256."""

    path: str
    n_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot is: its log, its media, the commit at which it stands.

    `origin` is where the store lay, and `lineage` by what it is known: the time of its first commit.
    """

    log: File
    media: tuple[File, ...]
    commit_no: int
    schema: int
    t_ns: int
    origin: str
    lineage: int

    @property
    def n_bytes(self) -> int:
        """Of all files."""
        return self.log.n_bytes + sum(one.n_bytes for one in self.media)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replaces what a snapshot says of itself, in one step."""
    told: dict[str, Any] = {
        "version": VERSION,
        "log": list(manifest.log),
        "media": [list(one) for one in manifest.media],
        "commit_no": manifest.commit_no,
        "schema": manifest.schema,
        "t_ns": manifest.t_ns,
        "origin": manifest.origin,
        "lineage": manifest.lineage,
    }
    told["check"] = _check_of(told)
    write_atomically(folder / MANIFEST, json.dumps(told, indent=1).encode("ascii"))


def _check_of(told: dict[str, Any]) -> str:
    rest = {name: value for name, value in told.items() if name != "check"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode("ascii")).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """What a snapshot says of itself.

    Raises:
        StoreError: If there is none in this folder.
        Corrupt: If it is damaged.
    """
    path = folder / MANIFEST
    try:
        body = path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"{folder} is no snapshot: {path.name} cannot be read",
            remedy="name a folder that omnirecall snapshot made",
        ) from error
    try:
        told = json.loads(body)
        if told["check"] != _check_of(told) or told["version"] != VERSION:
            raise Corrupt(f"{path} is damaged or of another version")
        if json.dumps(told, indent=1).encode("ascii") != body:
            raise Corrupt(f"{path} is damaged: it is written in another way")
        return Manifest(
            log=File(*told["log"]),
            media=tuple(File(*one) for one in told["media"]),
            commit_no=told["commit_no"],
            schema=told["schema"],
            t_ns=told["t_ns"],
            origin=told["origin"],
            lineage=told["lineage"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"{path} is damaged: {error}") from error


def verify(folder: Path, told: Told = untold) -> tuple[Manifest, list[str]]:
    """Reads every byte of a snapshot; returns its manifest, and each file that is not as it says.

    Raises:
        StoreError, Corrupt: As `read_manifest`.
    """
    manifest = read_manifest(folder)
    problems: list[str] = []
    done = 0
    for one in (manifest.log, *manifest.media):
        path = folder / one.path
        if PurePosixPath(one.path).is_absolute() or ".." in PurePosixPath(one.path).parts:
            problems.append(f"{one.path}: lies outside")
        elif path.is_symlink() or not path.is_file():
            problems.append(f"{one.path}: missing")
        else:
            found = hashed(path, one.path)
            if found.n_bytes != one.n_bytes:
                problems.append(f"{one.path}: {found.n_bytes} bytes, not {one.n_bytes}")
            elif found != one:
                problems.append(f"{one.path}: fails its checksum")
        done += one.n_bytes
        told(done, manifest.n_bytes)
    known = {one.path for one in (manifest.log, *manifest.media)} | {MANIFEST}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        if not path.is_dir() and inside not in known:
            problems.append(f"{inside}: does not belong to it")
    return manifest, problems


def whole(folder: Path, told: Told = untold) -> Manifest:
    """The manifest of a snapshot in which every byte is as it was.

    Raises:
        StoreError: If it is none.
        Corrupt: If anything in it is damaged, naming the first files.
        SchemaTooNew: If a newer release made it.
    """
    manifest, problems = verify(folder, told)
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise Corrupt(
            f"the snapshot {folder} is damaged: {'; '.join(problems[:3])}{more}", remedy="take another one"
        )
    if manifest.schema > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"{folder} has schema {manifest.schema}; this release knows up to {SCHEMA_VERSION}",
            remedy="install the newer release of omnirecall that took it",
        )
    return manifest


def lineage_of(db: sqlite3.Connection) -> int:
    """By what a store is known again: when its first commit was, UTC in ns; 0 in an empty one."""
    row = db.execute("SELECT t_ns FROM commit_log ORDER BY commit_no LIMIT 1").fetchone()
    return int(row[0]) if row is not None else 0


def log_name(log: File) -> str:
    """Its content's: a snapshot in which something is forgotten is replaced by its manifest alone."""
    return f"log-{log.sha256[:16]}.sqlite"


def hashed(path: Path, name: str) -> File:
    """What a file is now."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
    return File(name, path.stat().st_size, digest.hexdigest())


def sync(path: Path) -> None:
    """Returns when the bytes of a file are on disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def unwritable(path: Path, error: OSError) -> StoreError:
    """The error of the tree for what the system says of a folder that is written to."""
    if is_no_room(error, path):
        return DiskFull(f"{path}: {error}", remedy="free some space")
    return StoreError(f"{path}: {error}", remedy="name a folder that you may write to")
