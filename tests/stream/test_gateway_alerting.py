"""Alerts go to the owner's webhooks, signed, and a receiver that fails harms nothing."""

from __future__ import annotations

import json
import queue
import stat
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stream.gateway.alerting import secret_of
from stream.gateway.webhook import SIGNATURE, TIMESTAMP, signature
from stream.messages.watch import WatchAlert
from tests.stream.gateway_house import WAIT_S, GatewayHouse, item

ALERT = WatchAlert(
    watch_id=b"w" * 16,
    alert_id=b"a" * 16,
    t_ns=0,
    question="Does it boil?",
    text="It boils.",
    items=(item(),),
)


@pytest.fixture
def receiver():
    got: queue.Queue = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.put((dict(self.headers), body))
            self.send_response(404 if self.path == "/broken" else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()


def test_an_alert_is_posted_with_a_signature_also_where_another_receiver_fails(tmp_path, receiver):
    address, got = receiver
    webhooks = (f"{address}/broken", f"{address}/hook")
    with GatewayHouse(tmp_path / "store", webhooks=webhooks) as house:
        ends = threading.Event()

        def publish():
            while not ends.wait(0.1):
                house.fakes.publish(ALERT)

        thread = threading.Thread(target=publish)
        thread.start()
        headers, body = got.get(timeout=WAIT_S)
        got.get(timeout=WAIT_S)
        ends.set()
        thread.join()
        secret = secret_of(house.store_dir)
        assert json.loads(body)["alert"]["text"] == "It boils."
        assert headers[SIGNATURE] == signature(secret, headers[TIMESTAMP], body)
        assert stat.S_IMODE((house.store_dir / "gateway" / "webhook.secret").stat().st_mode) == 0o600
        with house.client() as owner:
            assert owner.get("/healthz").status_code == 200
