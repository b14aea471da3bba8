"""Ends long work where it can be taken up again, instead of wherever a signal met it."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Self


class StopSignal:
    """Notes SIGINT and SIGTERM; the second of them ends the process as ever."""

    def __init__(self) -> None:
        self.is_asked = False
        self._before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}

    def __enter__(self) -> Self:
        for one in self._before:
            signal.signal(one, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self.is_asked = True
        self._give_back()

    def _give_back(self) -> None:
        for one, taken in self._before.items():
            signal.signal(one, taken)
