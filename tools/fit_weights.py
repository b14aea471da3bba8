"""Weights of scorers by coordinate search, and what each scorer is worth.

A score is a sum of weights times terms, so the terms of every candidate are gathered once, at
weights of 1, and any other weights are tried without asking again. A dialogue is ranked by
weights chosen on the other dialogues alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

GRID = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
ROUNDS = 4
"""Passes over all weights; fewer where one changes nothing."""
CHOSEN_BY = (5, 10, 20)
"""The mean of recall at these is what the search makes larger."""
FIXED = "dense"
"""Its weight stays 1: weights count only relative to each other."""
LEAST_GAIN = 1e-4
Ranks = npt.NDArray[np.int64]
Weights = dict[str, float]


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of the candidates of one question, at weights of 1, and which are its evidence.

    `values` (N, T) float32; `evidence` are rows of it. `missing` counts the evidence that is no candidate.
    """

    chat: int
    values: npt.NDArray[np.float32]
    evidence: tuple[int, ...]
    missing: int


def ranks(one: Terms, weights: npt.NDArray[np.float32]) -> Ranks:
    """The places of the evidence, 0 for the best; ties count against it."""
    if not one.evidence:
        return np.zeros(0, dtype=np.int64)
    scores = one.values @ weights
    found: Ranks = (scores[None, :] >= scores[list(one.evidence)][:, None]).sum(axis=1) - 1
    return found


def recall_of(one: Terms, weights: npt.NDArray[np.float32], ks: Sequence[int]) -> list[float]:
    """The share of the evidence among the first k, for each k."""
    places = ranks(one, weights)
    total = len(one.evidence) + one.missing
    return [float((places < k).sum()) / total for k in ks]


def mean_recall(
    table: Sequence[Terms], names: Sequence[str], weights: Mapping[str, float], ks: Sequence[int]
) -> npt.NDArray[np.float64]:
    """Means over questions, one per k."""
    vector = np.array([weights.get(name, 0.0) for name in names], dtype=np.float32)
    means: npt.NDArray[np.float64] = np.mean([recall_of(one, vector, ks) for one in table], axis=0)
    return means


def fitted(table: Sequence[Terms], names: Sequence[str], start: Mapping[str, float]) -> Weights:
    """The weights that coordinate search finds from `start`; deterministic."""
    weights = {name: float(start.get(name, 0.0)) for name in names}
    best = float(mean_recall(table, names, weights, CHOSEN_BY).mean())
    for _ in range(ROUNDS):
        before = best
        for name in (name for name in names if name != FIXED):
            for value in GRID:
                tried = weights | {name: value}
                told = float(mean_recall(table, names, tried, CHOSEN_BY).mean())
                if told > best + LEAST_GAIN:
                    best, weights = told, tried
        if best <= before + LEAST_GAIN:
            break
    return weights


def left_out(
    table: Sequence[Terms], names: Sequence[str], start: Mapping[str, float], ks: Sequence[int]
) -> dict[str, Any]:
    """Each dialogue by the weights of the others: the weights, and recall over all questions."""
    by_chat: dict[str, Weights] = {}
    rows: list[list[float]] = []
    for chat in sorted({one.chat for one in table}):
        others = [one for one in table if one.chat != chat]
        by_chat[str(chat)] = fitted(others or table, names, start)
        vector = np.array([by_chat[str(chat)][name] for name in names], dtype=np.float32)
        rows += [recall_of(one, vector, ks) for one in table if one.chat == chat]
    return {"weights": by_chat, "recall": _named(np.mean(rows, axis=0), ks)}


def ablated(
    table: Sequence[Terms], names: Sequence[str], weights: Mapping[str, float], ks: Sequence[int]
) -> dict[str, dict[str, dict[str, float]]]:
    """Recall without each scorer that counts, and with its values dealt out to other candidates."""
    told = {"none": {"off": _named(mean_recall(table, names, weights, ks), ks)}}
    for place, name in enumerate(names):
        if not weights.get(name):
            continue
        random = np.random.default_rng(0)
        dealt = []
        for one in table:
            values = one.values.copy()
            values[:, place] = random.permutation(values[:, place])
            dealt.append(Terms(one.chat, values, one.evidence, one.missing))
        told[name] = {
            "off": _named(mean_recall(table, names, dict(weights) | {name: 0.0}, ks), ks),
            "shuffled": _named(mean_recall(dealt, names, weights, ks), ks),
        }
    return told


def _named(values: npt.NDArray[Any], ks: Sequence[int]) -> dict[str, float]:
    return {f"R@{k}": round(float(value), 4) for k, value in zip(ks, values, strict=True)}
