"""Prints each hop of a frame, an utterance and a question, and checks their ways.

`python -m tools.trace_run [--video FILE] [--question TEXT] [--json FILE]`. Runs the real
processes on a store of its own; without `--video` on the demo's film. Ends with 1 if a
way is not the one that docs/architecture.md names.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from stream.messages.envelope import new_id
from tools.house import House, film_or

WAYS: dict[str, tuple[str, ...]] = {
    "frame": (
        "capture.file", "capture.sampler", "send media.frame", "receive media.frame", "video.service",
        "video.labels", "video.shots", "outbox.put", "send commit.put", "receive commit.put",
        "memory.service", "log.commit",
    ),
    "utterance": (
        "capture.file", "send media.audio", "receive media.audio", "audio.voice", "audio.speech",
        "outbox.put", "send commit.put", "receive commit.put", "memory.service", "log.commit",
    ),
    "question": (
        "receive turn.open", "reasoning.question", "receive recall.ask", "recall.gates",
        "recall.candidates", "recall.score", "reasoning.evidence", "reasoning.answer",
        "send turn.final",
    ),
}  # fmt: skip
"""The ways of docs/architecture.md, step by step."""
VIEWS = ("keys.add", "spans.close")
"""Both follow `log.commit`, in either order: what is on disk can be found before its event ends."""


@dataclass(frozen=True)
class Hop:
    """One line of a trace; `t_ns` is UTC."""

    t_ns: int
    hop: str
    process: str


def read_traces(folder: Path) -> dict[str, list[Hop]]:
    """Every trace of a run, its hops in order of time."""
    traces: dict[str, list[Hop]] = defaultdict(list)
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            traces[told["trace"]].append(Hop(told["t_ns"], told["hop"], told["process"]))
    return {trace: sorted(hops, key=lambda hop: hop.t_ns) for trace, hops in traces.items()}


def missing(hops: list[Hop], way: tuple[str, ...]) -> list[str]:
    """The steps that the hops do not take, in order; empty if they take the way whole."""
    left = list(way)
    views = list(VIEWS) if "log.commit" in way else []
    for hop in hops:
        if left and hop.hop == left[0]:
            left.pop(0)
        elif not left and hop.hop in views:
            views.remove(hop.hop)
    return left + views


def best(traces: dict[str, list[Hop]], way: tuple[str, ...]) -> tuple[str, list[Hop]]:
    """The trace that goes furthest along a way; of those the one with fewest hops."""
    begun = {t: hops for t, hops in traces.items() if any(hop.hop == way[0] for hop in hops)}
    if not begun:
        return "", []
    return min(begun.items(), key=lambda item: (len(missing(item[1], way)), len(item[1])))


def run(video: Path, question: str, store: Path) -> dict[str, list[Hop]]:
    """Indexes a film, asks a question, and returns all traces."""
    with House(store, overrides={"supervisor__trace": True}) as house:
        house.follow(house.open(video))
        house.ask(question, trace_id=new_id())
        return read_traces(house.run_dir / "trace")


def print_way(name: str, hops: list[Hop], left: list[str]) -> None:
    """One way as a table of hops with their times."""
    print(f"\nthe way of a {name}" + ("" if not left else f"   NOT the way named: {', '.join(left)}"))
    start_ns = hops[0].t_ns if hops else 0
    before_ns = start_ns
    for hop in hops:
        since, step = (hop.t_ns - start_ns) / 1e6, (hop.t_ns - before_ns) / 1e6
        print(f"  {since:10.1f} ms  +{step:9.1f}  {hop.process:24s} {hop.hop}")
        before_ns = hop.t_ns


def main(argv: list[str] | None = None) -> int:
    """Runs, prints, checks."""
    parser = argparse.ArgumentParser(prog="python -m tools.trace_run", description=__doc__)
    parser.add_argument("--video", type=Path, default=None)
    parser.add_argument("--question", default="What is said about the best of times?")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(argv)
    video = film_or(options.video)
    with tempfile.TemporaryDirectory(prefix="omnirecall-trace-") as folder:
        traces = run(video, options.question, Path(folder) / "store")
    report, wrong = {}, 0
    for name, way in WAYS.items():
        trace, hops = best(traces, way)
        left = missing(hops, way)
        wrong += bool(left)
        print_way(name, hops, left)
        report[name] = {"trace": trace, "missing": left, "hops": [[h.t_ns, h.process, h.hop] for h in hops]}
    print("\nall ways are those that the architecture names" if not wrong else f"\n{wrong} way(s) differ")
    if options.json is not None:
        options.json.write_text(json.dumps({"tool": "trace_run", "ways": report}, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
