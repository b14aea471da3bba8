"""Boundaries in films out of packages: `python -m tools.eval_boundaries --media DIR [--fetch] [--json FILE]`.

The films and their boundaries, annotated by eye, are listed in `tools/annotated_films.json`; `--fetch` has
`tools.annotated_films` get those that DIR lacks; what cannot be had is left out, and said. The demo film
counts too where it has been made (`omnirecall demo`).

`ours` are shots as capture's sampler and perception's detector find them with their defaults, in this
process; `ours_events` the events that the default segmenter makes of them. Every baseline gets, for each
film, the settings that are best on all other films. The interval is drawn over films (95 %, bootstrap).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memory.settings import SpanSettings
from memory.spans.segment import Outline, Unit, segmenter_of
from perception.video.seen_text import luma_proxy
from perception.video.settings import VideoSettings
from perception.video.shots import Shot, ShotDetector
from stream.capture.file import frames
from stream.capture.probe import inspect
from stream.capture.sampler import Sampler
from stream.capture.settings import CaptureSettings
from stream.errors import OmniRecallError
from tools import annotated_films, video_boundaries
from tools.video_metrics import Matched, interval
from tools.video_set import Film


def shots_of(path: Path, capture: CaptureSettings, video: VideoSettings) -> list[Shot]:
    """The shots of a film, as the processes find them.

    Raises:
        SourceError: If it cannot be read.
    """
    track = next(one.track for one in inspect(path).tracks if one.media == "video")
    sampler = Sampler(capture.rate_hz, capture.change_threshold, capture.change_rate_hz, capture.curve_points)
    detector, found = ShotDetector(video.shot_rules()), []
    for frame in frames(path, track):
        choice = sampler.look(frame.pts_ns, frame.luma())
        if choice is not None:
            detector.show(frame.pts_ns, luma_proxy(frame.rgb(capture.max_side_px)).astype("uint8"))
            found += detector.add(choice.curve)
    return found + detector.close("eof")


def events_of(shots: Sequence[Shot], settings: SpanSettings) -> list[float]:
    """Where the events of a film end that has only shots, in s; not where only its length ended one."""
    end_ns = shots[-1].pts1_ns if shots else 0
    units = [Unit(shot.pts0_ns, shot.pts1_ns) for shot in shots]
    closed = segmenter_of(settings).closed(Outline(0, end_ns, eof=True, has_picture=True, shots=units))
    long = {shot.pts1_ns for shot in shots if shot.why == "max"}
    return [one.pts1_ns / 1e9 for one in closed if one.why != "max" and one.pts1_ns not in long]


def measured(films: Sequence[Film]) -> dict[str, dict[str, Matched]]:
    """The matches of every system, by film."""
    shots = {film.name: shots_of(film.path, CaptureSettings(), VideoSettings()) for film in films}
    cuts = {name: [s.pts1_ns / 1e9 for s in of if s.why not in ("max", "eof")] for name, of in shots.items()}
    spans = SpanSettings()
    return {
        "ours": video_boundaries.scores(films, cuts),
        "ours_events": video_boundaries.scores(
            films, {name: events_of(of, spans) for name, of in shots.items()}
        ),
        **video_boundaries.baselines(films),
    }


def document(found: Mapping[str, Mapping[str, Matched]], left_out: Sequence[str]) -> dict[str, Any]:
    """The JSON object that every evaluation of the project writes."""
    systems, intervals = {}, {}
    for name, matches in found.items():
        every, whole = list(matches.values()), video_boundaries.total(matches)

        def f1(places: Sequence[int], every: list[Matched] = every) -> float:
            return sum((every[place] for place in places), Matched()).f1

        systems[name] = {"event_f1": round(whole.f1, 3), "found": whole.found, "matched": whole.matched}
        intervals[name] = {"event_f1": interval(every, f1)}
    first = next(iter(found.values()), {})
    return {
        "tool": "eval_boundaries",
        "data": str(annotated_films.LIST.name),
        "items": video_boundaries.total(first).true,
        "films": len(first),
        "left_out": list(left_out),
        "config": {"video": VideoSettings().model_dump(mode="json", exclude={"captions"})},
        "systems": systems,
        "intervals": intervals,
        "by": {
            "video": {
                film: {name: {"event_f1": round(matches[film].f1, 3)} for name, matches in found.items()}
                for film in first
            }
        },
    }


def main(argv: list[str] | None = None) -> int:
    """Measures, prints a table, writes JSON; 2 where no film is there."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.eval_boundaries",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--media", type=Path, required=True, help="folder of the films")
    parser.add_argument("--fetch", action="store_true", help="get the films that it lacks")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(argv)
    began_s = time.monotonic()
    packaged = annotated_films.listed(options.media)
    left_out = annotated_films.fetch(packaged) if options.fetch else []
    films = [one.film for one in packaged if annotated_films.is_whole(one)]
    told = {line.split(":")[0] for line in left_out}
    missing = {one.film.name for one in packaged} - {film.name for film in films} - told
    left_out += [f"{name}: not in {options.media}; --fetch gets it" for name in sorted(missing)]
    try:
        films += _demo_film(left_out)
        if not films:
            print(*left_out, sep="\n", file=sys.stderr)
            return 2
        found = measured(films)
    except OmniRecallError as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return error.exit_code
    made = document(found, left_out) | {"seconds": round(time.monotonic() - began_s, 1)}
    print(f"{made['items']} boundaries in {made['films']} films")
    for name, row in made["systems"].items():
        low, high = made["intervals"][name]["event_f1"]
        print(
            f"{name:22} event_f1 {row['event_f1']:.3f} [{low:.2f} {high:.2f}]"
            f"   {row['matched']} of {row['found']} found are right"
        )
    for line in left_out:
        print(f"left out: {line}")
    if options.json is not None:
        options.json.write_text(json.dumps(made, indent=1), encoding="utf-8")
    return 0


def _demo_film(left_out: list[str]) -> list[Film]:
    from stream.capture.demo_film import film_path
    from stream.models import demo_media

    path = film_path(demo_media())
    if path.is_file():
        return [annotated_films.demo(path)]
    left_out.append("demo: not made; run: omnirecall demo")
    return []


if __name__ == "__main__":
    sys.exit(main())
