"""Dates of turns as people read them."""

from __future__ import annotations

import pytest

from stream.shown_times import has_date, shown

S = 1_000_000_000
MARCH_1_NS = 1_709_287_200 * S


@pytest.mark.parametrize(
    ("zone", "end_s", "told"),
    [
        ("", None, "2024-03-01 10:00:00 UTC"),
        ("UTC", 90, "2024-03-01 10:00:00-10:01:30 UTC"),
        ("Europe/Berlin", None, "2024-03-01 11:00:00 CET"),
        ("America/New_York", 86_400, "2024-03-01 05:00:00 EST-2024-03-02 05:00:00 EST"),
        ("No/Such", None, "2024-03-01 10:00:00 UTC"),
        ("", 0, "2024-03-01 10:00:00 UTC"),
    ],
)
def test_a_time_is_told_in_the_zone_of_its_source(zone, end_s, told):
    end_ns = None if end_s is None else MARCH_1_NS + end_s * S
    assert shown(MARCH_1_NS, zone, end_ns=end_ns) == told


def test_only_dated_chats_are_told_by_date():
    assert has_date("chat", 0)
    assert not has_date("chat", None)
    assert not has_date("file", 0)
