"""Readings that a review found wrong: follow-ups that stand alone, "last" of a noun, names that are verbs."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from reasoning.operators.count import reads as reads_count
from reasoning.operators.last_seen import LastSeen
from reasoning.operators.last_seen import reads as reads_last_seen
from reasoning.question import read_question
from reasoning.question.follow_up import DialogueTurn, resolved
from reasoning.recency import read_recent

NOW = datetime(2026, 11, 27, 15, 0, tzinfo=ZoneInfo("Europe/Berlin"))  # A Friday.
BIKE = "Where did Anna buy the bike?"


def full(asked, before=BIKE, told=""):
    return resolved(asked, [DialogueTurn(read_question(before, NOW), told)], NOW).asked


@pytest.mark.parametrize(
    "asked",
    [
        "What did Ben say about his car?",
        "Did Ben find his keys?",
        "Please list the guests.",
        "Please summarise today.",
        "And list the guests.",
        "Ok thanks",
        "Ok, the garden.",
        "What time is it?",
        "What day is it?",
        "Is it Monday today?",
        "Is it true?",
        "Who is that?",
    ],
)
def test_what_names_its_own_people_and_things_is_left_as_it_is(asked):
    assert full(asked) == asked


@pytest.mark.parametrize(
    ("asked", "told", "means"),
    [
        ("Who is that?", "Clara said that it is dear.", "Who is Clara"),
        ("What did she say about his car?", "", "What did Anna say about his car"),
        ("Describe her garden.", "", "Describe Anna's garden"),
        ("So the kitchen?", "", "Where did Anna buy the kitchen"),
        ("What about Ben?", "", "Where did Ben buy the bike"),
    ],
)
def test_what_leans_is_still_said_in_full(asked, told, means):
    assert full(asked, told=told) == means


def test_what_was_told_gets_no_second_article():
    told = "Clara said that the boiler leaks."
    assert full("Was it repaired?", "What did Clara say?", told) == "Was the boiler repaired"
    assert full("Was it repaired?", "What did Clara say?", "Clara said that the boiler.") == (
        "Was the boiler repaired"
    )


@pytest.mark.parametrize(
    ("asked", "is_now"),
    [
        ("What is in the second drawer?", False),
        ("Who is in this second picture?", False),
        ("What do you see at this second?", True),
        ("What is shown at the very moment?", True),
    ],
)
def test_a_second_thing_is_no_second_of_time(asked, is_now):
    assert (read_recent(asked)[0] is not None) is is_now


@pytest.mark.parametrize(
    "asked",
    [
        "When did he say his last words?",
        "Where did I see the last train?",
        "When did she mention her first husband?",
        "When did they talk of Clara's first garden?",
    ],
)
def test_the_last_of_its_kind_is_not_the_last_time(asked):
    assert reads_last_seen(read_question(asked, NOW)) is None


@pytest.mark.parametrize(
    ("asked", "edge"),
    [
        ("When did I last see the dog?", "last"),
        ("When was the dog first mentioned?", "first"),
        ("When did we see the dog for the last time?", "last"),
        ("When was the last mention of the dog?", "last"),
        ("When was the last time that we saw the dog?", "last"),
    ],
)
def test_when_a_thing_was_met_last_is_still_asked(asked, edge):
    assert reads_last_seen(read_question(asked, NOW)) == LastSeen(edge)


def test_names_that_are_verbs_in_small_letters_are_counted():
    for name in ("May", "Will"):
        assert reads_count(read_question(f"How many times did {name} mention the march?", NOW)) is not None
    assert reads_count(read_question("How many times may it be mentioned?", NOW)) is None
    assert reads_count(read_question("How often can the film be shown?", NOW)) is None
