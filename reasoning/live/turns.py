"""Turns of a talk: a state machine over what is heard, with the time passed in. No wire, no thread.

An answer that is being spoken is *ducked* as soon as somebody may be talking. The voice is *confirmed* once
voice activity is sure of it, or by its words; then the answer is cancelled, under a new epoch. It was a
*false start* where the voice ends before that, or within a bound: the answer is resumed. So each duck ends,
whatever is lost on the way. In a source that hears the spoken answer itself (no echo cancellation) a voice is
confirmed by its words alone.

The first epoch is to be UTC milliseconds: so epochs go on rising through a restart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from reasoning.live.own_voice import OwnVoice
from reasoning.live.wanted import Around, Wanted, wants_answer
from reasoning.settings import TurnSettings
from stream.messages.turn import EventTurn, latest_epoch

MOST_SOURCES = 64
S_NS = 1_000_000_000
HELD_AFTER_NS = 3 * S_NS
"""For so long after push-to-talk was let go, what is recognised was said while it was held."""
MOST_HELD_NS = 300 * S_NS
"""For so long push-to-talk counts as held where nobody says that it was let go: that may be lost."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Where something was heard, and when: where it begins in the source, and UTC."""

    source_id: bytes
    session: int
    pts_ns: int
    t_ns: int | None = None


@dataclass(slots=True)
class _Source:
    """What is known of one source; times are those of the machine's clock."""

    voice_since_ns: int | None = None
    is_sure: bool = False
    echoed_ns: int | None = None
    said_pts_ns: int | None = None
    question: str = ""
    answered_ns: int | None = None
    ignored: deque[int] = field(default_factory=lambda: deque(maxlen=20))


class TurnMachine:
    """Decides what voices mean. All calls give what is to be told, in order; none waits.

    Args:
        settings: Names, bounds, thresholds.
        new_id: Makes ids of turns.
        epoch: Later than all that an earlier machine gave.
        utc_ms: What time it is. A new epoch is no earlier than that: pages begin to count at the time when
            their gateway began, which may be later than this machine did.
    """

    def __init__(
        self,
        settings: TurnSettings,
        new_id: Callable[[], bytes],
        epoch: int = 0,
        utc_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        self._settings = settings
        self._new_id = new_id
        self._utc_ms = utc_ms
        self._sources: dict[tuple[bytes, int], _Source] = {}
        self._own = OwnVoice(int(settings.echo_s * S_NS), settings.echo_likeness)
        self._speaks: int | None = None
        self._ducked: tuple[int, Heard] | None = None
        self._held: dict[bytes, int] = {}
        """Until when what is said in a source counts as said with the key held; b"" for all."""
        self.epoch = epoch
        self._least = 0
        """The last epoch that was told: what is spoken of an earlier one is about to be silent."""

    @property
    def is_ducked(self) -> bool:
        """Whether an answer is being spoken softer, and is to be resumed or cancelled."""
        return self._ducked is not None

    @property
    def is_speaking(self) -> bool:
        """Whether an answer is being spoken."""
        return self._speaks is not None

    # What happens.

    def voice(self, phase: Literal["start", "sure", "end"], at: Heard, now_ns: int) -> list[EventTurn]:
        """Voice activity began, is sure, or ended."""
        source = self._source(at)
        if phase == "end":
            was_sure, source.voice_since_ns, source.is_sure = source.is_sure, None, False
            if self._ducked is None or self._is_any_voice():
                return []
            # Of a sure voice that did not confirm, words may still come: until the bound.
            return [] if was_sure else self._resume(at, "a false start")
        if source.voice_since_ns is None:
            source.voice_since_ns = now_ns
        source.is_sure = source.is_sure or phase == "sure"
        if not self.is_speaking:
            return []
        told = []
        if self._ducked is None:
            self._ducked = now_ns, at
            told.append(self._event("duck", at, "a voice began"))
        if source.is_sure and (self._is_held(at, now_ns) or not self._hears_itself(source, now_ns)):
            told.append(self._cancel(at, "somebody is talking", now_ns))
        return told

    def utterance(self, text: str, at: Heard, lasted_ns: int, now_ns: int) -> list[EventTurn]:
        """Somebody said something that lasted so long and has just ended."""
        source = self._source(at)
        rest = self._own.rest_of(text, now_ns, lasted_ns)
        if not rest:
            source.echoed_ns = now_ns
            told = [] if self._ducked is None else self._resume(at, "its own voice")
            return [*told, self._event("ignored", at, "its own voice", text=text)]
        told = []
        if self.is_speaking:
            told.append(self._cancel(at, "somebody said something", now_ns))
        return [*told, self._judged(source, rest, at, lasted_ns, now_ns)]

    def playing(
        self, state: Literal["started", "ended"], epoch: int, text: str, now_ns: int
    ) -> list[EventTurn]:
        """An answer is spoken, or is not any more; of an earlier epoch it is about to be silent anyway."""
        epoch = self._believed(epoch)
        if state == "started":
            self._own.started(text, now_ns)
            if epoch >= self._least:
                self.epoch, self._speaks = max(self.epoch, epoch), epoch
            return []
        self._own.ended(now_ns)
        if self._speaks is None or epoch < self._speaks:
            return []
        self._speaks = None
        self._questions_are_answered(now_ns)
        if self._ducked is None:
            return []
        return self._resume(self._ducked[1], "the answer has ended")

    def talk(self, state: Literal["down", "up"], source_id: bytes, now_ns: int) -> list[EventTurn]:
        """Push-to-talk is held down, or let go. Who holds it wants to be heard: the answer stops.

        What was said while it was held is recognised after it was let go.
        """
        self._held.pop(source_id, None)
        self._held[source_id] = now_ns + (MOST_HELD_NS if state == "down" else HELD_AFTER_NS)
        if len(self._held) > MOST_SOURCES:
            del self._held[next(iter(self._held))]
        if state == "down" and self.is_speaking:
            return [self._cancel(Heard(source_id, 0, 0), "push-to-talk is held", now_ns)]
        return []

    def opened(self, epoch: int) -> None:
        """A turn of this epoch was opened by somebody."""
        self.epoch = max(self.epoch, self._believed(epoch))

    def tick(self, now_ns: int) -> list[EventTurn]:
        """Called again and again: what was not confirmed in time was nothing."""
        if self._ducked is None or now_ns - self._ducked[0] < self._settings.bound_s * S_NS:
            return []
        return self._resume(self._ducked[1], "nothing was said")

    # What it means.

    def _judged(self, source: _Source, text: str, at: Heard, lasted_ns: int, now_ns: int) -> EventTurn:
        """Whether an utterance wants an answer, with the unanswered question that it goes on with."""
        goes_on_with = ""
        if source.question and source.said_pts_ns is not None and source.answered_ns is None:
            is_near = at.pts_ns - source.said_pts_ns <= self._settings.join_s * S_NS
            goes_on_with = source.question if is_near else ""
        wanted = self._wanted(source, f"{goes_on_with} {text}".strip(), at, now_ns)
        source.said_pts_ns = at.pts_ns + lasted_ns
        if not wanted.wants:
            source.ignored.append(now_ns)
            return self._event("ignored", at, wanted.reason, text=text)
        self._begin_epoch()
        source.question, source.answered_ns = wanted.text, None
        source.ignored.clear()
        return self._event("open", at, wanted.reason, text=wanted.text, turn_id=self._new_id())

    def _wanted(self, source: _Source, text: str, at: Heard, now_ns: int) -> Wanted:
        own = self._settings
        since_ns = now_ns - int(own.people_s * S_NS)
        around = Around(
            is_held=self._is_held(at, now_ns),
            goes_on=source.answered_ns is not None and now_ns - source.answered_ns <= own.dialogue_s * S_NS,
            among_people=sum(at_ns >= since_ns for at_ns in source.ignored) >= own.people_utterances,
        )
        wanted = wants_answer(text, around, own.names)
        is_addressed = around.is_held or around.goes_on or wanted.is_named
        if wanted.wants and not (own.unaddressed or is_addressed):
            return Wanted(False, "it was not called by its name", text)
        return wanted

    def _is_held(self, at: Heard, now_ns: int) -> bool:
        return any(now_ns < self._held.get(one, 0) for one in (at.source_id, b""))

    def _hears_itself(self, source: _Source, now_ns: int) -> bool:
        heard_ns = source.echoed_ns
        return heard_ns is not None and now_ns - heard_ns < self._settings.echo_memory_s * S_NS

    def _cancel(self, at: Heard, reason: str, now_ns: int) -> EventTurn:
        self._begin_epoch()
        self._speaks = self._ducked = None
        self._own.ended(now_ns)
        self._questions_are_answered(now_ns)
        return self._event("cancel", at, reason)

    def _begin_epoch(self) -> None:
        self.epoch = self._least = max(self.epoch + 1, self._utc_ms())

    def _believed(self, epoch: int) -> int:
        """An epoch that was told, or the latest that it can be."""
        return min(epoch, latest_epoch(self.epoch, self._utc_ms()))

    def _questions_are_answered(self, now_ns: int) -> None:
        """What is said next in their sources goes on with the dialogue, not with the question."""
        for source in self._sources.values():
            if source.question:
                source.question, source.answered_ns = "", now_ns

    def _resume(self, at: Heard, reason: str) -> list[EventTurn]:
        self._ducked = None
        return [self._event("resume", at, reason)]

    def _is_any_voice(self) -> bool:
        return any(source.voice_since_ns is not None for source in self._sources.values())

    def _source(self, at: Heard) -> _Source:
        """What is known of a source; of the one that was silent longest nothing, where there are many."""
        key = at.source_id, at.session
        known = self._sources.pop(key, None) or _Source()
        self._sources[key] = known
        if len(self._sources) > MOST_SOURCES:
            del self._sources[next(iter(self._sources))]
        return known

    def _event(
        self,
        phase: Literal["duck", "resume", "cancel", "open", "ignored"],
        at: Heard,
        reason: str,
        *,
        text: str = "",
        turn_id: bytes = b"",
    ) -> EventTurn:
        return EventTurn(
            phase=phase,
            turn_epoch=self.epoch,
            turn_id=turn_id,
            text=text,
            reason=reason,
            source_id=at.source_id,
            session=at.session,
            pts_ns=at.pts_ns,
            t_ns=at.t_ns,
        )
