"""What a sentence of a story claims of its pictures: taken apart by rule, so that each part can be looked at.

Whatever is neither grammar nor a word that tells of an album is a claim. One that no rule knows how to look
at is of the kind `other`: nothing but the words of a caption can bear it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from reasoning.story.lexicon import (
    DAY_PARTS,
    HEDGES,
    MONTH_NAMES,
    NARRATOR,
    NEUTRAL,
    PEOPLE,
    PICTURE_NOUNS,
    READING,
    SAYING,
    SEASONS,
    UNIT_M,
    UNIT_S,
    WEEKDAYS,
)
from reasoning.story.things import known_nouns, stem_of_noun
from reasoning.tokens import NEGATORS
from reasoning.words import FUNCTION_WORDS, NUMBER_WORDS, stem
from stream.messages.story import ClaimKind
from stream.plurals import without_plural

_QUOTE = re.compile('[“"]([^”"]{1,400})[”"]')
_WORD = re.compile(
    r"\d{1,2}:\d{2}(?:\s?[ap]\.?m\b\.?)?|\d+(?:st|nd|rd|th)\b|\d+(?:[.,]\d+)*|[^\W\d_]+(?:['\u2019-][^\W\d_]+)*|[.,;:!?\u2014-]"
)
_LONGEST_NOUN = 3
"""Words of the longest noun that is looked for ("great white shark")."""
_VAGUE_NUMBERS = frozenset(["several", "many", "few", "lots", "dozens", "hundreds", "thousands", "crowd"])


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim. `text` are its words; `value` what a rule needs: a noun, a number, seconds, metres, an hour.

    `at` is the place of its first word; `hedged`: told as a likeness; `denied`: told not to be so.
    """

    kind: ClaimKind
    text: str
    sort: str = ""
    value: float = 0.0
    noun: str = ""
    at: int = 0
    hedged: bool = False
    denied: bool = False


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    low: str
    at: int
    starts: bool


def claims_of(text: str, names: frozenset[str] = frozenset()) -> list[Claim]:
    """The claims of a sentence, in its order.

    Args:
        text: One sentence.
        names: Capitalised names that are known, in lower case: with them a sentence may begin.
    """
    claims = [Claim("words", one[1], "quote", at=one.start()) for one in _QUOTE.finditer(text)]
    bare = _QUOTE.sub(lambda one: " " * len(one[0]), text)
    reading = _Reading(bare, names, has_quote=bool(claims))
    claims += reading.claims()
    return sorted(claims, key=lambda one: one.at)


class _Reading:
    """One sentence on its way to claims; words that a rule has taken are not looked at again."""

    def __init__(self, text: str, names: frozenset[str], *, has_quote: bool) -> None:
        self._text = text
        self._names = names
        self._has_quote = has_quote
        self._words: list[_Word] = []
        starts = True
        for found in _WORD.finditer(text):
            word = found[0].replace("\u2019", "'")
            self._words.append(_Word(word, word.lower(), found.start(), starts))
            starts = word in ".!?"
        self._taken: set[int] = set()
        self._hedges = [m.start() for hedge in HEDGES for m in re.finditer(re.escape(hedge), text.lower())]

    def claims(self) -> list[Claim]:
        """All but quotations."""
        found = [*self._times(), *self._amounts(), *self._things(), *self._names_told(), *self._orders()]
        return [*found, *self._rest()]

    def _take(self, start: int, end: int | None = None) -> None:
        self._taken.update(range(start, end if end is not None else start + 1))

    def _is_hedged(self, place: int) -> bool:
        at = self._words[place].at
        return any(hedge < at and not re.search(r"[.;,]", self._text[hedge:at]) for hedge in self._hedges)

    def _is_denied(self, place: int) -> bool:
        before = [one.low for one in self._words[max(0, place - 4) : place]]
        return any(word in NEGATORS or word.endswith("n't") for word in before)

    # Times.

    def _times(self) -> Iterator[Claim]:
        for place, one in enumerate(self._words):
            low = one.low
            if place in self._taken:
                continue
            sort = ""
            if ":" in low and low[0].isdigit():
                sort = "hour"
            elif low in WEEKDAYS or low.rstrip("s") in WEEKDAYS:
                sort, low = "weekday", low.rstrip("s")
            elif low in DAY_PARTS or without_plural(low) in DAY_PARTS:
                sort, low = "part", without_plural(low)
            elif low in MONTH_NAMES and (low not in ("may", "march") or one.text[0].isupper()):
                yield from self._dates(place)
                continue
            elif low in SEASONS and low not in ("fall", "spring"):
                sort = "season"
            elif re.fullmatch(r"(19|20)\d\d", low):
                sort = "year"
            elif low in ("today", "yesterday", "tomorrow", "tonight", "sunrise", "sunset", "dawn", "dusk"):
                sort = "unknown"
            if sort:
                self._take(place)
                yield Claim("time", one.text, sort, noun=low, at=one.at, denied=self._is_denied(place))

    def _dates(self, place: int) -> Iterator[Claim]:
        month = self._words[place]
        value = float(MONTH_NAMES.index(month.low) + 1)
        yield Claim("time", month.text, "month", value, month.low, month.at)
        self._take(place)
        for near in (place - 1, place + 1):
            if 0 <= near < len(self._words) and near not in self._taken:
                found = re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?", self._words[near].low)
                if found and 1 <= int(found[1]) <= 31:
                    self._take(near)
                    yield Claim("time", self._words[near].text, "date", float(found[1]), month.low, month.at)
                    return

    # Numbers: durations, distances, counts.

    def _amounts(self) -> Iterator[Claim]:
        for place, one in enumerate(self._words):
            value = self._number(place)
            is_vague = one.low in _VAGUE_NUMBERS
            if place in self._taken or (value is None and not is_vague):
                continue
            head = self._head(place + 1)
            noun = without_plural(self._words[head].low) if head is not None else ""
            if value is None:
                is_plain = noun in PICTURE_NOUNS or noun in UNIT_S or not noun
                if not is_plain:
                    yield Claim("count", f"{one.text} {noun}", "vague", noun=noun, at=one.at)
                self._take(place)
                continue
            self._take(place)
            told = f"{one.text} {self._words[head].text}" if head is not None else one.text
            if noun in UNIT_S:
                yield Claim("time", told, "duration", value * UNIT_S[noun], noun, one.at)
            elif noun in UNIT_M:
                yield Claim("place", told, "distance", value * UNIT_M[noun], noun, one.at)
            elif noun in PICTURE_NOUNS or (not noun and head is None):
                yield Claim("count", told, "pictures", value, noun or "picture", one.at)
            else:
                yield Claim("count", told, "things", value, noun, one.at)
            if head is not None and (noun in UNIT_S or noun in UNIT_M):
                self._take(head)

    def _number(self, place: int) -> float | None:
        low = self._words[place].low
        if low == "both":
            return 2.0
        if low in ("one", "second", "hundred", "half"):
            return None
        if low in NUMBER_WORDS:
            return float(NUMBER_WORDS[low])
        plain = low.replace(",", "")
        return float(plain) if re.fullmatch(r"\d+(\.\d+)?", plain) else None

    def _head(self, place: int) -> int | None:
        """The noun that a number counts: the first one behind it that is no adjective of telling."""
        for at in range(place, min(place + 4, len(self._words))):
            low = self._words[at].low
            if not low[0].isalpha():
                return None
            single = without_plural(low)
            if (
                single in PICTURE_NOUNS
                or single in UNIT_S
                or single in UNIT_M
                or single in PEOPLE
                or low in PEOPLE
            ):
                return at
            if self._noun_at(at) is not None:
                return at
            if low in ("of", "the", "these", "more", "further", "other", "next", "last", "first"):
                continue
            if low in FUNCTION_WORDS or low in NEUTRAL:
                return None
        return place if place < len(self._words) and self._words[place].low[0].isalpha() else None

    # Things.

    def _things(self) -> Iterator[Claim]:
        place = 0
        while place < len(self._words):
            length = self._noun_at(place)
            if length is None or place in self._taken:
                place += 1
                continue
            told = self._words[place : place + length]
            noun = " ".join([*(one.low for one in told[:-1]), without_plural(told[-1].low)])
            sort = "plural" if told[-1].low != without_plural(told[-1].low) else ""
            yield Claim(
                "thing",
                " ".join(one.text for one in told),
                sort,
                noun=noun,
                at=told[0].at,
                hedged=self._is_hedged(place),
                denied=self._is_denied(place),
            )
            self._take(place, place + length)
            place += length

    def _noun_at(self, place: int) -> int | None:
        """How many words from here on are a noun that the label model knows; None for none."""
        if self._words[place].low in NEUTRAL or self._words[place].low in DAY_PARTS:
            return None
        for length in range(_LONGEST_NOUN, 0, -1):
            told = [one.low for one in self._words[place : place + length]]
            if len(told) < length or any(not word[0].isalpha() for word in told):
                continue
            for last in dict.fromkeys((told[-1], without_plural(told[-1]))):
                if stem_of_noun(" ".join([*told[:-1], last])) in known_nouns():
                    return length
        return None

    # Names, people, order, and all else.

    def _names_told(self) -> Iterator[Claim]:
        place = 0
        while place < len(self._words):
            if not self._is_name(place):
                place += 1
                continue
            end = place + 1
            while end < len(self._words) and self._is_name(end):
                end += 1
            before = self._words[place - 1].low if place else ""
            is_place = before in (
                "in",
                "at",
                "near",
                "to",
                "from",
                "around",
                "of",
                "and",
                "through",
                "outside",
                "reach",
            )
            text = " ".join(one.text for one in self._words[place:end])
            yield Claim(
                "place" if is_place else "person", text, before, noun="name", at=self._words[place].at
            )
            self._take(place, end)
            place = end

    def _is_name(self, place: int) -> bool:
        one = self._words[place]
        if place in self._taken or not one.text[0].isupper() or one.low == "i" or one.low.startswith("i'"):
            return False
        if not one.starts:
            return one.low not in PEOPLE
        known = (
            one.low in FUNCTION_WORDS or one.low in NEUTRAL or one.low in PEOPLE or one.low in NUMBER_WORDS
        )
        # Every sentence begins with a capital: a name there is one that is known, or has a verb behind it.
        return one.low in self._names or (not known and self._is_like_a_name(place))

    def _is_like_a_name(self, place: int) -> bool:
        after = self._words[place + 1].low if place + 1 < len(self._words) else ""
        return after in SAYING or after in (
            "is",
            "was",
            "and",
            "smiles",
            "stands",
            "sits",
            "waves",
            "walks",
            "'s",
        )

    def _orders(self) -> Iterator[Claim]:
        lows = [one.low for one in self._words]
        whole = next((word for word in ("album", "story") if word in lows), "")
        for place, one in enumerate(self._words):
            if one.low in ("before", "after", "then"):
                yield Claim("order", one.text, one.low, at=one.at)
            elif one.low in (
                "first",
                "last",
                "finally",
                "begins",
                "began",
                "ends",
                "ended",
                "starts",
                "started",
            ):
                sort = "last" if one.low in ("last", "finally", "ends", "ended") else "first"
                if one.low in ("first", "last", "finally") or place + 1 < len(lows):
                    yield Claim("order", one.text, sort, noun=whole, at=one.at)
            elif one.low in ("next", "later", "follows", "follow", "followed", "afterwards"):
                yield Claim("order", one.text, "later", at=one.at)
            elif one.low in ("earlier", "previously"):
                yield Claim("order", one.text, "earlier", at=one.at)

    def _rest(self) -> Iterator[Claim]:
        for place, one in enumerate(self._words):
            low = one.low.removesuffix("'s")
            if place in self._taken or not low or not low[0].isalnum():
                continue
            if low in ("them", "these") and place and self._words[place - 1].low in ("among", "of"):
                continue
            if low in PEOPLE:
                yield Claim("person", one.text, "kind", noun=low, at=one.at)
            elif self._has_quote and low in READING:
                continue
            elif low in SAYING and not self._has_quote and low not in NEUTRAL:
                yield Claim("words", one.text, "saying", at=one.at)
            elif (
                low in NARRATOR
                or low in FUNCTION_WORDS
                or low in NEUTRAL
                or low in SAYING
                or low in NUMBER_WORDS
                or low in MONTH_NAMES
            ):
                continue
            else:
                yield Claim("other", one.text, noun=stem(low), at=one.at, denied=self._is_denied(place))
