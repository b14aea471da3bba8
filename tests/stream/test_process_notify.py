"""What systemd is told, on a real socket of its protocol."""

from __future__ import annotations

import os
import socket

import pytest

from stream.process.notify import ServiceNotice


@pytest.fixture
def manager(tmp_path):
    """The service manager's end, and the words that come."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
        way.bind(str(tmp_path / "notify"))
        way.settimeout(1.0)
        yield way, {"NOTIFY_SOCKET": str(tmp_path / "notify")}


def words(way):
    return way.recv(1_000).decode().splitlines()


def nothing_more(way):
    way.settimeout(0.05)
    with pytest.raises(TimeoutError):
        way.recv(1_000)


def test_serving_is_told_once_and_ending_too(manager):
    way, environment = manager
    notice = ServiceNotice(environment)
    notice.serving()
    notice.serving()
    assert "READY=1" in words(way)
    notice.ending()
    assert "STOPPING=1" in words(way)
    nothing_more(way)


def test_signs_of_life_come_at_half_the_time_that_is_allowed(manager):
    way, environment = manager
    notice = ServiceNotice({**environment, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())})
    assert notice.every_s == 15.0
    for now_s in (100.0, 101.0, 114.9, 115.1, 116.0):
        notice.turned(now_s)
    assert words(way) == ["WATCHDOG=1"]
    assert words(way) == ["WATCHDOG=1"]
    nothing_more(way)


def test_who_is_not_watched_gives_no_signs(manager):
    way, environment = manager
    ServiceNotice({**environment, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}).turned(1.0)
    ServiceNotice(environment).turned(1.0)
    nothing_more(way)


def test_without_a_manager_nothing_happens(tmp_path):
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "none"), "WATCHDOG_USEC": "x"}):
        notice = ServiceNotice(environment)
        notice.serving()
        notice.turned(1.0)
        notice.ending()
