"""The turn machine among processes: which voices of the bus it listens to."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from reasoning.live import listening
from reasoning.settings import TurnSettings
from stream.messages.control import EventVoice
from stream.messages.turn import TurnPlaying
from stream.process.clock import RealClock
from stream.process.metrics import Metrics


class Bus:
    """In place of a subscription: what waits is received once."""

    socket = None

    def __init__(self, *_):
        self.waits = []

    def receive(self):
        waiting, self.waits = self.waits, []
        return [SimpleNamespace(message=message) for message in waiting]


@pytest.fixture
def service():
    """A process that keeps what it publishes."""
    own = SimpleNamespace(
        surroundings=SimpleNamespace(run_dir=None),
        wake_at=lambda _: None,
        metrics=Metrics("reasoning"),
        clock=RealClock(),
        taken={},
        published=[],
    )
    own.on = own.taken.__setitem__
    own.publish = own.published.append
    return own


def test_a_voice_in_a_file_that_is_indexed_ducks_no_answer(service, monkeypatch):
    monkeypatch.setattr(listening, "Subscriber", Bus)
    heard = listening.Listening(service, TurnSettings(), lambda _: None)
    speaks = TurnPlaying(turn_epoch=service.clock.now_ns() // 1_000_000, state="started", text="It is on.")
    service.taken[TurnPlaying](SimpleNamespace(message=speaks))
    for session, phases in ((0, []), (1, ["duck"])):
        begins = EventVoice(source_id=b"s" * 16, session=session, phase="start", pts_ns=0, t_ns=None)
        heard._bus.waits = [begins]
        heard.turn()
        assert [event.phase for event in service.published] == phases
