"""What standing questions wait for, and what meets them; the processes are in tests/system."""

from __future__ import annotations

import pytest

from reasoning.live.condition import Perceived, is_met, read_condition
from reasoning.settings import WatchSettings
from stream.errors import ConfigError

SETTINGS = WatchSettings()


def met(question, text, *, kind="utterance", speaker="", likeness=0.7):
    return is_met(read_condition(question), Perceived(text, kind, speaker), likeness, SETTINGS)


@pytest.mark.parametrize(
    ("question", "text", "stems", "sense"),
    [
        ("tell me when the kettle boils", "the kettle boils", {"kettl", "boil"}, "any"),
        ("Let me know as soon as anyone mentions the rent", "the rent", {"rent"}, "said"),
        ("could you please tell me if a dog is seen", "a dog", {"dog"}, "seen"),
        ("whenever the sign says closed", "closed", {"clos"}, "written"),
        ("alert me when you hear an alarm", "an alarm", {"alarm"}, "said"),
    ],
)
def test_what_is_waited_for(question, text, stems, sense):
    found = read_condition(question)
    assert set(found.stems) == stems
    assert found.sense == sense
    assert text in found.text


@pytest.mark.parametrize("question", ["", "tell me when", "tell me when something happens", "???"])
def test_what_names_nothing_is_refused(question):
    with pytest.raises(ConfigError, match="nothing is named"):
        read_condition(question)


def test_what_says_so_meets_it_and_what_denies_or_asks_it_does_not():
    question = "tell me when the kettle boils"
    assert met(question, "Listen, the kettle is boiling.")
    assert not met(question, "The kettle is not boiling yet.")
    assert not met(question, "Is the kettle boiling?")
    assert not met(question, "The train leaves at nine.", likeness=0.1)


def test_that_something_is_not_so_can_be_waited_for():
    question = "tell me when the oven is not working"
    assert met(question, "The oven isn't working again.")
    assert not met(question, "The oven is working.")


def test_a_mention_is_one_though_it_is_denied_or_asked():
    assert met("tell me when anyone mentions the rent", "I will not pay the rent!")
    assert met("tell me when anyone mentions the rent", "What about the rent?")
    assert not met("tell me when anyone mentions the rent", "rent", kind="shot")


def test_whose_words_are_meant_must_say_them():
    assert met("tell me when Anna mentions the rent", "The rent is due.", speaker="Anna")
    assert not met("tell me when Anna mentions the rent", "The rent is due.", speaker="Tom")


def test_pictures_meet_it_by_what_their_labels_are():
    question = "tell me when a dog is seen"
    assert met(question, "a photo of golden retriever, tennis ball", kind="shot")
    assert not met(question, "a photo of tabby, tiger cat", kind="shot")
    assert not met(question, "There is a dog outside.", kind="utterance")


def test_a_part_that_is_named_needs_more_likeness():
    question = "tell me when the kettle boils"
    assert not met(question, "I bought a kettle.", likeness=0.3)
    assert met(question, "The kettle is whistling.", likeness=0.75)


def test_without_an_encoder_all_must_be_named():
    assert met("tell me when the kettle boils", "The kettle boils.", likeness=None)
    assert not met("tell me when the kettle boils", "The kettle is whistling.", likeness=None)


def test_quoted_words_must_be_said():
    assert met('tell me when anyone says "red herring"', "That is a red herring.")
    assert not met('tell me when anyone says "red herring"', "A red fish.")
