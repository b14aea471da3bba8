"""How video and audio take a track in: announced, resumed at its last mark, paid for by credit.

Capture announces a track with `media.state open`. Once memory has everything that this or
an earlier process said of it, memory is asked for the track's last mark, and capture is
granted credit to go on behind it, in a stream epoch of its own (docs/adr/0003).
"""

from __future__ import annotations

import secrets
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

import msgspec

from stream.errors import Malformed, OmniRecallError
from stream.messages.media import FINISHED_PTS_NS, MediaCredit, MediaState
from stream.messages.observation import (
    CommitPut,
    MarkAsk,
    MarkLast,
    Observation,
    Reject,
    TrackMark,
    observation_id,
)
from stream.process.liveness import has_ended
from stream.process.service import Received, Service
from stream.process.surroundings import Surroundings
from stream.wire.codec import Decoded
from stream.wire.credit import CreditWindow
from stream.wire.parts import OutPart
from stream.wire.sockets import PeerKey

NANO = 1_000_000_000

RETRY_S = 1.0
"""Seconds before memory is asked again after it failed."""

REOPEN_S = 3.0
"""A track that is still announced this long after its credit was sent is begun anew."""


class TrackId(NamedTuple):
    """One track of one source in one session (0 for files)."""

    source_id: bytes
    session: int
    track: int

    def observation_id(self, kind: str, producer_id: str, anchor_pts_ns: int) -> bytes:
        """An id; the track is its ordinal, so that two tracks of one source do not share ids."""
        return observation_id(
            self.source_id, self.session, kind, producer_id, anchor_pts_ns, ordinal=self.track
        )

    def mark(self, through_pts_ns: int, *, eof: bool = False) -> TrackMark:
        """A mark of this track."""
        return TrackMark(
            source_id=self.source_id,
            session=self.session,
            track=self.track,
            through_pts_ns=through_pts_ns,
            eof=eof,
        )

    def gap(
        self,
        producer_id: str,
        pts_ns: tuple[int, int],
        utc_offset_ns: int | None,
        reason: str,
        lost: str = "",
    ) -> Observation:
        """A stretch that nobody perceived, and why: answers say that it is missing.

        Args:
            producer_id: Who says so.
            pts_ns: Its begin and end.
            utc_offset_ns: UTC minus pts, None where it is not known.
            reason: For people.
            lost: What alone is missing of a stretch that was perceived; empty if everything is.
        """
        pts0_ns, pts1_ns = pts_ns
        return Observation(
            observation_id=self.observation_id("gap", producer_id, pts0_ns),
            source_id=self.source_id,
            session=self.session,
            track=self.track,
            kind="gap",
            producer_id=producer_id,
            pts0_ns=pts0_ns,
            pts1_ns=pts1_ns,
            t0_ns=None if utc_offset_ns is None else pts0_ns + utc_offset_ns,
            t1_ns=None if utc_offset_ns is None else pts1_ns + utc_offset_ns,
            payload={"reason": reason, "lost": lost} if lost else {"reason": reason},
        )


@dataclass(slots=True, eq=False)
class Intake:
    """One run of a track; a restart makes a new one, and what belongs to the old is ignored.

    `sender` is the name of the capture that is read. `in_hand` counts received items that
    are not yet consumed. `successor` is the announcement of a later session of the same
    source and track: this one is over.
    """

    own: TrackId
    opened: MediaState
    peer_key: PeerKey
    ask_at_ns: int
    sender: str = ""
    epoch: int = 0
    window: CreditWindow = field(default_factory=lambda: CreditWindow(0))
    credit_sent_ns: int = 0
    asking: bool = False
    is_open: bool = False
    in_hand: int = 0
    successor: MediaState | None = None

    @property
    def is_live(self) -> bool:
        """Whether the newest matters more than everything."""
        return self.opened.policy == "latest"


T = TypeVar("T", bound=Intake)


class IntakeService(Service, Generic[T]):
    """The half of a perception process that faces capture. Subclasses perceive."""

    media: ClassVar[Literal["video", "audio"]]

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._tracks: dict[TrackId, T] = {}
        self._unacknowledged: dict[int, TrackId] = {}

    # What a subclass says.

    @abstractmethod
    def new_intake(self, own: TrackId, opened: MediaState, peer_key: PeerKey, now_ns: int) -> T:
        """A track that was announced."""

    @abstractmethod
    def begin(self, track: T, after_pts_ns: int | None) -> CreditWindow:
        """Makes the state in which the track is perceived behind a mark; returns its window."""

    @abstractmethod
    def state_changed(self, track: T, message: MediaState, trace_id: bytes) -> None:
        """Takes a later state of an open track."""

    @abstractmethod
    def is_behind(self, track: T) -> bool:
        """Whether no more is wanted for now."""

    def wanted(self) -> tuple[float, int]:
        """Wanted frames per second and longer side in px; 0 leaves it to capture."""
        return 0.0, 0

    # Opening a track.

    def take_state(self, received: Received) -> None:
        """Takes `media.state`."""
        message: MediaState = received.message
        own = TrackId(message.source_id, message.session, message.track)
        track = self._tracks.get(own)
        if message.media != self.media or received.peer_key is None:
            self.metrics.count("unexpected")
        elif message.state == "open":
            if track is None or self._is_reopened(track, received.peer_key):
                now_ns = self.clock.monotonic_ns()
                track = self.new_intake(own, message, received.peer_key, now_ns)
                track.sender = received.envelope.sender
                self._tracks[own] = track
                self._end_older(message)
        elif track is not None and track.is_open and message.stream_epoch == track.epoch:
            self.state_changed(track, message, received.trace_id)

    def tend(self) -> None:
        """Asks for marks when the outbox allows it, and grants credit that was held back."""
        now_ns = self.clock.monotonic_ns()
        for track in list(self._tracks.values()):
            if track.is_open:
                self.grant(track)
            elif not track.asking and now_ns >= track.ask_at_ns and self._is_flushed(track.own):
                self._ask_mark(track)

    def is_current(self, track: T) -> bool:
        """Whether a run was not replaced by a newer one."""
        return self._tracks.get(track.own) is track

    def track_of(self, source_id: bytes, session: int, number: int, stream_epoch: int) -> T | None:
        """The open track that an item belongs to, if the item is of its epoch."""
        track = self._tracks.get(TrackId(source_id, session, number))
        return track if track is not None and track.is_open and track.epoch == stream_epoch else None

    def forget(self, track: T) -> None:
        """Lets go of a track that has ended."""
        del self._tracks[track.own]

    def _end_older(self, opened: MediaState) -> None:
        """Ends the live sessions that a new one of their source follows: their capture was killed.

        Sessions are the times at which they began. One that is not older is left alone, so
        that a late word of a dead capture cannot end its successor.
        """
        for track in list(self._tracks.values()):
            own = track.own
            is_same = (own.source_id, own.track) == (opened.source_id, opened.track)
            if is_same and track.is_live and own.session < opened.session and track.successor is None:
                track.successor = opened
                if track.is_open:
                    self._end_for(track, opened)

    def _end_for(self, track: T, successor: MediaState) -> None:
        """Says of a track what its capture can no longer say: that it ended, and what is missing.

        What lies between its end and its successor's begin was perceived by nobody.
        """
        origin_ns, later_ns = track.opened.t_origin_ns, successor.t_origin_ns
        is_known = origin_ns is not None and later_ns is not None
        eof = msgspec.structs.replace(
            track.opened,
            state="eof",
            stream_epoch=track.epoch,
            duration_ns=(later_ns or 0) - (origin_ns or 0) if is_known else None,
            reason="capture restarted",
        )
        self.metrics.count("superseded")
        self.state_changed(track, eof, b"")

    def _is_reopened(self, track: T, peer_key: PeerKey) -> bool:
        """Whether an announcement begins a known track anew.

        Of two captures of one content the first is read while it lives; the other goes on
        announcing until memory has the end.
        """
        if track.peer_key != peer_key:
            return has_ended(track.sender)
        waited_ns = self.clock.monotonic_ns() - track.credit_sent_ns
        return track.is_open and waited_ns > REOPEN_S * NANO

    def _is_flushed(self, own: TrackId) -> bool:
        """Whether memory has everything that this or an earlier process said of a track."""
        inherited = self.outbox.waiting - len(self._unacknowledged)
        return inherited <= 0 and own not in self._unacknowledged.values()

    def _ask_mark(self, track: T) -> None:
        track.asking = True
        self.ask(
            "memory",
            MarkAsk(source_id=track.own.source_id, session=track.own.session, track=track.own.track),
            lambda reply: self._open(track, reply),
            lambda error: self._ask_later(track, error),
        )

    def _ask_later(self, track: T, error: OmniRecallError) -> None:
        self.log.warning("mark_unknown", error=type(error).__name__)
        track.asking = False
        track.ask_at_ns = self.clock.monotonic_ns() + int(RETRY_S * NANO)

    def _open(self, track: T, reply: Decoded) -> None:
        if not self.is_current(track):
            return
        if not isinstance(reply.message, MarkLast):
            self._ask_later(track, Malformed(f"mark.ask was answered with {reply.topic}"))
            return
        mark = reply.message.mark
        track.epoch = secrets.randbelow(2**62) + 1
        if mark is not None and mark.eof:
            self._credit(track, 0, FINISHED_PTS_NS)
            self.forget(track)
            return
        after_pts_ns = mark.through_pts_ns if mark is not None else None
        track.window = self.begin(track, after_pts_ns)
        track.is_open = True
        if track.successor is not None:
            self._end_for(track, track.successor)
            return
        self._credit(track, track.window.due(), after_pts_ns)

    # Credit.

    def grant(self, track: T) -> None:
        """Grants what the window has room for, unless there is too much in hand already."""
        is_over = track.successor is not None
        if self.draining or is_over or not self.is_current(track) or self.is_behind(track):
            return
        if not self.has_room():
            return  # What cannot be kept is not asked for.
        n = track.window.due()
        if n > 0:
            self._credit(track, n, None)

    def is_beyond_credit(self, track: T) -> bool:
        """Whether capture has sent more than it was granted; counted."""
        beyond = track.window.consumed + track.in_hand >= track.window.granted
        if beyond:
            self.metrics.count("beyond_credit")
        return beyond

    def _credit(self, track: T, n: int, resume_pts_ns: int | None) -> None:
        track.credit_sent_ns = self.clock.monotonic_ns()
        rate_hz, max_side_px = self.wanted()
        self.send_to(
            track.peer_key,
            MediaCredit(
                source_id=track.own.source_id,
                session=track.own.session,
                track=track.own.track,
                stream_epoch=track.epoch,
                n=n,
                resume_pts_ns=resume_pts_ns,
                rate_hz=rate_hz,
                max_side_px=max_side_px,
            ),
        )

    # Out.

    def put(self, track: T, put: CommitPut, parts: list[OutPart], trace_id: bytes) -> None:
        """Makes a batch of a track durable; its track is not asked about until memory has it."""
        seq = self.commit(put, parts, trace_id)
        if seq:  # 0: memory would have refused it, and nothing will be acknowledged
            self._unacknowledged[seq] = track.own

    def committed(self, outbox_seq: int, rejects: tuple[Reject, ...]) -> None:
        """A batch is on disk."""
        self._unacknowledged.pop(outbox_seq, None)
