"""Places: what the map knows, and what the owner decides about it."""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.messages.act import Act
from stream.messages.envelope import Message, topic


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
