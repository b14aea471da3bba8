"""Places: what the map knows, and what the owner decides about it."""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.messages.act import Act
from stream.messages.cue import Cue
from stream.messages.envelope import Message, topic
from stream.messages.evidence import EvidenceItem


class PlaceTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place: its label, if the owner gave it one, and how often and how long one was there.

    `first_ns` to `last_ns` are UTC of its visits, None where no recording time is known. `spent_ns` is the
    sum of their lengths. `thumbnail` is a path under the store's `media/`.
    """

    place_id: bytes
    label: str = ""
    visits: int = 0
    views: int = 0
    prototypes: int = 0
    spent_ns: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    lat: float | None = None
    lon: float | None = None
    thumbnail: str = ""


class VisitTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stay at a place. `lines` are the first of what was said, read and seen meanwhile."""

    visit_id: bytes
    place_id: bytes
    source_id: bytes
    session: int
    uri: str
    pts0_ns: int
    pts1_ns: int
    t0_ns: int | None = None
    t1_ns: int | None = None
    views: int = 0
    lines: tuple[str, ...] = ()
    thumbnail: str = ""


class WayTold(msgspec.Struct, frozen=True, kw_only=True):
    """How often one went from a place to the next."""

    from_id: bytes
    to_id: bytes
    times: int


@topic("places.ask")
class PlacesAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """commands, gateway, reasoning → memory: the places, or one of them with its visits.

    `place` is a label, or an id in hexadecimal or its beginning of at least 4 digits; several places may
    have one label. `labels` asks for names alone, which is all that a question needs. `acts`: what the owner
    decided. Visits come newest first, `limit` of them from `offset` on; so do places.
    """

    place: str = ""
    labels: bool = False
    visits: bool = False
    acts: bool = False
    offset: int = 0
    limit: int = 200


@topic("places.told")
class PlacesTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → commands, gateway, reasoning: places, visits, ways between places, acts.

    `total` counts what was asked for in all; `pending` are views that the map has not looked at yet.
    """

    places: tuple[PlaceTold, ...] = ()
    visits: tuple[VisitTold, ...] = ()
    ways: tuple[WayTold, ...] = ()
    acts: tuple[Act, ...] = ()
    total: int = 0
    pending: int = 0


@topic("place.put")
class PlacePut(Message, frozen=True, kw_only=True, omit_defaults=True):
    """commands, gateway → memory: the owner labels a place, merges some, splits one, takes that back.

    `places` as in `places.ask`; of a merge the first stays. `visits` are ids of those that a split takes out,
    or their beginnings. `undoes` is the id of an act, or its beginning; empty: the last one about places.
    """

    kind: Literal["label", "merge", "split", "undo"]
    places: tuple[str, ...] = ()
    label: str = ""
    visits: tuple[str, ...] = ()
    undoes: str = ""


@topic("place.done")
class PlaceDone(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → commands, gateway: the act as it stands in the log, and the places that it is about now."""

    act: Act
    commit_no: int
    places: tuple[PlaceTold, ...] = ()


class ObjectTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An object that was seen at a place, or what became of it. `seen` is the sighting that tells it.

    `share` is how sure its label or its reading is, `sure` how sure the change is (of `seen`: 1 where the
    label is sure enough to tell that it was there, else 0), both 0 to 1. It was seen in `times` of `looks`
    stays while it was there; `missed` stays were long enough to see it, and did not. `before` is the last
    sighting at the place that a moved object left.
    """

    name: str
    by: Literal["label", "text", "caption"]
    share: float
    sure: float
    seen: EvidenceItem
    place_id: bytes
    before: EvidenceItem | None = None
    times: int = 0
    looks: int = 0
    missed: int = 0


@topic("objects.ask")
class ObjectsAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """reasoning, gateway → memory: objects at places, told by labels and by words that were read.

    `seen`: where one of `names` was seen last. `new`, `gone`, `moved`: what is otherwise in the time of the
    cue than before it; without a time, at the last look at each place than before that. The other gates of
    the cue hold; its text does not count.
    """

    cue: Cue
    change: Literal["seen", "new", "gone", "moved"]
    names: tuple[str, ...] = ()
    limit: int = 12


@topic("objects.told")
class ObjectsTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → reasoning, gateway: objects, the surest first; of `seen` the newest first.

    `stays_…` are those that were compared, `looks_…` those of them that were long enough to miss anything;
    `undated` had no known time and were left out. `compared` is something seen in the newest stay since, and
    in the newest before, for whoever says that nothing changed.
    """

    objects: tuple[ObjectTold, ...] = ()
    stays_since: int = 0
    stays_before: int = 0
    looks_since: int = 0
    looks_before: int = 0
    looked_since_ns: int = 0
    undated: int = 0
    compared: tuple[EvidenceItem, ...] = ()
