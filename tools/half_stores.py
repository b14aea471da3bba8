"""Stores of which a part of the bytes was let go, by policies beside each other, for measuring."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memory.keys.index import IndexShelf
from memory.log.reader import LogReader
from memory.log.store import LogStore
from memory.recall.pipeline import Recall
from memory.retain.kept import Kept
from memory.retain.policies import Chance, Judged, RetentionPolicy, policy_of
from memory.retain.subjects import Subject
from memory.retention import Retention
from memory.settings import MemorySettings, RetentionSettings

CONTROLS = ("random", "fifo", "ebbinghaus", "least_redundant", "longest")
SHARED = ("keys", "digests", "words", "index files", "thumbnails", "keyframes")
"""Classes of which a share stays; the rows of the log are no part of it."""
NOW_NS = 1_800_000_000 * 10**9


class Longest:
    """Keeps the longest texts: what a policy must be more than."""

    def judge(self, db: sqlite3.Connection, found: Sequence[Subject], now_ns: int) -> Judged:
        """As `RetentionPolicy.judge`."""
        del db, now_ns
        lengths = np.array([float(len(one.text)) for one in found])
        return Judged(lengths, {"chars": lengths})


@dataclass(frozen=True, slots=True)
class Arm:
    """A policy, and whether it goes in steps."""

    name: str
    policy: str
    in_steps: bool
    seed: int = 0

    def settings(self, base: RetentionSettings) -> RetentionSettings:
        """What holds in this arm, budgets aside."""
        told = {"policy": self.policy if self.policy != "longest" else "fifo", "in_steps": self.in_steps}
        return base.model_copy(update=told)

    def made(self, base: RetentionSettings, shelf: IndexShelf) -> RetentionPolicy:
        """The policy itself."""
        if self.policy == "longest":
            return Longest()
        if self.policy == "random":
            return Chance(self.seed)
        return policy_of(self.policy, base.weights, shelf.words)


def arms(seeds: int) -> list[Arm]:
    """Everything that is compared."""
    found = [Arm("ours", "value", True), Arm("ours whole", "value", False)]
    for name in CONTROLS:
        for seed in range(seeds if name == "random" else 1):
            tail = f" {seed}" if name == "random" else ""
            found.append(Arm(f"{name}{tail}", name, False, seed))
            found.append(Arm(f"{name}{tail} in steps", name, True, seed))
    return found


class OpenStore:
    """A store that is open for all that is measured.

    Args:
        folder: Of the store.
        settings: Of memory.
    """

    def __init__(self, folder: Path, settings: MemorySettings) -> None:
        self.folder = folder
        self.log = LogStore(folder)
        self.reader = LogReader(folder)
        self.shelf = IndexShelf(folder / "views")
        with self.reader.snapshot() as db:
            for (encoder_id,) in db.execute("SELECT DISTINCT encoder_id FROM key").fetchall():
                self.shelf.ready(db, encoder_id)
        self.recall = Recall(self.shelf, settings.recall)

    def retention(self, settings: RetentionSettings, policy: RetentionPolicy) -> Retention:
        """Its retention."""
        made = Retention(self.log, self.reader, self.shelf, settings, lambda: NOW_NS, policy=policy)
        made.compacted_from = 16 << 10, 0.0
        return made

    def kept(self) -> Kept:
        """Bytes by class."""
        with self.reader.snapshot() as db:
            return self.retention(RetentionSettings(), Longest()).kept(db)

    def close(self) -> None:
        """Closes it."""
        self.shelf.save()
        self.reader.close()
        self.shelf.close()
        self.log.close()


@contextlib.contextmanager
def opened(folder: Path, settings: MemorySettings) -> Iterator[OpenStore]:
    """A store for a while."""
    store = OpenStore(folder, settings)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def halved(
    full: Path, arm: Arm, settings: MemorySettings, share: float
) -> Iterator[tuple[OpenStore, dict[str, Any]]]:
    """A copy of a store of which an arm has let go all but a share, and what that took."""
    with tempfile.TemporaryDirectory(prefix="omnirecall-half-") as folder:
        copy = Path(folder) / "store"
        shutil.copytree(full, copy)
        with opened(copy, settings) as store:
            before = store.kept()
            budget = budget_of(before, share)
            held = settings.retention.model_copy(
                update={
                    "index_bytes": max(1 << 16, before.index - budget["index"]),
                    "thumbnails_bytes": max(0, before.thumbnails - budget["thumbnails"]),
                }
            )
            base = arm.settings(held)
            began_s = time.monotonic()
            done = store.retention(base, arm.made(held, store.shelf)).hold()
            after = store.kept()
            told = {
                "let_go": done.items,
                "bytes": sum(after.classes.get(name, 0) for name in SHARED),
                "full_bytes": sum(before.classes.get(name, 0) for name in SHARED),
                "seconds": round(time.monotonic() - began_s, 2),
                "over": max(0, after.index - held.index_bytes),
            }
            yield store, told


def budget_of(held: Kept, share: float) -> dict[str, int]:
    """How many bytes of the index, and of pictures, have to go."""
    index = sum(held.classes.get(name, 0) for name in SHARED[:4])
    return {"index": int((1 - share) * index), "thumbnails": int((1 - share) * held.thumbnails)}
