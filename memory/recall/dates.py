"""Days and months that a question names, as ranges of UTC times.

A day is written "7 May 2023", "May 7th, 2023", "the 7th of May", with or without a year; a
month has its year or stands after "in". A month alone is too often a name ("May", "April").
What is dated by a month, or by a day before or after it, was told of within some weeks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

DAY_REACH = timedelta(days=2)
"""A turn tells of a day on the days around it too; +-2 days found more than +-14, and more than 0."""

MONTH_REACH = timedelta(days=15)
"""Half of the stretch itself: of what was done in a month people also tell soon after, and before."""
LOOSE_REACH = timedelta(days=30)
"""How far before a day reaches "before" it, and after it "after"."""

_MONTHS = (
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)
_MONTH = "|".join(
    (*(name.capitalize() for name in _MONTHS), "Jan", "Feb", "Aug", "Sept?", "Oct", "Nov", "Dec")
)
_YEAR = r"(?:,?\s+(?:of\s+)?(?P<year>(?:19|20)\d\d))"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
# Capitals: "may" and "march" are words.
_NAMED_DAY = (
    re.compile(rf"\b{_DAY}\s+(?:of\s+)?(?P<month>{_MONTH})\b\.?{_YEAR}?"),
    re.compile(rf"\b(?P<month>{_MONTH})\b\.?\s+{_DAY}\b{_YEAR}?"),
    re.compile(r"\b(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)-(?P<day>\d\d)\b"),
)
_LOOSE = re.compile(r"\b(?:(?P<before>before|until|till|by)|after|since|from)\s+(?:the\s+)?$", re.I)
_NAMED_MONTH = (
    re.compile(rf"\b(?P<month>{_MONTH})\b\.?{_YEAR}"),
    re.compile(rf"\b(?:[Ii]n|[Dd]uring)\s+(?P<month>{_MONTH})\b(?!\s*\d)"),
)


def ranges_of(text: str, years: Sequence[int]) -> list[tuple[int, int]]:
    """The stretches of time that the words of a question name, in UTC nanoseconds, end excluded.

    Args:
        text: The question.
        years: Years that a date without one may be of.
    """
    found = [
        (day - before, day + after + timedelta(days=1))
        for match in _matches(_NAMED_DAY, text)
        for before, after in (_reach(text[: match.start()]),)
        for day in _dates(match, years, match["day"])
    ]
    if not found:
        found = [
            (first - MONTH_REACH, (first + timedelta(days=32)).replace(day=1) + MONTH_REACH)
            for match in _matches(_NAMED_MONTH, text)
            for first in _dates(match, years, "1")
        ]
    return [(_ns(begin), _ns(end)) for begin, end in found]


def _reach(words_before: str) -> tuple[timedelta, timedelta]:
    """How far before and after a day its question reaches, by the word that leads to it."""
    told = _LOOSE.search(words_before)
    if told is None:
        return DAY_REACH, DAY_REACH
    return (LOOSE_REACH, DAY_REACH) if told["before"] else (DAY_REACH, LOOSE_REACH)


def _matches(patterns: Sequence[re.Pattern[str]], text: str) -> list[re.Match[str]]:
    return [match for pattern in patterns for match in pattern.finditer(text)]


def _dates(match: re.Match[str], years: Sequence[int], day: str) -> list[datetime]:
    named = match.groupdict()
    told = match["month"].casefold()
    month = int(told) if told.isdigit() else next(n for n, m in enumerate(_MONTHS, 1) if m[:3] == told[:3])
    dates: list[datetime] = []
    for year in [int(named["year"])] if named.get("year") else years:
        try:
            dates.append(datetime(year, month, int(day), tzinfo=UTC))
        except ValueError:  # The 31st of June; the 29th of February of another year.
            continue
    return dates


def _ns(when: datetime) -> int:
    return int(when.timestamp()) * 1_000_000_000
