"""Gated against invented words: the real voice network and Whisper, from samples to sentences.

As the audio process does it: chunks of sound through voice activity, batches of segments
through the recogniser. `forced` leaves voice activity out, so that the gates are alone.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from perception.audio.settings import AudioSettings
from perception.audio.speech import Batcher, Recogniser
from perception.audio.track import TrackState
from perception.audio.voice import Silero, VoiceSegment, VoiceStart
from stream.capture.demo_recipe import SEGMENTS, Clip
from stream.capture.file import chunks
from stream.capture.probe import inspect
from stream.models import demo_media

pytestmark = pytest.mark.model

HZ = 16_000
SETTINGS = AudioSettings()


@pytest.fixture(scope="module")
def recogniser():
    return Recogniser(SETTINGS.speech, SETTINGS.gates)


@pytest.fixture(scope="module")
def network():
    return Silero()


def sound_of(path: Path):
    """All samples of a file's first sound track, (n,) int16."""
    probe = inspect(path)
    number = next(track.track for track in probe.tracks if track.media == "audio")
    return np.concatenate([chunk.samples for chunk in chunks(path, number)])


def rabbit():
    """The sound of the Big Buck Bunny clip: music and noises, no voice."""
    (clip,) = (g.picture for g in SEGMENTS if isinstance(g.picture, Clip) and "bunny" in g.picture.item)
    return sound_of(demo_media().file(clip.item, clip.file))


def hear(recogniser, network, samples):
    """What the audio process would say of a whole file: (sentences, segments)."""
    state, batcher = TrackState(network, SETTINGS.voice, live=False), Batcher(live=False, wait_s=60.0)
    events = []
    for begin in range(0, len(samples), 8000):
        events += state.chunk(begin, samples[begin : begin + 8000])
    events += state.gap()
    batches = [b for e in events if not isinstance(e, VoiceStart) for b in batcher.add(e)] + batcher.rest()
    sentences = [s for batch in batches for s in recogniser.hear(batch.segments).sentences]
    return sentences, [s for batch in batches for s in batch.segments]


def forced(recogniser, samples, probability, seconds=8):
    """What the recogniser says of sound that voice activity is made to believe in."""
    said = []
    for begin in range(0, len(samples) - HZ, seconds * HZ):
        piece = (samples[begin : begin + seconds * HZ] / 32768).astype(np.float32)
        segment = VoiceSegment(
            begin, begin + len(piece), "pause", begin + len(piece), probability, piece, piece[:0]
        )
        said += [sentence.text for sentence in recogniser.hear([segment]).sentences]
    return said


def as_samples(sound):
    return np.clip(np.round(sound * 32767), -32768, 32767).astype(np.int16)


def silence(seconds=20):
    return np.zeros(seconds * HZ, np.int16)


def noise(seconds=20, loud=0.1, *, pink=False):
    white = np.random.default_rng(7).normal(0, 1, seconds * HZ)
    if pink:
        spectrum = np.fft.rfft(white)
        spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
        white = np.fft.irfft(spectrum, len(white))
    return as_samples(loud * white / white.std())


def tones(seconds=20):
    t = np.arange(seconds * HZ) / HZ
    return as_samples(0.2 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.sin(2 * np.pi * 1000 * t) * (t % 1 < 0.5))


def music(seconds=20):
    """A tune over a bass, with overtones, vibrato and an attack on each note; drums on each beat."""
    rng = np.random.default_rng(3)
    t = np.arange(HZ // 2) / HZ
    drum = rng.normal(0, 1, t.shape) * np.exp(-t * 40)
    bars = []
    for beat in range(seconds * 2):
        tune = rng.choice([262, 294, 330, 392, 440, 523])
        bass = (110, 98, 87, 98)[beat // 4 % 4]
        wave = sum(
            np.sin(2 * np.pi * n * pitch * (t + 0.0004 * np.sin(2 * np.pi * 5.5 * t))) / n**1.5
            for pitch in (tune, bass)
            for n in range(1, 9)
        )
        bars.append(wave * np.minimum(1, t * 50) * np.exp(-t * 3) + 0.5 * drum)
    return as_samples(0.15 * np.concatenate(bars))


SOUNDS = {
    "silence": silence,
    "white noise": noise,
    "pink noise": lambda: noise(pink=True, loud=0.2),
    "hiss": lambda: noise(loud=0.003),
    "tones": tones,
    "music": music,
    "rabbit": rabbit,
}


@pytest.mark.parametrize("kind", SOUNDS)
def test_sound_without_speech_has_no_words(recogniser, network, kind):
    sentences, _ = hear(recogniser, network, SOUNDS[kind]())
    assert [sentence.text for sentence in sentences] == []


@pytest.mark.parametrize("kind", SOUNDS)
def test_it_has_none_either_if_voice_activity_is_fooled(recogniser, kind):
    assert forced(recogniser, SOUNDS[kind](), probability=0.6) == []


def test_without_the_gates_words_are_invented(network):
    """What the tests above would miss if these sounds were no temptation."""
    open_gates = SETTINGS.gates.model_copy(
        update={
            "no_speech": 1.0,
            "log_probability": -100.0,
            "compression": 1000.0,
            "repeated": 1.0,
            "confidence": 0.0,
            "doubtful_confidence": 0.0,
            "short_confidence": 0.0,
            "slow_words_hz": 0.0,
            "fast_words_hz": 1e9,
        }
    )
    credulous = Recogniser(SETTINGS.speech, open_gates)
    invented = [kind for kind in ("pink noise", "music") if forced(credulous, SOUNDS[kind]()[: 9 * HZ], 0.6)]
    assert invented


def test_the_recorded_voice_comes_through(recogniser, network):
    """The same way with the demo's voice, silence before it and music behind it."""
    voice = sound_of(demo_media().file("two-cities", "two_cities.wav"))[: 13 * HZ]
    sentences, segments = hear(
        recogniser, network, np.concatenate((silence(3), voice, silence(2), music(10)))
    )
    assert segments
    heard = re.sub(r"[^a-z ]", "", " ".join(s.text for s in sentences).lower())
    assert "it was the best of times it was the worst of times" in heard
    assert "it was the age of wisdom it was the age of foolishness" in heard
    assert all(s.pts0_ns / 1e9 >= 3.0 and s.pts1_ns / 1e9 <= 18.1 for s in sentences)
