"""One child process of the supervisor: started, listened to, ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from stream.process.liveness import State, backoff_s, breaker_is_open, fault
from stream.process.roles import Role
from stream.process.run import THREAD_VARIABLES
from stream.process.settings import CpuSettings, SupervisorSettings
from stream.wire.sockets import PeerKey

ADDRESS_VARIABLE = "OMNIRECALL_ADDRESS"
"""Variable of the environment in which a capture finds the address of its live source."""

SOURCES_VARIABLE = "OMNIRECALL__CAPTURE__SOURCES"
"""Addresses with passwords, which no child needs but the one that opens them."""


@dataclass(slots=True)
class Child:
    """A role's instance over all its restarts. Times are monotonic seconds.

    `address` is that of a live source, which may hold a password: it goes by the environment, since all
    users see the arguments of a process.
    """

    role: str
    row: Role
    name: str
    arguments: dict[str, Any]
    surroundings_file: Path
    log_file: Path
    supervision: SupervisorSettings
    cpu: CpuSettings
    address: str = field(default="", repr=False)
    state: State = State.ENDED
    process: subprocess.Popen[bytes] | None = None
    peer_key: PeerKey | None = None
    started_at_s: float = 0.0
    heard_at_s: float = 0.0
    restart_at_s: float = 0.0
    restarts: int = 0
    restarted_at_s: list[float] = field(default_factory=list)
    last_error: str = ""
    working_s: float = 0.0
    rss_bytes: int = 0
    counters: dict[str, float] = field(default_factory=dict)
    said_bye: bool = False
    failed: str = ""

    @property
    def pid(self) -> int:
        """Process id of the running instance, or 0."""
        return self.process.pid if self.process is not None else 0

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self.process is not None and self.process.poll() is None

    def start(self, now_s: float) -> None:
        """Starts the process with one compute thread, its priority and its log."""
        command = [sys.executable, "-P", "-m", "stream.process.run", str(os.getpid())]
        command += [str(self.surroundings_file), self.row.service, self.role, self.name]
        command += [json.dumps(self.arguments)]
        if self.cpu.nice and self.row.nice:
            command = ["nice", "-n", str(self.row.nice), *command]
        with self._opened_log() as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=child_environment(self.cpu.threads) | self._secrets,
                # A group of its own: Ctrl-C reaches the supervisor alone, which ends them in order.
                process_group=0,
            )
        self.state = State.STARTING
        self.started_at_s = self.heard_at_s = now_s
        self.working_s = 0.0
        self.peer_key = None
        self.said_bye = False
        self.failed = ""

    def heard(self, now_s: float) -> None:
        """Notes a sign of life."""
        self.heard_at_s = now_s

    def fault(self, now_s: float) -> str:
        """Why the running process must be replaced; empty if it need not be."""
        return fault(
            self.state,
            age_s=now_s - self.started_at_s,
            silent_s=now_s - self.heard_at_s,
            working_s=self.working_s,
            settings=self.supervision,
        )

    def kill(self) -> None:
        """Ends the process at once, after asking it for all stacks."""
        if self.process is None or not self.is_running:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGUSR1)
        try:
            self.process.wait(0.2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ended(self, now_s: float, *, wanted: bool, why: str = "") -> None:
        """Decides what follows the end of the process: nothing, a restart, or the breaker.

        Args:
            now_s: Monotonic seconds.
            wanted: Whether it was asked to end.
            why: Why it was killed, if we did that.
        """
        code = self.process.returncode if self.process is not None else 0
        self.process = None
        in_order = code == 0 and self.said_bye and not self.failed
        # A source ends by itself; what serves never does, but for a signal that somebody sent it.
        if wanted or (in_order and self.row.starts == "source"):
            self.state = State.ENDED
            return
        self.last_error = why or self.failed or ("was told to end" if in_order else _told(code))
        if self.failed:
            # It said itself that starting it again would not help.
            self.state = State.BROKEN
            return
        self.restarted_at_s.append(now_s)
        if breaker_is_open(self.restarted_at_s, now_s, self.supervision):
            self.state = State.BROKEN
            return
        self.restarts += 1
        recent = sum(now_s - at_s <= self.supervision.breaker_s for at_s in self.restarted_at_s)
        self.restart_at_s = now_s + backoff_s(recent, self.supervision)
        self.state = State.WAITING

    @property
    def _secrets(self) -> dict[str, str]:
        return {ADDRESS_VARIABLE: self.address} if self.address else {}

    def _opened_log(self) -> IO[bytes]:
        """The log to write to; none where the disk has no room for even a name."""
        try:
            self._rotate_log()
            return self.log_file.open("ab")
        except OSError:
            return Path(os.devnull).open("ab")

    def _rotate_log(self) -> None:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        if self.log_file.exists() and self.log_file.stat().st_size > self.supervision.log_bytes:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))


def child_environment(threads: int) -> dict[str, str]:
    """The environment of a child: `threads` per compute library, and no download, ever."""
    environment = dict(os.environ)
    environment.pop(SOURCES_VARIABLE, None)
    environment.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    environment.update(OMP_WAIT_POLICY="PASSIVE", KMP_BLOCKTIME="0", TOKENIZERS_PARALLELISM="false")
    environment.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
    return environment


def _told(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"ended with code {code}"
