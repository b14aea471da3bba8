"""Staleness of what memory knows while a film plays in real time as a camera.

`python -m tools.bench_live [--video FILE] [--rate-hz 2] [--json FILE]`. Ten times a second
it asks memory for the newest picture that a committed observation describes, and takes
the age of that picture: the wait for the next sample is part of it. Once a second it asks
what is seen and said now, with and without the short-term memory, and takes the age of the
newest that the evidence has. Afterwards the frames must add up: read = processed + dropped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stream.errors import OmniRecallError
from stream.messages import Cue, Evidence, RecallAsk
from stream.messages.control import SourceState
from stream.messages.cue import Recent
from tools.house import House, film_or

NOW = {"seen": "What do you see now?", "said": "What did she just say?"}
KINDS = {"seen": ("shot", "frame", "caption"), "said": ("utterance",)}
NOW_EVERY_S = 1.0
BACK_S = 90.0
NOT_KNOWN_S = float("inf")
"""The age of the newest where the evidence has nothing."""


class Now:
    """Asks about now, both ways, and keeps how old the newest was and how long the answer took."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._due_s = 0.0
        self.ages_s: dict[tuple[str, bool], list[float]] = {}
        self.took_ms: dict[bool, list[float]] = {True: [], False: []}

    def sample(self) -> None:
        """Asks all, if it is time."""
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + NOW_EVERY_S
        for name, question in NOW.items():
            for short_term in (True, False):
                self._ask(name, question, short_term=short_term)

    def _ask(self, name: str, question: str, *, short_term: bool) -> None:
        cue = Cue(text=question, kinds=KINDS[name])
        ask = RecallAsk(cue=cue, k=10, recent=Recent(from_s=BACK_S), short_term=short_term)
        began_s = time.monotonic()
        evidence = self._house.caller("memory").ask_for(Evidence, ask, timeout_s=10)
        self.took_ms[short_term].append((time.monotonic() - began_s) * 1e3)
        newest_ns = max((item.t1_ns or item.t0_ns or 0 for item in evidence.items), default=0)
        age_s = (time.time_ns() - newest_ns) / 1e9 if newest_ns else NOT_KNOWN_S
        self.ages_s.setdefault((name, short_term), []).append(age_s)

    def figures(self) -> dict[str, Any]:
        """Medians and 95th percentiles by name; None where nothing was known by then."""
        told: dict[str, Any] = {}
        for (name, short_term), ages_s in sorted(self.ages_s.items()):
            way = "with" if short_term else "without"
            for share in (0.5, 0.95):
                age_s = percentile(ages_s, share)
                told[f"now_{name}_{way}_p{share * 100:.0f}_s"] = (
                    None if age_s == NOT_KNOWN_S else round(age_s, 2)
                )
            told[f"now_{name}_{way}_unknown"] = sum(age_s == NOT_KNOWN_S for age_s in ages_s)
        for short_term, took_ms in self.took_ms.items():
            told[f"now_{'with' if short_term else 'without'}_p50_ms"] = round(percentile(took_ms, 0.5), 1)
        return told


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def play(house: House, video: Path, now: Now | None = None) -> tuple[SourceState, list[float]]:
    """Plays the film to its end; returns how it ended and the ages in seconds, ten per second."""
    ages_s: list[float] = []

    def sample(state: SourceState) -> None:
        if state.state != "reading" or not state.source_id:
            return
        try:
            held = house.remembered(state.source_id, state.session)
            if now is not None and held is not None and held.newest_frame_t_ns is not None:
                now.sample()
        except OmniRecallError:
            return
        if held is not None and held.newest_frame_t_ns is not None:
            ages_s.append((time.time_ns() - held.newest_frame_t_ns) / 1e9)

    uri = house.open(video, as_camera=True)
    return house.follow(uri, timeout_s=600, every=sample), ages_s


def measure(video: Path, rate_hz: float, store: Path) -> dict[str, Any]:
    """One run; the figures by name."""
    with House(store, preset="live", overrides={"capture__rate_hz": rate_hz}) as house:
        started_s = time.monotonic()
        now = Now(house)
        state, ages_s = play(house, video, now)
        short_term = house.memory().short_term
        time.sleep(1.5)  # The last heartbeats tell the last counters.
        roles = house.roles()
        processed = roles["video"].counters.get("processed", 0)
        return {
            "seconds": round(time.monotonic() - started_s, 1),
            "staleness_p50_s": round(statistics.median(ages_s), 3),
            "staleness_p95_s": round(percentile(ages_s, 0.95), 3),
            "staleness_max_s": round(max(ages_s), 3),
            "samples": len(ages_s),
            **now.figures(),
            "short_term_bytes": short_term.get("bytes", 0),
            "short_term_shed": short_term.get("shed", 0),
            "read": state.read,
            "processed": int(processed),
            "dropped": state.dropped,
            "adds_up": state.read == int(processed) + state.dropped,
            "audio_read": state.audio_read,
            "audio_dropped": state.audio_dropped,
            "audio_processed": int(roles["audio"].counters.get("chunks", 0)),
            "rss_mb": {name: round(role.rss_bytes / 1e6) for name, role in roles.items()},
        }


def main(argv: list[str] | None = None) -> int:
    """Runs, prints, and ends with 1 if the frames do not add up or audio was dropped."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_live", description=__doc__)
    parser.add_argument("--video", type=Path, default=None)
    parser.add_argument("--rate-hz", type=float, default=2.0)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(argv)
    video = film_or(options.video)
    with tempfile.TemporaryDirectory(prefix="omnirecall-live-") as folder:
        figures = measure(video, options.rate_hz, Path(folder) / "store")
    for name, value in figures.items():
        print(f"{name:20s} {value}")
    if options.json is not None:
        report = {"tool": "bench_live", "data": str(video), "config": {"rate_hz": options.rate_hz}}
        options.json.write_text(json.dumps(report | {"systems": {"ours": figures}}, indent=1))
    return 0 if figures["adds_up"] and not figures["audio_dropped"] else 1


if __name__ == "__main__":
    sys.exit(main())
