"""Every odd and hostile file at the level of capture: each has a named outcome, and nothing else happens."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stream.capture.decoding import TrackHealth
from stream.capture.file import chunks, frames, shortfall
from stream.capture.photo import pixels
from stream.capture.probe import probe
from stream.capture.settings import CaptureSettings
from stream.errors import SourceError
from tests.stream.capture_clips import corners, pan, tone, write_clip
from tests.stream.test_capture_photo import png_header

pytestmark = pytest.mark.timeout(120)

S = 10**9
FAST = {"movflags": "faststart"}


@dataclass
class Outcome:
    """How reading ended, and what was read."""

    outcome: str
    reason: str = ""
    frames: int = 0
    sound_s: float = 0.0


def read(path: Path, meanwhile: Callable[[int], None] = lambda n: None) -> Outcome:
    """Reads a file as capture does: all of it, through the real reading code.

    Anything but a `SourceError` fails the test.
    """
    settings = CaptureSettings()
    try:
        found = probe(path, settings)
    except SourceError as error:
        if not error.remedy:
            pytest.fail(f"no remedy: {error}")
        return Outcome("rejected", error.message)
    n_frames, sound_s, reasons, ends = 0, 0.0, [], []
    for track in found.tracks:
        health = TrackHealth()
        try:
            if track.media == "stills":
                n_frames += pixels(path, 0, settings).shape[2] == 3
            elif track.media == "video":
                for frame in frames(path, track.track, settings=settings, health=health):
                    assert frame.rgb().ndim == 3
                    n_frames += 1
                    meanwhile(n_frames)
            else:
                for chunk in chunks(path, track.track, settings=settings, health=health):
                    sound_s += len(chunk.samples) / 16_000
        except SourceError as error:
            health.partial = error.message
        reasons += [health.partial] if health.partial else []
        ends.append(health.end_pts_ns)
    reasons = reasons or [told for told in [shortfall(found, ends, len(found.tracks))] if told]
    return Outcome("partial" if reasons else "done", "; ".join(reasons), n_frames, sound_s)


def film(path: Path, n=100, **more) -> Path:
    return write_clip(path, pan(n), **more)


def talkie(path: Path, **more) -> Path:
    return write_clip(path, pan(100), sound=[(0, tone(64_000))], **more)


def cut(path: Path, share: float) -> Path:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


def cut_behind_header(path: Path) -> Path:
    """A film of which the first cluster never came."""
    data = film(path, 250).read_bytes()
    path.write_bytes(data[: data.index(b"\x1f\x43\xb6\x75")])
    return path


def lie_mp4(path: Path, seconds: float) -> Path:
    """Says another length wherever MP4 says one."""
    data = bytearray(film(path, container=FAST).read_bytes())
    for box, width in ((b"mvhd", 4), (b"mdhd", 4)):
        at = data.index(box) + 16
        (scale,) = struct.unpack(">I", data[at : at + 4])
        data[at + 4 : at + 4 + width] = struct.pack(">I", int(scale * seconds))
    at = data.index(b"tkhd") + 24
    data[at : at + 4] = struct.pack(">I", int(1000 * seconds))
    path.write_bytes(data)
    return path


def lie_mkv(path: Path, seconds: float) -> Path:
    data = bytearray(film(path).read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    data[at : at + 8] = struct.pack(">d", seconds * 1000)
    path.write_bytes(data)
    return path


def huge_mjpeg(path: Path) -> Path:
    """Each of its pictures says that it has 16,384 x 16,384 pixels."""
    data = film(path, 3, codec="mjpeg").read_bytes()
    told = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 64, 96)
    assert told in data
    path.write_bytes(data.replace(told, told[:5] + struct.pack(">HH", 16_384, 16_384)))
    return path


def huge_mp4(path: Path) -> Path:
    """Its sample entry says 16,384 x 16,384; the pictures are small."""
    data = bytearray(film(path, 3).read_bytes())
    at = data.index(b"avc1", data.index(b"stsd")) + 28
    assert data[at : at + 4] == struct.pack(">HH", 96, 64)
    data[at : at + 4] = struct.pack(">HH", 16_384, 16_384)
    path.write_bytes(data)
    return path


def variable(path: Path) -> Path:
    at_ms = np.cumsum([3, 40, 500, 7, 33, 900, 40, 40, 1, 250] * 5).tolist()
    return write_clip(path, pan(50), pts_ms=at_ms)


def loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def odd_name(path: Path) -> Path:
    return film(path.with_name(os.fsdecode(b"caf\xe9.mp4")))


def made(kind: Callable[[Path], object]) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        kind(path)
        return path

    return make


CASES: dict[str, tuple[str, Callable[[Path], Path], str, str]] = {
    "empty": ("a.mp4", made(Path.touch), "rejected", "is empty"),
    "text": ("a.mp4", made(lambda p: p.write_text("Dear reader,\n" * 500)), "rejected", "is not a video"),
    "noise": ("a.mp4", made(lambda p: p.write_bytes(bytes(range(256)) * 99)), "rejected", "is not a video"),
    "zeros": ("a.mp4", made(lambda p: p.write_bytes(bytes(100_000))), "rejected", ""),
    "playlist": ("a.m3u8", made(lambda p: p.write_text("#EXTM3U\n#EXTINF:5,\nb.ts\n")), "rejected", ""),
    "cut mp4 with its index": ("a.mp4", lambda p: cut(talkie(p, container=FAST), 0.5), "partial", "cut off"),
    "cut mp4 without its index": ("a.mp4", lambda p: cut(talkie(p), 0.5), "rejected", "cannot be opened"),
    "cut mkv": ("a.mkv", lambda p: cut(film(p, 250), 0.3), "partial", "it was cut off at|it ends at"),
    "cut mkv with sound": ("a.mkv", lambda p: cut(talkie(p), 0.2), "partial", "cut off|it ends at"),
    "cut avi": ("a.avi", lambda p: cut(film(p, 250), 0.4), "partial", "cut off|it ends at"),
    "cut behind the header": ("a.mkv", lambda p: cut_behind_header(p), "rejected", "no picture|cannot be"),
    "cut jpeg": ("a.jpg", lambda p: cut(photo(p), 0.5), "rejected", "damaged or cut off"),
    "audio only": ("a.mp4", lambda p: write_clip(p, sound=[(0, tone(64_000))]), "done", ""),
    "video only": ("a.mp4", film, "done", ""),
    "one frame": ("a.mp4", lambda p: film(p, 1), "done", ""),
    "one frame mkv": ("a.mkv", lambda p: film(p, 1), "done", ""),
    "variable rate": ("a.mp4", variable, "done", ""),
    "16k mjpeg": ("a.mkv", huge_mjpeg, "rejected", "no picture that can be decoded"),
    "16k mp4 header": ("a.mp4", huge_mp4, "done|rejected", ""),
    "16k png": ("a.png", made(lambda p: p.write_bytes(png_header(16_384, 16_384))), "rejected", "pixels"),
    "ten hours that are four seconds, mkv": (
        "a.mkv",
        lambda p: lie_mkv(p, 36_000),
        "partial",
        "of 36000.0 s",
    ),
    "ten hours that are four seconds, mp4": ("a.mp4", lambda p: lie_mp4(p, 36_000), "partial|done", ""),
    "four seconds that say a tenth, mkv": ("a.mkv", lambda p: lie_mkv(p, 0.1), "done", ""),
    "four seconds that say a tenth, mp4": ("a.mp4", lambda p: lie_mp4(p, 0.1), "done", ""),
    "missing": ("a.mp4", lambda p: p, "rejected", "is not there"),
    "below a file": ("a.mp4", lambda p: film(p) / "b.mp4", "rejected", "is not there"),
    "folder": ("a.mp4", made(Path.mkdir), "rejected", "is not a file"),
    "pipe": ("a.mp4", pipe, "rejected", "is not a file"),
    "symlink loop": ("a.mp4", loop, "rejected", "leads to itself"),
    "dangling symlink": ("a.mp4", made(lambda p: p.symlink_to("nowhere")), "rejected", "is not there"),
    "long name": ("a.mp4", lambda p: p.with_name("a" * 300 + ".mp4"), "rejected", "too long"),
    "name that is not UTF-8": ("a.mp4", odd_name, "done", ""),
    "photo": ("a.jpg", lambda p: photo(p), "done", ""),
    "photo named mp4": ("a.mp4", lambda p: photo(p, "JPEG"), "done", ""),
}


def photo(path: Path, form: str | None = None) -> Path:
    Image.fromarray(pan(1, 300, 200)[0]).save(path, format=form)
    return path


@pytest.mark.parametrize("name", CASES)
def test_every_odd_file_has_a_named_outcome(tmp_path, name):
    file_name, make, outcome, reason = CASES[name]
    path = make(tmp_path / file_name)
    got = read(path)
    assert got.outcome in outcome.split("|"), got
    assert bool(got.reason) == (got.outcome != "done")
    assert any(words in got.reason for words in reason.split("|")), got
    if got.outcome == "done":
        assert got.frames or got.sound_s
    elif got.outcome == "rejected":
        assert path.name in got.reason or "too long" in got.reason


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_all_eight_turns_are_read(tmp_path, degrees, mirrored):
    path = write_clip(tmp_path / "a.mp4", [corners()] * 3, turn=(degrees, mirrored, False))
    assert read(path) == Outcome("done", frames=3)
    (track,) = probe(path).tracks
    assert (track.width_px, track.height_px) == ((64, 48) if degrees % 180 == 0 else (48, 64))


def test_frames_of_variable_rate_and_of_lies_are_all_there(tmp_path):
    assert read(variable(tmp_path / "v.mp4")).frames == 50
    assert read(lie_mkv(tmp_path / "l.mkv", 0.1)).frames == 100
    assert read(lie_mp4(tmp_path / "l.mp4", 0.1)).frames == 100


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = film(tmp_path / "a.mp4", 1500, container=FAST)

    def shrink(n):
        if n == 3:
            os.truncate(path, path.stat().st_size // 3)

    got = read(path, shrink)
    assert got.outcome == "partial"
    assert 3 <= got.frames < 1500


def test_a_file_that_grows_while_it_is_read_says_so(tmp_path):
    path = film(tmp_path / "a.mkv")

    def grow(n):
        if n == 3:
            with path.open("ab") as file:
                file.write(bytes(100))
            os.utime(path, ns=(0, 1))

    got = read(path, grow)
    assert (got.outcome, "written to while it was read" in got.reason) == ("partial", True)


def test_a_file_that_vanishes_before_its_second_track_is_read(tmp_path):
    path = talkie(tmp_path / "a.mkv", sound_codec="pcm_s16le")
    got = read(path, lambda n: path.unlink(missing_ok=True))
    assert (got.outcome, got.frames) == ("partial", 100)  # What is open stays; the rest is not there.
    assert "is not there" in got.reason


SCRIPT = """
import resource, sys
from pathlib import Path
from tests.stream import test_capture_hostile as hostile
def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
hostile.read(Path(sys.argv[1]))
before_kib = peak_kib()
hostile.read(Path(sys.argv[2]))
print((peak_kib() - before_kib) // 1024)
"""


@pytest.mark.parametrize("name", ["16k mjpeg", "16k mp4 header", "16k png"])
def test_a_claim_of_size_costs_no_memory(tmp_path, name):
    file_name, make, _, _ = CASES[name]
    small, hostile = film(tmp_path / "small.mp4", 3), make(tmp_path / file_name)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SCRIPT, str(small), str(hostile)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100, env=environment)
    assert int(told.stdout) < 100  # One such picture is 400 MiB and more.
