"""How often a live source is looked at, when perception or this machine cannot keep up.

Half as often as soon as pictures are dropped or lag behind; twice as often again only after it has
been calm for a while, so that it does not swing. Sound is never slowed.
"""

from __future__ import annotations

from dataclasses import dataclass

NS_PER_S = 1_000_000_000
HALVE_NS = 2 * NS_PER_S
"""Between two halvings: what the last one does must show first."""


@dataclass(slots=True)
class Pace:
    """The divisor of the wanted rate of one track.

    Args:
        behind_ns: Lag from which on it is too fast.
        calm_ns: How long neither lag nor drops must be met before it is faster again.
        most: Largest divisor, a power of two.
    """

    behind_ns: int
    calm_ns: int
    most: int = 16
    divisor: int = 1
    slowed: int = 0
    _dropped: int = 0
    _halved_ns: int | None = None
    _calm_since_ns: int | None = None

    def look(self, now_ns: int, dropped: int, lag_ns: int) -> int:
        """The divisor that holds from now on.

        Args:
            now_ns: Monotonic.
            dropped: Pictures that were dropped since the track began.
            lag_ns: How far what is sent is behind the present.
        """
        is_dropping, self._dropped = dropped > self._dropped, dropped
        if is_dropping or lag_ns > self.behind_ns:
            self._calm_since_ns = None
            may_halve = self._halved_ns is None or now_ns - self._halved_ns >= HALVE_NS
            if may_halve and self.divisor < self.most:
                self.divisor *= 2
                self.slowed += 1
                self._halved_ns = now_ns
        elif lag_ns > self.behind_ns // 2:
            self._calm_since_ns = None
        elif self._calm_since_ns is None:
            self._calm_since_ns = now_ns
        elif self.divisor > 1 and now_ns - self._calm_since_ns >= self.calm_ns:
            self.divisor //= 2
            self._calm_since_ns = now_ns
        return self.divisor


@dataclass(slots=True)
class Backoff:
    """The wait before a lost source is opened again: doubles, and is short again after steady media."""

    first_ns: int
    most_ns: int
    wait_ns: int = 0

    def next(self) -> int:
        """The wait, from now."""
        self.wait_ns = min(self.most_ns, self.wait_ns * 2 or self.first_ns)
        return self.wait_ns

    def steady(self) -> None:
        """It went well for a while."""
        self.wait_ns = 0
