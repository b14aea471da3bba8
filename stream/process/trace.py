"""Traces: each hop of a frame, an utterance or a question, with its time.

Off by default (`supervisor.trace`); then a hop costs one comparison. When on, a process
appends JSON lines to `trace/<name>.jsonl` in the run folder; `python -m tools.trace_run`
puts them in order. Hops carry ids and names, never content.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import IO

from stream.process.clock import Clock


class Trace:
    """The hops that one process records; safe to use from every thread.

    Args:
        folder: Where the file goes, or None when tracing is off.
        name: Name of the process.
        clock: Gives UTC ns, comparable between processes of one machine.
    """

    def __init__(self, folder: Path | None, name: str, clock: Clock) -> None:
        self._clock = clock
        self._name = name
        self._lock = threading.Lock()
        self._file: IO[str] | None = None
        if folder is not None:
            folder.mkdir(mode=0o700, exist_ok=True)
            self._file = (folder / f"{name}.jsonl").open("a", encoding="utf-8", buffering=1)

    def hop(self, trace_id: bytes, hop: str) -> None:
        """Records that whatever `trace_id` follows has come to `hop`."""
        if self._file is None or not trace_id:
            return
        line = {"trace": trace_id.hex(), "hop": hop, "process": self._name, "t_ns": self._clock.now_ns()}
        with self._lock:
            self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
