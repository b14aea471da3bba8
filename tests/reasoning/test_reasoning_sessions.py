"""A camera that was switched on several times: the same source in each session, each in its own time."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from reasoning.asking import within
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from stream.messages import Coverage, Cue
from stream.messages.control import SourceStatus

S = 1_000_000_000
MONDAY_NS = round(datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp()) * S
TUESDAY_NS = MONDAY_NS + 86_400 * S
CAMERA = b"c" * 16


def session_of(begun_ns, length_s=3_600):
    return SourceStatus(
        source_id=CAMERA,
        session=begun_ns,
        kind="camera",
        uri="camera:door",
        duration_ns=length_s * S,
        tracks=(),
        observations=1,
    )


def test_a_stretch_of_a_session_is_one_of_time():
    cue = within(Cue(text="x"), session_of(MONDAY_NS), 60 * S, 120 * S)
    assert (cue.t0_ns, cue.t1_ns) == (MONDAY_NS + 60 * S, MONDAY_NS + 120 * S)
    assert (cue.pts0_ns, cue.pts1_ns) == (None, None)
    assert cue.sources == (CAMERA.hex(),)
    cue = within(Cue(), session_of(MONDAY_NS, length_s=100), None, None)
    assert (cue.t0_ns, cue.t1_ns) == (MONDAY_NS, MONDAY_NS + 100 * S + 1), "its last moment is in it"


def test_a_stretch_of_a_file_is_one_of_positions():
    film = msgspec.structs.replace(session_of(0), session=0)
    cue = within(Cue(t0_ns=5), film, 60 * S, None)
    assert (cue.pts0_ns, cue.pts1_ns, cue.t0_ns) == (60 * S, None, 5)


def test_a_wanted_time_and_a_session_have_their_common_part():
    wanted = Cue(t0_ns=MONDAY_NS + 30 * S, t1_ns=TUESDAY_NS)
    cue = within(wanted, session_of(MONDAY_NS), 0, 60 * S)
    assert (cue.t0_ns, cue.t1_ns) == (MONDAY_NS + 30 * S, MONDAY_NS + 60 * S)
    nothing = within(wanted, session_of(TUESDAY_NS + S), 0, 60 * S)
    assert nothing.t0_ns == nothing.t1_ns


@pytest.fixture
def two_days(item, memory_of):
    def said(day_ns, at_s, text):
        one = item("utterance", at_s, at_s + 2, text, source="door", session=day_ns, t0_ns=day_ns + at_s * S)
        return msgspec.structs.replace(one, source_kind="camera")

    return memory_of(
        said(MONDAY_NS, 3_590, "The post is here on Monday."),
        said(MONDAY_NS, 10, "Good morning on Monday."),
        said(TUESDAY_NS, 10, "Good morning on Tuesday."),
        said(TUESDAY_NS, 3_590, "The post is here on Tuesday."),
    )


def test_the_last_minutes_of_a_camera_are_those_of_its_last_session(two_days):
    answer = Reasoner(two_days, ReasoningSettings()).answer("What was said in the last ten minutes?", Cue())
    told = " ".join(sentence.text for sentence in answer.sentences)
    assert "post is here on Tuesday" in told
    assert "Monday" not in told
    assert "Good morning" not in told


def test_each_session_is_asked_for_in_its_own_time(two_days):
    Reasoner(two_days, ReasoningSettings()).answer("What is the last thing that is said?", Cue())
    ranged = [cue for cue in two_days.cues if cue.t0_ns is not None]
    assert ranged
    for cue in ranged:
        begun_ns = MONDAY_NS if cue.t0_ns < TUESDAY_NS else TUESDAY_NS
        assert begun_ns <= cue.t0_ns < cue.t1_ns <= begun_ns + 3_600 * S
        assert cue.pts0_ns is None, "by position all sessions would be meant"


def test_sessions_of_another_day_are_not_asked(two_days):
    day = Cue(t0_ns=TUESDAY_NS - 3_600 * S, t1_ns=TUESDAY_NS + 40_000 * S)
    answer = Reasoner(two_days, ReasoningSettings()).answer("What is the first thing that is said?", day)
    assert "Good morning on Tuesday" in " ".join(sentence.text for sentence in answer.sentences)
    ranged = [cue for cue in two_days.cues if cue.sources]
    assert ranged
    assert all(TUESDAY_NS <= cue.t0_ns < cue.t1_ns for cue in ranged)


def test_of_a_day_without_a_session_is_told_how_far_memory_reaches(two_days):
    two_days.coverage = Coverage(through_ns=TUESDAY_NS + 3_600 * S)
    day = Cue(t0_ns=MONDAY_NS - 90_000 * S, t1_ns=MONDAY_NS - 10 * S)
    answer = Reasoner(two_days, ReasoningSettings()).answer("What is the first thing that is said?", day)
    assert answer.verdict == "not_seen"
    assert answer.coverage == two_days.coverage
