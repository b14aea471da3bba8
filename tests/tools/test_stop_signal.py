"""The end of long work by a signal."""

from __future__ import annotations

import os
import signal

from tools.stop_signal import StopSignal


def test_the_first_signal_asks_and_the_next_one_does_what_it_did_before():
    met = []
    before = signal.signal(signal.SIGTERM, lambda *_: met.append("before"))
    try:
        with StopSignal() as stop:
            assert not stop.is_asked
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.is_asked
            assert not met
            os.kill(os.getpid(), signal.SIGTERM)
            assert met == ["before"]
        os.kill(os.getpid(), signal.SIGTERM)
        assert met == ["before", "before"]
    finally:
        signal.signal(signal.SIGTERM, before)
