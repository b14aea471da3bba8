"""What citations are worth to recall, replayed over the terms of questions gathered once.

Two mechanisms, each off by default: strength by use (`UseScorer`), and weights that follow what
answers cite (`memory.recall.learner`, whose steps these are). Terms are as `tools.fit_weights` has them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.recall.learner import Terms, log_step, moved
from memory.recall.scorers import strength

K = 10
"""R@10 is what is looked at."""
EVERY = 50
"""Questions learnt from between two looks."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One question: its candidates' terms at weights of 1 (N, T), and the turns that they are.

    `evidence` are the gold turns. `cited` are by name of citer the turns that are taken for cited.
    """

    chat: int
    values: npt.NDArray[np.float32]
    refs: tuple[str, ...]
    evidence: frozenset[str]
    cited: Mapping[str, frozenset[str]]

    def recall(self, weights: Terms, added: npt.NDArray[Any] | float = 0.0) -> float:
        """The share of the evidence among the first ten; ties count against it."""
        scores = self.values @ weights + added
        places = [place for place, ref in enumerate(self.refs) if ref in self.evidence]
        if not places:
            return 0.0
        ranks = (scores[None, :] >= scores[places][:, None]).sum(axis=1) - 1
        return float((ranks < K).sum()) / len(self.evidence)


def curves(rows: Sequence[Replayed], fixed: Terms, citer: str, shown: int) -> dict[str, Any]:
    """Learning in stream order on the other dialogues, seen on the one that is left out.

    Args:
        rows: All questions in the order in which they are asked.
        fixed: (T,) weights; those of 0 stay 0.
        citer: Whose citations are learnt from.
        shown: Items that an answer is chosen from.

    Returns:
        By dialogue: R@10 at the fixed weights, and after every 50 questions learnt from.
    """
    told: dict[str, Any] = {}
    for chat in sorted({row.chat for row in rows}):
        test = [row for row in rows if row.chat == chat]
        logs, points = np.zeros(len(fixed)), []
        others = [row for row in rows if row.chat != chat]
        for n, row in enumerate(others, start=1):
            logs = moved(logs, lesson(row, fixed * np.exp(logs), row.cited[citer], shown))
            if n % EVERY == 0 or n == len(others):
                points.append(_mean(test, fixed * np.exp(logs)))
        told[str(chat)] = {
            "items": len(test),
            "fixed": _mean(test, fixed),
            "curve": points,
            "weights": (fixed * np.exp(logs)).round(4).tolist(),
        }
    return told


def lesson(row: Replayed, weights: Terms, cited: frozenset[str], shown: int) -> Terms:
    """The step that one question gives, from the best `shown` items at these weights; (T,)."""
    added = row.values * weights
    best = np.argsort(-added.sum(axis=1), kind="stable")[:shown]
    kept = np.flatnonzero(weights)
    step = np.zeros(len(weights))
    places = [n for n, place in enumerate(best.tolist()) if row.refs[place] in cited]
    step[kept] = log_step(added[best][:, kept].astype(np.float64), places)
    return step


def summary(told: Mapping[str, Any]) -> dict[str, float]:
    """Over all dialogues: R@10 fixed and at the end, and the least difference at any point of any curve."""
    items = [one["items"] for one in told.values()]
    return {
        "fixed": float(np.average([one["fixed"] for one in told.values()], weights=items)),
        "end": float(np.average([one["curve"][-1] for one in told.values()], weights=items)),
        "least": min(min(one["curve"]) - one["fixed"] for one in told.values()),
    }


def use_replay(
    rows: Sequence[Replayed], fixed: Terms, citer: str, weight: float, *, seed: int | None = None
) -> list[tuple[float, float]]:
    """R@10 of each question without and with strength by use.

    Of each dialogue every other question is asked first and its citations are kept; then the rest is
    asked; then the other way round.

    Args:
        rows: All questions.
        fixed: (T,) weights.
        citer: Whose citations count.
        weight: Of the scorer.
        seed: If told, as many other turns have the strength, drawn at random: the control.
    """
    pairs: list[tuple[float, float]] = []
    for chat in sorted({row.chat for row in rows}):
        own = [row for row in rows if row.chat == chat]
        for first, second in ((own[0::2], own[1::2]), (own[1::2], own[0::2])):
            times = Counter(ref for row in first for ref in row.cited[citer])
            if seed is not None:
                times = _dealt(times, sorted({ref for row in own for ref in row.refs}), seed)
            for row in second:
                with_use = row.recall(fixed, weight * _strengths(row, times))
                pairs.append((row.recall(fixed), with_use))
    return pairs


def _strengths(row: Replayed, times: Mapping[str, int]) -> npt.NDArray[np.float64]:
    """What the scorer of use gives the candidates, as a wish: less its mean; zeros where none has any."""
    values = np.array([strength(times.get(ref, 0)) for ref in row.refs], dtype=np.float64)
    wished: npt.NDArray[np.float64] = values - values.mean()
    return wished


def _dealt(times: Mapping[str, int], refs: Sequence[str], seed: int) -> Counter[str]:
    places = np.random.default_rng(seed).permutation(len(refs))[: len(times)]
    return Counter({refs[place]: n for place, n in zip(places.tolist(), times.values(), strict=True)})


def _mean(rows: Sequence[Replayed], weights: Terms) -> float:
    return float(np.mean([row.recall(weights) for row in rows]))
