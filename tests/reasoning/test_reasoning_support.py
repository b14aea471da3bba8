from __future__ import annotations

import msgspec
import pytest

from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from reasoning.support.calibration import Calibration, calibrations
from reasoning.support.demands import (
    FEATURES,
    conversations_in,
    features_of,
    person_asked,
    told_of,
    without_person,
)
from reasoning.support.owners import owned, share_of, without_calls
from stream.errors import ConfigError
from stream.messages import Cue

ENCODER = "all-minilm-l6-v2@1110a243/onnx-fp32"
PEOPLE = ("Ines Prado", "Tomas")


@pytest.mark.parametrize(
    ("sentence", "speaker", "person", "low", "high"),
    [
        ("I sold my boat in May.", "Tomas", "Tomas", 0.9, 1.0),
        ("I sold my boat in May.", "Tomas", "Ines Prado", 0.0, 0.1),
        ("How did your exam go?", "Tomas", "Ines Prado", 0.6, 1.0),
        ("How did your exam go?", "Tomas", "Tomas", 0.0, 0.4),
        ("Thanks, Tomas! I sold my boat.", "Ines Prado", "Tomas", 0.0, 0.1),
        ("Ines won the race.", "Tomas", "Ines Prado", 0.6, 1.0),
        ("It was amazing!", "Tomas", "Tomas", 0.7, 0.9),
        ("It was amazing!", "Tomas", "Ines Prado", 0.0, 0.2),
    ],
)
def test_a_sentence_is_of_who_says_i_of_who_is_called_you_or_of_who_is_named(
    sentence, speaker, person, low, high
):
    assert low <= share_of(sentence, speaker, person, PEOPLE) <= high


def test_among_more_than_two_nobody_knows_who_you_is():
    two = share_of("How did your exam go?", "Tomas", "Ines Prado", PEOPLE)
    five = share_of("How did your exam go?", "Tomas", "Ines Prado", (*PEOPLE, "Ada", "Otto", "Ruth"))
    assert five < two / 2


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Hey Tomas, the boat is sold.", "Hey , the boat is sold."),
        ("Thanks, Tom!", "Thanks, !"),
        ("Tomas has a boat.", "Tomas has a boat."),
        ("I saw Tomas, and his boat.", "I saw Tomas, and his boat."),
    ],
)
def test_a_name_that_only_calls_somebody_goes(said, left):
    assert without_calls(said, PEOPLE) == left


def test_the_sentence_that_tells_the_question_decides_whose_a_turn_is():
    text = "Congratulations on your exam! I sold my boat in May."
    assert owned(text, "Tomas", "Tomas", PEOPLE, {"boat": 1.0, "sold": 1.0}) > 0.8
    assert owned(text, "Tomas", "Tomas", PEOPLE, {"exam": 1.0, "congratulation": 1.0}) < 0.5


@pytest.mark.parametrize(
    ("question", "person"),
    [
        ("What did Tomas sell?", "Tomas"),
        ("What is Ines's exam about?", "Ines Prado"),
        ("What did Tomas give Ines?", ""),
        ("What did Otto sell?", ""),
        ("What did tomas sell?", ""),
    ],
)
def test_one_person_of_the_conversation_is_asked_about(question, person):
    assert person_asked(question, PEOPLE) == person


def test_the_question_without_the_person():
    assert without_person("What is the colour of Tomas's boat?", "Tomas") == "What is the colour of boat?"


def turn(item, at_s, speaker, text, score):
    made = item("utterance", at_s, at_s + 4, text, speaker=speaker, source="chat", t0_ns=at_s * 10**9)
    return msgspec.structs.replace(made, source_kind="chat", score=score)


@pytest.fixture
def chat(item):
    return (
        turn(item, 0, "Tomas", "I sold my old boat in May, and bought a caravan.", 18.0),
        turn(item, 10, "Ines Prado", "That is a pity, your boat was lovely!", 12.0),
        turn(item, 20, "Ines Prado", "I have an exam in botany next week.", 6.0),
        turn(item, 30, "Tomas", "Good luck with the exam!", 3.0),
    )


def test_features_part_the_owner_of_a_fact_from_whom_it_is_told_to(chat):
    people = conversations_in(chat)
    assert list(people.values()) == [PEOPLE]
    mine = features_of(told_of("When did sell the old boat?", "Tomas", people, chat))
    theirs = features_of(told_of("When did sell the old boat?", "Ines Prado", people, chat))
    assert set(mine) == set(FEATURES)
    assert all(mine[name] > theirs[name] for name in FEATURES)
    assert features_of([]) == dict.fromkeys(FEATURES, 0.0)


@pytest.fixture
def ask(chat, memory_of):
    def ask(question, *, encoder_id=ENCODER, settings=None, items=chat):
        memory = memory_of(*items)
        plain = memory.recall

        def recall(cue, k):
            return msgspec.structs.replace(plain(cue, k), encoder_id=encoder_id)

        memory.recall = recall
        return Reasoner(memory, settings or ReasoningSettings()).answer(question, Cue())

    return ask


def test_the_right_person_is_answered_and_the_wrong_one_is_refused(ask):
    right, wrong = ask("When did Tomas sell the old boat?"), ask("When did Ines sell the old boat?")
    assert right.verdict == "answered"
    assert wrong.verdict == "not_seen"
    assert wrong.citations == ()
    assert wrong.confidence < calibrations()[ENCODER].not_seen_below < right.confidence


def test_switched_off_nothing_is_weighed(ask):
    told = ask("When did Ines sell the old boat?", settings=ReasoningSettings(confidence=False))
    assert told.confidence is None
    assert told.verdict != "not_seen"


def test_with_another_encoder_the_demands_decide_and_the_answer_says_so(ask):
    told = ask("When did Ines sell the old boat?", encoder_id="another@1/onnx-int8")
    assert told.verdict != "not_seen"
    assert any("another@1/onnx-int8" in notice for notice in told.notices)
    assert "calibrated" not in " ".join(ask("When did Tomas sell the old boat?").notices)


def test_a_question_that_names_nobody_keeps_its_verdict(ask):
    told = ask("When was the old boat sold?")
    assert told.verdict == "answered"
    assert told.confidence == 1.0
    assert not told.notices


def test_of_a_meeting_nothing_is_said_of_whom(ask, chat, item):
    more = (*chat, turn(item, 40, "Otto", "The boat was sold to me.", 10.0))
    told = ask("When did Ines sell the old boat?", items=more)
    assert told.verdict == ask("When did Otto sell the old boat?", items=more).verdict == "answered"
    assert not told.notices


def test_doubt_lies_between_refusal_and_an_answer(ask, monkeypatch):
    lines = msgspec.structs.replace(calibrations()[ENCODER], not_seen_below=0.0, uncertain_below=1.0)
    monkeypatch.setattr("reasoning.support.confidence.calibrations", lambda: {ENCODER: lines})
    told = ask("When did Tomas sell the old boat?")
    assert told.verdict == "uncertain"
    assert told.answer.startswith("I am not sure")
    assert told.sentences[1].citations


def test_what_ships_is_of_the_default_encoder_and_of_all_features():
    shipped = calibrations()[ENCODER]
    assert set(shipped.weights) == set(shipped.mean) == set(shipped.scale) == set(FEATURES)
    assert 0 < shipped.not_seen_below < shipped.uncertain_below < 1
    assert shipped.fitted_on
    none, whole = dict.fromkeys(FEATURES, -50.0), dict.fromkeys(FEATURES, 50.0)
    assert shipped.confidence(none) < 0.5 < shipped.confidence(whole)


@pytest.mark.parametrize("text", ["", "{}", '[{"version": 1}]'])
def test_a_file_without_calibrations_is_told_by_its_name(tmp_path, text):
    path = tmp_path / "calibrated.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"calibrated\.json"):
        calibrations(path)


def test_a_missing_feature_is_an_error():
    one = Calibration(
        version=1,
        encoder_id="e",
        fitted_on="",
        questions=1,
        mean={"owner": 0.0},
        scale={"owner": 1.0},
        weights={"owner": 1.0},
        bias=0.0,
        uncertain_below=0.5,
        not_seen_below=0.2,
    )
    assert one.confidence({"owner": 0.0}) == 0.5
    with pytest.raises(KeyError):
        one.confidence({})


@pytest.mark.parametrize(
    ("asked", "people", "person"),
    [
        ("How old is the dog?", ("Howard", "Mia"), ""),
        ("The dog, how old is it?", ("Theo", "Mia"), ""),
        ("Can dogs swim?", ("Candice", "Mia"), ""),
        ("Has anybody fed the dog?", ("Hassan", "Mia"), ""),
        ("Did the dog bark?", ("Didier", "Mia"), ""),
        ("Tell me, did How bark?", ("How", "Mia"), "How"),
        ("What did Mel cook?", ("Melanie", "Howard"), "Melanie"),
        ("How old is Howard's dog?", ("Howard", "Theo"), "Howard"),
    ],
)
def test_a_closed_class_word_begins_no_name(asked, people, person):
    assert person_asked(asked, people) == person
