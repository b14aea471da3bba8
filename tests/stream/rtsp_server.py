"""A small RTSP server (RFC 2326) for tests: one film as MPEG-TS in RTP (RFC 2250), interleaved in TCP."""

from __future__ import annotations

import base64
import contextlib
import itertools
import socketserver
import struct
import threading
import time

TS_BYTES, PER_PACKET = 188, 7
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\n"
    "a=rtpmap:33 MP2T/90000\r\na=control:track1\r\n"
)


class RtspServer:
    """Plays a film over and over in real time to whoever asks, with Basic authentication where it is wanted.

    Args:
        chunks: MPEG-TS in chunks of `chunk_s`.
        user: `name:password`, or empty.
    """

    def __init__(self, chunks, *, chunk_s=0.2, user=""):
        self.chunks, self.chunk_s, self.user = chunks, chunk_s, user
        self.does, self.n_played = "play", 0
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError):
                    outer.serve(self)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

        self.tcp = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.tcp.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.tcp.server_address[1]}"

    def close(self):
        self.does = "drop"
        self.tcp.shutdown()
        self.tcp.server_close()

    def serve(self, link):
        while True:
            request, fields = link.rfile.readline().decode().split(" ", 2), {}
            if len(request) < 3:
                return
            while line := link.rfile.readline().decode().strip():
                name, _, value = line.partition(":")
                fields[name.lower()] = value.strip()
            wanted = "Basic " + base64.b64encode(self.user.encode()).decode()
            more, body, status = "", "", "200 OK"
            if self.user and fields.get("authorization") != wanted:
                status, more = "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"\r\n'
            elif request[0] == "OPTIONS":
                more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif request[0] == "DESCRIBE":
                body = SDP
                more = f"Content-Base: {request[1]}/\r\nContent-Type: application/sdp\r\n"
            elif request[0] == "SETUP":
                more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 77\r\n"
            else:
                more = "Session: 77\r\n"
            head = f"RTSP/1.0 {status}\r\nCSeq: {fields.get('cseq', '0')}\r\n{more}"
            link.wfile.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            if request[0] == "PLAY" and status == "200 OK":
                self.play(link)
                return
            if request[0] == "TEARDOWN":
                return

    def play(self, link):
        self.n_played += 1
        sequence, due = 0, time.monotonic()
        began = due
        for chunk in itertools.cycle(self.chunks):
            while self.does == "stall":
                time.sleep(0.02)
            if self.does != "play":
                return
            for at in range(0, len(chunk), TS_BYTES * PER_PACKET):
                stamp = int((time.monotonic() - began) * 90_000) & 0xFFFFFFFF
                packet = struct.pack(">BBHII", 0x80, 33, sequence & 0xFFFF, stamp, 7)
                packet += chunk[at : at + TS_BYTES * PER_PACKET]
                link.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                sequence += 1
            due += self.chunk_s
            time.sleep(max(0.0, due - time.monotonic()))
