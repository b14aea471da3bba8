"""Alerts posted to a real HTTP server: signed, tried again, never led elsewhere."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stream.errors import ConfigError, DeadlineExceeded, RoleUnavailable
from stream.gateway.webhook import SIGNATURE, TIMESTAMP, Webhook, WebhookSettings, signature
from stream.messages.watch import WatchAlert

ALERT = WatchAlert(
    watch_id=b"w" * 16,
    alert_id=b"a" * 16,
    t_ns=1_700_000_000_000_000_000,
    question="tell me when a dog is seen",
    text="a dog",
)


@pytest.fixture
def receiver():
    """A server that answers with the next of `statuses`; `got` is what came."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append((self.path, dict(self.headers), body))
            status = self.server.statuses.pop(0) if self.server.statuses else 200
            if status is None:
                self.server.released.wait(10)
                return
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.statuses, server.released = [], [], threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


def webhook(server, **more):
    waits = []
    url = f"http://127.0.0.1:{server.server_port}/hook?of=omni"
    made = Webhook(WebhookSettings(url=url, secret="much longer", **more), sleep=waits.append)
    return made, waits


def test_an_alert_is_posted_once_and_its_signature_can_be_checked(receiver):
    made, waits = webhook(receiver)
    assert made.post(ALERT) == 1
    ((path, headers, body),) = receiver.got
    assert (path, waits) == ("/hook?of=omni", [])
    assert headers[SIGNATURE] == signature("much longer", headers[TIMESTAMP], body)
    assert headers[SIGNATURE] != signature("another", headers[TIMESTAMP], body)
    told = json.loads(body)
    assert told["version"] == 1
    assert told["alert"]["question"] == ALERT.question
    assert told["alert"]["t"] == "2023-11-14T22:13:20.000Z"


def test_a_receiver_that_fails_is_tried_again_and_waited_for_longer(receiver):
    made, waits = webhook(receiver)
    receiver.statuses[:] = [500, 429, 204]
    assert made.post(ALERT) == 3
    assert waits == [0.5, 1.0]
    receiver.statuses[:] = [500] * 9
    with pytest.raises(RoleUnavailable, match="answered 500, 4 times"):
        made.post(ALERT)


@pytest.mark.parametrize("status", [302, 401, 404])
def test_a_redirect_and_a_refusal_end_it(receiver, status):
    made, _ = webhook(receiver)
    receiver.statuses[:] = [status]
    with pytest.raises(ConfigError, match=str(status)):
        made.post(ALERT)
    assert [path for path, _, _ in receiver.got] == ["/hook?of=omni"], "it went elsewhere"


def test_a_receiver_that_hangs_is_given_up(receiver):
    made, _ = webhook(receiver, timeout_s=0.2, retries=1)
    receiver.statuses[:] = [None, None]
    with pytest.raises(DeadlineExceeded):
        made.post(ALERT)
    assert len(receiver.got) == 2


def test_nobody_there_is_an_error_that_says_so(receiver):
    made, _ = webhook(receiver, retries=0)
    receiver.shutdown()
    receiver.server_close()
    with pytest.raises(RoleUnavailable, match="ConnectionRefusedError"):
        made.post(ALERT)


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("file:///etc/passwd", "s"),
        ("ftp://a/b", "s"),
        ("http://", "s"),
        ("http://u:p@a/", "s"),
        ("http://a/", ""),
    ],
)
def test_what_is_no_address_or_unsigned_is_refused(url, secret):
    with pytest.raises(ConfigError):
        Webhook(WebhookSettings(url=url, secret=secret))
