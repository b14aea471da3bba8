"""Voice keys: how a voice sounds, whatever it says, as one vector for each window of sound.

The network is the voice encoder of Resemblyzer (`stream.models.voice_encoder`). Its front end is made here as
that package makes it: sound raised to -30 dBFS where it is softer, spectra of 25 ms every 10 ms, the power in
40 mel bands on Slaney's scale with his norm, no logarithm. Windows are 1.6 s long, as in training.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.audio.voice import Samples
from stream.errors import ModelDamaged, ModelFailed
from stream.messages.media import AUDIO_RATE_HZ
from stream.models import model_file

ENCODER_ID = "voice-resemblyzer/1"
KEY_SIZE = 256

FFT = 400
HOP = 160
MELS = 40
WINDOW_FRAMES = 160
WINDOW = WINDOW_FRAMES * HOP
"""Samples of one window: 1.6 s."""

LEVEL_DBFS = -30.0
"""Root mean square to which softer sound is raised."""

MOST_AT_ONCE = 32
"""Windows in one call of the network."""

_MEL_HZ = 200.0 / 3.0
_LOG_FROM_HZ = 1000.0
_LOG_FROM_MEL = _LOG_FROM_HZ / _MEL_HZ
_LOG_STEP = np.log(6.4) / 27.0
"""Slaney's scale (Auditory Toolbox, 1998): linear below 1 kHz, 27 steps to 6.4 times as much above."""


@dataclass(frozen=True, eq=False)
class VoiceWindows:
    """The windows of one stretch of sound.

    `centres` (n,) int64 are positions in samples of the source, `vectors` (n, 256) float32 of unit length.
    """

    centres: NDArray[np.int64]
    vectors: NDArray[np.float32] = field(repr=False)


class VoiceEncoder:
    """The network, by onnxruntime on one thread; belongs to the thread that uses it.

    Of onnxruntime and OpenVINO the first is as quick here and gives the same vector for a window in whatever
    company it comes (`python -m tools.bench_speech` has its cost).

    Args:
        path: The exported network; None takes the one that was pulled.

    Raises:
        ModelMissing: It was not pulled.
        ModelDamaged: It cannot be read as a network.
    """

    encoder_id = ENCODER_ID

    def __init__(self, path: Path | None = None) -> None:
        file = path or model_file("resemblyzer", "voice.onnx")
        onnxruntime = importlib.import_module("onnxruntime")  # it ships no types
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises kinds of its own
            raise ModelDamaged(
                f"{file}: onnxruntime cannot read this network: {error}",
                remedy="run: omnirecall models verify, then omnirecall models pull",
            ) from error

    def windows(self, samples: Samples, first_sample: int, hop: int) -> VoiceWindows:
        """Vectors of every window, `hop` samples apart; what is shorter than one is repeated to fill it.

        Args:
            samples: (n,) float32 in -1 to 1, n > 0.
            first_sample: Where they begin in the source.
            hop: A multiple of 160.

        Raises:
            ModelFailed: If the network refuses the input.
        """
        mels = mel_powers(levelled(samples))
        whole = len(mels)
        if whole < WINDOW_FRAMES:
            mels = np.pad(mels, ((0, WINDOW_FRAMES - whole), (0, 0)), mode="wrap")
        starts = np.arange(0, len(mels) - WINDOW_FRAMES + 1, hop // HOP)
        centres = first_sample + (starts + min(whole, WINDOW_FRAMES) // 2) * HOP
        found = [
            self._keys(np.stack([mels[s : s + WINDOW_FRAMES] for s in starts[at : at + MOST_AT_ONCE]]))
            for at in range(0, len(starts), MOST_AT_ONCE)
        ]
        return VoiceWindows(centres.astype(np.int64), np.concatenate(found))

    def _keys(self, mels: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            (keys,) = self._session.run(None, {"mels": mels})
        except Exception as error:
            raise ModelFailed(f"the voice encoder failed on {len(mels)} windows: {error}") from error
        return np.asarray(keys, np.float32)


def levelled(samples: Samples) -> Samples:
    """Sound at `LEVEL_DBFS` where it was softer; louder sound as it is."""
    rms = max(float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))), 1e-6)
    return (samples * np.float32(max(1.0, 10 ** (LEVEL_DBFS / 20) / rms))).astype(np.float32)


def mel_powers(samples: Samples) -> NDArray[np.float32]:
    """(n,) float32 -> (frames, 40) float32: power in each mel band, a frame every 160 samples."""
    padded = np.pad(samples, FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]
    power = np.square(np.abs(np.fft.rfft(frames * _HANN, axis=1))).astype(np.float32)
    return power @ _FILTERS.T


def mel_filters() -> NDArray[np.float32]:
    """(40, 201) float32: triangles over the bins of the spectrum, each of area 1 in Hz."""
    top_mel = _LOG_FROM_MEL + np.log(AUDIO_RATE_HZ / 2 / _LOG_FROM_HZ) / _LOG_STEP
    mels = np.linspace(0.0, top_mel, MELS + 2)
    above = _LOG_FROM_HZ * np.exp(_LOG_STEP * (mels - _LOG_FROM_MEL))
    corners_hz = np.where(mels < _LOG_FROM_MEL, mels * _MEL_HZ, above)
    bins_hz = np.linspace(0.0, AUDIO_RATE_HZ / 2, FFT // 2 + 1)
    from_corner = bins_hz[None, :] - corners_hz[:, None]
    widths = np.diff(corners_hz)[:, None]
    triangles = np.minimum(from_corner[:-2] / widths[:-1], -from_corner[2:] / widths[1:])
    areas = 2.0 / (corners_hz[2:] - corners_hz[:-2])
    filters: NDArray[np.float32] = (np.maximum(triangles, 0.0) * areas[:, None]).astype(np.float32)
    return filters


_HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)).astype(np.float32)
_FILTERS = mel_filters()
