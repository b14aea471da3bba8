"""Events that end where the place changes, told by the views around a position alone.

The map of places learns, and owners merge: what it says of a moment may change years later, and no boundary
may. So a change of place is told here by the views just before and just behind, and by nothing else: what
they have in common on either side, and not across.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from memory.spans.notes import Note
from memory.spans.segment import Outline, ShotSegmenter, Stretch
from memory.spans.tiles import tiled

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

VIEWS = 3
"""Views on either side; two seconds apart, they are of one place unless one hurries through."""


def change_at(views: Sequence[Note], place: int) -> float:
    """How far views before one are from it and those behind, 0 to 1, beyond how far each side is in itself.

    Args:
        views: Notes of kind `view` with their keys, in order of time.
        place: Of the first view behind the position, at least 1.
    """
    before, behind = views[max(0, place - VIEWS) : place], views[place : place + VIEWS]
    across = [1 - _cosine(a, b) for a in before for b in behind]
    within = [1 - _cosine(a, b) for side in (before, behind) for a, b in pairwise(side)]
    apart = sum(across) / len(across)
    usual = sum(within) / len(within) if within else 0.0
    return max(0.0, (apart - usual) / max(apart, 1e-6))


def settled(views: Sequence[Note], *, eof: bool) -> int:
    """Up to which position in ns no view that is still to come says anything of a change of place.

    The neighbours of a position must be settled too, for it to be the plainest of them.
    """
    if eof:
        return 2**62
    return views[-2 * VIEWS - 1].pts0_ns if len(views) > 2 * VIEWS else -(2**62)


def changes(views: Sequence[Note], settled_ns: int, least: float) -> list[int]:
    """Positions at which the place changes, in ns: where that is plainest of those nearby.

    Args:
        views: As `change_at`, those with a key.
        settled_ns: As `settled` gives it.
        least: Of `change_at`.
    """
    sizes = [0.0] + [change_at(views, place) for place in range(1, len(views))]
    found = []
    for place in range(1, len(views)):
        near = sizes[max(1, place - VIEWS) : place + VIEWS + 1]
        is_first = sizes.index(max(near), max(1, place - VIEWS)) == place
        if sizes[place] >= least and is_first and views[place].pts0_ns <= settled_ns:
            found.append(views[place].pts0_ns)
    return found


def _cosine(one: Note, other: Note) -> float:
    a: npt.NDArray[np.float32] | None = one.vector
    b: npt.NDArray[np.float32] | None = other.vector
    return float(a @ b) if a is not None and b is not None and a.shape == b.shape else 0.0


@dataclass(frozen=True, slots=True)
class PlaceSegmenter:
    """Events between changes of place; a source without views is cut as `others` does.

    Args:
        least: Of a change, 0 to 1.
        others: For sources without views; its lengths hold here too.
    """

    least: float
    others: ShotSegmenter
    reads_notes: ClassVar[bool] = True

    @property
    def segmenter_id(self) -> str:
        """Names the strategy and what it was set to."""
        return f"place/{self.least:g};{self.others.segmenter_id}"

    def closed(self, outline: Outline) -> list[Stretch]:
        """As `Segmenter.closed`."""
        views = [note for note in outline.notes if note.kind == "view" and note.vector is not None]
        if not outline.has_picture or not views or (outline.eof and outline.through_ns <= outline.start_ns):
            return self.others.closed(outline)
        settled_ns = min(outline.through_ns, settled(views, eof=outline.eof))
        cuts = [(at_ns, "place") for at_ns in changes(views, settled_ns, self.least)]
        return tiled(outline, cuts, settled_ns, self.others.min_ns, self.others.max_ns)
