"""One track: holes, overlaps, and runs that begin at a mark."""

from __future__ import annotations

import numpy as np
import pytest

from perception.audio.observations import utterance
from perception.audio.sentences import Sentence, Word
from perception.audio.settings import VoiceSettings
from perception.audio.track import Hole, TrackState, sample_of
from perception.audio.voice import WINDOW, Silero, VoiceMark, VoiceSegment
from perception.intake import TrackId
from stream.capture.file import chunks
from stream.messages.observation import observation_id
from stream.models import demo_media

HZ = 16_000
S = 1_000_000_000
OWN = TrackId(b"source", 7, 1)


@pytest.fixture(scope="module")
def network():
    return Silero()


@pytest.fixture(scope="module")
def speech():
    path = demo_media().file("two-cities", "two_cities.wav")
    return np.concatenate([chunk.samples for chunk in chunks(path, 0)])[: 20 * HZ]


def hear(network, pieces, *, begin=0, live=False):
    """Pieces are (first sample, samples), or a sample before which nothing will come."""
    state, events = TrackState(network, VoiceSettings(), live=live, begin_sample=begin), []
    for piece in pieces:
        events += state.announce(piece) if isinstance(piece, int) else state.chunk(*piece)
    return events + state.gap(), state


def cut(samples, *bounds):
    return [(a, samples[a:b]) for a, b in zip((0, *bounds), (*bounds, len(samples)), strict=True)]


def test_overlaps_are_cut_away(network, speech):
    whole, state = hear(network, cut(speech, 5000, 90_000))
    assert state.expected_sample == len(speech)
    doubled = [
        (0, speech[:5000]),
        (2000, speech[2000:90_000]),
        (100, speech[100:300]),
        (80_000, speech[80_000:]),
    ]
    assert hear(network, doubled)[0] == whole


def test_a_hole_ends_what_was_said_and_is_told_once(network, speech):
    events, _ = hear(network, [(0, speech[: 4 * HZ]), (10 * HZ + 100, speech[10 * HZ + 100 :])])
    (hole,) = (e for e in events if isinstance(e, Hole))
    assert hole == Hole(4 * HZ, 10 * HZ + 100)
    said = [e for e in events if isinstance(e, VoiceSegment)]
    before = [e for e in said if e.end_sample <= 4 * HZ]
    after = [e for e in said if e.start_sample >= hole.end_sample]
    assert before
    assert after
    assert len(before) + len(after) == len(said)
    assert before[-1].why == "eof"
    assert before[-1].mark_sample <= 4 * HZ
    assert events.index(hole) > events.index(before[-1])

    announced, _ = hear(
        network, [(0, speech[: 4 * HZ]), 10 * HZ + 100, (10 * HZ + 100, speech[10 * HZ + 100 :])]
    )
    assert announced == [e for e in events if e != hole]


def test_a_run_resumed_behind_a_hole_hears_the_same(network, speech):
    pieces = [(0, speech[: 4 * HZ]), (10 * HZ + 100, speech[10 * HZ + 100 :])]
    events, _ = hear(network, pieces)
    hole = next(e for e in events if isinstance(e, Hole))
    later = events[events.index(hole) + 1 :]
    # From the mark before the hole, which need not lie on a window, and from one behind it.
    assert hear(network, pieces[1:], begin=4 * HZ)[0] == [hole, *later]
    mark = next(e.mark_sample for e in later if isinstance(e, VoiceSegment))
    assert mark % WINDOW == 0
    resumed, _ = hear(network, [(mark, speech[mark:])], begin=mark)
    assert resumed == [e for e in later if not _is_before(e, mark)]


def _is_before(event, mark):
    if isinstance(event, VoiceSegment):
        return event.mark_sample <= mark
    return event.sample < mark


def test_nothing_comes_of_empty_or_tiny_chunks(network):
    events, state = hear(
        network, [(0, np.zeros(0, np.int16)), 40 * HZ + 1, (40 * HZ + 1, np.zeros(9, np.int16))]
    )
    assert events == []
    assert state.expected_sample == 40 * HZ + 10
    assert state.announce(3) == []  # word of what is past already


def test_silence_moves_the_mark_on(network):
    events, _ = hear(network, [(0, np.zeros(65 * HZ, np.int16))])
    assert [e.sample // HZ for e in events if isinstance(e, VoiceMark)] == [29, 59]


def test_positions_round_up_to_samples():
    assert [sample_of(ns) for ns in (0, 1, 62_500, 62_501, S)] == [0, 1, 1, 2, HZ]


def test_an_utterance_is_known_by_its_segment_and_number():
    words = (Word(" Good", 2 * S, 3 * S, 0.91234567), Word(" day.", 3 * S, 4 * S, 0.5))
    said = utterance(OWN, Sentence(HZ, 2, words, "en", 0.67549999, "whisper"), "whisper/1", 10 * S, b"trace")
    anchor = observation_id(b"source", 7, "utterance", "whisper/1", S, (1 << 16) + 2)
    assert said.observation_id == anchor
    assert (said.pts0_ns, said.pts1_ns, said.t0_ns, said.t1_ns) == (2 * S, 4 * S, 12 * S, 14 * S)
    assert (said.text, said.language, said.confidence) == ("Good day.", "en", 0.6755)
    assert said.payload == {"words": [["Good", 2 * S, 3 * S, 0.9123], ["day.", 3 * S, 4 * S, 0.5]]}
    undated = utterance(OWN, Sentence(HZ, 2, words, "en", 0.5, "whisper"), "whisper/1", None, b"")
    assert undated.t0_ns is None
    assert undated.observation_id == anchor
    other_track = utterance(
        TrackId(b"source", 7, 2), Sentence(HZ, 2, words, "en", 0.5, "whisper"), "whisper/1", None, b""
    )
    assert other_track.observation_id != anchor
