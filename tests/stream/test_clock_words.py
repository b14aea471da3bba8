"""Words for times, by the clock and zone of who asks."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from stream.clock_words import Range, clock_words

BERLIN = ZoneInfo("Europe/Berlin")
HERE = datetime(2026, 11, 27, 15, 0, tzinfo=BERLIN)  # A Friday.


def read(text, here=HERE, **options):
    found = clock_words(text, here, **options)
    if found is None:
        return None
    return [tuple(_shown(t_ns, here) for t_ns in one) for one in found.ranges]


def _shown(t_ns, here):
    return None if t_ns is None else f"{datetime.fromtimestamp(t_ns / 1e9, here.tzinfo):%y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("who came on Thursday at 9", "26-11-26 08:45", "26-11-26 09:15"),
        ("who came between 9 and 11 on Thursday", "26-11-26 09:00", "26-11-26 11:00"),
        ("who came last Friday night", "26-11-20 20:00", "26-11-21 05:00"),
        ("who came on the morning of 3 March", "26-03-03 05:00", "26-03-03 12:00"),
        ("who came the week before 10 March 2024", "24-03-03 00:00", "24-03-10 00:00"),
        ("who came from Monday on", "26-11-23 00:00", None),
        ("who came after Tuesday", "26-11-25 00:00", None),
        ("who came before last week", None, "26-11-16 00:00"),
        ("who came over the weekend", "26-11-21 00:00", "26-11-23 00:00"),
        ("who came last winter", "25-12-01 00:00", "26-03-01 00:00"),
        ("who came last May", "26-05-01 00:00", "26-06-01 00:00"),
        ("who came in the past 3 days", "26-11-24 15:00", "26-11-27 15:00"),
        ("who came at 4 pm", "26-11-26 15:45", "26-11-26 16:15"),
        ("who came at quarter to two pm", "26-11-27 13:30", "26-11-27 14:00"),
        ("who came tonight", "26-11-27 20:00", "26-11-28 05:00"),
        ("who came in February", "26-02-01 00:00", "26-03-01 00:00"),
        ("who came on the 31st", "26-10-31 00:00", "26-11-01 00:00"),
        ("who came in Tuesday's meeting", "26-11-24 00:00", "26-11-25 00:00"),
        ("who came on Friday last week", "26-11-20 00:00", "26-11-21 00:00"),
        ("who came two weeks ago on Tuesday", "26-11-10 00:00", "26-11-11 00:00"),
        ("who came at the end of last month", "26-10-21 16:00", "26-11-01 00:00"),
        ("who came in the last year", "25-11-27 15:00", "26-11-27 15:00"),
        ("who came on the Sunday before last", "26-11-15 00:00", "26-11-16 00:00"),
        ("what did we talk about in May?", "26-05-01 00:00", "26-06-01 00:00"),
        ("who came 4 years ago", "22-05-29 00:00", "23-05-29 00:00"),
    ],
)
def test_one_stretch(text, since, until):
    assert read(text) == [(since, until)]


@pytest.mark.parametrize(
    "text",
    [
        "What did Friday eat?",
        "Where is the Friday folder?",
        "Who may come?",
        "What does she drink in the morning?",
        "Who lives on the 5th floor?",
        "How long did it last?",
        "What happens in the last two minutes?",
        "The last day of what?",
        "Does Sunday suit you?",
        'What is printed after "last week"?',
        "What are her plans for the summer?",
        "What did she say about last night?",
        "Where were we on Easter Monday?",
        "Who came second in the race?",
        "What was it like before May came?",
        "How do I get 5 to 7 points?",
        "What is due next Friday?",
        "What is due this coming Friday?",
        "What did he plan for the following Friday?",
        "When did we last go to the cinema on a Friday?",
        "What was cooked on every Sunday?",
        "What was said about the 10 o'clock news?",
        "What did he say about the 5 pm train?",
        "What did she say about Sunday lunch?",
        "What comes after Sunday dinner?",
        "Who came for Friday prayers?",
        "",
    ],
)
def test_words_that_name_no_time(text):
    assert read(text) is None


def test_several_days_are_all_meant_and_what_meets_is_one():
    assert read("on Monday and on Thursday") == [
        ("26-11-23 00:00", "26-11-24 00:00"),
        ("26-11-26 00:00", "26-11-27 00:00"),
    ]
    assert read("on Wednesday and on Thursday") == [("26-11-25 00:00", "26-11-27 00:00")]
    both = clock_words("on Monday and on Thursday", HERE)
    assert (_shown(both.hull.since_ns, HERE), _shown(both.hull.until_ns, HERE)) == (
        "26-11-23 00:00",
        "26-11-27 00:00",
    )


def test_an_ambiguous_date_has_both_readings_unless_told_how():
    both = clock_words("who came on 5/7/2024?", HERE)
    assert both.ambiguous
    assert len(both.ranges) == 2
    assert read("who came on 5/7/2024?", date_order="day_first") == [("24-07-05 00:00", "24-07-06 00:00")]
    assert read("who came on 5/7/2024?", date_order="month_first") == [("24-05-07 00:00", "24-05-08 00:00")]
    assert not clock_words("who came on 25/7/2024?", HERE).ambiguous


def test_the_week_before_counts_from_what_was_spoken_of():
    assert read("and the week before?") is None
    week = clock_words("last week", HERE).hull
    assert read("and the week before?", of=week) == [("26-11-09 00:00", "26-11-16 00:00")]
    assert read("and the day after?", of=week) == [("26-11-23 00:00", "26-11-24 00:00")]
    assert read("and the week before?", of=Range(None, 5)) is None


def test_only_dates_of_the_calendar_are_loose():
    assert clock_words("on 3 March", HERE).loose
    assert not clock_words("on 3 March in the afternoon", HERE).loose
    assert not clock_words("yesterday", HERE).loose


@pytest.mark.parametrize(
    ("text", "loose"),
    [
        ("When is the meeting on Monday?", True),
        ("What is planned for Monday?", True),
        ("Who is coming this Sunday?", True),
        ("Who is coming Sunday?", True),
        ("What was planned for Monday?", False),
        ("Will it rain at 5 pm?", True),
        ("Is the shop open on Sunday?", True),
        ("What is on television tonight?", True),
        ("What is said on Monday?", False),
        ("When did we meet on Monday?", False),
        ("Is the key in the drawer today?", False),
        ("What is in the pictures of last Monday?", False),
        ("Are there pictures of Monday?", False),
        ("Where is the note that I put down on Monday?", False),
        ("Will she come on Monday?", True),
        ("When is he coming on Monday?", True),
    ],
)
def test_a_question_about_what_is_to_come_is_loose(text, loose):
    assert clock_words(text, HERE).loose is loose


def test_a_time_before_a_plain_word_is_still_a_time():
    assert read("who came after Tuesday morning") is not None
    assert read("what happened after Sunday ended") == [("26-11-23 00:00", None)]
    assert read("who came about 5 pm yesterday") == [("26-11-26 16:15", "26-11-26 17:45")]
    assert read("what was said on Sunday lunch") == [("26-11-22 00:00", "26-11-23 00:00")]


def test_a_day_on_which_clocks_change_is_as_long_as_it_was():
    here = datetime(2026, 3, 30, 12, tzinfo=BERLIN)
    (one,) = clock_words("yesterday", here).ranges
    assert (one.until_ns - one.since_ns) // 3_600_000_000_000 == 23
    utc = datetime(2026, 3, 30, 0, 30, tzinfo=UTC)
    assert read("yesterday", utc) == [("26-03-29 00:00", "26-03-30 00:00")]


@pytest.mark.parametrize("text", ["who came 2 hours ago", "who came in the last 2 hours"])
def test_hours_ago_are_hours_where_clocks_change(text):
    here = datetime(2026, 10, 25, 4, 0, tzinfo=BERLIN)  # At three it was two o'clock again.
    (one,) = clock_words(text, here).ranges
    told_ns = int(here.timestamp()) * 10**9 - 2 * 3600 * 10**9
    assert one.since_ns <= told_ns < one.until_ns
    assert one.until_ns - one.since_ns <= 2 * 3600 * 10**9


def test_the_rest_is_the_text_without_its_times():
    found = clock_words("What did Clara say on Tuesday, after five about rent?", HERE)
    assert found.rest == "What did Clara say about rent?"
    assert "on Tuesday" in found.words
    assert clock_words("In 2023, who came?", HERE).rest == "who came?"


@pytest.mark.parametrize(
    "part",
    [
        "on Monday ",
        "Monday and ",
        "between 3 and ",
        "12/05/2024 ",
        "at 3 pm ",
        "5 ",
        "last ",
        "the ",
        "1",
        "a few ",
    ],
)
def test_the_grammar_takes_no_time_to_speak_of(part):
    began_s = time.process_time()
    clock_words(part * (1000 // len(part)), HERE)
    assert time.process_time() - began_s < 0.5
