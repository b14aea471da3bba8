"""Evidence weighed against the question: what supports it, how far, and what to tell.

Memory ranks by likeness; here the question's own parts are looked for in each item. An
item *names* a part when its words do, or when a label of its picture is an instance of
it; its surroundings *hint* at a part. Likeness of meaning comes from memory's dense
scorer (cosine), under `grounding["dense"]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reasoning.classes import label_stems, labels_of
from reasoning.question import KINDS, Question
from reasoning.settings import EvidenceSettings
from reasoning.words import all_stems, has_number, likeness, words
from stream.messages.evidence import EvidenceItem

_ADDRESS = re.compile(r"\bwww\.|https?:|\S@\S|\b[\w-]+\.[a-z]{2,}(?:/|\b)", re.I)
_PLACE = re.compile(
    r"\b(?:in|on|at|to|into|from|near|behind|beside|under|inside|outside|between|above|below|opposite|left|right|"
    r"north|south|east|west|here|there|home)\b",
    re.I,
)
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][a-z]+")


@dataclass(frozen=True)
class Support:
    """One item of evidence and how far it supports the question.

    `named` are stems of the question that the item itself names, `hinted` those that it may
    name (labels of low rank) or that its neighbours name. `dense` is a cosine, -1 to 1.
    `value` is what items are chosen by.
    """

    item: EvidenceItem
    named: frozenset[str]
    hinted: frozenset[str]
    dense: float
    value: float


def dense_of(item: EvidenceItem) -> float:
    """Likeness of meaning between item and cue, as memory measured it; 0 where it has no key."""
    return item.grounding.get("dense", 0.0)


def stems_of(item: EvidenceItem) -> tuple[frozenset[str], frozenset[str]]:
    """Stems that an item names, as (sure, possible); who says something is named by that."""
    sure, possible = stems_in(item.text)
    speaker = all_stems(item.speaker)
    return sure | speaker, possible | speaker


def stems_in(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Stems that a text of the store names, as (sure, possible); of a picture's labels, by their rank."""
    labels = labels_of(text)
    if labels:
        return label_stems(labels)
    found = all_stems(text)
    return found, found


def weigh(
    question: Question, items: Sequence[EvidenceItem], settings: EvidenceSettings
) -> tuple[Support, ...]:
    """The supports of all items, the best first; equal ones in order of time."""
    best = max((item.score for item in items), default=0.0)
    least = min((item.score for item in items), default=0.0)
    spread = best - least
    weighed = [
        _support(question, item, (item.score - least) / spread if spread > 0 else 0.0, settings)
        for item in items
    ]
    return tuple(sorted(weighed, key=lambda support: (-support.value, time_key(support.item))))


def said_by(
    question: Question, supports: Sequence[Support], settings: EvidenceSettings
) -> tuple[Support, ...]:
    """The supports that the person said whose words are asked for, in the same order.

    None where nobody's are, or where what that person said is of something else: no part of the
    question but the name is near it, and none is like the question.
    """
    sayers = frozenset(question.sayers)
    own = tuple(s for s in supports if s.item.kind == "utterance" and sayers & all_stems(s.item.speaker))
    about = frozenset((*question.key, *question.wanted, *question.subjects)) - sayers
    fits_any = any(about & s.hinted or s.dense >= settings.likely for s in own)
    return own if fits_any or not about else ()


def time_key(item: EvidenceItem) -> tuple[bool, int, str, int, int]:
    """Sorts by UTC time; what has none comes last, by source and position.

    That is an order to tell things in. Whether one came before the other is known only
    where `reasoning.order.have_order` says so.
    """
    return (item.t0_ns is None, item.t0_ns or 0, item.uri, item.session, item.pts0_ns)


def _support(question: Question, item: EvidenceItem, place: float, settings: EvidenceSettings) -> Support:
    asked = frozenset((*question.key, *question.wanted, *question.subjects))
    sure, possible = stems_of(item)
    named = _found(asked, sure, item.text)
    around = frozenset().union(*(stems_in(text)[0] for text in item.neighbours))
    hinted = named | _found(asked, possible | around, " ".join(item.neighbours))
    named_share, hinted_share = _share(question, named), _share(question, hinted)
    dense = dense_of(item)
    value = (
        settings.dense * dense
        + settings.named * named_share
        + settings.nearby * (hinted_share - named_share)
        + settings.recall * place
        + settings.sense * (not question.explicit and item.kind in KINDS[question.sense])
        + settings.expected * holds_expected(question, item)
        - settings.nothing_new * (not _brings_news(question, asked, sure))
    )
    return Support(item=item, named=named, hinted=hinted, dense=dense, value=value)


def _found(asked: Iterable[str], stems: frozenset[str], text: str) -> frozenset[str]:
    """Those of `asked` that are among `stems`, or are written in `text` with other gaps ("Apple Care")."""
    squashed = "".join(words(text))
    return frozenset(s for s in asked if s in stems or (len(s) >= 6 and s in squashed))


def _share(question: Question, found: frozenset[str]) -> float:
    """Share of the question that is found; what names things counts double."""
    weights = dict.fromkeys((*question.key, *question.wanted), 1.0) | dict.fromkeys(question.subjects, 2.0)
    total = sum(weights.values())
    return sum(weight for s, weight in weights.items() if s in found) / total if total else 0.0


def holds_expected(question: Question, item: EvidenceItem) -> bool:
    """Whether the item has the form of an answer: a number, a name, an instance of the class asked for."""
    if question.expects == "number":
        return has_number(item.text)
    if question.expects == "address":
        return _ADDRESS.search(item.text) is not None
    if question.expects == "place":
        named = "place" in stems_of(item)[0] if labels_of(item.text) else _PLACE.search(item.text) is not None
        return bool(item.place) or named
    if question.expects == "person":
        return bool(item.speaker) or _NAME.search(item.text) is not None
    if question.wanted and labels_of(item.text):
        return any(s in stems_of(item)[0] for s in question.wanted)
    return False


def _brings_news(question: Question, asked: frozenset[str], stems: frozenset[str]) -> bool:
    return question.expects in ("yes_no", "time") or bool(stems - asked)


def distinct(supports: Iterable[Support], settings: EvidenceSettings) -> tuple[Support, ...]:
    """Without what says the same again: of each group of near duplicates, the first.

    Two items say the same when they are of one family (picture, words said, words read),
    and their stems are alike by `settings.duplicate` or more.
    """
    kept: list[tuple[str, frozenset[str], Support]] = []
    for support in supports:
        family, stems = _family(support.item), stems_of(support.item)[1]
        if not any(f == family and likeness(stems, s) >= settings.duplicate for f, s, _ in kept):
            kept.append((family, stems, support))
    return tuple(support for _, _, support in kept)


def _family(item: EvidenceItem) -> str:
    return "picture" if item.kind in ("shot", "frame", "caption") else item.kind


def budgeted(
    supports: Sequence[Support], settings: EvidenceSettings, *, limit: int, close_share: float
) -> tuple[Support, ...]:
    """The best few that are nearly as good as the best, in order of time.

    Args:
        supports: Best first.
        settings: Weights and thresholds.
        limit: How many at most.
        close_share: Share of the best value below which a further item is left out.
    """
    if not supports:
        return ()
    floor = supports[0].value * close_share
    kept = [s for s in distinct(supports, settings) if s.value >= floor][:limit]
    return tuple(sorted(kept, key=lambda support: time_key(support.item)))


def bare(item: EvidenceItem) -> Support:
    """An item as support that nothing was asked of."""
    return Support(item=item, named=frozenset(), hinted=frozenset(), dense=0.0, value=item.score)
