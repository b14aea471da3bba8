"""Reading files into a store: which are open, how far each is, and how each ended.

Used by `omnirecall index` and `omnirecall demo`. The pipeline does the work; this asks it
to open one source after the other and looks at what the supervisor and memory say of those
that are open, so that a look costs the same whatever the store holds. Whatever process is
killed meanwhile, the supervisor included: what it read is asked for again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stream.capture.container import path_of, uri_of
from stream.commands.connection import Connection
from stream.errors import (
    DeadlineExceeded,
    DiskFull,
    OmniRecallError,
    RoleBroken,
    RoleUnavailable,
    SourceError,
    SourceRefused,
    StoreBusy,
)
from stream.messages.control import (
    Likeness,
    LikenessAsk,
    LikenessFound,
    SourceClose,
    SourceHeld,
    SourceOpen,
    SourcesAsk,
    SourcesFind,
    SourcesFound,
    SourcesState,
    SourceState,
    SourceStatus,
)
from stream.messages.observation import CommitAck, CommitPut, SourceRecord

if TYPE_CHECKING:
    from stream.capture.probe import ContentHash

Outcome = Literal["waiting", "reading", "done", "partial", "rejected", "already there", "relinked", "stopped"]
INDEXED = ("done", "partial", "already there", "relinked")
"""Outcomes after which the store knows the file."""

POLL_S = 0.2
AWAY_S = 60.0
"""How long a process that was restarted may stay away before indexing gives up."""
WAIT_FOR_ROOM_S = 600.0
"""How long room on the disk is waited for; the owner may be making some."""
TELL_PLACE_S = 3.0
"""How long a file waits for a place, while none of this run is read, before it is told."""
LIKENESS_S = 5.0
FORGOTTEN = ("its content was forgotten", "it stays forgotten in this store; index it into another one")
ASKED_AT_ONCE = 50
"""Sources in one question to memory: all of them fit into its reply, however many places each has."""


@dataclass
class Job:
    """One file. `share` is how much of it memory knows, 0 to 1, and `seconds` what it took.

    `source_id` is the hash of its content, empty until that is known: a file is hashed once,
    however often it is tried to open it. `like` names files that have the same content,
    `notes` say what was assumed or left out. Of a file of chats `turns_new` were added, and
    `turns_known` were there.
    """

    path: Path
    recorded_at_ns: int | None = None
    outcome: Outcome = "waiting"
    share: float = 0.0
    duration_ns: int | None = None
    source_id: bytes = b""
    reason: str = ""
    remedy: str = ""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    like: tuple[Likeness, ...] = ()
    length_s: float = 1.0
    turns_new: int | None = None
    turns_known: int | None = None
    was_opened: bool = field(default=False, repr=False)
    began_s: float = field(default=0.0, repr=False)
    hashing: ContentHash | None = field(default=None, repr=False)

    @property
    def uri(self) -> str:
        """What the pipeline calls the file."""
        return uri_of(self.path)

    @property
    def is_open(self) -> bool:
        """Whether the pipeline is reading it."""
        return self.outcome == "reading"

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do."""
        return self.outcome not in ("waiting", "reading")


def silent(_: str) -> None:
    """For those who need not be told that indexing waits."""


def unheard(_: Job | None) -> None:
    """For those who need not be told which file waits for a place."""


class Indexing:
    """Has files read, a few at a time, until each has ended.

    Args:
        connection: To the processes of the store.
        jobs: The files, in the order in which they are read.
        told: Called with a job after each change of it, for progress.
        paused: Called with the reason when intake begins to wait, and with nothing when it goes on.
        wait_for_room_s: How long to wait for room on the disk.
        waits: Called with a file that waits until others, of another command, are read; with None
            when it does no more.
    """

    def __init__(
        self,
        connection: Connection,
        jobs: Sequence[Job],
        told: Callable[[Job], None],
        paused: Callable[[str], None] = silent,
        wait_for_room_s: float = WAIT_FOR_ROOM_S,
        waits: Callable[[Job | None], None] = unheard,
    ) -> None:
        self._connection = connection
        self._waiting = deque(job for job in jobs if job.outcome == "waiting")
        self._reading: list[Job] = []
        self._told = told
        self._tell_paused = paused
        self._wait_for_room_s = wait_for_room_s
        self._paused_since_s: float | None = None
        self._away_since_s: float | None = None
        self._tell_waits = waits
        self._placeless_since_s: float | None = None
        self._is_placeless = False

    def run(self, more: Callable[[], Iterable[Job]] | None = None) -> None:
        """Returns when every job is over; with `more`, goes on asking it for jobs until interrupted.

        Raises:
            RoleUnavailable: If a process is broken or stays away.
            StoreBusy: If another process keeps the store for too long.
            DiskFull: If there was no room on the disk for too long.
        """
        while True:
            if more is not None:
                self._waiting.extend(more())
            if not self._waiting and not self._reading:
                if more is None:
                    return
                time.sleep(POLL_S)
                continue
            try:
                went_on = self._turn()
                self._away_since_s = None
            except (RoleUnavailable, DeadlineExceeded, StoreBusy) as error:
                self._be_patient(error)
                went_on = False
            if not went_on:
                time.sleep(POLL_S)

    def stop(self, reason: str = "") -> None:
        """Has the open files closed; what is known of them stays, and indexing them again goes on there."""
        for job in self._reading:
            try:
                self._connection.ask("supervisor", SourceState, SourceClose(uri=job.uri), timeout_s=2.0)
            except OmniRecallError:
                continue  # Nobody is left to close it: it is closed.
        for job in (*self._reading, *self._waiting):
            job.outcome, job.reason = "stopped", reason
        for job in self._reading:
            self._told(job)
        self._reading.clear()
        self._waiting.clear()

    def _turn(self) -> bool:
        """One look, and what follows from it; whether there is more to do at once."""
        asked = [*self._reading, *list(self._waiting)[:1]]
        ask = SourcesAsk(uris=tuple(job.uri for job in asked))
        state = self._connection.ask("supervisor", SourcesState, ask)
        if state.broken:
            raise RoleBroken(f"a process keeps failing: {state.broken}", remedy="omnirecall doctor")
        self._note_paused(state.paused)
        states = {one.uri: one for one in state.sources}
        self._follow_all(states)
        if state.paused:
            return False
        head = self._waiting[0] if self._waiting else None
        is_adopted = head is not None and head.uri in states and _is_live(states[head.uri])
        went_on = self._open_next(1 if is_adopted else state.room)
        self._note_place(went_on)
        return went_on

    # Files that are open.

    def _follow_all(self, states: dict[str, SourceState]) -> None:
        ids = tuple(job.source_id for job in self._reading if job.source_id)
        held = {one.source_id: one for one in self._find(ids)}
        for job in list(self._reading):
            state = states.get(job.uri)
            if state is None:
                self._open_again(job)  # The supervisor that read it is no more.
            else:
                self._follow(job, state, held.get(job.source_id))
            if not job.is_open:
                self._reading.remove(job)
            self._told(job)

    def _open_again(self, job: Job) -> None:
        job.outcome = "waiting"
        self._waiting.appendleft(job)

    def _follow(self, job: Job, state: SourceState, held: SourceHeld | None) -> None:
        job.duration_ns = state.duration_ns or job.duration_ns
        job.notes = state.notes or job.notes
        if state.source_id and state.source_id != job.source_id:
            job.source_id = state.source_id  # It changed after it was hashed.
            held = None
        if state.state == "rejected":
            self._end(job, "rejected", state.reason, state.remedy)
        elif state.state == "closed":
            self._end(job, "stopped", state.reason, state.remedy)
        elif held is not None and held.forgotten:
            self._end(job, "rejected", *FORGOTTEN)
        elif held is not None:
            job.share = max(job.share, known_share(held))
            if held.consolidated and state.state in ("done", "partial"):
                job.like = self._alike(job)
                self._end(job, "done" if state.state == "done" else "partial", state.reason, state.remedy)

    def _alike(self, job: Job) -> tuple[Likeness, ...]:
        try:
            ask = LikenessAsk(source_id=job.source_id)
            return self._connection.ask("memory", LikenessFound, ask, timeout_s=LIKENESS_S).items
        except OmniRecallError:
            return ()  # Worth a remark, not a failure.

    def _end(self, job: Job, outcome: Outcome, reason: str = "", remedy: str = "") -> None:
        job.outcome, job.reason, job.remedy = outcome, reason, remedy
        job.share = 1.0 if outcome in INDEXED else job.share
        job.seconds = time.monotonic() - job.began_s if job.began_s else 0.0
        job.hashing = None

    # Files that wait.

    def _open_next(self, room: int) -> bool:
        """Works towards opening waiting files, for a moment; whether it is worth going on at once.

        While all that may be read at a time is being read, no file is touched: reading the
        next one only to hash it takes the disk from those that are read.
        """
        ends_at_s = time.monotonic() + POLL_S
        held_back = 0
        while room > 0 and held_back < len(self._waiting):
            job = self._waiting[0]
            job.began_s = job.began_s or time.monotonic()
            if self._is_hashed(job):
                if any(job.source_id == other.source_id for other in self._reading):
                    # The same content under another name: what is known of it is known soon.
                    self._waiting.rotate(-1)
                    held_back += 1
                    continue
                if not self._open(job):
                    return False
            if not job.is_over and not job.is_open:
                return True  # Hashing goes on in the next turn.
            self._waiting.popleft()
            if job.is_open:
                self._reading.append(job)
                room -= 1
            self._told(job)
            if time.monotonic() >= ends_at_s:
                return bool(self._waiting)
        return False

    def _is_hashed(self, job: Job) -> bool:
        """Whether it is known what the file is; reads it one step further where it is not."""
        if job.source_id:
            return True
        from stream.capture.container import regular_file
        from stream.capture.probe import ContentHash

        try:
            if job.hashing is None:
                regular_file(job.path)
                job.hashing = ContentHash(job.path)
            digest = job.hashing.step()
        except SourceError as error:
            self._end(job, "rejected", error.message, error.remedy)
            return False
        if digest is not None:
            job.source_id, job.hashing = digest, None
        return digest is not None

    def _open(self, job: Job) -> bool:
        """Has a file read unless the store holds all of it; False if there is no place for it now."""
        held = next(iter(self._find((job.source_id,))), None)
        if held is not None and held.forgotten:
            self._end(job, "rejected", *FORGOTTEN)
            return True
        if held is not None and held.consolidated:
            if job.was_opened:
                # It was read for this very job; who could say so ended meanwhile.
                job.like = self._alike(job)
                self._end(job, "partial" if held.missing else "done", held.missing)
                return True
            try:
                self._meet_again(job, held)
            except SourceError as error:
                self._end(job, "rejected", error.message, error.remedy)
            return True
        return self._started(
            job, SourceOpen(uri=job.uri, policy="lossless", recorded_at_ns=job.recorded_at_ns)
        )

    def _started(self, job: Job, ask: SourceOpen) -> bool:
        """Has a process read a file; False if there is no place for it now."""
        try:
            self._connection.ask("supervisor", SourceState, ask)
        except (StoreBusy, DiskFull):
            return False
        except SourceError as error:
            self._end(job, "rejected", error.message, error.remedy)
        else:
            job.outcome, job.was_opened = "reading", True
        return True

    def _meet_again(self, job: Job, held: SourceHeld) -> None:
        """A content that the store holds: under this path, under another one too, or moved here."""
        newest = held.uris[0] if held.uris else ""
        if newest == job.uri and job.recorded_at_ns is None:
            self._end(job, "already there", _half_read(held))
        elif newest != job.uri and is_gone(newest, job.path):
            self._put_place(job, held)
            self._end(job, "relinked", f"moved from {newest}")
        else:
            if job.uri not in held.uris or newest == job.uri:
                self._put_place(job, held)
            same = f"the same content as {newest}" if newest != job.uri else ""
            self._end(job, "already there", same or _half_read(held))

    def _put_place(self, job: Job, held: SourceHeld) -> None:
        """Has memory note where the content lies now, and when it was recorded if the owner says so."""
        record = SourceRecord(
            source_id=held.source_id,
            session=held.session,
            kind="file",
            uri=job.uri,
            content_hash=held.source_id.hex(),
            duration_ns=held.duration_ns,
            t_origin_ns=job.recorded_at_ns,
            t_origin_from="owner" if job.recorded_at_ns is not None else "",
        )
        ack = self._connection.ask("memory", CommitAck, CommitPut(outbox_seq=1, sources=(record,)))
        if ack.rejects:
            raise SourceRefused(f"{job.uri} is not taken: {ack.rejects[0].reason}")

    def _find(self, source_ids: tuple[bytes, ...]) -> tuple[SourceHeld, ...]:
        found: list[SourceHeld] = []
        for first in range(0, len(source_ids), ASKED_AT_ONCE):
            ask = SourcesFind(source_ids=source_ids[first : first + ASKED_AT_ONCE])
            found += self._connection.ask("memory", SourcesFound, ask).sources
        return tuple(found)

    # Waiting.

    def _note_paused(self, reason: str) -> None:
        now_s = time.monotonic()
        if not reason:
            if self._paused_since_s is not None:
                self._tell_paused("")
            self._paused_since_s = None
        elif self._paused_since_s is None:
            self._paused_since_s = now_s
            self._tell_paused(reason)
        elif now_s - self._paused_since_s > self._wait_for_room_s:
            raise DiskFull(reason, remedy="free some space, then run the same command: it goes on from here")

    def _note_place(self, went_on: bool) -> None:
        """Tells once that a file waits for a place; while others of this run are read, all see why."""
        now_s = time.monotonic()
        if went_on or self._reading or not self._waiting:
            self._placeless_since_s = None
        elif self._placeless_since_s is None:
            self._placeless_since_s = now_s
        is_placeless = self._placeless_since_s is not None and (
            self._is_placeless or now_s - self._placeless_since_s >= TELL_PLACE_S
        )
        if is_placeless != self._is_placeless:
            self._is_placeless = is_placeless
            self._tell_waits(self._waiting[0] if is_placeless else None)

    def _be_patient(self, error: OmniRecallError) -> None:
        """Who was restarted, or kept from the store, is back in seconds; after `AWAY_S` the error stands."""
        now_s = time.monotonic()
        self._away_since_s = self._away_since_s or now_s
        if isinstance(error, RoleBroken) or now_s - self._away_since_s > AWAY_S:
            raise error


def _is_live(state: SourceState) -> bool:
    return state.state in ("starting", "reading")


def is_gone(uri: str, instead: Path) -> bool:
    """Whether what lay under a uri is there no more, or something of another size than `instead`."""
    try:
        return path_of(uri).stat().st_size != instead.stat().st_size
    except (FileNotFoundError, NotADirectoryError, SourceError):
        return True
    except OSError:
        return False  # A disk that does not answer has not lost its files.


def _half_read(held: SourceHeld) -> str:
    """That the end of a file was never met, and why; empty if it was."""
    return f"its end is missing: {held.missing}" if held.missing else ""


def known_share(source: SourceStatus | SourceHeld) -> float:
    """How much of a source memory knows: by its slowest track, 0 to 1."""
    if source.consolidated:
        return 1.0
    if not source.duration_ns or not source.tracks:
        return 0.0
    reached = min(source.duration_ns if track.eof else track.through_pts_ns or 0 for track in source.tracks)
    return min(1.0, max(0.0, reached / source.duration_ns))
