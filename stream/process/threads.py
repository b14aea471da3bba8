"""Threads that the operating system knows by name, so that `top -H` and the benches can tell them apart."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

_COMM_LETTERS = 15
"""Linux keeps so many letters of a thread's name."""


def named_thread(run: Callable[[], None], name: str) -> threading.Thread:
    """A daemon thread, not yet started, that bears `name` in Python and, shortened, in `/proc`."""

    def run_named() -> None:
        # No Linux, no /proc: the name is a convenience.
        with contextlib.suppress(OSError):
            own = Path(f"/proc/self/task/{threading.get_native_id()}/comm")
            own.write_text(name.rpartition("/")[2][:_COMM_LETTERS], encoding="ascii", errors="replace")
        run()

    return threading.Thread(target=run_named, name=name, daemon=True)
