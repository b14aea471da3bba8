"""The first or the last thing of a sense: `answer_edge`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from reasoning.answer import not_seen, tell
from reasoning.asking import SEARCH_SPANS_NS, TELLING_KINDS, Asking, length_ns, within
from reasoning.evidence import bare, time_key, weigh
from reasoning.question import Edge
from stream.messages.answer import Answer
from stream.messages.evidence import EvidenceItem


def answer_edge(asking: Asking, order: Edge) -> Answer:
    """The first or the last thing of a sense, in each source that fits."""
    question = asking.question
    kinds = asking.gates.kinds or question.kinds or asking.wanted_kinds()
    told: list[EvidenceItem] = []
    for source in asking.fitting_sources():
        reach_ns = length_ns(source)
        is_chat = source.kind == "chat"  # Its first turns may lie before position 0.
        for span_ns in (*SEARCH_SPANS_NS, reach_ns):
            low, high = (
                (None if is_chat else 0, span_ns)
                if order.wanted == "first"
                else (max(0, reach_ns - span_ns), reach_ns)
            )
            wanted = question.cue(question.content or question.asked, asking.gates)
            cue = within(msgspec.structs.replace(wanted, kinds=kinds), source, low, high)
            items = [i for i in asking.recall(cue, asking.k) if i.session == source.session]
            items = _naming(asking, asking.dated(items))
            if items:
                pick = min if order.wanted == "first" else max
                told.append(pick(items, key=lambda item: item.pts0_ns))
                break
    if not told:
        return not_seen(asking.reach())
    chosen = sorted(told, key=time_key)[: asking.settings.listed]
    return tell(question, [bare(i) for i in chosen], "answered", asking.coverage, asking.settings)


def _naming(asking: Asking, items: Sequence[EvidenceItem]) -> list[EvidenceItem]:
    """Those that name what the question names, if it names anything."""
    required = frozenset(asking.question.subjects or asking.question.wanted)
    if not required:
        return [item for item in items if item.kind in TELLING_KINDS]
    supports = weigh(asking.question, items, asking.settings.evidence)
    return [s.item for s in supports if required <= s.named]
