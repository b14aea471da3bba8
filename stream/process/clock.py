"""Time: UTC for what is recorded, monotonic for what is waited for, simulated for tests."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What every wait and every timestamp goes through."""

    def now_ns(self) -> int:
        """UTC nanoseconds since 1970."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back; for intervals only."""
        ...

    def asleep_ns(self) -> int:
        """Nanoseconds that the machine has slept, in which the monotonic time stood still; for intervals."""
        ...

    def sleep_ns(self, duration_ns: int) -> None:
        """Returns when `duration_ns` have passed; at once if it is not positive."""
        ...


class RealClock:
    """The clock of the machine."""

    def now_ns(self) -> int:
        """UTC nanoseconds since 1970."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back."""
        return time.monotonic_ns()

    def asleep_ns(self) -> int:
        """Nanoseconds that the machine has slept."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()

    def sleep_ns(self, duration_ns: int) -> None:
        """Sleeps."""
        if duration_ns > 0:
            time.sleep(duration_ns / 1e9)


class SimulatedClock:
    """A clock that moves only when told, or when somebody sleeps on it.

    Args:
        start_ns: UTC nanoseconds at which it stands.
    """

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns
        self._monotonic_ns = 0
        self._asleep_ns = 0

    def now_ns(self) -> int:
        """UTC nanoseconds since 1970, as simulated."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Simulated nanoseconds since the clock was made."""
        return self._monotonic_ns

    def asleep_ns(self) -> int:
        """Simulated nanoseconds that the machine has slept."""
        return self._asleep_ns

    def sleep_ns(self, duration_ns: int) -> None:
        """Moves the clock on at once."""
        self.advance_ns(max(0, duration_ns))

    def advance_ns(self, duration_ns: int) -> None:
        """Moves both times on.

        Raises:
            ValueError: If `duration_ns` is negative; `step_ns` models a corrected wall clock.
        """
        if duration_ns < 0:
            raise ValueError("a clock cannot be advanced backwards")
        self._now_ns += duration_ns
        self._monotonic_ns += duration_ns

    def suspend_ns(self, duration_ns: int) -> None:
        """Moves the wall time on while the other stands still, as a machine that sleeps does."""
        self._now_ns += duration_ns
        self._asleep_ns += duration_ns

    def step_ns(self, by_ns: int) -> None:
        """Moves the wall time alone, as a correction of the machine's clock does."""
        self._now_ns += by_ns
