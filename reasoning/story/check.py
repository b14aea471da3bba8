"""Whether a claim is true of the pictures that a sentence cites.

A claim is supported, contradicted, or nobody knows: the pictures do not tell. Only what is supported is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher

from reasoning.story.captions import Caption
from reasoning.story.claims import Claim, claims_of
from reasoning.story.lexicon import DAY_PARTS, SEASONS, UNIT_S, WEEKDAYS
from reasoning.story.outline import distance_m
from reasoning.story.things import least_share, stem_of_noun
from reasoning.words import NUMBER_WORDS, stem, words
from stream.messages.story import ClaimVerdict, StoryClaim

NEAR_SHARE = 0.2
"""By which a rounded duration or distance may differ."""
IN_TOWN_KM = 2.0
"""Distance to the middle of a town up to which a picture is taken in it; farther off it is near it."""
QUOTE_LIKENESS = 0.9
"""Likeness of letters from which a quotation is what was read or heard (SequenceMatcher, 0 to 1)."""

Found = tuple[ClaimVerdict, str]
"""A verdict and why."""


@dataclass(frozen=True)
class Setting:
    """Where a sentence stands: the album and its chapter in order, and what came before.

    `told_through` is the number of the last picture that the sentences before it cite, 0 where it is the
    first.
    """

    album: Sequence[Caption]
    chapter: Sequence[Caption]
    told_through: int = 0


@dataclass(frozen=True)
class Finding:
    """What looking at the pictures said of a sentence, claim by claim."""

    claims: tuple[StoryClaim, ...]

    @property
    def is_true(self) -> bool:
        """Whether every claim is supported."""
        return all(one.verdict == "supported" for one in self.claims)

    @property
    def failed(self) -> tuple[StoryClaim, ...]:
        """The claims that are not supported."""
        return tuple(one for one in self.claims if one.verdict != "supported")


def check(text: str, cited: Sequence[Caption], setting: Setting) -> Finding:
    """Looks at the pictures of one sentence.

    Args:
        text: The sentence.
        cited: The captions of the pictures that it is about; none: nothing supports it.
        setting: Where it stands.
    """
    if not cited or not any(c.isalpha() for c in text):
        why = "it says nothing" if cited else "it cites no picture"
        return Finding((StoryClaim(kind="other", text=text, verdict="unknown", why=why),))
    towns = {one.picture.town.lower() for one in setting.album if one.picture.town}
    names = {word for town in towns for word in town.split()}
    names |= {w.lower() for one in setting.album for name in one.picture.people for w in name.split()}
    claims = claims_of(text, frozenset(names))
    among = re.search(r"\bamong\b", text)
    look = _Look(
        sorted(cited, key=lambda one: one.number), setting, claims, among.start() if among else len(text)
    )
    told = []
    for claim in claims:
        verdict, why = look.at(claim)
        if claim.denied and claim.kind in ("thing", "other", "time"):
            verdict, why = "unknown", "that something is not there cannot be seen from labels"
        told.append(StoryClaim(kind=claim.kind, text=claim.text, verdict=verdict, why=why))
    return Finding(tuple(told))


class _Look:
    """One look at the pictures of a sentence."""

    def __init__(
        self, cited: Sequence[Caption], setting: Setting, claims: Sequence[Claim], among: int
    ) -> None:
        self._among = among
        self._cited = cited
        self._setting = setting
        self._claims = claims
        self._kinds: Mapping[str, Callable[[Claim], Found]] = {
            "thing": self._thing,
            "count": self._count,
            "place": self._place,
            "time": self._time,
            "order": self._order,
            "person": self._person,
            "words": self._words,
            "other": self._other,
        }

    def at(self, claim: Claim) -> Found:
        """The verdict on one claim."""
        return self._kinds[claim.kind](claim)

    # What is seen.

    def _thing(self, claim: Claim) -> Found:
        least = least_share(claim.noun, hedged=claim.hedged)
        showing = [
            one for one in self._cited if self._shows(one, claim.noun, least) or is_likeliest(one, claim.noun)
        ]
        if not showing:
            best = max(one.shares.of(claim.noun) for one in self._cited)
            if best >= least_share(claim.noun, hedged=True):
                return "unknown", f"only likely: the labels give it {best:.2f}"
            return "contradicted", f"the labels give it {best:.2f}"
        if claim.sort == "plural" and len(showing) < 2 and not self._is_written(showing, claim.text):
            return "unknown", "whether there is more than one cannot be seen"
        return "supported", ""

    def _shows(self, one: Caption, noun: str, least: float) -> bool:
        return one.shares.of(noun) >= least or self._is_written([one], noun)

    @staticmethod
    def _is_written(captions: Sequence[Caption], noun: str) -> bool:
        """Whether a captioning model wrote the word."""
        stems = [stem(word) for word in words(noun)]
        return bool(stems) and any(set(stems) <= one.stems for one in captions)

    def _other(self, claim: Claim) -> Found:
        if any(claim.noun in one.stems for one in self._cited):
            return "supported", ""
        return "unknown", "the pictures do not tell"

    def _count(self, claim: Claim) -> Found:
        if claim.sort == "pictures":
            counts = self._counts_of_pictures(claim.noun)
            if claim.value in counts:
                return "supported", ""
            return "contradicted", f"it is about {min(counts)} pictures"
        if claim.sort == "things" and claim.noun in ("stop", "chapter", "place", "town", "day"):
            days = {one.local.date() for one in self._cited if one.local is not None}
            is_right = claim.noun == "day" and len(days) == claim.value
            return ("supported", "") if is_right else ("contradicted", f"there are {len(days)} days")
        if claim.sort == "things" and self._is_counted(claim):
            return "supported", ""
        return "unknown", "how many there are cannot be counted"

    def _counts_of_pictures(self, noun: str) -> set[float]:
        """How many of its pictures a sentence may speak of: all, those that show what it names, the clips."""
        counts = {float(len(self._cited))}
        if noun == "clip":
            return {float(sum(one.picture.media == "clip" for one in self._cited))}
        first, last = self._cited[0].number, self._cited[-1].number
        if first == self._setting.album[0].number and last == self._setting.album[-1].number:
            counts.add(float(len(self._setting.album)))
        for claim in self._claims:
            # What stands behind "among them" is of some of the pictures, and limits no number of them.
            if claim.kind == "thing" and claim.at < self._among:
                least = least_share(claim.noun, hedged=claim.hedged)
                showing = sum(
                    self._shows(one, claim.noun, least) or is_likeliest(one, claim.noun)
                    for one in self._cited
                )
                if showing != len(self._cited):
                    counts = {float(showing)}
        return counts

    def _is_counted(self, claim: Claim) -> bool:
        """Whether a captioning model counted the same."""
        for one in self._cited:
            told = [w for sentence in one.written for w in words(sentence)]
            for place, word in enumerate(told):
                value = NUMBER_WORDS.get(word, word)
                near = {stem(other) for other in told[place + 1 : place + 4]}
                if value == f"{claim.value:.0f}" and stem(claim.noun) in near:
                    return True
        return False

    # Where.

    def _place(self, claim: Claim) -> Found:
        if claim.sort == "distance":
            return self._distance(claim)
        told = claim.text.lower()
        towns = {one.picture.town.lower() for one in self._cited if one.picture.town}
        lands = {one.picture.country.lower() for one in self._cited if one.picture.country}
        if told in lands:
            return "supported", ""
        if told in towns:
            far = [one for one in self._cited if one.picture.town.lower() != told]
            if far and claim.sort != "and":
                return "contradicted", "not all of its pictures were taken there"
            km = max(one.picture.town_km for one in self._cited if one.picture.town.lower() == told)
            if claim.sort in ("in", "at", "through") and km > IN_TOWN_KM:
                return "unknown", f"its middle is {km:.0f} km away: near it, not in it"
            return "supported", ""
        if self._is_written(self._cited, claim.text):
            return "supported", ""
        if told in {name.lower() for one in self._cited for name in one.picture.people}:
            return "supported", ""
        if towns:
            return "contradicted", f"the nearest town is {' or '.join(sorted(towns)).title()}"
        return "unknown", "no place is known of its pictures"

    def _distance(self, claim: Claim) -> Found:
        known = self._ways()
        for metres in known:
            if abs(metres - claim.value) <= max(30.0, NEAR_SHARE * metres):
                return "supported", ""
        return ("contradicted", f"it is {known[0]:.0f} m") if known else ("unknown", "no positions are known")

    def _ways(self) -> list[float]:
        """Metres from the picture before the first one, and between the first and the last, where known."""
        before, first, last = self._before(), self._cited[0], self._cited[-1]
        ways = [distance_m(before, first) if before is not None else None]
        ways += [distance_m(first, last) if last is not first else None]
        return [metres for metres in ways if metres is not None]

    def _before(self) -> Caption | None:
        earlier = [one for one in self._setting.album if one.number < self._cited[0].number]
        return earlier[-1] if earlier else None

    # When.

    def _time(self, claim: Claim) -> Found:
        times = [one.local for one in self._cited]
        known = [time for time in times if time is not None]
        if not known or len(known) < len(times):
            return "unknown", "the time of a picture is not known"
        if claim.sort == "duration":
            return self._duration(claim, known)
        if claim.sort == "hour":
            minutes = _minutes(claim.noun)
            there = {time.hour * 60 + time.minute for time in known}
            return ("supported", "") if minutes in there else ("contradicted", f"it was {known[0]:%H:%M}")
        one = _is_of(claim, self._cited)
        if one is None:
            return "unknown", "the pictures do not tell"
        return ("supported", "") if one else ("contradicted", f"it was {known[0]:%A %d %B %Y %H:%M}")

    def _duration(self, claim: Claim, known: Sequence[datetime]) -> Found:
        spans = [(known[-1] - known[0]).total_seconds()]
        before = self._before()
        if before is not None and before.local is not None:
            spans.append((known[0] - before.local).total_seconds())
        spans += [one.picture.length_s for one in self._cited if one.picture.length_s]
        unit = UNIT_S[claim.noun]
        for span in spans:
            if abs(span - claim.value) <= max(0.5 * unit + 1e-6, NEAR_SHARE / 2 * span):
                return "supported", ""
        if unit == 86_400:
            days = len({time.date() for time in known})
            if days == claim.value / unit:
                return "supported", ""
        return "contradicted", f"it was {max(spans) / 60:.0f} minutes"

    # In which order.

    def _order(self, claim: Claim) -> Found:
        first, last = self._cited[0].number, self._cited[-1].number
        album, chapter = self._setting.album, self._setting.chapter
        # "The album begins" is of the album alone; "the first one here" may be of the chapter.
        stretches = (album,) if claim.noun else (album, chapter)
        if claim.sort in ("before", "after", "then"):
            return self._two_things(claim)
        if claim.sort == "first":
            is_first = first in (stretch[0].number for stretch in stretches)
            return ("supported", "") if is_first else ("contradicted", "other pictures come before")
        if claim.sort == "last":
            is_last = last in (stretch[-1].number for stretch in stretches)
            return ("supported", "") if is_last else ("contradicted", "other pictures come after")
        if claim.sort == "later":
            if first > self._setting.told_through or (
                len(self._cited) > 1 and last > self._setting.told_through
            ):
                return "supported", ""
            return "contradicted", "its pictures come before those told of"
        if last < self._setting.told_through:
            return "supported", ""
        return "contradicted", "its pictures come after those told of"

    def _two_things(self, claim: Claim) -> Found:
        """`a dog before a cat`: where the pictures that show the one and the other stand."""
        things = [one for one in self._claims if one.kind == "thing"]
        left = [one for one in things if one.at < claim.at]
        right = [one for one in things if one.at > claim.at]
        if not left or not right:
            if claim.sort == "after" and not left and len(right) >= 2:
                left, right = right[1:2], right[:1]
                return self._is_before(right[0], left[0])
            return "supported", ""  # "Then comes": order is that of the sentences, which is the pictures'.
        one, other = left[-1], right[0]
        return self._is_before(other, one) if claim.sort == "after" else self._is_before(one, other)

    def _is_before(self, one: Claim, other: Claim) -> Found:
        earlier, later = self._showing(one.noun, other.noun), self._showing(other.noun, one.noun)
        if not earlier or not later:
            return "unknown", "the pictures do not show both"
        if min(earlier) <= min(later) and (min(earlier) < max(later) or one.noun == other.noun):
            return "supported", ""
        return "contradicted", f"the {other.noun} comes first"

    def _showing(self, noun: str, other: str) -> list[int]:
        """The pictures that show a thing, and rather it than the other."""
        return [
            one.number
            for one in self._cited
            if self._shows(one, noun, least_share(noun, hedged=True))
            and (noun == other or one.shares.of(noun) >= one.shares.of(other))
        ]

    # Who, and what was said.

    def _person(self, claim: Claim) -> Found:
        told = claim.text.lower()
        names = {name.lower() for one in self._cited for name in one.picture.people}
        names |= {word for name in names for word in name.split()}
        if claim.noun == "name" and (told in names or self._is_written(self._cited, claim.text)):
            return "supported", ""
        towns = {one.picture.town.lower() for one in self._cited if one.picture.town}
        if claim.noun == "name" and told in towns:
            return "supported", ""
        if claim.sort == "kind" and any(stem(claim.noun) in one.stems for one in self._cited):
            return "supported", ""
        return "unknown", "who is in a picture is known from the owner's labels only"

    def _words(self, claim: Claim) -> Found:
        if claim.sort == "saying":
            said = any(one.speech for one in self._cited)
            return ("supported", "") if said else ("contradicted", "nothing was said in its pictures")
        told = [t for one in self._cited for t in (*one.texts, *one.speech)]
        if any(is_quoted(claim.text, text) for text in told):
            return "supported", ""
        return "contradicted", "these words were neither read nor heard"


def is_likeliest(one: Caption, noun: str) -> bool:
    """Whether the first thing that labels make likely in a picture is this one."""
    return one.thing is not None and stem_of_noun(one.thing.noun) == stem_of_noun(noun)


def is_quoted(quote: str, text: str) -> bool:
    """Whether a quotation is a stretch of a text, a few letters aside."""
    mine, theirs = _letters(quote.rstrip("…")), _letters(text)
    if not mine:
        return False
    if mine in theirs:
        return True
    match = SequenceMatcher(None, theirs, mine, autojunk=False)
    same = sum(block.size for block in match.get_matching_blocks())
    return len(mine) <= len(theirs) * 1.1 and same / len(mine) >= QUOTE_LIKENESS


def _letters(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


def _minutes(hour: str) -> int:
    found = re.match(r"(\d{1,2}):(\d{2})\s*([ap])?", hour)
    assert found is not None  # noqa: S101 - the rule that made the claim matched the same
    hours = int(found[1])
    if found[3]:
        hours = hours % 12 + (12 if found[3] == "p" else 0)
    return hours * 60 + int(found[2])


def _is_of(claim: Claim, cited: Sequence[Caption]) -> bool | None:
    """Whether all pictures are of a weekday, date, month, year, season or part of the day."""
    times = [one.local for one in cited if one.local is not None]
    if claim.sort == "weekday":
        return any(WEEKDAYS[time.weekday()] == claim.noun for time in (times[0], times[-1]))
    if claim.sort == "date":
        return any(time.day == claim.value for time in (times[0], times[-1]))
    if claim.sort == "month":
        return any(time.month == claim.value for time in (times[0], times[-1]))
    if claim.sort == "year":
        return any(str(time.year) == claim.noun for time in (times[0], times[-1]))
    if claim.sort == "part":
        low, high = DAY_PARTS[claim.noun]
        hours = [time.hour + time.minute / 60 for time in times]
        return all(low <= hour < high if low < high else hour >= low or hour < high for hour in hours)
    if claim.sort == "season":
        lats = {one.picture.lat for one in cited if one.picture.lat is not None}
        if not lats:
            return None
        is_south = max(lats) < 0
        months = [(m + 5) % 12 + 1 if is_south else m for m in SEASONS[claim.noun]]
        return all(time.month in months for time in times)
    return None
