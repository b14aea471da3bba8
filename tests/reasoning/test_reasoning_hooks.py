"""How the steps of a question meet: confidence, rounds, gaps, dialogues, parts and what is live."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from reasoning.answer import UNSURE
from reasoning.dialogue import Exchange
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from stream.messages import Coverage, Cue
from stream.messages.evidence import Gap

ENCODER = "all-minilm-l6-v2@1110a243/onnx-fp32"
NOW = datetime(2026, 11, 27, 18, 0, tzinfo=ZoneInfo("Europe/Berlin"))


def at_ns(day, hour, month=11):
    return int(datetime(2026, month, day, hour, tzinfo=NOW.tzinfo).timestamp()) * 10**9


@pytest.fixture
def chat(item):
    told = [
        ("Ana", "How is your dog?"),
        ("Ben", "All is well, thank you."),
        ("Ana", "I painted the fence green."),
    ]
    return [
        msgspec.structs.replace(
            item("utterance", 10 * n, 10 * n + 4, text, speaker=who, source="chat", t0_ns=at_ns(20, 9 + n)),
            source_kind="chat",
            score=10.0,
        )
        for n, (who, text) in enumerate(told)
    ]


def reasoner(memory, **settings):
    plain = memory.recall
    memory.recall = lambda cue, k: msgspec.structs.replace(plain(cue, k), encoder_id=ENCODER)
    return Reasoner(memory, ReasoningSettings(**settings), now=lambda: NOW)


@pytest.mark.parametrize(
    "asked",
    [
        "When did Ana last mention the dog?",
        "How often did Ana talk about the dog?",
        "What was the first thing Ana said?",
        "What did Ana say?",
    ],
)
def test_what_is_computed_or_names_nothing_but_a_person_is_not_weighed_against_others(memory_of, chat, asked):
    weighed = reasoner(memory_of(*chat)).answer(asked, Cue())
    unweighed = reasoner(memory_of(*chat), confidence=False).answer(asked, Cue())
    assert (weighed.verdict, weighed.answer) == (unweighed.verdict, unweighed.answer)


def test_what_is_of_another_time_says_in_its_words_that_it_is_not_sure(memory_of, item):
    fed = item("utterance", 0, 4, "Clara fed the parrot.", t0_ns=at_ns(20, 9))
    told = reasoner(memory_of(fed)).answer("Who fed the parrot yesterday at 3 pm?", Cue())
    assert told.verdict == "uncertain"
    assert told.answer.startswith(UNSURE)
    assert told.confidence <= 0.5
    assert any("other times" in notice for notice in told.notices)


def test_no_gap_of_another_time_is_told_where_nothing_was_found(memory_of):
    memory = memory_of()
    gap = Gap(
        uri="cam", pts0_ns=0, pts1_ns=60 * 10**9, t0_ns=at_ns(29, 9, 8), t1_ns=at_ns(29, 9, 8) + 60 * 10**9,
        reason="unplugged",
    )  # fmt: skip
    plain = memory.recall

    def recall(cue, k):
        is_free = cue.t0_ns is None and cue.t1_ns is None
        return msgspec.structs.replace(plain(cue, k), coverage=Coverage(gaps=(gap,) if is_free else ()))

    memory.recall = recall
    told = Reasoner(memory, ReasoningSettings(), now=lambda: NOW).answer(
        "Who fed the parrot yesterday?", Cue()
    )
    assert told.verdict == "not_seen"
    assert not any("perceived" in notice for notice in told.notices)


@pytest.fixture
def before(chat):
    who = Reasoner(None, ReasoningSettings(), now=lambda: NOW)
    question = who.read("How is the dog?")
    return [Exchange(question, (chat[1],))]


def test_what_was_just_asked_is_of_the_dialogue_and_not_of_the_camera(memory_of, chat, before):
    one = reasoner(memory_of(*chat))
    asked = "What did I just ask you?"
    told = one.answer_read(asked, one.read(asked, before), Cue(), before=before)
    assert "How is the dog" in told.answer
    assert told.confidence is None
    assert told.citations == ()


def test_what_leans_on_the_last_answer_is_not_taken_apart(memory_of, chat, before):
    one = reasoner(memory_of(*chat))
    asked = "Who spoke and what was said before that?"
    question = one.read(asked, before)
    assert question.beside_answer == "before"
    told = one.answer_read(asked, question, Cue(), before=before)
    assert any(notice.startswith("understood as") for notice in told.notices)
    assert "part" not in told.answer


def test_parts_give_the_whole_the_least_confidence_and_all_gaps(memory_of, item):
    gap = Gap(uri="cam", pts0_ns=0, pts1_ns=10**9, t0_ns=None, t1_ns=None, reason="unplugged")
    items = [
        item("utterance", 0, 4, "The lantern is in the shed."),
        item("utterance", 9, 12, "The wagon is red."),
    ]
    memory = memory_of(*items)
    plain = memory.recall

    def recall(cue, k):
        coverage = Coverage(gaps=(gap,) if "lantern" in cue.text else ())
        return msgspec.structs.replace(plain(cue, k), coverage=coverage)

    memory.recall = recall
    told = Reasoner(memory, ReasoningSettings(), now=lambda: NOW).answer(
        "Where is the lantern, and what colour is the wagon?", Cue()
    )
    assert gap in told.coverage.gaps
    assert told.confidence is not None


def test_an_observation_is_cited_once_however_it_was_found(item):
    from reasoning.answer import Draft

    one = item("utterance", 0, 4, "The lantern is in the shed.")
    draft = Draft()
    draft.say("It is there.", one)
    draft.say("It is there still.", msgspec.structs.replace(one, score=3.0))
    assert draft.citations == [one]
    assert [sentence.citations for sentence in draft.sentences] == [(0,), (0,)]
