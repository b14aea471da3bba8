"""The two sockets of a loop: `Listener` (ROUTER, bound) and `Peer` (DEALER, connected)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import zmq

from stream.errors import DeadlineExceeded, OmniRecallError, WireError
from stream.messages.control import ErrorReply
from stream.messages.envelope import Envelope, Message
from stream.wire.codec import Decoded, decode, encode
from stream.wire.endpoints import ipc_address, open_socket
from stream.wire.parts import OutPart
from stream.wire.sender import Sender

LINGER_MS = 500

Answered: TypeAlias = Callable[[Decoded], None]
Failed: TypeAlias = Callable[[OmniRecallError], None]


@dataclass(frozen=True, slots=True)
class PeerKey:
    """Who sent a message to a listener: hashable, and enough to write to them later."""

    endpoint: str
    identity: bytes


class Rejections:
    """Counts messages that were refused, by the name of the error."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def note(self, error: WireError) -> None:
        """Counts one."""
        name = type(error).__name__
        self.counts[name] = self.counts.get(name, 0) + 1


class Listener:
    """A bound ROUTER socket: many peers, each known by its identity."""

    def __init__(self, run_dir: Path, endpoint: str, sender: Sender, rejections: Rejections) -> None:
        self.endpoint = endpoint
        self._sender = sender
        self._rejections = rejections
        self.socket = open_socket(zmq.ROUTER, linger_ms=LINGER_MS, queue=0)
        self.socket.bind(ipc_address(run_dir, endpoint))

    def receive(self, limit: int) -> Iterator[tuple[PeerKey, Decoded]]:
        """Up to `limit` messages that have arrived; refused ones are counted and skipped."""
        for _ in range(limit):
            if not self.socket.poll(0):
                return
            identity, *frames = self.socket.recv_multipart(copy=True)
            try:
                yield PeerKey(self.endpoint, identity), decode(frames)
            except WireError as error:
                self._rejections.note(error)

    def send(
        self,
        peer: PeerKey,
        message: Message,
        parts: Sequence[OutPart] = (),
        *,
        reply_to: bytes = b"",
        trace_id: bytes = b"",
    ) -> None:
        """Sends to one peer; dropped silently if it has gone, which is why work is acknowledged."""
        envelope = self._sender.envelope(message, reply_to=reply_to, trace_id=trace_id)
        self.socket.send_multipart([peer.identity, *encode(message, envelope, parts)])

    def close(self) -> None:
        """Closes the socket after what was sent has left."""
        self.socket.close()


@dataclass(slots=True)
class _Question:
    answered: Answered
    failed: Failed
    ends_at_ns: int
    topic: str


class Peer:
    """A connected DEALER socket: one listener, found again by ZeroMQ after it restarts."""

    def __init__(self, run_dir: Path, endpoint: str, sender: Sender, rejections: Rejections) -> None:
        self.endpoint = endpoint
        self._sender = sender
        self._rejections = rejections
        self._questions: dict[bytes, _Question] = {}
        self.socket = open_socket(zmq.DEALER, linger_ms=LINGER_MS, queue=0)
        self.socket.connect(ipc_address(run_dir, endpoint))

    def send(
        self,
        message: Message,
        parts: Sequence[OutPart] = (),
        *,
        trace_id: bytes = b"",
        deadline_ns: int = 0,
    ) -> Envelope:
        """Sends; queued while the listener is away. Returns the envelope that it went out with."""
        envelope = self._sender.envelope(message, trace_id=trace_id, deadline_ns=deadline_ns)
        self.socket.send_multipart(encode(message, envelope, parts))
        return envelope

    def ask(
        self,
        message: Message,
        answered: Answered,
        failed: Failed,
        *,
        now_ns: int,
        timeout_s: float,
        parts: Sequence[OutPart] = (),
        trace_id: bytes = b"",
    ) -> None:
        """Sends a request; exactly one of the callbacks is called later, in the loop.

        Args:
            message: The request.
            answered: Takes the reply.
            failed: Takes DeadlineExceeded, or the error that the other side named.
            now_ns: Monotonic nanoseconds now.
            timeout_s: How long to wait.
            parts: Binary parts of the request.
            trace_id: Of what the request is made for.
        """
        deadline_ns = self._sender.deadline_ns(timeout_s)
        envelope = self.send(message, parts, trace_id=trace_id, deadline_ns=deadline_ns)
        ends_at_ns = now_ns + int(timeout_s * 1e9)
        self._questions[envelope.message_id] = _Question(answered, failed, ends_at_ns, message.TOPIC)

    def receive(self, limit: int) -> Iterator[Decoded]:
        """Up to `limit` messages that are no reply to `ask`; replies go to their callbacks."""
        from stream.wire.caller import error_of

        for _ in range(limit):
            if not self.socket.poll(0):
                return
            try:
                message = decode(self.socket.recv_multipart(copy=True))
            except WireError as error:
                self._rejections.note(error)
                continue
            question = self._questions.pop(message.envelope.reply_to, None)
            if question is None:
                yield message
            elif isinstance(message.message, ErrorReply):
                question.failed(error_of(message.message))
            else:
                question.answered(message)

    def expire(self, now_ns: int) -> None:
        """Fails the requests whose time is up."""
        late = [key for key, question in self._questions.items() if question.ends_at_ns <= now_ns]
        for key in late:
            question = self._questions.pop(key)
            question.failed(DeadlineExceeded(f"{self.endpoint} did not answer {question.topic} in time"))

    def close(self) -> None:
        """Closes the socket after what was sent has left, for half a second at most."""
        self.socket.close()
