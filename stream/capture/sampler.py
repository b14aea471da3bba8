"""Which of the decoded frames are sent, and how much the picture changed between them.

Pure, and with so little memory that a run which resumes in the middle chooses the same
frames: the grid of due frames is absolute in pts, the frames for change are counted per
absolute cell, and a frame is compared with the one decoded before it and no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

from stream.capture.picture import PROXY_HEIGHT_PX, PROXY_WIDTH_PX, Pixels
from stream.messages.media import ChangePoint

NS_PER_S = 1_000_000_000

SSIM_C1 = (0.01 * 255) ** 2
SSIM_C2 = (0.03 * 255) ** 2
"""Constants of SSIM for eight bits (Wang, Bovik, Sheikh, Simoncelli 2004)."""

BLOCK_ROWS = 3
BLOCK_COLUMNS = 4
LEVELS = 16
_SHIFT = 4  # 256 brightnesses to 16 levels

_BLOCK_OF_ROW = np.arange(PROXY_HEIGHT_PX) * BLOCK_ROWS // PROXY_HEIGHT_PX
_BLOCK_OF_COLUMN = np.arange(PROXY_WIDTH_PX) * BLOCK_COLUMNS // PROXY_WIDTH_PX
_FIRST_BIN = (LEVELS * (_BLOCK_OF_ROW[:, None] * BLOCK_COLUMNS + _BLOCK_OF_COLUMN[None, :])).astype(np.int16)
_BINS = LEVELS * BLOCK_ROWS * BLOCK_COLUMNS


class Look:
    """What is kept of one luma proxy to compare it with the next.

    Args:
        luma: (90, 160) uint8.
    """

    __slots__ = ("histogram", "level", "mean", "variance")

    def __init__(self, luma: Pixels) -> None:
        # float64 holds every sum of products exactly, in whatever order BLAS adds them:
        # two runs give the same score to the last bit.
        self.level: npt.NDArray[np.float64] = luma.ravel().astype(np.float64)
        self.mean = float(self.level.sum()) / luma.size
        self.variance = float(np.dot(self.level, self.level)) / luma.size - self.mean**2
        self.histogram = np.bincount(((luma >> _SHIFT) + _FIRST_BIN).ravel(), minlength=_BINS)


def change_score(before: Look, after: Look) -> float:
    """How abruptly one picture follows another: 0 the same, towards 1 nothing in common.

    The geometric mean of two measures that fail on different things. One minus the SSIM of
    the whole proxies (Wang et al. 2004) is blind to a change of exposure, fades and
    noise, but jumps when the camera pans; the mean distance of histograms over 3x4
    blocks (Boreczky and Rowe 1996 compare such measures) is blind to motion within a
    block but jumps with the exposure. A cut moves both.
    """
    n_pixels = before.level.size
    covariance = float(np.dot(before.level, after.level)) / n_pixels - before.mean * after.mean
    light = (2 * before.mean * after.mean + SSIM_C1) / (before.mean**2 + after.mean**2 + SSIM_C1)
    form = (2 * covariance + SSIM_C2) / (before.variance + after.variance + SSIM_C2)
    unlike = min(1.0, max(0.0, 1.0 - light * form))
    moved = float(np.abs(before.histogram - after.histogram).sum()) / (2 * n_pixels)
    return float((unlike * moved) ** 0.5)


def join_curves(
    earlier: tuple[ChangePoint, ...], later: tuple[ChangePoint, ...], limit: int
) -> tuple[ChangePoint, ...]:
    """Two stretches of a change curve as one, of at most `limit` points.

    Over the limit the points of least change go, of equals the later ones; the last
    point stays, being the frame that the curve belongs to.
    """
    points = earlier + later
    if len(points) <= limit:
        return points
    *others, last = points
    kept = sorted(others, key=lambda point: (-point.score, point.pts_ns))[: limit - 1]
    return (*sorted(kept, key=lambda point: point.pts_ns), last)


@dataclass(frozen=True, slots=True)
class Choice:
    """A frame that is to be sent: why, and the curve since the one sent before."""

    why: Literal["rate", "change"]
    curve: tuple[ChangePoint, ...]


class Sampler:
    """Chooses frames of one track, which must come in order of pts.

    A frame is due where `floor(pts * rate)` differs from that of the frame before it. One
    more is sent in each cell of `1 / change_rate_hz` seconds: the first that is not due
    and whose score is above the threshold. Later ones in the same cell are still on
    the curve, so a flickering picture costs a bounded number of messages and no
    knowledge.

    Args:
        rate_hz: Pictures per second that are sent though nothing changes.
        change_threshold: Score above which a picture is sent at once.
        change_rate_hz: Most pictures per second that are sent because of change.
        curve_points: Most points of one curve.
        after_pts_ns: Where an earlier run stopped: frames up to here are only looked at.
    """

    def __init__(
        self,
        rate_hz: float,
        change_threshold: float,
        change_rate_hz: float,
        curve_points: int,
        after_pts_ns: int | None = None,
    ) -> None:
        self._rate = Fraction(rate_hz).limit_denominator(1_000_000)
        self._change_rate = Fraction(change_rate_hz).limit_denominator(1_000_000)
        self._threshold = change_threshold
        self._curve_points = curve_points
        self._after_pts_ns = after_pts_ns
        self._before: tuple[int, Look] | None = None
        self._changed_cell: int | None = None
        self._curve: tuple[ChangePoint, ...] = ()

    @property
    def rate_hz(self) -> float:
        """Pictures per second that are sent though nothing changes; a live source may change it."""
        return float(self._rate)

    @rate_hz.setter
    def rate_hz(self, rate_hz: float) -> None:
        self._rate = Fraction(rate_hz).limit_denominator(1_000_000)

    @property
    def primes_after_pts_ns(self) -> int | None:
        """From where on frames must be shown to a sampler that resumes, or None for the start.

        The start of the change cell in which it resumes: what was sent of that cell
        decides whether another frame of it may be. `stream.capture.file.frames` gives the
        last frame before that as well.
        """
        if self._after_pts_ns is None:
            return None
        cell = _cell(self._after_pts_ns, self._change_rate)
        return _cell_start_ns(cell, self._change_rate) - 1

    def look(self, pts_ns: int, luma: Pixels) -> Choice | None:
        """Takes the next decoded frame; says whether it is to be sent.

        Args:
            pts_ns: Its position.
            luma: Its proxy, (90, 160) uint8.
        """
        seen = Look(luma)
        before = self._before
        self._before = (pts_ns, seen)
        score = change_score(before[1], seen) if before is not None else 0.0
        due = before is None or _cell(pts_ns, self._rate) != _cell(before[0], self._rate)
        changed = not due and self._is_change(pts_ns, score)
        if self._after_pts_ns is not None and pts_ns <= self._after_pts_ns:
            return None
        point = ChangePoint(pts_ns=pts_ns, score=score)
        self._curve = join_curves(self._curve, (point,), self._curve_points)
        if not due and not changed:
            return None
        choice = Choice("rate" if due else "change", self._curve)
        self._curve = ()
        return choice

    def _is_change(self, pts_ns: int, score: float) -> bool:
        cell = _cell(pts_ns, self._change_rate)
        if score <= self._threshold or cell == self._changed_cell:
            return False
        self._changed_cell = cell
        return True


def _cell(pts_ns: int, rate: Fraction) -> int:
    """Which cell of a grid with `rate` cells per second a position lies in."""
    return pts_ns * rate.numerator // (rate.denominator * NS_PER_S)


def _cell_start_ns(cell: int, rate: Fraction) -> int:
    """The first nanosecond of a cell."""
    return -(-cell * rate.denominator * NS_PER_S // rate.numerator)
