"""What a live assistant takes: staleness of what it knows, transcripts, first words, and memory over time.

`python -m tools.bench_live [--video FILE] [--rate-hz 2] [--manifest FILE] [--pause-s 2] [--memory STORE]
[--parts NAME…] [--minutes 30 --sources 2] [--json FILE]`, each part with real processes in real time:

`now`: a film plays as a camera. Ten times a second memory is asked for the newest picture that a committed
observation describes; its age is the staleness, the wait for the next sample included. Once a second it asks
what is seen and said now, with and without the short-term memory.
`talk`: recordings with silence between them (`tools.live_talk`) play as a microphone beside the film. From
the true end of each utterance to the last word of its transcript; to the first word of the first cited
sentence of an answer to what was said (`spoken`), or from a question that is typed (`typed`); no model.
With `--memory` a copy of a store, as `tools.bench_growth` keeps one, is what it remembers before.
With `--barge-in` from the word that a voice is one, or what it said, to the word that an answer is to stop.
`long`: with `--minutes`, films play as `--sources` cameras; how much the processes grow after the first
five minutes, all together.
Everywhere the frames must add up, read = processed + dropped, and no sound may be dropped: else it ends
with 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stream.errors import OmniRecallError
from stream.messages import Cue, Evidence, RecallAsk
from stream.messages.control import SourceState
from stream.messages.cue import Recent
from tools.house import House, film_or
from tools.live_talk import recordings_of, write_talk
from tools.live_turns import Page, cancels_ms, first_words_s, transcripts_s, voice_starts_s
from tools.long_film import long_film

NOW = {"seen": "What do you see now?", "said": "What did she just say?"}
KINDS = {"seen": ("shot", "frame", "caption"), "said": ("utterance",)}
NOW_EVERY_S = 1.0
BACK_S = 90.0
NOT_KNOWN_S = float("inf")
"""The age of the newest where the evidence has nothing."""
TYPED = (
    "What did you see?",
    "What was said?",
    "What was it the age of?",
    "What did you see in the last minute?",
)
PARTS = ("now", "talk", "long")
SETTLED_S, RSS_EVERY_S, RSS_MEAN_S = 300.0, 5.0, 60.0


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


def measure_talk(video: Path, store: Path, options: argparse.Namespace) -> dict[str, Any]:
    """A talk as a microphone, with a film beside it; figures by name."""
    if options.memory is None:
        store.mkdir(parents=True)
    else:
        shutil.copytree(options.memory, store, ignore=shutil.ignore_patterns("*.lock"))
    sound = store.parent / "talk.wav"
    spoken = write_talk(sound, recordings_of(options.manifest, options.most_recordings), options.pause_s)
    overrides: dict[str, object] = {"capture__rate_hz": options.rate_hz}
    if options.memory is not None:  # What is old stays as it is, however much there is.
        overrides |= {"memory__spans__budget": 0, "memory__retention__enabled": False}
    with House(store, preset="live", overrides=overrides) as house:
        house.wait_for(lambda: house.ask("What did you see?"), 600, "what it remembers is loaded")
        observations = house.memory().counts["observations"]
        house.open(video, as_camera=True)
        with Page(house.run_dir, TYPED, speaks=options.barge_in) as page:
            state = house.follow(house.open(sound, as_camera=True), timeout_s=3_600)
        heard, told = page.heard, {"utterances": len(spoken), "audio_dropped": state.audio_dropped}
        told["observations_before"] = observations
        lists = {
            "transcript": transcripts_s(heard, spoken, state.session),
            "voice_start": voice_starts_s(heard, spoken, state.session),
        }
        first = first_words_s(heard, spoken, state.session)
        lists |= {f"first_word_{name}": values for name, values in first.items()}
        told |= {f"{name}_n": len(values) for name, values in lists.items()}
        figures: dict[str, Any] = {**told, "questions_failed": heard.failed}
        for name, values in lists.items():
            for share in (0.5, 0.95):
                figures[f"{name}_p{share * 100:.0f}_s"] = round(percentile(values, share), 3)
        cancels = cancels_ms(heard)
        return figures | {"cancels": len(cancels), "cancel_p95_ms": round(percentile(cancels, 0.95), 1)}


def measure_long(store: Path, videos: Sequence[Path], options: argparse.Namespace) -> dict[str, Any]:
    """Films as cameras for minutes; how the processes grow. Figures by name."""
    film = long_film(videos, options.minutes)
    files = []
    for number in range(options.sources):
        files.append(store.parent / f"camera-{number}.mp4")
        files[-1].symlink_to(film)
    rss: list[tuple[float, float]] = []
    with House(store, preset="live", overrides={"capture__rate_hz": options.rate_hz}) as house:
        uris = [house.open_as_is(file) for file in files]
        began_s = time.monotonic()
        while time.monotonic() - began_s < options.minutes * 60:
            time.sleep(RSS_EVERY_S)
            held = sum(role.rss_bytes for role in house.roles().values()) / 1e6
            rss.append((time.monotonic() - began_s, held))
        states = [house.close_source(uri) for uri in uris]
        time.sleep(1.5)  # The last heartbeats tell the last counters.
        counters = house.roles()["video"].counters
        memory = house.memory()
    read, dropped = (sum(getattr(one, name) for one in states) for name in ("read", "dropped"))
    processed = int(counters.get("processed", 0))
    return {
        "minutes": options.minutes,
        "sources": options.sources,
        "rss_first_mb": round(_mean_mb(rss, SETTLED_S)),
        "rss_last_mb": round(_mean_mb(rss, options.minutes * 60 - RSS_MEAN_S)),
        "growth_mb": round(_mean_mb(rss, options.minutes * 60 - RSS_MEAN_S) - _mean_mb(rss, SETTLED_S), 1),
        "read": read,
        "processed": processed,
        "dropped": dropped,
        "adds_up": read == processed + dropped,
        "audio_read": sum(one.audio_read for one in states),
        "speech_dropped": sum(one.audio_dropped for one in states),
        "observations": memory.counts["observations"],
    }


def _mean_mb(rss: Sequence[tuple[float, float]], from_s: float) -> float:
    """The mean of a minute, of what there is behind it if it is shorter."""
    some = [mb for at_s, mb in rss if from_s <= at_s < from_s + RSS_MEAN_S] or [mb for _, mb in rss[-3:]]
    return statistics.fmean(some) if some else float("nan")


def main(argv: list[str] | None = None) -> int:
    """Runs, prints, and ends with 1 if the frames do not add up or sound was dropped."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench_live",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--video", type=Path, default=None)
    parser.add_argument("--rate-hz", type=float, default=2.0)
    parser.add_argument("--manifest", type=Path, help="recordings of the talk; without it the demo's")
    parser.add_argument("--most-recordings", type=int, default=20)
    parser.add_argument("--pause-s", type=float, default=2.0, help="silence between two utterances")
    parser.add_argument("--memory", type=Path, help="a store; the talk goes on with a copy of it")
    parser.add_argument("--barge-in", action="store_true", help="in the talk an answer is told all the while")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["now", "talk"])
    parser.add_argument("--minutes", type=float, default=0.0, help="of the part `long`, which it adds")
    parser.add_argument("--sources", type=int, default=2)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(argv)
    parts = [*dict.fromkeys([*options.parts, *(["long"] if options.minutes else [])])]
    video, figures = film_or(options.video), dict[str, Any]()
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="omnirecall-live-") as folder:
            store = Path(folder) / part / "store"
            store.parent.mkdir()
            if part == "now":
                figures |= measure(video, options.rate_hz, store)
            elif part == "talk":
                figures |= measure_talk(video, store, options)
            else:
                figures |= {
                    f"long_{name}": told for name, told in measure_long(store, [video], options).items()
                }
    figures["load"] = round(os.getloadavg()[0], 1)
    for name, value in figures.items():
        print(f"{name:24s} {value}")
    if options.json is not None:
        report = {"tool": "bench_live", "data": str(video), "config": {"rate_hz": options.rate_hz}}
        options.json.write_text(json.dumps(report | {"systems": {"ours": figures}}, indent=1))
    adds_up = figures.get("adds_up", True) and figures.get("long_adds_up", True)
    return 0 if adds_up and not (figures.get("audio_dropped") or figures.get("long_speech_dropped")) else 1


if __name__ == "__main__":
    sys.exit(main())
