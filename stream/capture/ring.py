"""The ring between a reader's thread and the loop that sends: bounded, and exact in its accounts.

At every moment `read == sent + dropped + waiting`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, Self, TypeVar

Overflow = Literal["wait", "oldest", "newest"]
"""What gives way when a ring is full: the reader (nothing is ever lost), the item that has
waited longest (pictures of a live source: the newest counts), or, once the reader has
waited for a while, the new item (sound of a live source: what is said goes on)."""


class RingItem(Protocol):
    """What a ring holds."""

    @property
    def n_bytes(self) -> int:
        """What it weighs."""
        ...

    def absorb(self, lost: Self) -> Self:
        """This item, telling in its place of an earlier one that was dropped."""
        ...


I = TypeVar("I", bound=RingItem)  # noqa: E741 - an item


@dataclass(frozen=True, slots=True)
class RingCounts:
    """The accounts of a ring since it was made."""

    read: int = 0
    sent: int = 0
    dropped: int = 0
    waiting: int = 0
    waiting_bytes: int = 0


class Ring(Generic[I]):
    """A bounded queue of one track's items, for one reader and one sender.

    An item larger than `max_bytes` is let into an empty ring, or it would never pass.

    Args:
        overflow: What gives way when it is full.
        max_items: Bound on items.
        max_bytes: Bound on their bytes.
        wait_s: With `newest`: how long a full ring holds the reader before it drops.
        arrived: Called in the reader's thread after an item came in.
    """

    def __init__(
        self,
        overflow: Overflow,
        max_items: int,
        max_bytes: int,
        wait_s: float = 0.0,
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        if max_items < 1 or max_bytes < 1:
            raise ValueError("a ring holds at least one item")
        self._overflow = overflow
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._wait_s = wait_s
        self._arrived = arrived
        self._room = threading.Condition()
        self._items: deque[I] = deque()
        self._bytes = 0
        self._read = self._sent = self._dropped = 0
        self._lost: I | None = None
        self._overflowing = False
        self._closed = False

    def put(self, item: I) -> bool:
        """Takes an item from the reader; False if the ring was closed and took nothing."""
        with self._room:
            self._wait_for_room(item)
            if self._closed:
                return False
            self._read += 1
            if self._overflow == "newest" and not self._has_room(item):
                self._overflowing = True
                self._drop(item)
                return True
            self._overflowing = False
            while self._overflow == "oldest" and not self._has_room(item):
                oldest = self._items.popleft()
                self._bytes -= oldest.n_bytes
                self._drop(oldest)
                self._hand_on_lost()
            if self._lost is not None:
                item = item.absorb(self._lost)
                self._lost = None
            self._items.append(item)
            self._bytes += item.n_bytes
        self._arrived()
        return True

    def take(self) -> I | None:
        """The item that has waited longest, or None; it counts as sent."""
        with self._room:
            if not self._items:
                return None
            item = self._items.popleft()
            self._bytes -= item.n_bytes
            self._sent += 1
            self._room.notify()
            return item

    def take_lost(self) -> I | None:
        """What was dropped after the last item that came in: nothing follows to tell of it."""
        with self._room:
            lost, self._lost = self._lost, None
            return lost

    def discard(self) -> None:
        """Drops what waits, counted: nobody will take it."""
        with self._room:
            for item in self._items:
                self._drop(item)
            self._items.clear()
            self._bytes = 0

    def close(self) -> None:
        """Wakes a waiting reader and takes nothing more; what waits may still be taken."""
        with self._room:
            self._closed = True
            self._room.notify_all()

    def counts(self) -> RingCounts:
        """The accounts at this moment."""
        with self._room:
            return RingCounts(self._read, self._sent, self._dropped, len(self._items), self._bytes)

    def _has_room(self, item: I) -> bool:
        if not self._items:
            return True
        return len(self._items) < self._max_items and self._bytes + item.n_bytes <= self._max_bytes

    def _wait_for_room(self, item: I) -> None:
        if self._overflow == "wait":
            self._room.wait_for(lambda: self._closed or self._has_room(item))
        elif self._overflow == "newest" and not self._overflowing:
            # One wait per overflow: waiting anew for each item would leave real time behind.
            self._room.wait_for(lambda: self._closed or self._has_room(item), timeout=self._wait_s)

    def _drop(self, item: I) -> None:
        self._dropped += 1
        self._lost = item if self._lost is None else item.absorb(self._lost)

    def _hand_on_lost(self) -> None:
        """Lets the item that now is the oldest tell of the one dropped before it."""
        if self._items and self._lost is not None:
            self._items[0] = self._items[0].absorb(self._lost)
            self._lost = None
