"""What the payload of a view holds: how much a picture says of its place, and points to check it by.

A view is an observation of kind `view` with one key of kind `place`. Points travel as bytes: their
corners as little-endian uint16 in 1/65535 of the picture's width and height, (n, 2), and what surrounds
them as uint8, (n, D), D = 128 for RootSIFT.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from stream.errors import Malformed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

VIEW = "view"
"""Kind of the observation."""
PLACE_KEY = "place"
"""Kind of its key."""
XY_SCALE = 65_535
"""What the width and the height of a picture are in the coordinates of points."""
MOST_POINTS = 200
"""Points of one view: with 128 bytes each, and 4 for where they are, half of what one value may have."""


class PlaceView(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of a view.

    `quality` is 0 for a picture that says nothing of where it was taken (dark, blurred, blank), 1 for one
    that says as much as it can. `xy` are the points, `descriptors` their surroundings, `depth` bytes each;
    all are empty where points are switched off, or none were found.
    """

    quality: float
    xy: bytes = b""
    descriptors: bytes = b""
    depth: int = 128

    def payload(self) -> dict[str, object]:
        """As the payload of an observation."""
        told: dict[str, object] = msgspec.to_builtins(self, builtin_types=(bytes,))
        return told

    def points(self) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
        """The points (n, 2) uint16 and their surroundings (n, depth) uint8; n is 0 where there are none."""
        import numpy as np

        xy = np.frombuffer(self.xy, "<u2").astype(np.uint16).reshape(-1, 2)
        return xy, np.frombuffer(self.descriptors, np.uint8).reshape(len(xy), self.depth)


def place_view(payload: Mapping[str, object]) -> PlaceView:
    """The payload of a view as it was committed.

    Raises:
        Malformed: If it is none: a field is missing or of another type, or points and surroundings differ in
            number.
    """
    try:
        view = msgspec.convert(payload, PlaceView, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise Malformed(f"not the payload of a view: {error}", remedy="commit the PlaceView's own") from error
    count, rest = divmod(len(view.xy), 4)
    fits = view.depth > 0 and len(view.descriptors) == count * view.depth
    if rest or not fits or count > MOST_POINTS or not 0 <= view.quality <= 1:
        raise Malformed(
            f"a view of quality {view.quality} with {len(view.xy)} bytes of points and "
            f"{len(view.descriptors)} of their surroundings, {view.depth} each",
            remedy=f"send 4 bytes and `depth` bytes for each of at most {MOST_POINTS} points, quality 0 to 1",
        )
    return view
