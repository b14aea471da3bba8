"""Ways of recognising places side by side: ours, ours without one of its parts, and plain ones.

A trial is a set of queries, each a walk of pictures, and the references that they may be found among. Nothing
is fitted on labels: whitening sees the references' keys alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from memory.places import whitening
from memory.places.geometry import Agreement, verify
from memory.places.recogniser import Recogniser, RecogniserRules
from tools.place_filter import PlaceFilter, PlaceGraph, WalkRules, smoothed
from tools.place_material import Frame, Views

Rows = npt.NDArray[np.int64]
Beliefs = npt.NDArray[np.float64]

REACH = 2
"""Views of a walk that lie within a step of each other: a walk is filmed once a second, and people hurry."""


@dataclass(frozen=True)
class System:
    """Which parts are on."""

    key: str = "keys"
    whitening: bool = False
    quality: bool = False
    geometry: bool = False
    sequence: bool = False
    past_only: bool = False


OURS = System(whitening=True, quality=True, geometry=True, sequence=True)
SYSTEMS = {
    "ours": OURS,
    "tiny_image": System(key="tiny"),
    "plain_cnn": System(key="plain"),
    "global": System(),
    "without_whitening": replace(OURS, whitening=False),
    "without_sequence": replace(OURS, sequence=False),
    "without_geometry": replace(OURS, geometry=False),
    "without_quality": replace(OURS, quality=False),
    "past_only": replace(OURS, past_only=True),
}


@dataclass(frozen=True, eq=False)
class Trial:
    """Queries (rows of the views), walk by walk in the order of time, and what each is looked for among."""

    queries: list[Rows]
    references: list[Rows]


class Bench:
    """Runs systems on trials; agreements of pictures are worked out once.

    Args:
        frames: All of them.
        views: Theirs.
        fitted_on: Rows of views that whitening is fitted on.
        rules: Of evidence.
        walk: Of walking.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        views: Views,
        fitted_on: Rows,
        rules: RecogniserRules | None = None,
        walk: WalkRules | None = None,
    ) -> None:
        self._frames, self._views = frames, views
        self.rules, self.walk = rules or RecogniserRules(), walk or WalkRules()
        fit = whitening.fit(views.keys[fitted_on], self.rules.dimensions, self.rules.power)
        self._cosines = {
            name: _cosines(rows)
            for name, rows in (("keys", views.keys), ("plain", views.plain), ("tiny", views.tiny))
        }
        self._white = _cosines(fit(views.keys))
        self._agreements: dict[tuple[int, int], Agreement] = {}
        self._scorer = Recogniser(self.rules)

    def beliefs(self, system: System, trial: Trial) -> list[Beliefs]:
        """For each walk what its pictures are believed to show, (queries, references), rows sum to 1."""
        return [
            self._walked(system, queries, references)
            for queries, references in zip(trial.queries, trial.references, strict=True)
        ]

    def _walked(self, system: System, queries: Rows, references: Rows) -> Beliefs:
        score = self.scores(system, queries, references)
        if not system.sequence:
            sure = np.zeros(score.shape)
            sure[np.arange(len(score)), score.argmax(axis=1)] = 1.0
            return sure
        graph = graph_of([self._frames[row] for row in references])
        times = [self._frames[row].t_s for row in queries]
        good = self._weights(system, queries)
        if not system.past_only:
            return smoothed(graph, score, times, good, self.walk)
        walk = PlaceFilter(graph, self.walk)
        gaps = np.diff([times[0], *times]).tolist()
        return np.stack([walk.take(row, gap, sure) for row, gap, sure in zip(score, gaps, good, strict=True)])

    def _weights(self, system: System, queries: Rows) -> list[float]:
        """How much each picture of a walk moves the belief."""
        if not system.quality:
            return [1.0] * len(queries)
        return [0.5 + 0.5 * float(good) for good in self._views.quality[queries]]

    def scores(self, system: System, queries: Rows, references: Rows) -> Beliefs:
        """Evidence of each reference, (queries, references): likeness, points, quality, where they are on."""
        likeness = self._white if system.whitening else self._cosines[system.key]
        score = likeness[np.ix_(queries, references)].astype(np.float64)
        if not system.whitening and system.sequence:
            score = _stretched(score, self._white[np.ix_(queries, references)])
        if system.geometry:
            best = np.argsort(-score, axis=1, kind="stable")[:, : self.rules.verified]
            for row, places in enumerate(best):
                for place in places:
                    agreement = self._agreement(int(queries[row]), int(references[place]))
                    score[row, place] += self._scorer.gain(agreement)
        if system.quality:
            score -= self.rules.poor * (1 - self._views.quality[references])[None, :]
        return score

    def _agreement(self, a: int, b: int) -> Agreement:
        pair = (a, b)
        if pair not in self._agreements:
            self._agreements[pair] = verify(self._views.local[a], self._views.local[b])
        return self._agreements[pair]


def graph_of(references: Sequence[Frame]) -> PlaceGraph:
    """The views of each walk beside those next to them in time."""
    graph = PlaceGraph(len(references))
    for walk in dict.fromkeys(frame.walk for frame in references):
        own = [place for place, frame in enumerate(references) if frame.walk == walk]
        for reach in range(1, REACH + 1):
            for a, b in zip(own, own[reach:], strict=False):
                graph.link(a, b)
    return graph


def leaky(frames: Sequence[Frame]) -> Trial:
    """The split that the data comes with: queries among the gallery, which has their neighbours in time."""
    gallery = np.flatnonzero([frame.split != "query" for frame in frames])
    queries = [
        np.array([row for row in rows if frames[row].split == "query"], np.int64) for rows in walks(frames)
    ]
    queries = [rows for rows in queries if len(rows)]
    return Trial(queries, [gallery] * len(queries))


def own_walk_out(frames: Sequence[Frame]) -> Trial:
    """Every walk among all others."""
    everything = np.arange(len(frames))
    queries = walks(frames)
    return Trial(queries, [np.setdiff1d(everything, rows) for rows in queries])


def walks(frames: Sequence[Frame]) -> list[Rows]:
    """The rows of each walk, in the order of time."""
    names = dict.fromkeys(frame.walk for frame in frames)
    rows = [[row for row, frame in enumerate(frames) if frame.walk == name] for name in names]
    return [np.array(sorted(own, key=lambda row: frames[row].t_s), np.int64) for own in rows]


def named(beliefs: Beliefs, references: Rows, name_of: Callable[[int], str]) -> list[str]:
    """The name that most of each row's belief is with; of equals the first in the alphabet."""
    names = [name_of(int(row)) for row in references]
    kinds = sorted(set(names))
    place = np.array([kinds.index(name) for name in names])
    mass = np.stack([np.bincount(place, row, len(kinds)) for row in beliefs])
    return [kinds[best] for best in mass.argmax(axis=1)]


def _stretched(score: Beliefs, like: npt.NDArray[np.float32]) -> Beliefs:
    """Plain cosines lie close together: brought to the spread of whitened ones for the filter."""
    spread = float(score.std())
    return np.asarray((score - score.mean()) * (float(like.std()) / max(spread, 1e-9)) + float(like.mean()))


def _cosines(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    unit = whitening.unit(rows)
    return np.asarray(unit @ unit.T, np.float32)
