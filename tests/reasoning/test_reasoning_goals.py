"""Long questions taken apart as a person would, and others left whole."""

from __future__ import annotations

import pytest

from reasoning.goals import MAX_GOALS, goals_of

from .long_questions import LONG, SINGLE


@pytest.mark.parametrize("asked", LONG)
def test_a_long_question_is_taken_apart(asked):
    assert tuple(goal.part for goal in goals_of(asked)) == LONG[asked]


def test_what_is_asked_twice_is_answered_once():
    asked = "What did Anna cook and who came and what did Anna cook and who came?"
    assert [goal.part for goal in goals_of(asked)] == ["What did Anna cook", "who came"]


@pytest.mark.parametrize("asked", SINGLE)
def test_what_is_one_question_stays_one(asked):
    (goal,) = goals_of(asked)
    assert goal.text == goal.part == asked


@pytest.mark.parametrize(
    ("asked", "texts", "refers"),
    [
        (
            "What did Anna cook and who helped her?",
            ("What did Anna cook", "who helped Anna"),
            ((), (0,)),
        ),
        (
            "What did we do on the trip, who was there, and when did we come back?",
            ("What did we do on the trip", "who was there about the trip", "when did we come back"),
            ((), (0,), ()),
        ),
        (
            "What did Anna and Ben say about the flat, and where do they live?",
            ("What did Anna and Ben say about the flat", "where do Anna and Ben live"),
            ((), (0,)),
        ),
        (
            "What did Tom buy on 3 May 2023, and what did he pay for it?",
            ("What did Tom buy on 3 May 2023", "what did Tom pay for it on 3 May 2023"),
            ((), (0,)),
        ),
        (
            "What did Tom buy on 3 May 2023, and where does Lisa live?",
            ("What did Tom buy on 3 May 2023", "where does Lisa live"),
            ((), ()),
        ),
        (
            "What did Anna buy at the market, and what is the name of the man that she met?",
            ("What did Anna buy at the market", "what is the name of the man that Anna met"),
            ((), (0,)),
        ),
        (
            "Where did Anna live in 2019, and when did she and Ben meet?",
            ("Where did Anna live in 2019", "when did Anna and Ben meet"),
            ((), (0,)),
        ),
        (
            "When did Anna call, and what did Ben do before his lunch?",
            ("When did Anna call", "what did Ben do before his lunch"),
            ((), ()),
        ),
        (
            "Where is the market, and is there a bank?",
            ("Where is the market", "is there a bank"),
            ((), ()),
        ),
        (
            "Who built the tower, and when was the fire and where did it end?",
            ("Who built the tower", "when was the fire", "where did it end about the fire"),
            ((), (), (1,)),
        ),
        (
            "Summarise the week and tell which day it rained.",
            ("summarise this week", "which day it rained"),
            ((), ()),
        ),
    ],
)
def test_a_part_gets_the_words_of_those_it_refers_to(asked, texts, refers):
    goals = goals_of(asked)
    assert tuple(goal.text for goal in goals) == texts
    assert tuple(goal.refers for goal in goals) == refers


WORDS = ("bag", "box", "car", "cat", "cup", "dog", "hat", "key", "pen")
STRANGE = ("", "?", "and and and", ", , ,", "what " * 400, "what and " * 300, "a" * 5000)


def test_a_question_has_so_many_parts_at_most():
    asked = " and ".join(f"where is the {word}" for word in WORDS)
    goals = goals_of(f"{asked}?")
    assert len(goals) == MAX_GOALS
    assert goals[-1].part.endswith("where is the pen")


@pytest.mark.parametrize("asked", STRANGE)
def test_nothing_is_an_error(asked):
    assert goals_of(asked)
