"""Media for the tests of live sources: what a recorder of a browser sends, and servers in real time."""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import threading
import time
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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


class LiveServer:
    """A real HTTP server on loopback that plays MPEG-TS in real time, and fails as it is told.

    Args:
        films: Each a list of chunks of `chunk_s`; a request plays the one whose turn it is, over and over.
        user: `name:password` that a request must bear, empty for anybody.
    """

    def __init__(self, films: list[list[bytes]], *, chunk_s: float = 0.2, user: str = "") -> None:
        self.films, self.chunk_s, self.user = films, chunk_s, user
        self.turn = self.n_asked = 0
        self.does = "play"
        self.redirect_to = ""
        self.seen: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.seen.append(f"{self.path} {self.headers.get('Authorization', '')}")
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.http.server_address[1]

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}/live.ts"

    def close(self) -> None:
        self.does = "closed"
        self.http.shutdown()
        self.http.server_close()

    def answer(self, handler) -> None:
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
                self.play(handler)

    def play(self, handler) -> None:
        asked, film = self.n_asked, self.films[self.turn % len(self.films)]
        due = time.monotonic()
        for chunk in itertools.cycle(film):
            while self.does == "stall":
                time.sleep(0.02)
            if self.does != "play" or asked != self.n_asked:
                return
            handler.wfile.write(chunk)
            due += self.chunk_s
            time.sleep(max(0.0, due - time.monotonic()))
