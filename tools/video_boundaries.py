"""Boundaries of events: ours from the timeline, and the baselines beside it.

Every baseline with settings gets, for each video, those that are best on the other
videos. What lies at either end of a video is left out for all. A video is decoded once for all
settings of a baseline.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from tools.video_metrics import Matched, match_boundaries
from tools.video_set import Film

EDGE_S = 0.2
"""A boundary that close to an end is the end."""
UNIFORM_S = tuple(round(1.0 + 0.2 * step, 1) for step in range(96))
DIFFERENCE = tuple(float(level) for level in (*range(2, 20), *range(20, 61, 4)))
"""Mean differences of luma, 0 to 255, between two frames that follow one another."""
LEAST_GAP_S = 0.6
"""No two boundaries of frame differences are nearer, as PySceneDetect has it (15 frames)."""
CONTENT = (5.0, 10.0, 15.0, 20.0, 24.0, 27.0, 30.0, 35.0, 40.0, 50.0, 60.0)
"""Thresholds of PySceneDetect's ContentDetector; 27 is its default."""
ADAPTIVE = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)
"""Of its AdaptiveDetector; 3 is its default,"""
LEAST_CONTENT = (5.0, 10.0, 15.0)
"""and 15 that of the least content value that it asks for beside."""

Setting = tuple[float, ...]
Found = Mapping[str, Sequence[float]]
"""Boundaries in seconds by video."""


def inner(film: Film, cuts_s: Sequence[float]) -> list[float]:
    """The boundaries of a video without its two ends, each once."""
    return sorted({cut for cut in cuts_s if EDGE_S < cut < film.duration_s - EDGE_S})


def scores(films: Sequence[Film], found: Found) -> dict[str, Matched]:
    """How boundaries match, by video; of those videos whose boundaries are known."""
    return {
        film.name: match_boundaries(inner(film, found.get(film.name, ())), film.cuts_s, film.tolerance_s)
        for film in films
        if film.cuts_s is not None
    }


def total(matches: Mapping[str, Matched]) -> Matched:
    """All videos together."""
    return sum(matches.values(), Matched())


def best_on_others(
    films: Sequence[Film], settings: Sequence[Setting], cuts: Callable[[Film, Setting], Sequence[float]]
) -> dict[str, Matched]:
    """For each video, the matches of the setting that is best on all other videos.

    With one video only there are no others, and the setting in the middle is taken.
    """
    known = [film for film in films if film.cuts_s is not None]
    by_setting = {
        setting: scores(known, {film.name: cuts(film, setting) for film in known}) for setting in settings
    }
    chosen: dict[str, Matched] = {}
    for film in known:

        def on_others(setting: Setting, name: str = film.name) -> float:
            rest = {video: match for video, match in by_setting[setting].items() if video != name}
            return total(rest).f1 if rest else -abs(settings.index(setting) - len(settings) // 2)

        chosen[film.name] = by_setting[max(settings, key=on_others)][film.name]
    return chosen


def uniform(film: Film, length_s: float) -> list[float]:
    """Boundaries at equal distances."""
    return [length_s * place for place in range(1, int(film.duration_s / length_s) + 1)]


def has_scenedetect() -> bool:
    """Whether PySceneDetect is installed."""
    return importlib.util.find_spec("scenedetect") is not None


def baselines(films: Sequence[Film]) -> dict[str, dict[str, Matched]]:
    """Matches by system and video; PySceneDetect only where it is installed."""
    known = [film for film in films if film.cuts_s is not None]
    lengths = [(length_s,) for length_s in UNIFORM_S]
    found = {"uniform": best_on_others(films, lengths, lambda film, setting: uniform(film, *setting))}
    changes = {film.name: frame_differences(film) for film in known}
    found["frame_difference"] = best_on_others(
        films,
        [(level,) for level in DIFFERENCE],
        lambda film, setting: over_level(changes[film.name], *setting),
    )
    if has_scenedetect():
        cuts = {film.name: scene_cuts(film) for film in known}
        for name in ("scenedetect_content", "scenedetect_adaptive"):
            settings = [setting for told, setting in scene_settings() if told == name]

            def at(film: Film, setting: Setting, name: str = name) -> list[float]:
                return cuts[film.name][name, setting]

            found[name] = best_on_others(films, settings, at)
    return found


def frame_differences(film: Film) -> list[tuple[float, float]]:
    """Of every frame but the first, its time in s and the mean difference of luma from the one before."""
    import av

    from stream.capture.picture import Converters

    found: list[tuple[float, float]] = []
    with av.open(str(film.path)) as container:
        stream = container.streams.video[0]
        converters, before = Converters(), None
        start_s = (container.start_time or 0) / 1e6
        for frame in container.decode(stream):
            if frame.time is None:
                continue
            luma = converters.luma(frame).astype(np.int16)
            if before is not None:
                found.append((frame.time - start_s, float(np.abs(luma - before).mean())))
            before = luma
    return found


def over_level(changes: Sequence[tuple[float, float]], level: float) -> list[float]:
    """Where a difference is over a level, but for what follows another such too closely."""
    found: list[float] = []
    for t_s, change in changes:
        if change > level and (not found or t_s - found[-1] >= LEAST_GAP_S):
            found.append(t_s)
    return found


def scene_settings() -> list[tuple[str, Setting]]:
    """Detector and setting of all that PySceneDetect is tried with."""
    return [
        *(("scenedetect_content", (threshold,)) for threshold in CONTENT),
        *(("scenedetect_adaptive", setting) for setting in product(ADAPTIVE, LEAST_CONTENT)),
    ]


def scene_cuts(film: Film) -> dict[tuple[str, Setting], list[float]]:
    """PySceneDetect's cuts, in s, by detector and setting; all detectors see the frames of one decoding."""
    scenedetect: Any = importlib.import_module("scenedetect")
    detectors: dict[tuple[str, Setting], Any] = {}
    for name, setting in scene_settings():
        if name == "scenedetect_content":
            detectors[name, setting] = scenedetect.ContentDetector(threshold=setting[0])
        else:
            detectors[name, setting] = scenedetect.AdaptiveDetector(
                adaptive_threshold=setting[0], min_content_val=setting[1]
            )
    found: dict[tuple[str, Setting], list[float]] = {key: [] for key in detectors}

    class Beside(scenedetect.SceneDetector):  # type: ignore[misc]
        """Shows each frame to every detector, and tells the manager of none of their cuts."""

        def process_frame(self, timecode: Any, frame_img: Any) -> list[Any]:
            for key, detector in detectors.items():
                found[key] += (cut.seconds for cut in detector.process_frame(timecode, frame_img))
            return []

        def post_process(self, timecode: Any) -> list[Any]:
            for key, detector in detectors.items():
                found[key] += (cut.seconds for cut in detector.post_process(timecode))
            return []

    manager = scenedetect.SceneManager()
    manager.add_detector(Beside())
    manager.detect_scenes(scenedetect.open_video(str(film.path)))
    return found
