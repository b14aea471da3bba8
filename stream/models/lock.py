"""The lock file: which files, of how many bytes, with which sha256, and where they are published.

A lock is package data (``stream/models/*.lock.json``), so that it is found in a checkout, in an
editable install and in a wheel alike, without asking where shared data were put.

The same form serves models and the demo's media::

    item    name, role, upstream id and revision, licence, credit
    file    name, bytes, sha256, and its sources: a file of a model hub, or members of
            wheels of a package index, to be joined in the order given
    wheel   package, version, bytes, sha256
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Literal

import msgspec

from stream.errors import ConfigError

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


def _demand(condition: bool, complaint: str) -> None:
    if not condition:
        raise ValueError(complaint)


class HubFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of a repository of the model hub, at one revision."""

    repo: str
    revision: str
    path: str


class WheelMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member of a wheel; ``wheel`` is a key of `Lock.wheels`."""

    wheel: str
    member: str


class LockedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file, by name and content.

    ``pypi`` lists the wheel members whose bytes, one after the other, are the file.
    """

    file: str
    bytes: int
    sha256: str
    pypi: tuple[WheelMember, ...]
    hub: HubFile | None = None

    def __post_init__(self) -> None:
        _demand(bool(_PLAIN_NAME.match(self.file)), f"{self.file!r} is not a plain file name")
        _demand(bool(_SHA256.match(self.sha256)), f"{self.file}: sha256 is not 64 hexadecimal digits")
        _demand(self.bytes > 0, f"{self.file}: bytes must be positive")
        _demand(bool(self.pypi), f"{self.file}: no source")


class Upstream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a thing comes from originally."""

    id: str
    revision: str


class LockedItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model, or a medium of the demo.

    ``derived`` names the files that are made from the locked ones on this machine
    (ONNX exports); their sha256 is recorded when they are made, since it depends on
    the version of the exporting library.
    """

    name: str
    role: str
    upstream: Upstream
    licence: str
    credit: str
    files: tuple[LockedFile, ...]
    derived: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [locked.file for locked in self.files] + list(self.derived)
        _demand(bool(_PLAIN_NAME.match(self.name)), f"{self.name!r} is not a plain name")
        _demand(bool(self.files), f"{self.name}: no files")
        _demand(len(set(names)) == len(names), f"{self.name}: a file is listed twice")
        _demand(all(_PLAIN_NAME.match(name) for name in names), f"{self.name}: not a plain file name")

    @property
    def total_bytes(self) -> int:
        """Bytes of the locked files."""
        return sum(locked.bytes for locked in self.files)

    def locked(self, file: str) -> LockedFile | None:
        """The locked file of that name, or None (it may be a derived one)."""
        return next((locked for locked in self.files if locked.file == file), None)


class LockedWheel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wheel of a package index."""

    package: str
    version: str
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        _demand(bool(_SHA256.match(self.sha256)), f"{self.package}: sha256 is not 64 hexadecimal digits")


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole lock file. ``wheels`` is keyed by the wheel's file name."""

    version: Literal[1]
    kind: Literal["models", "media"]
    items: tuple[LockedItem, ...]
    wheels: dict[str, LockedWheel]

    def __post_init__(self) -> None:
        names = [item.name for item in self.items]
        _demand(len(set(names)) == len(names), "an item is listed twice")
        used = {part.wheel for item in self.items for locked in item.files for part in locked.pypi}
        _demand(used == set(self.wheels), f"wheels and their uses differ: {sorted(used ^ set(self.wheels))}")

    def item(self, name: str) -> LockedItem:
        """The item of that name.

        Raises:
            ConfigError: The lock has no such item.
        """
        for item in self.items:
            if item.name == name:
                return item
        known = ", ".join(item.name for item in self.items)
        raise ConfigError(f"{name!r} is not in the lock of the {self.kind}", remedy=f"choose one of: {known}")


def parse_lock(text: bytes, origin: str) -> Lock:
    """Read a lock from JSON.

    Args:
        text: The JSON.
        origin: What to call it in a complaint.

    Raises:
        ConfigError: It is not JSON, has an unknown key, a wrong type, or contradicts itself.
    """
    try:
        return msgspec.json.decode(text, type=Lock)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"{origin} is not a valid lock file: {error}", remedy="reinstall omnirecall"
        ) from error


def load_lock(kind: Literal["models", "media"]) -> Lock:
    """The lock that this release was made with.

    Raises:
        ConfigError: The installed lock is damaged.
    """
    name = f"{kind}.lock.json"
    return parse_lock((resources.files("stream.models") / name).read_bytes(), name)
