"""The base of every process: one poll loop that never blocks, beats, and drains.

A role subclasses `Service`, says in `set_up` what it listens to and connects to, and
registers one function per message type. Whatever takes longer than a few milliseconds
goes to a lane. What must not be lost goes to the outbox.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import zmq

from stream.disk import free_bytes
from stream.errors import DiskFull, OmniRecallError, StoreBusy, WireError
from stream.messages.control import ErrorReply, RoleBeat, RoleBye, RoleDrain, RoleHello
from stream.messages.envelope import Message
from stream.messages.observation import CommitAck, CommitPut, Reject
from stream.process.lanes import Lane, Wake
from stream.process.log import Log
from stream.process.metrics import Metrics
from stream.process.settings import SupervisorSettings
from stream.process.surroundings import Surroundings
from stream.process.trace import Trace
from stream.wire.bus import Publisher
from stream.wire.codec import Decoded
from stream.wire.outbox import Outbox
from stream.wire.parts import OutPart
from stream.wire.sender import Sender
from stream.wire.sockets import Listener, Peer, PeerKey, Rejections

POLL_MS = 50
BATCH_OF_MESSAGES = 64
"""Messages taken from one socket before the others have their turn."""
RESEND_S = 3.0
"""Unacknowledged batches are repeated after this long without any acknowledgement."""
LOOK_AT_DISK_S = 1.0
"""Seconds between two looks at the room on the store's disk, and attempts to write on a full one."""
CLEAN_EMPTY_S = 1.0
"""Seconds after the last acknowledgement, with nothing waiting, until the spool is cleaned."""
CLEAN_S = 10.0
"""Seconds between two cleanings of a spool in which something always waits."""
PAUSE_NS = 100_000_000
"""Between two looks whether a process that cannot start yet need not wait any longer."""
COMMAND_SENDER = "command"
"""Senders of this prefix are people's commands; what they ask counts as activity."""

M = TypeVar("M", bound=Message)


@dataclass(slots=True)
class Received:
    """A message as a service's function gets it.

    `peer_key` is who sent it when it came to a listener; `reply` answers them at once,
    `Service.send_to(peer_key, …)` later.
    """

    decoded: Decoded
    peer_key: PeerKey | None
    service: Service

    @property
    def envelope(self) -> Any:
        """Sender, times and ids; a `stream.messages.Envelope`."""
        return self.decoded.envelope

    @property
    def message(self) -> Any:
        """The message, of the type that the function was registered for."""
        return self.decoded.message

    @property
    def trace_id(self) -> bytes:
        """What the message belongs to."""
        return self.decoded.envelope.trace_id

    def part(self, name: str) -> bytes:
        """The bytes of a binary part; raises Malformed without it."""
        return self.decoded.part(name)

    def array(self, name: str) -> Any:
        """The array of a binary part, read-only; raises Malformed without it."""
        return self.decoded.array(name)

    def reply(self, message: Message, parts: Sequence[OutPart] = ()) -> None:
        """Answers the sender; with the error, where the answer breaks the bounds of the wire."""
        if self.peer_key is None:
            return
        told = {"reply_to": self.envelope.message_id, "trace_id": self.trace_id}
        try:
            self.service.send_to(self.peer_key, message, parts, **told)
        except WireError as error:
            self.service.metrics.count("unsendable")
            refusal = ErrorReply(error=type(error).__name__, message=error.message, remedy="ask for less")
            self.service.send_to(self.peer_key, refusal, **told)

    def fail(self, error: OmniRecallError) -> None:
        """Answers the sender with an error of the tree."""
        self.reply(ErrorReply(error=type(error).__name__, message=error.message, remedy=error.remedy))


Function = Callable[[Received], None]


class Service:
    """One process of the pipeline.

    Subclasses override `set_up`, `idle`, `drain` and `close`. Everything here is called
    in the loop's thread, except the functions that are submitted to lanes.
    """

    role: ClassVar[str] = ""

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self.clock = surroundings.clock
        self.name = surroundings.name
        self.log = Log(self.name)
        self.metrics = Metrics(surroundings.role)
        self._supervision = supervision = surroundings.config.typed("supervisor", SupervisorSettings)
        trace_dir = surroundings.run_dir / "trace" if supervision.trace else None
        self._trace = Trace(trace_dir, self.name, self.clock)
        self._beat_ns = int(supervision.beat_s * 1e9)
        self._least_free_bytes = supervision.least_free_bytes
        self._has_room = True
        self._disk_due_ns = 0
        self.sender = Sender(f"{self.name}-{os.getpid()}", self.clock)
        self._rejections = Rejections()
        self._functions: dict[type[Message], Function] = {}
        self._listeners: dict[str, Listener] = {}
        self._peers: dict[str, Peer] = {}
        self._lanes: dict[str, Lane] = {}
        self._wake = Wake()
        self._poller = zmq.Poller()
        self._poller.register(self._wake.descriptor, zmq.POLLIN)
        self._outbox: Outbox | None = None
        self._acknowledged_at_ns = self._last_ack_ns = self._cleaned_at_ns = 0
        # Before anything is published: an event of a socket that joins only now reaches nobody.
        self._publisher = Publisher(surroundings.run_dir, self.sender)
        self._draining_since_ns: int | None = None
        self._serves = False
        self._ends = False
        self._failed = ""
        self._parent_pid = os.getppid()

    # What a role overrides.

    def set_up(self) -> None:
        """Loads what is needed and says what is listened to."""

    def idle(self) -> None:
        """Called after each turn of the loop, at least twenty times a second."""

    def drain(self) -> bool:
        """Finishes what is in hand; called until it returns True or the time is up."""
        return True

    def close(self) -> None:
        """Lets go of files and models; sockets and lanes are closed afterwards."""

    # What a role uses.

    def listen(self, endpoint: str) -> None:
        """Binds the socket of an endpoint."""
        listener = Listener(self.surroundings.run_dir, endpoint, self.sender, self._rejections)
        self._listeners[endpoint] = listener
        self._poller.register(listener.socket, zmq.POLLIN)

    def connect(self, endpoint: str) -> Peer:
        """The connection to an endpoint; made at the first call."""
        if endpoint not in self._peers:
            peer = Peer(self.surroundings.run_dir, endpoint, self.sender, self._rejections)
            self._peers[endpoint] = peer
            self._poller.register(peer.socket, zmq.POLLIN)
        return self._peers[endpoint]

    def wake_at(self, socket: zmq.Socket[bytes]) -> None:
        """Has the loop turn, and call `idle`, when something can be read at a socket of the role's own."""
        self._poller.register(socket, zmq.POLLIN)

    def on(self, kind: type[Message], function: Function) -> None:
        """Registers what happens to messages of a type. Errors of the tree are replied to the sender."""
        self._functions[kind] = function

    def ask(
        self,
        endpoint: str,
        message: Message,
        answered: Callable[[Decoded], None],
        failed: Callable[[OmniRecallError], None],
        *,
        timeout_s: float = 5.0,
        parts: Sequence[OutPart] = (),
        trace_id: bytes = b"",
    ) -> None:
        """Asks another role; one of the callbacks is called later in the loop."""
        now_ns = self.clock.monotonic_ns()
        peer = self.connect(endpoint)
        self.hop(trace_id, f"send {message.TOPIC}")
        peer.ask(
            message, answered, failed, now_ns=now_ns, timeout_s=timeout_s, parts=parts, trace_id=trace_id
        )

    def send_to(
        self,
        peer_key: PeerKey,
        message: Message,
        parts: Sequence[OutPart] = (),
        *,
        reply_to: bytes = b"",
        trace_id: bytes = b"",
    ) -> None:
        """Writes to somebody who once wrote to one of our endpoints."""
        self.hop(trace_id, f"send {message.TOPIC}")
        self._listeners[peer_key.endpoint].send(
            peer_key, message, parts, reply_to=reply_to, trace_id=trace_id
        )

    def lane(self, name: str, threads: int = 1) -> Lane:
        """A lane of this process; made at the first call."""
        if name not in self._lanes:
            self._lanes[name] = Lane(f"{self.name}/{name}", self._wake, threads)
        return self._lanes[name]

    @property
    def outbox(self) -> Outbox:
        """The durable way to memory; whatever an earlier process of this name left is sent first."""
        if self._outbox is None:
            path = self.surroundings.spool_dir / f"{self.name}.sqlite"
            self._outbox = Outbox(path, other_owner_s=self._supervision.handover_s)
            self.on(CommitAck, self._acknowledged)
            self.connect("memory")
            self._acknowledged_at_ns = self.clock.monotonic_ns()
        return self._outbox

    def commit(self, put: CommitPut, parts: Sequence[OutPart] = (), trace_id: bytes = b"") -> int:
        """Makes a batch durable and sends it on its way; returns its `outbox_seq`.

        A batch that memory would refuse for its size or form is counted and left out, since
        it would be sent again for ever; 0 is returned then.

        On a full disk it is held and written later; `has_room` is false by then, and whoever
        makes batches of what he asks for asks for no more.

        Raises:
            DiskFull: If too much is held already.
        """
        try:
            seq = self.outbox.put(put, parts, trace_id)
        except WireError as error:
            self.metrics.count("unsendable")
            self.log.error("batch_left_out", error=type(error).__name__, message=error.message)
            return 0
        self.hop(trace_id, "outbox.put")
        self._send_due()
        return seq

    def committed(self, outbox_seq: int, rejects: tuple[Reject, ...]) -> None:
        """Called when memory has a batch on disk. `rejects` were refused for good."""

    def publish(self, event: Message, trace_id: bytes = b"") -> None:
        """Tells an event to whoever listens."""
        self.hop(trace_id, f"send {event.TOPIC}")
        self._publisher.publish(event, trace_id)

    def hop(self, trace_id: bytes, hop: str) -> None:
        """Records a hop of a trace; free when tracing is off."""
        self._trace.hop(trace_id, hop)

    def end(self, failed: str = "") -> None:
        """Ends the process after this turn; `failed` names an error that a restart won't mend."""
        self._ends = True
        self._failed = failed

    def has_room(self) -> bool:
        """Whether the store's disk has room for what comes in; held batches are written if so.

        It is looked at once a second; between two looks the last answer stands.
        """
        now_ns = self.clock.monotonic_ns()
        if now_ns >= self._disk_due_ns:
            self._disk_due_ns = now_ns + int(LOOK_AT_DISK_S * 1e9)
            full = self._outbox is not None and not self._outbox.write_unwritten()
            has_room = not full and free_bytes(self.surroundings.store_dir) >= self._least_free_bytes
            if has_room != self._has_room:
                self.log.warning("goes_on" if has_room else "waits_for_room")
            self._has_room = has_room
            self.metrics.gauge("no_room", 0.0 if has_room else 1.0)
        return self._has_room

    @property
    def draining(self) -> bool:
        """Whether the process has been asked to finish."""
        return self._draining_since_ns is not None

    # The loop.

    def run(self) -> None:
        """Serves until it is drained, ended, or left without a supervisor."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._start_draining())
        self.connect("supervisor")
        self.on(RoleDrain, lambda _: self._start_draining())
        began_ns = self.clock.monotonic_ns()
        try:
            self.set_up()
            self._tell(RoleHello(role=self.surroundings.role, name=self.name, pid=os.getpid()))
            self._serves = True
            self._loop()
        except (DiskFull, StoreBusy) as error:
            # No word that a restart won't help: with room, or once the other has ended, it does.
            self.log.error("failed", error=type(error).__name__, message=error.message)
            self._put_off_restart(began_ns)
            raise
        except OmniRecallError as error:
            self.log.error("failed", error=type(error).__name__, message=error.message)
            remedy = f"; try: {error.remedy}" if error.remedy else ""
            self._failed = f"{type(error).__name__}: {error.message}{remedy}"
            raise
        finally:
            self._tell(
                RoleBye(role=self.surroundings.role, name=self.name, pid=os.getpid(), failed=self._failed)
            )
            self._close_all()

    def _put_off_restart(self, began_ns: int) -> None:
        """Waits after a start in vain; one that served already is silent, and must end at once."""
        ends_ns = began_ns + int(self._supervision.least_start_s * 1e9)
        while (
            not (self._serves or self.draining)
            and os.getppid() == self._parent_pid
            and self.clock.monotonic_ns() < ends_ns
        ):
            self.clock.sleep_ns(PAUSE_NS)

    def _loop(self) -> None:
        beat_due_ns = 0
        while not self._ends:
            self._poller.poll(POLL_MS)
            self._wake.clear()
            for lane in list(self._lanes.values()):
                lane.deliver()
            self._receive_all()
            now_ns = self.clock.monotonic_ns()
            for peer in list(self._peers.values()):
                peer.expire(now_ns)
            self._send_due()
            self.idle()
            if now_ns >= beat_due_ns:
                self.has_room()  # Held batches are written when there is room, asked for or not.
                self._beat()
                beat_due_ns = now_ns + self._beat_ns
            if self._is_drained(now_ns):
                return

    def _receive_all(self) -> None:
        for listener in list(self._listeners.values()):
            for peer_key, decoded in listener.receive(BATCH_OF_MESSAGES):
                self._dispatch(Received(decoded, peer_key, self))
        for peer in list(self._peers.values()):
            for decoded in peer.receive(BATCH_OF_MESSAGES):
                self._dispatch(Received(decoded, None, self))

    def _dispatch(self, received: Received) -> None:
        self.hop(received.trace_id, f"receive {received.decoded.topic}")
        if received.envelope.sender.startswith(COMMAND_SENDER):
            self.metrics.count("requests")
        if received.decoded.unknown_keys:
            self.metrics.count("unknown_keys", received.decoded.unknown_keys)
        function = self._functions.get(type(received.message))
        if function is None:
            self.metrics.count("unexpected")
            return
        deadline_ns = received.envelope.deadline_ns
        if deadline_ns and deadline_ns < self.clock.now_ns():
            self.metrics.count("too_late")
            return
        try:
            function(received)
        except OmniRecallError as error:
            self.log.warning("request_failed", topic=received.decoded.topic, error=type(error).__name__)
            received.fail(error)

    def _acknowledged(self, received: Received) -> None:
        ack: CommitAck = received.message
        self._acknowledged_at_ns = self._last_ack_ns = self.clock.monotonic_ns()
        self.outbox.acknowledge(ack.outbox_seq, ack.window)
        if ack.rejects:
            self.metrics.count("rejected", len(ack.rejects))
        self.committed(ack.outbox_seq, ack.rejects)

    def _send_due(self) -> None:
        if self._outbox is None:
            return
        now_ns = self.clock.monotonic_ns()
        self._clean_spool(self._outbox, now_ns)
        if not self._outbox.waiting:
            self._acknowledged_at_ns = now_ns
        elif now_ns - self._acknowledged_at_ns > RESEND_S * 1e9:
            self._acknowledged_at_ns = now_ns
            self._outbox.resend()
            self.metrics.count("resent")
        for batch in self._outbox.due():
            # Before it is sent: whoever gets it may run first.
            self.hop(batch.trace_id, "send commit.put")
            self._peers["memory"].send(batch.message, batch.parts, trace_id=batch.trace_id)

    def _clean_spool(self, outbox: Outbox, now_ns: int) -> None:
        """What memory has does not lie in the spool for long: the owner may want it forgotten."""
        wait_s = CLEAN_S if outbox.waiting else CLEAN_EMPTY_S
        since_ns = self._cleaned_at_ns if outbox.waiting else max(self._last_ack_ns, self._cleaned_at_ns)
        if outbox.is_stained and now_ns - since_ns > wait_s * 1e9:
            self._cleaned_at_ns = now_ns
            outbox.clean()

    def _beat(self) -> None:
        for name, n in self._rejections.counts.items():
            self.metrics.gauge(f"rejected_{name.lower()}", n)
        lanes = list(self._lanes.values())
        self._tell(
            RoleBeat(
                role=self.surroundings.role,
                name=self.name,
                pid=os.getpid(),
                working_s=max((lane.working_s() for lane in lanes), default=0.0),
                queued=sum(lane.pending for lane in lanes),
                rss_bytes=rss_bytes(),
                counters=self.metrics.snapshot(),
            )
        )
        if os.getppid() != self._parent_pid:
            self.log.warning("supervisor_gone")
            self._start_draining()

    def _tell(self, message: Message) -> None:
        self._peers["supervisor"].send(message)

    def _start_draining(self) -> None:
        if self._draining_since_ns is None:
            self._draining_since_ns = self.clock.monotonic_ns()

    def _is_drained(self, now_ns: int) -> bool:
        if self._draining_since_ns is None:
            return False
        limit_s = self._supervision.drain_s
        timed_out = now_ns - self._draining_since_ns > limit_s * 1e9
        spooled = self._outbox is not None and self._outbox.waiting > 0
        return timed_out or (self.drain() and not spooled)

    def _close_all(self) -> None:
        try:
            self.close()
        except Exception:  # Must not hide why the process ends.
            self.log.exception("close_failed")
        for lane in self._lanes.values():
            lane.close()
        if self._outbox is not None:
            self._outbox.close()
        self._publisher.close()
        for listener in self._listeners.values():
            listener.close()
        for peer in self._peers.values():
            peer.close()
        self._trace.close()
        # term() would wait for ever on a socket that another thread left open.
        zmq.Context.instance().destroy(linger=200)
        self._wake.close()


def rss_bytes() -> int:
    """Resident memory of this process in bytes, from /proc; 0 where there is none."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - read each second
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
