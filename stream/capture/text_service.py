"""The process that reads a text file: what people said in it, to memory, and its word that it has all.

A file may hold many chats, each a source. Nothing flows to perception: the words are there.
Of a chat that memory holds already, only the turns that it lacks are sent (`stream.capture.grown`).
Batches go out a few at a time, each durable before the next; whatever is killed on the way,
reading the file again commits the same ids.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from typing import IO, ClassVar, Literal, TypeVar, cast

import msgspec

from stream.capture.container import hold, path_of
from stream.capture.grown import Grown, Matching
from stream.capture.probe import ContentHash
from stream.capture.service import remove_spool
from stream.capture.settings import TextSettings, zone_name
from stream.capture.text import read
from stream.errors import DeadlineExceeded, OmniRecallError, RoleUnavailable, SourceError, SourceRefused
from stream.messages.control import SourceOpen, SourcesFind, SourcesFound, SourceState
from stream.messages.envelope import Message
from stream.messages.observation import CommitPut, Reject
from stream.process.service import Service
from stream.process.surroundings import Surroundings
from stream.wire.bounds import shortened
from stream.wire.caller import Caller
from stream.wire.codec import Decoded

R = TypeVar("R", bound=Message)

REPORT_NS = 500_000_000
ASK_NS = 100_000_000
"""Between two questions whether memory has consolidated everything."""
ASK_TIMEOUT_S = 5.0
AWAY_S = 60.0
"""How long memory may be away, restarted or busy, before reading a file gives up and begins anew."""
AGAIN_S = 0.2
TURN_FILE = "chats.lock"
"""Held in `spool/` from asking memory what it has until the rest is there, by one process at a time: two new
chats that begin alike would else both take the first identity of such."""
ASKED_AT_ONCE = 50
MOST_NAMED = 3
MOST_NOTES = 32
NOTE_CHARS = 200

Stage = Literal["starting", "reading", "done", "partial", "rejected", "closed"]


class TextService(Service):
    """Reads the file that its arguments name, which are the fields of `SourceOpen`."""

    role: ClassVar[str] = "text"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._settings = cast(TextSettings, surroundings.settings)
        self._open = msgspec.convert(surroundings.arguments, SourceOpen)
        self._file_id = b""
        self._sources: list[Grown] = []
        self._unasked: list[bytes] = []
        self._puts: Iterator[CommitPut] | None = None
        self._in_flight: dict[int, dict[bytes, object]] = {}
        self._notes: list[str] = []
        self._rejected = ""
        self._n_rejected = 0
        self._is_begun = False
        self._turn: IO[str] | None = None
        self._n_turns = self._n_sent = 0
        self._asking = False
        self._ask_due_ns = self._report_due_ns = 0
        self._over = False

    def set_up(self) -> None:
        """Says that it is there; the file is read when it is its turn."""
        self.log.info("spool", batches=self.outbox.waiting)
        self._report("starting")

    def idle(self) -> None:
        """Sends what may go, asks memory what it has, reports."""
        now_ns = self.clock.monotonic_ns()
        if self.draining or self._over:
            return
        if now_ns >= self._report_due_ns:
            self._report_due_ns = now_ns + REPORT_NS
            self._report("reading" if self._sources else "starting")
        if not self._is_begun:
            self._begin()
        elif self._puts is not None:
            self._send_more()
        elif self._unasked and not self._asking and now_ns >= self._ask_due_ns:
            self._ask_due_ns = now_ns + ASK_NS
            self._ask_held()

    def drain(self) -> bool:
        """Stops; what is not committed is read again another time."""
        if not self._over:
            self._report("closed", "closed before its end")
        return True

    def close(self) -> None:
        """Takes away an outbox that has served."""
        if self._over and not (self.draining or self.outbox.waiting):
            remove_spool(self.outbox)

    # What is in the file.

    def _begin(self) -> None:
        """Begins to read the file in a lane, unless another process is between asking and committing."""
        folder = self.surroundings.store_dir / "spool"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        turn = (folder / TURN_FILE).open("a", encoding="ascii")
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            turn.close()
            return
        self._turn, self._is_begun = turn, True
        self.lane("files").submit(self._look, done=self._looked, failed=self._refuse)

    def _give_turn(self) -> None:
        if self._turn is not None:
            self._turn.close()
            self._turn = None

    def _look(self) -> tuple[bytes, list[Grown]]:
        """Runs in a lane: reads the file, and asks memory what it has of it."""
        path = path_of(self._open.uri)
        hold(path)
        content = ContentHash(path)
        while (digest := content.step()) is None:
            pass
        zone = self._zone()
        chats = read(path)
        with Caller(self.surroundings.run_dir, "memory", self.name) as caller:
            asks = _Patient(caller)
            matching = Matching(asks, self._open.uri, zone, self._open.recorded_at_ns)
            return digest, [matching.of(chat) for chat in chats]

    def _zone(self) -> str:
        try:
            return zone_name(self._open.time_zone or self._settings.time_zone)
        except ValueError as error:
            raise SourceRefused(f"{self._open.uri}: {error}", remedy="give an IANA time zone") from error

    def _looked(self, found: tuple[bytes, list[Grown]]) -> None:
        self._file_id, self._sources = found
        self._n_turns = sum(source.n_new + source.n_known for source in self._sources)
        for source in self._sources:
            named = f"{source.chat.name}: " if source.chat.name else ""
            self._notes += (named + note for note in (*source.chat.notes, *source.notes))
        self._puts = (put for source in self._sources for put in source.puts())
        new = sum(source.n_new for source in self._sources)
        self.log.info("chats", n=len(self._sources), turns=self._n_turns, new=new)

    # Whether memory has all.

    def _ask_held(self) -> None:
        """Asks memory about some of the sources, until it has all."""
        asked = tuple(self._unasked[:ASKED_AT_ONCE])
        self._asking = True

        def answered(reply: Decoded) -> None:
            self._asking = False
            told = reply.message.sources if isinstance(reply.message, SourcesFound) else ()
            self._heard({one.source_id for one in told if one.consolidated})

        def failed(error: OmniRecallError) -> None:
            self._asking = False
            self.log.info("memory_silent", error=type(error).__name__)

        self.ask("memory", SourcesFind(source_ids=asked), answered, failed, timeout_s=ASK_TIMEOUT_S)

    def _heard(self, there: set[bytes]) -> None:
        self._unasked = [one for one in self._unasked if one not in there]
        if not self._unasked:
            self._finish()

    def _send_more(self) -> None:
        assert self._puts is not None  # noqa: S101 - only then it is called
        while len(self._in_flight) < self._settings.in_flight and self.has_room():
            put = next(self._puts, None)
            if put is None:
                if not self._in_flight:
                    self._all_committed()
                return
            seq = self.commit(put)
            if not seq:
                self._refuse(SourceRefused(f"{self._open.uri}: a turn is too much for a message"))
                return
            self._in_flight[seq] = {one.observation_id: one.payload.get("turn") for one in put.observations}

    def committed(self, outbox_seq: int, rejects: tuple[Reject, ...]) -> None:
        """Counts what is on disk; what was forgotten on purpose is told."""
        refused = {one.item_id for one in rejects}
        turns = self._in_flight.pop(outbox_seq, {})
        self._n_sent += len({turn for item_id, turn in turns.items() if item_id not in refused})
        self._n_rejected += len(rejects)
        if rejects:
            self._rejected = self._rejected or rejects[0].reason

    def _all_committed(self) -> None:
        self._puts = None
        self._give_turn()
        n_ids = sum(len(source.ids) for source in self._sources)
        is_known = any(source.n_known for source in self._sources)
        if self._n_rejected >= max(1, n_ids) and not is_known:
            # Memory keeps it out, so that it will never be consolidated.
            self._refuse(
                SourceRefused(
                    f"{self._open.uri} is not taken: {self._rejected}",
                    remedy="it was forgotten on purpose; memory keeps it out",
                )
            )
            return
        if self._n_rejected:
            self._notes.append(f"{self._n_rejected} observation(s) of it are not taken: {self._rejected}")
        self._unasked = list(dict.fromkeys(source.record.source_id for source in self._sources))

    # The end.

    def _finish(self) -> None:
        is_partial = any(source.chat.n_bad for source in self._sources)
        if is_partial:
            bad = [note for source in self._sources for note in source.chat.notes]
            self._report("partial", "; ".join(bad[:MOST_NAMED]), "what could be read was kept")
        else:
            self._report("done")
        self.log.info("ended", turns=self._n_turns, sent=self._n_sent)
        self._over = True
        self.end()

    def _refuse(self, error: BaseException) -> None:
        """A file that cannot be read is no failure of this process: it says so and ends."""
        if not isinstance(error, SourceError):
            raise error
        self.log.warning("rejected", error=type(error).__name__)
        self._give_turn()
        self._report("rejected", error.message, error.remedy)
        self._puts = None
        self._over = True
        self.end()

    def _report(self, state: Stage, reason: str = "", remedy: str = "") -> None:
        self.connect("supervisor").send(
            SourceState(
                uri=self._open.uri,
                state=state,
                source_id=self._file_id,
                reason=reason,
                remedy=remedy,
                read=self._n_turns,
                sent=self._n_sent,
                notes=tuple(shortened(note, NOTE_CHARS) for note in self._notes[:MOST_NOTES]),
            )
        )


class _Patient:
    """Asks memory from a lane; one that is being restarted is waited for.

    Args:
        caller: Of this thread.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __call__(self, kind: type[R], message: Message) -> R:
        """As `stream.capture.grown.Ask`."""
        ends_at_s = time.monotonic() + AWAY_S
        while True:
            try:
                return self._caller.ask_for(kind, message, timeout_s=ASK_TIMEOUT_S)
            except (RoleUnavailable, DeadlineExceeded):
                if time.monotonic() > ends_at_s:
                    raise
                time.sleep(AGAIN_S)
