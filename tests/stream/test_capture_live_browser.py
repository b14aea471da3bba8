"""A browser as a source: chunks of WebM, pushed to a real capture process over real sockets."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from stream.capture.browser import BrowserInput
from stream.capture.settings import CaptureSettings
from stream.messages.control import SourcePause
from stream.messages.media import FrameAsk, FrameTold, MediaFrame, MediaPush, MediaState
from stream.messages.observation import CommitPut
from stream.wire.caller import Caller
from tests.stream.capture_stage import staged
from tests.stream.live_media import recorded
from tests.stream.live_stage import LiveStage, S

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def webm():
    """Some seconds as a browser records them."""
    return recorded(3.0)


@pytest.fixture
def stage(tmp_path, own_runtime_folder):
    with staged(LiveStage, tmp_path, own_runtime_folder) as played:
        yield played


def started(stage, **more):
    stage.start("browser:kitchen", **more)
    stage.until(lambda: stage.state() and stage.state().endpoint)


def push_all(stage, segment, chunks, *, last=False):
    """Pushes a segment about as fast as a recorder makes it; gives the answers."""
    told = []
    for index, chunk in enumerate(chunks):
        told.append(stage.push(segment, index, chunk, last=last and index == len(chunks) - 1))
        stage.turns(0.15)
    return told


def test_what_a_browser_sends_becomes_pictures_sound_and_a_record(stage, webm):
    started(stage)
    told = push_all(stage, 0, webm)
    assert [(one.segment, one.through_index, one.restart) for one in told] == [
        (0, index, False) for index in range(len(webm))
    ]
    assert all(0 < one.window <= 32 for one in told)
    stage.until(lambda: stage.state("reading") and stage.of(MediaFrame) and len(stage.missed("video")) == 0)
    (record,) = stage.of(CommitPut)[0].sources
    assert (record.kind, record.uri, [track.media for track in record.tracks]) == (
        "camera", "browser:kitchen", ["video", "audio"]
    )  # fmt: skip
    assert record.session == record.t_origin_ns > 1.7e18
    stage.until(lambda: len(stage.frames) >= 3)
    message, picture = stage.frames[0]
    assert picture.shape == (64, 96, 3)
    assert abs(message.t_ns - time.time_ns()) < 60 * S
    assert stage.state().kind == "browser"
    assert stage.state().live
    assert stage.end() == 0
    assert stage.state("closed")


def test_a_hole_ends_the_segment_and_the_next_one_is_read_after_a_gap_with_its_reason(stage, webm):
    started(stage)
    push_all(stage, 0, webm[:6])
    told = stage.push(0, 8, webm[8])
    assert told.restart
    assert stage.push(0, 9, webm[9]).restart
    stage.until(lambda: stage.state("lost"))
    stage.turns(1.0)
    push_all(stage, 1, recorded(1.0, width=160, height=96, seed=3))
    for media in ("video", "audio"):
        gap = stage.until(lambda media=media: stage.missed(media))[0]
        assert gap.state == "lost"
        assert "2 chunk(s) did not arrive" in gap.reason
        assert gap.gap1_ns - gap.gap0_ns > 0.5 * S
    stage.until(lambda: stage.frames[-1][1].shape == (96, 160, 3))
    pts = [message.pts_ns for message, _ in stage.frames]
    assert pts == sorted(set(pts))
    assert stage.state().gaps == 1


def test_a_segment_without_its_beginning_is_asked_for_again(stage, webm):
    started(stage)
    assert stage.push(4, 3, webm[3]).restart
    assert not stage.push(5, 0, webm[0]).restart
    assert not stage.push(3, 0, webm[0]).restart, "of an older segment nothing is taken, and nothing said"


def test_a_pause_takes_nothing_and_is_a_gap_that_says_so(stage, webm):
    started(stage)
    push_all(stage, 0, webm)
    stage.until(lambda: stage.frames)
    stage.tell(SourcePause(uri="browser:kitchen", reason="dinner"))
    stage.until(lambda: stage.state("paused"))
    assert "dinner" in stage.state().reason
    told = stage.push(0, len(webm), b"x")
    assert (told.paused, told.restart, told.window) == (True, True, 0)
    before = len(stage.frames)
    stage.turns(3.0)  # Longer than the 2.5 s that were pushed at once: positions go by the clock again.
    stage.tell(SourcePause(uri="browser:kitchen", paused=False))
    stage.until(lambda: stage.state("lost"))
    push_all(stage, 1, webm)
    gap = stage.until(lambda: [one for one in stage.missed("video") if one.state == "paused"])[0]
    assert gap.reason == "paused by the owner: dinner"
    assert gap.gap1_ns - gap.gap0_ns >= 1.0 * S
    stage.until(lambda: len(stage.frames) > before)


def test_a_source_that_was_paused_before_its_process_began_stays_so(stage, webm):
    started(stage, pause=SourcePause(uri="browser:kitchen"))
    stage.until(lambda: stage.state("paused"))
    assert stage.push(0, 0, webm[0]).paused


def test_the_newest_picture_is_told_with_its_mask(stage, webm):
    mask = [{"source": "browser:*", "left": 0.5, "right": 1.0}]
    started(stage, settings={"masks": mask})
    push_all(stage, 0, webm)
    stage.until(lambda: len(stage.frames) >= 2)
    for _, picture in stage.frames:
        assert picture[:, 48:].max() == 0
        assert picture[:, :40].max() > 0
    with Caller(stage.run_dir, "capture-1", "gateway-1") as caller:
        reply = caller.ask(FrameAsk(source_id=b"", max_side_px=48), timeout_s=10)
    told: FrameTold = reply.message
    assert (told.width_px, told.height_px) == (48, 32)
    seen = cv2.imdecode(np.frombuffer(reply.part("jpeg"), np.uint8), cv2.IMREAD_COLOR)
    assert seen[:, 28:].max() < 30 < seen[:, :20].max()
    assert any("no clips" in note for note in stage.state().notes)


def test_a_browser_of_sound_alone_gets_a_picture_later(stage, webm):
    started(stage)
    push_all(stage, 0, recorded_sound(), last=True)
    stage.until(lambda: stage.of(MediaState, media="audio", state="open"))
    assert not stage.of(MediaState, media="video")
    push_all(stage, 1, webm)
    stage.until(lambda: stage.frames)
    kinds = [[track.media for track in put.sources[0].tracks] for put in stage.of(CommitPut)]
    assert kinds == [["audio"], ["video", "audio"]]


def recorded_sound():
    import io
    from fractions import Fraction

    import av

    file = io.BytesIO()
    with av.open(file, "w", format="webm") as out:
        voice = out.add_stream("libopus", rate=48_000, layout="mono")
        for i in range(25):
            tone = (8000 * np.sin(np.arange(1920) * 0.05)).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(tone, "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, i * 1920, Fraction(1, 48_000)
            out.mux(voice.encode(frame))
        out.mux(voice.encode(None))
    return [file.getvalue()]


def test_more_than_may_wait_is_refused_and_not_kept():
    source = BrowserInput("browser:x", CaptureSettings())
    big = bytes(20 << 20)
    assert not source.push(MediaPush(uri="browser:x", segment=0, index=0, t_ns=0), big).restart
    assert source.push(MediaPush(uri="browser:x", segment=0, index=1, t_ns=0), big).restart
    assert source.read(source._segments[0], 5, lambda: True) == bytes(5)
    told = source.push(MediaPush(uri="browser:x", segment=1, index=0, t_ns=0), b"abc")
    assert (told.restart, told.through_index) == (False, 0)


def test_the_window_follows_what_waits():
    source = BrowserInput("browser:x", CaptureSettings())
    windows = [
        source.push(MediaPush(uri="browser:x", segment=0, index=i, t_ns=0), b"ab").window for i in range(40)
    ]
    assert windows[:3] == [31, 30, 29]
    assert windows[-1] == 1
    segment = source._segments[0]
    assert source.read(segment, 1, lambda: True) + source.read(segment, 9, lambda: True) == b"ab"
    assert source.push(MediaPush(uri="browser:x", segment=0, index=3, t_ns=0), b"ab").through_index == 39
