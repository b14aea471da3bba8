"""The processes of a store, for tools and tests: started, driven over the wire, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from stream.errors import DeadlineExceeded, OmniRecallError, RoleUnavailable
from stream.messages.answer import Answer
from stream.messages.control import (
    RoleStatus,
    SourceClose,
    SourceOpen,
    SourceState,
    SourceStatus,
    StatusAsk,
    StatusMemory,
    StatusRoles,
)
from stream.messages.envelope import new_id
from stream.messages.media import Policy
from stream.messages.turn import TurnFinal, TurnOpen
from stream.wire.caller import Caller
from stream.wire.endpoints import run_dir_for


def film_or(video: Path | None) -> Path:
    """The file that was named, or the demo's film, assembled if need be."""
    if video is not None:
        return video
    from stream.capture.demo_film import assemble_film
    from stream.models import demo_media

    return assemble_film(demo_media())


START_S = 180.0
"""Seconds that the processes may take until they serve, on a machine that does other things as well."""
ENDED = ("done", "partial", "rejected", "closed")


class House:
    """A supervisor and its roles as children of this process.

    Args:
        store_dir: The store; made if missing.
        preset: Preset of the configuration.
        overrides: `SECTION__KEY` → value, as environment variables.
    """

    def __init__(
        self, store_dir: Path, preset: str = "archive", overrides: dict[str, object] | None = None
    ) -> None:
        self.store_dir = store_dir
        self.run_dir = run_dir_for(store_dir)
        self._preset = preset
        # Several stores of tools and tests would want the same port.
        self._environment = {"OMNIRECALL__GATEWAY__ENABLED": "false", **os.environ}
        for key, value in (overrides or {}).items():
            self._environment[f"OMNIRECALL__{key.upper()}"] = str(value)
        self._callers: dict[str, Caller] = {}
        self._supervisor: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-P", "-m", "stream.process.supervisor"]
        command += ["--store", str(self.store_dir), "--preset", self._preset]
        self.store_dir.mkdir(parents=True, exist_ok=True)
        with (self.store_dir / "house.log").open("ab") as log:
            self._supervisor = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        self.wait_for(lambda: (self.run_dir / "ready").exists(), START_S, "the processes serve")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for caller in self._callers.values():
            caller.close()
        self._callers = {}
        if self._supervisor is not None:
            self._supervisor.terminate()
            try:
                self._supervisor.wait(60)
            except subprocess.TimeoutExpired:
                self._supervisor.kill()
                self._supervisor.wait()

    @property
    def supervisor_pid(self) -> int:
        """The process of which the others are children."""
        return self._supervisor.pid if self._supervisor is not None else 0

    def caller(self, endpoint: str) -> Caller:
        """The connection to an endpoint."""
        if endpoint not in self._callers:
            self._callers[endpoint] = Caller(self.run_dir, endpoint, f"command-tool-{os.getpid()}")
        return self._callers[endpoint]

    def roles(self) -> dict[str, RoleStatus]:
        """Every process by name."""
        status = self.caller("supervisor").ask_for(StatusRoles, StatusAsk(), timeout_s=10)
        return {role.name: role for role in status.roles}

    def source(self, uri: str) -> SourceState:
        """How reading a source goes."""
        status = self.caller("supervisor").ask_for(StatusRoles, StatusAsk(), timeout_s=10)
        return next(source for source in status.sources if source.uri == uri)

    def memory(self) -> StatusMemory:
        """What memory holds."""
        return self.caller("memory").ask_for(StatusMemory, StatusAsk(), timeout_s=10)

    def remembered(self, source_id: bytes, session: int | None = None) -> SourceStatus | None:
        """What memory holds of one source, if anything."""
        found = [s for s in self.memory().sources if s.source_id == source_id]
        return next((s for s in found if session in (None, s.session)), None)

    def open(self, path: Path, *, as_camera: bool = False) -> str:
        """Has a file read; returns its uri."""
        uri = str(path.resolve())
        policy: Policy = "latest" if as_camera else "lossless"
        message = SourceOpen(uri=uri, policy=policy, as_camera=as_camera)
        self.caller("supervisor").ask_for(SourceState, message, timeout_s=10)
        return uri

    def open_as_is(self, path: Path) -> str:
        """Has a file play as a camera under the very name that it is given; returns its uri."""
        message = SourceOpen(uri=str(path), policy="latest", as_camera=True)
        self.caller("supervisor").ask_for(SourceState, message, timeout_s=10)
        return str(path)

    def close_source(self, uri: str, timeout_s: float = 60.0) -> SourceState:
        """Ends the reading of a source, and waits until it has ended; how it went."""
        self.caller("supervisor").ask_for(SourceState, SourceClose(uri=uri), timeout_s=10)
        self.wait_for(lambda: self.source(uri).state in ENDED, timeout_s, f"{uri} is closed")
        return self.source(uri)

    def follow(
        self,
        uri: str,
        timeout_s: float = 300.0,
        every: Callable[[SourceState], None] = lambda _: None,
        pause_s: float = 0.1,
    ) -> SourceState:
        """Waits until a source is read and consolidated; calls `every` while it waits.

        Raises:
            DeadlineExceeded: If it takes longer than `timeout_s`.
        """
        ends_at_s = time.monotonic() + timeout_s
        while time.monotonic() < ends_at_s:
            try:
                state = self.source(uri)
                every(state)
                if state.state in ENDED and self._is_consolidated(state):
                    return state
            except (RoleUnavailable, DeadlineExceeded):
                pass  # Somebody was killed; they come back.
            time.sleep(pause_s)
        raise DeadlineExceeded(f"{uri} is not consolidated after {timeout_s:g} s")

    def _is_consolidated(self, state: SourceState) -> bool:
        if state.state == "rejected":
            return True
        held = self.remembered(state.source_id, state.session)
        return held is not None and held.consolidated

    def ask(self, question: str, timeout_s: float = 30.0, trace_id: bytes = b"") -> Answer:
        """The answer to a question."""
        turn = TurnOpen(turn_id=new_id(), question=question)
        final = self.caller("reasoning").ask_for(TurnFinal, turn, timeout_s=timeout_s, trace_id=trace_id)
        return final.answer

    def kill(self, name: str) -> int:
        """Kills a role with SIGKILL; returns the pid that it had."""
        pid = self.roles()[name].pid
        if pid:
            os.kill(pid, signal.SIGKILL)
        return pid

    @staticmethod
    def wait_for(what: Callable[[], object], timeout_s: float, told: str) -> None:
        """Waits until `what()` is true.

        Raises:
            DeadlineExceeded: If it does not become true in time.
        """
        ends_at_s = time.monotonic() + timeout_s
        while time.monotonic() < ends_at_s:
            try:
                if what():
                    return
            except OmniRecallError:
                pass
            time.sleep(0.05)
        raise DeadlineExceeded(f"not in time: {told}")
