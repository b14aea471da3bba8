"""Runs of a sound track: chunks do not matter, marks are where a run may begin."""

from __future__ import annotations

import numpy as np
import pytest

from perception.audio.settings import AudioSettings
from perception.audio.track import Hole, TrackState
from perception.audio.voice import WINDOW, Silero, VoiceMark, VoiceSegment, VoiceStart
from stream.capture.file import chunks
from stream.models import demo_media

HZ = 16_000
VOICE = AudioSettings().voice


@pytest.fixture(scope="module")
def network():
    return Silero()


@pytest.fixture(scope="module")
def speech():
    """The first 12 s of the demo's voice, (n,) int16."""
    path = demo_media().file("two-cities", "two_cities.wav")
    return np.concatenate([chunk.samples for chunk in chunks(path, 0)])[: 12 * HZ]


def run(network, pieces, begin=0):
    """All events of a run over (first sample, samples) pieces, and its state."""
    state = TrackState(network, VOICE, live=False, begin_sample=begin)
    events = [event for first, samples in pieces for event in state.chunk(first, samples)]
    return events + state.gap(), state


def segments(events):
    return [event for event in events if isinstance(event, VoiceSegment)]


def cut(samples, size, begin=0):
    return [(at, samples[at : at + size]) for at in range(begin, len(samples), size)]


def test_how_sound_is_cut_into_chunks_changes_nothing(network, speech):
    whole, _ = run(network, [(0, speech)])
    assert len(segments(whole)) >= 1
    for size in (333, 8000):
        assert run(network, cut(speech, size))[0] == whole


def test_a_hole_that_was_announced_is_not_told_again(network, speech):
    state = TrackState(network, VOICE, live=False)
    state.chunk(0, speech[: 2 * HZ])
    (segment,) = segments(state.announce(5 * HZ))
    assert segment.end_sample == 2 * HZ
    assert state.expected_sample == 5 * HZ
    assert state.announce(4 * HZ) == []
    events = state.chunk(6 * HZ, speech[:HZ])
    assert not [event for event in events if isinstance(event, Hole)]
    assert [e for e in state.chunk(8 * HZ, speech[:HZ]) if isinstance(e, Hole)] == [Hole(7 * HZ, 8 * HZ)]


def test_a_run_begun_at_a_mark_hears_the_same(network, speech):
    samples = np.concatenate((speech, np.zeros(4 * HZ, np.int16), speech))
    whole, _ = run(network, cut(samples, 8000))
    marks = [
        e.mark_sample if isinstance(e, VoiceSegment) else e.sample
        for e in whole
        if not isinstance(e, VoiceStart)
    ]
    assert len(marks) >= 2
    for mark in marks[:-1]:
        later = [s for s in segments(whole) if s.mark_sample > mark]
        # Capture may begin before the mark, or at it.
        for begin in (mark, max(0, mark - 5000)):
            again, _ = run(network, cut(samples, 8000, begin), begin=mark)
            assert segments(again) == later


def test_quiet_sound_gives_marks_alone(network):
    events, _ = run(network, cut(np.zeros(70 * HZ, np.int16), 8000))
    assert len(events) == 2
    assert all(isinstance(event, VoiceMark) and event.sample % WINDOW == 0 for event in events)
