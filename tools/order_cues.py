"""V-SORT: cues about real video that repeat nothing word for word, and pairs of them.

Made by rule from any folder of `tools.video_set`, with true intervals that it tells:

- `question`: the questions of `qa.jsonl` that some video answers (never their answers);
- `described`: `segments` of `boundaries.json`, from cut to cut; one that occurs twice is left out;
- `said, half dropped` and `said, other small words`: sentences of machine transcripts that lie beside
  the videos (`VIDEO.*.json` with `segs`: `[t0, t1, text, …]`), with half of the words left
  out, or each function word replaced by another one that is drawn;
- `picture`: frames between the cuts that are no picture which the store keeps;
- `labelled`: the labels of such a frame as a caption.

A pair is of one video; its true intervals share no moment. `mixed` are pairs of cues of different kinds.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.errors import ConfigError
from tools.order_pairs import Pair
from tools.video_metrics import Stretch
from tools.video_set import Film, VideoSet

DROPPED = 0.5
LEAST_WORDS = 3
"""Fewer that are left of a sentence are no cue."""
FRAMES = 3
"""Drawn of each segment, at most."""
AWAY_S = 0.5
"""From a kept picture, from another frame that was drawn, and from a cut, at least."""
TRIES = 20
MOST_PAIRS = 100
"""Of one kind and video: a long video must not outweigh all others."""
DISTANCES_S = (10.0, 20.0, 40.0)
KINDS = ("question", "described", "said, half dropped", "said, other small words", "picture", "labelled")
MIXED = "mixed"
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Cue:
    """Words or a picture (H, W, 3) uint8 RGB, and when what it is about is to be seen or heard."""

    kind: str
    true: Stretch
    text: str = ""
    picture: Picture | None = None


def questions(videos: VideoSet) -> list[Cue]:
    """The questions that some video answers."""
    return [Cue("question", one.true, one.question) for one in videos.answerable if one.true is not None]


def segments_of(film: Film) -> list[Stretch]:
    """The stretches from cut to cut; none where no cuts are known."""
    if film.cuts_s is None:
        return []
    ends = [0.0, *film.cuts_s, film.duration_s]
    return [Stretch(film.name, t0_s, t1_s) for t0_s, t1_s in pairwise(ends) if t1_s > t0_s]


def described(videos: VideoSet) -> list[Cue]:
    """What somebody said of the segments in a few words; what fits two of them tells no order."""
    told = [
        (stretch, text)
        for film in videos.films
        if film.segments
        for stretch, text in zip(segments_of(film), film.segments, strict=False)
    ]
    times = Counter(text.casefold() for _, text in told)
    return [Cue("described", stretch, text) for stretch, text in told if times[text.casefold()] == 1]


def transcript_of(film: Film) -> list[tuple[Stretch, str]]:
    """The sentences of a machine transcript beside a video; none where there is no such file.

    Raises:
        ConfigError: If the file is not of the form that the module names.
    """
    for path in sorted(film.path.parent.glob(f"{film.name}.*.json")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            return [
                (Stretch(film.name, float(t0_s), float(t1_s)), str(text))
                for t0_s, t1_s, text, *_ in told["segs"]
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path} is no transcript: {error!r}", remedy="it has segs, a list of [t0, t1, text, …]"
            ) from error
    return []


def said(videos: VideoSet, seed: int) -> list[Cue]:
    """Sentences of transcripts, changed in two ways."""
    cues = []
    for film in videos.films:
        for place, (stretch, text) in enumerate(transcript_of(film)):
            for kind, changed in (("said, half dropped", dropped), ("said, other small words", reworded)):
                rng = np.random.default_rng([seed, zlib.crc32(f"{film.name} {place} {kind}".encode())])
                words = changed(text, rng)
                if len(words.split()) >= LEAST_WORDS:
                    cues.append(Cue(kind, stretch, words))
    return cues


def dropped(text: str, rng: np.random.Generator) -> str:
    """A text without half of its words."""
    words = text.split()
    kept = np.sort(rng.permutation(len(words))[: len(words) - round(DROPPED * len(words))])
    return " ".join(words[place] for place in kept)


def reworded(text: str, rng: np.random.Generator) -> str:
    """A text in which another function word stands in the place of each."""
    from memory.recall.words import FUNCTION_WORDS

    small = sorted(FUNCTION_WORDS)

    def other(match: re.Match[str]) -> str:
        word = match[0].casefold()
        return str(rng.choice([one for one in small if one != word])) if word in FUNCTION_WORDS else match[0]

    return re.sub(r"[^\W\d_]+", other, text)


def frame_times(film: Film, kept_s: Sequence[float], seed: int) -> list[tuple[Stretch, float]]:
    """Moments between the cuts of which the store keeps no picture, and the segment of each."""
    rng = np.random.default_rng([seed, zlib.crc32(film.name.encode())])
    found = []
    for stretch in segments_of(film):
        taken = list(kept_s)
        low_s, high_s = stretch.t0_s + AWAY_S, stretch.t1_s - AWAY_S
        for _ in range(TRIES):
            at_s = float(rng.uniform(low_s, high_s)) if high_s > low_s else low_s
            is_free = all(abs(at_s - other_s) >= AWAY_S for other_s in taken)
            if high_s > low_s and is_free and len(taken) < len(kept_s) + FRAMES:
                taken.append(at_s)
                found.append((stretch, at_s))
    return sorted(found, key=lambda one: one[1])


def pictures(videos: VideoSet, kept_s: Mapping[str, Sequence[float]], seed: int) -> Iterator[Cue]:
    """The frames that were drawn; `kept_s` tells the moments of the store's own pictures by video."""
    for film in videos.films:
        wanted = frame_times(film, kept_s.get(film.name, ()), seed)
        for (stretch, _), picture in zip(wanted, frames_at(film.path, [t for _, t in wanted]), strict=False):
            yield Cue("picture", stretch, picture=picture)


def frames_at(path: Path, times_s: Sequence[float]) -> Iterator[Picture]:
    """The frame shown at each of these times, in order; fewer where the video ends before."""
    import av

    left = sorted(times_s)
    if not left:
        return
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            while left and frame.pts is not None and frame.time >= left[0]:
                left.pop(0)
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            if not left:
                return


def pairs_of(cues: Sequence[Cue], seed: int) -> list[Pair]:
    """Pairs of cues of one video, of one kind and of two, at most `MOST_PAIRS` of each, in drawn order."""
    pairs: list[Pair] = []
    for video in sorted({cue.true.video for cue in cues}):
        by_kind: dict[str, list[tuple[int, int]]] = {}
        for one, other in combinations([n for n, cue in enumerate(cues) if cue.true.video == video], 2):
            if _are_apart(cues[one].true, cues[other].true):
                kind = cues[one].kind if cues[one].kind == cues[other].kind else MIXED
                by_kind.setdefault(kind, []).append((one, other))
        for kind, found in sorted(by_kind.items()):
            rng = np.random.default_rng([seed, zlib.crc32(f"{video} {kind}".encode())])
            for place in np.sort(rng.permutation(len(found))[:MOST_PAIRS]).tolist():
                pairs.append(_pair(cues, found[place], kind, rng))
    return pairs


def _are_apart(one: Stretch, other: Stretch) -> bool:
    return one.t1_s <= other.t0_s or other.t1_s <= one.t0_s


def _pair(cues: Sequence[Cue], numbers: tuple[int, int], kind: str, rng: np.random.Generator) -> Pair:
    early, late = sorted(numbers, key=lambda n: cues[n].true.t0_s)
    first = int(rng.integers(2))
    shown = (late, early) if first else (early, late)
    away_s = _middle_s(cues[late].true) - _middle_s(cues[early].true)
    labels = {"kind": kind, "video": cues[early].true.video, "distance": distance_name(away_s)}
    return Pair(shown, first, "", labels)


def _middle_s(stretch: Stretch) -> float:
    return (stretch.t0_s + stretch.t1_s) / 2


def distance_name(away_s: float) -> str:
    """The bin of a distance between two middles."""
    edge_s: Any = next((edge_s for edge_s in DISTANCES_S if away_s <= edge_s), None)
    return f"beyond {DISTANCES_S[-1]:g} s" if edge_s is None else f"to {edge_s:g} s"
