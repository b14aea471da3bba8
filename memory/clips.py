"""Clips of live events: asked of capture, adopted by their hash, held within a budget.

A clip is an observation of kind `clip`, with the film in role `clip` and no words, so that Forget
and Retention see it like any other, and a search by words does not. Its id is that of the range that
was wanted: told again, by whichever process, it is the same clip.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from memory.bounds import NAME_CHARS
from memory.log.kept_clips import (
    PRODUCER,
    covering,
    source_of,
    to_ask,
)
from memory.log.media import SpooledFile, spooled_file
from memory.log.reader import LogReader
from memory.log.store import LogStore, PutItem
from memory.settings import ClipSettings
from stream.errors import DiskFull, OmniRecallError, StoreBusy
from stream.messages import CommitPut, MediaRef, Observation, Part, observation_id
from stream.messages.media import ClipFind, ClipFound, ClipHeld, ClipMade, ClipSettled, ClipWant
from stream.process.lanes import Lane
from stream.process.service import Received, Service
from stream.wire.bounds import shortened
from stream.wire.sockets import PeerKey

KIND = "clip"
LOOK_NS = 1_000_000_000
"""Between two looks for events that have closed."""
ASK_AGAIN_NS = 5_000_000_000
SILENT_NS = 10_000_000_000
"""A capture that has not told for so long what it keeps is asked no more."""
REMEMBERED_NS = 600_000_000_000
"""A clip ends before its event where that is longer than the longest clip."""
MOST_LIVE = 64
MOST_ASKED = 8
"""Clips of one source that are on their way at a time."""
MOST_LOST = 256
"""Clips that could not be had, remembered with the reason, for who asks for them."""

Origin = tuple[bytes, int]
Range = tuple[int, int]


@dataclass(slots=True)
class _Live:
    """A live source: who keeps its packets, and what was asked for when."""

    peer: PeerKey
    held: ClipHeld
    heard_ns: int
    looked_from_ns: int
    asked: dict[Range, int] = field(default_factory=dict)
    settled: set[Range] = field(default_factory=set)


@dataclass(slots=True)
class _Looked:
    """What a look at the log found of one source."""

    wanted: list[Range]
    is_done: bool


class Clips:
    """Speaks `clip.*`. Its methods are for the loop; looking, hashing and committing are for lanes.

    Args:
        service: The process.
        store: The writer, for its lane alone.
        reader: Connections for other lanes.
        settings: Which clips, and how many.
        writer: The lane that writes.
        queries: The lane that answers.
        kept: Called after a clip was committed.
    """

    def __init__(
        self,
        service: Service,
        store: LogStore,
        reader: LogReader,
        settings: ClipSettings,
        writer: Lane,
        queries: Lane,
        kept: Callable[[], None],
    ) -> None:
        self._service, self._store, self._reader, self._settings = service, store, reader, settings
        self._writer, self._queries, self._kept = writer, queries, kept
        self._live: dict[Origin, _Live] = {}
        self._lost: deque[tuple[Origin, Range, str]] = deque(maxlen=MOST_LOST)
        self._adopting: set[tuple[Origin, Range]] = set()
        self._counts = dict.fromkeys(("kept", "again", "lost", "refused"), 0)
        self._looking = False
        self._look_due_ns = 0
        service.on(ClipHeld, self._take_held)
        service.on(ClipMade, self._take_made)
        service.on(ClipFind, self._take_find)

    def told(self) -> dict[str, int]:
        """Counts since the process began, for status; nothing where no clips are kept."""
        return dict(self._counts) if self._settings.enabled else {}

    @property
    def is_busy(self) -> bool:
        """Whether a lane works for it."""
        return self._looking or bool(self._adopting)

    def turn(self, now_ns: int) -> None:
        """Looks for events that have closed, and asks for their clips; again where nothing came."""
        if not self._live or self._looking or now_ns < self._look_due_ns:
            return
        self._look_due_ns = now_ns + LOOK_NS
        for origin, live in list(self._live.items()):
            if now_ns - live.heard_ns > SILENT_NS:
                del self._live[origin]
        asked = {
            origin: (live.looked_from_ns, frozenset((*live.asked, *live.settled)))
            for origin, live in self._live.items()
        }
        self._looking = True
        self._service.lane("clips").submit(self._look, asked, done=self._looked, failed=self._not_looked)

    # What is wanted.

    def _take_held(self, received: Received) -> None:
        held: ClipHeld = received.message
        if not self._settings.enabled:
            received.reply(ClipSettled(source_id=held.source_id, session=held.session, over=True))
            return
        if received.peer_key is None:
            return
        origin, now_ns = (held.source_id, held.session), self._service.clock.monotonic_ns()
        live = self._live.get(origin)
        if live is None:
            if len(self._live) >= MOST_LIVE:
                self._service.metrics.count("clip_sources_shed")
                return
            live = self._live[origin] = _Live(received.peer_key, held, now_ns, held.pts0_ns or 0)
            received.reply(ClipSettled(source_id=held.source_id, session=held.session))
        live.peer, live.held, live.heard_ns = received.peer_key, held, now_ns

    def _look(self, asked: dict[Origin, tuple[int, frozenset[Range]]]) -> dict[Origin, _Looked]:
        """Runs in the lane."""
        with self._reader.snapshot() as db:
            return {
                origin: _Looked(*to_ask(db, origin, from_ns, known, self._settings))
                for origin, (from_ns, known) in asked.items()
            }

    def _not_looked(self, error: BaseException) -> None:
        self._looking = False
        if not isinstance(error, OmniRecallError):
            raise error
        self._service.log.warning("clips_wait", error=type(error).__name__)

    def _looked(self, found: dict[Origin, _Looked]) -> None:
        self._looking = False
        now_ns = self._service.clock.monotonic_ns()
        for origin, looked in found.items():
            live = self._live.get(origin)
            if live is None:
                continue
            for wanted in looked.wanted[: MOST_ASKED - len(live.asked)]:
                live.asked[wanted] = 0
            for wanted, asked_ns in live.asked.items():
                if now_ns - asked_ns >= ASK_AGAIN_NS and (origin, wanted) not in self._adopting:
                    live.asked[wanted] = now_ns
                    self._send(live, _want(origin, wanted))
            if not live.asked and not looked.wanted:
                # Older events are settled; those that reach into what is kept are looked at again.
                live.looked_from_ns = max(live.looked_from_ns, live.held.pts0_ns or 0)
                live.settled = {one for one in live.settled if one[1] > live.looked_from_ns - REMEMBERED_NS}
                if live.held.ended and looked.is_done:
                    self._send(live, ClipSettled(source_id=origin[0], session=origin[1], over=True))
                    del self._live[origin]

    def _send(self, live: _Live, message: ClipWant | ClipSettled) -> None:
        self._service.send_to(live.peer, message)

    # What was made.

    def _take_made(self, received: Received) -> None:
        made: ClipMade = received.message
        key = ((made.source_id, made.session), (made.pts0_ns, made.pts1_ns))
        if key in self._adopting:
            return
        if made.lost or not self._settings.enabled or made.n_bytes > self._settings.most_bytes:
            why = made.lost or ("it is too large" if self._settings.enabled else "clips are not kept")
            self._settle(received, made, "lost" if made.lost else "refused", why)
            return
        self._adopting.add(key)

        def failed(error: BaseException) -> None:
            self._adopting.discard(key)
            self._not_kept(received, made, error)

        def checked(file: SpooledFile) -> None:
            self._writer.submit(self._keep, made, file, done=kept, failed=failed)

        def kept(outcome: tuple[str, str]) -> None:
            self._adopting.discard(key)
            self._settle(received, made, *outcome)
            self._kept()

        self._service.lane("clips").submit(self._check, made, done=checked, failed=failed)

    def _check(self, made: ClipMade) -> SpooledFile:
        """Runs in the lane."""
        spool = self._service.surroundings.spool_dir / "clips"
        return spooled_file(Path(made.path), spool, made.content_hash, made.n_bytes)

    def _keep(self, made: ClipMade, file: SpooledFile) -> tuple[str, str]:
        """Runs in the lane that writes; tells what became of the clip, and why it was not kept."""
        with self._store.views() as db:
            source = source_of(db, (made.source_id, made.session))
            if source is None:
                return "refused", "its source is not known"
            own_id = clip_id(made)
            if db.execute("SELECT 1 FROM observation WHERE observation_id = ?", (own_id,)).fetchone():
                return "again", ""
        put = CommitPut(outbox_seq=0, observations=(_observation(made, own_id, source.t_origin_ns),))
        part = Part(name="clip", encoding="bytes", n_bytes=made.n_bytes)
        (ack,) = self._store.commit([PutItem(self._service.name, put, {"clip": (part, file)})])
        return ("refused", ack.rejects[0].reason) if ack.rejects else ("kept", "")

    def _not_kept(self, received: Received, made: ClipMade, error: BaseException) -> None:
        if isinstance(error, DiskFull | StoreBusy):  # It is told again.
            self._service.log.warning("clip_waits", error=type(error).__name__)
        elif isinstance(error, OmniRecallError):
            self._settle(received, made, "refused", error.message)
        else:
            raise error

    def _settle(self, received: Received, made: ClipMade, outcome: str, why: str) -> None:
        origin, wanted = (made.source_id, made.session), (made.pts0_ns, made.pts1_ns)
        self._counts[outcome] += 1
        self._service.metrics.count(f"clips_{outcome}")
        if why:
            self._lost.append((origin, wanted, shortened(why, NAME_CHARS)))
        live = self._live.get(origin)
        if live is not None:
            live.asked.pop(wanted, None)
            live.settled.add(wanted)
        received.reply(
            ClipSettled(
                source_id=made.source_id,
                session=made.session,
                pts0_ns=wanted[0],
                pts1_ns=wanted[1],
                kept=outcome in ("kept", "again"),
                reason=shortened(why, NAME_CHARS),
            )
        )

    # What is kept.

    def _take_find(self, received: Received) -> None:
        lost = list(self._lost)

        def failed(error: BaseException) -> None:
            if not isinstance(error, OmniRecallError):
                error = OmniRecallError(f"memory failed on {received.decoded.topic}: {type(error).__name__}")
            received.fail(error)

        self._queries.submit(self._find, received.message, lost, done=received.reply, failed=failed)

    def _find(self, ask: ClipFind, lost: list[tuple[Origin, Range, str]]) -> ClipFound:
        """Runs in a lane."""
        with self._reader.snapshot() as db:
            clips, let_go = covering(db, (ask.source_id, ask.session), (ask.pts0_ns, ask.pts1_ns))
            why = "" if clips else self._why_none(db, ask, lost, let_go=let_go)
        return ClipFound(clips=tuple(clips), reason=why)

    def _why_none(
        self, db: sqlite3.Connection, ask: ClipFind, lost: list[tuple[Origin, Range, str]], *, let_go: bool
    ) -> str:
        if let_go:
            return "it was kept, and let go to make room for newer ones"
        origin = (ask.source_id, ask.session)
        for of, (pts0_ns, pts1_ns), why in reversed(lost):
            if of == origin and pts0_ns < ask.pts1_ns and pts1_ns > ask.pts0_ns:
                return why
        if not self._settings.enabled:
            return "memory.clips.enabled is off"
        closed = db.execute(
            "SELECT 1 FROM span WHERE level = 'event' AND source_id = ? AND session = ? AND pts1_ns > ?"
            " AND ended_commit IS NULL LIMIT 1",
            (*origin, ask.pts0_ns),
        ).fetchone()
        if closed is None:
            return "its event is not closed yet; ask again in a minute"
        if self._settings.of == "speech":
            return "clips are kept of events in which something is said or read (memory.clips.of)"
        return "it was not asked for while its packets were there"


def clip_id(made: ClipMade) -> bytes:
    """The identity of a clip: that of the range which was wanted."""
    return observation_id(
        made.source_id, made.session, KIND, PRODUCER, made.pts0_ns, (made.pts1_ns - made.pts0_ns) // 1_000_000
    )


def _observation(made: ClipMade, own_id: bytes, t_origin_ns: int | None) -> Observation:
    return Observation(
        observation_id=own_id,
        source_id=made.source_id,
        session=made.session,
        track=0,
        kind=KIND,
        producer_id=PRODUCER,
        pts0_ns=made.begins_ns,
        pts1_ns=made.ends_ns,
        t0_ns=None if t_origin_ns is None else t_origin_ns + made.begins_ns,
        t1_ns=None if t_origin_ns is None else t_origin_ns + made.ends_ns,
        payload={"wanted_ns": [made.pts0_ns, made.pts1_ns]},
        media=(MediaRef(part="clip", role=KIND, media_type=made.media_type),),
    )


def _want(origin: Origin, wanted: Range) -> ClipWant:
    return ClipWant(source_id=origin[0], session=origin[1], pts0_ns=wanted[0], pts1_ns=wanted[1])
