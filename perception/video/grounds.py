"""The colour of what a text stands on: "the words on the white card".

A card, a sign or a banner is told apart by its colour more often than by anything else that can
be seen without knowing what it is. The names are the eleven basic ones of English (Berlin and
Kay, 1969), cut out of hue, saturation and value by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from perception.video.seen_text import Box

if TYPE_CHECKING:
    import numpy.typing as npt

COLOURS = ("black", "grey", "white", "red", "orange", "brown", "yellow", "green", "blue", "purple", "pink")
RING = 0.35
"""How far around a line its ground is looked at, as a share of the height of the line."""
LEAST_SHARE = 0.6
"""Part of what is around the lines that must be of one colour; else the ground has none."""
LEAST_PIXELS = 24
_DARK, _DIM, _BRIGHT = 50, 150, 190
"""Values below which all is black, and orange is brown; and from which what has no hue is white."""
_PALE = 45
"""Saturation below which a colour has no hue."""
_HUES = (
    (8, "red"),
    (20, "orange"),
    (34, "yellow"),
    (85, "green"),
    (130, "blue"),
    (150, "purple"),
    (170, "pink"),
)
"""The upper ends of hues, in the half degrees of OpenCV; beyond them it is red again."""


def ground_of(picture: npt.NDArray[np.uint8], boxes: Sequence[Box]) -> str:
    """The name of the colour around some lines of text; empty where there is no one colour.

    Args:
        picture: (H, W, 3) uint8 RGB.
        boxes: Corners of the lines, in shares of the picture.
    """
    height_px, width_px = picture.shape[:2]
    inside = np.zeros((height_px, width_px), dtype=np.uint8)
    around = np.zeros_like(inside)
    for box in boxes:
        corners = np.array(box, dtype=np.float64) * (width_px, height_px)
        low, high = corners.min(axis=0), corners.max(axis=0)
        margin = max(1.0, RING * (high[1] - low[1]))
        for mask, more in ((inside, 0.0), (around, margin)):
            left, top = np.maximum(np.floor(low - more), 0).astype(int)
            right, bottom = np.ceil(high + more).astype(int)
            mask[top : bottom + 1, left : right + 1] = 1
    pixels = picture[(around > 0) & (inside == 0)]
    if len(pixels) < LEAST_PIXELS:
        return ""
    counts = np.bincount(_named(pixels), minlength=len(COLOURS))
    most = int(counts.argmax())
    return COLOURS[most] if counts[most] >= LEAST_SHARE * len(pixels) else ""


def _named(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """The place among `COLOURS` of each pixel, (N,) of (N, 3) RGB."""
    import cv2

    hue, saturation, value = np.moveaxis(cv2.cvtColor(pixels[None], cv2.COLOR_RGB2HSV)[0], 1, 0)
    ends = [end for end, _ in _HUES]
    names = np.array([COLOURS.index(name) for _, name in _HUES] + [COLOURS.index("red")])
    found = names[np.searchsorted(ends, hue, side="right")]
    found = np.where((found == COLOURS.index("orange")) & (value < _DIM), COLOURS.index("brown"), found)
    pale = np.where(value >= _BRIGHT, COLOURS.index("white"), COLOURS.index("grey"))
    found = np.where(saturation < _PALE, pale, found)
    return np.asarray(np.where(value < _DARK, COLOURS.index("black"), found), dtype=np.int64)
