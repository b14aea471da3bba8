"""Clips: cut by PyAV from films made by PyAV, opened again and compared with the original."""

from __future__ import annotations

import errno
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.capture import clip, clip_exact
from stream.capture.clip import LEAST_NS, cut, later, widened
from stream.capture.clip_form import FORMS
from stream.capture.picture import turn_of
from stream.errors import ConfigError, DiskFull, SourceCorrupt, SourceGone, SourceRefused
from tests.stream.capture_clips import OPEN_GOP, corners, pan, tone, write_clip

S = 1_000_000_000
GOP = {"g": "25", "keyint_min": "25", "sc_threshold": "0"}


def pictures(path, index=0):
    """Times and pixels of a film."""
    with av.open(str(path)) as opened:
        stream = opened.streams.video[index]
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in opened.decode(stream)]


def sound(path):
    """Its samples and when the first is heard."""
    with av.open(str(path)) as opened:
        frames = list(opened.decode(opened.streams.audio[0]))
        return frames[0].time, np.concatenate([f.to_ndarray().reshape(-1) for f in frames])


def tracks(path):
    with av.open(str(path)) as opened:
        return [(stream.type, stream.codec_context.name) for stream in opened.streams]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Ten seconds at 25 frames/s, a keyframe each second, three B-frames in a row, with a tone."""
    return write_clip(
        tmp_path_factory.mktemp("film") / "film.mp4",
        pan(250),
        options={**GOP, "bf": "3"},
        sound=[(0, tone(160_000))],
        tags={"title": "A pan", "creation_time": "2024-05-06T07:08:09Z"},
    )


@pytest.fixture(scope="module")
def original(film):
    return pictures(film)


def frame_at(original, t_s):
    return next(pixels for time, pixels in original if abs(time - t_s) < 0.001)


# What is asked.


@pytest.mark.parametrize(
    ("asked", "duration_s", "given_s"),
    [
        ((3, 8), 10, (3, 8)),
        ((5, 5), 10, (4, 6)),
        ((0, 0.5), 10, (0, 2)),
        ((9.8, 10), 10, (8, 10)),
        ((-3, 4), 10, (0, 4)),
        ((8, 14), 10, (8, 10)),
        ((0, 1), 1, (0, 1)),
        ((5, 5), None, (4, 6)),
        ((12, 13), 10, (8, 10)),
    ],
)
def test_a_stretch_is_two_seconds_at_least_and_inside_the_source(asked, duration_s, given_s):
    duration_ns = None if duration_s is None else duration_s * S
    assert widened(int(asked[0] * S), int(asked[1] * S), duration_ns) == (given_s[0] * S, given_s[1] * S)


@given(st.integers(-(10**12), 10**13), st.integers(0, 10**12), st.integers(1, 10**13) | st.none())
def test_any_stretch_is_held_inside(t0_ns, length_ns, duration_ns):
    start_ns, end_ns = widened(t0_ns, t0_ns + length_ns, duration_ns)
    assert 0 <= start_ns <= end_ns
    assert end_ns - start_ns >= min(LEAST_NS, duration_ns or 0)
    assert duration_ns is None or end_ns <= duration_ns


# Copies.


def test_a_clip_begins_with_the_keyframe_before_and_is_the_same_picture(film, original, tmp_path):
    made = cut(film, tmp_path / "x.mp4", int(3.4 * S), 6 * S)
    assert (made.t0_ns, made.t1_ns, made.start_ns) == (int(3.4 * S), 6 * S, 3 * S)
    assert abs(made.end_ns - 6 * S) <= 0.25 * S, "frames that others need may follow"
    seen = pictures(made.path)
    assert seen[0][0] == pytest.approx(0, abs=0.001)
    assert np.array_equal(seen[0][1], frame_at(original, 3.0))
    for time, pixels in seen[:70]:
        assert np.array_equal(pixels, frame_at(original, 3.0 + time))
    assert tracks(made.path) == [("video", "h264"), ("audio", "aac")]
    assert made.n_bytes == made.path.stat().st_size
    assert list(tmp_path.iterdir()) == [made.path]


def test_sound_and_picture_stay_together(tmp_path):
    beep = np.concatenate([np.zeros(16_000 * 4, np.int16), tone(1_600), np.zeros(16_000 * 4, np.int16)])
    path = write_clip(
        tmp_path / "beep.mkv", pan(200), options=GOP, sound=[(0, beep)], sound_codec="pcm_s16le"
    )
    for exact, name in ((False, "a.mkv"), (True, "b.mkv")):
        made = cut(path, tmp_path / name, int(3.5 * S), 5 * S, exact=exact)
        first_s, samples = sound(made.path)
        rate_hz = 16_000
        heard_s = first_s + np.argmax(np.abs(samples.astype(float)) > np.abs(samples).max() / 4) / rate_hz
        assert heard_s == pytest.approx(4.0 - made.start_ns / S, abs=0.07)


def test_titles_stay_and_the_date_moves_with_the_beginning(film, tmp_path):
    made = cut(film, tmp_path / "x.mp4", 5 * S, 8 * S)
    with av.open(str(made.path)) as opened:
        assert opened.metadata["title"] == "A pan"
        assert opened.metadata["creation_time"].startswith("2024-05-06T07:08:14")
    assert later({"date": "1999", "Title": "x", "encoder": "y"}, S) == {"date": "1999", "Title": "x"}


TURNS = [(degrees, mirrored, False) for degrees in (0, 90, 180, 270) for mirrored in (False, True)]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("turn", TURNS)
def test_the_picture_stays_turned(tmp_path, turn, exact):
    path = write_clip(tmp_path / "turned.mp4", [corners()] * 60, options=GOP, turn=turn)
    made = cut(path, tmp_path / "x.mp4", int(0.3 * S), 2 * S, exact=exact)
    with av.open(str(path)) as before, av.open(str(made.path)) as after:
        one, other = next(before.decode(video=0)), next(after.decode(video=0))
        assert turn_of(other) == turn_of(one)
        assert (other.width, other.height) == (one.width, one.height)


def test_pictures_of_the_group_before_are_left_out(tmp_path):
    path = write_clip(tmp_path / "open.mkv", pan(100), options=OPEN_GOP)
    before = pictures(path)
    made = cut(path, tmp_path / "x.mkv", int(2.1 * S), 4 * S)
    seen = pictures(made.path)
    assert np.array_equal(seen[0][1], min(before, key=lambda one: abs(one[0] - made.start_ns / S))[1])


@pytest.mark.parametrize("name", ["film.mkv", "film.mov", "film.ts", "film.avi"])
def test_originals_of_every_container_can_be_cut(tmp_path, name):
    path = write_clip(tmp_path / name, pan(150), options={**GOP, "bf": "0"}, sound=[(0, tone(96_000))])
    with av.open(str(path)) as opened:
        origin_s = opened.start_time / 1e6
    made = cut(path, tmp_path / "x.mkv", int(3.4 * S), 5 * S)
    assert 2.9 * S < made.start_ns < 3.4 * S
    seen = pictures(made.path)
    same = [time for time, pixels in pictures(path) if np.array_equal(pixels, seen[0][1])]
    # What MPEG-TS and AVI tell of times is a frame or two off, depending on where one begins to read.
    assert same[0] - origin_s == pytest.approx(made.start_ns / S, abs=0.1)
    assert 1.9 < seen[-1][0] - seen[0][0] < 2.3


def test_sound_alone(tmp_path):
    path = write_clip(tmp_path / "s.wav", sound=[(0, tone(160_000))], sound_codec="pcm_s16le")
    made = cut(path, tmp_path / "x.wav", int(2.5 * S), 5 * S)
    _, samples = sound(made.path)
    _, whole = sound(path)
    start = made.start_ns * 16_000 // S
    assert np.array_equal(samples, whole[start : start + len(samples)])
    assert 2.4 < len(samples) / 16_000 < 2.8
    with pytest.raises(ConfigError, match=r"cannot hold pcm_s16le") as told:
        cut(path, tmp_path / "x.webm", 0, S)
    assert "--exact" in told.value.remedy


def test_the_sound_of_a_film_alone(film, tmp_path):
    made = cut(film, tmp_path / "x.m4a", 2 * S, 5 * S)
    assert tracks(made.path) == [("audio", "aac")]
    assert made.left_out == ("video h264",)
    assert abs(made.start_ns - 2 * S) < 0.07 * S


def test_subtitles_go_along(tmp_path):
    path = tmp_path / "s.mkv"
    srt = tmp_path / "s.srt"
    srt.write_text(
        "".join(f"{n + 1}\n00:00:0{n},200 --> 00:00:0{n},900\nline {n}\n\n" for n in range(8)),
        encoding="utf-8",
    )
    film = write_clip(tmp_path / "f.mkv", pan(200), options=GOP)
    with av.open(str(film)) as one, av.open(str(srt)) as two, av.open(str(path), "w") as out:
        made = [out.add_stream_from_template(opened.streams[0], opaque=True) for opened in (one, two)]
        for opened, stream in zip((one, two), made, strict=True):
            for packet in opened.demux():
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
    done = cut(path, tmp_path / "x.mkv", 3 * S, 6 * S)
    assert "subtitle subrip" in done.tracks
    with av.open(str(done.path)) as opened:
        lines = [
            (float(p.pts * p.time_base), bytes(p))
            for p in opened.demux(opened.streams.subtitles[0])
            if p.size
        ]
    assert lines == [
        (pytest.approx(0.2), b"line 3"),
        (pytest.approx(1.2), b"line 4"),
        (pytest.approx(2.2), b"line 5"),
    ]
    assert "subtitle subrip" in cut(path, tmp_path / "x.mp4", 3 * S, 6 * S).left_out


# Encoded anew.


@pytest.mark.parametrize("name", ["x.mp4", "x.webm"])
def test_exact_begins_with_the_very_frame(film, original, tmp_path, name):
    made = cut(film, tmp_path / name, int(3.41 * S), 6 * S, exact=True)
    assert (made.start_ns, made.end_ns) == (int(3.41 * S), 6 * S)
    seen = pictures(made.path)
    assert seen[0][0] == pytest.approx(0, abs=0.001)
    distance = [np.abs(seen[0][1].astype(int) - pixels).mean() for _, pixels in original]
    assert original[int(np.argmin(distance))][0] == pytest.approx(3.4, abs=0.001), (
        "the one that is shown then"
    )
    assert min(distance) < 8
    with av.open(str(made.path)) as opened:
        assert opened.duration / 1e6 == pytest.approx(2.59, abs=0.06)


def test_exact_sound_is_cut_to_the_sample(tmp_path):
    ramp = np.arange(80_000, dtype=np.int16) % 20_000
    path = write_clip(tmp_path / "s.wav", sound=[(0, ramp)], sound_codec="pcm_s16le")
    made = cut(path, tmp_path / "x.wav", int(1.23456 * S), int(3.5 * S), exact=True)
    _, samples = sound(made.path)
    start = round(1.23456 * 16_000)
    assert len(samples) == pytest.approx((3.5 - 1.23456) * 16_000, abs=1)
    assert np.abs(samples.astype(int) - ramp[start : start + len(samples)].astype(int)).max() <= 1


@pytest.mark.parametrize("suffix", sorted(FORMS))
def test_every_suffix_can_be_written_exactly(film, tmp_path, suffix):
    made = cut(film, tmp_path / f"x{suffix}", 2 * S, 4 * S, exact=True)
    kinds = [kind for kind, _ in tracks(made.path)]
    assert kinds == (["video", "audio"] if FORMS[suffix].video else ["audio"])
    with av.open(str(made.path)) as opened:
        assert sum(1 for _ in opened.decode(audio=0)) > 5


def test_odd_sizes_and_other_samplings_are_encoded(tmp_path):
    path = write_clip(tmp_path / "odd.avi", [corners(97, 65)] * 75, codec="mjpeg")
    made = cut(path, tmp_path / "x.mp4", 0, 2 * S, exact=True)
    assert pictures(made.path)[0][1].shape == (64, 96, 3)


# Refusals.


def test_nothing_is_replaced_unless_told(film, tmp_path):
    target = tmp_path / "x.mp4"
    target.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="there already"):
        cut(film, target, 0, 3 * S)
    assert target.read_bytes() == b"mine"
    cut(film, target, 0, 3 * S, force=True)
    assert tracks(target)
    assert list(tmp_path.iterdir()) == [target]


def test_the_original_is_never_replaced(tmp_path):
    path = write_clip(tmp_path / "film.mp4", pan(60))
    before = path.read_bytes()
    link = tmp_path / "link.mp4"
    link.symlink_to(path)
    for target in (path, link):
        with pytest.raises(ConfigError, match="original itself"):
            cut(path, target, 0, S, force=True)
    assert path.read_bytes() == before


def test_a_container_that_cannot_hold_it_names_one_that_can(film, tmp_path):
    with pytest.raises(ConfigError, match=r"\.webm file cannot hold h264 and aac") as told:
        cut(film, tmp_path / "x.webm", 0, S)
    assert "x.mp4" in told.value.remedy
    with pytest.raises(ConfigError, match=r"\.mp3 file cannot hold aac") as told:
        cut(film, tmp_path / "x.mp3", 0, S)
    assert "x.m4a" in told.value.remedy
    for name in ("x.txt", "x"):
        with pytest.raises(ConfigError, match="does not tell") as told:
            cut(film, tmp_path / name, 0, S)
        assert ".mkv" in told.value.remedy
    silent = write_clip(tmp_path / "silent.mp4", pan(30))
    with pytest.raises(ConfigError, match="no sound"):
        cut(silent, tmp_path / "x.m4a", 0, S)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["silent.mp4"]


def test_bad_originals_and_bad_targets_are_named(film, tmp_path):
    with pytest.raises(SourceGone):
        cut(tmp_path / "gone.mp4", tmp_path / "x.mp4", 0, S)
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(SourceRefused):
        cut(tmp_path / "text.mp4", tmp_path / "x.mp4", 0, S)
    with pytest.raises(ConfigError, match="no folder"):
        cut(film, tmp_path / "none" / "x.mp4", 0, S)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        cut(film, tmp_path / "folder.mp4", 0, S)


def test_a_film_that_was_cut_off_says_so_and_leaves_nothing(tmp_path):
    whole = write_clip(tmp_path / "whole.mkv", pan(250), options=GOP)
    part = tmp_path / "part.mkv"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    with pytest.raises(SourceCorrupt, match="nothing between"):
        cut(part, tmp_path / "x.mkv", 8 * S, 9 * S, exact=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part.mkv", "whole.mkv"]


@pytest.mark.parametrize(
    ("raised", "told", "exact"),
    [
        (ValueError("broken"), SourceCorrupt, True),
        (ValueError("broken"), SourceCorrupt, False),
        (AssertionError("a mistake of ours"), AssertionError, True),
        (TypeError("a mistake of ours"), TypeError, False),
    ],
)
@pytest.mark.parametrize("at", [0, 5])
def test_damage_of_the_original_is_not_blamed_on_the_clip(
    film, tmp_path, monkeypatch, raised, told, exact, at
):
    found = clip.packets_from

    def damaged(*words, **more):
        for n, one in enumerate(found(*words, **more)):
            if n == at:
                raise raised
            yield one

    for module in (clip, clip_exact):
        monkeypatch.setattr(module, "packets_from", damaged)
    with pytest.raises(told) as caught:
        cut(film, tmp_path / "x.mp4", 0, 5 * S, exact=exact)
    assert "x.mp4" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(film, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(clip.Cutting, "copy", full)
    with pytest.raises(DiskFull):
        cut(film, tmp_path / "x.mp4", 0, S)
    assert list(tmp_path.iterdir()) == []


def test_progress_goes_to_the_end(film, tmp_path):
    shares = []
    cut(film, tmp_path / "x.mp4", 2 * S, 9 * S, report=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] > 0.9
    assert Fraction(len(shares)) > 100
