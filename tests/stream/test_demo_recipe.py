"""The recipe does not contradict itself, and judges answers as it should."""

from __future__ import annotations

import itertools

import pytest

from stream.capture.demo_recipe import DURATION_S, PASSAGES, QUESTIONS, SEGMENTS, VOICE, Card, Clip, Question
from stream.models import demo_media


def test_segments_follow_each_other_without_gaps() -> None:
    assert SEGMENTS[0].t0_s == 0
    for before, after in itertools.pairwise(SEGMENTS):
        assert before.t1_s == after.t0_s
    assert 60 <= DURATION_S <= 120


def test_passages_do_not_overlap_each_other_or_a_clip_with_sound() -> None:
    for before, after in itertools.pairwise(PASSAGES):
        assert before.until_s <= after.at_s
        assert before.to_s <= after.from_s + 0.1
    assert PASSAGES[-1].until_s < DURATION_S
    rabbit = next(segment for segment in SEGMENTS if segment.name == "rabbit")
    assert all(one.until_s <= rabbit.t0_s or one.at_s >= rabbit.t1_s for one in PASSAGES)


def test_every_medium_of_the_recipe_is_locked() -> None:
    lock = demo_media().lock
    used = [(one.picture.item, one.picture.file) for one in SEGMENTS if not isinstance(one.picture, Card)]
    for item, file in [*used, VOICE]:
        assert lock.item(item).locked(file) is not None
    assert {item for item, _ in [*used, VOICE]} == {item.name for item in lock.items}


def test_who_must_be_named_is_named_in_the_film() -> None:
    thanks = " ".join(line for one in SEGMENTS if isinstance(one.picture, Card) for line in one.picture.lines)
    for name in (
        "Blender Foundation",
        "danielbuechele",
        "vultilion",
        "Pete Warden",
        "CC BY 3.0",
        "CC BY 2.0",
    ):
        assert name in thanks


def test_questions_are_eight_of_five_kinds() -> None:
    kinds = sorted(question.sense for question in QUESTIONS)
    assert kinds == ["absent", "absent", "order", "said", "said", "seen", "seen", "written"]


@pytest.mark.parametrize("question", [one for one in QUESTIONS if one.sense in ("said", "written")])
def test_what_is_accepted_stands_in_the_recipe(question: Question) -> None:
    said = [(one.at_s, one.until_s, one.words) for one in PASSAGES]
    written = [(one.t0_s, one.t1_s, " ".join(one.written)) for one in SEGMENTS]
    there = " ".join(
        words
        for begin, end, words in (said if question.sense == "said" else written)
        if begin < question.t1_s and end > question.t0_s
    )
    assert all(phrase in there for phrase in question.accepted)


def test_intervals_are_those_of_the_segments() -> None:
    edges = {(one.t0_s, one.t1_s) for one in SEGMENTS}
    for question in QUESTIONS:
        if question.sense in ("seen", "written", "order"):
            assert (question.t0_s, question.t1_s) in edges


CAT = Question("When is there a cat?", "seen", ("tabby",), 24, 31)
NOTHING = Question("Where is the dog?", "absent")


@pytest.mark.parametrize(
    ("question", "verdict", "answer", "cited_s", "right"),
    [
        (CAT, "answered", "A Tabby, at 0:24.", [(24, 31)], True),
        (CAT, "uncertain", "Perhaps a tabby.", [(24.5, 24.5), (60, 61)], True),
        (CAT, "answered", "A tabby.", [(60, 61)], False),  # the right word from the wrong place
        (CAT, "answered", "A tabby.", [(24, 31), (40, 41), (50, 51)], False),  # a shot in the dark
        (CAT, "answered", "A lynx.", [(24, 31)], False),
        (CAT, "answered", "A tabby.", [], False),
        (CAT, "not_seen", "I saw no tabby.", [], False),
        (NOTHING, "not_seen", "I did not see that.", [], True),
        (NOTHING, "uncertain", "Perhaps here.", [(1, 2)], False),
    ],
)
def test_judging(
    question: Question, verdict: str, answer: str, cited_s: list[tuple[float, float]], right: bool
) -> None:
    assert question.is_right(verdict, answer, cited_s) is right


def test_clips_are_not_shown_longer_than_they_last() -> None:
    lasts_s = {"bikes": 10.0, "big-buck-bunny": 5.28}
    for segment in SEGMENTS:
        if isinstance(segment.picture, Clip):
            assert segment.t1_s - segment.t0_s <= lasts_s[segment.picture.item]
