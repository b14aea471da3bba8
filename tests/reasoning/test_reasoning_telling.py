"""Which of several texts, sentences and recordings an answer tells of, and how much of each."""

from __future__ import annotations

import pytest

from reasoning.evidence import distinct, weigh
from reasoning.question import read_question
from reasoning.reasoner import Reasoner
from reasoning.settings import EvidenceSettings, ReasoningSettings
from stream.messages import Cue

S = 1_000_000_000
SETTINGS = ReasoningSettings()


@pytest.fixture
def ask(memory_of):
    return lambda question, items: Reasoner(memory_of(*items), SETTINGS).answer(question, Cue())


def test_a_text_that_was_still_being_typed_is_told_as_it_was_in_the_end(item):
    typed = ("0 www.exa", "www.example.org/h", "www.example.org/help", "Mind the step")
    signs = [item("seen_text", 2 * n, 2 * n + 2, text) for n, text in enumerate(typed)]
    elsewhere = item("seen_text", 6, 8, "www.example.org/help/maps/north", source="other.mp4")
    later = item("seen_text", 60, 62, "Mind the step on your left")
    supports = weigh(read_question("What is written?"), [*signs, elsewhere, later], EvidenceSettings())
    kept = distinct(supports, EvidenceSettings())
    told = sorted(s.item.text for s in kept)
    assert told == sorted([typed[2], typed[3], elsewhere.text, later.text])
    assert next(s for s in kept if s.item.text == typed[2]).item.pts0_ns == 4 * S


def test_a_page_does_not_stand_for_the_sign_that_it_shows_too(item):
    sign = item("seen_text", 0, 2, "Mind the step")
    page = item("seen_text", 2, 4, "Mind the step\n" + "\n".join(f"row {n} of a table" for n in range(9)))
    supports = weigh(read_question("What is written?"), [sign, page], EvidenceSettings())
    assert {s.item.text for s in distinct(supports, EvidenceSettings())} == {sign.text, page.text}


def test_what_is_told_in_the_same_breath_comes_next(ask, item):
    said = (
        item(
            "utterance",
            0,
            4,
            "When the butter melts, pour in the eggs and stir them as they cook.",
            dense=0.7,
        ),
        item("utterance", 6, 9, "Serve them at once.", dense=0.3),
    )
    answer = ask("What happens right after the eggs are poured in?", items=said)
    assert "pour in the eggs and stir them" in answer.sentences[0].text
    assert [answer.citations[n].text for n in answer.sentences[0].citations] == [said[0].text]
    assert "Serve them at once" in answer.sentences[1].text
    before = ask("What happens right before the eggs are poured in?", items=said)
    assert "stir" not in before.sentences[0].text


def test_of_several_recordings_each_is_told_of_before_one_is_told_all_of(ask, item):
    many = [
        item("seen_text", n, n + 1, f"page {word}", source="a.mp4")
        for n, word in enumerate("one two three four five six seven".split())  # noqa: SIM905
    ]
    one = item("seen_text", 5, 6, "the end card", source="b.mp4")
    answer = ask("What words are on the card in the first minute?", items=(*many, one))
    assert "the end card" in answer.answer
    assert len(answer.sentences) == SETTINGS.listed


def test_the_points_of_a_list_are_those_of_the_text_with_as_many_lines(ask, item):
    said = item("utterance", 5, 7, "Remember these three basic rules.", dense=0.7)
    texts = ("Rest\nDrink", "Rest\nDrink\nSleep", "Rest\nDrink\nSleep\nand much more")
    pages = [item("seen_text", 6 + 3 * n, 9 + 3 * n, text, dense=0.1) for n, text in enumerate(texts)]
    answer = ask("Name the three rules in order.", items=(said, *pages))
    assert answer.sentences[0].text == "At 0:09 it reads: “Rest, Drink, Sleep”"
    assert answer.verdict == "answered"
    unannounced = item("utterance", 5, 7, "Remember these basic rules.", dense=0.7)
    assert "Rest, Drink, Sleep" not in ask("Name the three rules.", items=(unannounced, *pages)).answer
    assert "Rest, Drink, Sleep" not in ask("What did she say of the rules?", items=(said, *pages)).answer


def test_a_thing_that_is_called_after_an_act_does_not_tell_of_it(ask, item):
    street = item("shot", 0, 5, "a photo of car mirror, suit, racer, cab, parking meter", dense=0.36)
    assert ask("Where did I park the car?", (street,)).verdict == "not_seen"
    mirrors = item("shot", 0, 5, "a photo of car mirror, suit, bathtub", dense=0.36)
    assert ask("When is a car shown?", (mirrors,)).verdict == "not_seen"
    assert ask("When is a mirror shown?", (mirrors,)).verdict == "answered"
    said = item("utterance", 6, 9, "I was parking the car behind the bakery.", dense=0.7)
    assert "bakery" in ask("Where did I park the car?", (street, said)).answer
