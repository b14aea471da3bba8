"""Lanes: order, ages, and errors that come back to the loop."""

from __future__ import annotations

import select
import threading
import time

import pytest

from stream.process.lanes import Lane, Wake


@pytest.fixture
def wake():
    wake = Wake()
    yield wake
    wake.close()


def deliver(lane, wake, until, timeout_s=5.0):
    ends_at = time.monotonic() + timeout_s
    while not until() and time.monotonic() < ends_at:
        select.select([wake.descriptor], [], [], 0.1)
        wake.clear()
        lane.deliver()
    assert until()


def test_results_come_back_in_order_in_the_loops_thread(wake):
    lane, got = Lane("t", wake), []
    for n in range(20):
        lane.submit(lambda n=n: n * n, done=lambda r: got.append((r, threading.current_thread())))
    deliver(lane, wake, lambda: len(got) == 20)
    assert [r for r, _ in got] == [n * n for n in range(20)]
    assert {thread for _, thread in got} == {threading.main_thread()}
    assert lane.pending == 0


def test_an_error_is_handed_over_and_an_unheard_one_raises_in_the_loop(wake):
    lane, errors = Lane("t", wake), []
    lane.submit(lambda: 1 / 0, failed=errors.append)
    deliver(lane, wake, lambda: bool(errors))
    assert isinstance(errors[0], ZeroDivisionError)
    lane.submit(lambda: 1 / 0)
    time.sleep(0.1)
    with pytest.raises(ZeroDivisionError):
        lane.deliver()


def test_the_age_of_running_work_is_seen(wake):
    lane, gate = Lane("t", wake), threading.Event()
    assert lane.working_s() == 0
    lane.submit(gate.wait)
    time.sleep(0.15)
    assert lane.working_s() > 0.1
    gate.set()
