"""Sound as it is decoded, made 16 kHz mono: one resampler for as long as nothing changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from stream.capture.decoding import NS_PER_S
from stream.capture.sound import Samples, sample_near
from stream.messages.media import AUDIO_RATE_HZ

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame


class Run:
    """Sound without a break, through one resampler: positions are counted, not read, within it."""

    def __init__(self, frame: AudioFrame, pts_ns: int) -> None:
        from av.audio.resampler import AudioResampler

        self.form = form_of(frame)
        self._began_ns = pts_ns
        self._taken = 0
        self._next = sample_near(pts_ns)
        self._resampler = AudioResampler(format="s16", layout="mono", rate=AUDIO_RATE_HZ)

    @property
    def end_ns(self) -> int:
        """Where the next frame should begin."""
        return self._began_ns + self._taken * NS_PER_S // self.form[2]

    def take(self, frame: AudioFrame | None) -> Iterator[tuple[int, Samples]]:
        """Resamples a frame, or with None what is left; gives samples and where they begin."""
        if frame is not None:
            self._taken += frame.samples
            frame.pts = None
        for resampled in self._resampler.resample(frame):
            samples = np.asarray(resampled.to_ndarray(), dtype=np.int16).reshape(-1)
            yield self._next, samples
            self._next += len(samples)


def form_of(frame: AudioFrame) -> tuple[str, str, int]:
    """Sample format, layout and rate: a resampler takes only one of each."""
    return frame.format.name, frame.layout.name, frame.sample_rate
