"""Questions for the moment of the last answer: "what is written there?", "and after that?"."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from reasoning.answer import not_seen, tell
from reasoning.asking import TELLING_KINDS, Asking
from reasoning.evidence import bare, distinct, time_key
from reasoning.operators.beside import tell_beside
from reasoning.operators.plain import answer_plain
from reasoning.question import read_question
from stream.messages.answer import Answer
from stream.messages.evidence import EvidenceItem

AROUND_NS = 5_000_000_000
"""How far around an answer's evidence "there" and "at that moment" reach."""


def answer_at_answer(asking: Asking, anchor: EvidenceItem, weighed: Callable[[], None]) -> Answer:
    """What is asked of the moment of the last answer, or just before or after it, in its source."""
    question = asking.question
    side = question.beside_answer
    if side == "before" or side == "after":
        answer = tell_beside(asking, read_question(anchor.text), anchor, "answered", side, "that")
        weighed()
        return answer
    low_ns, high_ns = max(0, anchor.pts0_ns - AROUND_NS), anchor.pts1_ns + AROUND_NS
    asking.gates = msgspec.structs.replace(
        asking.gates, sources=(anchor.source_id.hex(),), pts0_ns=low_ns, pts1_ns=high_ns
    )
    if not question.open:
        return answer_plain(asking, weighed)
    items = [item for item in asking.recall_when(question.content) if item.session == anchor.session]
    weighed()
    told = sorted((item for item in items if item.kind in TELLING_KINDS), key=time_key)
    supports = distinct((bare(item) for item in told), asking.settings.evidence)[: asking.settings.listed]
    if not supports:
        return not_seen(asking.coverage)
    return tell(question, supports, "answered", asking.coverage, asking.settings)
