"""Voice activity on a real recording: what it finds, and that a resumed run finds the same."""

from __future__ import annotations

import functools
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from perception.audio import voice
from perception.audio.settings import VoiceSettings
from perception.audio.voice import (
    BLOCK,
    WINDOW,
    Silero,
    SileroState,
    VoiceActivity,
    VoiceMark,
    VoiceSegment,
    VoiceStart,
)
from stream.capture.file import chunks
from stream.errors import ModelMissing
from stream.models import demo_media

pytestmark = pytest.mark.model

HZ = 16_000
RULES = VoiceSettings()


@pytest.fixture(scope="module")
def network():
    return Silero()


@pytest.fixture(scope="module")
def speech():
    """Forty-four seconds of read speech, int16."""
    path = demo_media().file("two-cities", "two_cities.wav")
    return np.concatenate([chunk.samples for chunk in chunks(path, 0)])


@pytest.fixture(scope="module")
def tight(network, speech):
    """The same voice without any pause, 75 s: there is nothing to cut it at but its weakest places."""
    spoken = [e.samples[3500:-3500] for e in run(network, speech) if isinstance(e, VoiceSegment)]
    return (np.concatenate(spoken * 2) * 32767).astype(np.int16)


@pytest.fixture(scope="module")
def long(speech, tight):
    """Speech, more than a minute of silence and faint noise, and speech without a pause."""
    hiss = np.random.default_rng(3).normal(0, 30, 45 * HZ).astype(np.int16)
    return np.concatenate((speech[: 20 * HZ], np.zeros(30 * HZ, np.int16), hiss, tight))


@pytest.fixture(scope="module")
def from_mark(network, long):
    """Everything that is found in `long` from a mark on."""
    return functools.cache(lambda mark: tuple(run(network, long, begin=mark)))


def run(network, samples, *, step=4096, begin=0, live=False, rules=RULES):
    found = VoiceActivity(network, rules, live=live, start_sample=begin)
    events = []
    for at in range(begin, len(samples), step):
        events += found.push(samples[at : at + step])
    return events + found.flush()


def segments(events):
    return [event for event in events if isinstance(event, VoiceSegment)]


def mark_of(event):
    if isinstance(event, VoiceSegment):
        return event.mark_sample
    return event.sample if isinstance(event, VoiceMark) else None


def test_probabilities_are_those_of_the_library_that_ships_the_network(network, speech):
    from faster_whisper.vad import get_vad_model

    samples = speech[: 300 * WINDOW].astype(np.float32) / 32768
    state, ours = SileroState(), []
    for block in samples.reshape(-1, BLOCK, WINDOW):
        ours.extend(network.probabilities(block, state))
    theirs = get_vad_model()(samples.copy()).reshape(-1)
    # Theirs blanks the end of the last window, to have silence before the first.
    assert np.array_equal(np.array(ours)[:-1], theirs[:-1])


def test_speech_is_found_and_pauses_are_not_in_it(network, speech):
    found = segments(run(network, speech))
    assert found[0].start_sample == pytest.approx(1.0 * HZ, abs=0.2 * HZ)
    assert found[-1].end_sample == pytest.approx(41.9 * HZ, abs=0.3 * HZ)
    assert 6 <= len(found) <= 12
    for before, after in pairwise(found):
        assert before.end_sample <= before.mark_sample <= after.start_sample
    for one in found:
        assert one.why == "pause"
        assert one.mark_sample % WINDOW == 0
        assert one.probability > 0.7
        start, end = one.start_sample, one.end_sample
        assert np.array_equal(one.samples, speech[start:end].astype(np.float32) / 32768)
        lead = speech[start - len(one.lead) : start].astype(np.float32) / 32768
        assert np.array_equal(one.lead, lead)


def test_each_segment_was_announced_once(network, speech):
    events = run(network, speech)
    starts = [event.sample for event in events if isinstance(event, VoiceStart)]
    assert starts == [one.start_sample for one in segments(events)]


def test_a_live_voice_is_told_with_its_first_windows_and_long_before_it_ends(network, speech):
    """How many samples had come when it was told: chunks of 96 ms, as in the live preset."""
    voice = VoiceActivity(network, VoiceSettings(), live=True)
    told, step = [], 1536
    for begin in range(0, len(speech), step):
        events = voice.push(speech[begin : begin + step])
        told += [(event, begin + step) for event in events if not isinstance(event, VoiceMark)]
    told += [(event, len(speech)) for event in voice.flush() if not isinstance(event, VoiceMark)]
    kinds = [event.phase if isinstance(event, VoiceStart) else "end" for event, _ in told]
    since = None
    for kind, (event, came) in zip(kinds, told, strict=True):
        if kind == "heard":
            assert since is None, "what was heard must be sure, gone or ended first"
            since = event.sample
            assert came - since <= BLOCK * WINDOW + step
        if kind == "sure":
            assert came - since <= 0.25 * HZ + BLOCK * WINDOW + step + 2 * WINDOW
        if kind in ("gone", "end"):
            since = None
    assert kinds.count("sure") == kinds.count("end") >= 6


@pytest.mark.parametrize("kind", ["silence", "noise", "tones"])
def test_what_is_no_voice_gives_marks_alone(network, kind):
    t = np.arange(70 * HZ) / HZ
    sound = {
        "silence": np.zeros(70 * HZ),
        "noise": np.random.default_rng(1).normal(0, 3000, 70 * HZ),
        "tones": 4000 * np.sin(2 * np.pi * 220 * t) * (1 + np.sin(2 * np.pi * 2 * t)),
    }[kind]
    events = run(network, sound.astype(np.int16))
    assert all(isinstance(event, VoiceMark) for event in events)
    assert [event.sample // HZ for event in events] == [29, 59]


@pytest.mark.parametrize("step", [1, 160, 512, 1000, 8192, 10**9])
def test_chunks_do_not_matter(network, speech, step):
    samples = speech[: 3 * HZ] if step == 1 else speech
    assert run(network, samples, step=step) == run(network, samples)


@pytest.mark.parametrize("live", [False, True])
def test_a_run_from_any_mark_gives_what_the_undisturbed_one_gave(network, long, live):
    whole = run(network, long, live=live)
    kinds = {type(event).__name__ for event in whole}
    assert kinds == {"VoiceStart", "VoiceSegment", "VoiceMark"}
    assert {one.why for one in segments(whole)} == {"pause", "max", "eof"}
    marks = [(index, mark_of(event)) for index, event in enumerate(whole[:-1])]
    for index, mark in [(index, mark) for index, mark in marks if mark is not None][:: 3 if live else 1]:
        assert mark % WINDOW == 0
        resumed = run(network, long, begin=mark, live=live, step=3001)
        assert resumed == whole[index + 1 :]
        for one, other in zip(segments(resumed), segments(whole[index + 1 :]), strict=True):
            assert np.array_equal(one.samples, other.samples)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_killed_at_any_chunk_and_resumed_at_the_last_mark(network, long, from_mark, data):
    step = data.draw(st.integers(400, 60_000))
    killed_after = data.draw(st.integers(0, len(long) // step))
    found, events = VoiceActivity(network, RULES), []
    for index in range(killed_after):
        events += found.push(long[index * step : (index + 1) * step])
    marked = [index for index, event in enumerate(events) if mark_of(event) is not None]
    known = events[: marked[-1] + 1] if marked else []
    begin = mark_of(known[-1]) if known else 0
    assert begin == found.mark_sample
    assert (*known, *from_mark(begin)) == from_mark(0)


def test_an_endless_voice_is_cut_and_nothing_of_it_is_lost(network, tight):
    found = segments(run(network, tight))
    assert [one.why for one in found[:-1]] == ["max"] * (len(found) - 1)
    assert len(found) > 2
    for before, after in pairwise(found):
        assert HZ * 13 < before.end_sample - before.start_sample <= HZ * 28
        assert after.start_sample - before.end_sample < 0.2 * HZ
    # Cut where it is quiet: far below what the voice has on average.
    loudness = np.sqrt(np.mean(np.square(tight.astype(np.float64))))
    for one in found[:-1]:
        around = tight[one.end_sample : one.end_sample + WINDOW].astype(np.float64)
        assert np.sqrt(np.mean(np.square(around))) < loudness / 3


def test_a_live_segment_closes_sooner(network, speech):
    said = np.concatenate((speech[: 3 * HZ], np.zeros(HZ, np.int16)))

    def heard_when(live):
        found = VoiceActivity(network, RULES, live=live)
        for at in range(0, len(said), WINDOW):
            if segments(found.push(said[at : at + WINDOW])):
                return at
        raise AssertionError

    assert 0 < heard_when(False) - heard_when(True) <= 0.2 * HZ


def test_memory_is_bounded(network, long):
    found, most = VoiceActivity(network, RULES), 0
    for at in range(0, len(long), 1600):
        found.push(long[at : at + 1600])
        most = max(most, found.held_samples)
    assert most <= (28 + RULES.join_s + 1) * HZ


def test_clicks_are_no_speech_and_end_nothing(network, speech):
    word = speech[85_000:88_000]  # shorter than the shortest speech
    samples = np.concatenate((np.zeros(HZ, np.int16), word, np.zeros(2 * HZ, np.int16)))
    assert run(network, samples) == []
    assert segments(run(network, samples, rules=VoiceSettings(min_speech_s=0.05)))


def test_numbers_that_are_none_do_not_poison_the_rest(network, speech):
    samples = np.concatenate((np.zeros(HZ, np.float32), speech.astype(np.float32) / 32768))
    samples[100:200] = np.nan
    samples[200:210] = np.inf
    assert len(segments(run(network, samples))) == len(segments(run(network, speech)))


def test_what_cannot_be_is_refused(network, monkeypatch):
    with pytest.raises(ValueError, match="multiple of 512"):
        VoiceActivity(network, RULES, start_sample=100)
    with pytest.raises(ValidationError, match="threshold_off"):
        VoiceSettings(threshold=0.3, threshold_off=0.4)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModelMissing, match="silero_vad_v6") as caught:
        voice.silero_file()
    assert "faster-whisper" in caught.value.remedy
