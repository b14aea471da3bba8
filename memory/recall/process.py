"""The recall process: answers what memory passes on, from indexes that it alone keeps.

It reads the store and writes nothing of it but the files under `views`. It follows the log by itself; only
what goes without a trace in the log it is told (`stream.messages.views`). Whatever happens to it, memory
starts another one (`memory.recall.apart`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ClassVar, cast

from memory.keys import speaks
from memory.keys.encoder import EncoderLink
from memory.keys.index import IndexShelf
from memory.keys.turns import BUILDING_NS
from memory.likeness import alike
from memory.log.database import RECALL_CACHE_KIB
from memory.log.reader import LogReader
from memory.recall.apart import ids_of
from memory.recall.learner import Learner
from memory.recall.pipeline import Recall
from memory.recall.questions import Questions
from memory.settings import MemorySettings
from stream.errors import OmniRecallError
from stream.messages import RecallAsk
from stream.messages.control import LikenessAsk, LikenessFound
from stream.messages.envelope import Message
from stream.messages.views import ViewsAsk, ViewsTold
from stream.process.heap import give_back_blocks_from
from stream.process.lanes import Lane
from stream.process.service import Received, Service, rss_bytes
from stream.process.surroundings import Surroundings

FOLLOW_NS = 250_000_000
"""How often the log is looked at: what came since, a question would add by itself, while its asker waits."""
AGAIN_NS = 2_000_000_000
"""How long the upkeep of the indexes waits after it failed."""
BLOCK_BYTES, SPARE_BYTES = 8 << 20, 32 << 20
"""Indexes of a store with a process of its own are larger, and go back to the system when they are freed;
what a question makes, vectors of a thousand keys, does not."""


class RecallService(Service):
    """Listens on the endpoint that its arguments name: recall, likeness, and memory's word on the indexes."""

    role: ClassVar[str] = "memory"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._settings = cast(MemorySettings, surroundings.settings)
        self._busy = True
        self._follow_ns = self._tend_ns = 0
        self._version = -1
        self._kept_up: frozenset[str] = frozenset()
        self._dropped: set[str] = set()
        self._erasing: set[bytes] = set()
        self._erased: set[bytes] = set()
        self._saved_at_end: bool | None = None

    def set_up(self) -> None:
        """Serves at once: the first questions wait for the index that they need, or find it loaded."""
        give_back_blocks_from(BLOCK_BYTES, spare_bytes=SPARE_BYTES)
        store_dir, settings = self.surroundings.store_dir, self._settings
        self._reader = LogReader(store_dir)
        self._recall_reader = LogReader(store_dir, RECALL_CACHE_KIB, is_mapped=True)
        self._shelf = IndexShelf(store_dir / "views", gpu=settings.gpu)
        self._learner = Learner(settings.recall)
        self._pipeline = Recall(self._shelf, settings.recall)
        link = EncoderLink(self.surroundings.run_dir, self.name)
        self._questions = Questions(self._recall_reader, self._pipeline, link, settings.recall)
        self._queries = self.lane("query", settings.query_threads)
        self._background, self._views = self.lane("background"), self.lane("views")
        self._background.submit(self._load, done=self._kept, failed=self._not_kept)
        self.on(RecallAsk, lambda received: self._query(received, self._recall))
        self.on(LikenessAsk, lambda received: self._query(received, self._alike))
        self.on(ViewsAsk, self._take_word)
        self.listen(str(self.surroundings.arguments["endpoint"]))

    def idle(self) -> None:
        """Starts what is due of the upkeep."""
        now_ns = self.clock.monotonic_ns()
        if self._busy or self.draining:
            return
        if now_ns >= self._tend_ns:
            self._tend_ns = now_ns + int(self._settings.index_save_s * 1e9)
            self._keep(self._tend)
        elif now_ns >= self._follow_ns:
            self._follow_ns = now_ns + FOLLOW_NS
            self._keep(self._follow)

    def drain(self) -> bool:
        """Saves the indexes, unless memory has gone: another process may be at work on them by then."""
        if os.getppid() != self._parent_pid:
            return True
        if self._busy or self._queries.pending:
            return False
        if self._saved_at_end is None:
            self._saved_at_end = False
            self._background.submit(
                self._shelf.save, done=lambda _: self._saved(), failed=lambda _: self._saved()
            )
        return self._saved_at_end

    def close(self) -> None:
        """Closes what no lane works on."""
        lanes: tuple[Lane, ...] = (self._queries, self._background, self._views)
        if not any(lane.pending for lane in lanes):
            self._shelf.close()
            self._reader.close()
            self._recall_reader.close()

    def _saved(self) -> None:
        self._saved_at_end = True  # Or not: an index is a cache.

    # Questions, in the query lane.

    def _query(self, received: Received, answer: Callable[[Received], Message]) -> None:
        self._queries.submit(
            answer, received, done=received.reply, failed=lambda error: self._not_answered(received, error)
        )

    def _not_answered(self, received: Received, error: BaseException) -> None:
        if not isinstance(error, OmniRecallError):
            self.log.error("query_failed", topic=received.decoded.topic, error=type(error).__name__)
            error = OmniRecallError(f"memory failed on {received.decoded.topic}: {type(error).__name__}")
        received.fail(error)

    def _recall(self, received: Received) -> Message:
        if self._learner.learns:
            with self._reader.snapshot() as db:
                weights = self._learner.weights(db)
            self._pipeline.weigh(weights["other"], weights["chat"])
        return self._questions.answer(received.decoded, lambda stage: self.hop(received.trace_id, stage))

    def _alike(self, received: Received) -> Message:
        with self._reader.snapshot() as db:
            return LikenessFound(items=alike(db, self._shelf, cast(LikenessAsk, received.message).source_id))

    # What memory tells.

    def _take_word(self, received: Received) -> None:
        """Answers at once where there is nothing to be done: it is the heartbeat of this process."""
        ask = cast(ViewsAsk, received.message)
        self._kept_up = frozenset(ask.encoders)
        self._dropped -= self._kept_up  # A model that was brought back.
        if not received.decoded.parts:
            received.reply(self._told(ask))
            return
        if ask.erasure and ask.erasure not in self._erasing:
            self._erasing.add(ask.erasure)
            self._background.submit(
                self._erase,
                ids_of(received, "erased"),
                done=lambda _: self._erased.add(ask.erasure),
                failed=lambda error: self._not_erased(ask.erasure, error),
            )
        self._views.submit(
            self._let_go,
            ask,
            ids_of(received, "removed"),
            done=lambda _: received.reply(self._told(ask)),
            failed=lambda error: self._not_answered(received, error),
        )

    def _told(self, ask: ViewsAsk) -> ViewsTold:
        return ViewsTold(
            pid=os.getpid(),
            working_s=max(lane.working_s() for lane in self._lanes.values()),
            rss_bytes=rss_bytes(),
            indexes=self._shelf.describe(),
            words=self._shelf.describe_words(),
            mapped_bytes=self._shelf.mapped_bytes,
            erased=ask.erasure in self._erased,
        )

    def _let_go(self, ask: ViewsAsk, removed: list[int]) -> None:
        """In the lane of views."""
        if removed:
            self._shelf.remove(removed)
        for encoder_id in ask.dropped:
            self._dropped.add(encoder_id)
            self._shelf.drop(encoder_id)
        if ask.forgets:
            self._pipeline.forget()

    def _erase(self, key_ids: list[int]) -> None:
        """In the background lane, which alone writes files."""
        self._pipeline.forget()
        with self._reader.snapshot() as db:
            self._shelf.erase(db, key_ids)

    def _not_erased(self, erasure: bytes, error: BaseException) -> None:
        self._erasing.discard(erasure)  # Memory asks again.
        self._not_kept(error)

    # Upkeep, in the background lane.

    def _keep(self, work: Callable[[], None]) -> None:
        self._busy = True
        self._background.submit(work, done=self._kept, failed=self._not_kept)

    def _kept(self, _: None) -> None:
        self._busy = False

    def _not_kept(self, error: BaseException) -> None:
        if not isinstance(error, OmniRecallError | OSError):
            raise error
        self.log.warning("views_wait", error=type(error).__name__)
        self._busy = False
        self._follow_ns = self.clock.monotonic_ns() + AGAIN_NS

    def _load(self) -> None:
        """The words, by which is answered meanwhile, and all indexes, the one that answers first."""
        with self._reader.snapshot() as db:
            self._shelf.words.load(db)
            answering = speaks.answering(db)
            first = [answering.encoder_id] if answering else []
            for encoder_id in dict.fromkeys([*first, *speaks.encoders(db)]):
                self._shelf.ready(db, encoder_id)

    def _follow(self) -> None:
        """Adds what was committed since the last look."""
        with self._reader.snapshot() as db:
            # Of the connection, so that it changes with what others commit.
            (version,) = db.execute("PRAGMA data_version").fetchone()
            if version == self._version:
                return
            answering = speaks.answering(db)
            self._shelf.words.catch_up(db)
            own = {answering.encoder_id} if answering is not None else set()
            for encoder_id in sorted((own | self._kept_up) - self._dropped):
                self._shelf.ready(db, encoder_id)
            self._version = version

    def _tend(self) -> None:
        was_building = self._shelf.is_building
        with self._reader.snapshot() as db:
            there = speaks.encoders(db)
            for encoder_id in [one for one in self._shelf.describe() if one not in there]:
                self._shelf.drop(encoder_id)
            for encoder_id in there:
                if encoder_id not in self._dropped:
                    self._shelf.ready(db, encoder_id)
        self._shelf.save()
        with self._reader.snapshot() as db:
            self._shelf.tend(db)
        if was_building or self._shelf.is_building:
            self._tend_ns = self.clock.monotonic_ns() + BUILDING_NS
