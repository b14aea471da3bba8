"""What the verdict rests on, beside the answers that other files ask for."""

from __future__ import annotations

import msgspec
import pytest

from reasoning.evidence import weigh
from reasoning.question import read_question
from reasoning.settings import EvidenceSettings
from reasoning.verify import judge

QUESTION = "Which animal is shown on the television?"
SCREEN = "a photo of television, monitor, notebook, screen, web site"
ANIMAL = "a photo of tabby, tiger cat, lynx, kite, puck"
SETTINGS = EvidenceSettings()


def judged(question, *items):
    asked = read_question(question)
    return judge(asked, weigh(asked, items, SETTINGS), lambda subject: (), SETTINGS)


def test_an_animal_in_one_film_is_not_the_one_on_the_screen_in_another(item):
    screen = item("shot", 10, 14, SCREEN, dense=0.28)
    elsewhere = item("shot", 0, 4, ANIMAL, dense=0.25, source="other.mp4")
    beside = item("shot", 12, 16, ANIMAL, dense=0.25)
    assert judged(QUESTION, screen, elsewhere).verdict == "uncertain"
    assert judged(QUESTION, screen, beside).verdict == "answered"


def test_a_shared_word_alone_does_not_count_where_nothing_else_is_alike(item):
    faint = item("shot", 10, 14, SCREEN, dense=0.1)
    alike = msgspec.structs.replace(faint, grounding={"dense": 0.28})
    unknown = msgspec.structs.replace(faint, grounding={})
    assert judged(QUESTION, faint).verdict == "not_seen"
    assert judged(QUESTION, alike).verdict == "uncertain"
    assert judged(QUESTION, unknown).verdict == "uncertain"


def test_the_share_that_is_supported_falls_with_what_is_unmet(item):
    screen = item("shot", 10, 14, SCREEN, dense=0.28)
    beside = item("shot", 12, 16, ANIMAL, dense=0.25)
    whole, less = judged(QUESTION, screen, beside), judged(QUESTION, screen)
    missing = judged("Which animal is shown on the harp?", screen)
    assert whole.supported == 1.0
    assert less.supported == pytest.approx(0.8)
    assert missing.supported == 0.0
    assert missing.missing == ("harp",)
    assert judged(QUESTION).supported == 0.0
