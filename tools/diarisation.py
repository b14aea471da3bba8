"""Diarisation error rate, and the files that say who speaks when (RTTM) and what is scored (UEM).

The rate is that of the NIST evaluations: missed, falsely found and confused speaker time over all speaker
time of the reference, where found speakers are matched one to one with true ones so that the time in
common is greatest (Hungarian assignment). Overlapping speech counts for each who speaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError


class SpokenTurn(NamedTuple):
    """Who speaks from when to when, in seconds."""

    start_s: float
    end_s: float
    speaker: str


@dataclass(frozen=True)
class Errors:
    """Seconds of speaker time by kind of error, and `total`, that of the reference."""

    missed: float = 0.0
    false: float = 0.0
    confused: float = 0.0
    total: float = 0.0

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.missed + other.missed,
            self.false + other.false,
            self.confused + other.confused,
            self.total + other.total,
        )

    def rates(self) -> dict[str, float]:
        """The rate and its parts; 0 where nobody speaks."""
        total = self.total or 1.0
        return {
            "der": round((self.missed + self.false + self.confused) / total, 4),
            "missed": round(self.missed / total, 4),
            "false": round(self.false / total, 4),
            "confused": round(self.confused / total, 4),
        }


def read_rttm(path: Path) -> dict[str, list[SpokenTurn]]:
    """The turns of each file of an RTTM.

    Raises:
        ConfigError: It cannot be read, or a SPEAKER line is not of that form.
    """
    turns: dict[str, list[SpokenTurn]] = {}
    for number, row in _rows(path):
        if row[0] != "SPEAKER":
            continue
        try:
            start_s, length_s = float(row[3]), float(row[4])
            turns.setdefault(row[1], []).append(SpokenTurn(start_s, start_s + length_s, row[7]))
        except (IndexError, ValueError) as error:
            raise ConfigError(
                f"{path}:{number}: {error}",
                remedy="a line is: SPEAKER file channel start length <NA> <NA> speaker",
            ) from error
    return turns


def read_uem(paths: Iterable[Path]) -> dict[str, tuple[float, float]]:
    """From when to when each file is scored, in seconds.

    Raises:
        ConfigError: One cannot be read, or a line is not of that form.
    """
    scored: dict[str, tuple[float, float]] = {}
    for path in paths:
        for number, row in _rows(path):
            try:
                scored[row[0]] = (float(row[2]), float(row[3]))
            except (IndexError, ValueError) as error:
                raise ConfigError(
                    f"{path}:{number}: {error}", remedy="a line is: file channel start end"
                ) from error
    return scored


def _rows(path: Path) -> Iterable[tuple[int, list[str]]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", remedy="name a text file of this form") from error
    return [(number, line.split()) for number, line in enumerate(lines, 1) if line.split()]


def assignment(gains: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs (row, column), at most one of each, with the greatest sum of gains (n, m).

    The Hungarian method by shortest augmenting paths with potentials, O(n³).
    """
    size = max(gains.shape)
    costs = np.zeros((size, size))
    costs[: gains.shape[0], : gains.shape[1]] = -gains
    row_of = np.full(size + 1, -1)  # of each column; the last column is where a path begins
    row_price, column_price = np.zeros(size), np.zeros(size + 1)
    for row in range(size):
        _augment(costs, row, row_of, row_price, column_price)
    pairs = [(int(row_of[column]), column) for column in range(gains.shape[1])]
    return sorted(pair for pair in pairs if pair[0] < gains.shape[0])


def _augment(
    costs: NDArray[np.float64],
    row: int,
    row_of: NDArray[np.int64],
    row_price: NDArray[np.float64],
    column_price: NDArray[np.float64],
) -> None:
    """Gives a row a column, moving others where that is cheaper."""
    size = len(costs)
    column, row_of[size] = size, row
    least, came_from = np.full(size, np.inf), np.full(size, size)
    visited = np.zeros(size + 1, np.bool_)
    while row_of[column] >= 0:
        visited[column] = True
        here = row_of[column]
        reduced = costs[here] - row_price[here] - column_price[:size]
        is_less = ~visited[:size] & (reduced < least)
        least[is_less], came_from[is_less] = reduced[is_less], column
        open_ = np.where(visited[:size], np.inf, least)
        following = int(np.argmin(open_))
        step = open_[following]
        row_price[row_of[np.flatnonzero(visited)]] += step
        column_price[visited] -= step
        least[~visited[:size]] -= step
        column = following
    while column != size:
        row_of[column] = row_of[came_from[column]]
        column = int(came_from[column])


def _pieces(
    truth: Sequence[SpokenTurn], found: Sequence[SpokenTurn], scored: tuple[float, float], collar_s: float
) -> list[tuple[float, frozenset[str], frozenset[str]]]:
    """Stretches in which nobody begins or ends: seconds, true speakers, found speakers."""
    edges = [turn_s for turn in truth for turn_s in turn[:2]]
    points = {*scored, *edges, *(turn_s for turn in found for turn_s in turn[:2])}
    points |= {edge + side for edge in edges for side in (-collar_s, collar_s)}
    ordered = sorted(point for point in points if scored[0] <= point <= scored[1])
    pieces = []
    for begin, end in pairwise(ordered):
        middle = (begin + end) / 2
        if any(abs(middle - edge) < collar_s for edge in edges):
            continue
        here = [
            frozenset(turn.speaker for turn in turns if turn.start_s <= middle < turn.end_s)
            for turns in (truth, found)
        ]
        pieces.append((end - begin, here[0], here[1]))
    return pieces


def matched(
    pieces: Sequence[tuple[float, frozenset[str], frozenset[str]]],
) -> dict[str, str]:
    """The true speaker that each found one is taken for."""
    names = (
        sorted({one for _, true, _ in pieces for one in true}),
        sorted({one for _, _, found in pieces for one in found}),
    )
    if not names[0] or not names[1]:
        return {}
    common = np.zeros((len(names[0]), len(names[1])))
    for seconds, true, found in pieces:
        for one in true:
            for other in found:
                common[names[0].index(one), names[1].index(other)] += seconds
    return {names[1][b]: names[0][a] for a, b in assignment(common) if common[a, b] > 0}


def errors(
    truth: Sequence[SpokenTurn],
    found: Sequence[SpokenTurn],
    scored: tuple[float, float],
    collar_s: float = 0.0,
) -> tuple[Errors, dict[str, str]]:
    """The errors of one file, and which true speaker each found one is.

    Args:
        truth: Turns of the reference.
        found: Turns that were found.
        scored: From when to when, in seconds.
        collar_s: Seconds on both sides of a true boundary that are not scored.
    """
    pieces = _pieces(truth, found, scored, collar_s)
    taken_for = matched(pieces)
    missed = false = confused = total = 0.0
    for seconds, true, heard in pieces:
        right = len({taken_for.get(one) for one in heard} & true)
        total += seconds * len(true)
        missed += seconds * max(0, len(true) - len(heard))
        false += seconds * max(0, len(heard) - len(true))
        confused += seconds * (min(len(true), len(heard)) - right)
    return Errors(missed, false, confused, total), taken_for


def equal_error_rate(scores: NDArray[np.float64], is_same: NDArray[np.bool_]) -> tuple[float, float]:
    """Where as many same pairs are refused as different ones are accepted, and the score there.

    Args:
        scores: (n,), the higher the more alike.
        is_same: (n,), at least one of each kind.

    Raises:
        ConfigError: All pairs are of one kind.
    """
    if is_same.all() or not is_same.any():
        raise ConfigError(
            "no equal error rate: all pairs are of one kind",
            remedy="name at least two speakers, one with two recordings",
        )
    order = np.argsort(-scores, kind="stable")
    accepted = is_same[order]
    refused = 1 - np.cumsum(accepted) / accepted.sum()
    let_in = np.cumsum(~accepted) / (~accepted).sum()
    at = int(np.argmin(np.abs(refused - let_in)))
    return float((refused[at] + let_in[at]) / 2), float(scores[order][at])
