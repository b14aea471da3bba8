"""Questions for what happened in a stretch of time: "what happened on Tuesday", "summary of 3 March".

A question is one only where nothing else is asked: "what happened to the boat on Tuesday" asks about
the boat. Words for times are those of whoever asks, by this machine's clock and zone
(`stream.clock_words`); dates are here the very days, with no reach to either side.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from stream.clock_words import clock_words

_ASKS = re.compile(
    r"^(?:what(?:\s+all)?(?:\s+(?:has|have|had))?\s+(?:happen(?:ed|s|ing)?|went\s+on|was\s+(?:going\s+on|happening|up)|"
    r"occurred)(?:\s+(?:there|here|with\s+(?:me|us)))?|"
    r"what's\s+happen(?:ed|ing)|what\s+did\s+(?:i|we|you)\s+(?:do|see|hear|see\s+and\s+hear|experience)|"
    r"what\s+(?:have\s+)?(?:i|we|you)\s+(?:done|been\s+doing)|what\s+was\s+(?:i|we)\s+doing|how\s+was|how\s+did|"
    r"(?:(?:give|show|tell)\s+me\s+|write\s+|make\s+)?(?:an?\s+|the\s+|my\s+)?(?:short\s+|brief\s+)?"
    r"(?:summary|recap|overview|digest|diary|account)(?:\s+(?:of|for|about))?|"
    r"(?:summari[sz]e|sum\s+up|recap|recount|describe|(?:tell\s+me\s+)?about)(?:\s+what\s+happened)?)"
    r"(?:\s+(?:my|our|the))?(?:\s+(?:go|day|days|events?|all|like))*$",
    re.I,
)
_WHOLE = re.compile(
    r"^(?:what\s+happen(?:ed|s)|what\s+(?:was|is)\s+(?:seen\s+and\s+heard|seen|heard|said|there)|"
    r"(?:(?:give|show|tell)\s+me\s+|write\s+|make\s+)?(?:an?\s+|the\s+)?(?:short\s+|brief\s+)?"
    r"(?:summary|recap|overview|digest)(?:\s+of)?|(?:summari[sz]e|sum\s+up|recap|recount|describe|(?:tell\s+me\s+)?about))"
    r"(?:\s+(?:in|of|on))?\s+(?:(?:(?:the|this|that)\s+)?(?:(?:whole|entire)\s+)?"
    r"(?:film|movie|video|clip|footage|recording|chat|conversation|meeting|store)|everything|it\s+all|all\s+of\s+it|"
    r"total|all|altogether)$",
    re.I,
)
"""Asks for all there is, of no time: only such words stand for all of a source, others for what is in it."""
_BARE_MONTH = re.compile(
    r"\s(?=(?:january|february|march|april|may|june|july|august|september|october|november|december)(?:\s+\d{4})?$)",
    re.I,
)
_ASKED_KINDLY = re.compile(r"^(?:(?:can|could|would|will)\s+you\s+)?(?:please\s+)?", re.I)
_WITHIN = re.compile(r"\b(?:that|the)\s+(?:day|time)\b|[\s,?.!]+$", re.I)


@dataclass(frozen=True, slots=True)
class Recount:
    """A stretch of time that is to be told: UTC ns, end excluded; `named`: as the question says it."""

    t0_ns: int
    t1_ns: int
    named: str


def read_recount(asked: str, now: Callable[[], datetime]) -> Recount | None:
    """The stretch that a question asks to be told; None where it asks something else.

    Args:
        asked: The question, its politeness and question mark taken away.
        now: Gives the time of asking, with its zone.
    """
    told = clock_words(asked, now()) or clock_words(_BARE_MONTH.sub(" in ", asked.rstrip(" ?.!")), now())
    if told is None or told.ambiguous or not _ASKS.match(_tidy(told.rest)):
        return None
    since_ns, until_ns = told.hull
    if since_ns is None or until_ns is None:
        return None
    return Recount(since_ns, until_ns, re.sub(r"\s+", " ", told.words).strip())


def asks_all(asked: str) -> bool:
    """Whether a question that names no time asks what happened at all, as "what happened?" does."""
    return _ASKS.match(_tidy(asked)) is not None


def asks_whole(asked: str) -> bool:
    """Whether a question asks for all of a recording, or of the store: "summarise the film"."""
    return _WHOLE.match(_ASKED_KINDLY.sub("", re.sub(r"\s+", " ", asked).strip(" ,?.!"))) is not None


def _tidy(text: str) -> str:
    return _ASKED_KINDLY.sub("", re.sub(r"\s+", " ", _WITHIN.sub(" ", text)).strip(" ,?.!"))
