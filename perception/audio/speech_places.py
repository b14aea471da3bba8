"""Where Whisper runs, and in which arithmetic: what the settings allow, what this machine has, what does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception.audio.settings import Device, SpeechSettings
from stream.errors import ConfigError, ModelFailed

AUTO: Mapping[Device, tuple[str, ...]] = {"cpu": ("int8", "float32"), "cuda": ("float16", "int8", "float32")}
"""What `auto` is on each device: the first that it has."""

NO_GPU = "set audio.speech.device to auto or cpu, or install a driver and cuBLAS of CUDA 12"
PROBE_FRAMES = 100
"""Length of what is encoded to see whether a GPU does: a second."""


def places_of(speech: SpeechSettings) -> tuple[tuple[Device, str], ...]:
    """Where Whisper may run by the settings, and in which arithmetic, in the order to be tried.

    A GPU that is seen need not do: that its libraries are missing is found out by `probe`.

    Raises:
        ConfigError: If a GPU is demanded and none is seen, or no place has the arithmetic.
    """
    import ctranslate2

    devices: list[Device] = ["cpu"]
    if speech.device != "cpu" and ctranslate2.get_cuda_device_count():
        devices = ["cuda", "cpu"] if speech.device == "auto" else ["cuda"]
    elif speech.device == "cuda":
        raise ConfigError("audio.speech.device is cuda, and CTranslate2 sees no GPU", remedy=NO_GPU)
    able = {device: frozenset(ctranslate2.get_supported_compute_types(device)) for device in devices}
    wanted = AUTO if speech.compute_type == "auto" else dict.fromkeys(AUTO, (speech.compute_type,))
    found = [(device, [name for name in wanted[device] if name in able[device]]) for device in devices]
    places = tuple((device, names[0]) for device, names in found if names)
    if not places:
        has = "; ".join(f"{device}: {', '.join(sorted(names))}" for device, names in able.items())
        raise ConfigError(
            f"audio.speech.compute_type: {speech.compute_type} is not to be had here ({has})",
            remedy="set it to auto, or to one of these",
        )
    return places


def place_in_id(device: Device, compute_type: str) -> str:
    """What a place adds to the id of who makes the utterances; nothing for int8 on the CPU."""
    return "" if (device, compute_type) == ("cpu", "int8") else f"+{device}-{compute_type}"


def probe(name: str, model: Any) -> None:
    """Has a model of faster-whisper encode a second of nothing.

    CTranslate2 loads cuBLAS when it first multiplies, not with the model.

    Raises:
        ModelFailed: If it cannot be run.
    """
    from faster_whisper.transcribe import get_ctranslate2_storage

    nothing = np.zeros((1, model.model.n_mels, PROBE_FRAMES), np.float32)
    try:
        model.model.encode(get_ctranslate2_storage(nothing), to_cpu=True)
    except (RuntimeError, ValueError) as error:
        raise ModelFailed(f"{name} cannot be run on the GPU: {error}", remedy=NO_GPU) from error
