"""What is just after or before a moment: `answer_beside`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import msgspec

from reasoning.answer import Draft, moment, not_seen, plain, tell_item
from reasoning.asking import SEARCH_SPANS_NS, Asking
from reasoning.evidence import stems_of, time_key, weigh
from reasoning.question import Beside, Question, read_question
from reasoning.verify import judge
from reasoning.words import all_stems, is_content, stem, word_set, words
from stream.messages.answer import Answer
from stream.messages.evidence import EvidenceItem

CHAT_SPANS_NS = (*SEARCH_SPANS_NS, *(600_000_000_000 * 4**n for n in range(1, 11)))
"""In a chat the next turn may be weeks away: on to twenty years."""

MOST_NARROWED = 8
"""How often what is nearer than the nearest that was found is asked for: recall gives the likest, not all."""

BESIDE_NS = 5_000_000_000
"""How much further off than the nearest a thing of another kind may be, to be beside a moment too."""

OVERLAP_NS = 500_000_000
"""By how much two neighbours may overlap: ends of sentences and of shots are known to about that."""

MAX_ANCHOR_WORDS = 8
"""Words of the question that are said again in "after the cat at 0:24"; longer ones become "that"."""

GOING_ON = word_set("and then until before")
"""Words by which a sentence goes on to the next step."""


def answer_beside(asking: Asking, order: Beside) -> Answer:
    """What is just after or before the anchor, in the same source."""
    part = read_question(order.anchor)
    found = _anchor(asking, part, order.anchor)
    if found is None:
        return not_seen(asking.coverage)
    anchor, verdict = found
    named = plain(order.anchor) if len(order.anchor.split()) <= MAX_ANCHOR_WORDS else "that"
    goes_on = order.side == "after" and _goes_on(part, anchor)
    return tell_beside(asking, part, anchor, verdict, order.side, named, with_anchor=goes_on)


def tell_beside(
    asking: Asking,
    part: Question,
    anchor: EvidenceItem,
    verdict: Literal["answered", "uncertain"],
    side: Literal["before", "after"],
    named: str,
    *,
    with_anchor: bool = False,
) -> Answer:
    """What is just after or before a piece of evidence that is `named` so; `part` are its words.

    `with_anchor`: it is told itself first, since its sentence goes on to what came next.
    """
    draft = Draft()
    near = _nearest(asking, part, anchor, side)
    if not near:
        draft.say(f"That is {moment(anchor, several=False)}; I know of nothing {side} it.", anchor)
        return draft.finish("uncertain", asking.coverage)
    if with_anchor:
        draft.say(tell_item(anchor, part, asking.settings, several=False), anchor)
    lead = f"{side} {named} {moment(anchor, several=False)}"
    for item in near:
        told = tell_item(item, asking.question, asking.settings, several=False, lead=lead)
        draft.say(told, *((anchor, item) if lead else (item,)))
        lead = ""
    return draft.finish(verdict, asking.coverage)


def _anchor(
    asking: Asking, part: Question, text: str
) -> tuple[EvidenceItem, Literal["answered", "uncertain"]] | None:
    """The evidence for the moment that the question starts from, of whatever sense."""
    gates = msgspec.structs.replace(asking.question.cue(text, asking.gates), kinds=asking.gates.kinds)
    supports = weigh(part, asking.dated(asking.recall(gates, asking.k)), asking.settings.evidence)
    verdict = judge(part, supports, asking.probe, asking.settings.evidence).verdict
    if verdict == "not_seen" or not supports:
        return None
    return supports[0].item, verdict


def _nearest(asking: Asking, part: Question, anchor: EvidenceItem, side: str) -> list[EvidenceItem]:
    """The items next to the anchor: of each kind that is asked the nearest, in order of time.

    What still shows the anchor itself is not beside it, unless there is nothing else. Of those whose
    words are asked for, where they said anything there.
    """
    sayers = frozenset(asking.question.sayers)
    own = _nearest_by(asking, part, anchor, side, sayers) if sayers else []
    return own or _nearest_by(asking, part, anchor, side, frozenset())


def _nearest_by(
    asking: Asking, part: Question, anchor: EvidenceItem, side: str, sayers: frozenset[str]
) -> list[EvidenceItem]:
    is_chat = anchor.source_kind == "chat"
    for span_ns in CHAT_SPANS_NS if is_chat else SEARCH_SPANS_NS:
        items = _within(asking, anchor, side, span_ns, sayers)
        if not items:
            continue
        found = _fitting(asking, _apart(items, part, anchor) or items)
        for _ in range(MOST_NARROWED if is_chat else 0):
            nearest_ns = min(_distance_ns(item, anchor, side) for item in found)
            nearer = _apart(_within(asking, anchor, side, nearest_ns, sayers), part, anchor)
            nearer = [item for item in nearer if _distance_ns(item, anchor, side) < nearest_ns]
            nearer = _fitting(asking, nearer)
            if not nearer or (
                any(map(partial(_fits, asking), found)) and not any(map(partial(_fits, asking), nearer))
            ):
                break
            found = nearer
        return _one_of_each(asking, found, anchor, side)
    return []


def _within(
    asking: Asking, anchor: EvidenceItem, side: str, span_ns: int, sayers: frozenset[str]
) -> list[EvidenceItem]:
    """What lies so far after or before the anchor in its source; said by `sayers` where there are any."""
    low_ns, high_ns = (
        (anchor.pts0_ns, anchor.pts1_ns + span_ns)
        if side == "after"
        else (anchor.pts0_ns - span_ns, anchor.pts0_ns)
    )
    cue = msgspec.structs.replace(
        asking.gates,
        text=asking.question.content,
        kinds=asking.gates.kinds or asking.wanted_kinds(),
        sources=(anchor.source_id.hex(),),
        pts0_ns=low_ns,
        pts1_ns=high_ns,
    )
    items = [item for item in asking.recall(cue, asking.k) if _is_beside(item, anchor, side)]
    return [item for item in items if not sayers or sayers & all_stems(item.speaker)]


def _fitting(asking: Asking, items: Sequence[EvidenceItem]) -> list[EvidenceItem]:
    """Those that name what else the question asks for ("which *animal* comes after …"), if any do."""
    return [item for item in items if _fits(asking, item)] or list(items)


def _fits(asking: Asking, item: EvidenceItem) -> bool:
    return not stems_of(item)[0].isdisjoint((*asking.question.wanted, *asking.question.key))


def _one_of_each(
    asking: Asking, items: Sequence[EvidenceItem], anchor: EvidenceItem, side: str
) -> list[EvidenceItem]:
    nearest: dict[str, EvidenceItem] = {}
    ordered = sorted(items, key=lambda item: _distance_ns(item, anchor, side))
    for item in ordered:
        if _distance_ns(item, anchor, side) <= _distance_ns(ordered[0], anchor, side) + BESIDE_NS:
            nearest.setdefault(item.kind, item)
    return sorted(nearest.values(), key=time_key)[: asking.settings.sentences]


def _is_beside(item: EvidenceItem, anchor: EvidenceItem, side: str) -> bool:
    """Whether an item lies after (before) the anchor.

    What is heard while a picture stands, or seen while somebody speaks, comes after it
    when it begins later; of the same sense, it must begin when the anchor has ended.
    """
    if item.session != anchor.session:
        return False
    if side == "before":
        return item.pts1_ns <= anchor.pts0_ns + OVERLAP_NS and item.pts0_ns < anchor.pts0_ns
    if _is_heard(item) == _is_heard(anchor):
        return item.pts0_ns >= anchor.pts1_ns - OVERLAP_NS and item.pts0_ns > anchor.pts0_ns
    return item.pts0_ns >= anchor.pts0_ns


def _apart(items: Sequence[EvidenceItem], part: Question, anchor: EvidenceItem) -> list[EvidenceItem]:
    """The items that do not still show the anchor, by what it names."""
    heads = frozenset(part.subjects or part.key)
    return [
        item
        for item in items
        if not (heads and _is_heard(item) == _is_heard(anchor) and heads <= stems_of(item)[0])
    ]


def _goes_on(part: Question, anchor: EvidenceItem) -> bool:
    """Whether who tells of the anchor says in the same breath what comes next: "pour it in and stir"."""
    if not _is_heard(anchor):
        return False
    asked, said = frozenset((*part.key, *part.subjects)), words(anchor.text)
    last = max((place for place, word in enumerate(said) if stem(word) in asked), default=len(said))
    rest = said[last + 1 :]
    return any(word in GOING_ON and any(map(is_content, rest[n:])) for n, word in enumerate(rest))


def _distance_ns(item: EvidenceItem, anchor: EvidenceItem, side: str) -> int:
    return item.pts0_ns - anchor.pts1_ns if side == "after" else anchor.pts0_ns - item.pts1_ns


def _is_heard(item: EvidenceItem) -> bool:
    return item.kind == "utterance"
