"""The supervisor: starts the roles, watches their heartbeats, replaces and drains them.

It holds the store's lock for as long as it lives, so there is one set of processes per
store. It reads no media and opens no store. If it dies, the kernel sends its children
SIGTERM, and they finish what is in hand; outboxes and the log let in one process at a time,
so those of a new supervisor wait for them.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import zmq

from stream.capture.addresses import kind_of, public, source_id_of
from stream.capture.settings import CaptureSettings
from stream.config import Config, load_config
from stream.disk import free_bytes
from stream.errors import DiskFull, OmniRecallError, SourceRefused, StoreBusy, WireError
from stream.messages.control import (
    ErrorReply,
    RoleBeat,
    RoleBye,
    RoleDrain,
    RoleHello,
    RoleStatus,
    SourceClose,
    SourceOpen,
    SourcePause,
    SourcesAsk,
    SourceSent,
    SourcesState,
    SourceState,
    StatusAsk,
    StatusRoles,
)
from stream.messages.envelope import Message
from stream.process.child import Child
from stream.process.clock import RealClock
from stream.process.live_sources import ALL, LiveSources
from stream.process.liveness import State
from stream.process.log import Log
from stream.process.notify import ServiceNotice
from stream.process.roles import ROLES, Role
from stream.process.run import end_with_parent
from stream.process.service import COMMAND_SENDER
from stream.process.settings import CpuSettings, SupervisorSettings
from stream.process.start import is_running, named_error
from stream.process.store_lock import take_lock
from stream.process.surroundings import write_surroundings
from stream.wire.bounds import fitting
from stream.wire.bus import BusProxy
from stream.wire.codec import Decoded
from stream.wire.endpoints import make_run_dir, run_dir_for
from stream.wire.sender import Sender
from stream.wire.sockets import Listener, PeerKey, Rejections

READY_FILE = "ready"
BROKEN_FILE = "broken"
SURROUNDINGS_FILE = "surroundings.json"
POLL_MS = 100
ENDED_SOURCES_KEPT = 10_000
MOST_SOURCES_TOLD = 500
"""Sources in one status, the newest; fewer where they have much to say."""
FIRST_QUESTION_S = 5.0
"""Who had the processes started asks within this long of their being ready."""
VITAL_ROLE = "memory"
"""Without it nothing can be asked or kept: where it cannot serve, all end."""
BROKEN_S = 3.0
"""How long that is told before: commands that wait look several times a second."""
SOURCE_ROLES = ("capture", "live", "text")
"""Roles of which there is a process per source."""


class Supervisor:
    """One per store.

    Args:
        store_dir: The store; made if missing.
        config: Validated configuration for every role.
        idle_exit_s: Ends after this long without a source being read or a request from
            a person; None never ends by itself.
        roles: The table of roles; tests give one of their own.

    Raises:
        StoreBusy: If another supervisor holds the store's lock.
    """

    def __init__(
        self,
        store_dir: Path,
        config: Config,
        idle_exit_s: float | None = None,
        roles: Mapping[str, Role] = ROLES,
    ) -> None:
        self.roles = roles
        self.store_dir = store_dir
        self.config = config
        self.idle_exit_s = idle_exit_s
        self.supervision = config.typed("supervisor", SupervisorSettings)
        self.cpu = config.typed("cpu", CpuSettings)
        self.run_dir = run_dir_for(store_dir)
        store_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = take_lock(store_dir, self.run_dir)
        # What a killed one left: whoever waits would take it for ours.
        for name in (READY_FILE, BROKEN_FILE):
            (self.run_dir / name).unlink(missing_ok=True)
        self.log = Log("supervisor")
        self._notice = ServiceNotice(os.environ)
        known = "capture" in config.sections
        self.live = LiveSources(
            store_dir, config.typed("capture", CaptureSettings) if known else CaptureSettings()
        )
        self.children: dict[str, Child] = {}
        self.sources: dict[str, SourceState] = {}
        self._capture_of: dict[str, str] = {}
        self._all_sent: set[str] = set()
        self._draining = False
        self._requests = 0.0
        self._active_at_s = self._started_at_s = time.monotonic()
        self._was_asked = False
        self._broken_at_s: float | None = None

    def run(self) -> None:
        """Serves until SIGTERM, SIGINT or idleness; then drains every role in order.

        Raises:
            OmniRecallError: Where memory could not serve, its error, when all have ended.
        """
        os.umask(0o077)  # What the processes write belongs to the owner alone.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())
        make_run_dir(self.run_dir)
        self._clear_run_dir()
        remove_capture_spools(self.store_dir / "spool")
        write_surroundings(self.run_dir / SURROUNDINGS_FILE, self.config, self.store_dir)
        self._open_sockets()
        try:
            for role, row in self.roles.items():
                if row.starts == "always" or (row.starts == "enabled" and self._is_enabled(role)):
                    self._start_role(role)
            self._open_configured()
            while not self._draining:
                self._turn()
        finally:
            self._drain_all()
            self._close()
        if self._broken_at_s is not None:
            raise named_error(self.children[VITAL_ROLE].last_error, f"the memory of {self.store_dir}")

    def _is_enabled(self, role: str) -> bool:
        return bool(getattr(self.config.section(role), "enabled", False))

    # Children.

    def _start_role(self, role: str, name: str = "", arguments: dict[str, object] | None = None) -> Child:
        name = name or role
        child = self.children.get(name)
        if child is None:
            child = Child(
                role=role,
                row=self.roles[role],
                name=name,
                arguments=arguments or {},
                surroundings_file=self.run_dir / SURROUNDINGS_FILE,
                log_file=self.store_dir / "logs" / f"{name}.log",
                supervision=self.supervision,
                cpu=self.cpu,
                address=self.live.address_of(str((arguments or {}).get("uri", ""))) if role == "live" else "",
            )
            self.children[name] = child
        if not child.is_running and child.state is not State.WAITING:
            child.start(time.monotonic())
        return child

    def _watch(self, now_s: float) -> None:
        for child in list(self.children.values()):
            if child.process is not None and not child.is_running:
                self._ended(child, now_s)
            elif child.is_running and (why := child.fault(now_s)):
                self.log.error("replaced", role=child.name, why=why)
                child.kill()
                self._ended(child, now_s, why)
            elif child.state is State.WAITING and now_s >= child.restart_at_s and not self._draining:
                self.log.info("restarted", role=child.name, restarts=child.restarts)
                child.start(now_s)
        self._note_ready()

    def _ended(self, child: Child, now_s: float, why: str = "") -> None:
        child.ended(now_s, wanted=self._draining or child.state is State.DRAINING, why=why)
        self.log.info("ended", role=child.name, state=child.state.value, why=child.last_error)
        uri = str(child.arguments.get("uri", ""))
        if child.role in SOURCE_ROLES:
            self._all_sent.discard(uri)
        if child.role == "live" and child.state is State.WAITING and uri in self.sources:
            self.sources[uri] = msgspec.structs.replace(
                self.sources[uri],
                state="lost",
                reason=f"its process {child.last_error}",
                remedy="it is started again",
            )
        if child.role in SOURCE_ROLES and child.state in (State.ENDED, State.BROKEN):
            self._capture_ended(child)
        if child.row.starts == "media" and child.state is State.BROKEN:
            self._give_up_sources(child)

    def _give_up_sources(self, broken: Child) -> None:
        """Nobody will take what is being read: says so instead of waiting for ever."""
        for capture in [child for child in self.children.values() if child.role in SOURCE_ROLES]:
            uri = str(capture.arguments.get("uri", ""))
            self.sources[uri] = msgspec.structs.replace(
                self.sources[uri],
                state="rejected",
                reason=f"the {broken.name} process cannot serve: {broken.last_error}",
                remedy="omnirecall doctor",
            )
            self._drain(capture, "nobody listens")

    def _capture_ended(self, child: Child) -> None:
        uri = str(child.arguments.get("uri", ""))
        state = self.sources.get(uri)
        if state is not None and state.state in ("starting", "reading", "lost", "paused"):
            broken = child.state is State.BROKEN
            self.sources[uri] = msgspec.structs.replace(
                state,
                state="rejected" if broken else "closed",
                reason=f"capture failed again and again: {child.last_error}" if broken else "closed",
            )
        del self.children[child.name]
        self._capture_of.pop(uri, None)
        self._all_sent.discard(uri)
        while len(self.sources) > ENDED_SOURCES_KEPT:
            del self.sources[next(iter(self.sources))]

    def _note_ready(self) -> None:
        """Tells those who wait for the processes whether they serve, or never will."""
        always = [self.children.get(role) for role, row in self.roles.items() if row.starts == "always"]
        ready = all(child is not None and child.state is State.SERVING for child in always)
        broken = [child for child in always if child is not None and child.state is State.BROKEN]
        told = "\n".join(f"{child.name}: {child.last_error}" for child in broken)
        if ready:
            self._notice.serving()
        for name, holds in ((READY_FILE, ready), (BROKEN_FILE, bool(broken))):
            file = self.run_dir / name
            if holds and not file.exists():
                file.write_text(told, encoding="utf-8")
            elif not holds:
                file.unlink(missing_ok=True)

    # Messages.

    def _open_sockets(self) -> None:
        self.sender = Sender(f"supervisor-{os.getpid()}", RealClock())
        self.rejections = Rejections()
        self.listener = Listener(self.run_dir, "supervisor", self.sender, self.rejections)
        self.bus = BusProxy(self.run_dir)
        self._poller = zmq.Poller()
        for socket in (self.listener.socket, self.bus.front, self.bus.back):
            self._poller.register(socket, zmq.POLLIN)

    def _turn(self) -> None:
        self._poller.poll(POLL_MS)
        self.bus.forward()
        now_s = time.monotonic()
        for peer, decoded in self.listener.receive(64):
            self._receive(peer, decoded, now_s)
        self._watch(now_s)
        self._notice.turned(now_s)
        self._end_if_broken(now_s)
        self._end_if_idle(now_s)

    def _receive(self, peer: PeerKey, decoded: Decoded, now_s: float) -> None:
        message = decoded.message
        if isinstance(message, RoleHello | RoleBeat | RoleBye):
            self._role_said(peer, message, now_s)
        elif isinstance(message, SourceState):
            self.sources[message.uri] = message
            self._active(now_s)
        elif isinstance(message, SourceSent):
            (self._all_sent.add if message.all_sent else self._all_sent.discard)(message.uri)
        else:
            self._active(now_s)
            reply_to = decoded.envelope.message_id
            try:
                told = self._answer(message, decoded.envelope.sender)
                self.listener.send(peer, told, reply_to=reply_to)
            except OmniRecallError as error:
                refusal = ErrorReply(error=type(error).__name__, message=error.message, remedy=error.remedy)
                self.listener.send(peer, refusal, reply_to=reply_to)

    def _role_said(self, peer: PeerKey, message: RoleHello | RoleBeat | RoleBye, now_s: float) -> None:
        child = self.children.get(message.name)
        # `nice` execs the interpreter, so the pid is the child's own.
        if child is None or child.pid != message.pid:
            return
        child.peer_key = peer
        child.heard(now_s)
        if isinstance(message, RoleHello):
            if child.state is State.STARTING:
                child.state = State.SERVING
        elif isinstance(message, RoleBye):
            child.said_bye = True
            child.failed = message.failed
        else:
            child.working_s = message.working_s
            child.rss_bytes = message.rss_bytes
            child.counters = message.counters

    def _answer(self, message: Message, sender: str = COMMAND_SENDER) -> Message:
        if isinstance(message, StatusAsk):
            return self._status()
        if isinstance(message, SourcesAsk):
            return self._sources_state(message)
        if isinstance(message, SourceOpen):
            return self._open_source(self._admitted(message, sender))
        if isinstance(message, SourceClose):
            return self._close_source(message)
        if isinstance(message, SourcePause):
            return self._pause_sources(message)
        raise WireError(f"the supervisor does not answer {message.TOPIC}")

    def _status(self) -> StatusRoles:
        now_s = time.monotonic()
        roles = tuple(
            RoleStatus(
                role=child.role,
                name=child.name,
                pid=child.pid,
                state=child.state.value,
                restarts=child.restarts,
                age_s=now_s - child.started_at_s if child.is_running else 0.0,
                rss_bytes=child.rss_bytes,
                last_error=child.last_error,
                counters=child.counters,
            )
            for child in self.children.values()
        )
        ready = (self.run_dir / READY_FILE).exists()
        newest = fitting(itertools.islice(reversed(self.sources.values()), MOST_SOURCES_TOLD))
        sources = tuple(reversed(newest))
        return StatusRoles(roles=roles, sources=sources, store=str(self.store_dir), ready=ready)

    def _sources_state(self, message: SourcesAsk) -> SourcesState:
        broken = [
            f"{child.name} ({child.last_error})"
            for child in self.children.values()
            if child.state is State.BROKEN and child.role not in SOURCE_ROLES
        ]
        return SourcesState(
            sources=tuple(self.sources[uri] for uri in message.uris if uri in self.sources),
            room=0 if self._draining else self._room(),
            broken=", ".join(broken),
            paused=self._paused(),
        )

    def _room(self) -> int:
        """How many files may be opened now: one that only waits for memory takes no place.

        Nor may there be ever more of those: as many again as are read. Cameras, which never end, take
        none of the places of files.
        """
        files = [role for role in SOURCE_ROLES if role != "live"]
        captures = [child.arguments for child in self.children.values() if child.role in files]
        uris = [str(told.get("uri", "")) for told in captures if not told.get("as_camera")]
        reading = sum(uri not in self._all_sent for uri in uris)
        return min(self.supervision.captures - reading, 2 * self.supervision.captures - len(uris))

    def _paused(self) -> str:
        """Why intake waits; empty where it does not."""
        free, least = free_bytes(self.store_dir), self.supervision.least_free_bytes
        if free >= least:
            return ""
        return (
            f"disk full: {free / 1e6:.1f} MB are free for the store {self.store_dir}, and"
            f" {least / 1e6:.0f} MB stay so"
        )

    def _open_configured(self) -> None:
        """Opens the live sources of the configuration, where the processes serve until they are ended."""
        for pattern in self.live.patterns_of_none():
            self.log.warning("of_no_configured_source", pattern=pattern)
        for uri in self.live.settings.plain_sources() if self.idle_exit_s is None else ():
            try:
                self._open_source(self._admitted(SourceOpen(uri=uri), COMMAND_SENDER))
            except OmniRecallError as error:
                self.log.error("not_opened", error=type(error).__name__, message=error.message)

    def _admitted(self, message: SourceOpen, sender: str) -> SourceOpen:
        """A request to read a source that may be followed, an address of a live one without its password."""
        is_owner = sender.startswith(COMMAND_SENDER)
        if kind_of(message.uri) is not None:
            return self.live.admitted(message, is_owner=is_owner)
        if sender.startswith("gateway"):
            raise SourceRefused("files are not opened from here", remedy="omnirecall index opens them")
        return message

    def _pause_sources(self, message: SourcePause) -> SourcesState:
        """Tells the captures of live sources, then keeps it for those that are started later.

        In this order: what cannot be kept on a full disk still closes the devices.
        """
        told = self.live.pause(message)
        for child in [one for one in self.children.values() if one.role == "live"]:
            uri = str(child.arguments.get("uri", ""))
            if told.uri in (ALL, uri):
                pause = self.live.pause_of(uri)
                child.arguments["pause"] = msgspec.to_builtins(pause) if pause is not None else None
                if child.peer_key is not None:
                    now = pause or SourcePause(uri=uri, paused=False)
                    self.listener.send(child.peer_key, msgspec.structs.replace(now, uri=uri))
        self.live.keep(told)
        live = [uri for uri, state in self.sources.items() if state.live and told.uri in (ALL, uri)]
        return self._sources_state(SourcesAsk(uris=tuple(live)))

    def _open_source(self, message: SourceOpen) -> SourceState:
        if self._draining:
            raise StoreBusy("the processes are ending", remedy="try again in a moment")
        name = self._capture_of.get(message.uri)
        if name is not None and name in self.children:
            return self.sources[message.uri]
        is_live = kind_of(message.uri) is not None
        if not (message.as_camera or is_live) and self._room() <= 0:
            raise StoreBusy(
                f"{self.supervision.captures} source(s) are being read already",
                remedy="wait, or raise supervisor.captures",
            )
        if paused := self._paused():
            raise DiskFull(paused, remedy="free some space on the store's disk")
        if not message.as_text:
            for role, row in self.roles.items():
                if row.starts == "media":
                    self._start_role(role)
        digest = hashlib.blake2b(message.uri.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
        name = f"capture-{digest}"
        self._capture_of[message.uri] = name
        self.sources.pop(message.uri, None)
        kind, source_id = kind_of(message.uri) or "", source_id_of(message.uri) if is_live else b""
        self.sources[message.uri] = SourceState(
            uri=message.uri, state="starting", kind=kind, live=is_live, source_id=source_id
        )
        arguments = msgspec.to_builtins(message)
        if is_live:
            pause = self.live.pause_of(message.uri)
            arguments["pause"] = msgspec.to_builtins(pause) if pause is not None else None
        role = "live" if is_live else "text" if message.as_text else "capture"
        self._start_role(role, name, arguments)
        return self.sources[message.uri]

    def _close_source(self, message: SourceClose) -> SourceState:
        uri = public(message.uri)
        state = self.sources.get(uri)
        if state is None:
            raise WireError(f"{uri} is not being read")
        child = self.children.get(self._capture_of.get(uri, ""))
        if child is not None:
            self._drain(child, "closed by the owner")
        return state

    # The end.

    def _stop(self) -> None:
        self._draining = True

    def _end_if_broken(self, now_s: float) -> None:
        vital = self.children.get(VITAL_ROLE)
        if vital is None or vital.state is not State.BROKEN or self._draining:
            return
        if self._broken_at_s is None:
            self._broken_at_s = now_s
            self.log.error("broken", role=vital.name, why=vital.last_error)
        if now_s - self._broken_at_s >= BROKEN_S:
            self._draining = True

    def _end_if_idle(self, now_s: float) -> None:
        requests = sum(child.counters.get("requests", 0.0) for child in self.children.values())
        reading = any(child.role in SOURCE_ROLES for child in self.children.values())
        if requests != self._requests or reading:
            self._requests = requests
            self._active(now_s)
        if self.idle_exit_s is None or self._draining:
            return
        if not self._was_asked and not (self.run_dir / READY_FILE).exists():
            # Whoever had us started waits until everything serves, as long as a start may take.
            self._active_at_s = min(now_s, self._started_at_s + self.supervision.start_s)
        limit_s = self.idle_exit_s if self._was_asked else max(self.idle_exit_s, FIRST_QUESTION_S)
        if now_s - self._active_at_s > limit_s:
            self.log.info("idle", seconds=self.idle_exit_s)
            self._draining = True

    def _active(self, now_s: float) -> None:
        self._active_at_s = now_s
        self._was_asked = True

    def _drain(self, child: Child, reason: str) -> None:
        if not child.is_running or child.state is State.DRAINING:
            return
        child.state = State.DRAINING
        child.started_at_s = time.monotonic()
        if child.peer_key is not None:
            drain = RoleDrain(reason=reason, within_s=self.supervision.drain_s)
            self.listener.send(child.peer_key, drain)
        elif child.process is not None:
            child.process.terminate()

    def _drain_all(self) -> None:
        self._draining = True
        self._notice.ending()
        (self.run_dir / READY_FILE).unlink(missing_ok=True)
        for order in sorted({row.drains for row in self.roles.values()}):
            wave = [child for child in self.children.values() if self.roles[child.role].drains == order]
            for child in wave:
                self._drain(child, "the processes are ending")
            ends_at_s = time.monotonic() + self.supervision.drain_s + 2.0
            while any(child.is_running for child in wave) and time.monotonic() < ends_at_s:
                self._turn()
            for child in wave:
                child.kill()

    def _clear_run_dir(self) -> None:
        # Nobody else can be here: we hold the lock.
        for path in self.run_dir.iterdir():
            if path.is_file() or path.is_socket():
                path.unlink()

    def _close(self) -> None:
        self.listener.close()
        self.bus.close()
        zmq.Context.instance().destroy(linger=200)
        with contextlib.suppress(OSError):
            self._clear_run_dir()
            self.run_dir.rmdir()  # Stays where traces lie in it.
        self._lock.close()


def remove_capture_spools(spool_dir: Path) -> None:
    """Deletes what captures left that were killed: no capture runs yet, and their files may never come again.

    Of a source whose record was on its way nothing has flowed; it is read from its marks, or from the
    start, when it is opened again.
    """
    for path in spool_dir.glob("capture-*.sqlite*"):
        path.unlink(missing_ok=True)
    shutil.rmtree(spool_dir / "clips", ignore_errors=True)


def main(argv: list[str] | None = None) -> int:
    """Runs a supervisor in this process; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stream.process.supervisor")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--preset", default="archive")
    parser.add_argument("--config", type=Path, default=None)
    parser.add_argument("--idle-exit", type=float, default=None)
    parser.add_argument("--with-parent", type=int, metavar="PID", help="end when this process does")
    options = parser.parse_args(argv)
    if options.with_parent is not None:
        end_with_parent()
        if os.getppid() != options.with_parent:
            return 0  # It died before the kernel knew that we go with it.
    try:
        if is_running(options.store):
            raise StoreBusy(f"the processes of {options.store} are running already")
        config = load_config(options.preset, options.config)
        supervisor = Supervisor(options.store, config, options.idle_exit)
    except StoreBusy:
        return 0  # Who loses the race connects to the winner.
    except OmniRecallError as error:
        return _failed(error)
    try:
        supervisor.run()
    except OmniRecallError as error:
        return _failed(error)
    return 0


def _failed(error: OmniRecallError) -> int:
    print(f"{type(error).__name__}: {error.message}. {error.remedy}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
