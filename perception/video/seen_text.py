"""Text in the picture: PP-OCRv6 small by rapidocr, kept off pictures that have not changed.

Reading text is by far the most expensive thing done to a frame, so it is gated three
times. A picture is looked at only if it differs from the last one looked at in the same
shot, and no more often than once in a set time; between that and a longer time only if
strokes have appeared somewhere, as new letters make them. Text boxes are looked for at a
reduced size. And only lines whose box or pixels are new are recognised; the others keep
their words. All of it depends on the pictures of one shot alone, so a resumed run reads
the same text.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from perception.video.text_networks import PRODUCER, TextNetworks

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PROXY_PX = (160, 90)
"""Width and height of the luma proxy on which pictures are compared."""
PROXY_LEVELS = 20
"""Levels of luma (of 255) by which a pixel of the proxy must differ to count as changed."""

STROKES_WIDTH_PX = 640
STROKE_LEVELS = 100
"""At this width a stroke is where luma changes by a quarter of its range from left to right (Sobel)."""
STROKE_COLUMNS = 40
"""Cells across the picture in which strokes are counted: 16 px each, about one line of small print."""
STROKES_APPEARED = 0.2
"""A cell has gained strokes if so much more of it is strokes than before."""

PATCH_PX = (64, 16)
PATCH_LEVELS = 12.0
SAME_BOX = 0.7
"""A line is known if its box overlaps (IoU) a known one by this much, and its pixels, at `PATCH_PX`,
differ by less than `PATCH_LEVELS` on average."""

SAME_TEXT = 0.85
"""Similarity (Ratcliff and Obershelp) from which two readings are one text read twice."""

SMALLEST_LINE_PX = 6
SHORT_LETTERS = 2

Box = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class TextRules:
    """When a picture is read, and which lines are believed.

    Short lines, of at most `SHORT_LETTERS` letters and digits, need more confidence: on
    pictures without text the networks most often "read" a single sign.
    """

    changed_share: float = 0.005
    spacing_ns: int = 1_000_000_000
    strokes_share: float = 0.01
    longest_spacing_ns: int = 4_000_000_000
    least_confidence: float = 0.8
    least_short_confidence: float = 0.95
    most_lines: int = 80


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of text: four corners clockwise from the top left, in fractions of the picture."""

    text: str
    confidence: float
    box: Box


@dataclass(frozen=True, slots=True)
class Reading:
    """What one picture says, its lines in reading order; empty if nothing.

    `left_out` counts lines that were found and not read because there were too many;
    `producer_id` says by which networks, and how they were run.
    """

    pts_ns: int
    lines: tuple[TextLine, ...]
    left_out: int = 0
    producer_id: str = PRODUCER

    @property
    def text(self) -> str:
        """The lines, one per row."""
        return "\n".join(line.text for line in self.lines)

    @property
    def confidence(self) -> float:
        """Mean confidence of the lines, each by its length; 0 without lines."""
        letters = sum(len(line.text) for line in self.lines)
        return sum(line.confidence * len(line.text) for line in self.lines) / letters if letters else 0.0


@dataclass(frozen=True, slots=True)
class _KnownLine:
    corners: npt.NDArray[np.float32]
    patch: npt.NDArray[np.int16]
    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class _Looks:
    """What a picture is compared by."""

    pts_ns: int
    luma: npt.NDArray[np.int16]
    strokes: npt.NDArray[np.float32]


class ChangeGate:
    """Whether a picture is to be read: the state of one shot. Begins anew with every shot."""

    def __init__(self, rules: TextRules) -> None:
        self._rules = rules
        self._read: _Looks | None = None

    def wants(self, pts_ns: int, luma: npt.NDArray[np.int16], strokes: npt.NDArray[np.float32]) -> bool:
        """Whether to read the picture at `pts_ns`; a picture that is wanted counts as read.

        Args:
            pts_ns: Its position, increasing from call to call.
            luma: Its proxy, `luma_proxy`.
            strokes: Its strokes, `stroke_map`.
        """
        looks = _Looks(pts_ns, luma, strokes)
        if self._read is not None and not self._is_worth_it(self._read, looks):
            return False
        self._read = looks
        return True

    def _is_worth_it(self, read: _Looks, looks: _Looks) -> bool:
        import numpy as np

        rules = self._rules
        waited_ns = looks.pts_ns - read.pts_ns
        if waited_ns < rules.spacing_ns:
            return False
        changed = float(np.mean(np.abs(looks.luma - read.luma) > PROXY_LEVELS))
        if changed < rules.changed_share:
            return False
        if waited_ns >= rules.longest_spacing_ns or looks.strokes.shape != read.strokes.shape:
            return True
        return float(np.mean(looks.strokes - read.strokes > STROKES_APPEARED)) >= rules.strokes_share


class ShotReader:
    """Reads the pictures of one shot, in order; several threads may work on it.

    Detection needs nothing of the pictures before and runs at once; matching and
    recognition wait for the picture before to be done. Pictures have to be started in the
    order of their turns, each turn exactly once.

    Args:
        networks: Detector and recogniser.
        rules: Which lines are believed.
    """

    def __init__(self, networks: TextNetworks, rules: TextRules) -> None:
        self._networks = networks
        self._rules = rules
        self._turn = 0
        self._known: list[_KnownLine] = []
        self._next = threading.Condition()

    def read(self, turn: int, pts_ns: int, picture: npt.NDArray[np.uint8]) -> Reading:
        """What the picture says.

        Args:
            turn: 0 for the first picture of the shot, then 1, and so on.
            pts_ns: Its position.
            picture: (H, W, 3) uint8 RGB.

        Raises:
            ModelFailed: If a network fails on it; the next picture can be read all the same.
        """
        try:
            found = self._networks.detect(picture)
            corners = largest(found, self._rules.most_lines)
            self._await(turn)
            self._known = self._read_lines(picture, corners)
            believed = self._believed(picture.shape[1], picture.shape[0])
            return Reading(pts_ns, believed, len(found) - len(corners), self._networks.producer_id)
        finally:
            self._await(turn)
            with self._next:
                self._turn += 1
                self._next.notify_all()

    def _await(self, turn: int) -> None:
        with self._next:
            self._next.wait_for(lambda: self._turn == turn)

    def _read_lines(
        self, picture: npt.NDArray[np.uint8], corners: npt.NDArray[np.float32]
    ) -> list[_KnownLine]:
        lines: list[_KnownLine | None] = []
        fresh: list[tuple[int, npt.NDArray[np.uint8], npt.NDArray[np.int16]]] = []
        corners = corners[reading_order(corners)]
        for index, own in enumerate(corners):
            crop = self._networks.crop(picture, own)
            if min(crop.shape[:2]) < SMALLEST_LINE_PX:
                lines.append(None)
                continue
            patch = _patch(crop)
            known = next((line for line in self._known if _is_same_line(line, own, patch)), None)
            if known is None:
                fresh.append((index, crop, patch))
            lines.append(known and _KnownLine(own, known.patch, known.text, known.confidence))
        read = self._networks.recognise([crop for _, crop, _ in fresh])
        for (index, _, patch), (text, confidence) in zip(fresh, read, strict=True):
            lines[index] = _KnownLine(corners[index], patch, text, confidence)
        return [line for line in lines if line is not None]

    def _believed(self, width_px: int, height_px: int) -> tuple[TextLine, ...]:
        return tuple(
            TextLine(
                text=line.text.strip(),
                confidence=round(line.confidence, 3),
                box=tuple(
                    (round(float(x) / width_px, 4), round(float(y) / height_px, 4)) for x, y in line.corners
                ),
            )
            for line in self._known
            if is_believed(line.text, line.confidence, self._rules)
        )


def luma_proxy(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    """A picture (H, W, 3) RGB as (90, 160) int16 luma, averaged over areas."""
    import cv2
    import numpy as np

    small = cv2.resize(picture, PROXY_PX, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.int16)


def stroke_map(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """How much of each part of a picture (H, W, 3) RGB is strokes: (rows, 40) float32, 0 to 1.

    Letters are dense in upright edges; what moves without them, faces and skies, hardly
    counts here though it changes the luma everywhere.
    """
    import cv2
    import numpy as np

    height, width = picture.shape[:2]
    if width > STROKES_WIDTH_PX:
        size = (STROKES_WIDTH_PX, max(1, round(STROKES_WIDTH_PX * height / width)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    edges = np.abs(cv2.Sobel(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_16S, 1, 0, ksize=3))
    rows = max(1, round(STROKE_COLUMNS * height / width))
    strokes = (edges > STROKE_LEVELS).astype(np.float32)
    return np.asarray(cv2.resize(strokes, (STROKE_COLUMNS, rows), interpolation=cv2.INTER_AREA), np.float32)


def is_believed(text: str, confidence: float, rules: TextRules) -> bool:
    """Whether a line is taken for text that is there."""
    letters = sum(c.isalnum() for c in text)
    least = rules.least_short_confidence if letters <= SHORT_LETTERS else rules.least_confidence
    return letters > 0 and confidence >= least


def largest(corners: npt.NDArray[np.float32], most: int) -> npt.NDArray[np.float32]:
    """At most `most` boxes, the largest by area, in the order in which they came."""
    if len(corners) <= most:
        return corners
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in map(_bounds, corners)]
    kept = sorted(range(len(areas)), key=lambda i: (-areas[i], i))[:most]
    return corners[sorted(kept)]


def is_same_text(one: str, other: str) -> bool:
    """Whether two readings are one text, read twice with small mistakes.

    Digits have to agree: "step 1 of 5" and "step 2 of 5" look alike and are not the same.
    """
    one, other = "".join(one.casefold().split()), "".join(other.casefold().split())
    if one == other:
        return True
    if [c for c in one if c.isdigit()] != [c for c in other if c.isdigit()]:
        return False
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= SAME_TEXT


def merge_readings(readings: Sequence[Reading], end_pts_ns: int) -> list[tuple[Reading, int, int]]:
    """Readings of one shot as stretches of one text each.

    Args:
        readings: In order of pts; each holds until the next.
        end_pts_ns: Where the shot ends.

    Returns:
        (best reading, first pts, end pts) of each stretch that has text. The best is the
        one of the highest confidence, the earlier of equal ones.
    """
    stretches: list[tuple[Reading, int, int]] = []
    ends = [*(later.pts_ns for later in readings[1:]), end_pts_ns]
    for reading, end in zip(readings, ends, strict=False):  # Without readings one end is left over.
        if (
            stretches
            and stretches[-1][2] == reading.pts_ns
            and is_same_text(stretches[-1][0].text, reading.text)
        ):
            best, first, _ = stretches[-1]
            if reading.confidence > best.confidence:
                best = reading
            stretches[-1] = (best, first, end)
        elif reading.lines:
            stretches.append((reading, reading.pts_ns, end))
    return stretches


def reading_order(corners: npt.NDArray[np.float32]) -> list[int]:
    """The order in which lines are read: rows from the top, each from the left.

    Boxes belong to one row if they overlap by half of the lower one's height. Columns of
    running text are read across; their lines are still whole.

    Args:
        corners: (N, 4, 2) pixels.
    """
    boxes = [_bounds(own) for own in corners]
    rows: list[list[int]] = []
    for index in sorted(range(len(boxes)), key=lambda i: (boxes[i][1], boxes[i][0])):
        _, top, _, bottom = boxes[index]
        for row in rows:
            _, row_top, _, row_bottom = boxes[row[0]]
            lower = min(bottom - top, row_bottom - row_top)
            if min(bottom, row_bottom) - max(top, row_top) >= lower / 2:
                row.append(index)
                break
        else:
            rows.append([index])
    return [index for row in rows for index in sorted(row, key=lambda i: boxes[i][0])]


def _patch(crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    import cv2
    import numpy as np

    grey = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, PATCH_PX, interpolation=cv2.INTER_AREA), np.int16)


def _is_same_line(known: _KnownLine, corners: npt.NDArray[np.float32], patch: npt.NDArray[np.int16]) -> bool:
    import numpy as np

    if _overlap(_bounds(known.corners), _bounds(corners)) < SAME_BOX:
        return False
    return float(np.mean(np.abs(known.patch - patch))) < PATCH_LEVELS


def _bounds(corners: npt.NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom."""
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return width * height / (areas - width * height)
