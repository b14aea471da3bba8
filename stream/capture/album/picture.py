"""One picture of an album: what it is, when and where it was taken, and how it looks."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from stream.capture.album.looks import LOOKED_AT_PX, Looks, looks_of
from stream.capture.album.sidecars import Sidecar, sidecar_of
from stream.capture.photo import is_photo, look, pixels
from stream.capture.picture import Pixels
from stream.capture.settings import CaptureSettings
from stream.errors import SourceCorrupt, SourceError

Clock = Literal["exif", "container", "sidecar", "name", "neighbours", ""]
"""Where a time is known from; empty where it is not."""

PHOTO_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".avif"]
)
CLIP_SUFFIXES = frozenset([".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".3gp", ".mts", ".gif"])
_NAMED_TIME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_.]?([01]\d)[-_.]?([0-3]\d)"
    r"(?:[-_. T]{0,4}([0-2]\d)[-_.:]?([0-5]\d)[-_.:]?([0-5]\d))?"
    r"(?!\d{4})"
)
_NUMBER = re.compile(r"^(.*?)(\d{1,9})(?:\D{0,8})$")
FUTURE = timedelta(days=1)
"""A clock that is further ahead of this machine's is wrong; zones differ by less."""


@dataclass(frozen=True, slots=True)
class AlbumPicture:
    """A readable photo or clip of the album.

    `taken` has a zone where a time is known. `owner_time`: the time is from the owner's files beside it, not
    from the picture. `is_ahead`: its own clock told a time that is not yet, which is not believed. `order` is
    its place among the files of the folder, `side_px` its longer side.
    """

    path: Path
    media: Literal["photo", "clip"]
    order: int
    taken: datetime | None = None
    clock: Clock = ""
    owner_time: bool = False
    is_ahead: bool = False
    lat: float | None = None
    lon: float | None = None
    camera: str = ""
    people: tuple[str, ...] = ()
    looks: Looks | None = None
    side_px: int = 0
    length_s: float = 0.0
    source_id: bytes = b""

    @property
    def t_ns(self) -> int | None:
        """When it was taken, in UTC ns."""
        if self.taken is None:
            return None
        since = self.taken - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000

    @property
    def sequence(self) -> tuple[str, int] | None:
        """The series of its file name and the number in it (`DSCN0010`); None without a number."""
        found = _NUMBER.match(self.path.stem)
        if found is None:
            return None
        return f"{self.path.parent}/{found[1].lower()}", int(found[2])


def read_picture(path: Path, order: int, settings: CaptureSettings, now: datetime) -> AlbumPicture:
    """Looks at one file of an album.

    Args:
        path: A photo or a clip.
        order: Its place among the files.
        settings: Bounds, and the zone of times without one.
        now: A later time is not believed.

    Raises:
        SourceError: If it cannot be read; names the file, what is wrong, and what helps.
    """
    told = sidecar_of(path)
    picture = _photo(path, order, settings) if is_photo(path) else _clip(path, order, settings)
    return _timed(picture, told, settings, now)


def _photo(path: Path, order: int, settings: CaptureSettings) -> AlbumPicture:
    photo = look(path, settings)
    return AlbumPicture(
        path=path,
        media="photo",
        order=order,
        taken=photo.taken,
        clock="exif" if photo.taken is not None else "",
        lat=photo.lat,
        lon=photo.lon,
        camera=photo.camera,
        side_px=max(photo.width_px, photo.height_px),
        looks=looks_of(pixels(path, LOOKED_AT_PX, settings)),
    )


def _clip(path: Path, order: int, settings: CaptureSettings) -> AlbumPicture:
    from stream.capture.probe import inspect

    probe = inspect(path, settings)
    taken = None
    if probe.t_origin_ns is not None:
        taken = datetime.fromtimestamp(probe.t_origin_ns / 1e9, UTC)
        if probe.time_zone:
            offset = datetime.strptime(probe.time_zone, "%z").tzinfo if ":" in probe.time_zone else None
            taken = taken.astimezone(offset)
        else:
            taken = _zoned(taken, settings)
    return AlbumPicture(
        path=path,
        media="clip",
        order=order,
        taken=taken,
        clock="container" if taken is not None else "",
        lat=probe.lat,
        lon=probe.lon,
        looks=looks_of(poster(path, LOOKED_AT_PX, settings)),
        length_s=(probe.duration_ns or 0) / 1e9,
    )


def poster(path: Path, max_side_px: int, settings: CaptureSettings) -> Pixels:
    """The picture that stands for a clip, upright: the sharpest of a few of its first second.

    Raises:
        SourceCorrupt: If none can be decoded.
    """
    from stream.capture.container import opened
    from stream.capture.picture import Converters, DecodedFrame

    best: tuple[float, Pixels] | None = None
    with opened(path, settings.max_pixels) as container:
        for n, frame in enumerate(container.decode(video=0)):
            if n % 8 == 0:
                shown = DecodedFrame(0, frame, Converters()).rgb(max_side_px)
                value = looks_of(shown).value
                if best is None or value > best[0]:
                    best = value, shown
            if n >= 24:
                break
    if best is None:
        raise SourceCorrupt(f"{path} has no picture that can be decoded", remedy="copy the file again")
    return best[1]


def shown(picture: AlbumPicture, max_side_px: int, settings: CaptureSettings) -> Pixels:
    """The picture, or what stands for the clip, upright; raises as `photo.pixels` and `poster` do."""
    if picture.media == "photo":
        return pixels(picture.path, max_side_px, settings)
    return poster(picture.path, max_side_px, settings)


def _timed(picture: AlbumPicture, told: Sidecar, settings: CaptureSettings, now: datetime) -> AlbumPicture:
    """The same with what lies beside it: for a time or a place that the file itself has not."""
    taken, clock, owner_time = picture.taken, picture.clock, False
    is_ahead = taken is not None and taken > now + FUTURE
    if is_ahead:
        taken, clock = None, ""
    if taken is None and told.taken is not None and _zoned(told.taken, settings) <= now + FUTURE:
        taken, clock, owner_time = _zoned(told.taken, settings), "sidecar", True
    if taken is None:
        named = _named_time(picture.path.stem)
        if named is not None and _zoned(named, settings) <= now + FUTURE:
            taken, clock = _zoned(named, settings), "name"
    lat, lon = (told.lat, told.lon) if picture.lat is None else (picture.lat, picture.lon)
    return replace(
        picture,
        taken=taken,
        clock=clock,
        owner_time=owner_time,
        is_ahead=is_ahead,
        lat=lat,
        lon=lon,
        people=told.people,
    )


def _zoned(time: datetime, settings: CaptureSettings) -> datetime:
    if time.tzinfo is not None and time.utcoffset() != timedelta(0):
        return time
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(settings.photo_time_zone) if settings.photo_time_zone else None
    if time.tzinfo is not None:  # Takeout tells UTC: what people read is local.
        return time.astimezone(zone)
    return time.replace(tzinfo=zone) if zone is not None else time.astimezone()


def _named_time(stem: str) -> datetime | None:
    """The time that phones and messengers write into a name: `IMG_20240512_153012`; a date alone is noon."""
    found = _NAMED_TIME.search(stem)
    if found is None:
        return None
    year, month, day = (int(found[n]) for n in (1, 2, 3))
    hour, minute, second = (int(found[n]) if found[4] else value for n, value in ((4, 12), (5, 0), (6, 0)))
    try:
        time = datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    return time if time.year >= 1990 else None


def refusal(error: SourceError, path: Path) -> str:
    """Why a file is left out, in words without its path."""
    return error.message.removeprefix(f"{path} ")
