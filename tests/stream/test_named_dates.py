"""Days and months in the words of a question."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from stream.named_dates import FOREVER_NS, fits, named_dates, names_any, ranges_of, without_dates

S = 1_000_000_000
OPEN = None


def at(day):
    return int(datetime(*day, tzinfo=UTC).timestamp()) * S


DAYS = [
    ("on 7 May 2023", (2023, 5, 5), (2023, 5, 10)),
    ("on May 7th, 2023?", (2023, 5, 5), (2023, 5, 10)),
    ("on December 1,2023 in town", (2023, 11, 29), (2023, 12, 4)),
    ("the 7th of May", (2023, 5, 5), (2023, 5, 10)),
    ("on 2023-05-07", (2023, 5, 5), (2023, 5, 10)),
    ("on the 12th of may 2024", (2024, 5, 10), (2024, 5, 15)),
    ("in July 2023", (2023, 6, 16), (2023, 9, 1)),
    ("in December", (2023, 11, 16), (2024, 2, 1)),
    ("from May 7, 2023", (2023, 5, 5), (2023, 5, 10)),
    ("last weekend before 10 June 2023", (2023, 5, 11), (2023, 6, 13)),
    ("the week after 10 June 2023", (2023, 6, 8), (2023, 7, 11)),
    ("the week before June 2023", (2023, 5, 2), (2023, 7, 2)),
    ("the week after June 2023", (2023, 6, 16), (2023, 7, 31)),
    ("on Monday, May 8, 2023", (2023, 5, 6), (2023, 5, 11)),
]
JOINED = [
    ("between May 7 and May 12, 2023", (2023, 5, 5), (2023, 5, 15)),
    ("between 1 May 2024 and 15 May 2024", (2024, 4, 29), (2024, 5, 18)),
    ("between August 11 and August 15 2023", (2023, 8, 9), (2023, 8, 18)),
    ("from 7 to 25 May 2023", (2023, 5, 5), (2023, 5, 28)),
    ("between 7 and 25 May 2023", (2023, 5, 5), (2023, 5, 28)),
    ("on May 7-19, 2023", (2023, 5, 5), (2023, 5, 22)),
    ("on 7\u201319 May", (2023, 5, 5), (2023, 5, 22)),
    ("from May 7 to 19, 2023", (2023, 5, 5), (2023, 5, 22)),
    ("April 10 until May 20, 2023", (2023, 4, 8), (2023, 5, 23)),
    ("from April 10, 2023 through May 20", (2023, 4, 8), (2023, 5, 23)),
    ("between March 2023 and July 2023", (2023, 2, 14), (2023, 9, 1)),
    ("between March and July 2023", (2023, 2, 14), (2023, 9, 1)),
    ("from November to February 2024", (2023, 10, 17), (2024, 4, 1)),
    ("from December 28, 2023 to January 3", (2023, 12, 26), (2024, 1, 6)),
    ("from December 28 to January 3", (2023, 12, 26), (2024, 1, 6)),
    ("after May 7, 2023 and before June 3, 2023", (2023, 5, 5), (2023, 6, 6)),
]
SIDES = [
    ("since January 5, 2022", (2022, 1, 3), OPEN),
    ("after January 5, 2022", (2022, 1, 3), OPEN),
    ("from January 5, 2022 onwards", (2022, 1, 3), OPEN),
    ("since the 10th of June 2023", (2023, 6, 8), OPEN),
    ("before May 7, 2023", OPEN, (2023, 5, 10)),
    ("until May 7, 2023", OPEN, (2023, 5, 10)),
    ("by May 7, 2023", OPEN, (2023, 5, 10)),
    ("before May 2023", OPEN, (2023, 5, 3)),
    ("until May 2023", OPEN, (2023, 7, 2)),
    ("after March 2022", (2022, 3, 17), OPEN),
    ("since March 2022", (2022, 2, 14), OPEN),
    ("before October", OPEN, (2023, 10, 3)),
    ("before or after May 7, 2023", OPEN, OPEN),
]


@pytest.mark.parametrize(("text", "first", "last"), DAYS + JOINED + SIDES)
def test_times_that_a_question_names(text, first, last):
    expected = (at(first) if first else -FOREVER_NS, at(last) if last else FOREVER_NS)
    assert ranges_of(named_dates(f"What was seen {text}"), range(2023, 2024)) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on May 7, 2023 and in June 2023", [((2023, 5, 5), (2023, 5, 10)), ((2023, 5, 17), (2023, 8, 1))]),
        ("on 7 and 19 May 2023", [((2023, 5, 5), (2023, 5, 10)), ((2023, 5, 17), (2023, 5, 22))]),
        ("on 7 May or 9 July, 2023", [((2023, 5, 5), (2023, 5, 10)), ((2023, 7, 7), (2023, 7, 12))]),
        ("in May and September 2023", [((2023, 4, 16), (2023, 7, 2)), ((2023, 8, 17), (2023, 11, 1))]),
        ("on 7 May or in 2023", [((2022, 5, 5), (2022, 5, 10)), ((2023, 5, 5), (2023, 5, 10))]),
    ],
)
def test_several_dates_are_all_taken(text, expected):
    found = ranges_of(named_dates(f"What was seen {text}?"), (2022, 2023))
    assert found == [(at(first), at(last)) for first, last in expected]


SEASONS = [
    ("in summer 2023", [((2023, 5, 17), (2023, 10, 2))]),
    ("in the summer of 2023", [((2023, 5, 17), (2023, 10, 2))]),
    ("during the fall of 2023", [((2023, 8, 17), (2024, 1, 1))]),
    ("in late autumn 2023", [((2023, 8, 17), (2024, 1, 1))]),
    ("in winter 2023", [((2022, 11, 16), (2023, 4, 1)), ((2023, 11, 16), (2024, 4, 1))]),
    ("since spring 2023", [((2023, 2, 14), OPEN)]),
    ("before summer 2023", [(OPEN, (2023, 6, 3))]),
    ("after the summer of 2023", [((2023, 8, 17), OPEN)]),
    ("between spring 2022 and summer 2023", [((2022, 2, 14), (2023, 10, 2))]),
    ("from summer 2022 to summer 2023", [((2022, 5, 17), (2023, 10, 2))]),
]
DIGITS = [
    ("on 12/05/2024", [((2024, 5, 10), (2024, 5, 15)), ((2024, 12, 3), (2024, 12, 8))]),
    ("on 25/12/2023", [((2023, 12, 23), (2023, 12, 28))]),
    ("on 12/25/2023", [((2023, 12, 23), (2023, 12, 28))]),
    ("on 5.7.2023", [((2023, 7, 3), (2023, 7, 8))]),
    ("on 7/7/2023", [((2023, 7, 5), (2023, 7, 10))]),
    ("since 5/7/2023", [((2023, 5, 5), OPEN)]),
    ("before 5/7/2023", [(OPEN, (2023, 7, 8))]),
    ("between 1/5/2024 and 25/5/2024", [((2024, 4, 29), (2024, 5, 28))]),
    (
        "from 1/5/2024 to 3/5/2024",
        [((2024, 1, 3), (2024, 3, 8)), ((2024, 4, 29), (2024, 5, 6))],
    ),
]


@pytest.mark.parametrize(("text", "expected"), SEASONS + DIGITS)
def test_seasons_and_days_in_digits_with_both_readings(text, expected):
    asked = f"What was seen {text}?"
    found = ranges_of(named_dates(asked), (2022, 2023))
    assert found == [
        (at(first) if first else -FOREVER_NS, at(last) if last else FOREVER_NS) for first, last in expected
    ]
    assert without_dates(asked, named_dates(asked)) == ("What was seen?", text)


@pytest.mark.parametrize(
    "text",
    [
        "What may 2 people do?",
        "May 2 people come in?",
        "Where does April live?",
        "on 31 June",
        "on 2023-02-30",
        "on 2023-13-01",
        "In 2023",
        "What is told in April's cooking?",
        "Who plays in August Rush?",
        "Who believed in Jan?",
        "What did Jan get from April?",
        "What did they say before May came?",
        "What did Ben say after the party?",
        "What did Ana do before the move?",
        "What did Ben say before the March?",
        "Who left after the October?",
        "How did she fall?",
        "What is 13/14/2023?",
        "What is printed after 'x' on \"summer 2023\"?",
        "at 1/2/3/2023",
        "How long is the march in march?",
        'What is printed after "8 May 2024"?',
    ],
)
def test_words_that_name_no_date(text):
    assert ranges_of(named_dates(text), range(2023, 2024)) == []


@pytest.mark.parametrize(
    ("asked", "rest", "words"),
    [
        ("What did Anna buy on 8 May 2024?", "What did Anna buy?", "on 8 May 2024"),
        ("What happened before 10 May?", "What happened?", "before 10 May"),
        ("Where was Tim in the week before 16 November 2023?", "Where was Tim?",
         "in the week before 16 November 2023"),
        ("On May 7, 2023, what was sold?", "what was sold?", "On May 7, 2023"),
        ("What was sold from 7 to 25 May 2023 in Rome?", "What was sold in Rome?", "from 7 to 25 May 2023"),
        ("What was sold on May 7 and in June 2023?", "What was sold?", "on May 7 and in June 2023"),
        ("What was in the May 5, 2023 letter?", "What was in the letter?", "May 5, 2023"),
        ("What was sold on Monday, May 8?", "What was sold?", "on Monday, May 8"),
        ("Was it sold before or after 8 May 2024?", "Was it sold?", "before or after 8 May 2024"),
        ("What was sold?", "What was sold?", ""),
    ],
)  # fmt: skip
def test_a_question_without_its_dates(asked, rest, words):
    assert without_dates(asked, named_dates(asked)) == (rest, words)


def test_a_time_fits_the_dates_of_a_question_in_any_year_where_none_is_told():
    asked = named_dates("What was sold on 1 January?")
    assert fits(at((2021, 12, 31)), asked)
    assert fits(at((2022, 1, 3)), asked)
    assert not fits(at((2022, 1, 9)), asked)
    assert not fits(at((2022, 1, 3)), named_dates("on 1 January 2021"))


def test_a_text_that_names_the_date_itself():
    asked = named_dates("on 8 May 2024")
    assert names_any("Opened 8 May 2024 by the mayor.", asked)
    assert names_any("See you on May 8th!", asked)
    assert not names_any("See you on May 9th!", asked)
    assert not names_any("In May 2024 it rained.", asked)


@pytest.mark.parametrize(
    "part",
    [
        "May 7 ",
        "summer 2023 to ",
        "1/2/2023 ",
        "7 and ",
        "in ",
        "May and ",
        "the week ",
        "2023-05-07 - ",
        '"',
    ],
)
def test_the_grammar_takes_no_time_to_speak_of(part):
    began_s = time.process_time()
    named_dates(part * (1000 // len(part)))
    assert time.process_time() - began_s < 0.5
