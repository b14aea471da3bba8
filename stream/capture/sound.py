"""Sound on an absolute grid of samples: holes become silence, overlaps are cut away.

Pure: knows samples and positions, not containers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from stream.messages.media import AUDIO_RATE_HZ

NS_PER_SAMPLE = 1_000_000_000 // AUDIO_RATE_HZ
"""62,500 exactly: positions in samples and in nanoseconds convert without rounding."""

Samples = npt.NDArray[np.int16]
"""Mono samples at 16 kHz, (n,)."""


def sample_at(pts_ns: int) -> int:
    """The first sample at or after a position."""
    return -(-pts_ns // NS_PER_SAMPLE)


def sample_near(pts_ns: int) -> int:
    """The sample nearest to a position."""
    return (pts_ns + NS_PER_SAMPLE // 2) // NS_PER_SAMPLE


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A stretch of sound: `samples` (n,) int16 at 16 kHz, the first at `first_sample`.

    `gap_ns` is a stretch right before it that will never be delivered, as (start, end).
    """

    first_sample: int
    samples: Samples
    gap_ns: tuple[int, int] | None = None

    @property
    def pts_ns(self) -> int:
        """Position of its first sample."""
        return self.first_sample * NS_PER_SAMPLE

    @property
    def end_pts_ns(self) -> int:
        """Position right after its last sample."""
        return (self.first_sample + len(self.samples)) * NS_PER_SAMPLE


class SampleGrid:
    """Cuts sound into chunks: chunk k holds the samples from `k * size` up to `(k + 1) * size`.

    Only three kinds of chunk are shorter: the last one, the one before a gap, and the
    first ones after a gap or after the point at which a reader resumes.

    Args:
        size: Samples per chunk.
        hole_limit: Longest hole, in samples, that is filled with silence.
        begin: Samples before this one are discarded.
    """

    def __init__(self, size: int, hole_limit: int, begin: int = 0) -> None:
        self._size = size
        self._hole_limit = hole_limit
        self._begin = begin
        self._head = 0
        self._pieces: list[Samples] = []
        self._waiting = 0
        self._gap_ns: tuple[int, int] | None = None

    @property
    def head(self) -> int:
        """The sample that comes next."""
        return self._head

    def put(self, first_sample: int, samples: Samples) -> Iterator[AudioChunk]:
        """Takes samples at a position; gives the chunks that are complete with them.

        What lies before `head` is cut away; what lies beyond it leaves a hole, of silence
        or, beyond the limit, of nothing.
        """
        if first_sample < self._head:
            samples = samples[self._head - first_sample :]
            if not len(samples):
                return
            first_sample = self._head
        if first_sample - self._head > self._hole_limit:
            yield from self._leap(first_sample)
        while self._head < first_sample:
            n_silent = min(first_sample - self._head, self._size)
            yield from self._add(np.zeros(n_silent, dtype=np.int16))
        yield from self._add(samples)

    def rest(self) -> Iterator[AudioChunk]:
        """The samples that did not fill a chunk; for the end of a track."""
        yield from self._emit()

    def _leap(self, to_sample: int) -> Iterator[AudioChunk]:
        yield from self._emit()
        if to_sample > self._begin:
            start = max(self._head, self._begin)
            self._gap_ns = (start * NS_PER_SAMPLE, to_sample * NS_PER_SAMPLE)
        self._head = to_sample

    def _add(self, samples: Samples) -> Iterator[AudioChunk]:
        while len(samples):
            room = self._size - self._head % self._size
            piece, samples = samples[:room], samples[room:]
            self._pieces.append(piece)
            self._waiting += len(piece)
            self._head += len(piece)
            if self._head % self._size == 0:
                yield from self._emit()

    def _emit(self) -> Iterator[AudioChunk]:
        if not self._waiting:
            return
        first_sample = self._head - self._waiting
        samples = np.concatenate(self._pieces)
        self._pieces, self._waiting = [], 0
        if self._head <= self._begin:
            return
        cut = max(0, self._begin - first_sample)
        chunk = AudioChunk(first_sample + cut, samples[cut:], self._gap_ns)
        self._gap_ns = None
        yield chunk


def with_gap(chunk: AudioChunk, gap_ns: tuple[int, int]) -> AudioChunk:
    """The chunk with one more gap before it, joined to the one that it has."""
    if chunk.gap_ns is not None:
        gap_ns = (min(gap_ns[0], chunk.gap_ns[0]), max(gap_ns[1], chunk.gap_ns[1]))
    return replace(chunk, gap_ns=gap_ns)
