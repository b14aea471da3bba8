"""The capture process with subtitles, chapters and photos, over real sockets."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from stream.messages.media import MediaAudio, MediaFrame, MediaState
from stream.messages.observation import CommitPut, Reject
from tests.stream.capture_clips import nature, pan, tone, write_clip
from tests.stream.capture_stage import Stage
from tests.stream.test_capture_photo import GPS, TAKEN, write_photo
from tests.stream.test_capture_service import stage as _stage_of_the_process
from tests.stream.test_capture_subtitles import SRT, write_talkie

pytestmark = pytest.mark.system
stage = _stage_of_the_process
S = 10**9


def put_by(stage: Stage) -> CommitPut:
    return stage.until(lambda: stage.of(CommitPut))[0]


def test_a_film_with_subtitles_is_seen_and_not_listened_to(stage, tmp_path):
    path = write_talkie(tmp_path / "film.mkv", [{}], [(0, 4000, "All of it")])
    stage.start(path)
    video = stage.opened("video")
    put = put_by(stage)
    assert [o.text for o in put.observations] == ["All of it", "One fish.", "Two fish.", "Red fish."]
    assert [(t.track, t.media) for t in put.sources[0].tracks] == [(0, "video"), (1, "audio"), (2, "text")]
    assert {(m.track, m.eof) for m in put.marks} == {(1, True), (2, True)}
    stage.credit(video, 1, 50)
    stage.until(lambda: stage.of(MediaState, state="eof"))
    stage.mark_end(video)
    state, _ = stage.end()
    assert (state.state, state.reason) == ("done", "")
    assert state.notes == ("3 cues of text track 2 (en) were taken instead of listening",)
    assert not stage.of(MediaAudio)
    assert not stage.of(MediaState, media="audio")


def test_a_recording_with_subtitles_is_done_at_once(stage, tmp_path):
    path = write_clip(tmp_path / "talk.mp3", sound=[(0, tone(64_000))], sound_codec="libmp3lame")
    (tmp_path / "talk.srt").write_text(SRT)
    stage.start(path)
    state, _ = stage.end()
    assert (state.state, state.audio_read) == ("done", 0)
    assert state.notes == ("3 cues of talk.srt were taken instead of listening",)
    assert len(stage.of(CommitPut)[0].observations) == 3


def test_a_broken_sidecar_does_not_end_the_film(stage, tmp_path):
    path = write_clip(tmp_path / "talk.wav", sound=[(0, tone(32_000))], sound_codec="pcm_s16le")
    (tmp_path / "talk.srt").write_bytes(b"\0\1\2" * 100)
    stage.start(path)
    audio = stage.opened("audio")
    stage.credit(audio, 1, 50)
    stage.until(lambda: stage.of(MediaState, state="eof"))
    stage.mark_end(audio)
    state, _ = stage.end()
    assert state.state == "done"
    assert "talk.srt was not read" in state.notes[0]


def test_words_that_were_forgotten_do_not_end_the_film(stage, tmp_path):
    path = write_talkie(tmp_path / "film.mkv", [{}])
    stage.acknowledges = False
    stage.start(path)
    said = put_by(stage).observations[0]
    stage.rejects = (Reject(item_id=said.observation_id, reason="forgotten"),)
    stage.acknowledges = True
    assert stage.opened("video").state == "open"  # The batch is sent again, and taken.


def test_a_run_that_was_killed_and_the_next_one_say_the_same(stage, tmp_path):
    path = write_talkie(tmp_path / "film.mkv", [{}], [(0, 4000, "All of it")])
    stage.start(path)
    stage.opened("video")
    first = put_by(stage)
    stage.process.kill()
    stage.process.wait()
    stage.heard.clear()
    stage.start(path)
    stage.opened("video")
    again = stage.of(CommitPut)[-1]
    assert again.observations == first.observations
    assert (again.sources, again.marks) == (first.sources, first.marks)


def test_a_photo_goes_the_way_of_pictures(stage, tmp_path):
    tags = {0x9003: TAKEN, 0x9011: "+02:00"}
    path = write_photo(tmp_path / "p.jpg", nature(1, 300, 200), 6, tags=tags, gps=GPS)
    stage.start(path)
    opened = stage.opened("video")
    (source,) = put_by(stage).sources
    assert (source.kind, source.t_origin_from, source.time_zone) == ("file", "exif", "+02:00")
    assert [(t.media, t.width_px, t.height_px) for t in source.tracks] == [("stills", 200, 300)]
    stage.credit(opened, 1, 5, max_side_px=150)
    (ended,) = stage.until(lambda: stage.of(MediaState, state="eof"))
    ((frame, shown),) = stage.frames
    assert (frame.pts_ns, frame.t_ns, shown.shape) == (0, source.t_origin_ns, (150, 100, 3))
    assert frame.position_deg == (pytest.approx(43.4673611), pytest.approx(-11.885))
    assert (ended.end_pts_ns, ended.read) == (0, 1)
    stage.mark_end(opened)
    state, _ = stage.end()
    assert (state.state, state.read, state.sent) == ("done", 1, 1)


def test_a_damaged_photo_is_rejected(stage, tmp_path):
    path = tmp_path / "p.jpg"
    Image.fromarray(pan(1, 300, 200)[0]).save(path)
    path.write_bytes(path.read_bytes()[:1000])
    stage.start(path)
    state, _ = stage.end()
    assert (state.state, "damaged or cut off" in state.reason) == ("rejected", True)


def test_a_film_that_is_shorter_than_it_says_is_partial(stage, tmp_path):
    from tests.stream.test_capture_hostile import lie_mkv

    path = lie_mkv(tmp_path / "film.mkv", 36_000)
    stage.start(Path(path))
    opened = stage.opened("video")
    stage.credit(opened, 1, 50)
    stage.until(lambda: stage.of(MediaState, state="eof"))
    stage.mark_end(opened)
    state, _ = stage.end()
    assert (state.state, state.reason) == ("partial", "it ends at 4.0 s of 36000.0 s")
    assert len(stage.of(MediaFrame)) == 4
