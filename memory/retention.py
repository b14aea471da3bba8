"""Retention: holds the budgets of a store, in idle time, a few observations at a time.

A look (in a lane of its own, on a snapshot) says what is worth least for its bytes; then the writer lets that
go in small transactions, between which commits and questions go first. Nothing is queued on disk: a
process that is killed looks again. What was let go stands in the log, one row per act.
"""

from __future__ import annotations

import random
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

import msgspec

from memory.bounds import NAME_CHARS
from memory.keys.index import IndexShelf
from memory.log.demotion import STEPS
from memory.log.pins import pins, resolved, stretch_of
from memory.log.reader import LogReader
from memory.log.store import LogStore, PutItem
from memory.retain.kept import IN_LOG_FILE, Kept, index_files_bytes, kept, walked
from memory.retain.plan import Plan, overruns, plan
from memory.retain.policies import RetentionPolicy, policy_of
from memory.retain.steps import (
    FRAMES,
    Decision,
    FramesDecision,
    LetGo,
    let_frames_go,
    let_go,
    most_acts,
    trim,
)
from memory.retain.subjects import Budget
from memory.settings import RetentionSettings
from stream.errors import ConfigError, DiskFull, OmniRecallError, StoreBusy
from stream.messages import Act, CommitPut, new_id
from stream.messages.envelope import Message
from stream.messages.retention import (
    DataAsk,
    DataTold,
    LetGoRow,
    PinAsk,
    PinTold,
    RetentionAsk,
    RetentionTold,
)
from stream.process.lanes import Lane
from stream.process.log import Log
from stream.process.metrics import Metrics
from stream.process.service import Received
from stream.wire.bounds import fitting, shortened

MOST_IN_STEP = 16
"""Observations let go in one transaction, 20 to 80 ms in a store of 60 000; commits go in between."""
LOOK_AGAIN_NS = 1_000_000_000
"""Between two looks while things are committed."""
LOOK_IDLE_NS = 60_000_000_000
"""And while nothing happens: ages grow."""
COMPACTED_FROM_BYTES = 4 << 20
COMPACTED_SHARE = 0.1
"""Room within pages, beyond what there was after the last time, from which the log is written anew: so many
bytes, and such a share of the log."""
COMPACTED_OF_BUDGET = 16
"""Such a part of the budget of the index is room enough, too: in a small one memories would go for it."""
MOST_COMPACTED_BYTES = 64 << 20
"""A larger log is not: it would hold up commits for half a second and longer. There pages that are half full
count against the budget until their neighbours go, too."""
MOST_ROWS = 500
"""Rows of the log of letting go in one reply."""


@dataclass(slots=True)
class Told:
    """What happened since it was last asked: observations let go, bytes freed, names of errors."""

    items: int = 0
    n_bytes: int = 0
    failures: list[str] = field(default_factory=list)


class Retention:
    """Lets go of what is worth least while a budget is overrun.

    `look` and `apply` are for lanes, or for whoever owns the store alone; the rest belongs to the
    loop's thread.

    Args:
        store: The writer's side.
        reader: Connections of the lanes' own.
        shelf: Indexes, out of which keys go that went.
        settings: Budgets and policy.
        now_ns: UTC clock.
        writer, looks: Lanes; None where `hold` alone is called.
        policy: In the place of the one that the settings name.
    """

    def __init__(
        self,
        store: LogStore,
        reader: LogReader,
        shelf: IndexShelf,
        settings: RetentionSettings,
        now_ns: Callable[[], int],
        writer: Lane | None = None,
        looks: Lane | None = None,
        policy: RetentionPolicy | None = None,
    ) -> None:
        self._store, self._reader, self._shelf = store, reader, shelf
        self._settings, self._now_ns = settings, now_ns
        self._writer, self._looks = writer, looks
        self._policy = policy or policy_of(settings.policy, settings.weights, shelf.words)
        self._dice = random.Random(0)  # noqa: S311  # A sample, no secret.
        self._steps: deque[list[Decision] | FramesDecision] = deque()
        self._excess: int | None = None
        self._busy = False
        self._due_ns = 0
        self._stuck: dict[str, int] = {}
        self._told = Told()
        self._slack_bytes: int | None = None
        room_bytes = min(COMPACTED_FROM_BYTES, settings.index_bytes // COMPACTED_OF_BUDGET)
        self.compacted_from = room_bytes, COMPACTED_SHARE

    # In the loop.

    def register(self, service: Answers) -> None:
        """Has a process answer `retention.ask`, `pin.ask` and `data.ask`."""
        service.on(RetentionAsk, self._take_ask)
        service.on(DataAsk, lambda received: self._answer(received, self._walk))
        service.on(PinAsk, self._take_pin)

    def _take_ask(self, received: Received) -> None:
        ask = cast(RetentionAsk, received.message)
        if ask.run and not ask.dry_run:
            self._due_ns = 0
        self._answer(received, lambda: self._read(lambda db: self.told(db, ask)))

    def _take_pin(self, received: Received) -> None:
        ask = cast(PinAsk, received.message)
        if self._writer is not None:
            self._writer.submit(
                lambda: self._read(lambda db: self.pin(ask, db)),
                done=received.reply,
                failed=lambda error: _fail(received, error),
            )

    def _answer(self, received: Received, answer: Callable[[], Message]) -> None:
        if self._looks is not None:
            self._looks.submit(answer, done=received.reply, failed=lambda error: _fail(received, error))

    def _read(self, answer: Callable[[sqlite3.Connection], Message]) -> Message:
        with self._reader.snapshot() as db:
            return answer(db)

    def _walk(self) -> Message:
        counted = self._read(
            lambda db: DataTold(counted={name: n for name, n in self.kept(db).classes.items() if n})
        )
        return msgspec.structs.replace(cast(DataTold, counted), walked=walked(self._store.path.parent))

    def wake(self, monotonic_ns: int) -> None:
        """Something was committed: look soon."""
        self._due_ns = min(self._due_ns, monotonic_ns + LOOK_AGAIN_NS)

    def turn(self, monotonic_ns: int) -> None:
        """Starts the next step, or the next look if one is due; called where nothing more urgent waits."""
        if self._busy or not self._settings.enabled or self._writer is None or self._looks is None:
            return
        if self._steps:
            self._busy = True
            self._writer.submit(self.apply, self._steps.popleft(), done=self._applied, failed=self._failed)
        elif monotonic_ns >= self._due_ns:
            self._busy = True
            self._due_ns = monotonic_ns + LOOK_IDLE_NS
            self._looks.submit(self.look, done=self._looked, failed=self._failed)

    def tell(self, metrics: Metrics, log: Log) -> None:
        """Counts what happened since the last call, and logs it; never content."""
        if not self._told.items and not self._told.failures:
            return
        told, self._told = self._told, Told()
        metrics.count("let_go", told.items)
        metrics.count("let_go_bytes", max(0, told.n_bytes))
        for error in told.failures:
            log.warning("retention_waits", error=error)

    def _looked(self, made: Plan) -> None:
        self._busy = False
        self._steps.extend(steps_of(made))
        self._excess = made.excess

    def _applied(self, done: LetGo) -> None:
        self._told.items += done.items
        self._told.n_bytes += done.n_bytes
        self._busy = False
        if self._excess is not None:
            self._excess -= done.n_bytes
            if self._excess <= 0:
                self._steps.clear()
        if self._steps or self._writer is None:
            return
        self._due_ns = 0  # Look whether that was enough.
        self._busy = True
        self._writer.submit(self.compact_if_worth, done=self._compacted, failed=self._failed)

    def _compacted(self, _: bool) -> None:
        self._busy = False

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, DiskFull | StoreBusy):
            raise error
        self._busy = False
        self._steps.clear()
        self._told.failures.append(type(error).__name__)

    # In lanes.

    def look(self) -> Plan:
        """What goes next; nothing while every budget holds."""
        with self._reader.snapshot() as db:
            over = overruns(self.kept(db), self._settings)
            made = plan(db, over, self._policy, self._settings, self._now_ns(), self._dice)
        self._stuck = {} if made or not over else {str(name): n_bytes for name, n_bytes in over.items()}
        return made

    def kept(self, db: sqlite3.Connection) -> Kept:
        """Bytes by class, as they are now."""
        return kept(db, index_files_bytes(self._shelf))

    def apply(self, step: list[Decision] | FramesDecision) -> LetGo:
        """One step, in a transaction of its own; for the writer's lane."""
        name, now_ns = self._settings.policy, self._now_ns()
        with self._store.views() as db:
            if isinstance(step, FramesDecision):
                done = let_frames_go(db, step, name, now_ns)
            else:
                done = let_go(db, self._store.tombstones, step, name, now_ns, self._store.last_commit)
            trim(db, most_acts(self._settings.index_bytes))
        # A file that a killed process leaves is swept at the next start.
        for path in done.media:
            (self._store.media.folder / path).unlink(missing_ok=True)
        self._shelf.remove(done.keys)
        return done

    def hold(self, most_looks: int = 10_000) -> LetGo:
        """Lets go until every budget holds or nothing may go any more; for whoever has the store alone."""
        total = LetGo()
        self.compact_if_worth()
        for _ in range(most_looks):
            done = self._done(self.look())
            if not any(one.items for one in done):
                break
            self.compact_if_worth()
            total.items += sum(one.items for one in done)
            total.n_bytes += sum(one.n_bytes for one in done)
        return total

    def _done(self, made: Plan) -> list[LetGo]:
        done: list[LetGo] = []
        for step in steps_of(made):
            done.append(self.apply(step))
            if made.excess is not None and sum(one.n_bytes for one in done) >= made.excess:
                break
        return done

    def compact_if_worth(self) -> bool:
        """Writes the log anew where what went left much room within its pages; for the writer's lane.

        Returns:
            Whether it did.
        """
        slack, used = self._slack()
        if self._slack_bytes is None:
            self._slack_bytes = slack
        self._slack_bytes = min(self._slack_bytes, slack)
        gained = slack - self._slack_bytes
        from_bytes, share = self.compacted_from
        if used > MOST_COMPACTED_BYTES or gained <= max(from_bytes, share * used):
            return False
        self._store.compact()
        self._slack_bytes, _ = self._slack()
        return True

    def _slack(self) -> tuple[int, int]:
        """Bytes of the log that no class accounts for (below 0 where classes are overrated), and of all."""
        with self._reader.snapshot() as db:
            held = self.kept(db)
        return held.used_bytes - sum(held.classes.get(name, 0) for name in IN_LOG_FILE), held.used_bytes

    # Questions.

    def told(self, db: sqlite3.Connection, ask: RetentionAsk) -> RetentionTold:
        """Budgets, bytes and what was let go."""
        held, settings = self.kept(db), self._settings
        over = overruns(held, settings)
        counted = db.execute("SELECT step, items FROM let_go_total ORDER BY step")
        rows = self._would_go(db) if ask.dry_run else rows_of(db, ask.limit, ask.before)
        return RetentionTold(
            enabled=settings.enabled,
            policy=settings.policy,
            # Told, and in no budget: it is a cache of keys that are counted already, is made smaller as they
            # go, and ends with the process. It must not push memories out.
            classes=held.as_dict() | {"mapped vectors": self._shelf.mapped_bytes},
            budgets={
                "index": settings.index_bytes,
                "thumbnails": settings.thumbnails_bytes,
                "clips": settings.clips_bytes,
            },
            over={str(name): n_bytes for name, n_bytes in over.items()},
            steps={step_name(step): int(items) for step, items in counted},
            rows=tuple(fitting(rows)),
            pins=len(pins(db)),
            stuck=self._why_stuck(over),
            busy=self._busy or bool(self._steps),
        )

    def _why_stuck(self, over: Mapping[Budget, int]) -> str:
        names = [name for name in over if name in self._stuck]
        if not names:
            return ""
        return (
            f"{', '.join(names)} over budget, and all that could go is pinned or gone:"
            " raise memory.retention or take pins back"
        )

    def _would_go(self, db: sqlite3.Connection) -> list[LetGoRow]:
        over = overruns(self.kept(db), self._settings)
        made = plan(db, over, self._policy, self._settings, self._now_ns(), random.Random(0))  # noqa: S311
        rows: list[LetGoRow] = []
        for frames in made.frames:
            rows.append(
                LetGoRow(
                    n=0,
                    t_ns=0,
                    step=step_name(FRAMES),
                    policy=self._settings.policy,
                    why=frames.why,
                    n_bytes=made.expects,
                    items=len(frames.numbers),
                    source_id=frames.source_id,
                    session=frames.session,
                    uri=_uri(db, frames.source_id, frames.session),
                    kind="frame",
                )
            )
        for one in made.decisions[:MOST_ROWS]:
            row = (0, 0, one.level, one.n, None, None, None, None, None, 1, 0, self._settings.policy, one.why)
            rows.append(_row(db, row))
        return rows

    def pin(self, ask: PinAsk, db: sqlite3.Connection) -> PinTold:
        """Commits the act; for the writer's lane, with a connection that reads.

        Raises:
            ConfigError: If the id is of nothing, or begins several.
        """
        target = resolved(db, ask.target)
        found = None if target is None else stretch_of(db, target)
        if target is None or found is None:
            raise ConfigError(
                f"{shortened(ask.target, NAME_CHARS)!r} is no id of an observation or a span, or of several",
                remedy="omnirecall search --json and omnirecall timeline --json tell ids",
            )
        now_ns = self._now_ns()
        held = [one.act_id for one in pins(db) if one.target == target]
        acts: list[Act] = []
        if ask.undo:
            acts = [Act(act_id=new_id(), kind="undo", t_ns=now_ns, target=target, undoes=act) for act in held]
        elif not held:
            acts = [Act(act_id=new_id(), kind="pin", t_ns=now_ns, target=target)]
        if acts:
            self._store.commit([PutItem("memory", CommitPut(outbox_seq=now_ns, acts=tuple(acts)))])
        return PinTold(target=target, level=found[0], changed=len(acts), kept=len(held))  # type: ignore[arg-type]


class Answers(Protocol):
    """A process that answers messages."""

    def on(self, kind: type[Message], function: Callable[[Received], None]) -> None:
        """Registers what happens to messages of a type."""
        ...


def _fail(received: Received, error: BaseException) -> None:
    if not isinstance(error, OmniRecallError):
        error = OmniRecallError(f"memory failed on {received.decoded.topic}: {type(error).__name__}")
    received.fail(error)


def steps_of(made: Plan) -> list[list[Decision] | FramesDecision]:
    """A plan in steps of one transaction each."""
    steps: list[list[Decision] | FramesDecision] = list(made.frames)
    for start in range(0, len(made.decisions), MOST_IN_STEP):
        steps.append(made.decisions[start : start + MOST_IN_STEP])
    return steps


def step_name(step: int) -> str:
    """What a step is called in the log of letting go."""
    return "frames" if step == FRAMES else STEPS[step - 1]


_ROWS = (
    "SELECT n, t_ns, step, observation_n, observation_id, source_id, session, pts0_ns, pts1_ns, items,"
    " n_bytes, policy, why FROM let_go WHERE n < ? ORDER BY n DESC LIMIT ?"
)


def rows_of(db: sqlite3.Connection, limit: int, before: int = 0) -> list[LetGoRow]:
    """The newest acts of letting go, the newest first; of rows below `before` where it is not 0."""
    wanted = max(0, min(limit, MOST_ROWS))
    return [_row(db, row) for row in db.execute(_ROWS, (before or 2**62, wanted)).fetchall()]


def _row(db: sqlite3.Connection, row: tuple[object, ...]) -> LetGoRow:
    n, t_ns, step, observation_n, *where, items, n_bytes, policy, why = row
    kind, text = "frame" if step == FRAMES else "", ""
    if observation_n is not None:
        found = db.execute(
            "SELECT observation_id, source_id, session, pts0_ns, pts1_ns, kind, text FROM observation"
            " WHERE n = ?",
            (observation_n,),
        ).fetchone()
        if found is not None:
            *where, kind, text = found
    observation_id, source_id, session, pts0_ns, pts1_ns = where
    return LetGoRow(
        n=int(str(n)),
        t_ns=int(str(t_ns)),
        step=step_name(int(str(step))),
        policy=str(policy),
        why=str(why),
        n_bytes=int(str(n_bytes)),
        items=int(str(items)),
        observation_id=_blob(observation_id),
        source_id=_blob(source_id),
        session=int(str(session or 0)),
        uri=shortened(_uri(db, _blob(source_id), int(str(session or 0))), 4 * NAME_CHARS),
        kind=str(kind),
        pts0_ns=int(str(pts0_ns or 0)),
        pts1_ns=int(str(pts1_ns or 0)),
        text=shortened(str(text), NAME_CHARS),
    )


def _blob(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _uri(db: sqlite3.Connection, source_id: bytes, session: int) -> str:
    row = db.execute(
        "SELECT uri FROM source_uri WHERE source_id = ? AND session = ? ORDER BY n DESC LIMIT 1",
        (source_id, session),
    ).fetchone()
    return str(row[0]) if row is not None else ""
