"""The memory process: commits first, questions beside them, views when there is time.

Three lanes. The writer lane is the only one that writes: group commits, and between them
small steps of consolidation and batches of keys. The query lane reads from connections
of its own. The background lane talks to the encoder and saves indexes. The loop decides
what is next, so that an acknowledgement never waits for a model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from sqlite3 import Connection
from typing import Any, ClassVar, cast

import msgspec

from memory.claims.ledger import told as claims_told
from memory.claims.view import advance as advance_claims
from memory.clips import Clips
from memory.forget.service import Forget
from memory.keys.encoder import EncoderLink
from memory.keys.index import IndexShelf
from memory.keys.maker import KeyMaker
from memory.keys.reindex import Reindex
from memory.keys.speaks import Choice, Speaks, answering, choose, keep
from memory.likeness import alike
from memory.log.counted import Counted
from memory.log.database import RECALL_CACHE_KIB
from memory.log.held import held, history, turns_held
from memory.log.reader import LogReader, feed, last_commit, last_mark
from memory.log.rows import log_rows
from memory.log.status import status_of
from memory.log.store import LogStore, PutItem
from memory.people.service import People
from memory.places.service import Places
from memory.recall.apart import apart_for
from memory.recall.learner import Learner
from memory.recall.pipeline import Recall
from memory.recall.questions import Questions
from memory.recall.recent import RecentRecall
from memory.recall.standing import alerts_told, watches_told
from memory.retention import Retention
from memory.settings import MemorySettings
from memory.snapshot.restore import sweep
from memory.spans.consolidate import Consolidator, Step, ready_views
from memory.spans.idle import IdleSpans
from memory.spans.segment import segmenter_of
from memory.spans.short_term import ShortTerm
from memory.spans.timeline import timeline
from memory.traces import FollowedTraces
from memory.watching import Watching
from stream.errors import DiskFull, OmniRecallError, StoreBusy
from stream.messages import ClaimsAsk, CommitAck, CommitPut, RecallAsk
from stream.messages.citations import WeightsAsk, WeightsTold
from stream.messages.control import (
    HistoryAsk,
    LikenessAsk,
    LikenessFound,
    ReindexAsk,
    SourcesFind,
    SourcesFound,
    StatusAsk,
    TurnsFind,
)
from stream.messages.envelope import Message
from stream.messages.forget import ForgetAsk
from stream.messages.log import LogAsk
from stream.messages.observation import MarkAsk, MarkLast, MemoryCommits, MemoryFeed
from stream.messages.retention import RetentionAsk
from stream.messages.span import TimelineAsk
from stream.messages.watch import AlertsAsk, WatchesAsk
from stream.process.heap import give_back_blocks_from
from stream.process.lanes import Lane
from stream.process.service import Received, Service
from stream.process.settings import SupervisorSettings
from stream.process.surroundings import Surroundings

MOST_WAITING = 1_024
"""Batches held in memory; what comes beyond is not acknowledged and so will come again."""
MOST_AWAITED = 64
"""Sources remembered because capture or perception named them last; status never leaves them out."""
VIEWS_AGAIN_NS = 1_000_000_000
"""How long views wait after there was no room to write them."""
BLOCK_BYTES = 512 << 10
"""Indexes, and copies of them to be saved, are larger, and go back to the system when they are freed."""
MOST_STEPS = 200
"""Steps of the journal of weights in one reply."""
LIVE_TICK_NS = 1_000_000_000
"""How often live sources are looked at although nothing was committed."""


class MemoryService(Service):
    """Listens on `memory`: commits, marks, recall, feed, timeline, log, status."""

    role: ClassVar[str] = "memory"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._settings = cast(MemorySettings, surroundings.settings)
        self._waiting: deque[Received] = deque()
        self._committing = self._consolidating = self._started = False
        self._views_due = True
        self._claims_due = self._claiming = False
        self._live_due_ns = 0
        self._views_after_ns = 0
        self._sweep: deque[str] = deque()
        self._traces = FollowedTraces()
        self._counted = Counted()
        self._awaited: dict[tuple[bytes, int], None] = {}
        self._in_use: list[Lane] = []
        self._opened = ExitStack()

    def set_up(self) -> None:
        """Opens the store, which migrates it; indexes load beside the first questions."""
        give_back_blocks_from(BLOCK_BYTES)
        store_dir = self.surroundings.store_dir
        recall = self._settings.recall
        sweep(store_dir)
        self._learner = Learner(recall)
        self._store = LogStore(
            store_dir,
            now_ns=self.clock.now_ns,
            window=self._settings.window,
            patience_s=self.surroundings.config.typed("supervisor", SupervisorSettings).handover_s,
            learn=self._learner.learn if recall.learn else None,
            voices=self._settings.people.enabled,
        )
        self._opened.callback(self._store.close)
        self._reader = LogReader(store_dir)
        self._opened.callback(self._reader.close)
        recall_reader = LogReader(store_dir, RECALL_CACHE_KIB, is_mapped=True)
        self._opened.callback(recall_reader.close)
        self._apart = apart_for(self, self._reader, self._settings)
        gpu = self._settings.gpu
        self._shelf = self._apart.shelf if self._apart else IndexShelf(store_dir / "views", gpu=gpu)
        self._opened.callback(self._shelf.close)
        self._consolidator = Consolidator(
            segmenter_of(self._settings.spans),
            int(self._settings.spans.live_close_after_s * 1e9),
            informative=self._settings.spans.digest == "informative",
        )
        link = self._link = EncoderLink(self.surroundings.run_dir, self.name)
        self._pipeline = Recall(self._shelf, recall)
        self._weigh()
        self._short_term, self._watching = ShortTerm(self._settings.short_term), Watching(self)
        recent = RecentRecall(self._short_term, self._watching, self._settings.short_term)
        self._questions = Questions(recall_reader, self._pipeline, link, recall, recent, self._apart)
        self._writer = self.lane("writer")
        self._queries = self.lane("query", self._settings.query_threads)
        beside = ("retention", "background", "spans", "places")
        self._in_use += [self._writer, self._queries, *map(self.lane, beside)]
        self._keys = KeyMaker(
            self._store,
            self._reader,
            self._shelf,
            link,
            self._settings,
            self._writer,
            self.lane("background"),
            self._questions.oldest_s,
        )
        self._reindex = Reindex(link, self._keys)
        self._clips = Clips(
            self,
            self._store,
            self._reader,
            self._settings.clips,
            self._writer,
            self._queries,
            self._clip_kept,
        )
        self._writer.submit(self._feed_short_term)
        self._open_upkeep()
        self._writer.submit(self._ready_views, failed=self._views_failed)
        self._sweep.extend(shard.name for shard in self._store.media.shards())
        self._claims_due = self._settings.claims
        self._answer_messages()
        self._forget.start()
        self._keys.start()
        if self._apart is not None:
            self._opened.callback(self._apart.process.close)
            self._apart.process.start()

    def _open_upkeep(self) -> None:
        """Retention, forgetting, and what idle time does about spans."""
        store, reader, writer, now_ns = self._store, self._reader, self._writer, self.clock.now_ns
        looks, budgets, spans = self.lane("retention"), self._settings.retention, self._settings.spans
        self._retention = Retention(store, reader, self._shelf, budgets, now_ns, writer, looks)
        self._retention.register(self)
        self._people = People(store, reader, self._settings.people, now_ns, writer)
        self._people.register(self)
        self._places = Places(store, reader, self._settings.places, now_ns, writer, self.lane("places"))
        self._places.register(self)
        self._forget = Forget(
            store,
            reader,
            self._shelf,
            writer,
            self.lane("background"),
            query=self._query,
            fail=self._not_answered,
            changed=self._let_go,
            woken=self._look_again,
            log=self.log,
        )
        self._idle_spans = IdleSpans(
            store, reader, self._consolidator, spans, writer, self.lane("spans"), self._shelf.remove, now_ns
        )

    def _answer_messages(self) -> None:
        self.on(CommitPut, self._take)
        self.on(MarkAsk, lambda received: self._query(received, self._mark))
        self.on(RecallAsk, lambda received: self._query(received, self._recall))
        self.on(ClaimsAsk, lambda received: self._query(received, self._claims))
        self.on(MemoryFeed, lambda received: self._query(received, self._feed))
        self.on(TimelineAsk, self._by_log(timeline))
        self.on(LogAsk, self._by_log(log_rows))
        self.on(WatchesAsk, self._by_log(watches_told))
        self.on(AlertsAsk, self._by_log(alerts_told))
        self.on(StatusAsk, self._take_status)
        self.on(ReindexAsk, self._take_reindex)
        self.on(SourcesFind, lambda received: self._query(received, self._held))
        self.on(TurnsFind, self._by_log(turns_held))
        self.on(LikenessAsk, lambda received: self._query(received, self._alike))
        self.on(HistoryAsk, self._by_log(lambda db, _: history(db, self.surroundings.store_dir)))
        self.on(WeightsAsk, self._take_weights)
        self.on(ForgetAsk, self._forget.take)
        self.listen("memory")

    def idle(self) -> None:
        """Starts whatever is due: commits before views, views before keys."""
        self._commit_waiting()
        if self._apart is not None:
            self._apart.turn(self.clock.monotonic_ns())
            self._apart.tell(self.metrics, self.log)
        if not self.draining:
            self._forget.turn(self.clock.monotonic_ns())  # Whatever comes in meanwhile.
        if self._committing or self._waiting or self.draining:
            return
        now_ns = self.clock.monotonic_ns()
        self._clips.turn(now_ns)
        self._watching.turn(now_ns)
        is_due = now_ns >= self._views_after_ns and (self._views_due or now_ns >= self._live_due_ns)
        if not self._consolidating and is_due:
            self._consolidating = True
            self._views_due = False
            self._live_due_ns = now_ns + LIVE_TICK_NS
            self._writer.submit(self._consolidate, done=self._consolidated, failed=self._views_failed)
        elif self._claims_due and not self._claiming:
            self._claiming, self._claims_due = True, False
            self._writer.submit(self._claim, done=self._claimed, failed=self._claims_failed)
        elif self._sweep and not self._writer.pending:
            self._writer.submit(self._sweep_media, self._sweep.popleft(), failed=self._views_failed)
        elif not self._consolidating and not self._views_due:
            self._idle_spans.turn(now_ns)
            self._people.turn()
        for name, n in self._idle_spans.take_told().items():
            self.metrics.count(name, n)
        self._keys.turn(now_ns)
        self._tell_keys()
        self._retention.turn(now_ns)
        self._places.turn(now_ns)
        self._retention.tell(self.metrics, self.log)

    def _tell_keys(self) -> None:
        told = self._keys.take_told()
        if told.taken_over:
            self.log.info("encoder_took_over", encoder=self._keys.wanted and self._keys.wanted.encoder_id)
        for error in told.failures:
            self.log.warning("keys_wait", error=error)
        if told.added:
            self.metrics.count("keys_added", told.added)
            for trace_id in self._traces.keyed():
                self.hop(trace_id, "keys.add")

    def drain(self) -> bool:
        """Commits what has arrived and saves the indexes."""
        self._commit_waiting()
        busy = self._committing or self._consolidating or self._claiming or self._clips.is_busy
        if busy or self._waiting:
            return False
        return self._keys.drain() and (self._apart is None or self._apart.process.drain())

    def close(self) -> None:
        """Closes what was opened where no lane works on it any more; a busy one ends with the process."""
        if not any(lane.pending for lane in self._in_use):
            self._opened.close()

    # Commits.

    def _take(self, received: Received) -> None:
        self.hop(received.trace_id, "memory.service")
        if len(self._waiting) >= MOST_WAITING:
            self.metrics.count("puts_shed")
            return
        self._waiting.append(received)
        for source in cast(CommitPut, received.message).sources:
            self._await(source.source_id, source.session)
        self._commit_waiting()

    def _await(self, source_id: bytes, session: int) -> None:
        """Somebody reads this source now, and looks for it in the status until it is done."""
        self._awaited.pop((source_id, session), None)
        self._awaited[source_id, session] = None
        if len(self._awaited) > MOST_AWAITED:
            del self._awaited[next(iter(self._awaited))]

    def _commit_waiting(self) -> None:
        if self._committing or not self._waiting:
            return
        group = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._settings.group_commit))]
        self._committing = True
        started_ns = self.clock.monotonic_ns()
        self._writer.submit(
            self._commit,
            [PutItem.of(received.decoded) for received in group],
            done=lambda acks: self._acknowledge(group, acks, started_ns),
            failed=lambda error: self._not_committed(group, error),
        )

    def _commit(self, batch: list[PutItem]) -> list[CommitAck]:
        """Runs in the writer lane; the next question is scored by what these citations taught."""
        acks = self._store.commit(batch)
        self._feed_short_term()
        if any(item.message.citations for item in batch):
            self._weigh()
        return acks

    def _feed_short_term(self) -> None:
        with self._reader.snapshot() as db:
            for uri in self._short_term.feed(db, self.clock.now_ns()):
                self._watching.heard(uri)

    def _weigh(self) -> None:
        if self._learner.learns:
            with self._reader.snapshot() as db:
                weights = self._learner.weights(db)
            self._pipeline.weigh(weights["other"], weights["chat"])

    def _let_go(self, ids: Sequence[bytes]) -> None:
        """Runs in the writer lane once observations were forgotten: nothing of them stays in memory."""
        self._weigh()
        self._pipeline.forget()
        if self._apart is not None:
            self._apart.process.note_forgotten()
        self._short_term.forget(ids)
        self._reindex.forget()

    def _look_again(self) -> None:
        """Something was committed or forgotten: every view is to be looked at."""
        self._views_due = True
        self._people.wake()
        self._claims_due = self._settings.claims
        self._keys.wake()
        self._places.wake()

    def _acknowledge(self, group: list[Received], acks: list[CommitAck], started_ns: int) -> None:
        self._committing = False
        self._look_again()
        self._retention.wake(self.clock.monotonic_ns())
        self.metrics.observe_s("commit", (self.clock.monotonic_ns() - started_ns) / 1e9)
        for received, ack in zip(group, acks, strict=True):
            self.hop(received.trace_id, "log.commit")
            self._traces.follow(cast(CommitPut, received.message), received.trace_id)
            received.reply(ack)
        tally = self._store.tally
        for name in ("commits", "observations", "duplicates", "conflicts", "rejects"):
            self.metrics.gauge(name, getattr(tally, name))
        self.metrics.gauge("paused", 0)
        self._commit_waiting()

    def _not_committed(self, group: list[Received], error: BaseException) -> None:
        """Without an acknowledgement every batch of the group comes again."""
        self._committing = False
        self.metrics.count("commits_failed")
        self.metrics.count("puts_shed", len(group))
        if not isinstance(error, DiskFull | StoreBusy):
            raise error
        self.metrics.gauge("paused", 1)
        self.log.warning("intake_paused", error=type(error).__name__, message=error.message)

    def _clip_kept(self) -> None:
        self._views_due = True
        self._retention.wake(self.clock.monotonic_ns())

    # Views.

    def _ready_views(self) -> None:
        with self._store.views() as db:
            ready_views(db, self._consolidator.segmenter)

    def _views_failed(self, error: BaseException) -> None:
        """Without room for them the views wait; they are made from the log as at a start."""
        if not isinstance(error, DiskFull | StoreBusy):
            raise error
        self.metrics.count("views_wait")
        self.log.warning("views_wait", error=type(error).__name__)
        self._consolidating = self._started = False
        self._views_due = True
        self._views_after_ns = self.clock.monotonic_ns() + VIEWS_AGAIN_NS

    def _consolidate(self) -> Step:
        touched = self._store.touched if self._started else None
        with self._store.views() as db:
            if touched is None:
                ready_views(db, self._consolidator.segmenter)
            step = self._consolidator.advance(db, self.clock.now_ns(), touched)
        if touched is None and not step.more:
            self._started = True
        self._shelf.remove(step.removed_keys)
        return step

    def _consolidated(self, step: Step) -> None:
        self._consolidating = False
        self._views_due |= step.more
        if not step.changed:
            return
        self._idle_spans.wake()
        self.metrics.count("events_closed", step.closed)
        self.metrics.count("events_refreshed", step.refreshed)
        self._keys.wake()
        for trace_id in self._traces.closed(step.closed_through_ns):
            self.hop(trace_id, "spans.close")

    def _claim(self) -> bool:
        with self._store.views() as db:
            return advance_claims(db)

    def _claimed(self, more: bool) -> None:
        self._claiming = False
        self._claims_due |= more

    def _claims_failed(self, error: BaseException) -> None:
        """They are looked at again with the next commit, or by the next start."""
        self._claiming = False
        if not isinstance(error, DiskFull | StoreBusy):
            raise error
        self.metrics.count("claims_wait")

    def _sweep_media(self, shard: str) -> None:
        gone = self._store.sweep_media(self._store.media.folder / shard)
        if gone:
            self.metrics.count("media_swept", gone)

    # Questions; these run in the query lane.

    def _query(self, received: Received, answer: Callable[[Received], Message]) -> None:
        self.hop(received.trace_id, "memory.service")
        self._queries.submit(
            answer, received, done=received.reply, failed=lambda error: self._not_answered(received, error)
        )

    def _by_log(self, tell: Callable[[Connection, Any], Message]) -> Callable[[Received], None]:
        """What answers a question from a snapshot of the log alone."""

        def told(received: Received) -> Message:
            with self._reader.snapshot() as db:
                return tell(db, received.message)

        return lambda received: self._query(received, told)

    def _not_answered(self, received: Received, error: BaseException) -> None:
        if not isinstance(error, OmniRecallError):
            self.metrics.count("queries_failed")
            self.log.error("query_failed", topic=received.decoded.topic, error=type(error).__name__)
            error = OmniRecallError(f"memory failed on {received.decoded.topic}: {type(error).__name__}")
        received.fail(error)

    def _mark(self, received: Received) -> Message:
        ask = cast(MarkAsk, received.message)
        with self._reader.snapshot() as db:
            return MarkLast(mark=last_mark(db, ask.source_id, ask.session, ask.track))

    def _recall(self, received: Received) -> Message:
        return self._questions.answer(received.decoded, lambda stage: self.hop(received.trace_id, stage))

    def _claims(self, received: Received) -> Message:
        with self._reader.snapshot() as db:
            return claims_told(db, cast(ClaimsAsk, received.message), by_claims=self._settings.claims)

    def _feed(self, received: Received) -> Message:
        ask = cast(MemoryFeed, received.message)
        with self._reader.snapshot() as db:
            return MemoryCommits(
                items=tuple(feed(db, ask.from_commit, ask.limit)), last_commit=last_commit(db)
            )

    def _held(self, received: Received) -> Message:
        ask = cast(SourcesFind, received.message)
        with self._reader.snapshot() as db:
            return SourcesFound(sources=held(db, ask.source_ids, ask.uris))

    def _alike(self, received: Received) -> Message:
        if self._apart is not None and (found := self._apart.likeness(received.decoded)) is not None:
            return found
        here = nullcontext() if self._apart is None else self._apart.here()
        with here, self._reader.snapshot() as db:
            return LikenessFound(items=alike(db, self._shelf, cast(LikenessAsk, received.message).source_id))

    def _take_weights(self, received: Received) -> None:
        """Taking back is for the writer; looking is not."""
        ask = cast(WeightsAsk, received.message)
        if not ask.revert:
            self._query(received, self._weights)
            return
        self._writer.submit(
            self._revert_weights,
            received,
            done=received.reply,
            failed=lambda error: self._not_answered(received, error),
        )

    def _weights(self, received: Received) -> WeightsTold:
        limit = max(0, min(cast(WeightsAsk, received.message).limit, MOST_STEPS))
        with self._reader.snapshot() as db:
            return WeightsTold(
                learns=self._learner.learns,
                weights=self._learner.rows(db),
                steps=self._learner.steps(db, limit),
            )

    def _revert_weights(self, received: Received) -> Message:
        with self._store.views() as db:
            reverted = self._learner.revert(db, cast(WeightsAsk, received.message).turn_id)
        self._weigh()
        return msgspec.structs.replace(self._weights(received), reverted=reverted)

    def _take_reindex(self, received: Received) -> None:
        """Tells how it goes; to begin, finds the model first, then notes the choice, then tells."""
        ask = cast(ReindexAsk, received.message)

        def failed(error: BaseException) -> None:
            self._not_answered(received, error)

        def resolved(found: tuple[Speaks, Choice | None]) -> None:
            named, choice = found
            if ask.begin:
                self._writer.submit(self._choose, choice, ask.keep_old, done=noted, failed=failed)
            else:
                self._query(received, lambda _: self._reindex_told(named))

        def noted(_: None) -> None:
            self._keys.wake()
            self._query(received, lambda _: self._reindex_told())

        if ask.views and ask.begin:
            self._writer.submit(self._idle_spans.begin_rebuild, done=noted, failed=failed)
        elif ask.text or ask.configured:
            self._queries.submit(self._reindex.resolve, ask, done=resolved, failed=failed)
        elif ask.begin:
            self._writer.submit(self._keep, ask.keep_old, done=noted, failed=failed)  # A choice stands.
        else:
            self._query(received, lambda _: self._reindex_told())

    def _choose(self, choice: Choice | None, keep_old: bool | None) -> None:
        with self._store.views() as db:
            choose(db, choice, keep_old)

    def _keep(self, keep_old: bool | None) -> None:
        with self._store.views() as db:
            keep(db, keep_old)

    def _reindex_told(self, would: Speaks | None = None) -> Message:
        with self._reader.snapshot() as db:
            told = self._reindex.told(db, would)
        return self._idle_spans.tell_rebuild(told)

    def _take_status(self, received: Received) -> None:
        awaited = set(self._awaited)
        self._query(received, lambda _: self._status(awaited))

    def _status(self, awaited: set[tuple[bytes, int]]) -> Message:
        spaces = self._link.known_spaces
        with self._reader.snapshot() as db:
            answers = answering(db)
            text = answers.encoder_id if answers is not None else spaces.text if spaces is not None else ""
            wanted = self._reindex.wanted(db)
            turns = self._keys.count_turns_pending(db)
            told = status_of(
                db,
                self.surroundings.store_dir,
                self._shelf.describe(),
                self._keys.count_pending(db) + turns,
                awaited,
                None if spaces is None else {text, spaces.image},
                wanted.encoder_id if wanted is not None else "",
                self._counted,
            )
            is_changing = wanted is not None and answers is not None and wanted.encoder_id != text
            return msgspec.structs.replace(
                told,
                pending_turns=turns,
                lexicon=self._shelf.describe_words(),
                clips=self._clips.told(),
                short_term=self._short_term.told(),
                retention=msgspec.to_builtins(self._retention.told(db, RetentionAsk(limit=0))),
                reindex=msgspec.to_builtins(self._reindex.told(db)) if is_changing else {},
            )
