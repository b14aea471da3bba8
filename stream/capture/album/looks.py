"""How a picture looks to a program that must choose between several: its fingerprint, sharpness and light.

The fingerprint is the 64-bit perceptual hash of the low frequencies of a 32x32 luma (DCT; Zauner, 2010).
Sharpness is the variance of the Laplacian (Pech-Pacheco et al., 2000), of the sharpest tiles only: a portrait
is blurred nearly everywhere by intention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from stream.capture.picture import Pixels

LOOKED_AT_PX = 512
"""Longer side of the picture that is looked at: sharpness is compared at one size."""
_HASHED_PX, _KEPT = 32, 8
_TILES = 6
_SHARP_SHARE = 0.9
"""Share of the tiles that are less sharp than the one that stands for the picture."""

BLURRED = 12.0
"""Sharpness below which a picture is blurred. Measured on 55 photographs of public packages: one that was
taken out of focus has 12.7, one with motion 26, all others 39 and more; under a Gaussian of 4 px none has
more than 8.0."""
DARK_LUMA = 40.0
"""The 99th percentile of luma (0 to 255) below which nothing can be made out; a night with one lamp has
more."""
FLAT = 2.0
"""Standard deviation of luma below which a picture shows nothing: a lens cap, a wall."""
SAME_BITS = 6
"""Bits of 64 that two files of one picture differ in at most: half the size at JPEG quality 50 changed 0 to 6
(55 photographs, 95 % of them 2 or fewer)."""
BURST_BITS = 14
"""The same of two shots within `BURST_S`; the nearest two photographs of different things differ in 20 (the
same 55)."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What was measured of one picture. Luma is 0 to 255."""

    fingerprint: int
    sharpness: float
    bright: float
    spread: float

    @property
    def fault(self) -> str:
        """Why it may be left out; empty where nothing speaks against it."""
        if self.spread < FLAT:
            return "shows nothing: it is of one colour"
        if self.bright < DARK_LUMA:
            return "too dark to make anything out"
        if self.sharpness < BLURRED:
            return "blurred"
        return ""

    @property
    def value(self) -> float:
        """By which the best of several alike is chosen: sharpness, less where light is lost."""
        return self.sharpness * min(1.0, self.bright / 160.0) * min(1.0, self.spread / 40.0)

    def bits_to(self, other: Looks) -> int:
        """In how many of 64 bits two fingerprints differ."""
        return (self.fingerprint ^ other.fingerprint).bit_count()


def looks_of(pixels: Pixels) -> Looks:
    """Measures an RGB picture, (H, W, 3) uint8, of which the longer side is `LOOKED_AT_PX` or less."""
    import cv2

    luma = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    small = cv2.resize(luma, (_HASHED_PX, _HASHED_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = np.asarray(cv2.dct(small))[:_KEPT, :_KEPT].ravel()
    low[0] = 0.0  # The mean: how bright it is tells nothing.
    bits = low > np.median(low)
    edges = np.asarray(cv2.Laplacian(luma, cv2.CV_32F))
    tiles = [
        float(tile.var())
        for rows in np.array_split(edges, _TILES, axis=0)
        for tile in np.array_split(rows, _TILES, axis=1)
        if tile.size
    ]
    return Looks(
        fingerprint=int.from_bytes(np.packbits(bits).tobytes(), "big"),
        sharpness=float(np.quantile(tiles, _SHARP_SHARE)),
        bright=float(np.percentile(luma, 99)),
        spread=float(luma.std()),
    )
