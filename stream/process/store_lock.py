"""The lock of a store: one set of processes at a time."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import IO

from stream.errors import StoreBusy

LOCK_FILE = "lock"
LOCK_ATTEMPTS = 5
LOCK_PAUSE_S = 0.02


def take_lock(store_dir: Path, run_dir: Path | None = None) -> IO[str]:
    """Locks a store for this process; the lock ends with the process.

    Args:
        store_dir: The store.
        run_dir: The folder of its sockets, for whoever comes with another environment.

    Raises:
        StoreBusy: If another process holds it.
    """
    file = (store_dir / LOCK_FILE).open("a", encoding="utf-8", errors="surrogateescape")
    for attempt in range(LOCK_ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(f"{os.getpid()}\n")  # Whom `stop` tells to end.
            if run_dir is not None:
                file.write(f"{run_dir}\n")
            file.flush()
            return file
        except BlockingIOError as error:
            # Whoever asks `is_running` shares the lock for microseconds; that is no owner.
            if attempt == LOCK_ATTEMPTS - 1:
                file.close()
                raise StoreBusy(f"the processes of {store_dir} are running already") from error
            time.sleep(LOCK_PAUSE_S)
    raise AssertionError("unreachable")
