"""The way from a command to the processes of a store, started if none runs.

Importing this loads the wire (pyzmq, msgpack, msgspec) and nothing heavier, since it lies
on the way of every question.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from stream.errors import DeadlineExceeded, RoleUnavailable, StoreError
from stream.messages.control import StatusAsk, StatusMemory, StatusRoles
from stream.messages.envelope import Message
from stream.process.start import ensure_running, is_running
from stream.wire.caller import Caller

LOG_FILE = "log.sqlite"
"""What makes a folder a store."""

R = TypeVar("R", bound=Message)


class Connection:
    """The processes of one store, as a command talks to them.

    Args:
        store_dir: The store.
        preset: For processes that are started now.
        config_file: For processes that are started now.
        idle_exit_s: How long these stay when idle.

    Raises:
        RoleUnavailable: If they cannot be started.
    """

    def __init__(
        self,
        store_dir: Path,
        *,
        preset: str = "archive",
        config_file: Path | None = None,
        idle_exit_s: float = 600.0,
    ) -> None:
        self.store_dir = store_dir
        self._preset = preset
        self._config_file = config_file
        self._idle_exit_s = idle_exit_s
        self.run_dir = self._start()
        self._callers: dict[str, Caller] = {}

    def _start(self) -> Path:
        return ensure_running(
            self.store_dir,
            preset=self._preset,
            config_file=self._config_file,
            idle_exit_s=self._idle_exit_s,
        )

    def ask(
        self,
        endpoint: str,
        kind: type[R],
        message: Message,
        *,
        timeout_s: float = 10.0,
        trace_id: bytes = b"",
    ) -> R:
        """Asks one role for a reply of type `kind`.

        Processes that ended between the look and the question, or were killed with all that
        they left behind, are started again, once.

        Raises:
            OmniRecallError: As `Caller.ask_for`.
        """
        try:
            return self._caller(endpoint).ask_for(kind, message, timeout_s=timeout_s, trace_id=trace_id)
        except (RoleUnavailable, DeadlineExceeded):
            if is_running(self.store_dir) and (self.run_dir / "ready").exists():
                raise
            self.run_dir = self._start()
            return self._caller(endpoint).ask_for(kind, message, timeout_s=timeout_s, trace_id=trace_id)

    def replies(
        self, endpoint: str, message: Message, *, silent_s: float, timeout_s: float
    ) -> Iterator[Message]:
        """The replies of one role to a request that has several; as `Caller.replies`."""
        return self._caller(endpoint).replies(message, silent_s=silent_s, timeout_s=timeout_s)

    def roles(self) -> StatusRoles:
        """Every process and every source that is being read."""
        return self.ask("supervisor", StatusRoles, StatusAsk())

    def memory(self) -> StatusMemory:
        """What memory holds."""
        return self.ask("memory", StatusMemory, StatusAsk())

    def _caller(self, endpoint: str) -> Caller:
        if endpoint not in self._callers:
            # The supervisor counts what senders of this prefix ask as activity.
            self._callers[endpoint] = Caller(self.run_dir, endpoint, f"command-{os.getpid()}")
        return self._callers[endpoint]

    def close(self) -> None:
        """Lets go of the sockets; the processes stay."""
        for caller in self._callers.values():
            caller.close()
        self._callers = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def to_store(store_dir: Path, preset: str, config_file: Path | None, idle_exit_s: float) -> Connection:
    """A connection for a question, which a folder that is no store cannot answer.

    Raises:
        StoreError: If nothing has ever been stored there.
        RoleUnavailable: If the processes cannot be started.
    """
    if not (store_dir / LOG_FILE).is_file():
        raise StoreError(f"there is no store in {store_dir} yet", remedy="omnirecall index PATH")
    return Connection(store_dir, preset=preset, config_file=config_file, idle_exit_s=idle_exit_s)
