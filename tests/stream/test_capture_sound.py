"""Sound on its grid: nothing shifted, holes silent, the same again after a resume."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.capture.decoding import TrackHealth
from stream.capture.file import chunks
from stream.capture.settings import CaptureSettings
from stream.capture.sound import AudioChunk, SampleGrid, sample_at, sample_near, with_gap
from stream.errors import SourceRefused
from tests.stream.capture_clips import pan, tone, write_clip

SMALL = CaptureSettings(chunk_samples=512)


def heard(path: Path, after=None, settings=SMALL, health=None, track=0) -> list[AudioChunk]:
    return list(chunks(path, track, after, settings, health))


def joined(found: list[AudioChunk]) -> np.ndarray:
    """All samples from 0 on; fails if a chunk is not where the one before ended."""
    end = 0
    for chunk in found:
        assert chunk.first_sample == end
        end += len(chunk.samples)
    return np.concatenate([chunk.samples for chunk in found])


def as_told(found: list[AudioChunk]) -> list[tuple[int, bytes]]:
    return [(chunk.first_sample, chunk.samples.tobytes()) for chunk in found]


def test_positions_and_samples_convert_exactly():
    assert [sample_at(pts_ns) for pts_ns in (0, 1, 62_500, 62_501)] == [0, 1, 1, 2]
    assert [sample_near(pts_ns) for pts_ns in (0, 31_249, 31_251, 62_500, -62_500)] == [0, 0, 1, 1, -1]


# The grid by itself.

stretches = st.lists(st.tuples(st.integers(-300, 900), st.integers(1, 400)), max_size=25)


@given(stretches=stretches, size=st.sampled_from([64, 100, 512]), begin=st.integers(0, 3000))
def test_grid_equals_writing_into_a_long_array(stretches, size, begin):
    """Against the plain way: an array of silence that each stretch is written into once."""
    plain = np.zeros(200_000, np.int16)
    grid = SampleGrid(size, hole_limit=10**9, begin=begin)
    found: list[AudioChunk] = []
    at = head = 0
    for step, n in stretches:
        at = at + step
        samples = np.arange(1, n + 1, dtype=np.int16)
        late = max(0, head - at)
        if late < n:
            plain[at + late : at + n] = samples[late:]
            head = at + n
        found += grid.put(at, samples)
        at += n
    found += grid.rest()
    assert grid.head == head
    if head <= begin:
        assert found == []
        return
    assert found[0].first_sample == begin
    assert np.array_equal(np.concatenate([chunk.samples for chunk in found]), plain[begin:head])
    for chunk in found[1:]:
        assert chunk.first_sample % size == 0
    for chunk in found[:-1]:
        assert (chunk.first_sample + len(chunk.samples)) % size == 0


def test_hole_over_the_limit_is_a_gap():
    grid = SampleGrid(512, hole_limit=1000)
    found = [*grid.put(0, tone(700)), *grid.put(50_000, tone(1000)), *grid.rest()]
    assert [(chunk.first_sample, len(chunk.samples)) for chunk in found] == [
        (0, 512),
        (512, 188),
        (50_000, 176),
        (50_176, 512),
        (50_688, 312),
    ]
    gaps = [chunk.gap_ns for chunk in found]
    assert gaps == [None, None, (700 * 62_500, 50_000 * 62_500), None, None]


def test_hole_before_the_point_of_resume_is_no_news():
    grid = SampleGrid(512, hole_limit=1000, begin=60_000)
    found = [*grid.put(0, tone(700)), *grid.put(50_000, tone(20_000)), *grid.rest()]
    assert found[0].first_sample == 60_000
    assert [chunk.gap_ns for chunk in found if chunk.gap_ns] == []


def test_gaps_join():
    chunk = AudioChunk(100, tone(10))
    assert with_gap(chunk, (5, 9)).gap_ns == (5, 9)
    assert with_gap(with_gap(chunk, (5, 9)), (1, 5)).gap_ns == (1, 9)


# Sound of files.


def clicks(seconds: float, at_s: list[float], rate_hz: int) -> np.ndarray:
    """Silence with clicks, (n,) int16."""
    samples = np.zeros(int(seconds * rate_hz), np.int16)
    for second in at_s:
        samples[int(second * rate_hz)] = 25_000
    return samples


def write_wave(path: Path, samples: np.ndarray, rate_hz: int) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(samples.astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_resampling_shifts_nothing(tmp_path, rate_hz):
    at_s = [0.25, 1.0, 2.5]
    path = write_wave(tmp_path / "c.wav", clicks(3, at_s, rate_hz), rate_hz)
    samples = joined(heard(path))
    assert abs(len(samples) - 48_000) <= 1
    for second in at_s:
        around = np.abs(samples[int(second * 16_000) - 400 : int(second * 16_000) + 400])
        assert abs(int(np.argmax(around)) - 400) <= 1


def test_chunks_lie_on_the_grid(tmp_path):
    path = write_wave(tmp_path / "t.wav", tone(20_000), 16_000)
    found = heard(path, settings=CaptureSettings())
    assert [(chunk.first_sample, len(chunk.samples)) for chunk in found] == [
        (0, 8192),
        (8192, 8192),
        (16_384, 3616),
    ]
    assert np.array_equal(joined(found), tone(20_000))
    assert found[1].pts_ns == 512_000_000
    assert found[2].end_pts_ns == 1_250_000_000


def test_hole_in_the_timestamps_is_silence(tmp_path):
    path = write_clip(
        tmp_path / "h.mka", sound=[(0, tone(16_000)), (48_000, tone(16_000))], sound_codec="pcm_s16le"
    )
    samples = joined(heard(path))
    assert len(samples) == 64_000
    assert np.array_equal(samples[:16_000], tone(16_000))
    assert not samples[16_000:48_000].any()
    assert np.array_equal(samples[48_000:], tone(16_000))


def test_hole_of_hours_is_a_gap_and_not_gigabytes(tmp_path):
    hours = 27 * 3600 * 16_000
    path = write_clip(
        tmp_path / "h.mka", sound=[(0, tone(16_000)), (hours, tone(16_000))], sound_codec="pcm_s16le"
    )
    found = heard(path)
    assert sum(len(chunk.samples) for chunk in found) == 32_000
    (gap,) = [chunk.gap_ns for chunk in found if chunk.gap_ns is not None]
    assert gap == (1_000_000_000, 27 * 3600 * 10**9)


def test_sound_that_begins_late_begins_late(tmp_path):
    """The film begins at 0, its sound two seconds later."""
    path = write_clip(tmp_path / "late.mkv", pan(75), sound=[(32_000, tone(16_000))], sound_codec="pcm_s16le")
    samples = joined(heard(path, track=1))
    assert len(samples) == 48_000
    assert not samples[:32_000].any()
    assert np.array_equal(samples[32_000:], tone(16_000))


def test_jitter_of_timestamps_is_not_heard(tmp_path):
    """Blocks of 1024 samples, each up to 5 ms from where it belongs, in a container of milliseconds."""
    rng = np.random.default_rng(1)
    whole = tone(64 * 1024)
    blocks = [
        (max(0, at + int(rng.integers(-80, 80))), whole[at : at + 1024]) for at in range(0, len(whole), 1024)
    ]
    path = write_clip(tmp_path / "j.mka", sound=blocks, sound_codec="pcm_s16le")
    assert np.array_equal(joined(heard(path)), whole)


def test_overlap_is_cut_away(tmp_path):
    """Two recordings of sound, one behind the other: the second one's past is not heard twice."""
    ramp = np.arange(1, 16_001, dtype=np.int16)
    first = write_clip(tmp_path / "a.ts", sound=[(0, ramp)], sound_codec="mp2")
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() * 2)
    health = TrackHealth()
    found = heard(path, health=health)
    once = heard(first)
    assert abs(len(joined(found)) - len(joined(once))) <= 2304
    assert health.misplaced > 5


def test_only_pictures_have_no_sound(tmp_path):
    with pytest.raises(SourceRefused, match="no audio track 0"):
        heard(write_clip(tmp_path / "v.mp4", pan(3)))


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("mkv", "libopus"), ("mp3", "libmp3lame")])
def test_sound_after_every_mark_equals_the_undisturbed_one(tmp_path, suffix, codec):
    hz = 48_000 if codec == "libopus" else 16_000
    path = write_clip(
        tmp_path / f"s.{suffix}", sound=[(0, tone(hz, rate_hz=hz))], sound_codec=codec, sound_hz=hz
    )
    undisturbed = heard(path)
    whole = joined(undisturbed)
    for chunk in undisturbed:
        after = chunk.first_sample + len(chunk.samples)
        assert as_told(heard(path, after)) == as_told(
            [other for other in undisturbed if other.first_sample >= after]
        )
    for after in (1, 511, 777, 5000):  # Marks of voice segments need not lie on the grid.
        resumed = heard(path, after)
        assert resumed[0].first_sample == after
        assert np.array_equal(np.concatenate([chunk.samples for chunk in resumed]), whole[after:])
        assert as_told(resumed[1:]) == as_told([other for other in undisturbed if other.first_sample > after])


def avi_with_sound(path: Path, codec: str = "ac3") -> Path:
    return write_clip(
        path, pan(50), codec="mpeg4", sound=[(0, tone(96_000, rate_hz=48_000))], sound_codec=codec,
        sound_hz=48_000,
    )  # fmt: skip


def test_first_packet_that_cannot_be_decoded_is_passed_over(tmp_path):
    """As in a film in the wild whose first AC-3 packet is bad: others got no sound at all."""
    path = avi_with_sound(tmp_path / "bad.avi")
    body = bytearray(path.read_bytes())
    packet = body.index(b"01wb", body.index(b"movi")) + 4
    (size,) = struct.unpack_from("<I", body, packet)
    assert body[packet + 4 : packet + 6] == b"\x0b\x77"  # The sync word of AC-3.
    body[packet + 4 : packet + 4 + size] = b"\x55" * size
    path.write_bytes(body)
    health = TrackHealth()
    samples = joined(heard(path, health=health, track=1))
    assert health.errors >= 1
    assert not health.partial
    assert abs(len(samples) - 32_000) < 3000
    assert np.abs(samples[8000:24_000]).max() > 5000


def test_a_track_of_nothing_but_damage_ends_with_a_reason(tmp_path):
    path = avi_with_sound(tmp_path / "bad.avi")
    body = bytearray(path.read_bytes())
    at = body.index(b"movi")
    while (at := body.find(b"01wb", at)) >= 0:
        (size,) = struct.unpack_from("<I", body, at + 4)
        if at + 8 + size > len(body):
            break
        body[at + 8 : at + 8 + size] = b"\x55" * size
        at += 8 + size
    path.write_bytes(body)
    health = TrackHealth()
    assert heard(path, health=health, track=1) == []
    assert health.partial == "nothing of it could be decoded"
