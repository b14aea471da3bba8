"""Pictures as a decoder gives them: turned upright, and converted only when asked for.

Most decoded frames are only compared with their neighbour, on a 160x90 picture of their
brightness, which libswscale makes in one step from what the decoder gives; the full
conversion to RGB is made for those that are sent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stream.capture.privacy import Mask, blacken

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

PROXY_WIDTH_PX = 160
PROXY_HEIGHT_PX = 90
_MATRIX_BYTES = 36
_PLAUSIBLE_ASPECT = (Fraction(1, 4), Fraction(4))

Pixels = npt.NDArray[np.uint8]
"""Luma (H, W) or RGB (H, W, 3)."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One of the eight ways in which a picture may lie: transposed first, then flipped.

    `transpose` swaps rows and columns; `flip_rows` turns it upside down, `flip_columns`
    mirrors left and right.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @property
    def degrees(self) -> int:
        """How far it is turned clockwise, apart from any mirroring: 0, 90, 180 or 270."""
        if self.transpose:
            return 270 if self.flip_rows else 90
        return 180 if self.flip_rows else 0

    @classmethod
    def from_matrix(cls, matrix: bytes) -> Turn:
        """The turn nearest to a display matrix of ISO/IEC 14496-12, section 8.2.2.

        Args:
            matrix: Nine int32 in the machine's order, `a b u c d v x y w`: the pixel at
                (p, q) is shown at (a*p + c*q, b*p + d*q), q counting downwards. Anything
                shorter, or without direction, is no turn.
        """
        if len(matrix) < _MATRIX_BYTES:
            return cls()
        a, b, _, c, d, *_ = (int(value) for value in np.frombuffer(matrix[:_MATRIX_BYTES], dtype=np.int32))
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(transpose=True, flip_rows=b < 0, flip_columns=c < 0)
        return cls(flip_rows=d < 0, flip_columns=a < 0)

    def apply(self, pixels: Pixels) -> Pixels:
        """The picture as it is to be seen: (H, W, …) or (W, H, …), a view on `pixels`."""
        if self.transpose:
            pixels = pixels.swapaxes(0, 1)
        rows = slice(None, None, -1) if self.flip_rows else slice(None)
        columns = slice(None, None, -1) if self.flip_columns else slice(None)
        return pixels[rows, columns]

    def size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Width and height of the picture once it is turned."""
        return (height_px, width_px) if self.transpose else (width_px, height_px)


class Converters:
    """The scaling contexts of one track, made once: setting one up costs more than using it.

    Args:
        aspect: Width of one stored pixel over its height, as the container says; None is 1.
    """

    def __init__(self, aspect: Fraction | None = None) -> None:
        from av.video.reformatter import VideoReformatter

        self.aspect = aspect
        self._luma = VideoReformatter()
        self._rgb = VideoReformatter()

    def luma(self, frame: VideoFrame) -> Pixels:
        """The frame's brightness as (90, 160) uint8, by area averaging, not turned."""
        small = self._luma.reformat(
            frame, PROXY_WIDTH_PX, PROXY_HEIGHT_PX, "gray", interpolation="AREA", threads=1
        )
        return _rows(small, 1)

    def rgb(self, frame: VideoFrame) -> Pixels:
        """The frame as (H, W, 3) uint8 RGB in its own size, not turned."""
        whole = self._rgb.reformat(frame, frame.width, frame.height, "rgb24", threads=1)
        return _rows(whole, 3).reshape(frame.height, frame.width, 3)


def _rows(frame: VideoFrame, channels: int) -> Pixels:
    """A packed frame's pixels without the padding at the end of each row: (H, W * channels)."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
    return np.ascontiguousarray(rows[: frame.height, : frame.width * channels])


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One decoded frame of a file: where it stands, and its pixels on demand.

    `pts_ns` counts from the start of the container.
    """

    pts_ns: int
    _frame: VideoFrame
    _converters: Converters
    _masks: tuple[Mask, ...] = ()

    def masked(self, masks: tuple[Mask, ...]) -> DecodedFrame:
        """The same with rectangles of the upright picture black."""
        return replace(self, _masks=masks)

    def luma(self) -> Pixels:
        """Its brightness, (90, 160) uint8. Not turned: it is compared with its like only."""
        whole = self._converters.luma(self._frame)
        return blacken(whole, self._masks, turn_of(self._frame)) if self._masks else whole

    def rgb(self, max_side_px: int = 0) -> Pixels:
        """The picture, upright: (H, W, 3) uint8 RGB, C-contiguous, square pixels.

        Args:
            max_side_px: Longer side at most; larger pictures are averaged down, smaller
                ones left as they are. 0 keeps the size.
        """
        stored = self._frame
        width_px, height_px = fit(stored.width, stored.height, max_side_px, self._converters.aspect)
        pixels = self._converters.rgb(stored)
        if pixels.shape[:2] != (height_px, width_px):
            import cv2

            resized = cv2.resize(pixels, (width_px, height_px), interpolation=cv2.INTER_AREA)
            pixels = np.asarray(resized, dtype=np.uint8)
        return blacken(np.ascontiguousarray(turn_of(stored).apply(pixels)), self._masks)


def turn_of(frame: VideoFrame) -> Turn:
    """How a frame is to be turned, from its display matrix.

    PyAV's own `rotation` knows no mirroring: it gives 180 degrees for a picture that is
    only flipped from left to right.
    """
    from av.sidedata.sidedata import Type

    side_data: Any = frame.side_data  # Typed as a dict, it is a sequence too.
    for data in side_data:
        if data.type == Type.DISPLAYMATRIX:
            return Turn.from_matrix(bytes(data))
    return Turn()


def fit(
    width_px: int, height_px: int, max_side_px: int = 0, aspect: Fraction | None = None
) -> tuple[int, int]:
    """A size with square pixels whose longer side is at most `max_side_px` (0: any).

    Args:
        width_px: Columns of the stored picture.
        height_px: Rows of the stored picture.
        max_side_px: Bound on the longer side.
        aspect: Width of one stored pixel over its height; implausible ones are ignored.
    """
    width = Fraction(width_px)
    if aspect is not None and _PLAUSIBLE_ASPECT[0] <= aspect <= _PLAUSIBLE_ASPECT[1]:
        width *= aspect
    longer = max(width, Fraction(height_px))
    scale = Fraction(max_side_px) / longer if 0 < max_side_px < longer else Fraction(1)
    return max(1, round(width * scale)), max(1, round(height_px * scale))
