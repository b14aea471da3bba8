"""Rounds: a question that finds nothing in the time that it names is asked again, less strictly.

First of the very times; where they are hours, then of their whole days; then of all times. Only time is
relaxed, and what is found then is never more than uncertain: the answer's notices say of what time it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo

import msgspec

from reasoning.answer import as_uncertain
from reasoning.asking import Asking
from reasoning.question import Question
from stream.clock_words import Range
from stream.messages.answer import Answer

DAY_NS = 86_400_000_000_000
MOST_SURE = 0.5
"""Confidence at most in what is of another time than was asked about."""


def in_rounds(asking: Asking, answer_once: Callable[[], Answer]) -> Answer:
    """The first answer that is one, of at most three rounds; where none is, that of the first."""
    first = answer_once()
    if first.verdict != "not_seen" or not asking.settings.rounds:
        return first
    strict = asking.question
    for question, notice in _relaxed(strict, asking.now().tzinfo):
        asking.question, asking.supported = question, None
        told = answer_once()
        if told.verdict != "not_seen":
            asking.notices[notice] = None
            told = as_uncertain(told, told.coverage)
            sure = None if told.confidence is None else min(told.confidence, MOST_SURE)
            return msgspec.structs.replace(told, confidence=sure)
    asking.question = strict
    return first


def _relaxed(question: Question, zone: tzinfo | None) -> Iterator[tuple[Question, str]]:
    """The question with less of its time, and what is to be told of that."""
    clock = question.clock
    # What happened then at all cannot be told of another time.
    if clock is None or clock.loose or question.open:
        return
    days = tuple(_whole_days(one, zone) for one in clock.ranges)
    if days != clock.ranges:
        notice = f'nothing was found of "{clock.words}"; this is of the same day'
        yield replace(question, clock=replace(clock, ranges=days)), notice
    yield replace(question, clock=None), f'nothing was found of "{clock.words}"; this is of other times'


def _whole_days(one: Range, zone: tzinfo | None) -> Range:
    """The days of some hours; anything longer as it is."""
    if one.since_ns is None or one.until_ns is None or one.until_ns - one.since_ns >= DAY_NS:
        return one
    first = datetime.fromtimestamp(one.since_ns / 1e9, zone).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    last = datetime.fromtimestamp((one.until_ns - 1) / 1e9, zone).replace(
        hour=0, minute=0, second=0, microsecond=0
    ) + timedelta(days=1)
    return Range(round(first.timestamp()) * 1_000_000_000, round(last.timestamp()) * 1_000_000_000)
