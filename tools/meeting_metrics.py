"""What counts in meetings: hits of retrieved spans, and how far two cuttings into segments agree.

Pure functions of numbers, so that each rule can be tested by hand-made cases. A span is a run of
turns, by place, end excluded.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

LONGEST_HIT_TURNS = 8
"""A hit may be this long whatever the length of the gold span."""
LONGEST_HIT_RATIO = 1.5
"""Or this many times the gold span."""
LEAST_OVERLAP = 0.5
"""Share of the shorter of the two that they have in common, at least."""


class Span(NamedTuple):
    """Turns `begin` to `end`, end excluded."""

    begin: int
    end: int

    @property
    def turns(self) -> int:
        """How many turns it has."""
        return self.end - self.begin


def shared(one: Span, other: Span) -> int:
    """How many turns two spans have in common."""
    return max(0, min(one.end, other.end) - max(one.begin, other.begin))


def is_hit(found: Span, gold: Collection[Span], longest_turns: int = LONGEST_HIT_TURNS) -> bool:
    """Whether a retrieved span counts: as in video (`tools.video_metrics.is_hit`), in turns.

    It shares at least half of the shorter of the two with any of the gold spans, and is no longer
    than `longest_turns` or 1.5 times that span.
    """
    return any(
        shared(found, true) > 0
        and shared(found, true) >= LEAST_OVERLAP * min(found.turns, true.turns)
        and found.turns <= max(longest_turns, LONGEST_HIT_RATIO * true.turns)
        for true in gold
    )


def hit_at(
    ranked: Sequence[Span], gold: Collection[Span], k: int, longest_turns: int = LONGEST_HIT_TURNS
) -> float:
    """1 where any of the first `k` spans is a hit, else 0."""
    return float(any(is_hit(one, gold, longest_turns) for one in ranked[:k]))


def apart(ranked: Sequence[Span], k: int) -> list[Span]:
    """The first `k` spans of which no two have a turn in common."""
    kept: list[Span] = []
    for one in ranked:
        if len(kept) >= k:
            break
        if not any(shared(one, other) for other in kept):
            kept.append(one)
    return kept


def random_hit_rate(
    lengths: Sequence[int],
    gold: Collection[Span],
    n_turns: int,
    longest_turns: int = LONGEST_HIT_TURNS,
    *,
    draws: int = 500,
    seed: int = 0,
) -> float:
    """How often spans of these lengths hit by chance, placed evenly over the meeting."""
    if not lengths:
        return 0.0
    length = np.minimum(np.array(lengths), n_turns)
    begin = np.random.default_rng(seed).integers(0, n_turns - length + 1, size=(draws, len(lengths)))
    hits = np.zeros(begin.shape, dtype=bool)
    for true in gold:
        common = np.minimum(begin + length, true.end) - np.maximum(begin, true.begin)
        fits = length <= max(longest_turns, LONGEST_HIT_RATIO * true.turns)
        hits |= (common > 0) & (common >= LEAST_OVERLAP * np.minimum(length, true.turns)) & fits
    return float(hits.any(axis=1).mean())


def boundaries_of(spans: Collection[Span], n_turns: int) -> list[int]:
    """Where segments begin, without the first: at both ends of every span, so that a hole is a segment."""
    ends = {end for span in spans for end in span}
    return sorted(end for end in ends if 0 < end < n_turns)


def probe(reference: Sequence[int], n_turns: int) -> int:
    """The distance at which two turns are compared: half the mean length of a true segment, at least 1."""
    return max(1, round(n_turns / (len(reference) + 1) / 2))


def pk(reference: Sequence[int], found: Sequence[int], n_turns: int) -> float:
    """Pk (Beeferman, Berger and Lafferty 1999): how often two turns `probe` apart are judged wrongly.

    That is: in one segment by one of the two, in several by the other. 0 is best.
    """
    true, told = _between(reference, found, n_turns)
    return float(((true > 0) != (told > 0)).mean()) if true.size else 0.0


def window_diff(reference: Sequence[int], found: Sequence[int], n_turns: int) -> float:
    """WindowDiff (Pevzner and Hearst 2002): as Pk, but the number of boundaries between has to agree."""
    true, told = _between(reference, found, n_turns)
    return float((true != told).mean()) if true.size else 0.0


def _between(
    reference: Sequence[int], found: Sequence[int], n_turns: int
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Boundaries of both between every two turns that are `probe` apart."""
    reach = probe(reference, n_turns)
    begin = np.arange(max(0, n_turns - reach))

    def counted(boundaries: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        # A boundary at b lies between the turns b - 1 and b.
        at = np.sort(np.array(boundaries, dtype=np.int64))
        told = np.searchsorted(at, begin + reach, side="right") - np.searchsorted(at, begin, side="right")
        return told.astype(np.int64)

    return counted(reference), counted(found)


def uniform(count: int, n_turns: int) -> list[int]:
    """`count` boundaries at equal distances, fewer where there are not so many turns."""
    places = {round(n_turns * place / (count + 1)) for place in range(1, count + 1)}
    return sorted(place for place in places if 0 < place < n_turns)


def random_boundaries(count: int, n_turns: int, seed: int) -> list[int]:
    """`count` different boundaries anywhere, or all there are."""
    if n_turns < 2:
        return []
    drawn = np.random.default_rng(seed).permutation(np.arange(1, n_turns))[:count]
    return sorted(int(place) for place in drawn)
