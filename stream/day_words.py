"""Words for days and longer: weekdays, "yesterday", "last week", "two days ago", seasons, years, dates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from stream.hour_words import MODIFIES
from stream.named_dates import Point, Stretch, named_dates

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_FEASTS = {
    "christmas": (12, 24, 3),
    "new year's eve": (12, 31, 1),
    "new year's day": (1, 1, 1),
    "new year": (1, 1, 1),
}
"""Month, day, and how many days it lasts."""
_ORDINALS = dict(
    zip(
        "first second third fourth fifth sixth seventh eighth ninth tenth".split(),  # noqa: SIM905
        range(1, 11),
        strict=True,
    )
)
_COUNTS = {
    **dict(
        zip(
            "one two three four five six seven eight nine ten eleven twelve".split(),  # noqa: SIM905
            range(1, 13),
            strict=True,
        )
    ),
    "a": 1,
    "an": 1,
    "a couple of": 2,
    "a few": 3,
    "some": 3,
    "several": 4,
    "half an": 0.5,
    "half a": 0.5,
}
_COUNT = rf"(?:{'|'.join(sorted(_COUNTS, key=len, reverse=True))}|\d{{1,3}})"
_UNIT_S = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 2_592_000, "year": 31_536_000}
_AGO_SHARE = 0.5
"""By how much "two hours ago" may be off to either side, as a share of it; people round."""
_AGO_DAYS = {"day": 0, "week": 3, "month": 10, "year": 30}
"""Days to either side of "a month ago"."""
_END = (
    r"(?=\s*(?:[?.,!;:)]|$)|\s+(?:in|on|at|and|or|to|by|with|when|where|what|who|which|did|does|was|were|is|are|has|"
    r"have)\b)"
)
_SIDE = r"(?:before|after|since|until|till|by|up\s+to)"


class Days(NamedTuple):
    """A stretch of days, or of a time that is counted from now: `till` excluded.

    `side` is set where the words, from `begin` to `end` in the text, tell it themselves. `is_date`: a date of
    the calendar. `weekday`: it is told by its name alone, from 0 for Monday. `possessive`: "Tuesday's", which
    the words that lead to it do not belong to.
    """

    begin: int
    end: int
    since: datetime
    till: datetime
    side: str | None = None
    is_date: bool = False
    possessive: bool = False
    weekday: int | None = None


def day_atoms(
    text: str, here: datetime, *, of: tuple[datetime, datetime] | None = None, date_order: str = "either"
) -> Iterator[Days]:
    """The days that a text names, none within another, nothing quoted.

    Args:
        text: What names them.
        here: The time of asking, with its zone.
        of: What "the week before" counts from; without it that names nothing.
        date_order: As in `stream.clock_words.clock_words`.
    """
    taken = [match.span() for match in re.finditer(r"[\"\u201c][^\"\u201d]*[\"\u201d]", text)]
    for found in _dates(text, here, date_order):
        taken.append((found.begin, found.end))
        yield found
    for pattern, meaning in _RULES:
        for match in pattern.finditer(text):
            if any(match.start() < end and match.end() > begin for begin, end in taken):
                continue
            days = meaning(match, here)
            if days is not None:
                taken.append((days.begin, days.end))
                yield days
    if of is not None and (step := _STEP.search(text)) is not None:
        since, till = _step(step, *of)
        yield Days(*step.span(), since, till, side="in")


# Dates of the calendar.


def _dates(text: str, here: datetime, date_order: str) -> Iterator[Days]:
    """Those of `stream.named_dates`, each as the very days; one without a year the last that has begun."""
    found = named_dates(text)
    by_words: dict[tuple[int, int], list[Stretch]] = {}
    for one in found:
        by_words.setdefault((one.begin, one.end), []).append(one)
    for readings in by_words.values():
        kept = readings
        if len(readings) > 1 and date_order != "either" and "/" in text[readings[0].begin : readings[0].end]:
            kept = readings[:1] if date_order == "day_first" else readings[1:]
        for one in kept:
            if (days := _of_stretch(text, one, here)) is not None:
                yield days


def _of_stretch(text: str, one: Stretch, here: datetime) -> Days | None:
    bounds = days_of(one, here.date())
    if bounds is None or one.side == "either":
        return None
    since, till = _midnight(bounds[0], here), _midnight(bounds[1], here)
    side: str = one.side
    words = text[one.begin : one.end]
    if side in ("shortly before", "shortly after"):
        days = next((n for unit, n in _SHORTLY if re.search(rf"\b{unit}", words, re.I)), 1)
        since, till = (
            (since - timedelta(days=days), since) if "before" in side else (till, till + timedelta(days=days))
        )
        side = "within"
    # "On the morning of 3 March": the hour is read beside the day.
    part = re.match(r".*\b(?:morning|noon|afternoon|evening|night)\s+of\s+", words, re.I | re.S)
    begin = one.begin + (part.end() if part else 0)
    return Days(begin, one.end, since, till, side="in" if side == "within" else side, is_date=True)


_SHORTLY = (("weekend", 7), ("fortnight", 14), ("week", 7), ("days", 3), ("day", 1))


def days_of(stretch: Stretch, today: date) -> tuple[date, date] | None:
    """First day and the day after the last; of a date without a year, of the last one that has begun."""
    for year in range(today.year, today.year - 5, -1):
        try:
            last_year = year + (stretch.last[1:] < stretch.first[1:] and not stretch.has_year)
            first, last = _first(stretch.first, year), _after(stretch.last, last_year)
        except ValueError:  # The 29th of February of another year.
            continue
        if stretch.has_year or first <= today:
            return first, last
    return None


def _first(point: Point, year: int) -> date:
    return date(point.year or year, point.month, point.day or 1)


def _after(point: Point, year: int) -> date:
    first = _first(point, year)
    return first + timedelta(days=1) if point.day is not None else _next_month(first)


def _next_month(first: date) -> date:
    return (first.replace(day=1) + timedelta(days=32)).replace(day=1)


def _midnight(day: date, here: datetime) -> datetime:
    return datetime.combine(day, time(), here.tzinfo)


def _days(match: re.Match[str], here: datetime, first: date, last: date, *, possessive: bool = False) -> Days:
    """From a day to before another."""
    return Days(*match.span(), _midnight(first, here), _midnight(last, here), possessive=possessive)


# Words of the clock.

_NAMED_DAY = re.compile(
    rf"\b(?:(?P<lead>last|this|past)\s+)?(?P<day>{'|'.join(_WEEKDAYS)})\b(?P<own>['\u2019]s)?"
    r"(?:,?\s+(?:the\s+)(?P<n>\d{1,2})(?:st|nd|rd|th)\b|(?P<far>\s+before\s+last)\b)?",
    re.I,
)
_RELATIVE = re.compile(
    r"\b(?P<day>(?:earlier\s+)?today|the\s+day\s+before\s+yesterday|yesterday)\b(?P<own>['\u2019]s)?", re.I
)
_UNIT = re.compile(
    r"\b(?:(?P<span>this|last|past)\s+(?P<unit>week(?:end)?|month|year)\b(?P<own>['\u2019]s)?|"
    r"(?:on|at|over)\s+the\s+(?P<end>weekend)\b|the\s+(?P<far>week|weekend|month|year)\s+before\s+last\b)",
    re.I,
)
_LAST_FEW = re.compile(
    rf"\b(?:(?:in|within|over|during|for)\s+)?(?:the\s+)?(?:last|past)\s+(?:(?P<n>{_COUNT})\s+)?"
    r"(?P<unit>minute|hour|day|week|month|year)s?\b(?!\s+of\b)",
    re.I,
)
_AGO = re.compile(
    rf"\b(?:about\s+|around\s+|almost\s+|over\s+)?(?P<n>{_COUNT})\s+(?P<unit>minute|hour|day|week|month|year)s?\s+ago\b",
    re.I,
)
_YEAR = r"(?:19|20)\d\d"
_YEARS = re.compile(
    rf"\b(?:between|from)\s+(?P<a>{_YEAR})\s*(?:and|to|until|till|[-\u2013])\s*(?P<b>{_YEAR})\b|"
    rf"\b(?P<lead>in|since|before|after|until|till|by|during|throughout|from)\s+(?:the\s+year\s+)?(?P<year>{_YEAR})\b(?![-:/]\d|\s*[A-Za-z]*\s*(?:euros|dollars))",
    re.I,
)
_SEASON = re.compile(
    rf"\b(?:(?P<which>last|this)\s+|(?P<lead>in|during|over|since|before|after|until)\s+(?:the\s+)?)"
    rf"(?P<season>{'|'.join(_SEASONS)})\b(?!['\u2019]){_END}",
    re.I,
)
_MONTH = re.compile(
    rf"\b(?:(?P<which>[Ll]ast|[Tt]his)\s+(?P<a>(?i:{'|'.join(_MONTHS)}))\b|"
    rf"(?P<side>{_SIDE})\s+(?P<b>{'|'.join(name.capitalize() for name in _MONTHS)})\b(?=\s*(?:[?.!]|$)))"
)
_FEAST = re.compile(
    rf"\b(?:(?:at|on|over|during|this|last|since|before|after|until)\s+)?(?P<feast>{'|'.join(_FEASTS)})\b{_END}",
    re.I,
)
_NTH = re.compile(
    rf"\b(?P<lead>on|since|until|by|before|after)\s+the\s+(?P<n>\d{{1,2}})(?:st|nd|rd|th)\b{_END}", re.I
)
_ORDINAL_MONTH = re.compile(
    rf"\b(?:on\s+)?the\s+(?P<n>{'|'.join(_ORDINALS)})\s+of\s+(?P<month>{'|'.join(_MONTHS)})\b(?:,?\s+(?P<year>{_YEAR}))?",
    re.I,
)
_STEP = re.compile(
    r"\b(?:(?:on|in)\s+)?the\s+(?:(?P<n>next|following|previous)\s+(?P<a>day|week|month|year)|(?P<b>day|week|month|year)\s+(?P<side>before|after))\b"
    r"(?=\s*(?:that\b)?\s*[?.!]*$)",
    re.I,
)


_NO_DAY = re.compile(r"\b(?:next|upcoming|(?:the|this)\s+coming|the\s+following|an?|each|every)\s+$", re.I)
"""Before a weekday that is still to come, or any of its name: "next Friday", "on a Friday"."""


def _named_day(match: re.Match[str], here: datetime) -> Days | None:
    """A weekday where it is a time, and not somebody's name or what something is for."""
    text, today = match.string, here.date()
    before = text[: match.start()]
    led = match["lead"] or re.search(
        r"(?:^|\b(?:on|since|before|after|until|till|by|from|between|of|to|and|or|about|for|at|during|over|late|early|day|up\s+to),?)\s+$",
        before,
        re.I,
    )
    after = text[match.end() :]
    ends = re.match(r"\s*(?:[?.,!;:]|$)", after) or re.match(
        r"\s+(?:in\s+the\s+|at\s+)?(?:morning|noon|afternoon|evening|night|midday|lunchtime)\b|"
        r"\s+(?:between|after|before|around|at|from|to|until|and)\b",
        after,
        re.I,
    )
    if not (led or ends or match["own"]) or (
        not led and re.search(r"\b(?:did|does|do|is|has)\s+$", before, re.I)
    ):
        return None
    if _NO_DAY.search(before):
        return None
    if re.search(r"\b(?:the|my|our|his|her|their)\s+$", before, re.I) and not ends:
        return None  # "The Friday folder".
    if re.search(r"\b(?:about|after|the|for)\s+$", before, re.I) and MODIFIES.match(after):
        return None  # "After Sunday dinner".
    number = _WEEKDAYS.index(match["day"].lower())
    back = (today.weekday() - number) % 7
    day = today - timedelta(
        days=7 if match["lead"] and match["lead"].lower() == "last" and not back else back
    )
    if re.search(r"\b(?:easter|good|black|cyber|ash|palm|whit)\s+$", before, re.I):
        return None  # Feasts that this grammar does not know.
    if match["far"]:
        day -= timedelta(days=7)
    if match["n"]:
        found = _nth(int(match["n"]), today, number)
        if found is None:
            return None
        day = found
    found_days = _days(match, here, day, day + timedelta(days=1), possessive=match["own"] is not None)
    is_bare = not (match["n"] or match["far"]) and (match["lead"] or "this").lower() == "this"
    return found_days._replace(weekday=number if is_bare else None)


def _relative(match: re.Match[str], here: datetime) -> Days:
    name, today = re.sub(r"\s+", " ", match["day"].lower()), here.date()
    if name.startswith("earlier"):
        return Days(*match.span(), _midnight(today, here), here)
    day = today - timedelta(days=0 if name == "today" else 2 if name.startswith("the") else 1)
    return _days(match, here, day, day + timedelta(days=1), possessive=match["own"] is not None)


def _unit(match: re.Match[str], here: datetime) -> Days:
    today = here.date()
    back = 2 if match["far"] else 0 if (match["span"] or "").lower() == "this" else 1
    unit = (match["unit"] or match["end"] or match["far"]).lower()
    monday = today - timedelta(days=today.weekday())
    if unit == "week":
        first = monday - timedelta(days=7 * back)
        last = first + timedelta(days=7)
    elif unit == "weekend":
        first = monday + timedelta(days=5)
        first -= timedelta(days=7 * (back if back else first > today))
        first += timedelta(days=7 * (match["end"] is not None and first + timedelta(days=7) <= today))
        last = first + timedelta(days=2)
    elif unit == "month":
        first = today.replace(day=1)
        for _ in range(back):
            first = (first - timedelta(days=1)).replace(day=1)
        last = _next_month(first)
    else:
        first = date(today.year - back, 1, 1)
        last = date(first.year + 1, 1, 1)
    return _days(match, here, first, last, possessive=match["own"] is not None)


def _last_few(match: re.Match[str], here: datetime) -> Days | None:
    unit, told = match["unit"].lower(), match[0].lower()
    if unit == "minute" and "past" not in told:
        return None  # "The last two minutes" are those of the recording, or of what is being watched.
    if match["n"] is None and unit not in ("minute", "hour", "day") and "the " not in told:
        return None  # "Last week" is one of the calendar, "the last week" ends now.
    back = timedelta(seconds=_count(match["n"]) * _UNIT_S[unit])
    since = here - back
    if unit in ("minute", "hour"):
        since = (here.astimezone(UTC) - back).astimezone(here.tzinfo)
    return Days(*match.span(), since, here, side="in")


def _ago(match: re.Match[str], here: datetime) -> Days | None:
    unit, count = match["unit"].lower(), _count(match["n"])
    ago_s = count * _UNIT_S[unit]
    if unit in ("minute", "hour"):
        reach = timedelta(seconds=_AGO_SHARE * ago_s)
        # In UTC: by the clock on the wall an hour is lost or doubled where clocks are changed.
        at = here.astimezone(UTC) - timedelta(seconds=ago_s)
        since, till = (at - reach).astimezone(here.tzinfo), (at + reach).astimezone(here.tzinfo)
        return Days(*match.span(), since, till)
    day = (here - timedelta(seconds=ago_s)).date()
    if unit in ("month", "year"):
        months = round(count * (12 if unit == "year" else 1))
        year, month = divmod(here.year * 12 + here.month - 1 - months, 12)
        if year < 1:
            return None
        day = date(year, month + 1, min(here.day, 28))
    vague = (match["n"].lower() in ("a few", "a couple of", "some", "several")) + _AGO_DAYS[unit]
    if unit == "year" and count > 1:
        vague = round(365 * 0.5)  # "Four years ago": of that year, more or less.
    return _days(match, here, day - timedelta(days=vague), day + timedelta(days=vague + 1))


def _years(match: re.Match[str], here: datetime) -> Days:
    if match["a"]:
        first, last = sorted((int(match["a"]), int(match["b"])))
        side = "in"
    else:
        first = last = int(match["year"])
        lead = match["lead"].lower()
        side = "in" if lead in ("in", "during", "throughout", "from") else lead
    since, till = _midnight(date(first, 1, 1), here), _midnight(date(last + 1, 1, 1), here)
    return Days(*match.span(), since, till, side=_SIDE_NAMES.get(side, side))


_SIDE_NAMES = {"till": "until", "by": "until", "up to": "until"}


def _season(match: re.Match[str], here: datetime) -> Days:
    """The last one that has begun; the last that is over for "last summer"."""
    month, today = _SEASONS[match["season"].lower()], here.date()
    first = date(today.year, month, 1)
    is_last = (match["which"] or "").lower() == "last"
    while first > today or (is_last and _end_of_season(first) > today):
        first = first.replace(year=first.year - 1)
    lead = (match["lead"] or "").lower()
    since, till = _midnight(first, here), _midnight(_end_of_season(first), here)
    return Days(*match.span(), since, till, side=lead if re.fullmatch(_SIDE, lead) else "in")


def _end_of_season(first: date) -> date:
    return (first + timedelta(days=95)).replace(day=1)


def _month(match: re.Match[str], here: datetime) -> Days:
    month, today = _MONTHS.index((match["a"] or match["b"]).lower()) + 1, here.date()
    first = date(today.year, month, 1)
    is_last = (match["which"] or "").lower() == "last"
    if first > today or (is_last and _next_month(first) > today):
        first = first.replace(year=first.year - 1)
    side = re.sub(r"\s+", " ", (match["side"] or "in").lower())
    since, till = _midnight(first, here), _midnight(_next_month(first), here)
    return Days(*match.span(), since, till, side=_SIDE_NAMES.get(side, side))


def _feast(match: re.Match[str], here: datetime) -> Days:
    month, day, days = _FEASTS[match["feast"].lower().replace("\u2019", "'")]
    first = date(here.year, month, day)
    if first > here.date():
        first = first.replace(year=here.year - 1)
    lead = match[0].split()[0].lower()
    since, till = _midnight(first, here), _midnight(first + timedelta(days=days), here)
    return Days(*match.span(), since, till, side=lead if re.fullmatch(_SIDE, lead) else "in")


def _nth_day(match: re.Match[str], here: datetime) -> Days | None:
    day = _nth(int(match["n"]), here.date())
    if day is None:
        return None
    lead = match["lead"].lower()
    since, till = _midnight(day, here), _midnight(day + timedelta(days=1), here)
    side = "in" if lead == "on" else _SIDE_NAMES.get(lead, lead)
    return Days(*match.span(), since, till, side=side)


def _nth(number: int, today: date, weekday: int | None = None) -> date | None:
    """The last day of that number in its month, on that weekday if one is named."""
    first = today.replace(day=1)
    for _ in range(24):
        try:
            day = first.replace(day=number)
        except ValueError:
            day = None
        if day is not None and day <= today and (weekday is None or day.weekday() == weekday):
            return day
        first = (first - timedelta(days=1)).replace(day=1)
    return None


def _ordinal_month(match: re.Match[str], here: datetime) -> Days:
    point = date(
        int(match["year"] or here.year),
        _MONTHS.index(match["month"].lower()) + 1,
        _ORDINALS[match["n"].lower()],
    )
    if not match["year"] and point > here.date():
        point = point.replace(year=point.year - 1)
    return _days(match, here, point, point + timedelta(days=1))._replace(side="in")


def _step(match: re.Match[str], since: datetime, till: datetime) -> tuple[datetime, datetime]:
    """The day, week or month before or after a stretch; of the same length where that is the unit."""
    unit = (match["a"] or match["b"]).lower()
    later = (match["n"] or match["side"]).lower() in ("next", "following", "after")
    days = {"day": 1, "week": 7, "month": 30, "year": 365}[unit]
    if unit == "month":
        first = (since.date() - timedelta(days=1)).replace(day=1) if not later else _next_month(since.date())
        return _midnight(first, since), _midnight(_next_month(first), since)
    step = timedelta(days=days)
    return (till, till + step) if later else (since - step, since)


def _count(text: str | None) -> float:
    told = (text or "one").lower()
    return float(_COUNTS[told]) if told in _COUNTS else float(told)


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], datetime], Days | None]], ...] = (
    (_AGO, _ago),
    (_LAST_FEW, _last_few),
    (_ORDINAL_MONTH, _ordinal_month),
    (_NAMED_DAY, _named_day),
    (_RELATIVE, _relative),
    (_UNIT, _unit),
    (_YEARS, _years),
    (_SEASON, _season),
    (_MONTH, _month),
    (_FEAST, _feast),
    (_NTH, _nth_day),
)
