"""What chromium's fake camera and microphone play: pictures and real speech of the demo's media."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from stream.models import demo_media

WIDTH_PX, HEIGHT_PX = 640, 360
FRAMES_HZ = 5
SOUND_HZ = 48_000
QUIET_S = 3.0
VOICE = ("two-cities", "two_cities.wav")
SAID = ((0.95, 8.5), (17.2, 23.0))
"""Passages of the recording: "the best of times", and "the winter of despair"."""


def film_camera(path: Path, shown: tuple[tuple[str, str], ...], each_s: float) -> Path:
    """A Motion JPEG file: each photograph for so long; chromium plays it over and over."""
    media = demo_media()
    with av.open(str(path), "w", format="mjpeg") as out:
        track = out.add_stream("mjpeg", rate=FRAMES_HZ, options={"qscale": "4"})
        track.width, track.height, track.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuvj420p"
        index = 0
        for item, file in shown:
            picture = _boxed(Image.open(media.file(item, file)).convert("RGB"))
            for _ in range(round(each_s * FRAMES_HZ)):
                frame = av.VideoFrame.from_ndarray(np.asarray(picture), "rgb24")
                frame.pts, frame.time_base = index, Fraction(1, FRAMES_HZ)
                out.mux(track.encode(frame))
                index += 1
        out.mux(track.encode(None))
    return path


def _boxed(picture: Image.Image) -> Image.Image:
    scale = min(WIDTH_PX / picture.width, HEIGHT_PX / picture.height)
    size = (round(picture.width * scale), round(picture.height * scale))
    box = Image.new("RGB", (WIDTH_PX, HEIGHT_PX))
    box.paste(picture.resize(size), ((WIDTH_PX - size[0]) // 2, (HEIGHT_PX - size[1]) // 2))
    return box


def film_voice(path: Path) -> Path:
    """A WAV file of real speech: two passages, quiet after each; chromium plays it over and over."""
    to_mono = av.AudioResampler(format="flt", layout="mono", rate=SOUND_HZ)
    with av.open(str(demo_media().file(*VOICE))) as source:
        pieces = [
            made.to_ndarray()[0] for frame in source.decode(audio=0) for made in to_mono.resample(frame)
        ]
    voice = np.concatenate(pieces) * 3.0
    quiet = np.zeros(round(QUIET_S * SOUND_HZ), np.float32)
    parts = []
    for begin_s, end_s in SAID:
        parts += [quiet, voice[round(begin_s * SOUND_HZ) : round(end_s * SOUND_HZ)]]
    sound = np.clip(np.concatenate(parts), -1, 1)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SOUND_HZ)
        out.writeframes((sound * 32_767).astype("<i2").tobytes())
    return path
