"""Cuttings of a meeting into topics: ours and the baselines, each in settings chosen on the other meetings.

TextTiling is Hearst's (1997): blocks of pseudo-sentences of so many words are compared at every gap, words
are Porter stems without the frequent ones, a boundary stands at a gap whose valley is deeper than the
mean depth by some standard deviations, and is moved to the nearest turn. The paper's cutoffs lie
half and a whole deviation below the mean; higher ones, which cut less often, are tried as well.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from memory.recall.words import FUNCTION_WORDS, Stemmer
from memory.settings import SpanSettings
from memory.spans.topics import TopicSegmenter, cheapest_cuts
from tools.meeting_metrics import pk, window_diff
from tools.meeting_set import Meeting

Setting = tuple[float, ...]
LENGTHS = (10, 20, 30, 50, 75, 100, 150, 200, 250, 300, 400)
PENALTIES = (4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 14.0)
TILINGS = tuple(product((20, 40), (6.0, 10.0, 20.0), (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)))
"""Words of a pseudo-sentence, pseudo-sentences of a block, deviations of the cutoff from the mean."""
SMOOTHED = 2
"""Gaps over which scores are averaged, once: the width of the paper's implementation."""
LEAST_GAPS = 3
"""No two boundaries of TextTiling are nearer, in pseudo-sentences."""


class Tiling:
    """TextTiling of one meeting."""

    def __init__(self, texts: Sequence[str], stemmer: Stemmer) -> None:
        self._tokens: list[str] = []
        self._turn_begins: list[int] = []
        for text in texts:
            self._turn_begins.append(len(self._tokens))
            words = [word for word in re.findall(r"\w+", text.lower()) if word not in FUNCTION_WORDS]
            self._tokens += (stem for one in stemmer.stems(words) for stem in sorted(one)[:1])
        self._scores: dict[tuple[int, int], npt.NDArray[np.float64]] = {}

    def cuts(self, words: int, block: int, deviations: float) -> list[int]:
        """Places of turns before which a topic begins."""
        scores = self._gap_scores(words, block)
        if not len(scores):
            return []
        depths = _depths(scores)
        cutoff = depths.mean() + deviations * depths.std()
        found: list[int] = []
        for gap in np.argsort(-depths, kind="stable").tolist():
            if depths[gap] > cutoff and all(abs(gap - other) > LEAST_GAPS for other in found):
                found.append(gap)
        at = np.array(self._turn_begins)
        places = {int(np.abs(at - (gap + 1) * words).argmin()) for gap in found}
        return sorted(place for place in places if place)

    def _gap_scores(self, words: int, block: int) -> npt.NDArray[np.float64]:
        if (words, block) not in self._scores:
            n = len(self._tokens) // words
            parts = [Counter(self._tokens[i * words : (i + 1) * words]) for i in range(n)]
            scores = [
                _cosine(
                    sum(parts[max(0, gap + 1 - block) : gap + 1], Counter()),
                    sum(parts[gap + 1 : gap + 1 + block], Counter()),
                )
                for gap in range(n - 1)
            ]
            self._scores[words, block] = _smooth(np.array(scores))
        return self._scores[words, block]


def _cosine(a: Counter[str], b: Counter[str]) -> float:
    lengths = float(np.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values())))
    return sum(count * b[word] for word, count in a.items()) / lengths if lengths else 0.0


def _smooth(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    half = SMOOTHED // 2
    return np.array([scores[max(0, i - half) : i + half + 1].mean() for i in range(len(scores))])


def _depths(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far the peaks on either side of each gap rise above it, together."""
    told = np.zeros(len(scores))
    for gap, score in enumerate(scores):
        for step in (-1, 1):
            peak, at = score, gap + step
            while 0 <= at < len(scores) and scores[at] >= peak:
                peak, at = scores[at], at + step
            told[gap] += peak - score
    return told


def cuttings(
    meetings: Sequence[Meeting], vectors: Sequence[npt.NDArray[np.float32]] | None
) -> dict[str, dict[Setting, list[list[int]]]]:
    """The boundaries of every way in every setting, by meeting.

    Args:
        meetings: Those with gold topics.
        vectors: A key per turn of each; without, the row that cuts by keys is left out.
    """
    stemmer = Stemmer()
    tilings = [Tiling([one.turn.text for one in meeting.turns], stemmer) for meeting in meetings]
    turns = [len(meeting.turns) for meeting in meetings]
    horizon = SpanSettings().topic_turns
    found: dict[str, dict[Setting, list[list[int]]]] = {
        "uniform_best": {(n,): [list(range(n, count, n)) for count in turns] for n in LENGTHS},
        "texttiling": {
            (words, block, deviations): [one.cuts(words, int(block), deviations) for one in tilings]
            for words, block, deviations in TILINGS
        },
        "topic": {},
    }
    for penalty in PENALTIES:
        made = TopicSegmenter(penalty, horizon)
        every = [made.cuts([one.turn.text for one in meeting.turns], eof=True) for meeting in meetings]
        found["topic"][penalty,] = [
            [cut for cut in cuts if cut < count] for cuts, count in zip(every, turns, strict=True)
        ]
    if vectors is not None:
        found["topic_keys"] = {
            (penalty,): [
                cheapest_cuts(rows.astype(np.float64), _root_words(meeting), penalty)
                for rows, meeting in zip(vectors, meetings, strict=True)
            ]
            for penalty in PENALTIES
        }
    return found


def _root_words(meeting: Meeting) -> npt.NDArray[np.float64]:
    counts = [1.0 + len(one.turn.text.split()) for one in meeting.turns]
    return np.asarray(np.sqrt(counts), dtype=np.float64)


def left_out(
    meetings: Sequence[Meeting], by_setting: Mapping[Setting, Sequence[list[int]]]
) -> tuple[list[tuple[float, float]], list[Setting]]:
    """Pk and WindowDiff of each meeting in the setting that has the least Pk on all others, and which."""
    settings = list(by_setting)
    values = np.array(
        [
            [
                (
                    pk(m.topic_boundaries, cuts, len(m.turns)),
                    window_diff(m.topic_boundaries, cuts, len(m.turns)),
                )
                for m, cuts in zip(meetings, by_setting[setting], strict=True)
            ]
            for setting in settings
        ]
    )
    rows: list[tuple[float, float]] = []
    chosen: list[Setting] = []
    for place in range(len(meetings)):
        others = np.delete(values[:, :, 0], place, axis=1) if len(meetings) > 1 else values[:, :, 0]
        best = int(others.mean(axis=1).argmin())
        rows.append((float(values[best, place, 0]), float(values[best, place, 1])))
        chosen.append(settings[best])
    return rows, chosen
