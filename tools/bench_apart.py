"""How far commits and questions slow each other, for `tools.bench_recall`: in one process, and in two.

Both arms do all that memory does for a question: they read it as it comes over the wire, have its key
told by a process in the place of the encoder (`tools.bench_keys`), and write the evidence as it goes back.
`inside` recalls in this process, where the commits are; `own` passes the question on to a recall process.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from memory.keys.encoder import EncoderLink
from memory.keys.index import IndexShelf
from memory.log.reader import LogReader
from memory.recall.apart import Apart, RecallProcess
from memory.recall.pipeline import Recall
from memory.recall.questions import Questions
from memory.settings import MemorySettings
from stream.config import Config
from stream.messages import Cue, RecallAsk
from stream.process.clock import RealClock
from stream.process.lanes import Lane, Wake
from stream.process.roles import SECTIONS
from stream.process.surroundings import Surroundings
from stream.wire.codec import decode, encode
from stream.wire.sender import Sender
from tools import bench_keys
from tools.bench_store import ENCODER, Question
from tools.process_use import use_of

TURNS, TURN_S = 4, 4.0
"""Commits alone, questions alone and both take turns, so that neither has the quieter machine."""
PACES: tuple[float | None, ...] = (None, 2.0, 5.0, 10.0)
"""Questions a second beside commits; None: without a pause. A person asks a few a minute."""
START_S = 120.0
TURN_OF_LOOP_S = 0.05
Took = tuple[float, float]


def took(work: Callable[[Any], Any], argument: Any, clock_s: Callable[[], float] = time.process_time) -> Took:
    """What a call takes: milliseconds of wall time, and of CPU time of the process, or of the thread."""
    began_s, cpu_s = time.perf_counter(), clock_s()
    work(argument)
    return (time.perf_counter() - began_s) * 1e3, (clock_s() - cpu_s) * 1e3


class Committing(Protocol):
    """Who commits: `tools.bench_recall.Commits`."""

    def running(self) -> AbstractContextManager[list[Took]]:
        """Commits until the block ends; what each took."""
        ...


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of answering. `shelf`: the indexes that whoever commits keeps up; `pid` of another process."""

    name: str
    questions: Questions
    shelf: IndexShelf
    sender: Sender
    process: RecallProcess | None = None

    def ask(self, question: Question) -> None:
        """One question as memory has it come and go."""
        ask = RecallAsk(cue=Cue(text=question.text))
        asked = decode(encode(ask, self.sender.envelope(ask)))
        evidence = self.questions.answer(asked, lambda _: None)
        if not evidence.items or "lexical_only" in evidence.timings_ms:
            raise RuntimeError(f"nothing was found: {evidence.notices}")
        encode(evidence, self.sender.envelope(evidence))

    def beside_cpu_s(self) -> float:
        """CPU seconds of the other process, so far."""
        return use_of(self.process.pid).cpu_s if self.process is not None else 0.0


@contextmanager
def arms(
    store_dir: Path, shelf: IndexShelf, reader: LogReader, questions: Sequence[Question]
) -> Iterator[tuple[Arm, Arm]]:
    """Both arms for a store.

    Args:
        store_dir: The store.
        shelf: Its indexes in this process, ready.
        reader: Connections for questions.
        questions: Those that will be asked.
    """
    keys = {question.text: question.key.vector for question in questions}
    with tempfile.TemporaryDirectory(prefix="or-") as folder:
        run_dir = Path(folder) / "run"
        with bench_keys.serving(run_dir, Path(folder) / "keys.npz", ENCODER, keys):
            surroundings = _surroundings(store_dir, run_dir)
            settings = MemorySettings().recall
            link, sender = EncoderLink(run_dir, "bench"), Sender("bench", RealClock())
            inside = Questions(reader, Recall(shelf, settings), link, settings)
            with _served(surroundings) as apart:
                own = Questions(reader, Recall(apart.shelf, settings), link, settings, None, apart)
                yield (
                    Arm("inside", inside, shelf, sender),
                    Arm("own", own, apart.shelf, sender, apart.process),
                )


def _surroundings(store_dir: Path, run_dir: Path) -> Surroundings:
    config = Config({}, {name: SECTIONS[name] for name in ("cpu", "supervisor", "memory")})
    return Surroundings("memory", "bench", store_dir, run_dir, config, config.section("memory"))


@contextmanager
def _served(surroundings: Surroundings) -> Iterator[Apart]:
    """A recall process, looked after by a loop as in memory."""
    wake = Wake()
    lane, done = Lane("recall", wake, 2), threading.Event()
    apart = Apart(RecallProcess(surroundings, lane), surroundings.store_dir / "views")

    def loop() -> None:
        apart.process.start()
        while not done.wait(TURN_OF_LOOP_S):
            wake.clear()
            lane.deliver()
            apart.turn(surroundings.clock.monotonic_ns())
        while not apart.process.drain():
            time.sleep(TURN_OF_LOOP_S)

    # The kernel ends the process with the thread that started it.
    thread = threading.Thread(target=loop)
    thread.start()
    try:
        ends_at_s = time.monotonic() + START_S
        while not apart.process.is_up:
            if time.monotonic() > ends_at_s or apart.process.is_given_up:
                raise RuntimeError(f"the recall process does not serve: {apart.process.last_error}")
            time.sleep(TURN_OF_LOOP_S)
        yield apart
    finally:
        done.set()
        thread.join()
        lane.close()
        apart.shelf.close()
        wake.close()


def each_other(
    commits: Committing, arm: Arm, questions: Sequence[Question], questions_hz: float | None = None
) -> dict[str, Any]:
    """Commits alone, questions alone and both, in turns: medians in ms, and by how much each is slowed.

    Questions come without a pause, or at a pace: the next begins when it is due, or at once if it was.
    CPU of questions is that of the thread that asks; where another process answers, of that one, all it
    does counted, by question.
    """
    names = ("commits", "questions")
    took_ms: dict[str, list[Took]] = {f"{name}{how}": [] for name in names for how in ("", "_both")}
    beside_s = {"questions": 0.0, "questions_both": 0.0}
    asked = itertools.cycle(questions)

    def put_questions(name: str) -> None:
        began_s, cpu_s = time.perf_counter(), arm.beside_cpu_s()
        for number in itertools.count():
            if questions_hz is not None:
                time.sleep(max(0.0, began_s + number / questions_hz - time.perf_counter()))
            if time.perf_counter() >= began_s + TURN_S:
                break
            took_ms[name].append(took(arm.ask, next(asked), time.thread_time))
        beside_s[name] += arm.beside_cpu_s() - cpu_s

    for question in questions[:20]:
        arm.ask(question)  # Indexes are loaded, and pages read.
    for _ in range(TURNS):
        with commits.running() as alone_ms:
            time.sleep(TURN_S)
        took_ms["commits"] += alone_ms
        put_questions("questions")
        with commits.running() as beside_ms:
            put_questions("questions_both")
        took_ms["commits_both"] += beside_ms
    told: dict[str, Any] = {"load": round(os.getloadavg()[0], 1), "questions_hz": questions_hz}
    told["commits_hz"] = round(len(took_ms["commits_both"]) / (TURNS * TURN_S), 1)
    told["n_questions"] = len(took_ms["questions_both"])
    medians = {
        f"{name}_{of}p50_ms": float(np.median([one[place] for one in ms]))
        for place, of in enumerate(("", "cpu_"))
        for name, ms in took_ms.items()
    }
    if arm.process is not None:
        told["passing_on_cpu_p50_ms"] = round(medians["questions_both_cpu_p50_ms"], 2)
        for name, spent_s in beside_s.items():
            medians[f"{name}_cpu_p50_ms"] = spent_s * 1e3 / max(len(took_ms[name]), 1)
    told |= {name: round(value, 2) for name, value in medians.items()}
    for name in names:
        for of in ("", "cpu_"):
            slowed = medians[f"{name}_both_{of}p50_ms"] / max(medians[f"{name}_{of}p50_ms"], 1e-6) - 1
            told[f"{name}_{of}slowed"] = round(slowed, 3)
    return told
