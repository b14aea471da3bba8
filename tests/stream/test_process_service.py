"""How a process ends that cannot start, or cannot go on: for good, or to be started again."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from stream.config import Config
from stream.errors import DiskFull, SchemaTooNew, StoreBusy
from stream.messages import CommitAck, CommitPut, Observation
from stream.messages.control import RoleBye
from stream.process.clock import SimulatedClock
from stream.process.liveness import backoff_s, breaker_is_open
from stream.process.service import Service
from stream.process.settings import SupervisorSettings
from stream.process.surroundings import Surroundings

SECTIONS = {"supervisor": "stream.process.settings:SupervisorSettings"}
S = 10**9


class Failing(Service):
    """Fails in `set_up`, or in the loop."""

    role = "memory"
    at_start = True
    error = StoreBusy("writer.lock is held")

    def set_up(self):
        if self.at_start:
            raise self.error

    def idle(self):
        raise self.error


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A service whose sockets are not connected; what it tells its supervisor is kept."""
    monkeypatch.setattr("stream.process.service.signal.signal", lambda *_: None)
    monkeypatch.setattr(Service, "connect", lambda *_: None)

    def build(**values):
        service = type("One", (Failing,), values)(
            Surroundings(
                role="memory",
                name="memory",
                store_dir=tmp_path,
                run_dir=tmp_path,
                config=Config({}, SECTIONS),
                settings=SupervisorSettings(),
                clock=SimulatedClock(),
            )
        )
        service.told = []
        service._tell = service.told.append
        service._close_all = lambda: None
        return service

    return build


def ended(service):
    """What it was ended by, the word it left, and how long it took."""
    with pytest.raises(type(service.error)):
        service.run()
    bye = service.told[-1]
    assert isinstance(bye, RoleBye)
    return bye.failed, service.clock.monotonic_ns() / S


@pytest.mark.parametrize("error", [StoreBusy("held"), DiskFull("no room")])
def test_a_start_that_may_succeed_later_is_put_off_and_not_given_up(make, error):
    failed, took_s = ended(make(error=error))
    assert failed == ""
    assert took_s == pytest.approx(SupervisorSettings().least_start_s, abs=0.2)


def test_an_error_that_stays_is_told_at_once(make):
    failed, took_s = ended(make(error=SchemaTooNew("newer")))
    assert failed.startswith("SchemaTooNew")
    assert took_s == 0


def test_a_process_that_serves_ends_at_once_when_the_disk_is_full(make):
    assert ended(make(error=DiskFull("no room"), at_start=False)) == ("", 0)


def test_waiting_for_another_start_ends_with_the_wish_to_end_and_with_the_supervisor(make, monkeypatch):
    asked = make()
    asked.clock.sleep_ns = lambda _: asked._start_draining()
    assert ended(asked) == ("", 0)
    orphan = make()
    parents = iter([os.getppid(), 1])
    monkeypatch.setattr("stream.process.service.os.getppid", lambda: next(parents))
    assert ended(orphan)[1] == pytest.approx(0.1)


@pytest.mark.parametrize("settings", [SupervisorSettings(), SupervisorSettings(breaker_restarts=2)])
def test_starts_in_vain_never_open_the_breaker(settings):
    now_s, ends_s = 0.0, []
    for _ in range(50):
        now_s += settings.least_start_s
        ends_s.append(now_s)
        assert not breaker_is_open(ends_s, now_s, settings)
        now_s += backoff_s(1, settings)


def test_a_spool_is_cleaned_of_what_memory_has(make, tmp_path):
    service = make()
    marker = "said once and acknowledged " * 8
    put = CommitPut(
        outbox_seq=0,
        observations=(
            Observation(
                observation_id=b"o" * 16,
                source_id=b"s" * 16,
                session=0,
                track=0,
                kind="utterance",
                producer_id="test",
                pts0_ns=0,
                pts1_ns=1,
                text=marker,
            ),
        ),
    )
    for _ in range(2):
        service.outbox.put(put)
    service._peers["memory"] = SimpleNamespace(send=lambda *_, **__: None)

    def left():
        service._send_due()
        spool = (tmp_path / "spool").glob("*")
        return sum(path.read_bytes().count(marker.encode()) for path in spool)

    for seq in (1, 2):
        assert left() > 0
        service._acknowledged(SimpleNamespace(message=CommitAck(outbox_seq=seq, commit_no=seq)))
    assert left() > 0, "not at once: more may come"
    service.clock.sleep_ns(2 * S)
    assert left() == 0
    assert service.outbox.waiting == 0
    service.outbox.put(put)
    service.outbox.put(put)
    left()
    service._acknowledged(SimpleNamespace(message=CommitAck(outbox_seq=3, commit_no=3)))
    service.clock.sleep_ns(2 * S)
    assert left() > 1, "while something waits, not so often"
    service.clock.sleep_ns(11 * S)
    assert left() == 1
    service.outbox.close()
