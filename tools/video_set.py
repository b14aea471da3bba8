"""A folder of videos with questions, as `tools.eval_video` takes it.

`qa.jsonl`: a question a line (`id video kind question accept t0 t1`; both times null: the
answer is in no video). `boundaries.json`: video → `cuts` and `tol` in seconds, and maybe
`segments`: what is to be seen between two cuts, in a few words each.
`videos.json`: a list of `video file duration`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.errors import ConfigError
from tools.video_metrics import Stretch


@dataclass(frozen=True, slots=True)
class Film:
    """One video; `cuts_s` is None where its boundaries are not known, `segments` where not described."""

    name: str
    path: Path
    duration_s: float
    cuts_s: tuple[float, ...] | None
    tolerance_s: float
    segments: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One question; `true` is None where no video holds the answer."""

    name: str
    video: str
    kind: str
    question: str
    accept: tuple[str, ...]
    true: Stretch | None


@dataclass(frozen=True, slots=True)
class VideoSet:
    """What one folder holds."""

    folder: Path
    films: tuple[Film, ...]
    questions: tuple[Asked, ...]

    @property
    def answerable(self) -> list[Asked]:
        """The questions that some video answers."""
        return [one for one in self.questions if one.true is not None]

    @property
    def durations_s(self) -> dict[str, float]:
        """Length of each video."""
        return {film.name: film.duration_s for film in self.films}

    def video_of(self, uri: str) -> str:
        """The video that a source is; its uri where it is none of this folder."""
        return next((film.name for film in self.films if film.path.name == Path(uri).name), uri)


def edge_questions(videos: VideoSet) -> list[Asked]:
    """Questions that say where their answer lies, of the first and the last segment of each video.

    A segment is described by who described the boundaries, in words that need not be said or written there.
    """
    asked: list[Asked] = []
    for film in videos.films:
        if not film.segments or not film.cuts_s:
            continue
        first = Stretch(film.name, 0.0, film.cuts_s[0])
        last = Stretch(film.name, film.cuts_s[-1], film.duration_s)
        for true, told, edge in ((first, film.segments[0], "beginning"), (last, film.segments[-1], "end")):
            question = f"What is seen at the {edge}: {told}?"
            asked.append(Asked(f"{film.name}-{edge}", film.name, "edge", question, (), true))
    return asked


def read_set(folder: Path) -> VideoSet:
    """Reads a folder.

    Raises:
        ConfigError: If a file of it is missing or not of the form that the module names.
    """
    boundaries = _json(folder / "boundaries.json")
    films = []
    for entry in _json(folder / "videos.json"):
        told = _fields(folder / "videos.json", entry, ("video", "file", "duration"))
        path = folder / str(told["file"])
        if not path.is_file():
            raise ConfigError(f"{path} is not there", remedy="videos.json names it: put it into the folder")
        known = boundaries.get(told["video"])
        cuts = None if known is None else tuple(float(cut) for cut in known["cuts"])
        tolerance_s = 0.0 if known is None else float(known["tol"])
        segments = None if known is None or cuts is None else _segments(folder, told["video"], known, cuts)
        films.append(Film(str(told["video"]), path, float(told["duration"]), cuts, tolerance_s, segments))
    questions = _questions(folder / "qa.jsonl", {film.name for film in films})
    return VideoSet(folder, tuple(films), questions)


def _segments(
    folder: Path, video: str, known: dict[str, Any], cuts: tuple[float, ...]
) -> tuple[str, ...] | None:
    told = known.get("segments")
    if told is None:
        return None
    if not isinstance(told, list) or len(told) != len(cuts) + 1:
        raise ConfigError(
            f"{folder / 'boundaries.json'}: {video} has {len(cuts)} cuts and not {len(cuts) + 1} segments",
            remedy="describe what lies before, between and behind the cuts, or take segments away",
        )
    return tuple(str(one) for one in told)


def _questions(path: Path, videos: set[str]) -> tuple[Asked, ...]:
    questions = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}", remedy="every line is one JSON object") from error
        told = _fields(where, entry, ("id", "video", "kind", "question", "accept", "t0", "t1"))
        if told["video"] not in videos:
            raise ConfigError(f"{where}: no video {told['video']!r}", remedy="videos.json lists the videos")
        true = None
        if told["t0"] is not None:
            true = Stretch(told["video"], float(told["t0"]), float(told["t1"]))
        accept = tuple(str(one) for one in told["accept"])
        questions.append(Asked(told["id"], told["video"], told["kind"], told["question"], accept, true))
    if not questions:
        raise ConfigError(f"{path} has no question", remedy="put one JSON object a line into it")
    return tuple(questions)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        remedy = "the folder needs qa.jsonl, boundaries.json and videos.json"
        raise ConfigError(f"{path} cannot be read: {error}", remedy=remedy) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}", remedy="mend it by hand") from error


def _fields(where: Path | str, entry: Any, names: tuple[str, ...]) -> dict[str, Any]:
    missing = [name for name in names if not isinstance(entry, dict) or name not in entry]
    if missing:
        raise ConfigError(f"{where}: no {', '.join(missing)}", remedy=f"each entry has {', '.join(names)}")
    return dict(entry)
