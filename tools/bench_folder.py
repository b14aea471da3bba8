"""A folder of many files: speed, and whether memory, open files and polls stay flat.

`python -m tools.bench_folder --files 200 [--dir DIR] [--json FILE]`. Without a folder it cuts
short files out of the demo's clips. It runs `omnirecall index` on them as a person would,
looks at every process of the store each second, and prints resident memory, open files
and threads of each after the first ten files, and after each further quarter; what a look
at the processes costs then; and files per minute. It ends with 1 if memory or open files of
a process that stays grow by more than 10 % after the first ten files. The vectors of memory's
indexes, which grow with what is stored, are counted and told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream.errors import OmniRecallError
from stream.messages.control import StatusAsk, StatusMemory, StatusRoles
from stream.wire.caller import Caller
from stream.wire.endpoints import run_dir_for
from tools.cuts import many_cuts

FLAT = 0.10
"""How much a process may grow after the first ten files; DESIGN, issue 3."""
LEAST_MB = 5.0
"""Growth below this is noise of the allocator, not a leak."""
SETTLED_FILES = 10
SAMPLE_S = 1.0
STAYING = ("supervisor", "memory", "encoder", "reasoning", "video", "audio", "command")


@dataclass(slots=True)
class Look:
    """One look at one process: resident MB, open files, threads, CPU seconds so far."""

    rss_mb: float
    fds: int
    threads: int
    cpu_s: float


@dataclass(slots=True)
class Sample:
    """All processes at one time, by name; `polls_ms` is what one status of each endpoint took.

    `index_mb` is what memory's vector indexes hold, a part of its resident memory.
    """

    at_s: float
    n_over: int
    looks: dict[str, Look] = field(default_factory=dict)
    polls_ms: dict[str, float] = field(default_factory=dict)
    index_mb: float = 0.0


def look_at(pid: int) -> Look | None:
    """A process as /proc has it; None if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        ticks = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
        return Look(
            rss_mb=int(fields["VmRSS"].split()[0]) / 1024,
            fds=len(list(Path(f"/proc/{pid}/fd").iterdir())),
            threads=int(fields["Threads"]),
            cpu_s=sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
        )
    except (OSError, KeyError, IndexError):
        return None


def demo_clips() -> list[Path]:
    """Real clips that are at hand: the demo's."""
    from stream.models import demo_media

    root = demo_media().root
    return [
        root / "bikes/bikes.mp4",
        root / "big-buck-bunny/bigbuckbunny.mp4",
        root / "two-cities/two_cities.wav",
    ]


class Bench:
    """One run of `omnirecall index` over a folder, watched.

    Args:
        store: The store; should be new.
        arguments: What is indexed, and options.
    """

    def __init__(self, store: Path, arguments: Sequence[str]) -> None:
        self.store = store
        self.samples: list[Sample] = []
        self.outcomes: list[dict[str, Any]] = []
        self._command = [sys.executable, "-P", "-m", "stream.commands.app", "index", *arguments]
        self._command += ["--store", str(store), "--idle-exit", "5", "--json"]
        self._n_over = 0

    def run(self) -> int:
        """Returns the exit code of the command."""
        began_s = time.monotonic()
        with subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True) as child:
            reader = threading.Thread(target=self._read, args=(child,), daemon=True)
            reader.start()
            while child.poll() is None:
                time.sleep(SAMPLE_S)
                self._sample(child.pid, time.monotonic() - began_s)
            reader.join()
        return child.returncode

    def _read(self, child: subprocess.Popen[str]) -> None:
        for line in child.stdout or ():
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            if event.get("event") == "file":
                self._n_over += 1
                self.outcomes.append(event)

    def _sample(self, command_pid: int, at_s: float) -> None:
        sample = Sample(at_s=at_s, n_over=self._n_over)
        run_dir = run_dir_for(self.store)
        try:
            pids = {"command": command_pid}
            for endpoint, kind in (("supervisor", StatusRoles), ("memory", StatusMemory)):
                with Caller(run_dir, endpoint, "bench") as caller:
                    asked_s = time.perf_counter()
                    reply = caller.ask_for(kind, StatusAsk(), timeout_s=5)
                    sample.polls_ms[endpoint] = (time.perf_counter() - asked_s) * 1e3
                if isinstance(reply, StatusRoles):
                    pids |= {role.name: role.pid for role in reply.roles if role.pid}
                elif isinstance(reply, StatusMemory):
                    sample.index_mb = index_mb(reply)
        except OmniRecallError:
            return
        pids["supervisor"] = _parent(pids.get("memory", 0))
        for name, pid in pids.items():
            look = look_at(pid)
            if look is not None:
                sample.looks["capture" if name.startswith("capture") else name] = look
        self.samples.append(sample)


def index_mb(status: StatusMemory) -> float:
    """What the vector indexes of a store hold in memory, in MB of 2**20 bytes as `/proc` counts."""
    return sum(int(str(index["n_bytes"])) for index in status.indexes.values()) / 2**20


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def milestones(samples: Sequence[Sample], n_files: int) -> list[Sample]:
    """The samples that are shown: after the first ten files, then after each further quarter."""
    marks = [min(SETTLED_FILES, n_files), *(n_files * quarter // 4 for quarter in (1, 2, 3, 4))]
    shown: list[Sample] = []
    for mark in marks:
        found = next((s for s in samples if s.n_over >= mark), samples[-1] if samples else None)
        if found is not None and found not in shown:
            shown.append(found)
    return shown


def growth(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """By process that stays: growth of memory and open files after the first ten files.

    `index_mb` is how much of it the vectors of memory's indexes are.

    Medians of the first and the last fifth of the samples after those, since single ones jump.
    """
    after = [sample for sample in samples if sample.n_over >= SETTLED_FILES]
    grown: dict[str, dict[str, float]] = {}
    for name in STAYING:
        seen = [sample for sample in after if name in sample.looks]
        looks = [sample.looks[name] for sample in seen]
        fifth = max(1, len(looks) // 5)
        if len(looks) < 2:
            continue
        first, last = looks[:fifth], looks[-fifth:]
        grown[name] = {
            what: _median([getattr(look, what) for look in last])
            - _median([getattr(look, what) for look in first])
            for what in ("rss_mb", "fds", "threads")
        }
        grown[name]["index_mb"] = 0.0
        if name == "memory":
            grown[name]["index_mb"] = _median([sample.index_mb for sample in seen[-fifth:]]) - _median(
                [sample.index_mb for sample in seen[:fifth]]
            )
        grown[name]["rss_from_mb"] = _median([look.rss_mb for look in first])
        grown[name]["fds_from"] = _median([look.fds for look in first])
    return grown


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def is_flat(grown: dict[str, dict[str, float]]) -> bool:
    """Whether nothing that stays grew by more than a tenth, beside the vectors that it is to keep."""
    return all(
        one["rss_mb"] - one["index_mb"] <= max(LEAST_MB, FLAT * one["rss_from_mb"])
        and one["fds"] <= FLAT * one["fds_from"]
        for one in grown.values()
    )


def show(shown: Sequence[Sample], grown: dict[str, dict[str, float]]) -> None:
    """Prints the table: a row per process, a column per milestone."""
    print("process     " + "".join(f"{f'after {s.n_over}':>24}" for s in shown) + "   grown")
    for name in (*STAYING, "capture"):
        cells = ""
        for sample in shown:
            look = sample.looks.get(name)
            cell = f"{look.rss_mb:.0f} MB {look.fds} fd {look.threads} th" if look else "-"
            cells += f"{cell:>24}"
        told = f"{grown[name]['rss_mb']:+.1f} MB {grown[name]['fds']:+.0f} fd" if name in grown else ""
        print(f"{name:<12}{cells}   {told}")
    cells = "".join(f"{f'{s.index_mb:.1f} MB':>24}" for s in shown)
    told = f"{grown['memory']['index_mb']:+.1f} MB" if "memory" in grown else ""
    print(f"{'of it index':<12}{cells}   {told}")
    for endpoint in ("supervisor", "memory"):
        cells = "".join(f"{f'{s.polls_ms.get(endpoint, 0):.1f} ms':>24}" for s in shown)
        print(f"{f'ask {endpoint}':<12}"[:12] + cells)


def main(argv: list[str] | None = None) -> int:
    """Runs, prints, and ends with 1 if something grew or nothing was indexed."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_folder", description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--longest-s", type=float, default=3.0)
    parser.add_argument("--dir", type=Path, default=None, help="a folder of your own instead of cuts")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="or-folder-") as scratch:
        folder = options.dir or Path(scratch) / "media"
        if options.dir is None:
            many_cuts(folder, demo_clips(), options.files, options.longest_s)
        bench = Bench(Path(scratch) / "store", [str(folder)])
        began_s = time.monotonic()
        code = bench.run()
        took_s = time.monotonic() - began_s
    n = len(bench.outcomes)
    media_s = sum(outcome["duration_s"] or 0.0 for outcome in bench.outcomes)
    grown = growth(bench.samples)
    show(milestones(bench.samples, n), grown)
    cpu_s = {
        name: round(look.cpu_s, 1)
        for name, look in (bench.samples[-1].looks.items() if bench.samples else ())
    }
    rate = n / took_s * 60
    print(
        f"{n} files, {media_s:.0f} s of media in {took_s:.0f} s: {rate:.1f} files/minute; CPU seconds {cpu_s}"
    )
    flat = is_flat(grown)
    print("flat" if flat else "NOT FLAT")
    if options.json is not None:
        figures = {"files": n, "seconds": took_s, "media_s": media_s, "files_per_minute": rate}
        document = {"tool": "bench_folder", **figures, "grown": grown, "cpu_s": cpu_s, "flat": flat}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0 if flat and code == 0 and n else 1


if __name__ == "__main__":
    sys.exit(main())
