"""Which pictures are told of: of several alike the best, of others all that show something.

Nothing is deleted, and nothing is left out in silence: each picture that is not chosen has a reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.capture.album.looks import BURST_BITS, SAME_BITS
from stream.capture.album.picture import AlbumPicture

BURST_S = 10.0
"""Seconds between two shots of one burst, at most."""
MOST_BEHIND = 12
"""Pictures back that one is compared with, for bursts: a burst is taken in one go."""
LARGE_SHARE = 0.75
"""Share of the longest side from which a picture is as good as the largest one of several alike."""
PAIR_S = 10.0
"""A clip that is called like a photo and is no longer than this is the moving part of it (Live photo: 3
s)."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A picture that is told of.

    `beside` are others of the same moment, the clip of a Live photo among them.
    """

    picture: AlbumPicture
    beside: tuple[AlbumPicture, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is not told of, and why; `instead` is the one that stands for it."""

    path: Path
    reason: str
    instead: Path | None = None


def choose(ordered: Sequence[AlbumPicture]) -> tuple[list[Chosen], list[LeftOut]]:
    """What is told of, in order, and what is not.

    Args:
        ordered: The album in order.
    """
    left_out: list[LeftOut] = []
    beside: dict[int, list[AlbumPicture]] = defaultdict(list)
    kept = _without_pairs(_without_copies(ordered, left_out), beside, left_out)
    kept = _best_of_alike(kept, beside, left_out)
    sound = [one for one in kept if one.media == "clip" or one.looks is None or not one.looks.fault]
    if not sound and kept:
        sound = [max(kept, key=lambda one: one.looks.value if one.looks else 0.0)]
    told = {one.order for one in sound}
    left_out += [
        LeftOut(one.path, one.looks.fault) for one in kept if one.order not in told and one.looks is not None
    ]
    return [Chosen(one, tuple(beside[one.order])) for one in sound], left_out


def _without_copies(ordered: Sequence[AlbumPicture], left_out: list[LeftOut]) -> list[AlbumPicture]:
    """Each content once."""
    first: dict[bytes, AlbumPicture] = {}
    kept = []
    for one in ordered:
        same = first.setdefault(one.source_id, one) if one.source_id else one
        if same is one:
            kept.append(one)
        else:
            left_out.append(LeftOut(one.path, "the same file", same.path))
    return kept


def _without_pairs(
    pictures: list[AlbumPicture], beside: dict[int, list[AlbumPicture]], left_out: list[LeftOut]
) -> list[AlbumPicture]:
    """Clips that belong to a photo of their name go with it."""
    photos = {one.path.with_suffix(""): one for one in pictures if one.media == "photo"}
    kept = []
    for one in pictures:
        photo = photos.get(one.path.with_suffix("")) if one.media == "clip" else None
        if photo is None or one.length_s > PAIR_S:
            kept.append(one)
            continue
        beside[photo.order].append(one)
        left_out.append(LeftOut(one.path, "the moving part of a photo", photo.path))
    return kept


def _best_of_alike(
    pictures: list[AlbumPicture], beside: dict[int, list[AlbumPicture]], left_out: list[LeftOut]
) -> list[AlbumPicture]:
    group = list(range(len(pictures)))

    def root(place: int) -> int:
        while group[place] != place:
            group[place] = group[group[place]]
            place = group[place]
        return place

    for place, one in enumerate(pictures):
        for other in range(place):
            if _is_alike(pictures[other], one, place - other):
                group[root(place)] = root(other)
    members: dict[int, list[AlbumPicture]] = defaultdict(list)
    for place, one in enumerate(pictures):
        members[root(place)].append(one)
    best = {place: _best(alike) for place, alike in members.items()}
    for place, alike in members.items():
        for one in alike:
            if one is not best[place]:
                beside[best[place].order] += [one, *beside.pop(one.order, ())]
                left_out.append(LeftOut(one.path, "nearly the same picture", best[place].path))
    told = {one.order for one in best.values()}
    return [one for one in pictures if one.order in told]


def _best(alike: Sequence[AlbumPicture]) -> AlbumPicture:
    """The best of the largest: a small copy looks sharper than what it was made of."""
    side_px = max(one.side_px for one in alike)
    large = [one for one in alike if one.side_px >= LARGE_SHARE * side_px]
    return max(large, key=lambda one: (one.looks.value if one.looks else 0.0, -one.order))


def _is_alike(one: AlbumPicture, other: AlbumPicture, behind: int) -> bool:
    if one.looks is None or other.looks is None or one.media != other.media or one.media == "clip":
        return False
    if one.looks.fault.startswith("shows nothing") or other.looks.fault.startswith("shows nothing"):
        return False
    bits = one.looks.bits_to(other.looks)
    if bits <= SAME_BITS:
        return True
    if bits > BURST_BITS or behind > MOST_BEHIND:
        return False
    if one.taken is None or other.taken is None or "neighbours" in (one.clock, other.clock):
        return False
    return abs((other.taken - one.taken).total_seconds()) <= BURST_S
