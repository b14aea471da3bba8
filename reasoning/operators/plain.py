"""A question without an order: the best evidence, or a list of what there is: `answer_plain`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from reasoning.answer import QUOTE_WORDS, tell
from reasoning.asking import TELLING_KINDS, Asking
from reasoning.conflicts import conflicts_of
from reasoning.evidence import (
    Support,
    bare,
    budgeted,
    distinct,
    grouped,
    holds_expected,
    said_by,
    time_key,
    weigh,
)
from reasoning.occasions import occasions_of
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
    supports = _by_sayers(asking, supports)
    judgement = judge(question, supports, asking.probe, settings.evidence)
    asking.supported = judgement.supported
    if (listed := answer_list(asking, supports)) is not None:
        return listed
    chosen = _chosen(asking, supports)
    # Of a question that names nothing, what differs need not be about the same.
    is_about = judgement.verdict != "not_seen" and not question.open
    against = conflicts_of(chosen, supports) if is_about else []
    others = [one.other for one in against if one.other not in chosen]
    chosen = tuple(sorted((*chosen, *others), key=lambda support: time_key(support.item)))
    repeats = _repeats(asking, chosen, supports)
    told = tuple(one.told() for one in against)
    return tell(question, chosen, judgement.verdict, asking.coverage, settings, repeats, told)


def _repeats(
    asking: Asking, chosen: Sequence[Support], supports: Sequence[Support]
) -> dict[bytes, list[EvidenceItem]]:
    """On what other occasions what is told was met again, by the id of what is told for all of them."""
    settings, told = asking.settings, {one.item.observation_id for one in chosen}
    found: dict[bytes, list[EvidenceItem]] = {}
    for group in grouped(supports, settings.evidence):
        first = next((one.item for one in group if one.item.observation_id in told), None)
        if first is None or len(group) == 1:
            continue
        occasions = occasions_of([one.item for one in group], settings)
        again = [one.items[0] for one in occasions if first not in one.items][: settings.repeats]
        if again:
            found[first.observation_id] = [i for i in again if i.observation_id not in told]
    return found


def ranked(asking: Asking) -> tuple[Support, ...]:
    """The evidence for a plain question, the best first."""
    question = asking.question
    found = asking.recall_when(question.content)
    return _by_sayers(asking, weigh(question, found, asking.settings.evidence))


def _by_sayers(asking: Asking, supports: tuple[Support, ...]) -> tuple[Support, ...]:
    """Whose words are asked for goes before who tells of it, unless they said nothing of the matter."""
    return said_by(asking.question, supports, asking.settings.evidence) or supports


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
