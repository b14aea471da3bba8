"""A talk whose utterances are known to the millisecond: real recordings with silence between them.

Each recording is cut to what is louder than its own quiet; its true begin and end are where it was cut.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.resampler import AudioResampler

from stream.errors import SourceError
from stream.models import demo_media

RATE_HZ = 16_000
WINDOW = RATE_HZ // 50
QUIET = 0.05
"""Share of the loud parts' level below which a window is quiet: 26 dB less."""
APART_S = 0.5
"""Quiet within a recording that parts two utterances."""
LEAST_S = 0.4
LEAD_S = 1.0
Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Spoken:
    """An utterance at its place in the talk, nanoseconds."""

    begin_ns: int
    end_ns: int


def recordings_of(manifest: Path | None, most: int) -> list[Path]:
    """The files that a manifest names (JSON lines with `file`); without one the demo's recording.

    Raises:
        SourceError: If the manifest names none.
    """
    if manifest is None:
        return [demo_media().file("two-cities", "two_cities.wav")]
    lines = manifest.read_text(encoding="utf-8").splitlines()
    files = [manifest.parent / str(json.loads(line)["file"]) for line in lines if line.strip()]
    if not files:
        raise SourceError(f"{manifest} names no file", remedy="say a manifest with a file a line")
    return files[:: max(1, len(files) // most)][:most]


def samples_of(path: Path) -> Samples:
    """A recording as 16 kHz mono, (n,) int16."""
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    parts: list[Samples] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            parts += [np.asarray(one.to_ndarray().reshape(-1), np.int16) for one in resampler.resample(frame)]
    parts += [np.asarray(one.to_ndarray().reshape(-1), np.int16) for one in resampler.resample(None)]
    return np.concatenate(parts).astype(np.int16)


def utterances_in(samples: Samples) -> Iterator[Samples]:
    """What is loud in a recording, cut where it is quiet for half a second."""
    windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW).astype(np.float32)
    level = np.sqrt(np.square(windows).mean(axis=1))
    loud = np.flatnonzero(level > QUIET * np.percentile(level, 95))
    if not len(loud):
        return
    apart = np.flatnonzero(np.diff(loud) > APART_S * RATE_HZ / WINDOW)
    for first, last in zip([loud[0], *loud[apart + 1]], [*loud[apart], loud[-1]], strict=True):
        if (last + 1 - first) * WINDOW >= LEAST_S * RATE_HZ:
            yield samples[first * WINDOW : (last + 1) * WINDOW]


def write_talk(path: Path, recordings: Sequence[Path], pause_s: float) -> list[Spoken]:
    """Writes the talk as a WAV file; its utterances in order.

    Args:
        path: The file.
        recordings: Whose utterances it has, one after the other.
        pause_s: Seconds of silence between two, and behind the last.
    """
    silence = np.zeros(round(pause_s * RATE_HZ), np.int16)
    parts, at, told = [np.zeros(round(LEAD_S * RATE_HZ), np.int16)], round(LEAD_S * RATE_HZ), []
    for recording in recordings:
        for one in utterances_in(samples_of(recording)):
            told.append(Spoken(_ns(at), _ns(at + len(one))))
            parts += [one, silence]
            at += len(one) + len(silence)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.concatenate(parts).tobytes())
    return told


def _ns(samples: int) -> int:
    return samples * 1_000_000_000 // RATE_HZ
