"""Forget, as a part of the memory process: requests, and the stages of what was begun.

The first transaction takes the rows, adds the tombstones and writes the journal; from then on nobody
sees any of it. The stages after it wipe bytes off the disk, each in the lane that may touch them, and
go on at the next start where they were.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, cast

from memory.forget import journal
from memory.forget.erase import add_tombstones, erase
from memory.forget.journal import Erasure
from memory.forget.prints import ByteSearch
from memory.forget.resting import exchanges_on, ids_of
from memory.forget.selection import Selection, corrections_of, numbers_of, parts_of, selection_of, titles_of
from memory.forget.wipe import clean_spools, compact, cut_wal, in_spools, search_store, telling, wipe_files
from memory.keys.index import IndexShelf
from memory.log.acts import add_act
from memory.log.reader import LogReader
from memory.log.store import LogStore
from memory.snapshot.manifest import MANIFEST
from memory.snapshot.replay import forget_in
from memory.spans import rebuild
from stream.errors import ConfigError, Corrupt, OmniRecallError
from stream.messages import Act, new_id
from stream.messages.envelope import Message
from stream.messages.forget import ForgetAsk, ForgetDone
from stream.process.lanes import Lane
from stream.process.log import Log
from stream.process.service import Received

AGAIN_NS = 500_000_000
"""Between two attempts where readers, or a spool that is being sent, are waited for."""
FAILED_NS = 5_000_000_000
"""Between two attempts after an error such as a full disk."""
SPOOL_PATIENCE_S = 60.0
"""How long a running process may take to deliver and clean what its spool holds."""
MOST_WAITING = 64
"""Erasures begun and not yet over."""


class Asked(Protocol):
    """How the service answers in its query lane."""

    def __call__(self, received: Received, answer: Callable[[Received], Message]) -> None:
        """Answers with what `answer` gives, or with the error that it raises."""
        ...


class Forget:
    """Answers `forget.ask` and finishes what was begun. Public methods belong to the loop's thread.

    Args:
        store: The writer's side, for `writer` only.
        reader: Connections of the lanes' own.
        shelf: Vector indexes and words.
        writer: The lane that writes.
        background: The lane that owns the files of indexes.
        query: How requests that only read are answered.
        fail: How a request is told that it failed.
        changed: Told the ids of observations in the writer lane once their rows are gone: lets go of what is
            kept of them in memory.
        woken: Called in the loop once rows are gone: views are to be looked at.
        log: Of the process.
    """

    def __init__(
        self,
        store: LogStore,
        reader: LogReader,
        shelf: IndexShelf,
        writer: Lane,
        background: Lane,
        *,
        query: Asked,
        fail: Callable[[Received, BaseException], None],
        changed: Callable[[Sequence[bytes]], None],
        woken: Callable[[], None],
        log: Log,
    ) -> None:
        self._store, self._reader, self._shelf = store, reader, shelf
        self._writer, self._background = writer, background
        self._query, self._fail = query, fail
        self._changed, self._woken = changed, woken
        self._log = log
        self._store_dir = store.path.parent
        self._due: deque[Erasure] = deque()
        self._busy = False
        self._next_ns = self._now_ns = 0
        self._spool_since_s: float | None = None

    def start(self) -> None:
        """Goes on with what an earlier process began."""
        with self._reader.snapshot() as db:
            self._due.extend(journal.unfinished(db))

    def take(self, received: Received) -> None:
        """Answers a request: what would go, how far it is, or begins."""
        ask = cast(ForgetAsk, received.message)
        if ask.erasure_id:
            told = next((one for one in self._due if one.erasure_id == ask.erasure_id), None)
            problem = told.problem if told is not None else ""
            self._query(received, lambda _: self._how_far(ask.erasure_id, problem))
        elif not ask.begin:
            self._query(received, lambda _: self._would(ask))
        elif len(self._due) >= MOST_WAITING:
            raise ConfigError("too much is being forgotten already", remedy="wait until it is over")
        else:
            self._writer.submit(
                self._take_rows,
                ask,
                done=lambda erasure: self._begun(received, erasure),
                failed=lambda error: self._fail(received, error),
            )

    def turn(self, now_ns: int) -> None:
        """Starts the next stage, if one is due."""
        self._now_ns = now_ns
        if self._busy or not self._due or now_ns < self._next_ns:
            return
        erasure = self._due[0]
        self._busy = True
        lane, work = {
            "media": (self._writer, self._wipe_media),
            "views": (self._background, self._erase_views),
            "log": (self._writer, self._compact),
            "spool": (self._background, self._clean_spools),
            "search": (self._background, self._search),
        }[erasure.stage]
        lane.submit(
            work, erasure, done=lambda done: self._stage_ended(erasure, done), failed=self._stage_failed
        )

    # In the query lane.

    def _would(self, ask: ForgetAsk) -> ForgetDone:
        with self._reader.snapshot() as db:
            selection = selection_of(db, ask)
            numbers = numbers_of(db, selection)
            also = exchanges_on(db, ids_of(db, numbers), selection.ids, selection.person)
            numbers = sorted({*numbers, *also})
            corrections = corrections_of(db, selection)
            counts = {"observations": len(numbers), "sources": len(selection.whole)}
            if selection.person is not None:
                counts["voices"] = len(selection.person.voices)
            return ForgetDone(
                counts=counts | ({"acts": len(corrections)} if corrections else {}),
                parts=tuple(parts_of(db, selection, numbers)),
                titles=(*corrections, *titles_of(db, numbers)),
            )

    def _how_far(self, erasure_id: bytes, problem: str) -> ForgetDone:
        with self._reader.snapshot() as db:
            erasure = journal.known(db, erasure_id)
        if erasure is None:
            raise ConfigError(f"nothing was forgotten under {erasure_id.hex()!r}")
        return _told(replace(erasure, problem=problem))

    # In the writer lane.

    def _take_rows(self, ask: ForgetAsk) -> Erasure:
        act_id = new_id()
        with self._store.erasing() as (db, commit_no, t_ns), telling(db, self._writer.goes_on):
            selection = selection_of(db, ask)
            add_tombstones(self._store.tombstones, selection, commit_no, act_id)
            erased = erase(
                db,
                selection.conditions(),
                selection.whole,
                self._store.media.folder,
                ids=selection.ids,
                person=selection.person,
            )
            add_act(db, _act(act_id, t_ns, selection, erased.counts["observations"]), commit_no)
            erasure = journal.begin(db, act_id, commit_no, t_ns, erased)
        self._shelf.remove(erased.key_ids)
        self._store.touched |= erased.origins
        self._changed(erased.ids)
        return erasure

    def _wipe_media(self, erasure: Erasure) -> bool:
        with self._store.views() as db:
            is_over = wipe_files(db, erasure.erasure_id, self._store.media.folder)
            if is_over:
                journal.advance(db, erasure)
        return is_over

    def _compact(self, erasure: Erasure) -> bool:
        if not self._store.outside(lambda db: compact(db, self._store.path, self._writer.goes_on)):
            return False
        self._advance(erasure)
        return True

    def _advance(self, erasure: Erasure, remains: dict[str, int] | None = None) -> None:
        with self._store.views() as db:
            stage = journal.advance(db, erasure, remains)
        if stage == "done":
            self._store.outside(cut_wal)  # The fingerprints go with it.

    # In the background lane.

    def _erase_views(self, erasure: Erasure) -> bool:
        rebuild.abandon(self._store_dir / "views")
        with self._reader.snapshot() as db:
            return self._shelf.erase(db, erasure.key_ids, erasure.erasure_id)

    def _clean_spools(self, erasure: Erasure) -> bool:
        """Waits for those of running processes: what they hold of it is delivered, refused and cleaned."""
        folder = self._store_dir / "spool"
        with self._reader.snapshot() as db:
            running = clean_spools(folder, db)
            left = in_spools(folder, self._search_of(erasure), db, erasure.salt)
        if self._spool_since_s is None:
            self._spool_since_s = time.monotonic()
        waited_s = time.monotonic() - self._spool_since_s
        return not left or not running or waited_s > SPOOL_PATIENCE_S

    def _search(self, erasure: Erasure) -> dict[str, int]:
        """The last stage; snapshots that lie in the store forget first."""
        found = {path for depth in ("*", "*/*") for path in self._store_dir.glob(f"{depth}/{MANIFEST}")}
        for manifest in sorted(found):
            with suppress(Corrupt):  # A damaged one is searched as it is.
                forget_in(manifest.parent, self._store_dir)
        with self._reader.snapshot() as db:
            return search_store(
                self._store_dir, self._search_of(erasure), db, erasure.erasure_id, erasure.salt
            )

    def _search_of(self, erasure: Erasure) -> ByteSearch:
        return ByteSearch(erasure.salt, erasure.prints, self._background.goes_on)

    # In the loop.

    def _begun(self, received: Received, erasure: Erasure) -> None:
        self._due.append(erasure)
        self._woken()
        self._log.info("forgetting", observations=erasure.counts.get("observations", 0))
        received.reply(_told(erasure))

    def _stage_ended(self, erasure: Erasure, done: bool | dict[str, int]) -> None:
        """`done` False: the same again in a while; a stage of the background is noted by the writer."""
        erasure.problem = ""
        if done is False:
            self._busy = False
            self._next_ns = self._now_ns + AGAIN_NS
        elif erasure.stage in ("media", "log"):
            self._noted(erasure)
        else:
            remains = done if isinstance(done, dict) else None
            self._writer.submit(
                self._advance,
                erasure,
                remains,
                done=lambda _: self._noted(erasure, remains),
                failed=self._stage_failed,
            )

    def _noted(self, erasure: Erasure, remains: dict[str, int] | None = None) -> None:
        self._busy = False
        self._spool_since_s = None
        erasure.stage = journal.STAGES[journal.STAGES.index(erasure.stage) + 1]
        if erasure.stage == "done":
            self._due.popleft()
            self._log.info("forgot", verified=not remains)

    def _stage_failed(self, error: BaseException) -> None:
        """Stays where it was and is tried again: what was taken stays out of sight."""
        if isinstance(error, OSError):
            error = OmniRecallError(f"{type(error).__name__}: {error}")
        if not isinstance(error, OmniRecallError):
            raise error
        self._busy = False
        self._next_ns = self._now_ns + FAILED_NS
        self._due[0].problem = error.message
        self._log.warning("forget_waits", error=type(error).__name__, stage=self._due[0].stage)


def _act(act_id: bytes, t_ns: int, selection: Selection, observations: int) -> Act:
    """That something was forgotten, not what."""
    return Act(
        act_id=act_id, kind="forget", t_ns=t_ns, value={"by": selection.by, "observations": observations}
    )


def _told(erasure: Erasure) -> ForgetDone:
    return ForgetDone(
        erasure_id=erasure.erasure_id,
        stage=erasure.stage,
        counts=erasure.counts,
        over=erasure.stage == "done",
        verified=erasure.verified,
        remains=erasure.remains,
        problem=erasure.problem,
    )
