"""A long film for measuring: real videos one after the other, as 720p with sound, repeated to a length.

Each video is encoded once (letter-boxed to 1280x720, H.264 and AAC); the repetitions are copies of its
packets, so an hour takes no longer to make than its content. What is made is kept in the platform's
cache folder under a hash of what went into it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import platformdirs
from av.audio.resampler import AudioResampler

from tools.house import film_or

WIDTH_PX, HEIGHT_PX, FRAMES_HZ, SOUND_HZ = 1280, 720, 30, 48_000
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"})
KEYFRAME_S = 2
_MAKER = "1"  # a change of how the film is made must change this

Report = Callable[[float], None]
"""Told the share that is done, 0 to 1."""


def videos_in(folder: Path | None) -> list[Path]:
    """The videos of a folder in order of name; without a folder the demo's film alone."""
    if folder is None:
        return [film_or(None)]
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)


def long_film(videos: Sequence[Path], minutes: float, report: Report = lambda _: None) -> Path:
    """The film, made unless it is there already.

    Args:
        videos: What it is made of, in this order, again and again.
        minutes: Least length; it ends with the round in which that is reached.
        report: Told about progress.
    """
    digest = hashlib.blake2b(f"{_MAKER} {minutes} {av.__version__}".encode(), digest_size=6)
    for video in videos:
        digest.update(video.read_bytes())
    folder = platformdirs.user_cache_path("omnirecall") / "bench"
    path = folder / f"long-{minutes:g}min-{digest.hexdigest()}.mp4"
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    once, temporary = (folder / f"{path.stem}.{os.getpid()}.{part}.mp4" for part in ("once", "all"))
    try:
        _encode(videos, once, report)
        _repeat(once, temporary, minutes * 60)
        temporary.replace(path)
    finally:
        for part in (once, temporary):
            part.unlink(missing_ok=True)
    return path


def _encode(videos: Sequence[Path], path: Path, report: Report) -> None:
    """One round of all videos."""
    with av.open(str(path), "w") as out:
        options = {"preset": "veryfast", "crf": "21", "g": str(KEYFRAME_S * FRAMES_HZ)}
        video = cast(Any, out.add_stream("libx264", rate=FRAMES_HZ, options=options))
        video.width, video.height, video.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        audio = cast(Any, out.add_stream("aac", rate=SOUND_HZ, layout="mono"))
        n_frames = 0
        for number, source in enumerate(videos):
            sound = _sound(source)
            begin = n_frames
            for picture in _pictures(source):
                picture.pts, picture.time_base = n_frames, Fraction(1, FRAMES_HZ)
                out.mux(video.encode(picture))
                out.mux(audio.encode(_samples(sound, n_frames - begin, n_frames)))
                n_frames += 1
            report((number + 1) / len(videos))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def _pictures(path: Path) -> Iterator[av.VideoFrame]:
    """The pictures of a video at `FRAMES_HZ`, letter-boxed, yuv420p."""
    made = 0
    with av.open(str(path)) as source:
        shown: av.VideoFrame | None = None
        for frame in source.decode(video=0):
            begin_s = max(0.0, float(frame.time or 0) - (source.start_time or 0) / 1e6)
            while shown is not None and made / FRAMES_HZ < begin_s - 1e-6:
                yield shown
                made += 1
            shown = _boxed(frame)
        if shown is not None:
            yield shown


def _boxed(frame: av.VideoFrame) -> av.VideoFrame:
    scale = min(WIDTH_PX / frame.width, HEIGHT_PX / frame.height)
    width, height = (max(2, round(side * scale)) for side in (frame.width, frame.height))
    small = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
    box = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    top, left = (HEIGHT_PX - height) // 2, (WIDTH_PX - width) // 2
    box[top : top + height, left : left + width] = small
    return av.VideoFrame.from_ndarray(box, format="rgb24").reformat(format="yuv420p")


def _sound(path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The sound of a video, (n,) float32 at `SOUND_HZ`; empty where it has none."""
    to_mono = AudioResampler(format="flt", layout="mono", rate=SOUND_HZ)
    pieces: list[Any] = []
    with av.open(str(path)) as source:
        if source.streams.audio:
            for frame in source.decode(audio=0):
                pieces += [made.to_ndarray()[0] for made in to_mono.resample(frame)]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def _samples(sound: np.ndarray[Any, np.dtype[np.float32]], index: int, number: int) -> av.AudioFrame:
    """The sound under picture `index` of a video, as that of picture `number` of the film."""
    n = SOUND_HZ // FRAMES_HZ
    own = np.zeros(n, np.float32)
    heard = sound[index * n : (index + 1) * n]
    own[: len(heard)] = heard
    frame = av.AudioFrame.from_ndarray(own[None], format="flt", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, number * n, Fraction(1, SOUND_HZ)
    return frame


def _repeat(once: Path, path: Path, seconds: float) -> None:
    """Copies the packets of one round until the film is long enough."""
    with av.open(str(path), "w") as out:
        streams: dict[int, Any] = {}
        last_dts: dict[int, int] = {}
        done_s = 0.0
        while done_s < seconds:
            with av.open(str(once)) as source:
                length_s = (source.duration or 0) / 1e6
                for stream in source.streams:
                    if stream.index not in streams:
                        streams[stream.index] = cast(Any, out).add_stream_from_template(stream)
                for packet in source.demux():
                    if packet.dts is None or packet.pts is None or packet.time_base is None:
                        continue
                    shift = round(done_s / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    index = packet.stream.index
                    if packet.dts <= last_dts.get(index, -(2**62)):
                        continue  # The encoder's lead-in of sound, which reaches into the round before.
                    last_dts[index] = packet.dts
                    packet.stream = streams[index]
                    out.mux(packet)
            # The next round begins on a picture.
            done_s += -(-length_s * FRAMES_HZ // 1) / FRAMES_HZ
