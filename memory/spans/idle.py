"""What is done about spans in idle time: the tree above events, merging over budget, rebuilding.

The loop calls `turn` where no commit waits. Each step is a small transaction of its own in the writer's
lane, so that commits and questions go in between, and a process that is killed goes on from the store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from memory.keys.prototypes import PrototypeKeyer
from memory.log.reader import LogReader
from memory.log.store import LogStore
from memory.settings import SpanSettings
from memory.spans import rebuild
from memory.spans.consolidate import Consolidator
from memory.spans.merge import Merger, count_events
from memory.spans.rebuild import Rebuild
from memory.spans.tree import Rolled, Tree
from stream.errors import DiskFull, StoreBusy
from stream.messages.control import ReindexTold
from stream.process.lanes import Lane

CALM_NS = 3_000_000_000
"""The least between two looks at what is due where nothing was left to do: an open episode of a live
source is then made anew once for several events."""
LOOK_AGAIN_NS = 60_000_000_000
"""How often it is looked whether time alone closed an episode or a day."""
WAIT_NS = 1_000_000_000
"""How long it rests after there was no room to write, or another process wrote."""
BUILDS_AT_A_TIME = 8


@dataclass(slots=True)
class IdleTold:
    """What was done since it was last asked, by name of metric; and keys of spans that went."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, n: int) -> None:
        """Counts `n` more."""
        if n:
            self.counts[name] = self.counts.get(name, 0) + n


class IdleSpans:
    """Keeps the tree above events, and the budget of events. Its methods belong to the loop's thread.

    Args:
        store: The writer's side.
        reader: Connections of the lanes' own.
        consolidator: Makes shots and events; for rebuilding.
        settings: Of spans.
        writer: The lane that writes.
        beside: A lane of its own, in which new spans are made beside the old ones.
        keys_gone: Told the keys of spans that went, in the writer's lane.
        now_ns: UTC.
    """

    def __init__(
        self,
        store: LogStore,
        reader: LogReader,
        consolidator: Consolidator,
        settings: SpanSettings,
        writer: Lane,
        beside: Lane,
        keys_gone: Callable[[list[int]], None],
        now_ns: Callable[[], int],
    ) -> None:
        self._store, self._reader, self._settings = store, reader, settings
        self._writer, self._beside = writer, beside
        self._keys_gone, self._now_ns = keys_gone, now_ns
        self._tree = Tree(settings, int(settings.live_close_after_s * 1e9))
        self._merger = Merger(settings)
        self._prototypes = PrototypeKeyer(settings.prototypes, settings.prototype_target)
        self._rebuild = Rebuild(store.path.parent, consolidator)
        self._busy = self._rebuilding = False
        self._is_built = self._ready = False
        self._due = True
        self._next_ns = self._look_ns = 0
        self._told = IdleTold()

    def take_told(self) -> dict[str, int]:
        """What was done since the last call, by name."""
        told, self._told = self._told, IdleTold()
        return told.counts

    def wake(self) -> None:
        """Spans may have changed."""
        self._due = True

    def turn(self, now_ns: int) -> None:
        """Begins the next step if one is due.

        Args:
            now_ns: Monotonic.
        """
        is_due = self._due or self._rebuilding or now_ns >= self._look_ns
        if self._busy or now_ns < self._next_ns or not is_due:
            return
        self._busy, self._due = True, False
        self._next_ns = now_ns + CALM_NS
        if self._rebuilding and not self._is_built:
            self._beside.submit(self._build, done=self._built, failed=self._failed)
        else:
            looks = now_ns >= self._look_ns
            if looks:
                self._look_ns = now_ns + LOOK_AGAIN_NS
            self._writer.submit(self._step, looks, done=self._stepped, failed=self._failed)

    def begin_rebuild(self) -> None:
        """Notes in the store that shots and events are to be made anew. In the writer's lane."""
        with self._store.views() as db:
            rebuild.want(db)
        self._rebuilding = self._due = True

    def tell_rebuild(self, told: ReindexTold) -> ReindexTold:
        """How far a rebuild is, told beside how the keys are. For any lane."""
        import msgspec

        with self._reader.snapshot() as db:
            is_wanted, total = rebuild.is_wanted(db), count_events(db)
            due = self._tree.is_due(db)
        made = rebuild.progress_of_rebuild(self._folder) if is_wanted else total
        return msgspec.structs.replace(
            told, views_made=min(made, total), views_total=total, views_over=not is_wanted and not due
        )

    @property
    def _folder(self) -> Path:
        return self._store.path.parent / "views"

    # In lanes.

    def _step(self, looks: bool) -> Rolled:
        with self._store.views() as db:
            if not self._ready:
                self._tree.ready(db)
                self._rebuilding = rebuild.is_wanted(db)
            rolled = Rolled()
            if self._settings.rollup:
                if looks:
                    self._tree.look_again(db, self._now_ns())
                rolled = self._tree.advance(db, self._now_ns(), 1)
            if not rolled.more and not self._is_built:
                merged = self._merger.advance(db)
                rolled.merged, rolled.more = merged.merged, merged.more
                rolled.removed_keys += merged.removed_keys
            if not rolled.more and not self._is_built:
                rolled.more, gone = self._prototypes.advance(db)
                rolled.removed_keys += gone
            swapped = self._rebuild.swap(db) if self._is_built and not rolled.more else None
        self._ready = True
        gone = rolled.removed_keys
        if swapped is not None:
            gone = [*gone, *swapped.removed_keys]
            self._after_lot(swapped)
            rolled.more = True
        if gone:
            self._keys_gone(gone)
        return rolled

    def _after_lot(self, swapped: rebuild.Swapped) -> None:
        if swapped.over:
            self._rebuild.finish()
            self._rebuilding = self._is_built = False
        elif not self._rebuild.is_under_way:
            self._is_built = False  # Something was forgotten meanwhile.

    def _build(self) -> bool:
        return any(self._rebuild.build(self._now_ns()) for _ in range(BUILDS_AT_A_TIME))

    # In the loop.

    def _built(self, is_built: bool) -> None:
        self._busy = False
        self._is_built = is_built
        self._next_ns = 0

    def _stepped(self, rolled: Rolled) -> None:
        self._busy = False
        self._told.add("episodes_made", rolled.episodes)
        self._told.add("days_made", rolled.days)
        self._told.add("events_merged", rolled.merged)
        if rolled.more or self._rebuilding:
            self._due, self._next_ns = True, 0

    def _failed(self, error: BaseException) -> None:
        self._busy, self._due = False, True
        if not isinstance(error, DiskFull | StoreBusy):
            raise error
        self._next_ns += WAIT_NS
