"""The turn machine among processes: what is heard on the bus goes in, `event.turn` goes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reasoning.live.turns import Heard, TurnMachine
from reasoning.settings import TurnSettings
from stream.messages.control import EventUtterance, EventVoice
from stream.messages.envelope import new_id
from stream.messages.turn import EventTurn, TurnPlaying, TurnTalk
from stream.process.service import Received, Service
from stream.wire.bus import Subscriber

MS_NS = 1_000_000


class Listening:
    """Listens to voices and words of live sources. Belongs to the thread of the loop.

    Args:
        service: The process.
        settings: Of turns.
        cancelled: Called with the id of a spoken turn whose answer is not wanted any more.
    """

    def __init__(self, service: Service, settings: TurnSettings, cancelled: Callable[[bytes], None]) -> None:
        self._service = service
        self._cancelled = cancelled
        self._asked = b""
        self._machine = TurnMachine(settings, new_id, self._utc_ms(), self._utc_ms)
        self._bus = Subscriber(service.surroundings.run_dir, (EventVoice.TOPIC, EventUtterance.TOPIC))
        service.wake_at(self._bus.socket)
        service.on(TurnPlaying, self._playing)
        service.on(TurnTalk, self._talk)

    def turn(self) -> None:
        """Takes what was heard since the last turn of the loop."""
        for event in self._bus.receive():
            message = event.message
            # Without a session it is of a file that is indexed: nobody talks now.
            if isinstance(message, EventVoice) and message.session:
                at = Heard(message.source_id, message.session, message.pts_ns, message.t_ns)
                self._tell(self._machine.voice(message.phase, at, self._now_ns()))
            elif isinstance(message, EventUtterance) and message.session:
                at = Heard(message.source_id, message.session, message.pts0_ns, message.t1_ns)
                lasted_ns = message.pts1_ns - message.pts0_ns
                self._tell(self._machine.utterance(message.text, at, lasted_ns, self._now_ns()))
        self._tell(self._machine.tick(self._now_ns()))

    def opened(self, epoch: int) -> None:
        """Somebody opened a turn."""
        self._machine.opened(epoch)

    def close(self) -> None:
        """Listens no more."""
        self._bus.close()

    def _playing(self, received: Received) -> None:
        told: TurnPlaying = received.message
        self._tell(self._machine.playing(told.state, told.turn_epoch, told.text, self._now_ns()))

    def _talk(self, received: Received) -> None:
        told: TurnTalk = received.message
        self._tell(self._machine.talk(told.state, told.source_id, self._now_ns()))

    def _tell(self, events: Sequence[EventTurn]) -> None:
        for event in events:
            self._service.metrics.count(f"turns_{event.phase}")
            if event.phase in ("cancel", "open") and self._asked:
                self._cancelled(self._asked)
                self._asked = b""
            if event.phase == "open":
                self._asked = event.turn_id
            self._service.publish(event)

    def _utc_ms(self) -> int:
        return self._service.clock.now_ns() // MS_NS

    def _now_ns(self) -> int:
        return self._service.clock.monotonic_ns()
