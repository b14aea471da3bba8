"""The event bus: small events, published to whoever listens, lost if nobody does.

XPUB/XSUB in the supervisor. Anything that must not be lost goes through an outbox
instead. A subscriber counts the holes in each sender's sequence, so loss is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import zmq

from stream.errors import WireError
from stream.messages.envelope import Message
from stream.wire.codec import Decoded, decode, encode
from stream.wire.endpoints import ipc_address, open_socket
from stream.wire.sender import Sender

BUS_IN = "bus.in"
BUS_OUT = "bus.out"
EVENT_QUEUE = 1_000
"""High-water mark of small events per connection; at some 200 bytes each, 200 kB."""


class Publisher:
    """Publishes events; never blocks, drops when the bus is away."""

    def __init__(self, run_dir: Path, sender: Sender) -> None:
        self._sender = sender
        self._socket = open_socket(zmq.PUB, linger_ms=0, queue=EVENT_QUEUE)
        self._socket.connect(ipc_address(run_dir, BUS_IN))

    def publish(self, message: Message, trace_id: bytes = b"") -> None:
        """Sends one event to all subscribers of its topic."""
        self._socket.send_multipart(encode(message, self._sender.envelope(message, trace_id=trace_id)))

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close(linger=0)


class Subscriber:
    """Receives events of some topics.

    Args:
        run_dir: Folder of sockets of the store.
        topics: Prefixes of topics, e.g. `event.`.
    """

    def __init__(self, run_dir: Path, topics: tuple[str, ...]) -> None:
        self.socket = open_socket(zmq.SUB, linger_ms=0, queue=EVENT_QUEUE)
        for prefix in topics:
            self.socket.subscribe(prefix)
        self.socket.connect(ipc_address(run_dir, BUS_OUT))
        self.lost = 0
        self.rejected = 0
        self._next_seq: dict[tuple[str, str], int] = {}

    def receive(self) -> Iterator[Decoded]:
        """All events that have arrived; does not wait."""
        while self.socket.poll(0):
            try:
                event = decode(self.socket.recv_multipart())
            except WireError:
                self.rejected += 1
                continue
            self._count_hole(event)
            yield event

    def _count_hole(self, event: Decoded) -> None:
        key = (event.envelope.sender, event.topic)
        expected = self._next_seq.get(key)
        if expected is not None and event.envelope.seq > expected:
            self.lost += event.envelope.seq - expected
        self._next_seq[key] = event.envelope.seq + 1

    def close(self) -> None:
        """Closes the socket."""
        self.socket.close(linger=0)


class BusProxy:
    """The middle of the bus: forwards events one way and subscriptions the other.

    The supervisor polls `front` and `back` in its own loop and calls `forward`.
    """

    def __init__(self, run_dir: Path) -> None:
        self.front = open_socket(zmq.XSUB, linger_ms=0, queue=EVENT_QUEUE)
        self.back = open_socket(zmq.XPUB, linger_ms=0, queue=EVENT_QUEUE)
        for socket, name in ((self.front, BUS_IN), (self.back, BUS_OUT)):
            socket.bind(ipc_address(run_dir, name))

    def forward(self) -> None:
        """Moves everything that has arrived."""
        while self.front.poll(0):
            self.back.send_multipart(self.front.recv_multipart())
        while self.back.poll(0):
            self.front.send_multipart(self.back.recv_multipart())

    def close(self) -> None:
        """Closes both sides."""
        self.front.close(linger=0)
        self.back.close(linger=0)
