"""Cameras and microphones: what is said where there is none, and libav's own test devices in their place."""

from __future__ import annotations

from itertools import pairwise

import pytest

from stream.capture.camera import CameraInput
from stream.capture.feed import skipped
from stream.capture.microphone import MicrophoneInput, sound_system
from stream.capture.settings import CaptureSettings
from stream.errors import SourceGone, SourceRefused
from tests.stream.live_feed import fed

SETTINGS = CaptureSettings(retry_s=0.1, retry_max_s=0.2, rate_hz=5)
S = 10**9


@pytest.mark.parametrize("uri", ["camera:/dev/no-such-camera", "camera:97"])
def test_a_camera_that_is_not_there_is_named_with_what_to_do(uri):
    with (
        pytest.raises(SourceGone, match="there is no camera /dev/") as met,
        CameraInput(uri, SETTINGS).opened(lambda: True),
    ):
        pass
    assert "camera" in met.value.remedy


def test_what_is_no_device_is_no_camera(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"x")
    with (
        pytest.raises(SourceRefused, match="is no camera"),
        CameraInput(f"camera:{tmp_path / 'film.mp4'}", SETTINGS).opened(lambda: True),
    ):
        pass


def test_a_device_that_is_no_camera_is_refused_by_v4l2():
    with (
        pytest.raises(SourceGone, match="/dev/null cannot be opened"),
        CameraInput("camera:/dev/null", SETTINGS).opened(lambda: True),
    ):
        pass


def test_a_microphone_that_is_not_there_is_named_with_what_to_do():
    with (
        pytest.raises(SourceGone, match="the microphone hw:97,0 cannot be opened by") as met,
        MicrophoneInput("microphone:hw:97,0", SETTINGS).opened(lambda: True),
    ):
        pass
    assert "arecord -L" in met.value.remedy
    assert sound_system() in ("alsa", "pulse")


def test_a_camera_of_libav_s_own_is_seen_at_the_rate_that_is_wanted():
    camera = CameraInput("camera:testsrc2=size=320x240:rate=20,realtime", SETTINGS, form="lavfi")
    feed = fed(camera, SETTINGS, lambda feed: 0 in feed.readers and feed.readers[0].ring.counts().read >= 8)
    assert feed.status.state == "reading"
    assert feed.records[0].media == "video"
    assert feed.readers[0].newest[1].shape == (240, 320, 3)


def test_a_microphone_of_libav_s_own_is_heard_without_a_hole():
    microphone = MicrophoneInput("microphone:sine=440:r=48000,arealtime", SETTINGS, form="lavfi")
    feed = fed(
        microphone, SETTINGS, lambda feed: 1 in feed.readers and feed.readers[1].ring.counts().read >= 6
    )
    heard = []
    while (item := feed.readers[1].ring.take()) is not None:
        heard.append(item.chunk)
    assert all(one.end_pts_ns == two.pts_ns for one, two in pairwise(heard))
    assert feed.readers[1].missed.waiting() == []
    assert max(abs(int(sample)) for sample in heard[2].samples) > 500


def test_a_camera_that_ends_is_lost_opened_again_and_its_gap_has_a_reason():
    camera = CameraInput("camera:testsrc2=size=160x120:rate=20:duration=1,realtime", SETTINGS, form="lavfi")
    slow = CaptureSettings(retry_s=0.7, retry_max_s=0.7, rate_hz=5)  # A shorter gap is not told.
    feed = fed(camera, slow, lambda feed: feed.n_opened >= 3 and feed.readers[0].health.end_pts_ns > 3 * S)
    gaps = feed.readers[0].missed.waiting()
    assert len(gaps) >= 2
    assert all(gap.reason.startswith("lost: ") for gap in gaps)


def test_a_pause_closes_the_device_and_takes_nothing():
    camera = CameraInput("camera:testsrc2=size=160x120:rate=20,realtime", SETTINGS, form="lavfi")
    seen = {}

    def until(feed):
        if 0 not in feed.readers or feed.readers[0].ring.counts().read < 3:
            return False
        if "paused" not in seen:
            feed.pause("paused by the owner")
            seen["paused"] = feed.readers[0].health.end_pts_ns
            seen["at"] = feed.position_ns()
        if feed.position_ns() < seen["at"] + S:
            return False
        if "resumed" not in seen:
            seen["resumed"] = feed.readers[0].health.end_pts_ns
            seen["opened"] = feed.n_opened
            feed.resume()
        return feed.status.state == "reading" and feed.n_opened > seen["opened"]

    feed = fed(camera, SETTINGS, until)
    assert seen["paused"] == seen["resumed"]
    (gap,) = [one for one in feed.readers[0].missed.waiting() if one.state == "paused"]
    assert gap.reason == "paused by the owner"
    assert gap.pts1_ns - gap.pts0_ns >= S


@pytest.mark.parametrize(
    ("decode", "left_out"),
    [("all", ["DEFAULT", "NONREF", "NONREF", "NONKEY"]), ("reference", ["NONREF"] * 3 + ["NONKEY"])],
)
def test_what_the_owner_wants_left_out_stays_so_and_more_is_when_it_is_slow(decode, left_out):
    settings = CaptureSettings(decode=decode)
    assert [skipped(divisor, settings) for divisor in (1, 2, 4, 8)] == left_out
