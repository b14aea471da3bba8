"""Speech recognition: voice segments to sentences with word times.

The cost of Whisper is one encoder pass per window of 30 s, however little of it is
speech. So the segments of a file are packed: a batch holds up to 28 s of them with the
real pauses in between, shortened to `join_s`. Positions in the window are mapped back
to the segment, and so to the source. Live segments are not made to wait for others.

One window at a time: on one thread CTranslate2 takes 0.026 to 0.028 CPU seconds per second of
sound for windows one by one, two or four in a call, the same within its noise
(`python -m tools.bench_speech`).

`WhisperModel.transcribe` is used for each window rather than `BatchedInferencePipeline`:
with packed windows the pipeline's single pass loses the end of the window when the
decoder stops early (with timestamps) or at a pause (without), while `transcribe` goes on
after the last timestamp. Text of the window before is never given as a prompt: it is what makes
Whisper repeat itself, and a resumed run would not have it. The temperature is 0, since
sampling would give other words, and so other observations, in each run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from perception.audio.gates import Doubts, compression_ratio, refusal
from perception.audio.languages import Spoken, may_be_english, told
from perception.audio.sentences import Sentence, Word, confidence, split_sentences
from perception.audio.settings import Device, GateSettings, SpeechSettings
from perception.audio.speech_places import NO_GPU, place_in_id, places_of, probe
from perception.audio.voice import Samples, VoiceMark, VoiceSegment
from perception.audio.whisper import ENGLISH, Whisper, models_of, producer_id
from stream.errors import ConfigError, ModelFailed
from stream.messages.media import AUDIO_RATE_HZ

NS_PER_SAMPLE = 1_000_000_000 // AUDIO_RATE_HZ
"""62,500 exactly."""

WINDOW_S = 28.0
"""Seconds that a batch fills at most: Whisper's 30 without their end, where its timestamps are weak."""

AGAIN_SILENCE_S = 0.5
"""Silence before what is heard again."""

WORD_S = 0.3
LETTER_S = 0.08
"""Longest time that a word takes: so much, and so much for each of its letters."""


@dataclass(frozen=True)
class Batch:
    """Segments that are recognised together, and the mark that may be put once they are; in order."""

    segments: tuple[VoiceSegment, ...]
    mark_sample: int


class Batcher:
    """Gathers the segments of a file into batches of one window; those of a live source go alone.

    What is in a batch depends on segments and marks alone, never on wall time or on how
    the samples arrived, so that a run resumed after a batch makes the same next ones.

    Args:
        live: Do not gather.
        wait_s: Seconds of stream after which waiting segments go although there is room.
    """

    def __init__(self, *, live: bool, wait_s: float) -> None:
        self._live = live
        self._wait = int(wait_s * AUDIO_RATE_HZ)
        self._most = int(WINDOW_S * AUDIO_RATE_HZ)
        self._waiting: list[VoiceSegment] = []
        self._filled = 0

    @property
    def waiting(self) -> int:
        """How many segments wait for others."""
        return len(self._waiting)

    def add(self, event: VoiceSegment | VoiceMark) -> list[Batch]:
        """Takes what comes next, and returns the batches that are complete with it."""
        if isinstance(event, VoiceMark):
            if self._waiting and not self._is_late(event.sample):
                return []  # the segments that wait are before this mark: it comes with a later batch
            return [Batch(self._take(), event.sample)]
        if self._live:
            return [Batch((event,), event.mark_sample)]
        full = self._filled + len(event.lead) + len(event.samples) > self._most
        batches = self.rest() if self._waiting and (full or self._is_late(event.start_sample)) else []
        self._filled += len(event.samples) + (len(event.lead) if self._waiting else 0)
        self._waiting.append(event)
        return batches

    def rest(self) -> list[Batch]:
        """The segments that still wait, as the last batch."""
        if not self._waiting:
            return []
        mark_sample = self._waiting[-1].mark_sample
        return [Batch(self._take(), mark_sample)]

    def _is_late(self, sample: int) -> bool:
        return sample - self._waiting[0].start_sample >= self._wait

    def _take(self) -> tuple[VoiceSegment, ...]:
        segments = tuple(self._waiting)
        self._waiting, self._filled = [], 0
        return segments


@dataclass(frozen=True)
class Placed:
    """Where a segment lies in a window: its samples begin at `offset`."""

    segment: VoiceSegment
    offset: int

    def distance(self, sample: float) -> float:
        """How far a position in the window is outside the segment, in samples; 0 inside."""
        return max(self.offset - sample, sample - self.offset - len(self.segment.samples), 0.0)

    def position_ns(self, window_s: float) -> int:
        """The position in the source of a time in the window, kept inside the segment."""
        inside = round(window_s * AUDIO_RATE_HZ) - self.offset
        inside = min(max(inside, 0), len(self.segment.samples))
        return (self.segment.start_sample + inside) * NS_PER_SAMPLE


def pack(segments: Sequence[VoiceSegment], silence_s: float = 0.0) -> tuple[Samples, list[Placed]]:
    """One window (n,) float32 of the segments, each but the first after its lead, and where they lie.

    Args:
        segments: In order.
        silence_s: Silence put before the first.
    """
    filled = round(silence_s * AUDIO_RATE_HZ)
    pieces: list[Samples] = [np.zeros(filled, np.float32)]
    placed: list[Placed] = []
    for segment in segments:
        if placed:
            pieces.append(segment.lead)
            filled += len(segment.lead)
        placed.append(Placed(segment, filled))
        pieces.append(segment.samples)
        filled += len(segment.samples)
    return np.concatenate(pieces), placed


@dataclass(frozen=True)
class Heard:
    """What was recognised in a batch, in order, and how many sentences each gate refused."""

    sentences: tuple[Sentence, ...] = ()
    refused: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Timed:
    """A word in its place, and what the pass that it comes from said of itself."""

    word: Word
    pass_: Any


def covered(words: Sequence[Word]) -> list[tuple[int, int]]:
    """What words account for, as samples (from, to).

    The alignment stretches a word over whatever was skipped behind it, so none is credited
    with more than its letters can take.
    """
    spans = []
    for word in words:
        start, end = word.start_ns // NS_PER_SAMPLE, word.end_ns // NS_PER_SAMPLE
        longest = round((WORD_S + LETTER_S * len(word.text.strip())) * AUDIO_RATE_HZ)
        spans.append((start, min(end, start + longest)))
    return spans


def unheard_from(segment: VoiceSegment, words: Sequence[Word], longest_s: float) -> int | None:
    """Where the decoder lost the thread: the start of the last word before a stretch without words.

    Inside a segment nobody is silent for longer than the hang-over; a stretch of more
    than `longest_s` that no word accounts for was skipped. None if there is none.
    """
    spans = [(segment.start_sample, segment.start_sample), *covered(words)]
    spans.append((segment.end_sample, segment.end_sample))
    for (last_word, silent), (following, _) in pairwise(spans):
        if following - silent > longest_s * AUDIO_RATE_HZ:
            return last_word
    return None


def rest_of(segment: VoiceSegment, begin: int) -> VoiceSegment:
    """The segment from `begin` on, to be heard by itself, with silence before it."""
    samples = segment.samples[begin - segment.start_sample :]
    lead = np.zeros(round(AGAIN_SILENCE_S * AUDIO_RATE_HZ), np.float32)
    return replace(segment, start_sample=begin, samples=samples, lead=lead)


class Recogniser:
    """Whisper, loaded once; belongs to the thread that uses it.

    Args:
        settings: Which model or models, and how they decode.
        gates: When words are refused.
        threads: CPU threads of each model.

    Raises:
        ModelMissing: If a model was not pulled.
        ModelDamaged: If a file of it has the wrong size.
        ModelFailed: If it cannot be loaded.
        ConfigError: If it was to be a GPU or an arithmetic that cannot be had.

    Attributes:
        device: Where it runs.
        compute_type: In which arithmetic of CTranslate2.
        not_on_gpu: Why it does not run on a GPU that is there; empty where it does, or none is there.
    """

    device: Device
    compute_type: str

    def __init__(self, settings: SpeechSettings, gates: GateSettings, *, threads: int = 1) -> None:
        self._settings = settings
        self._gates = gates
        self.not_on_gpu = ""
        loaded = self._load(places_of(settings), threads)
        self._english, self._able = loaded[0], loaded[-1]

    def _load(self, places: Sequence[tuple[Device, str]], threads: int) -> list[Whisper]:
        """The models, all at the first place where all can be run."""
        for self.device, self.compute_type in places[:-1]:
            try:
                return self._loaded(threads)
            except ModelFailed as error:
                self.not_on_gpu = error.message
        self.device, self.compute_type = places[-1]
        try:
            return self._loaded(threads)
        except ModelFailed as error:
            if self.device != "cuda":
                raise
            raise ConfigError(
                f"audio.speech wants a GPU, but {error.message}", remedy=error.remedy or NO_GPU
            ) from error

    def _loaded(self, threads: int) -> list[Whisper]:
        where: dict[str, Any] = {} if self.device == "cpu" else {"device": self.device}
        loaded = [
            Whisper(model, compute_type=self.compute_type, threads=threads, **where)
            for model in models_of(self._settings.model)
        ]
        for whisper in loaded if where else ():
            probe(whisper.name, whisper.model)
        return loaded

    def producer_ids(self) -> dict[str, str]:
        """Who makes the utterances, by model, with where they run."""
        models = models_of(self._settings.model)
        return {model: producer_id(model) + place_in_id(self.device, self.compute_type) for model in models}

    def hear(self, segments: Sequence[VoiceSegment]) -> Heard:
        """The sentences of segments that fit one window; none for no segments.

        Raises:
            ModelFailed: If the model raises on them.
        """
        if not segments:
            return Heard()
        refused: dict[str, int] = {}
        try:
            spoken = self._spoken(segments)
            timed = self._hear_apart(spoken, refused)
            spoken = self._hear_otherwise(spoken, timed, refused)
            self._hear_again(spoken, timed, refused)
        except Exception as error:  # whatever CTranslate2 raises
            raise ModelFailed(
                f"{self._settings.model} failed on {len(segments)} segments: {error}"
            ) from error
        sentences: list[Sentence] = []
        for index, segment in enumerate(segments):
            own: list[Sentence] = []
            for part, heard in zip(spoken, timed, strict=True):
                if part.index == index:
                    own.extend(self._believed(part, heard, refused))
            # Numbered in the segment, also where its language changes.
            sentences.extend(
                replace(sentence, anchor_sample=segment.start_sample, ordinal=ordinal)
                for ordinal, sentence in enumerate(own)
            )
        return Heard(tuple(sentences), refused)

    def _spoken(self, segments: Sequence[VoiceSegment]) -> list[Spoken]:
        """The segments with their languages; English where the model knows no other."""
        if self._able.is_multilingual and not self._settings.language:
            return told(segments, self._able, self._settings)
        language = self._settings.language if self._able.is_multilingual else ENGLISH
        return [Spoken(index, segment, language) for index, segment in enumerate(segments)]

    def _whisper(self, language: str) -> Whisper:
        return self._english if language == ENGLISH else self._able

    def _words(
        self,
        segments: Sequence[VoiceSegment],
        language: str,
        refused: dict[str, int],
        silence_s: float = 0.0,
    ) -> list[list[_Timed]]:
        """The words of each segment, from one window of them all."""
        window, placed = pack(segments, silence_s)
        per_segment: list[list[_Timed]] = [[] for _ in segments]
        for pass_ in self._whisper(language).passes(window, language, self._settings, self._gates):
            if compression_ratio(pass_.text) > self._gates.compression:
                refused["repeated"] = refused.get("repeated", 0) + 1
                continue
            for word in pass_.words or ():
                index = _nearest(placed, (word.start + word.end) / 2 * AUDIO_RATE_HZ)
                per_segment[index].append(_Timed(_at(word, placed[index]), pass_))
        return per_segment

    def _hear_apart(self, spoken: Sequence[Spoken], refused: dict[str, int]) -> list[list[_Timed]]:
        """The words of each part: a window has one language, and voices or what may be none.

        Among voices Whisper is sure of itself and writes something for music as well; by
        itself it says that nobody speaks.
        """
        timed: list[list[_Timed]] = [[] for _ in spoken]
        groups: dict[tuple[str, bool], list[int]] = {}
        for at, part in enumerate(spoken):
            is_weak = part.segment.probability < self._gates.weak_voice
            groups.setdefault((part.language, is_weak), []).append(at)
        for (language, _), group in groups.items():
            heard = self._words([spoken[at].segment for at in group], language, refused)
            for at, words in zip(group, heard, strict=True):
                timed[at] = words
        return timed

    def _hear_otherwise(
        self, spoken: Sequence[Spoken], timed: list[list[_Timed]], refused: dict[str, int]
    ) -> list[Spoken]:
        """Tries other languages where what is believed is not sure; keeps the hearing to be believed.

        Where English gave nothing, nobody may have spoken: nothing else is tried.
        """
        found = list(spoken)
        sure = [self._sureness(part, words) for part, words in zip(spoken, timed, strict=True)]
        for nth in range(max((len(part.otherwise) for part in spoken), default=0)):
            doubtful = {
                at: replace(part, language=part.otherwise[nth])
                for at, part in enumerate(spoken)
                if nth < len(part.otherwise)
                and (timed[at] or part.language != ENGLISH)
                and sure[at] < self._settings.language_sure
            }
            heard = self._hear_apart(list(doubtful.values()), refused)
            for (at, part), words in zip(doubtful.items(), heard, strict=True):
                sureness = self._sureness(part, words)
                if self._is_preferred(part, sureness, found[at].language, sure[at]):
                    found[at], timed[at], sure[at] = part, words, sureness
        return found

    def _sureness(self, part: Spoken, timed: Sequence[_Timed]) -> float:
        """How sure what is believed of a hearing is, times its share of the words; 0 where nothing is."""
        sentences = self._believed(part, timed, {})
        believed = [word for sentence in sentences for word in sentence.words]
        return confidence(believed) * len(believed) / max(1, len(timed))

    def _is_preferred(self, tried: Spoken, sureness: float, kept: str, kept_sureness: float) -> bool:
        """Whether a hearing is to be kept instead of the one before, in the language `kept`.

        What the gates refuse whole is never kept. English is preferred by a margin where the probes
        leave it open.
        """
        languages = {tried.language, kept}
        if not (sureness and kept_sureness and ENGLISH in languages):
            return sureness > kept_sureness
        (foreign,) = languages - {ENGLISH}
        is_open = may_be_english(tried, foreign, self._settings)
        margin = self._settings.language_margin if is_open else 0.0
        return sureness > kept_sureness + (margin if kept == ENGLISH else -margin)

    def _hear_again(
        self, spoken: Sequence[Spoken], timed: list[list[_Timed]], refused: dict[str, int]
    ) -> None:
        """Goes on where the decoder lost the thread, once, in a window of its own.

        What is heard there replaces the words from that place on if it accounts for more
        and is sure of itself.
        """
        rests: dict[str, dict[int, VoiceSegment]] = {}
        for at, part in enumerate(spoken):
            begin = unheard_from(part.segment, [item.word for item in timed[at]], self._settings.unheard_s)
            if begin is not None:
                rests.setdefault(part.language, {})[at] = rest_of(part.segment, begin)
        for language, own in rests.items():
            # The silence makes another window of it even where everything is heard again.
            found = self._words(list(own.values()), language, refused, silence_s=AGAIN_SILENCE_S)
            for (at, rest), again in zip(own.items(), found, strict=True):
                timed[at] = self._better(timed[at], rest, again)

    def _better(self, timed: list[_Timed], rest: VoiceSegment, again: list[_Timed]) -> list[_Timed]:
        begin_ns = rest.start_sample * NS_PER_SAMPLE
        before = [item for item in timed if item.word.start_ns < begin_ns]
        is_sure = confidence([item.word for item in again]) >= self._gates.doubtful_confidence
        if is_sure and _account(again) > _account(timed[len(before) :]):
            return _in_order([*before, *again])
        return timed

    def _believed(self, spoken: Spoken, timed: Sequence[_Timed], refused: dict[str, int]) -> list[Sentence]:
        """The sentences of one part that pass the gates, numbered as they are kept."""
        words = [item.word for item in timed]
        parts = split_sentences(words, self._settings.sentence_pause_s, self._settings.sentence_max_s)
        model = self._whisper(spoken.language).name
        segment = spoken.segment
        kept: list[Sentence] = []
        begin = 0
        for part in parts:
            passes = [item.pass_ for item in timed[begin : begin + len(part)]]
            begin += len(part)
            doubts = Doubts(
                no_speech=max(float(pass_.no_speech_prob) for pass_ in passes),
                voice_s=len(segment.samples) / AUDIO_RATE_HZ,
                alone=len(parts) == 1,
            )
            gate = refusal(part, doubts, self._gates)
            if gate:
                refused[gate] = refused.get(gate, 0) + 1
                continue
            kept.append(
                Sentence(segment.start_sample, len(kept), part, spoken.language, confidence(part), model)
            )
        return kept


def _account(timed: Sequence[_Timed]) -> int:
    """For how many samples words account."""
    return sum(end - start for start, end in covered([item.word for item in timed]))


def _in_order(timed: Sequence[_Timed]) -> list[_Timed]:
    """Words by their start, none reaching into the next: it was stretched over what had been skipped."""
    ordered = sorted(timed, key=lambda item: item.word.start_ns)
    for index, (item, following) in enumerate(pairwise(ordered)):
        if item.word.end_ns > following.word.start_ns:
            ordered[index] = replace(item, word=replace(item.word, end_ns=following.word.start_ns))
    return ordered


def _nearest(placed: Sequence[Placed], sample: float) -> int:
    return min(range(len(placed)), key=lambda index: placed[index].distance(sample))


def _at(word: Any, place: Placed) -> Word:
    start_ns = place.position_ns(float(word.start))
    end_ns = max(start_ns, place.position_ns(float(word.end)))
    return Word(str(word.word), start_ns, end_ns, float(word.probability))
