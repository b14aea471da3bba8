"""A folder as an album: files of every kind, clocks, sidecars, copies and bursts, and what is left out."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest
from PIL import Image

from stream.capture.album.choose import choose
from stream.capture.album.clock import in_order
from stream.capture.album.looks import BLURRED, BURST_BITS, SAME_BITS, looks_of
from stream.capture.album.picture import AlbumPicture
from stream.capture.album.read import read_album
from stream.capture.album.sidecars import sidecar_of
from stream.capture.album.towns import nearest_town
from stream.capture.settings import CaptureSettings
from stream.errors import SourceGone, SourceRefused
from tests.stream.capture_clips import write_clip

SETTINGS = CaptureSettings(photo_time_zone="Europe/Rome", max_pixels=256_000_000)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def scene(seed: int) -> np.ndarray:
    """A made picture with detail at all sizes, another one for each seed: (240, 320, 3) uint8."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(
            rng.uniform(0, 255, (n, n, 3)).astype(np.float32), (320, 240), interpolation=cv2.INTER_CUBIC
        )
        for n in (3, 6, 24, 80)
    ]
    mixed = 0.45 * layers[0] + 0.3 * layers[1] + 0.15 * layers[2] + 0.1 * layers[3]
    return np.clip(1.4 * (mixed - 127) + 127, 0, 255).astype(np.uint8)


def exif_of(taken: str | None = None, lat=None, lon=None, orientation=None, more=None) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "Maker"  # Without any tag of the first directory Pillow writes none into PNG.
    if orientation:
        exif[0x0112] = orientation
    if taken:
        exif.get_ifd(0x8769).update({0x9003: taken, 0x9011: "+02:00"})
    if lat is not None:
        exif.get_ifd(0x8825).update({1: "N", 2: (lat, 0.0, 0.0), 3: "E", 4: (lon, 0.0, 0.0)})
    exif.get_ifd(0x8769).update(more or {})
    return exif


def write(path, seed, taken=None, **told):
    Image.fromarray(scene(seed)).save(path, exif=exif_of(taken, **told), quality=92)


def read(folder):
    return read_album(folder, SETTINGS, lambda done, total: None, NOW)


def names(album):
    return [one.picture.path.name for one in album.chosen]


def reasons(album):
    return {one.path.name: one.reason for one in album.left_out}


def test_all_formats_are_read_in_the_order_of_their_clocks(tmp_path):
    import pillow_heif

    pillow_heif.register_heif_opener()
    for place, suffix in enumerate((".jpg", ".png", ".webp", ".heic")):
        write(tmp_path / f"z{9 - place}{suffix}", place, f"2024:05:01 1{place}:00:00")
    Image.fromarray(scene(9)).save(tmp_path / "scan.tiff")
    frames = [Image.fromarray(scene(seed)) for seed in (20, 21)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:], duration=100)
    album = read(tmp_path)
    assert names(album) == ["z9.jpg", "z8.png", "z7.webp", "z6.heic", "moving.gif", "scan.tiff"]
    assert album.left_out == ()
    assert [one.picture.media for one in album.chosen][-2] == "clip"
    assert [one.picture.clock for one in album.chosen] == ["exif"] * 4 + ["", ""]
    assert album.notes == ("at the end: 2 pictures without a time",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_eight_orientations_look_alike(tmp_path, orientation):
    from tests.stream.test_capture_photo import as_stored

    Image.fromarray(as_stored(scene(3), orientation)).save(
        tmp_path / "p.jpg", exif=exif_of(orientation=orientation), quality=95
    )
    [one] = read(tmp_path).pictures
    assert one.looks.bits_to(looks_of(scene(3))) <= SAME_BITS
    if orientation > 1:  # As stored it does not look like that: the test can fail.
        stored = np.ascontiguousarray(as_stored(scene(3), orientation))
        assert looks_of(stored).bits_to(looks_of(scene(3))) > BURST_BITS


def test_copies_bursts_and_what_shows_nothing_are_left_out_with_a_reason(tmp_path):
    write(tmp_path / "a.jpg", 1, "2024:05:01 10:00:00")
    shutil.copy(tmp_path / "a.jpg", tmp_path / "copy.jpg")
    Image.fromarray(scene(1)).resize((160, 120)).save(tmp_path / "small.jpg", quality=60)
    Image.fromarray(cv2.GaussianBlur(scene(2), (0, 0), 5)).save(tmp_path / "blurred.jpg")
    Image.fromarray((scene(4) * 0.14).astype(np.uint8)).save(tmp_path / "night.jpg")
    Image.new("RGB", (320, 240), "black").save(tmp_path / "lens-cap.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(200))
    (tmp_path / "empty.png").write_bytes(b"")
    write(tmp_path / "b.jpg", 5, "2024:05:01 11:00:00")
    album = read(tmp_path)
    assert names(album) == ["a.jpg", "b.jpg"]
    told = reasons(album)
    assert told["copy.jpg"] == "the same file"
    assert told["small.jpg"] == "nearly the same picture"
    assert told["blurred.jpg"] == "blurred"
    assert told["night.jpg"].startswith("too dark")
    assert told["lens-cap.jpg"].startswith("shows nothing")
    assert told["broken.jpg"].startswith("cannot be read")
    assert told["empty.png"].startswith("cannot be read")
    assert len(album.chosen) + len(album.left_out) == 9
    # The one that stands for a copy is named, and its shots are looked at with it.
    assert {one.instead.name for one in album.left_out if one.instead} == {"a.jpg"}
    assert [one.path.name for one in album.chosen[0].beside] == ["small.jpg"]


def test_one_blurred_picture_alone_is_told_of(tmp_path):
    blurred = cv2.GaussianBlur(scene(2), (0, 0), 5)
    assert looks_of(blurred).sharpness < BLURRED
    Image.fromarray(blurred).save(tmp_path / "only.jpg")
    assert names(read(tmp_path)) == ["only.jpg"]


def test_nothing_to_read_is_named(tmp_path):
    with pytest.raises(SourceGone, match="is no folder"):
        read(tmp_path / "away")
    with pytest.raises(SourceRefused, match="no photos or clips"):
        read(tmp_path)
    (tmp_path / "note.jpg").write_text("no picture")
    with pytest.raises(SourceRefused, match=r"note\.jpg cannot be read"):
        read(tmp_path)


def test_a_moving_part_goes_with_its_photo_and_a_long_film_does_not(tmp_path):
    write(tmp_path / "IMG_1.jpg", 1, "2024:05:01 10:00:00")
    write_clip(tmp_path / "IMG_1.mp4", [scene(n) for n in range(3) for _ in range(10)])
    album = read(tmp_path)
    assert names(album) == ["IMG_1.jpg"]
    assert reasons(album) == {"IMG_1.mp4": "the moving part of a photo"}
    assert [one.media for one in album.chosen[0].beside] == ["clip"]


# Clocks.


def picture(number, hour=None, minute=0, **told):
    taken = None if hour is None else datetime(2024, 5, 1, hour, minute, tzinfo=UTC)
    from pathlib import Path

    path = Path(f"/album/DSC{number:04}.jpg")
    return AlbumPicture(path, "photo", number, taken=taken, clock="exif" if taken else "", **told)


def numbers(ordered):
    return [one.order for one in ordered]


def test_a_missing_clock_is_set_between_its_neighbours_and_said():
    ordered, notes = in_order([picture(1, 10), picture(2), picture(3, 12)])
    assert numbers(ordered) == [1, 2, 3]
    assert ordered[1].taken == datetime(2024, 5, 1, 11, tzinfo=UTC)
    assert ordered[1].clock == "neighbours"
    assert "without a time" in notes[0]


def test_a_clock_against_the_numbers_of_the_files_is_put_right():
    listed = [picture(n, 10 + n) for n in range(1, 8)]
    listed[3] = picture(4, 2)  # Fell back to the morning.
    ordered, notes = in_order(listed)
    assert numbers(ordered) == [1, 2, 3, 4, 5, 6, 7]
    assert "disagrees" in notes[0]
    # With as many against as for it, nobody can tell which clock is right: times stand.
    ordered, notes = in_order([picture(1, 12), picture(2, 11), picture(3, 10), picture(4, 9)])
    assert numbers(ordered) == [4, 3, 2, 1]
    assert notes == []


def test_without_any_time_the_names_decide_also_past_ten(tmp_path):
    for number in (2, 10, 1):
        write(tmp_path / f"P_{number}.jpg", number)
    album = read(tmp_path)
    assert names(album) == ["P_1.jpg", "P_2.jpg", "P_10.jpg"]
    assert "in the order of their file names" in album.notes[0]


def test_numbers_begin_again_after_9999():
    first, second = picture(9999, 10), picture(3)
    last = picture(5, 14)
    ordered, _ = in_order([first, second, last])
    assert numbers(ordered) == [9999, 3, 5]


def test_a_date_that_is_not_yet_is_not_believed_and_one_in_the_name_is(tmp_path):
    write(tmp_path / "future.jpg", 1, "2099:05:01 10:00:00")
    write(tmp_path / "IMG_20240512_153012.jpg", 2)
    album = read(tmp_path)
    told = {one.path.name: one for one in album.pictures}
    assert told["future.jpg"].taken is None
    assert told["future.jpg"].is_ahead
    assert album.notes[0] == "1 picture had a clock that is ahead of now: not believed"
    named = told["IMG_20240512_153012.jpg"]
    assert (named.clock, named.taken.isoformat()) == ("name", "2024-05-12T15:30:12+02:00")


# Sidecars.


def test_takeout_and_xmp_give_times_places_and_people(tmp_path):
    write(tmp_path / "a.jpg", 1)
    told = {
        "photoTakenTime": {"timestamp": "1714550400"},
        "geoData": {"latitude": 43.46, "longitude": 11.88},
        "people": [{"name": "Anna"}, {"name": 7}],
    }
    (tmp_path / "a.jpg.supplemental-metadata.json").write_text(json.dumps(told))
    write(tmp_path / "b.jpg", 2)
    (tmp_path / "b.xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:exif="e/" xmlns:i="i/" exif:DateTimeOriginal="2024-05-01T12:00:00+02:00" '
        'exif:GPSLatitude="43,27.6N" exif:GPSLongitude="11,52.8E">'
        "<i:PersonInImage><rdf:Bag><rdf:li>Ben</rdf:li>"
        "</rdf:Bag></i:PersonInImage></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    album = read(tmp_path)
    a, b = album.pictures
    assert (a.path.name, a.clock, a.owner_time, a.people) == ("a.jpg", "sidecar", True, ("Anna",))
    assert a.taken == datetime(2024, 5, 1, 8, tzinfo=UTC)
    assert b.people == ("Ben",)
    assert (round(b.lat, 2), round(b.lon, 2)) == (43.46, 11.88)
    assert b.taken - a.taken == timedelta(hours=2)


@pytest.mark.parametrize(
    "body",
    [
        '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        "<a" * 30_000,
        '{"photoTakenTime": {"timestamp": "9e999"}}',
        '{"geoData": {"latitude": "x"}}',
        "[" * 100_000,
        '{"photoTakenTime": 3}',
    ],
)
def test_what_is_no_sidecar_says_nothing(tmp_path, body):
    for name in ("a.xmp", "a.jpg.json"):
        (tmp_path / name).write_text(body)
    told = sidecar_of(tmp_path / "a.jpg")
    assert (told.taken, told.lat, told.people) == (None, None, ())


# Towns.


def test_towns_are_near_or_not_told():
    assert nearest_town(43.4674, 11.8851).name == "Arezzo"
    assert nearest_town(43.4674, 11.8851).country == "Italy"
    assert nearest_town(0.0, -140.0) is None  # The Pacific.
    tokyo = nearest_town(35.68, 139.76)
    assert tokyo is not None
    assert tokyo.country == "Japan"


def test_bursts_need_a_time_close_by(tmp_path):
    base = scene(7)
    shifted = np.roll(base, 9, axis=1)
    one, other = looks_of(base), looks_of(shifted)
    assert SAME_BITS < one.bits_to(other) <= BURST_BITS
    near = [picture(1, 10, looks=one), picture(2, 10, looks=other)]
    far = [picture(1, 10, looks=one), picture(2, 11, looks=other)]
    assert len(choose(near)[0]) == 1
    assert len(choose(far)[0]) == 2
