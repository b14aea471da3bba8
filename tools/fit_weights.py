"""Weights of scorers by coordinate search, and what each scorer is worth.

A score is a sum of weights times terms, so the terms of every candidate are gathered once, at
weights of 1, and any other weights are tried without asking again. A dialogue, or a meeting, is
ranked by weights chosen on the others alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from tools.video_metrics import interval

GRID = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
ROUNDS = 4
"""Passes over all weights; fewer where one changes nothing."""
CHOSEN_BY = (5, 10, 20)
"""The mean of recall at these is what the search makes larger."""
FIXED = "dense"
"""Its weight stays 1: weights count only relative to each other."""
LEAST_GAIN = 1e-4
DEALS = 3
"""Times that the values of a scorer are dealt out."""
Ranks = npt.NDArray[np.int64]
Weights = dict[str, float]


class Question(Protocol):
    """The terms of the candidates of one question, `values` (N, T), and what counts as found."""

    @property
    def chat(self) -> int:
        """The dialogue or meeting that it is of."""
        ...

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """The terms at weights of 1, (N, T) float32."""
        ...

    def recall(self, weights: npt.NDArray[np.float32], ks: Sequence[int]) -> list[float]:
        """What is found among the first k, for each k, 0 to 1."""
        ...

    def dealt(self, values: npt.NDArray[np.float32]) -> Self:
        """The same question with other terms."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of the candidates of one question, at weights of 1, and which are its evidence.

    `values` (N, T) float32; `evidence` are rows of it. `missing` counts the evidence that is no candidate.
    """

    chat: int
    values: npt.NDArray[np.float32]
    evidence: tuple[int, ...]
    missing: int

    def recall(self, weights: npt.NDArray[np.float32], ks: Sequence[int]) -> list[float]:
        """The share of the evidence among the first k, for each k."""
        places = ranks(self, weights)
        total = len(self.evidence) + self.missing
        return [float((places < k).sum()) / total for k in ks]

    def dealt(self, values: npt.NDArray[np.float32]) -> Terms:
        """The same question with other terms."""
        return replace(self, values=values)


@dataclass(frozen=True, slots=True)
class SpanTerms:
    """The same where a candidate stands for a stretch, and of stretches that are the same the best counts.

    `values` (N, T) float32; `hits` (N,) bool says whose stretch is a hit, `same` (N, N) bool which
    are the same.
    """

    chat: int
    values: npt.NDArray[np.float32]
    hits: npt.NDArray[np.bool_]
    same: npt.NDArray[np.bool_]

    def recall(self, weights: npt.NDArray[np.float32], ks: Sequence[int]) -> list[float]:
        """Whether any of the first k different stretches is a hit, for each k."""
        kept: list[bool] = []
        taken = np.zeros(len(self.hits), dtype=bool)
        for place in np.argsort(-(self.values @ weights), kind="stable").tolist():
            if len(kept) >= max(ks):
                break
            if not taken[place]:
                kept.append(bool(self.hits[place]))
                taken |= self.same[place]
        return [float(any(kept[:k])) for k in ks]

    def dealt(self, values: npt.NDArray[np.float32]) -> SpanTerms:
        """The same question with other terms."""
        return replace(self, values=values)


def ranks(one: Terms, weights: npt.NDArray[np.float32]) -> Ranks:
    """The places of the evidence, 0 for the best; ties count against it."""
    if not one.evidence:
        return np.zeros(0, dtype=np.int64)
    scores = one.values @ weights
    found: Ranks = (scores[None, :] >= scores[list(one.evidence)][:, None]).sum(axis=1) - 1
    return found


def mean_recall(
    table: Sequence[Question], names: Sequence[str], weights: Mapping[str, float], ks: Sequence[int]
) -> npt.NDArray[np.float64]:
    """Means over questions, one per k."""
    vector = np.array([weights.get(name, 0.0) for name in names], dtype=np.float32)
    means: npt.NDArray[np.float64] = recall_of_all(table, vector, ks).mean(axis=0)
    return means


def recall_of_all(
    table: Sequence[Question], weights: npt.NDArray[np.float32], ks: Sequence[int]
) -> npt.NDArray[np.float64]:
    """What is found of each question by the same weights, (questions, ks)."""
    return np.array([one.recall(weights, ks) for one in table], dtype=np.float64)


def fitted(
    table: Sequence[Question],
    names: Sequence[str],
    start: Mapping[str, float],
    chosen_by: Sequence[int] = CHOSEN_BY,
) -> Weights:
    """The weights that coordinate search finds from `start`; deterministic."""
    weights = {name: float(start.get(name, 0.0)) for name in names}
    best = float(mean_recall(table, names, weights, chosen_by).mean())
    for _ in range(ROUNDS):
        before = best
        for name in (name for name in names if name != FIXED):
            for value in GRID:
                tried = weights | {name: value}
                told = float(mean_recall(table, names, tried, chosen_by).mean())
                if told > best + LEAST_GAIN:
                    best, weights = told, tried
        if best <= before + LEAST_GAIN:
            break
    return weights


def left_out(
    table: Sequence[Question],
    names: Sequence[str],
    start: Mapping[str, float],
    ks: Sequence[int],
    *,
    chosen_by: Sequence[int] = CHOSEN_BY,
    metric: str = "R@",
) -> dict[str, Any]:
    """Each dialogue by the weights of the others: the weights, and recall over all questions."""
    by_chat: dict[str, Weights] = {}
    rows: list[list[float]] = []
    for chat in sorted({one.chat for one in table}):
        others = [one for one in table if one.chat != chat]
        by_chat[str(chat)] = fitted(others or table, names, start, chosen_by)
        vector = np.array([by_chat[str(chat)][name] for name in names], dtype=np.float32)
        rows += [one.recall(vector, ks) for one in table if one.chat == chat]
    return {"weights": by_chat, "recall": _named(np.mean(rows, axis=0), ks, metric)}


def ablated(
    table: Sequence[Question],
    names: Sequence[str],
    weights_of: Callable[[int], Mapping[str, float]],
    ks: Sequence[int],
    *,
    metric: str = "R@",
) -> dict[str, dict[str, Any]]:
    """What is found without each scorer that counts, and with its values dealt out to other candidates.

    A scorer's row has `off` and `shuffled` (the mean of `DEALS`), and `gain`, by how much the whole is
    better than without it, as a mean over `ks` with its 95 % interval, drawn over questions.

    Args:
        table: The questions.
        names: Of the terms.
        weights_of: The weights by which a dialogue is ranked.
        ks: Depths.
        metric: Name of a figure, before its depth.
    """
    vectors = {
        chat: np.array([weights_of(chat).get(name, 0.0) for name in names], dtype=np.float32)
        for chat in {one.chat for one in table}
    }
    whole = _each(table, vectors, ks)
    told: dict[str, dict[str, Any]] = {"none": {"off": _named(whole.mean(axis=0), ks, metric)}}
    for place, name in enumerate(names):
        if not any(vector[place] for vector in vectors.values()):
            continue
        without = {
            chat: np.where(np.arange(len(names)) == place, np.float32(0), v) for chat, v in vectors.items()
        }
        off = _each(table, without, ks)
        shuffled = np.mean([_each(_dealt(table, place, seed), vectors, ks) for seed in range(DEALS)], axis=0)
        gains = (whole - off).mean(axis=1)
        told[name] = {
            "off": _named(off.mean(axis=0), ks, metric),
            "shuffled": _named(shuffled.mean(axis=0), ks, metric),
            "gain": {"mean": round(float(gains.mean()), 4), "interval": interval(gains.tolist())},
        }
    return told


def _each(
    table: Sequence[Question], vectors: Mapping[int, npt.NDArray[np.float32]], ks: Sequence[int]
) -> npt.NDArray[np.float64]:
    """What is found of each question, (questions, ks)."""
    return np.array([one.recall(vectors[one.chat], ks) for one in table], dtype=np.float64)


def _dealt(table: Sequence[Question], place: int, seed: int) -> list[Question]:
    """The questions with the values of one term dealt out anew among the candidates of each."""
    random = np.random.default_rng(seed)
    dealt: list[Question] = []
    for one in table:
        values = one.values.copy()
        values[:, place] = random.permutation(values[:, place])
        dealt.append(one.dealt(values))
    return dealt


def _named(values: npt.NDArray[Any], ks: Sequence[int], metric: str) -> dict[str, float]:
    return {f"{metric}{k}": round(float(value), 4) for k, value in zip(ks, values, strict=True)}
