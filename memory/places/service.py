"""Places, as a part of the memory process: steps of the map in idle time, questions, acts of the owner."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Protocol, cast

from memory.log.acts import acts_of
from memory.log.reader import LogReader
from memory.log.store import LogStore, PutItem
from memory.places.decide import act_of
from memory.places.map import place_id_of
from memory.places.objects import objects_told
from memory.places.settings import PlaceSettings
from memory.places.store import Looked, PlaceStore
from memory.places.told import places_by_id, places_told
from stream.errors import DiskFull, OmniRecallError, StoreBusy
from stream.messages import Act, CommitPut
from stream.messages.envelope import Message
from stream.messages.places import (
    ObjectsAsk,
    ObjectsTold,
    PlaceDone,
    PlacePut,
    PlacesAsk,
    PlacesTold,
    PlaceTold,
)
from stream.process.lanes import Lane
from stream.process.service import Received

LOOK_IDLE_NS = 60_000_000_000
"""Between two looks while nothing is committed."""
WAIT_NS = 1_000_000_000
"""How long it rests after there was no room to write, or another process wrote."""


class Answers(Protocol):
    """A process that answers messages."""

    def on(self, kind: type[Message], function: Callable[[Received], None]) -> None:
        """Registers what happens to messages of a type."""
        ...


class Places:
    """Keeps the map in step with the log.

    `hold`, `told` and `put` are for lanes, or for whoever owns the store alone; the rest for the loop.

    Args:
        store: The writer's side.
        reader: Connections of the lanes' own.
        settings: Of the map.
        now_ns: UTC clock.
        writer, looks: Lanes; None where `hold` and `put` alone are called.
        made: In the place of the store of places that the settings make.
    """

    def __init__(
        self,
        store: LogStore,
        reader: LogReader,
        settings: PlaceSettings,
        now_ns: Callable[[], int],
        writer: Lane | None = None,
        looks: Lane | None = None,
        made: PlaceStore | None = None,
    ) -> None:
        self._store, self._reader, self._settings, self._now_ns = store, reader, settings, now_ns
        self._writer, self._looks = writer, looks
        self._made = made or PlaceStore(settings)
        self._busy = False
        self._due = True
        self._next_ns = self._look_ns = 0
        self.counts: dict[str, int] = {}

    # In the loop.

    def register(self, service: Answers) -> None:
        """Has a process answer `places.ask`, `objects.ask` and `place.put`."""
        service.on(PlacesAsk, self._take_ask)
        service.on(ObjectsAsk, self._take_objects)
        service.on(PlacePut, self._take_put)

    def wake(self) -> None:
        """Something was committed, decided or forgotten."""
        self._due = True

    def turn(self, now_ns: int) -> None:
        """Begins the next step if one is due; called where nothing more urgent waits.

        Args:
            now_ns: Monotonic.
        """
        is_due = self._due or now_ns >= self._look_ns
        if self._busy or not is_due or now_ns < self._next_ns or not self._settings.enabled:
            return
        if self._looks is None or self._writer is None:
            return
        self._busy, self._due = True, False
        self._look_ns, self._next_ns = now_ns + LOOK_IDLE_NS, now_ns
        self._looks.submit(self._look, done=self._looked, failed=self._failed)

    def _looked(self, looked: Looked | None) -> None:
        if looked is None or self._writer is None:
            self._busy = False
            return
        self._writer.submit(self._write, looked, done=self._wrote, failed=self._failed)

    def _wrote(self, more: bool) -> None:
        self._busy = False
        self._due |= more

    def _failed(self, error: BaseException) -> None:
        self._busy, self._due = False, True
        if not isinstance(error, DiskFull | StoreBusy):
            raise error
        self._next_ns += WAIT_NS

    def _take_ask(self, received: Received) -> None:
        if self._looks is not None:
            self._looks.submit(
                lambda: self.told(cast(PlacesAsk, received.message)),
                done=received.reply,
                failed=lambda error: _fail(received, error),
            )

    def _take_objects(self, received: Received) -> None:
        if self._looks is not None:
            self._looks.submit(
                lambda: self.objects(cast(ObjectsAsk, received.message)),
                done=received.reply,
                failed=lambda error: _fail(received, error),
            )

    def _take_put(self, received: Received) -> None:
        if self._writer is not None:
            self._writer.submit(
                lambda: self.put(cast(PlacePut, received.message)),
                done=received.reply,
                failed=lambda error: _fail(received, error),
            )

    # In lanes.

    def _look(self) -> Looked | None:
        with self._reader.snapshot() as db:
            return self._made.look(db) if self._made.is_due(db) else None

    def _write(self, looked: Looked) -> bool:
        with self._store.views() as db:
            more = self._made.write(db, looked)
        self.counts["views_placed"] = self.counts.get("views_placed", 0) + len(looked.found)
        return more

    def hold(self) -> None:
        """Brings the map up to date; for whoever has the store alone."""
        while (looked := self._look()) is not None:
            self._write(looked)

    def told(self, ask: PlacesAsk) -> PlacesTold:
        """What is known of places.

        Raises:
            ConfigError: If a place is named that there is not.
        """
        with self._reader.snapshot() as db:
            return places_told(db, ask)

    def objects(self, ask: ObjectsAsk) -> ObjectsTold:
        """What is known of objects at places; raises as `objects_told`."""
        with self._reader.snapshot() as db:
            return objects_told(db, ask, self._settings)

    def put(self, put: PlacePut) -> PlaceDone:
        """Commits what the owner decides, and has it hold at once; for the writer's lane.

        Raises:
            ConfigError: If it names nothing, or what is not there.
        """
        with self._reader.snapshot() as db:
            act = act_of(db, put, self._now_ns())
        self._store.commit([PutItem("memory", CommitPut(outbox_seq=act.t_ns, acts=(act,)))])
        with self._store.views() as db:
            self._made.apply_acts(db)
            return PlaceDone(act=act, commit_no=self._store.last_commit, places=tuple(_about(db, act)))


def _about(db: sqlite3.Connection, act: Act) -> list[PlaceTold]:
    """The places that an act is about, as they are now; of one that undoes, of the act that is undone."""
    told = acts_of(db, [act.undoes])[0] if act.undoes else act
    others = told.value.get("places", ())
    ids = [told.target, place_id_of(told.act_id), *(others if isinstance(others, list | tuple) else ())]
    return places_by_id(db, [one for one in ids if isinstance(one, bytes)])


def _fail(received: Received, error: BaseException) -> None:
    if not isinstance(error, OmniRecallError):
        error = OmniRecallError(f"memory failed on {received.decoded.topic}: {type(error).__name__}")
    received.fail(error)
