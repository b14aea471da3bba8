"""Objects at places in answers: where a thing was seen last, what is new, gone or moved, and how sure."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from reasoning.question.objects import read_changes
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from stream.messages import Cue
from stream.messages.places import ObjectsTold, ObjectTold

S = 1_000_000_000
NOW = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)
TODAY_NS = int(datetime(2026, 11, 27, 9, 30, tzinfo=UTC).timestamp()) * S
DAY_NS = 86_400 * S
KITCHEN = b"k" * 16


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("What is new", ("new",)),
        ("what's been added", ("new",)),
        ("Is anything missing", ("gone",)),
        ("what is no longer there", ("gone",)),
        ("What was moved", ("moved",)),
        ("what has changed", ("new", "gone", "moved")),
        ("what is new with Anna", ()),
        ("what is the new price", ()),
        ("who moved", ()),
        ("what was moved to Friday", ()),
    ],
)
def test_which_changes_are_asked_for(text, changes):
    assert read_changes(text) == changes


@pytest.fixture
def seen(item):
    """A sighting as memory tells it."""

    def made(name, place, *, t_ns=TODAY_NS, share=0.6, sure=1.0, kind="shot", **fields):
        text = f"a photo of {name}, wall" if kind == "shot" else name
        one = msgspec.structs.replace(item(kind, t_ns % 997, t_ns % 997 + 9, text, t0_ns=t_ns), place=place)
        by = "label" if kind == "shot" else "text"
        return ObjectTold(name=name, by=by, share=share, sure=sure, seen=one, place_id=KITCHEN, **fields)

    return made


class Objects:
    """Memory's side of objects: gives what was made up, and keeps what it was asked."""

    def __init__(self, *told, **counts):
        known = {
            "stays_since": 2,
            "stays_before": 3,
            "looks_since": 2,
            "looks_before": 3,
            "looked_since_ns": 60 * S,
        }
        self.told = ObjectsTold(objects=told, **(known | counts))
        self.asks = []

    def __call__(self, ask):
        self.asks.append(ask)
        return self.told


def answer(memory, objects_of, question, **settings):
    reasoner = Reasoner(
        memory, ReasoningSettings(**settings), now=lambda: NOW, labels=lambda: ["kitchen"], objects=objects_of
    )
    return reasoner.answer(question, Cue())


def cites_all(told):
    return all(sentence.citations for sentence in told.sentences)


def test_where_a_thing_was_seen_last_is_its_place_and_time_cited(memory_of, seen):
    objects = Objects(seen("coffee mug", "kitchen"))
    told = answer(memory_of(), objects, "Where did I last see the mug?")
    assert told.verdict == "answered"
    assert "Last seen at “kitchen” on 2026-11-27 at 09:30" in told.answer
    assert "label 60 % sure" in told.answer
    assert cites_all(told)
    assert told.citations == (objects.told.objects[0].seen,)
    assert told.confidence == 0.6
    (ask,) = objects.asks
    assert (ask.change, ask.names[0]) == ("seen", "mug")
    assert "coffee mug" in ask.names


def test_a_later_sighting_where_no_place_is_known_is_told_with_the_last_known_place(memory_of, item, seen):
    later = item(
        "shot", 50, 60, "a photo of coffee mug, desk", dense=0.6, source="later.mp4", t0_ns=TODAY_NS + S
    )
    told = answer(memory_of(later), Objects(seen("coffee mug", "kitchen")), "Where did I last see the mug?")
    assert "Last seen where no place is known" in told.sentences[0].text
    assert "“kitchen”" in told.sentences[1].text
    assert cites_all(told)


def test_a_label_that_is_not_sure_is_told_as_what_may_be(memory_of, seen):
    told = answer(
        memory_of(), Objects(seen("mug", "kitchen", share=0.1, sure=0.0)), "Where did I last see the mug?"
    )
    assert told.verdict == "uncertain"
    assert told.confidence == 0.1
    later = Objects(seen("mug", "kitchen", share=0.1, sure=0.0), seen("mug", "hall", t_ns=TODAY_NS - DAY_NS))
    told = answer(memory_of(), later, "Where did I last see the mug?")
    assert told.verdict == "answered"
    assert "“hall”" in told.sentences[0].text
    assert told.sentences[1].text.startswith("Perhaps it was seen again at “kitchen”")


def test_with_places_off_it_is_source_and_time_as_ever(memory_of, item):
    keys = item("shot", 10, 20, "a photo of coffee mug, desk", dense=0.6)
    plain = answer(memory_of(keys), None, "Where did I last see the mug?")
    nothing = answer(memory_of(keys), Objects(), "Where did I last see the mug?")
    off = answer(memory_of(keys), Objects(), "Where did I last see the mug?", objects=False)
    assert plain.answer == nothing.answer == off.answer
    assert "of" in plain.answer
    assert "place" not in plain.answer


def test_what_is_new_in_a_room_since_yesterday(memory_of, seen):
    objects = Objects(seen("umbrella", "kitchen", sure=0.9, times=2, looks=2, missed=3))
    told = answer(memory_of(), objects, "What is new in the kitchen since yesterday?")
    assert told.verdict == "answered"
    assert "Umbrella (label 60 % sure) is new at “kitchen”: first seen on 2026-11-27" in told.answer
    assert "not in 3 looks before" in told.answer
    assert cites_all(told)
    (ask,) = objects.asks
    assert (ask.cue.place, ask.change) == ("kitchen", "new")
    assert ask.cue.t0_ns == TODAY_NS - TODAY_NS % DAY_NS - DAY_NS


def test_a_thing_that_a_short_look_missed_is_not_called_gone(memory_of, seen):
    unseen = seen("mug", "kitchen", sure=0.0, times=3, looks=3, missed=0)
    objects = Objects(unseen, looks_since=0, looked_since_ns=2 * S, compared=(unseen.seen,))
    told = answer(memory_of(), objects, "What is gone from the kitchen?")
    assert told.verdict == "uncertain"
    assert "gone" not in told.sentences[0].text.replace("I cannot say that anything is gone", "")
    assert any("nobody looked long enough" in notice and "mug" in notice for notice in told.notices)
    assert any("2 s in all" in notice for notice in told.notices)


def test_what_left_one_place_for_another_cites_both(memory_of, seen):
    before = seen("mug", "kitchen", t_ns=TODAY_NS - DAY_NS).seen
    objects = Objects(seen("mug", "hall", sure=0.7, missed=1, before=before))
    told = answer(memory_of(), objects, "What was moved?")
    assert "was moved: seen at “kitchen” on 2026-11-26" in told.answer
    assert "then at “hall” on 2026-11-27" in told.answer
    assert len(told.citations) == 2
    unsure = Objects(seen("mug", "hall", sure=0.3, missed=0, before=before))
    told = answer(memory_of(), unsure, "What was moved?")
    assert told.verdict == "uncertain"
    assert "not looked at since" in told.answer


def test_that_nothing_changed_says_what_was_compared(memory_of, seen):
    compared = (seen("stove", "kitchen").seen, seen("stove", "kitchen", t_ns=TODAY_NS - DAY_NS).seen)
    told = answer(memory_of(), Objects(compared=compared), "What is new in the kitchen?")
    assert told.verdict == "answered"
    assert "nothing new" in told.answer
    assert sorted(one.t0_ns for one in told.citations) == sorted(one.t0_ns for one in compared)


def test_a_time_without_a_visit_is_relaxed_with_a_notice(memory_of, seen):
    class OfOtherTimes(Objects):
        def __call__(self, ask):
            told = super().__call__(ask)
            return told if ask.cue.t0_ns is None else ObjectsTold(stays_before=3)

    objects = OfOtherTimes(seen("umbrella", "kitchen", sure=0.9, missed=3))
    told = answer(memory_of(), objects, "What is new in the kitchen today?")
    assert told.verdict == "uncertain"
    assert "Umbrella" in told.answer
    assert any("of other times" in notice for notice in told.notices)


def test_where_memory_has_no_places_it_is_an_ordinary_question(memory_of, item):
    said = item("utterance", 10, 14, "What is new is the bakery.", dense=0.7, speaker="Ida")
    nowhere = Objects(stays_since=0, stays_before=0)
    assert (
        answer(memory_of(said), nowhere, "What is new?").answer
        == answer(memory_of(said), None, "What is new?").answer
    )


def test_what_nobody_can_order_is_told_of_each_recording(memory_of, item, seen):
    loose = [
        item("shot", 9, 12, "a photo of coffee mug, desk", dense=0.6, source=f"{n}.mp4") for n in range(2)
    ]
    hint = Objects(seen("coffee mug", "kitchen", share=0.1, sure=0.0))
    told = answer(memory_of(*loose), hint, "Where did I last see the mug?")
    assert told.verdict == "uncertain"
    assert "“kitchen”" in told.answer
    both = [seen("coffee mug", place, t_ns=TODAY_NS + n) for n, place in enumerate(("kitchen", "hall"))]
    both = [
        msgspec.structs.replace(
            one,
            seen=msgspec.structs.replace(one.seen, t0_ns=None, source_id=bytes([n]) * 16, uri=f"/{n}.mp4"),
        )
        for n, one in enumerate(both)
    ]
    told = answer(memory_of(), Objects(*both), "Where did I last see the mug?")
    assert told.verdict == "uncertain"
    assert "“kitchen”" in told.answer
    assert "“hall”" in told.answer
    assert "order is not known" in told.answer
    assert cites_all(told)
