"""Live media for tools and tests: films as a recorder cuts them, and a server that plays them in real time.

The server is a real one, on loopback; it drops, stalls and changes what it plays as it is told.
"""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

SOUND_HZ = 48_000
CODECS = {"webm": ("libvpx", "libopus"), "mpegts": ("mpeg2video", "mp2")}
"""By container: what a browser's recorder uses, and what plays everywhere."""

Pictures = Sequence[npt.NDArray[np.uint8]]
Sound = npt.NDArray[np.int16]


class _Growing(io.RawIOBase):
    """What a muxer writes, taken away in chunks; it cannot be sought in."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Takes bytes."""
        self._written += bytes(data)
        return len(data)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = bytes(self._written)
        self._written.clear()
        return taken


def in_chunks(
    pictures: Pictures, sound: Sound | None, *, rate: int, form: str, chunk_s: float = 0.2
) -> list[bytes]:
    """A film in chunks of about `chunk_s` of time, the first with the header.

    Args:
        pictures: (H, W, 3) uint8, `rate` of them a second.
        sound: (n,) int16 at `SOUND_HZ`; None for no sound.
        rate: Pictures a second.
        form: `webm` or `mpegts`.
        chunk_s: Seconds of a chunk.
    """
    file, chunks = _Growing(), []
    options = {"live": "1", "cluster_time_limit": "200"} if form == "webm" else {}
    with av.open(file, "w", format=form, options=options) as out:
        film: Any = out.add_stream(CODECS[form][0], rate=rate)
        film.height, film.width = pictures[0].shape[:2]
        film.pix_fmt, film.gop_size = "yuv420p", rate
        if form == "webm":
            film.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        voice: Any = (
            out.add_stream(CODECS[form][1], rate=SOUND_HZ, layout="mono") if sound is not None else None
        )
        per, written_s = SOUND_HZ // rate, 0.0
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            out.mux(film.encode(frame))
            if sound is not None:
                out.mux(voice.encode(_heard(sound[index * per : (index + 1) * per], index * per)))
            if (index + 1) / rate - written_s >= chunk_s:
                written_s = (index + 1) / rate
                chunks.append(file.take())
        for stream in (film, voice):
            if stream is not None:
                out.mux(stream.encode(None))
    return [chunk for chunk in [*chunks, file.take()] if chunk]


def _heard(samples: Sound, at: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], "s16", "mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, at, Fraction(1, SOUND_HZ)
    return frame


def stretch_of(film: Path, seconds: float, *, height_px: int, rate: int) -> tuple[Pictures, Sound]:
    """The first seconds of a film at another size and rate: pictures and sound at `SOUND_HZ`."""
    pictures: list[npt.NDArray[np.uint8]] = []
    pieces: list[npt.NDArray[Any]] = []
    with av.open(f"file:{film.absolute()}") as container:
        due_s = 0.0
        for frame in container.decode(video=0):
            if frame.time >= seconds:
                break
            while due_s <= frame.time:
                width_px = 2 * round(frame.width * height_px / frame.height / 2)
                small = cv2.resize(frame.to_ndarray(format="rgb24"), (width_px, height_px))
                pictures.append(np.asarray(small, dtype=np.uint8))
                due_s += 1 / rate
    with av.open(f"file:{film.absolute()}") as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SOUND_HZ)
        for heard in container.decode(audio=0):
            if (heard.time or 0.0) >= seconds:
                break
            pieces += [one.to_ndarray().reshape(-1) for one in resampler.resample(heard)]
    sound = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    room = np.zeros(len(pictures) * SOUND_HZ // rate, np.int16)
    room[: len(sound)] = sound[: len(room)]
    return pictures, room


class LiveServer:
    """A real HTTP server on loopback that plays films over and over in real time, and fails as it is told.

    Args:
        films: Each a list of chunks of `chunk_s`; a request plays the one whose `turn` it is.
        chunk_s: Seconds between two chunks.
        user: `name:password` that a request must bear; empty for anybody.
    """

    def __init__(self, films: Sequence[list[bytes]], *, chunk_s: float = 0.2, user: str = "") -> None:
        self.films, self.chunk_s, self.user = films, chunk_s, user
        self.turn = self.n_asked = 0
        self.does = "play"
        """`play`, `stall` (the connection stays, nothing comes), `drop` or `refuse`."""
        self.redirect_to = ""
        self.seen: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.seen.append(f"{self.path} {self.headers.get('Authorization', '')}")
                outer.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.http.server_address[1])

    @property
    def uri(self) -> str:
        """What it plays."""
        return f"http://127.0.0.1:{self.port}/live.ts"

    def close(self) -> None:
        """Ends it."""
        self.does = "drop"
        self.http.shutdown()
        self.http.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answers a request."""
        self.n_asked += 1
        wanted = "Basic " + base64.b64encode(self.user.encode()).decode() if self.user else ""
        if self.user and handler.headers.get("Authorization") != wanted:
            handler.send_response(401)
            handler.send_header("WWW-Authenticate", 'Basic realm="camera"')
            handler.end_headers()
        elif self.redirect_to and handler.path != "/moved.ts":
            handler.send_response(302)
            handler.send_header("Location", self.redirect_to)
            handler.end_headers()
        elif self.does == "refuse":
            handler.send_error(503)
        else:
            handler.send_response(200)
            handler.send_header("Content-Type", "video/mp2t")
            handler.end_headers()
            with contextlib.suppress(OSError):
                self._play(handler)

    def _play(self, handler: BaseHTTPRequestHandler) -> None:
        asked, film = self.n_asked, self.films[self.turn % len(self.films)]
        due_s = time.monotonic()
        for chunk in itertools.cycle(film):
            while self.does == "stall":
                time.sleep(0.02)
            if self.does != "play" or asked != self.n_asked:
                return
            handler.wfile.write(chunk)
            due_s += self.chunk_s
            time.sleep(max(0.0, due_s - time.monotonic()))
