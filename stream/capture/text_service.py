"""The process that reads a text file: what people said in it, to memory, and its word that it has all.

A file may hold many chats, each a source. Nothing flows to perception: the words are there.
Batches go out a few at a time, each durable before the next; whatever is killed on the way,
reading the file again commits the same ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import ClassVar, Literal, cast
from zoneinfo import ZoneInfo

import msgspec

from stream.capture.container import hold, path_of
from stream.capture.probe import ContentHash
from stream.capture.service import remove_spool
from stream.capture.settings import TextSettings, zone_name
from stream.capture.text import read
from stream.capture.turns import Chat, Placed, placed, puts_of, record_of
from stream.errors import OmniRecallError, SourceError, SourceRefused
from stream.messages.control import SourceOpen, SourcesFind, SourcesFound, SourceState
from stream.messages.observation import CommitPut, Reject, SourceRecord
from stream.process.service import Service
from stream.process.surroundings import Surroundings
from stream.wire.bounds import shortened
from stream.wire.codec import Decoded

REPORT_NS = 500_000_000
ASK_NS = 100_000_000
"""Between two questions whether memory has consolidated everything."""
ASK_TIMEOUT_S = 5.0
ASKED_AT_ONCE = 50
MOST_NAMED = 3
MOST_NOTES = 32
NOTE_CHARS = 200

Stage = Literal["starting", "reading", "done", "partial", "rejected", "closed"]


@dataclass(frozen=True, slots=True)
class _Source:
    """A chat that is to be committed, its record, and its turns in order of time."""

    record: SourceRecord
    chat: Chat
    turns: tuple[Placed, ...]


class TextService(Service):
    """Reads the file that its arguments name, which are the fields of `SourceOpen`."""

    role: ClassVar[str] = "text"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._settings = cast(TextSettings, surroundings.settings)
        self._open = msgspec.convert(surroundings.arguments, SourceOpen)
        self._file_id = b""
        self._sources: list[_Source] = []
        self._held: set[bytes] = set()
        self._forgotten: set[bytes] = set()
        self._unasked: list[bytes] = []
        self._puts: Iterator[CommitPut] | None = None
        self._in_flight: dict[int, int] = {}
        self._notes: list[str] = []
        self._rejected = ""
        self._is_sent = False
        self._n_turns = self._n_sent = 0
        self._asking = False
        self._ask_due_ns = self._report_due_ns = 0
        self._over = False

    def set_up(self) -> None:
        """Begins to read the file in a lane."""
        self.log.info("spool", batches=self.outbox.waiting)
        self._report("starting")
        self.lane("files").submit(self._look, done=self._looked, failed=self._refuse)

    def idle(self) -> None:
        """Sends what may go, asks memory what it has, reports."""
        now_ns = self.clock.monotonic_ns()
        if self.draining or self._over:
            return
        if now_ns >= self._report_due_ns:
            self._report_due_ns = now_ns + REPORT_NS
            self._report("reading" if self._sources else "starting")
        if self._puts is not None:
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

    def _look(self) -> tuple[bytes, list[_Source]]:
        path = path_of(self._open.uri)
        hold(path)
        content = ContentHash(path)
        while (digest := content.step()) is None:
            pass
        zone = self._zone()
        return digest, [self._source(chat, zone) for chat in read(path)]

    def _zone(self) -> tzinfo | None:
        try:
            name = zone_name(self._open.time_zone or self._settings.time_zone)
        except ValueError as error:
            raise SourceRefused(f"{self._open.uri}: {error}", remedy="give an IANA time zone") from error
        return ZoneInfo(name) if name else None

    def _source(self, chat: Chat, zone: tzinfo | None) -> _Source:
        turns = tuple(placed(chat.turns, zone, self._open.recorded_at_ns))
        is_dated = any(turn.time is not None for turn in chat.turns)
        time_zone = self._open.time_zone or self._settings.time_zone
        record = record_of(chat, turns, self._open.uri, time_zone, "container" if is_dated else "owner")
        return _Source(record, chat, turns)

    def _looked(self, found: tuple[bytes, list[_Source]]) -> None:
        self._file_id, every = found
        # The same conversation twice in one file is one source.
        self._sources = list({source.record.source_id: source for source in every}.values())
        self._n_turns = sum(len(source.turns) for source in self._sources)
        for source in self._sources:
            named = f"{source.chat.name}: " if source.chat.name else ""
            self._notes += (named + note for note in source.chat.notes)
        self._unasked = [source.record.source_id for source in self._sources]
        self.log.info("chats", n=len(self._sources), turns=self._n_turns)

    # What memory has, and what it lacks.

    def _ask_held(self) -> None:
        """Asks memory about some of the sources: before anything is sent, and until it has all."""
        asked = tuple(self._unasked[:ASKED_AT_ONCE])
        self._asking = True

        def answered(reply: Decoded) -> None:
            self._asking = False
            told = reply.message.sources if isinstance(reply.message, SourcesFound) else ()
            self._forgotten |= {one.source_id for one in told if one.forgotten}
            self._heard(asked, {one.source_id for one in told if one.consolidated})

        def failed(error: OmniRecallError) -> None:
            self._asking = False
            self.log.info("memory_silent", error=type(error).__name__)

        self.ask("memory", SourcesFind(source_ids=asked), answered, failed, timeout_s=ASK_TIMEOUT_S)

    def _heard(self, asked: tuple[bytes, ...], there: set[bytes]) -> None:
        self._held |= there
        if self._is_sent:
            self._unasked = [one for one in self._unasked if one not in there]
            if not self._unasked:
                self._finish()
            return
        self._ask_due_ns = 0
        self._unasked = self._unasked[len(asked) :]
        if not self._unasked:
            self._puts = self._lacking()

    def _lacking(self) -> Iterator[CommitPut]:
        """All turns of the sources that memory lacks; of others only where they were met now."""
        for source in self._sources:
            if source.record.source_id in self._forgotten:
                self._notes.append(f"{source.chat.name or 'this chat'}: forgotten, and kept out")
            elif source.record.source_id in self._held:
                yield CommitPut(outbox_seq=0, sources=(source.record,))
            else:
                yield from puts_of(source.record, source.chat, source.turns)

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
            self._in_flight[seq] = len({one.payload.get("turn") for one in put.observations})

    def committed(self, outbox_seq: int, rejects: tuple[Reject, ...]) -> None:
        """Counts what is on disk; a source that was forgotten on purpose is told."""
        self._n_sent += self._in_flight.pop(outbox_seq, 0)
        if rejects:
            self._rejected = self._rejected or rejects[0].reason

    def _all_committed(self) -> None:
        self._puts, self._is_sent = None, True
        if self._sources and len(self._forgotten) == len(self._sources):
            self._rejected = self._rejected or "forgotten"
        if self._rejected:
            # Memory keeps it out, so that it will never be consolidated.
            self._refuse(
                SourceRefused(
                    f"{self._open.uri} is not taken: {self._rejected}",
                    remedy="it was forgotten on purpose; memory keeps it out",
                )
            )
            return
        self._unasked = [source.record.source_id for source in self._sources]

    # The end.

    def _finish(self) -> None:
        is_partial = any(source.chat.n_bad for source in self._sources)
        if is_partial:
            self._report("partial", "; ".join(self._notes[:MOST_NAMED]), "what could be read was kept")
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
