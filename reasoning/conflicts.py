"""Two pieces of evidence that contradict each other, told with their times; neither is taken for the truth.

Claims know the slots that the ledger has; these are sentences that agree in all but one thing
(`reasoning.contradiction`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reasoning.answer import QUOTE_WORDS, excerpt, moment, source_name
from reasoning.contradiction import difference
from reasoning.evidence import Support

LOOKED_AT = 10
"""Best supports that are compared with those that are told."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two supports, and the words in which they differ; empty where one denies what the other says."""

    one: Support
    other: Support
    words: tuple[str, str]

    def told(self) -> str:
        """Both sides, with where and when."""
        differ = f"“{self.words[0]}” and “{self.words[1]}”" if any(self.words) else "one denies the other"
        return f"{_side(self.one)} against {_side(self.other)}: {differ}"


def conflicts_of(chosen: Sequence[Support], supports: Sequence[Support]) -> list[Conflict]:
    """What among the best supports speaks against one that is told; each told one with the first such."""
    found: list[Conflict] = []
    for one in chosen:
        for other in supports[:LOOKED_AT]:
            met = any(other.item in (c.one.item, c.other.item) for c in found)
            if other.item == one.item or other.item.kind != one.item.kind or met:
                continue
            if (words := difference(one.item.text, other.item.text)) is not None:
                found.append(Conflict(one, other, words))
                break
    return found


def _side(support: Support) -> str:
    item = support.item
    told = excerpt(item.text, frozenset(), QUOTE_WORDS // 2)
    return f"“{told}” ({moment(item, several=False)} of {source_name(item.uri)})"
