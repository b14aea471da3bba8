"""One live page as the gateway sees it: what waits to be sent to it, and in which order.

Words (answers, transcripts, alerts) are never lost: a page that takes too few of them is closed, and may
come back. Of states only the newest is kept, so a slow page sees fewer of them.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from stream.errors import OmniRecallError
from stream.gateway.access import Identity

MOST_WORDS = 1_024
MOST_BYTES = 4 << 20
"""Words and their bytes that may wait for a page."""
TOO_SLOW = 1013
GOING_AWAY = 1001
SIGNED_OUT = 4401
"""For a page whose session or token counts no more; it goes to the sign-in."""


class Page:
    """One connection.

    Args:
        identity: Whose page it is.
        dialogue: Name of the dialogue that its questions are of.
        send: Sends a text to the browser; waits while it takes none.
        stands: Whether what identified it still counts.
    """

    def __init__(
        self,
        identity: Identity,
        dialogue: str,
        send: Callable[[str], Awaitable[None]],
        stands: Callable[[], bool] = lambda: True,
    ) -> None:
        self.identity = identity
        self.dialogue = dialogue
        self.sources: set[str] = set()
        self.epoch = 0
        self.lost_states = 0
        self._send = send
        self._stands = stands
        # Texts, each with the epoch of the answer that it is a word of, if it is one.
        self._words: deque[tuple[str, int | None]] = deque()
        self._bytes = 0
        self._states: dict[str, str] = {}
        self._wake = asyncio.Event()
        self.ends: tuple[int, str] | None = None

    @property
    def is_owner(self) -> bool:
        """Whether the owner is in front of it."""
        return self.identity == "owner"

    @property
    def is_signed_out(self) -> bool:
        """Whether it was ended since nobody knows any more whose it is."""
        return self.ends is not None and self.ends[0] == SIGNED_OUT

    def check(self) -> None:
        """Ends it where what identified it counts no more, or cannot be looked at."""
        try:
            stands = self._stands()
        except (OmniRecallError, OSError):
            stands = False
        if not stands:
            self.end(SIGNED_OUT, "signed out, or the token was made anew")

    def tell(self, told: Mapping[str, Any]) -> None:
        """Queues words; `advance` takes those of a turn out again that was cancelled meanwhile."""
        text = json.dumps(told)
        self._words.append((text, told.get("epoch") if told.get("type") == "token" else None))
        self._bytes += len(text)
        if len(self._words) > MOST_WORDS or self._bytes > MOST_BYTES:
            self.end(TOO_SLOW, "this page takes too little of what it is told")
        self._wake.set()

    def tell_state(self, told: Mapping[str, Any]) -> None:
        """Queues a state, in place of the last one of its type if that has not been sent."""
        kind = str(told["type"])
        self.lost_states += kind in self._states
        self._states[kind] = json.dumps(told)
        self._wake.set()

    def advance(self, epoch: int) -> None:
        """Drops what waits of answers of earlier epochs."""
        if epoch <= self.epoch:
            return
        self.epoch = epoch
        self._words = deque(one for one in self._words if one[1] is None or one[1] >= epoch)
        self._bytes = sum(len(text) for text, _ in self._words)

    def end(self, code: int, reason: str) -> None:
        """Has the connection closed, at once."""
        if self.ends is None:
            self.ends = (code, reason)
        self._wake.set()

    async def send_all(self) -> tuple[int, str]:
        """Sends what is queued, as it comes; ends with why the connection is to be closed."""
        while self.ends is None:
            if self._words:
                text, _ = self._words.popleft()
                self._bytes -= len(text)
            elif self._states:
                text = self._states.pop(next(iter(self._states)))
            else:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._send(text)
        if self.ends[0] == GOING_AWAY:
            while self._words:  # What was answered is told to its end.
                await self._send(self._words.popleft()[0])
        return self.ends
