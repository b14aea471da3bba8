"""How long answers take over one hour, ten, a hundred and a thousand hours of a live camera's memory.

`python -m tools.bench_growth --text FILE… --store DIR [--pattern STORE | --video FILE…] [--questions FILE]
[--dialogues FILE] [--hours 1 10 100 1000] [--rounds 3] [--keys DIR] [--json OUT] [--svg OUT]`. A pattern is
made by the house's own live processes while the films (by default the demo's) play as cameras, one after the
other; each store repeats it for a share of each hour (`--lively`) with other words (`tools.growth_store`),
and is kept in `--store`. Then the real processes of all stores run side by side, and each question is put to
all of them in turns, so that whatever else the machine does falls on all alike: `turn.open` to `turn.final`,
without a model (`answer`), `recall.ask` to its evidence, of which the time within
recall without the question's key is told (`recall`), and CPU time of all processes of a store for one answer
(`cpu`). Questions are those of `--questions` (a `question` a line, as `qa.jsonl` has them), those that can be
answered of `--dialogues` (LoCoMo format), whose turns `--text` has said, and some for times. Merging of
events and budgets are off: both make a large store smaller. Ends with 1 where an answer from the largest
takes more than 1.2 times as long as from the smallest, or recall more than 30 ms (p95) there.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from memory.keys.index import IndexShelf
from memory.log.database import RECALL_CACHE_KIB
from memory.log.reader import LogReader
from memory.recall.candidates import QuestionKey
from memory.recall.pipeline import Recall
from memory.settings import MemorySettings
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from stream.capture.text import read
from stream.errors import OmniRecallError
from stream.messages import Cue, Evidence, RecallAsk
from tools.bench_apart import Took, took
from tools.chat_stores import ENCODER, Encode, keeping, remembering, text_encoder
from tools.eval_recall import questions_of
from tools.growth_store import DAY_HOURS, NS_PER_S, GrowthStore, Pattern
from tools.house import House, film_or
from tools.year_material import speech_of
from tools.year_report import percentiles
from tools.year_store import AskedHere, turns_of

FILLED = "filled"
"""In a store that is whole: how many hours it holds."""
MOST_RATIO, MOST_RECALL_MS = 1.2, 30.0
OF_TIMES = (
    "What did you see in the last hour?",
    "What was said in the last ten minutes?",
    "What happened today?",
    "What did you see yesterday?",
)
OVERRIDES: dict[str, object] = {
    "memory__spans__budget": 0,
    "memory__retention__enabled": False,
    "memory__recall__learn": False,
    "reasoning__citations": False,
    "cpu__nice": False,
}
"""Answers change nothing, so that every round asks the same stores."""


def make_pattern(store_dir: Path, films: Sequence[Path]) -> None:
    """Plays films as cameras, one after the other, into the live processes of a new store."""
    with House(store_dir, preset="live") as house:
        for film in films:
            state = house.follow(house.open(film, as_camera=True), timeout_s=3_600)
            print(f"{film.name}: {state.state}, {state.dropped} of {state.read} frames dropped", flush=True)
        house.wait_for(lambda: not house.memory().pending_keys, 120, "all keys are made")


def make_views(store_dir: Path) -> float:
    """Has the children make the views that a store of its size has; seconds."""
    began_s = time.perf_counter()
    reader = LogReader(store_dir, RECALL_CACHE_KIB, is_mapped=True)
    shelf = IndexShelf(store_dir / "views")
    with reader.snapshot() as db:
        wait_for_views(shelf, db)
    shelf.save()
    shelf.close()
    reader.close()
    return round(time.perf_counter() - began_s, 1)


def wait_for_views(shelf: IndexShelf, db: sqlite3.Connection) -> None:
    """Until the children have made, and mapped, what every encoder of a store is to have."""
    for (encoder_id,) in db.execute("SELECT DISTINCT encoder_id FROM key").fetchall():
        shelf.keep_up(db, encoder_id)
    idle = 0
    while idle < 3:  # One view may make the next one due.
        shelf.tend(db)
        idle = 0 if shelf.is_building else idle + 1
        time.sleep(0.2)


def cpu_ms(pids: Sequence[int]) -> float:
    """CPU time of processes and their children so far, in milliseconds."""
    spent_ns, waiting = 0, list(pids)
    while waiting:
        pid = waiting.pop()
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                spent_ns += int((task / "schedstat").read_text().split()[0])
                waiting += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # It has just ended.
    return spent_ns / 1e6


class Asked:
    """The processes of one store, and how long they took."""

    def __init__(self, house: House, hours: int) -> None:
        self.house, self.hours = house, hours
        self.answer_ms: list[float] = []
        self.recall_ms: list[float] = []
        self.cpu_ms: list[float] = []
        self.answered: list[bool] = []

    def wait_until_loaded(self) -> None:
        """Until its indexes answer, and nothing is being made."""
        self.house.wait_for(lambda: not self.house.memory().pending_keys, 600, "keys are made")
        self.house.ask("What did you see?", timeout_s=600)
        before_ms, quiet = self._spent_ms(), 0
        ends_at_s = time.monotonic() + 900
        while quiet < 3 and time.monotonic() < ends_at_s:
            time.sleep(2)
            now_ms = self._spent_ms()
            quiet, before_ms = (quiet + 1 if now_ms - before_ms < 300 else 0), now_ms

    def _spent_ms(self) -> float:
        return cpu_ms([self.house.supervisor_pid])

    def put(self, question: str, *, counts: bool) -> None:
        """One question; with a moment behind it, so that its traces do not fall on the next."""
        before_ms, began_s = self._spent_ms(), time.perf_counter()
        answer = self.house.ask(question, timeout_s=60)
        answer_ms = (time.perf_counter() - began_s) * 1e3
        spent_ms = self._spent_ms() - before_ms
        told = self.house.caller("memory").ask_for(
            Evidence, RecallAsk(cue=Cue(text=question), k=10), timeout_s=60
        )
        if counts:
            self.answer_ms.append(answer_ms)
            self.cpu_ms.append(spent_ms)
            own = told.timings_ms
            self.recall_ms.append(own["total"] - own.get("question_key", 0.0))
            self.answered.append(answer.verdict != "not_seen")

    def figures(self) -> dict[str, Any]:
        """By name."""
        told: dict[str, Any] = {"hours": self.hours, "questions": len(self.answer_ms)}
        for name, values in (("answer", self.answer_ms), ("recall", self.recall_ms), ("cpu", self.cpu_ms)):
            for share in (50, 95):
                told[f"{name}_p{share}_ms"] = round(float(np.percentile(values, share)), 1)
        held = self.house.memory()
        counts = {name: held.counts[name] for name in ("observations", "keys", "event_spans")}
        told |= counts | {"log_mb": round(held.n_bytes["log"] / 1e6)}
        told["rss_mb"] = {name: round(role.rss_bytes / 1e6) for name, role in self.house.roles().items()}
        return told | {"answered": round(float(np.mean(self.answered)), 3)}


def questions_for(options: argparse.Namespace) -> list[str]:
    """What is asked, in order."""
    told = [*OF_TIMES]
    if options.questions is not None:
        lines = options.questions.read_text(encoding="utf-8").splitlines()
        told += [json.loads(line)["question"] for line in lines if line.strip()]
    if options.dialogues is not None:
        asked = questions_of(options.dialogues, read(options.dialogues))
        told += [one.text for one in asked][:: max(1, len(asked) // options.most_questions)]
    return told


def fill(options: argparse.Namespace) -> dict[str, Any]:
    """Makes the pattern and the stores that are missing; what the pattern holds."""
    pattern_dir = options.pattern or options.store / "pattern"
    if not (pattern_dir / "log.sqlite").is_file():
        make_pattern(pattern_dir, [film_or(film) for film in options.video or [None]])
    pattern = Pattern(pattern_dir)
    print(f"observations an hour: {pattern.per_hour()}", flush=True)
    until_ns, speech = _until_ns(options.store), None
    for hours in options.hours:
        store_dir = options.store / f"{hours}h"
        if (store_dir / FILLED).is_file():
            continue
        if speech is None:
            encode = text_encoder() if options.keys is None else keeping(text_encoder(), options.keys)
            speech = speech_of(turns_of(options.text), encode, options.most_turns)
        began_s = time.perf_counter()
        store = GrowthStore(store_dir, pattern, speech, options.frame_hours, options.lively)
        written = store.fill(hours, until_ns)
        filled_s, views_s = round(time.perf_counter() - began_s, 1), make_views(store_dir)
        (store_dir / FILLED).write_text(str(written))
        print(f"{hours} h: filled in {filled_s} s, views in {views_s} s", flush=True)
    return {"seconds": pattern.length_ns / 1e9, "per_hour": pattern.per_hour(), "lively": options.lively}


def _until_ns(folder: Path) -> int:
    """The end of the newest hour, the same for stores that are added later; a day ends with its date."""
    kept = folder / "until"
    folder.mkdir(parents=True, exist_ok=True)
    if not kept.is_file():
        now = datetime.now().astimezone()
        if now.hour < DAY_HOURS:
            now = now.replace(hour=0, minute=0, second=0, microsecond=0)
        kept.write_text(str(round(now.timestamp()) * NS_PER_S))
    return int(kept.read_text())


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Puts every question to every store, in turns; the figures of each."""
    questions = questions_for(options)
    with ExitStack() as stack:
        every = []
        for size in options.hours:
            folder = options.store / f"{size}h"
            hours = int((folder / FILLED).read_text())
            house = House(folder, preset="live", overrides=OVERRIDES)
            every.append(Asked(stack.enter_context(house), hours))
        for one in every:
            one.wait_until_loaded()
        put_in_turns(every, questions, options.rounds)
        return [one.figures() for one in every]


def put_in_turns(every: Sequence[Asked | AskedInside], questions: Sequence[str], rounds: int) -> None:
    """Each question to every store before the next one, in each round beginning with another store."""
    for number in range(-1, rounds):  # The first time is not told: what it reads is read then.
        for place, question in enumerate(questions):
            for at in range(len(every)):
                every[(at + place) % len(every)].put(question, counts=number >= 0)
        print(f"round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}", flush=True)


class AskedInside(AskedHere):
    """A store in this process, asked by words and by the keys of a real encoder; nothing is sent."""

    def __init__(self, folder: Path, hours: int, encode: Encode) -> None:
        self._shelf = IndexShelf(folder / "views")
        reader = LogReader(folder, RECALL_CACHE_KIB, is_mapped=True)
        super().__init__(Recall(self._shelf, MemorySettings().recall), reader)
        self.hours, self._encode = hours, encode
        self.answer: list[Took] = []
        self.recalled: list[Took] = []
        self._notes = False
        with reader.snapshot() as db:
            wait_for_views(self._shelf, db)

    def recall(self, cue: Cue, k: int) -> Evidence:
        """As memory answers it, but for the key of the question, which was made before."""
        keys = [QuestionKey("dense", ENCODER, self._encode([cue.text])[0])] if cue.text else []
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        with self._reader.snapshot() as db:
            told = self._recall(db, cue, k, keys)
        if self._notes:
            spent = time.perf_counter() - began_s, time.process_time() - began_cpu_s
            self.recalled.append((spent[0] * 1e3, spent[1] * 1e3))
        return told

    def put(self, question: str, *, counts: bool) -> None:
        """One question, as reasoning answers it."""
        self._encode([question])
        self._notes = counts
        spent = took(lambda one: Reasoner(self, ReasoningSettings()).answer(one, Cue()), question)
        if counts:
            self.answer.append(spent)

    def figures(self) -> dict[str, Any]:
        """By name; `answer` and `recall` are CPU time here."""
        told: dict[str, Any] = {"hours": self.hours, "questions": len(self.answer)}
        for name, spent in (("answer", self.answer), ("recall", self.recalled)):
            for figure, ms in percentiles(spent).items():
                clock = "" if figure.startswith("cpu_") else "wall_"
                told[f"{name}_{clock}{figure.removeprefix('cpu_')}"] = ms
        told |= {f"cpu_p{share}_ms": told[f"answer_p{share}_ms"] for share in (50, 95)}
        with self._reader.snapshot() as db:
            for name in ("observation", "key"):
                (told[f"{name}s"],) = db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()  # noqa: S608
            (pages,) = db.execute("PRAGMA page_count").fetchone()
        return told | {"log_mb": round(pages * 4096 / 1e6), "index": self._shelf.describe()}

    def close(self) -> None:
        """Ends what was opened."""
        self._shelf.close()
        self._reader.close()


def measure_inside(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The same in this process: what machines that do other things as well do not disturb is CPU time."""
    questions, encode = questions_for(options), remembering(text_encoder())
    every = []
    for size in options.hours:
        folder = options.store / f"{size}h"
        every.append(AskedInside(folder, int((folder / FILLED).read_text()), encode))
    try:
        put_in_turns(every, questions, options.rounds)
        return [one.figures() for one in every]
    finally:
        for one in every:
            one.close()


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """The figures, one store a line."""
    print(
        f"{'hours':>6} {'observations':>13} {'keys':>9} {'log MB':>7} {'answer p50':>11} {'p95 ms':>8}"
        f" {'recall p50':>11} {'p95 ms':>8} {'CPU p50':>9} {'p95 ms':>8}"
    )
    for row in rows:
        print(
            f"{row['hours']:>6} {row['observations']:>13} {row['keys']:>9} {row['log_mb']:>7}"
            f" {row['answer_p50_ms']:>11} {row['answer_p95_ms']:>8} {row['recall_p50_ms']:>11}"
            f" {row['recall_p95_ms']:>8} {row['cpu_p50_ms']:>9} {row['cpu_p95_ms']:>8}"
        )


def picture(rows: Sequence[dict[str, Any]]) -> str:
    """Milliseconds over hours of memory as SVG, hours on a logarithmic scale."""
    width_px, height_px, left_px, foot_px = 640, 300, 52, 40
    most = max(row["answer_p95_ms"] for row in rows) * 1.1
    first, last = (float(np.log10(rows[at]["hours"])) for at in (0, -1))

    def x(row: dict[str, Any]) -> float:
        share = (np.log10(row["hours"]) - first) / max(last - first, 1e-9)
        return float(left_px + share * (width_px - left_px - 20))

    def y(ms: float) -> float:
        return float((height_px - foot_px) * (1 - ms / most))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width_px} {height_px}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{width_px}" height="{height_px}" fill="white"/>',
    ]
    step = 10 ** np.floor(np.log10(most / 2))
    for ms in np.arange(0, most, step if most / step <= 8 else 2 * step if most / step <= 16 else 5 * step):
        parts.append(
            f'<line x1="{left_px}" x2="{width_px - 20}" y1="{y(ms):.1f}" y2="{y(ms):.1f}" stroke="#ddd"/>'
            f'<text x="{left_px - 6}" y="{y(ms) + 4:.1f}" text-anchor="end">{ms:g}</text>'
        )
    for row in rows:
        parts.append(
            f'<text x="{x(row):.1f}" y="{height_px - foot_px + 18}" text-anchor="middle">'
            f"{row['hours']:,} h</text>"
        )
    for n, (name, colour) in enumerate((("answer", "steelblue"), ("recall", "darkorange"))):
        for share, dashes in ((50, ""), (95, ' stroke-dasharray="4"')):
            told = f"{name}_p{share}_ms"
            points = " ".join(f"{x(row):.1f},{y(row[told]):.1f}" for row in rows)
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'
            )
        parts.append(
            f'<text x="{left_px + 8 + 230 * n}" y="{height_px - 6}" fill="{colour}">'
            f"{name}: p50, and p95 (dashed), ms</text>"
        )
    return "\n".join(parts) + "\n</svg>\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, required=True, help="folder of the stores; kept")
    parser.add_argument("--text", type=Path, nargs="*", default=(), help="chats and meetings, to be said")
    parser.add_argument("--pattern", type=Path, help="a store that live processes filled")
    parser.add_argument("--video", type=Path, nargs="*", help="films of which the pattern is made")
    parser.add_argument("--questions", type=Path, help="JSON lines with a question each")
    parser.add_argument("--dialogues", type=Path, help="LoCoMo format")
    parser.add_argument("--most-questions", type=int, default=60, help="of dialogues")
    parser.add_argument("--most-turns", type=int, default=6_000, help="of --text")
    parser.add_argument("--hours", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--frame-hours", type=int, default=100)
    parser.add_argument(
        "--lively", type=float, default=1.0, help="share of each hour in which something is said and seen"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keys", type=Path, help="folder in which keys of texts are kept")
    parser.add_argument(
        "--inside",
        action="store_true",
        help="recall and reasoning in this process, and CPU time in the place of wall time",
    )
    parser.add_argument("--fill-only", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args(arguments)
    try:
        told: dict[str, Any] = {"tool": "bench_growth", "pattern": fill(options)}
        if options.fill_only:
            return 0
        rows = measure_inside(options) if options.inside else measure(options)
    except OmniRecallError as error:
        print(f"{error.message}: {error.remedy}", file=sys.stderr)
        return 1
    print_table(rows)
    told["inside"] = options.inside
    told["history_ratio"] = round(rows[-1]["answer_p50_ms"] / rows[0]["answer_p50_ms"], 3)
    told["history_ratio_p95"] = round(rows[-1]["answer_p95_ms"] / rows[0]["answer_p95_ms"], 3)
    told["recall_p95_ms"] = rows[-1]["recall_p95_ms"]
    print({name: told[name] for name in ("history_ratio", "history_ratio_p95", "recall_p95_ms")})
    if options.json is not None:
        options.json.write_text(json.dumps(told | {"systems": {"ours": rows}}, indent=1), encoding="utf-8")
    if options.svg is not None:
        options.svg.write_text(picture(rows), encoding="utf-8")
    holds = told["history_ratio"] <= MOST_RATIO and told["recall_p95_ms"] <= MOST_RECALL_MS
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
