"""Long questions answered part by part: order, citations, verdicts, folding and unfolding on real spans."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from reasoning.goals import Goal
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from reasoning.subgoals import Finished, Trail, children, item_tokens, weakest
from stream.errors import DeadlineExceeded
from stream.messages import Cue
from stream.messages.answer import Sentence
from tools.update_store import Told, UpdateStore

S = 1_000_000_000
CAKE = "I baked a lemon cake for the party."
BAKED = "What cake did Anna bake for the party"
SUMMED = "Summarise the week and tell which day it rained."
CAR = "We sold the old car to my cousin for 900 euros."
SPAN, OTHER = b"span of the party", b"another span"


def settings(**subgoals):
    return ReasoningSettings(subgoals=subgoals, claims=False)


@pytest.fixture
def party(item, memory_of):
    """Two things that were told, minutes apart."""
    cake = item("utterance", 10, 14, CAKE, dense=0.28, speaker="Anna", around=("It was Sunday.",))
    car = item("utterance", 900, 905, CAR, dense=0.28, speaker="Ben")
    return memory_of(cake, car)


LONG = "What cake did Anna bake for the party, and what did we sell for 900 euros?"


def test_the_parts_are_answered_in_their_order_each_with_its_citation(party):
    told = Reasoner(party, settings()).answer(LONG, Cue())
    assert told.verdict == "answered"
    texts = [sentence.text for sentence in told.sentences]
    assert "lemon cake" in texts[0]
    assert "old car" in texts[-1]
    assert all(sentence.citations for sentence in told.sentences)
    cited = [{told.citations[n].text for n in one.citations} for one in told.sentences]
    assert cited[0] == {CAKE}
    assert cited[-1] == {CAR}
    assert told.timings_ms["recalls"] >= 2


def test_switched_off_it_is_one_question(party):
    reasoner = Reasoner(party, settings(enabled=False))
    reasoner.answer(LONG, Cue())
    assert all("Anna" in cue.text or "party" in cue.text for cue in party.cues[:1])
    assert "sell" in party.cues[0].text, "the whole question is one cue"


def test_the_part_of_which_nothing_was_found_is_named(party):
    told = Reasoner(party, settings()).answer(
        "What cake did Anna bake for the party, and who repaired the telescope?", Cue()
    )
    assert told.verdict == "uncertain"
    assert "lemon cake" in told.answer
    assert "Of the second part (“who repaired the telescope”) I found nothing." in told.answer
    nothing = Reasoner(party, settings()).answer(
        "Where is the telescope, and who painted the submarine?", Cue()
    )
    assert nothing.verdict == "not_seen"
    assert nothing.citations == ()


@pytest.mark.parametrize(
    ("verdicts", "parts", "whole"),
    [
        (["answered", "answered"], 2, "answered"),
        (["answered"], 2, "uncertain"),
        (["answered", "not_seen"], 2, "uncertain"),
        (["uncertain", "answered"], 2, "uncertain"),
        (["not_seen", "not_seen"], 2, "not_seen"),
    ],
)
def test_the_verdict_of_the_whole(verdicts, parts, whole):
    assert weakest(verdicts, parts) == whole


class Late:
    """A memory whose time is up after the first part."""

    def __init__(self, memory, recalls):
        self._memory, self._left = memory, recalls

    def __getattr__(self, name):
        return getattr(self._memory, name)

    def recall(self, cue, k):
        self._left -= 1
        if self._left < 0:
            raise DeadlineExceeded("the question's time was up before it was answered")
        return self._memory.recall(cue, k)


def test_out_of_time_what_was_answered_is_told(party):
    needed = Reasoner(party, settings()).answer("What cake did Anna bake for the party?", Cue())
    late = Late(party, int(needed.timings_ms["recalls"]))
    told = Reasoner(late, settings()).answer(LONG, Cue())
    assert told.verdict == "uncertain"
    assert "lemon cake" in told.answer
    assert "For the second part (“what did we sell for 900 euros”) no time was left." in told.answer
    with pytest.raises(DeadlineExceeded):
        Reasoner(Late(party, 0), settings()).answer(LONG, Cue())


# Folding.


def part(item, place, words=80):
    one = item(
        "utterance", 100 * place, 100 * place + 5, f"part{place} " + "word " * words, around=("near " * 40,)
    )
    one = msgspec.structs.replace(one, span_id=b"span %d" % place)
    sentence = Sentence(text=f"Part {place} is told.", citations=(0,))
    return Finished(Goal(f"part{place}", f"part{place}"), "answered", (sentence,), (one,))


@pytest.mark.parametrize("budget", [150, 300, 600])
def test_what_is_held_stays_within_its_budget(item, budget):
    trail, whole = Trail(budget), Trail(0)
    for place in range(6):
        trail.add(part(item, place))
        whole.add(part(item, place))
        assert trail.tokens <= budget
    assert trail.peak_tokens <= budget < whole.peak_tokens
    assert whole.tokens == whole.peak_tokens
    # The oldest are folded first; what they said and where it is stays.
    folded = [one.is_folded for one in trail.finished]
    assert folded == sorted(folded, reverse=True)
    assert folded[0]
    for one, full in zip(trail.finished, whole.finished, strict=True):
        assert one.sentences == full.sentences
        ids = [(i.observation_id, i.span_id, i.pts0_ns) for i in one.citations]
        assert ids == [(i.observation_id, i.span_id, i.pts0_ns) for i in full.citations]
    assert not any(one.is_folded for one in whole.finished)


def test_an_unfolded_part_has_its_words_back_and_others_make_room(item):
    trail = Trail(300)
    whole = [part(item, place) for place in range(4)]
    full = [one.citations[0] for one in whole]
    for one in whole:
        trail.add(one)
    assert trail.finished[0].citations[0].text != full[0].text
    trail.unfold(0, [full[0], full[1]])
    assert trail.finished[0].citations == (full[0],)
    assert trail.finished[1].is_folded
    assert trail.tokens <= 300


def test_the_budget_holds_for_a_whole_answer(item, memory_of):
    told = [
        item("utterance", 900 * n, 900 * n + 5, f"The {word} is green. " + f"{word} " * 300, dense=0.6)
        for n, word in enumerate(("lantern", "wagon", "pillow", "kettle"), start=1)
    ]
    asked = "Where is the lantern, where is the wagon, where is the pillow, and where is the kettle?"
    wide = Reasoner(memory_of(*told), settings(evidence_tokens=0)).answer(asked, Cue())
    tight = Reasoner(memory_of(*told), settings(evidence_tokens=700)).answer(asked, Cue())
    assert sum(map(item_tokens, tight.citations)) <= 700 < sum(map(item_tokens, wide.citations))
    assert tight.answer == wide.answer
    assert [i.observation_id for i in tight.citations] == [i.observation_id for i in wide.citations]


# Unfolding.


def test_a_later_part_is_answered_from_the_span_of_the_one_it_refers_to(item, memory_of):
    cake = item("utterance", 10, 14, CAKE, dense=0.25, speaker="Anna")
    guest = item("utterance", 30, 34, "Clara and Tom were there too.", dense=0.4, speaker="Anna")
    away = item("utterance", 5000, 5004, "Nobody was there, only the dog.", dense=0.41, speaker="Ben")
    cake, guest = (msgspec.structs.replace(one, span_id=SPAN) for one in (cake, guest))
    memory = memory_of(cake, guest, msgspec.structs.replace(away, span_id=OTHER))
    told = Reasoner(memory, settings()).answer(
        "What cake did Anna bake for the party, and who was there?", Cue()
    )
    assert "Clara and Tom" in told.answer
    assert "only the dog" not in told.answer


def test_the_children_of_a_span_are_those_of_the_store(tmp_path):
    """Of a real store: what lies in the span of a citation, and nothing beside it."""
    store = UpdateStore(tmp_path)
    store.tell(
        "chat", [Told("I baked a cake.", "Anna"), Told("Clara came.", "Anna"), Told("Bye.", "Ben", day=9.0)]
    )
    (cake,) = store.recall(Cue(text="cake baked"), 1).items
    found = children(store.recall, cake, "who came", Cue(), 20)
    store.close()
    assert [one.text for one in found][:1] == ["I baked a cake."]
    assert "Bye." not in [one.text for one in found]


def test_a_detail_is_looked_for_in_the_stretch_that_was_summed_up(item, memory_of):
    here = datetime(2026, 11, 27, 15, tzinfo=UTC)
    day_ns = 86_400 * S
    this_week = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()) * S
    rain = item("utterance", 10, 14, "It rained all day.", dense=0.6, t0_ns=this_week)
    before = item("utterance", 5, 9, "It rained a little.", dense=0.6, t0_ns=this_week - 30 * day_ns)
    memory = memory_of(rain, before)
    Reasoner(memory, settings(), now=lambda: here).answer(
        "Summarise the week and tell which day it rained.", Cue()
    )
    assert memory.digests, "the week is told from digests"
    asked = [cue for cue in memory.cues if "rain" in cue.text]
    assert asked
    assert all(cue.t0_ns is not None and cue.t0_ns <= this_week < cue.t1_ns for cue in asked)
