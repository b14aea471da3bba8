"""Sound in which nobody speaks, made anew each time and always the same: what must stay without words.

Made from numbers alone, and from the demo's clip with music where it was pulled.
`eval_speech --quiet PATH...` takes files of the owner beside it.
"""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float64]

HZ = 16_000
SECONDS = 48
"""Length of each sound."""


def _time(seconds: float = SECONDS) -> Sound:
    return np.arange(round(seconds * HZ)) / HZ


def _shaped(rng: np.random.Generator, exponent: float, low_hz: float = 20, high_hz: float = 8000) -> Sound:
    """Noise whose power falls with the frequency to the power of `exponent`, inside a band."""
    spectrum = np.fft.rfft(rng.normal(size=SECONDS * HZ))
    frequency = np.fft.rfftfreq(SECONDS * HZ, 1 / HZ)
    band = (frequency >= low_hz) & (frequency <= high_hz)
    spectrum[~band] = 0
    spectrum[band] /= frequency[band] ** (exponent / 2)
    return np.fft.irfft(spectrum, SECONDS * HZ)


def _level(sound: Sound, rms: float) -> Sound:
    return sound * rms / max(float(np.sqrt(np.mean(np.square(sound)))), 1e-12)


def _struck(rng: np.random.Generator, rate_hz: float, ring_s: float, tone_hz: float = 0.0) -> Sound:
    """Many short blows at random times: clicks of noise, or of a tone."""
    t = _time(ring_s * 6)
    out = np.zeros(SECONDS * HZ + len(t))
    for at in rng.integers(0, SECONDS * HZ, round(rate_hz * SECONDS)):
        body = np.sin(2 * np.pi * tone_hz * t) if tone_hz else rng.normal(size=len(t))
        out[at : at + len(t)] += rng.uniform(0.3, 1) * body * np.exp(-t / ring_s)
    return out[: SECONDS * HZ]


def _tune(rng: np.random.Generator, notes_hz: tuple[float, ...], beat_s: float, *, drums: bool) -> Sound:
    """A melody over a bass with overtones and vibrato, and drums on each beat."""
    t = _time(beat_s)
    drum = rng.normal(size=len(t)) * np.exp(-t * 40) if drums else np.zeros(len(t))
    beats = []
    for beat in range(round(SECONDS / beat_s)):
        pitches = (rng.choice(notes_hz), notes_hz[beat // 4 % len(notes_hz)] / 4)
        wave_ = sum(
            np.sin(2 * np.pi * n * pitch * (t + 0.0004 * np.sin(2 * np.pi * 5.5 * t))) / n**1.5
            for pitch in pitches
            for n in range(1, 9)
        )
        beats.append(wave_ * np.minimum(1, t * 50) * np.exp(-t * 3) + 0.5 * drum)
    return np.concatenate(beats)


def _hummed(rng: np.random.Generator) -> Sound:
    """A held tone with formants of a vowel that glides, as of strings or a choir far away."""
    t = _time()
    pitch = 2 * np.pi * np.cumsum(196 * 2 ** (np.round(np.sin(t / 3) * 4) / 12)) / HZ
    partials = sum(
        np.sin(n * pitch + rng.uniform(0, 6)) * np.exp(-(((n * 196 - 700) / 500) ** 2)) for n in range(1, 20)
    )
    return np.asarray(partials) * (0.6 + 0.4 * np.sin(2 * np.pi * 0.2 * t))


def _murmur(rng: np.random.Generator) -> Sound:
    """Noise with the spectrum and the four beats a second of speech, and no word in it."""
    t = _time()
    return _shaped(rng, 1.0, 150, 4000) * (1 + 0.8 * np.sin(2 * np.pi * 4 * t + rng.uniform(0, 6)))


def _engine(rng: np.random.Generator) -> Sound:
    t = _time()
    turning = 2 * np.pi * np.cumsum(45 + 15 * np.sin(2 * np.pi * 0.1 * t)) / HZ
    return np.asarray(sum(np.sin(n * turning) / n for n in range(1, 12))) + 0.3 * rng.normal(size=len(t))


def _mains(rng: np.random.Generator) -> Sound:
    t = _time()
    return np.asarray(sum(np.sin(2 * np.pi * 50 * n * t) / n**2 for n in (1, 2, 3, 5))) + _level(
        rng.normal(size=len(t)), 0.05
    )


def _dialled(rng: np.random.Generator) -> Sound:
    """Touch tones and a busy line."""
    t = _time()
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477)
    out = np.zeros(len(t))
    for at in range(0, len(t) - HZ, HZ // 3):
        part = t[at : at + HZ // 6]
        out[at : at + HZ // 6] = np.sin(2 * np.pi * rng.choice(rows) * part) + np.sin(
            2 * np.pi * rng.choice(columns) * part
        )
    return out


MAJOR = (262.0, 294.0, 330.0, 392.0, 440.0, 523.0)
MINOR = (220.0, 247.0, 262.0, 330.0, 349.0, 415.0)

SOUNDS: dict[str, tuple[float, Callable[[np.random.Generator], Sound]]] = {
    "silence of a room, dithered": (0.0005, lambda rng: rng.normal(size=SECONDS * HZ)),
    "silence, digital": (0.0, lambda rng: np.zeros(SECONDS * HZ)),
    "white noise": (0.1, lambda rng: _shaped(rng, 0)),
    "pink noise": (0.15, lambda rng: _shaped(rng, 1)),
    "brown noise": (0.15, lambda rng: _shaped(rng, 2)),
    "wind": (0.1, lambda rng: _shaped(rng, 2, 60, 900) * (1 + np.sin(2 * np.pi * 0.15 * _time()))),
    "applause": (0.1, lambda rng: _struck(rng, 90, 0.01)),
    "rain": (0.05, lambda rng: _struck(rng, 250, 0.002)),
    "bells": (0.1, lambda rng: _struck(rng, 2, 0.4, 880)),
    "engine": (0.1, _engine),
    "hum of the mains": (0.05, _mains),
    "telephone tones": (0.1, _dialled),
    "murmur without words": (0.1, _murmur),
    "held chords": (0.1, _hummed),
    "music in major, with drums": (0.15, lambda rng: _tune(rng, MAJOR, 0.5, drums=True)),
    "music in minor, slow": (0.15, lambda rng: _tune(rng, MINOR, 1.0, drums=False)),
}


def quiet_files(folder: Path) -> list[Path]:
    """Writes every sound as a file (16 kHz, mono, s16le) and returns them; the demo's music last."""
    files = []
    for number, (name, (rms, make)) in enumerate(SOUNDS.items()):
        rng = np.random.default_rng(number)
        path = folder / f"{number:02d} {name}.wav"
        _write(path, _level(make(rng), rms) if rms else make(rng))
        files.append(path)
    return files + _demo_music()


def _demo_music() -> list[Path]:
    from stream.errors import OmniRecallError
    from stream.models import demo_media

    try:
        return [demo_media().file("big-buck-bunny", "bigbuckbunny.mp4")]
    except OmniRecallError:  # not pulled: the list that is printed does not have it
        return []


def _write(path: Path, sound: Sound) -> None:
    samples = (np.clip(sound, -1, 1) * 32767).round().astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(HZ)
        file.writeframes(samples.tobytes())
