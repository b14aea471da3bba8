"""What counts in video: hits, answers, boundaries, and how sure a share of few questions is.

Pure functions of numbers, so that each rule can be tested by hand-made cases.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tools.bootstrap import bootstrap

LONGEST_HIT_S = 10.0
"""A hit may be this long whatever the length of the true interval."""
LONGEST_HIT_RATIO = 1.5
"""Or this many times the true interval."""
LEAST_OVERLAP = 0.5
"""Share of the shorter of the two that they have in common, at least."""
ANSWER_WORDS = 40
"""A longer sentence may hold an accepted string by chance; it does not count."""
DRAWS = 2_000
"""Bootstrap samples; the ends of a 95 % interval then move by about a point between seeds."""


class Stretch(NamedTuple):
    """Seconds of one video, `t0_s` to `t1_s`."""

    video: str
    t0_s: float
    t1_s: float

    @property
    def length_s(self) -> float:
        """How long it is."""
        return self.t1_s - self.t0_s


def overlaps(found: Stretch, true: Stretch) -> bool:
    """Whether two stretches of one video share at least half of the shorter of the two.

    A stretch without length shares nothing: half of nothing would fit anywhere.
    """
    if found.video != true.video:
        return False
    shared_s = min(found.t1_s, true.t1_s) - max(found.t0_s, true.t0_s)
    return shared_s > 0 and shared_s >= LEAST_OVERLAP * min(found.length_s, true.length_s)


def is_hit(found: Stretch, true: Stretch) -> bool:
    """Whether a hit or a citation counts: it overlaps, and is not so long that it would anywhere."""
    longest_s = max(LONGEST_HIT_S, LONGEST_HIT_RATIO * true.length_s)
    return overlaps(found, true) and found.length_s <= longest_s


def hit_rank(ranked: Sequence[Stretch], true: Stretch) -> int | None:
    """The place of the first hit that counts, from 1, or None."""
    return next((place for place, one in enumerate(ranked, start=1) if is_hit(one, true)), None)


class Told(NamedTuple):
    """One sentence of an answer with what it cites."""

    text: str
    cited: tuple[Stretch, ...]


def is_answered(sentences: Sequence[Told], accept: Sequence[str], true: Stretch) -> bool:
    """Whether an accepted string stands on word boundaries in a short sentence whose citation counts."""
    return any(
        len(sentence.text.split()) <= ANSWER_WORDS
        and any(is_hit(cited, true) for cited in sentence.cited)
        and any(holds(sentence.text, accepted) for accepted in accept)
        for sentence in sentences
    )


def holds(text: str, wanted: str) -> bool:
    """Whether a string stands in a text, case aside, without a letter or digit touching its ends."""
    return re.search(rf"(?<!\w){re.escape(wanted.casefold())}(?!\w)", text.casefold()) is not None


@dataclass(frozen=True, slots=True)
class Matched:
    """Boundaries found, true, and matched one to one."""

    found: int = 0
    true: int = 0
    matched: int = 0

    @property
    def f1(self) -> float:
        """2 · matched / (found + true); 1 where there was nothing to find and nothing was found."""
        total = self.found + self.true
        return 2 * self.matched / total if total else 1.0

    def __add__(self, other: Matched) -> Matched:
        return Matched(self.found + other.found, self.true + other.true, self.matched + other.matched)


def match_boundaries(found_s: Sequence[float], true_s: Sequence[float], tolerance_s: float) -> Matched:
    """As many pairs as can be made of boundaries that lie within the tolerance, each used once.

    Taking both in order of time and pairing the earliest that fit is a largest matching,
    since every boundary accepts an interval of the same width.
    """
    found, true = sorted(found_s), sorted(true_s)
    matched = i = j = 0
    while i < len(found) and j < len(true):
        # A tolerance written with one digit must hold for a difference of just as much.
        if abs(found[i] - true[j]) <= tolerance_s + 1e-9:
            matched, i, j = matched + 1, i + 1, j + 1
        elif found[i] < true[j]:
            i += 1
        else:
            j += 1
    return Matched(len(found), len(true), matched)


def interval(
    values: Sequence[Any], statistic: Callable[[Sequence[int]], float] | None = None
) -> tuple[float, float]:
    """A 95 % bootstrap interval of a mean, or of another statistic of drawn places, to 3 digits.

    Args:
        values: One per question or video; (nan, nan) without any.
        statistic: Of places in `values`, drawn with replacement; without one, the mean.
    """
    low, high = bootstrap(
        len(values), statistic or (lambda places: sum(values[n] for n in places) / len(places)), draws=DRAWS
    )
    return round(low, 3), round(high, 3)


def random_hit_rates(
    lengths_s: Sequence[float],
    true: Stretch,
    durations_s: Mapping[str, float],
    ks: Sequence[int],
    *,
    draws: int = 2_000,
    seed: int = 0,
) -> dict[int, float]:
    """How often k windows of these lengths hit by chance, placed evenly over all videos.

    Args:
        lengths_s: Of the system's own hits, best first; the first k of them are placed.
        true: The true interval.
        durations_s: Length of each video; a video is drawn by its length.
        ks: Numbers of windows.
        draws: How often they are placed.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    videos = sorted(durations_s)
    shares = np.array([durations_s[video] for video in videos])
    lengths = np.array(lengths_s, dtype=np.float64)
    if not len(lengths):
        return dict.fromkeys(ks, 0.0)
    drawn = rng.choice(len(videos), size=(draws, len(lengths)), p=shares / shares.sum())
    ends = shares[drawn]
    length = np.minimum(lengths, ends)
    starts = rng.random(drawn.shape) * (ends - length)
    shared = np.minimum(starts + length, true.t1_s) - np.maximum(starts, true.t0_s)
    counts = (
        (drawn == videos.index(true.video))
        & (shared > 0)
        & (shared >= LEAST_OVERLAP * np.minimum(length, true.length_s))
        & (length <= max(LONGEST_HIT_S, LONGEST_HIT_RATIO * true.length_s))
    )
    return {k: float(counts[:, :k].any(axis=1).mean()) for k in ks}
