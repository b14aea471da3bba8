"""What a file is, and what is said of files that are nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from stream.capture.container import opened, path_of, uri_of
from stream.capture.probe import ContentHash, probe, recording_start
from stream.capture.settings import CaptureSettings
from stream.errors import SourceCorrupt, SourceGone, SourceRefused
from tests.stream.capture_clips import corners, pan, tone, write_clip

NOW_NS = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp()) * 10**9


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "both.mp4"
    return write_clip(path, pan(50), sound=[(0, tone(32_000))], container={"movflags": "faststart"})


def test_tracks_length_and_identity(clip):
    found = probe(clip)
    video, audio = found.tracks
    assert (video.media, video.codec, video.width_px, video.height_px) == ("video", "h264", 96, 64)
    assert (audio.media, audio.codec) == ("audio", "aac")
    assert (video.track, audio.track) == (0, 1)
    assert found.n_bytes == clip.stat().st_size
    assert abs(found.duration_ns - 2_000_000_000) < 100_000_000
    assert found.source_id == hashlib.blake2b(clip.read_bytes(), digest_size=16).digest()
    assert found.content_hash == found.source_id.hex()
    assert found.t_origin_ns is None
    assert found.t_origin_from == ""


def test_the_same_bytes_under_another_name_are_the_same_source(clip, tmp_path):
    copy = Path(shutil.copy(clip, tmp_path / "copy.bin"))
    assert probe(copy).source_id == probe(clip).source_id


def test_hash_in_steps_is_the_hash_of_all(clip):
    steps = ContentHash(clip)
    digest = None
    while digest is None:
        digest = steps.step(1000)
    assert digest == ContentHash(clip).all()


@pytest.mark.parametrize(
    ("tags", "expected", "zone"),
    [
        ({"creation_time": "2023-05-01T12:00:00.500000Z"}, "2023-05-01T12:00:00.500000+00:00", ""),
        (
            {
                "creation_time": "2023-05-01T12:00:00Z",
                "com.apple.quicktime.creationdate": "2023-05-01T13:59:00+0200",
            },
            "2023-05-01T11:59:00+00:00",
            "+02:00",
        ),
        ({"creation_time": "1904-01-01T00:00:00Z"}, None, ""),
        ({"creation_time": "1970-01-01T00:00:00Z"}, None, ""),
        ({"creation_time": "2031-01-01T00:00:00Z"}, None, ""),
        ({"creation_time": "2023-05-01 12:00:00"}, None, ""),
        ({"creation_time": "yesterday"}, None, ""),
        ({"creation_time": "0001-01-01T00:00:00+23:59"}, None, ""),
        ({}, None, ""),
    ],
)
def test_recording_time_is_believed_only_where_it_can_be_true(tags, expected, zone):
    wanted = None
    if expected is not None:
        wanted = round(datetime.fromisoformat(expected).timestamp() * 1000) * 1_000_000
    assert recording_start(tags, NOW_NS) == (wanted, zone)


def test_recording_time_of_a_real_container(tmp_path):
    path = write_clip(tmp_path / "t.mp4", pan(3), tags={"creation_time": "2023-05-01T12:00:00Z"})
    found = probe(path, now_ns=NOW_NS)
    assert found.t_origin_from == "container"
    assert datetime.fromtimestamp(found.t_origin_ns / 1e9, UTC).isoformat() == "2023-05-01T12:00:00+00:00"


def test_only_sound_and_only_pictures_are_normal(tmp_path):
    sound = probe(write_clip(tmp_path / "s.mp4", sound=[(0, tone(8000))]))
    assert [track.media for track in sound.tracks] == ["audio"]
    silent = probe(write_clip(tmp_path / "v.mp4", pan(3)))
    assert [track.media for track in silent.tracks] == ["video"]


def test_one_frame_is_a_film(tmp_path):
    found = probe(write_clip(tmp_path / "one.mkv", [corners()]))
    assert (found.tracks[0].width_px, found.tracks[0].height_px) == (64, 48)


def test_size_and_turn_are_those_that_are_shown(tmp_path):
    found = probe(write_clip(tmp_path / "t.mp4", [corners()] * 3, turn=(90, False, False)))
    assert (found.tracks[0].width_px, found.tracks[0].height_px) == (48, 64)
    assert found.turned_deg == 270


def test_second_sound_track_is_left_out_unless_asked_for(tmp_path):
    import av

    path = tmp_path / "two.mka"
    with av.open(str(path), "w", format="matroska") as out:
        streams = [out.add_stream("pcm_s16le", rate=16_000, layout="mono") for _ in range(2)]
        for stream in streams:
            frame = av.AudioFrame.from_ndarray(tone(1600)[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 0
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    found = probe(path)
    assert [track.track for track in found.tracks] == [0]
    assert [track.track for track in found.left_out] == [1]
    both = probe(path, CaptureSettings(audio_tracks="all"))
    assert [track.track for track in both.tracks] == [0, 1]
    assert both.left_out == ()


def test_cover_art_is_not_a_film(tmp_path):
    import io

    import av
    from PIL import Image

    picture = io.BytesIO()
    Image.fromarray(corners()).save(picture, "JPEG")
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as out:
        voice = out.add_stream("aac", rate=16_000, layout="mono")
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        packet = av.Packet(picture.getvalue())
        packet.stream, packet.pts, packet.dts, packet.is_keyframe = cover, 0, 0, True
        for at in range(0, 16_000, 1024):
            frame = av.AudioFrame.from_ndarray(tone(1024)[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, at
            out.mux(voice.encode(frame))
        out.mux(packet)
        out.mux(voice.encode(None))
    with opened(path) as container:
        assert [stream.type for stream in container.streams] == ["audio", "video"]
    assert [track.media for track in probe(path).tracks] == ["audio"]


# What is nothing, or broken.


def test_empty_file(tmp_path):
    path = tmp_path / "empty.mp4"
    path.touch()
    with pytest.raises(SourceRefused, match=r"empty\.mp4 is empty") as caught:
        probe(path)
    assert caught.value.remedy


def test_text_under_the_name_of_a_film(tmp_path):
    path = tmp_path / "letter.mp4"
    path.write_text("Dear reader,\n" * 500)
    with pytest.raises(SourceRefused, match=r"letter\.mp4 is not a video or sound file"):
        probe(path)


def test_film_without_its_index(tmp_path):
    whole = write_clip(tmp_path / "whole.mp4", pan(50)).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceCorrupt, match=r"cut\.mp4 begins like a medium but cannot be opened"):
        probe(path)


def test_missing_path(tmp_path):
    with pytest.raises(SourceGone, match=r"nowhere\.mp4 is not there"):
        probe(tmp_path / "nowhere.mp4")


@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self/cmdline", "/"])
def test_what_is_no_regular_medium(path):
    with pytest.raises(SourceRefused):
        probe(Path(path))


def test_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(SourceRefused, match="is not a file"):
        probe(tmp_path / "pipe.mp4")


NOBODY = 65_534


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_no_permission(clip, tmp_path):
    path = Path(shutil.copy(clip, tmp_path / "locked.mp4"))
    path.chmod(0)
    with pytest.raises(SourceGone, match="may not be read"):
        probe(path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_no_permission_as_somebody_else(clip, tmp_path):
    path = Path(shutil.copy(clip, tmp_path / "locked.mp4"))
    path.chmod(0)
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "import av\n"
        "from stream.capture.probe import probe\n"
        "from stream.errors import SourceGone\n"
        f"os.setuid({NOBODY})\n"
        "try:\n"
        "    probe(Path(sys.argv[1]))\n"
        "except SourceGone as error:\n"
        "    print(error.message)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "locked.mp4 may not be read" in told.stdout


def test_name_that_is_not_utf8(clip, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    shutil.copy(clip, path)
    found = probe(path)
    assert found.uri.startswith("file://")
    assert found.uri.endswith("caf%E9.mp4")
    found.uri.encode()  # It must travel as text.
    assert path_of(found.uri) == path
    assert len(found.tracks) == 2


def test_names_that_look_like_addresses(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.mp4", "http:x.mp4", "100%25.mp4", "a b.mp4"):
        shutil.copy(clip, tmp_path / name)
        assert len(probe(Path(name)).tracks) == 2
        assert path_of(uri_of(Path(name))) == tmp_path / name


@pytest.mark.parametrize(
    "uri", ["http://example.org/a.mp4", "rtsp://10.0.0.1/", "file://elsewhere/a.mp4", "concat://a", "a\0b"]
)
def test_addresses_that_are_no_local_files(uri):
    with pytest.raises(SourceRefused):
        path_of(uri)


def test_playlists_open_nothing(clip, tmp_path):
    """Each names a film that is there; one that were followed would have tracks."""
    scripts = {
        "ffconcat": f"ffconcat version 1.0\nfile '{clip}'\n",
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{clip}\n#EXT-X-ENDLIST\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
        f"<Period><AdaptationSet><Representation id='1'><BaseURL>{clip}</BaseURL>"
        "</Representation></AdaptationSet></Period></MPD>",
    }
    for name, script in scripts.items():
        for suffix in (".mp4", ".m3u8", ".sdp", ".mpd", ".ffconcat"):
            path = tmp_path / f"{name}{suffix}"
            path.write_text(script)
            with pytest.raises(SourceRefused, match="points at other files"):
                probe(path)


def test_the_guard_against_playlists_is_needed(clip, tmp_path):
    """The positive control: unguarded, libavformat does follow such a script."""
    import av

    path = tmp_path / "film.mp4"
    path.write_text(f"ffconcat version 1.0\nfile '{clip}'\n")
    with av.open(str(path), container_options={"safe": "0"}) as followed:
        assert followed.format.name == "concat"
        assert len(followed.streams) == 2


def test_pictures_too_large_are_refused(tmp_path):
    path = write_clip(tmp_path / "large.mkv", [np.zeros((128, 192, 3), np.uint8)])
    with pytest.raises(SourceRefused, match="192 x 128 pixels") as caught:
        probe(path, CaptureSettings(max_pixels=10_000))
    assert "max_pixels" in caught.value.remedy


def test_a_size_that_libav_forgets_is_that_of_the_header(tmp_path):
    path = write_clip(tmp_path / "big.avi", [np.zeros((128, 192, 3), np.uint8)], codec="ffv1")
    with pytest.raises(SourceRefused, match="192 x 128 pixels"):
        probe(path, CaptureSettings(max_pixels=10_000))
