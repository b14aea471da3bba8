"""Photos: what EXIF says of them, that they are upright, and what is said of damaged ones."""

from __future__ import annotations

import io
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from stream.capture.photo import look, pixels, position, taken_at
from stream.capture.probe import probe
from stream.capture.reader import Reading, StillReader
from stream.capture.settings import CaptureSettings
from stream.errors import SourceCorrupt, SourceGone, SourceRefused
from stream.process.clock import RealClock
from tests.stream.capture_clips import corners, nature

SETTINGS = CaptureSettings(photo_time_zone="Europe/Rome")
TAKEN = "2023:05:01 12:00:00"
GPS = {1: "N", 2: (43.0, 28.0, 2.5), 3: "W", 4: (11.0, 53.0, 6.0), 7: (10.0, 1.0, 0.0), 29: "2023:05:01"}


def write_photo(path: Path, picture: np.ndarray, orientation=None, tags=None, gps=None, **more) -> Path:
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    exif.get_ifd(0x8769).update(tags or {})
    exif.get_ifd(0x8825).update(gps or {})
    Image.fromarray(picture).save(path, exif=exif, **more)
    return path


def as_stored(picture: np.ndarray, orientation: int) -> np.ndarray:
    """How a camera that was held that way stores a picture (EXIF 2.32, 4.6.4, tag 274)."""
    stored = picture
    if orientation in (5, 6, 7, 8):
        stored = stored.swapaxes(0, 1)
    if orientation in (3, 4, 6, 7):  # Row 0 is at the bottom, or column 0 at the right.
        stored = stored[::-1]
    if orientation in (2, 3, 7, 8):
        stored = stored[:, ::-1]
    return np.ascontiguousarray(stored)


def test_turns_of_the_test_are_those_of_the_standard():
    picture = corners()
    # Orientation 6: row 0 of the stored picture is the right side, column 0 the top.
    assert (as_stored(picture, 6)[0] == picture[:, -1]).all()
    assert (as_stored(picture, 6)[:, 0] == picture[0][::-1]).all()
    # Orientation 8: row 0 is the left side, column 0 the bottom.
    assert (as_stored(picture, 8)[0] == picture[::-1, 0]).all()
    assert (as_stored(picture, 8)[:, 0] == picture[-1]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_all_orientations_are_shown_upright(tmp_path, orientation, suffix):
    more = {"lossless": True} if suffix == ".webp" else {"quality": 98} if suffix == ".jpg" else {}
    stored = as_stored(corners(), orientation)
    path = write_photo(tmp_path / f"p{suffix}", stored, orientation, **more)
    photo = look(path, SETTINGS)
    assert (photo.width_px, photo.height_px) == (64, 48)
    shown = pixels(path, 0, SETTINGS)
    assert shown.shape == (48, 64, 3)
    assert np.abs(shown[4::40, 4::56].astype(int) - corners()[4::40, 4::56].astype(int)).max() < 40


def test_a_photo_is_a_source_of_one_still(tmp_path):
    tags = {0x9003: TAKEN, 0x9011: "+02:00", 0x9291: "25"}
    path = write_photo(tmp_path / "p.jpg", nature(1, 300, 200), tags=tags, gps=GPS)
    found = probe(path)
    (track,) = found.tracks
    assert (track.media, track.codec, track.track, track.width_px) == ("stills", "jpeg", 0, 300)
    assert (
        datetime.fromtimestamp(found.t_origin_ns / 1e9, UTC).isoformat() == "2023-05-01T10:00:00.250000+00:00"
    )
    assert (found.t_origin_from, found.time_zone, found.notes) == ("exif", "+02:00", ())
    assert (found.lat, found.lon) == (pytest.approx(43.4673611), pytest.approx(-11.885))
    assert found.duration_ns is None


def test_the_content_decides_not_the_name(tmp_path):
    path = write_photo(tmp_path / "film.mp4", corners(), format="PNG")
    assert probe(path).tracks[0].codec == "png"


def test_the_reader_gives_one_frame_and_none_after_it(tmp_path):
    path = write_photo(tmp_path / "p.jpg", nature(1, 300, 200))

    def read(after_pts_ns):
        reading = Reading(path, 0, "lossless", 1.0, 150, after_pts_ns, lat=1.5, lon=2.5)
        reader = StillReader(reading, SETTINGS, RealClock(), lambda *_: None, lambda: None)
        reader.start()
        reader.join(10)
        return reader, reader.ring.take(), reader.ring.take()

    reader, item, more = read(None)
    assert more is None
    assert (item.pts_ns, item.width_px, item.height_px, item.lat, item.lon) == (0, 150, 100, 1.5, 2.5)
    assert [point.pts_ns for point in item.curve] == [0]
    assert (reader.health.partial, reader.health.end_pts_ns) == ("", 0)
    assert read(0)[1] is None


def test_a_photo_that_vanished_is_gone(tmp_path):
    reading = Reading(tmp_path / "gone.jpg", 0, "lossless", 1.0, 150)
    reader = StillReader(reading, SETTINGS, RealClock(), lambda *_: None, lambda: None)
    reader.start()
    reader.join(10)
    assert "is not there" in reader.gone.message
    assert (reader.health.partial, reader.failure) == ("", None)


@pytest.mark.parametrize(
    ("tags", "gps", "expected", "zone_from"),
    [
        ({0x9003: TAKEN, 0x9011: "-05:30"}, {}, "2023-05-01T12:00:00-05:30", "exif"),
        ({0x9003: TAKEN}, GPS, "2023-05-01T12:00:00+02:00", "gps"),
        ({0x9003: TAKEN}, {**GPS, 29: "2023:05:03"}, "2023-05-01T12:00:00+02:00", "settings"),
        ({0x9003: TAKEN}, {**GPS, 7: ("x", 0, 0)}, "2023-05-01T12:00:00+02:00", "settings"),
        ({0x9003: "2023:01:01 12:00:00", 0x9011: "nonsense"}, {}, "2023-01-01T12:00:00+01:00", "settings"),
        ({0x9004: TAKEN}, {}, "2023-05-01T12:00:00+02:00", "settings"),
        ({0x9003: "0000:00:00 00:00:00"}, {}, None, ""),
        ({0x9003: "1970:01:01 00:00:00"}, {}, None, ""),
        ({0x9003: b"\xff\x00"}, {}, None, ""),
        ({}, GPS, None, ""),
    ],
)
def test_when_a_photo_was_taken(tags, gps, expected, zone_from):
    taken, known_from = taken_at(tags, gps, "Europe/Rome")
    assert (taken.isoformat() if taken else None, known_from) == (expected, zone_from)


def test_a_time_without_zone_is_told(tmp_path, monkeypatch):
    path = write_photo(tmp_path / "p.jpg", corners(), tags={0x9003: TAKEN})
    assert probe(path, SETTINGS).notes == ("its time has no zone and was taken as +02:00 (settings)",)
    found = probe(path)
    local = datetime(2023, 5, 1, 12).astimezone()
    assert found.t_origin_ns == int(local.timestamp()) * 10**9
    assert found.notes[0].endswith("(machine)")


def test_a_time_in_the_future_is_not_believed(tmp_path):
    tags = {0x9003: "2199:05:01 12:00:00", 0x9011: "+00:00"}
    found = probe(write_photo(tmp_path / "p.jpg", corners(), tags=tags))
    assert (found.t_origin_ns, found.t_origin_from, found.time_zone) == (None, "", "")


def test_the_zone_must_be_one():
    with pytest.raises(ValidationError, match="is no time zone"):
        CaptureSettings(photo_time_zone="Middle/Earth")


@pytest.mark.parametrize(
    "gps",
    [{}, {1: "N", 2: (91, 0, 0), 3: "E", 4: (0, 0, 0)}, {1: "N", 2: (0, 0, 0), 3: "E", 4: (0, 0, 0)},
     {1: "N", 2: (float("nan"), 0, 0), 3: "E", 4: (1, 0, 0)}, {1: "N", 2: 5, 3: "E", 4: (1, 0, 0)}],
)  # fmt: skip
def test_places_that_are_none(gps):
    assert position(gps) == (None, None)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F", "YCbCr"])
def test_every_kind_of_pixel_becomes_rgb(tmp_path, mode):
    grey = np.full((40, 60), 200, np.uint8)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "F":
        image = Image.fromarray(grey.astype(np.float32))
    else:
        image = Image.fromarray(grey).convert("RGB").convert(mode)
    path = tmp_path / "p.tif" if mode in ("F", "CMYK", "YCbCr") else tmp_path / "p.png"
    image.save(path)
    shown = pixels(path, 0, SETTINGS)
    assert (shown.shape, shown.dtype) == ((40, 60, 3), np.uint8)
    if mode != "1":
        assert abs(int(shown.mean()) - 200) < 8


def test_what_is_transparent_is_white(tmp_path):
    Image.new("RGBA", (40, 30), (0, 0, 0, 0)).save(tmp_path / "p.png")
    assert pixels(tmp_path / "p.png", 0, SETTINGS).min() == 255


def test_of_an_animation_the_first_picture_is_read(tmp_path):
    first, second = (Image.new("RGB", (40, 30), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "p.webp", save_all=True, append_images=[second], lossless=True)
    assert probe(tmp_path / "p.webp").notes == ("it holds 2 pictures; the first was read",)
    assert pixels(tmp_path / "p.webp", 0, SETTINGS)[0, 0].tolist() == [255, 0, 0]


# What is nothing, or broken.


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is and has a few pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


@pytest.mark.parametrize("side_px", [9_000, 16_384])
def test_a_header_that_claims_too_many_pixels(tmp_path, side_px):
    (tmp_path / "p.png").write_bytes(png_header(side_px, side_px))
    with pytest.raises(SourceRefused, match="pixels") as caught:
        probe(tmp_path / "p.png")
    assert "max_pixels" in caught.value.remedy


def _jpeg() -> bytes:
    body = io.BytesIO()
    Image.fromarray(nature(1, 300, 200)).save(body, "JPEG")
    return body.getvalue()


@pytest.mark.parametrize(
    "data",
    [_jpeg()[:2000], _jpeg()[:20], b"\xff\xd8\xff" + b"x" * 500, b"\x89PNG\r\n\x1a\n" + bytes(100),
     b"II*\0" + b"\xff" * 200, b"MM\0*" + bytes(4), b"RIFF\x10\0\0\0WEBPjunk", b"BM" + bytes(60),
     png_header(500, 500)],
)  # fmt: skip
def test_damaged_photos_are_named(tmp_path, data):
    (tmp_path / "p.jpg").write_bytes(data)
    with pytest.raises(SourceCorrupt, match=r"p\.jpg begins like a photo"):
        probe(tmp_path / "p.jpg")


def test_heic_is_read_and_a_damaged_one_named(tmp_path):
    import pillow_heif

    pillow_heif.register_heif_opener()
    write_photo(tmp_path / "p.heic", nature(3, 320, 240), None, {0x9003: TAKEN, 0x9011: "+02:00"}, GPS)
    found = probe(tmp_path / "p.heic", SETTINGS)
    assert (found.container, found.tracks[0].width_px, found.tracks[0].height_px) == ("heif", 320, 240)
    assert (round(found.lat, 3), found.time_zone) == (43.467, "+02:00")
    shown = pixels(tmp_path / "p.heic", 0, SETTINGS)
    assert np.abs(shown.astype(int) - nature(3, 320, 240)).mean() < 12
    (tmp_path / "q.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(SourceCorrupt):
        probe(tmp_path / "q.heic")


def test_damaged_exif_costs_no_picture(tmp_path):
    path = write_photo(tmp_path / "p.jpg", corners(), 6, {0x9003: TAKEN})
    data = path.read_bytes()
    at = data.index(b"Exif\0\0") + 14
    path.write_bytes(data[:at] + b"\xff" * 40 + data[at + 40 :])
    assert probe(path).tracks[0].media == "stills"
    assert pixels(path, 0, SETTINGS).shape[2] == 3


def test_missing_photo(tmp_path):
    with pytest.raises(SourceGone):
        look(tmp_path / "none.jpg", SETTINGS)
