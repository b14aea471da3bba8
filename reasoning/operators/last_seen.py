"""When, or where, a thing was met first or last: `reads` and `answer_last_seen`.

The last time is by the times that are known: within one recording by position, across recordings by when
they were made. Where that is not known, each recording's own last time is told, and that their order is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from reasoning.answer import Draft, moment, several_sources, tell_item
from reasoning.asking import Asking
from reasoning.evidence import time_key
from reasoning.occasions import Occasion, naming, occasions_of
from reasoning.order import have_order, recording_of, tell_no_order
from reasoning.question import Question, without_politeness
from reasoning.question.order import NOT_OF_NOUN
from stream.messages.answer import Answer

_EDGE = r"(?P<edge>last|latest|first|earliest)"
_MET = (
    r"(?:see|saw|seen|hear|heard|show|shown|shows|appear|appears|appeared|mention|mentions|mentioned|say|says|said|talk|"
    r"talks|talked|speak|speaks|spoke|spoken|discuss|discussed|visible|pictured|come\s+up|came\s+up|come\s+into\s+view|"
    r"came\s+into\s+view|on\s+(?:the\s+)?screen|in\s+(?:the\s+)?(?:picture|view|sight)|written)"
)
_ASKS = re.compile(
    rf"^(?:when|where|at\s+what\s+time|what\s+time|at\s+which\s+(?:time|moment))\b(?=.*\b{_MET}\b)(?:(?!\bor\b).)*?"
    rf"(?:{NOT_OF_NOUN}\s+|\bthe\s+(?:very\s+)?(?=\w+\s+(?:time|mention)\b)){_EDGE}\b"
    r"(?!\s+(?:week|month|year|night|monday|tuesday|wednesday|thursday|friday|saturday|sunday|minute|hour|day|half|part)s?\b)",
    re.I,
)
_TIME = re.compile(
    rf"^(?:when|what)\s+(?:is|was)\s+the\s+(?:very\s+)?{_EDGE}\s+time\b(?:\s+that)?(?=.*\b{_MET}\b)", re.I
)


@dataclass(frozen=True, slots=True)
class LastSeen:
    """Which end is asked for."""

    edge: Literal["first", "last"]


def reads(question: Question) -> LastSeen | None:
    """Whether a question asks when a thing was met first or last: "when did I last see the dog"."""
    asked = without_politeness(question.asked)
    match = _TIME.match(asked) or _ASKS.match(asked)
    if match is None:
        return None
    return LastSeen("last" if match["edge"].lower() in ("last", "latest") else "first")


def answer_last_seen(asking: Asking, wanted: LastSeen) -> Answer | None:
    """The first or the last occasion; None where the thing was never named."""
    occasions = occasions_of(naming(asking), asking.settings)
    if not occasions:
        return None
    draft = Draft()
    told = _ends(occasions, wanted.edge)
    several = several_sources(one.items[0] for one in told)
    for one in told:
        item = one.items[-1] if wanted.edge == "last" else one.items[0]
        until = ""
        if wanted.edge == "last" and item.kind != "utterance" and not item.t0_ns:
            until = one.told(several=several, is_stretch=True)
        at = f"{wanted.edge} {until or moment(item, several=several)}:"
        draft.say(tell_item(item, asking.question, asking.settings, several=False, at=at), item)
    if len(told) > 1:
        draft.say(tell_no_order([one.items[0] for one in told]), *(one.items[0] for one in told))
    return draft.finish("answered" if len(told) == 1 else "uncertain", asking.coverage)


def _ends(occasions: list[Occasion], edge: str) -> list[Occasion]:
    """The one at the end that is asked for; of recordings without an order each one's own."""
    pick = max if edge == "last" else min
    if have_order(one.items[0] for one in occasions):
        return [pick(occasions, key=lambda one: time_key(one.items[0]))]
    by_recording: dict[tuple[bytes, int], Occasion] = {}
    for one in occasions:
        key = recording_of(one.items[0])
        held = by_recording.get(key)
        by_recording[key] = one if held is None else pick(held, one, key=lambda each: each.begin_ns)
    return list(by_recording.values())
