"""A camera of the network that is dropped, stalled and changed in size, again and again.

`python -m tools.check_sources [--n 50] [--video FILE] [--stall-s 2] [--json]`. A real HTTP server plays
the first seconds of a film in real time, in two sizes, to all the processes. Each time it fails the
source must be told as lost within its limits, come back by itself, and leave a gap. On the way the capture
process is killed once and the source paused once. Afterwards the pictures must add up, no sound may be
dropped, and an answer about the stretch must name the gaps. The exit code is 1 where anything of that
does not hold.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream.errors import DeadlineExceeded
from stream.messages.control import SourceClose, SourceOpen, SourcePause, SourcesState, SourceState
from tools.house import House, film_or
from tools.live_media import LiveServer, in_chunks, stretch_of

FAILURES = ("drop", "stall", "size")
SECONDS, RATE = 12.0, 10
HEIGHTS_PX = (180, 240)
QUESTION = "What happened in the last hour?"
NAMED = ("was paused", "was lost")
"""What an answer must say of the source."""
PAUSED_S = 10.0
COMES_BACK_S = 60.0


@dataclass(slots=True)
class Found:
    """What was met: seconds until a failure was told, and until pictures came again after it was over."""

    recovered: int = 0
    seen_s: list[float] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)
    killed_back_s: float = 0.0
    answer: str = ""
    read: int = 0
    processed: int = 0
    dropped: int = 0
    audio_dropped: int = 0
    gaps: int = 0
    problems: list[str] = field(default_factory=list)


class Trial:
    """One source through its failures.

    Args:
        house: The processes.
        server: What it is read from.
        between_s: Seconds that it flows between two failures.
    """

    def __init__(self, house: House, server: LiveServer, between_s: float = 1.0) -> None:
        self.house, self.server, self.between_s = house, server, between_s
        self.uri, self.found = server.uri, Found()

    def begin(self) -> None:
        """Opens it and waits for pictures."""
        ask = SourceOpen(uri=self.uri, policy="latest")
        self.house.caller("supervisor").ask_for(SourceState, ask, timeout_s=10)
        self._until("reading", 3)

    def fail(self, how: str) -> None:
        """Has the server fail once in a way, and come back."""
        if how == "size":
            self.server.turn += 1
        began_s = time.monotonic()
        self.server.does = "stall" if how == "stall" else "drop"
        try:
            self.house.wait_for(lambda: self.state().state == "lost", COMES_BACK_S, f"{how} is told")
            self.found.seen_s.append(time.monotonic() - began_s)
            self.server.does, over_s = "play", time.monotonic()
            self._until("reading", self.state().read + 1)
            self.found.back_s.append(time.monotonic() - over_s)
            self.found.recovered += 1
        except DeadlineExceeded as error:
            self.found.problems.append(error.message)
        time.sleep(self.between_s)

    def kill(self) -> None:
        """Kills the capture process; it must come back by itself."""
        session, began_s = self.state().session, time.monotonic()
        name = next(name for name in self.house.roles() if name.startswith("capture-"))
        self.house.kill(name)
        self.house.wait_for(lambda: self.state().session > session, COMES_BACK_S, "a killed capture is back")
        self._until("reading", 1)
        self.found.killed_back_s = time.monotonic() - began_s

    def pause(self, seconds: float) -> None:
        """Pauses it for some seconds."""
        supervisor = self.house.caller("supervisor")
        supervisor.ask_for(SourcesState, SourcePause(uri=self.uri, reason="guests"), timeout_s=10)
        self.house.wait_for(lambda: self.state().state == "paused", COMES_BACK_S, "the pause is told")
        time.sleep(seconds)
        n = self.state().read
        supervisor.ask_for(SourcesState, SourcePause(uri=self.uri, paused=False), timeout_s=10)
        self._until("reading", n + 1)

    def end(self) -> Found:
        """Closes it, asks about it, and counts."""
        found, told = self.found, self.state()
        found.gaps, found.audio_dropped = told.gaps, told.audio_dropped
        self.house.caller("supervisor").ask_for(SourceState, SourceClose(uri=self.uri), timeout_s=10)
        self.house.wait_for(lambda: self.state().state == "closed", COMES_BACK_S, "it is closed")
        found.read = self.state().read
        found.dropped = self.state().dropped
        found.processed = self.state().sent
        self._ask_about_it()
        for word in NAMED:
            if word not in found.answer:
                found.problems.append(f"the answer does not say that it {word}")
        if found.read != found.processed + found.dropped:
            found.problems.append("read is not processed and dropped together")
        if found.audio_dropped:
            found.problems.append("sound was dropped")
        return found

    def _ask_about_it(self) -> None:
        """Asks until what was missed is in memory, for a while: what was said last may still be heard."""
        ends_s = time.monotonic() + COMES_BACK_S
        while not all(word in self.found.answer for word in NAMED) and time.monotonic() < ends_s:
            answer = self.house.ask(QUESTION)
            self.found.answer = " ".join([answer.answer, *answer.notices])
            time.sleep(1.0)

    def state(self) -> SourceState:
        """How it goes."""
        return self.house.source(self.uri)

    def _until(self, state: str, n_read: int) -> None:
        def reached() -> bool:
            told = self.state()
            return told.state == state and told.read >= n_read

        self.house.wait_for(reached, COMES_BACK_S, f"the source is {state}")


def films_of(video: Path | None) -> list[list[bytes]]:
    """The first seconds of a film in two sizes, in chunks."""
    return [
        in_chunks(
            *stretch_of(film_or(video), SECONDS, height_px=height_px, rate=RATE), rate=RATE, form="mpegts"
        )
        for height_px in HEIGHTS_PX
    ]


def check(store: Path, films: list[list[bytes]], n: int, stall_s: float) -> Found:
    """Has a source fail `n` times; what was found."""
    settings: dict[str, object] = {"capture__stall_s": stall_s, "capture__quiet_s": min(3.0, stall_s)}
    server = LiveServer(films)
    try:
        with House(store, "live", settings) as house:
            trial = Trial(house, server)
            trial.begin()
            for index in range(n):
                trial.fail(FAILURES[index % len(FAILURES)])
            trial.kill()
            trial.pause(PAUSED_S)
            return trial.end()
    finally:
        server.close()


def told(found: Found, n: int) -> dict[str, Any]:
    """What was found, for programs."""
    return {
        "version": 1,
        "failures": n,
        "recovered": found.recovered,
        "seen_s": _quantiles(found.seen_s),
        "back_s": _quantiles(found.back_s),
        "killed_back_s": round(found.killed_back_s, 2),
        "gaps": found.gaps,
        "read": found.read,
        "processed": found.processed,
        "dropped": found.dropped,
        "audio_dropped": found.audio_dropped,
        "answer": found.answer,
        "problems": found.problems,
    }


def _quantiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    return {"p50": round(statistics.median(values), 2), "max": round(max(values), 2)}


def main(argv: list[str] | None = None) -> int:
    """Runs the check; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.check_sources")
    parser.add_argument("--n", type=int, default=50, help="failures")
    parser.add_argument("--video", type=Path, default=None, help="film that is played; the demo's by default")
    parser.add_argument("--stall-s", type=float, default=2.0, help="capture.stall_s")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    films = films_of(options.video)
    with tempfile.TemporaryDirectory(prefix="sources-") as folder:
        found = check(Path(folder) / "store", films, options.n, options.stall_s)
    result = told(found, options.n)
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name}: {value}")
    return 0 if found.recovered == options.n and not found.problems else 1


if __name__ == "__main__":
    sys.exit(main())
