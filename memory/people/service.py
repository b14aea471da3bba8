"""People, as a part of the memory process: the view is made in idle time, requests are answered beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import msgspec

from memory.log.reader import LogReader
from memory.log.store import LogStore, PutItem
from memory.people.acting import act_of
from memory.people.told import people, person
from memory.people.view import PeopleView, clear
from memory.retention import Answers
from memory.settings import PeopleSettings
from stream.errors import ConfigError, DiskFull, OmniRecallError, StoreBusy
from stream.messages import CommitPut
from stream.messages.envelope import Message
from stream.messages.people import PeopleAsk, PeopleTold, PersonTold
from stream.process.lanes import Lane
from stream.process.service import Received

PATIENCE_S = 20.0
"""How long a request may make the view itself: after an act all that was heard is heard anew."""


class People:
    """Makes the view of persons and answers `people.ask`. Off, it takes the view away and makes none.

    `step` and `answer` are for lanes, or for whoever owns the store alone; the rest belongs to the loop.

    Args:
        store: The writer's side.
        reader: Connections of the lanes' own.
        settings: Whether, and how alike.
        now_ns: UTC clock.
        writer: The lane that writes; None where `step` and `answer` are called alone.
    """

    def __init__(
        self,
        store: LogStore,
        reader: LogReader,
        settings: PeopleSettings,
        now_ns: Callable[[], int],
        writer: Lane | None = None,
    ) -> None:
        self._store, self._reader, self._settings, self._now_ns = store, reader, settings, now_ns
        self._writer = writer
        self._view = PeopleView(settings)
        self._busy = False
        self._due = True

    # In the loop.

    def register(self, service: Answers) -> None:
        """Has a process answer `people.ask`."""
        service.on(PeopleAsk, self._take)

    def wake(self) -> None:
        """Something was committed, or forgotten."""
        self._due = True

    def turn(self) -> None:
        """Starts the next step if one is due; called where nothing more urgent waits."""
        if self._busy or not self._due or self._writer is None:
            return
        self._busy, self._due = True, False
        self._writer.submit(self.step, done=self._stepped, failed=self._failed)

    def _stepped(self, more: bool) -> None:
        self._busy = False
        self._due |= more

    def _failed(self, error: BaseException) -> None:
        """The view is looked at again with the next commit."""
        self._busy = False
        if not isinstance(error, DiskFull | StoreBusy):
            raise error

    def _take(self, received: Received) -> None:
        if self._writer is None:
            return

        def failed(error: BaseException) -> None:
            if not isinstance(error, OmniRecallError):
                error = OmniRecallError(f"memory failed on {received.decoded.topic}: {type(error).__name__}")
            received.fail(error)

        self._writer.submit(self.answer, received.message, done=received.reply, failed=failed)

    # In the writer lane.

    def step(self) -> bool:
        """Hears the next stretch; True where there is more."""
        try:
            return self._step()
        except BaseException:
            self._view = PeopleView(self._settings)  # What was not written is made again.
            raise

    def _step(self) -> bool:
        with self._store.views() as db:
            if self._settings.enabled:
                return self._view.advance(db)
            # What was made while it was on is not kept once the owner turned it off.
            if db.execute("SELECT 1 FROM voice LIMIT 1").fetchone() is not None:
                clear(db)
        return False

    def answer(self, message: Message) -> PeopleTold:
        """The persons as they are by now, or an act and what came of it.

        Raises:
            ConfigError: If people are off, or the request names nobody, nothing or too much.
        """
        ask = cast(PeopleAsk, message)
        if not self._settings.enabled:
            raise ConfigError(
                "voices are not told apart in this store: people are off",
                remedy="set memory.people.enabled and audio.speakers.enabled: what is heard from then on has"
                " voices, and files that were indexed before have them in a new store",
            )
        more = self._caught_up()
        if ask.op in ("list", "show"):
            with self._reader.snapshot() as db:
                told = people(db, ask) if ask.op == "list" else person(db, ask)
            return msgspec.structs.replace(told, more=more)
        with self._reader.snapshot() as db:
            act = act_of(db, ask, self._now_ns())
        self._store.commit([PutItem("memory", CommitPut(outbox_seq=self._now_ns(), acts=(act,)))])
        more = self._caught_up()
        return PeopleTold(act=act, persons=self._touched(act.target), more=more)

    def _touched(self, target: bytes) -> tuple[PersonTold, ...]:
        """The person that an act was on, as it is after it."""
        try:
            with self._reader.snapshot() as db:
                return person(db, PeopleAsk(op="show", who=target.hex(), limit=0)).persons
        except ConfigError:
            return ()  # Of an undo, whose target is an act; or of an utterance too short to be anybody's.

    def _caught_up(self) -> bool:
        """Makes the view as far as there is time; True where more is to be heard."""
        ends_at_s = time.monotonic() + PATIENCE_S
        while self.step():
            if time.monotonic() > ends_at_s:
                return True
        return False
