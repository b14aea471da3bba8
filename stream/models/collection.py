"""A lock and the folder that its files lie in: ``<root>/<item>/<file>``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import platformdirs

from stream.errors import ConfigError, ModelDamaged, ModelMissing, OmniRecallError, SourceCorrupt, SourceGone
from stream.models.lock import Lock, LockedItem, load_lock
from stream.models.stamp import Stamp, item_digest, read_stamp, sha256_of, without, write_stamp

EXPORTER_VERSION = "1"
"""Version of `stream.models.export`; a change of what it writes must change this."""


class Condition(StrEnum):
    """How a file of a lock stands on this machine."""

    PRESENT = "present"
    MISSING = "missing"
    DAMAGED = "damaged"
    STALE = "stale"
    """A derived file that an older lock or an older export made."""


@dataclass(frozen=True)
class FileState:
    """How one file stands. ``bytes`` is its size on disk, 0 where it is missing."""

    file: str
    condition: Condition
    bytes: int
    derived: bool


@dataclass(frozen=True)
class ItemState:
    """How one item stands, file by file."""

    item: LockedItem
    folder: Path
    files: tuple[FileState, ...]

    @property
    def condition(self) -> Condition:
        """The worst condition of the files: damaged, then missing, then stale."""
        found = {state.condition for state in self.files}
        worst = (Condition.DAMAGED, Condition.MISSING, Condition.STALE)
        return next((condition for condition in worst if condition in found), Condition.PRESENT)

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return sum(state.bytes for state in self.files)


@dataclass(frozen=True)
class Collection:
    """A lock and the folder that holds its files."""

    lock: Lock
    root: Path

    @property
    def remedy(self) -> str:
        """The command that brings what is missing."""
        return "run: omnirecall models pull" if self.lock.kind == "models" else "run: omnirecall demo"

    def folder(self, name: str) -> Path:
        """The folder of an item, whether it exists or not.

        Raises:
            ConfigError: The lock has no such item.
        """
        return self.root / self.lock.item(name).name

    def file(self, name: str, file: str) -> Path:
        """A file that is there with the size that it should have; costs a `stat`.

        Raises:
            ConfigError: The lock has no such item or file.
            ModelMissing: It was not pulled. For media: SourceGone.
            ModelDamaged: Its size is wrong. For media: SourceCorrupt.
        """
        item = self.lock.item(name)
        locked = item.locked(file)
        path = self.root / item.name / file
        if locked is not None:
            expected = locked.bytes
        elif file in item.derived:
            made = read_stamp(path.parent).derived.get(file)
            if made is None:
                raise self.missing(f"{name}/{file} was not made yet ({path})")
            expected = made.bytes
        else:
            known = ", ".join([*(locked.file for locked in item.files), *item.derived])
            raise ConfigError(f"{name} has no file {file!r}", remedy=f"choose one of: {known}")
        if not path.is_file():
            raise self.missing(f"{name}/{file} is not on this machine ({path})")
        if path.stat().st_size != expected:
            raise self.damaged(f"{path} has {path.stat().st_size} bytes, not {expected}")
        return path

    def missing(self, message: str) -> OmniRecallError:
        """The error for a file that is not there, with its remedy."""
        kind = ModelMissing if self.lock.kind == "models" else SourceGone
        return kind(message, remedy=self.remedy)

    def damaged(self, message: str) -> OmniRecallError:
        """The error for a file of wrong content, with its remedy."""
        kind = ModelDamaged if self.lock.kind == "models" else SourceCorrupt
        return kind(message, remedy=self.remedy)

    def states(self, names: tuple[str, ...] = (), *, full: bool = False) -> list[ItemState]:
        """How the items stand.

        Args:
            names: Which; all when empty.
            full: Hash every file; otherwise a stamp is believed and only unstamped files are hashed.

        Raises:
            ConfigError: The lock has no item of such a name.
        """
        items = [self.lock.item(name) for name in names] if names else list(self.lock.items)
        return [self._state(item, full) for item in items]

    def verify(self, names: tuple[str, ...] = ()) -> list[ItemState]:
        """Hash every file; what is damaged loses its stamp, so that the next pull replaces it.

        Raises:
            ConfigError: The lock has no item of such a name.
        """
        states = self.states(names, full=True)
        for state in states:
            damaged = {found.file for found in state.files if found.condition is Condition.DAMAGED}
            if damaged:
                write_stamp(state.folder, without(read_stamp(state.folder), damaged))
        return states

    def _state(self, item: LockedItem, full: bool) -> ItemState:
        folder = self.root / item.name
        stamp = read_stamp(folder)
        locked = [
            _locked_state(folder / entry.file, entry.bytes, entry.sha256, stamp, full) for entry in item.files
        ]
        derived = [_derived_state(folder / file, item, stamp, full) for file in item.derived]
        return ItemState(item=item, folder=folder, files=tuple(locked + derived))


def _content(path: Path, sha256: str, stamp: Stamp, full: bool) -> Condition:
    known = stamp.files.get(path.name) or stamp.derived.get(path.name)
    if not full and known is not None and known.sha256 == sha256 and known.vouches_for(path):
        return Condition.PRESENT
    return Condition.PRESENT if sha256_of(path) == sha256 else Condition.DAMAGED


def _locked_state(path: Path, size: int, sha256: str, stamp: Stamp, full: bool) -> FileState:
    if not path.is_file():
        return FileState(path.name, Condition.MISSING, 0, derived=False)
    found = path.stat().st_size
    condition = Condition.DAMAGED if found != size else _content(path, sha256, stamp, full)
    return FileState(path.name, condition, found, derived=False)


def _derived_state(path: Path, item: LockedItem, stamp: Stamp, full: bool) -> FileState:
    made = stamp.derived.get(path.name)
    if not path.is_file() or made is None:
        return FileState(path.name, Condition.MISSING, 0, derived=True)
    found = path.stat().st_size
    if found != made.bytes:
        condition = Condition.DAMAGED
    elif stamp.made_from != item_digest(item) or stamp.exporter.split(" ")[0] != EXPORTER_VERSION:
        condition = Condition.STALE
    else:
        condition = _content(path, made.sha256, stamp, full)
    return FileState(path.name, condition, found, derived=True)


def _root(variable: str, folder: str) -> Path:
    chosen = os.environ.get(variable)
    return Path(chosen) if chosen else platformdirs.user_cache_path("omnirecall") / folder


@cache
def _lock_of_models() -> Lock:
    return load_lock("models")


@cache
def _lock_of_media() -> Lock:
    return load_lock("media")


def models() -> Collection:
    """The models, in ``$OMNIRECALL_MODELS`` or ``models`` of the platform's cache folder."""
    return Collection(_lock_of_models(), _root("OMNIRECALL_MODELS", "models"))


def demo_media() -> Collection:
    """The demo's media, in ``$OMNIRECALL_MEDIA`` or ``media`` of the platform's cache folder."""
    return Collection(_lock_of_media(), _root("OMNIRECALL_MEDIA", "media"))


def model_file(name: str, file: str) -> Path:
    """A file of a model, checked by its size.

    Raises:
        ConfigError: The lock has no such model or file.
        ModelMissing: It was not pulled.
        ModelDamaged: Its size is wrong.
    """
    return models().file(name, file)
