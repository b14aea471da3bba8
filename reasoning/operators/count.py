"""How often, and how many: `reads` and `answer_count`.

What is counted are distinct occasions, words where a word is asked for, people who spoke, and shots. Memory
may have missed some, so that a count is the least that there was, and says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import msgspec

from reasoning.answer import Draft, moment, plain, several_sources, source_name
from reasoning.asking import Asking, within
from reasoning.evidence import time_key
from reasoning.occasions import listed, naming, occasions_of
from reasoning.order import first_of_each, recording_of
from reasoning.question import Question, without_politeness
from reasoning.words import number_word, stem, words
from stream.messages.answer import Answer
from stream.messages.evidence import EvidenceItem

_HOW_OFTEN = re.compile(
    r"^(?:how\s+(?:many\s+times|often|frequently)|on\s+how\s+many\s+occasions|(?:count|number\s+of)\s+(?:the\s+)?times)"
    r"\s+(?P<rest>.+)$",
    re.I,
)
_VERBS = (
    r"(?:see|saw|seen|show|shows|shown|appear|appears|appeared|visible|hear|heard|say|says|said|spoken|mention|mentions|"
    r"mentioned|talk|talks|talked|speak|speaks|spoke|come\s+up|came\s+up|written|read|pictured|on\s+screen|in\s+view|"
    r"there|discuss|discussed|repeat|repeats|repeated|named|bring\s+up|brought\s+up|in\s+(?:the|this)\s+picture)"
)
_MET = re.compile(rf"\b{_VERBS}\b", re.I)
_TOLD_RATE = re.compile(
    r"\b(?:should|must|could|would|(?-i:may|will|can)\b|per\s+\w+|an?\s+(?:day|week|month|year))\b", re.I
)
_QUOTE = "'\u2018\u2019"
_WORD = re.compile(
    r"[\"\u201c](?P<quoted>[^\"\u201d]+)[\"\u201d]|"
    rf"\bthe\s+(?:word|words|name|phrase|term)\s+[{_QUOTE}]?(?P<word>[\w-]+)",
    re.I,
)
_SPEAKERS = re.compile(
    r"^how\s+many\s+(?:different\s+)?(?:people|persons|speakers|voices)\s+(?:(?:are|were|is|was|do|did|can)\s+)?"
    r"(?:(?:you\s+)?(?:speak|speaks|spoke|speaking|talk|talks|talked|talking|heard?|take\s+part|took\s+part|be\s+heard)"
    r"|there)\b",
    re.I,
)
_SHOTS = re.compile(
    r"^how\s+many\s+(?:different\s+)?(?:shots|scenes|camera\s+shots|pictures\s+follow)\b", re.I
)
MOST_SHOTS = 200
"""What memory gives at once; of more, "at least" so many are told."""


@dataclass(frozen=True, slots=True)
class Count:
    """What is to be counted; of a word that is asked for, `said` has the stems."""

    of: Literal["occasions", "words", "speakers", "shots"]
    thing: str = ""
    said: tuple[str, ...] = ()


def reads(question: Question) -> Count | None:
    """What a question wants counted; None where it asks for no count that can be computed.

    "How often should it be watered" asks for what somebody said, and "how many eggs" too.
    """
    asked = without_politeness(question.asked)
    if _SHOTS.match(asked):
        return Count("shots")
    if _SPEAKERS.match(asked):
        return Count("speakers")
    match = _HOW_OFTEN.match(asked)
    if match is None or _TOLD_RATE.search(match["rest"]) or not _MET.search(match["rest"]):
        return None
    if quoted := _WORD.search(match["rest"]):
        said = tuple(stem(word) for word in words(quoted["quoted"] or quoted["word"]))
        if said and question.sense in ("said", "any"):
            return Count("words", quoted["quoted"] or quoted["word"], said)
    return Count("occasions", match["rest"])


def answer_count(asking: Asking, count: Count) -> Answer | None:
    """The least number that is known, with each time or person; None where nothing is known of it."""
    if count.of == "shots":
        return _shots(asking)
    if count.of == "speakers":
        return _speakers(asking)
    items = naming(asking, count.thing)
    if not items:
        return None
    if count.of == "words":
        return _words(asking, count, items)
    occasions = occasions_of(items, asking.settings)
    several = several_sources(items)
    firsts = [one.items[0] for one in occasions]
    times = [one.told(several=several) for one in occasions]
    return _told(asking, f"{_times(len(occasions))}: {listed(times, asking.settings.listed)}.", firsts)


def _told(asking: Asking, text: str, items: list[EvidenceItem]) -> Answer:
    draft = Draft()
    draft.say(f"At least {text}", *items[: asking.settings.listed])
    return draft.finish("answered", asking.coverage)


def _times(number: int) -> str:
    named = {1: "once", 2: "twice"}
    return named.get(number) or f"{number_word(number)} times"


def _words(asking: Asking, count: Count, items: list[EvidenceItem]) -> Answer | None:
    """Each time that a word was said, also within one sentence."""
    each: list[tuple[EvidenceItem, int]] = []
    for item in items:
        stems = [stem(word) for word in words(item.text)]
        n = sum(tuple(stems[at : at + len(count.said)]) == count.said for at in range(len(stems)))
        if n:
            each.append((item, n))
    if not each:
        return None
    several = several_sources(item for item, _ in each)
    times = [moment(item, several=several) + (f" ({_times(n)})" if n > 1 else "") for item, n in each]
    total = sum(n for _, n in each)
    return _told(
        asking, f"{_times(total)}: {listed(times, asking.settings.listed)}.", [item for item, _ in each]
    )


def _speakers(asking: Asking) -> Answer | None:
    cue = msgspec.structs.replace(
        asking.question.cue("", asking.gates), text="", kinds=asking.gates.kinds or ("utterance",)
    )
    firsts: dict[str, EvidenceItem] = {}
    for item in sorted(asking.dated(asking.recall(cue, asking.settings.counted)), key=time_key):
        if item.speaker:
            firsts.setdefault(plain(item.speaker), item)
    if not firsts:
        return None
    names = listed(list(firsts), asking.settings.listed)
    return _told(asking, f"{number_word(len(firsts))}: {names}.", list(firsts.values()))


def _shots(asking: Asking) -> Answer | None:
    draft = Draft()
    sources = asking.fitting_sources()
    cue = asking.question.cue("", asking.gates)
    for source in sources[-asking.settings.listed :]:
        shots = msgspec.structs.replace(cue, text="", kinds=("shot",))
        one = within(shots, source, None, None)
        items = [i for i in asking.recall(one, MOST_SHOTS) if i.session == source.session]
        if not items:
            continue
        n = len({(recording_of(item), item.pts0_ns) for item in items})
        least = "At least " if len(items) >= MOST_SHOTS else ""
        of = f" in {source_name(source.uri)}" if len(sources) > 1 else ""
        ends = [*first_of_each(items), max(items, key=time_key)]
        number = f"{least}{number_word(n)}"
        draft.say(f"{number[:1].upper()}{number[1:]} {'shot' if n == 1 else 'shots'}{of}.", *ends)
    return draft.finish("answered", asking.coverage) if draft.sentences else None
