"""The end of long work by a signal: of a process of its own, since signals are those of a whole process."""

from __future__ import annotations

import subprocess
import sys

from tools.child import tool_environment

WORK = """
import os, signal
from tools.stop_signal import StopSignal

met = []
signal.signal(signal.SIGTERM, lambda *_: met.append("before"))
with StopSignal() as stop:
    print(stop.is_asked)
    os.kill(os.getpid(), signal.SIGTERM)
    print(stop.is_asked, met)
    os.kill(os.getpid(), signal.SIGTERM)
    print(met)
os.kill(os.getpid(), signal.SIGTERM)
print(met)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
with StopSignal():
    os.kill(os.getpid(), signal.SIGTERM)
    print("goes on", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    print("never")
"""


def test_the_first_signal_asks_and_the_next_one_does_what_it_did_before():
    command = [sys.executable, "-P", "-c", WORK]
    done = subprocess.run(command, env=tool_environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [
        "False",
        "True []",
        "['before']",
        "['before', 'before']",
        "goes on",
    ], done.stderr
    assert done.returncode == -15
