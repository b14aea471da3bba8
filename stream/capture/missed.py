"""What a live track missed: stretches with their reasons, told in order, and while they go on.

An observation is never changed, so a stretch whose end is not known yet is told in pieces that double
in length: what is asked meanwhile knows of it, and a night in which a camera was off makes a dozen pieces.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

NS_PER_S = 1_000_000_000
FIRST_PIECE_NS = 5 * NS_PER_S
LONGEST_PIECE_NS = 3600 * NS_PER_S
LEAST_NS = 500_000_000
"""A shorter stretch is not told: no more was missed than between two pictures."""
MOST_WAITING = 256


@dataclass(frozen=True, slots=True)
class Missed:
    """A stretch of a track that will never come; `state` is what the track is doing meanwhile."""

    pts0_ns: int
    pts1_ns: int
    reason: str
    state: str = "lost"


class MissedStretches:
    """Those of one track. Told from the reader's thread and from the loop, taken by the loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Missed] = deque()
        self._open: tuple[str, str] | None = None
        self._from_ns = 0
        self._piece_ns = FIRST_PIECE_NS
        self.n = 0

    @property
    def told_ns(self) -> int:
        """Up to where something was told: what comes of before is too late."""
        with self._lock:
            return self._from_ns

    def begin(self, end_ns: int, reason: str, state: str, now_ns: int) -> None:
        """Nothing more comes after `end_ns`. With another reason while one goes on, that one ends now."""
        with self._lock:
            if self._open == (reason, state) or (self._open is not None and self._open[1] == state == "lost"):
                return  # Why it was lost first is what people want to know.
            if self._open is not None:
                self._tell(now_ns, LEAST_NS)
            else:
                self._from_ns = max(self._from_ns, end_ns)
                self._piece_ns = FIRST_PIECE_NS
            self._open = (reason, state)

    def go_on(self, now_ns: int) -> None:
        """It still goes on: tells a piece where one is due."""
        with self._lock:
            if self._open is not None and self._tell(now_ns, self._piece_ns):
                self._piece_ns = min(LONGEST_PIECE_NS, 2 * self._piece_ns)

    def end(self, at_ns: int) -> None:
        """Something came again."""
        with self._lock:
            if self._open is not None:
                self._tell(at_ns, LEAST_NS)
                self._open = None

    def add(self, missed: Missed) -> None:
        """A stretch whose end is known already."""
        with self._lock:
            self._put(missed)

    def waiting(self) -> list[Missed]:
        """What is to be told, in order; taken."""
        with self._lock:
            told = list(self._waiting)
            self._waiting.clear()
            return told

    def give_back(self, missed: list[Missed]) -> None:
        """What cannot be told yet."""
        with self._lock:
            self._waiting.extendleft(reversed(missed))

    def _tell(self, until_ns: int, least_ns: int) -> bool:
        if self._open is None or until_ns - self._from_ns < least_ns:
            return False
        reason, state = self._open
        self._put(Missed(self._from_ns, until_ns, reason, state))
        self._from_ns = until_ns
        return True

    def _put(self, missed: Missed) -> None:
        last = self._waiting[-1] if self._waiting else None
        if last is not None and (last.reason, last.pts1_ns) == (missed.reason, missed.pts0_ns):
            self._waiting[-1] = Missed(last.pts0_ns, missed.pts1_ns, missed.reason, missed.state)
            return
        self.n += 1
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(missed)
