"""Indexes that another process keeps: what memory tells of them, and those it answers by meanwhile.

Memory holds none of them while its recall process serves. Where that is away, memory opens what it needs
to answer by itself, without taking care of any file; it lets go of it once the process is back. Where the
process is given up, this is the shelf of the store like any other.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from memory.keys.index import IndexShelf
from stream.messages.views import ViewsTold


class Keeper(Protocol):
    """The process that keeps the indexes (`memory.recall.apart.RecallProcess`)."""

    @property
    def is_up(self) -> bool:
        """Whether it serves."""
        ...

    @property
    def is_given_up(self) -> bool:
        """Whether it ended so often that it is not started again."""
        ...

    @property
    def told(self) -> ViewsTold | None:
        """What it told last."""
        ...

    def describe(self) -> ViewsTold | None:
        """What it has now, with all that went taken out; what it told last, where it is away."""
        ...

    def exchange(self, erasure: bytes = b"", erased: Collection[int] = ()) -> ViewsTold | None:
        """Has it take out what went, and begin an erasure; None where it did not answer."""
        ...

    def note_removed(self, key_ids: list[int]) -> None:
        """Keys went from the store."""
        ...

    def note_dropped(self, encoder_id: str) -> None:
        """The index of an encoder goes."""
        ...

    def keep_up(self, encoder_id: str) -> None:
        """The index of an encoder is to be kept in step with the log."""
        ...


class ShelfElsewhere(IndexShelf):
    """The shelf of a memory whose questions another process answers.

    Args:
        folder: As `IndexShelf`.
        keeper: That process.
        gpu: As `IndexShelf`, where it is given up.
    """

    def __init__(self, folder: Path, keeper: Keeper, *, gpu: bool = False) -> None:
        super().__init__(folder, gpu=gpu)
        self._keeper = keeper
        self._readers = 0
        self._reading = threading.Lock()

    @property
    def is_elsewhere(self) -> bool:
        """Whether the process keeps the files; so until it is given up."""
        return not self._keeper.is_given_up

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While a question is answered by these indexes they stay."""
        with self._reading:
            self._readers += 1
        try:
            yield
        finally:
            with self._reading:
                self._readers -= 1

    def let_go(self) -> None:
        """Gives up what was opened while the process was away, if nobody reads it."""
        if not self._indexes or not self._keeper.is_up:
            return
        with self._reading:
            if not self._readers:
                self.clear()

    def keep_up(self, db: sqlite3.Connection, encoder_id: str) -> None:
        """As `IndexShelf.keep_up`; the process does it by itself once it knows of the encoder."""
        if self.is_elsewhere:
            self._keeper.keep_up(encoder_id)
        else:
            super().keep_up(db, encoder_id)

    def remove(self, ids: list[int]) -> None:
        """As `IndexShelf.remove`; the process hears of it with the next word, and finds none of it before."""
        super().remove(ids)
        if ids and self.is_elsewhere:
            self._keeper.note_removed(ids)

    def drop(self, encoder_id: str) -> None:
        """As `IndexShelf.drop`."""
        if self.is_elsewhere:
            self.clear(encoder_id)
            self._keeper.note_dropped(encoder_id)
        else:
            super().drop(encoder_id)

    def erase(self, db: sqlite3.Connection, key_ids: list[int], erasure_id: bytes = b"") -> bool:
        """As `IndexShelf.erase`; False until the process has done it too."""
        if not self.is_elsewhere:
            return super().erase(db, key_ids, erasure_id)
        self.clear()
        told = self._keeper.exchange(erasure_id, key_ids)
        return told is not None and told.erased

    def describe(self) -> dict[str, dict[str, object]]:
        """As `IndexShelf.describe`, of the process; what it told last, where it is away."""
        if not self.is_elsewhere:
            return super().describe()
        told = self._keeper.describe()
        return super().describe() if told is None else told.indexes

    def describe_words(self) -> dict[str, object]:
        """As `IndexShelf.describe_words`, of what the process told last."""
        told = self._keeper.told if self.is_elsewhere else None
        return super().describe_words() if told is None else told.words

    @property
    def mapped_bytes(self) -> int:
        """As `IndexShelf.mapped_bytes`, of what the process told last."""
        told = self._keeper.told if self.is_elsewhere else None
        return super().mapped_bytes if told is None else told.mapped_bytes
