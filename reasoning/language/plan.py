"""The context plan: whose prompt the language model reads next, so that what it holds is of use again.

Reading a prompt is most of what a small model does on a CPU, and of a prompt that begins as the last
one did only the rest is read (llama.cpp's and vLLM's prefix caches). So prompts are laid out with what
stays first, and of the requests that wait, the one that shares most of its beginning with the last goes
next: the order of BatchLLM (arXiv 2412.03594), whose tree of prefixes is walked one group after the
other. None waits for that beyond its deadline, and no group keeps the others away for longer than a slice.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile

from reasoning.language.model import LOOK_S, ChatMessage, Limits
from stream.errors import DeadlineExceeded

REMEMBERED_TURNS = 8
"""Turns of which the longest tells how long one may take."""
LEAST_S = 0.25
"""Seconds in which no model writes a sentence: a turn that comes so late is none."""
URGENT_TURNS = 2.0
"""A request goes before all prefixes when it has no time for so many turns: its own and one before it."""


class NoTurn(DeadlineExceeded):
    """The model was never this request's."""


@dataclass(eq=False)
class _Waiting:
    prefix: str
    ends_at_s: float
    since_s: float
    is_called: threading.Event = field(default_factory=threading.Event)


class ContextPlan:
    """Gives a model to one request after the other.

    Args:
        at_once: Requests that have the model at the same time.
        slice_s: Seconds after which another prefix has its turn, if one waits.
        is_grouped: Whether prefixes count at all; else who came first goes first.
        now_s: Monotonic seconds.
    """

    def __init__(
        self,
        at_once: int = 1,
        slice_s: float = 10.0,
        *,
        is_grouped: bool = True,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free = at_once
        self._slice_s, self._is_grouped, self._now_s = slice_s, is_grouped, now_s
        self._waiting: list[_Waiting] = []
        self._lock = threading.Lock()
        self._last = ""
        self._group_since_s = float("-inf")
        self._turns_s: deque[float] = deque(maxlen=REMEMBERED_TURNS)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        with self._lock:
            return len(self._waiting)

    @contextmanager
    def turn(self, messages: Sequence[ChatMessage], limits: Limits) -> Iterator[None]:
        """Waits until the model is this request's, and has it until the block ends.

        Raises:
            NoTurn: If its deadline came first.
            Cancelled: If it was withdrawn.
        """
        mine = _Waiting(prefix_of(messages), limits.ends_at_s, self._now_s())
        with self._lock:
            self._waiting.append(mine)
            self._call_next()
        try:
            while not mine.is_called.wait(max(0.001, min(LOOK_S, limits.left_s))):
                limits.check()
        except DeadlineExceeded as error:
            self._leave(mine)
            raise NoTurn("the language model was busy with other questions until the deadline") from error
        except BaseException:
            self._leave(mine)
            raise
        began_s = self._now_s()
        if limits.left_s < LEAST_S:
            self._leave(mine)
            raise NoTurn("the language model was busy with other questions until the deadline")
        try:
            yield
        finally:
            with self._lock:
                self._turns_s.append(self._now_s() - began_s)
                self._free += 1
                self._call_next()

    def _leave(self, mine: _Waiting) -> None:
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return
            # It was called in the very moment in which it left.
            self._free += 1
            self._call_next()

    def _call_next(self) -> None:
        while self._free and self._waiting:
            chosen = self._chosen()
            self._waiting.remove(chosen)
            now_s = self._now_s()
            if chosen.prefix != self._last or now_s - self._group_since_s >= self._slice_s:
                self._last, self._group_since_s = chosen.prefix, now_s
            self._free -= 1
            chosen.is_called.set()

    def _chosen(self) -> _Waiting:
        if not self._is_grouped:
            return min(self._waiting, key=lambda one: one.since_s)
        now_s = self._now_s()
        urgent_s = URGENT_TURNS * max(self._turns_s, default=0.0)
        urgent = [one for one in self._waiting if one.ends_at_s - now_s < urgent_s]
        if urgent:
            return min(urgent, key=lambda one: one.ends_at_s)
        others = [one for one in self._waiting if one.prefix != self._last]
        if others and now_s - self._group_since_s >= self._slice_s:
            return min(others, key=lambda one: one.ends_at_s)
        return min(self._waiting, key=lambda one: (-shared_chars(one.prefix, self._last), one.since_s))


def prefix_of(messages: Sequence[ChatMessage]) -> str:
    """The part of a prompt that other prompts over the same context have too."""
    return "\n".join(one.text[: one.stable_chars or None] for one in messages)


def shared_chars(one: str, other: str) -> int:
    """How many characters two prompts have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
