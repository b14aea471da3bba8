"""The memory process in its idle time: a tree above events, a budget of them, views made anew."""

from __future__ import annotations

import os
import signal

import pytest

from stream.errors import DeadlineExceeded, RoleUnavailable
from stream.messages import Cue, RecallAsk
from stream.messages.control import ReindexAsk, ReindexTold
from stream.messages.evidence import Evidence
from stream.messages.span import TimelineAsk, TimelineSpans
from tests.memory.roll_up import ns
from tests.memory.test_memory_service import house, wait_for

pytestmark = [pytest.mark.system]
__all__ = ["house"]


def day_of(own):
    found = own.ask(TimelineSpans, TimelineAsk(level="day"))
    return found.entries[0] if found.entries else None


def rebuilt(own):
    try:
        return own.ask(ReindexTold, ReindexAsk(), timeout_s=3).views_over
    except (RoleUnavailable, DeadlineExceeded):
        return False  # It is just coming back.


def test_a_day_is_rolled_up_told_and_made_anew_by_a_process_that_is_killed(house, take):
    own = house("memory")
    film = take(origin_ns=ns(2026, 3, 3, 9), media=("video",))
    shots = [film.shot(n * 10, n * 10 + 10, f"thing{n} in the kitchen") for n in range(300)]
    own.commit(film.put(*shots, marks=film.ends(3000)))
    day = wait_for(lambda: (found := day_of(own)) and found.span.why == "midnight" and found)
    assert len(day.lines) == len(day.cites) == 12
    cue = Cue(t0_ns=ns(2026, 3, 3), t1_ns=ns(2026, 3, 4))
    told = own.ask(Evidence, RecallAsk(cue=cue, k=4, unit="digest"))
    assert [item.level for item in told.items] == ["day"] * 4
    own.ask(ReindexTold, ReindexAsk(begin=True, views=True), timeout_s=60)
    os.kill(own.pid(), signal.SIGKILL)
    wait_for(lambda: rebuilt(own), 60)
    wait_for(lambda: (found := day_of(own)) and found.cites == day.cites)
    assert own.ask(TimelineSpans, TimelineAsk(level="event")).total == 300
    assert not list((own.store / "views").glob("spans.part*"))
    assert own.ask(Evidence, RecallAsk(cue=cue, k=4, unit="digest")).items == told.items
