"""Models of a hub that the owner pulled: where they lie, what was recorded of them, how they stand.

``omnirecall models pull --hub owner/name@revision`` (`stream.models.hub_pull`) puts one into
``<models>/hub/owner--name@<revision>/`` with a record beside its files: the hub's commit,
and bytes and sha256 of each file. Nothing here touches the network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from stream.errors import ConfigError
from stream.models.collection import Condition, FileState
from stream.models.lock import Upstream
from stream.models.stamp import FileStamp, sha256_of

HUB_FOLDER = "hub"
RECORD_NAME = ".hub.json"
REVISION_DIGITS = 12
"""Digits of a revision in the name of a folder and in ids: enough to tell commits of one repository apart."""

KEPT_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".jinja", ".tiktoken")
"""What is taken of a repository and counts in a folder: weights that hold no code, and text."""
CTRANSLATE_WEIGHTS = "model.bin"
"""CTranslate2's own format, read by nothing but CTranslate2; every other .bin may hold a pickle."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_REFERENCE = re.compile(rf"(?P<repo>{_NAME}/{_NAME})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\Z")


class Reference(NamedTuple):
    """A repository of a hub; `revision` is a commit, a branch or a tag, and empty where none was named."""

    repo: str
    revision: str

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}" if self.revision else self.repo


def parse_reference(text: str) -> Reference:
    """`owner/name` or `owner/name@revision`.

    Raises:
        ConfigError: It is neither.
    """
    found = _REFERENCE.match(text)
    if found is None or ".." in text:
        raise ConfigError(
            f"{text!r} is not the id of a model on a hub", remedy="write owner/name or owner/name@revision"
        )
    return Reference(found["repo"], found["revision"] or "")


def is_kept(path: str) -> bool:
    """Whether a file of a repository, by its path in it, may be taken and read."""
    parts = PurePosixPath(path).parts
    if not 1 <= len(parts) <= 2 or not all(_PLAIN.match(part) for part in parts):
        return False
    return parts[-1].endswith(KEPT_SUFFIXES) or path == CTRANSLATE_WEIGHTS


class HubRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was pulled. `files` are relative paths with `/`."""

    repo: str
    revision: str
    licence: str
    task: str
    files: dict[str, FileStamp]
    version: int = 1


@dataclass(frozen=True)
class HubItem:
    """What `models list` tells of a pulled model; the names are those of `LockedItem`."""

    name: str
    role: str
    licence: str
    credit: str
    upstream: Upstream


@dataclass(frozen=True)
class HubState:
    """How a pulled model stands, file by file; the names are those of `ItemState`."""

    item: HubItem
    folder: Path
    files: tuple[FileState, ...]

    @property
    def condition(self) -> Condition:
        """Damaged if any file is, else missing if any is."""
        found = {state.condition for state in self.files}
        worst = (Condition.DAMAGED, Condition.MISSING)
        return next((condition for condition in worst if condition in found), Condition.PRESENT)

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return sum(state.bytes for state in self.files)


@dataclass(frozen=True)
class HubModel:
    """A model that was pulled."""

    folder: Path
    record: HubRecord

    @property
    def reference(self) -> str:
        """`owner/name@revision`, as it can be configured."""
        return f"{self.record.repo}@{self.record.revision[:REVISION_DIGITS]}"

    def answers_to(self, reference: Reference) -> bool:
        """Whether a reference without revision, or with the beginning of this one's, means this model."""
        return self.record.repo == reference.repo and self.record.revision.startswith(reference.revision)

    def state(self, *, full: bool = False) -> HubState:
        """How it stands; `full` hashes every file, else sizes and times are believed."""
        record = self.record
        upstream = Upstream(record.repo, record.revision)
        item = HubItem(self.reference, record.task or "from the hub", record.licence or "?", "", upstream)
        files = (_file_state(self.folder / path, path, stamp, full) for path, stamp in record.files.items())
        return HubState(item, self.folder, tuple(files))

    def verify(self) -> HubState:
        """How it stands, every file hashed; what is damaged is noted, so that the next pull replaces it."""
        state = self.state(full=True)
        damaged = {one.file for one in state.files if one.condition is Condition.DAMAGED}
        if damaged:
            files = {
                path: msgspec.structs.replace(stamp, mtime_ns=0) if path in damaged else stamp
                for path, stamp in self.record.files.items()
            }
            write_record(self.folder, msgspec.structs.replace(self.record, files=files))
        return state


def write_record(folder: Path, record: HubRecord) -> None:
    """Replaces the record in a model's folder, atomically."""
    temporary = folder / f"{RECORD_NAME}.new"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
    temporary.replace(folder / RECORD_NAME)


def hub_folder(root: Path, repo: str, revision: str) -> Path:
    """The folder of a repository at a commit, under the folder of the models."""
    return root / HUB_FOLDER / f"{repo.replace('/', '--')}@{revision[:REVISION_DIGITS]}"


def hub_models(root: Path) -> list[HubModel]:
    """Everything that was pulled, by name; folders without a readable record are left out."""
    found = []
    for path in sorted((root / HUB_FOLDER).glob(f"*/{RECORD_NAME}")):
        try:
            found.append(HubModel(path.parent, msgspec.json.decode(path.read_bytes(), type=HubRecord)))
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            continue
    return found


def find_pulled(root: Path, reference: Reference) -> list[HubModel]:
    """The pulled models that a reference may mean."""
    return [model for model in hub_models(root) if model.answers_to(reference)]


def _file_state(path: Path, name: str, stamp: FileStamp, full: bool) -> FileState:
    if not path.is_file():
        return FileState(name, Condition.MISSING, 0, derived=False)
    is_right = (
        path.stat().st_size == stamp.bytes
        and (not full or sha256_of(path) == stamp.sha256)
        and (full or stamp.vouches_for(path) or sha256_of(path) == stamp.sha256)
    )
    condition = Condition.PRESENT if is_right else Condition.DAMAGED
    return FileState(name, condition, path.stat().st_size, derived=False)
