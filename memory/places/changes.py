"""Objects at places: what is new at a place, gone from it, or moved, from what was seen in stays there.

Not having seen a thing says little by itself. How often a thing was seen while it was there gives the odds
that it would have been seen in the looks that miss it (with a half added to either side, as Krichevsky and
Trofimov do, 1981); one minus the chance that all of them missed it is how sure a change is. A stay in which
hardly anything was looked at misses everything, and counts nothing. What was met at several places by then
is a thing of which there are several, and has not moved.

Functions of values alone; `memory.places.stays` reads these from the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

By = Literal["label", "text", "caption"]
"""How a thing was known: by a label of a picture, by words that were read, by a caption."""

LOOKS = 8
"""Looks that tell how often a thing is seen, the nearest ones: what a room was like long ago says little."""
MOST_HOMES = 2
"""Places at which a thing was met, from whose number on there are several of it."""
UNCHECKED = 0.5
"""By what a move is less sure, where the place before was not looked at since."""
ALIKE = 0.5
"""Share of triples of letters that two readings of the same line have in common at least."""
TRIPLE = 3


@dataclass(frozen=True, slots=True)
class Sighting:
    """A thing in one observation: row number, its name, how sure its label or reading is (0 to 1)."""

    n: int
    name: str
    by: By
    share: float


@dataclass(slots=True, eq=False)
class Stay:
    """A stretch at a place. `t0_ns` UTC, None where not known; `looked_ns`: of how much there are pictures.

    `objects` are the surest sightings by `key_of` their names.
    """

    place_id: bytes
    source_id: bytes
    session: int
    pts0_ns: int
    pts1_ns: int
    t0_ns: int | None
    looked_ns: int = 0
    objects: dict[str, Sighting] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, int]:
        """Where it stands in time: by UTC, else by its position in its recording."""
        return (0 if self.t0_ns is None else 1, self.pts0_ns if self.t0_ns is None else self.t0_ns)


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts: a label from which a thing was seen, one from which it may have been, the least look."""

    sure_share: float
    hint_share: float
    look_ns: int


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `seen` is the sighting that tells it; `before` that of the place that a moved thing left.

    `times` of `looks`: how often it was seen while it was there. `missed`: looks that did not see it.
    """

    sighting: Sighting
    stay: Stay
    sure: float
    times: int
    looks: int
    missed: int
    before: tuple[Sighting, Stay] | None = None


def key_of(name: str, by: By) -> str:
    """What tells two sightings of the same thing: a label's words, or the letters of a line that was read."""
    letters = "".join(c for c in name.casefold() if c.isalnum())
    return f"{'text' if by == 'text' else 'label'}:{letters}"


def new(before: Sequence[Stay], since: Sequence[Stay], rules: Rules) -> list[Change]:
    """What was seen since and never before; each sequence in order of time, of one place.

    Those first of which it is surest. Where nobody looked before, nothing is sure.
    """
    found = []
    known = _Known(before, rules.hint_share)
    looks_before = _looks(before[-LOOKS:], rules)
    for key, (sighting, stay) in _first(since, rules.sure_share).items():
        if known.has(key):
            continue
        there = since[since.index(stay) :][:LOOKS]
        times, looks = _seen_in(there, key, rules)
        sure = _sure(times, looks, looks_before)
        found.append(Change(sighting, stay, sure, times, looks, looks_before))
    return _ranked(found)


def gone(before: Sequence[Stay], since: Sequence[Stay], rules: Rules) -> list[Change]:
    """What was there in the last looks before, and not since; as `new`. A short look makes nothing sure."""
    found = []
    known = _Known(since, rules.hint_share)
    looks_since = _looks(since, rules)
    near = before[-LOOKS:]
    for key, (sighting, stay) in _first(near[::-1], rules.sure_share).items():
        if known.has(key):
            continue
        times, looks = _seen_in(near, key, rules)
        sure = _sure(times, looks, looks_since)
        found.append(Change(sighting, stay, sure, times, looks, looks_since))
    return _ranked(found)


def moved(
    before: Mapping[bytes, Sequence[Stay]], since: Mapping[bytes, Sequence[Stay]], rules: Rules
) -> list[Change]:
    """What is new at one place and was at another before: by place, each in order of time.

    Less sure where the place that it left was not looked at since. A thing that is seen there as well, or
    that was met at several places, is not among them.
    """
    found = []
    for place_id, stays in since.items():
        for change in new(before.get(place_id, ()), stays, rules):
            key = key_of(change.sighting.name, change.sighting.by)
            left = _left(key, place_id, change.stay, before, since, rules)
            if left is None:
                continue
            sighting, stay, elsewhere_sure, missed = left
            # A place that was never looked at before may be where a second one has always been.
            sure = max(change.sure, UNCHECKED) * elsewhere_sure
            found.append(
                Change(
                    change.sighting, change.stay, sure, change.times, change.looks, missed, (sighting, stay)
                )
            )
    return _ranked(found)


def _left(
    key: str,
    place_id: bytes,
    arrived: Stay,
    before: Mapping[bytes, Sequence[Stay]],
    since: Mapping[bytes, Sequence[Stay]],
    rules: Rules,
) -> tuple[Sighting, Stay, float, int] | None:
    """Where a thing was last, before it came to a place; how sure it left there, and looks that missed it."""
    homes: dict[bytes, tuple[Sighting, Stay]] = {}
    for other in sorted({*before, *since} - {place_id}):
        stays = [*before.get(other, ()), *since.get(other, ())]
        earlier = [one for one in stays if one.order < arrived.order]
        later = [one for one in stays if one.order >= arrived.order]
        if _Known(later, rules.hint_share).has(key):
            return None
        sightings = [(one.objects[key], one) for one in earlier if key in one.objects]
        sightings = [pair for pair in sightings if pair[0].share >= rules.sure_share]
        if sightings:
            homes[other] = sightings[-1]
    if not homes or len(homes) > MOST_HOMES:
        return None
    other, (sighting, stay) = max(homes.items(), key=lambda one: (one[1][1].order, one[0]))
    stays = [*before.get(other, ()), *since.get(other, ())]
    missed = _looks([one for one in stays if one.order >= arrived.order], rules)
    near = [one for one in stays if one.order <= stay.order][-LOOKS:]
    times, looks = _seen_in(near, key, rules)
    return sighting, stay, _sure(times, looks, missed) if missed else UNCHECKED, missed


def _first(stays: Iterable[Stay], least: float) -> dict[str, tuple[Sighting, Stay]]:
    """The first sighting of each thing that is sure enough, in the order given."""
    found: dict[str, tuple[Sighting, Stay]] = {}
    for stay in stays:
        for key, sighting in stay.objects.items():
            if sighting.share >= least:
                found.setdefault(key, (sighting, stay))
    return found


def _looks(stays: Iterable[Stay], rules: Rules) -> int:
    return sum(stay.looked_ns >= rules.look_ns for stay in stays)


def _seen_in(stays: Sequence[Stay], key: str, rules: Rules) -> tuple[int, int]:
    """In how many stays a thing was seen, and how many looks these were; a glimpse that saw it is one."""
    times = looks = 0
    for stay in stays:
        sighting = stay.objects.get(key)
        is_seen = sighting is not None and sighting.share >= rules.hint_share
        times += is_seen
        looks += is_seen or stay.looked_ns >= rules.look_ns
    return times, looks


def _sure(times: int, looks: int, missed: int) -> float:
    """One minus the chance that as many looks miss a thing that is there."""
    rate = (times + 0.5) / (looks + 1)
    return 1.0 - float((1.0 - rate) ** missed)


def _ranked(found: list[Change]) -> list[Change]:
    return sorted(found, key=lambda one: (-one.sure * one.sighting.share, one.sighting.name, one.sighting.n))


class _Known:
    """What some stays may have shown; a line that was read a little differently is the same line."""

    def __init__(self, stays: Iterable[Stay], least: float) -> None:
        self._keys = {
            key
            for stay in stays
            for key, one in stay.objects.items()
            if one.share >= least or one.by == "text"
        }
        self._triples = [_triples(key) for key in self._keys if key.startswith("text:")]

    def has(self, key: str) -> bool:
        """Whether a thing is among them."""
        if key in self._keys or not key.startswith("text:"):
            return key in self._keys
        own = _triples(key)
        return any(_share(own, other) >= ALIKE for other in self._triples)


def _triples(key: str) -> frozenset[str]:
    letters = f" {key.removeprefix('text:')} "
    return frozenset(letters[at : at + TRIPLE] for at in range(len(letters) - TRIPLE + 1))


def _share(one: frozenset[str], other: frozenset[str]) -> float:
    """Of the shorter of two lines, how much is in the other: one reading may have cut the line."""
    least = min(len(one), len(other))
    return len(one & other) / least if least else 0.0
