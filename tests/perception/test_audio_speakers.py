"""Voices: vectors of windows, who speaks when, utterances cut at turns, and what a restart knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from perception.audio.observations import utterance
from perception.audio.said_by import Diariser, Voice, pieces_of
from perception.audio.sentences import Sentence, Word
from perception.audio.settings import SpeakerSettings
from perception.audio.speaker_states import SpeakerStates, tidied
from perception.audio.speakers import (
    MOST_SPEAKERS,
    UNKNOWN,
    Speakers,
    Voiced,
    key_of,
    linked,
    packed,
    threshold,
    told_apart,
    turns_of,
    unpacked,
)
from perception.audio.voice import VoiceSegment
from perception.audio.voice_encoder import (
    ENCODER_ID,
    KEY_SIZE,
    WINDOW,
    VoiceEncoder,
    VoiceWindows,
    levelled,
    mel_filters,
    mel_powers,
)
from perception.intake import TrackId
from stream.errors import ModelDamaged
from stream.messages.utterance_voice import UtteranceVoice, voice_of
from stream.models import demo_media, model_file

HZ = 16_000
S = 1_000_000_000
HOP = 6400
SETTINGS = SpeakerSettings()
OWN = TrackId(b"s" * 16, 0, 0)


def voice(number):
    """The direction of a voice that is made up: cosine .6 to any other, as real ones have."""
    rng = np.random.default_rng(number)
    own = rng.normal(size=KEY_SIZE)
    common = np.random.default_rng(99).normal(size=KEY_SIZE)
    return np.sqrt(0.6) * common / np.linalg.norm(common) + np.sqrt(0.4) * own / np.linalg.norm(own)


def windows(who, at_s=0.0, seed=0):
    """Windows in which these voices speak, 0.4 s apart; a pair is two at once."""
    rng = np.random.default_rng(seed)
    rows = []
    for one in who:
        mean = np.mean([voice(n) for n in one], axis=0) if isinstance(one, tuple) else voice(one)
        rows.append(mean + rng.normal(size=KEY_SIZE) * 0.4 / np.sqrt(KEY_SIZE))
    vectors = np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
    centres = round(at_s * HZ) + WINDOW // 2 + HOP * np.arange(len(who))
    return VoiceWindows(centres.astype(np.int64), vectors.astype(np.float32))


def told(*batches):
    state, found = Speakers(), []
    for batch in batches:
        voiced, state = told_apart(batch, state, SETTINGS)
        found.append([one.speakers.tolist() for one in voiced])
    return found, state


# Windows to speakers.


def test_two_voices_are_two_and_numbered_as_they_are_heard():
    found, state = told([windows([5] * 10 + [3] * 10), windows([5] * 8, at_s=20, seed=1)])
    assert found == [[[0] * 10 + [1] * 10, [0] * 8]]
    assert state.next_number == 2
    assert [one.number for one in state.known] == [0, 1]


def test_a_speaker_is_known_again_in_a_later_batch_and_a_new_one_is_new():
    found, state = told([windows([1] * 9)], [windows([2] * 9, seed=1)], [windows([1] * 2 + [2] * 9, seed=2)])
    assert found == [[[0] * 9], [[1] * 9], [[0] * 2 + [1] * 9]]
    assert state.batches == 3


def test_too_little_voice_is_nobody_until_there_is_more_of_it():
    """As a live source gives it: one short segment at a time."""
    found, state = told(*[[windows([7] * 3, seed=n)] for n in range(4)])
    assert found == [[[UNKNOWN] * 3], [[UNKNOWN] * 3], [[0] * 3], [[0] * 3]]
    assert not state.waiting
    found, state = told([windows([7] * 9)], [windows([8] * 3, seed=1)], [windows([8] * 5, seed=2)])
    assert found == [[[0] * 9], [[UNKNOWN] * 3], [[1] * 5]]


def test_one_odd_window_is_no_turn():
    found, _ = told([windows([1] * 9 + [2] * 9), windows([1] * 4 + [(1, 2)] + [1] * 4, at_s=20, seed=3)])
    assert found[0][1] == [0] * 9


def test_what_is_like_two_is_mixed_and_a_change_is_not():
    (voiced,), _ = told_apart([windows([1] * 12 + [2] * 12 + [(1, 2, 3)] * 8)], Speakers(), SETTINGS)
    near = np.abs(np.arange(32) - 12) <= 2
    assert not voiced.is_mixed[:24][near[:24]].any()
    clean = SpeakerSettings(mixed=0.0)
    (plain,), _ = told_apart([windows([1] * 12 + [2] * 12 + [(1, 2, 3)] * 8)], Speakers(), clean)
    assert not plain.is_mixed.any()


def test_heaps_of_known_voices_are_never_put_together():
    _, state = told([windows([1] * 9)])
    twice = (state.known[0], replace(state.known[0], number=1))
    heaps = linked(windows([1] * 6, seed=5).vectors.astype(np.float64), twice, 0.7)
    assert sum(len(heap.members) for heap in heaps) == 6
    assert {heap.joined.number for heap in heaps if heap.joined} <= {0, 1}


def test_the_speakers_of_a_source_are_bounded():
    state = Speakers()
    for n in range(MOST_SPEAKERS + 5):
        _, state = told_apart([windows([100 + n] * 8, seed=n)], state, SETTINGS)
    assert len(state.known) == MOST_SPEAKERS
    assert state.next_number == MOST_SPEAKERS + 5
    assert min(one.number for one in state.known) == 5
    for n in range(30):
        _, state = told_apart([windows([300 + n] * 2, seed=n)], state, SETTINGS)
    assert len(state.waiting) <= 8


def test_a_run_that_resumes_at_any_batch_gives_the_same_numbers():
    rng = np.random.default_rng(4)
    batches = [
        [windows(list(np.repeat(rng.integers(0, 5, 4), rng.integers(2, 7))), at_s=30 * n, seed=n)]
        for n in range(12)
    ]
    state, whole, states = Speakers(), [], []
    for batch in batches:
        states.append(packed(state))
        voiced, state = told_apart(batch, state, SETTINGS)
        whole.append(voiced[0].speakers.tolist())
    assert len({n for one in whole for n in one} - {UNKNOWN}) >= 3
    for begin in range(len(batches)):
        again = unpacked(states[begin])
        for n in range(begin, len(batches)):
            voiced, again = told_apart(batches[n], again, SETTINGS)
            assert voiced[0].speakers.tolist() == whole[n]
        assert packed(again) == packed(state)


def test_where_a_voice_stays_less_like_itself_two_are_told_apart_all_the_same():
    """As in a loud room: everything is less alike, one voice too."""
    rng = np.random.default_rng(7)

    def loud(who):
        own = windows(who).vectors + rng.normal(size=(len(who), KEY_SIZE)) * 0.5 / np.sqrt(KEY_SIZE)
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        return VoiceWindows(windows(who).centres, own.astype(np.float32))

    batch = [loud([1] * 15 + [2] * 15)]
    (voiced,), state = told_apart(batch, Speakers(), SETTINGS.model_copy(update={"unlike": 0.3}))
    assert voiced.speakers.tolist() == [0] * 15 + [1] * 15
    assert threshold(state.steadiness, SETTINGS) < SETTINGS.same_voice
    fixed = SpeakerSettings(steady=False, unlike=0.3)
    assert threshold(state.steadiness, fixed) == fixed.same_voice
    assert told_apart(batch, Speakers(), fixed)[1].next_number != 2
    assert threshold((), SETTINGS) == SETTINGS.same_voice
    assert threshold((1.0,) * 9, SETTINGS) < 0.85


def test_a_heap_whose_mean_is_like_a_known_speakers_is_that_speaker():
    """Window by window they are less alike than the usual cosine: as one who reads another part."""
    rng = np.random.default_rng(1)

    def rough(seed):
        own = windows([1] * 10, seed=seed).vectors + rng.normal(size=(10, KEY_SIZE)) * 0.55 / np.sqrt(
            KEY_SIZE
        )
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        return [VoiceWindows(windows([1] * 10).centres, own.astype(np.float32))]

    # Heaps form among those that are a little more alike; none of the others joins them.
    plain = SpeakerSettings(steady=False, same_voice=0.68, unlike=0.0, least_voice_s=1.2, same_mean=1.0)
    state, apart = Speakers(), Speakers()
    for seed in range(4):
        _, apart = told_apart(rough(seed), apart, plain)
    for seed in range(4):
        _, state = told_apart(rough(seed), state, plain.model_copy(update={"same_mean": 0.8}))
    assert state.next_number < apart.next_number


def test_nothing_gives_nothing():
    state = Speakers()
    assert told_apart([], state, SETTINGS) == ([], state)


def test_turns_change_midway_between_two_windows():
    voiced = of([0, 0, 1, 1])
    turns = turns_of(voiced, 0, 4 * HZ)
    assert [(t.start_sample, t.end_sample, t.speaker) for t in turns] == [
        (0, WINDOW // 2 + HOP + HOP // 2, 0),
        (WINDOW // 2 + HOP + HOP // 2, 4 * HZ, 1),
    ]


def of(speakers, mixed=()):
    own = windows([1] * len(speakers))
    is_mixed = np.isin(np.arange(len(speakers)), list(mixed))
    return Voiced(own, np.array(speakers), is_mixed)


def test_a_key_is_of_the_speakers_own_windows():
    voiced = of([0, 0, 0, 1, 1], mixed=[1])
    key, overlap = key_of(voiced, 0, 3 * HZ, 0)
    mean = voiced.windows.vectors[:3].mean(axis=0)
    np.testing.assert_allclose(key, mean / np.linalg.norm(mean), rtol=1e-5)
    assert key.dtype == np.float32
    assert overlap == pytest.approx(1 / 3)
    beyond, _ = key_of(voiced, 100 * HZ, 101 * HZ, 0)
    np.testing.assert_allclose(beyond, voiced.windows.vectors[2], rtol=1e-5)


# Utterances.


def said(*spans):
    return tuple(Word(f" w{n}", round(a * S), round(b * S), 0.9) for n, (a, b) in enumerate(spans))


def test_an_utterance_is_cut_at_the_pause_where_the_speaker_changes():
    # Windows at .8, 1.2, …: the change lies at 2.6 s, the pause after 2.4 s.
    voiced = of([0] * 5 + [1] * 6)
    words = said((0.1, 0.5), (0.6, 1.5), (1.6, 2.3), (2.75, 3.0), (3.0, 3.6), (3.7, 4.2))
    pieces = pieces_of(words, voiced, 0.6)
    assert [(len(p.words), p.speaker) for p in pieces] == [(3, 0), (3, 1)]
    assert [w for p in pieces for w in p.words] == list(words)


def test_a_sliver_stays_with_its_neighbour():
    voiced = of([0] * 5 + [1] + [0] * 5)
    words = said((0.1, 1.0), (1.0, 2.55), (2.7, 2.9), (3.0, 4.0), (4.0, 4.8))
    assert [p.speaker for p in pieces_of(words, voiced, 0.6)] == [0]
    assert [p.speaker for p in pieces_of(words[:1], voiced, 0.6)] == [0]


def test_the_payload_says_whose_voice_it_is_and_old_ones_say_nothing():
    sentence = Sentence(HZ, 1, said((1, 2)), "en", 0.9, "whisper")
    key = windows([1]).vectors[0]
    own = Voice(key, UtteranceVoice(seconds=1.0, turn=2, overlap=0.25))
    observation = utterance(OWN, sentence, "whisper/1", None, b"", own, "voice0")
    assert observation.payload["voice"] == {"seconds": 1.0, "turn": 2, "overlap": 0.25}
    assert voice_of(observation.payload) == own.said
    assert [(k.part, k.kind, k.encoder_id) for k in observation.keys] == [("voice0", "voice", ENCODER_ID)]
    plain = utterance(OWN, sentence, "whisper/1", None, b"")
    assert voice_of(plain.payload) is None
    assert plain.keys == ()
    assert plain.producer_id != observation.producer_id
    assert voice_of({"voice": "loud"}) is None


# What is kept between two runs.


def test_the_state_is_found_at_the_mark_before_and_at_the_one_before_that(tmp_path):
    _, first = told([windows([1] * 9)])
    _, second = told([windows([1] * 9)], [windows([2] * 9)])
    states = SpeakerStates(tmp_path, OWN)
    assert packed(states.begin(None)) == packed(Speakers())
    states.keep(28 * S, packed(first))
    states.keep(60 * S, packed(second))
    assert len(list(tmp_path.iterdir())) == 1

    def begun(mark_s):
        return SpeakerStates(tmp_path, OWN).begin(mark_s * S)

    assert packed(begun(60)) == packed(begun(95)) == packed(second)
    assert packed(begun(28)) == packed(begun(40)) == packed(first)
    assert begun(20) is None
    states.remove()
    assert begun(60) is None
    assert not list(tmp_path.iterdir())


def test_a_silent_beginning_is_no_loss_and_a_damaged_file_is(tmp_path):
    SpeakerStates(tmp_path, OWN).begin(0)
    assert packed(SpeakerStates(tmp_path, OWN).begin(30 * S)) == packed(Speakers())
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    assert SpeakerStates(tmp_path, OWN).begin(30 * S) is None


def test_behind_a_batch_whose_state_could_not_be_kept_no_older_one_is_taken(tmp_path, monkeypatch):
    states = SpeakerStates(tmp_path, OWN)
    states.begin(None)
    states.keep(28 * S, packed(told([windows([1] * 9)])[1]))

    def fails(descriptor):
        raise OSError(28, "no room")

    with monkeypatch.context() as full:
        full.setattr("os.fsync", fails)
        with pytest.raises(OSError, match="no room"):
            states.keep(60 * S, packed(Speakers()))
    assert not list(tmp_path.iterdir())
    _, third = told([windows([1] * 9)], [windows([2] * 9)], [windows([3] * 9)])
    states.keep(90 * S, packed(third))
    assert SpeakerStates(tmp_path, OWN).begin(60 * S) is None
    assert packed(SpeakerStates(tmp_path, OWN).begin(90 * S)) == packed(third)


def test_without_speakers_nothing_of_them_stays(tmp_path):
    SpeakerStates(tmp_path, OWN).begin(None)
    assert list(tidied(tmp_path, enabled=True)) == []
    (path,) = tmp_path.iterdir()
    path.with_suffix(".part").write_bytes(path.read_bytes())  # As a killed process leaves it.
    assert len(list(tidied(tmp_path, enabled=False))) == 2
    assert not list(tmp_path.iterdir())


# The network itself.


def test_the_mel_bands_are_slaneys():
    filters = mel_filters()
    assert filters.shape == (40, 201)
    # The tops: every 200/3 Hz below 1 kHz by his scale, here in steps of (top mel)/41.
    tops_hz = filters.argmax(axis=1) * 40
    assert (np.diff(tops_hz) > 0).all()
    assert tops_hz[0] == 80
    assert 7300 <= tops_hz[-1] <= 7600
    tone = np.sin(2 * np.pi * 1000 * np.arange(HZ) / HZ).astype(np.float32)
    powers = mel_powers(tone)
    assert powers.shape == (101, 40)
    assert abs(tops_hz[powers[50].argmax()] - 1000) <= 60


def test_soft_sound_is_raised_and_loud_sound_is_left():
    noise = np.random.default_rng(0).normal(size=HZ).astype(np.float32)
    soft, loud = noise * np.float32(1e-3), noise * np.float32(0.1)
    assert np.sqrt(np.mean(levelled(soft) ** 2)) == pytest.approx(10 ** (-30 / 20), rel=1e-3)
    assert np.array_equal(levelled(loud), loud)
    assert not levelled(np.zeros(HZ, np.float32)).any()


def spoken(path):
    from stream.capture.file import chunks

    return np.concatenate([chunk.samples for chunk in chunks(path, 0)]).astype(np.float32) / 32768


@pytest.mark.model
def test_the_export_equals_the_torch_network_on_speech():
    import torch

    from stream.models.voice_encoder import load_voice_encoder

    samples = spoken(demo_media().file("two-cities", "two_cities.wav"))[: 8 * HZ]
    found = VoiceEncoder().windows(samples, 1000, HOP)
    assert found.vectors.shape == (len(found.centres), KEY_SIZE)
    assert found.centres[0] == 1000 + WINDOW // 2
    assert (np.diff(found.centres) == HOP).all()
    network = load_voice_encoder(model_file("resemblyzer", "pretrained.pt"))
    mels = mel_powers(levelled(samples))
    with torch.inference_mode():
        expected = network(torch.from_numpy(np.stack([mels[n * 40 : n * 40 + 160] for n in range(10)])))
    np.testing.assert_allclose(found.vectors[:10], expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)


@pytest.mark.model
def test_one_reader_is_like_himself_and_short_sound_has_a_vector_too():
    samples = spoken(demo_media().file("two-cities", "two_cities.wav"))
    encoder = VoiceEncoder()
    first, second = (encoder.windows(samples[a * HZ : (a + 8) * HZ], 0, HOP).vectors for a in (2, 30))
    assert (first.mean(axis=0) @ second.mean(axis=0)) > 0.8 * (
        np.linalg.norm(first.mean(axis=0)) * np.linalg.norm(second.mean(axis=0))
    )
    short = encoder.windows(samples[2 * HZ : 2 * HZ + 4000], 7, HOP)
    assert short.vectors.shape == (1, KEY_SIZE)
    assert 7 < short.centres[0] < 7 + 4200


def test_a_file_that_is_no_network_is_named(tmp_path):
    path = tmp_path / "voice.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(ModelDamaged, match=r"voice\.onnx"):
        VoiceEncoder(path)


@pytest.mark.model
def test_a_diariser_that_lost_its_state_numbers_nobody():
    samples = spoken(demo_media().file("two-cities", "two_cities.wav"))[: 8 * HZ]
    segment = VoiceSegment(0, len(samples), "pause", len(samples), 0.9, samples, samples[:0])
    sentence = Sentence(0, 0, said((1, 2), (2.5, 5)), "en", 0.9, "whisper")
    known = Diariser(VoiceEncoder(), SETTINGS, Speakers())
    (heard,) = known.take([segment], [sentence])
    assert heard.voice.said.turn == 0
    assert heard.voice.said.seconds == 4.0
    assert known.state() is not None
    lost = Diariser(VoiceEncoder(), SETTINGS, None)
    (unknown,) = lost.take([segment], [sentence])
    assert unknown.voice.said.turn == UNKNOWN
    assert lost.state() is None
    assert np.allclose(unknown.voice.key, heard.voice.key, atol=0.05)
    assert known.take([segment], []) == ()
