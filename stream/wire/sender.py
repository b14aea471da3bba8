"""Envelopes for one sender: message ids, and a sequence number per topic."""

from __future__ import annotations

from collections import defaultdict

from stream.messages.envelope import Envelope, Message, new_id
from stream.process.clock import Clock


class Sender:
    """Stamps outgoing messages. One per socket; not thread-safe, as its socket is not.

    Args:
        name: Who is sending, e.g. `video-4711`.
        clock: Source of `published_ns`.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._sequences: dict[str, int] = defaultdict(int)

    def deadline_ns(self, timeout_s: float) -> int:
        """UTC nanoseconds at which a request sent now is no longer waited for."""
        return self._clock.now_ns() + int(timeout_s * 1e9)

    def envelope(
        self, message: Message, *, trace_id: bytes = b"", deadline_ns: int = 0, reply_to: bytes = b""
    ) -> Envelope:
        """A fresh envelope for `message`, with the next `seq` of its topic."""
        seq = self._sequences[message.TOPIC]
        self._sequences[message.TOPIC] = seq + 1
        return Envelope(
            message_id=new_id(),
            sender=self.name,
            seq=seq,
            published_ns=self._clock.now_ns(),
            trace_id=trace_id,
            deadline_ns=deadline_ns,
            reply_to=reply_to,
        )
