"""The map: which place each view is of, view by view, and nothing that comes later but its own visit.

A stream (a source and its session) is at one place at a time. It leaves that place when some views in a
row are not of it (hysteresis). Where it then is, is told by signs that add up view by view, never below
nothing (Page's cumulative sum, 1954): likeness, points that agree on one geometry, GPS, and where this camera
has been before. Until an old place has signs enough the stream is at a new one, founded by the first of these
views; should it be known later in the same visit, the new one is dissolved into the old.

The same views in the same order give the same map. `resume` gives back what an earlier process knew.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from memory.places.geometry import LocalFeatures
from memory.places.prototypes import gives_way
from memory.places.recognition import Recognises, Vector, centred
from memory.places.settings import PlaceSettings

ID_BYTES = 16
EARTH_M = 6_371_000.0
MOST_SIGNS = 2.0
"""That one view can give by points that agree: two cannot be had by likeness alone."""
ABSENT = -0.25
"""The sign of a view among whose likest none is of a place."""
MOST_PENDING = 64
"""Views of one visit that are moved if its place turns out to be known; a longer visit stays where it is."""
MOST_OTHERS = 64
"""Prototypes of other places that a place's relations are told by."""

Stream = tuple[bytes, int]
"""Source and session."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A picture as the map sees it; `vector` (d,) float32 of unit length, `quality` 0 to 1.

    `camera`: it is of a camera that has a place of its own by prior; `fixed`: that never moves.
    """

    view_id: bytes
    stream: Stream
    pts_ns: int
    vector: Vector
    local: LocalFeatures | None = None
    quality: float = 1.0
    lat: float | None = None
    lon: float | None = None
    camera: bool = False
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a view: its place, and the earlier views that are of this place now.

    `place_id` is empty for a view that says nothing of a stream that is nowhere yet. `moved` are views of the
    same visit; `dissolved` is a place all of whose views are of this one now.
    """

    place_id: bytes
    likeness: float
    moved: tuple[bytes, ...] = ()
    dissolved: bytes = b""


class Change(NamedTuple):
    """A view became a prototype, or is none any more; `seq` counts all changes of a map."""

    seq: int
    view_id: bytes
    is_added: bool


@dataclass(slots=True)
class Place:
    """What the map holds of a place: its prototypes in the order in which they came, and where it is."""

    prototypes: list[bytes] = field(default_factory=list)
    lat_sum: float = 0.0
    lon_sum: float = 0.0
    n_located: int = 0

    @property
    def where(self) -> tuple[float, float] | None:
        """Mean latitude and longitude in degrees; None where no view had any."""
        if not self.n_located:
            return None
        return self.lat_sum / self.n_located, self.lon_sum / self.n_located


@dataclass(slots=True)
class At:
    """Where a stream is. All that is needed to go on with it.

    `founded`: the place began with this visit. `visit` are the views that would move with it; `away` those
    in a row that are not of it; `signs` what old places have gathered in this visit.
    """

    place_id: bytes = b""
    founded: bool = False
    last_pts_ns: int = 0
    visit: list[bytes] = field(default_factory=list)
    away: list[bytes] = field(default_factory=list)
    signs: dict[bytes, float] = field(default_factory=dict)
    away_signs: dict[bytes, float] = field(default_factory=dict)


class PlaceMap:
    """Places of views. For one thread.

    Args:
        recogniser: Finds the views that are like one; it holds the prototypes and nothing else.
        settings: What counts how much.
    """

    def __init__(self, recogniser: Recognises, settings: PlaceSettings) -> None:
        self._recogniser, self._settings = recogniser, settings
        self.places: dict[bytes, Place] = {}
        self.at: dict[Stream, At] = {}
        self.homes: dict[bytes, bytes] = {}
        """Of a camera, by its source: the place where it was last."""
        self._views: dict[bytes, View] = {}
        self._owner: dict[bytes, bytes] = {}
        self._changes: list[Change] = []
        self._seq = 0
        self._sum: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None
        self._n_summed = 0

    # Seeing.

    def see(self, view: View) -> Seen:
        """Says of which place a view is; views of one stream come in order of their positions, mostly."""
        at = self.at.setdefault(view.stream, At())
        if view.quality < self._settings.least_quality:
            # It is where it was; a dark minute is no other place.
            return Seen(at.place_id, 0.0)
        if view.pts_ns < at.last_pts_ns:
            return self._late(view, at)
        gap_ns = int(self._settings.gap_s * 1e9)
        if at.place_id and view.pts_ns - at.last_pts_ns > gap_ns:
            self._depart(at)
        at.last_pts_ns = view.pts_ns
        likeness, signs = self._signs(view, at)
        if view.fixed:
            return self._at_home(view, at, likeness)
        if not at.place_id:
            _add(at.signs, signs)
            return self._arrive(view, at, likeness, [])
        here = likeness.get(at.place_id, -1.0)
        if self._is_here(at, here, likeness, signs, has_points=view.local is not None):
            return self._stay(view, at, likeness, signs)
        at.away.append(view.view_id)
        _add(at.away_signs, signs)
        self._hold(view, b"")
        if len(at.away) < self._settings.leave_after:
            return Seen(at.place_id, here)
        away, gathered = at.away[:-1], at.away_signs
        self._depart(at)
        at.signs = gathered
        return self._arrive(view, at, likeness, away)

    def _is_here(
        self,
        at: At,
        here: float,
        likeness: Mapping[bytes, float],
        signs: Mapping[bytes, float],
        *,
        has_points: bool,
    ) -> bool:
        """Whether a view is still of the place where its stream is."""
        if here < self._settings.stay:
            # Points that agree tell more than likeness, which a turn of the head takes away.
            return signs.get(at.place_id, 0.0) >= 1.0
        if has_points and here < self._settings.same and signs.get(at.place_id, 0.0) <= -0.75:
            return False
        best = max((p for p in likeness if p != at.place_id), key=lambda p: (likeness[p], p), default=b"")
        leads = bool(best) and likeness[best] >= here + self._settings.switch
        return not (leads and signs.get(best, 0.0) > signs.get(at.place_id, 0.0))

    def _stay(
        self,
        view: View,
        at: At,
        likeness: Mapping[bytes, float],
        signs: Mapping[bytes, float],
    ) -> Seen:
        for view_id in at.away:
            self._release(view_id)
        at.away, at.away_signs = [], {}
        _add(at.signs, signs)
        known = self._known(at) if at.founded and len(at.visit) < MOST_PENDING else b""
        if known:
            return self._dissolve(view, at, known, likeness)
        if len(at.visit) < MOST_PENDING:
            at.visit.append(view.view_id)
        here = likeness.get(at.place_id, -1.0)
        self._enter(view, at.place_id, here)
        return Seen(at.place_id, here)

    def _arrive(
        self,
        view: View,
        at: At,
        likeness: Mapping[bytes, float],
        away: Sequence[bytes],
    ) -> Seen:
        """A stream is somewhere else, or anywhere for the first time; `away` came before the view."""
        known = self._known(at)
        at.founded = not known
        at.place_id = known or place_id_of(away[0] if away else view.view_id)
        at.visit = [*away, view.view_id]
        self.places.setdefault(at.place_id, Place())
        self._come(at, view)
        for view_id in away:
            if (held := self._views.get(view_id)) is not None:
                self._promote(held, at.place_id)
        here = likeness.get(at.place_id, 0.0)
        self._enter(view, at.place_id, here if known else -1.0)
        return Seen(at.place_id, here, tuple(away))

    def _dissolve(self, view: View, at: At, known: bytes, likeness: Mapping[bytes, float]) -> Seen:
        """The place that this visit founded was known all along."""
        dissolved = at.place_id
        gone, place = self.places.pop(dissolved), self.places[known]
        for source_id, home in self.homes.items():
            if home == dissolved:
                self.homes[source_id] = known
        # Other streams may have come to the place meanwhile.
        for other in self.at.values():
            if other.place_id == dissolved and other is not at:
                other.place_id, other.founded = known, False
        at.place_id, at.founded = known, False
        self._come(at, view)
        at.visit = [*at.visit, view.view_id]
        place.lat_sum += gone.lat_sum
        place.lon_sum += gone.lon_sum
        place.n_located += gone.n_located
        for view_id in gone.prototypes:
            self._owner[view_id] = known
            place.prototypes.append(view_id)
        self._bound(known)
        here = likeness.get(known, 0.0)
        self._enter(view, known, here)
        return Seen(known, here, dissolved=dissolved)

    def _known(self, at: At) -> bytes:
        """The place that has signs enough, and more than every other; empty where none has."""
        found = sorted(((n, p) for p, n in at.signs.items() if p in self.places), reverse=True)
        found = [(n, p) for n, p in found if p != at.place_id]
        if not found or found[0][0] < self._settings.accept:
            return b""
        second = found[1][0] if len(found) > 1 else 0.0
        return found[0][1] if found[0][0] - second >= self._settings.margin else b""

    def _depart(self, at: At) -> None:
        """Leaves the place; the next view says where the stream is."""
        at.place_id, at.founded = b"", False
        at.visit, at.away, at.signs, at.away_signs = [], [], {}, {}

    def _come(self, at: At, view: View) -> None:
        if view.camera:
            self.homes[view.stream[0]] = at.place_id

    def _at_home(self, view: View, at: At, likeness: Mapping[bytes, float]) -> Seen:
        """Of a camera that never moves: all is one place, whatever it looks like."""
        source_id = view.stream[0]
        home = self.homes.setdefault(source_id, place_id_of(source_id))
        self.places.setdefault(home, Place())
        at.place_id = home
        here = likeness.get(home, -1.0)
        self._enter(view, home, here)
        return Seen(home, here)

    def _late(self, view: View, at: At) -> Seen:
        """A view that comes after later ones: of their place if it is like that, else where it is known."""
        likeness, signs = self._signs(view, at)
        here = likeness.get(at.place_id, -1.0)
        if at.place_id and here >= self._settings.stay:
            return Seen(at.place_id, here)
        best = max(signs, key=lambda p: (signs[p], p), default=b"")
        if best and signs[best] >= self._settings.accept:
            return Seen(best, likeness.get(best, 0.0))
        return Seen(at.place_id, here)

    # Signs.

    def _signs(self, view: View, at: At) -> tuple[dict[bytes, float], dict[bytes, float]]:
        """Likeness of a view to places, by its likest view of each, and the signs that speak for them."""
        settings = self._settings
        likeness: dict[bytes, float] = {}
        likest: dict[bytes, bytes] = {}
        for view_id, alike in self._recogniser.candidates(view.vector, settings.candidates):
            place_id = self._owner.get(view_id, b"")
            if place_id and place_id not in likeness and not self._is_far(view, place_id):
                likeness[place_id], likest[place_id] = alike, view_id
        signs = {
            p: max(-1.0, min(settings.most, (alike - settings.same) / settings.scale))
            for p, alike in likeness.items()
        }
        # Where one is, is looked at closely only where likeness leaves it in doubt.
        doubtful = [p for p in likeness if p != at.place_id or likeness[p] < settings.same]
        for place_id in doubtful[: settings.verified]:
            signs[place_id] += self._agreement(view, likest[place_id])
        weight = max(view.quality, 0.2)
        signs = {p: sign * weight for p, sign in signs.items()}
        for place_id in signs:
            # It helps what is alike; alone it makes no place.
            signs[place_id] += self._prior(view, place_id)
        return likeness, signs

    def _agreement(self, view: View, other: bytes) -> float:
        """What points that agree say; less than nothing where hardly any do."""
        held = self._views[other].local
        if view.local is None or held is None:
            return 0.0
        agreed = self._recogniser.verify(view.local, held)
        sure = (agreed.inliers - self._settings.chance_inliers) / self._settings.sure_inliers
        return max(-0.5, min(MOST_SIGNS, MOST_SIGNS * sure))

    def _prior(self, view: View, place_id: bytes) -> float:
        prior = 0.0
        where = self.places[place_id].where
        if where is not None and view.lat is not None and view.lon is not None:
            prior += 0.5 * (metres(where, (view.lat, view.lon)) <= self._settings.near_m)
        if view.camera and self.homes.get(view.stream[0]) == place_id:
            prior += self._settings.camera_prior
        return prior

    def _is_far(self, view: View, place_id: bytes) -> bool:
        where = self.places[place_id].where
        if where is None or view.lat is None or view.lon is None:
            return False
        return metres(where, (view.lat, view.lon)) > self._settings.far_m

    # Prototypes.

    def _enter(self, view: View, place_id: bytes, here: float) -> None:
        """Adds a view to a place; as a prototype if it is unlike those that the place has."""
        place = self.places[place_id]
        if view.lat is not None and view.lon is not None:
            place.lat_sum += view.lat
            place.lon_sum += view.lon
            place.n_located += 1
        if here < self._settings.fresh or not place.prototypes:
            self._promote(view, place_id)

    def _promote(self, view: View, place_id: bytes) -> None:
        """Makes a view a prototype of a place, and another none if they are too many."""
        self._hold(view, place_id)
        self.places[place_id].prototypes.append(view.view_id)
        self._note(view.view_id, is_added=True)
        self._bound(place_id)

    def _hold(self, view: View, place_id: bytes) -> None:
        """Holds a view; one that is of no place yet is not found."""
        self._views[view.view_id] = view
        if place_id:
            self._owner[view.view_id] = place_id
            self._recogniser.add(view.view_id, view.vector, view.local, view.quality)
            if self._sum is None:
                self._sum = np.zeros(view.vector.size, np.float64)
            self._sum += view.vector
            self._n_summed += 1

    def _release(self, view_id: bytes) -> None:
        """Lets go of a view that is no prototype."""
        if view_id not in self._owner:
            self._views.pop(view_id, None)

    def _bound(self, place_id: bytes) -> None:
        """Takes prototypes that are too many away: those without which the place relates as before."""
        place = self.places[place_id]
        while len(place.prototypes) > self._settings.prototypes:
            ids = sorted(place.prototypes)
            rows = centred([self._views[one].vector for one in ids], self._centre())
            self.drop(ids[gives_way(ids, rows, self._others(place_id))])

    def _note(self, view_id: bytes, *, is_added: bool) -> None:
        self._seq += 1
        self._changes.append(Change(self._seq, view_id, is_added))

    def take_changes(self) -> list[Change]:
        """What became a prototype or is none any more, since the last call, in order."""
        made, self._changes = self._changes, []
        return made

    def _others(self, place_id: bytes) -> Vector:
        """Prototypes of other places, one of each, the first by their ids."""
        others = heapq.nsmallest(
            MOST_OTHERS, (p for p, one in self.places.items() if p != place_id and one.prototypes)
        )
        if not others:
            return np.zeros((0, 1), np.float32)
        found = [min(self.places[p].prototypes) for p in others]
        return centred([self._views[one].vector for one in found], self._centre())

    def _centre(self) -> Vector | None:
        if self._sum is None or self._n_summed < 2:
            return None
        return (self._sum / self._n_summed).astype(np.float32)

    def drop(self, view_id: bytes) -> None:
        """Makes a prototype none; where it is none already, nothing is to be done."""
        self._views.pop(view_id, None)
        place_id = self._owner.pop(view_id, b"")
        if not place_id:
            return
        self._recogniser.remove(view_id)
        self.places[place_id].prototypes.remove(view_id)
        self._note(view_id, is_added=False)

    # Going on.

    def resume(
        self, changes: Sequence[Change], views: Mapping[bytes, View], owner: Mapping[bytes, bytes]
    ) -> None:
        """Does again what was done to prototypes, in order; so the recogniser knows what it knew.

        Args:
            changes: All of them.
            views: By id; changes of views that are not among them are left out.
            owner: The place of each view as it is now.
        """
        for one in sorted(changes):
            view = views.get(one.view_id)
            if view is None:
                continue
            if one.is_added:
                self.places.setdefault(owner[one.view_id], Place()).prototypes.append(one.view_id)
                self._hold(view, owner[one.view_id])
            else:
                self.drop(one.view_id)
        self._changes = []

    def resume_seq(self, seq: int) -> None:
        """The number of the last change that was made."""
        self._changes, self._seq = [], seq

    def locate(self, place_id: bytes, lat_sum: float, lon_sum: float, n_located: int) -> None:
        """Where the views of a place were taken, in sums of degrees."""
        place = self.places.setdefault(place_id, Place())
        place.lat_sum, place.lon_sum, place.n_located = lat_sum, lon_sum, n_located

    def resume_held(self, view: View) -> None:
        """Takes in a view of which it is not decided yet whether its place was left."""
        self._hold(view, b"")


def place_id_of(view_id: bytes) -> bytes:
    """The id of the place that a view founds."""
    return hashlib.blake2b(b"place" + view_id, digest_size=ID_BYTES).digest()


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The distance of two points of latitude and longitude in degrees on a sphere (haversine)."""
    lat0, lon0, lat1, lon1 = map(math.radians, (*one, *other))
    half = math.sin((lat1 - lat0) / 2) ** 2
    half += math.cos(lat0) * math.cos(lat1) * math.sin((lon1 - lon0) / 2) ** 2
    return 2 * EARTH_M * math.asin(math.sqrt(min(1.0, half)))


def _add(total: dict[bytes, float], signs: Mapping[bytes, float]) -> None:
    """Adds the signs of one view to what was gathered, never below nothing."""
    for place_id in list(total):
        if place_id not in signs:
            total[place_id] = max(0.0, total[place_id] + ABSENT)
    for place_id, sign in signs.items():
        total[place_id] = max(0.0, total.get(place_id, 0.0) + sign)
    for place_id in [p for p, n in total.items() if n == 0.0]:
        del total[place_id]
