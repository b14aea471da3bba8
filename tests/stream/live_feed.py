"""A live source fed to readers in the test's own process."""

from __future__ import annotations

from stream.capture.feed import Feed
from stream.capture.live_readers import LiveAudio, LiveVideo
from stream.capture.reader import Reading
from stream.process.clock import RealClock

S = 10**9


def fed(source, settings, until) -> Feed:
    """Feeds readers from a source until something holds; gives the feed, stopped."""
    clock = RealClock()

    def new_reader(record):
        reading = Reading(path=None, track=record.track, policy="latest", rate_hz=5, max_side_px=640)
        kind = LiveVideo if record.media == "video" else LiveAudio
        return kind(reading, settings, clock, lambda *_: None, lambda: None)

    feed = Feed(source, settings, clock, new_reader, lambda: None)
    feed.start()
    begun_ns = clock.monotonic_ns()
    try:
        while not until(feed) and clock.monotonic_ns() - begun_ns < 60 * S:
            clock.sleep_ns(S // 50)
            feed.turn()
        assert until(feed), feed.status
    finally:
        feed.stop()
        feed.join(5)
    return feed
