"""Retention in the real memory process: budgets hold while it commits, pins hold, kill -9 loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stream.errors import ConfigError
from stream.messages.control import StatusAsk, StatusMemory, StatusRoles
from stream.messages.observation import CommitAck
from stream.messages.retention import DataAsk, DataTold, PinAsk, PinTold, RetentionAsk, RetentionTold
from stream.wire.caller import Caller
from stream.wire.endpoints import run_dir_for

pytestmark = pytest.mark.system

RUN = """
import json, sys
from dataclasses import replace
from pathlib import Path
from stream.config import Config
from stream.process.roles import ROLES, SECTIONS
from stream.process.supervisor import Supervisor
roles = {"memory": replace(ROLES["memory"], starts="always")}
sections = {n: SECTIONS[n] for n in ("cpu", "supervisor", "memory")}
Supervisor(Path(sys.argv[1]), Config(json.loads(sys.argv[2]), sections), None, roles).run()
"""


def wait_for(what, timeout_s=120.0):
    ends_at = time.monotonic() + timeout_s
    while time.monotonic() < ends_at:
        if got := what():
            return got
        time.sleep(0.05)
    raise AssertionError("did not happen in time")


@pytest.fixture
def memory(tmp_path):
    """The memory process alone, with a budget of pictures and rows that is soon spent."""
    store = tmp_path / "store"
    run_dir = run_dir_for(store)
    values = {
        "supervisor": {"beat_s": 0.2, "backoff_s": 0.1},
        "memory": {"retention": {"index_bytes": 700_000, "thumbnails_bytes": 20_000}},
    }
    env = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
    child = subprocess.Popen([sys.executable, "-P", "-c", RUN, str(store), json.dumps(values)], env=env)
    wait_for(lambda: (run_dir / "ready").exists())
    caller = Caller(run_dir, "memory", "command-test")
    yield caller, run_dir
    caller.close()
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(30)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def test_budgets_hold_in_idle_time_and_after_a_kill(memory, take, sentences):
    caller, run_dir = memory
    film = take()

    def ask(kind, message):
        return caller.ask_for(kind, message, timeout_s=30.0)

    def commit(turn):
        t = turn * 100
        said = [film.said(t + n * 10, t + n * 10 + 4, f"{text} {turn}") for n, text in enumerate(sentences)]
        shots = [
            film.shot(t + n * 20, t + n * 20 + 20, f"thing {n}", picture=os.urandom(900)) for n in range(5)
        ]
        frames = [film.seen("frame", t + n / 2, t + n / 2) for n in range(200)]
        put = film.put(*said, *shots, *frames)
        reply = caller.ask(put.message, list(put.parts.values()), timeout_s=30.0)
        assert isinstance(reply.message, CommitAck)
        assert not reply.message.rejects

    def holds():
        told = ask(RetentionTold, RetentionAsk(run=True))
        return told if not told.over and not told.busy and told.steps else None

    commit(0)
    first = film.said(0, 4, f"{sentences[0]} 0")[0].observation_id
    assert ask(PinTold, PinAsk(target=first.hex())).changed == 1
    for turn in range(1, 10):
        commit(turn)
    told = wait_for(holds)
    assert told.steps["frames"] > 100
    assert told.steps["thumbnails"] > 10
    assert told.pins == 1
    assert {row.step for row in told.rows} <= {"frames", "thumbnails", "keys", "digest", "gone"}
    with Caller(run_dir, "supervisor", "test") as supervisor:
        roles = supervisor.ask_for(StatusRoles, StatusAsk(), timeout_s=10).roles
    os.kill(next(role.pid for role in roles if role.name == "memory"), signal.SIGKILL)
    for turn in range(10, 14):
        wait_for(lambda turn=turn: _tried(lambda: commit(turn) is None))
    again = wait_for(lambda: _tried(holds))
    assert sum(again.steps.values()) > sum(told.steps.values())
    status = ask(StatusMemory, StatusAsk())
    assert status.retention["pins"] == 1
    data = ask(DataTold, DataAsk())
    assert data.walked["thumbnails"] <= 20_000
    with pytest.raises(ConfigError, match="no id"):
        ask(PinTold, PinAsk(target="abcdef0123"))
    assert ask(PinTold, PinAsk(target=first.hex(), undo=True)).changed == 1


def _tried(what):
    """What it gives, or nothing while the process is away."""
    from stream.errors import OmniRecallError

    try:
        return what()
    except OmniRecallError:
        return None
