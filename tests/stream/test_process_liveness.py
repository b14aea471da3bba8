"""Supervision as pure functions of time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from stream.process.liveness import State, backoff_s, breaker_is_open, fault, has_ended
from stream.process.settings import SupervisorSettings

S = SupervisorSettings()


def told(state, **times):
    return fault(state, **({"age_s": 0.0, "silent_s": 0.0, "working_s": 0.0} | times), settings=S)


def test_a_silent_or_hung_role_is_replaced_and_a_busy_one_is_not():
    assert told(State.SERVING, silent_s=4.0)
    assert told(State.SERVING, working_s=S.hung_s + 1)
    assert not told(State.SERVING, silent_s=1.5, working_s=60)
    assert not told(State.STARTING, silent_s=30, age_s=30)
    assert told(State.STARTING, age_s=61)
    assert told(State.DRAINING, age_s=13)
    assert not told(State.DRAINING, age_s=5, silent_s=5)


def test_backoff_doubles_and_is_bounded():
    assert [backoff_s(n, S) for n in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert backoff_s(50, S) == S.backoff_max_s


def test_the_breaker_opens_after_five_restarts_in_a_minute_only():
    assert breaker_is_open([0, 1, 2, 3, 4], 5, S)
    assert not breaker_is_open([0, 20, 40, 61, 80], 81, S)


def test_a_process_that_is_waited_for_while_it_is_looked_at_has_ended(monkeypatch):
    """Between the question whether it is there and the look at its state its parent may take it away."""
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert has_ended(f"toy-{child.pid}"), "a zombie"
    read = Path.read_text

    def waited_for_first(path, **how):
        child.wait()
        return read(path, **how)

    monkeypatch.setattr(Path, "read_text", waited_for_first)
    assert has_ended(f"toy-{child.pid}")
    assert not has_ended(f"toy-{os.getpid()}")
