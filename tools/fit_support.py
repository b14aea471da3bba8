"""Fits the confidence of answers: a logistic model of a few features, each dialogue left out in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasoning.support.calibration import Calibration
from reasoning.support.demands import FEATURES

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
RIDGE = 1.0
"""Weight of the squares of the coefficients, of standardised features; the bias is free."""
STEPS = 50
MOST_REFUSED = 0.05
"""Share of the answerable questions that may lie below the line of refusal, where it is drawn."""
MOST_DOUBTED = 0.15
"""The same for the line of doubt."""


@dataclass(frozen=True, slots=True)
class Featured:
    """One question: of which dialogue, its features, and whether it can be answered there."""

    chat: int
    features: Mapping[str, float]
    answerable: bool


def fitted(
    rows: Sequence[Featured], encoder_id: str, fitted_on: str, names: Sequence[str] = FEATURES
) -> Calibration:
    """The logistic model of the rows, by Newton's method; its lines are those of `with_lines`.

    Raises:
        ValueError: Without questions of both kinds.
    """
    wanted = np.array([one.answerable for one in rows], dtype=float)
    if not rows or wanted.all() or not wanted.any():
        raise ValueError("a fit needs questions that can be answered and such that cannot")
    values = np.array([[one.features[name] for name in names] for one in rows])
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale[scale == 0] = 1.0
    table = np.c_[(values - mean) / scale, np.ones(len(rows))]
    ridge = np.diag([*([RIDGE] * len(names)), 1e-9])
    weights = np.zeros(table.shape[1])
    for _ in range(STEPS):
        told = 1 / (1 + np.exp(-(table @ weights)))
        slope = table.T @ (told - wanted) + ridge @ weights
        bend = (table * (told * (1 - told))[:, None]).T @ table + ridge
        weights = weights - np.linalg.solve(bend, slope)

    def by_name(numbers: Numbers) -> dict[str, float]:
        return {name: round(float(value), 5) for name, value in zip(names, numbers, strict=True)}

    return Calibration(
        version=1,
        encoder_id=encoder_id,
        fitted_on=fitted_on,
        questions=len(rows),
        mean=by_name(mean),
        scale=by_name(scale),
        weights=by_name(weights[:-1]),
        bias=round(float(weights[-1]), 5),
        uncertain_below=0.0,
        not_seen_below=0.0,
    )


def left_out(rows: Sequence[Featured], names: Sequence[str] = FEATURES) -> Numbers:
    """The confidence of each question by the model of the other dialogues, (N,)."""
    found = np.zeros(len(rows))
    for chat in sorted({one.chat for one in rows}):
        others = [one for one in rows if one.chat != chat]
        model = fitted(others or rows, "", "", names)
        for place, one in enumerate(rows):
            if one.chat == chat:
                found[place] = model.confidence(one.features)
    return found


def lines_of(confidences: Numbers, answerable: Flags) -> tuple[float, float]:
    """Where doubt and refusal begin: `MOST_DOUBTED` and `MOST_REFUSED` of what can be answered lie below.

    Args:
        confidences: (N,), each question by a model that did not see its dialogue.
        answerable: (N,).
    """
    sure = confidences[answerable]
    doubt, refusal = np.quantile(sure, (MOST_DOUBTED, MOST_REFUSED))
    return round(float(doubt), 3), round(float(refusal), 3)


def calibration_error(confidences: Numbers, answerable: Flags, bins: int = 10) -> float:
    """The expected calibration error: mean distance of confidence and truth over bins of equal count."""
    order = np.argsort(confidences, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [abs(confidences[part].mean() - answerable[part].mean()) * len(part) for part in parts]
    return float(sum(gaps) / len(confidences))
