"""The ring of encoded packets and the clips cut from it: real codecs, real containers."""

from __future__ import annotations

import av
import numpy as np
import pytest

from stream.capture.decoding import NS_PER_S, to_ns
from stream.capture.file import chunks, frames
from stream.capture.live_clip import write_clip as write_live_clip
from stream.capture.packets import PACKET_BYTES, PacketRing
from stream.capture.probe import start_ns
from stream.messages.media import AUDIO_RATE_HZ
from tests.stream.capture_clips import OPEN_GOP, pan, tone, write_clip

FPS = 25
GOP = 12
GOP_NS = GOP * NS_PER_S // FPS
FRAME_NS = NS_PER_S // FPS
MIB = 1 << 20


def steps(n, seed=0):
    """Pictures that can be told apart after coding: each a grey of its own beside a moving scene."""
    pictures = pan(n, 96, 64, seed)
    for place, picture in enumerate(pictures):
        picture[:24, :] = 20 + (place * 37) % 200
    return pictures


def read_through(path, ring):
    """Puts every packet of a file into the ring, as a camera's readers do; returns where frames stand."""
    shown = []
    with av.open(str(path)) as container:
        media = {stream.index: stream.type for stream in container.streams}
    for track, kind in media.items():
        tap = ring.tap(track)
        if kind == "video":
            shown = [frame.pts_ns for frame in frames(path, track, tap=tap)]
        else:
            for _ in chunks(path, track, tap=tap):
                pass
        tap.end()
    return shown


def media_of(path):
    with av.open(str(path)) as container:
        return {stream.index: stream.type for stream in container.streams}


def whole_ring(path, max_bytes=64 * MIB, max_s=600.0):
    ring = PacketRing(media_of(path), max_bytes, int(max_s * NS_PER_S))
    return ring, read_through(path, ring)


def film(path, n=150, seed=0, pts_ms=None, **more):
    more.setdefault("options", OPEN_GOP)
    seconds = (pts_ms[-1] / 1000 if pts_ms else n / FPS) + 0.04
    sound = [(0, clicks(int(seconds * AUDIO_RATE_HZ)))]
    return write_clip(path, steps(n, seed), pts_ms, sound=sound, **more)


def clicks(n):
    """Silence with a burst of 1 kHz each second, at the very second: (n,) int16."""
    samples = np.zeros(n, np.int16)
    burst = tone(800, 1_000.0)
    for at in range(0, n - len(burst), AUDIO_RATE_HZ):
        samples[at : at + len(burst)] = burst
    return samples


def decoded(path):
    """Times (ns from the file's own start) of the pictures, and the sound at 16 kHz from its start."""
    with av.open(str(path)) as container:
        origin = start_ns(container)
        videos = container.streams.video
        times, keys = [], []
        if videos:
            for frame in container.decode(videos[0]):
                times.append(to_ns(frame.pts, frame.time_base) - origin)
                keys.append(bool(frame.key_frame))
    sound = np.zeros(0, np.int16)
    audio = next((n for n, kind in media_of(path).items() if kind == "audio"), None)
    if audio is not None:
        sound = np.concatenate([chunk.samples for chunk in chunks(path, audio)])
    return times, keys, sound


def onsets_s(sound):
    """Where bursts begin, in seconds."""
    loud = np.abs(sound.astype(np.int32)) > 3_000
    first = np.flatnonzero(loud & ~np.concatenate([[False], loud[:-1]]))
    kept = [int(at) for place, at in enumerate(first) if not place or at - first[place - 1] > 4_000]
    return [at / AUDIO_RATE_HZ for at in kept]


CASES = {
    "h264-mp4": ("a.mp4", {}),
    "h264-mkv": ("a.mkv", {}),
    "vp9-webm": (
        "a.webm",
        {
            "codec": "libvpx-vp9",
            "options": {"g": str(GOP), "deadline": "realtime", "cpu-used": "8"},
            "sound_codec": "libopus",
            "sound_hz": 16_000,
        },
    ),
    "ts": ("a.ts", {}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_clip_of_kept_packets_decodes_begins_at_a_keyframe_and_is_as_long_as_asked(tmp_path, name):
    file, more = CASES[name]
    source = film(tmp_path / file, **more)
    ring, shown = whole_ring(source)
    t0, t1 = 2 * NS_PER_S + NS_PER_S // 3, 4 * NS_PER_S
    stretch = ring.stretch(t0, t1)
    clip = write_live_clip(stretch, tmp_path, "clip")
    assert clip.begins_ns <= t0
    assert t0 - clip.begins_ns <= GOP_NS
    assert 0 <= clip.ends_ns - t1 <= GOP_NS, "pictures that are decoded before the end are in it"
    times, keys, sound = decoded(clip.path)
    assert keys[0]
    assert min(times) <= FRAME_NS // 2
    expected = [at - clip.begins_ns for at in shown if clip.begins_ns <= at < t1 - 4 * FRAME_NS]
    got = sorted(times)[: len(expected)]
    assert len(got) == len(expected)
    assert max(abs(a - b) for a, b in zip(got, expected, strict=True)) <= 2_000_000, "no picture is lost"
    # Sound in step: each burst lies where the source has it.
    bursts = onsets_s(decoded(source)[2])
    heard = [at + clip.begins_ns / NS_PER_S for at in onsets_s(sound)]
    inner = [at for at in bursts if clip.begins_ns / NS_PER_S + 0.1 < at < t1 / NS_PER_S - 0.1]
    assert len(inner) >= 1
    assert all(min(abs(at - other) for other in heard) < 0.03 for at in inner)


def test_sound_alone_is_cut_to_its_packet(tmp_path):
    source = write_clip(tmp_path / "talk.m4a", sound=[(0, clicks(6 * AUDIO_RATE_HZ))])
    ring, _ = whole_ring(source)
    clip = write_live_clip(ring.stretch(2 * NS_PER_S, 4 * NS_PER_S), tmp_path, "clip")
    assert clip.media_type.startswith("audio/")
    assert abs(clip.begins_ns - 2 * NS_PER_S) < 70_000_000
    _, _, sound = decoded(clip.path)
    assert len(sound) / AUDIO_RATE_HZ == pytest.approx(2.0, abs=0.2)


def test_variable_frame_rate_keeps_its_times(tmp_path):
    gaps = [10, 80, 33, 17, 120, 40]
    pts_ms = [0]
    while pts_ms[-1] < 6_000:
        pts_ms.append(pts_ms[-1] + gaps[len(pts_ms) % len(gaps)])
    source = film(tmp_path / "vfr.mkv", len(pts_ms), pts_ms=pts_ms)
    ring, shown = whole_ring(source)
    clip = write_live_clip(ring.stretch(2 * NS_PER_S, 4 * NS_PER_S), tmp_path, "clip")
    times, keys, _ = decoded(clip.path)
    assert keys[0]
    expected = [at - clip.begins_ns for at in shown if clip.begins_ns <= at < 3_500_000_000]
    got = sorted(times)[: len(expected)]
    assert max(abs(a - b) for a, b in zip(got, expected, strict=True)) <= 2_000_000


def test_a_source_that_ends_in_the_midst_of_a_clip_gives_what_there_is(tmp_path):
    ring, shown = whole_ring(film(tmp_path / "a.mp4", 75))
    assert ring.is_ended
    assert ring.has_come(60 * NS_PER_S), "nothing more will come"
    clip = write_live_clip(ring.stretch(2 * NS_PER_S, 9 * NS_PER_S), tmp_path, "clip")
    assert clip.ends_ns == pytest.approx(shown[-1] + FRAME_NS, abs=FRAME_NS)
    assert decoded(clip.path)[1][0]


def test_what_went_is_not_given_and_the_ring_says_where_it_begins(tmp_path):
    source = film(tmp_path / "a.mp4", 150)
    ring, _ = whole_ring(source, max_s=2.0)
    begins, through = ring.held()
    assert through - begins <= 2 * NS_PER_S + GOP_NS
    assert through - begins >= 2 * NS_PER_S - GOP_NS
    assert ring.stretch(0, NS_PER_S) is None
    assert ring.counts().shed > 0
    # A stretch of which the beginning went is given from where it is kept.
    assert ring.stretch(0, through).begins_ns == begins


def test_bytes_bound_the_ring_whatever_the_rate(tmp_path):
    """Noise codes as badly as 4K: the ring never holds more, and what it holds still decodes."""
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 256, (288, 352, 3), dtype=np.uint8) for _ in range(100)]
    options = {**OPEN_GOP, "crf": "10"}
    source = write_clip(tmp_path / "noise.mp4", noise, options=options, sound=[(0, clicks(4 * 16_000))])
    assert source.stat().st_size > 4 * MIB
    ring = PacketRing(media_of(source), 2 * MIB, 600 * NS_PER_S)
    largest = 0
    original = ring.put

    def put(track, packet):
        nonlocal largest
        original(track, packet)
        largest = max(largest, ring.counts().n_bytes)

    ring.put = put
    read_through(source, ring)
    counts = ring.counts()
    assert largest <= 2 * MIB
    assert counts.shed > 0
    assert counts.dropped == 0
    begins, through = ring.held()
    clip = write_live_clip(ring.stretch(begins, through), tmp_path, "clip")
    times, keys, _ = decoded(clip.path)
    assert keys[0]
    assert len(times) >= GOP


def test_a_stretch_that_alone_is_larger_than_the_ring_is_dropped_and_counted(tmp_path):
    rng = np.random.default_rng(2)
    noise = [rng.integers(0, 256, (144, 176, 3), dtype=np.uint8) for _ in range(60)]
    options = {"x264-params": "keyint=50:min-keyint=50:scenecut=0", "crf": "10"}
    source = write_clip(tmp_path / "noise.mp4", noise, options=options)
    ring = PacketRing({0: "video"}, 256 << 10, 600 * NS_PER_S)
    read_through(source, ring)
    counts = ring.counts()
    assert counts.dropped >= 1
    assert counts.n_bytes <= 256 << 10
    assert ring.stretch(0, NS_PER_S) is None


def test_counted_bytes_are_those_of_the_packets(tmp_path):
    source = film(tmp_path / "a.mp4", 50)
    ring, _ = whole_ring(source)
    with av.open(str(source)) as container:
        sizes = [packet.size for packet in container.demux() if packet.size]
    counts = ring.counts()
    assert counts.packets == len(sizes)
    assert counts.n_bytes == sum(sizes) + PACKET_BYTES * len(sizes)


def test_released_it_holds_nothing_and_takes_nothing(tmp_path):
    source = film(tmp_path / "a.mp4", 50)
    ring = PacketRing(media_of(source), 64 * MIB, 600 * NS_PER_S)
    ring.release()
    read_through(source, ring)
    assert ring.held() is None
    assert ring.counts().n_bytes == 0


def test_begun_anew_nothing_of_before_is_mixed_in(tmp_path):
    one, two = film(tmp_path / "a.mp4", 50), film(tmp_path / "b.mp4", 75, seed=3)
    ring, _ = whole_ring(one)
    read_through(two, ring)
    _, through = ring.held()
    assert through == pytest.approx(3 * NS_PER_S, abs=100_000_000)
    clip = write_live_clip(ring.stretch(NS_PER_S, 2 * NS_PER_S), tmp_path, "clip")
    assert decoded(clip.path)[1][0]
