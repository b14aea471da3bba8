"""Whisper as files and as a network: which models a setting needs, loaded, asked. No segments here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception.audio.settings import Device, GateSettings, SpeechSettings
from perception.audio.voice import Samples
from stream.errors import ConfigError, ModelFailed, ModelMissing
from stream.messages.media import AUDIO_RATE_HZ
from stream.models.speech import languages_of, speech_model

ENGLISH = "en"
PREPROCESSOR = "preprocessor_config.json"
MODELS_OF_AUTO = ("whisper-tiny.en", "whisper-base")
"""What `auto` hears English with, and what it tells languages and hears all others with."""

TOKENS_AT_LEAST = 16
TOKENS_HZ = 10
TOKENS_FOREIGN_HZ = 30
"""Bound on what is decoded per second. Fast English makes 5 tokens a second, each timestamp pair 2;
scripts that the tokenizer saw little of take a token for each letter."""
TOKENS_AT_MOST = 440
"""Whisper's context of 448 tokens without the prompt."""

PRODUCER_VERSION = "3"
"""Version of what this package makes of the model's output; a change of it must change this."""


def models_of(setting: str) -> tuple[str, ...]:
    """The models that a value of `audio.speech.model` needs: what hears English first, the most able last."""
    return MODELS_OF_AUTO if setting == "auto" else (setting,)


def producer_id(model: str) -> str:
    """Who makes the utterances: model, its revision, voice activity, and our version.

    Where it runs is added by `perception.audio.speech_places`.

    Raises:
        ConfigError: If the name is of no known form.
        ModelMissing: If the model, or a file of it, is not on this machine.
        ModelDamaged: If a file of it has the wrong size.
    """
    return f"{speech_model(model).id}+silero-v6/{PRODUCER_VERSION}"


def check_language(speech: SpeechSettings) -> None:
    """Sees to it that what `audio.speech.language` takes for granted can be heard.

    Raises:
        ConfigError: The model does not know the language; both are named.
        ModelMissing: The model, or a file of it, is not on this machine.
        ModelDamaged: Its vocabulary cannot be read.
    """
    *_, able = models_of(speech.model)
    known = languages_of(speech_model(able))
    if speech.language and speech.language not in known:
        only = " (it knows English alone)" if known == {ENGLISH} else ""
        able_too = "another model, such as whisper-base" if only else f"one of: {', '.join(sorted(known))}"
        raise ConfigError(
            f"audio.speech.language: {speech.language!r} is no language of {able}{only}",
            remedy=f"leave it empty, or name {able_too}",
        )


class Whisper:
    """One loaded model; belongs to the thread that uses it.

    Args:
        model: Its name.
        compute_type: Arithmetic of CTranslate2.
        threads: CPU threads.
        device: Where it runs.

    Raises:
        ModelMissing: If the model was not pulled, or without what says how many mel bins it hears.
        ModelDamaged: If a file of it has the wrong size.
        ModelFailed: If it cannot be loaded.
    """

    def __init__(self, model: str, *, compute_type: str, threads: int, device: Device = "cpu") -> None:
        folder = speech_model(model).folder
        from faster_whisper import WhisperModel

        self.name = model
        try:
            self.model = WhisperModel(
                str(folder),
                device=device,
                compute_type=compute_type,
                cpu_threads=threads,
                num_workers=1,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelFailed(
                f"{folder} cannot be loaded: {error}", remedy="run: omnirecall models verify"
            ) from error
        self._check_mels(folder)

    def _check_mels(self, folder: Path) -> None:
        """faster-whisper makes 80 mel bins where it is not told otherwise; large-v3 and its kin need 128."""
        needed, made = self.model.model.n_mels, self.model.feature_extractor.mel_filters.shape[0]
        if needed == made:
            return
        preprocessor = folder / PREPROCESSOR
        if preprocessor.is_file():
            raise ModelFailed(
                f"{preprocessor} says {made} mel bins, the model of {self.name} has {needed}",
                remedy="take the file that belongs to the model",
            )
        raise ModelMissing(
            f"{self.name}: {folder} has no {PREPROCESSOR}, and the model has {needed} mel bins, not {made}",
            remedy=f"put the {PREPROCESSOR} of the original model into the folder, or pull it again",
        )

    @property
    def is_multilingual(self) -> bool:
        """Whether it knows more than English."""
        return bool(self.model.model.is_multilingual)

    def passes(
        self, window: Samples, language: str, speech: SpeechSettings, gates: GateSettings
    ) -> Iterable[Any]:
        """What it writes for a window (n,) float32 of at most 30 s, with word times."""
        passes: Iterable[Any]
        passes, _ = self.model.transcribe(
            window,
            language=language,
            beam_size=speech.beam,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
            max_new_tokens=_most_tokens(window, language),
            no_speech_threshold=gates.no_speech,
            log_prob_threshold=gates.log_probability,
            compression_ratio_threshold=None,  # it only asks for another temperature
        )
        return passes

    def languages(self, probes: Sequence[Samples], seconds: float) -> list[dict[str, float]]:
        """How probable each language is in each probe, (n,) float32 of at most `seconds`.

        The encoder takes windows shorter than 30 s: four seconds cost a twentieth of a
        full window and tell the language as well (`python -m tools.bench_speech`).
        """
        from faster_whisper.audio import pad_or_trim
        from faster_whisper.transcribe import get_ctranslate2_storage

        frames = round(seconds * self.model.frames_per_second)
        features = np.stack(
            [pad_or_trim(self.model.feature_extractor(probe)[:, :frames], frames) for probe in probes]
        )
        encoded = self.model.model.encode(get_ctranslate2_storage(features))
        return [
            {str(token).strip("<|>"): float(probability) for token, probability in ranked}
            for ranked in self.model.model.detect_language(encoded)
        ]


def _most_tokens(window: Samples, language: str) -> int:
    """More than anybody says in a window: a decoder caught in a loop would write 448, for seconds."""
    rate_hz = TOKENS_HZ if language == ENGLISH else TOKENS_FOREIGN_HZ
    return min(TOKENS_AT_MOST, TOKENS_AT_LEAST + rate_hz * len(window) // AUDIO_RATE_HZ)
