"""How long something was there, was talked about or lasted: `reads` and `answer_duration`.

A thing that is seen was there for as long as the shots that show it; a talk lasts from its first word to
its last; a recording is as long as its tracks. What somebody says about how long something takes is no
matter of this operator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import msgspec

from reasoning.answer import Draft, moment, several_sources, source_name
from reasoning.asking import Asking, length_ns, within
from reasoning.evidence import time_key
from reasoning.occasions import PICTURES, is_open, listed, naming, occasions_of
from reasoning.question import Question, without_politeness
from stream.messages.answer import Answer
from stream.messages.control import SourceStatus
from stream.messages.evidence import EvidenceItem

_WORK = r"(?:film|video|clip|recording|movie|footage|talk|meeting|call|chat|conversation|interview|lecture)"
_OF_WORK = re.compile(
    rf"^(?:(?:for\s+)?how\s+long\s+(?:(?:is|was|are|were)\s+(?:the|this|that|our)\s+(?:whole\s+)?{_WORK}|"
    rf"(?:did|does|has|do)\s+(?:the|this|that|our)\s+(?:whole\s+)?{_WORK}\s+"
    r"(?:last|run|take|go\s+on|lasted|taken|gone\s+on))|"
    rf"what\s+(?:is|was)\s+the\s+(?:length|duration)\s+of\s+(?:the|this|that|our)\s+{_WORK})"
    r"(?:\s+in\s+all|\s+altogether)?$",
    re.I,
)
_HOW_LONG = re.compile(
    r"^(?:for\s+)?how\s+(?:long|many\s+seconds|many\s+minutes|many\s+hours|much\s+time)\s+(?P<do>is|was|are|were|do|does|"
    r"did|can|could|has|have|had)\s+(?P<rest>.+)$",
    re.I,
)
_SHOWN = re.compile(
    r"\b(?:seen?|shown?|shows?|appears?|appeared|visible|displayed|pictured|on\s+(?:the\s+)?screen|in\s+(?:the\s+)?"
    r"(?:picture|view|shot|frame|sight)|look(?:ed|ing)?\s+at|watch(?:ed|ing)?|filmed)\b",
    re.I,
)
_STAYED = re.compile(
    r"\b(?:stay(?:s|ed)?|remain(?:s|ed)?|there|stand(?:s|ing)?|stood|sit(?:s|ting)?|sat|around|present|here)$",
    re.I,
)
_SPOKEN = re.compile(r"\b(?:talk(?:s|ed|ing)?|speak(?:s|ing)?|spoke|spoken|discuss(?:es|ed|ing)?)\b", re.I)


@dataclass(frozen=True, slots=True)
class Duration:
    """What is to be timed: a recording, what was seen, or what was said."""

    of: Literal["recording", "seen", "said"]
    thing: str = ""


def reads(question: Question) -> Duration | None:
    """What a question wants timed; None where it asks for what somebody would have said."""
    asked = without_politeness(question.asked)
    if _OF_WORK.match(asked):
        return Duration("recording")
    match = _HOW_LONG.match(asked)
    if match is None or question.when.at_ns is not None:
        return None
    if _SPOKEN.search(match["rest"]) and match["do"].lower() not in ("has", "have", "had"):
        return Duration("said", match["rest"])
    if _SHOWN.search(match["rest"]) or _STAYED.search(match["rest"]):
        return Duration("seen", match["rest"])
    return None


def answer_duration(asking: Asking, duration: Duration) -> Answer | None:
    """How long, with the stretches that make it; None where nothing is known of it."""
    if duration.of == "recording":
        return _recordings(asking)
    wanted = (*PICTURES, "seen_text") if duration.of == "seen" else ("utterance",)
    items = [
        item
        for item in naming(asking, duration.thing)
        if item.kind in wanted and item.source_kind != "chat" and item.pts1_ns > item.pts0_ns
    ]
    if not items:
        return None
    occasions = occasions_of(items, asking.settings)
    several = several_sources(items)
    ends = {(s.source_id, s.session): length_ns(s) for s in asking.memory.sources()}
    total_ns = sum(one.length_ns for one in occasions)
    is_least = any(
        is_open(one, ends.get((one.items[0].source_id, one.items[0].session)), asking.coverage.gaps)
        for one in occasions
    )
    times = [
        one.told(several=several, is_stretch=True)
        + (f" ({amount(one.length_ns)})" if len(occasions) > 1 else "")
        for one in occasions
    ]
    lead = f"{'At least' if is_least else 'About'} {amount(total_ns)}"
    if len(occasions) > 1:
        lead += " in all"
    draft = Draft()
    cited = [one.items[0] for one in occasions] + [one.items[-1] for one in occasions]
    draft.say(f"{lead}: {listed(times, asking.settings.listed)}.", *cited)
    return draft.finish("answered", asking.coverage)


def _recordings(asking: Asking) -> Answer | None:
    """The length of each recording that fits: of a chat from its first turn to the end of its last."""
    draft = Draft()
    sources = asking.fitting_sources()
    for source in sources[-asking.settings.listed :]:
        items = _ends_of(asking, source)
        if not items:
            continue
        first, last = items[0], items[-1]
        is_chat = source.kind == "chat"
        ns = last.pts1_ns - first.pts0_ns if is_chat else length_ns(source)
        of = f"{source_name(source.uri)}: " if len(sources) > 1 else ""
        about = f"{of}{'about ' if is_chat else ''}{amount(ns)}"
        how = f", from {moment(first, several=False).removeprefix('at ')}" if is_chat else ""
        draft.say(f"{about[:1].upper()}{about[1:]}{how}.", first, last)
    if not draft.sentences:
        return None
    return draft.finish("answered" if len(draft.sentences) == 1 else "uncertain", asking.coverage)


def _ends_of(asking: Asking, source: SourceStatus) -> list[EvidenceItem]:
    """What is known of the begin and of the end of a source, in order of time."""
    found: list[EvidenceItem] = []
    reach_ns = length_ns(source)
    for low_ns in (None, max(0, reach_ns - 60_000_000_000)):
        cue = within(msgspec.structs.replace(asking.gates, text=""), source, low_ns, None)
        found += [item for item in asking.recall(cue, asking.k) if item.session == source.session]
    return sorted(found, key=lambda item: (item.pts0_ns, time_key(item)))


def amount(length_ns: int) -> str:
    """A length of time as people say it, to the second: `7 s`, `1 min 20 s`, `2 h 5 min`."""
    seconds = round(length_ns / 1e9)
    if seconds < 60:
        return f"{seconds} s" if seconds else f"{length_ns / 1e9:.1f} s"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
