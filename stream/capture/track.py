"""One track between its reader and perception: credit, epochs, announcements, the end.

Knows no sockets: messages leave through a function, time and credit come in through
arguments. `stream.capture.service` is the loop around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from stream.capture.missed import Missed
from stream.capture.reader import AudioReader, FrameItem, SoundItem, VideoReader
from stream.capture.ring import RingCounts
from stream.errors import SourceGone
from stream.messages.envelope import Message
from stream.messages.media import FINISHED_PTS_NS, MediaAudio, MediaCredit, MediaFrame, MediaState, Policy
from stream.messages.observation import TrackRecord
from stream.wire.credit import CreditGate
from stream.wire.parts import OutPart, array_part

HOLE = "hole"
"""Reason of a gap: the medium itself has nothing there."""
OVERLOAD = "overload"
"""Reason of a gap: it was not taken in time and dropped."""

AnyReader = VideoReader | AudioReader
UNHEARD = 3
"""Announcements without an answer after which somebody else may be read instead."""
State = Literal["open", "lost", "paused", "eof", "closed"]


class Send(Protocol):
    """Sends a message of this track to perception."""

    def __call__(self, message: Message, parts: Sequence[OutPart] = (), trace_id: bytes = b"") -> None:
        """Never blocks."""
        ...


class NewReader(Protocol):
    """Makes a reader that begins after a position, with wanted spacing and size (0: the settings')."""

    def __call__(
        self, record: TrackRecord, after_pts_ns: int | None, rate_hz: float, max_side_px: int
    ) -> AnyReader:
        """Does not start it."""
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """What all tracks of a source have in common.

    `t_origin_ns` is the UTC time of pts 0, None where it is not known.
    """

    source_id: bytes
    session: int
    uri: str
    policy: Policy
    t_origin_ns: int | None
    duration_ns: int | None

    def t_ns(self, pts_ns: int) -> int | None:
        """The UTC time of a position."""
        return None if self.t_origin_ns is None else self.t_origin_ns + pts_ns


class Track:
    """Sends one track against credit until memory has it to its end.

    A `lossless` track is read from where a new epoch of credit says, each time anew. A
    `latest` one is read once, from the start, and goes on whoever listens.

    Args:
        origin: The source.
        record: The track.
        send: Sends to the perception process of the track's medium.
        new_reader: Makes readers.
        is_gone: Whether the process that sent messages under a name has ended.
        announce_ns: Wait between two announcements.
    """

    def __init__(
        self,
        origin: Origin,
        record: TrackRecord,
        send: Send,
        new_reader: NewReader,
        is_gone: Callable[[str], bool],
        announce_ns: int,
    ) -> None:
        self.record = record
        self.media: Literal["video", "audio"] = "audio" if record.media == "audio" else "video"
        self.reader: AnyReader | None = None
        self.ended = False
        self.finished = False
        self.position_ns = 0
        self._origin = origin
        self._send = send
        self._new_reader = new_reader
        self._is_gone = is_gone
        self._announce_ns = announce_ns
        self._announce_due_ns = 0
        self._announced = 0
        self._gate = CreditGate()
        self._holder = ""

    @property
    def partial(self) -> str:
        """Why it ended early; empty if it did not."""
        return self.reader.health.partial if self.reader is not None else ""

    @property
    def unheard(self) -> bool:
        """Whether it has announced itself for some time and nobody has granted it credit."""
        return self._announced >= UNHEARD

    @property
    def gone(self) -> SourceGone | None:
        """Why its file cannot be read any more: it has no end then, and goes on another time."""
        return self.reader.gone if self.reader is not None and not self.finished else None

    @property
    def errors(self) -> int:
        """Packets that could not be decoded."""
        return self.reader.health.errors if self.reader is not None else 0

    def counts(self) -> RingCounts:
        """The accounts of its ring, since it was last begun."""
        return self.reader.ring.counts() if self.reader is not None else RingCounts()

    def begin(self) -> None:
        """Starts a live track; an archived one waits for its first credit."""
        if self._origin.policy == "latest":
            self._read(None, 0.0, 0)

    def credited(self, credit: MediaCredit, holder: str) -> None:
        """Takes credit from the process named `holder`; a new epoch may begin the track anew.

        Epochs are random numbers, so which came before which is known by memory alone: credit
        that a process left on the way before another took the track over is not taken.
        """
        if credit.stream_epoch in self._gate.past_epochs:
            return
        is_new = self._gate.grant(credit.stream_epoch, credit.n)
        self._holder = holder
        self._announced = 0
        if credit.resume_pts_ns is not None and credit.resume_pts_ns >= FINISHED_PTS_NS:
            self.finish()
        elif is_new and self._origin.policy == "lossless":
            self.ended = False
            self._read(credit.resume_pts_ns, credit.rate_hz, credit.max_side_px)
        elif is_new:
            self.ended = False
        if self._origin.policy == "latest" and isinstance(self.reader, VideoReader):
            self.reader.want(credit.rate_hz, credit.max_side_px)

    def turn(self, now_ns: int) -> None:
        """Sends what credit allows, then the end, or announces itself to a process that knows nothing.

        Raises:
            Exception: What the reader's thread failed with, if that was no damage of the medium.
        """
        if self.finished:
            return
        if self.reader is not None and self.reader.failure is not None:
            raise self.reader.failure
        if not self._holder or self._is_gone(self._holder):
            if now_ns >= self._announce_due_ns:
                self._announce_due_ns = now_ns + self._announce_ns
                self._announced += 1
                self._tell("open")
            return
        while self._send_next():
            pass
        self._end_if_read()

    def finish(self) -> None:
        """Stops: memory has everything."""
        self.finished = True
        self.stop()

    def stop(self) -> None:
        """Stops its reader."""
        if self.reader is not None:
            self.reader.stop()

    def close(self, reason: str) -> None:
        """Stops, and tells perception that nothing more will come."""
        self.stop()
        if self._origin.policy == "latest":
            self._send_last()
        if not self.finished and not self.ended and self._gate.stream_epoch:
            if self.reader is not None:
                self._tell_missed(self.reader.missed.waiting(), None)
            self._tell("closed", reason)

    def _read(self, after_pts_ns: int | None, rate_hz: float, max_side_px: int) -> None:
        self.stop()
        self.position_ns = after_pts_ns or 0
        self.reader = self._new_reader(self.record, after_pts_ns, rate_hz, max_side_px)
        self.reader.start()

    def _end_if_read(self) -> None:
        """Says eof once everything has been read and sent."""
        if self.ended or self.reader is None or not self.reader.finished or self.counts().waiting:
            return
        if self.gone is not None:
            return  # Where it was cut off is no end.
        self.ended = True
        lost = self.reader.ring.take_lost()
        gap_ns = lost.stretch_ns if isinstance(lost, SoundItem) else None
        self._tell("eof", self.partial or (OVERLOAD if gap_ns else ""), gap_ns)

    def _send_last(self) -> None:
        """Sends what credit still allows of a live track; the rest is dropped and counted."""
        if self._holder:
            while self._send_next():
                pass
        if self.reader is not None:
            self.reader.ring.discard()

    def _send_next(self) -> bool:
        """Sends what was missed and the next item, in order, as far as credit allows; whether it was one."""
        if self.reader is None:
            return False
        missed = self.reader.missed.waiting()  # Before the item: what is missed after it is told after it.
        item = self.reader.ring.take() if self._gate.left > 0 else None
        if item is None and self.counts().waiting:
            self.reader.missed.give_back(missed)
            return False
        self._tell_missed(missed, item)
        if item is None:
            return False
        self._gate.spend()
        self._send_item(item)
        return True

    def _tell_missed(self, missed: list[Missed], before: FrameItem | SoundItem | None) -> None:
        """Tells the stretches that end before an item, which comes next; all of them where none does."""
        if before is None:
            until_ns = None
        else:
            until_ns = before.pts_ns if isinstance(before, FrameItem) else before.chunk.pts_ns
        due = [one for one in missed if until_ns is None or one.pts1_ns <= until_ns]
        if self.reader is not None and len(due) < len(missed):
            self.reader.missed.give_back(missed[len(due) :])
        for one in due:
            state: State = "paused" if one.state == "paused" else "lost"
            self._tell(state, one.reason, (one.pts0_ns, one.pts1_ns))

    def _send_item(self, item: FrameItem | SoundItem) -> None:
        if isinstance(item, FrameItem):
            self.position_ns = item.pts_ns
            self._send_frame(item)
            return
        self.position_ns = item.chunk.end_pts_ns
        if item.chunk.gap_ns is not None:
            is_live = self._origin.policy == "latest"
            self._tell("lost", OVERLOAD if is_live else HOLE, item.chunk.gap_ns)
        self._send_sound(item)

    def _send_frame(self, item: FrameItem) -> None:
        origin = self._origin
        message = MediaFrame(
            source_id=origin.source_id,
            session=origin.session,
            track=self.record.track,
            stream_epoch=self._gate.stream_epoch,
            pts_ns=item.pts_ns,
            t_ns=origin.t_ns(item.pts_ns),
            width_px=item.width_px,
            height_px=item.height_px,
            why=item.why,
            dropped=item.dropped,
            curve=item.curve,
            lat=msgspec.UNSET if item.lat is None else item.lat,
            lon=msgspec.UNSET if item.lon is None else item.lon,
        )
        self._send(message, (item.part,), item.trace_id)

    def _send_sound(self, item: SoundItem) -> None:
        origin = self._origin
        message = MediaAudio(
            source_id=origin.source_id,
            session=origin.session,
            track=self.record.track,
            stream_epoch=self._gate.stream_epoch,
            first_sample=item.chunk.first_sample,
            t_ns=origin.t_ns(item.chunk.pts_ns),
        )
        self._send(message, (array_part("samples", item.chunk.samples),), item.trace_id)

    def _tell(self, state: State, reason: str = "", gap_ns: tuple[int, int] | None = None) -> None:
        origin, counts = self._origin, self.counts()
        message = MediaState(
            source_id=origin.source_id,
            session=origin.session,
            track=self.record.track,
            media=self.media,
            state=state,
            policy=origin.policy,
            stream_epoch=self._gate.stream_epoch,
            uri=origin.uri,
            t_origin_ns=origin.t_origin_ns,
            duration_ns=origin.duration_ns,
            end_pts_ns=self.reader.health.end_pts_ns if state == "eof" and self.reader else None,
            reason=reason,
            gap0_ns=gap_ns[0] if gap_ns is not None else None,
            gap1_ns=gap_ns[1] if gap_ns is not None else None,
            read=counts.read,
            dropped=counts.dropped,
        )
        self._send(message)
