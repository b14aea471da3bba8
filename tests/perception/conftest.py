"""Perception's real processes under a real supervisor, with a toy memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgpack
import msgspec
import pytest

from perception.audio.service import AudioService
from stream.config import Config
from stream.messages.control import SourceOpen, StatusAsk, StatusRoles
from stream.messages.observation import CommitPut
from stream.process.surroundings import Surroundings
from stream.wire.caller import Caller
from stream.wire.endpoints import run_dir_for

TOYS = Path(__file__).parent / "toy"
RUN = """
import json, sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from stream.config import Config
from stream.process.roles import ROLES, SECTIONS, Role
from stream.process.supervisor import Supervisor
own = SECTIONS["supervisor"]
wanted = json.loads(sys.argv[4])
roles = {n: replace(ROLES[n], starts="source" if n == "capture" else "always") for n in wanted}
roles["memory"] = Role("perception_toys:ToyMemory", own, "always", 0, 3)
sections = {n: SECTIONS[n] for n in ("cpu", "supervisor", *wanted)} | {"memory": own}
Supervisor(Path(sys.argv[1]), Config(json.loads(sys.argv[3]), sections), None, roles).run()
"""


class House:
    """Real roles of perception beside a toy memory."""

    def __init__(self, store, roles, values):
        self.store = store
        self.run_dir = run_dir_for(store)
        env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(TOYS), str(Path(__file__).parents[2])]))
        values = {"supervisor": {"beat_s": 0.2, "backoff_s": 0.1, "trace": True}} | values
        arguments = [str(store), str(TOYS), json.dumps(values), json.dumps(list(roles))]
        self.child = subprocess.Popen([sys.executable, "-P", "-c", RUN, *arguments], env=env)

    def wait_for(self, what, timeout_s=240.0):
        ends_at = time.monotonic() + timeout_s
        while time.monotonic() < ends_at:
            if got := what():
                return got
            time.sleep(0.02)
        raise AssertionError("did not happen in time")

    def status(self):
        with Caller(self.run_dir, "supervisor", "test") as supervisor:
            return {r.name: r for r in supervisor.ask_for(StatusRoles, StatusAsk(), timeout_s=60).roles}

    def open(self, uri, **more):
        """Has the real capture process read a file."""
        with Caller(self.run_dir, "supervisor", "test") as supervisor:
            supervisor.ask(SourceOpen(uri=str(uri), **more), timeout_s=60)

    def source(self):
        """What is reported of the one source that was opened."""
        with Caller(self.run_dir, "supervisor", "test") as supervisor:
            (source,) = supervisor.ask_for(StatusRoles, StatusAsk(), timeout_s=60).sources
        return source

    def kill(self, role):
        pid = 0  # while it is being restarted; a signal to 0 would go to our own group
        while not pid:
            pid = self.status()[role].pid
        os.kill(pid, signal.SIGKILL)

    def commits(self):
        """Every commit that memory has, with its parts; repeats included."""
        path = self.store / "commits.msgpack"
        if not path.exists():
            return []
        with path.open("rb") as file:
            whole = msgpack.Unpacker(file, max_buffer_size=1 << 30)
            return [(msgspec.convert(body, CommitPut), parts) for body, parts in whole]

    def observations(self, kind=None):
        """By id, the first time that each came."""
        known = {}
        for put, _ in self.commits():
            for observation in put.observations:
                if kind in (None, observation.kind):
                    known.setdefault(observation.observation_id, observation)
        return known

    def close(self):
        self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(120)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Starts a house: `house("encoder", video={"text": False})`."""
    started = []

    def start(*roles, environment=(), **values):
        for name, value in environment:
            monkeypatch.setenv(name, value)
        own = House(tmp_path / f"store{len(started)}", roles, values)
        started.append(own)
        own.wait_for(lambda: (own.run_dir / "ready").exists())
        return own

    yield start
    for own in started:
        own.close()


@pytest.fixture
def audio_service(tmp_path):
    """An audio service that no process runs, with these settings."""

    def make(**values):
        config = Config({"audio": values})
        return AudioService(
            Surroundings(
                role="audio",
                name="audio",
                store_dir=tmp_path,
                run_dir=tmp_path,
                config=config,
                settings=config.section("audio"),
            )
        )

    return make
