"""A question without an order: the best evidence, or a list of what there is: `answer_plain`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reasoning.answer import tell
from reasoning.asking import TELLING_KINDS, Asking
from reasoning.evidence import Support, bare, budgeted, distinct, holds_expected, said_by, time_key, weigh
from reasoning.verify import FORMED, LOOKED_AT, judge
from stream.messages.answer import Answer
from stream.messages.evidence import EvidenceItem


def answer_plain(asking: Asking, weighed: Callable[[], None]) -> Answer:
    """The best evidence for a question; `weighed` is called when it has been chosen."""
    question, settings = asking.question, asking.settings
    supports = weigh(question, asking.recall_when(question.content), settings.evidence)
    weighed()
    if question.open and (question.when or (question.dates and question.expects == "thing")):
        items = [support.item for support in supports]
        return _listing(asking, [item for item in items if question.is_dated(item)])
    # Whose words are asked for goes before who tells of it, unless they said nothing of the matter.
    supports = said_by(question, supports, settings.evidence) or supports
    judgement = judge(question, supports, asking.probe, settings.evidence)
    chosen = _chosen(asking, supports)
    return tell(question, chosen, judgement.verdict, asking.coverage, settings)


def _chosen(asking: Asking, supports: Sequence[Support]) -> tuple[Support, ...]:
    """What is told: the best few, among them one of the form asked for if there is any near the top."""
    settings = asking.settings
    best = budgeted(supports, settings.evidence, limit=settings.sentences, close_share=settings.close_share)
    if asking.question.expects not in FORMED or any(holds_expected(asking.question, s.item) for s in best):
        return best
    formed = [s for s in supports[:LOOKED_AT] if holds_expected(asking.question, s.item)]
    return tuple(sorted((*best[: settings.sentences - 1], *formed[:1]), key=lambda s: time_key(s.item)))


def _listing(asking: Asking, items: Sequence[EvidenceItem]) -> Answer:
    """What there is in a stretch, in order of time."""
    told = sorted((item for item in items if item.kind in TELLING_KINDS), key=time_key)
    supports = distinct((bare(item) for item in told), asking.settings.evidence)[: asking.settings.listed]
    return tell(asking.question, supports, "answered", asking.coverage, asking.settings)
