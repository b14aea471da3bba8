"""What processes use while they run: CPU seconds by process and thread, and memory, from `/proc`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

_TICKS_HZ = os.sysconf("SC_CLK_TCK")


@dataclass
class Use:
    """What one process has used so far; threads by name, without the number at the end."""

    cpu_s: float = 0.0
    threads_cpu_s: dict[str, float] = field(default_factory=dict)
    peak_rss_bytes: int = 0
    rss_bytes: int = 0
    open_files: int = 0


def cpu_s(stat: str) -> float:
    """User and system seconds in a line of `/proc/…/stat`; names may hold spaces and brackets."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_HZ


def use_of(pid: int) -> Use:
    """What a process has used, as it is now.

    Raises:
        OSError: If it has ended.
    """
    folder = Path(f"/proc/{pid}")
    use = Use(cpu_s=cpu_s((folder / "stat").read_text()))
    for task in (folder / "task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
            spent_s = cpu_s((task / "stat").read_text())
        except OSError:
            continue  # A thread that has just ended.
        label = "loop" if task.name == str(pid) else name.rstrip("0123456789").rstrip("-")
        use.threads_cpu_s[label] = use.threads_cpu_s.get(label, 0.0) + spent_s
    for line in (folder / "status").read_text().splitlines():
        if line.startswith(("VmHWM:", "VmRSS:")):
            bytes_ = int(line.split()[1]) * 1024
            if line.startswith("VmHWM:"):
                use.peak_rss_bytes = bytes_
            else:
                use.rss_bytes = bytes_
    use.open_files = len(list((folder / "fd").iterdir()))
    return use


class Watch:
    """Looks at processes now and then, from a thread of its own, and keeps the last that it saw of each.

    Args:
        pids: The processes to look at, by name; asked anew each time.
        every_s: Seconds between two looks.
    """

    def __init__(self, pids: Callable[[], Iterable[tuple[str, int]]], every_s: float = 0.5) -> None:
        self._pids = pids
        self._every_s = every_s
        self._ended = threading.Event()
        self._seen: dict[tuple[str, int], Use] = {}
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10)

    def uses(self) -> dict[str, Use]:
        """What each name has used, restarts added up."""
        total: dict[str, Use] = {}
        for (name, _), use in self._seen.items():
            known = total.setdefault(name, Use())
            known.cpu_s += use.cpu_s
            known.peak_rss_bytes = max(known.peak_rss_bytes, use.peak_rss_bytes)
            known.rss_bytes, known.open_files = use.rss_bytes, use.open_files
            for thread, spent_s in use.threads_cpu_s.items():
                known.threads_cpu_s[thread] = known.threads_cpu_s.get(thread, 0.0) + spent_s
        return total

    def look(self) -> None:
        """Looks once, now."""
        for name, pid in self._pids():
            try:
                self._seen[name, pid] = _with_ended(self._seen.get((name, pid)), use_of(pid))
            except OSError:
                continue  # It has ended; what was seen last counts.

    def _look(self) -> None:
        while not self._ended.wait(self._every_s):
            self.look()


def _with_ended(before: Use | None, now: Use) -> Use:
    """The newest figures; threads that have ended since keep what they had used."""
    for thread, spent_s in (before.threads_cpu_s if before else {}).items():
        now.threads_cpu_s.setdefault(thread, spent_s)
    return now


def children_of(pid: int) -> list[tuple[str, int]]:
    """The processes that a process has started, by the name that OmniRecall gave them."""
    found = []
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    for child in map(int, listed):
        try:
            words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        except OSError:
            continue
        role = words[words.index("stream.process.run") + 4] if "stream.process.run" in words else words[0]
        found.append((role, child))
    return found
