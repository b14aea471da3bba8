"""The confidence of an answer, and what its verdict becomes where that is low: `by_support`.

Where a question names somebody who speaks in a chat of two, its confidence is a calibrated probability
(`reasoning.support.calibration`) of what evidence tells of that person against what it tells of others.
Elsewhere it is the share of the question's demands that the evidence was judged to meet
(`reasoning.verify`), which is a share and no probability, and the verdict stays.
"""

from __future__ import annotations

import msgspec

from reasoning.answer import as_uncertain, not_seen
from reasoning.asking import Asking
from reasoning.settings import ReasoningSettings
from reasoning.support.calibration import Calibration, calibrations
from reasoning.support.demands import (
    Whose,
    conversations_in,
    features_of,
    person_asked,
    speakers_in,
    told_of,
    without_person,
)
from reasoning.support.owners import owned
from reasoning.words import content_stems
from stream.messages.answer import Answer, Verdict
from stream.messages.evidence import Coverage

PARTNERS = 2
"""Who speak in a conversation for which the confidence is calibrated."""

BY_VERDICT: dict[Verdict, float] = {"answered": 1.0, "uncertain": 0.5, "not_seen": 0.0}
"""The share where no operator judged demands: what computes from spans has met what is asked, or not."""


def by_support(asking: Asking, answer: Answer) -> Answer:
    """An answer with its confidence; refused or doubted where the evidence tells of somebody else."""
    if not asking.settings.confidence:
        return answer
    if asking.supported is None:
        # What was computed has weighed its own items; the calibration is of questions for a fact.
        return by_verdict(answer, asking.settings)
    features = support_of(asking)
    calibration = calibrations().get(asking.encoder_id)
    if features is None or calibration is None:
        if features is not None:
            known = asking.encoder_id or "words alone"
            asking.notices[
                f"of whom the evidence tells was not weighed: nothing is calibrated for {known}"
            ] = None
        return msgspec.structs.replace(answer, confidence=round(asking.supported, 3))
    confidence = calibration.confidence(features)
    return doubted(answer, confidence, calibration, answer.coverage)


def by_verdict(answer: Answer, settings: ReasoningSettings) -> Answer:
    """An answer with the confidence of its verdict where it has none: a claim, a correction, what is live."""
    if not settings.confidence or answer.confidence is not None:
        return answer
    return msgspec.structs.replace(answer, confidence=BY_VERDICT[answer.verdict])


def support_of(asking: Asking, whose: Whose = owned) -> dict[str, float] | None:
    """The features of a question that names one who speaks in a chat; None for any other question.

    Asks memory once more, without the name, among the conversations where that person speaks. None as well
    where more than two speak there: nobody knows who is meant by "you", and nothing is calibrated for that;
    and where nothing but the person is named.
    """
    question, met = asking.question, list(asking.met.values())
    person = person_asked(question.asked, speakers_in(met))
    theirs = {one.source_id for one in met if one.speaker == person and one.source_kind == "chat"}
    if not person or any(len(conversations_in(met)[one]) > PARTNERS for one in theirs):
        return None
    bare = without_person(question.content or question.asked, person)
    if not content_stems(bare):
        return None
    cue = question.cue(bare, asking.gates)
    sources = tuple(one.hex() for one in sorted(theirs))
    cue = msgspec.structs.replace(cue, text=cue.text or question.asked, sources=sources)
    coverage = asking.coverage
    items = [item for item in asking.recall(cue, asking.k) if item.source_id in theirs]
    asking.coverage = coverage  # That of the question, not of one person's conversations.
    return features_of(told_of(bare, person, conversations_in([*met, *items]), items, whose))


def doubted(answer: Answer, confidence: float, calibration: Calibration, coverage: Coverage) -> Answer:
    """The answer under the lines of a calibration: as it is, as uncertain, or refused."""
    shown = round(confidence, 3)
    if answer.verdict == "not_seen" or confidence < calibration.not_seen_below:
        told = answer if answer.verdict == "not_seen" else not_seen(coverage)
        return msgspec.structs.replace(told, confidence=shown)
    if answer.verdict == "uncertain" or confidence >= calibration.uncertain_below:
        return msgspec.structs.replace(answer, confidence=shown)
    return msgspec.structs.replace(as_uncertain(answer, coverage), confidence=shown)
