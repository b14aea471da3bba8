"""What memory is told of an answer: the observations that it cited, out of those that it was shown."""

from __future__ import annotations

from collections.abc import Sequence

from reasoning.claims import cited as observed
from stream.messages import Answer, Citations, EvidenceItem, ShownItem
from stream.messages.dialogue import EXCHANGE

MOST_RECALLS = 4
"""Recalls of one turn that are told, the first ones; most questions have one to three."""


DIGESTS = ("episode", "day", "tail", EXCHANGE)
"""Levels of items by which digests were told, or what an earlier answer had cited."""


def citations_of(
    turn_id: bytes, answer: Answer, recalls: Sequence[Sequence[EvidenceItem]]
) -> Citations | None:
    """The citations of an answer, None where it is none or cites nothing.

    What only comes nearest ("I am not sure") is no use that a memory should grow by, nor is what a digest
    chose: nobody looked for it.

    Args:
        turn_id: The turn.
        answer: What was answered.
        recalls: The items that memory gave, recall by recall.
    """
    observations = observed(answer.citations)
    cited = tuple(dict.fromkeys(one.observation_id for one in observations if one.level not in DIGESTS))
    if answer.verdict != "answered" or not cited or not turn_id:
        return None
    telling = [items for items in recalls if any(item.observation_id in cited for item in items)]
    return Citations(
        turn_id=turn_id, cited=cited, shown=tuple(_shown(items) for items in telling[:MOST_RECALLS])
    )


def _shown(items: Sequence[EvidenceItem]) -> tuple[ShownItem, ...]:
    ranked = sorted(items, key=lambda item: (-item.score, item.observation_id))
    return tuple(ShownItem(observation_id=one.observation_id, scorers=one.scorers) for one in ranked)
