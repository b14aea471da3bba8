"""Boundaries of events: ours from the timeline, and the baselines beside it.

Every baseline with a setting gets, for each video, the one that is best on the other
videos. What lies at either end of a video is left out for all.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tools.video_metrics import Matched, match_boundaries
from tools.video_set import Film

EDGE_S = 0.2
"""A boundary that close to an end is the end."""
UNIFORM_S = tuple(round(1.0 + 0.2 * step, 1) for step in range(96))
CONTENT = (5.0, 10.0, 15.0, 20.0, 24.0, 27.0, 30.0, 35.0, 40.0, 50.0, 60.0)
"""Thresholds of PySceneDetect's ContentDetector; 27 is its default."""
ADAPTIVE = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)
"""Of its AdaptiveDetector; 3 is its default."""

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
    films: Sequence[Film], settings: Sequence[float], cuts: Callable[[Film, float], Sequence[float]]
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

        def on_others(setting: float, name: str = film.name) -> float:
            rest = {video: match for video, match in by_setting[setting].items() if video != name}
            return total(rest).f1 if rest else -abs(setting - settings[len(settings) // 2])

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
    found = {"uniform": best_on_others(films, UNIFORM_S, uniform)}
    if has_scenedetect():
        known = [film for film in films if film.cuts_s is not None]
        for name, detector, keyword, settings in (
            ("scenedetect_content", "ContentDetector", "threshold", CONTENT),
            ("scenedetect_adaptive", "AdaptiveDetector", "adaptive_threshold", ADAPTIVE),
        ):
            cuts = {film.name: _scene_cuts(film, detector, keyword, settings) for film in known}

            def at(
                film: Film, setting: float, cuts: Mapping[str, Mapping[float, list[float]]] = cuts
            ) -> list[float]:
                return cuts[film.name][setting]

            found[name] = best_on_others(films, settings, at)
    return found


def _scene_cuts(
    film: Film, detector: str, keyword: str, settings: Sequence[float]
) -> dict[float, list[float]]:
    """PySceneDetect's cuts at each setting."""
    scenedetect: Any = importlib.import_module("scenedetect")
    found: dict[float, list[float]] = {}
    for setting in settings:
        made = getattr(scenedetect, detector)(**{keyword: setting})
        scenes = scenedetect.detect(str(film.path), made)
        found[setting] = [float(start.get_seconds()) for start, _ in scenes[1:]]
    return found
