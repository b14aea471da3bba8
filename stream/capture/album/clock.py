"""Wrong and missing clocks, put right by the order in which a camera numbers its pictures.

A camera's numbers grow with time, whatever its clock says. Within a series the times that do not grow with
the numbers are wrong if they are few (the longest growing subsequence of the others stands); what is wrong or
missing is set between its neighbours, which keeps the order and is told.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from stream.capture.album.picture import AlbumPicture

LEAST_KNOWN = 4
"""Times of a series from which on one of them can be told to be wrong."""
TRUSTED_SHARE = 0.7
"""Share of a series' times that must grow with the numbers for the others to be wrong."""
WRAP = 5000
"""A camera begins again at 0001 after 9999: numbers so far behind are ahead."""
STEP = timedelta(seconds=1)
"""Between pictures that have a known time on one side only."""


def in_order(pictures: Sequence[AlbumPicture]) -> tuple[list[AlbumPicture], list[str]]:
    """The pictures in the order in which they were taken, and what was assumed for that.

    Those whose time is not known and cannot be told from neighbours come last, in the order of the files.
    """
    notes: list[str] = []
    n_ahead = sum(one.is_ahead for one in pictures)
    if n_ahead:
        notes.append(f"{_pictures(n_ahead)} had a clock that is ahead of now: not believed")
    repaired: dict[int, AlbumPicture] = {one.order: one for one in pictures}
    for series in _series(pictures):
        for one in _put_right(series, notes):
            repaired[one.order] = one
    all_of_them = sorted(repaired.values(), key=lambda one: one.order)
    unknown = [one for one in all_of_them if one.taken is None]
    if unknown and len(unknown) == len(all_of_them):
        if len(unknown) > 1:
            notes.append("no picture has a time: they are told in the order of their file names")
    elif unknown:
        notes.append(f"at the end: {_pictures(len(unknown))} without a time")
    known = [one for one in all_of_them if one.taken is not None]
    known.sort(key=lambda one: (one.t_ns or 0, one.order))
    return known + unknown, notes


def _series(pictures: Sequence[AlbumPicture]) -> list[list[AlbumPicture]]:
    """Pictures whose names are of one series, by number; of two cameras only if they name alike."""
    by_name: dict[tuple[str, str], list[tuple[int, AlbumPicture]]] = defaultdict(list)
    for one in pictures:
        # A date in the name is a time, not a number.
        if one.sequence is not None and one.clock != "name":
            name, number = one.sequence
            by_name[name, one.camera if one.clock == "exif" else ""].append((number, one))
    merged: dict[str, list[tuple[int, AlbumPicture]]] = defaultdict(list)
    for (name, camera), listed in by_name.items():
        cameras = {other for key, other in by_name if key == name and other}
        # What has no EXIF has no camera either: it is of the only one there is.
        merged[name if len(cameras) <= 1 else f"{name}\0{camera}"] += listed
    return [_unwrapped(listed) for listed in merged.values() if len(listed) > 1]


def _unwrapped(listed: list[tuple[int, AlbumPicture]]) -> list[AlbumPicture]:
    numbers = sorted(number for number, _ in listed)
    holes = [(b - a, b) for a, b in pairwise(numbers)]
    widest = max(holes, default=(0, 0))
    first = widest[1] if widest[0] > WRAP and numbers[-1] < 10_000 else None
    key = [(number + (10_000 if first is not None and number < first else 0), one) for number, one in listed]
    return [one for _, one in sorted(key, key=lambda pair: (pair[0], pair[1].order))]


def _put_right(series: list[AlbumPicture], notes: list[str]) -> list[AlbumPicture]:
    times = [one.taken for one in series]
    known = [place for place, time in enumerate(times) if time is not None]
    trusted = set(_growing([times[place] for place in known], known))
    wrong = [place for place in known if place not in trusted]
    if len(known) < LEAST_KNOWN or len(trusted) < TRUSTED_SHARE * len(known):
        trusted, wrong = set(known), []
    missing = [place for place, time in enumerate(times) if time is None]
    if not trusted or not (wrong or missing):
        return []
    if wrong:
        notes.append(
            f"{_pictures(len(wrong))} had a clock that disagrees with the numbers of the files: set between "
            "their neighbours"
        )
    if missing:
        notes.append(f"{_pictures(len(missing))} without a time set between their neighbours, by number")
    filled = []
    for place in (*wrong, *missing):
        time = _between(place, sorted(trusted), times)
        filled.append(replace(series[place], taken=time, clock="neighbours", owner_time=False))
    return filled


def _growing(times: Sequence[datetime | None], places: Sequence[int]) -> list[int]:
    """The places of the longest subsequence of times that never goes back (patience sorting)."""
    tails: list[float] = []
    at: list[int] = []
    before: list[int] = []
    for index, time in enumerate(times):
        value = time.timestamp() if time is not None else 0.0
        length = bisect_right(tails, value)
        before.append(at[length - 1] if length else -1)
        if length == len(tails):
            tails.append(value)
            at.append(index)
        else:
            tails[length], at[length] = value, index
    kept: list[int] = []
    index = at[-1] if at else -1
    while index >= 0:
        kept.append(places[index])
        index = before[index]
    return kept[::-1]


def _between(place: int, trusted: Sequence[int], times: Sequence[datetime | None]) -> datetime | None:
    earlier = [known for known in trusted if known < place]
    later = [known for known in trusted if known > place]
    low = times[earlier[-1]] if earlier else None
    high = times[later[0]] if later else None
    if low is not None and high is not None:
        return low + (high - low) * (place - earlier[-1]) / (later[0] - earlier[-1])
    if low is not None:
        return low + STEP * (place - earlier[-1])
    return high - STEP * (later[0] - place) if high is not None else None


def _pictures(n: int) -> str:
    return "1 picture" if n == 1 else f"{n} pictures"
