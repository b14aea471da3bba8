"""Abstention: how well a number parts what can be answered from what cannot, and the risk of answering.

AUC is the share of pairs of an answerable and an unanswerable question in which the answerable one has the
larger number, ties counting half. Risk and coverage: answer the surest questions first; how many are wrong?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tools.bootstrap import bootstrap

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
COVERAGES = tuple(round(0.05 * n, 2) for n in range(1, 21))
WIDTH, HEIGHT, LEFT, TOP = 640, 360, 60, 24
COLOURS = ("#0b6e4f", "#b23a48", "#5b6c8f", "#c98c1f")


def auc(numbers: Numbers, answerable: Flags) -> float:
    """The area under the curve of receivers; nan without either kind.

    Args:
        numbers: (N,) larger for surer.
        answerable: (N,).
    """
    high, low = numbers[answerable], numbers[~answerable]
    if not len(high) or not len(low):
        return float("nan")
    order = np.sort(low)
    under = np.searchsorted(order, high, "left") + np.searchsorted(order, high, "right")
    return float(under.mean() / (2 * len(low)))


def auc_interval(numbers: Numbers, answerable: Flags) -> tuple[float, float]:
    """The 95 % bootstrap interval of `auc`, over questions."""

    def drawn(places: Sequence[int]) -> float:
        found = auc(numbers[list(places)], answerable[list(places)])
        return 0.5 if np.isnan(found) else found

    low, high = bootstrap(len(numbers), drawn)
    return round(low, 3), round(high, 3)


def risk_coverage(numbers: Numbers, right: Flags) -> list[dict[str, float]]:
    """The share of wrong ones among the surest, by the share that is answered, and where the line then lies.

    Args:
        numbers: (N,) larger for surer.
        right: (N,) whether answering is right.
    """
    order = np.argsort(-numbers, kind="stable")
    points = []
    for coverage in COVERAGES:
        kept = order[: max(1, round(coverage * len(order)))]
        points.append(
            {
                "coverage": coverage,
                "risk": round(1 - float(right[kept].mean()), 4),
                "line": round(float(numbers[kept[-1]]), 4),
            }
        )
    return points


def drawn_curves(curves: Mapping[str, Sequence[Mapping[str, float]]], title: str) -> str:
    """Risk over coverage as an SVG, one line per system."""
    wide, high = WIDTH - LEFT - 20, HEIGHT - TOP - 50
    most = max(point["risk"] for curve in curves.values() for point in curve) * 1.1 or 1.0

    def at(point: Mapping[str, float]) -> str:
        return f"{LEFT + wide * point['coverage']:.1f},{TOP + high * (1 - point['risk'] / most):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="16">{title}</text>',
        f'<path d="M{LEFT} {TOP}V{TOP + high}H{LEFT + wide}" fill="none" stroke="#333"/>',
        f'<text x="{LEFT + wide / 2:.0f}" y="{HEIGHT - 12}" text-anchor="middle">coverage: share of questions'
        " answered, surest first</text>",
    ]
    for tenth in range(0, 11, 2):
        x = LEFT + wide * tenth / 10
        parts.append(f'<text x="{x:.0f}" y="{TOP + high + 16}" text-anchor="middle">{tenth / 10:.1f}</text>')
    for quarter in range(5):
        value = most * quarter / 4
        y = TOP + high * (1 - quarter / 4)
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{value:.2f}</text>')
    for place, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[place % len(COLOURS)]
        points = " ".join(at(point) for point in curve)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = TOP + high - 12 - 16 * (len(curves) - 1 - place)
        parts.append(f'<text x="{LEFT + wide - 6}" y="{y}" text-anchor="end" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])
