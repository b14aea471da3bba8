"""From a question in plain English to what is looked for.

Small regular grammars, tried in order: words for times (`stream.clock_words`), positions in a recording
(`reasoning.when`), who is left out, order ("what came first", "what is shown after …"), the sense that is
asked (said, written, seen), the kind of answer that is expected, and what the question is about. What no
grammar recognises stays a plain question: its words are the cue. Days and months that it names limit time
(`stream.named_dates`): no evidence is asked to contain their words.
"""

from __future__ import annotations

import re
from datetime import datetime

from reasoning.question.about import (
    MEASURE,
    read_acts,
    read_hearers,
    read_names,
    read_sayers,
    read_subjects,
    read_wanted,
)
from reasoning.question.order import read_around, read_order
from reasoning.question.question import MAX_QUESTION_CHARS, Question
from reasoning.question.scope import asks_dialogue, is_negated, read_counts, read_where, read_without
from reasoning.question.sense import read_expects, read_sense, surfaces
from reasoning.when import read_when
from reasoning.wording import straight
from reasoning.words import content_stems
from stream.clock_words import ClockWords, DateOrder, Range, clock_words
from stream.named_dates import Stretch, named_dates, without_dates


def read_question(
    asked: str,
    now: datetime | None = None,
    *,
    of: Range | None = None,
    date_order: DateOrder = "either",
) -> Question:
    """Takes a question apart. Never raises: what is not understood is a plain question.

    Args:
        asked: As it was put.
        now: The time of asking, with the zone of who asks; without it words of the clock are not read.
        of: What the question before was about, which "the week before" counts from.
        date_order: How 5/7/2024 is read.
    """
    tidy = without_politeness(re.sub(r"\s+", " ", asked[:MAX_QUESTION_CHARS]).strip())
    clock = None if now is None else clock_words(tidy, now, of=of, date_order=date_order)
    # What is only a date of the calendar is read as one, with what memory knows of its years.
    when, timed = read_when(tidy if clock is None or clock.loose else clock.rest)
    dates, rest, date_words = _dates(timed, clock)
    all_names = read_names(rest)
    rest, without = read_without(rest)
    dialogue = asks_dialogue(tidy)
    order, content = read_order(rest)
    around, main = read_around(content) if order is None else (None, content)
    sense, explicit = read_sense(content)
    wanted = read_wanted(content)
    names = read_names(content)
    # What is read on a sign does not say "sign": where it is written is no part of what.
    carriers = surfaces(content) if sense == "written" else frozenset()
    bare = MEASURE.sub("how", content)
    key = tuple(s for s in content_stems(bare) if s not in wanted and s not in carriers)
    subjects = read_subjects(content, wanted, names, places_count=sense != "written")
    sayers = () if dialogue else read_sayers(content, sense)
    return Question(
        asked=asked,
        content=content,
        sense=sense,
        explicit=explicit,
        expects=read_expects(content),
        wanted=wanted,
        key=key,
        subjects=tuple(s for s in subjects if s not in carriers),
        names=names,
        all_names=tuple(dict.fromkeys((*names, *all_names))),
        acts=read_acts(content),
        sayers=sayers,
        hearers=read_hearers(content, sayers),
        when=when,
        order=order,
        dates=dates,
        date_words=date_words,
        clock=clock,
        around=around,
        counts=read_counts(content),
        negated=is_negated(main),
        without=without,
        where=read_where(content),
        dialogue=dialogue,
    )


def _dates(text: str, clock: ClockWords | None) -> tuple[tuple[Stretch, ...], str, str]:
    """The dates of the calendar, the text without them, and their words."""
    if clock is not None and not clock.loose:
        return (), text, ""
    dates = tuple(named_dates(text))
    rest, words = without_dates(text, dates) if dates else (text, "")
    return dates, rest, words


def without_politeness(text: str) -> str:
    """A question without "could you please tell me", "please", and its question mark."""
    text = straight(text.strip())
    return text.rstrip(" ?.!") or text
