"""Reading files into a store: which are open, how far each is, and how each ended.

Used by `omnirecall index` and `omnirecall demo`. The pipeline does the work; this asks it
to open one source after the other and looks at what the supervisor and memory say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stream.commands.connection import Connection
from stream.errors import DeadlineExceeded, OmniRecallError, RoleUnavailable, SourceError, StoreBusy
from stream.messages.control import SourceClose, SourceOpen, SourceState, SourceStatus, StatusMemory

Outcome = Literal["waiting", "reading", "done", "partial", "rejected", "already there", "stopped"]

POLL_S = 0.2
RETRY_OPEN_S = 1.0
"""Between attempts to open a source while others are being read."""
AWAY_S = 60.0
"""How long a process that was restarted may stay away before indexing gives up."""


@dataclass
class Job:
    """One file. `share` is how much of it memory knows, 0 to 1, and `seconds` what it took."""

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
        self._told = told
        self._open_again_s = 0.0
        self._away_since_s: float | None = None
        self._broken = ""

    def run(self) -> None:
        """Returns when every job is over.

        Raises:
            RoleUnavailable: If a process is broken or stays away.
        """
        while not all(job.is_over for job in self._jobs):
            try:
                self._open_next()
                self._look()
                self._away_since_s = None
                if self._broken:
                    break
            except (RoleUnavailable, DeadlineExceeded) as error:
                self._be_patient(error)
            self._told()
            if any(job.is_open for job in self._jobs):
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

    def _open_next(self) -> None:
        """Opens waiting files until the supervisor takes no more."""
        if time.monotonic() < self._open_again_s:
            return
        for job in self._jobs:
            if job.outcome != "waiting":
                continue
            job.began_s = time.monotonic()
            if self._is_there(job):
                job.outcome, job.share = "already there", 1.0
                self._told()
                continue
            try:
                ask = SourceOpen(uri=job.uri, policy="lossless", recorded_at_ns=job.recorded_at_ns)
                self._connection.ask("supervisor", SourceState, ask)
            except StoreBusy:
                self._open_again_s = time.monotonic() + RETRY_OPEN_S
                if not any(one.is_open for one in self._jobs):
                    time.sleep(RETRY_OPEN_S)  # Somebody else's files are being read.
                return
            except SourceError as error:
                self._end(job, "rejected", error.message, error.remedy)
                continue
            job.outcome = "reading"

    def _is_there(self, job: Job) -> bool:
        """Whether the store holds all of this file already; hashes it only where the store holds anything."""
        held = self._connection.memory().sources
        if not held:
            return False
        from stream.capture.probe import ContentHash

        try:
            job.source_id = ContentHash(job.path).all()
        except SourceError as error:
            self._end(job, "rejected", error.message, error.remedy)
            return False
        return any(source.source_id == job.source_id and source.consolidated for source in held)

    def _look(self) -> None:
        roles = self._connection.roles()
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


def known_share(source: SourceStatus) -> float:
    """How much of a source memory knows: by its slowest track, 0 to 1."""
    if source.consolidated:
        return 1.0
    if not source.duration_ns or not source.tracks:
        return 0.0
    reached = min(source.duration_ns if track.eof else track.through_pts_ns or 0 for track in source.tracks)
    return min(1.0, max(0.0, reached / source.duration_ns))
