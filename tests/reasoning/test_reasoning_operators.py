"""Counting, timing, first and last: how such questions are read, and what is computed from evidence."""

from __future__ import annotations

from functools import partial

import pytest

from reasoning.operators import count, duration, last_seen
from reasoning.operators.duration import amount
from reasoning.question import read_question
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from stream.messages import Coverage, Cue, Gap
from tools.eval_operators import counted, seconds_of

S = 1_000_000_000
CAT = "a photo of tabby, tiger cat, Egyptian cat, window screen, lynx"
TRAM = "a photo of streetcar, trolleybus, passenger car, minibus, electric locomotive"


@pytest.fixture
def walk(item):
    """A film in which a cat is seen on two occasions, the second in two shots and a caption."""
    seen = partial(item, dense=0.3)
    return (
        seen("shot", 0, 6, TRAM),
        seen("shot", 10, 16, CAT),
        seen("utterance", 11, 13, "The tram is late, the tram is always late.", speaker="Ida"),
        seen("shot", 16, 40, TRAM),
        seen("shot", 40, 46, CAT),
        seen("shot", 46, 52, CAT),
        seen("utterance", 47, 49, "There it is.", speaker="Ben"),
        seen("seen_text", 60, 62, "LAST STOP"),
        seen("shot", 52, 70, TRAM),
    )


@pytest.fixture
def ask(walk, memory_of):
    def ask(question, *, items=walk, coverage=None, settings=None):
        memory = memory_of(*items, coverage=coverage)
        return Reasoner(memory, settings or ReasoningSettings()).answer(question, Cue())

    return ask


@pytest.mark.parametrize(
    ("asked", "of"),
    [
        ("How many times is the cat shown?", "occasions"),
        ("Can you tell me how often the garden was mentioned?", "occasions"),
        ("On how many occasions did you see the dog?", "occasions"),
        ('How often does she say "tram"?', "words"),
        ("How many times is the word tram said?", "words"),
        ("How many people spoke?", "speakers"),
        ("How many different scenes are there?", "shots"),
        ("How often should the roses be watered?", None),
        ("How many eggs does he use?", None),
        ("How many times a week does he run?", None),
        ("How much is the tram?", None),
    ],
)
def test_what_is_to_be_counted(asked, of):
    found = count.reads(read_question(asked))
    assert (None if found is None else found.of) == of


@pytest.mark.parametrize(
    ("asked", "of"),
    [
        ("How long is the cat shown?", "seen"),
        ("For how long did the dog stay?", "seen"),
        ("How many seconds is the tower on screen?", "seen"),
        ("How long did Ida talk about the tram?", "said"),
        ("How long did the meeting last?", "recording"),
        ("What is the length of the film?", "recording"),
        ("How long should the button be held?", None),
        ("How long has Ben been talking about moving?", None),
        ("How long is the bridge?", None),
        ("How long did the negotiations take?", None),
    ],
)
def test_what_is_to_be_timed(asked, of):
    found = duration.reads(read_question(asked))
    assert (None if found is None else found.of) == of


@pytest.mark.parametrize(
    ("asked", "edge"),
    [
        ("When did I last see the cat?", "last"),
        ("When was the last time that the tram was mentioned?", "last"),
        ("Where did you last see my keys?", "last"),
        ("When does the cat first appear?", "first"),
        ("When did you see the cat?", None),
        ("When was the tram mentioned last week?", None),
        ("When did Ida first move to Rome?", None),
        ("What came first, the cat or the tram?", None),
    ],
)
def test_which_end_is_asked_for(asked, edge):
    found = last_seen.reads(read_question(asked))
    assert (None if found is None else found.edge) == edge


def test_occasions_are_counted_and_not_rows(ask):
    answer = ask("How many times is a cat shown?")
    assert answer.answer == "At least twice: at 0:10 and at 0:40."
    assert [item.pts0_ns // S for item in answer.citations] == [10, 40]
    assert answer.verdict == "answered"


def test_what_counts_as_another_occasion_is_a_setting(ask):
    settings = ReasoningSettings(occasion_gap_s=30)
    assert ask("How many times is a cat shown?", settings=settings).answer == "At least once: at 0:10."


def test_each_time_that_a_word_is_said_counts(ask):
    answer = ask('How often does she say "tram"?')
    assert answer.answer == "At least twice: at 0:11 (twice)."
    assert len(answer.citations) == 1


def test_turns_of_one_sitting_are_one_occasion(ask, item):
    turns = [
        item("utterance", at_s, at_s + 4, text, source="talk", speaker="Ida", t0_ns=at_s * S)
        for at_s, text in ((0, "My knee hurts."), (60, "The knee again."), (90_000, "The knee is fine."))
    ]
    chat = [
        type(one)(**{n: getattr(one, n) for n in one.__struct_fields__} | {"source_kind": "chat"})
        for one in turns
    ]
    assert ask("How often did Ida mention her knee?", items=chat).answer.startswith("At least twice:")


def test_what_somebody_mentions_is_counted_and_not_all_that_he_says(ask, item):
    turns = [
        item("utterance", at_s, at_s + 4, text, source="talk", speaker="Tom", t0_ns=at_s * S, dense=0.3)
        for at_s, text in (
            (0, "My number is 555 0101."),
            (90_000, "The boiler leaks."),
            (180_000, "Call the new number, please."),
            (270_000, "I am at the lake."),
        )
    ]
    told = ask("How often did Tom mention his number?", items=turns)
    assert told.answer.startswith("At least twice:")
    assert {item.text for item in told.citations} == {turns[0].text, turns[2].text}
    assert ask("How often did Tom speak?", items=turns).answer.startswith("At least four times:")


def test_who_is_mentioned_need_not_be_who_speaks(ask, item):
    said = item("utterance", 0, 3, "Clara forgot her shoes.", speaker="Ben")
    assert ask("How often was Clara mentioned?", items=(said,)).answer == "At least once: at 0:00."


def test_people_who_spoke_are_counted_by_name(ask):
    answer = ask("How many people spoke?")
    assert answer.answer == "At least two: Ida and Ben."
    assert [item.speaker for item in answer.citations] == ["Ida", "Ben"]


def test_shots_are_counted_with_the_first_and_the_last_of_them(ask):
    answer = ask("How many shots are there?")
    assert answer.answer == "Six shots."
    assert [item.pts0_ns // S for item in answer.citations] == [0, 52]


def test_a_duration_adds_up_stretches_and_not_shots(ask):
    answer = ask("How long is the cat shown?")
    assert answer.answer == "About 18 s in all: from 0:10 to 0:16 (6 s) and from 0:40 to 0:52 (12 s)."


def test_a_long_shot_gives_way_to_the_parts_of_it_that_show_the_thing(ask, item):
    items = (
        item("shot", 0, 60, CAT),
        item("caption", 10, 20, CAT),
        item("caption", 30, 60, TRAM),
        item("shot", 60, 70, TRAM),
    )
    assert ask("How long is the cat visible?", items=items).answer == "About 10 s: from 0:10 to 0:20."


def test_where_a_gap_may_hide_more_the_duration_is_the_least(ask):
    gap = Gap(uri="/films/walk.mp4", pts0_ns=52 * S, pts1_ns=55 * S, t0_ns=None, t1_ns=None, reason="lost")
    assert ask("How long is the cat shown?", coverage=Coverage(gaps=(gap,))).answer.startswith(
        "At least 18 s"
    )


def test_what_was_there_from_the_begin_was_there_at_least_so_long(ask):
    assert ask("How long is the tram visible?").answer.startswith("At least 48 s in all")


def test_a_recording_is_as_long_as_it_is(ask):
    answer = ask("How long is the film?")
    assert answer.answer == "1 min 10 s."
    assert [item.pts0_ns // S for item in answer.citations] == [0, 60]


def test_the_last_time_is_the_last_in_time(ask):
    answer = ask("When was the cat last seen?")
    assert answer.answer.startswith("Last from 0:40 to 0:52:")
    assert [item.pts0_ns // S for item in answer.citations] == [46]
    assert ask("When does the cat first appear?").citations[0].pts0_ns == 10 * S


def test_the_last_time_of_recordings_without_a_time_is_each_ones_own(ask, walk, item):
    answer = ask("When was the cat last seen?", items=(*walk, item("shot", 5, 9, CAT, source="porch.mp4")))
    assert answer.verdict == "uncertain"
    assert "The order is not known" in answer.answer
    assert {one.uri for one in answer.citations} == {"/films/walk.mp4", "/films/porch.mp4"}


def test_the_last_time_of_dated_recordings_is_the_newest(ask, walk, item):
    dated = [
        item("shot", 5, 9, CAT, source=name, t0_ns=at_s * S) for name, at_s in (("a.mp4", 9), ("b.mp4", 7))
    ]
    answer = ask("When was the cat last seen?", items=dated)
    assert answer.verdict == "answered"
    assert [one.uri for one in answer.citations] == ["/films/a.mp4"]


def test_what_was_never_met_is_not_counted(ask):
    for asked in (
        "How many times is a zebra shown?",
        "How long is the zebra shown?",
        "When was the zebra last seen?",
    ):
        assert ask(asked).verdict == "not_seen"


@pytest.mark.parametrize(
    ("length_s", "told"),
    [
        (0.4, "0.4 s"),
        (7.4, "7 s"),
        (60, "1 min"),
        (82, "1 min 22 s"),
        (7500, "2 h 5 min"),
        (176_400, "2 d 1 h"),
    ],
)
def test_lengths_are_told_as_people_say_them(length_s, told):
    assert amount(round(length_s * S)) == told


def test_the_evaluation_reads_numbers_and_lengths():
    assert [counted(t) for t in ("At least twice: at 0:10.", "Fourteen shots.", "15 shots.", "Nothing.")] == [
        2,
        14,
        15,
        None,
    ]
    assert [seconds_of(t) for t in ("About 18 s in all: from 0:10", "1 min 22 s.", "At 0:03: no")] == [
        18.0,
        82.0,
        None,
    ]
