"""How soon a store answers after a start, and how long questions of many shapes take over all of it.

`python -m tools.bench_start --store DIR [--seconds 60] [--json OUT]`. Starts the real processes over a
store, in which these questions leave no trace (`tools.bench_growth` fills large ones). From the moment of the
start one question after the other is put, each second, until `--seconds` are over; what is told is when the
first was answered, when the first that was found by meaning, how many failed, and how much CPU time all
processes took. Then each question of `SHAPES` is put twice, and the second time is told: counts, lengths,
first and last times, days, stretches counted back from now go other ways through memory than "what is" does.
Ends with 1 where a question failed, or one took longer than `MOST_S`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stream.errors import OmniRecallError
from tools.bench_growth import OVERRIDES, cpu_ms
from tools.house import House

MOST_S = 5.0
"""After which reasoning gives up on recall."""
FIRST = (
    "What did you see?",
    "Who talked about budgets for schools?",
    "When did the kettle boil?",
    "What was said in the last ten minutes?",
    "Where is the remote control?",
    "What did the minister say about hospitals?",
)
SHAPES = (
    *FIRST,
    "What was said?",
    "Who spoke today?",
    "What happened yesterday evening?",
    "How many times did the phone ring?",
    "When did I last mention the budget?",
    "How long did they talk about eggs yesterday?",
    "What happened before the speech about hospitals?",
    "What happened after somebody mentioned schools?",
    "What text was on the screen?",
    "What text did you see yesterday?",
    "Did anybody mention a ship?",
    "What did you see in the last hour?",
    "What was said last week?",
    "Summarize today",
    "What happened last month?",
    "How often was Wales mentioned last week?",
    "What did you see at 10:30?",
    "What was said between 9 and 10 this morning?",
    "What was said first yesterday?",
    "What happened most recently?",
    "How long is the film?",
    "How many shots are there?",
    "What is the last thing that is said?",
)


def started(house: House, began_s: float, seconds: float) -> dict[str, Any]:
    """Questions from the start on: when the first was answered, and what failed."""
    told: dict[str, Any] = {"questions": 0, "failed": 0, "by_words": 0, "first_s": None, "by_meaning_s": None}
    while time.monotonic() < began_s + seconds:
        put_s = time.monotonic()
        answer = asked(house, FIRST[told["questions"] % len(FIRST)])
        told["questions"] += 1
        if answer is None:
            told["failed"] += 1
        else:
            now_s = round(time.monotonic() - began_s, 2)
            is_by_words = any("by words alone" in notice for notice in answer.notices)
            told["by_words"] += is_by_words
            told["first_s"] = told["first_s"] or now_s
            if not is_by_words:
                told["by_meaning_s"] = told["by_meaning_s"] or now_s
        time.sleep(max(0.0, put_s + 1.0 - time.monotonic()))
    return told | {"cpu_s": round(cpu_ms([house.supervisor_pid]) / 1e3, 1)}


def asked(house: House, question: str) -> Any:
    """The answer; None where there was none in time."""
    try:
        return house.ask(question, timeout_s=60)
    except OmniRecallError as error:
        print(f"{question}: {error.message}", file=sys.stderr)
        return None


def shapes(house: House) -> list[dict[str, Any]]:
    """How long each shape of question takes, the slowest first."""
    rows = []
    for question in SHAPES:
        asked(house, question)
        began_s = time.perf_counter()
        answer = asked(house, question)
        ms = round((time.perf_counter() - began_s) * 1e3)
        rows.append({"question": question, "ms": ms, "verdict": answer.verdict if answer else "failed"})
    return sorted(rows, key=lambda row: -row["ms"])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60.0, help="from the start on")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    try:
        began_s = time.monotonic()
        with House(options.store, preset="live", overrides=OVERRIDES) as house:
            start = started(house, began_s, options.seconds)
            rows = shapes(house)
            held = house.memory().counts
    except OmniRecallError as error:
        print(f"{error.message}: {error.remedy}", file=sys.stderr)
        return 1
    for name, value in start.items():
        print(f"{name:14} {value}")
    for row in rows:
        print(f"{row['ms']:>7} ms  {row['verdict']:10} {row['question']}")
    every = [row["ms"] for row in rows]
    told = {"observations": held["observations"], "keys": held["keys"]}
    told |= {f"shapes_p{share}_ms": round(float(np.percentile(every, share))) for share in (50, 95, 100)}
    print(told)
    if options.json is not None:
        systems = {"ours": start | told | {"shapes": rows}}
        options.json.write_text(json.dumps({"tool": "bench_start", "systems": systems}, indent=1), "utf-8")
    failed = start["failed"] or any(row["verdict"] == "failed" for row in rows)
    return 1 if failed or max(every) > MOST_S * 1e3 else 0


if __name__ == "__main__":
    sys.exit(main())
