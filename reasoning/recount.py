"""Questions for what happened in a stretch of time: "what happened on Tuesday", "summary of 3 March".

A question is one only where nothing else is asked: "what happened to the boat on Tuesday" asks about
the boat. Day words ("yesterday", "this morning", "Tuesday", "last week") are those of whoever asks, by
this machine's clock and zone; dates are read by `stream.named_dates`, and are here the very days, with no
reach to either side. A weekday is the last one that has begun.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from stream.named_dates import Point, Stretch, named_dates, without_dates

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PARTS = {
    "morning": (5, 12),
    "noon": (11, 14),
    "afternoon": (12, 18),
    "evening": (17, 24),
    "night": (20, 29),
}
"""Hours of the day that parts of it are taken for; a night ends on the next day."""
_PART = rf"(?P<part>{'|'.join(_PARTS)})"
_DAY = rf"(?P<day>(?:{'|'.join(_DAYS)})|today|yesterday|the\s+day\s+before\s+yesterday)"
_WHEN = re.compile(
    rf"\b(?:(?:on|in|at|during|of|for|from|over)\s+)?(?:the\s+)?(?:"
    rf"(?:(?P<lead>last|this|past)\s+)?{_DAY}(?:'s|\u2019s)?(?:\s+(?:in\s+the\s+|at\s+)?{_PART})?"
    rf"|(?P<which>this|last)\s+(?P<own>{'|'.join(_PARTS)})"
    rf"|tonight"
    rf"|(?P<span>this|last|past)\s+(?P<unit>week(?:end)?|month|year)(?:'s|\u2019s)?"
    rf"|(?:last|past)\s+(?P<count>\d{{1,3}})\s+(?P<units>hours|days|weeks))\b",
    re.I,
)
_OF_THE_PART = re.compile(rf"\b(?:(?:in|on|during)\s+the|at|the)\s+{_PART}\b(?:\s+of)?", re.I)
_ASKS = re.compile(
    r"^(?:what(?:\s+all)?(?:\s+(?:has|have|had))?\s+(?:happen(?:ed|s|ing)?|went\s+on|was\s+(?:going\s+on|happening|up)|"
    r"occurred)(?:\s+(?:there|here|with\s+(?:me|us)))?|"
    r"what's\s+happen(?:ed|ing)|what\s+did\s+(?:i|we|you)\s+(?:do|see|hear|see\s+and\s+hear|experience)|"
    r"what\s+(?:have\s+)?(?:i|we|you)\s+(?:done|been\s+doing)|what\s+was\s+(?:i|we)\s+doing|how\s+was|how\s+did|"
    r"(?:(?:give|show|tell)\s+me\s+|write\s+|make\s+)?(?:an?\s+|the\s+|my\s+)?(?:short\s+|brief\s+)?"
    r"(?:summary|recap|overview|digest|diary|account)(?:\s+(?:of|for|about))?|"
    r"(?:summari[sz]e|recap|recount|describe|(?:tell\s+me\s+)?about)(?:\s+what\s+happened)?)"
    r"(?:\s+(?:my|our|the))?(?:\s+(?:go|day|days|events?|all|like))*$",
    re.I,
)
_ASKED_KINDLY = re.compile(r"^(?:(?:can|could|would|will)\s+you\s+)?(?:please\s+)?", re.I)
_WITHIN = re.compile(r"\b(?:that|the)\s+(?:day|time)\b|[\s,?.!]+$", re.I)


@dataclass(frozen=True, slots=True)
class Recount:
    """A stretch of time that is to be told: UTC ns, end excluded; `named`: as the question says it."""

    t0_ns: int
    t1_ns: int
    named: str


def read_recount(asked: str, now: Callable[[], datetime]) -> Recount | None:
    """The stretch that a question asks to be told; None where it asks something else.

    Args:
        asked: The question, its politeness and question mark taken away.
        now: Gives the time of asking, with its zone.
    """
    if match := _WHEN.search(asked):
        rest = _tidy(f"{asked[: match.start()]} {asked[match.end() :]}")
        if not _ASKS.match(rest):
            return None
        here = now()
        bounds = _bounds(match, here)
        return _recount(*bounds, match[0])
    dates = named_dates(asked)
    if not dates:
        return None
    rest, words = without_dates(asked, dates)
    part = _OF_THE_PART.search(words) or _OF_THE_PART.search(rest)
    if part is not None and part.string is rest:
        rest = f"{rest[: part.start()]} {rest[part.end() :]}"
    if not _ASKS.match(_tidy(rest)):
        return None
    here = now()
    days = _days_of(dates[0], here.date())
    if days is None:
        return None
    begin, end = _midnight(days[0], here.tzinfo), _midnight(days[1], here.tzinfo)
    if part is not None and days[1] - days[0] == timedelta(days=1):
        begin, end = _part(days[0], part["part"], here.tzinfo)
    return _recount(begin, end, words)


def asks_all(asked: str) -> bool:
    """Whether a question that names no time asks what happened at all, as "what happened?" does."""
    return _ASKS.match(_tidy(asked)) is not None


def _tidy(text: str) -> str:
    return _ASKED_KINDLY.sub("", re.sub(r"\s+", " ", _WITHIN.sub(" ", text)).strip(" ,?.!"))


def _recount(begin: datetime, end: datetime, words: str) -> Recount:
    return Recount(_ns(begin), _ns(end), re.sub(r"\s+", " ", words).strip())


def _ns(when: datetime) -> int:
    return round(when.timestamp()) * 1_000_000_000


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    return datetime.combine(day, time(), zone)


def _part(day: date, name: str, zone: tzinfo | None) -> tuple[datetime, datetime]:
    first, last = _PARTS[name.lower()]
    midnight = _midnight(day, zone)
    return midnight + timedelta(hours=first), midnight + timedelta(hours=last)


def _bounds(match: re.Match[str], here: datetime) -> tuple[datetime, datetime]:
    """Begin and end of what day words mean, for who says them `here`."""
    zone, today = here.tzinfo, here.date()
    named = {name: (value or "").lower() for name, value in match.groupdict().items()}
    if named["count"]:
        back = timedelta(**{named["units"]: int(named["count"])})
        return here - back, here
    if named["unit"]:
        return _of_unit(named["unit"], named["span"] == "this", today, zone)
    if named["own"]:
        is_last = named["which"] == "last" and (
            named["own"] == "night" or here.hour < _PARTS[named["own"]][1]
        )
        return _part(today - timedelta(days=is_last), named["own"], zone)
    if not named["day"]:
        return _part(today, "night", zone)  # Tonight.
    day = _day(re.sub(r"\s+", " ", named["day"]), today, is_last=named["lead"] == "last")
    if named["part"]:
        return _part(day, named["part"], zone)
    return _midnight(day, zone), _midnight(day + timedelta(days=1), zone)


def _day(name: str, today: date, *, is_last: bool) -> date:
    if name == "today":
        return today
    if name.endswith("yesterday"):
        return today - timedelta(days=2 if name.startswith("the") else 1)
    back = (today.weekday() - _DAYS.index(name)) % 7
    return today - timedelta(days=7 if is_last and back == 0 else back)


def _of_unit(unit: str, is_this: bool, today: date, zone: tzinfo | None) -> tuple[datetime, datetime]:
    monday = today - timedelta(days=today.weekday())
    if unit == "week":
        begin = monday if is_this else monday - timedelta(days=7)
        end = begin + timedelta(days=7)
    elif unit == "weekend":
        begin = monday + timedelta(days=5)
        if not is_this or begin > today:
            begin -= timedelta(days=7)
        end = begin + timedelta(days=2)
    elif unit == "month":
        begin = today.replace(day=1)
        end = (begin + timedelta(days=32)).replace(day=1)
        if not is_this:
            begin, end = (begin - timedelta(days=1)).replace(day=1), begin
    else:
        begin = today.replace(month=1, day=1)
        end = begin.replace(year=begin.year + 1)
        if not is_this:
            begin, end = begin.replace(year=begin.year - 1), begin
    return _midnight(begin, zone), _midnight(end, zone)


def _days_of(stretch: Stretch, today: date) -> tuple[date, date] | None:
    """First day and the day after the last of a date; one without a year is the last that has begun."""
    if stretch.side != "within":
        return None
    for year in (today.year, today.year - 1):
        try:
            first = _first(stretch.first, year)
            last_year = year + (stretch.last[1:] < stretch.first[1:] and not stretch.has_year)
            last = _after(stretch.last, last_year)
        except ValueError:
            continue
        if stretch.has_year or first <= today:
            return first, last
    return None


def _first(point: Point, year: int) -> date:
    return date(point.year or year, point.month, point.day or 1)


def _after(point: Point, year: int) -> date:
    first = _first(point, year)
    if point.day is not None:
        return first + timedelta(days=1)
    return (first + timedelta(days=32)).replace(day=1)
