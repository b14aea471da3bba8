"""The recall process as memory sees it: started, asked, told what has to go, and started again.

Python runs one thread at a time, so that questions and commits in one process wait for each other's
work (`docs/adr/0012-recall-process.md`). The process is memory's own child: memory answers by itself
while it is away, so that nobody who asks has to know of it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from memory.keys.elsewhere import ShelfElsewhere
from memory.keys.index import MOST_FLAT
from memory.log.reader import LogReader
from memory.settings import MemorySettings
from stream.errors import DeadlineExceeded, Malformed, OmniRecallError, RoleUnavailable, WireError
from stream.messages import Evidence, RecallAsk
from stream.messages.control import LikenessFound
from stream.messages.envelope import Message
from stream.messages.views import ViewsAsk, ViewsTold
from stream.process.child import Child
from stream.process.lanes import Lane
from stream.process.liveness import State, has_ended
from stream.process.log import Log
from stream.process.metrics import Metrics
from stream.process.roles import Role
from stream.process.service import Received, Service
from stream.process.settings import CpuSettings, SupervisorSettings
from stream.process.surroundings import Surroundings, write_surroundings
from stream.wire.caller import Caller
from stream.wire.codec import Decoded
from stream.wire.parts import OutPart, blob_part

NAME = "recall"
SERVICE = "memory.recall.process:RecallService"
STARTING_BEAT_NS = 50_000_000
"""Between two looks whether the process that was started serves."""
PATIENCE_S = 60.0
"""For a question without a deadline; one that hangs is found by its age before (`supervisor.hung_s`)."""


@dataclass(frozen=True, slots=True)
class _Serving:
    """One run of the process: its socket and its pid."""

    endpoint: str
    pid: int


@dataclass(slots=True)
class _Pending:
    """What it is still to be told: ids of keys that went, encoders whose index goes, whether caches go."""

    removed: list[int] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)
    forgets: bool = False

    def __bool__(self) -> bool:
        return bool(self.removed or self.dropped or self.forgets)

    def joined(self, later: _Pending) -> _Pending:
        return _Pending(
            [*self.removed, *later.removed], self.dropped | later.dropped, self.forgets or later.forgets
        )


class RecallProcess:
    """The child that answers questions. `start`, `turn`, `drain` and `close` are for the loop's thread.

    Args:
        surroundings: Of memory; the child gets the same configuration.
        lane: A lane of its own of two threads: its heart is heard while it is told something.
    """

    def __init__(self, surroundings: Surroundings, lane: Lane) -> None:
        self._surroundings, self._lane = surroundings, lane
        config = surroundings.config
        self._supervision = config.typed("supervisor", SupervisorSettings)
        self._child = Child(
            role="memory",
            row=Role(SERVICE, "memory.settings:MemorySettings", "always", 0, 3),
            name=NAME,
            arguments={},
            surroundings_file=surroundings.run_dir / f"{NAME}.json",
            log_file=surroundings.store_dir / "logs" / f"{NAME}.log",
            supervision=self._supervision,
            cpu=config.typed("cpu", CpuSettings),
        )
        self._starts = 0
        self._started: _Serving | None = None
        self._serving: _Serving | None = None
        self._beating = self._telling = False
        self._beat_ns = 0
        self._draining = False
        self._local = threading.local()
        self._lock = threading.Lock()
        self._talking = threading.Lock()
        self._pending = _Pending()
        self._kept_up: tuple[str, ...] = ()
        self._told: ViewsTold | None = None

    @property
    def is_up(self) -> bool:
        """Whether it serves."""
        return self._serving is not None

    def wait_until_up(self, ends_s: float) -> None:
        """Waits until it serves, while it is being started; at most until then, by the monotonic clock."""
        while not self.is_up and self._child.state is State.STARTING and time.monotonic() < ends_s:
            time.sleep(STARTING_BEAT_NS / 1e9)

    @property
    def is_given_up(self) -> bool:
        """Whether it ended so often that memory does its work for good."""
        return self._child.state is State.BROKEN

    @property
    def pid(self) -> int:
        """Of the process that serves; 0 where none does."""
        serving = self._serving
        return 0 if serving is None else serving.pid

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return self._child.restarts

    @property
    def last_error(self) -> str:
        """Why it ended last."""
        return self._child.last_error

    @property
    def told(self) -> ViewsTold | None:
        """What it told last; None before it told anything."""
        return self._told

    # In the loop.

    def start(self) -> None:
        """Starts it for the first time."""
        run_dir = self._surroundings.run_dir
        for path in run_dir.glob("r[0-9]*-[0-9]"):
            path.unlink(missing_ok=True)  # Of processes that were killed.
        write_surroundings(
            self._child.surroundings_file, self._surroundings.config, self._surroundings.store_dir
        )
        self._start(self._surroundings.clock.monotonic_ns() / 1e9)

    def _start(self, now_s: float) -> None:
        # A name of its own each time: a socket that is closed late takes its name away from the next one.
        # It is no longer than the longest of the others, since such paths have a bound.
        endpoint = f"r{os.getpid()}-{self._starts % 10}"
        self._starts += 1
        self._child.arguments = {"endpoint": endpoint}
        with self._lock:
            self._pending = _Pending()  # It reads the store as it is now.
        self._child.start(now_s)
        self._started = _Serving(endpoint, self._child.pid)
        self._beat_ns = 0

    def turn(self, now_ns: int) -> None:
        """Looks after it: hears its heart, starts it again when it has ended or hangs."""
        child, now_s = self._child, now_ns / 1e9
        if self._draining or child.state in (State.BROKEN, State.ENDED):
            return
        if child.state is State.WAITING:
            if now_s >= child.restart_at_s:
                self._start(now_s)
            return
        why = child.fault(now_s)
        if why:
            self._serving = None
            child.kill()
        if not child.is_running:
            self._started = self._serving = None
            child.ended(now_s, wanted=False, why=why)
            return
        if not self._beating and now_ns >= self._beat_ns:
            self._beating = True
            self._lane.submit(self.beat, done=self._heard)
        if self._pending and self._serving is not None and not self._telling:
            self._telling = True
            self._lane.submit(self.exchange, done=self._has_told)

    def _has_told(self, _: ViewsTold | None) -> None:
        self._telling = False

    def _heard(self, told: ViewsTold | None) -> None:
        self._beating = False
        now_ns = self._surroundings.clock.monotonic_ns()
        self._beat_ns = now_ns + STARTING_BEAT_NS
        started, child = self._started, self._child
        if told is None or started is None or told.pid != started.pid:
            return
        self._beat_ns = now_ns + int(self._supervision.beat_s * 1e9)
        child.heard(now_ns / 1e9)
        child.working_s, child.rss_bytes = told.working_s, told.rss_bytes
        if child.state is State.STARTING:
            child.state = State.SERVING
            self._serving = started

    def drain(self) -> bool:
        """Lets it save its indexes and end; whether it has ended."""
        if not self._draining:
            self._draining = True
            self._serving = None
            if self._child.process is not None and self._child.is_running:
                self._child.process.terminate()
        return not self._child.is_running

    def close(self) -> None:
        """Ends it at once, if it is still there."""
        self._draining, self._serving = True, None
        if self._child.process is not None and self._child.is_running:
            self._child.process.kill()
            self._child.process.wait()

    # From any thread.

    def ask(
        self, message: Message, parts: Sequence[OutPart], *, deadline_ns: int, trace_id: bytes
    ) -> Decoded | None:
        """Puts a question to it; None where it is away, or ends before it has answered.

        Raises:
            DeadlineExceeded: If it does not answer in time.
            OmniRecallError: The error that it replied with.
        """
        serving = self._serving
        if serving is None:
            return None
        timeout_s = (deadline_ns - time.time_ns()) / 1e9 if deadline_ns else PATIENCE_S
        try:
            return self._caller(serving).ask(
                message, parts, timeout_s=timeout_s, trace_id=trace_id, pid=serving.pid
            )
        except RoleUnavailable:
            if not has_ended(f"{NAME}-{serving.pid}"):
                raise  # It said so of the encoder.
            return None
        except DeadlineExceeded:
            if self._serving is serving:
                raise
            # It was found to hang, and ended; whoever asked without a deadline still waits.
            if deadline_ns:
                raise
            return None

    def beat(self) -> ViewsTold | None:
        """Hears how it is; None where it did not answer."""
        return self._tell(self._started, ViewsAsk(encoders=self._kept_up), (), self._supervision.silent_s)

    def exchange(self, erasure: bytes = b"", erased: Collection[int] = ()) -> ViewsTold | None:
        """Tells it what is pending, and hears how it is once that is done; None where it did not answer.

        What could not be told is told with the next one, or is not news to the next process.
        """
        with self._talking:
            started = self._started
            with self._lock:
                pending, self._pending = self._pending, _Pending()
            ask = ViewsAsk(
                encoders=self._kept_up,
                dropped=tuple(sorted(pending.dropped)),
                forgets=pending.forgets,
                erasure=erasure,
            )
            parts = (_ids_part("removed", pending.removed), _ids_part("erased", erased))
            told = self._tell(started, ask, parts, PATIENCE_S)
            if told is None:
                with self._lock:
                    self._pending = pending.joined(self._pending)
            return told

    def describe(self) -> ViewsTold | None:
        """What it has, with all that went taken out; what it told last, where it is away."""
        return (self.exchange() if self._pending else self.beat()) or self._told

    def _tell(
        self, started: _Serving | None, ask: ViewsAsk, parts: Sequence[OutPart], timeout_s: float
    ) -> ViewsTold | None:
        if started is None:
            return None
        try:
            reply = self._caller(started).ask(ask, parts, timeout_s=timeout_s, pid=started.pid).message
        except OmniRecallError:
            return None
        if not isinstance(reply, ViewsTold):
            return None
        self._told = reply
        return reply

    def note_removed(self, key_ids: Iterable[int]) -> None:
        """Keys went from the store."""
        with self._lock:
            self._pending.removed += key_ids

    def note_dropped(self, encoder_id: str) -> None:
        """The index of an encoder goes."""
        with self._lock:
            self._pending.dropped.add(encoder_id)
            self._kept_up = tuple(one for one in self._kept_up if one != encoder_id)

    def note_forgotten(self) -> None:
        """What is kept between questions goes."""
        with self._lock:
            self._pending.forgets = True

    def keep_up(self, encoder_id: str) -> None:
        """Which encoders' indexes are kept in step: the last two that were named."""
        if encoder_id and encoder_id not in self._kept_up:
            self._kept_up = (*self._kept_up[-1:], encoder_id)

    def _caller(self, serving: _Serving) -> Caller:
        caller: Caller | None = getattr(self._local, "caller", None)
        if caller is None or caller.endpoint != serving.endpoint:
            if caller is not None:
                caller.close()
            caller = Caller(self._surroundings.run_dir, serving.endpoint, self._surroundings.name)
            self._local.caller = caller
        return caller


class Apart:
    """What memory's questions are put to: its recall process, and its own indexes while that is away.

    Args:
        process: Not yet started.
        folder: The store's `views` folder.
        gpu: As `IndexShelf`.
        is_large: Whether a question waits for a process that is starting: it is there long before memory
            has read indexes of its own.
    """

    def __init__(
        self, process: RecallProcess, folder: Path, *, gpu: bool = False, is_large: bool = False
    ) -> None:
        self.process = process
        self._is_large = is_large
        self.shelf = ShelfElsewhere(folder, process, gpu=gpu)
        self._answered_here = self._restarts_told = 0

    def turn(self, now_ns: int) -> None:
        """Looks after the process; for the loop."""
        self.process.turn(now_ns)
        self.shelf.let_go()

    def tell(self, metrics: Metrics, log: Log) -> None:
        """How the process is, for the status."""
        process = self.process
        rss_bytes = process.told.rss_bytes if process.is_up and process.told is not None else 0
        metrics.gauge("recall_rss_bytes", rss_bytes)
        metrics.gauge("recall_pid", process.pid)
        metrics.gauge("answered_here", self._answered_here)
        if process.restarts != self._restarts_told:
            self._restarts_told = process.restarts
            metrics.gauge("recall_restarts", process.restarts)
            log.warning("recall_process_ended", error=process.last_error, given_up=process.is_given_up)

    def evidence(self, asked: Decoded, ask: RecallAsk) -> Evidence | None:
        """As `memory.recall.questions.Elsewhere`."""
        reply = self._passed_on(asked, ask)
        if reply is not None and not isinstance(reply.message, Evidence):
            raise WireError(f"the recall process answered {ask.TOPIC} with {reply.topic}")
        return None if reply is None else cast(Evidence, reply.message)

    def likeness(self, asked: Decoded) -> LikenessFound | None:
        """What it finds of `likeness.ask`; None where it is away."""
        reply = self._passed_on(asked, asked.message)
        return reply.message if reply is not None and isinstance(reply.message, LikenessFound) else None

    @contextmanager
    def here(self) -> Iterator[None]:
        """As `memory.recall.questions.Elsewhere`."""
        self._answered_here += 1
        with self.shelf.reading():
            yield

    def _passed_on(self, asked: Decoded, message: Message) -> Decoded | None:
        parts = [OutPart(part, body) for part, body in zip(asked.envelope.parts, asked.parts, strict=True)]
        told = asked.envelope
        if self._is_large:
            left_s = (told.deadline_ns - time.time_ns()) / 1e9 if told.deadline_ns else PATIENCE_S
            self.process.wait_until_up(time.monotonic() + left_s / 2)
        return self.process.ask(message, parts, deadline_ns=told.deadline_ns, trace_id=told.trace_id)


def apart_for(service: Service, reader: LogReader, settings: MemorySettings) -> Apart | None:
    """What the settings want for a store of this size; None where memory answers by itself."""
    wanted = settings.recall.process
    with reader.snapshot() as db:
        (n,) = db.execute("SELECT COUNT(*) FROM observation").fetchone()
    if wanted == "auto":
        wanted = "own" if n >= settings.recall.own_from else "inside"
    if wanted == "inside":
        return None
    process = RecallProcess(service.surroundings, service.lane(NAME, 2))
    folder = service.surroundings.store_dir / "views"
    return Apart(process, folder, gpu=settings.gpu, is_large=n >= MOST_FLAT)


def ids_of(received: Received, name: str) -> list[int]:
    """The ids of keys in a part that `RecallProcess` sent; raises Malformed where it is none of these."""
    body = received.part(name)
    if len(body) % 8:
        raise Malformed(f"part {name!r} has {len(body)} bytes, and an id of a key has 8")
    ids: list[int] = np.frombuffer(body, "<i8").tolist()
    return ids


def _ids_part(name: str, ids: Collection[int]) -> OutPart:
    return blob_part(name, np.fromiter(ids, "<i8", len(ids)).tobytes())
