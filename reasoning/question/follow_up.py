"""Follow-ups: "and after that?", "what about the red one?", "who said it?", "and yesterday?".

A question that leans on the one before is said again so that it stands alone: what it leaves out is taken
from the last turn of the dialogue. What stands alone is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from reasoning.question.about import read_names
from reasoning.question.question import Beside, Question
from reasoning.question.read import read_question, without_politeness
from reasoning.question.scope import read_where
from reasoning.words import PERSON_WORDS, is_content, is_past_form, stem, word_set, words
from stream.clock_words import ClockWords, DateOrder, clock_words

SAID_WORDS = 16
"""Words of an answer that are taken into a question: what it told, not all that it told."""
SHORT_WORDS = 6
"""As many words may stand in the place of "it" as they are; of a longer clause what it tells of does."""


@dataclass(frozen=True, slots=True)
class DialogueTurn:
    """A turn of a dialogue: the question as it was understood, and what was told, in the evidence's words.

    `told` is of the best evidence ("Clara said that the boiler leaks"); empty where nothing was found.
    """

    question: Question
    told: str = ""


Side = Literal["before", "after", "at"]

_COMMAND = re.compile(r"^(?:list|name|summari[sz]e|recap|describe|count|show|tell|give|thanks?)\b", re.I)
"""A request of its own, or none at all: no part of the question before."""
_LEAD = re.compile(r"^(?:(?:and|but|so|ok(?:ay)?|then(?=[\s,]+\w))\b[\s,]*)+", re.I)
_WHAT_ABOUT = re.compile(r"^(?:(?:what|how)\s+about|and)\s+", re.I)
_BARE_SIDE = re.compile(
    r"^(?:what\s+)?(?:(?:happened|happens|came|comes|is\s+shown|was\s+shown|was\s+said|was)\s+)?(?:(?:right|just)\s+)?"
    r"(?:(?P<side>after|before)(?:\s+(?:that|this|it))?|(?P<later>then|next|afterwards?|later)|(?P<earlier>beforehand|earlier))$",
    re.I,
)
_SIDE_END = re.compile(r"\s+(?:(?:right|just)\s+)?(?P<side>after|before)\s+(?:that|this)$", re.I)
_AT_THAT = re.compile(
    r"\s+(?:at|in|during)\s+(?:that|this|the\s+same)\s+(?:moment|time|point|scene|shot)$|(?<=\w)\s+(?:meanwhile|just\s+then)$|"
    r"(?<=\w)\s+then$",
    re.I,
)
_ONE = re.compile(r"^(?:the\s+|that\s+|my\s+)?(?P<which>(?:[\w-]+\s+){1,2})ones?$", re.I)
_BARE_WH = re.compile(
    r"^(?P<wh>where|when|why|who|how|how\s+often|how\s+many(?:\s+times)?|what|which\s+ones?)"
    r"(?P<else>\s+else)?(?:\s+(?:exactly|was\s+that|is\s+that|not|so))?$",
    re.I,
)
_HOW_MANY = re.compile(r"^how\s+(?:many|much)\s+(?P<what>[\w-]+(?:\s+[\w-]+)?)$", re.I)
_WH_PHRASE = re.compile(
    r"^(?:(?:in|at|on)\s+)?(?:what|which|who|whom|whose|where|when|why|how(?:\s+(?:many|much|often|long))?)\b",
    re.I,
)
_TOO = re.compile(r"[\s,]+(?:too|as\s+well|also)$", re.I)
_ELSE = re.compile(r"\belse\b\s*", re.I)
_PERSON = re.compile(r"\b(?P<own>his|hers?(?=\s+[a-z])|their)\b|\b(?:she|he|him|her)\b", re.I)
_PEOPLE = re.compile(
    r"\b(?:they|them|those)\b(?!\s+(?!were|are|did|do|have|had|all|still|also|go|come|bring)[a-z]{3,})", re.I
)
_THING = re.compile(r"\bit\b|\b(?:this|that)(?=\s*$|\s+(?:is|was|happen\w*|mean\w*)\b)", re.I)
_TOLD_THING = re.compile(
    r"\b(?:say|says|said|saying|tell|told|claim\w*|mention\w*|read|reads|hear|heard|think|thought|mean|means|explain\w*)\s+"
    r"(?:(?:me|us|you|so)\s+)?(?:it|that|this|so)\b",
    re.I,
)
_PHRASE = re.compile(
    r"\b(?:the|a|an|my|our|your|his|her|their)\s+(?P<run>[\w'\u2019-]+(?:\s+[\w'\u2019-]+){0,3})", re.I
)
_TOLD = "\N{OBJECT REPLACEMENT CHARACTER}"
_SAID_THAT = re.compile(r"^[A-Z][\w-]*\s+said\s+that\s+")
_THERE = re.compile(r"(?<!\blast)(?<!\bfirst)\s+there\b", re.I)
_PLAIN_IT = re.compile(
    r"^(?:it|that|this)\s+(?:is|was)\b|\b(?:is|was|does|did)\s+it\s+(?:rain|snow|late|dark|cold|hot)\w*|"
    r"^what\s+(?:time|day|date)\s+(?:is|was)\s+it\b|^(?:is|was)\s+it\s+(?:true|over|(?:mon|tues|wednes|thurs|fri|satur|sun)day|"
    r"january|february|march|april|may|june|july|august|september|october|november|december)\b",
    re.I,
)
_WHO_IS_THAT = re.compile(r"^who(?:\s+(?:is|was)|'s|\u2019s)\s+(?:that|this)$", re.I)
_TOLD_NOUN = re.compile(
    r"^(?P<noun>(?:the|an?|my|our|his|her|their)\s+[\w-]+(?:\s+[\w-]+)?)\s+"
    r"(?:is|are|was|were|has|have|had|will|\w+ed|\w+s)\b",
    re.I,
)
"""What is told of, before the verb: "the boiler leaks"."""
_OWN_PAST = re.compile(r"\b(?:did|was|were|had)\b", re.I)


def resolved(
    asked: str, before: Sequence[DialogueTurn], now: datetime, date_order: DateOrder = "either"
) -> Question:
    """A question that may follow others, read as if it had been asked in full.

    Args:
        asked: As it was put.
        before: The turns so far, the last one last.
        now: The time of asking, with its zone.
        date_order: As in `read_question`.
    """
    alone = read_question(asked, now, date_order=date_order)
    if not before or alone.dialogue or not asked.strip():
        return alone
    return _FollowUp(asked, before[-1], now, date_order).read() or alone


class _FollowUp:
    """One question against the turn before it."""

    def __init__(self, asked: str, last: DialogueTurn, now: datetime, date_order: DateOrder) -> None:
        self._asked = asked
        tidy = re.sub(r"\s+", " ", asked).strip()
        lead = _LEAD.match(tidy)
        text = _LEAD.sub("", tidy).rstrip(" ?.!")
        # "Please" and "ok" lead to whatever is asked next.
        self._led = _WHAT_ABOUT.match(text) is not None or (
            lead is not None and re.search(r"\b(?:and|but|so|then)\b", lead[0], re.I) is not None
        )
        self._text = without_politeness(_WHAT_ABOUT.sub("", text))
        self._last = last
        self._now = now
        self._date_order = date_order
        self._clock = self._times(without_politeness(last.question.asked))
        self._before = self._clock.rest if self._clock else without_politeness(last.question.asked)
        self._when = self._clock.words if self._clock else ""

    def _times(self, text: str) -> ClockWords | None:
        return clock_words(text, self._now, date_order=self._date_order)

    def read(self) -> Question | None:
        """The question in full; None where it stands alone."""
        if _WHO_IS_THAT.match(self._text):
            return self._who_is_that()
        for rule in (self._side, self._time, self._one, self._bare, self._in_its_place, self._leaning):
            found = rule()
            if found is not None:
                return found
        return None

    def _full(
        self, text: str, *, timed: bool = True, side: Literal["", "before", "after", "at"] = ""
    ) -> Question:
        """Reads a text that stands alone; `timed`: with the times of the question before."""
        if timed and self._when and self._times(text) is None:
            text = f"{text.rstrip(' ?.!')} {self._when}"
        question = read_question(f"{text[:1].upper()}{text[1:]}", self._now, date_order=self._date_order)
        return replace(question, beside_answer=side) if side else question

    def _side(self) -> Question | None:
        """As in "And after that?", "and then?"; "what did she say before that?"."""
        match = _BARE_SIDE.match(self._text)
        if match is not None and (self._led or match["side"]):
            side: Side = (
                "before" if match["earlier"] or (match["side"] or "").lower() == "before" else "after"
            )
            return self._full(self._main(), side=side)
        if match := _SIDE_END.search(self._text):
            which: Side = "before" if match["side"].lower() == "before" else "after"
            return self._full(self._with_persons(self._text[: match.start()]), timed=False, side=which)
        if match := _AT_THAT.search(self._text):
            return self._full(self._with_persons(self._text[: match.start()]), timed=False, side="at")
        return None

    def _main(self) -> str:
        """What was asked before, without the order that was asked."""
        order = self._last.question.order
        return self._last.question.content if isinstance(order, Beside) else self._before

    def _time(self) -> Question | None:
        """As in "And yesterday?", "and the week before?": the same of another time."""
        of = self._clock.hull if self._clock else None
        times = clock_words(self._text, self._now, of=of, date_order=self._date_order)
        if (
            times is None
            or any(is_content(word) for word in words(times.rest))
            or _WH_PHRASE.match(times.rest)
            or _PLAIN_IT.search(self._text)
        ):
            return None
        text = f"{self._before.rstrip(' ?.!')} {self._text}"
        return read_question(text, self._now, of=of, date_order=self._date_order)

    def _one(self) -> Question | None:
        """As in "What about the red one?": another of the same."""
        match = _ONE.match(self._text)
        phrase = self._thing()
        if match is None or not phrase or match["which"].strip().lower() in ("which", "what", "no"):
            return None
        noun = phrase.split()[-1]
        return self._full(_put(self._before, phrase, f"the {match['which'].strip()} {noun}"))

    def _bare(self) -> Question | None:
        """As in "Why?", "when?", "who else?": the rest is what was told, or asked."""
        match = _BARE_WH.match(self._text)
        if match is None:
            return None
        if match["else"]:
            left_out = tuple(dict.fromkeys((*self._told_names(), *self._last.question.without)))
            wh = match["wh"] if match["wh"].lower() not in ("who", "what") else ""
            text = _WH_PHRASE.sub(match["wh"], self._before, count=1) if wh else self._before
            names = " ".join(name.capitalize() for name in left_out)
            return _without(self._full(text), left_out, names)
        body = self._said() or self._bare_body()
        return self._full(f"{match['wh']} {body}")

    def _who_is_that(self) -> Question | None:
        """As in "Who is that?": the person that was told of."""
        for name in self._told_names():
            if spelt := _spelt(f" {self._last.told}", name):
                return self._full(f"Who is {spelt}", timed=False)
        return None

    def _in_its_place(self) -> Question | None:
        """As in "What about Anton?", "and in the kitchen?", "and how many people?": one part is another."""
        text = self._text
        if not self._led or len(text.split()) > 6:
            return None
        if match := _HOW_MANY.match(text):
            return self._full(self._counted(match["what"]))
        if _WH_PHRASE.match(text) or _verb(text) or _COMMAND.match(text):
            return None
        if re.match(r"(?:in|at|on|near|inside|outside|by|behind)\s", text, re.I):
            where = read_where(self._before)
            rest = (
                re.sub(
                    rf"\s*\b(?:in|at|on|near|inside|by)\s+(?:the\s+|my\s+)?{re.escape(where)}\b",
                    "",
                    self._before,
                )
                if where
                else self._before
            )
            return self._full(f"{rest.rstrip(' ?.!')} {text}")
        if text[:1].isupper() and (name := self._person()):
            return self._full(_put(self._before, name, text))
        phrase = self._thing()
        return self._full(_put(self._before, phrase, text)) if phrase else None

    def _counted(self, what: str) -> str:
        """How many of something else there are, where what was asked before was."""
        before = self._before
        match = re.match(r"^how\s+(?:many|much)\s+(?P<what>[\w-]+)\b", before, re.I)
        if match:
            return f"{before[: match.start('what')]}{what}{before[match.end('what') :]}"
        return f"how many {what} {_WH_PHRASE.sub('', before).strip()}"

    def _leaning(self) -> Question | None:
        """Whole questions with a word that stands for something of the turn before."""
        text = self._text
        if _TOO.search(text) and not _WH_PHRASE.match(text):
            body = " ".join(
                word for word in self._bare_body().split() if stem(word.lower()) not in _stems(text)
            )
            return self._full(f"{_TOO.sub('', text)} {body}")
        left_out: tuple[str, ...] = ()
        told = _SAID_THAT.sub("", self._said())
        full, timed = text, _OWN_PAST.search(text) is not None
        if _ELSE.search(full) and self._told_names():
            left_out, full = self._told_names(), _ELSE.sub("", full, count=1)
        if told and (match := _TOLD_THING.search(full)):
            verb = match[0].rsplit(" ", 1)[0]
            # What was told may itself say "it": it goes in last.
            full, timed = f"{full[: match.start()]}{verb} {_TOLD}{full[match.end() :]}", False
        full = self._with_persons(full)
        thing = self._thing() or self._told_thing(told)
        if thing and _THING.search(full) and not _PLAIN_IT.search(full):
            full = _THING.sub(lambda _: _the(thing), full, count=1)
            timed = False
        if full != text and _THERE.search(full):
            full = _THERE.sub("", full)
        elif (
            full == text
            and _THERE.search(text)
            and re.search(r"there$", text, re.I)
            and not _begins_there(text)
        ):
            return self._full(_THERE.sub("", text), timed=False, side="at")
        if full == text:
            return None
        full = full.replace(_TOLD, told)
        names = " ".join(name.capitalize() for name in left_out)
        return _without(self._full(full, timed=timed), left_out, names)

    def _with_persons(self, text: str) -> str:
        """The same with the names of whom "she" and "they" stand for."""
        match = _PERSON.search(text)
        # "Did Ben find his keys?": they are of whom the question names itself.
        named = match is not None and read_names(f" {_COMMAND.sub('', text[: match.start()])}")
        if match is not None and not named and (name := self._person()):
            said = f"{name}'s" if match["own"] else name
            text = f"{text[: match.start()]}{said}{text[match.end() :]}"
        if match := _PEOPLE.search(text):
            names = [name.capitalize() for name in self._told_names()]
            phrase = " and ".join(names) if len(names) > 1 else _the(self._thing() or " ".join(names))
            if phrase.strip():
                text = f"{text[: match.start()]}{phrase}{text[match.end() :]}"
        return text

    def _person(self) -> str:
        """The one who was spoken of last: whose words were asked for, or who was named."""
        last = self._last.question
        told = f" {self._last.told}"
        for names in (last.sayers, last.all_names, read_names(told)):
            for name in names:
                if spelt := _spelt(f"{last.asked} {told}", name):
                    return spelt
        return ""

    def _told_names(self) -> tuple[str, ...]:
        """Stems of the names in what was told."""
        return read_names(f" {self._last.told}")

    def _said(self) -> str:
        """What was told, as words of a question."""
        told = " ".join(self._last.told.split()[:SAID_WORDS]).rstrip(" .!?")
        return (
            told
            if not told or told.split()[0][:1].isdigit() or _is_named(told)
            else f"{told[:1].lower()}{told[1:]}"
        )

    def _bare_body(self) -> str:
        """What was asked before, without its word of asking and the verb behind it."""
        body = _WH_PHRASE.sub("", self._before).strip(" ?.!")
        return re.sub(r"^(?:is|are|was|were|do|does|did|has|have|had|came|come)\s+", "", body, flags=re.I)

    def _thing(self) -> str:
        """The noun phrase of the question before: what it counted, or else the one that comes first."""
        if match := re.match(r"^how\s+(?:many|much)\s+(?P<what>[\w-]+)", self._before, re.I):
            return match["what"]
        return _first_phrase(self._before, self._last.question.subjects)

    def _told_thing(self, told: str) -> str:
        """What the answer told of: its subject, or what its verb took; a question tells of nothing."""
        if noun := _TOLD_NOUN.match(told):
            return noun["noun"]
        if self._last.told.rstrip(" \"'\u201d").endswith("?"):
            return ""
        if len(told.split()) <= SHORT_WORDS and not re.search(r"[.!?,;:]", told):
            return told
        return _first_phrase(told) or told


_NOUNS_OF_TELLING = word_set("sign picture photo film video text word letter voice speaker card label page")


def _first_phrase(text: str, subjects: Collection[str] | None = None) -> str:
    """The first noun phrase that has an article, without it; `subjects`: stems, of which its last is one."""
    for phrase in _PHRASE.finditer(text):
        run: list[str] = []
        for word in phrase["run"].split():
            low = word.lower()
            if not is_content(low) and low not in _NOUNS_OF_TELLING:
                break
            if run and (is_past_form(low) or low.endswith("ed")) and low not in PERSON_WORDS:
                break
            run.append(word)
        # "When is the rent due?": what no subject ends with is said of it.
        while subjects is not None and len(run) > 1 and stem(run[-1].lower()) not in subjects:
            run.pop()
        if run:
            return " ".join(run)
    return ""


def _put(text: str, old: str, new: str) -> str:
    """A text with a phrase, and the article before it, replaced."""
    return re.sub(
        rf"\b(?:(?:the|a|an|my|our)\s+)?{re.escape(old)}\b", lambda _: new, text, count=1, flags=re.I
    )


def _the(phrase: str) -> str:
    """A phrase as a noun with its article; what was told stays as it is."""
    if not phrase or phrase[0].isupper() or len(phrase.split()) > 4:
        return phrase
    return phrase if re.match(r"(?:the|an?|my|our|his|her|their)\s", phrase, re.I) else f"the {phrase}"


def _spelt(text: str, name_stem: str) -> str:
    """The name of that stem as it is spelt in a text; empty where it is not there with a capital."""
    for match in re.finditer(r"\b[A-Z][\w-]*", text):
        if stem(match[0].lower()) == name_stem:
            return match[0]
    return ""


def _is_named(text: str) -> bool:
    first = words(text)[:1]
    return bool(first) and is_content(first[0]) and text[0].isupper()


def _verb(text: str) -> bool:
    return (
        re.match(r"^(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would)\b", text, re.I)
        is not None
    )


def _begins_there(text: str) -> bool:
    """As in "What is there?" asks what there is; "what is written there?" asks of a place."""
    return re.match(r"^(?:what|who|how\s+many\s+\w+)\s+(?:is|was|are|were)\s+there$", text, re.I) is not None


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in words(text))


def _without(question: Question, left_out: tuple[str, ...], names: str) -> Question:
    if not left_out:
        return question
    kept = tuple(dict.fromkeys((*question.all_names, *(stem(word.lower()) for word in names.split()))))
    return replace(question, without=left_out, all_names=kept)
