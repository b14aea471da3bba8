"""A real HTTP server that speaks OpenAI chat completions, checks what it is asked, and tells colours."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np


class ChatServer(ThreadingHTTPServer):
    """Chat completions: checks what it is asked, answers with what the pictures are."""

    def __init__(self, most_pictures=16):
        super().__init__(("127.0.0.1", 0), _Chat)
        self.most_pictures = most_pictures
        self.asked, self.keys, self.planned = [], [], []
        self.in_call = self.most_in_call = 0
        self.count = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Chat(BaseHTTPRequestHandler):
    def do_POST(self):
        own = self.server
        with own.count:
            own.in_call += 1
            own.most_in_call = max(own.most_in_call, own.in_call)
        try:
            self._chat(own)
        finally:
            with own.count:
                own.in_call -= 1

    def _chat(self, own):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        own.keys.append(self.headers.get("Authorization"))
        own.asked.append(body)
        assert self.path == "/v1/chat/completions"
        assert body["temperature"] == 0
        (message,) = body["messages"]
        words, *pictures = message["content"]
        assert words["type"] == "text"
        plan = own.planned.pop(0) if own.planned else None
        if isinstance(plan, threading.Event):
            plan.wait(60)
        if isinstance(plan, int):
            return self._reply(plan, b"{}", location=f"{own.url}/elsewhere")
        if isinstance(plan, bytes):
            return self._reply(200, plan)
        if len(pictures) > own.most_pictures:
            return self._reply(400, b'{"error": "too many pictures"}')
        told = [colour_of(picture["image_url"]["url"]) for picture in pictures]
        lines = told if len(told) == 1 else [f"{n}: {line}" for n, line in enumerate(told, start=1)]
        if plan == "unnumbered":
            lines = ["I see some pictures."]
        return self._reply(
            200, json.dumps({"choices": [{"message": {"content": "\n".join(lines)}}]}).encode()
        )

    def _reply(self, status, body, location=""):
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


def colour_of(url):
    kind, encoded = url.split(",", 1)
    assert kind == "data:image/jpeg;base64"
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR_RGB)
    red, green, blue = pixels.reshape(-1, 3).mean(axis=0)
    return f"a {max((red, 'red'), (green, 'green'), (blue, 'blue'))[1]} wall of {pixels.shape[1]} px"
