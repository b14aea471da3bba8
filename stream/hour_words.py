"""Words for hours: "this morning", "after five", "around 3 pm", "between 9 and 11"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

PARTS = {
    "morning": (5.0, 12.0),
    "noon": (11.0, 14.0),
    "midday": (11.0, 14.0),
    "lunchtime": (11.0, 14.0),
    "lunch time": (11.0, 14.0),
    "afternoon": (12.0, 18.0),
    "evening": (17.0, 24.0),
    "night": (20.0, 29.0),
    "midnight": (23.0, 25.0),
}
"""Hours of the day that parts of it are taken for; a night ends on the next day."""
AROUND_H = 0.75
"""How far "around three" reaches to either side, hours."""
AT_H = 0.25
"""How far "at 2:20 pm" does."""

_NUMBERS = dict(
    zip(
        "one two three four five six seven eight nine ten eleven twelve".split(),  # noqa: SIM905
        range(1, 13),
        strict=True,
    )
)
_N = rf"(?:{'|'.join(_NUMBERS)}|\d{{1,2}})"
_HALF_DAY = r"(?:\s*(?:[ap]\.?m\b\.?|o'?clock\b))"
_PART = "|".join(PARTS)
_PARTS = re.compile(
    rf"\b(?:(?P<which>this|last)\s+(?P<own>morning|afternoon|evening|night)|(?P<tonight>tonight)"
    rf"|(?:(?P<lead>in|on|during|at|around|about|by|since|after|before|until)\s+)?(?:the\s+)?(?:(?:early|late)\s+)?(?P<part>{_PART}))\b(?!['\u2019-])",
    re.I,
)
_RANGE = re.compile(
    rf"\b(?:between|from)\s+(?P<a>{_N})(?::(?P<am>\d\d))?(?P<ah>{_HALF_DAY})?\s*(?:and|to|until|till|[-\u2013])\s*"
    rf"(?P<b>{_N})(?::(?P<bm>\d\d))?(?P<bh>{_HALF_DAY})?(?![:\w])",
    re.I,
)
_CLOCK = re.compile(
    rf"\b(?:(?P<side>after|before|since|until|till|by|from|past|at|around|about|near)\s+)?(?:about\s+|around\s+)?"
    rf"(?:(?P<to>half\s+past|quarter\s+past|a\s+quarter\s+past|quarter\s+to|a\s+quarter\s+to)\s+)?"
    rf"(?P<a>{_N})(?::(?P<am>[0-5]\d))?(?P<ah>{_HALF_DAY})?(?![:\w])",
    re.I,
)
MODIFIES = re.compile(
    r"\s+(?!(?:a|an|the|this|that|these|those|and|or|but|not|if|as|so|in|on|at|by|to|of|for|from|with|about|"
    r"before|after|since|until|till|between|around|during|over|while|because|when|where|what|who|whom|whose|which|"
    r"why|how|is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|must|i|you|he|she|it|we|"
    r"they|there|here|my|your|his|her|its|our|their|last|this|next|early|late|morning|noon|midday|lunchtime|"
    r"afternoon|evening|night|midnight|today|yesterday|tonight|only|too|also|again|sharp|please|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|\w+ed|came|went|began|said)\b)[a-z][a-z-]+"
)
"""What a time stands before as a part of its name: "the 10 o'clock *news*", "Sunday *lunch*"."""
_PAST = re.compile(r"\b(?:did|was|were|had|has|have|happened|came|went|said|\w{2,}ed)\b", re.I)


class Hours(NamedTuple):
    """Hours of a day, from `first` to `last` (which may lie on the next day).

    `needs_day`: it is a time only beside a day ("after five"). `is_of_today`: "this morning" is never of
    yesterday. `days_back`: as in "last night". `word` leaves a side of it open: "since this morning".
    """

    begin: int
    end: int
    first: float
    last: float
    needs_day: bool = False
    is_of_today: bool = False
    is_last: bool = False
    word: str = ""

    def on(self, day: date, here: datetime) -> tuple[datetime, datetime]:
        """Begin and end on a day."""
        # "Last night" is the one that began yesterday; "last evening" today's, once it is over.
        if self.is_last and (self.last > 24 or here.hour < self.last):
            day -= timedelta(days=1)
        start = datetime.combine(day, time(), here.tzinfo)
        return start + timedelta(hours=self.first), start + timedelta(hours=self.last)


def hour_atoms(text: str, days: Sequence[tuple[int, int]]) -> Iterator[Hours]:
    """The hours that a text names, none within another or within `days`."""
    taken = list(days)
    for pattern, meaning in ((_PARTS, _of_part), (_RANGE, _of_range), (_CLOCK, _of_clock)):
        for match in pattern.finditer(text):
            if any(match.start() < end and match.end() > begin for begin, end in taken):
                continue
            found = meaning(match)
            if found is not None:
                taken.append((found.begin, found.end))
                yield found


def _of_part(match: re.Match[str]) -> Hours | None:
    begin, end = match.span()
    if match["tonight"]:
        return Hours(begin, end, *PARTS["night"], is_of_today=True)
    before = match.string[:begin]
    late = re.search(
        r"(?:\b(?P<side>since|after|before|until|by)\s+)?(?:\b(?:late|early)\s+)?$", before, re.I
    )
    if match["own"]:
        begin = late.start() if late else begin
        side = (late["side"] or "").lower() if late else ""
        first, last = PARTS[match["own"].lower()]
        is_last = match["which"].lower() == "last"
        return Hours(begin, end, first, last, is_of_today=True, is_last=is_last, word=side)
    lead = (match["lead"] or "").lower()
    first, last = PARTS[re.sub(r"\s+", " ", match["part"].lower())]
    if lead in ("after", "since"):
        first, last = (last if lead == "after" and last - first < 3 else first), 24.0
    elif lead in ("before", "until"):
        first, last = 0.0, first
    # "In the morning she drinks tea" tells of every morning; "who came in the morning?" of one.
    needs_day = not lead or not _PAST.search(match.string)
    return Hours(begin, end, first, last, needs_day=needs_day)


def _of_range(match: re.Match[str]) -> Hours | None:
    a, b = _number(match["a"]), _number(match["b"])
    if a > 24 or b > 24:
        return None
    half = match["bh"] or match["ah"]
    first = _hour(a, match["am"], match["ah"] or half)
    last = _hour(b, match["bm"], match["bh"] or half)
    if last <= first:
        last += 12 if last + 12 > first and last < 12 else 24
    return Hours(*match.span(), first, last, needs_day=half is None)


def _of_clock(match: re.Match[str]) -> Hours | None:
    side = (match["side"] or "").lower()
    is_told = match["ah"] is not None or match["to"] is not None
    if not is_told and not side:
        return None
    number = _number(match["a"])
    if number > 24:
        return None
    before = match.string[: match.start()]
    if (
        side == "about" or re.search(r"\b(?:the|a|an|my|our|his|her|their|every|each)\s+$", before, re.I)
    ) and (MODIFIES.match(match.string, match.end())):
        return None
    hour = _hour(number, match["am"], match["ah"])
    shift = (match["to"] or "").lower()
    hour += 0.5 if "half" in shift else 0.25 if shift.endswith("past") else -0.25 if shift else 0.0
    begin, end = match.span()
    if side in ("after", "since", "from", "past"):
        return Hours(begin, end, hour, 24.0, needs_day=not is_told)
    if side in ("before", "until", "till", "by"):
        return Hours(begin, end, 0.0, hour, needs_day=not is_told)
    reach = AROUND_H if side in ("around", "about", "near") or " a" in match[0][:8].lower() else AT_H
    return Hours(begin, end, hour - reach, hour + reach, needs_day=not is_told)


def _number(text: str) -> int:
    return _NUMBERS.get(text.lower()) or int(text) if not text.isdigit() else int(text)


def _hour(number: int, minutes: str | None, half_day: str | None) -> float:
    """The hour of the day: of hours without "am" or "pm", one to six are of the afternoon."""
    told = re.sub(r"[^a-z]", "", (half_day or "").lower())
    if told == "pm":
        number = number % 12 + 12
    elif told == "am":
        number %= 12
    elif 1 <= number <= 6 and minutes is None:
        number += 12
    return number + int(minutes or 0) / 60
