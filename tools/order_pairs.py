"""Which came first: pairs of cues, where each was found, and how often that tells the right order.

A pair is shown in an order that chance decides. Whoever is asked looks for both cues, and the
positions of the two best hits decide. Hits in the same place, in two recordings, or none at all,
decide nothing: a guess is right half of the time, and counts so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tools.bootstrap import bootstrap

UNDECIDED = 0.5
"""What a pair counts of which nothing is known: what a guess is worth."""
DRAWS = 1_000
DEALS = 20
"""How often the positions of hits are dealt out; `shuffled` is the mean."""


class Spot(NamedTuple):
    """Where something lies: a recording, and a position in it, in any unit that orders."""

    source: str
    at: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two cues, by their numbers, in the order in which they are shown.

    `first` says which of the two came first, 0 or 1. `group` is what a bootstrap draws where
    pairs belong together; `labels` are the cells that it counts in, by name.
    """

    shown: tuple[int, int]
    first: int
    group: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """The best hit of a cue, and its score; no spot where nothing was found."""

    spot: Spot | None
    score: float = 0.0


def judged(pair: Pair, found: Sequence[Found]) -> float:
    """1 where the positions of the best hits tell the right order, 0 the wrong one, else `UNDECIDED`."""
    one, other = (found[cue].spot for cue in pair.shown)
    if one is None or other is None or one.source != other.source or one.at == other.at:
        return UNDECIDED
    return float((0 if one.at < other.at else 1) == pair.first)


def judged_by_score(pair: Pair, found: Sequence[Found]) -> float:
    """As `judged` where the better hit is taken for the first: the order in which a search lists them."""
    one, other = (found[cue].score for cue in pair.shown)
    return UNDECIDED if one == other else float((0 if one > other else 1) == pair.first)


def judged_shuffled(
    pairs: Sequence[Pair], found: Sequence[Found], deck_of: Callable[[int], object], seed: int
) -> list[float]:
    """As `judged` with the positions of the hits dealt out anew among the cues of one deck.

    Args:
        pairs: What is asked.
        found: By cue.
        deck_of: What the cues have in common among which a hit may go, by number of cue.
        seed: Of the dealing.
    """
    rng = np.random.default_rng(seed)
    decks: dict[object, list[int]] = {}
    for cue in sorted({cue for pair in pairs for cue in pair.shown}):
        decks.setdefault(deck_of(cue), []).append(cue)
    total = np.zeros(len(pairs))
    for _ in range(DEALS):
        dealt = list(found)
        for cues in decks.values():
            for cue, other in zip(cues, rng.permutation(cues).tolist(), strict=True):
                dealt[cue] = found[other]
        total += [judged(pair, dealt) for pair in pairs]
    return [float(value) for value in total / DEALS]


def share(values: Sequence[float]) -> float:
    """The mean, to four digits."""
    return round(float(np.mean(values)), 4) if len(values) else float("nan")


def interval_of_groups(pairs: Sequence[Pair], values: Sequence[float]) -> tuple[float, float]:
    """A 95 % bootstrap interval of the mean; pairs of one group are drawn together."""
    groups: dict[str, list[float]] = {}
    for pair, value in zip(pairs, values, strict=True):
        groups.setdefault(pair.group, []).append(value)
    sums = np.array([sum(of) for of in groups.values()])
    sizes = np.array([len(of) for of in groups.values()])

    def mean(places: Sequence[int]) -> float:
        return float(sums[places].sum() / sizes[places].sum())

    return _rounded(bootstrap(len(groups), mean, draws=DRAWS))


def interval_of_cues(pairs: Sequence[Pair], values: Sequence[float]) -> tuple[float, float]:
    """A 95 % bootstrap interval of the mean where few cues make many pairs.

    Cues are drawn, and a pair counts as often as both of its cues were drawn: pairs that share a
    cue are right or wrong together, and drawn by themselves would look surer than they are.
    """
    cues = sorted({cue for pair in pairs for cue in pair.shown})
    places = {cue: place for place, cue in enumerate(cues)}
    one, other = (np.array([places[pair.shown[side]] for pair in pairs], dtype=np.int64) for side in (0, 1))
    known, plain = np.array(values, dtype=np.float64), share(values)

    def mean(drawn: Sequence[int]) -> float:
        times = np.bincount(drawn, minlength=len(cues))
        weights = times[one] * times[other]
        total = int(weights.sum())
        return float((weights * known).sum() / total) if total else plain

    return _rounded(bootstrap(len(cues), mean, draws=DRAWS))


def _rounded(ends: tuple[float, float]) -> tuple[float, float]:
    return round(ends[0], 3), round(ends[1], 3)


@dataclass(slots=True)
class Tally:
    """What every system made of the same pairs: one value a pair, and the intervals of their means."""

    metric: str
    pairs: Sequence[Pair]
    values: dict[str, list[float]]
    interval: Callable[[Sequence[Pair], Sequence[float]], tuple[float, float]]

    def systems(self, wanted: Callable[[Pair], bool] = lambda pair: True) -> dict[str, dict[str, float]]:
        """The metric of each system over some of the pairs, and the share of those that it decided."""
        places = [place for place, pair in enumerate(self.pairs) if wanted(pair)]
        made: dict[str, dict[str, float]] = {}
        for name, values in self.values.items():
            some = [values[place] for place in places]
            made[name] = {self.metric: share(some)}
            if name not in UNJUDGED:
                decided = share([float(value != UNDECIDED) for value in some])
                made[name][f"{self.metric}_decided"] = decided
        return made

    def intervals(
        self, wanted: Callable[[Pair], bool] = lambda pair: True
    ) -> dict[str, dict[str, tuple[float, float]]]:
        """The interval of each system's metric over some of the pairs."""
        places = [place for place, pair in enumerate(self.pairs) if wanted(pair)]
        pairs = [self.pairs[place] for place in places]
        return {
            name: {self.metric: self.interval(pairs, [values[place] for place in places])}
            for name, values in self.values.items()
        }

    def by(self, label: str, order: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
        """The metric of each system by cell of a label, with the number of pairs and ours' interval."""
        cells = {pair.labels[label] for pair in self.pairs if label in pair.labels}
        made: dict[str, dict[str, Any]] = {}
        for cell in [*(one for one in order if one in cells), *sorted(cells - set(order), key=_by_numbers)]:

            def wanted(pair: Pair, cell: str = cell) -> bool:
                return pair.labels.get(label) == cell

            made[cell] = {
                "pairs": sum(map(wanted, self.pairs)),
                "systems": self.systems(wanted),
                "intervals": self.intervals(wanted),
            }
        return made


def _by_numbers(cell: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", cell)]


UNJUDGED = ("shuffled", "by_score", "chance")
"""Controls of which it is idle to say how many pairs they decided."""
