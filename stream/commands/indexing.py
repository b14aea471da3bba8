"""Reading files into a store: which are open, how far each is, and how each ended.

Used by `omnirecall index` and `omnirecall demo`. The pipeline does the work; this asks it
to open one source after the other and looks at what the supervisor and memory say.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stream.commands.connection import Connection
from stream.errors import DeadlineExceeded, OmniRecallError, RoleUnavailable, SourceError, StoreBusy
from stream.messages.control import (
    SourceClose,
    SourceOpen,
    SourceState,
    SourceStatus,
    StatusMemory,
    StatusRoles,
)

if TYPE_CHECKING:
    from stream.capture.probe import ContentHash

Outcome = Literal["waiting", "reading", "done", "partial", "rejected", "already there", "stopped"]

POLL_S = 0.2
RETRY_OPEN_S = 1.0
"""Between attempts to open a source while others are being read."""
AWAY_S = 60.0
"""How long a process that was restarted may stay away before indexing gives up."""


@dataclass
class Job:
    """One file. `share` is how much of it memory knows, 0 to 1, and `seconds` what it took.

    `source_id` is the hash of its content, empty until that is known: a file is hashed once,
    however often it is tried to open it.
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
    began_s: float = field(default=0.0, repr=False)
    hashing: ContentHash | None = field(default=None, repr=False)

    @property
    def uri(self) -> str:
        """What the pipeline calls the file."""
        return str(self.path)

    @property
    def is_open(self) -> bool:
        """Whether the pipeline is reading it."""
        return self.outcome == "reading"

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do."""
        return self.outcome not in ("waiting", "reading")


class Indexing:
    """Has files read, a few at a time, until each has ended.

    Args:
        connection: To the processes of the store.
        jobs: The files, in the order in which they are read.
        told: Called after each look, for progress.
    """

    def __init__(self, connection: Connection, jobs: Sequence[Job], told: Callable[[], None]) -> None:
        self._connection = connection
        self._jobs = jobs
        self._waiting = deque(job for job in jobs if job.outcome == "waiting")
        self._told = told
        self._open_again_s = 0.0
        self._reading = 0
        self._most_reading = 0
        self._was_refused = False
        self._away_since_s: float | None = None
        self._broken = ""

    def run(self) -> None:
        """Returns when every job is over.

        Raises:
            RoleUnavailable: If a process is broken or stays away.
        """
        while not all(job.is_over for job in self._jobs):
            try:
                went_on = self._open_next()
                self._look()
                self._away_since_s = None
                if self._broken:
                    break
            except (RoleUnavailable, DeadlineExceeded) as error:
                self._be_patient(error)
                went_on = False
            self._told()
            if not went_on:
                time.sleep(POLL_S)
        if self._broken:
            raise RoleUnavailable(f"a process keeps failing: {self._broken}", remedy="omnirecall doctor")

    def stop(self) -> None:
        """Has the open files closed; what is known of them stays, and indexing them again goes on there."""
        for job in self._jobs:
            if job.is_open:
                self._connection.ask("supervisor", SourceState, SourceClose(uri=job.uri))
            if not job.is_over:
                job.outcome = "stopped"

    def _open_next(self) -> bool:
        """Works towards opening waiting files, for a moment; whether there was anything to do.

        While all that may be read at a time is being read, no file is touched: reading the
        next one only to hash it takes the disk from those that are read.
        """
        ends_at_s = time.monotonic() + POLL_S
        held: tuple[SourceStatus, ...] | None = None
        while self._may_open:
            job = self._waiting[0]
            held = self._connection.memory().sources if held is None else held
            if not job.began_s:
                job.began_s = time.monotonic()
            if not held or self._is_hashed(job):
                self._open(job, held)
            if job.is_open or job.is_over:
                self._waiting.popleft()
                self._told()
            if time.monotonic() >= ends_at_s:
                break
        return self._may_open

    @property
    def _may_open(self) -> bool:
        """Whether a file waits and there may be a place for it.

        How many places there are is not known before a file was refused; from then on it
        is the most that were ever seen being read at a time.
        """
        is_full = self._was_refused and self._reading >= max(1, self._most_reading)
        return bool(self._waiting) and not is_full and time.monotonic() >= self._open_again_s

    def _count(self, n_reading: int) -> None:
        self._reading = n_reading
        self._most_reading = max(self._most_reading, n_reading)

    def _is_hashed(self, job: Job) -> bool:
        """Whether it is known what the file is; reads it one step further where it is not."""
        if job.source_id:
            return True
        from stream.capture.probe import ContentHash

        job.hashing = job.hashing or ContentHash(job.path)
        try:
            digest = job.hashing.step()
        except SourceError as error:
            self._end(job, "rejected", error.message, error.remedy)
            return False
        if digest is not None:
            job.source_id, job.hashing = digest, None
        return digest is not None

    def _open(self, job: Job, held: Sequence[SourceStatus]) -> None:
        """Has a file read unless the store holds all of it; it goes on waiting where no place is free."""
        if any(source.source_id == job.source_id and source.consolidated for source in held):
            job.outcome, job.share = "already there", 1.0
            return
        ask = SourceOpen(uri=job.uri, policy="lossless", recorded_at_ns=job.recorded_at_ns)
        try:
            self._connection.ask("supervisor", SourceState, ask)
        except StoreBusy:
            self._open_again_s = time.monotonic() + RETRY_OPEN_S
            self._was_refused = True
            self._count(_captures(self._connection.roles()))
            job.began_s = 0.0
        except SourceError as error:
            self._end(job, "rejected", error.message, error.remedy)
        else:
            job.outcome = "reading"
            self._reading += 1

    def _look(self) -> None:
        roles = self._connection.roles()
        self._count(_captures(roles))
        self._broken = ", ".join(
            f"{role.name} ({role.last_error})"
            for role in roles.roles
            if role.state == "broken" and role.role != "capture"
        )
        states = {state.uri: state for state in roles.sources}
        memory = self._connection.memory()
        for job in self._jobs:
            if job.is_open and job.uri in states:
                self._follow(job, states[job.uri], memory)

    def _follow(self, job: Job, state: SourceState, memory: StatusMemory) -> None:
        job.source_id = state.source_id or job.source_id
        job.duration_ns = state.duration_ns or job.duration_ns
        if state.state == "rejected":
            self._end(job, "rejected", state.reason, state.remedy)
            return
        if state.state == "closed":
            self._end(job, "stopped", state.reason, state.remedy)
            return
        held = [s for s in memory.sources if s.source_id == job.source_id and s.session == state.session]
        if not held:
            return
        job.share = max(job.share, known_share(held[0]))
        if held[0].consolidated and state.state in ("done", "partial"):
            job.share = 1.0
            self._end(job, "done" if state.state == "done" else "partial", state.reason, state.remedy)

    def _end(self, job: Job, outcome: Outcome, reason: str = "", remedy: str = "") -> None:
        job.outcome, job.reason, job.remedy = outcome, reason, remedy
        job.seconds = time.monotonic() - job.began_s
        self._open_again_s = 0.0

    def _be_patient(self, error: OmniRecallError) -> None:
        """A process that was restarted is back within seconds; after `AWAY_S` the error stands."""
        now_s = time.monotonic()
        self._away_since_s = self._away_since_s or now_s
        if now_s - self._away_since_s > AWAY_S:
            raise error
        time.sleep(POLL_S)


def _captures(roles: StatusRoles) -> int:
    """How many sources are being read, by whomever they were opened."""
    return sum(role.role == "capture" for role in roles.roles)


def known_share(source: SourceStatus) -> float:
    """How much of a source memory knows: by its slowest track, 0 to 1."""
    if source.consolidated:
        return 1.0
    if not source.duration_ns or not source.tracks:
        return 0.0
    reached = min(source.duration_ns if track.eof else track.through_pts_ns or 0 for track in source.tracks)
    return min(1.0, max(0.0, reached / source.duration_ns))
