"""A photo as a source: one still at position 0, upright, with the time and place of its EXIF.

EXIF has no time zone of its own. Its time is taken with the offset beside it (EXIF 2.31);
else with the zone that follows from the UTC time of its GPS fix; else as local time in
`capture.photo_time_zone`, or of this machine, which is then said.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from stream.capture.container import named, uri_of
from stream.capture.holding import place_of
from stream.capture.picture import Pixels, fit
from stream.capture.settings import CaptureSettings
from stream.errors import SourceCorrupt, SourceError, SourceRefused

NS_PER_S = 1_000_000_000

_FORMATS = tuple(
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
        TiffImagePlugin.TiffImageFile,
        BmpImagePlugin.BmpImageFile,
        AvifImagePlugin.AvifImageFile,
    )
)
"""Imported by name, since Pillow itself loads a plugin only once another has failed."""
_HEAD_BYTES = 32
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_HEIF_FORMAT = "HEIF"
_ORIENTATION, _EXIF_IFD, _GPS_IFD = 0x0112, 0x8769, 0x8825
_MAKE, _MODEL = 0x010F, 0x0110
_TAKEN = ((0x9003, 0x9011, 0x9291), (0x9004, 0x9012, 0x9292))
"""Time, offset and fraction of a second: of the original, else of when it was digitised."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What shows a picture of each EXIF orientation upright (EXIF 2.32, 4.6.4, tag 274)."""
_QUARTER_S = 900
_FIX_S = 300
_WIDEST_S = 14 * 3600


@dataclass(frozen=True, slots=True)
class Photo:
    """What a photo is; the size is that of the picture as it is shown.

    `taken` has a zone where a time is known; `zone_from` says where that is known from:
    `exif`, `gps`, `settings` or `machine`. `lat` and `lon` are degrees, north and east.
    `n_pictures` counts those in the file; the first is read. `camera` is its make and model.
    """

    codec: str
    width_px: int
    height_px: int
    taken: datetime | None = None
    zone_from: str = ""
    lat: float | None = None
    lon: float | None = None
    n_pictures: int = 1
    camera: str = ""

    @property
    def time_zone(self) -> str:
        """Its zone as `+02:00`; empty where no time is known."""
        return self.taken.isoformat()[-6:] if self.taken is not None else ""

    @property
    def t_ns(self) -> int | None:
        """When it was taken, in UTC ns."""
        if self.taken is None:
            return None
        since = self.taken - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be told of how it was read."""
        told = []
        if self.zone_from in ("settings", "machine"):
            told.append(f"its time has no zone and was taken as {self.time_zone} ({self.zone_from})")
        if self.n_pictures > 1:
            told.append(f"it holds {self.n_pictures} pictures; the first was read")
        return tuple(told)


def is_photo(path: Path) -> bool:
    """Whether a file begins like a still picture, whatever its name; GIFs are read as films.

    Raises:
        SourceGone: If it may not be read.
    """
    try:
        with place_of(path).open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise named(path, error) from error
    return _is_heif(head) or (
        head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*"))
        or (head[:4], head[8:12]) == (b"RIFF", b"WEBP")
        or (head[:2] == b"BM" and head[6:10] == bytes(4))
        or (head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"))
    )


def _is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF


def _formats_of(path: Path) -> tuple[str, ...]:
    """What Pillow may take a file for. The decoder of HEIF is loaded with the first file that needs it."""
    with place_of(path).open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not _is_heif(head):
        return _FORMATS
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)
    return (_HEIF_FORMAT,)


def look(path: Path, settings: CaptureSettings) -> Photo:
    """What a photo is, after it has been decoded once in small: what breaks later is known now.

    Raises:
        SourceGone: If it is missing or may not be read.
        SourceRefused: If it has more than `max_pixels`.
        SourceCorrupt: If it cannot be decoded.
    """
    with _opened(path, settings) as image:
        codec = str(image.format or "").lower()
        # The further pictures of an MPO or a HEIC are depth, or light: of the same.
        n_pictures = 1 if codec in ("mpo", "heif") else int(getattr(image, "n_frames", 1))
        exif = _exif(image)
        width_px, height_px = image.size
        if _orientation(image, exif) > 4:  # 5 to 8 lie on their side.
            width_px, height_px = height_px, width_px
        image.draft("RGB", (64, 64))
        image.load()
        taken, zone_from = taken_at(exif.get("exif", {}), exif.get("gps", {}), settings.photo_time_zone)
        lat, lon = position(exif.get("gps", {}))
        main = exif.get("main", {})
        camera = " ".join(filter(None, (_text(main.get(tag))[:60] for tag in (_MAKE, _MODEL))))
        return Photo(codec, width_px, height_px, taken, zone_from, lat, lon, n_pictures, camera)


def pixels(path: Path, max_side_px: int, settings: CaptureSettings) -> Pixels:
    """The picture upright: (H, W, 3) uint8 RGB, C-contiguous; what is transparent is white.

    Args:
        path: The photo.
        max_side_px: Longer side at most; 0 keeps the size.
        settings: Bounds.

    Raises:
        SourceError: As `look`.
    """
    import cv2

    with _opened(path, settings) as image:
        orientation = _orientation(image, _exif(image))
        width_px, height_px = fit(*image.size, max_side_px)
        image.draft("RGB", (width_px, height_px))
        decoded = np.asarray(_rgb(image))
        if decoded.shape[:2] != (height_px, width_px):
            resized = cv2.resize(decoded, (width_px, height_px), interpolation=cv2.INTER_AREA)
            decoded = np.asarray(resized, dtype=np.uint8)
        if orientation in _TURNS:
            decoded = np.asarray(Image.fromarray(decoded).transpose(_TURNS[orientation]))
        return np.ascontiguousarray(decoded)


@contextmanager
def _opened(path: Path, settings: CaptureSettings) -> Iterator[Image.Image]:
    """A photo of which the header has been read and the size found bearable."""
    uri = uri_of(path)
    Image.MAX_IMAGE_PIXELS = settings.max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of sizes, which are refused below, and of damaged EXIF.
            with Image.open(place_of(path), formats=_formats_of(path)) as image:
                width_px, height_px = image.size
                if width_px * height_px > settings.max_pixels:
                    raise _too_large(f"{uri} has {width_px} x {height_px} pixels")
                yield image
    except SourceError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(f"{uri} has more than {2 * settings.max_pixels} pixels") from error
    except OSError as error:
        if error.errno is not None:
            raise named(path, error) from error
        raise _damaged(uri, error) from error
    except Exception as error:  # What a damaged picture makes Pillow raise is open-ended.
        raise _damaged(uri, error) from error


def _too_large(message: str) -> SourceRefused:
    return SourceRefused(
        message, remedy="raise capture.max_pixels if this is true, and have the memory for it"
    )


def _damaged(uri: str, error: Exception) -> SourceCorrupt:
    how = "is no picture inside" if isinstance(error, UnidentifiedImageError) else "is damaged or cut off"
    return SourceCorrupt(f"{uri} begins like a photo and {how}", remedy="copy the file again")


def _rgb(image: Image.Image) -> Image.Image:
    """Any picture with eight bits of red, green and blue, on white where it is transparent."""
    if image.mode.startswith("I") or image.mode == "F":
        deep = np.asarray(image, dtype=np.float32)
        # Sixteen bits as PNG and TIFF have them; wider ones by their own brightest.
        scale = 65_535.0 if image.mode.startswith("I;16") or deep.max(initial=0) > 255 else 255.0
        scale = max(scale, float(deep.max(initial=0)))
        return Image.fromarray((deep.clip(0) * (255.0 / scale)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        shown = image.convert("RGBA")
        ground = Image.new("RGBA", shown.size, "white")
        return Image.alpha_composite(ground, shown).convert("RGB")
    return image.convert("RGB")


# EXIF.


def _exif(image: Image.Image) -> dict[str, dict[int, Any]]:
    """The tags by their directory; empty where they are damaged, which costs no picture."""
    try:
        exif = image.getexif()
        return {
            "main": dict(exif),
            "exif": dict(exif.get_ifd(_EXIF_IFD)),
            "gps": dict(exif.get_ifd(_GPS_IFD)),
        }
    except Exception:  # As `_opened`: open-ended.
        return {}


def _orientation(image: Image.Image, exif: Mapping[str, Mapping[int, Any]]) -> int:
    if image.format == TiffImagePlugin.TiffImageFile.format:
        return 1  # Pillow turns these itself.
    value = exif.get("main", {}).get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def taken_at(
    tags: Mapping[int, Any], gps: Mapping[int, Any], zone_name: str = ""
) -> tuple[datetime | None, str]:
    """When a photo was taken, with a zone, and where that is known from; (None, "") if it is not.

    Args:
        tags: The EXIF directory.
        gps: The GPS directory.
        zone_name: IANA name of the zone for times without one; empty for this machine's.
    """
    for time_tag, offset_tag, fraction_tag in _TAKEN:
        local = _local(tags.get(time_tag), tags.get(fraction_tag))
        if local is None:
            continue
        zone = _offset(tags.get(offset_tag))
        if zone is not None:
            return local.replace(tzinfo=zone), "exif"
        zone = _zone_of_fix(local, gps)
        if zone is not None:
            return local.replace(tzinfo=zone), "gps"
        if zone_name:
            return local.replace(tzinfo=ZoneInfo(zone_name)), "settings"
        try:
            return local.astimezone(), "machine"
        except (OverflowError, OSError, ValueError):
            return None, ""
    return None, ""


def _local(stamp: object, fraction: object) -> datetime | None:
    try:
        local = datetime.strptime(_text(stamp), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    digits = _text(fraction)
    if digits.isascii() and digits.isdigit():
        local = local.replace(microsecond=int(digits[:6].ljust(6, "0")))
    return local if local.year >= 1990 else None  # Clocks that were never set say 1970 or 1980.


def _offset(text: object) -> tzinfo | None:
    try:
        return datetime.strptime(_text(text), "%z").tzinfo
    except ValueError:
        return None


def _zone_of_fix(local: datetime, gps: Mapping[int, Any]) -> tzinfo | None:
    """The zone in which a local time is that of a GPS fix, if there is one within five minutes."""
    try:
        day = datetime.strptime(_text(gps.get(29)), "%Y:%m:%d")
        hours, minutes, seconds = (float(value) for value in gps[7])
        ahead_s = (local - day - timedelta(hours=hours, minutes=minutes, seconds=seconds)).total_seconds()
        offset_s = round(ahead_s / _QUARTER_S) * _QUARTER_S
    except (ValueError, TypeError, KeyError, OverflowError, ArithmeticError):
        return None
    if abs(ahead_s - offset_s) > _FIX_S or abs(offset_s) > _WIDEST_S:
        return None
    return timezone(timedelta(seconds=offset_s))


def position(gps: Mapping[int, Any]) -> tuple[float | None, float | None]:
    """Latitude and longitude in degrees, (None, None) where they are not on earth."""
    lat, lon = _degrees(gps.get(2), gps.get(1), "S"), _degrees(gps.get(4), gps.get(3), "W")
    if lat is None or lon is None or abs(lat) > 90 or abs(lon) > 180 or (lat, lon) == (0.0, 0.0):
        return None, None
    return lat, lon


def _degrees(value: Any, side: object, negative: str) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    total = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(total):
        return None
    return round(-total if _text(side).upper() == negative else total, 7)


def _text(value: object) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    return text.strip("\0 \t\r\n")
