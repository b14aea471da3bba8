"""One question from its words to its answer, given a way to ask memory.

This file knows the order of the steps and nothing of processes: `Memory` is what it
needs, and the service and the tests each give it theirs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from reasoning.answer import as_uncertain
from reasoning.asking import Asking, Memory, Objects
from reasoning.claims import tell_claims
from reasoning.corrections import applying, tell_correction
from reasoning.dialogue import Exchange
from reasoning.gaps import tell_gaps
from reasoning.goals import Goal, goals_of
from reasoning.live.condition import asks_to_be_told
from reasoning.operators.asked_before import answer_asked_before, has_asked, names_topic
from reasoning.operators.at_answer import answer_at_answer
from reasoning.operators.at_places import answer_at_places
from reasoning.operators.beside import answer_beside
from reasoning.operators.compare import answer_compare
from reasoning.operators.count import answer_count
from reasoning.operators.count import reads as count_of
from reasoning.operators.duration import answer_duration
from reasoning.operators.duration import reads as duration_of
from reasoning.operators.edge import answer_edge
from reasoning.operators.last_seen import answer_last_seen
from reasoning.operators.last_seen import reads as last_seen_of
from reasoning.operators.negated import answer_negated, denied_in
from reasoning.operators.plain import answer_plain
from reasoning.operators.recount import answer_recount
from reasoning.places import named_place
from reasoning.question import Beside, Compare, Edge, Question
from reasoning.question.follow_up import resolved
from reasoning.question.scope import asks_dialogue_alone
from reasoning.recency import answer_recent
from reasoning.rounds import MOST_SURE, in_rounds
from reasoning.settings import ReasoningSettings
from reasoning.subgoals import Subgoals
from reasoning.support.confidence import by_support, by_verdict
from stream.known_words import respell
from stream.local_time import now_here
from stream.messages.answer import Answer
from stream.messages.claims import ClaimsTold
from stream.messages.cue import Cue

TO_BE_TOLD = (
    "to be told when it happens, set it as a standing question: `omnirecall watch`, or Alerts on the page"
)


class Reasoner:
    """Answers questions; holds nothing between them.

    Args:
        memory: Where evidence comes from.
        settings: Of the reasoning section.
        hop: Told when a question reaches a stage, for traces.
        now: The time of asking, with the zone of who asks.
        labels: Gives the names of places.
        objects: Asks memory for objects at places; None where it knows none.
    """

    def __init__(
        self,
        memory: Memory,
        settings: ReasoningSettings,
        hop: Callable[[str], None] = lambda stage: None,
        now: Callable[[], datetime] = now_here,
        labels: Callable[[], Sequence[str]] = tuple,
        objects: Objects | None = None,
    ) -> None:
        self._memory = memory
        self._settings = settings
        self._hop = hop
        self._labels = labels
        self._objects = objects if settings.objects else None
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
        return self.answer_read(asked, self.read(asked), gates, k)

    def read(self, asked: str, before: Sequence[Exchange] = ()) -> Question:
        """A question as it is understood, by the clock of who asks and the turns before it."""
        turns = [one.turn for one in before]
        return resolved(asked, turns, self.now(), self._settings.date_order)

    def answer_read(
        self, asked: str, question: Question, gates: Cue, k: int = 0, before: Sequence[Exchange] = ()
    ) -> Answer:
        """The answer to a question that was read; raises as `answer`.

        Args:
            asked: The question as it was put.
            question: As `read` gives it.
            gates: What the asker set outright.
            k: Items asked of memory.
            before: The turns before it in its dialogue, the last one last.
        """
        goals = goals_of(question.asked) if self._settings.subgoals.enabled else ()
        if len(goals) > 1 and not (question.dialogue or question.beside_answer or question.without):
            return self._long(asked, question, goals, gates, k)
        return self._one(asked, question, gates, k, before)

    def _long(self, asked: str, question: Question, goals: Sequence[Goal], gates: Cue, k: int) -> Answer:
        """The answers of the parts as one, or the owner's word where it is about the whole question."""
        settings = self._settings

        def part(text: str, within: Cue) -> Answer:
            return self._one(text, self.read(text), within, k, ())

        answer = Subgoals(part, self._memory.recall, settings.subgoals, self.now).answer(goals, gates)
        told = ClaimsTold()
        if settings.corrections:
            told = self._memory.claims(msgspec.structs.replace(gates, text=question.asked))
        act = applying(question.asked, told, answer, settings) if told.corrections else None
        if act is not None:
            answer = tell_correction(act, told, answer, question, settings)
        notices = dict.fromkeys((*_of_reading(asked, question), *answer.notices))
        return by_verdict(msgspec.structs.replace(answer, notices=tuple(notices)), settings)

    def _one(self, asked: str, question: Question, gates: Cue, k: int, before: Sequence[Exchange]) -> Answer:
        """Of the place that the words name as one; where nothing is found there, of anywhere."""
        named = None
        if self._settings.places and not gates.place and not question.dialogue:
            named = named_place(question.asked, self._labels())
        if named is None:
            return self._anywhere(asked, question, gates, k, before)
        there = replace(
            self.read(named.rest),
            clock=question.clock,
            beside_answer=question.beside_answer,
            without=question.without,
        )
        within = msgspec.structs.replace(gates, place=named.label)
        answer = self._anywhere(there.asked, there, within, k, before)
        if answer.verdict != "not_seen":
            return answer
        elsewhere = self._anywhere(asked, question, gates, k, before)
        if elsewhere.verdict == "not_seen":
            return answer
        notice = f'nothing of that was found at "{named.label}"; this may be from elsewhere'
        told = as_uncertain(elsewhere, elsewhere.coverage)
        sure = None if told.confidence is None else min(told.confidence, MOST_SURE)
        return msgspec.structs.replace(told, confidence=sure, notices=(*told.notices, notice))

    def _anywhere(
        self, asked: str, question: Question, gates: Cue, k: int, before: Sequence[Exchange]
    ) -> Answer:
        began_s = time.monotonic()
        asking, answer = self._answer(asked, question, gates, k, before)
        meant = respell(question.asked, asking.spelt)
        if meant != question.asked:
            # What reasoning made of the misspelt words is worth nothing; memory told what is meant.
            first, again = asking, self.read(meant)
            # Times stay as they were read, against the dialogue too, unless their own words were misspelt.
            is_same = question.clock is not None and question.clock.words in meant
            again = replace(
                again,
                beside_answer=question.beside_answer,
                without=question.without,
                clock=question.clock if is_same else again.clock,
            )
            asking, answer = self._answer(respell(asked, first.spelt), again, gates, k, before)
            asking.join(first)
        self._hop("reasoning.answer")
        asking.notices |= dict.fromkeys(tell_gaps(asking, answer))
        if asks_to_be_told(asked, is_answered=answer.verdict != "not_seen"):
            asking.notices[TO_BE_TOLD] = None
        timings = {**asking.timings_ms, "reasoning": (time.monotonic() - began_s) * 1e3}
        timings = {name: round(ms, 3) for name, ms in timings.items()}
        return msgspec.structs.replace(answer, timings_ms=timings, notices=tuple(asking.notices))

    def _answer(
        self, asked: str, question: Question, gates: Cue, k: int, before: Sequence[Exchange]
    ) -> tuple[Asking, Answer]:
        self._hop("reasoning.question")
        most = max(k, self._settings.recall_k)
        asking = Asking(self._memory, self._settings, question, gates, most, self.now, objects=self._objects)

        for notice in _of_reading(asked, question):
            asking.notices[notice] = None
        anchor = before[-1].cited[0] if question.beside_answer and before and before[-1].cited else None

        def weighed() -> None:
            self._hop("reasoning.evidence")

        of_dialogue = question.dialogue and (bool(before) or has_asked(asking))

        def once() -> Answer:
            if of_dialogue:
                return answer_asked_before(asking, before)
            if anchor is not None:
                told = answer_at_answer(asking, anchor, weighed)
                sure = asking.supported
                return told if sure is None else msgspec.structs.replace(told, confidence=round(sure, 3))
            return answer_one(asking, question.asked, weighed)

        def ordinary() -> Answer:
            return in_rounds(asking, once)

        if of_dialogue:
            # It tells what was asked, and has no confidence.
            if not names_topic(asking):
                return asking, once()
            told = ordinary()
            if told.verdict != "not_seen" or asks_dialogue_alone(question.asked):
                return asking, told
            return self._answer(asked, replace(question, dialogue=False), gates, k, before)
        if anchor is not None:
            return asking, by_verdict(ordinary(), self._settings)
        answer = answer_recent(self._memory, self._settings, question.asked, gates, most, ordinary)
        return asking, by_verdict(answer, self._settings)


def _of_reading(asked: str, question: Question) -> Iterator[str]:
    """What the asker should know of how the question was read."""
    if " ".join(question.asked.split()) != " ".join(asked.split()):
        side = question.beside_answer
        moment = f" ({side} the moment of the last answer)" if side else ""
        yield f"understood as: {question.asked}{moment}"
    if question.clock is not None and question.clock.ambiguous:
        yield f"{question.clock.words} can be read as two dates: both were looked for"


def answer_one(asking: Asking, asked: str, weighed: Callable[[], None]) -> Answer:
    """The owner's word where it is about this, else a claim that fits, else what evidence gives."""
    settings, question = asking.settings, asking.question
    told = ClaimsTold()
    if settings.claims or settings.corrections:
        told = asking.memory.claims(msgspec.structs.replace(asking.gates, text=asked))
    if not settings.corrections:
        told = msgspec.structs.replace(told, corrections=())
    is_claimed = settings.claims and bool(told.form) and not (settings.denials and denied_in(question))
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
    if (told := answer_at_places(asking)) is not None:
        weighed()
        return told
    if (told := answer_negated(asking, weighed)) is not None:
        return told
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
        answer = _edge(asking, order)
    weighed()
    return answer


def _edge(asking: Asking, order: Edge) -> Answer:
    """The first or last of it; where nothing names it, "when did we last see it?" is a plain question."""
    answer = answer_edge(asking, order)
    if answer.verdict == "not_seen" and asking.question.expects in ("time", "place"):
        return answer_plain(asking, lambda: None)
    return answer
