"""Which of the views that are due is made next: each in its turn, and later after each failure."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

BUILDING_NS = 1_000_000_000
"""How often a child that makes a view is looked at: what it made is taken, and the next begun."""
FIRST_PAUSE_S = 120.0
"""After one failure; twice that after the next."""
LONGEST_PAUSE_S = 86_400.0


class Turns:
    """Turns of views, by name. Not thread-safe: for the background.

    Args:
        clock_s: A monotonic clock.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._started = 0
        self._last: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._not_before_s: dict[str, float] = {}

    def next_of(self, due: Sequence[str]) -> str | None:
        """The view whose turn it is: the one begun longest ago, or never; None where all have to wait."""
        now_s = self._clock_s()
        may = [view for view in due if now_s >= self._not_before_s.get(view, now_s)]
        return min(may, key=lambda view: self._last.get(view, 0), default=None)

    def begin(self, view: str) -> None:
        """Its making begins."""
        self._started += 1
        self._last[view] = self._started

    def end(self, view: str, *, made: bool) -> None:
        """Its making has ended: a view that was not made waits, twice as long each time."""
        if made:
            self._failed.pop(view, None)
            self._not_before_s.pop(view, None)
            return
        failed = self._failed[view] = self._failed.get(view, 0) + 1
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(failed - 1, 30), LONGEST_PAUSE_S)
        self._not_before_s[view] = self._clock_s() + pause_s
