"""Words for times, as whoever asks means them: "this morning", "last Tuesday after five", "in 2023".

A text is scanned for days (weekdays, "yesterday", "last week", "two days ago", seasons, dates of
`stream.named_dates`) and for hours ("after five", "around noon", "between 3 and 4 pm"). What stands beside
each other belongs together; "before", "since" and the like leave a side open. The times are exact, by the
clock and zone of who asks: no reach to either side. A weekday is the last one that has begun, a date
without a year the last one, an hour that is still to come that of the day before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal, NamedTuple

from stream.day_words import Days, day_atoms
from stream.hour_words import Hours, hour_atoms

DateOrder = Literal["either", "day_first", "month_first"]
MOST_DAYS = 31
"""Days of a longer stretch are not looked at hour by hour."""

_SIDES = {
    "since": "since",
    "starting": "since",
    "after": "after",
    "following": "after",
    "past": "after",
    "before": "before",
    "until": "until",
    "till": "until",
    "up to": "until",
    "by": "until",
}
_LEAD = re.compile(
    r"(?:^|(?<=[\s,(]))(?:(?:(?P<word>since|starting|after|following|before|until|till|up\s+to|by|from|between|in|on|at|"
    r"during|of|for|over|around|as\s+of|within|throughout)\s+)?(?:the\s+)?"
    r"(?:(?:early|late|very|whole|entire)\s+)*)$",
    re.I,
)
_BESIDE = re.compile(r"[\s,]*(?:(?:of|on|in|at)\s+)?(?:the\s+)?$", re.I)
_JOINED = re.compile(
    r"\s*(?:,\s*)?(?P<how>and|or|to|until|till|through|[-\u2013\u2014])\s*(?:then\s+)?$", re.I
)
_SHARE = re.compile(
    r"(?:^|(?<=[\s,(]))(?:(?:at|in|by|toward|towards|near)\s+)?the\s+(?:very\s+)?"
    r"(?P<which>end|beginning|start|middle)\s*$",
    re.I,
)
_TOPIC = re.compile(r"\w+\s+(?!me\b)\w+\s+about\s*[?.!]*$", re.I)
_PREPOSITION = re.compile(
    r"(?:in|on|at|since|after|before|until|till|by|during|over|between|from|around)\b", re.I
)
_AHEAD = re.compile(
    r"^(?:(?:and|but|so)\s+)?(?:(?:at\s+)?(?:when|what(?:\s+(?:time|else))?|who|where)\s+)?(?:is|are|will)\b(?!\s+there\b)",
    re.I,
)
"""Questions in the present, or of what will be."""
_PAST = re.compile(
    r"\b(?:did|was|were|had|has|have|(?!(?:plann|schedul|expect|suppos|book|clos|need|invit)ed\b)\w{2,}ed|said|told|seen|shown|heard|written|spoken|met|made|done|been|bought|"
    r"brought|came|went|saw|left|lost|found|given|taken|eaten|worn|held|wrote|took|gave|got|"
    r"(?:that|which|who|whom)\s+(?:i|you|he|she|we|they))\b",
    re.I,
)
_AFTER_PLACE = re.compile(r"\s+(?:onwards?|on\b(?=\s*[?.,]|\s*$))", re.I)


class Range(NamedTuple):
    """UTC ns, `until_ns` excluded; None leaves that side open."""

    since_ns: int | None
    until_ns: int | None


@dataclass(frozen=True, slots=True)
class ClockWords:
    """The times that a text names.

    `words` say so in the text, `rest` is the text without them. `ranges` are in order of time;
    `ambiguous`: they are ways to read one date, and not several times. `loose`: only dates of the calendar
    are named, around which something may be told of, or what is asked may be still to come ("when is the
    meeting on Monday?"); other words of time mean just that time.
    """

    ranges: tuple[Range, ...]
    words: str
    rest: str
    ambiguous: bool = False
    loose: bool = False

    @property
    def hull(self) -> Range:
        """From the first of the ranges to the end of the last."""
        since = [one.since_ns for one in self.ranges]
        until = [one.until_ns for one in self.ranges]
        return Range(
            None if None in since else min(t for t in since if t is not None),
            None if None in until else max(t for t in until if t is not None),
        )


class _Span(NamedTuple):
    """Datetimes, the end excluded; None leaves that side open."""

    begin: datetime | None
    end: datetime | None


@dataclass(slots=True)
class _Group:
    """Atoms that stand beside each other, with the words that lead to them."""

    begin: int
    end: int
    days: list[Days]
    hours: Hours | None
    word: str
    joint: str = ""


def clock_words(
    text: str, here: datetime, *, of: Range | None = None, date_order: DateOrder = "either"
) -> ClockWords | None:
    """The times that the words of a text mean for who says them `here`; None where they name none.

    Args:
        text: A question, or any text.
        here: The time of asking, with its zone.
        of: What was spoken of before, which "the week before" counts from.
        date_order: How 5/7/2024 is read; `either` gives both days.
    """
    groups = _groups(text, here, of, date_order)
    if not groups:
        return None
    spans = [span for group in groups for span in _spans(group, here)]
    ranges = tuple(sorted({_range(span) for span in spans}, key=lambda one: one.since_ns or -(2**62)))
    if not ranges:
        return None
    ambiguous = len(groups) == 1 and len(groups[0].days) > 1 and groups[0].days[0].is_date
    loose = all(group.hours is None and all(one.is_date for one in group.days) for group in groups)
    loose = loose or _is_ahead(text, groups, spans, here)
    rest, words = _without(text, groups)
    if _TOPIC.search(rest) and not _PREPOSITION.match(text[groups[-1].begin :]):
        return None  # "What did she say about last night?"
    return ClockWords(ranges if ambiguous else _joined(ranges), words, rest, ambiguous, loose)


def _groups(text: str, here: datetime, of: Range | None, date_order: DateOrder) -> list[_Group]:
    days = list(day_atoms(text, here, of=None if of is None else _days_of(of, here), date_order=date_order))
    hours = list(hour_atoms(text, [(one.begin, one.end) for one in days]))
    found: list[_Group] = []
    atoms: list[Days | Hours] = [*days, *hours]
    for atom in sorted(atoms, key=lambda one: (one.begin, one.end)):
        group = _group(text, atom)
        last = found[-1] if found else None
        if last is not None and isinstance(atom, Days) and (last.begin, last.end) == (atom.begin, atom.end):
            last.days.append(atom)  # Another reading of the same words.
        elif last is not None and _belongs(text, last, group):
            both = _weekday_of(last.days[0], group.days[0]) if last.days and group.days else None
            last.days = [both] if both is not None else last.days or group.days
            last.hours = last.hours or group.hours
            last.end = group.end
            last.word = last.word if last.word in _SIDES and last.days else group.word
        else:
            group.joint = _joint(text, last, group)
            found.append(group)
    return _ranged([one for one in found if one.days or (one.hours and not one.hours.needs_day)])


def _days_of(of: Range, here: datetime) -> tuple[datetime, datetime] | None:
    if of.since_ns is None or of.until_ns is None:
        return None
    zone = here.tzinfo
    return datetime.fromtimestamp(of.since_ns / 1e9, zone), datetime.fromtimestamp(of.until_ns / 1e9, zone)


def _group(text: str, atom: Days | Hours) -> _Group:
    if isinstance(atom, Hours):
        return _Group(atom.begin, atom.end, [], atom, "")
    if atom.side is not None:  # Its own words told already which side is meant.
        return _Group(atom.begin, atom.end, [atom], None, atom.side)
    lead = None if atom.possessive else _LEAD.search(text, max(0, atom.begin - 40), atom.begin)
    begin = atom.begin if lead is None else lead.start()
    word = re.sub(r"\s+", " ", (lead["word"] or "").lower()) if lead else ""
    end = atom.end
    if word == "of" and (share := _SHARE.search(text, max(0, begin - 40), begin)):
        begin, word, atom = share.start(), "in", _third(atom, share["which"].lower())
    if word in ("from", "starting") and (onwards := _AFTER_PLACE.match(text, end)):
        word, end = "since", onwards.end()
    return _Group(begin, end, [atom], None, _SIDES.get(word, word))


def _third(days: Days, which: str) -> Days:
    """The first, middle or last third of a stretch: "at the end of last month"."""
    third = (days.till - days.since) / 3
    if which == "end":
        return days._replace(since=days.till - third)
    if which == "middle":
        return days._replace(since=days.since + third, till=days.till - third)
    return days._replace(till=days.since + third)


def _belongs(text: str, last: _Group, group: _Group) -> bool:
    """Whether a day and an hour that follow each other are one time: "on Tuesday, after five"."""
    if last.days and group.days:
        return _weekday_of(last.days[0], group.days[0]) is not None and bool(
            _BESIDE.fullmatch(text, last.end, group.begin)
        )
    if (last.hours is None) == (group.hours is None):
        return False
    return _BESIDE.fullmatch(text, last.end, group.begin) is not None


def _weekday_of(one: Days, other: Days) -> Days | None:
    """As in "on Friday last week": the day of that name in a week, or in what is about as long."""
    if one.weekday is None:
        one, other = other, one
    if one.weekday is None or other.weekday is not None or other.is_date:
        return None
    length = other.till - other.since
    if not timedelta(days=6) <= length <= timedelta(days=8):
        return None
    day = other.since + timedelta(days=(one.weekday - other.since.weekday()) % 7)
    return other._replace(since=day, till=day + timedelta(days=1), side="in")


def _joint(text: str, last: _Group | None, group: _Group) -> str:
    match = None if last is None else _JOINED.fullmatch(text, last.end, group.begin)
    return match["how"].lower() if match else ""


def _ranged(groups: Iterable[_Group]) -> list[_Group]:
    """The same, "between A and B" and "from A to B" as one."""
    found: list[_Group] = []
    for group in groups:
        last = found[-1] if found else None
        is_range = group.joint not in ("", "and", "or") or (last is not None and last.word == "between")
        if last is None or not group.joint or not is_range or not last.days or not group.days:
            found.append(group)
            continue
        one, other = last.days[0], group.days[0]
        till = max(one.till, other.till)
        last.days = [one._replace(since=min(one.since, other.since), till=till, end=other.end)]
        last.end, last.word = group.end, "in"
    return found


def _spans(group: _Group, here: datetime) -> list[_Span]:
    """What a group means: for each of its readings, the days, or the hours of the days."""
    hours = group.hours
    if hours is None:
        return [_sided(day.since, day.till, group.word) for day in group.days]
    if not group.days:
        since, till = hours.on(here.date(), here)
        if since > here and not hours.is_of_today:
            since, till = hours.on(here.date() - timedelta(days=1), here)
        return [_sided(since, till, hours.word)]
    spans: list[_Span] = []
    for day in group.days:
        first, last = day.since.date(), (day.till - timedelta(microseconds=1)).date()
        if (last - first).days >= MOST_DAYS:
            spans.append(_sided(day.since, day.till, group.word))
            continue
        for number in range((last - first).days + 1):
            spans.append(_sided(*hours.on(first + timedelta(days=number), here), group.word))
    return spans


def _is_ahead(text: str, groups: Iterable[_Group], spans: Iterable[_Span], here: datetime) -> bool:
    """Whether a question asks of now or later, by words that do not say themselves that they are over."""
    if not _AHEAD.match(text) or _PAST.search(text):
        return False
    begins = [span.begin for span in spans]
    return all(begin is not None and begin > here for begin in begins) or all(
        group.word not in ("since", "before", "until")
        and (
            group.days[0].weekday is not None if group.days else not (group.hours and group.hours.is_of_today)
        )
        for group in groups
    )


def _sided(since: datetime, till: datetime, word: str) -> _Span:
    side = _SIDES.get(word, word)
    if side == "before":
        return _Span(None, since)
    if side == "until":
        return _Span(None, till)
    if side == "after":
        return _Span(till, None)
    if side == "since":
        return _Span(since, None)
    return _Span(since, till)


def _range(span: _Span) -> Range:
    return Range(_ns(span.begin), _ns(span.end))


def _ns(when: datetime | None) -> int | None:
    return None if when is None else round(when.timestamp()) * 1_000_000_000


def _joined(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """Those that meet as one."""
    kept = [ranges[0]]
    for _, one in pairwise(ranges):
        last = kept[-1]
        if last.until_ns is None or one.since_ns is None or one.since_ns <= last.until_ns:
            ends = (last.until_ns, one.until_ns)
            until = None if None in ends else max(t for t in ends if t is not None)
            kept[-1] = Range(None if one.since_ns is None else last.since_ns, until)
        else:
            kept.append(one)
    return tuple(kept)


def _without(text: str, groups: Iterable[_Group]) -> tuple[str, str]:
    """A text without the words of its times, and these words."""
    kept, cut, at = [], [], 0
    for group in groups:
        begin = max(group.begin, at)
        between = text[at:begin]
        kept.append("" if at and _JOINED.fullmatch(between) else between)
        cut.append(text[begin : group.end].strip())
        at = max(group.end, at)
    rest = re.sub(r"\s+([?.,!])", r"\1", " ".join([*kept, text[at:]]))
    return re.sub(r"\s+", " ", rest).strip(" ,"), " ".join(words for words in cut if words)
