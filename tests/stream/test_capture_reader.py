"""Readers: a file through sampler and ring, as fast as it goes or in real time."""

from __future__ import annotations

import errno
import shutil
import time

import numpy as np
import pytest

from stream.capture import container, holding
from stream.capture.container import hold
from stream.capture.holding import let_go
from stream.capture.probe import probe
from stream.capture.reader import AudioReader, Reading, SoundItem, VideoReader
from stream.capture.settings import CaptureSettings
from stream.capture.sound import AudioChunk
from stream.process.clock import RealClock, SimulatedClock
from stream.wire.parts import read_array
from tests.stream.capture_clips import pan, tone, write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Six seconds of picture, two scenes, with sound."""
    path = tmp_path_factory.mktemp("reader") / "c.mkv"
    return write_clip(
        path, pan(80) + pan(70, seed=1), sound=[(0, tone(96_000))], sound_codec="pcm_s16le"
    )  # fmt: skip


def reading(path, track=0, policy="lossless", **more) -> Reading:
    return Reading(path=path, track=track, policy=policy, rate_hz=1.0, max_side_px=1280, **more)


def video(what, settings=None, clock=None, hops=None) -> VideoReader:
    hop = (lambda trace_id, name: hops.append((trace_id, name))) if hops is not None else lambda *_: None
    return VideoReader(what, settings or CaptureSettings(), clock or RealClock(), hop, lambda: None)


def audio(what, settings=None, clock=None) -> AudioReader:
    return AudioReader(
        what, settings or CaptureSettings(), clock or RealClock(), lambda *_: None, lambda: None
    )


def drained(reader) -> list:
    """Everything that a reader gives, taken as it comes."""
    reader.start()
    found = []
    until_s = time.monotonic() + 300
    while time.monotonic() < until_s:
        item = reader.ring.take()
        if item is not None:
            found.append(item)
        elif reader.finished and not reader.ring.counts().waiting:
            break
    if reader.failure is not None:
        raise reader.failure
    return found


def test_frames_of_a_file(clip):
    hops: list[tuple[bytes, str]] = []
    reader = video(reading(clip), hops=hops)
    found = drained(reader)
    assert [(item.pts_ns // 10**6, item.why) for item in found] == [
        (0, "rate"), (1000, "rate"), (2000, "rate"), (3000, "rate"), (3200, "change"), (4000, "rate"),
        (5000, "rate"),
    ]  # fmt: skip
    assert sum(len(item.curve) for item in found) == 126  # Frames 0 to 125, each once.
    pixels = read_array(found[0].part.part, found[0].part.body)
    assert pixels.shape == (64, 96, 3)
    assert (found[0].width_px, found[0].height_px) == (96, 64)
    ids = [item.trace_id for item in found]
    assert len(set(ids)) == len(ids)
    assert hops == [(trace_id, name) for trace_id in ids for name in ("capture.file", "capture.sampler")]
    assert reader.health.end_pts_ns == 5_960_000_000


def test_pictures_are_scaled_to_what_is_wanted(clip):
    what = Reading(path=clip, track=0, policy="lossless", rate_hz=1.0, max_side_px=48)
    assert {(item.width_px, item.height_px) for item in drained(video(what))} == {(48, 32)}


def test_pictures_as_jpeg(clip):
    import cv2

    raw = drained(video(reading(clip)))[0]
    found = drained(video(reading(clip), CaptureSettings(frame_encoding="jpeg", jpeg_quality=95)))[0]
    assert found.part.part.encoding == "jpeg"
    decoded = cv2.imdecode(np.frombuffer(found.part.body, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(decoded.astype(int) - read_array(raw.part.part, raw.part.body)).mean() < 6


def test_sound_of_a_file(clip):
    found = drained(audio(reading(clip, track=1)))
    assert [item.chunk.first_sample for item in found] == list(range(0, 96_000, 8192))
    assert np.array_equal(np.concatenate([item.chunk.samples for item in found]), tone(96_000))


def test_after_a_mark_only_what_is_later(clip):
    whole = drained(video(reading(clip)))
    again = drained(video(reading(clip, after_pts_ns=2_000_000_000)))
    assert [(item.pts_ns, item.curve) for item in again] == [
        (item.pts_ns, item.curve) for item in whole if item.pts_ns > 2_000_000_000
    ]
    sound = drained(audio(reading(clip, track=1, after_pts_ns=8192 * 62_500)))
    assert sound[0].chunk.first_sample == 8192


def test_lossless_reader_waits_for_its_sender(clip):
    reader = video(reading(clip), CaptureSettings(video_ring_items=2))
    reader.start()
    until_s = time.monotonic() + 20
    while reader.ring.counts().waiting < 2 and time.monotonic() < until_s:
        time.sleep(0.01)
    time.sleep(0.3)  # Time enough to overfill it.
    assert not reader.finished
    assert reader.ring.counts().waiting == 2
    reader.stop()
    reader.join(5)
    assert reader.finished


def test_camera_gives_frames_when_they_are_due(clip):
    clock = SimulatedClock()
    reader = video(reading(clip, policy="latest", began_ns=0), clock=clock)
    times = [(item.pts_ns, clock.monotonic_ns()) for item in reader.items()]
    assert all(pts_ns == at_ns for pts_ns, at_ns in times)
    assert len(times) == 7


def test_microphone_gives_a_chunk_once_it_is_over(clip):
    clock = SimulatedClock()
    reader = audio(reading(clip, track=1, policy="latest", began_ns=0), clock=clock)
    assert all(item.chunk.end_pts_ns == clock.monotonic_ns() for item in reader.items())


def test_camera_whose_pictures_nobody_takes_keeps_the_newest(clip):
    reader = video(
        reading(clip, policy="latest", began_ns=0), CaptureSettings(video_ring_items=2), SimulatedClock()
    )
    reader.start()
    reader.join(20)
    counts = reader.ring.counts()
    assert (counts.read, counts.dropped, counts.waiting) == (7, 5, 2)
    first, last = reader.ring.take(), reader.ring.take()
    assert (first.pts_ns, first.dropped) == (4_000_000_000, 5)
    assert (last.pts_ns, last.dropped) == (5_000_000_000, 0)
    assert len(first.curve) == 101  # The curves of what was dropped are not.


def test_live_sound_is_dropped_only_past_its_bound_and_as_a_gap(clip):
    settings = CaptureSettings(audio_ring_bytes=65_536, audio_wait_s=0.0)
    reader = audio(reading(clip, track=1, policy="latest", began_ns=0), settings, SimulatedClock())
    reader.start()
    reader.join(20)
    counts = reader.ring.counts()
    assert (counts.read, counts.dropped, counts.waiting) == (12, 8, 4)
    lost = reader.ring.take_lost()
    assert lost.chunk.gap_ns[0] == 4 * 8192 * 62_500
    assert lost.chunk.end_pts_ns == 6_000_000_000


def test_wishes_change_on_the_way(clip):
    reader = video(reading(clip, policy="latest"))
    found = []
    for item in reader.items():
        found.append(item)
        reader.want(10.0, 48)
    assert len(found) > 40
    assert found[-1].width_px == 48


def test_file_that_goes_away_is_gone_and_neither_damage_nor_crash(tmp_path):
    reader = video(reading(tmp_path / "nowhere.mp4"))
    assert drained(reader) == []
    assert "is not there" in reader.gone.message
    assert reader.health.partial == ""


@pytest.fixture
def moved(clip, tmp_path):
    """A copy of the clip that is held, then moved, and what lies in its place now is another film."""
    path = tmp_path / "film.mkv"
    shutil.copy(clip, path)
    hold(path)
    path.rename(tmp_path / "elsewhere.mkv")
    write_clip(path, pan(30, seed=7))
    yield path
    let_go(path)


def test_file_that_is_held_is_read_wherever_it_is_moved(moved, clip):
    for kind, track in ((video, 0), (audio, 1)):
        reader = kind(reading(moved, track=track, is_again=True))
        n_whole = len(drained(kind(reading(clip, track=track))))
        assert len(drained(reader)) == n_whole > 0
        assert (reader.gone, reader.health.partial) == (None, "")
    assert probe(moved).source_id == probe(clip).source_id
    assert probe(moved).uri.endswith("film.mkv")


def test_without_descriptors_another_file_under_the_name_is_not_read(moved, monkeypatch):
    monkeypatch.setattr(holding, "_DESCRIPTORS", moved.parent / "nowhere")
    reader = video(reading(moved, is_again=True))
    assert drained(reader) == []
    assert "was changed while it was read" in reader.gone.message
    moved.unlink()
    reader = video(reading(moved, is_again=True))
    assert drained(reader) == []
    assert "is not there" in reader.gone.message


def test_damage_of_a_file_that_cannot_be_read_any_more_is_no_damage(clip, monkeypatch):
    """A disk that fails gives errors at every packet, or an early end: neither is the film's."""
    lost = OSError(errno.EIO, "Input/output error")
    monkeypatch.setattr(container.os, "pread", raising(lost))
    reader = audio(reading(clip, track=1))
    assert drained(reader)
    assert "is not there" in reader.gone.message
    monkeypatch.setattr(container.os, "pread", raising(OSError(errno.ENOTCONN, "not connected")))
    reader = audio(reading(clip, track=1))
    drained(reader)
    assert "cannot be read any more (not connected)" in reader.gone.message


def raising(error):
    def raises(*_):
        raise error

    return raises


def test_our_own_mistakes_are_not_taken_for_damage(clip, monkeypatch):
    reader = video(reading(clip))
    monkeypatch.setattr(reader, "_item", lambda *_: 1 / 0)
    reader.start()
    reader.join(10)
    assert isinstance(reader.failure, ZeroDivisionError)


def test_stop_ends_a_camera_within_a_moment(clip):
    reader = video(reading(clip, policy="latest", began_ns=RealClock().monotonic_ns() + 10**12))
    reader.start()
    time.sleep(0.2)
    before_s = time.monotonic()
    reader.stop()
    reader.join(5)
    assert reader.finished
    assert time.monotonic() - before_s < 4  # Of the seventeen minutes until its first frame.


def test_items_speak_for_those_that_were_dropped():
    first = SoundItem(AudioChunk(0, tone(16)))
    second = SoundItem(AudioChunk(16, tone(16)))
    third = SoundItem(AudioChunk(32, tone(16)))
    assert third.absorb(second.absorb(first)).chunk.gap_ns == (0, 32 * 62_500)
    assert first.n_bytes == 32
