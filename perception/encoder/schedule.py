"""Whose turn it is: questions before bulk work, and bulk work in short slices.

There is one compute thread, and a running network cannot be interrupted. So a question
waits for whatever slice is running, and slices of bulk work are cut by measured speed so
that they take a known time. Bulk requests take turns slice by slice: a batch of a
thousand texts does not keep the live camera's picture waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stream.errors import RoleUnavailable, TooLarge

Kind = Literal["text", "image", "image_text"]
LaneName = Literal["question", "bulk"]

FIRST_GUESS_S: dict[Kind, float] = {"text": 0.0002, "image": 0.05, "image_text": 0.0005}
"""Seconds per unit of cost before anything was measured; guessed slow, so that first slices are short."""

LEARNING_RATE = 0.3
"""Weight of the newest slice in the running mean of seconds per unit."""

TEXT_OVERHEAD_CHARS = 40
TEXT_MOST_CHARS = 1200
"""What a text costs, in characters: the network sees at most 256 tokens of it, and at least two."""


@dataclass(slots=True, eq=False)
class Work:
    """One request as the schedule sees it.

    `items` are texts or pictures; `deadline_ns` is UTC, 0 for none; `tag` is the caller's;
    `model` names a model of texts other than the configured one.
    """

    kind: Kind
    lane: LaneName
    items: Sequence[Any]
    n_bytes: int
    deadline_ns: int = 0
    tag: Any = None
    model: str = ""
    order: list[int] = field(init=False)
    taken: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        # Shortest first: texts of one slice then have similar lengths, and little is padded.
        self.order = sorted(range(len(self.items)), key=lambda row: (cost(self.kind, self.items[row]), row))

    @property
    def all_taken(self) -> bool:
        """Whether every item is in some slice."""
        return self.taken >= len(self.items)


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """What the compute thread does next: these rows of this work, at this estimated cost."""

    work: Work
    rows: tuple[int, ...]
    units: float

    @property
    def items(self) -> list[Any]:
        """The texts or pictures, in the order of `rows`."""
        return [self.work.items[row] for row in self.rows]


def cost(kind: Kind, item: Any) -> float:
    """What an item costs, in units: pictures count 1, texts by their length."""
    return 1.0 if kind == "image" else float(TEXT_OVERHEAD_CHARS + min(len(item), TEXT_MOST_CHARS))


class Schedule:
    """The two lanes.

    Args:
        slice_s: Seconds that a slice should take at most; a single item is never divided.
        most_requests: Requests that may wait in each lane.
        most_bytes: Bytes that may wait altogether.
    """

    def __init__(self, slice_s: float, most_requests: int, most_bytes: int) -> None:
        self._slice_s = slice_s
        self._most_requests = most_requests
        self._most_bytes = most_bytes
        self._lanes: dict[LaneName, deque[Work]] = {"question": deque(), "bulk": deque()}
        self._unit_s: dict[tuple[Kind, str], float] = {}
        self._bytes = 0
        self.expired = 0

    @property
    def waiting(self) -> int:
        """Requests of which something is still to be taken."""
        return sum(len(lane) for lane in self._lanes.values())

    def add(self, work: Work) -> None:
        """Queues a request.

        Raises:
            TooLarge: If it is larger than the queue would ever hold.
            RoleUnavailable: If there is no room now.
        """
        if work.n_bytes > self._most_bytes:
            raise TooLarge(
                f"{work.n_bytes} bytes to encode, {self._most_bytes} are allowed",
                remedy="send fewer or smaller items, or raise encoder.queue_bytes",
            )
        lane = self._lanes[work.lane]
        if len(lane) >= self._most_requests or self._bytes + work.n_bytes > self._most_bytes:
            raise RoleUnavailable(
                f"the encoder's {work.lane} lane is full ({len(lane)} requests, {self._bytes} bytes waiting)",
                remedy="try again in a moment",
            )
        self._bytes += work.n_bytes
        lane.append(work)

    def take(self, now_ns: int) -> Slice | None:
        """The next slice, or None if nothing waits. Requests past their deadline are dropped here."""
        for name in ("question", "bulk"):
            lane = self._lanes[name]
            while lane:
                work = lane.popleft()
                if work.deadline_ns and work.deadline_ns < now_ns:
                    self.expired += 1
                    self._bytes -= work.n_bytes
                    continue
                cut = self._cut(work)
                if work.all_taken:
                    self._bytes -= work.n_bytes
                else:
                    lane.append(work)
                return cut
        return None

    def drop(self, work: Work) -> None:
        """Forgets what is left of a request that failed."""
        lane = self._lanes[work.lane]
        if work in lane:
            lane.remove(work)
            self._bytes -= work.n_bytes

    def learn(self, done: Slice, seconds: float) -> None:
        """Notes how long a slice took."""
        measured = seconds / max(done.units, 1e-9)
        before = self._seconds_of(done.work)
        self._unit_s[done.work.kind, done.work.model] = before + LEARNING_RATE * (measured - before)

    def _seconds_of(self, work: Work) -> float:
        """Seconds per unit, of each model of texts by itself."""
        return self._unit_s.get((work.kind, work.model), FIRST_GUESS_S[work.kind])

    def _cut(self, work: Work) -> Slice:
        rows: list[int] = []
        units, unit_s = 0.0, self._seconds_of(work)
        for row, more in self._left(work):
            if rows and (units + more) * unit_s > self._slice_s:
                break
            rows.append(row)
            units += more
        work.taken += len(rows)
        return Slice(work, tuple(rows), units)

    @staticmethod
    def _left(work: Work) -> Iterator[tuple[int, float]]:
        return ((row, cost(work.kind, work.items[row])) for row in work.order[work.taken :])
