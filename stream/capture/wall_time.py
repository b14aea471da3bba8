"""Whether the times of a live session still hold.

The UTC time of its position 0 is taken once, and positions go by the monotonic clock, which stands still
while the machine sleeps and knows nothing of a wall clock that is set: after either, all times of the session
are wrong by as much until it ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.process.clock import Clock

MOVED_NS = 2_000_000_000
"""A smaller difference is none that anybody sees; a clock that is slewed changes both times alike."""
APART_NS = 50_000_000
"""Two times that were read further apart say nothing: the process was held up between them."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What came between the two times, and how long the machine slept."""

    reason: str
    slept_ns: int = 0


class WallTime:
    """Compares the wall time with the monotonic one, from now on.

    Args:
        clock: Of both.

    Attributes:
        offset_ns: The UTC time at which the monotonic one was 0.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asleep_ns = clock.asleep_ns()
        read = self._read()
        while read is None:
            read = self._read()
        self.offset_ns = read

    def moved(self) -> Moved | None:
        """Why the times that were taken at first are wrong now; None where they are not."""
        offset_ns = self._read()
        if offset_ns is None or abs(offset_ns - self.offset_ns) <= MOVED_NS:
            return None
        slept_ns = self._clock.asleep_ns() - self._asleep_ns
        return Moved("the machine slept", slept_ns) if slept_ns > MOVED_NS else Moved("the clock was set")

    def _read(self) -> int | None:
        before_ns = self._clock.monotonic_ns()
        offset_ns = self._clock.now_ns() - before_ns
        return offset_ns if self._clock.monotonic_ns() - before_ns <= APART_NS else None
