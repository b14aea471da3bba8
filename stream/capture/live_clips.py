"""Clips of a live source, on memory's demand: cut from the packets that were kept, told, and handed over.

Every message is repeated until its answer comes, so that either side may be killed at any time. A
file lies in a folder of this very process in the spool until memory has it; the next process of the
name takes away what is left there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stream.capture.live_clip import LiveClip, write_clip
from stream.capture.packets import PacketRing, Stretch, Tap
from stream.capture.settings import CaptureSettings
from stream.capture.track import Origin
from stream.errors import OmniRecallError
from stream.messages.media import ClipHeld, ClipMade, ClipSettled, ClipWant
from stream.process.service import Received, Service

CLIPS_FOLDER = "clips"
"""Under the spool: a folder for each process that makes clips."""
TELL_NS = 1_000_000_000
"""Between two words to memory of what is kept."""
REPEAT_NS = 3_000_000_000
"""After which a clip that memory has not settled is told again."""
MOST_WANTED = 64
"""Clips that may wait to be made or settled; more are asked for again."""

Range = tuple[int, int]


@dataclass(slots=True)
class _Wanted:
    """A clip on its way: `told` once it is made, or cannot be."""

    making: bool = False
    told: ClipMade | None = None
    due_ns: int = 0


class LiveClips:
    """Makes the clips of one live source. Belongs to the loop of its process.

    Args:
        service: The process; messages, a lane and counters are its.
        origin: The source.
        media: `video` or `audio` by number of track.
        settings: Bounds of what is kept.
    """

    def __init__(
        self, service: Service, origin: Origin, media: Mapping[int, str], settings: CaptureSettings
    ) -> None:
        self._service, self._origin, self._settings = service, origin, settings
        self._memory = service.connect("memory")
        self._ring = PacketRing(media, settings.packet_ring_bytes, int(settings.packet_ring_s * 1e9))
        self._wanted: dict[Range, _Wanted] = {}
        self._over = self._are_wanted = False
        self._tell_due_ns = 0
        self._leave_at_ns: int | None = None
        spool = service.surroundings.spool_dir / CLIPS_FOLDER
        self._folder = spool / f"{service.name}-{os.getpid()}"
        for left in spool.glob(f"{service.name}-*"):
            shutil.rmtree(left, ignore_errors=True)  # Of an earlier process of this name, which has ended.
        service.on(ClipWant, self._want)
        service.on(ClipSettled, self._settled)

    def tap(self, track: int) -> Tap:
        """Where the reader of a track puts its encoded packets."""
        return self._ring.tap(track)

    def turn(self, now_ns: int) -> None:
        """Tells memory what is kept, makes what is wanted, and repeats what was not answered."""
        if self._over:
            return
        if now_ns >= self._tell_due_ns:
            self._tell_due_ns = now_ns + TELL_NS
            self._tell_held()
        for wanted, clip in self._wanted.items():
            if clip.told is not None and now_ns >= clip.due_ns:
                clip.due_ns = now_ns + REPEAT_NS
                self._memory.send(clip.told)
            elif clip.told is None and not clip.making and self._ring.has_come(wanted[1]):
                self._make(wanted, clip)

    def may_leave(self, now_ns: int) -> bool:
        """Whether a source that has ended may go: no clip of it is wanted, or nobody settles that in time."""
        if self._over or not self._are_wanted:
            return True
        if self._leave_at_ns is None:
            self._leave_at_ns = now_ns + int(self._settings.clip_linger_s * 1e9)
        if now_ns >= self._leave_at_ns:
            self._service.log.warning("clips_unsettled", n=len(self._wanted))
            return True
        return False

    def close(self) -> None:
        """Takes away what memory did not take."""
        self._ring.release()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _tell_held(self) -> None:
        held, counts, metrics = self._ring.held(), self._ring.counts(), self._service.metrics
        metrics.gauge("ring_bytes", counts.n_bytes)
        metrics.gauge("ring_packets_shed", counts.shed)
        metrics.gauge("ring_dropped", counts.dropped)
        metrics.gauge("ring_packets_untimed", counts.untimed)
        self._memory.send(
            ClipHeld(
                source_id=self._origin.source_id,
                session=self._origin.session,
                pts0_ns=None if held is None else held[0],
                pts1_ns=None if held is None else held[1],
                ended=self._ring.is_ended,
            )
        )

    def _is_ours(self, message: ClipWant | ClipSettled) -> bool:
        return (message.source_id, message.session) == (self._origin.source_id, self._origin.session)

    def _want(self, received: Received) -> None:
        want: ClipWant = received.message
        self._are_wanted = True
        wanted = (want.pts0_ns, want.pts1_ns)
        if not self._is_ours(want) or wanted[0] >= wanted[1]:
            self._service.metrics.count("unexpected")
        elif wanted in self._wanted:
            self._wanted[wanted].due_ns = 0  # It was told already, and not heard.
        elif len(self._wanted) >= MOST_WANTED:
            self._service.metrics.count("clips_put_off")
        else:
            self._wanted[wanted] = _Wanted()

    def _settled(self, received: Received) -> None:
        settled: ClipSettled = received.message
        if not self._is_ours(settled):
            return
        self._are_wanted = True
        clip = self._wanted.pop((settled.pts0_ns, settled.pts1_ns), None)
        if clip is not None and clip.told is not None and clip.told.path:
            Path(clip.told.path).unlink(missing_ok=True)
        if settled.over:
            self._over = True
            self._ring.release()

    def _make(self, wanted: Range, clip: _Wanted) -> None:
        stretch = self._ring.stretch(*wanted)
        if stretch is None:
            self._not_made(wanted, clip, self._why_nothing(wanted))
            return
        clip.making = True
        self._service.lane("clips").submit(
            self._write,
            stretch,
            f"{wanted[0]}-{wanted[1]}",
            done=lambda made: self._made(wanted, clip, made),
            failed=lambda error: self._not_written(wanted, clip, error),
        )

    def _why_nothing(self, wanted: Range) -> str:
        held, dropped = self._ring.held(), self._ring.counts().dropped
        if dropped and (held is None or held[0] >= wanted[1]):
            return "what lies between two keyframes is larger than capture.packet_ring_bytes"
        if held is None:
            return "no packets are kept of it"
        if held[0] >= wanted[1]:
            return f"what is kept begins {(held[0] - wanted[1]) / 1e9:.1f} s after it"
        return "the source ended before it"

    def _write(self, stretch: Stretch, name: str) -> LiveClip:
        """Runs in the lane."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return write_clip(stretch, self._folder, name)

    def _made(self, wanted: Range, clip: _Wanted, made: LiveClip) -> None:
        self._service.metrics.count("clips_made")
        if self._wanted.get(wanted) is not clip:  # It was settled meanwhile.
            made.path.unlink(missing_ok=True)
            return
        self._tell(
            clip,
            ClipMade(
                source_id=self._origin.source_id,
                session=self._origin.session,
                pts0_ns=wanted[0],
                pts1_ns=wanted[1],
                path=str(made.path),
                content_hash=made.content_hash,
                n_bytes=made.n_bytes,
                begins_ns=made.begins_ns,
                ends_ns=made.ends_ns,
                media_type=made.media_type,
            ),
        )

    def _not_written(self, wanted: Range, clip: _Wanted, error: BaseException) -> None:
        """A clip that cannot be written is told as lost: what is being perceived goes on."""
        self._service.log.warning("clip_not_written", error=type(error).__name__)
        why = error.message if isinstance(error, OmniRecallError) else type(error).__name__
        self._not_made(wanted, clip, f"it could not be written: {why}")

    def _not_made(self, wanted: Range, clip: _Wanted, why: str) -> None:
        self._service.metrics.count("clips_lost")
        self._tell(
            clip,
            ClipMade(
                source_id=self._origin.source_id,
                session=self._origin.session,
                pts0_ns=wanted[0],
                pts1_ns=wanted[1],
                path="",
                content_hash="",
                n_bytes=0,
                lost=why,
            ),
        )

    def _tell(self, clip: _Wanted, made: ClipMade) -> None:
        clip.told, clip.making, clip.due_ns = made, False, 0
