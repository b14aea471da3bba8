"""What memory is told of an answer."""

from __future__ import annotations

import msgspec
import pytest

from reasoning.citations import MOST_RECALLS, citations_of
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from stream.messages import Cue


class Listening:
    """Memory that remembers what it gave, as the service's connection does."""

    def __init__(self, memory):
        self._memory = memory
        self.shown = []

    def recall(self, cue, k):
        evidence = self._memory.recall(cue, k)
        self.shown.append(evidence.items)
        return evidence

    def recent(self, cue, k, stretch):
        return self._memory.recent(cue, k, stretch)

    def sources(self):
        return self._memory.sources()

    def claims(self, cue):
        return self._memory.claims(cue)


@pytest.fixture
def asked(item, memory_of):
    rent = item("utterance", 3, 5, "The rent is due on Friday.", dense=0.8)
    other = item("utterance", 90, 95, "We went to the sea.", dense=0.05)
    rent = msgspec.structs.replace(rent, score=1.0, scorers={"dense": 0.7, "lexical": 0.3})
    other = msgspec.structs.replace(other, score=-1.0, scorers={"dense": -1.0})

    def ask(question, *items):
        memory = Listening(memory_of(*(items or (other, rent))))
        return Reasoner(memory, ReasoningSettings()).answer(question, Cue()), memory.shown

    ask.rent, ask.other = rent, other
    return ask


def test_it_is_told_what_was_cited_out_of_what_was_shown_best_first(asked):
    answer, shown = asked("When is the rent due?")
    told = citations_of(b"turn", answer, shown)
    assert told.turn_id == b"turn"
    assert told.cited == (asked.rent.observation_id,)
    ids = [one.observation_id for one in told.shown[0]]
    assert ids == [asked.rent.observation_id, asked.other.observation_id]
    assert told.shown[0][0].scorers == {"dense": 0.7, "lexical": 0.3}


def test_no_words_leave_with_it(asked):
    answer, shown = asked("When is the rent due?")
    packed = msgspec.msgpack.encode(citations_of(b"turn", answer, shown))
    assert b"rent" not in packed
    assert b"sea" not in packed


@pytest.mark.parametrize("verdict", ["uncertain", "not_seen"])
def test_what_is_no_answer_cites_nothing(asked, verdict):
    answer, shown = asked("When is the rent due?")
    assert citations_of(b"turn", msgspec.structs.replace(answer, verdict=verdict), shown) is None


def test_a_turn_without_an_id_is_not_told(asked):
    answer, shown = asked("When is the rent due?")
    assert citations_of(b"", answer, shown) is None


def test_recalls_that_gave_nothing_cited_are_left_out_and_the_rest_are_bounded(asked):
    answer, _ = asked("When is the rent due?")
    recalls = [(asked.other,)] + [(asked.rent, asked.other)] * (MOST_RECALLS + 3)
    told = citations_of(b"turn", answer, recalls)
    assert len(told.shown) == MOST_RECALLS
    assert all(len(shown) == 2 for shown in told.shown)
