"""Credit instead of high-water marks: the receiver says how much may come.

ZeroMQ's own high-water mark on PUB keeps the oldest and drops the newest, silently;
a live camera needs the reverse, an archive needs nothing dropped at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class CreditGate:
    """The sender's side: may another item go out?

    A grant of an epoch not met before replaces all that is left of earlier ones; grants of
    those are ignored, so a message delayed across a restart cannot add credit. Epochs are
    random numbers: which are past is remembered, one per restart of the receiver.
    """

    stream_epoch: int = 0
    left: int = 0
    past_epochs: set[int] = field(default_factory=set)

    def grant(self, stream_epoch: int, n: int) -> bool:
        """Takes a grant; True if it opened an epoch that was not known before."""
        if n < 0:
            raise ValueError("credit cannot be negative")
        if stream_epoch in self.past_epochs:
            return False
        if stream_epoch == self.stream_epoch:
            self.left += n
            return False
        self.past_epochs.add(self.stream_epoch)
        self.stream_epoch = stream_epoch
        self.left = n
        return True

    def spend(self) -> bool:
        """Takes one credit for one item; False, and nothing taken, if there is none."""
        if self.left <= 0:
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class CreditWindow:
    """The receiver's side: how much to grant so that at most `size` items are on the way or in hand.

    `granted - taken` never exceeds `size`. Grants are made in lumps of at least
    `size // 2` so that credit does not cost a message per item.
    """

    size: int
    granted: int = 0
    consumed: int = 0

    def consume(self, n: int = 1) -> None:
        """Notes that `n` received items are done with."""
        self.consumed += n
        if self.consumed > self.granted:
            raise ValueError("more was consumed than was ever granted")

    def due(self) -> int:
        """How much to grant now; 0 while it is not worth a message."""
        room = self.size - (self.granted - self.consumed)
        if room < max(1, self.size // 2):
            return 0
        self.granted += room
        return room
