"""A language server with every illness: `python -m tools.ill_server [PORT [ELSEWHERE]]` tells its port.

It speaks OpenAI's streamed chat completions. `PUT /mode/NAME` makes it ill (`MODES`), `GET /gone` tells when
(monotonic seconds) a reader was last seen to have left, 0 for never. Where an illness is to be killed,
the process kills itself with SIGKILL, so it ends as from outside.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FOREVER_S = 60.0
PIECES = 3
"""Pieces of text that are sent before what is to happen in the middle of a stream."""
_DRAFT = re.compile(r"^Draft: (.*)$", re.M)


class Talk(BaseHTTPRequestHandler):
    """One request."""

    server: IllServer

    def do_PUT(self) -> None:
        """Takes on an illness."""
        self.server.mode = self.path.removeprefix("/mode/").replace("%20", " ")
        self.head(200, "text/plain")

    def do_GET(self) -> None:
        """When a reader was last seen to have left."""
        self.head(200, "text/plain")
        self.wfile.write(str(self.server.gone_s).encode())

    def do_POST(self) -> None:
        """Answers a prompt as the illness has it."""
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        mode = self.server.mode
        try:
            if mode.isdecimal():
                self.whole(int(mode), b'{"error": {"message": "no"}}')
            else:
                MODES[mode](self)
        except OSError:
            self.server.gone_s = time.monotonic()

    @property
    def lines(self) -> list[str]:
        """A faithful retelling: each draft sentence with the number of its evidence."""
        content = self.body["messages"][-1]["content"]
        prompt = content if isinstance(content, str) else content[0]["text"]
        drafts = _DRAFT.findall(prompt)
        return [f"{draft.rstrip('.')} [{n}]\n" for n, draft in enumerate(drafts, start=1)]

    def head(self, status: int, kind: str, **more: str) -> None:
        """Sends status and headers; the connection ends after this reply."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.close_connection = True

    def whole(self, status: int, body: bytes, kind: str = "application/json", **more: str) -> None:
        """Sends a whole reply."""
        self.head(status, kind, **more)
        self.wfile.write(body)

    def say(self, text: str) -> None:
        """Sends one piece of text."""
        self.chunk({"choices": [{"index": 0, "delta": {"content": text}}]})

    def chunk(self, data: Any) -> None:
        """Sends one event."""
        self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def begin(self) -> None:
        """The head of a stream and some pieces of its text."""
        self.head(200, "text/event-stream")
        for _ in range(PIECES):
            self.say("The ")

    def until_left(self, say: Callable[[], object], every_s: float) -> None:
        """Does something again and again, until the reader has left."""
        ends_at_s = time.monotonic() + FOREVER_S
        while time.monotonic() < ends_at_s:
            say()
            time.sleep(every_s)

    def wait(self) -> None:
        """Nothing, until the reader has left."""
        self.connection.settimeout(FOREVER_S)
        if self.connection.recv(1) == b"":
            raise ConnectionResetError

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class IllServer(ThreadingHTTPServer):
    """Serves on a free port of this machine, or on one that is given."""

    daemon_threads = True
    allow_reuse_address = True
    mode = "well"
    gone_s = 0.0
    elsewhere = ""


def _well(own: Talk) -> None:
    own.head(200, "text/event-stream")
    for line in own.lines:
        own.say(line)
    own.wfile.write(b"data: [DONE]\n\n")


def _killed(own: Talk) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _killed_in_the_stream(own: Talk) -> None:
    own.begin()
    os.kill(os.getpid(), signal.SIGKILL)


def _hangs_after_headers(own: Talk) -> None:
    own.head(200, "text/event-stream")
    own.wait()


def _hangs_in_the_stream(own: Talk) -> None:
    own.begin()
    own.wait()


def _slow(own: Talk) -> None:
    own.head(200, "text/event-stream")
    own.until_left(lambda: own.say("rent "), 1.0)


def _slow_headers(own: Talk) -> None:
    own.wfile.write(b"HTTP/1.1 200 OK\r\nX-")
    own.until_left(lambda: own.wfile.write(b"a"), 0.2)


def _endless_headers(own: Talk) -> None:
    own.wfile.write(b"HTTP/1.1 200 OK\r\n")
    own.until_left(lambda: own.wfile.write(b"X-More: and more\r\n" * 50), 0.001)


def _endless_continue(own: Talk) -> None:
    own.until_left(lambda: own.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n"), 0.01)


def _endless(own: Talk) -> None:
    own.head(200, "text/event-stream")
    own.until_left(lambda: own.say("more "), 0.001)


def _endless_empty(own: Talk) -> None:
    own.head(200, "text/event-stream")
    own.until_left(lambda: own.say(""), 0.001)


def _endless_line(own: Talk) -> None:
    own.head(200, "text/event-stream")
    own.wfile.write(b"data: ")
    own.until_left(lambda: own.wfile.write(b"x" * 1000), 0.001)


def _endless_comments(own: Talk) -> None:
    own.head(200, "text/event-stream")
    own.until_left(lambda: own.wfile.write(b": still here\n\n"), 0.05)


def _many_lines(own: Talk) -> None:
    own.head(200, "text/event-stream")
    for n in range(2000):
        own.say(f"Word {n} of the rent is due on day {n} and so on. [1]\n")
    own.wfile.write(b"data: [DONE]\n\n")


def _empty_stream(own: Talk) -> None:
    own.whole(200, b"data: [DONE]\n\n", "text/event-stream")


def _stream_of(*events: object) -> Callable[[Talk], None]:
    def talk(own: Talk) -> None:
        own.begin()
        for one in events:
            own.chunk(one)
        own.wfile.write(b"data: [DONE]\n\n")

    return talk


def _lines_of(*lines: bytes) -> Callable[[Talk], None]:
    def talk(own: Talk) -> None:
        own.begin()
        for one in lines:
            own.wfile.write(one + b"\n\n")
        own.wfile.write(b"data: [DONE]\n\n")

    return talk


def _whole_of(body: bytes, kind: str = "application/json", **more: str) -> Callable[[Talk], None]:
    return lambda own: own.whole(200, body, kind, **more)


def _redirect(own: Talk) -> None:
    own.head(307, "text/plain", Location=own.server.elsewhere)


def _refuses_pictures(own: Talk) -> None:
    if any(isinstance(one["content"], list) for one in own.body["messages"]):
        own.whole(400, b'{"error": {"message": "image_url is not supported"}}')
    else:
        _well(own)


def _closes(own: Talk) -> None:
    own.close_connection = True


def _resets(own: Talk) -> None:
    own.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    own.connection.close()


def _cut_body(own: Talk) -> None:
    own.whole(200, b'{"choices": [{"message": {"conte', Content_Length="900")


MODES: dict[str, Callable[[Talk], None]] = {
    "well": _well,
    "killed before headers": _killed,
    "killed in the stream": _killed_in_the_stream,
    "hangs before headers": Talk.wait,
    "hangs after headers": _hangs_after_headers,
    "hangs in the stream": _hangs_in_the_stream,
    "one token a second": _slow,
    "headers byte by byte": _slow_headers,
    "endless headers": _endless_headers,
    "endless early hints": _endless_continue,
    "endless tokens": _endless,
    "endless empty tokens": _endless_empty,
    "endless line": _endless_line,
    "endless comments": _endless_comments,
    "thousands of lines": _many_lines,
    "broken JSON in the stream": _lines_of(b"data: {not json"),
    "deep JSON in the stream": _lines_of(b"data: " + b"[" * 50_000),
    "binary in the stream": _lines_of(b"data: \x00\xff\xfe\x80"),
    "HTML": _whole_of(b"<html><body>Welcome to the router</body></html>", "text/html"),
    "binary": _whole_of(bytes(range(256)) * 40, "application/octet-stream"),
    "empty body": _whole_of(b""),
    "empty stream": _empty_stream,
    "stream without its end": Talk.begin,
    "wrong schema": _whole_of(b'{"answer": "The rent is free."}'),
    "wrong schema in the stream": _stream_of({"text": "The rent is free."}),
    "error in the stream": _stream_of({"error": {"message": "out of memory", "code": 500}}),
    "text that is no text": _stream_of({"choices": [{"delta": {"content": {"a": [1, 2]}}}]}),
    "half letters": _stream_of({"choices": [{"delta": {"content": "\ud800 rent \udfff [1]"}}]}),
    "tool calls only": _stream_of(
        {"choices": [{"delta": {"tool_calls": [{"function": {"name": "forget"}}]}}]}
    ),
    "packed": _whole_of(gzip.compress(b" " * (64 << 20)), Content_Encoding="gzip"),
    "redirect": _redirect,
    "refuses pictures": _refuses_pictures,
    "closes at once": _closes,
    "resets at once": _resets,
    "body cut off": _cut_body,
}
STATUSES = ("204", "400", "401", "403", "404", "413", "422", "429", "500", "503")


def main() -> int:
    """Serves until it is killed."""
    server = IllServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Talk)
    server.elsewhere = sys.argv[2] if len(sys.argv) > 2 else ""
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever(0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
