"""Requests whose answerer is known by its process: its end is noticed at once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from stream.errors import DeadlineExceeded, RoleUnavailable
from stream.messages.control import StatusAsk, StatusRoles
from stream.process.clock import RealClock
from stream.wire.caller import Caller
from stream.wire.endpoints import make_run_dir
from stream.wire.sender import Sender
from stream.wire.sockets import Listener, Rejections


@pytest.fixture
def asleep():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield child
    child.kill()
    child.wait()


@pytest.fixture
def listener(tmp_path):
    make_run_dir(tmp_path / "run")
    made = Listener(tmp_path / "run", "memory", Sender("memory-1", RealClock()), Rejections())
    yield made
    made.close()


def test_the_end_of_who_answers_is_noticed_before_the_deadline(listener, asleep, tmp_path):
    threading.Timer(0.3, asleep.kill).start()
    with Caller(tmp_path / "run", "memory", "test") as caller:
        with pytest.raises(RoleUnavailable):
            caller.ask(StatusAsk(), timeout_s=500, pid=asleep.pid)
        with pytest.raises(RoleUnavailable):
            caller.ask(StatusAsk(), timeout_s=500, pid=asleep.pid)  # Not waited for yet.
        asleep.wait()
        with pytest.raises(RoleUnavailable, match="has ended"):
            caller.ask(StatusAsk(), timeout_s=500, pid=asleep.pid)


def test_what_it_said_before_its_end_is_taken(listener, asleep, tmp_path):
    def answer():
        while not (got := list(listener.receive(1))):
            time.sleep(0.01)
        ((peer, decoded),) = got
        listener.send(peer, StatusRoles(), reply_to=decoded.envelope.message_id)

    with Caller(tmp_path / "run", "memory", "test") as caller:
        thread = threading.Thread(target=answer)
        thread.start()
        assert isinstance(caller.ask(StatusAsk(), timeout_s=30, pid=asleep.pid).message, StatusRoles)
        thread.join()
        with pytest.raises(DeadlineExceeded):
            caller.ask(StatusAsk(), timeout_s=0.05, pid=asleep.pid)
