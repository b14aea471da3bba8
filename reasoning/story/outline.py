"""The outline: where chapters begin, by gaps in time, changes of place, and what the pictures show.

A gap in time ends a chapter where it is long beside the gaps around it: Platt, Czerwinski and Field
(PhotoTOC, 2003), log(gap) >= K + mean of log(gap) over ten gaps to either side, K = log 17. A stop ends
where the next picture is more than 200 m from the middle of the stop (stay points of Li et al., 2008).
Where nothing is known of time or place, the content decides: labels before and after are compared as
TextTiling compares words (Hearst, 1997).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from reasoning.story.captions import Caption
from stream.messages.story import StoryLength

GAP_K = math.log(17.0)
GAP_AROUND = 10
LEAST_GAP_S = 600.0
"""No gap shorter than this ends a chapter, however dense the pictures around it are."""
SURE_GAP_S = 6 * 3600.0
"""A gap of a night always does."""
STOP_M = 200.0
EARTH_M = 6_371_008.8
WINDOW = 4
"""Pictures to either side that are compared by content."""
CONTENT_FROM = 12
"""A chapter of more pictures than this is looked through for changes of content."""
UNLIKE = 0.15
"""Cosine of the labels to both sides below which the content is another."""
MOST_CHAPTERS: dict[StoryLength, int] = {"short": 6, "medium": 16, "long": 48}


@dataclass(frozen=True)
class Chapter:
    """Pictures of one stretch, in order; `why` it begins where it does; `strength` of that beginning."""

    captions: tuple[Caption, ...]
    why: str = ""
    strength: float = math.inf


def distance_m(one: Caption, other: Caption) -> float | None:
    """Metres between where two pictures were taken; None where one of them is not known."""
    a, b = one.picture, other.picture
    if a.lat is None or a.lon is None or b.lat is None or b.lon is None:
        return None
    return _metres((a.lat, a.lon), (b.lat, b.lon))


def _metres(here: tuple[float, float], there: tuple[float, float]) -> float:
    lat0, lat1 = math.radians(here[0]), math.radians(there[0])
    half = (
        math.sin((lat1 - lat0) / 2) ** 2
        + math.cos(lat0) * math.cos(lat1) * math.sin(math.radians(there[1] - here[1]) / 2) ** 2
    )
    return 2 * EARTH_M * math.asin(math.sqrt(min(1.0, half)))


def outline(captions: Sequence[Caption], length: StoryLength) -> list[Chapter]:
    """The chapters of an album, in its order.

    Args:
        captions: In the order in which the pictures were taken.
        length: How many chapters there may be; of more, the least marked beginnings are given up.
    """
    cuts = _time_cuts(captions)
    for place, found in _place_cuts(captions).items():
        if place not in cuts or cuts[place][1] < found[1]:
            cuts[place] = found
    bounds = [0, *sorted(cuts), len(captions)]
    for start, end in pairwise(bounds):
        if end - start > CONTENT_FROM:
            cuts.update(_content_cuts(captions, start, end))
    strongest = sorted(cuts, key=lambda place: (-cuts[place][1], place))[: MOST_CHAPTERS[length] - 1]
    starts = [0, *sorted(strongest), len(captions)]
    chapters = []
    for start, end in pairwise(starts):
        why, strength = cuts.get(start, ("", math.inf))
        if end > start:
            chapters.append(Chapter(tuple(captions[start:end]), why, strength))
    return chapters


Cuts = dict[int, tuple[str, float]]
"""Why a chapter begins at a picture, and how marked that is."""


def _time_cuts(captions: Sequence[Caption]) -> Cuts:
    gaps: list[float | None] = []
    for one, other in pairwise(captions):
        known = one.local is not None and other.local is not None
        gaps.append(max(1.0, (other.local - one.local).total_seconds()) if known else None)  # type: ignore[operator]
    cuts: Cuts = {}
    for at, gap in enumerate(gaps):
        if gap is None:
            if (captions[at].local is None) != (captions[at + 1].local is None):
                cuts[at + 1] = ("from here on no time is known", 10.0)
            continue
        around = [math.log(g) for g in gaps[max(0, at - GAP_AROUND) : at + GAP_AROUND + 1] if g is not None]
        least = GAP_K + sum(around) / len(around)
        day = captions[at].local, captions[at + 1].local
        if gap >= SURE_GAP_S:
            cuts[at + 1] = (_gap_words(gap), 20.0 + math.log(gap))
        elif day[0] and day[1] and day[0].date() != day[1].date() and gap >= 4 * LEAST_GAP_S:
            cuts[at + 1] = ("a new day", 15.0)
        elif gap >= LEAST_GAP_S and math.log(gap) >= least:
            cuts[at + 1] = (_gap_words(gap), math.log(gap) - least + 1.0)
    return cuts


def _gap_words(gap_s: float) -> str:
    hours = gap_s / 3600
    return f"{hours:.0f} hours later" if hours >= 2 else f"{gap_s / 60:.0f} minutes later"


def _place_cuts(captions: Sequence[Caption]) -> Cuts:
    cuts: Cuts = {}
    stop: list[tuple[float, float]] = []
    for at, one in enumerate(captions):
        lat, lon = one.picture.lat, one.picture.lon
        if lat is None or lon is None:
            continue
        if stop:
            middle = (sum(p[0] for p in stop) / len(stop), sum(p[1] for p in stop) / len(stop))
            metres = _metres(middle, (lat, lon))
            if metres > STOP_M:
                cuts[at] = ("another place", 1.0 + math.log(metres / STOP_M))
                stop = []
        stop.append((lat, lon))
    return cuts


def _content_cuts(captions: Sequence[Caption], start: int, end: int) -> Cuts:
    likeness = {
        at: _cosine(captions[max(start, at - WINDOW) : at], captions[at : min(end, at + WINDOW)])
        for at in range(start + WINDOW, end - WINDOW + 1)
    }
    cuts: Cuts = {}
    for at, value in sorted(likeness.items(), key=lambda one: (one[1], one[0])):
        if value < UNLIKE and all(abs(at - other) >= 2 * WINDOW for other in cuts):
            cuts[at] = ("other things", 1.0 - value)
    return cuts


def _cosine(before: Sequence[Caption], after: Sequence[Caption]) -> float:
    one, other = _bag(before), _bag(after)
    if not one or not other:
        return 1.0  # Of what nothing is known, nothing has changed.
    dot = sum(value * other[noun] for noun, value in one.items())
    size = math.sqrt(sum(v * v for v in one.values()) * sum(v * v for v in other.values()))
    return dot / size if size else 1.0


def _bag(captions: Sequence[Caption]) -> Counter[str]:
    bag: Counter[str] = Counter()
    for one in captions:
        for noun, share in one.shares.by_stem.items():
            bag[noun] += share  # type: ignore[assignment]
    return bag
