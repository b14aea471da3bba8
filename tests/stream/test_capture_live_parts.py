"""What live sources are made of, without processes: addresses, masks, hours, clock, pace, stretches."""

from __future__ import annotations

import random
from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.capture.addresses import checked, ensure_allowed, kind_of, public, source_id_of
from stream.capture.live_clock import Burst, LiveClock
from stream.capture.load import Backoff, Pace
from stream.capture.missed import Missed, MissedStretches
from stream.capture.picture import Turn
from stream.capture.privacy import Hours, Mask, blacken, masks_of, may_be_open
from stream.capture.settings import CaptureSettings
from stream.errors import SourceRefused

S = 10**9
MS = 10**6


# Addresses.


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("camera:/dev/video0", "camera"), ("microphone:default", "microphone"),
        ("browser:kitchen", "browser"),
        ("rtsp://h/x", "network"), ("HTTPS://h/x", "network"), ("/a/film.mp4", None), ("file:///a", None),
        ("concat:a|b", None), ("data:x", None), ("subfile,,start:x", None), ("film: a.mp4", None),
    ],
)  # fmt: skip
def test_kinds(uri, kind):
    assert kind_of(uri) == kind


@given(
    st.text("abcXYZ019-._~", min_size=4, max_size=20),
    st.text("abcXYZ019-._~%", min_size=4, max_size=20),
    st.sampled_from(["rtsp", "http", "https", "rtsps"]),
    st.sampled_from(["password", "token", "auth", "user", "apikey", "pwd"]),
)
def test_nothing_secret_stands_in_the_public_name(user, password, scheme, field):
    user, password = f"u{user}u", f"p{password}p"
    uri = f"{scheme}://{user}:{password}@Camera.local:8554/live?channel=1&{field}={password}"
    told = public(checked(uri))
    assert user not in told
    assert password not in told
    assert told == f"{scheme}://camera.local:8554/live?channel=1&{field}=…"
    assert source_id_of(uri) == source_id_of(told)


@pytest.mark.parametrize(
    "uri",
    [
        "rtsp://",
        "http:///x",
        "http://h:99999/",
        "camera:",
        "microphone:",
        "browser:",
        "browser:a/b",
        "http://h/\n",
    ],
)
def test_what_is_no_address_is_refused_without_telling_it(uri):
    with pytest.raises(SourceRefused) as met:
        checked(uri)
    assert met.value.remedy


def test_who_is_not_the_owner_opens_only_what_is_allowed():
    settings = CaptureSettings(
        sources=("rtsp://me:pw@door.local/1",), allow_schemes=("browser", "https"), allow_hosts=("cam.local",)
    )
    for uri in ("browser:phone", "https://cam.local/x", "https://CAM.local:444/y", "rtsp://door.local/1"):
        ensure_allowed(uri, settings)
    for uri in (
        "http://cam.local/x", "https://cam.local.evil.org/x", "https://cam.local@evil.org/x", "https://10.0.0.1/",
        "rtsp://door.local/2", "camera:/dev/video0", "/etc/passwd", "file:///etc/passwd", "https://169.254.169.254/",
    ):  # fmt: skip
        with pytest.raises(SourceRefused):
            ensure_allowed(uri, settings)
    with pytest.raises(SourceRefused):
        ensure_allowed("camera:0", CaptureSettings())
    assert "pw" not in repr(settings)
    assert "pw" not in str(settings.model_dump(mode="json"))


# Masks and hours.


@pytest.mark.parametrize("flips", [(t, r, c) for t in (0, 1) for r in (0, 1) for c in (0, 1)])
def test_a_mask_lies_where_it_is_seen_whatever_the_turn(flips):
    turn = Turn(*(bool(flip) for flip in flips))
    stored = np.full((90, 160), 200, np.uint8)
    masked = blacken(stored, (Mask(left=0.5, bottom=0.25),), turn)
    seen = turn.apply(masked)
    height, width = seen.shape
    assert seen[: height // 4, width // 2 :].max() == 0
    assert seen[height // 4 + 1 :].min() == 200
    assert seen[:, : width // 2].min() == 200
    assert stored.min() == 200


def test_edges_of_masks_are_rounded_outwards():
    masked = blacken(np.full((10, 10, 3), 9, np.uint8), (Mask(left=0.41, right=0.59, top=0.11, bottom=0.19),))
    assert masked[1, 4:6].max() == 0
    assert masked[1, 3].min() == masked[0, 4].min() == masked[2, 4].min() == 9


def at(day, hour, minute=0):
    return datetime(2026, 11, 23 + day, hour, minute)


def test_hours_of_the_week_also_over_midnight():
    day = Hours(source="camera:*", days=("mon", "tue"), begin="08:00", end="18:30")
    night = Hours(source="camera:*", days=("fri",), begin="22:00", end="06:00")
    both = (day, night)
    assert may_be_open("camera:0", both, at(0, 8))
    assert not may_be_open("camera:0", both, at(0, 18, 30))
    assert not may_be_open("camera:0", both, at(2, 12))
    assert may_be_open("camera:0", both, at(4, 23))
    assert may_be_open("camera:0", both, at(5, 5, 59))
    assert not may_be_open("camera:0", both, at(4, 5))
    assert may_be_open("rtsp://h/x", both, at(2, 12)), "no hours are told of it"
    with pytest.raises(ValueError, match="no time of day"):
        Hours(begin="25:00")
    with pytest.raises(ValueError, match="covers nothing"):
        Mask(left=0.5, right=0.5)


@pytest.mark.parametrize(
    ("uri", "pattern"),
    [
        ("rtsp://door.local/1", "rtsp://owner:hunter2@door.local/1"),
        ("rtsp://door.local/1", "RTSP://Door.Local/1"),
        ("rtsp://door.local/1", "rtsp://owner:hunter2@door.local/*"),
        ("rtsp://door.local:8554/1", "rtsp://owner:hunter2@door.local:*/1"),
        ("https://door.local/x?pwd=…&n=1", "https://door.local/x?pwd=hunter2&n=1"),
        ("rtsp://[fe80::1]/1", "rtsp://[fe80::1]/1"),
        ("rtsp://[fe80::1]:554/1", "rtsp://owner:hunter2@[FE80::1]:*/*"),
        ("rtsp://[fe80::1]/1", "*[fe80::1]*"),
        ("camera:/dev/v4l/by-id/usb-[Cam]-0", "camera:/dev/v4l/by-id/usb-[Cam]-0"),
        ("camera:/dev/video1", "camera:/dev/video[01]"),
        ("browser:phone", "*"),
    ],
)
def test_a_mask_and_hours_fit_the_source_that_they_name_also_by_its_address_with_a_password(uri, pattern):
    mask, never = Mask(source=pattern), Hours(source=pattern, begin="03:00", end="03:01")
    assert masks_of(uri, (mask,)) == (mask,)
    assert not may_be_open(uri, (never,), at(0, 8))
    assert "hunter2" not in str((mask, never)), "nothing of it is shown"
    assert Mask(source=mask.source) == mask, "the form in which it is kept is read as the same"


@pytest.mark.parametrize(
    ("uri", "pattern"),
    [
        ("rtsp://door.local/2", "rtsp://owner:hunter2@door.local/1"),
        ("rtsp://fe80/1", "rtsp://[fe80::1]/1"),
        ("camera:/dev/video10", "camera:/dev/video1"),
        ("microphone:default", "camera:*"),
    ],
)
def test_a_mask_and_hours_are_of_no_other_source(uri, pattern):
    assert masks_of(uri, (Mask(source=pattern),)) == ()
    assert may_be_open(uri, (Hours(source=pattern, begin="03:00", end="03:01"),), at(0, 8))


# Time.


def test_positions_follow_timestamps_and_arrivals_only_choose_the_offset():
    clock = LiveClock()
    clock.anchor(90 * S, 2 * S)
    jitter = random.Random(1)  # noqa: S311 - not secret
    placed = [
        clock.place(0, 90 * S + i * 40 * MS, 2 * S + i * 40 * MS + jitter.randrange(90 * MS))
        for i in range(99)
    ]
    assert placed == [2 * S + i * 40 * MS for i in range(99)]


@pytest.mark.parametrize("media_ns", [0, 200 * S, 27 * 3600 * S])
def test_a_leap_of_timestamps_is_told(media_ns):
    clock = LiveClock()
    clock.anchor(100 * S, 5 * S)
    clock.place(0, 101 * S, 6 * S)
    assert clock.is_leap(0, media_ns, 7 * S)
    assert not clock.is_leap(0, 102 * S, 7 * S)
    assert not clock.is_leap(0, 101 * S - 200 * MS, 7 * S), "pictures are reordered"


def test_a_slow_clock_is_followed_and_load_is_not_taken_for_one():
    clock = LiveClock()
    clock.anchor(0, 0)
    for i in range(1, 4000):  # 1 % slow: 300 ms in 30 s, 400 s in all.
        clock.place(0, int(i * 99 * MS), i * 100 * MS)
    assert clock.lag_ns < S
    loaded = LiveClock()
    loaded.anchor(0, 0)
    for i in range(1, 2000):
        loaded.place(0, i * 50 * MS, i * 100 * MS)
    assert loaded.lag_ns > 30 * S


def test_a_burst_ends_when_it_gains_no_more_and_its_newest_is_of_now():
    burst, more, n = Burst(), True, 0
    while more:
        # 100 pictures at once, then one each 40 ms.
        arrival = n * MS if n < 100 else 100 * MS + (n - 100) * 40 * MS
        more = burst.take(n * 40 * MS, arrival)
        n += 1
    assert 100 < n < 110
    assert burst.newest_ns == 99 * 40 * MS or burst.newest_ns >= 99 * 40 * MS
    assert burst.arrival_ns - 99 * MS <= (burst.newest_ns - 99 * 40 * MS) + 2 * MS


# Load.


def test_pictures_are_halved_at_once_and_doubled_after_calm():
    pace = Pace(behind_ns=S, calm_ns=10 * S)
    divisors = []
    for i in range(100):  # Half a second each: behind for ten seconds, then calm.
        divisors.append(pace.look(i * S // 2, 0, 2 * S if i < 20 else 0))
    assert divisors[0] == 2
    assert divisors[4] == 4
    assert max(divisors) == 16
    assert divisors[20 + 19] == 16, "not before it was calm for long enough"
    assert divisors[20 + 21] == 8
    assert pace.slowed == 4


def test_a_lag_between_the_two_bounds_changes_nothing():
    pace = Pace(behind_ns=S, calm_ns=S)
    pace.look(0, 1, 0)
    assert [pace.look(i * S, 1, 700 * MS) for i in range(1, 30)] == [2] * 29


def test_the_wait_doubles_to_its_bound_and_is_short_again_after_steady_media():
    backoff = Backoff(S // 2, 30 * S)
    assert [backoff.next() / S for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    backoff.steady()
    assert backoff.next() == S // 2


# Missed stretches.


def test_a_stretch_is_told_in_pieces_that_double_and_meet():
    missed, told = MissedStretches(), []
    missed.begin(10 * S, "lost: x", "lost", 10 * S)
    for now in range(11, 8 * 3600, 1):
        missed.go_on(now * S)
        told += missed.waiting()
    missed.end(8 * 3600 * S)
    told += missed.waiting()
    assert told[0].pts0_ns == 10 * S
    assert told[-1].pts1_ns == 8 * 3600 * S
    assert all(one.pts1_ns == two.pts0_ns for one, two in pairwise(told))
    assert len(told) < 20


def test_a_pause_within_a_loss_is_told_apart_and_nothing_short_is_told():
    missed = MissedStretches()
    missed.begin(S, "lost: a", "lost", S)
    missed.begin(S, "lost: b", "lost", 2 * S)
    missed.begin(S, "paused by the owner", "paused", 3 * S)
    missed.end(4 * S)
    assert missed.waiting() == [
        Missed(S, 3 * S, "lost: a", "lost"), Missed(3 * S, 4 * S, "paused by the owner", "paused")
    ]  # fmt: skip
    assert missed.told_ns == 4 * S
    missed.begin(5 * S, "lost: a", "lost", 5 * S)
    missed.end(5 * S + 100 * MS)
    assert missed.waiting() == []
