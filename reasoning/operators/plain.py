"""A question without an order: the best evidence, or a list of what there is: `answer_plain`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from reasoning.answer import QUOTE_WORDS, tell
from reasoning.asking import TELLING_KINDS, Asking
from reasoning.evidence import Support, bare, budgeted, distinct, holds_expected, said_by, time_key, weigh
from reasoning.operators.enumerated import answer_list
from reasoning.order import Recording, recording_of
from reasoning.verify import FORMED, LOOKED_AT, judge
from stream.messages.answer import Answer
from stream.messages.evidence import EvidenceItem


def answer_plain(asking: Asking, weighed: Callable[[], None]) -> Answer:
    """The best evidence for a question; `weighed` is called when it has been chosen."""
    question, settings = asking.question, asking.settings
    supports = weigh(question, asking.recall_when(question.content), settings.evidence)
    weighed()
    if question.open and (question.when or (question.dates and question.expects == "thing")):
        return _listing(asking, [support for support in supports if question.is_dated(support.item)])
    # Whose words are asked for goes before who tells of it, unless they said nothing of the matter.
    supports = said_by(question, supports, settings.evidence) or supports
    judgement = judge(question, supports, asking.probe, settings.evidence)
    if (listed := answer_list(asking, supports)) is not None:
        return listed
    chosen = _chosen(asking, supports)
    return tell(question, chosen, judgement.verdict, asking.coverage, settings)


def _chosen(asking: Asking, supports: Sequence[Support]) -> tuple[Support, ...]:
    """What is told: the best few, among them one of the form asked for if there is any near the top.

    Where nothing is named, words tell nothing apart: memory's order counts, which knows of edges and
    colours, and a sign that can be read out goes before a page that cannot.
    """
    settings = asking.settings
    if asking.question.open:
        supports = sorted(supports, key=lambda s: (_is_page(s.item), -s.item.score))
        best = distinct(supports, settings.evidence)[: settings.sentences]
        return tuple(sorted(best, key=_time_of))
    best = budgeted(supports, settings.evidence, limit=settings.sentences, close_share=settings.close_share)
    if asking.question.expects not in FORMED or any(holds_expected(asking.question, s.item) for s in best):
        return best
    formed = [s for s in supports[:LOOKED_AT] if holds_expected(asking.question, s.item)]
    return tuple(sorted((*best[: settings.sentences - 1], *formed[:1]), key=lambda s: time_key(s.item)))


def _is_page(item: EvidenceItem) -> bool:
    return item.kind == "seen_text" and len(item.text.split()) > QUOTE_WORDS


def _listing(asking: Asking, supports: Sequence[Support]) -> Answer:
    """What there is in a stretch, in order of time; of several recordings, of each the best first."""
    telling = [support for support in supports if support.item.kind in TELLING_KINDS]
    most = asking.settings.listed
    of_each: dict[Recording, list[Support]] = {}
    for support in distinct(telling, asking.settings.evidence):
        of_each.setdefault(recording_of(support.item), []).append(support)
    if len(of_each) > 1:
        turns = zip_longest(*of_each.values())
        picked = [support for turn in turns for support in turn if support is not None][:most]
    else:
        picked = sorted((s for some in of_each.values() for s in some), key=_time_of)[:most]
    told = [bare(support.item) for support in sorted(picked, key=_time_of)]
    return tell(asking.question, told, "answered", asking.coverage, asking.settings)


def _time_of(support: Support) -> tuple[bool, int, str, int, int]:
    return time_key(support.item)
