"""What the pictures before and behind say of where one was: a filter over a graph of places.

One picture of a corridor is like many pictures of other corridors. Who walks goes from a place to one beside
it, so that a row of pictures tells what none of them does. A hidden Markov model says so: from a place one
stays, steps to a neighbour in the graph, or (a cut, a lift, a door never seen open) is anywhere. The likeness
of a picture to the views of a place is its evidence. Online the belief of the past alone is known (the
forward algorithm); of footage that is there as a whole, both sides are (forward and backward, Rabiner, 1989).

Nodes are numbers from 0 on: places of a map, or single views of a walk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.errors import ConfigError

Beliefs = npt.NDArray[np.float64]

NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class WalkRules:
    """How one moves between places, and how much likeness says.

    `stay` and `step` are the odds of being at the same node and at one of its neighbours one `pace_s` later,
    `jump` those of being anywhere; they sum to 1. `sharpness` turns likeness into odds: a node that is 0.1
    liker than another is exp(0.1 * sharpness) times as likely. A step over a longer time is several paces, of
    which no more than `most_paces` are told apart.
    """

    stay: float = 0.3
    step: float = 0.65
    jump: float = 0.05
    sharpness: float = 12.0
    pace_s: float = 1.0
    most_paces: int = 8

    def __post_init__(self) -> None:
        """Raises ConfigError where the odds do not sum to 1."""
        odds = (self.stay, self.step, self.jump)
        if min(odds) <= 0 or abs(sum(odds) - 1) > 1e-9 or self.sharpness <= 0 or self.pace_s <= 0:
            raise ConfigError(f"stay, step and jump are positive and sum to 1, not {odds}")


class PlaceGraph:
    """Which places lie beside which: undirected, without weights; grows as places do."""

    def __init__(self, n_nodes: int = 0, edges: Iterable[tuple[int, int]] = ()) -> None:
        self.n_nodes = n_nodes
        self._edges: set[tuple[int, int]] = set()
        self._arrays: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Beliefs] | None = None
        for a, b in edges:
            self.link(a, b)

    def link(self, a: int, b: int) -> None:
        """One can go from `a` to `b` and back; both are nodes from now on."""
        if min(a, b) < 0:
            raise ConfigError(f"nodes are numbers from 0 on, not {a} and {b}")
        self.n_nodes = max(self.n_nodes, a + 1, b + 1)
        if a != b:
            self._edges.add((min(a, b), max(a, b)))
        self._arrays = None

    def flow(self, belief: Beliefs, *, back: bool = False) -> Beliefs:
        """What one step to a neighbour makes of a belief; who has no neighbour stays.

        Args:
            belief: (n_nodes,) or fewer, the rest being zeros.
            back: Against the direction of time: what is believed of where one goes next.
        """
        source, target, share = self._as_arrays()
        full = np.zeros(self.n_nodes)
        full[: len(belief)] = belief
        if back:
            source, target = target, source
        return np.asarray(np.bincount(target, share * full[source], self.n_nodes), np.float64)

    def _as_arrays(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Beliefs]:
        if self._arrays is None or len(self._arrays[0]) < self.n_nodes:
            ends = np.array(sorted(self._edges), np.int64).reshape(-1, 2)
            degree = np.bincount(ends.ravel(), minlength=self.n_nodes)
            alone = np.flatnonzero(degree == 0)
            source = np.concatenate([ends[:, 0], ends[:, 1], alone])
            target = np.concatenate([ends[:, 1], ends[:, 0], alone])
            share = 1.0 / np.maximum(degree[source], 1)
            self._arrays = (source, target, share)
        return self._arrays


class PlaceFilter:
    """The belief of where one is, picture by picture.

    Args:
        graph: Of places; it may grow between pictures.
        rules: Of walking.
    """

    def __init__(self, graph: PlaceGraph, rules: WalkRules | None = None) -> None:
        self.graph = graph
        self.rules = rules or WalkRules()
        self.belief: Beliefs | None = None

    def reset(self) -> None:
        """Nothing is known any more: another source, or a cut."""
        self.belief = None

    def take(self, likeness: npt.NDArray[np.floating], dt_s: float, quality: float = 1.0) -> Beliefs:
        """The belief after one more picture.

        Args:
            likeness: (n_nodes,) of the picture to each place; -inf where it cannot be.
            dt_s: Seconds since the picture before.
            quality: 0 to 1, of the picture: a bad one moves the belief less.

        Returns:
            (n_nodes,) float64, sums to 1.
        """
        evidence = odds(likeness, self.rules.sharpness * quality)
        self.belief = _sure(evidence * self.expected(dt_s))
        return self.belief

    def expected(self, dt_s: float) -> Beliefs:
        """Where one is believed to be `dt_s` after the last picture, before the next is seen."""
        if self.belief is None:
            return np.full(self.graph.n_nodes, 1.0 / max(1, self.graph.n_nodes))
        return _walked(self.graph, self.rules, self.belief, dt_s)


def smoothed(
    graph: PlaceGraph,
    likeness: npt.NDArray[np.floating],
    times_s: Sequence[float],
    quality: Sequence[float] | None = None,
    rules: WalkRules | None = None,
) -> Beliefs:
    """What each picture of a row shows, by all of them.

    Args:
        graph: Of places.
        likeness: (pictures, n_nodes).
        times_s: (pictures,), ascending.
        quality: (pictures,), 0 to 1; None: all are good.
        rules: Of walking.

    Returns:
        (pictures, n_nodes) float64, rows sum to 1.
    """
    walk = PlaceFilter(graph, rules)
    good = [1.0] * len(times_s) if quality is None else list(quality)
    gaps = [0.0, *np.diff(np.asarray(times_s, float)).tolist()]
    forward = [walk.take(row, gap, sure) for row, gap, sure in zip(likeness, gaps, good, strict=True)]
    later = np.ones(graph.n_nodes)
    out = np.empty((len(forward), graph.n_nodes))
    for at in range(len(forward) - 1, -1, -1):
        out[at] = _sure(forward[at] * later)
        evidence = odds(likeness[at], walk.rules.sharpness * good[at])
        later = _walked(graph, walk.rules, _sure(evidence * later), gaps[at], back=True)
    return out


def odds(likeness: npt.NDArray[np.floating], sharpness: float) -> Beliefs:
    """Likeness (n,) as evidence, the likest being 1."""
    values = np.asarray(likeness, np.float64)
    best = values.max(initial=-np.inf)
    if not np.isfinite(best):
        return np.ones(len(values))
    return np.asarray(np.exp(sharpness * (values - best)))


def _walked(
    graph: PlaceGraph, rules: WalkRules, belief: Beliefs, dt_s: float, *, back: bool = False
) -> Beliefs:
    paces = min(rules.most_paces, max(1, round(dt_s / rules.pace_s)))
    now = np.zeros(graph.n_nodes)
    now[: len(belief)] = belief
    for _ in range(paces):
        moved = rules.stay * now + rules.step * graph.flow(now, back=back)
        now = moved + rules.jump * now.sum() / max(1, graph.n_nodes)
    return now


def _sure(belief: Beliefs) -> Beliefs:
    total = belief.sum()
    return belief / total if total > 0 else np.full(len(belief), 1.0 / max(1, len(belief)))
