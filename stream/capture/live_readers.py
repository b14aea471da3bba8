"""The tracks of a live source: fed frame by frame by one thread for all of them, sent as any other track.

A container of a live source is read once, by `stream.capture.feed`; these take what it decodes. They
keep their place whoever reads and however often the source is opened anew, so that positions never go back.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from stream.capture.missed import Missed
from stream.capture.picture import Converters, DecodedFrame
from stream.capture.reader import Arrived, AudioReader, Hop, Reading, SoundItem, VideoReader
from stream.capture.resampling import Run, form_of
from stream.capture.settings import CaptureSettings
from stream.capture.sound import NS_PER_SAMPLE, AudioChunk, SampleGrid, sample_near
from stream.messages.media import AUDIO_RATE_HZ
from stream.process.clock import Clock

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.video.frame import VideoFrame

SILENT_S = 1.0
"""A longer hole in the sound of a live source is not filled with silence: it was missed."""


class Fed:
    """What is fed by another thread, and so has nothing to start; it may be shut for a while."""

    def __init__(self, *told: Any) -> None:
        super().__init__(*told)
        self._is_over = self._is_shut = False
        self._place = threading.Lock()

    def start(self) -> None:
        """Nothing to start."""

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        return self._is_over

    def reopen(self) -> None:
        """What comes is taken again, after a pause."""
        self._is_shut = False

    def end(self) -> None:
        """Nothing more will come."""
        self._is_over = True


class LiveVideo(Fed, VideoReader):
    """The pictures of a live source."""

    def __init__(
        self,
        reading: Reading,
        settings: CaptureSettings,
        clock: Clock,
        hop: Hop,
        arrived: Arrived,
    ) -> None:
        super().__init__(reading, settings, clock, hop, arrived)
        self._last_ns = -1
        self._converters: Converters | None = None

    def take(self, pts_ns: int, frame: VideoFrame, aspect: Any = None) -> None:
        """Takes a decoded picture; one that is not later than all before is counted and left out."""
        with self._place:
            if self._is_over or self._is_shut:
                return
            if pts_ns <= self._last_ns or pts_ns < self.missed.told_ns:
                self.health.misplaced += 1
                return
            self.missed.end(pts_ns)
            self._last_ns = self.health.end_pts_ns = pts_ns
        if self._converters is None or self._converters.aspect != aspect:
            self._converters = Converters(aspect)
        shown = DecodedFrame(pts_ns, frame, self._converters, self.reading.masks)
        choice = self._sampler.look(pts_ns, shown.luma())
        if choice is not None:
            self.ring.put(self._item(pts_ns, shown.rgb, choice))

    def lose(self, reason: str, state: str, now_ns: int) -> None:
        """Nothing comes from now on; what follows the last picture is missed."""
        with self._place:
            self._is_shut = state == "paused"
            self.missed.begin(max(0, self._last_ns), reason, state, now_ns)


class LiveAudio(Fed, AudioReader):
    """The sound of a live source."""

    def __init__(
        self, reading: Reading, settings: CaptureSettings, clock: Clock, hop: Hop, arrived: Arrived
    ) -> None:
        super().__init__(reading, settings, clock, hop, arrived)
        self._drift_ns = int(settings.drift_s * 1e9)
        self._grid: SampleGrid | None = None
        self._end_ns = 0
        self._run_now: Run | None = None

    def take(self, pts_ns: int, frame: AudioFrame) -> None:
        """Takes decoded sound; what overlaps with what came before is cut away."""
        with self._place:
            if self._is_over or self._is_shut:
                return
            if frame.samples <= 0 or frame.sample_rate <= 0:
                self.health.errors += 1
                return
            end_ns = pts_ns + frame.samples * 10**9 // frame.sample_rate
            if end_ns <= max(self._end_ns, self.missed.told_ns):
                self.health.misplaced += 1
                return
            if self._grid is None:
                self._begin(max(pts_ns, self._end_ns, self.missed.told_ns))
            run = self._run_now
            if run is None or run.form != form_of(frame) or abs(pts_ns - run.end_ns) > self._drift_ns:
                self._drain_run()
                self._run_now = Run(frame, pts_ns)
            self._resample(frame)

    def lose(self, reason: str, state: str, now_ns: int) -> None:
        """Nothing comes from now on; what came is sent whole, and what follows it is missed."""
        with self._place:
            self._drain_run()
            if self._grid is not None:
                for chunk in self._grid.rest():
                    self._put(chunk)
                self._grid = None
            self._is_shut = state == "paused"
            self.missed.begin(self._end_ns, reason, state, now_ns)

    def _begin(self, pts_ns: int) -> None:
        """A grid that begins where sound begins again: what lies before it was told as missed."""
        first = sample_near(pts_ns)
        if not self._end_ns and pts_ns <= SILENT_S * 1e9:
            first = 0  # Pictures came first by a moment.
        elif not self._end_ns:
            self.missed.add(Missed(0, first * NS_PER_SAMPLE, "there was no sound yet"))
        self.missed.end(first * NS_PER_SAMPLE)
        self._grid = SampleGrid(self.settings.chunk_samples, int(SILENT_S * AUDIO_RATE_HZ), begin=first)

    def _resample(self, frame: AudioFrame | None) -> None:
        if self._run_now is None or self._grid is None:
            return
        try:
            for first_sample, samples in self._run_now.take(frame):
                for chunk in self._grid.put(first_sample, samples):
                    self._put(chunk)
                self._end_ns = self.health.end_pts_ns = max(self._end_ns, self._grid.head * NS_PER_SAMPLE)
        except ValueError:  # What libswresample refuses (PyAV's errors are ValueErrors): a new run follows.
            self.health.errors += 1
            self._run_now = None

    def _drain_run(self) -> None:
        self._resample(None)
        self._run_now = None

    def _put(self, chunk: AudioChunk) -> None:
        if chunk.gap_ns is not None:
            self.missed.add(Missed(*chunk.gap_ns, "lost: a hole in the sound"))
            chunk = AudioChunk(chunk.first_sample, chunk.samples)
        item = SoundItem(chunk)
        self.hop(item.trace_id, "capture.live")
        self.ring.put(item)


LiveReader = LiveVideo | LiveAudio
