"""Dates in the words of a question: which days and months it names, and the times they stand for.

A day is written "7 May 2023", "May 7th, 2023", "the 7th of May", "2023-05-07", with or without a
year; a month has its year, or stands after "in" and the like, or beside another date. A month alone is
too often a name or a word ("May", "March"): it names nothing. 5/7/2023 is another day in another country:
both are meant. "Summer 2023" is of the northern half of the earth, its winter of both ends of the year.
What happened "after the party" is no date. Two dates joined by "between … and", "from … to", "until" or a
dash are one stretch, and a month or year that one of them lacks is that of the other; "since", "after",
"before", "until" and "by" leave a side open. What is quoted is a text and no time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

DAY_REACH = timedelta(days=2)
"""What is dated by a day was told of on the days around it too; +-2 days found more than +-14, or 0."""
BEFORE_MONTH, AFTER_MONTH = timedelta(days=15), timedelta(days=31)
"""A plan for a month is told of before it; what was done "last month", until the next is out."""
SHORTLY = timedelta(days=30)
"""How far "the week before" a day and "the weekend after" it reach."""
LEAD_CHARS = 80
"""How far before a date the words that lead to it may begin."""
FOREVER_NS = 2**62
"""An open end: no stored time reaches it."""

Side = Literal["within", "since", "after", "before", "until", "shortly before", "shortly after", "either"]

_MONTHS = (
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)
_FULL = "|".join(name.capitalize() for name in _MONTHS)
_SHORT = "Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec"
_ANY_CASE = rf"(?i:{_FULL}|{_SHORT})"
_YEAR = r"(?:(?:,\s*|\s+)(?:of\s+)?(?P<year>(?:19|20)\d\d)\b)"
_N = r"\d{1,2}(?:st|nd|rd|th)?"
_DASH = r"(?:\s*[-\u2013\u2014]\s*|\s+(?:to|and|or|until|till|through)\s+(?:the\s+)?)"
_DAY_FIRST = rf"\b(?:(?P<other>{_N})(?P<joint>{_DASH}))?(?P<day>{_N})\s+(?:of\s+)?"
_AFTER_DAYS = r"\b(?=\s*(?:[,?.!;)]|$|(?:19|20)\d\d))"
_DAY_LAST = rf"\.?\s+(?:the\s+)?(?P<day>{_N})\b(?!:)(?:(?P<joint>{_DASH})(?P<other>{_N}){_AFTER_DAYS})?"
_POINTS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)-(?P<day>\d\d)\b",
        rf"{_DAY_FIRST}(?P<month>{_FULL}|{_SHORT})\b\.?{_YEAR}?",
        rf"{_DAY_FIRST}(?P<month>{_ANY_CASE})\b\.?{_YEAR}",
        rf"\b(?P<month>{_FULL}|{_SHORT}){_DAY_LAST}{_YEAR}?",
        rf"\b(?P<month>{_ANY_CASE}){_DAY_LAST}{_YEAR}",
        rf"\b(?P<month>{_FULL}|{_SHORT})\b\.?{_YEAR}",
        # Alone: taken only after "in" and the like, or beside another date.
        rf"\b(?P<month>{_FULL})\b(?!['\u2019]|\s+[A-Z\d]|-)",
    )
)
_JOINED = re.compile(
    r"\s*(?:,\s*)?(?:(?P<range>to|until|till|up\s+to|through|[-\u2013\u2014]|and\s+(?:before|until|by)|before)"
    r"|(?P<list>and|or|,))\s*(?:(?:on|in|the|also)\s+)*(?:the\s+)?$",
    re.I,
)
_PART = (
    r"(?:(?:in|on|at|during|over|for)\s+)?(?:the\s+)?(?:(?:very|last|first|second|third|two|three|a|few|\d+|early|late)"
    r"\s+)*(?P<unit>weekend|weeks?|days?|nights?|evening|morning|afternoon|fortnight|end|beginning|start|"
    r"middle|rest|most|part|summer|month|months)\s+"
)
_LEAD = re.compile(
    rf"(?:^|(?<=[\s,(]))(?:{_PART})?(?:(?P<word>(?:before|after)\s+(?:and|or)\s+(?:before|after)|between|from|since|after|before|until|till|up\s+to|by|in|on|of|"
    r"during|around|about|at|for|as\s+of|starting|following)\s+)?(?:the\s+)?(?:(?:early|mid|late|around|about)[\s-]+)?"
    r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+)?(?:the\s+)?$",
    re.I,
)
_OTHER_END = re.compile(
    rf"\s*(?:to|until|till|through|and|[-\u2013\u2014])\s*(?:the\s+)?(?:{_N}\s+(?:of\s+)?)?"
    rf"(?:{_FULL}|{_SHORT})\b",
    re.I,
)
_ONWARDS = re.compile(r"\s+(?:on(?:wards?)?|onwards?)\b(?!\s+(?:the|a|an)\b)", re.I)
_NOUN = re.compile(
    r"\s+(?!(?:what|which|who|where|when|why|how|did|do|does|was|were|is|are|has|have|had|in|at|on|with|and|or|of|"
    r"to|for|by|as|from|the|a|an|involving|onwards?)\b)[a-z]"
)
_SIDES: dict[str, Side] = {
    "since": "since",
    "starting": "since",
    "after": "after",
    "following": "after",
    "before": "before",
    "until": "until",
    "till": "until",
    "up to": "until",
    "by": "until",
    "before or after": "either",
    "before and after": "either",
    "after or before": "either",
    "after and before": "either",
}
_SEASONS = {"spring": (3, 5), "summer": (6, 8), "autumn": (9, 11), "fall": (9, 11)}
_SEASON = re.compile(
    r"\b(?:(?:early|mid|late)[\s-]+)?(?P<season>[Ss]pring|[Ss]ummer|[Aa]utumn|[Ff]all|[Ww]inter)"
    r"(?:\s+of\s+|,?\s+)(?P<year>(?:19|20)\d\d)\b(?!-\d)"
)
_SLASHED = re.compile(
    r"(?<![\d/.])(?P<a>\d{1,2})(?P<mark>[/.])(?P<b>\d{1,2})(?P=mark)(?P<year>(?:19|20)\d\d)\b(?![/\d])"
)
_SHORT_UNITS = re.compile(r"weekend|weeks?|days?|nights?|evening|morning|afternoon|fortnight", re.I)
_MONTH_LEADS = ("in", "during", "since", "until", "till", "between", "from", "starting")
"""Words after which a month needs no year."""
_NAMES_TOO = ("april", "may", "june")
"""Who is meant by "before April" nobody knows; "before October" is a time."""


class Point(NamedTuple):
    """A day, or a month where `day` is None; `year` is None where it is not told."""

    year: int | None
    month: int
    day: int | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Times that a text names: from `first` to `last` (one point twice), or a `side` of it.

    `begin` and `end` are the characters of the text that say so, with the words that lead to them.
    """

    first: Point
    last: Point
    side: Side
    begin: int
    end: int

    @property
    def has_year(self) -> bool:
        """Whether its times are known from the text alone."""
        return self.first.year is not None

    def ranges(self, years: Sequence[int]) -> Iterator[tuple[int, int]]:
        """UTC nanoseconds, end excluded, with the reach of a day or month; once for each possible year."""
        for year in (0,) if self.has_year else years:
            try:
                yield self._range(year)
            except ValueError:  # The 31st of June; the 29th of February of another year.
                continue

    def _range(self, year: int) -> tuple[int, int]:
        last_year = year + (self.last[1:] < self.first[1:] and not self.has_year)
        first, after_first = _bounds(self.first, year)
        last, after_last = _bounds(self.last, last_year)
        before = BEFORE_MONTH if self.first.day is None else DAY_REACH
        beyond = AFTER_MONTH if self.last.day is None else DAY_REACH
        is_month = self.first.day is None
        begins = {
            "after": (after_first if is_month else first) - before,
            "before": None,
            "until": None,
            "either": None,
            "shortly before": first - SHORTLY,
            "shortly after": (after_first if is_month else first) - before,
        }
        ends = {
            "since": None,
            "after": None,
            "either": None,
            "before": (last if is_month else after_last) + DAY_REACH,
            "shortly before": (last if is_month else after_last) + beyond,
            "shortly after": after_last + SHORTLY,
        }
        begin, end = begins.get(self.side, first - before), ends.get(self.side, after_last + beyond)
        return (-FOREVER_NS if begin is None else _ns(begin), FOREVER_NS if end is None else _ns(end))


def named_dates(text: str) -> list[Stretch]:
    """The stretches of time that the words of a text name, in order."""
    points = list(_points(text))
    groups: list[list[_Found]] = []
    for found in points:
        if groups and _joint(text, groups[-1][-1], found):
            groups[-1].append(found)
        else:
            groups.append([found])
    dated = [stretch for group in groups for stretch in _stretches(text, group)]
    taken = [(one.begin, one.end) for one in dated]
    return sorted([*dated, *_of_readings(text, taken)], key=lambda one: one.begin)


def ranges_of(stretches: Iterable[Stretch], years: Sequence[int]) -> list[tuple[int, int]]:
    """The ranges of UTC nanoseconds of some stretches, end excluded, in order, those that meet as one.

    Args:
        stretches: As `named_dates` gives them.
        years: Years that a date without one may be of.
    """
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(one for stretch in stretches for one in stretch.ranges(years)):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def without_dates(text: str, stretches: Iterable[Stretch]) -> tuple[str, str]:
    """A text without the words of its dates, and these words."""
    kept, cut, at = [], [], 0
    for one in stretches:
        begin = max(one.begin, at)
        kept.append(text[at:begin])
        cut.append(text[begin : one.end].strip())
        at = max(one.end, at)
    rest = re.sub(r"\s+([?.,!])", r"\1", " ".join([*kept, text[at:]]))
    return re.sub(r"\s+", " ", rest).strip(" ,"), " ".join(words for words in cut if words)


def names_any(text: str, stretches: Sequence[Stretch]) -> bool:
    """Whether a text names the first or last day or month of any of the stretches itself."""
    wanted = [point for one in stretches for point in (one.first, one.last)]
    told = [point for one in named_dates(text) for point in (one.first, one.last)]
    return any(
        one.month == other.month
        and (one.day is None or one.day == other.day)
        and (one.year is None or other.year is None or one.year == other.year)
        for one in wanted
        for other in told
    )


def fits(t_ns: int, stretches: Sequence[Stretch]) -> bool:
    """Whether a time lies in any of the stretches, by their reach, in whatever year where none is told."""
    year = datetime.fromtimestamp(t_ns / 1e9, UTC).year
    return any(
        begin <= t_ns < end
        for one in stretches
        for begin, end in one.ranges(range(max(1, year - 1), year + 2))
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A date of a text; `joint` joins it to the one before it where one match gave both."""

    point: Point
    begin: int
    end: int
    joint: str = ""


def _points(text: str) -> Iterator[_Found]:
    """The dates of a text in order, none in another; months alone only where they are times."""
    taken = [match.span() for match in re.finditer(r"[\"\u201c][^\"\u201d]*[\"\u201d]", text)]
    bare: list[_Found] = []
    found: list[_Found] = []
    for pattern in _POINTS:
        for match in pattern.finditer(text):
            begin, end = match.span()
            if any(begin < other_end and end > other for other, other_end in taken):
                continue
            if "day" not in pattern.groupindex and "year" not in pattern.groupindex:
                bare.append(_Found(_point(match, None), begin, end))
                continue
            if begin == 0 and match["month"] == "May" and not match["year"]:
                continue  # "May 2 people come in?"
            dates = _of_match(match)
            if all(_exists(one.point) for one in dates):
                taken.append((begin, end))
                found += dates
    found.sort(key=lambda one: one.begin)
    for one in sorted(bare, key=lambda one: one.begin):
        if _is_time(text, one, found):
            found.append(one)
    yield from sorted(found, key=lambda one: (one.begin, one.end))


def _of_match(match: re.Match[str]) -> list[_Found]:
    named = match.groupdict()
    begin, end = match.span()
    if not named.get("other"):
        return [_Found(_point(match, named.get("day")), begin, end)]
    days = sorted(("other", "day"), key=match.start)
    middle = match.start("joint")
    return [
        _Found(_point(match, match[days[0]]), begin, middle),
        _Found(_point(match, match[days[1]]), match.end("joint"), end, match["joint"]),
    ]


def _exists(point: Point) -> bool:
    """Whether any year has that day; a year without one may have a 29th of February."""
    try:
        _bounds(point, 2024)
    except ValueError:
        return False
    return True


def _point(match: re.Match[str], day: str | None) -> Point:
    named = match.groupdict()
    told = named["month"].casefold()
    month = int(told) if told.isdigit() else next(n for n, m in enumerate(_MONTHS, 1) if m[:3] == told[:3])
    number = None if day is None else int(re.sub(r"\D", "", day))
    return Point(int(named["year"]) if named.get("year") else None, month, number)


def _is_time(text: str, one: _Found, others: Sequence[_Found]) -> bool:
    """Whether a month alone is a time: by the word that leads to it, or by a date beside it."""
    lead = _lead(text, one.begin)
    word = _word(lead)
    if word in ("before", "after") and re.search(r"\bthe\s+$", text[: one.begin], re.I):
        return False  # "Before the march": something that happened.
    if word in _MONTH_LEADS or (word in _SIDES and _MONTHS[one.point.month - 1] not in _NAMES_TOO):
        # "From April" and "between May and June" are times only with the other end.
        return word not in ("between", "from") or _OTHER_END.match(text, one.end) is not None
    return any(
        _JOINED.fullmatch(text[left.end : right.begin])
        for other in others
        for left, right in (sorted((one, other), key=lambda found: found.begin),)
        if left.end <= right.begin
    )


def _lead(text: str, begin: int) -> re.Match[str] | None:
    return _LEAD.search(text, max(0, begin - LEAD_CHARS), begin)


def _word(lead: re.Match[str] | None) -> str:
    return re.sub(r"\s+", " ", (lead["word"] or "").lower()) if lead else ""


@dataclass(frozen=True, slots=True)
class _Read:
    """A stretch of days or months that may be read in several ways: each has a name and its two ends."""

    readings: dict[str, tuple[Point, Point]]
    begin: int
    end: int


def _readings(text: str) -> Iterator[_Read]:
    """Seasons with their year, and days in digits alone, in order of kind."""
    for match in _SEASON.finditer(text):
        year, season = int(match["year"]), match["season"].lower()
        if season in _SEASONS:
            months = _SEASONS[season]
            readings = {"": (Point(year, months[0], None), Point(year, months[1], None))}
        else:
            begun = Point(year - 1, 12, None), Point(year, 2, None)
            readings = {"begun": begun, "ended": (Point(year, 12, None), Point(year + 1, 2, None))}
        yield _Read(readings, *match.span())
    for match in _SLASHED.finditer(text):
        year, a, b = int(match["year"]), int(match["a"]), int(match["b"])
        points = {"day first": Point(year, b, a)}
        if match["mark"] == "/":  # With dots the day is always first.
            points["month first"] = Point(year, a, b)
        known = {name: (point, point) for name, point in points.items() if _is_day(point)}
        if known:
            yield _Read(known, *match.span())


def _is_day(point: Point) -> bool:
    return 1 <= point.month <= 12 and _exists(point)


def _of_readings(text: str, taken: Sequence[tuple[int, int]]) -> Iterator[Stretch]:
    """What seasons and days in digits mean, two that are joined together; none within `taken`, or quoted."""
    closed = [*taken, *(match.span() for match in re.finditer(r"[\"\u201c][^\"\u201d]*[\"\u201d]", text))]
    found = sorted(_readings(text), key=lambda one: one.begin)
    found = [one for one in found if not any(one.begin < end and one.end > begin for begin, end in closed)]
    place = 0
    while place < len(found):
        one = found[place]
        lead = _lead(text, one.begin)
        word, begin = _word(lead), one.begin if lead is None else lead.start()
        other = found[place + 1] if place + 1 < len(found) else None
        joined = None if other is None else _JOINED.fullmatch(text[one.end : other.begin])
        if other is not None and joined is not None and (joined["range"] or word == "between"):
            # Who writes two dates writes both in one way.
            names = [name for name in one.readings if name in other.readings] or list(one.readings)
            for name in names:
                till = other.readings.get(name) or next(iter(other.readings.values()))
                yield Stretch(one.readings[name][0], till[1], "within", begin, other.end)
            place += 2
            continue
        side = _side(text, word, lead, one.end)
        for first, last in one.readings.values():
            if side in ("before", "after"):  # All of a season lies before it, or after.
                first = last = first if side == "before" else last
            yield Stretch(first, last, side, begin, _after(text, word, one.end))
        place += 1


def _joint(text: str, left: _Found, right: _Found) -> str:
    """`range` or `list` where two dates are joined, else empty."""
    match = _JOINED.fullmatch(right.joint or text[left.end : right.begin])
    return "" if match is None else "range" if match["range"] else "list"


def _stretches(text: str, group: list[_Found]) -> Iterator[Stretch]:
    """What dates that stand beside each other mean together."""
    lead = _lead(text, group[0].begin)
    word = _word(lead)
    begin = group[0].begin if lead is None else lead.start()
    if lead and lead[0].lower().endswith("the ") and _NOUN.match(text, group[-1].end):
        begin = group[0].begin  # "In the May 2023 letter": without the month it is still in the letter.
    known = _with_years([one.point for one in group])
    place = 0
    while place < len(group):
        end = group[place].end
        start = begin if place == 0 else group[place - 1].end
        joint = _joint(text, group[place], group[place + 1]) if place + 1 < len(group) else ""
        if joint == "range" or (joint and place == 0 and word == "between"):
            other = group[place + 1]
            first, last = _in_order(group[place].point, other.point, known[place], known[place + 1])
            yield Stretch(first, last, "within", start, other.end)
            place += 2
            continue
        side = _side(text, word, lead, end) if place == 0 else "within"
        yield Stretch(known[place], known[place], side, start, _after(text, word, end))
        place += 1


def _side(text: str, word: str, lead: re.Match[str] | None, end: int) -> Side:
    side: Side = _SIDES.get(word, "within")
    if _onwards(text, word, end):
        return "since"
    if side in ("before", "after") and lead and lead["unit"] and _SHORT_UNITS.fullmatch(lead["unit"]):
        return "shortly before" if side == "before" else "shortly after"
    return side


def _onwards(text: str, word: str, end: int) -> re.Match[str] | None:
    return _ONWARDS.match(text, end) if word in ("from", "starting") else None


def _after(text: str, word: str, end: int) -> int:
    onwards = _onwards(text, word, end)
    return onwards.end() if onwards else end


def _with_years(points: Sequence[Point]) -> list[Point]:
    """The same, each without a year with that of the nearest that has one, the later ones first."""
    years = [point.year for point in points]
    return [
        point._replace(
            year=next((year for year in (*years[n:], *reversed(years[:n])) if year is not None), None)
        )
        for n, point in enumerate(points)
    ]


def _in_order(told_first: Point, told_last: Point, first: Point, last: Point) -> tuple[Point, Point]:
    """Both ends in order: "from November to February 2024" begins in the year before."""
    if first.year is not None and last.year is not None and _key(first) > _key(last):
        if told_first.year is None:
            return first._replace(year=first.year - 1), last
        if told_last.year is None:
            return first, last._replace(year=last.year + 1)
        return last, first
    return first, last


def _key(point: Point) -> tuple[int, int, int]:
    return point.year or 0, point.month, point.day or 0


def _bounds(point: Point, year: int) -> tuple[datetime, datetime]:
    first = datetime(point.year or year, point.month, point.day or 1, tzinfo=UTC)
    if point.day is not None:
        return first, first + timedelta(days=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def _ns(when: datetime) -> int:
    return int(when.timestamp()) * 1_000_000_000
