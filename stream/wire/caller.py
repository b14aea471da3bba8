"""Requests with a deadline, for worker threads, commands and tools.

A DEALER socket with message ids instead of REQ, which locks for ever after one lost
reply. Replies that come after their deadline are recognised by id and thrown away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import zmq

from stream import errors
from stream.errors import DeadlineExceeded, OmniRecallError, RoleUnavailable, WireError
from stream.messages.control import ErrorReply
from stream.messages.envelope import Message
from stream.process.clock import RealClock
from stream.wire.codec import Decoded, decode, encode
from stream.wire.endpoints import ipc_address, open_socket
from stream.wire.parts import OutPart
from stream.wire.sender import Sender

R = TypeVar("R", bound=Message)


def error_of(reply: ErrorReply) -> OmniRecallError:
    """The error of the tree that a reply names; the root where the name is not known."""
    kind = getattr(errors, reply.error, OmniRecallError)
    if not (isinstance(kind, type) and issubclass(kind, OmniRecallError)):
        kind = OmniRecallError
    return kind(reply.message, remedy=reply.remedy)


@contextmanager
def _watched(pid: int) -> Iterator[int]:
    """A descriptor that becomes readable when a process ends."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError as error:
        raise RoleUnavailable(f"process {pid} has ended") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class Caller:
    """Asks one endpoint and waits. Belongs to the thread that made it.

    Args:
        run_dir: Folder of sockets of the store.
        endpoint: Name of the listening role, e.g. `memory`.
        sender: Name under which requests are sent.
    """

    def __init__(self, run_dir: Path, endpoint: str, sender: str) -> None:
        self._run_dir = run_dir
        self.endpoint = endpoint
        self._sender = Sender(sender, RealClock())
        self._socket = open_socket(zmq.DEALER, linger_ms=0, queue=0)
        self._socket.connect(ipc_address(run_dir, endpoint))

    def ask(
        self,
        message: Message,
        parts: Sequence[OutPart] = (),
        *,
        timeout_s: float = 5.0,
        trace_id: bytes = b"",
        pid: int = 0,
    ) -> Decoded:
        """Sends a request and returns its reply.

        Args:
            message: The request.
            parts: Binary parts of it.
            timeout_s: How long to wait.
            trace_id: Of what it is asked for.
            pid: The process that answers, where it is known: its end is noticed at once.

        Raises:
            DeadlineExceeded: If nothing came within `timeout_s`.
            RoleUnavailable: If the endpoint's socket does not exist, or `pid` has ended.
            OmniRecallError: The error that the other side replied with.
        """
        ends_at_s = time.monotonic() + timeout_s
        message_id = self._send(message, parts, timeout_s, trace_id)
        with self._polled(pid) as poll:
            reply = self._next(message_id, ends_at_s, poll)
        if reply is None:
            raise DeadlineExceeded(
                f"{self.endpoint} did not answer {message.TOPIC} within {timeout_s:g} s",
                remedy="omnirecall status shows what the processes are doing",
            )
        return reply

    def replies(
        self, message: Message, *, silent_s: float, timeout_s: float, trace_id: bytes = b""
    ) -> Iterator[Message]:
        """Sends a request and yields its replies as they come; who has the last one stops listening.

        Args:
            message: The request.
            silent_s: The longest wait for one reply.
            timeout_s: Seconds until the request's deadline.
            trace_id: Of what it is asked for.

        Raises:
            OmniRecallError: As `ask`.
        """
        ends_at_s = time.monotonic() + timeout_s
        message_id = self._send(message, (), timeout_s, trace_id)
        poll = self._socket.poll
        while reply := self._next(message_id, min(ends_at_s, time.monotonic() + silent_s), poll):
            yield reply.message
        raise DeadlineExceeded(
            f"{self.endpoint} said nothing more of {message.TOPIC}",
            remedy="omnirecall status shows what the processes are doing",
        )

    def _send(self, message: Message, parts: Sequence[OutPart], timeout_s: float, trace_id: bytes) -> bytes:
        """Sends a request; the id by which its replies are known."""
        if not (self._run_dir / self.endpoint).exists():
            raise RoleUnavailable(f"the {self.endpoint} process is not running", remedy="omnirecall status")
        deadline_ns = time.time_ns() + int(timeout_s * 1e9)
        envelope = self._sender.envelope(message, trace_id=trace_id, deadline_ns=deadline_ns)
        self._socket.send_multipart(encode(message, envelope, parts), copy=True)
        return envelope.message_id

    def _next(self, message_id: bytes, until_s: float, poll: Callable[[int], int]) -> Decoded | None:
        """The next reply to a request; None if none has come by then. Raises the error that is one."""
        while (left_s := until_s - time.monotonic()) > 0:
            if not poll(max(1, int(left_s * 1000))):
                continue
            reply = self._receive()
            if reply is None or reply.envelope.reply_to != message_id:
                continue
            if isinstance(reply.message, ErrorReply):
                raise error_of(reply.message)
            return reply
        return None

    @contextmanager
    def _polled(self, pid: int) -> Iterator[Callable[[int], int]]:
        """How to wait for a message, at most so many milliseconds; raises once the process has ended."""
        if not pid:
            yield self._socket.poll
            return
        with _watched(pid) as ended:
            poller = zmq.Poller()
            poller.register(self._socket, zmq.POLLIN)
            poller.register(ended, zmq.POLLIN)

            def poll(timeout_ms: int) -> int:
                ready = dict(poller.poll(timeout_ms))
                if self._socket not in ready and ended in ready:
                    raise RoleUnavailable(f"the process of {self.endpoint} has ended")
                return len(ready)

            yield poll

    def ask_for(self, kind: type[R], message: Message, *, timeout_s: float = 5.0, trace_id: bytes = b"") -> R:
        """As `ask`, and the reply's message must be of type `kind`.

        Raises:
            WireError: If it is of another type; otherwise as `ask`.
        """
        reply = self.ask(message, timeout_s=timeout_s, trace_id=trace_id)
        if not isinstance(reply.message, kind):
            raise WireError(f"{self.endpoint} answered {message.TOPIC} with {reply.topic}")
        return reply.message

    def _receive(self) -> Decoded | None:
        try:
            return decode(self._socket.recv_multipart())
        except WireError:
            return None

    def close(self) -> None:
        """Closes the socket; unsent requests are dropped."""
        self._socket.close(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
