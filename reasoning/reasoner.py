"""One question from its words to its answer, given a way to ask memory.

This file knows the order of the steps and nothing of processes: `Memory` is what it
needs, and the service and the tests each give it theirs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from reasoning.asking import Asking, Memory
from reasoning.claims import tell_claims
from reasoning.corrections import applying, tell_correction
from reasoning.gaps import tell_gaps
from reasoning.goals import Goal, goals_of
from reasoning.operators.beside import answer_beside
from reasoning.operators.compare import answer_compare
from reasoning.operators.count import answer_count
from reasoning.operators.count import reads as count_of
from reasoning.operators.duration import answer_duration
from reasoning.operators.duration import reads as duration_of
from reasoning.operators.edge import answer_edge
from reasoning.operators.last_seen import answer_last_seen
from reasoning.operators.last_seen import reads as last_seen_of
from reasoning.operators.plain import answer_plain
from reasoning.operators.recount import answer_recount
from reasoning.question import Beside, Compare, read_question
from reasoning.recency import answer_recent
from reasoning.settings import ReasoningSettings
from reasoning.subgoals import Subgoals
from reasoning.support.confidence import by_support, by_verdict
from stream.messages.answer import Answer
from stream.messages.claims import ClaimsTold
from stream.messages.cue import Cue


def _here() -> datetime:
    return datetime.now().astimezone()


class Reasoner:
    """Answers questions; holds nothing between them.

    Args:
        memory: Where evidence comes from.
        settings: Of the reasoning section.
        hop: Told when a question reaches a stage, for traces.
        now: The time of asking, with the zone of who asks.
    """

    def __init__(
        self,
        memory: Memory,
        settings: ReasoningSettings,
        hop: Callable[[str], None] = lambda stage: None,
        now: Callable[[], datetime] = _here,
    ) -> None:
        self._memory = memory
        self._settings = settings
        self._hop = hop
        self.now = now

    def answer(self, asked: str, gates: Cue, k: int = 0) -> Answer:
        """The answer to one question.

        Args:
            asked: The question as it was put.
            gates: What the asker set outright; its text is ignored.
            k: Items asked of memory; 0 for the configured number.

        Raises:
            OmniRecallError: As memory raises; what is not understood is no error.
        """
        goals = goals_of(asked) if self._settings.subgoals.enabled else ()
        return self._long(asked, goals, gates, k) if len(goals) > 1 else self._one(asked, gates, k)

    def _long(self, asked: str, goals: Sequence[Goal], gates: Cue, k: int) -> Answer:
        """The answers of the parts as one, or the owner's word where it is about the whole question."""
        settings = self._settings
        parts = Subgoals(
            lambda part, within: self._one(part, within, k), self._memory.recall, settings.subgoals, self.now
        )
        answer = parts.answer(goals, gates)
        told = ClaimsTold()
        if settings.corrections:
            told = self._memory.claims(msgspec.structs.replace(gates, text=asked))
        act = applying(asked, told, answer, settings) if told.corrections else None
        return answer if act is None else tell_correction(act, told, answer, read_question(asked), settings)

    def _one(self, asked: str, gates: Cue, k: int) -> Answer:
        began_s = time.monotonic()
        asking, answer = self._answer(asked, gates, k)
        meant = respell(asked, asking.spelt)
        if meant != asked:
            # What reasoning made of the misspelt words is worth nothing; memory told what is meant.
            first = asking
            asking, answer = self._answer(meant, gates, k)
            asking.join(first)
        self._hop("reasoning.answer")
        asking.notices |= dict.fromkeys(tell_gaps(asking, answer))
        timings = {**asking.timings_ms, "reasoning": (time.monotonic() - began_s) * 1e3}
        timings = {name: round(ms, 3) for name, ms in timings.items()}
        return msgspec.structs.replace(answer, timings_ms=timings, notices=tuple(asking.notices))

    def _answer(self, asked: str, gates: Cue, k: int) -> tuple[Asking, Answer]:
        question = read_question(asked)
        self._hop("reasoning.question")
        most = max(k, self._settings.recall_k)
        asking = Asking(self._memory, self._settings, question, gates, most, self.now)

        def ordinary() -> Answer:
            return answer_one(asking, asked, lambda: self._hop("reasoning.evidence"))

        answer = answer_recent(self._memory, self._settings, asked, gates, most, ordinary)
        return asking, by_verdict(answer, self._settings)


def respell(asked: str, spelt: Mapping[str, str]) -> str:
    """A question with the words put right that memory found misspelt."""
    return re.sub(r"[^\W\d_]+", lambda match: spelt.get(match[0], match[0]), asked) if spelt else asked


def answer_one(asking: Asking, asked: str, weighed: Callable[[], None]) -> Answer:
    """The owner's word where it is about this, else a claim that fits, else what evidence gives."""
    settings, question = asking.settings, asking.question
    told = ClaimsTold()
    if settings.claims or settings.corrections:
        told = asking.memory.claims(msgspec.structs.replace(asking.gates, text=asked))
    if not settings.corrections:
        told = msgspec.structs.replace(told, corrections=())
    is_claimed = settings.claims and bool(told.form)
    if is_claimed:
        # For how far the memory reaches, and what it was answered without; the claims answer.
        asking.recall(question.cue(question.content, asking.gates), 1)
        weighed()
        answer = tell_claims(question, told, asking.coverage, settings)
    else:
        answer = from_evidence(asking, weighed)
    act = applying(asked, told, answer, settings) if told.corrections else None
    if act is not None:
        return tell_correction(act, told, answer, question, settings)
    # A claim is of whom it is about, by its slot.
    return answer if is_claimed else by_support(asking, answer)


def computed(asking: Asking) -> Answer | None:
    """What is counted, timed, or met first or last; None where that is not asked, or not known."""
    question = asking.question
    if (count := count_of(question)) is not None:
        return answer_count(asking, count)
    if (duration := duration_of(question)) is not None:
        return answer_duration(asking, duration)
    if (wanted := last_seen_of(question)) is not None:
        return answer_last_seen(asking, wanted)
    return None


def from_evidence(asking: Asking, weighed: Callable[[], None]) -> Answer:
    """The answer from evidence; `weighed` is called when the evidence has been chosen."""
    if asking.settings.recounts and (told := answer_recount(asking)) is not None:
        weighed()
        return told
    if (told := computed(asking)) is not None:
        weighed()
        return told
    order = asking.question.order
    if order is None:
        return answer_plain(asking, weighed)
    if isinstance(order, Compare):
        answer = answer_compare(asking, order)
    elif isinstance(order, Beside):
        answer = answer_beside(asking, order)
    else:
        answer = answer_edge(asking, order)
    weighed()
    return answer
