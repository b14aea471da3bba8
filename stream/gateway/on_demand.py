"""The processes of a store for a program that outlives them: started again whenever they are wanted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TypeVar

from stream.commands.connection import LOG_FILE
from stream.errors import StoreError
from stream.gateway.processes import MEMORY_S, Asked, Processes
from stream.messages.envelope import Message
from stream.messages.turn import TurnFinal, TurnToken
from stream.process.start import ensure_running, is_running, run_dir_now
from stream.wire.async_caller import AsyncCaller

R = TypeVar("R", bound=Message)


class OnDemand(Processes):
    """As `Processes`; those that ended when they were idle are started by the next question.

    Args:
        store_dir: The store.
        preset: For processes that are started now.
        config_file: For processes that are started now.
        idle_exit_s: How long these stay when idle.
        ask_s: Seconds that an answer may take.
    """

    def __init__(
        self,
        store_dir: Path,
        *,
        preset: str = "archive",
        config_file: Path | None = None,
        idle_exit_s: float = 600.0,
        ask_s: float = 30.0,
    ) -> None:
        super().__init__(run_dir_now(store_dir), store_dir, ask_s)
        self._preset = preset
        self._config_file = config_file
        self._idle_exit_s = idle_exit_s
        self._starting = asyncio.Lock()

    async def memory_for(self, kind: type[R], message: Message, timeout_s: float = MEMORY_S) -> R:
        """Asks memory, started if need be. Raises as `start`, and what memory replied with."""
        await self.start()
        return await super().memory_for(kind, message, timeout_s)

    async def answer(
        self, question: Asked, caller: AsyncCaller | None = None
    ) -> AsyncGenerator[TurnToken | TurnFinal]:
        """As `Processes.answer`. Raises as `start`, too."""
        await self.start()
        async with contextlib.aclosing(super().answer(question, caller)) as words:
            async for told in words:
                yield told

    async def start(self) -> None:
        """Has the processes run.

        Raises:
            StoreError: If nothing has ever been stored there.
            RoleUnavailable: If they cannot be started.
        """
        if is_running(self.store_dir) and (self.run_dir / "ready").exists():
            return
        async with self._starting:
            if not (self.store_dir / LOG_FILE).is_file():
                raise StoreError(f"there is no store in {self.store_dir} yet", remedy="omnirecall index PATH")
            self.run_dir = await asyncio.to_thread(
                ensure_running,
                self.store_dir,
                preset=self._preset,
                config_file=self._config_file,
                idle_exit_s=self._idle_exit_s,
            )
