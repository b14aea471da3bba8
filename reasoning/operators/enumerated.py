"""The points of a list that was announced and stood in the picture: `answer_list`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from reasoning.answer import Draft, moment, plain
from reasoning.asking import SEARCH_SPANS_NS, Asking
from reasoning.evidence import Support
from reasoning.question import Question, without_politeness
from reasoning.words import NUMBER_WORDS, all_stems, stem, words
from stream.messages.answer import Answer
from stream.messages.evidence import EvidenceItem

LEAD_NS = 5_000_000_000
"""A list may stand in the picture before somebody says how many points it has."""
LINE_WORDS = 6
"""Words of a point of a list at most; longer lines are running text."""
LOOKED_AT = 3
"""How many of the best supports may announce the list."""
_ASKS_LIST = re.compile(
    r"^(?:name|list|give|enumerate|(?:what|which)\s+(?:are|were))\s+(?:all\s+)?(?:of\s+)?(?:the|these|those)\s+"
    r"(?P<things>.+)$",
    re.I,
)


def answer_list(asking: Asking, supports: Sequence[Support]) -> Answer | None:
    """The points of the list that is asked for, where one of the best supports says how many there are.

    "Remember these five suggestions", and then a text of five short lines: those are they. None where
    no list is asked for, none is announced, or none of that length was read soon after.
    """
    things = _things(asking.question)
    if not things:
        return None
    for support in supports[:LOOKED_AT]:
        count = _announced(support.item, things)
        found = _list_near(asking, support.item, count) if count > 1 else None
        if found is not None:
            draft = Draft()
            at = moment(found, several=False)
            draft.say(f"{at[0].upper()}{at[1:]} it reads: “{', '.join(_lines(found))}”", found)
            return draft.finish("answered", asking.coverage)
    return None


def _things(question: Question) -> frozenset[str]:
    """Stems of what the points of the list are; none where no list is asked for."""
    match = _ASKS_LIST.match(without_politeness(question.content))
    return all_stems(match["things"]) if match else frozenset()


def _announced(item: EvidenceItem, things: frozenset[str]) -> int:
    """How many of the things an item says there are; 0 where it does not."""
    if things.isdisjoint(all_stems(item.text) - NUMBERS):
        return 0
    counts = [int(s) for word in words(item.text) if (s := stem(word)).isdecimal()]
    return counts[0] if len(counts) == 1 else 0


def _list_near(asking: Asking, announced: EvidenceItem, count: int) -> EvidenceItem | None:
    """The first text of so many points that was to be read about when the list was announced."""
    cue = msgspec.structs.replace(
        asking.gates,
        text="",
        kinds=("seen_text",),
        sources=(announced.source_id.hex(),),
        pts0_ns=max(0, announced.pts0_ns - LEAD_NS),
        pts1_ns=announced.pts1_ns + SEARCH_SPANS_NS[0],
    )
    items = [item for item in asking.recall(cue, asking.k) if item.session == announced.session]
    fitting = [item for item in items if len(_lines(item)) == count and _are_points(item)]
    return min(fitting, key=lambda item: item.pts0_ns, default=None)


def _lines(item: EvidenceItem) -> list[str]:
    return [line for line in map(plain, item.text.splitlines()) if line]


def _are_points(item: EvidenceItem) -> bool:
    lines = _lines(item)
    return len(set(lines)) == len(lines) and all(len(line.split()) <= LINE_WORDS for line in lines)


NUMBERS = frozenset(NUMBER_WORDS.values())
