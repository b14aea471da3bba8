"""How long a question takes, as a person sees it: the whole command, cold and warm.

`python -m tools.bench_ask [--store DIR] [--rounds 7] [--json FILE]`. Cold: no process runs on
the store, the command starts them. Warm: they run. Beside both, `omnirecall --help` and
an empty Python in the same run, since machines differ.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stream.process.start import is_running
from tools.house import House, film_or

COMMAND = [str(Path(sys.executable).with_name("omnirecall"))]
QUESTION = "What was it the age of?"


def timed_s(command: list[str]) -> float:
    """Seconds that a command takes; it must succeed."""
    started_s = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started_s


def wait_until_ended(store: Path) -> None:
    """Waits for processes that leave at once when idle."""
    for _ in range(600):
        if not is_running(store):
            return
        time.sleep(0.1)
    raise SystemExit(f"processes on {store} do not end")


def measure(store: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each round, by kind."""
    ask = [*COMMAND, "ask", QUESTION, "--store", str(store), "--json"]
    seconds: dict[str, list[float]] = {"python": [], "help": [], "cold": [], "warm": []}
    for _ in range(rounds):
        wait_until_ended(store)
        seconds["cold"].append(timed_s([*ask, "--idle-exit", "0"]))
        seconds["python"].append(timed_s([sys.executable, "-P", "-c", "pass"]))
        seconds["help"].append(timed_s([*COMMAND, "--help"]))
    wait_until_ended(store)
    with House(store):
        timed_s(ask)
        for _ in range(3 * rounds):
            seconds["warm"].append(timed_s(ask))
    return seconds


def main(argv: list[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_ask", description=__doc__)
    parser.add_argument("--store", type=Path, default=None, help="a store with something in it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="omnirecall-ask-") as folder:
        store = options.store
        if store is None:
            store = Path(folder) / "store"
            with House(store) as house:
                house.follow(house.open(film_or(None)))
        seconds = measure(store, options.rounds)
    figures = {
        kind: {
            "p50_s": round(statistics.median(times), 3),
            "min_s": round(min(times), 3),
            "max_s": round(max(times), 3),
            "n": len(times),
        }
        for kind, times in seconds.items()
    }
    for kind, row in figures.items():
        print(f"{kind:8s}" + "   ".join(f"{name} {value}" for name, value in row.items()))
    if options.json is not None:
        options.json.write_text(json.dumps({"tool": "bench_ask", "systems": {"ours": figures}}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
