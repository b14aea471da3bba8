"""Where what a live source sends stands in the source: capture time at arrival, smooth between.

What arrives is late by a delay that changes, and its own timestamps run evenly but from anywhere. The
least delay that was met is what counts (as the playout delay of RTP receivers is estimated from the
fastest packets, Ramjee et al. 1994): a position is the timestamp plus an offset, chosen when a source is
opened such that the newest of what comes at once is of now.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.capture.decoding import NS_PER_S

AHEAD_NS = 300_000_000
"""A position this far beyond the present is waited for: a server sends faster than time goes."""
LEAP_NS = 10 * NS_PER_S
"""Timestamps that go by this much more or less than time are of another clock."""
BACK_NS = NS_PER_S
"""So are those that go back by more than pictures are reordered."""
DRIFT_NS = 500_000_000
"""A lag that never was less than this, and never reached `LOAD_NS`, is a slower clock."""
LOAD_NS = NS_PER_S
WINDOW_NS = 30 * NS_PER_S
"""How long the least lag is looked for."""


@dataclass(slots=True)
class LiveClock:
    """The clock of one opening of a source. Positions and arrivals are ns since the source began.

    Attributes:
        offset_ns: Position minus timestamp; None until it is anchored.
        lag_ns: How far the last position was behind its arrival.
    """

    offset_ns: int | None = None
    lag_ns: int = 0
    _last_ns: dict[int, int] = field(default_factory=dict)
    _window_ns: int = 0
    _least_lag_ns: int = LOAD_NS

    def anchor(self, media_ns: int, arrival_ns: int) -> None:
        """Says that what bears this timestamp is of that moment."""
        self.offset_ns = arrival_ns - media_ns
        self._last_ns.clear()
        self._window_ns, self._least_lag_ns = arrival_ns, LOAD_NS

    def is_leap(self, track: int, media_ns: int, arrival_ns: int) -> bool:
        """Whether a timestamp does not follow those before it, so that the clock must be anchored anew."""
        if self.offset_ns is None:
            return True
        last_ns = self._last_ns.get(track)
        if last_ns is not None and media_ns < last_ns - BACK_NS:
            return True
        return media_ns + self.offset_ns > arrival_ns + LEAP_NS

    def place(self, track: int, media_ns: int, arrival_ns: int) -> int:
        """The position of a timestamp. It must be anchored."""
        assert self.offset_ns is not None  # noqa: S101 - `is_leap` says so
        self._last_ns[track] = max(media_ns, self._last_ns.get(track, media_ns))
        self.lag_ns = arrival_ns - media_ns - self.offset_ns
        self._least_lag_ns = min(self._least_lag_ns, self.lag_ns)
        if arrival_ns - self._window_ns >= WINDOW_NS:
            if DRIFT_NS <= self._least_lag_ns < LOAD_NS:
                self.offset_ns += self._least_lag_ns
            self._window_ns, self._least_lag_ns = arrival_ns, LOAD_NS
        return media_ns + self.offset_ns


@dataclass(slots=True)
class Burst:
    """What comes at once when a source is opened: over when it has not gained on time for a while."""

    settle_ns: int = 150_000_000
    gain_ns: int = 20_000_000
    most: int = 4000
    newest_ns: int | None = None
    arrival_ns: int = 0
    _grew_ns: int | None = None
    _n: int = 0

    def take(self, media_ns: int | None, arrival_ns: int) -> bool:
        """Takes the timestamp of the next packet; whether more of the burst may follow."""
        self._n += 1
        if self._grew_ns is None:
            self._grew_ns = arrival_ns
        if media_ns is not None:
            ahead_ns = (
                None
                if self.newest_ns is None
                else (media_ns - self.newest_ns) - (arrival_ns - self.arrival_ns)
            )
            if ahead_ns is None or ahead_ns > 0:
                self.newest_ns, self.arrival_ns = media_ns, arrival_ns
            if ahead_ns is not None and ahead_ns > self.gain_ns:
                self._grew_ns = arrival_ns
        return self._n < self.most and arrival_ns - self._grew_ns < self.settle_ns
