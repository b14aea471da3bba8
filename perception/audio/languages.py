"""Which language is spoken where: probes of voice segments, smoothed over a batch.

Each segment is probed for `probe_s` in its middle, a long one every `PROBE_EVERY_S`. A
short probe is now and then wrong, and mostly unsure of itself then; so the probes of a
batch are read together, as a hidden Markov model whose states are the languages, solved
by Viterbi's algorithm (1967). Going over to another language costs `switch` between two
segments and `WITHIN` inside one: a lone probe that is not sure follows its neighbours,
while whoever really changes over is followed. A segment in which the language changes is
cut at its quietest place in between.

Whisper takes accents for languages. So a part is heard in English first, unless its probes
are sure of another language or rule English out; which others it may be in is kept beside,
to be tried if the words are not sure (`perception.audio.speech` decides between what was heard).

What is decided depends on the batch alone, so that a resumed run decides the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from perception.audio.settings import SpeechSettings
from perception.audio.voice import Samples, VoiceSegment
from perception.audio.whisper import ENGLISH, Whisper
from stream.messages.media import AUDIO_RATE_HZ

PROBE_EVERY_S = 7.0
"""Seconds of a segment that share a probe."""

FLOOR = 1e-3
"""Least probability that a probe gives to a language: none may overrule all others alone."""

WITHIN = 0.02
"""Like `language_switch`, between two probes of one segment: nobody paused there."""

PROBES_AT_ONCE = 4

QUIET_S = 0.1
"""Length of what is compared where a segment is cut."""


@dataclass(frozen=True)
class Spoken:
    """A voice segment, or a part of one, that is in one language.

    `index` is the segment's in its batch. `otherwise` are the languages to be tried where
    the words are not sure, in this order. `likely` is how probable each language is, the mean
    of the part's probes; empty where none was probed.
    """

    index: int
    segment: VoiceSegment
    language: str
    otherwise: tuple[str, ...] = ()
    likely: Mapping[str, float] = field(default_factory=dict)

    def is_sure(self, language: str, least: float) -> bool:
        """Whether the probes give a language at least so much."""
        return self.likely.get(language, 0.0) >= least


@dataclass(frozen=True)
class Probe:
    """A place of segment number `index`: `centre` is a sample inside it."""

    index: int
    centre: int


def told(segments: Sequence[VoiceSegment], whisper: Whisper, settings: SpeechSettings) -> list[Spoken]:
    """The languages of the segments of a batch, in order; those in which it changes come in parts."""
    probes = [
        Probe(index, centre)
        for index, segment in enumerate(segments)
        for centre in centres(len(segment.samples))
    ]
    width = round(settings.language_probe_s * AUDIO_RATE_HZ)
    pieces = [_around(segments[probe.index].samples, probe.centre, width) for probe in probes]
    found: list[dict[str, float]] = []
    for at in range(0, len(pieces), PROBES_AT_ONCE):
        found += whisper.languages(pieces[at : at + PROBES_AT_ONCE], settings.language_probe_s)
    likely = [_without(each, settings.languages_never) for each in found]
    switches = [WITHIN if a.index == b.index else settings.language_switch for a, b in pairwise(probes)]
    weights = [min(1.0, len(piece) / width) for piece in pieces]
    parts = _parts(segments, probes, smoothed(likely, switches, weights))
    return [_begun(part, likely[first:last], settings) for part, first, last in parts]


def centres(n_samples: int) -> list[int]:
    """Where a segment of so many samples is probed: the middles of equal parts."""
    n = max(1, round(n_samples / (PROBE_EVERY_S * AUDIO_RATE_HZ)))
    return [n_samples * (2 * i + 1) // (2 * n) for i in range(n)]


def smoothed(
    likely: Sequence[Mapping[str, float]], switches: Sequence[float], weights: Sequence[float]
) -> list[str]:
    """The most probable sequence of languages.

    Args:
        likely: How probable each language is in each probe; the same languages in all.
        switches: Probability of another language than before, one fewer than the probes.
        weights: How much each probe counts, 0 to 1: a second of speech is sure of itself and wrong
            more often than four.
    """
    if not likely:
        return []
    names = sorted(likely[0])
    costs = [
        -weight * np.log([max(each[name], FLOOR) for name in names])
        for each, weight in zip(likely, weights, strict=True)
    ]
    total, back = costs[0], []
    for cost, switch in zip(costs[1:], switches, strict=True):
        best = int(total.argmin())
        from_best = total[best] - math.log(switch)
        back.append(np.where(total <= from_best, np.arange(len(names)), best))
        total = np.minimum(total, from_best) + cost
    state = int(total.argmin())
    path = [state]
    for previous in reversed(back):
        state = int(previous[state])
        path.append(state)
    return [names[state] for state in reversed(path)]


def _without(found: Mapping[str, float], never: Sequence[str]) -> dict[str, float]:
    """The probabilities of the other languages, made to add up to 1 again."""
    left = {name: probability for name, probability in found.items() if name not in never}
    whole = sum(left.values()) or 1.0
    return {name: probability / whole for name, probability in left.items()}


def may_be_english(part: Spoken, told: str, settings: SpeechSettings) -> bool:
    """Whether the probes leave it open: not sure of the language that is told, and not against English."""
    return not part.is_sure(told, settings.language_sure) and part.is_sure(
        ENGLISH, settings.language_not_english
    )


def _begun(part: Spoken, likely: Sequence[Mapping[str, float]], settings: SpeechSettings) -> Spoken:
    """The part with the language in which it is heard first, and those to be tried where words are not sure.

    Those are English, what was told, and the most probable other one where the probes are not sure of
    what was told; foreign ones only from `language_tried` on.
    """
    mean = {name: float(np.mean([each[name] for each in likely])) for name in likely[0]}
    part = replace(part, likely=mean)
    first = ENGLISH if may_be_english(part, part.language, settings) else part.language
    others = [ENGLISH, part.language]
    if not part.is_sure(part.language, settings.language_sure):
        foreign = sorted(mean.keys() - {part.language, ENGLISH})
        others.append(max(foreign, key=lambda name: mean[name], default=ENGLISH))
    least = {ENGLISH: 0.0} | dict.fromkeys(mean.keys() - {ENGLISH}, settings.language_tried)
    otherwise = tuple(
        name
        for name in dict.fromkeys(others)
        if name != first and name in mean and part.is_sure(name, least[name])
    )
    return replace(part, language=first, otherwise=otherwise)


def _around(samples: Samples, centre: int, width: int) -> Samples:
    begin = min(max(0, centre - width // 2), max(0, len(samples) - width))
    return samples[begin : begin + width]


def _parts(
    segments: Sequence[VoiceSegment], probes: Sequence[Probe], languages: Sequence[str]
) -> list[tuple[Spoken, int, int]]:
    """Each part, and the first of its probes and the one behind its last."""
    spoken: list[tuple[Spoken, int, int]] = []
    begin = first = 0
    for at, (probe, language) in enumerate(zip(probes, languages, strict=True)):
        segment = segments[probe.index]
        following = probes[at + 1] if at + 1 < len(probes) else None
        if following is not None and following.index == probe.index:
            if languages[at + 1] == language:
                continue
            end = _quietest(segment.samples, probe.centre, following.centre)
        else:
            end = len(segment.samples)
        spoken.append((Spoken(probe.index, _cut(segment, begin, end), language), first, at + 1))
        begin = end if end < len(segment.samples) else 0
        first = at + 1
    return spoken


def _cut(segment: VoiceSegment, begin: int, end: int) -> VoiceSegment:
    if (begin, end) == (0, len(segment.samples)):
        return segment
    return replace(
        segment,
        start_sample=segment.start_sample + begin,
        end_sample=segment.start_sample + end,
        samples=segment.samples[begin:end],
        lead=segment.lead if begin == 0 else segment.lead[:0],
    )


def _quietest(samples: Samples, begin: int, end: int) -> int:
    """The middle of the quietest `QUIET_S` between two places."""
    width = round(QUIET_S * AUDIO_RATE_HZ)
    energy = np.convolve(np.square(samples[begin:end]), np.ones(width), mode="valid")
    return begin + int(energy.argmin()) + width // 2
