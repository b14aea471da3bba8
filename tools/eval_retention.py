"""What is still found when half of the bytes are gone: `python -m tools.eval_retention --data FILE | --dir DIR`.

`--json OUT` `--seeds 3` `--keys FOLDER` (keeps vectors of texts for a next run) `--share .5`. `--data` is of
LoCoMo format: each dialogue is a store of its own, with the keys that `omnirecall import` makes. `--dir` is
a folder of `tools.video_set`, or, by `--store`, a store of it that `tools.eval_video --store` made.

The budget is a share of the bytes of keys, words, index files and pictures of the full store, as the store
itself counts them; rows of the log stay, and the log is compacted. What is let go is chosen by the code that
ships (`memory.retention`), and what is found by the recall that ships. `ours` goes in steps by value per byte;
controls take all of an item at once, by their order. `… in steps` is a control with the steps of ours,
`ours whole` ours without. `longest` keeps the longest texts. `kept_R@10` is R@10 at the budget over
R@10 of the full store; its intervals are drawn over questions, paired.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from memory.keys.index import IndexShelf
from memory.log.reader import LogReader
from memory.log.store import LogStore
from memory.recall.candidates import QuestionKey
from memory.recall.pipeline import Recall
from memory.retain.kept import Kept, walked
from memory.retain.policies import Chance, Judged, RetentionPolicy, policy_of
from memory.retain.subjects import Subject
from memory.retention import Retention
from memory.settings import MemorySettings, RetentionSettings
from stream.capture.text import read
from stream.errors import OmniRecallError
from stream.messages import Cue
from tools.chat_stores import ENCODER, ChatStore, Encode, Vectors, keeping, remembering, text_encoder
from tools.eval_recall import Asked, questions_of
from tools.video_metrics import interval

K = 10
CONTROLS = ("random", "fifo", "ebbinghaus", "least_redundant", "longest")
SHARED = ("keys", "digests", "words", "index files", "thumbnails", "keyframes")
"""Classes of which a share stays; the rows of the log are no part of it."""
NOW_NS = 1_800_000_000 * 10**9


class Longest:
    """Keeps the longest texts: what a policy must be more than."""

    def judge(self, db: sqlite3.Connection, found: Sequence[Subject], now_ns: int) -> Judged:
        """As `RetentionPolicy.judge`."""
        del db, now_ns
        lengths = np.array([float(len(one.text)) for one in found])
        return Judged(lengths, {"chars": lengths})


@dataclass(frozen=True, slots=True)
class Arm:
    """A policy, and whether it goes in steps."""

    name: str
    policy: str
    in_steps: bool
    seed: int = 0

    def settings(self, base: RetentionSettings) -> RetentionSettings:
        """What holds in this arm, budgets aside."""
        told = {"policy": self.policy if self.policy != "longest" else "fifo", "in_steps": self.in_steps}
        return base.model_copy(update=told)

    def made(self, base: RetentionSettings, shelf: IndexShelf) -> RetentionPolicy:
        """The policy itself."""
        if self.policy == "longest":
            return Longest()
        if self.policy == "random":
            return Chance(self.seed)
        return policy_of(self.policy, base.weights, shelf.words)


def arms(seeds: int) -> list[Arm]:
    """Everything that is compared."""
    found = [Arm("ours", "value", True), Arm("ours whole", "value", False)]
    for name in CONTROLS:
        for seed in range(seeds if name == "random" else 1):
            tail = f" {seed}" if name == "random" else ""
            found.append(Arm(f"{name}{tail}", name, False, seed))
            found.append(Arm(f"{name}{tail} in steps", name, True, seed))
    return found


class OpenStore:
    """A store that is open for all that is measured.

    Args:
        folder: Of the store.
        settings: Of memory.
    """

    def __init__(self, folder: Path, settings: MemorySettings) -> None:
        self.folder = folder
        self.log = LogStore(folder)
        self.reader = LogReader(folder)
        self.shelf = IndexShelf(folder / "views")
        with self.reader.snapshot() as db:
            for (encoder_id,) in db.execute("SELECT DISTINCT encoder_id FROM key").fetchall():
                self.shelf.ready(db, encoder_id)
        self.recall = Recall(self.shelf, settings.recall)

    def retention(self, settings: RetentionSettings, policy: RetentionPolicy) -> Retention:
        """Its retention."""
        made = Retention(self.log, self.reader, self.shelf, settings, lambda: NOW_NS, policy=policy)
        made.compacted_from = 16 << 10, 0.0
        return made

    def kept(self) -> Kept:
        """Bytes by class."""
        with self.reader.snapshot() as db:
            return self.retention(RetentionSettings(), Longest()).kept(db)

    def close(self) -> None:
        """Closes it."""
        self.shelf.save()
        self.reader.close()
        self.shelf.close()
        self.log.close()


@contextlib.contextmanager
def opened(folder: Path, settings: MemorySettings) -> Iterator[OpenStore]:
    """A store for a while."""
    store = OpenStore(folder, settings)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def halved(
    full: Path, arm: Arm, settings: MemorySettings, share: float
) -> Iterator[tuple[OpenStore, dict[str, Any]]]:
    """A copy of a store of which an arm has let go all but a share, and what that took."""
    with tempfile.TemporaryDirectory(prefix="omnirecall-half-") as folder:
        copy = Path(folder) / "store"
        shutil.copytree(full, copy)
        with opened(copy, settings) as store:
            before = store.kept()
            budget = budget_of(before, share)
            held = settings.retention.model_copy(
                update={
                    "index_bytes": max(1 << 16, before.index - budget["index"]),
                    "thumbnails_bytes": max(0, before.thumbnails - budget["thumbnails"]),
                }
            )
            base = arm.settings(held)
            began_s = time.monotonic()
            done = store.retention(base, arm.made(held, store.shelf)).hold()
            after = store.kept()
            told = {
                "let_go": done.items,
                "bytes": sum(after.classes.get(name, 0) for name in SHARED),
                "full_bytes": sum(before.classes.get(name, 0) for name in SHARED),
                "seconds": round(time.monotonic() - began_s, 2),
                "over": max(0, after.index - held.index_bytes),
            }
            yield store, told


def budget_of(held: Kept, share: float) -> dict[str, int]:
    """How many bytes of the index, and of pictures, have to go."""
    index = sum(held.classes.get(name, 0) for name in SHARED[:4])
    return {"index": int((1 - share) * index), "thumbnails": int((1 - share) * held.thumbnails)}


@dataclass(slots=True)
class Measured:
    """What was found of each question: by arm, by place of the question; and what arms took."""

    found: dict[str, list[float]] = field(default_factory=dict)
    took: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    lengths: dict[str, float] = field(default_factory=dict)


def chat_recall(store: OpenStore, place_of: Mapping[bytes, str], asked: Asked, key: Vectors) -> float:
    """The share of the evidence of a question among the first ten turns."""
    with store.reader.snapshot() as db:
        told = store.recall(db, Cue(text=asked.text), 2 * K, [QuestionKey("dense", ENCODER, key)])
    items = sorted(told.items, key=lambda item: -item.score)
    refs = list(dict.fromkeys(place_of[item.observation_id] for item in items))[:K]
    return len(asked.evidence & set(refs)) / len(asked.evidence)


def measure_chats(
    path: Path, settings: MemorySettings, encode: Encode, every: Sequence[Arm], share: float, folder: Path
) -> tuple[Measured, list[Asked]]:
    """Every question of every dialogue, of the full store and of each arm."""
    chats = read(path)
    asked = sorted(questions_of(path, chats), key=lambda one: one.chat)
    keys = {one.text: encode([one.text])[0] for one in asked}
    measured = Measured()
    for place, chat in enumerate(chats):
        full = folder / str(place)
        made = ChatStore([chat], encode, full, settings)
        refs = {one: made.turns[turn].turn.ref for one, turn in made.place_of.items()}
        made.close()
        own = [one for one in asked if one.chat == place]
        with opened(full, settings) as store:
            store.log.compact()
            measured.found.setdefault("full", []).extend(
                chat_recall(store, refs, one, keys[one.text]) for one in own
            )
        print(f"dialogue {place + 1} of {len(chats)}: {walked(full)}", file=sys.stderr)
        for arm in every:
            with halved(full, arm, settings, share) as (store, told):
                measured.took.setdefault(arm.name, []).append(told)
                measured.found.setdefault(arm.name, []).extend(
                    chat_recall(store, refs, one, keys[one.text]) for one in own
                )
    return measured, asked


def ratios(measured: Measured, groups: Sequence[int]) -> dict[str, dict[str, Any]]:
    """kept_R@10 of each arm, over all questions and by group; seeds of one control are pooled."""
    full = np.array(measured.found["full"])
    of = np.array(groups)
    told: dict[str, dict[str, Any]] = {"full": {"R@10": round(float(full.mean()), 4), "kept_R@10": 1.0}}
    for name, rows in pooled(measured.found).items():
        half = np.mean(rows, axis=0)
        pairs = list(zip(half.tolist(), full.tolist(), strict=True))
        by = {
            str(group): _ratio([p for p, g in zip(pairs, of, strict=True) if g == group])
            for group in sorted(set(groups))
        }
        told[name] = {
            "R@10": round(float(half.mean()), 4),
            "kept_R@10": _ratio(pairs),
            "interval": interval(pairs, lambda places, pairs=pairs: _ratio([pairs[p] for p in places])),
            "by_group": by,
        }
    return told


def pooled(found: Mapping[str, Sequence[float]]) -> dict[str, list[Sequence[float]]]:
    """Arms without the number of their seed."""
    rows: dict[str, list[Sequence[float]]] = {}
    for name, values in found.items():
        if name != "full":
            rows.setdefault(" ".join(word for word in name.split() if not word.isdigit()), []).append(values)
    return rows


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    whole = sum(full for _, full in pairs)
    return round(sum(half for half, _ in pairs) / whole, 4) if whole else 1.0


def document(measured: Measured, groups: Sequence[int], options: argparse.Namespace) -> dict[str, Any]:
    """The JSON object that every evaluation of the project writes."""
    return {
        "tool": "eval_retention",
        "data": str(options.data or options.dir or options.store),
        "items": len(groups),
        "config": {"share": options.share, "retention": options.settings.retention.model_dump()},
        "models": {"text": "all-minilm-l6-v2"},
        "systems": ratios(measured, groups),
        "took": measured.took,
    }


def print_table(told: Mapping[str, Any]) -> None:
    """The figures of every arm."""
    systems = told["systems"]
    groups = sorted(next(iter(s["by_group"] for s in systems.values() if "by_group" in s), {}))
    print(f"{'':28s}{'R@10':>8s}{'kept':>8s}{'95 %':>17s}" + "".join(f"{group:>8s}" for group in groups))
    for name, row in systems.items():
        ends = "[{:.3f} {:.3f}]".format(*row["interval"]) if "interval" in row else ""
        by = "".join(f"{row['by_group'][group]:8.3f}" for group in groups) if "by_group" in row else ""
        print(f"{name:28s}{row['R@10']:8.3f}{row['kept_R@10']:8.3f}{ends:>17s}{by}")
    for name, rows in told["took"].items():
        shares = " ".join(f"{one['bytes'] / one['full_bytes']:.3f}" for one in rows)
        print(f"{name:28s}bytes kept {shares}; acts {sum(one['let_go'] for one in rows)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.eval_retention",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", default="", help="only these, by commas")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Measures, prints, writes; 2 where an option is wrong."""
    options = _parser().parse_args(argv)
    options.settings = settings = MemorySettings()
    every = [arm for arm in arms(options.seeds) if not options.arms or arm.name in options.arms.split(",")]
    encode = text_encoder()
    encode = remembering(encode) if options.keys is None else keeping(encode, options.keys)
    try:
        with tempfile.TemporaryDirectory(prefix="omnirecall-retention-") as folder:
            measured, asked = measure_chats(
                options.data, settings, encode, every, options.share, Path(folder)
            )
    except OmniRecallError as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return error.exit_code
    told = document(measured, [one.chat for one in asked], options)
    print_table(told)
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
