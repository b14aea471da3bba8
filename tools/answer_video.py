"""Answers and refusals on videos: each question put to all videos, and to all but its own."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stream.errors import ConfigError
from tools import video_store, video_systems
from tools.abstention import auc, auc_interval
from tools.eval_video import answer_values
from tools.house import House
from tools.video_set import read_set

METRICS = ("answer_acc", "cite_overlap", "refused_right", "refused_wrong")


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of a folder of `tools.video_set`, asked of a store that `tools.eval_video` has indexed.

    Raises:
        ConfigError: If no store is named.
        OmniRecallError: As the processes raise.
    """
    if options.store is None:
        raise ConfigError("no store of the videos", remedy="name one by --store; it is indexed if it is new")
    began_s = time.monotonic()
    videos = read_set(options.dir)
    video_store.check(options.store, videos, options.preset)
    with House(options.store, options.preset) as house:
        video_systems.index(house, videos)
        replies = video_systems.replied(house, videos, videos.questions)
    with tempfile.TemporaryDirectory(prefix="omnirecall-elsewhere-") as folder:
        elsewhere = video_systems.replied_without(
            options.store, videos, videos.answerable, Path(folder), options.preset
        )
    values = answer_values(videos, replies, elsewhere)
    here = [(replies[asked.name].confidence, asked.true is not None) for asked in videos.questions]
    told = [*here, *((reply.confidence, False) for reply in elsewhere.values())]
    numbers = np.array([confidence or 0.0 for confidence, _ in told])
    answerable = np.array([is_there for _, is_there in told])
    figures: dict[str, Any] = {
        name: round(sum(values[name].values()) / max(1, len(values[name])), 3) for name in METRICS
    }
    figures |= {"auc": round(auc(numbers, answerable), 3), "interval": auc_interval(numbers, answerable)}
    return {
        "tool": "eval_answers",
        "data": str(options.dir),
        "items": len(told),
        "config": {"preset": options.preset},
        "models": video_store.producers(options.store),
        "seconds": round(time.monotonic() - began_s, 1),
        "systems": {"ours": figures},
        "refused": sorted(name for name, value in values["refused_wrong"].items() if value),
        "answered_elsewhere": sorted(name for name, value in values["refused_right"].items() if not value),
    }


def shown(told: Mapping[str, Any]) -> None:
    """Prints the figures, and which questions were refused or answered wrongly."""
    figures = told["systems"]["ours"]
    print(" ".join(f"{name} {figures[name]:.3f}" for name in (*METRICS, "auc")), figures["interval"])
    print("refused wrongly:", ", ".join(told["refused"]))
    print("not refused:", ", ".join(told["answered_elsewhere"]))
