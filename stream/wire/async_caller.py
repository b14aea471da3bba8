"""Requests and events for asyncio: many at a time on one socket, several replies to one request.

As `stream.wire.caller`, a DEALER socket with message ids: a reply that nobody waits for any more is
recognised by its id and thrown away. Everything here belongs to the event loop that made it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import TypeVar

import zmq
import zmq.asyncio

from stream.errors import DeadlineExceeded, RoleUnavailable, WireError
from stream.messages.control import ErrorReply
from stream.messages.envelope import Message
from stream.process.clock import RealClock
from stream.wire.bus import BUS_OUT, EVENT_QUEUE
from stream.wire.caller import error_of
from stream.wire.codec import Decoded, decode, encode
from stream.wire.endpoints import ipc_address, set_bounds
from stream.wire.parts import OutPart
from stream.wire.sender import Sender

R = TypeVar("R", bound=Message)

MOST_WAITING = 256
"""Requests on one socket that wait for an answer; more are refused at once."""


class AsyncCaller:
    """Asks one endpoint.

    Args:
        run_dir: Folder of sockets of the store.
        endpoint: Name of the listening role, e.g. `memory`.
        sender: Name under which requests are sent.
    """

    def __init__(self, run_dir: Path, endpoint: str, sender: str) -> None:
        self._run_dir = run_dir
        self.endpoint = endpoint
        self._sender = Sender(sender, RealClock())
        self._socket = open_async_socket(zmq.DEALER, queue=0)
        self._socket.connect(ipc_address(run_dir, endpoint))
        self._waiting: dict[bytes, asyncio.Queue[Decoded]] = {}
        self._receiving = asyncio.get_running_loop().create_task(self._receive_all())

    async def ask(
        self,
        message: Message,
        parts: Sequence[OutPart] = (),
        *,
        timeout_s: float = 5.0,
        trace_id: bytes = b"",
    ) -> Decoded:
        """Sends a request and returns its reply.

        Raises:
            DeadlineExceeded: If nothing came within `timeout_s`.
            RoleUnavailable: If the endpoint's socket does not exist, or too much waits for it already.
            OmniRecallError: The error that the other side replied with.
        """
        asked = self.replies(message, parts, timeout_s=timeout_s, trace_id=trace_id)
        async with contextlib.aclosing(asked) as replies:
            async for reply in replies:
                return reply
        raise DeadlineExceeded(f"{self.endpoint} did not answer {message.TOPIC}")

    async def ask_for(
        self,
        kind: type[R],
        message: Message,
        parts: Sequence[OutPart] = (),
        *,
        timeout_s: float = 5.0,
        trace_id: bytes = b"",
    ) -> R:
        """As `ask`, and the reply's message must be of type `kind`.

        Raises:
            WireError: If it is of another type; otherwise as `ask`.
        """
        reply = await self.ask(message, parts, timeout_s=timeout_s, trace_id=trace_id)
        if not isinstance(reply.message, kind):
            raise WireError(f"{self.endpoint} answered {message.TOPIC} with {reply.topic}")
        return reply.message

    async def replies(
        self,
        message: Message,
        parts: Sequence[OutPart] = (),
        *,
        timeout_s: float = 5.0,
        trace_id: bytes = b"",
    ) -> AsyncGenerator[Decoded]:
        """Sends a request and gives its replies as they come, for as long as the caller takes them.

        Raises:
            DeadlineExceeded: If the next one has not come when `timeout_s` have passed since the request.
            RoleUnavailable, OmniRecallError: As `ask`.
        """
        if not (self._run_dir / self.endpoint).exists():
            raise RoleUnavailable(f"the {self.endpoint} process is not running", remedy="omnirecall status")
        if len(self._waiting) >= MOST_WAITING:
            raise RoleUnavailable(
                f"{len(self._waiting)} requests wait for {self.endpoint} already", remedy="ask again later"
            )
        deadline_ns = self._sender.deadline_ns(timeout_s)
        envelope = self._sender.envelope(message, trace_id=trace_id, deadline_ns=deadline_ns)
        arrived = self._waiting[envelope.message_id] = asyncio.Queue()
        ends_at_s = time.monotonic() + timeout_s
        try:
            await self._socket.send_multipart(encode(message, envelope, parts))
            while True:
                reply = await self._next(arrived, ends_at_s, message, timeout_s)
                if isinstance(reply.message, ErrorReply):
                    raise error_of(reply.message)
                yield reply
        finally:
            del self._waiting[envelope.message_id]

    async def _next(
        self, arrived: asyncio.Queue[Decoded], ends_at_s: float, message: Message, timeout_s: float
    ) -> Decoded:
        try:
            async with asyncio.timeout(max(0.0, ends_at_s - time.monotonic())):
                return await arrived.get()
        except TimeoutError:
            raise DeadlineExceeded(
                f"{self.endpoint} did not answer {message.TOPIC} within {timeout_s:g} s",
                remedy="omnirecall status shows what the processes are doing",
            ) from None

    async def send(self, message: Message, parts: Sequence[OutPart] = (), *, trace_id: bytes = b"") -> None:
        """Sends what needs no reply."""
        envelope = self._sender.envelope(message, trace_id=trace_id)
        await self._socket.send_multipart(encode(message, envelope, parts))

    async def _receive_all(self) -> None:
        while True:
            frames = await self._socket.recv_multipart()
            try:
                reply = decode(frames)
            except WireError:
                continue
            arrived = self._waiting.get(reply.envelope.reply_to)
            if arrived is not None:
                arrived.put_nowait(reply)

    def close(self) -> None:
        """Closes the socket; unsent requests are dropped, and whoever waits fails by his deadline."""
        self._receiving.cancel()
        self._socket.close(linger=0)


class AsyncSubscriber:
    """Receives events of some topics.

    Args:
        run_dir: Folder of sockets of the store.
        topics: Prefixes of topics, e.g. `event.`.
    """

    def __init__(self, run_dir: Path, topics: Sequence[str]) -> None:
        self._socket = open_async_socket(zmq.SUB, queue=EVENT_QUEUE)
        for prefix in topics:
            self._socket.subscribe(prefix)
        self._socket.connect(ipc_address(run_dir, BUS_OUT))

    async def events(self) -> AsyncGenerator[Decoded]:
        """Events as they come, for ever; what is none of the wire is left out."""
        while True:
            frames = await self._socket.recv_multipart()
            try:
                event = decode(frames)
            except WireError:
                continue
            yield event

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close(linger=0)


def open_async_socket(kind: int, *, queue: int) -> zmq.asyncio.Socket:
    """A socket of the running event loop, with the bounds of `stream.wire.endpoints.open_socket`."""
    socket = zmq.asyncio.Context.shadow(zmq.Context.instance()).socket(kind)
    set_bounds(socket, linger_ms=0, queue=queue)
    return socket
