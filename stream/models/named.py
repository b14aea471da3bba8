"""A configured name of a model to its folder, its id and its revision; for every role the same.

Three kinds of name, told apart by their form:

- a name of the lock (`whisper-base`): a model that belongs to this release;
- a folder of the owner's (`/srv/models/clip`, `~/clip`): its revision is the sha256 of its content;
- an id of a model hub (`owner/name`, `owner/name@revision`): a model that was pulled.

Nothing here touches the network: what is not on this machine is said, never fetched.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stream.errors import ConfigError, ModelDamaged, ModelMissing
from stream.models.collection import Collection, models
from stream.models.hub import REVISION_DIGITS, find_pulled, is_kept, parse_reference
from stream.models.stamp import Stamp, sha256_of, stamp_file

DIGESTS = ".digests"
"""Where the sha256 of the owner's folders are remembered, under the folder of the models."""

OWNERS_SUFFIX = ".gguf"
"""Weights that a folder of the owner's may have beside what a hub is asked for: repositories hold dozens."""


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model that is on this machine.

    `id` is made of its name and its revision: equal for equal content, another for another.
    """

    configured: str
    folder: Path
    name: str
    revision: str

    @property
    def id(self) -> str:
        """`name@revision`."""
        return f"{self.name}@{self.revision}"

    def file(self, *names: str) -> Path:
        """The first of these files that the model has.

        Raises:
            ModelMissing: It has none of them.
        """
        found = next((path for name in names if (path := self.folder / name).is_file()), None)
        if found is None:
            raise ModelMissing(
                f"{self.configured}: {self.folder} has no {' or '.join(names)}",
                remedy="name the folder of a whole model, or pull it again",
            )
        return found


def is_folder(configured: str) -> bool:
    """Whether a configured name is a folder by its form."""
    return configured.startswith(("/", "~", "."))


def named_model(configured: str, collection: Collection | None = None) -> NamedModel:
    """The model that a setting names.

    Args:
        configured: As in the configuration.
        collection: The models of the lock; those of this machine by default.

    Raises:
        ConfigError: It is no name of the lock, no absolute folder and no id of a hub, or an id
            of which several revisions were pulled.
        ModelMissing: It is not on this machine.
        ModelDamaged: A file of it has another size than was recorded.
    """
    collection = models() if collection is None else collection
    if is_folder(configured):
        return _of_folder(configured, collection.root)
    if "/" in configured:
        return _of_hub(configured, collection.root)
    item = collection.lock.item(configured)
    for locked in item.files:
        collection.file(configured, locked.file)
    return NamedModel(
        configured, collection.folder(configured), item.name, item.upstream.revision[:REVISION_DIGITS]
    )


def _of_hub(configured: str, root: Path) -> NamedModel:
    reference = parse_reference(configured)
    pulled = find_pulled(root, reference)
    if not pulled:
        raise ModelMissing(
            f"{configured} is not on this machine ({root})",
            remedy=f"run: omnirecall models pull --hub {configured}",
        )
    if len(pulled) > 1:
        known = ", ".join(model.reference for model in pulled)
        raise ConfigError(f"several revisions of {configured} were pulled", remedy=f"name one of: {known}")
    (model,) = pulled
    for path, stamp in model.record.files.items():
        if not (model.folder / path).is_file() or (model.folder / path).stat().st_size != stamp.bytes:
            raise ModelDamaged(
                f"{model.folder / path} is missing or has another size",
                remedy=f"run: omnirecall models pull --hub {model.reference}",
            )
    name = model.record.repo.rsplit("/", 1)[-1]
    return NamedModel(configured, model.folder, name, model.record.revision[:REVISION_DIGITS])


def _of_folder(configured: str, root: Path) -> NamedModel:
    folder = Path(configured).expanduser()
    if not folder.is_absolute():
        raise ConfigError(
            f"{configured!r} depends on where a process was started", remedy="write the whole path from /"
        )
    if not folder.is_dir():
        raise ModelMissing(f"{configured} is not a folder on this machine", remedy="mend the path")
    folder = folder.resolve()
    digest = content_digest(folder, root / DIGESTS)
    return NamedModel(configured, folder, folder.name, digest[:REVISION_DIGITS])


def content_digest(folder: Path, remembered: Path) -> str:
    """The sha256 over names and sha256 of a folder's files, in order of names; hidden files do not count.

    Hashing a large model takes seconds, and every start of a process needs this: sha256 are
    remembered with size and modification time of the file that they were made of.

    Args:
        folder: Of the model.
        remembered: Where to remember; left alone if it cannot be written.

    Raises:
        ModelMissing: There is no file of a model in it.
    """
    note = remembered / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:32]}.json"
    known = _read(note)
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in paths]
    names = [name for name in names if is_kept(name) or name.endswith(OWNERS_SUFFIX)]
    if not names:
        raise ModelMissing(f"{folder} holds no model", remedy="name the folder of a model")
    stamps = {}
    for name in names:
        stamp = known.files.get(name)
        path = folder / name
        stamps[name] = (
            stamp if stamp is not None and stamp.vouches_for(path) else stamp_file(path, sha256_of(path))
        )
    if stamps != known.files:
        _remember(note, Stamp(files=stamps))
    listing = "\n".join(f"{stamp.sha256}  {name}" for name, stamp in stamps.items())
    return hashlib.sha256(listing.encode()).hexdigest()


def _read(note: Path) -> Stamp:
    try:
        return msgspec.json.decode(note.read_bytes(), type=Stamp)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return Stamp()


def _remember(note: Path, stamp: Stamp) -> None:
    temporary = note.with_suffix(f".{os.getpid()}")
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(msgspec.json.encode(stamp))
        temporary.replace(note)
    except OSError:
        temporary.unlink(missing_ok=True)  # A folder of models that is not ours to write: hash each time.
