"""Whether two pictures show one spot: their points must agree on one geometry.

Points are matched both ways and by the ratio of the best to the next best (Lowe, 2004), on RootSIFT
(Arandjelovic and Zisserman, 2012). What matches must then agree on a plane (homography) or on two views of
something deep (fundamental matrix), each found by random samples that agree with the most (MAGSAC++, Barath
et al., 2020, as OpenCV has it). Points that agree but lie on one small thing (a sign, a screen) say less than
points all over the picture: inliers count by how many cells of the picture they touch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stream.errors import Malformed

SCALE = 65_535
"""Width and height of a picture in the coordinates of its points."""
RATIO = 0.85
"""Best over next best distance of a match, at most."""
LEAST_MATCHES = 8
"""Matches from which a geometry is looked for: a fundamental matrix takes seven, and one to agree."""
PLANE_TOLERANCE = 0.02
DEEP_TOLERANCE = 0.01
"""How far off a point may be, as a share of the picture's side."""
ROUNDS = 300
CONFIDENCE = 0.99
CELLS = 6
"""Cells along each side of a picture, by which it is told how widely inliers are spread."""
_SIDE = 512.0
"""Side on which geometries are found: all pictures as if square, which no projective geometry minds."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalFeatures:
    """Points of a picture: `xy` (n, 2) uint16 in 1/65535 of width and height, `descriptors` (n, D) uint8."""

    xy: npt.NDArray[np.uint16]
    descriptors: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Raises Malformed where points and surroundings do not fit."""
        if self.xy.shape != (len(self.descriptors), 2) or self.descriptors.ndim != 2:
            raise Malformed(
                f"points {self.xy.shape} and surroundings {self.descriptors.shape} do not fit",
                remedy="give (n, 2) and (n, D)",
            )


class Agreement(NamedTuple):
    """How many points of two pictures agree on one geometry, and their share of those that match.

    `spread` is in how large a part of both pictures they lie, 0 to 1.
    """

    inliers: int
    share: float
    spread: float = 0.0

    @property
    def weight(self) -> float:
        """Inliers, those on one small thing weighed down: what the evidence of this agreement is worth."""
        return self.inliers * min(1.0, 0.5 + 2 * self.spread)


NONE = Agreement(0, 0.0, 0.0)


def verify(a: LocalFeatures, b: LocalFeatures, ratio: float = RATIO) -> Agreement:
    """How far the points of two pictures agree; the same for the same pictures, every time."""
    mine, theirs = matches(a.descriptors, b.descriptors, ratio)
    if len(mine) < LEAST_MATCHES:
        return NONE
    left, right = (points.astype(np.float32) * (_SIDE / SCALE) for points in (a.xy[mine], b.xy[theirs]))
    inside = _most_inliers(left, right)
    count = int(inside.sum())
    if not count:
        return NONE
    spread = min(_spread(left[inside]), _spread(right[inside]))
    return Agreement(count, count / len(mine), spread)


def matches(
    a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8], ratio: float = RATIO
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which rows of two sets of descriptors are each other's best, and clearly so.

    Returns:
        Rows of `a` and of `b`, (m,) int64 each.
    """
    none = np.empty(0, np.int64)
    if len(a) < 2 or len(b) < 2 or a.shape[1] != b.shape[1]:
        return none, none
    likeness = _unit(a) @ _unit(b).T
    rows = np.arange(len(a))
    best = likeness.argmax(axis=1)
    is_mutual = likeness.argmax(axis=0)[best] == rows
    first = likeness[rows, best]
    likeness[rows, best] = -1.0
    nearest, next_nearest = (np.maximum(2 - 2 * one, 0) for one in (first, likeness.max(axis=1)))
    kept = is_mutual & (nearest < ratio * ratio * next_nearest)
    return rows[kept], best[kept].astype(np.int64)


def _most_inliers(left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which matches agree on a plane, or on a deep scene where that explains clearly more."""
    flat = _agreeing(left, right, is_plane=True)
    if 2 * int(flat.sum()) > len(left):
        return flat
    deep = _agreeing(left, right, is_plane=False)
    # A fundamental matrix asks for less of each match (a line, not a point): chance agrees with it more.
    return deep if 2 * int(deep.sum()) > 3 * int(flat.sum()) + 8 else flat


def _agreeing(
    left: npt.NDArray[np.float32], right: npt.NDArray[np.float32], *, is_plane: bool
) -> npt.NDArray[np.bool_]:
    """Which matches agree on a homography or a fundamental matrix; none where there is no such thing."""
    import cv2

    try:
        if is_plane:
            tolerance_px = PLANE_TOLERANCE * _SIDE
            found = cv2.findHomography(
                left, right, cv2.USAC_MAGSAC, tolerance_px, maxIters=ROUNDS, confidence=CONFIDENCE
            )[1]
        else:
            tolerance_px = DEEP_TOLERANCE * _SIDE
            found = cv2.findFundamentalMat(left, right, cv2.USAC_MAGSAC, tolerance_px, CONFIDENCE, ROUNDS)[1]
    except cv2.error:
        # Points of which all samples are degenerate end in an assertion of OpenCV 5, not in no result.
        found = None
    if found is None or len(found) != len(left):
        return np.zeros(len(left), bool)
    return np.asarray(found.ravel() > 0, bool)


def _spread(points: npt.NDArray[np.float32]) -> float:
    cells = np.minimum((points * (CELLS / _SIDE)).astype(np.int64), CELLS - 1)
    return len(np.unique(cells[:, 0] * CELLS + cells[:, 1])) / (CELLS * CELLS)


def _unit(descriptors: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    rows = descriptors.astype(np.float32)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
