"""The time of asking has a zone that knows summer and winter, whatever half of the year it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
import tzlocal

from stream.clock_words import clock_words
from stream.commands.options import timed
from stream.local_time import now_here
from stream.messages import Cue

SUMMER = int(datetime(2024, 7, 5, 13, tzinfo=UTC).timestamp()) * 1_000_000_000
WINTER = int(datetime(2024, 1, 5, 14, tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.fixture
def zone(monkeypatch):
    def set_to(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()
        tzlocal.reload_localzone()

    yield set_to
    monkeypatch.undo()
    time.tzset()
    tzlocal.reload_localzone()


@pytest.mark.parametrize(("date", "since_ns"), [("5 July 2024", SUMMER), ("5 January 2024", WINTER)])
def test_an_hour_is_that_of_its_own_half_of_the_year(zone, date, since_ns):
    zone("Europe/Berlin")
    text = f"What was said on {date} from 3 pm to 4 pm?"
    assert clock_words(text, now_here()).hull.since_ns == since_ns
    cue, told = timed(text, Cue())
    assert cue.t0_ns == since_ns
    assert f"{date[0]:0>2} 15:00" in told[0]


def test_a_zone_without_a_known_name_still_has_todays_offset(zone):
    with pytest.raises(LookupError):
        zone("Nowhere/Atall")
    now = now_here()
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=5)
    assert now.utcoffset() == datetime.now().astimezone().utcoffset()
