"""One run of one sound track: samples to voice events, holes and overlaps included. No wire.

A run begins at a mark, or at 0. Whatever is missing, announced or not, ends the speech
before it, and voice activity begins anew behind it, at a multiple of a window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception.audio.settings import VoiceSettings
from perception.audio.speech import NS_PER_SAMPLE
from perception.audio.voice import Silero, VoiceActivity, VoiceEvent, up


@dataclass(frozen=True, slots=True)
class Hole:
    """Samples that never came: from `start_sample` up to `end_sample`."""

    start_sample: int
    end_sample: int


TrackEvent = VoiceEvent | Hole


def sample_of(pts_ns: int) -> int:
    """The sample at a position, rounded up: nothing before the position is heard again."""
    return -(-pts_ns // NS_PER_SAMPLE)


class TrackState:
    """Voice activity of one run. Belongs to one thread at a time.

    Args:
        network: The voice network.
        settings: Of voice activity.
        live: Whether the source is live.
        begin_sample: Where the run begins: the last mark, or 0.
    """

    def __init__(
        self, network: Silero, settings: VoiceSettings, *, live: bool, begin_sample: int = 0
    ) -> None:
        self._network = network
        self._settings = settings
        self._live = live
        self._voice: VoiceActivity | None = None
        self._expected = begin_sample
        self._hole_is_known = False

    @property
    def expected_sample(self) -> int:
        """The sample that should come next."""
        return self._expected

    def chunk(self, first_sample: int, samples: NDArray[np.int16]) -> list[TrackEvent]:
        """Takes a chunk; what was heard before is cut away, what is missing ends the speech before it."""
        events: list[TrackEvent] = []
        if first_sample < self._expected:
            samples = samples[self._expected - first_sample :]
            first_sample = self._expected
        elif first_sample > self._expected:
            events.extend(self.gap())
            if not self._hole_is_known:
                events.append(Hole(self._expected, first_sample))
        if not len(samples):
            return events
        self._hole_is_known = False
        self._expected = first_sample + len(samples)
        if self._voice is None:
            begin = up(first_sample)
            samples = samples[begin - first_sample :]
            if not len(samples):
                return events
            self._voice = VoiceActivity(self._network, self._settings, live=self._live, start_sample=begin)
        events.extend(self._voice.push(samples))
        return events

    def announce(self, to_sample: int) -> list[TrackEvent]:
        """Takes word that nothing will come before `to_sample`; the caller records it as a gap."""
        if to_sample <= self._expected:
            return []
        events = self.gap()
        self._expected = to_sample
        self._hole_is_known = True
        return events

    def gap(self) -> list[TrackEvent]:
        """Ends what is open: a hole follows, or the end."""
        if self._voice is None:
            return []
        events: list[TrackEvent] = list(self._voice.flush())
        self._voice = None
        return events
