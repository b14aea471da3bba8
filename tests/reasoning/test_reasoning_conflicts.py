"""What contradicts, what repeats, and what was not perceived, as answers tell it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from reasoning import contradiction
from reasoning.contradiction import difference
from reasoning.evidence import distinct, weigh
from reasoning.question import read_question
from reasoning.reasoner import Reasoner
from reasoning.settings import EvidenceSettings, ReasoningSettings
from stream.messages import Coverage, Cue, Gap

S = 1_000_000_000
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("The ferry to the island leaves at 7.", "The ferry to the island leaves at 8.", ("7", "8")),
        ("The harbour ferry takes two hours.", "The harbour ferry takes three hours!", ("two", "three")),
        ("The spare key hangs in Lisbon.", "The spare key hangs in Porto.", ("Lisbon", "Porto")),
        ("Anna paid the plumber yesterday.", "Clara paid the plumber yesterday.", ("Anna", "Clara")),
        ("The garden gate is locked at night.", "The garden gate is not locked at night.", ("", "")),
        ("The ferry serves the old harbour.", "The ferry doesn't serve the old harbour.", ("", "")),
        ("The spare key hangs behind the door.", "The spare key hangs behind the oven.", ("door", "oven")),
        ("It was the age of wisdom.", "It was the age of foolishness.", None),
        ("The ferry leaves at seven.", "The orchestra rehearsed until midnight.", None),
        ("Page 3", "Page 4", None),
        ("Then ask for Caroline at the front desk.", "Then ask for Carolyn at the front desk.", None),
        ("The ferry to the island leaves at 7.", "The ferry to the island leaves at 7.", None),
        ("We planted three apple trees there.", "We planted three old pear trees there, and a fence.", None),
    ],
)
def test_one_thing_that_differs_is_a_contradiction(one, other, words):
    assert difference(one, other) == words
    assert difference(other, one) == (words and words[::-1])


@pytest.fixture
def ask(memory_of):
    def ask(question, *items, coverage=None, now=None, **gates):
        memory = memory_of(*items, coverage=coverage)
        here = now or datetime(2026, 11, 27, 15, 0, tzinfo=BERLIN)
        return Reasoner(memory, ReasoningSettings(), now=lambda: here).answer(question, Cue(**gates))

    return ask


def test_both_sides_are_told_with_their_times(ask, item):
    seven = item("utterance", 10, 13, "The ferry to the island leaves at seven.", dense=0.8)
    eight = item(
        "utterance", 70, 73, "The ferry to the island leaves at eight.", dense=0.5, source="pier.mp4"
    )
    answer = ask("When does the ferry to the island leave?", seven, eight)
    assert {one.uri for one in answer.citations} == {"/films/walk.mp4", "/films/pier.mp4"}
    (conflict,) = answer.conflicts
    assert (
        "(at 0:10 of walk.mp4) against “The ferry to the island leaves at eight.” (at 1:10 of pier.mp4)"
        in conflict
    )
    assert "“seven” and “eight”" in conflict


def test_two_people_who_tell_of_themselves_contradict_nobody(ask, item):
    def told(*texts, speakers=("Ines", "Tomas")):
        items = [
            item("utterance", at, at + 3, text, dense=0.8, speaker=who, source=f"{at}.mp4")
            for at, text, who in zip((10, 300), texts, speakers, strict=True)
        ]
        return ask("When does the birthday party start?", *items).conflicts

    mine = ("My birthday party starts at five.", "My birthday party starts at six.")
    assert told(*mine) == ()
    assert len(told(*mine, speakers=("Ines", "Ines"))) == 1
    assert len(told("The birthday party starts at five.", "The birthday party starts at six.")) == 1


@pytest.mark.parametrize(
    ("one", "other", "at_s", "source", "conflicts"),
    [
        ("The bus to the station leaves at 7.", "The bus to the station leaves at 8.", 14, "walk.mp4", 0),
        ("The bus to the station leaves 7:10.", "The bus to the station leaves 8:10.", 14, "walk.mp4", 0),
        ("The bus to the pier leaves at 7 pm.", "The bus to the pier leaves at 8 pm.", 14, "walk.mp4", 0),
        ("The bus to the station leaves at 7.", "The bus to the station leaves at 8.", 900, "walk.mp4", 1),
        ("The bus to the station leaves at 7.", "The bus to the station leaves at 8.", 14, "pier.mp4", 1),
        ("The bus to the station costs 7 euros.", "The bus to the station costs 8 euros.", 14, "walk.mp4", 1),
        ("The bus to the station stops at 7 Elm Road.", "The bus to the station stops at 8 Elm Road.", 14,
         "walk.mp4", 1),
    ],
)  # fmt: skip
def test_times_of_the_day_in_one_breath_are_a_timetable(ask, item, one, other, at_s, source, conflicts):
    items = (
        item("utterance", 10, 13, one, dense=0.8),
        item("utterance", at_s, at_s + 3, other, dense=0.8, source=source),
    )
    assert len(ask("What of the bus to the station or pier?", *items).conflicts) == conflicts


def page_of(tail, first=0):
    return (
        "".join(f"Row{first + n} shows item{first + n} beside shelf{first + n}. " for n in range(100)) + tail
    )


def test_long_texts_are_laid_side_by_side_only_where_they_share_words(monkeypatch):
    calls = []

    class Counted(contradiction.SequenceMatcher):
        def __init__(self, *args, **options):
            calls.append(args)
            super().__init__(*args, **options)

    monkeypatch.setattr(contradiction, "SequenceMatcher", Counted)
    ferry = "The ferry to the island leaves at {}. "
    assert difference(page_of(""), page_of("", 1000)) is None
    assert calls == []
    assert difference(ferry.format(7) + page_of(""), ferry.format(8) + page_of("", 1000)) == ("7", "8")
    assert len(calls) == 1
    assert difference(page_of(ferry.format(7)), page_of(ferry.format(8), 1000)) is None


def test_what_contradicts_is_no_near_duplicate(item):
    texts = (
        "The ferry from the old harbour to the big island leaves every single morning at seven.",
        "The ferry from the old harbour to the big island leaves every single morning at eight.",
    )
    items = [item("utterance", at, at + 3, text) for at, text in enumerate(texts)]
    supports = weigh(read_question("When does the ferry leave?"), items, EvidenceSettings())
    assert len(distinct(supports, EvidenceSettings())) == 2


def test_what_is_said_again_is_told_once_with_its_times(ask, item):
    texts = ("Mind the gap, please.", "Mind the gap please!", "Mind the gap, please.")
    items = [item("utterance", at, at + 2, text) for at, text in zip((10, 41, 70), texts, strict=True)]
    answer = ask("What is said about the gap?", *items)
    assert answer.answer == "At 0:10 someone said: “Mind the gap, please.” The same at 0:41 and at 1:10."
    assert [len(sentence.citations) for sentence in answer.sentences] == [1, 2]


def test_what_goes_on_is_no_repetition(ask, item):
    items = [item("seen_text", at, at + 2, "MIND THE GAP") for at in (10, 12, 14)]
    assert "same" not in ask("What is written about the gap?", *items).answer


# Gaps.


@pytest.fixture
def said(item):
    at_ns = int(datetime(2026, 11, 27, 13, 1, tzinfo=BERLIN).timestamp()) * S
    return item("utterance", 10, 13, "The parcel is on the porch.", t0_ns=at_ns, source="porch", dense=0.35)


def gap_at(hour, minute, length_s, **fields):
    at_ns = int(datetime(2026, 11, 27, hour, minute, tzinfo=BERLIN).timestamp()) * S
    gap = Gap(
        uri="/films/porch",
        pts0_ns=60 * S,
        pts1_ns=(60 + length_s) * S,
        t0_ns=at_ns,
        t1_ns=at_ns + length_s * S,
        reason="the camera was off",
    )
    return msgspec.structs.replace(gap, **fields)


def test_a_gap_in_the_stretch_that_is_asked_about_is_told_in_the_clock_of_the_asker(ask, said):
    coverage = Coverage(gaps=(gap_at(14, 2, 480),))
    answer = ask("What was said about the parcel?", said, coverage=coverage, t0_ns=0)
    assert answer.verdict == "answered"
    assert answer.notices == ("nothing was perceived of porch from 14:02 to 14:10 (the camera was off)",)
    elsewhere = datetime(2026, 11, 27, 9, 0, tzinfo=ZoneInfo("America/New_York"))
    told = ask("What was said about the parcel?", said, coverage=coverage, t0_ns=0, now=elsewhere).notices
    assert told == ("nothing was perceived of porch from 08:02 to 08:10 (the camera was off)",)


def test_a_sure_answer_to_a_question_of_no_time_is_not_burdened_with_gaps(ask, said):
    coverage = Coverage(gaps=(gap_at(14, 2, 480),))
    assert ask("What was said about the parcel?", said, coverage=coverage).notices == ()
    assert ask("Where is the zebra?", said, coverage=coverage).notices != ()


def test_a_gap_of_a_file_is_told_by_positions(ask, said):
    undated = gap_at(14, 2, 12, t0_ns=None, t1_ns=None)
    answer = ask("What is said in the first minute?", said, coverage=Coverage(gaps=(undated,)))
    assert answer.notices == ("nothing was perceived of porch from 1:00 to 1:12 (the camera was off)",)


def test_a_pause_and_a_loss_are_told_apart_each_with_its_reason(ask, said):
    lost = gap_at(14, 2, 60, uri="rtsp://door.local/1", reason="lost: it ended")
    paused = msgspec.structs.replace(
        lost,
        pts0_ns=lost.pts1_ns,
        pts1_ns=lost.pts1_ns + 600 * S,
        t0_ns=lost.t1_ns,
        t1_ns=lost.t1_ns + 600 * S,
        reason="paused by the owner: guests",
    )
    coverage = Coverage(gaps=(paused, lost))
    told = " | ".join(ask("What was said about the parcel?", said, coverage=coverage, t0_ns=0).notices)
    assert " was lost from 14:02:00 to 14:03:00 (it ended)" in told
    assert " was paused from 14:03 to 14:13 (by the owner: guests)" in told


def test_a_short_pause_is_told_beside_many_long_losses(ask, said):
    losses = [
        gap_at(10 + n, 0, 300, pts0_ns=n * 3600 * S, pts1_ns=(n * 3600 + 300) * S, reason="lost: it ended")
        for n in range(4)
    ]
    pause = gap_at(15, 0, 5, pts0_ns=20_000 * S, pts1_ns=20_005 * S, reason="paused by the owner")
    coverage = Coverage(gaps=(*losses, pause))
    told = ask("What was said about the parcel?", said, coverage=coverage, t0_ns=0).notices
    assert [" was paused " in one for one in told] == [False, False, True, False]
    assert told[-1] == "2 more such stretches (600 s)"


def test_gaps_that_meet_are_one_and_many_are_counted(ask, said):
    first, second = gap_at(14, 2, 60), gap_at(14, 3, 60, pts0_ns=120 * S, pts1_ns=180 * S)
    others = [
        gap_at(15 + n, 0, 30, pts0_ns=(4000 + n * 3600) * S, pts1_ns=(4030 + n * 3600) * S) for n in range(4)
    ]
    told = ask(
        "What was said about the parcel?", said, coverage=Coverage(gaps=(first, second, *others)), t0_ns=0
    ).notices
    assert told[0] == "nothing was perceived of porch from 14:02 to 14:04 (the camera was off)"
    assert told[-1] == "2 more such stretches (60 s)"
