"""Answers from claims, and the owner's corrections, as the reasoner makes them."""

from __future__ import annotations

import msgspec
import pytest

from reasoning.corrections import Correcting, LastTurn, value_in, voice_in
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from stream.errors import ConfigError
from stream.messages import ClaimsTold, ClaimTold, CorrectPut, Cue

S = 1_000_000_000
NOW_NS = 1_767_225_600 * S


class Memory:
    """Memory by hand that also has claims, and keeps acts."""

    def __init__(self, by_hand, told=None):
        self._by_hand, self.told, self.acts = by_hand, told or ClaimsTold(), []
        self.recall, self.sources = by_hand.recall, by_hand.sources

    def claims(self, cue):
        undone = {act.undoes for act in self.acts}
        standing = [act for act in self.acts if act.kind == "correct" and act.act_id not in undone]
        items = [one for one in self._by_hand.items if one.observation_id in {act.target for act in standing}]
        return msgspec.structs.replace(self.told, corrections=tuple(standing), corrected=tuple(items))

    def commit(self, act):
        self.acts.append(act)
        return len(self.acts)


@pytest.fixture
def memory(memory_of, item):
    rent = item("utterance", 3, 5, "The rent is due on Friday.", dense=0.8, speaker="Ana")
    other = item("utterance", 90, 95, "We went to the sea with Karl.", dense=0.6, speaker="Tom")
    return Memory(memory_of(rent, other))


@pytest.fixture
def moved(memory, item):
    new = item("utterance", 3, 5, "I moved to Oslo.", speaker="Lena")
    old = item("utterance", 1, 2, "I live in Porto.", speaker="Lena")

    def claim(value, one, **more):
        return ClaimTold(about="lena", relation="home", value=value, items=(one,), **more)

    memory.told = ClaimsTold(
        form="value", about="lena", relation="home", now=(claim("Oslo", new),), before=(claim("Porto", old),)
    )
    memory.claim = claim
    memory.old = old
    return memory


def ask(memory, question, **settings):
    return Reasoner(memory, ReasoningSettings(**settings)).answer(question, Cue())


def test_the_value_comes_first_then_who_said_it_then_what_was_before(moved):
    answer = ask(moved, "Where does Lena live?")
    assert answer.verdict == "answered"
    assert answer.sentences[0].text == "Oslo: at 0:03 Lena said: “I moved to Oslo.”"
    assert answer.sentences[1].text == "Before that it was Porto, as of 0:01."
    assert [item.text for item in answer.citations] == ["I moved to Oslo.", "I live in Porto."]
    assert all(sentence.citations for sentence in answer.sentences)


def test_a_choice_is_answered_with_what_holds_and_neither_yes_nor_no(moved):
    moved.told = msgspec.structs.replace(moved.told, form="whether", holds="no", asked="Porto or Oslo")
    assert ask(moved, "Does Lena live in Porto or Oslo?").answer.startswith("Oslo: ")
    moved.told = msgspec.structs.replace(moved.told, asked="Porto")
    assert ask(moved, "Does Lena live in Porto?").answer.startswith("No, Oslo: ")


def test_claims_are_switched_off(moved):
    assert "Oslo" not in ask(moved, "Where does Lena live?", claims=False).answer


def test_a_contradiction_is_told_with_both_sides(moved):
    moved.told = msgspec.structs.replace(moved.told, before=(), against=(moved.claim("Porto", moved.old),))
    (conflict,) = ask(moved, "Where does Lena live?").conflicts
    assert "“Oslo” (at 0:03" in conflict
    assert "“Porto” (at 0:01" in conflict


def test_what_changes_often_is_said_with_its_time(moved):
    moved.told = msgspec.structs.replace(moved.told, changes=3)
    assert ask(moved, "Where does Lena live?").answer.startswith("As of 0:03: Oslo")


def test_a_maybe_is_not_sure(moved):
    maybe = moved.claim("Oslo", moved.old, confidence=0.5)
    moved.told = msgspec.structs.replace(
        moved.told, now=(maybe, moved.claim("Bergen", moved.old, confidence=0.5))
    )
    answer = ask(moved, "Where does Lena live?")
    assert answer.verdict == "uncertain"
    assert answer.answer.startswith("Oslo or Bergen")


def correct(memory, question, text, **more):
    last = LastTurn(question, Cue(), ask(memory, question))
    return Correcting(memory, ReasoningSettings(), last, lambda: NOW_NS).put(CorrectPut(text=text, **more))


def test_the_owners_word_answers_in_scope_and_is_shown_as_it(memory):
    question = "When is the rent due?"
    before = ask(memory, question)
    done = correct(memory, question, "No, that was last month")
    assert done.act.value["rests_on"] == [one.observation_id for one in before.citations]
    answer = ask(memory, "When will the rent be due?")
    assert (
        answer.sentences[0].text
        == "You corrected this on 2026-01-01 at 00:00:00 UTC: “No, that was last month”"
    )
    assert answer.citations[0].observation_id == done.act.act_id
    assert "It corrects this: " in answer.sentences[1].text
    Correcting(memory, ReasoningSettings(), None, lambda: NOW_NS).put(CorrectPut(undoes=done.act.act_id[:4]))
    again = ask(memory, question)
    assert msgspec.structs.replace(again, timings_ms={}) == msgspec.structs.replace(before, timings_ms={})


@pytest.mark.parametrize(
    "question", ["Who went to the sea?", "When did Karl go to the sea?", "Where is the rent paid?"]
)
def test_out_of_scope_the_answer_is_the_same_to_the_byte(memory, question):
    before = msgspec.structs.replace(ask(memory, question), timings_ms={})
    correct(memory, "When is the rent due?", "No, that was last month")
    assert msgspec.structs.replace(ask(memory, question), timings_ms={}) == before


def test_corrections_are_switched_off(memory):
    correct(memory, "When is the rent due?", "No, that was last month")
    assert "You corrected" not in ask(memory, "When is the rent due?", corrections=False).answer


def test_an_observation_alone_is_corrected_where_it_would_be_cited_first(memory):
    cited = ask(memory, "When is the rent due?").citations[0]
    put = CorrectPut(text="It was the gas bill", about=cited.observation_id)
    Correcting(memory, ReasoningSettings(), None, lambda: NOW_NS).put(put)
    assert "You corrected" in ask(memory, "What is due on Friday?").answer
    assert "You corrected" not in ask(memory, "Who went to the sea with Karl?").answer


def test_a_correction_that_names_nothing_is_refused(memory):
    correcting = Correcting(memory, ReasoningSettings(), None, lambda: NOW_NS)
    with pytest.raises(ConfigError, match="no last answer"):
        correcting.put(CorrectPut(text="No, it was Karl"))
    with pytest.raises(ConfigError, match="needs words"):
        correcting.put(CorrectPut(text=" "))
    with pytest.raises(ConfigError, match="0 corrections"):
        correcting.put(CorrectPut(undoes=b"\x01\x02"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("No, it's 555-2", "555-2"),
        ("No, that was my sister", "my sister"),
        ("Oslo, not Porto", "Oslo"),
        ("No, she is still on holiday and nobody knows where", ""),
    ],
)
def test_what_a_correction_puts_in_the_place_of_a_value(text, value):
    assert value_in(text) == value


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("No, that voice is my sister.", "my sister"),
        ("that voice is my sister", "my sister"),
        ("The speaker was Anna!", "Anna"),
        ("That\u2019s Tom speaking.", "Tom"),
        ("No, that was my sister", ""),
        ("that voice is not my sister", ""),
        ("the voice is too quiet", ""),
        ("that voice is somebody from the office who came late again", ""),
    ],
)
def test_a_voice_is_named_where_the_owner_says_so(text, name):
    assert voice_in(text) == name


def test_that_voice_is_my_sister_names_the_first_utterance_that_was_cited(memory):
    done = correct(memory, "When is the rent due?", "No, that voice is my sister")
    said = next(one for one in memory.recall(Cue(), 5).items if one.speaker == "Ana")
    assert (done.act.kind, done.act.text, done.act.target) == ("label", "my sister", said.observation_id)
    assert done.act.value == {"of": "person"}
    assert memory.acts == [done.act]
    put = CorrectPut(text="that voice is Tom", about=b"u" * 16)
    named = Correcting(memory, ReasoningSettings(), None, lambda: NOW_NS).put(put)
    assert named.act.target == b"u" * 16
    with pytest.raises(ConfigError):
        Correcting(memory, ReasoningSettings(), None, lambda: NOW_NS).put(
            CorrectPut(text="that voice is Tom")
        )
