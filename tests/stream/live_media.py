"""Media for the tests of live sources: what a browser's recorder sends, and a server that plays in real time."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np

from tests.stream.capture_clips import pan

WEBM = {"video": "libvpx", "audio": "libopus"}


class _Chunks(io.RawIOBase):
    """What a muxer writes, as chunks; it cannot be sought in, as a recorder's."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.taken += bytes(data)
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self.taken)
        self.taken.clear()
        return taken


def recorded(
    seconds: float,
    *,
    width: int = 96,
    height: int = 64,
    rate: int = 10,
    seed: int = 0,
    chunk_s: float = 0.2,
    sound: bool = True,
    form: str = "webm",
    on_chunk: Callable[[bytes], None] | None = None,
) -> list[bytes]:
    """A film as a recorder of a browser cuts it: chunks of about `chunk_s`, the first with the header.

    The picture is in motion; the sound is a tone of 440 Hz.
    """
    file = _Chunks()
    options = {"live": "1", "cluster_time_limit": "200"} if form == "webm" else {}
    chunks: list[bytes] = []
    codecs = WEBM if form == "webm" else {"video": "mpeg2video", "audio": "mp2"}
    with av.open(file, "w", format=form, options=options) as out:
        film = out.add_stream(codecs["video"], rate=rate)
        film.width, film.height, film.pix_fmt, film.gop_size = width, height, "yuv420p", rate
        if form == "webm":
            film.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        voice = out.add_stream(codecs["audio"], rate=48_000, layout="mono") if sound else None
        n = int(seconds * rate)
        pictures = pan(min(n, 50), width, height, seed)
        per = 48_000 // rate
        written_s = 0.0
        for i in range(n):
            frame = av.VideoFrame.from_ndarray(pictures[i % len(pictures)], "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, rate)
            out.mux(film.encode(frame))
            if voice is not None:
                t = (np.arange(per) + i * per) / 48_000
                tone = (8000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)[None]
                heard = av.AudioFrame.from_ndarray(tone, "s16", "mono")
                heard.sample_rate, heard.pts, heard.time_base = 48_000, i * per, Fraction(1, 48_000)
                out.mux(voice.encode(heard))
            if (i + 1) / rate - written_s >= chunk_s:
                written_s = (i + 1) / rate
                chunks.append(file.take())
        out.mux(film.encode(None))
        if voice is not None:
            out.mux(voice.encode(None))
    rest = file.take()
    return [*chunks, rest] if rest else chunks
