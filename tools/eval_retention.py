"""What is still found when half of the bytes are gone.

`python -m tools.eval_retention --data FILE | --dir DIR --store STORE` `--json OUT` `--seeds 3` `--share .5`
`--keys FOLDER` (keeps vectors of texts for a next run). `--data` is of LoCoMo format: each dialogue is a
store of its own, with the keys that `omnirecall import` makes. `--dir` is a folder of `tools.video_set`,
and `--store` a store of it that `tools.eval_video --store` made; R@10 is hit@10 there, as it counts.

The budget is a share of the bytes of keys, words, index files and pictures of the full store, as the store
itself counts them; rows of the log stay, and what the log of letting go takes counts against it. What
goes is chosen by the code that ships (`memory.retention`), and what is found by the recall that ships. `ours`
goes in steps, by value per byte; controls take all of an item at once, by their order. `… in steps` is a
control with the steps of ours, `ours whole` is ours without. `longest` keeps the longest texts.
`kept_R@10` is R@10 at the budget over R@10 of the full store; intervals are drawn over questions, paired.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from memory.recall.candidates import QuestionKey
from memory.settings import MemorySettings
from stream.capture.text import read
from stream.errors import ConfigError, OmniRecallError
from stream.messages import Cue
from tools.chat_stores import ENCODER, ChatStore, Encode, Vectors, keeping, remembering, text_encoder
from tools.eval_recall import Asked, questions_of
from tools.half_stores import Arm, OpenStore, arms, halved, opened
from tools.video_metrics import Stretch, hit_rank, interval
from tools.video_set import VideoSet, read_set

K = 10


@dataclass(slots=True)
class Measured:
    """What was found of each question: by arm, by place of the question; and what arms took."""

    found: dict[str, list[float]] = field(default_factory=dict)
    took: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


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
            measured.found.setdefault("full", []).extend(
                chat_recall(store, refs, one, keys[one.text]) for one in own
            )
        print(f"dialogue {place + 1} of {len(chats)}", file=sys.stderr)
        for arm in every:
            with halved(full, arm, settings, share) as (store, told):
                measured.took.setdefault(arm.name, []).append(told)
                measured.found.setdefault(arm.name, []).extend(
                    chat_recall(store, refs, one, keys[one.text]) for one in own
                )
    return measured, asked


def video_hit(store: OpenStore, videos: VideoSet, question: str, true: Stretch, encode: Encode) -> float:
    """Whether the true stretch is among the first ten moments."""
    with store.reader.snapshot() as db:
        rows = db.execute(
            "SELECT DISTINCT encoder_id FROM key"
            " WHERE kind IN ('transcript', 'caption', 'seen_text', 'digest')"
        )
        key = encode([question])[0]
        keys = [QuestionKey("dense", encoder_id, key) for (encoder_id,) in rows.fetchall()]
        told = store.recall(db, Cue(text=question), K, keys, unit="moment")
    found: list[Stretch] = []
    for item in sorted(told.items, key=lambda item: -item.score):
        pts0_ns = item.pts0_ns if item.moment_pts0_ns is None else item.moment_pts0_ns
        pts1_ns = item.pts1_ns if item.moment_pts1_ns is None else item.moment_pts1_ns
        found.append(Stretch(videos.video_of(item.uri), pts0_ns / 1e9, pts1_ns / 1e9))
    return float(hit_rank(found[:K], true) is not None)


def measure_videos(
    folder: Path, full: Path, settings: MemorySettings, encode: Encode, every: Sequence[Arm], share: float
) -> tuple[Measured, list[int]]:
    """Every answerable question of a folder of videos, of the full store and of each arm."""
    videos = read_set(folder)
    asked = [(one.question, one.true) for one in videos.answerable if one.true is not None]
    names = sorted({true.video for _, true in asked})
    measured = Measured()
    with tempfile.TemporaryDirectory(prefix="omnirecall-full-") as work:
        copy = Path(work) / "store"
        shutil.copytree(full, copy)
        with opened(copy, settings) as store:
            measured.found["full"] = [video_hit(store, videos, *one, encode) for one in asked]
        for arm in every:
            with halved(copy, arm, settings, share) as (store, told):
                measured.took[arm.name] = [told]
                measured.found[arm.name] = [video_hit(store, videos, *one, encode) for one in asked]
    return measured, [names.index(true.video) for _, true in asked]


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
            "interval": _interval(pairs),
            "by_group": by,
        }
    return told


def _interval(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return interval(pairs, lambda places: _ratio([pairs[place] for place in places]))


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
        "data": str(options.data or options.dir),
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


def measured_of(
    options: argparse.Namespace, settings: MemorySettings, encode: Encode, every: Sequence[Arm]
) -> tuple[Measured, list[int]]:
    """What the options ask for, and the dialogue or video of each question.

    Raises:
        ConfigError: If they name neither dialogues nor videos with their store.
    """
    if options.data is not None:
        with tempfile.TemporaryDirectory(prefix="omnirecall-retention-") as folder:
            measured, asked = measure_chats(
                options.data, settings, encode, every, options.share, Path(folder)
            )
        return measured, [one.chat for one in asked]
    if options.dir is None or options.store is None:
        raise ConfigError(
            "name dialogues, or videos and a store of them",
            remedy="--data FILE, or --dir DIR --store STORE, as tools.eval_video makes it",
        )
    return measure_videos(options.dir, options.store, settings, encode, every, options.share)


def main(argv: list[str] | None = None) -> int:
    """Measures, prints, writes; 2 where an option is wrong."""
    options = _parser().parse_args(argv)
    options.settings = settings = MemorySettings()
    every = [arm for arm in arms(options.seeds) if not options.arms or arm.name in options.arms.split(",")]
    encode = text_encoder()
    encode = remembering(encode) if options.keys is None else keeping(encode, options.keys)
    try:
        measured, groups = measured_of(options, settings, encode, every)
    except OmniRecallError as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return error.exit_code
    told = document(measured, groups, options)
    print_table(told)
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
