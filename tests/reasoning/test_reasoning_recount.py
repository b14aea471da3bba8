"""What happened when: the grammar of day words, and answers told from digests."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from reasoning.answer import NOT_SEEN
from reasoning.citations import citations_of
from reasoning.question import without_politeness
from reasoning.reasoner import Reasoner
from reasoning.recount import read_recount
from reasoning.settings import ReasoningSettings
from stream.messages import Cue

BERLIN = ZoneInfo("Europe/Berlin")
S = 1_000_000_000


def friday_at_three():
    return datetime(2026, 11, 27, 15, 0, tzinfo=BERLIN)


def stretch(asked):
    found = read_recount(without_politeness(asked), friday_at_three)
    if found is None:
        return None
    return tuple(f"{datetime.fromtimestamp(t / 1e9, BERLIN):%m-%d %H}" for t in (found.t0_ns, found.t1_ns))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("What happened on Tuesday?", ("11-24 00", "11-25 00")),
        ("what happened this morning", ("11-27 05", "11-27 12")),
        ("What happened yesterday afternoon?", ("11-26 12", "11-26 18")),
        ("what happened last night?", ("11-26 20", "11-27 05")),
        ("What happened on Tuesday morning?", ("11-24 05", "11-24 12")),
        ("summary of 3 March", ("03-03 00", "03-04 00")),
        ("what happened on the morning of 3 March?", ("03-03 05", "03-03 12")),
        ("what happened on May 5th in the afternoon?", ("05-05 12", "05-05 18")),
        ("What happened between 3 March and 7 March?", ("03-03 00", "03-08 00")),
        ("What happened in March?", ("03-01 00", "04-01 00")),
        ("what happened in December?", ("12-01 00", "01-01 00")),
        ("Could you please give me a summary of the last 3 days?", ("11-24 15", "11-27 15")),
        ("what did we do last week?", ("11-16 00", "11-23 00")),
        ("what happened this weekend?", ("11-21 00", "11-23 00")),
        ("What happened last Friday?", ("11-20 00", "11-21 00")),
        ("How was Friday?", ("11-27 00", "11-28 00")),
        ("how did yesterday go?", ("11-26 00", "11-27 00")),
        ("tell me about Monday", ("11-23 00", "11-24 00")),
        ("summarise today", ("11-27 00", "11-28 00")),
        ("summary of my day today", ("11-27 00", "11-28 00")),
        ("what happened last year?", ("01-01 00", "01-01 00")),
        ("What happened on Sunday at 9 pm?", ("11-22 20", "11-22 21")),
        ("what happened yesterday between 9 and 11?", ("11-26 09", "11-26 11")),
        ("What happened in 2023?", ("01-01 00", "01-01 00")),
        ("what happened two days ago?", ("11-25 00", "11-26 00")),
    ],
)
def test_day_words_are_those_of_who_asks(asked, expected):
    assert stretch(asked) == expected


@pytest.mark.parametrize(
    "asked",
    [
        "What happened to the boat on Tuesday?",
        "What did Anna say on Tuesday?",
        "What happened after the storm?",
        "What happens in the video?",
        "When was the party on 3 March?",
        "What happened since 3 March?",
        "What did Friday eat?",
        "",
    ],
)
def test_what_asks_for_something_is_no_recount(asked):
    assert stretch(asked) is None


def test_a_day_without_a_year_is_the_last_that_has_begun():
    found = read_recount("summary of 28 November", friday_at_three)
    assert datetime.fromtimestamp(found.t0_ns / 1e9, BERLIN).year == 2025


@pytest.fixture
def tuesday(item):
    def on(day, hour, text, kind="utterance", level="day"):
        t_ns = int(datetime(2026, 11, day, hour, 30, tzinfo=BERLIN).timestamp()) * S
        made = item(kind, hour, hour + 1, text, t0_ns=t_ns, speaker="Ada" if kind == "utterance" else "")
        return msgspec.structs.replace(made, level=level)

    return (
        on(24, 18, "a photo of stove, pan", kind="shot"),
        on(24, 9, "The ferry leaves at seven."),
        on(26, 9, "Rain all day.", level="episode"),
        on(27, 14, "The gate is open.", level="tail"),
    )


def answer(memory, asked, gates=None, **settings):
    reasoner = Reasoner(memory, ReasoningSettings(**settings), now=friday_at_three)
    return reasoner.answer(asked, gates or Cue())


def test_each_sentence_of_a_recount_cites_in_order_of_time(memory_of, tuesday):
    told = answer(memory_of(*tuesday), "What happened on Tuesday?")
    assert told.verdict == "answered"
    assert told.answer == (
        "At 09:30 Ada said: “The ferry leaves at seven.” At 18:30 the picture shows: stove, pan."
    )
    assert [told.citations[n].t0_ns for s in told.sentences for n in s.citations] == [
        tuesday[1].t0_ns,
        tuesday[0].t0_ns,
    ]
    assert told.notices == ()


def test_several_days_are_told_with_their_dates_and_what_is_not_over_says_so(memory_of, tuesday):
    told = answer(memory_of(*tuesday), "What happened this week?")
    assert told.answer.startswith("On 2026-11-24 at 09:30 Ada said")
    assert len(told.sentences) == 4
    assert told.notices == ("it is not over yet: this is what there is so far",)
    assert len(answer(memory_of(*tuesday), "What happened this week?", recounted=2).sentences) == 2


def test_a_time_range_of_the_asker_counts_beside_the_words(memory_of, tuesday):
    noon_ns = int(datetime(2026, 11, 24, 12, tzinfo=BERLIN).timestamp()) * S
    memory = memory_of(*tuesday)
    assert "ferry" not in answer(memory, "What happened on Tuesday?", Cue(t0_ns=noon_ns)).answer
    assert "ferry" in answer(memory, "What happened?", Cue(t1_ns=noon_ns)).answer
    assert memory.cues == []


def test_a_day_of_which_nothing_is_known_was_not_seen(memory_of, tuesday):
    told = answer(memory_of(*tuesday), "What happened on Monday?")
    assert (told.verdict, told.sentences[0].text) == ("not_seen", NOT_SEEN)


def test_a_date_without_a_digest_is_looked_for_as_ever(memory_of, item):
    said = item("utterance", 1, 2, "We met at the pier.", t0_ns=int(datetime(2026, 3, 3, 9).timestamp()) * S)
    memory = memory_of(said)
    assert "pier" in answer(memory, "What happened on 3 March 2026?").answer
    assert memory.digests
    assert memory.cues


@pytest.mark.parametrize(
    "asked",
    [
        "Summarise the film",
        "Can you sum up the whole video?",
        "What happens in the film?",
        "Tell me about the recording",
        "Give me a summary of the meeting.",
        "What was seen and heard in total?",
    ],
)
def test_all_of_a_recording_is_told_where_no_time_is_named(memory_of, tuesday, item, asked):
    undated = msgspec.structs.replace(item("utterance", 5, 6, "The bells ring."), level="episode")
    memory = memory_of(*tuesday, undated)
    told = answer(memory, asked)
    assert told.verdict == "answered"
    assert len(told.sentences) == 5
    assert (memory.digests[0].t0_ns, memory.digests[0].t1_ns) == (None, None)
    assert all(sentence.citations for sentence in told.sentences)


@pytest.mark.parametrize(
    "asked",
    [
        "Tell me about the boat",
        "What is said in the letter?",
        "Describe the man in the film",
        "What was said?",
    ],
)
def test_a_part_of_it_is_looked_for(memory_of, tuesday, asked):
    memory = memory_of(*tuesday)
    answer(memory, asked)
    assert memory.digests == []


@pytest.mark.parametrize(
    "asked", ["Summarise November", "Sum up November 2026.", "Recap last week", "Sum up today"]
)
def test_a_stretch_is_summed_up(memory_of, tuesday, asked):
    memory = memory_of(*tuesday)
    assert answer(memory, asked).sentences
    assert memory.digests[0].t0_ns is not None


def test_it_can_be_switched_off(memory_of, tuesday):
    memory = memory_of(*tuesday)
    answer(memory, "What happened on Tuesday?", recounts=False)
    assert memory.digests == []


def test_what_a_digest_chose_was_not_looked_for_and_counts_as_no_use(memory_of, tuesday):
    told = answer(memory_of(*tuesday), "What happened on Tuesday?")
    assert citations_of(b"turn", told, []) is None
