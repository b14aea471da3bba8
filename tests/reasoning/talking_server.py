"""A real HTTP server that speaks OpenAI's streamed chat completions, and can be every kind of ill."""

from __future__ import annotations

import gzip
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LET_GO_S = 30.0


class TalkingServer(ThreadingHTTPServer):
    """Answers as `mode` says; `reply` makes the text of the prompt."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Talk)
        self.mode, self.reply = "well", retold
        self.asked, self.keys, self.left = [], [], 0
        self.let_go = threading.Event()
        self.gone = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def stop(self):
        self.let_go.set()
        self.shutdown()
        self.server_close()


def retold(prompt):
    """Each draft sentence with a word before it, and the number of its evidence."""
    drafts = re.findall(r"^Draft: (.*)$", prompt, re.M)
    return "\n".join(f"{draft.rstrip('.')} [{n}]" for n, draft in enumerate(drafts, start=1))


class _Talk(BaseHTTPRequestHandler):
    def do_POST(self):
        own = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        own.asked.append(body)
        own.keys.append(self.headers.get("Authorization"))
        has_pictures = any(isinstance(one["content"], list) for one in body["messages"])
        if own.mode == "refuses pictures" and has_pictures:
            return self._whole(400, b'{"error": {"message": "no pictures"}}')
        if isinstance(own.mode, int):
            return self._whole(own.mode, b"{}")
        if own.mode == "hangs":
            return own.let_go.wait(LET_GO_S)
        if own.mode == "garbage":
            return self._whole(200, b"\x00\xff<html>what?" * 50)
        if own.mode == "packed":
            return self._whole(200, gzip.compress(bytes(1 << 20)), ("Content-Encoding", "gzip"))
        if own.mode == "endless":
            return self._endless()
        content = body["messages"][-1]["content"]
        prompt = content if isinstance(content, str) else content[0]["text"]
        return self._stream(own.reply(prompt), own.mode)

    def _stream(self, text, mode):
        self._head(200, "text/event-stream")
        for number, piece in enumerate(re.findall(r"\S+\s*", text)):
            if mode == "drops" and number == 3:
                return
            if mode == "garbage in the stream" and number == 3:
                self.wfile.write(b"data: {not json\n\n")
            self._say(piece)
            if mode == "slow" and self.server.let_go.wait(0.5):
                return
        self.wfile.write(b"data: [DONE]\n\n")

    def _endless(self):
        self._head(200, "text/event-stream")
        try:
            while not self.server.let_go.wait(0.02):
                self._say("more ")
        except OSError:
            self.server.gone.set()

    def _say(self, piece):
        chunk = {"choices": [{"index": 0, "delta": {"content": piece}}]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def _head(self, status, kind, *more):
        self.send_response(status)
        for header in more:
            self.send_header(*header)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def _whole(self, status, body, *more):
        self._head(status, "application/json", *more)
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""
