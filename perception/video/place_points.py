"""Points of a picture that are found again from elsewhere: SIFT (Lowe, 2004), made RootSIFT.

Points are taken from all over the picture, the strongest of each cell first: the strongest of all lie on one
poster, and a poster says where it hangs only as long as it hangs there. RootSIFT, the square root of the
descriptor over its sum, makes plain distances compare histograms (Arandjelovic and Zisserman, 2012).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stream.messages.place_view import XY_SCALE

if TYPE_CHECKING:
    import cv2

LONGER_PX = 320
"""Longer side of the picture in which points are looked for. Larger ones give finer points, not more, and
take the time of their area: SIFT begins with the picture at twice its size. Pictures of 400 pixels take a
little more than half the time at 320, and places are known as well."""
PRODUCER = f"sift{LONGER_PX}px"
"""What makes other points of a picture, for the producer id of views."""
CONTRAST = 0.02
EDGE = 12.0
"""Thresholds of SIFT: half the usual contrast, since walls have little."""
CELLS_X, CELLS_Y = 8, 5
_DEPTH = 128

Points = tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]
"""(n, 2) in 1/65535 of width and height, and (n, 128) RootSIFT in 1/255."""


def points_of(grey: npt.NDArray[np.uint8], most: int) -> Points:
    """At most `most` points of a picture (H, W) uint8, the same every time."""
    import cv2

    height, width = grey.shape
    scale = LONGER_PX / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
        height, width = grey.shape
    sift: Any = cv2.SIFT_create(  # type: ignore[attr-defined]
        contrastThreshold=CONTRAST, edgeThreshold=EDGE
    )
    found = list(sift.detect(grey, None))
    kept = [found[place] for place in _spread(found, width, height, most)]
    kept, made = sift.compute(grey, kept) if kept else (kept, None)
    if made is None or not len(kept):
        return np.empty((0, 2), np.uint16), np.empty((0, _DEPTH), np.uint8)
    at = np.array([point.pt for point in kept]) / (width, height)
    rooted = np.sqrt(made / np.maximum(made.sum(axis=1, keepdims=True), 1e-9))
    xy = np.clip(np.rint(at * XY_SCALE), 0, XY_SCALE).astype(np.uint16)
    return xy, np.clip(np.rint(rooted * 255), 0, 255).astype(np.uint8)


def _spread(found: list[cv2.KeyPoint], width: int, height: int, most: int) -> list[int]:
    """Which points to keep: round by round the strongest that each cell has left."""
    if not found:
        return []
    at = np.array([point.pt for point in found])
    response = np.array([point.response for point in found])
    column = np.minimum((at[:, 0] * CELLS_X / width).astype(int), CELLS_X - 1)
    row = np.minimum((at[:, 1] * CELLS_Y / height).astype(int), CELLS_Y - 1)
    cell = row * CELLS_X + column
    order = np.lexsort((at[:, 0], at[:, 1], -response, cell))
    first = np.r_[True, cell[order][1:] != cell[order][:-1]]
    begins = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    turn = np.arange(len(order)) - begins
    picked = np.lexsort((-response[order], turn))[:most]
    return [int(place) for place in order[picked]]
