"""Clips for the tests of capture: made with PyAV from pictures that look like nature to a codec."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

MS = Fraction(1, 1000)
OPEN_GOP = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0:open-gop=1"}
"""Twelve frames between keyframes, three B-frames in a row, leading pictures across keyframes."""


def nature(seed: int, width: int, height: int) -> np.ndarray:
    """A picture with large light and dark parts and ever less detail, as photographs are: (H, W, 3)."""
    rng = np.random.default_rng(seed)
    fy = np.fft.fftfreq(height)[:, None]
    fx = np.fft.fftfreq(width)[None, :]
    falloff = np.maximum(np.hypot(fy, fx), 1 / max(width, height)) ** -1.6
    picture = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        phases = np.exp(2j * np.pi * rng.random((height, width)))
        wave = np.fft.ifft2(falloff * phases).real
        low, high = np.percentile(wave, [1, 99])
        picture[..., channel] = np.clip((wave - low) / (high - low) * 255, 0, 255)
    return picture


def pan(n: int, width: int = 96, height: int = 64, seed: int = 0, step_px: int = 2) -> list[np.ndarray]:
    """Pictures of a camera that moves slowly over one scene."""
    scene = nature(seed, width * 2, height)
    return [np.ascontiguousarray(np.roll(scene, -step_px * i, axis=1)[:, :width]) for i in range(n)]


def corners(width: int = 64, height: int = 48) -> np.ndarray:
    """A picture whose four corners tell every turn apart: red, green, blue, white from top left."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (255, 0, 0)
    picture[: height // 2, width // 2 :] = (0, 255, 0)
    picture[height // 2 :, : width // 2] = (0, 0, 255)
    picture[height // 2 :, width // 2 :] = (255, 255, 255)
    return picture


def write_clip(
    path: Path,
    pictures: list[np.ndarray] | None = None,
    pts_ms: list[int] | None = None,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    turn: tuple[int, bool, bool] | None = None,
    sound: list[tuple[int, np.ndarray]] | None = None,
    sound_codec: str = "aac",
    sound_hz: int = 16_000,
    tags: dict[str, str] | None = None,
) -> Path:
    """Writes a clip.

    Args:
        path: Its suffix chooses the container.
        pictures: (H, W, 3) uint8 each, or None for no video track.
        pts_ms: Where they stand; 25 per second if None.
        codec: Of the pictures.
        options: Of that codec.
        container: Options of the muxer.
        turn: Degrees, mirrored left to right, mirrored top to bottom: a display matrix.
        sound: Stretches of (position in samples, (n,) int16), or None for no sound track.
        sound_codec: Of the sound.
        sound_hz: Its rate.
        tags: Metadata of the container.
    """
    with av.open(str(path), "w", options=container or {}) as out:
        out.metadata.update(tags or {})
        video = audio = None
        if pictures is not None:
            height, width = pictures[0].shape[:2]
            video = out.add_stream(codec, rate=25, options=options or {})
            video.width, video.height = width, height
            video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            tick = MS if pts_ms is not None else Fraction(1, 25)
            video.codec_context.time_base = tick
            if turn is not None:
                video.set_display_rotation(turn[0], hflip=turn[1], vflip=turn[2])
        if sound is not None:
            audio = out.add_stream(sound_codec, rate=sound_hz, layout="mono")
        for index, picture in enumerate(pictures or []):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = pts_ms[index] if pts_ms is not None else index
            frame.time_base = tick
            out.mux(video.encode(frame))
        if video is not None:
            out.mux(video.encode(None))
        for first_sample, samples in sound or []:
            for at in range(0, len(samples), 1024):
                block = np.ascontiguousarray(samples[None, at : at + 1024])
                voice = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
                voice.sample_rate = sound_hz
                voice.pts = first_sample + at
                voice.time_base = Fraction(1, sound_hz)
                out.mux(audio.encode(voice))
        if audio is not None:
            out.mux(audio.encode(None))
    return path


def tone(n: int, hz: float = 440.0, rate_hz: int = 16_000) -> np.ndarray:
    """A sine: (n,) int16."""
    return (12_000 * np.sin(2 * np.pi * hz * np.arange(n) / rate_hz)).astype(np.int16)
