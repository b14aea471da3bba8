"""An album that was read, as the pictures that a story is asked of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.messages.story import StoryPicture

if TYPE_CHECKING:
    from stream.capture.album.choose import Chosen
    from stream.capture.album.read import Album

MOST_BESIDE = 8
"""Other shots of one moment that are looked at."""


def story_pictures(album: Album, *, with_people: bool) -> list[StoryPicture]:
    """The chosen pictures in the album's order, numbered from 1, with the nearest town.

    Args:
        album: As it was read.
        with_people: Whether names of the labels beside the photos may be told; else none leave this process.
    """
    return [_picture(number, one, with_people) for number, one in enumerate(album.chosen, start=1)]


def _picture(number: int, chosen: Chosen, with_people: bool) -> StoryPicture:
    own = chosen.picture
    town = None
    if own.lat is not None and own.lon is not None:
        from stream.capture.album.towns import nearest_town

        town = nearest_town(own.lat, own.lon)
    offset = own.taken.utcoffset() if own.taken is not None else None
    return StoryPicture(
        number=number,
        source_id=own.source_id,
        media=own.media,
        beside=tuple(dict.fromkeys(one.source_id for one in chosen.beside[:MOST_BESIDE])),
        t_ns=own.t_ns,
        offset_s=round(offset.total_seconds()) if offset is not None else 0,
        clock=own.clock,
        lat=own.lat,
        lon=own.lon,
        town=town.name if town is not None else "",
        country=town.country if town is not None else "",
        town_km=town.km if town is not None else 0.0,
        people=own.people if with_people else (),
        length_s=own.length_s,
    )
