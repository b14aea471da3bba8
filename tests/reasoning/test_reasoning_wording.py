"""One wording for many: frames, contractions and inversions."""

from __future__ import annotations

import msgspec
import pytest

from reasoning.question import read_question
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from reasoning.wording import straight
from stream.messages import Cue


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("Can you tell me, for how long should it be held?", "for how long should it be held"),
        ("Please tell me: what did Anna buy?", "what did Anna buy"),
        ("Quick question: who sold the boat?", "who sold the boat"),
        ("I'd like to know where Anna went", "where Anna went"),
        ("I wonder whether the gate was open", "whether the gate was open"),
        ("What did Anna buy, do you know?", "What did Anna buy"),
        ("Hey, please tell me about the boat, please?", "about the boat"),
        ("So, quick question: can you show me where it was", "where it was"),
        ("Hello!", ""),
        ("Anna did buy what?", "What did Anna buy"),
        ("what Anna did buy", "What did Anna buy"),
        ("What'd Anna buy?", "What did Anna buy"),
        ("What's the matter?", "What is the matter"),
        ("Who's been there?", "Who has been there"),
        ("Do you remember the blue house?", "Do you remember the blue house"),
        ("What did he tell me about Monday?", "What did he tell me about Monday"),
        ("Can you see the dog?", "Can you see the dog"),
    ],
)
def test_a_question_without_its_frame(asked, meant):
    assert straight(asked) == meant


def test_what_is_looked_for_does_not_depend_on_the_frame():
    plain = read_question("What did Anna buy at the market?")
    for asked in (
        "Can you tell me, what did Anna buy at the market?",
        "Do you remember what Anna did buy at the market?",
        "What'd Anna buy at the market, do you know?",
    ):
        read = read_question(asked)
        assert (read.content.lower(), read.subjects, read.names) == (
            plain.content.lower(),
            plain.subjects,
            plain.names,
        )


def test_a_misspelt_question_is_read_again_as_memory_takes_it(item, memory_of):
    memory = memory_of(item("utterance", 3, 5, "The bicycle has a flat tyre.", dense=0.35))
    plain_recall = memory.recall

    def recall(cue, k):
        evidence = plain_recall(cue, k)
        is_slip = "bicylce" in cue.text
        return msgspec.structs.replace(evidence, spelt={"bicylce": "bicycle"} if is_slip else {})

    reasoner = Reasoner(memory, ReasoningSettings())
    assert reasoner.answer("What is wrong with the bicylce?", Cue()).verdict == "not_seen"
    memory.recall = recall
    assert reasoner.answer("What is wrong with the bicylce?", Cue()).verdict == "answered"
