"""A track between its reader and perception: credit, epochs, announcements, its end."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.capture.reader import AudioReader, FrameItem, Reading, SoundItem, VideoReader
from stream.capture.settings import CaptureSettings
from stream.capture.sound import AudioChunk
from stream.capture.track import Origin, Track
from stream.errors import SourceGone
from stream.messages.media import FINISHED_PTS_NS, MediaAudio, MediaCredit, MediaFrame, MediaState
from stream.messages.observation import TrackRecord
from stream.process.clock import RealClock
from stream.wire.parts import array_part
from tests.stream.capture_clips import pan, write_clip

S = 1_000_000_000
SOURCE = b"s" * 16
SETTINGS = CaptureSettings(video_ring_items=1000, rate_hz=2.0, max_side_px=640)
PIXELS = array_part("frame", np.zeros((2, 2, 3), np.uint8))


class Pictures(VideoReader):
    """Reads one frame a second, at once and without a thread; `more` lets a live one go on."""

    def __init__(self, after_pts_ns, n, policy, *, ends=True):
        reading = Reading(
            path="", track=0, policy=policy, rate_hz=1.0, max_side_px=640, after_pts_ns=after_pts_ns
        )
        super().__init__(reading, SETTINGS, RealClock(), lambda *_: None, lambda: None)
        self._next_s = 0 if after_pts_ns is None else after_pts_ns // S + 1
        self._n, self._ends = n, ends
        self.started = self.stopped = False

    def start(self):
        self.started = True
        self.more(self._n)

    def more(self, n):
        for _ in range(n):
            self.ring.put(
                FrameItem(
                    pts_ns=self._next_s * S, why="rate", width_px=2, height_px=2, part=PIXELS,
                    curve=(), curve_points=8,
                )
            )  # fmt: skip
            self._next_s += 1

    def stop(self):
        self.stopped = True
        super().stop()

    @property
    def finished(self):
        return self.started and self._ends


class Sounds(AudioReader):
    """Reads chunks given by hand into a ring of a live source that holds but one."""

    def __init__(self, chunks):
        settings = CaptureSettings(audio_ring_bytes=1 << 16, audio_wait_s=0.0)
        reading = Reading(path="", track=1, policy="latest", rate_hz=1.0, max_side_px=640)
        super().__init__(reading, settings, RealClock(), lambda *_: None, lambda: None)
        self._chunks = chunks

    def start(self):
        for chunk in self._chunks:
            self.ring.put(SoundItem(chunk))

    @property
    def finished(self):
        return True


class Bench:
    """A track, what it sent, the readers it had, and who is gone."""

    def __init__(self, *, n=3, policy="lossless", ends=True, announce_ns=S, readers=None):
        self.sent, self.readers, self.gone = [], [], set()
        self.policy = policy

        def new_reader(record, after_pts_ns, rate_hz, max_side_px):
            self.asked = (after_pts_ns, rate_hz, max_side_px)
            reader = readers() if readers else Pictures(after_pts_ns, n, policy, ends=ends)
            self.readers.append(reader)
            return reader

        origin = Origin(SOURCE, 0, "f.mp4", policy, t_origin_ns=100 * S, duration_ns=None)
        media = "audio" if readers is Sounds else "video"
        self.track = Track(
            origin, TrackRecord(track=0, media=media), lambda message, parts=(), trace_id=b"":
            self.sent.append(message), new_reader, lambda holder: holder in self.gone, announce_ns,
        )  # fmt: skip

    def credit(self, epoch, n, holder="video-1", **more):
        told = MediaCredit(source_id=SOURCE, session=0, track=0, stream_epoch=epoch, n=n, **more)
        self.track.credited(told, holder)

    def turn(self, now_ns=0):
        """What is sent in one turn."""
        before = len(self.sent)
        self.track.turn(now_ns)
        return self.sent[before:]

    def frames(self):
        return [message for message in self.sent if isinstance(message, MediaFrame)]

    def states(self):
        return [message.state for message in self.sent if isinstance(message, MediaState)]


# Announcements.


def test_it_announces_itself_until_credit_comes():
    bench = Bench()
    bench.track.begin()
    for now_ns in (0, S // 2, S, S + 1, 2 * S):
        bench.turn(now_ns)
    assert bench.states() == ["open", "open", "open"]
    bench.credit(7, 1)
    bench.turn(9 * S)
    assert bench.states() == ["open"] * 3
    assert len(bench.frames()) == 1


def test_it_announces_itself_again_when_the_holder_of_its_credit_is_gone():
    bench = Bench(n=5)
    bench.credit(7, 2)
    bench.turn(0)
    assert bench.turn(5 * S) == [], "a holder that is only slow is left in peace"
    bench.gone.add("video-1")
    assert [message.state for message in bench.turn(6 * S)] == ["open"]
    bench.credit(8, 1, holder="video-2", resume_pts_ns=S)
    assert [message.pts_ns for message in bench.turn(7 * S)] == [2 * S]


def test_a_track_that_nobody_answers_is_unheard_until_credit_comes():
    bench = Bench()
    for now_ns in (0, S, 2 * S):
        assert not bench.track.unheard
        bench.turn(now_ns)
    assert bench.track.unheard
    bench.credit(7, 1)
    assert not bench.track.unheard


def test_nothing_is_sent_to_a_holder_that_is_gone():
    bench = Bench()
    bench.credit(7, 3)
    bench.gone.add("video-1")
    bench.turn()
    assert bench.frames() == []


# Epochs.


def test_an_archived_track_is_read_only_once_credit_has_come():
    bench = Bench()
    bench.track.begin()
    bench.turn()
    assert bench.readers == []
    bench.credit(7, 1)
    assert bench.asked == (None, 0.0, 0)


def test_a_new_epoch_reads_an_archived_track_anew_behind_the_mark():
    bench = Bench(n=4)
    bench.credit(7, 2, rate_hz=1.0, max_side_px=320)
    bench.turn()
    bench.credit(8, 9, resume_pts_ns=S, rate_hz=3.0, max_side_px=160)
    assert bench.asked == (S, 3.0, 160)
    assert [reader.stopped for reader in bench.readers] == [True, False]
    assert bench.track.position_ns == S
    bench.turn()
    assert [(f.stream_epoch, f.pts_ns // S) for f in bench.frames()] == [
        (7, 0), (7, 1), (8, 2), (8, 3), (8, 4), (8, 5)
    ]  # fmt: skip


def test_a_new_epoch_of_a_track_at_its_end_begins_it_anew():
    bench = Bench(n=1)
    bench.credit(7, 5)
    bench.turn()
    assert bench.track.ended
    bench.credit(8, 5)
    assert not bench.track.ended
    bench.turn()
    assert bench.states() == ["eof", "eof"]
    assert len(bench.frames()) == 2


def test_a_new_epoch_of_a_live_track_goes_on_where_it_is():
    bench = Bench(n=4, policy="latest", ends=False)
    bench.track.begin()
    bench.credit(7, 1)
    bench.turn()
    bench.credit(8, 9, resume_pts_ns=0)
    bench.turn()
    assert len(bench.readers) == 1
    assert not bench.readers[0].stopped
    assert [(f.stream_epoch, f.pts_ns // S) for f in bench.frames()] == [(7, 0), (8, 1), (8, 2), (8, 3)]


@pytest.mark.parametrize("policy", ["lossless", "latest"])
def test_credit_of_an_old_epoch_is_ignored(policy):
    bench = Bench(n=6, policy=policy)
    bench.track.begin()
    bench.credit(7, 1)
    bench.turn()
    bench.credit(8, 1, holder="video-2")
    bench.turn()
    readers, n_sent = len(bench.readers), len(bench.sent)
    bench.credit(7, 5, resume_pts_ns=0)
    bench.credit(7, 5, resume_pts_ns=FINISHED_PTS_NS)
    assert bench.turn() == []
    assert (len(bench.readers), len(bench.sent)) == (readers, n_sent)
    assert not bench.track.finished
    bench.gone.add("video-1")
    bench.credit(8, 1, holder="video-2")
    (frame,) = bench.turn(9 * S)
    assert frame.stream_epoch == 8


def test_more_credit_of_the_same_epoch_begins_nothing_anew():
    bench = Bench(n=3)
    bench.credit(7, 1)
    bench.turn()
    bench.credit(7, 1, resume_pts_ns=0)
    bench.turn()
    assert len(bench.readers) == 1
    assert [frame.pts_ns // S for frame in bench.frames()] == [0, 1]


# Credit.

STEPS = st.lists(
    st.one_of(st.tuples(st.just("credit"), st.integers(1, 4), st.integers(0, 5)), st.just(("turn", 0, 0))),
    max_size=40,
)


@given(STEPS, st.sampled_from(["lossless", "latest"]))
def test_never_more_is_sent_in_an_epoch_than_was_granted(steps, policy):
    bench = Bench(n=30, policy=policy, ends=False)
    bench.track.begin()
    granted = {}
    for what, epoch, n in steps:
        if what == "credit":
            bench.credit(epoch, n)
            granted[epoch] = granted.get(epoch, 0) + n
        else:
            bench.turn()
    sent = [frame.stream_epoch for frame in bench.frames()]
    assert all(sent.count(epoch) <= granted[epoch] for epoch in sent)
    newest = list(dict.fromkeys(epoch for what, epoch, _ in steps if what == "credit"))
    assert sent == sorted(sent, key=newest.index), "an epoch that is over does not come back"


# Wishes.


def test_a_live_track_follows_the_wishes_of_perception_and_falls_back_to_its_settings():
    bench = Bench(policy="latest", ends=False)
    bench.track.begin()
    reader = bench.readers[0]
    bench.credit(7, 1, rate_hz=5.0, max_side_px=320)
    assert (reader._sampler.rate_hz, reader._max_side_px) == (5.0, 320)
    bench.credit(7, 1)
    assert (reader._sampler.rate_hz, reader._max_side_px) == (SETTINGS.rate_hz, SETTINGS.max_side_px)


# The end.


def test_eof_comes_only_after_everything_was_sent():
    bench = Bench(n=3)
    bench.credit(7, 2)
    bench.turn()
    assert bench.states() == []
    assert not bench.track.ended
    bench.credit(7, 2)
    assert [type(message) for message in bench.turn()] == [MediaFrame, MediaState]
    assert bench.states() == ["eof"]
    assert (bench.sent[-1].read, bench.sent[-1].dropped) == (3, 0)
    assert bench.turn() == []


def test_eof_waits_for_the_reader():
    bench = Bench(n=1, ends=False)
    bench.credit(7, 9)
    bench.turn()
    assert bench.states() == []
    bench.readers[0]._ends = True
    bench.turn()
    assert bench.states() == ["eof"]


def test_a_track_without_anything_ends():
    bench = Bench(n=0)
    bench.credit(7, 4)
    bench.turn()
    assert bench.states() == ["eof"]


def test_a_track_that_memory_has_to_its_end_is_finished():
    bench = Bench()
    bench.credit(7, 0, resume_pts_ns=FINISHED_PTS_NS)
    assert bench.track.finished
    assert bench.readers == []
    assert bench.turn(9 * S) == []
    bench.track.close("closed")
    assert bench.sent == []


def test_closing_on_the_way_is_told_and_at_the_end_is_not():
    bench = Bench(n=2)
    bench.track.close("closed")
    assert bench.sent == [], "nobody knows of it yet"
    bench.credit(7, 1)
    bench.turn()
    bench.track.close("closed")
    assert bench.states() == ["closed"]
    over = Bench(n=1)
    over.credit(7, 9)
    over.turn()
    over.track.close("closed")
    assert over.states() == ["eof"]


def test_what_a_reader_fails_with_is_raised():
    bench = Bench()
    bench.credit(7, 1)
    bench.readers[0].failure = RuntimeError("a bug")
    with pytest.raises(RuntimeError, match="a bug"):
        bench.turn()


def test_sound_that_was_lost_is_told_in_its_place():
    """A ring of 64 KiB holds one chunk of two seconds: the second is dropped, then the third comes."""
    chunk = [AudioChunk(first_sample=i * 32_000, samples=np.zeros(32_000, np.int16)) for i in range(3)]
    bench = Bench(policy="latest", readers=lambda: Sounds(chunk))
    bench.track.begin()
    bench.credit(7, 9)
    bench.turn()
    audio = [message.first_sample for message in bench.sent if isinstance(message, MediaAudio)]
    assert audio == [0]
    (end,) = (message for message in bench.sent if isinstance(message, MediaState))
    assert (end.state, end.reason) == ("eof", "overload")
    assert (end.gap0_ns, end.gap1_ns) == (2 * S, 6 * S)


# With a real reader.


def test_a_clip_is_resumed_behind_the_mark_by_a_real_reader(tmp_path):
    path = write_clip(tmp_path / "c.mkv", pan(80))

    def bench_of():
        def read(*_):
            after_pts_ns, rate_hz, max_side_px = bench.asked
            reading = Reading(path, 0, "lossless", rate_hz or 1.0, max_side_px or 640, after_pts_ns)
            return VideoReader(reading, SETTINGS, RealClock(), lambda *_: None, lambda: None)

        bench = Bench(readers=read)
        return bench

    def to_end(bench):
        ends_at_s = time.monotonic() + 30
        while not bench.track.ended and time.monotonic() < ends_at_s:
            bench.turn()
        assert bench.track.ended

    bench = bench_of()
    bench.credit(7, 100)
    to_end(bench)
    whole = [frame.pts_ns for frame in bench.frames()]
    assert len(whole) >= 3
    bench.credit(8, 100, resume_pts_ns=whole[0])
    to_end(bench)
    assert [f.pts_ns for f in bench.frames() if f.stream_epoch == 8] == whole[1:]
    assert bench.states() == ["eof", "eof"]


def test_a_track_whose_file_went_away_has_no_end():
    bench = Bench(n=2)
    bench.credit(7, 9)
    bench.readers[0].gone = SourceGone("f.mp4 is not there")
    bench.turn()
    assert len(bench.frames()) == 2
    assert (bench.states(), bench.track.ended) == ([], False)
    assert bench.track.gone.message == "f.mp4 is not there"
    bench.track.close("closed")
    assert bench.states() == ["closed"]


def test_what_waits_when_a_live_track_is_closed_is_sent_or_counted_as_dropped():
    bench = Bench(n=4, policy="latest", ends=False)
    bench.track.begin()
    bench.credit(7, 3)
    bench.track.close("over")
    counts = bench.track.counts()
    assert (counts.read, counts.sent, counts.dropped, counts.waiting) == (4, 3, 1, 0)
    closed = bench.sent[-1]
    assert (closed.state, closed.read, closed.dropped) == ("closed", 4, 1)
