"""The capture process itself, over real sockets; memory and perception are played by the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stream.messages.control import (
    ErrorReply,
    RoleDrain,
    SourceHeld,
    SourcesFind,
)
from stream.messages.media import FINISHED_PTS_NS, MediaAudio, MediaFrame, MediaState
from stream.messages.observation import (
    CommitPut,
    Reject,
    SourceRecord,
)
from tests.stream.capture_clips import pan, tone, write_clip
from tests.stream.capture_stage import Stage, staged

pytestmark = pytest.mark.system

S = 10**9


@pytest.fixture
def stage(tmp_path, own_runtime_folder):
    with staged(Stage, tmp_path, own_runtime_folder) as played:
        yield played


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    """Four seconds of two scenes with sound: five frames at one a second and a cut."""
    path = tmp_path_factory.mktemp("service") / "film.mkv"
    pictures = pan(60) + pan(40, seed=1)
    return write_clip(path, pictures, sound=[(0, tone(64_000))], sound_codec="pcm_s16le")


@pytest.fixture(scope="module")
def silent(tmp_path_factory) -> Path:
    """The same without sound."""
    return write_clip(tmp_path_factory.mktemp("service") / "silent.mkv", pan(60) + pan(40, seed=1))


SENT_NS = [0, 1 * S, 2 * S, 2_400_000_000, 3 * S]


def test_a_file_from_its_record_to_its_end(stage, film):
    stage.acknowledges = False
    stage.start(film, recorded_at_ns=10**18)
    (put,) = stage.until(lambda: stage.of(CommitPut))[:1]
    stage.turns(1.0)
    assert not stage.of(MediaState)  # Nothing flows before the source is on disk.
    (record,) = put.sources
    assert isinstance(record, SourceRecord)
    assert (record.kind, record.session, record.uri) == ("file", 0, str(film))
    assert (record.t_origin_ns, record.t_origin_from) == (10**18, "owner")
    assert [track.media for track in record.tracks] == ["video", "audio"]
    stage.acknowledges = True

    video, audio = stage.opened("video"), stage.opened("audio")
    assert (video.policy, video.duration_ns) == ("lossless", record.duration_ns)
    stage.turns(0.3)
    assert not stage.of(MediaFrame)  # Nothing is sent without credit.
    stage.credit(video, 11, 2)
    stage.until(lambda: len(stage.frames) == 2)
    stage.turns(0.5)
    assert len(stage.frames) == 2
    stage.credit(video, 11, 50)
    (ended,) = stage.until(lambda: stage.of(MediaState, media="video", state="eof"))
    assert [frame.pts_ns for frame, _ in stage.frames] == SENT_NS
    assert [frame.why for frame, _ in stage.frames] == ["rate", "rate", "rate", "change", "rate"]
    assert [frame.t_ns for frame, _ in stage.frames] == [10**18 + pts_ns for pts_ns in SENT_NS]
    assert {pixels.shape for _, pixels in stage.frames} == {(64, 96, 3)}
    assert {frame.stream_epoch for frame, _ in stage.frames} == {11}
    assert (ended.stream_epoch, ended.read, ended.dropped, ended.reason) == (11, 5, 0, "")
    assert ended.end_pts_ns == 3_960_000_000

    stage.credit(audio, 12, 50)
    stage.until(lambda: stage.of(MediaState, media="audio", state="eof"))
    assert [sound.first_sample for sound in stage.of(MediaAudio)] == list(range(0, 64_000, 8192))

    stage.turns(1.5)
    assert stage.process.poll() is None  # Its end is not yet on disk.
    stage.mark_end(video)
    stage.mark_end(audio)
    state, _ = stage.end()
    assert (state.state, state.read, state.sent, state.dropped) == ("done", 5, 5, 0)
    assert (state.audio_read, state.audio_sent, state.errors) == (8, 8, 0)
    assert state.position_ns == state.duration_ns


def test_a_perception_process_that_died_is_told_again_and_resumed(stage, silent):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    stage.start(silent)
    opened = stage.opened("video")
    stage.credit(opened, 1, 2)
    stage.until(lambda: len(stage.frames) == 2)
    stage.credit(opened, 1, 0, pid=gone.pid)  # As if that one had granted, and died.
    before = len(stage.of(MediaState, state="open"))
    stage.until(lambda: len(stage.of(MediaState, state="open")) > before)
    stage.credit(opened, 2, 50, resume=1 * S)
    stage.until(lambda: stage.of(MediaState, state="eof", stream_epoch=2))
    again = [frame.pts_ns for frame, _ in stage.frames if frame.stream_epoch == 2]
    assert again == [pts_ns for pts_ns in SENT_NS if pts_ns > 1 * S]
    stage.mark_end(opened)
    state, _ = stage.end()
    assert (state.state, state.read) == ("done", 3)


def test_a_slow_perception_process_is_not_told_again(stage, silent):
    stage.start(silent)
    stage.credit(stage.opened("video"), 1, 1)
    stage.until(lambda: stage.frames)
    before = len(stage.of(MediaState, state="open"))
    stage.turns(2.5)
    assert len(stage.of(MediaState, state="open")) == before


def test_a_track_that_memory_has_to_its_end_is_not_read(stage, silent):
    stage.start(silent)
    stage.credit(stage.opened("video"), 1, 0, resume=FINISHED_PTS_NS)
    state, _ = stage.end()
    assert (state.state, state.read) == ("done", 0)
    assert not stage.frames


def test_a_track_that_is_read_by_another_capture_ends_with_it(stage, silent):
    """Perception reads one of two copies, and grants the other nothing."""
    stage.start(silent)
    stage.mark_end(stage.opened("video"))
    state, _ = stage.end()
    assert (state.state, state.read) == ("done", 0)


def test_what_an_earlier_run_told_stands(stage, silent):
    """Its time, and that its end was never met: this run finds everything in memory."""
    stage.held = (
        SourceHeld(
            source_id=b"s" * 16, session=0, uris=(), duration_ns=4 * S, tracks=(), consolidated=False,
            t_origin_ns=10**18, t_origin_from="container", missing="track 0: damaged",
        ),
    )  # fmt: skip
    stage.start(silent, recorded_at_ns=2 * 10**18)
    stage.credit(stage.opened("video"), 1, 0, resume=FINISHED_PTS_NS)
    state, _ = stage.end()
    (record,) = stage.of(CommitPut)[0].sources
    assert (record.t_origin_ns, record.t_origin_from) == (10**18, "container")
    assert any("was not used" in note for note in state.notes)
    assert (state.state, state.reason) == ("partial", "track 0: damaged")


def test_a_memory_that_fails_is_asked_again(stage, silent):
    stage.failures = [ErrorReply(error="StoreBusy", message="not now")] * 2
    stage.start(silent)
    stage.credit(stage.opened("video"), 1, 0, resume=FINISHED_PTS_NS)
    assert stage.end()[0].state == "done"
    assert len(stage.of(SourcesFind)) == 3


def test_wishes_of_perception_are_followed(stage, silent):
    stage.start(silent)
    stage.credit(stage.opened("video"), 1, 50, rate_hz=2.0, max_side_px=48)
    stage.until(lambda: stage.of(MediaState, state="eof"))
    assert len(stage.frames) == 9  # Eight halves of seconds, and the cut.
    assert {pixels.shape for _, pixels in stage.frames} == {(32, 48, 3)}


def test_a_file_that_is_none_is_reported_and_is_no_crash(stage, tmp_path):
    path = tmp_path / "letter.mp4"
    path.write_text("Dear reader,\n" * 100)
    stage.start(path)
    state, _ = stage.end()
    assert state.state == "rejected"
    assert "letter.mp4 is not a video or sound file" in state.reason
    assert state.remedy
    assert not stage.of(CommitPut)


def test_a_file_that_is_missing_is_reported(stage, tmp_path):
    stage.start(tmp_path / "nowhere.mp4")
    state, _ = stage.end()
    assert (state.state, "is not there" in state.reason) == ("rejected", True)


def test_a_source_that_was_forgotten_is_not_read(stage, silent):
    stage.rejects = (Reject(item_id=b"s" * 16, reason="forgotten"),)
    stage.start(silent)
    state, _ = stage.end()
    assert (state.state, "forgotten" in state.reason) == ("rejected", True)
    assert not stage.of(MediaState)


def test_a_film_that_was_cut_off_ends_as_partial(stage, tmp_path):
    path = write_clip(tmp_path / "cut.mp4", pan(250), container={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    stage.start(path)
    opened = stage.opened("video")
    stage.credit(opened, 1, 50)
    (ended,) = stage.until(lambda: stage.of(MediaState, state="eof"))
    assert "cut off" in ended.reason
    stage.mark_end(opened)
    state, _ = stage.end()
    assert state.state == "partial"
    assert state.reason.startswith("video track 0: it was cut off at")
    assert state.remedy
    assert state.read == state.sent > 2


def test_a_film_that_is_moved_while_it_is_read_is_read_on(stage, silent, tmp_path):
    path = tmp_path / "film.mkv"
    path.write_bytes(silent.read_bytes())
    stage.start(path)
    opened = stage.opened("video")
    stage.credit(opened, 1, 1)
    stage.until(lambda: stage.frames)
    path.rename(tmp_path / "elsewhere.mkv")
    stage.credit(opened, 2, 50, resume=0)  # As a process that was restarted does.
    stage.until(lambda: stage.of(MediaState, state="eof", stream_epoch=2))
    assert [f.pts_ns for f, _ in stage.frames if f.stream_epoch == 2] == SENT_NS[1:]
    stage.mark_end(opened)
    assert stage.end()[0].state == "done"


def test_a_film_that_is_lost_while_it_is_read_is_closed_and_has_no_end(stage, silent, tmp_path):
    path = tmp_path / "film.mkv"
    path.write_bytes(silent.read_bytes())
    stage.start(path)
    opened = stage.opened("video")
    stage.credit(opened, 1, 1)
    stage.until(lambda: stage.frames)
    path.write_bytes(b"another film")
    stage.credit(opened, 2, 50, resume=0)
    state, _ = stage.end()
    assert (state.state, "was changed while it was read" in state.reason) == ("closed", True)
    assert stage.of(MediaState, state="closed", stream_epoch=2)
    assert not stage.of(MediaState, state="eof")


def test_a_file_as_a_camera_plays_in_real_time_and_drops_the_oldest(stage, film):
    began_s = time.monotonic()
    before_ns = time.time_ns()
    stage.start(film, as_camera=True)
    video, audio = stage.opened("video"), stage.opened("audio")
    (record,) = stage.of(CommitPut)[0].sources
    assert record.kind == "camera"
    assert record.session == record.t_origin_ns == video.session
    assert before_ns < record.session < time.time_ns()
    assert record.t_origin_from == "capture"
    assert (video.policy, record.duration_ns, record.content_hash) == ("latest", None, "")
    stage.credit(audio, 2, 1000)
    stage.credit(video, 1, 1)
    stage.until(lambda: stage.of(MediaState, media="audio", state="eof"))
    assert time.monotonic() - began_s > 3.9
    stage.credit(video, 1, 50)
    (ended,) = stage.until(lambda: stage.of(MediaState, media="video", state="eof"))
    frames = [frame for frame, _ in stage.frames]
    assert ended.read == 5 == len(frames) + ended.dropped
    assert ended.dropped == sum(frame.dropped for frame in frames)
    assert frames[-1].pts_ns == SENT_NS[-1]
    assert all(frame.t_ns == record.session + frame.pts_ns for frame in frames)
    assert [sound.first_sample for sound in stage.of(MediaAudio)] == list(range(0, 64_000, 8192))
    stage.mark_end(video)
    stage.mark_end(audio)
    state, _ = stage.end()
    assert (state.state, state.read, state.audio_dropped) == ("done", 5, 0)
    assert state.read == state.sent + state.dropped


@pytest.mark.parametrize("how", ["drain", "term"])
def test_a_source_that_is_closed_says_so(stage, silent, how):
    stage.start(silent)
    opened = stage.opened("video")
    stage.credit(opened, 1, 1)
    stage.until(lambda: stage.frames)
    if how == "drain":
        peer = stage.peers["supervisor"]
        stage.listeners["supervisor"].send(peer, RoleDrain(reason="test"))
    else:
        stage.process.send_signal(signal.SIGTERM)
    state, _ = stage.end()
    assert state.state == "closed"
    assert stage.of(MediaState, state="closed", stream_epoch=1)


def test_a_name_that_is_not_utf8_goes_all_the_way(stage, silent, tmp_path):
    from stream.capture.container import uri_of

    path = tmp_path / os.fsdecode(b"caf\xe9.mkv")
    path.write_bytes(silent.read_bytes())
    stage.start(uri_of(path))
    opened = stage.opened("video")
    assert opened.uri == uri_of(path)
    stage.credit(opened, 1, 0, resume=FINISHED_PTS_NS)
    assert stage.end()[0].state == "done"
