"""Whether evidence supports what a question asks for, or whether it was never perceived.

The best evidence for a question about something absent still exists, and may be quite
like the question. So each thing that the question names is looked for by itself: what no
item names, and nothing is alike to, was not seen or heard, and then neither was the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reasoning.classes import is_class, labels_of
from reasoning.evidence import Support, dense_of, distinct, holds_expected, stems_in, stems_of
from reasoning.question import Expects, Question
from reasoning.settings import EvidenceSettings
from stream.messages.answer import Verdict
from stream.messages.evidence import EvidenceItem

Probe = Callable[[str], Sequence[EvidenceItem]]
"""Asks memory for the evidence of one subject by itself."""

STRONG_SHARE = 0.5
"""Share of the question's words that evidence must name to count without likeness of meaning."""

FAINTLY_LIKE = 0.2
"""Cosine of MiniLM below which two sentences that share a word have nothing else in common."""

SURELY_LIKE = 0.6
"""Cosine of MiniLM from which a sentence answers although a subject goes by another name."""


MANY = 6
"""Different items from which a question that names nothing cannot be told to mean one of them."""

LOOKED_AT = 3
"""How many of the best supports may hold the act and the form that a question asks for."""

FORMED: tuple[Expects, ...] = ("number", "person", "address", "place")
"""Expected kinds of answer that evidence must have the form of."""


MOST_UNMET = 4
"""Demands that a question without subjects can leave unmet: two of likeness, its form and its time."""

BY_UNMET: tuple[Verdict, ...] = ("answered", "uncertain", "not_seen")
"""The verdict by how many demands are not met."""


@dataclass(frozen=True)
class Judgement:
    """The verdict, the words of the question that nothing supports, and the share of it that is supported.

    `supported`, 0 to 1: the share of the subjects that are anywhere, times that of the demands that are met.
    """

    verdict: Verdict
    missing: tuple[str, ...] = ()
    supported: float = 0.0


def judge(
    question: Question, supports: Sequence[Support], probe: Probe, settings: EvidenceSettings
) -> Judgement:
    """The verdict on a plain question.

    A subject that is nowhere decides alone. Else five things are asked of the evidence: that
    the subjects are together, that it is like the question, that it tells the act, that it is of the
    time named, and that it has the form of an answer. One that is missing makes it uncertain, two are too
    many.

    Args:
        question: As taken apart.
        supports: Best first.
        probe: Used for at most `settings.probes` subjects that no support names.
        settings: Thresholds.
    """
    if not supports:
        return Judgement("not_seen", question.subjects)
    if question.open:
        # "What is written on the card?": of a few texts the card is one; of many nobody knows which.
        several = len(distinct(supports, settings)) > MANY
        return Judgement("uncertain", supported=0.5) if several else Judgement("answered", supported=1.0)
    best = supports[0]
    required = question.subjects or _wanted(question, supports)
    if not required:
        count = _unmet_without_subjects(question, supports, settings)
        return Judgement(BY_UNMET[min(count, 2)], supported=1 - count / MOST_UNMET)
    places = [_find(s, question, supports, probe, settings) for s in required[: settings.probes]]
    missing = tuple(
        question.spelt(s) for s, place in zip(required, places, strict=False) if place == "nowhere"
    )
    # Where no encoder was asked, nobody knows how alike it is.
    is_alike = best.dense >= FAINTLY_LIKE or "dense" not in best.item.grounding
    named = is_alike and _named_share(question, best) >= STRONG_SHARE
    unmet = (
        any(place != "near" for place in places),
        best.dense < settings.likely and not named,
        not _is_act_told(question, supports[:LOOKED_AT], settings),
        not question.is_dated(best.item),
        not _has_form(question, supports[:LOOKED_AT], settings),
    )
    somewhere = sum(place != "nowhere" for place in places) / max(1, len(places))
    supported = somewhere * (1 - sum(unmet) / len(unmet))
    if missing:
        return Judgement("uncertain" if best.dense >= SURELY_LIKE else "not_seen", missing, supported)
    return Judgement(BY_UNMET[min(sum(unmet), 2)], supported=supported)


def _is_act_told(question: Question, supports: Sequence[Support], settings: EvidenceSettings) -> bool:
    """Whether what was done is named by any of the best, or meant by one that is no mere picture."""
    acts = frozenset(question.acts)
    return not acts or any(
        acts & support.hinted or (support.dense >= settings.alike and not labels_of(support.item.text))
        for support in supports
    )


def _wanted(question: Question, supports: Sequence[Support]) -> tuple[str, ...]:
    """What must be met where the class of the answer is all that a question about pictures names.

    In "which error code" either word will do; where neither is named, the head is looked for.
    """
    if question.sense != "seen" or question.key:
        return ()
    named = tuple(s for s in question.wanted if any(s in support.named for support in supports))
    return named[:1] or question.wanted[-1:]


def _has_form(question: Question, supports: Sequence[Support], settings: EvidenceSettings) -> bool:
    """Whether any of these is of the form that is asked for: a number, a name, an instance of a class."""
    if question.expects in FORMED:
        return any(holds_expected(question, one.item) for one in supports)
    # What a picture shows is known by its labels; speech may name an instance that no table knows.
    if not any(is_class(s) for s in question.wanted) or not any(labels_of(one.item.text) for one in supports):
        return True
    # An animal in one film is not the one on the screen in another.
    near = [one for one in supports if _place(one.item, supports[0].item, settings) == "near"]
    return any(holds_expected(question, one.item) for one in near)


def _unmet_without_subjects(
    question: Question, supports: Sequence[Support], settings: EvidenceSettings
) -> int:
    """How many demands a question that names no subject leaves unmet, 0 to `MOST_UNMET`."""
    best = supports[0]
    named = _named_share(question, best) >= STRONG_SHARE and best.dense >= FAINTLY_LIKE
    unmet = 0 if named or best.dense >= settings.alike else 1 if best.dense >= settings.likely else 2
    if not _has_form(question, supports[:LOOKED_AT], settings):
        unmet += 1
    elif question.expects in FORMED and unmet == 1:
        unmet = 0  # A likely item that has the form asked for: an address where one was asked for.
    return unmet + (not question.is_dated(best.item))


def _named_share(question: Question, support: Support) -> float:
    asked = {*question.key, *question.wanted}
    return len(asked & support.named) / len(asked) if asked else 0.0


def _find(
    subject: str,
    question: Question,
    supports: Sequence[Support],
    probe: Probe,
    settings: EvidenceSettings,
) -> str:
    """Where a subject is supported: `near` the best evidence, `elsewhere`, or `nowhere`."""
    best = supports[0]
    if subject in best.named or any(subject in stems_in(text)[0] for text in best.item.neighbours):
        return "near"
    places = {_place(support.item, best.item, settings) for support in supports if subject in support.named}
    if not places:
        places = {
            _place(item, best.item, settings)
            for item in probe(question.spelt(subject))
            if subject in stems_of(item)[0] or dense_of(item) >= settings.alike
        }
    return "near" if "near" in places else "elsewhere" if places else "nowhere"


def _place(item: EvidenceItem, best: EvidenceItem, settings: EvidenceSettings) -> str:
    if (item.source_id, item.session) != (best.source_id, best.session):
        return "elsewhere"
    gap_ns = max(item.pts0_ns - best.pts1_ns, best.pts0_ns - item.pts1_ns)
    return "near" if gap_ns <= settings.near_s * 1e9 else "elsewhere"
