"""When a thing was met: every observation that names it, and the distinct occasions that they make.

A shot, its captions and what is said meanwhile are many rows and one occasion. Two occasions are
apart where the thing was away for longer than `occasion_gap_s` of a recording, or where nobody spoke
for `sitting_gap_s` in a chat, which has no pauses of seconds. Memory gives a bounded number of items, so
that what is counted here is the least that there was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from reasoning.answer import clock, moment
from reasoning.asking import Asking
from reasoning.evidence import time_key, weigh
from reasoning.order import recording_of
from reasoning.settings import ReasoningSettings
from reasoning.words import all_stems, is_content, stem, words
from stream.messages.cue import Cue
from stream.messages.evidence import EvidenceItem, Gap

PICTURES = ("shot", "caption")
SPOKEN = ("utterance",)
SENSES: dict[str, tuple[tuple[str, ...], ...]] = {
    "seen": (PICTURES, ("seen_text",)),
    "said": (SPOKEN,),
    "written": (("seen_text",),),
    "any": ((*PICTURES, *SPOKEN, "seen_text"),),
}
"""Kinds that tell that a thing was met, by the sense asked; the later where the former do not."""
EDGE_NS = 500_000_000
"""How near to an end of its recording, or to a gap, an occasion may have begun before or ended after."""


_PASSIVE = re.compile(r"\b(?:is|are|was|were|been)\s+(?:\S+\s+){1,3}?\w+(?:ed|oken|aid|old)\b", re.I)


@dataclass(frozen=True, slots=True)
class Occasion:
    """One time that a thing was met: observations of one recording, in order of time."""

    items: tuple[EvidenceItem, ...]

    @property
    def begin_ns(self) -> int:
        """Position of its begin."""
        return self.items[0].pts0_ns

    @property
    def end_ns(self) -> int:
        """Position of its end."""
        return max(item.pts1_ns for item in self.items)

    @property
    def length_ns(self) -> int:
        """How long it lasted."""
        return self.end_ns - self.begin_ns

    def told(self, *, several: bool, is_stretch: bool = False) -> str:
        """When it was, for people: its begin, or both ends."""
        first = self.items[0]
        if not is_stretch or (first.t0_ns is not None and (first.session or first.source_kind == "chat")):
            return moment(first, several=several)
        of = moment(first, several=True).partition(" of ")[2] if several else ""
        return f"from {clock(self.begin_ns)} to {clock(self.end_ns)}" + (f" of {of}" if of else "")


def occasions_of(items: Iterable[EvidenceItem], settings: ReasoningSettings) -> list[Occasion]:
    """The occasions that observations make, in order of time."""
    by_recording: dict[tuple[bytes, int], list[EvidenceItem]] = {}
    for item in sorted(items, key=lambda item: (item.pts0_ns, item.pts1_ns)):
        by_recording.setdefault(recording_of(item), []).append(item)
    found: list[Occasion] = []
    for of_one in by_recording.values():
        is_chat = of_one[0].source_kind == "chat"
        gap_ns = round((settings.sitting_gap_s if is_chat else settings.occasion_gap_s) * 1e9)
        group: list[EvidenceItem] = []
        for item in of_one:
            if group and item.pts0_ns - max(one.pts1_ns for one in group) > gap_ns:
                found.append(Occasion(tuple(group)))
                group = []
            group.append(item)
        found.append(Occasion(tuple(group)))
    return sorted(found, key=lambda one: time_key(one.items[0]))


def naming(asking: Asking, thing: str = "") -> list[EvidenceItem]:
    """What names the thing that a question asks about, of the sense it asks for, in order of time.

    Args:
        asking: The question.
        thing: The words of the question that say what is looked for; empty for all of them.
    """
    question = asking.question
    # "How often was Anna mentioned" asks for what others said.
    sayers = frozenset(() if _PASSIVE.search(question.asked) else question.sayers)
    # "How often did Tom mention his number" asks for no turn of Tom's without a number.
    asked = tuple(s for s in question.subjects if s not in sayers)
    asked = asked or tuple(s for s in question.key if s not in sayers)
    heads = frozenset(stem(w) for w in words(thing) if is_content(w)) - sayers if thing else frozenset(asked)
    heads = heads & frozenset(asked) or frozenset(asked)
    if not heads and not sayers:
        return []
    text = " ".join(question.spelt(one) for one in asked) or thing or question.content
    for kinds in SENSES[question.sense]:
        cue = _cue_among(asking, text, kinds)
        items = asking.dated(asking.recall(cue, asking.settings.counted))
        supports = weigh(question, items, asking.settings.evidence)
        found = [s.item for s in supports if heads <= s.named | all_stems(s.item.speaker)]
        if sayers:
            found = [item for item in found if sayers & all_stems(item.speaker)]
        if found:
            return sorted(_finest(found), key=time_key)
    return []


def _cue_among(asking: Asking, text: str, kinds: Sequence[str]) -> Cue:
    """A cue for a text among some kinds, in the stretch that the question names."""
    cue = asking.question.cue(text, asking.gates)
    return msgspec.structs.replace(cue, kinds=asking.gates.kinds or tuple(kinds))


def _finest(items: Sequence[EvidenceItem]) -> list[EvidenceItem]:
    """Without a long shot where parts of it name the thing too: these tell when it was there."""
    parts = [item for item in items if item.kind == "caption"]
    return [
        item
        for item in items
        if item.kind != "shot"
        or not any(
            recording_of(part) == recording_of(item)
            and part.pts0_ns < item.pts1_ns
            and part.pts1_ns > item.pts0_ns
            for part in parts
        )
    ]


def is_open(occasion: Occasion, ends_ns: int | None, gaps: Sequence[Gap]) -> bool:
    """Whether a thing may have been there longer: its occasion meets an end of the recording, or a gap."""
    if occasion.begin_ns <= EDGE_NS or (ends_ns is not None and occasion.end_ns >= ends_ns - EDGE_NS):
        return True
    uri = occasion.items[0].uri
    return any(
        gap.uri == uri
        and gap.pts0_ns <= occasion.end_ns + EDGE_NS
        and gap.pts1_ns >= occasion.begin_ns - EDGE_NS
        for gap in gaps
    )


def listed(parts: Sequence[str], most: int) -> str:
    """Parts as people list them; of many the first, and how many more there are."""
    shown = list(parts[:most])
    if len(parts) > most:
        shown.append(f"{len(parts) - most} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
