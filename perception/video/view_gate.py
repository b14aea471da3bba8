"""When a picture becomes a view.

A track has a view in a stretch of `spacing_ns` at most: the first frame of each such stretch, counted from
the start of the source, is one where it shows something that the last view of its shot did not, or where
that was long ago. What decides is the frame, the one before it (or the mark), and the shot: so a
run that resumes at a mark, which is the end of a shot, makes the same views.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perception.video.seen_text import PROXY_LEVELS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

OWN_NETWORK = "efficientnet-lite0"
"""What makes keys of places where nothing else is configured."""

USUAL_POINTS = 100
"""Points of a view: places are known by them as well as by twice as many (`python -m tools.eval_places`), and
points are most of what a view takes on disk."""


@dataclass(frozen=True, slots=True)
class ViewRules:
    """A view in `spacing_ns` at most, where `changed_share` of the picture changed, or after `still_ns`."""

    spacing_ns: int = 2_000_000_000
    still_ns: int = 60_000_000_000
    changed_share: float = 0.05


class ViewGate:
    """Whether a picture is a view: the state of one shot.

    Args:
        rules: As they are configured.
        before_pts_ns: Where the shot before ended; None if none did.
    """

    def __init__(self, rules: ViewRules, before_pts_ns: int | None = None) -> None:
        self._rules = rules
        self._before_ns = before_pts_ns
        self._shown: tuple[int, npt.NDArray[np.int16]] | None = None

    def wants(self, pts_ns: int, luma: npt.NDArray[np.int16]) -> bool:
        """Whether the next frame, with its proxy `luma`, is a view."""
        import numpy as np

        before_ns, self._before_ns = self._before_ns, pts_ns
        spacing_ns = self._rules.spacing_ns
        if before_ns is not None and before_ns // spacing_ns == pts_ns // spacing_ns:
            return False
        if self._shown is not None:
            shown_ns, shown = self._shown
            is_still = shown.shape == luma.shape and (
                float(np.mean(np.abs(luma - shown) > PROXY_LEVELS)) < self._rules.changed_share
            )
            if is_still and pts_ns - shown_ns < self._rules.still_ns:
                return False
        self._shown = (pts_ns, luma)
        return True
