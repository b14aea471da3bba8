"""Questions about objects at places: where one was seen last, what is new, gone or moved."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from memory.bounds import NAME_CHARS
from memory.log.reader import observations_of, sources_at
from memory.places.changes import Change, Rules, Sighting, Stay, gone, moved, new
from memory.places.settings import PlaceSettings
from memory.places.stays import Sights, names, stays_of, strictly, word_forms
from memory.places.told import named_places
from memory.recall.at_places import with_places
from memory.recall.items import item_of
from stream.messages.evidence import EvidenceItem
from stream.messages.places import ObjectsAsk, ObjectsTold, ObjectTold
from stream.wire.bounds import fitting, shortened

MOST_OBJECTS = 50
MOST_RECORDINGS = 4
"""Recordings without a known time of which the last sighting is told."""
MOST_READ = 600
"""Stays of which what was seen is read for a comparison, the newest."""
LEAST_SURE = 0.2
"""Changes that are less sure than this are none: that a thing is seldom seen says nothing."""


def objects_told(db: sqlite3.Connection, ask: ObjectsAsk, settings: PlaceSettings) -> ObjectsTold:
    """What is known of objects at places.

    Raises:
        ConfigError: If a place is named that there is not.
        SourceGone: If a source is named that there is not.
    """
    cue = ask.cue
    place_ids = named_places(db, cue.place) if cue.place else []
    rules = Rules(settings.object_share, settings.object_hint, int(settings.object_look_s * 1e9))
    # A thing that moved left one place and came to another: both are looked at.
    stays = stays_of(db, cue, [] if ask.change == "moved" else place_ids)
    sights = Sights(db, cue)
    limit = max(1, min(ask.limit, MOST_OBJECTS))
    if ask.change == "seen":
        return _seen(db, ask, stays, sights, rules, limit)
    return _changed(db, ask, stays, sights, rules, limit, place_ids)


# Seen last.


def _seen(
    db: sqlite3.Connection, ask: ObjectsAsk, stays: Sequence[Stay], sights: Sights, rules: Rules, limit: int
) -> ObjectsTold:
    """The last sighting that is sure, and before it in the reply later ones that may be of the thing."""
    phrases = [words for name in ask.names if (words := word_forms(name))]
    stays = [stay for stay in stays if _within(stay, ask)]
    found: list[tuple[Sighting, Stay]] = []
    done: set[tuple[bytes, int] | None] = set()
    for stay in stays if phrases else ():
        # Without a known time nobody knows which is last: each recording has its own.
        line = _line(stay)
        if line in done or len(done) > MOST_RECORDINGS:
            continue
        fitting_ones = [one for _, one in sights.sightings(stay) if names(one, phrases)]
        sure = next((one for one in fitting_ones if strictly(rules, one)), None)
        hint = next((one for one in fitting_ones if one.share >= rules.hint_share), None)
        if sure is not None:
            found.append((sure, stay))
            done.add(line)
        elif hint is not None and line not in {_line(other) for _, other in found}:
            found.append((hint, stay))
    items = _items(db, [one.n for one, _ in found[:limit]], ask.cue.as_of_commit)
    told = [
        ObjectTold(
            name=shortened(one.name, NAME_CHARS),
            by=one.by,
            share=one.share,
            sure=1.0 if strictly(rules, one) else 0.0,
            seen=items[one.n],
            place_id=stay.place_id,
        )
        for one, stay in found[:limit]
        if one.n in items
    ]
    return ObjectsTold(objects=tuple(fitting(told)), stays_since=len(stays))


def _line(stay: Stay) -> tuple[bytes, int] | None:
    return None if stay.t0_ns is not None else (stay.source_id, stay.session)


def _within(stay: Stay, ask: ObjectsAsk) -> bool:
    """Whether a stay is of the time that is asked about; one without a known time only where none is."""
    low_ns, high_ns = ask.cue.t0_ns, ask.cue.t1_ns
    if low_ns is None and high_ns is None:
        return True
    if stay.t0_ns is None:
        return False
    end_ns = stay.t0_ns + stay.pts1_ns - stay.pts0_ns
    return (low_ns is None or end_ns > low_ns) and (high_ns is None or stay.t0_ns < high_ns)


# New, gone, moved.


def _changed(
    db: sqlite3.Connection,
    ask: ObjectsAsk,
    stays: Sequence[Stay],
    sights: Sights,
    rules: Rules,
    limit: int,
    place_ids: Sequence[bytes],
) -> ObjectsTold:
    stays, undated = _on_one_line(stays)
    before, since = _sides([sights.look(stay) for stay in stays[:MOST_READ][::-1]], ask, rules)
    if ask.change == "moved":
        found = [
            one
            for one in moved(before, since, rules)
            if not place_ids
            or {one.stay.place_id, one.before[1].place_id if one.before else b""} & {*place_ids}
        ]
    else:
        compare = new if ask.change == "new" else gone
        found = [
            one
            for place_id in sorted(since)
            for one in compare(before.get(place_id, ()), since[place_id], rules)
        ]
        found.sort(key=lambda one: -one.sure * one.sighting.share)
    kept = [one for one in found if one.sure >= LEAST_SURE or not one.missed][:limit]
    shown = {*place_ids} or {*since}
    of_since = [one for place_id in shown for one in since.get(place_id, ())]
    of_before = [one for place_id in shown if place_id in since for one in before.get(place_id, ())]
    compared = [_newest(of_since), _newest(of_before)]
    numbers = [n for one in kept for n in (one.sighting.n, *([one.before[0].n] if one.before else []))]
    items = _items(db, [*numbers, *(n for n in compared if n)], ask.cue.as_of_commit)
    return ObjectsTold(
        objects=tuple(fitting(told for one in kept if (told := _told(one, items)) is not None)),
        stays_since=len(of_since),
        stays_before=len(of_before),
        looks_since=sum(one.looked_ns >= rules.look_ns for one in of_since),
        looks_before=sum(one.looked_ns >= rules.look_ns for one in of_before),
        looked_since_ns=sum(one.looked_ns for one in of_since),
        undated=undated,
        compared=tuple(items[n] for n in compared if n in items),
    )


def _on_one_line(stays: Sequence[Stay]) -> tuple[list[Stay], int]:
    """Those whose order is known: of known times, or all of one recording; and how many others there are."""
    if len({(stay.source_id, stay.session) for stay in stays}) <= 1:
        return list(stays), 0
    dated = [stay for stay in stays if stay.t0_ns is not None]
    return dated, len(stays) - len(dated)


def _sides(
    stays: Sequence[Stay], ask: ObjectsAsk, rules: Rules
) -> tuple[dict[bytes, list[Stay]], dict[bytes, list[Stay]]]:
    """The stays before and since, by place; where no time is asked, the last look at each place is since."""
    by_place: dict[bytes, list[Stay]] = {}
    for stay in stays:
        by_place.setdefault(stay.place_id, []).append(stay)
    before: dict[bytes, list[Stay]] = {}
    since: dict[bytes, list[Stay]] = {}
    low_ns, high_ns = ask.cue.t0_ns, ask.cue.t1_ns
    for place_id, own in by_place.items():
        if low_ns is None and high_ns is None:
            looks = [place for place, one in enumerate(own) if one.looked_ns >= rules.look_ns]
            cut = looks[-1] if looks else len(own) - 1
            before[place_id], since[place_id] = own[:cut], own[cut:]
            continue
        known = [one for one in own if one.t0_ns is not None]
        now = [one for one in known if _within(one, ask)]
        if now:
            since[place_id] = now
        before[place_id] = [one for one in known if one.order < (1, low_ns if low_ns is not None else 0)]
    return before, since


def _newest(stays: Sequence[Stay]) -> int:
    """The row of something that was seen in the newest of some stays; 0 where nothing was."""
    for stay in sorted(stays, key=lambda one: one.order, reverse=True):
        if stay.objects:
            return max(stay.objects.values(), key=lambda one: (one.share, -one.n)).n
    return 0


def _told(change: Change, items: dict[int, EvidenceItem]) -> ObjectTold | None:
    seen = items.get(change.sighting.n)
    if seen is None:
        return None
    return ObjectTold(
        name=shortened(change.sighting.name, NAME_CHARS),
        by=change.sighting.by,
        share=change.sighting.share,
        sure=round(change.sure, 3),
        seen=seen,
        place_id=change.stay.place_id,
        before=items.get(change.before[0].n) if change.before else None,
        times=change.times,
        looks=change.looks,
        missed=change.missed,
    )


def _items(db: sqlite3.Connection, numbers: Sequence[int], as_of: int | None) -> dict[int, EvidenceItem]:
    """Observations as evidence, with the names of their places."""
    found = with_places(db, list(observations_of(db, sorted(set(numbers))).values()), as_of)
    rows = {
        (row.source_id, row.session): row
        for row in sources_at(db, as_of, {(one.source_id, one.session) for one in found})
    }
    return {
        one.n: item_of(one, rows[one.source_id, one.session])
        for one in found
        if (one.source_id, one.session) in rows
    }
