"""A browser that falls silent: what it sent is seen, it is told as lost, and it may begin again."""

from __future__ import annotations

import pytest

from stream.capture.browser import BrowserInput
from stream.capture.feed import AUDIO_TRACK, VIDEO_TRACK
from stream.capture.settings import CaptureSettings
from stream.messages.media import MediaPush
from tests.stream.live_feed import S, fed
from tests.stream.live_media import recorded

URI = "browser:kitchen"
SETTINGS = CaptureSettings(rate_hz=5, stall_s=0.8, quiet_s=0.5)


@pytest.fixture(scope="module")
def webm():
    """Three seconds as a browser records them."""
    return recorded(3.0)


@pytest.fixture
def browser():
    return BrowserInput(URI, SETTINGS)


def push(browser, segment, chunks, first=0):
    return [
        browser.push(MediaPush(uri=URI, segment=segment, index=first + i, t_ns=0), chunk)
        for i, chunk in enumerate(chunks)
    ]


def ends_ns(feed):
    return [feed.readers[track].health.end_pts_ns for track in (VIDEO_TRACK, AUDIO_TRACK)]


def test_what_came_at_once_is_read_though_no_more_follows(browser, webm):
    assert not any(told.restart for told in push(browser, 0, webm))
    feed = fed(browser, SETTINGS, lambda feed: feed.readers and feed.status.state == "lost")
    assert "nothing came for 0.8 s" in feed.status.reason
    assert min(ends_ns(feed)) > 2.5 * S
    counts = feed.readers[VIDEO_TRACK].ring.counts()
    assert counts.read >= 10
    for reader in feed.readers.values():
        assert reader.health.misplaced == 0
    (told,) = push(browser, 0, [b"more"], first=len(webm))
    assert told.restart, "the recorder begins anew"


def test_a_beginning_that_nothing_follows_is_lost_and_the_next_is_read(browser, webm):
    push(browser, 0, webm[:1])
    pushed = []

    def until(feed):
        if feed.status.state == "lost" and not pushed:
            pushed.extend(push(browser, 1, webm))
        return bool(pushed) and feed.is_placed and min(ends_ns(feed)) > 2.5 * S

    fed(browser, SETTINGS, until)
    assert not any(told.restart for told in pushed)


def test_a_pause_before_anything_was_read_is_no_gap_and_the_first_that_follows_is_at_0(browser, webm):
    push(browser, 0, webm)
    at = {}

    def until(feed):
        if feed.silent_ns > 0.1 * S and "paused" not in at:
            browser.pause(True)
            feed.pause("paused by the owner")
            at["paused"] = feed.position_ns()
        if "paused" in at and "resumed" not in at and feed.position_ns() > at["paused"] + S:
            assert not feed.is_placed
            browser.pause(False)
            feed.resume()
            push(browser, 1, webm)
            at["resumed"] = True
        return "resumed" in at and feed.is_placed and min(ends_ns(feed)) > 2.5 * S

    feed = fed(browser, SETTINGS, until)
    for reader in feed.readers.values():
        assert reader.health.misplaced == 0
        assert not [gap for gap in reader.missed.waiting() if gap.pts0_ns < 2 * S]
    assert max(ends_ns(feed)) < 3.5 * S
