"""The writer's lock: two memory processes on one store take turns.

A supervisor that was killed leaves a memory process behind, which drains for some seconds
while the next supervisor starts another one. Both would write; the lock makes the newcomer
wait until the old one has closed the store or is gone.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from stream.errors import StoreBusy

LOCK_NAME = "writer.lock"
PATIENCE_S = 15.0
"""How long to wait if nothing else is said; memory says what its supervisor's settings ask for."""
RETRY_S = 0.05


class WriterLock:
    """Holds `writer.lock` in a store from here to `release`, or to the end of the process.

    The kernel frees it when the process dies, however it dies; the file itself stays.

    Args:
        store_dir: Folder of the store.
        patience_s: How long to wait for another one that holds it.

    Raises:
        StoreBusy: If it is held for longer.
    """

    def __init__(self, store_dir: Path, patience_s: float = PATIENCE_S) -> None:
        path = store_dir / LOCK_NAME
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        ends_s = time.monotonic() + patience_s
        while not self._taken():
            if time.monotonic() >= ends_s:
                os.close(self._handle)
                raise StoreBusy(
                    f"{path} is held by another process that writes to this store",
                    remedy="end the other omnirecall that uses this store",
                )
            time.sleep(RETRY_S)

    def release(self) -> None:
        """Lets the next writer in; a second call does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
