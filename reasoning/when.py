"""Time words of a question, as positions inside a source.

A small regular grammar: positions ("0:30", "two minutes"), ranges, the first and last so
much, and the parts of a source that people name ("at the end"). Dates and times of day
are gates that a command's `--since` and `--until` set; the grammar leaves them alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reasoning.words import NUMBER_WORDS

SECOND_NS = 1_000_000_000

AROUND_NS = 5 * SECOND_NS
"""How far "at 0:45" reaches to either side: people name a moment to within a few seconds."""

EDGE_SHARE = 0.15
"""Share of a source that "at the beginning" and "at the end" take in."""

EDGE_FLOOR_NS = 10 * SECOND_NS
"""The least that they take in: in a short clip 15 % would be less than one shot."""


@dataclass(frozen=True)
class When:
    """Where in a source to look; every field left None does not limit.

    `start_ns` and `end_ns` are positions from the start of the source, `from_end_ns` is a
    length counted back from its end, and `share` a stretch as shares (0 to 1) of its length.
    `at_ns` is the very moment, where one was named.
    """

    start_ns: int | None = None
    end_ns: int | None = None
    from_end_ns: int | None = None
    share: tuple[float, float] | None = None
    at_ns: int | None = None

    @property
    def needs_duration(self) -> bool:
        """Whether the range can only be told once the length of the source is known."""
        return self.from_end_ns is not None or self.share is not None

    def __bool__(self) -> bool:
        return self != When()

    def bounds(self, duration_ns: int | None) -> tuple[int | None, int | None]:
        """The range as (first, last) position; a source of unknown length is not limited."""
        if not self.needs_duration or duration_ns is None:
            return self.start_ns, self.end_ns
        if self.from_end_ns is not None:
            return max(0, duration_ns - self.from_end_ns), None
        low, high = self.share or (0.0, 1.0)
        start_ns, end_ns = round(low * duration_ns), round(high * duration_ns)
        if low == 0.0:
            end_ns = min(duration_ns, max(end_ns, EDGE_FLOOR_NS))
        if high == 1.0:
            start_ns = max(0, min(start_ns, duration_ns - EDGE_FLOOR_NS))
        return start_ns or None, None if high == 1.0 else end_ns


_UNITS_NS = {"s": SECOND_NS, "m": 60 * SECOND_NS, "h": 3600 * SECOND_NS}
_COUNT = r"(?:\d+(?:\.\d+)?|half an?|an?|few|couple of|" + "|".join(NUMBER_WORDS) + r")"
_UNIT = r"(?:seconds?|secs?|minutes?|mins?|hours?)"
AMOUNT = rf"{_COUNT}[\s-]+(?:{_UNIT})\b|\d+(?:\.\d+)?\s?(?:s|min)\b|{_UNIT}\b"
_CODE = r"(?:\d{1,2}:)?\d{1,3}:\d{2}(?!\d|:|\s*[ap]\.?m\b)"
_POINT = rf"(?:the\s+)?(?:{_CODE}|{AMOUNT}|minute\s+\d+)(?:\s+mark)?"
_WORK = r"(?:film|video|clip|recording|movie|footage|scene|tape|talk|song|show)"
_OF_WORK = rf"(?:\s+of\s+(?:the|this|that)\s+{_WORK}\b|(?!\s+of\b))"

_BETWEEN = re.compile(
    rf"\b(?:between|from)\s+(?P<a>{_POINT})\s+(?:and|to|until|till)\s+(?P<b>{_POINT})", re.I
)
_FIRST = re.compile(rf"\b(?:(?:in|within|during|over)\s+)?the\s+first\s+(?P<a>{AMOUNT}){_OF_WORK}", re.I)
_AFTER_FIRST = re.compile(rf"\b(?:after|past)\s+the\s+first\s+(?P<a>{AMOUNT}){_OF_WORK}", re.I)
_LAST = re.compile(
    rf"\b(?:(?:in|within|during|over)\s+)?the\s+(?:last|final)\s+(?P<a>{AMOUNT}){_OF_WORK}", re.I
)
_AFTER = re.compile(rf"\b(?:after|since|from|past)\s+(?P<a>{_POINT})(?:\s+on(?:wards?)?\b)?", re.I)
_BEFORE = re.compile(rf"\b(?:before|until|till|up to|by)\s+(?P<a>{_POINT})", re.I)
_AT = re.compile(rf"\b(?:at|around|about|near)\s+(?:about\s+|around\s+)?(?P<a>{_POINT})", re.I)
_INTO = re.compile(rf"\b(?P<a>{AMOUNT})\s+in(?:to\s+(?:the|this)\s+{_WORK})?(?=\s*[?.,]|\s*$)", re.I)
_HALF = re.compile(
    rf"\b(?:in|during)\s+the\s+(?P<a>first|second|last)\s+(?P<b>half|third|quarter)\b{_OF_WORK}", re.I
)
_EDGE = re.compile(
    r"\b(?:(?:right|only|just|near|close)\s+)?(?:at|in|near|to|toward|towards|by|from)\s+the\s+(?:very\s+)?"
    rf"(?P<a>beginning|start|opening|outset|end|ending|close|middle)\b(?:\s+{_WORK}\b)?{_OF_WORK}",
    re.I,
)


def read_when(question: str) -> tuple[When, str]:
    """The time words of a question, and the question without them.

    Only the first expression that is found counts; a question that names two moments
    ("at 0:10 and at 0:40") is asked about the first.
    """
    for pattern, meaning in _RULES:
        match = pattern.search(question)
        if match is None:
            continue
        rest = f"{question[: match.start()]} {question[match.end() :]}"
        return meaning(match), re.sub(r"\s+([?.,!])", r"\1", re.sub(r"\s+", " ", rest)).strip(" ,")
    return When(), question


def position_ns(point: str) -> int:
    """A point or an amount of the grammar in nanoseconds: `0:30`, `1:02:03`, `two minutes`."""
    text = re.sub(r"^the\s+|\s+mark$", "", point.strip().lower())
    if ":" in text:
        seconds = 0
        for field in text.split(":"):
            seconds = seconds * 60 + int(field)
        return seconds * SECOND_NS
    if match := re.fullmatch(r"minute\s+(\d+)", text):
        return int(match[1]) * _UNITS_NS["m"]
    match = re.fullmatch(r"(.*?)[\s-]*(seconds?|secs?|s|minutes?|mins?|hours?)", text)
    count, unit = (match[1] or "", match[2]) if match else ("", "s")
    return round(_count(count.strip()) * _UNITS_NS[unit[0]])


def _count(text: str) -> float:
    if text in ("", "a", "an"):
        return 1.0
    if text.startswith("half"):
        return 0.5
    if text in ("few", "couple of"):
        return 3.0 if text == "few" else 2.0
    return float(NUMBER_WORDS.get(text, text))


def _around(match: re.Match[str]) -> When:
    at_ns = position_ns(match["a"])
    return When(start_ns=max(0, at_ns - AROUND_NS), end_ns=at_ns + AROUND_NS, at_ns=at_ns)


def _half(match: re.Match[str]) -> When:
    size = {"half": 1 / 2, "third": 1 / 3, "quarter": 1 / 4}[match["b"].lower()]
    which = match["a"].lower()
    low = {"first": 0.0, "second": size, "last": 1.0 - size}[which]
    return When(share=(low, min(1.0, low + size)))


def _edge(match: re.Match[str]) -> When:
    name = match["a"].lower()
    if name == "middle":
        return When(share=(0.5 - EDGE_SHARE, 0.5 + EDGE_SHARE))
    if name in ("end", "ending", "close"):
        return When(share=(1.0 - EDGE_SHARE, 1.0))
    return When(share=(0.0, EDGE_SHARE))


_RULES = (
    (_BETWEEN, lambda m: When(start_ns=position_ns(m["a"]), end_ns=position_ns(m["b"]))),
    (_AFTER_FIRST, lambda m: When(start_ns=position_ns(m["a"]))),
    (_FIRST, lambda m: When(end_ns=position_ns(m["a"]))),
    (_LAST, lambda m: When(from_end_ns=position_ns(m["a"]))),
    (_AFTER, lambda m: When(start_ns=position_ns(m["a"]))),
    (_BEFORE, lambda m: When(end_ns=position_ns(m["a"]))),
    (_AT, _around),
    (_INTO, _around),
    (_HALF, _half),
    (_EDGE, _edge),
)
"""Most specific first: "from 0:10 to 0:20" must not be read as "from 0:10"."""
