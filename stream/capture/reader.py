"""One thread per track: decodes, samples, and fills the ring that the sender empties."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Literal, Self, TypeVar

from stream.capture.container import ensure_readable, ensure_same
from stream.capture.decoding import TrackHealth
from stream.capture.file import chunks, frames, paced
from stream.capture.missed import MissedStretches
from stream.capture.packets import Tap
from stream.capture.photo import pixels
from stream.capture.picture import Pixels
from stream.capture.privacy import Mask
from stream.capture.ring import Overflow, Ring, RingItem
from stream.capture.sampler import Choice, Sampler, join_curves
from stream.capture.settings import CaptureSettings
from stream.capture.sound import AudioChunk, sample_at, with_gap
from stream.errors import SourceError, SourceGone
from stream.messages.envelope import new_id
from stream.messages.media import ChangePoint, Policy
from stream.process.clock import Clock
from stream.process.threads import named_thread
from stream.wire.parts import OutPart, array_part, blob_part

Hop = Callable[[bytes, str], None]
"""Records a trace hop: trace id, name."""
Arrived = Callable[[], None]
"""Called in the reader's thread when something waits to be sent."""

_WAITING_CHUNKS = 64
_UNBOUNDED_ITEMS = 1 << 30  # Bytes are the bound.

T = TypeVar("T")
I = TypeVar("I", bound=RingItem)  # noqa: E741 - an item


@dataclass(frozen=True, slots=True)
class FrameItem:
    """A sampled frame on its way: what `media.frame` says of it, and its pixels as a part."""

    pts_ns: int
    why: Literal["rate", "change"]
    width_px: int
    height_px: int
    part: OutPart
    curve: tuple[ChangePoint, ...]
    curve_points: int
    dropped: int = 0
    lat: float | None = None
    lon: float | None = None
    trace_id: bytes = field(default_factory=new_id)

    @property
    def n_bytes(self) -> int:
        """Bytes of its pixels."""
        return self.part.part.n_bytes

    def absorb(self, lost: Self) -> Self:
        """This frame, with the curve and the count of a dropped one before it."""
        curve = join_curves(lost.curve, self.curve, self.curve_points)
        return replace(self, curve=curve, dropped=self.dropped + lost.dropped + 1)


@dataclass(frozen=True, slots=True)
class SoundItem:
    """A chunk of sound on its way."""

    chunk: AudioChunk
    trace_id: bytes = field(default_factory=new_id)

    @property
    def n_bytes(self) -> int:
        """Bytes of its samples."""
        return int(self.chunk.samples.nbytes)

    @property
    def stretch_ns(self) -> tuple[int, int]:
        """Start and end of what it holds, the gap before it included."""
        start_ns = self.chunk.gap_ns[0] if self.chunk.gap_ns is not None else self.chunk.pts_ns
        return start_ns, self.chunk.end_pts_ns

    def absorb(self, lost: Self) -> Self:
        """This chunk, with the stretch of a dropped one before it as a gap."""
        return replace(self, chunk=with_gap(self.chunk, lost.stretch_ns))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader is to do.

    `after_pts_ns` is the mark after which it begins, None for the start. `rate_hz` and
    `max_side_px` are what perception wants. `began_ns` is the monotonic time of position
    0 for a file that is played as a camera, None for one that is read as fast as it goes.
    `lat` and `lon` are where its pictures were taken, as far as is known. `is_again`: it was
    read before, and must be the same file still. `tap` sees its encoded packets. `masks` are black.
    """

    path: Path
    track: int
    policy: Policy
    rate_hz: float
    max_side_px: int
    after_pts_ns: int | None = None
    began_ns: int | None = None
    lat: float | None = None
    lon: float | None = None
    is_again: bool = False
    tap: Tap | None = None
    masks: tuple[Mask, ...] = ()


class Reader(Generic[I]):
    """Reads one track from one position to its end; the base of the two kinds.

    Its thread ends by itself at the end of the track, on damage (`health.partial`), when
    the file goes away (`gone`), or soon after `stop`. `failure` is then what went wrong
    beyond that.

    Args:
        reading: What to read.
        settings: Bounds.
        clock: Paces a file that is played as a camera.
        hop: Records trace hops.
        ring: What it fills.
    """

    def __init__(
        self, reading: Reading, settings: CaptureSettings, clock: Clock, hop: Hop, ring: Ring[I]
    ) -> None:
        self.reading = reading
        self.settings = settings
        self.ring = ring
        self.health = TrackHealth()
        self.missed = MissedStretches()
        self.gone: SourceGone | None = None
        self.failure: Exception | None = None
        self._clock = clock
        self._hop = hop
        self._stopped = threading.Event()
        self._thread = named_thread(self._run, f"read-{reading.track}")

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end; it does so within a moment, unless libav is stuck."""
        self._stopped.set()
        self.ring.close()

    def join(self, timeout_s: float) -> None:
        """Waits for the thread."""
        self._thread.join(timeout_s)

    @property
    def finished(self) -> bool:
        """Whether everything has been read and handed to the ring."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def items(self) -> Iterator[I]:
        """What goes into the ring, in order; runs in the thread."""
        raise NotImplementedError

    def in_time(self, decoded: Iterator[T], due_ns: Callable[[T], int]) -> Iterator[T]:
        """The decoded items, in real time if the file is played as a camera."""
        began_ns = self.reading.began_ns
        if began_ns is None:
            return decoded
        return paced(decoded, due_ns, self._clock, began_ns, self._stopped.is_set)

    def hop(self, trace_id: bytes, name: str) -> None:
        """Records a hop."""
        self._hop(trace_id, name)

    def _run(self) -> None:
        try:
            if self.reading.is_again:
                ensure_same(self.reading.path)
            if self._read_on():
                ensure_readable(self.reading.path)
        except SourceGone as error:
            self.gone = error
        except Exception as error:  # Raised again in the loop, where it ends the process.
            self.failure = error
        finally:
            if self.reading.tap is not None:
                self.reading.tap.end()

    def _read_on(self) -> bool:
        """Fills the ring; whether it came to an end of the track, be it by damage."""
        try:
            for item in self.items():
                if self._stopped.is_set() or not self.ring.put(item):
                    return False
        except SourceGone:
            raise
        except SourceError as error:
            self.health.partial = error.message
        return True


class VideoReader(Reader[FrameItem]):
    """Reads a video track through the sampler.

    Attributes:
        newest: Of what is live, position and pixels of the picture that was chosen last, masked; else None.
    """

    def __init__(
        self, reading: Reading, settings: CaptureSettings, clock: Clock, hop: Hop, arrived: Arrived
    ) -> None:
        overflow: Overflow = "oldest" if reading.policy == "latest" else "wait"
        ring: Ring[FrameItem] = Ring(
            overflow, settings.video_ring_items, settings.video_ring_bytes, arrived=arrived
        )
        super().__init__(reading, settings, clock, hop, ring)
        self.newest: tuple[int, Pixels] | None = None
        self._max_side_px = reading.max_side_px
        self._wanted_hz = reading.rate_hz
        self._divisor = 1
        self._sampler = Sampler(
            reading.rate_hz,
            settings.change_threshold,
            settings.change_rate_hz,
            settings.curve_points,
            reading.after_pts_ns,
        )

    def want(self, rate_hz: float, max_side_px: int) -> None:
        """Changes spacing and size on the way (0: the settings'); for live sources alone."""
        self._wanted_hz = rate_hz or self.settings.rate_hz
        self._max_side_px = max_side_px or self.settings.max_side_px
        self.slow(self._divisor)

    def slow(self, divisor: int) -> None:
        """Chooses pictures less often than wanted by a divisor, yet not below `least_rate_hz`; live alone."""
        self._divisor = divisor
        least_hz = min(self._wanted_hz, self.settings.least_rate_hz)
        self._sampler.rate_hz = max(least_hz, self._wanted_hz / divisor)

    @property
    def rate_hz(self) -> float:
        """Pictures per second that are chosen now though nothing changes."""
        return self._sampler.rate_hz

    def items(self) -> Iterator[FrameItem]:
        """The frames that the sampler chooses."""
        reading = self.reading
        decoded = frames(
            reading.path,
            reading.track,
            self._sampler.primes_after_pts_ns,
            self.settings,
            self.health,
            reading.tap,
        )
        for frame in self.in_time(decoded, lambda frame: frame.pts_ns):
            shown = frame.masked(reading.masks) if reading.masks else frame
            choice = self._sampler.look(frame.pts_ns, shown.luma())
            if choice is not None:
                yield self._item(frame.pts_ns, shown.rgb, choice)

    def _item(self, pts_ns: int, rgb: Callable[[int], Pixels], choice: Choice) -> FrameItem:
        """A frame that was chosen; `rgb` gives its pixels of at most a longer side."""
        trace_id = new_id()
        self.hop(trace_id, "capture.file")
        picture = rgb(self._max_side_px)
        if self.reading.policy == "latest":
            self.newest = pts_ns, picture
        item = FrameItem(
            pts_ns=pts_ns,
            why=choice.why,
            width_px=picture.shape[1],
            height_px=picture.shape[0],
            part=self._part(picture),
            curve=choice.curve,
            curve_points=self.settings.curve_points,
            lat=self.reading.lat,
            lon=self.reading.lon,
            trace_id=trace_id,
        )
        self.hop(trace_id, "capture.sampler")
        return item

    def _part(self, picture: Pixels) -> OutPart:
        if self.settings.frame_encoding == "rgb24":
            return array_part("frame", picture)
        import cv2

        quality = [cv2.IMWRITE_JPEG_QUALITY, self.settings.jpeg_quality]
        _, body = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality)
        return blob_part("frame", body.tobytes(), "jpeg")


class StillReader(VideoReader):
    """Reads the one picture of a photo: a film of one frame, at position 0."""

    def items(self) -> Iterator[FrameItem]:
        """The picture, unless it is known."""
        reading = self.reading
        if reading.after_pts_ns is None or reading.after_pts_ns < 0:
            choice = Choice("rate", (ChangePoint(pts_ns=0, score=0.0),))
            yield self._item(0, lambda side_px: pixels(reading.path, side_px, self.settings), choice)


class AudioReader(Reader[SoundItem]):
    """Reads a sound track."""

    def __init__(
        self, reading: Reading, settings: CaptureSettings, clock: Clock, hop: Hop, arrived: Arrived
    ) -> None:
        is_live = reading.policy == "latest"
        ring: Ring[SoundItem] = Ring(
            "newest" if is_live else "wait",
            _UNBOUNDED_ITEMS if is_live else _WAITING_CHUNKS,
            settings.audio_ring_bytes,
            settings.audio_wait_s,
            arrived,
        )
        super().__init__(reading, settings, clock, hop, ring)

    def items(self) -> Iterator[SoundItem]:
        """The chunks of the track."""
        reading = self.reading
        after_sample = sample_at(reading.after_pts_ns) if reading.after_pts_ns is not None else None
        decoded = chunks(reading.path, reading.track, after_sample, self.settings, self.health, reading.tap)
        # A microphone has a chunk once its last sample has been heard.
        for chunk in self.in_time(decoded, lambda chunk: chunk.end_pts_ns):
            item = SoundItem(chunk)
            self.hop(item.trace_id, "capture.file")
            yield item
