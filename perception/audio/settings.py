"""Settings of the audio role: voice activity, speech, its gates and speakers, each with its unit."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Device = Literal["cpu", "cuda"]
ComputeType = Literal[
    "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"
]
"""Arithmetic, as CTranslate2 names it."""


class VoiceSettings(BaseModel):
    """Where speech begins and ends. Thresholds are Silero's own defaults where not said otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float = Field(
        default=0.5, gt=0, lt=1, description="Speech probability of a 32 ms window at which speech begins."
    )
    threshold_off: float = Field(
        default=0.35,
        gt=0,
        lt=1,
        description="Probability below which a window may end speech (threshold - 0.15).",
    )
    min_speech_s: float = Field(
        default=0.25,
        ge=0,
        le=5,
        description="Seconds; speech that is shorter is taken for a click or a cough.",
    )
    hang_over_archive_s: float = Field(
        default=0.5, ge=0.2, le=5, description="Seconds of silence that end a segment of a file."
    )
    hang_over_live_s: float = Field(
        default=0.4, ge=0.2, le=5, description="Seconds of silence that end a segment of a live source."
    )
    pad_s: float = Field(
        default=0.4,
        ge=0,
        le=1,
        description="Seconds kept before and after the speech (less after it if the hang-over is shorter);"
        " without them Whisper mistakes first and last words. faster-whisper's own default.",
    )
    max_segment_s: float = Field(
        default=28.0,
        ge=5,
        le=28,
        description="Seconds; longer speech is cut at its weakest place. Whisper hears 30.",
    )
    quiet_mark_s: float = Field(
        default=30.0, ge=2, le=600, description="Seconds without speech after which the mark moves on."
    )
    join_s: float = Field(
        default=2.0,
        ge=0,
        le=3,
        description="Seconds of real sound kept between segments that share a window of the recogniser:"
        " a soft word after a pause may have been taken for silence. faster-whisper keeps as much.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.threshold_off >= self.threshold:
            raise ValueError("threshold_off must be below threshold, or speech never ends")
        return self


class SpeechSettings(BaseModel):
    """How segments become words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        default="whisper-tiny.en",
        min_length=1,
        description="Whisper for CTranslate2: a name under `omnirecall models list`, a folder, or a hub id"
        " (owner/name@revision) that was pulled; auto: whisper-tiny.en where English is spoken, whisper-base"
        " elsewhere, told per voice segment.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="Where Whisper runs: auto takes a GPU on which CTranslate2 can run it (it wants cuBLAS of"
        " CUDA 12), else the CPU. Voice activity runs on the CPU.",
    )
    compute_type: Literal["auto"] | ComputeType = Field(
        default="auto",
        description="Arithmetic of CTranslate2: auto is int8 on the CPU and float16 on a GPU. Another one may"
        " give other words: a producer of its own, as another device is.",
    )
    beam: int = Field(default=1, ge=1, le=10, description="Hypotheses kept while decoding.")
    language: str = Field(
        default="",
        max_length=8,
        description="Language code that is taken for granted; empty: told per voice segment.",
    )
    language_probe_s: float = Field(
        default=4.0, ge=2, le=30, description="Seconds of a voice segment from which its language is told."
    )
    language_switch: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="Probability that the next voice segment is in another language; the lower, the surer"
        " a segment has to be that contradicts its neighbours.",
    )
    language_sure: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="Mean probability of a segment's believed words below which it is heard in another"
        " language too, and of the told language from which on it is heard in that one first.",
    )
    language_tried: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Probability of a foreign language from which on it is tried where words are not sure:"
        " below it, four of five trials would be in vain, and each costs as much as the first hearing.",
    )
    language_not_english: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Probability of English below which a segment is heard in the told language first,"
        " however unsure that is.",
    )
    language_margin: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="By how much the words of a language that is not sure must be surer than the English ones"
        " to be kept: Whisper takes accents for languages, and hearings of the same sound differ by chance.",
    )
    languages_never: tuple[str, ...] = Field(
        default=("la", "sa"),
        description="Language codes that are never told: nobody's first language, and Latin is what"
        " Whisper takes unclear speech for.",
    )
    batch_wait_s: float = Field(
        default=60.0,
        ge=1,
        le=600,
        description="Seconds of stream, not of wall time, that a file's segment may wait for others.",
    )
    unheard_s: float = Field(
        default=1.2,
        ge=0.6,
        le=30,
        description="Seconds of voice without a word, from which on a segment is heard once more by itself.",
    )
    sentence_pause_s: float = Field(
        default=0.8, gt=0, le=10, description="Seconds between two words that end a sentence."
    )
    sentence_max_s: float = Field(
        default=15.0, ge=2, le=28, description="Seconds after which a sentence is ended at its longest pause."
    )


class GateSettings(BaseModel):
    """When words are not believed; sources in `perception.audio.gates`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    no_speech: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Probability of no speech above which a window is skipped, if `log_probability` is"
        " missed too.",
    )
    log_probability: float = Field(
        default=-1.0,
        le=0,
        description="Mean log probability of a window's tokens, below which `no_speech` counts.",
    )
    compression: float = Field(
        default=2.4, gt=1, description="Text that deflates by more than this factor repeats itself."
    )
    repeated: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of three-word sequences that were there before; from it on, a loop.",
    )
    confidence: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Geometric mean of the word probabilities that every sentence needs.",
    )
    doubtful_no_speech: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Probability of no speech in the window above which `doubtful_confidence` is needed.",
    )
    doubtful_confidence: float = Field(
        default=0.5, ge=0, le=1, description="Mean word probability that a doubtful sentence needs."
    )
    doubtful_words: int = Field(
        default=8, ge=0, description="Words up to which a sentence can be doubtful: inventions are short."
    )
    weak_voice: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="Mean speech probability below which a segment may be no voice: it does not share a"
        " window with surer ones, so that the window can say that nobody speaks.",
    )
    short_words: int = Field(default=3, ge=0, description="Words up to which a sentence counts as short.")
    short_confidence: float = Field(
        default=0.35, ge=0, le=1, description="Mean word probability that a short sentence needs."
    )
    slow_after_s: float = Field(
        default=2.0, ge=0, description="Seconds of voice after which `slow_words_hz` counts."
    )
    slow_words_hz: float = Field(
        default=0.5,
        ge=0,
        description="Words per second of voice below which words are refused: speech has 2 to 4.",
    )
    fast_words_hz: float = Field(
        default=10.0,
        gt=0,
        description="Words per second above which words are refused: nobody speaks so fast.",
    )


class SpeakerSettings(BaseModel):
    """Whose voice it is. Off unless the owner switches it on: a voice key says who somebody is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(
        default=False,
        description="Whether utterances get a voice key and a speaker's number, and end where the speaker"
        " changes.",
    )
    hop_s: float = Field(
        default=0.4,
        ge=0.1,
        le=0.8,
        multiple_of=0.01,
        description="Seconds from one window of voice to the next.",
    )
    same_voice: float = Field(
        default=0.70,
        gt=0,
        lt=1,
        description="Mean cosine between the windows of two heaps from which on they are one speaker; less"
        " where a voice stays less like itself.",
    )
    steady: bool = Field(
        default=True, description="Whether that cosine is lowered for a far microphone or a loud room."
    )
    below_steady: float = Field(
        default=0.05,
        ge=0,
        le=0.5,
        description="How far it may be below the cosine of windows that follow each other.",
    )
    same_mean: float = Field(
        default=0.87,
        gt=0,
        le=1,
        description="Cosine between the means of somebody new and of a speaker known from before, from which"
        " on they are one.",
    )
    least_voice_s: float = Field(
        default=2.5, ge=0.5, le=30, description="Seconds of voice that make somebody new."
    )
    change_penalty: float = Field(
        default=0.05,
        ge=0,
        le=2,
        description="Cosine by which another speaker must be better, summed over a turn.",
    )
    unlike: float = Field(
        default=0.65,
        ge=0,
        lt=1,
        description="Cosine to the nearest speaker below which a window is nobody's that is known.",
    )
    mixed: float = Field(
        default=0.75,
        ge=0,
        lt=1,
        description="Cosine to its own speaker below which a window is taken to hold another voice too.",
    )
    least_piece_s: float = Field(
        default=0.6,
        ge=0,
        le=5,
        description="Seconds of words for which an utterance is cut; fewer stay with their neighbour.",
    )


class AudioSettings(BaseModel):
    """Section `audio` of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    voice: VoiceSettings = Field(default=VoiceSettings(), description="Voice activity.")
    speech: SpeechSettings = Field(default=SpeechSettings(), description="Speech recognition.")
    gates: GateSettings = Field(default=GateSettings(), description="Gates against invented words.")
    speakers: SpeakerSettings = Field(default=SpeakerSettings(), description="Whose voice it is; opt-in.")
    window_chunks: int = Field(
        default=16, ge=2, le=1024, description="Chunks of sound that may be on the way or unheard, per track."
    )
    waiting_batches: int = Field(
        default=4,
        ge=1,
        le=64,
        description="Batches that may wait for the recogniser before no more credit is given.",
    )
    spool_batches: int = Field(
        default=64, ge=1, description="Batches that may wait for memory before no more credit is given."
    )
