"""The parts of a question, and the cue that is made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from reasoning.when import When
from reasoning.words import stem, words
from stream.clock_words import ClockWords
from stream.messages.cue import Cue, Talk
from stream.messages.evidence import EvidenceItem
from stream.named_dates import Stretch, fits, names_any

Sense = Literal["said", "written", "seen", "any"]
Expects = Literal["thing", "number", "address", "time", "place", "person", "reason", "yes_no"]

MAX_QUESTION_CHARS = 1000
"""What is read of a question; nobody asks in more, and the grammars are quadratic in the worst case."""

KINDS: dict[Sense, tuple[str, ...]] = {
    "said": ("utterance",),
    "written": ("seen_text",),
    "seen": ("shot", "frame", "seen_text", "caption"),
    "any": (),
}
"""Kinds of observation that can answer for a sense; empty means every kind."""


@dataclass(frozen=True)
class Compare:
    """As in "what came first, A or B?"; `claim` is set where the asker states the order of the two."""

    options: tuple[str, ...]
    wanted: Literal["first", "last"] = "first"
    claim: Literal["", "before", "after"] = ""


@dataclass(frozen=True)
class Beside:
    """As in "what is shown after X?" and "what happened before X?"."""

    anchor: str
    side: Literal["before", "after"]


@dataclass(frozen=True)
class Edge:
    """As in "what is the first thing that is said?"."""

    wanted: Literal["first", "last"]


@dataclass(frozen=True)
class Around:
    """A moment that limits what is asked, and is not itself what is told beside: "while the kettle boiled".

    `other` is the second moment of `between`; in `order` a list in order of time is asked for, and `anchor`
    is empty. Evidence is looked for with the words of the whole question.
    """

    anchor: str
    side: Literal["before", "after", "while", "between", "order"]
    other: str = ""


Order = Compare | Beside | Edge


@dataclass(frozen=True)
class Question:
    """A question, taken apart.

    `content` is what is left when time words, dates and order are taken out; `dates` are the times that
    the dates stand for, and `date_words` say them, for memory, which gates by them. `sense` is what was
    asked for; where `explicit`, other kinds of observation do not count. `wanted` are stems of the
    class of thing that is asked for ("animal" in "which animal"); `key` the stems of what else the
    question says; `subjects` those among them that name things, and which evidence must therefore
    name or mean; `names` are stems of proper names, numbers and quoted words, which nothing else
    can stand for; `all_names` those of moments and options too. `acts` are stems of what is done, where
    the question says so ("when did she *water* the roses"): a picture of roses alone does not tell that.
    `sayers` are stems of those whose words are asked for: names, "sister", "i"; `hearers` are the names
    of those to whom they are said.

    `clock` are the times that the words mean for who asks, where that was told; `around` is a moment that
    limits it. `counts`: how many are asked for. `negated`: what is not so is. `without` are stems of who or
    what is left out ("who else", "apart from Clara"). `where` is the place that is named. `dialogue`: what
    was asked or answered before is asked for. `beside_answer`: it is asked of the moment of the last answer.
    """

    asked: str
    content: str
    sense: Sense = "any"
    explicit: bool = False
    expects: Expects = "thing"
    wanted: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    all_names: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    sayers: tuple[str, ...] = ()
    hearers: tuple[str, ...] = ()
    when: When = field(default_factory=When)
    order: Order | None = None
    dates: tuple[Stretch, ...] = ()
    date_words: str = ""
    clock: ClockWords | None = None
    around: Around | None = None
    counts: bool = False
    negated: bool = False
    without: tuple[str, ...] = ()
    where: str = ""
    dialogue: bool = False
    beside_answer: Literal["", "before", "after", "at"] = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that recall is gated to; empty where the sense is only a preference."""
        return KINDS[self.sense] if self.explicit else ()

    @property
    def open(self) -> bool:
        """Whether the question names nothing at all: "what is said in the first minute?"."""
        return not self.key and not self.wanted

    def is_dated(self, item: EvidenceItem) -> bool | None:
        """Whether an item is of the time that the question names; None where nobody knows.

        What names that time itself tells of it whenever it was recorded.
        """
        if self.clock is not None and not self.clock.loose:
            return None if item.t0_ns is None else self._is_of_the_clock(item.t0_ns, item.t1_ns)
        if not self.dates or names_any(item.text, self.dates):
            return True
        return None if item.t0_ns is None else fits(item.t0_ns, self.dates)

    def _is_of_the_clock(self, t0_ns: int, t1_ns: int | None) -> bool:
        ranges = () if self.clock is None else self.clock.ranges
        last_ns = t0_ns if t1_ns is None else max(t0_ns, t1_ns - 1)
        return any(
            (one.until_ns is None or t0_ns < one.until_ns)
            and (one.since_ns is None or last_ns >= one.since_ns)
            for one in ranges
        )

    @property
    def is_timed(self) -> bool:
        """Whether recall is limited to a stretch of the clock."""
        return self.clock is not None and not self.clock.loose

    def spelt(self, word_stem: str) -> str:
        """The word of the question that has this stem."""
        return next((word for word in words(self.content) if stem(word) == word_stem), word_stem)

    def cue(self, text: str, gates: Cue) -> Cue:
        """A cue for `text` under the question's own gates and those that the asker set.

        The dates of the question are said again behind the text. Positions that need the length of a
        source are left out; `When.bounds` has them. A range of time that the asker set outright goes before
        the words.
        """
        start_ns, end_ns = self.when.bounds(None)
        since_ns, until_ns = gates.t0_ns, gates.t1_ns
        if self.clock is not None and self.is_timed and since_ns is None and until_ns is None:
            since_ns, until_ns = self.clock.hull
        return msgspec.structs.replace(
            gates,
            text=f"{text} {'' if self.is_timed else self.date_words}".strip(),
            t0_ns=since_ns,
            t1_ns=until_ns,
            kinds=gates.kinds or self.kinds,
            talk=self._talk(gates),
            pts0_ns=_later(gates.pts0_ns, start_ns),
            pts1_ns=_sooner(gates.pts1_ns, end_ns),
        )

    def _talk(self, gates: Cue) -> Talk | msgspec.UnsetType:
        if len(self.hearers) != 1 or gates.of_talk.spoken_to:
            return gates.talk
        return msgspec.structs.replace(gates.of_talk, spoken_to=self.hearers[0])


def _later(one: int | None, other: int | None) -> int | None:
    return max(one, other) if one is not None and other is not None else one if one is not None else other


def _sooner(one: int | None, other: int | None) -> int | None:
    return min(one, other) if one is not None and other is not None else one if one is not None else other
