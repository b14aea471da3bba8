"""Answers from claims: the newest value of a slot first, with where it was said, then what held before.

Both sides of a contradiction are told once each, with their dates, whatever was said more often.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reasoning.answer import (
    QUOTE_WORDS,
    Draft,
    excerpt,
    moment,
    plain,
    several_sources,
    source_name,
    tell_item,
)
from reasoning.question import Question
from reasoning.quotes import named, quoted
from reasoning.settings import ReasoningSettings
from reasoning.words import number_word
from stream.messages.answer import Answer
from stream.messages.claims import ClaimsTold, ClaimTold
from stream.messages.dialogue import EXCHANGE
from stream.messages.evidence import Coverage, EvidenceItem
from stream.shown_times import shown

CORRECTION = "correction"
"""Kind of an item that is the owner's word."""
_CHOICE = re.compile(r"\w\s+or\s+\w", re.I)
_SAYS = {"yes": "Yes", "no": "No", "maybe": "Maybe"}


def tell_claims(
    question: Question, told: ClaimsTold, coverage: Coverage, settings: ReasoningSettings
) -> Answer:
    """The answer to a question for a slot's value, from claims that memory found to fit."""
    draft = Draft()
    now, before = list(told.now), list(told.before)
    every = [item for one in (*now, *before, *told.against) for item in one.items]
    teller = _Teller(question, settings, several=several_sources(every))
    lead = _lead(told)
    if told.changes >= settings.volatile_changes and now and now[0].items:
        lead = (
            f"As of {teller.when(now[0])}: {lead[0].lower() if told.form == 'whether' else lead[0]}{lead[1:]}"
        )
    shown_claims = now or before[:1]
    for place, one in enumerate(shown_claims):
        for number, item in enumerate(one.items):
            teller.say(draft, item, lead if place == number == 0 else "")
    if now and told.form == "value":
        for one in before[: settings.claims_before]:
            if one.items:
                draft.say(f"Before that it was {_value(one)}, as of {teller.when(one)}.", one.items[0])
    certain = all(one.confidence >= 1 for one in now) or told.form == "whether"
    conflicts = tuple(teller.conflict(now[0], other) for other in told.against) if now else ()
    return draft.finish("answered" if certain else "uncertain", coverage, conflicts)


def _lead(told: ClaimsTold) -> str:
    """The answer itself, in the words of who said it."""
    values = [_value(one) for one in told.now]
    if told.form == "whether" and values and _CHOICE.search(told.asked):
        return _capital(values[0])  # "On Saturday or Sunday?" wants neither yes nor no.
    if told.form == "whether":
        said = _SAYS[told.holds]
        others = [one for one in told.now if plain(one.value).casefold() != told.asked.casefold()]
        now = [_value(one) for one in others] if told.holds == "no" else []
        denied = told.now and told.now[0].confidence <= 0
        return f"{said}, {now[0]}" if now and not denied else said
    if told.form == "count":
        count = number_word(len(values)).capitalize()
        return f"{count} ({', '.join(values)})" if values else count
    if told.form == "items":
        return _capital(", ".join(values)) if values else "Nothing any more"
    certain = all(one.confidence >= 1 for one in told.now)
    return _capital((", " if certain else " or ").join(values))


def _value(claim: ClaimTold) -> str:
    """A value in the words of who said it."""
    return named(plain(claim.value))


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


class _Teller:
    """Says what claims rest on."""

    def __init__(self, question: Question, settings: ReasoningSettings, *, several: bool) -> None:
        self._question, self._settings, self._several = question, settings, several

    def say(self, draft: Draft, item: EvidenceItem, lead: str) -> None:
        """One sentence on an item, begun by the answer."""
        if item.kind == CORRECTION:
            text = tell_word(item)
        else:
            text = tell_item(item, self._question, self._settings, several=self._several)
        text = f"{lead}: {text[0].lower()}{text[1:]}" if lead and item.kind != CORRECTION else text
        draft.say(f"{lead}: {text}" if lead and item.kind == CORRECTION else text, item)

    def when(self, claim: ClaimTold) -> str:
        """When what a claim rests on was said."""
        item = claim.items[0]
        if item.kind == CORRECTION:
            return shown(item.t0_ns or 0, "UTC")
        return moment(item, several=self._several).removeprefix("at ").removeprefix("on ")

    def conflict(self, one: ClaimTold, other: ClaimTold) -> str:
        """Both sides of a contradiction, with where and when each was said."""
        sides = [self._side(claim) for claim in (one, other) if claim.items]
        return f"{' against '.join(sides)}; neither is known to be newer"

    def _side(self, claim: ClaimTold) -> str:
        item = claim.items[0]
        if item.kind == CORRECTION:
            return f"{quoted(plain(claim.value))} by your word"
        told = quoted(excerpt(item.text, frozenset(), QUOTE_WORDS // 2))
        at = f"{moment(item, several=False)} of {source_name(item.uri)}"
        return f"{quoted(plain(claim.value))} ({at}: {told})"


def tell_word(item: EvidenceItem) -> str:
    """The owner's word, as what it is, with the date of the act."""
    date, time, zone = shown(item.t0_ns or 0, "UTC").split(" ", 2)
    return f"You corrected this on {date} at {time} {zone}: {quoted(plain(item.text))}"


def cited(items: Sequence[EvidenceItem]) -> list[EvidenceItem]:
    """Those of the items that are observations of what was seen and heard."""
    return [item for item in items if item.kind not in (CORRECTION, EXCHANGE)]
