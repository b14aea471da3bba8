"""Frames of files: where they stand, which way up, and the same again after a resume."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from stream.capture import file as file_source
from stream.capture.decoding import TrackHealth
from stream.capture.file import frames, paced
from stream.capture.picture import Turn, fit
from stream.capture.probe import probe
from stream.capture.sampler import Sampler
from stream.capture.settings import CaptureSettings
from stream.errors import OmniRecallError, SourceRefused
from stream.models.collection import demo_media
from stream.process.clock import SimulatedClock
from tests.stream.capture_clips import OPEN_GOP, corners, nature, pan, write_clip

NEAR = CaptureSettings(seek_margin_s=0.5)


def seen(path, after_pts_ns=None, settings=None, health=None):
    """(position, hash of the pixels) of every frame."""
    return [
        (frame.pts_ns, hashlib.sha256(frame.rgb().tobytes()).hexdigest())
        for frame in frames(path, 0, after_pts_ns, settings, health)
    ]


def ms(found):
    return [pts_ns // 1_000_000 for pts_ns, _ in found]


# Which way up.

TURNS = [(degrees, mirrored) for degrees in (0, 90, 180, 270) for mirrored in (False, True)]


@pytest.mark.parametrize(("degrees", "mirrored"), TURNS)
def test_pictures_are_upright(tmp_path, degrees, mirrored):
    path = write_clip(tmp_path / "t.mp4", [corners()] * 2, turn=(degrees, mirrored, False))
    matrix = _matrix_of(path)
    shown = next(iter(frames(path, 0))).rgb()
    expected = _apply_matrix(corners(), matrix)
    assert shown.shape == expected.shape
    assert shown.flags.c_contiguous
    assert np.abs(shown.astype(int) - expected).mean() < 12  # H.264 blurs the chroma of the edges.


def _matrix_of(path: Path) -> np.ndarray:
    """The display matrix in the file itself: nine 32-bit numbers near the end of the video's tkhd."""
    body = path.read_bytes()
    at = body.index(b"tkhd") + 4
    version = body[at]
    offset = at + 4 + (32 if version else 20) + 16
    return np.frombuffer(body[offset : offset + 36], ">i4").astype(float).reshape(3, 3)


def _apply_matrix(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Draws pixel after pixel where ISO/IEC 14496-12 says: (p, q, 1) times the matrix."""
    height, width = picture.shape[:2]
    linear = matrix[:2, :2] / 65536
    q, p = np.mgrid[:height, :width]
    x, y = np.tensordot(np.stack([p, q], -1), linear, axes=1).transpose(2, 0, 1).round().astype(int)
    x, y = x - x.min(), y - y.min()
    shown = np.zeros((y.max() + 1, x.max() + 1, 3), np.uint8)
    shown[y, x] = picture
    return shown


def test_turns_of_odd_matrices():
    assert Turn.from_matrix(b"short") == Turn()
    assert Turn.from_matrix(bytes(36)) == Turn()
    almost_quarter = np.array([100, -65_000, 0, 65_000, 100, 0, 0, 0, 1 << 30], np.int32)
    assert Turn.from_matrix(almost_quarter.tobytes()) == Turn(transpose=True, flip_rows=True)


@pytest.mark.parametrize(
    ("width", "height", "side", "aspect", "expected"),
    [
        (1920, 1080, 1280, None, (1280, 720)),
        (1080, 1920, 1280, None, (720, 1280)),
        (640, 480, 1280, None, (640, 480)),
        (640, 480, 0, None, (640, 480)),
        (720, 576, 0, "16/11", (1047, 576)),
        (720, 576, 0, "1000/1", (720, 576)),
        (10_000, 1, 100, None, (100, 1)),
    ],
)
def test_fit(width, height, side, aspect, expected):
    from fractions import Fraction

    assert fit(width, height, side, Fraction(aspect) if aspect else None) == expected


def test_pictures_are_scaled_down_never_up(tmp_path):
    path = write_clip(tmp_path / "t.mp4", [nature(1, 320, 180)] * 2)
    frame = next(iter(frames(path, 0)))
    assert frame.rgb(160).shape == (90, 160, 3)
    assert frame.rgb(1280).shape == (180, 320, 3)
    assert frame.luma().shape == (90, 160)
    assert frame.luma().dtype == np.uint8


def test_luma_is_the_brightness_of_the_picture(tmp_path):
    path = write_clip(tmp_path / "t.mp4", [nature(2, 320, 180)] * 2)
    frame = next(iter(frames(path, 0)))
    grey = frame.rgb(160) @ np.array([0.299, 0.587, 0.114])
    assert np.abs(frame.luma() - grey).mean() < 2


# Where they stand.


def test_variable_rate(tmp_path):
    pts_ms = [0, 40, 50, 1000, 1010, 4000, 4900]
    for name in ("t.mkv", "t.mp4"):
        path = write_clip(tmp_path / name, pan(7), pts_ms)
        assert ms(seen(path)) == pts_ms


def test_positions_count_from_the_start_of_the_container(tmp_path):
    path = write_clip(tmp_path / "t.ts", pan(10), [5000 + 40 * i for i in range(10)])
    assert probe(path).start_ns > 4_000_000_000
    assert ms(seen(path)) == [40 * i for i in range(10)]


def test_one_frame(tmp_path):
    assert ms(seen(write_clip(tmp_path / "one.mp4", [corners()]))) == [0]


def test_frame_rate_that_the_container_announces_does_not_matter(tmp_path):
    path = write_clip(tmp_path / "slow.mp4", pan(4), [0, 3000, 6000, 9000])
    assert ms(seen(path)) == [0, 3000, 6000, 9000]


@pytest.mark.parametrize(("suffix", "codec"), [("avi", "mpeg4"), ("mpg", "mpeg2video"), ("h264", "libx264")])
def test_containers_without_good_timestamps_are_read_in_order(tmp_path, suffix, codec):
    health = TrackHealth()
    path = write_clip(tmp_path / f"t.{suffix}", pan(30), codec=codec)
    found = ms(seen(path, health=health))
    assert len(found) >= 29
    steps = np.diff(found)
    assert (steps > 0).all()
    assert np.median(steps) in (39, 40, 41)


def test_pts_that_jump_ahead_for_good_are_believed(tmp_path):
    pts_ms = [0, 40, 80, 60_000, 60_040]
    assert ms(seen(write_clip(tmp_path / "t.mkv", pan(5), pts_ms))) == pts_ms


def test_one_timestamp_far_ahead_is_not_believed(tmp_path):
    """FLV keeps a plain number before each packet; one is damaged here."""
    path = write_clip(tmp_path / "t.flv", pan(20), codec="flv")
    body = bytearray(path.read_bytes())
    tag = _flv_tags(body)[8]
    stamp = int.from_bytes(body[tag + 4 : tag + 7], "big") + 97_000_00
    body[tag + 4 : tag + 7] = (stamp & 0xFFFFFF).to_bytes(3, "big")
    path.write_bytes(body)
    health = TrackHealth()
    found = ms(seen(path, health=health))
    assert health.misplaced == 1
    assert len(found) == 19
    assert max(found) < 1000


def _flv_tags(body: bytes) -> list[int]:
    """Offsets of the video tags of an FLV file (Adobe's specification, annex E)."""
    at, tags = 13, []
    while at + 11 <= len(body):
        if body[at] & 0x1F == 9:
            tags.append(at)
        at += 11 + int.from_bytes(body[at + 1 : at + 4], "big") + 4
    return tags


def test_time_that_goes_back_is_dropped_and_counted(tmp_path):
    """Two recordings copied one behind the other: the second begins at 0 again."""
    first = write_clip(tmp_path / "a.ts", pan(50), codec="mpeg2video")
    second = write_clip(tmp_path / "b.ts", pan(30, seed=1), codec="mpeg2video")
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    health = TrackHealth()
    found = ms(seen(path, health=health))
    assert found == sorted(set(found))
    assert len(found) >= 49
    assert health.misplaced + len(found) >= 79
    assert not health.partial


def test_time_that_goes_back_for_good_ends_the_track(tmp_path):
    first = write_clip(tmp_path / "a.ts", pan(50), codec="mpeg2video")
    second = write_clip(tmp_path / "b.ts", pan(30, seed=1), codec="mpeg2video")
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    health = TrackHealth()
    seen(path, settings=CaptureSettings(bad_in_a_row=10), health=health)
    assert "went back" in health.partial


# Damage.


def test_cut_off_film_gives_what_is_there(tmp_path):
    pictures = [nature(seed, 160, 120) for seed in range(20)] * 10
    path = write_clip(tmp_path / "t.mp4", pictures, container={"movflags": "faststart"})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    health = TrackHealth()
    found = seen(path, health=health)
    assert 60 < len(found) < 140
    assert "cut off" in health.partial


def test_damaged_packets_are_counted_and_passed_over(tmp_path):
    pictures = [nature(seed, 160, 120) for seed in range(20)] * 5
    path = write_clip(tmp_path / "t.mkv", pictures, codec="mpeg4")
    body = bytearray(path.read_bytes())
    rng = np.random.default_rng(5)
    for at in rng.integers(len(body) // 4, len(body) * 3 // 4, 400):
        body[at] ^= 0xFF
    path.write_bytes(body)
    health = TrackHealth()
    found = seen(path, health=health)
    assert len(found) > 20
    assert found[-1][0] > 3_500_000_000  # It went on behind the damage.


def test_too_much_damage_in_a_row_ends_the_track(tmp_path):
    path = write_clip(tmp_path / "t.avi", pan(60), codec="mjpeg")
    body = bytearray(path.read_bytes())
    at = body.index(b"movi")
    for number in range(60):
        at = body.index(b"00dc", at)
        size = int.from_bytes(body[at + 4 : at + 8], "little")
        if number >= 20:
            body[at + 8 : at + 8 + size] = bytes(size)
        at += 8 + size
    path.write_bytes(body)
    health = TrackHealth()
    assert len(seen(path, settings=CaptureSettings(bad_in_a_row=12), health=health)) == 20
    assert health.errors == 12
    assert health.partial == "12 packets in a row could not be decoded"
    health = TrackHealth()
    assert len(seen(path, health=health)) == 20
    assert (health.errors, health.partial) == (40, "")


def test_nothing_but_errors_of_the_tree_whatever_is_damaged(tmp_path):
    """Two hundred mutations; a thousand of them are a tool's business."""
    rng = np.random.default_rng(7)
    bodies = [
        write_clip(tmp_path / f"o.{suffix}", pan(12), codec=codec).read_bytes()
        for suffix, codec in (("mp4", "libx264"), ("mkv", "mpeg4"), ("ts", "mpeg2video"), ("avi", "mpeg4"))
    ]
    ends = set()
    for index in range(200):
        body = bytearray(bodies[index % 4])
        for at in rng.integers(0, len(body), int(rng.integers(1, 60))):
            body[at] = rng.integers(256)
        if index % 3 == 0:
            del body[int(rng.integers(len(body))) :]
        path = tmp_path / "mutant"
        path.write_bytes(body)
        try:
            found = probe(path)
            for track in found.tracks:
                if track.media == "video":
                    positions = [frame.pts_ns for frame in frames(path, track.track)]
                    assert positions == sorted(set(positions))
            ends.add("read")
        except OmniRecallError as error:
            ends.add(type(error).__name__)
    assert "read" in ends
    assert len(ends) > 1


def test_track_that_is_not_there(tmp_path):
    path = write_clip(tmp_path / "t.mp4", pan(3))
    with pytest.raises(SourceRefused, match="no video track 7"):
        next(iter(frames(path, 7)))


# The same again after a resume.


@pytest.fixture(scope="module")
def awkward(tmp_path_factory) -> dict[str, Path]:
    """Clips with B-frames and open groups of pictures, at a constant and at a variable rate."""
    folder = tmp_path_factory.mktemp("awkward")
    steps = np.random.default_rng(3).choice([10, 33, 40, 40, 40, 100, 250], 95)
    uneven = [0, *np.cumsum(steps).tolist()]
    pictures = pan(48) + pan(48, seed=1)
    return {
        "open.mp4": write_clip(folder / "open.mp4", pictures, options=OPEN_GOP),
        "open.mkv": write_clip(folder / "open.mkv", pictures, options=OPEN_GOP),
        "uneven.mp4": write_clip(folder / "uneven.mp4", pictures, uneven, options=OPEN_GOP),
        "uneven.mkv": write_clip(folder / "uneven.mkv", pictures, uneven, options=OPEN_GOP),
        "sparse.mkv": write_clip(folder / "sparse.mkv", pictures, uneven, options={"g": "600", "bf": "2"}),
        "plain.avi": write_clip(folder / "plain.avi", pictures, codec="mpeg4"),
        "plain.ts": write_clip(folder / "plain.ts", pictures, codec="mpeg2video"),
    }


NAMES = ("open.mp4", "open.mkv", "uneven.mp4", "uneven.mkv", "sparse.mkv", "plain.avi", "plain.ts")


@pytest.mark.parametrize("name", NAMES)
def test_frames_after_every_mark_equal_the_undisturbed_ones(awkward, name):
    path = awkward[name]
    undisturbed = seen(path)
    assert len(undisturbed) >= 95
    marks = [pts_ns for pts_ns, _ in undisturbed]
    for mark in [*marks, *(mark + 1 for mark in marks[::7]), marks[-1] + 10**9]:
        resumed = seen(path, mark, NEAR)
        before = [found for found in undisturbed if found[0] <= mark][-1:]
        after = [found for found in undisturbed if found[0] > mark]
        assert resumed == before + after


def test_resume_does_seek_where_it_is_exact(awkward, monkeypatch):
    sought = []
    seek = file_source._seek
    monkeypatch.setattr(file_source, "_seek", lambda *a: (sought.append(a[2]), seek(*a)))
    for name in NAMES:
        sought.clear()
        seen(awkward[name], 3_000_000_000, NEAR)
        # One seek to try it out, one to read; AVI and TS are read from the start.
        assert len(sought) == {"avi": 0, "ts": 0}.get(name.rpartition(".")[2], 2)


def chosen(path, mark=None, settings=NEAR):
    """What is sent of a file, from a mark on, with the sampler that capture uses."""
    sampler = Sampler(2.0, settings.change_threshold, 2.0, 1024, mark)
    for frame in frames(path, 0, sampler.primes_after_pts_ns, settings):
        choice = sampler.look(frame.pts_ns, frame.luma())
        if choice is not None:
            yield frame.pts_ns, choice


@pytest.mark.parametrize("name", ["uneven.mp4", "open.mkv", "plain.avi"])
def test_samples_after_every_mark_equal_the_undisturbed_ones(awkward, name):
    undisturbed = list(chosen(awkward[name]))
    assert {choice.why for _, choice in undisturbed} == {"rate", "change"}
    for mark, _ in undisturbed:
        assert list(chosen(awkward[name], mark)) == [found for found in undisturbed if found[0] > mark]


def real(name: str, file: str) -> Path:
    try:
        return demo_media().file(name, file)
    except OmniRecallError as error:
        pytest.skip(f"{error.message}; {error.remedy}")


def test_cuts_of_a_real_film_are_sent_at_once():
    """bikes.mp4 cuts at frames 30, 76, 137, 187 and 242 of 25 per second (seen by eye)."""
    changes = [pts_ns for pts_ns, choice in chosen(real("bikes", "bikes.mp4")) if choice.why == "change"]
    assert changes == [frame * 40_000_000 for frame in (30, 76, 137, 187, 242)]


def test_motion_in_a_real_film_is_no_change():
    path = real("big-buck-bunny", "bigbuckbunny.mp4")
    assert {choice.why for _, choice in chosen(path)} == {"rate"}


def test_resume_in_a_real_film():
    path = real("bikes", "bikes.mp4")
    undisturbed = list(chosen(path))
    for mark, _ in undisturbed[::3]:
        assert list(chosen(path, mark)) == [found for found in undisturbed if found[0] > mark]


# In real time.


def test_paced_items_come_when_they_are_due():
    clock = SimulatedClock()
    clock.advance_ns(77)
    times = []
    for _ in paced([0, 40, 500], lambda item: item * 10**6, clock, 77, lambda: False):
        times.append(clock.monotonic_ns() - 77)
    assert times == [0, 40_000_000, 500_000_000]


def test_paced_items_that_are_late_come_at_once():
    clock = SimulatedClock()
    clock.advance_ns(10**9)
    assert list(paced([1, 2], lambda item: item, clock, 0, lambda: False)) == [1, 2]
    assert clock.monotonic_ns() == 10**9


def test_pacing_stops_when_told():
    clock = SimulatedClock()
    assert list(paced([10**12], lambda item: item, clock, 0, lambda: clock.monotonic_ns() > 10**9)) == []
    assert clock.monotonic_ns() < 2 * 10**9
