"""Two pieces of evidence that contradict each other, told with their times; neither is taken for the truth.

Claims know the slots that the ledger has; these are sentences that agree in all but one thing
(`reasoning.contradiction`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from reasoning.answer import QUOTE_WORDS, excerpt, moment, source_name
from reasoning.contradiction import difference
from reasoning.evidence import Support
from reasoning.support.owners import FIRST, tokens_of
from stream.messages.evidence import EvidenceItem

LOOKED_AT = 10
"""Best supports that are compared with those that are told."""
ONE_BREATH_NS = 60_000_000_000
"""How far apart times of the day may be told by one speaker and still be a list of them."""
_HOUR = re.compile(
    r"(?:[01]?\d|2[0-4])(?:[:.][0-5]\d)?(?:[ap]m)?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve",
    re.I,
)
_TIME_ALONE = re.compile(r"\d+:\d\d(?:[ap]m)?|\d+(?:\.\d\d)?[ap]m", re.I)
_BEFORE_TIME = r"(?:at|from|by|before|after|until|till|since|around|about)"
_HALF_DAY = r"(?:\s*[ap]\.?m\b|\s+o['\u2019]?clock\b)"
_AFTER_TIME = (
    rf"(?:{_HALF_DAY}|(?=\s*(?:[.,;!?]|$))"
    r"|(?=\s+(?:in|on|from|and|or|to|every|each|sharp|today|tonight|tomorrow)\b))"
)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two supports, and the words in which they differ; empty where one denies what the other says."""

    one: Support
    other: Support
    words: tuple[str, str]

    def told(self) -> str:
        """Both sides, with where and when."""
        differ = f"“{self.words[0]}” and “{self.words[1]}”" if any(self.words) else "one denies the other"
        return f"{_side(self.one)} against {_side(self.other)}: {differ}"


def conflicts_of(chosen: Sequence[Support], supports: Sequence[Support]) -> list[Conflict]:
    """What among the best supports speaks against one that is told; each told one with the first such."""
    found: list[Conflict] = []
    for one in chosen:
        for other in supports[:LOOKED_AT]:
            met = any(other.item in (c.one.item, c.other.item) for c in found)
            if other.item == one.item or other.item.kind != one.item.kind or met:
                continue
            if _each_of_their_own(one.item, other.item):
                continue
            words = difference(one.item.text, other.item.text)
            if words is not None and not _are_both_listed(one.item, other.item, words):
                found.append(Conflict(one, other, words))
                break
    return found


def _each_of_their_own(one: EvidenceItem, other: EvidenceItem) -> bool:
    """Whether two people each tell of themselves: "my party" of one is not "my party" of the other."""
    if one.speaker == other.speaker:
        return False
    return any(token in FIRST for item in (one, other) for token in tokens_of(item.text))


def _are_both_listed(one: EvidenceItem, other: EvidenceItem, words: tuple[str, str]) -> bool:
    """Whether two times of the day are told in one breath, as of a timetable.

    Nothing in "the bus leaves at 7" says that there is one bus a day. Who gives two times within
    `ONE_BREATH_NS` lists them; apart from each other, or of two speakers or sources, they are one occasion.
    """
    if (one.source_id, one.session, one.speaker) != (other.source_id, other.session, other.speaker):
        return False
    apart_ns = max(one.pts0_ns, other.pts0_ns) - min(one.pts1_ns, other.pts1_ns)
    return apart_ns <= ONE_BREATH_NS and all(
        _is_time_of_day(word, item.text) for word, item in zip(words, (one, other), strict=True)
    )


def _is_time_of_day(word: str, text: str) -> bool:
    if not _HOUR.fullmatch(word):
        return False
    if _TIME_ALONE.fullmatch(word):
        return True
    found = rf"{re.escape(word)}\b"
    return re.search(rf"\b{_BEFORE_TIME}\s+{found}{_AFTER_TIME}|\b{found}{_HALF_DAY}", text, re.I) is not None


def _side(support: Support) -> str:
    item = support.item
    told = excerpt(item.text, frozenset(), QUOTE_WORDS // 2)
    return f"“{told}” ({moment(item, several=False)} of {source_name(item.uri)})"
