"""A story without a language model: sentences made of captions, plain but not all alike.

Which wording is taken follows from the pictures alone (a hash of their sources and the place in the story),
so that the same album is told in the same words; no wording is taken twice in a row. Nothing is said here
that the check does not find true: what a caption is not sure of is told as a likeness or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from reasoning.story.captions import Caption
from reasoning.story.outline import Chapter, distance_m
from reasoning.story.things import with_article
from reasoning.story.wordings import WORDINGS, Wordings
from reasoning.words import NUMBER_WORDS
from stream.messages.story import StoryWish
from stream.wire.bounds import shortened

QUOTE_CHARS = 90
"""Characters of a quotation; what is longer is cut."""
MOST_JOINED = 3
"""Pictures with a thing of their own that one sentence tells of, where the story is of medium length."""
SMALL = tuple(NUMBER_WORDS)[:13]
"""Numbers that are written out, from zero to twelve."""


@dataclass(frozen=True)
class Line:
    """A sentence of a draft and the pictures that it is about."""

    text: str
    captions: tuple[Caption, ...]


@dataclass(frozen=True)
class _Run:
    """Pictures in a row that show the same, or nothing that is known, together; others alone."""

    captions: tuple[Caption, ...]
    noun: str = ""
    is_sure: bool = False
    quote: str = ""
    speech: str = ""
    written: str = ""


class Composer:
    """Makes sentences of captions.

    Args:
        wish: Style, length and whether towns may be named.
        album: All captions in order.
    """

    def __init__(self, wish: StoryWish, album: Sequence[Caption]) -> None:
        self._wish = wish
        self._album = album
        self._words: Wordings = WORDINGS[wish.style]
        self._seed = b"".join(one.picture.source_id for one in album)
        self._turn = 0
        self._last: dict[str, int] = {}

    def title(self) -> str:
        """By where and when; by how many where neither is known."""
        if self._wish.title:
            return self._wish.title
        towns = self._towns(self._album)
        when = _date_words([one.local for one in self._album if one.local is not None])
        if towns and when:
            return f"Near {towns}, {when}"
        if towns or when:
            return f"Near {towns}" if towns else f"{when[0].upper()}{when[1:]}"
        n = len(self._album)
        return f"An album of {count_words(n)} {'picture' if n == 1 else 'pictures'}"

    def chapter_title(self, chapter: Chapter, place: int, taken: Collection[str]) -> str:
        """By place and time of its first picture; by number where neither is known."""
        first = chapter.captions[0]
        town = self._town(first)
        if first.local is None:
            return f"Near {town}" if town and f"Near {town}" not in taken else f"Part {place + 1}"
        days = {one.local.date() for one in self._album if one.local is not None}
        part = _day_part(first.local)
        day = f"{first.local:%A} {part}" if len(days) > 1 else part.title()
        title = f"{day} near {town}" if town else day
        if title in taken:
            title = f"{title}, {_hour(first.local)}"
        return title

    def chapter(self, chapter: Chapter, place: int) -> list[Line]:
        """The sentences of a chapter; every picture of it is in one of them."""
        lines = [self._opening(chapter, place)]
        runs = _runs(chapter.captions)
        is_first_told = len(runs) == 1 and not (
            runs[0].noun or runs[0].quote or runs[0].speech or runs[0].written
        )
        if len(chapter.captions) == 1 and is_first_told:
            return lines + self._closing(chapter)
        if self._wish.length == "short":
            lines += self._in_short(chapter, runs)
        else:
            lines += self._first(runs[0]) + self._in_full(runs[1:])
        return lines + self._people(chapter) + self._closing(chapter)

    def instead(self, captions: Sequence[Caption]) -> list[Line]:
        """What can be said of these pictures, for a sentence of a draft that was not true.

        In words that claim no place in the story: a sentence may be put anywhere.
        """
        return [self._anywhere(run) for run in _runs(captions)]

    def _anywhere(self, run: _Run) -> Line:
        n = len(run.captions)
        if run.noun and not (run.written or run.speech or run.quote):
            shown = with_article(run.noun) if run.is_sure else f"what looks like {with_article(run.noun)}"
            return self._line("anywhere" if n == 1 else "things", run.captions, thing=shown, n=count_words(n))
        return self._run(run)

    # Openings and endings.

    def _opening(self, chapter: Chapter, place: int) -> Line:
        first = chapter.captions[0]
        town = self._town(first)
        near = f" near {town}" if town else ""
        before = self._before(first)
        if first.local is None:
            key = "start_untimed" if place == 0 else "go_on_untimed"
            return self._line(key, (first,), near=near)
        date = f"{first.local:%A} {first.local.day} {first.local:%B %Y}"
        if before is None or before.local is None:
            return self._line("start", (first,), date=date, hour=_hour(first.local), near=near)
        if before.local.date() != first.local.date():
            return self._line("new_day", (first,), date=date, hour=_hour(first.local), near=near)
        later = _duration_words((first.local - before.local).total_seconds())
        metres = distance_m(before, first) if self._wish.places else None
        town_before = self._town(before)
        far = _distance_words(metres) if metres is not None and metres >= 100 else ""
        if town and town != town_before:
            return self._line("later_town", (first,), later=later, near=near)
        if later and far:
            return self._line("later_far", (first,), later=later, far=far, hour=_hour(first.local))
        if later:
            return self._line("later", (first,), later=later, hour=_hour(first.local))
        return self._line("at_once", (first,), hour=_hour(first.local))

    def _closing(self, chapter: Chapter) -> list[Line]:
        last = chapter.captions[-1]
        if last is not self._album[-1] or len(self._album) < 3 or last.local is None:
            return []
        first = self._album[0]
        if first.local is None or first.local.date() != last.local.date():
            return [
                self._line("close", (last,), hour=_hour(last.local), date=f"{last.local.day} {last.local:%B}")
            ]
        span = _duration_words((last.local - first.local).total_seconds())
        if not span:
            return []
        return [self._line("close_span", (first, last), hour=_hour(last.local), span=span.lower())]

    def _people(self, chapter: Chapter) -> list[Line]:
        lines = []
        by_names: dict[tuple[str, ...], list[Caption]] = {}
        for one in chapter.captions:
            if one.picture.people:
                by_names.setdefault(one.picture.people, []).append(one)
        for names, captions in by_names.items():
            lines.append(
                self._line("people", tuple(captions), names=_joined(names), n=_pictures(len(captions)))
            )
        return lines

    # Pictures.

    def _first(self, run: _Run) -> list[Line]:
        """What the picture of the opening shows, and those after it that show the same."""
        rest = run.captions[1:]
        if run.written or run.speech or run.quote:
            return [self._run(run)]
        shown = with_article(run.noun) if run.is_sure else f"what looks like {with_article(run.noun)}"
        if not run.noun:
            return [self._run(_Run(rest))] if rest else []
        if rest:
            # The first is told with the others, by number: it was only dated before.
            return [self._line("things", run.captions, thing=shown, n=count_words(len(run.captions)))]
        return [self._line("first_thing", run.captions, thing=shown)]

    def _in_full(self, runs: Sequence[_Run]) -> list[Line]:
        lines: list[Line] = []
        held: list[_Run] = []

        def told() -> None:
            if held:
                lines.append(self._joined(held) if len(held) > 1 else self._run(held[0]))
                held.clear()

        most = 1 if self._wish.length == "long" else MOST_JOINED
        for run in runs:
            is_plain = run.is_sure and len(run.captions) == 1 and not (run.quote or run.speech or run.written)
            is_new = all(run.noun != one.noun for one in held)
            if not (is_plain and is_new) or len(held) >= most:
                told()
            if is_plain:
                held.append(run)
            else:
                lines.append(self._run(run))
        told()
        return lines

    def _in_short(self, chapter: Chapter, runs: Sequence[_Run]) -> list[Line]:
        nouns = list(dict.fromkeys(run.noun for run in runs if run.is_sure))[:4]
        n = len(chapter.captions)
        if not nouns:
            return [self._line("short_plain", chapter.captions, n=_pictures(n))] if n > 1 else []
        if n == 1:
            return [self._run(runs[0])]
        listed = _joined([with_article(noun) for noun in nouns])
        return [self._line("short", chapter.captions, n=_pictures(n), things=listed)]

    def _joined(self, runs: Sequence[_Run]) -> Line:
        captions = tuple(one for run in runs for one in run.captions)
        first, *rest = [with_article(run.noun) for run in runs]
        key = "join_two" if len(rest) == 1 else "join_three"
        return self._line(key, captions, first=first, second=rest[0], third=rest[-1])

    def _run(self, run: _Run) -> Line:
        captions, n = run.captions, len(run.captions)
        shown = with_article(run.noun) if run.is_sure else f"what looks like {with_article(run.noun)}"
        if run.written:
            return self._line("written", captions, text=run.written)
        if run.speech:
            return self._line("speech", captions, quote=run.speech)
        if run.quote:
            return self._line("thing_quote" if run.noun else "quote", captions, thing=shown, quote=run.quote)
        if run.noun:
            if n > 1 and not run.is_sure:
                return self._line("things", captions, thing=shown, n=count_words(n))
            key = "clip_thing" if captions[0].picture.media == "clip" else "thing" if n == 1 else "things"
            return self._line(key, captions, thing=shown, n=count_words(n))
        times = [one.local for one in captions if one.local is not None]
        if len(times) == n:
            hours = (
                f"at {_hour(times[0])}"
                if n == 1 or _hour(times[0]) == _hour(times[-1])
                else (f"between {_hour(times[0])} and {_hour(times[-1])}")
            )
            return self._line("unknown_timed", captions, n=_pictures(n), when=hours)
        return self._line("unknown", captions, n="one picture" if n == 1 else _pictures(n))

    # Words.

    def _line(self, key: str, captions: tuple[Caption, ...], **values: str) -> Line:
        wordings = self._words[key]
        self._turn += 1
        digest = hashlib.blake2b(self._seed + f"{key}{self._turn}".encode(), digest_size=4).digest()
        choice = int.from_bytes(digest, "big") % len(wordings)
        if choice == self._last.get(key) and len(wordings) > 1:
            choice = (choice + 1) % len(wordings)
        self._last[key] = choice
        is_one = len(captions) == 1
        text = wordings[choice].format(
            comes="comes" if is_one else "come",
            was="was" if is_one else "were",
            is_="is" if is_one else "are",
            **values,
        )
        return Line(text[0].upper() + text[1:], captions)

    def _town(self, one: Caption) -> str:
        return one.picture.town if self._wish.places else ""

    def _towns(self, captions: Sequence[Caption]) -> str:
        towns = list(dict.fromkeys(self._town(one) for one in captions if self._town(one)))
        if any(not self._town(one) for one in captions) or len(towns) > 3:
            return ""
        return _joined(towns)

    def _before(self, one: Caption) -> Caption | None:
        earlier = [other for other in self._album if other.number < one.number]
        return earlier[-1] if earlier else None


def _runs(captions: Sequence[Caption]) -> list[_Run]:
    """Pictures in a row that show the same, or nothing that is known, together; others alone."""
    runs: list[_Run] = []
    for one in captions:
        thing = one.thing
        noun = thing.noun if thing is not None else ""
        is_sure = thing is not None and thing.is_sure
        quote = shortened(one.texts[0], QUOTE_CHARS) if one.texts else ""
        speech = shortened(one.speech[0], QUOTE_CHARS) if one.speech else ""
        run = _Run(
            (one,), noun, is_sure, _unquoted(quote), _unquoted(speech), one.written[0] if one.written else ""
        )
        last = runs[-1] if runs else None
        is_alone = run.quote or run.speech or run.written or one.picture.media == "clip"
        if (
            last
            and not is_alone
            and (last.noun, last.is_sure) == (noun, is_sure)
            and not (last.quote or last.speech or last.written or last.captions[0].picture.media == "clip")
        ):
            runs[-1] = _Run((*last.captions, one), noun, is_sure)
        else:
            runs.append(run)
    return runs


def _unquoted(text: str) -> str:
    return " ".join(text.translate(str.maketrans('“”"', "'''")).split())


def count_words(n: int) -> str:
    """`three`, `17`."""
    return SMALL[n] if n < len(SMALL) else str(n)


def _pictures(n: int) -> str:
    return "one picture" if n == 1 else f"{count_words(n)} pictures"


def _joined(parts: Sequence[str]) -> str:
    if not parts:
        return ""
    *before, last = parts
    return f"{', '.join(before)} and {last}" if before else last


def _hour(time: datetime) -> str:
    return f"{time.hour}:{time.minute:02}"


def _day_part(time: datetime) -> str:
    hour = time.hour
    return (
        "night"
        if hour < 5 or hour >= 22
        else "morning"
        if hour < 12
        else "afternoon"
        if hour < 18
        else "evening"
    )


def _duration_words(seconds: float) -> str:
    """`ten minutes`, `3 hours`; empty below two minutes."""
    if seconds < 120:
        return ""
    if seconds < 5400:
        minutes = round(seconds / 60)
        return f"{count_words(minutes)} minutes"
    hours = round(seconds / 3600)
    if abs(seconds - hours * 3600) > 300 and hours < 48:
        return f"about {count_words(hours)} hours"
    return f"{count_words(hours)} hours" if hours < 48 else f"{count_words(round(seconds / 86_400))} days"


def _distance_words(metres: float) -> str:
    if metres < 950:
        return f"about {max(50, round(metres / 50) * 50)} metres"
    km = metres / 1000
    return f"about {km:.0f} kilometres" if km >= 2 else f"about {metres / 1000:.1f} kilometres"


def _date_words(times: Sequence[datetime]) -> str:
    """`22 October 2008`, `22 to 25 October 2008`."""
    if not times:
        return ""
    first, last = min(times), max(times)
    end = f"{last.day} {last:%B %Y}"
    if first.date() == last.date():
        return end
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {end}"
    return (
        f"{first.day} {first:%B} to {end}"
        if first.year == last.year
        else f"{first.day} {first:%B %Y} to {end}"
    )
