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


def take_lock(store_dir: Path) -> IO[str]:
    """Locks a store for this process; the lock ends with the process.

    Raises:
        StoreBusy: If another process holds it.
    """
    file = (store_dir / LOCK_FILE).open("a", encoding="ascii")
    for attempt in range(LOCK_ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(f"{os.getpid()}\n")  # Whom `stop` tells to end.
            file.flush()
            return file
        except BlockingIOError as error:
            # Whoever asks `is_running` shares the lock for microseconds; that is no owner.
            if attempt == LOCK_ATTEMPTS - 1:
                file.close()
                raise StoreBusy(f"the processes of {store_dir} are running already") from error
            time.sleep(LOCK_PAUSE_S)
    raise AssertionError("unreachable")
