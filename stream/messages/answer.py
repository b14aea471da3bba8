"""Answers: sentences, each with its citations."""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.messages.evidence import Coverage, EvidenceItem

Verdict = Literal["answered", "uncertain", "not_seen"]


class Sentence(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence; `citations` are indexes into the citations of the answer, which it rests on."""

    text: str
    citations: tuple[int, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person is told, and what it rests on; `notices` say what it was answered without.

    `confidence` is how far the evidence supports what the question asks for, 0 to 1; None where nobody knows.
    """

    answer: str
    verdict: Verdict
    sentences: tuple[Sentence, ...] = ()
    citations: tuple[EvidenceItem, ...] = ()
    conflicts: tuple[str, ...] = ()
    coverage: Coverage = Coverage()
    timings_ms: dict[str, float] = {}
    notices: tuple[str, ...] = ()
    confidence: float | None = None
