"""`omnirecall live` on real processes: a film as a camera, the link that logs in, joining, and Ctrl-C."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

from stream.models import demo_media
from stream.process.start import is_running

pytestmark = [pytest.mark.system, pytest.mark.model]

COMMAND = [sys.executable, "-P", "-m", "stream.commands.app"]
START_S = 150


class Live:
    """A `live` command and the lines that it prints."""

    def __init__(self, *words):
        self.process = subprocess.Popen(
            [*COMMAND, "live", "--no-browser", "--json", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines = []

    def event(self, name):
        """The next line of an event."""
        ends_at_s = time.monotonic() + START_S
        while time.monotonic() < ends_at_s:
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read()
            self.lines.append(json.loads(line))
            if self.lines[-1].get("event") == name:
                return self.lines[-1]
        raise AssertionError(f"no {name} among {self.lines}")

    def end(self, number):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=120)
        self.lines += [json.loads(line) for line in out.splitlines()]
        return self.process.returncode, err


def run(*words, code=0):
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A live command on a new store, which ends in the last test."""
    store = tmp_path_factory.mktemp("live") / "store"
    film = tmp_path_factory.mktemp("films") / "camera.mp4"
    film.symlink_to(demo_media().file("bikes", "bikes.mp4"))
    one = Live("--source", film, "--port", 0, "--store", store)
    one.store = store
    one.serving = one.event("serving")
    yield one
    if one.process.poll() is None:
        one.end(signal.SIGTERM)


def post(url, body):
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    connection.request("POST", where.path, json.dumps(body), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    told = json.loads(reply.read())
    connection.close()
    return reply.status, told, reply.headers.get("set-cookie", "")


def test_the_link_logs_one_browser_in_once(live):
    page, _, code = live.serving["link"].partition("/#pair=")
    assert page == live.serving["page"]
    status, told, cookie = post(f"{page}/api/v1/pair", {"code": code})
    assert (status, told) == (200, {"identity": "owner"})
    assert "HttpOnly" in cookie
    assert post(f"{page}/api/v1/pair", {"code": code})[0] == 401


def test_the_source_is_read_and_told(live):
    assert live.event("state")["of"].endswith("bikes.mp4")


def test_status_tells_the_page_and_pair_makes_another_link(live):
    assert json.loads(run("status", "--store", live.store, "--json"))["page"] == live.serving["page"]
    link = json.loads(run("pair", "--viewer", "--store", live.store, "--json"))
    code = link["here"].partition("#pair=")[2]
    assert post(f"{live.serving['page']}/api/v1/pair", {"code": code})[1] == {"identity": "viewer"}
    assert live.serving["page"] in run("pair", "--qr", "--store", live.store)


def test_another_command_joins_and_leaves_the_processes(live):
    other = Live("--store", live.store)
    assert other.event("serving")["page"] == live.serving["page"]
    code, err = other.end(signal.SIGINT)
    assert (code, err) == (0, "")
    assert is_running(live.store)
    assert "--port" in run("live", "--no-browser", "--port", 1, "--store", live.store, "--json", code=4)


def test_ctrl_c_drains_and_leaves_nobody_behind(live):
    code, _ = live.end(signal.SIGINT)
    assert code == 0
    assert live.lines[-1]["event"] == "ended"
    assert not is_running(live.store)
    run("pair", "--store", live.store, code=6)


def test_a_port_that_is_taken_is_told_at_once(live, tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = json.loads(
            run("live", "--no-browser", "--port", port, "--store", tmp_path / "s", "--json", code=2)
        )
    assert str(port) in told["error"]["message"]
    assert not is_running(tmp_path / "s")


def test_the_processes_end_with_a_command_that_was_killed(tmp_path):
    store = tmp_path / "store"
    one = Live("--port", 0, "--store", store)
    one.event("serving")
    os.kill(one.process.pid, signal.SIGKILL)
    one.process.wait()
    ends_at_s = time.monotonic() + 60
    while is_running(store) and time.monotonic() < ends_at_s:
        time.sleep(0.2)
    assert not is_running(store)
