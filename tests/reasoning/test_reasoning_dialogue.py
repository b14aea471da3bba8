"""What a dialogue keeps of the evidence, and what must still be there for it to be told of."""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import msgspec
import pytest

from memory.recall.gates import PositionGate
from reasoning import turn as turn_module
from reasoning.corrections import act_item
from reasoning.dialogue import Dialogues, Exchange, exchange_of, to_check
from reasoning.question import read_question
from reasoning.question.follow_up import resolved
from reasoning.service import ReasoningService
from reasoning.turn import MemoryCalls, Turn
from stream.messages import Act, Answer, ClaimsTold, Evidence

NOW = datetime(2026, 11, 27, 15, 0, tzinfo=ZoneInfo("Europe/Berlin"))


class Held:
    """The other end of a connection to memory: gates positions as memory does."""

    def __init__(self, *items, corrections=()):
        self.items, self.corrections = items, corrections

    def ask_for(self, kind, ask, **_):
        if kind is ClaimsTold:
            return ClaimsTold(corrections=tuple(self.corrections))
        with sqlite3.connect(":memory:") as db:
            gate = PositionGate().clause(db, msgspec.structs.replace(ask.cue, sources=()))
            row = "WITH o(pts0_ns, pts1_ns) AS (SELECT ?, ?) SELECT 1 FROM o WHERE "
            fit = [
                one
                for one in self.items
                if one.source_id.hex() in ask.cue.sources
                and db.execute(f"{row}{gate.sql}", (one.pts0_ns, one.pts1_ns, *gate.parameters)).fetchall()
            ]
        return Evidence(items=tuple(fit))


@pytest.fixture
def memory(monkeypatch):
    monkeypatch.setattr(turn_module, "is_listening", lambda address: True)

    def memory(*items, corrections=()):
        turn = Turn(SimpleNamespace(trace_id=b""), time.time_ns() + 60_000_000_000, time.time_ns())
        return MemoryCalls(Held(*items, corrections=corrections), Path("m"), turn, 5.0, lambda stage: None)

    return memory


@pytest.fixture
def before_of():
    """What the service takes as the turns before, of a dialogue that holds some."""

    def before_of(memory, *turns):
        kept = Dialogues(4, 8, 100.0)
        for one in turns:
            kept.add(b"d", one, time.monotonic())
        of = SimpleNamespace(_dialogues=kept, _on_the_way={}, _unkept=deque())
        return ReasoningService._before(of, b"d", memory)

    return before_of


def told(asked, *citations, before=()):
    question = resolved(asked, [one.turn for one in before], NOW)
    answer = Answer(answer="", verdict="answered", sentences=(), citations=citations)
    return exchange_of(question, answer, before, asked)


CORRECTION = Act(act_id=b"a" * 16, kind="correct", t_ns=1, text="It was Clara.")


def test_a_turn_that_told_the_owners_word_is_kept_as_long_as_that_stands(memory, before_of, item):
    corrected = item("utterance", 3, 5, "Anton has the key.")
    one = told("Who has the key?", act_item(CORRECTION), corrected)
    assert before_of(memory(corrected, corrections=[CORRECTION]), one) == (one,)
    assert before_of(memory(corrected), one) == ()
    assert before_of(memory(corrections=[CORRECTION]), one) == ()
    alone = told("Who has the key?", act_item(CORRECTION))
    assert before_of(memory(corrections=[CORRECTION]), alone) == (alone,)


def test_a_frame_is_found_again_though_it_has_no_length(memory, before_of, item):
    frame = item("frame", 7, 7, "a red boat")
    one = told("What is red?", frame)
    assert before_of(memory(frame), one) == (one,)
    assert before_of(memory(), one) == ()


def test_words_that_a_question_took_are_checked_when_their_turn_is_gone(memory, before_of, item):
    secret = item("utterance", 3, 5, "The boiler leaks behind the wardrobe.", speaker="Clara")
    other = item("utterance", 9, 10, "It is old.", speaker="Anton")
    first = told("What did Clara say?", secret)
    second = told("Why did she say that?", other, before=[first])
    assert "wardrobe" in second.question.asked
    third = told("And Anton?", other, before=[first, second])
    assert before_of(memory(secret, other), second, third) == (second, third)
    assert before_of(memory(other), second) == ()
    assert "wardrobe" in third.question.asked
    assert before_of(memory(other), third) == ()


def test_what_stands_alone_rests_on_no_turn_before(item):
    first = told("What did Clara say?", item("utterance", 3, 5, "The boiler leaks.", speaker="Clara"))
    assert told("Who has the boiler?", before=[first]).rests_on == ()
    assert len(to_check([first, first])) == 1


def test_of_the_evidence_only_what_follow_ups_use_is_kept(item):
    cited = item("utterance", 3, 5, "The boiler leaks.", around=("A secret.",))
    also = item("utterance", 6, 7, "The roof leaks.", around=("Another.",))
    kept = told("What leaks?", cited, also)
    assert kept.cited == (msgspec.structs.replace(cited, neighbours=()),)
    words = b"".join(
        map(msgspec.msgpack.encode, (*kept.cited, *kept.checked, *(t.item for t in kept.rests_on)))
    )
    assert b"ecret" not in words
    assert b"roof" not in words
    assert words.count(b"boiler") == 1


def test_idle_dialogues_go_when_another_one_is_kept():
    kept = Dialogues(4, 4, 10.0)
    one = Exchange(read_question("What about the boat?"))
    kept.add(b"a", one, 1.0)
    kept.add(b"", one, 12.0)
    assert list(kept._dialogues) == []
    kept.add(b"a", one, 20.0)
    kept.add(b"b", one, 31.0)
    assert list(kept._dialogues) == [b"b"]


def test_a_turn_behind_those_of_another_dialogue_makes_a_copy_that_goes_its_own_way():
    kept = Dialogues(8, 4, 100.0)
    one, two, three = (Exchange(read_question(f"What about the {name}?")) for name in ("boat", "key", "bees"))
    kept.add(b"a", one, 1.0, begins=True)
    kept.add(b"ab", two, 2.0, behind=kept.before(b"a", 2.0))
    kept.add(b"ac", three, 3.0, behind=kept.before(b"a", 3.0))
    assert list(kept.before(b"a", 4.0)) == [one]
    assert list(kept.before(b"ab", 4.0)) == [one, two]
    assert list(kept.before(b"ac", 4.0)) == [one, three]
    kept.add(b"ab", two, 5.0, behind=kept.before(b"a", 5.0))  # Asked once more.
    assert list(kept.before(b"ab", 6.0)) == [one, two]
    kept.add(b"x", one, 7.0, behind=())  # What it follows is not known any more.
    assert list(kept.before(b"x", 8.0)) == [one]
