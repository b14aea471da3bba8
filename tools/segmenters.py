"""Event boundaries by every strategy of `memory.spans`, out of one store: rows of `tools.eval_video`.

The views are made anew in a copy of the log that is held in memory, once per strategy and setting, by the
consolidator itself. As with every baseline, each video gets the setting that is best on the others.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from memory.log.reader import sources
from memory.settings import SignSettings, SpanSettings
from memory.spans.consolidate import Consolidator, rebuild_views
from memory.spans.segment import segmenter_of
from tools.video_boundaries import best_on_others
from tools.video_metrics import Matched
from tools.video_set import Film, VideoSet

LEAST_S = (0.0, 1.0, 2.0, 4.0)
"""Least lengths of an event; 4 s is the default, which is longer than many a shot."""


def strategies() -> dict[str, list[SpanSettings]]:
    """The settings in which each strategy is tried."""
    plain: dict[str, list[dict[str, Any]]] = {
        "shot": [{}],
        "pause": [{"pause_s": pause_s} for pause_s in (0.5, 1.0, 2.0)],
        "surprise": [
            {"surprise_gamma": gamma, "surprise_floor": floor, "surprise_reach": reach}
            for gamma, floor, reach in product((0.5, 1.0, 2.0), (0.2, 0.35, 0.5), (0, 2))
        ],
        "combined": [
            {"signs": SignSettings(shot=shot, seen=seen, speaker=other, text=other, pause=other)}
            for shot, seen, other in product((0.4, 0.6, 0.8), (0.5, 1.0, 2.0), (0.0, 0.25))
        ],
    }
    return {
        name: [
            SpanSettings.model_validate({"segmenter": name, "event_min_s": least_s, **told})
            for least_s, told in product(LEAST_S, every)
        ]
        for name, every in plain.items()
    }


def boundaries(log: Path, videos: VideoSet, settings: SpanSettings) -> dict[str, list[float]]:
    """Where events end, in s, by video; the end of one that only its length ended claims nothing."""
    with (
        contextlib.closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True)) as kept,
        contextlib.closing(sqlite3.connect(":memory:")) as db,
    ):
        kept.backup(db)
        rebuild_views(db, Consolidator(segmenter_of(settings), 10**10), 0)
        found: dict[str, list[float]] = {}
        for source in sources(db):
            ends = db.execute(
                "SELECT pts1_ns FROM span WHERE level = 'event' AND source_id = ? AND session = ?"
                " AND why <> 'max'",
                (source.source_id, source.session),
            )
            found[videos.video_of(source.uri)] = [pts1_ns / 1e9 for (pts1_ns,) in ends]
        return found


def measured(log: Path, videos: VideoSet) -> dict[str, dict[str, Matched]]:
    """The matches of each strategy, by video."""
    told: dict[str, dict[str, Matched]] = {}
    for name, every in strategies().items():
        found = [boundaries(log, videos, settings) for settings in every]
        places = [(float(place),) for place in range(len(every))]

        def at(
            film: Film, setting: tuple[float, ...], found: Sequence[dict[str, list[float]]] = found
        ) -> list[float]:
            return found[int(setting[0])].get(film.name, [])

        told[f"segmenter_{name}"] = best_on_others(videos.films, places, at)
    return told
