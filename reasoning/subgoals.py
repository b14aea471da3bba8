"""A long question answered part by part, with finished parts folded and unfolded on the span tree.

As HiAgent (ACL 2025) keeps its working memory: what finished sub-goals rest on is folded, over a budget, to
their sentences and citations, whose spans say where the detail is; a later part that refers to one unfolds
its spans, that is, asks within them. Each part goes the ordinary way of a question. What is folded leaves
the working memory alone, never the store: views are folded, not sources (SCBench).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from reasoning.answer import NOT_SEEN, UNSURE, Draft, excerpt, plain
from reasoning.goals import Goal
from reasoning.question import read_question
from reasoning.recount import Recount, read_recount
from reasoning.settings import SubgoalSettings
from reasoning.words import all_stems
from stream.errors import DeadlineExceeded
from stream.messages.answer import Answer, Sentence, Verdict
from stream.messages.cue import Cue
from stream.messages.evidence import Coverage, Evidence, EvidenceItem

BYTES_PER_TOKEN = 3.5
"""Of English: 3.57 by the tokenizer of SmolLM2 (`tools.bench_context` prints it)."""
FOLDED_WORDS = 12
"""Words of an item that stay where it is folded: enough to know it by."""
NEAR_NS = 600_000_000_000
"""How far around a citation its span is looked for."""
MOST_SPANS = 3
"""Spans that are unfolded for one part."""
CHILDREN = 50
"""Observations of a span at most."""
PART_WORDS = 12
"""Words of a part that are said again where nothing was found for it."""
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
UNREACHED = "no time was left"

Ask = Callable[[str, Cue], Answer]
"""One question on the ordinary way, under the gates of a cue."""
Recall = Callable[[Cue, int], Evidence]


def tokens_of(text: str) -> int:
    """About how many tokens a text has for a language model."""
    return math.ceil(len(text.encode()) / BYTES_PER_TOKEN)


def item_tokens(item: EvidenceItem) -> int:
    """About how many tokens an item has, its surroundings with it."""
    return sum(map(tokens_of, (item.text, *item.neighbours)))


@dataclass
class Finished:
    """One part that was answered: what is told, and what it rests on, whole or folded."""

    goal: Goal
    verdict: Verdict
    sentences: tuple[Sentence, ...]
    citations: tuple[EvidenceItem, ...]
    is_folded: bool = False

    @property
    def tokens(self) -> int:
        """Tokens of what it holds of its evidence; what is told does not count."""
        return sum(map(item_tokens, self.citations))


@dataclass
class Trail:
    """The parts answered so far, within a budget of tokens.

    Args:
        most_tokens: Of evidence, that all parts together may hold; 0: nothing is ever folded.
    """

    most_tokens: int
    finished: list[Finished] = field(default_factory=list)
    peak_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of evidence that are held now."""
        return sum(one.tokens for one in self.finished)

    def add(self, one: Finished) -> None:
        """Takes a part in; while that is too much, the oldest that is still whole is folded, it itself last.

        Where even folded parts are too much, their words go, the oldest first: ids, times and spans stay,
        and so does what is told.
        """
        self.finished.append(one)
        self._fit()

    def unfold(self, place: int, items: Sequence[EvidenceItem]) -> None:
        """Gives the citations of a part their words back, as these items of its spans have them."""
        one = self.finished[place]
        whole = {item.observation_id: item for item in items}
        one.citations = tuple(whole.get(item.observation_id, item) for item in one.citations)
        one.is_folded = False
        self._fit(kept=place)

    def _fit(self, kept: int = -1) -> None:
        """Shortens parts while they are too much, the oldest first, and `kept` after all others."""
        others = [place for place in range(len(self.finished)) if place != kept]
        own = [] if kept < 0 else [kept]
        for places in (others, own):
            for shorten in (self.fold, self.clear):
                for place in places:
                    if self.most_tokens and self.tokens > self.most_tokens:
                        shorten(place)
        self.peak_tokens = max(self.peak_tokens, self.tokens)

    def fold(self, place: int) -> None:
        """Leaves of a part its sentences and its citations: ids, times, spans, and words to know them by."""
        one = self.finished[place]
        if not one.is_folded:
            asked = all_stems(one.goal.text)
            one.citations = tuple(_folded(item, asked) for item in one.citations)
            one.is_folded = True

    def clear(self, place: int) -> None:
        """Leaves of a part's citations no words."""
        one = self.finished[place]
        one.citations = tuple(msgspec.structs.replace(item, text="", neighbours=()) for item in one.citations)

    def spans(self, place: int) -> list[EvidenceItem]:
        """A citation of each span that a part rests on, the first ones first."""
        found: dict[tuple[bytes, bytes], EvidenceItem] = {}
        for item in self.finished[place].citations:
            found.setdefault((item.source_id, item.span_id or item.observation_id), item)
        return list(found.values())[:MOST_SPANS]


def _folded(item: EvidenceItem, asked: frozenset[str]) -> EvidenceItem:
    return msgspec.structs.replace(item, neighbours=(), text=excerpt(item.text, asked, FOLDED_WORDS))


def children(recall: Recall, item: EvidenceItem, text: str, gates: Cue, k: int) -> list[EvidenceItem]:
    """What the span of a citation holds, in order of time; the citation alone where it is of none.

    Args:
        recall: Asks memory.
        item: The citation.
        text: What is looked for; what is likest comes along where not all have room.
        gates: Of the asker, kept.
        k: Items at most.
    """
    low_ns = max(gates.pts0_ns or item.pts0_ns - NEAR_NS, item.pts0_ns - NEAR_NS)
    high_ns = min(gates.pts1_ns or item.pts1_ns + NEAR_NS, item.pts1_ns + NEAR_NS)
    near = msgspec.structs.replace(
        gates, text=text, kinds=(), sources=(item.source_id.hex(),), pts0_ns=low_ns, pts1_ns=high_ns
    )
    found = [one for one in recall(near, k).items if one.session == item.session]
    own = [one for one in found if item.span_id and one.span_id == item.span_id]
    # What lies in no closed span yet is its own detail.
    own = own or [one for one in found if one.observation_id == item.observation_id] or [item]
    return sorted(own, key=lambda one: one.pts0_ns)


class Subgoals:
    """Answers the parts of one question in their order.

    Args:
        ask: The ordinary way.
        recall: Memory's.
        settings: Of sub-goals.
        now: The time of asking, with its zone.
    """

    def __init__(
        self, ask: Ask, recall: Recall, settings: SubgoalSettings, now: Callable[[], datetime]
    ) -> None:
        self._ask, self._recall, self._now = ask, recall, now
        self._coverage = Coverage()
        self._stretch: Recount | None = None
        self._timings_ms: dict[str, float] = {}
        self._notices: dict[str, None] = {}
        self._conflicts: dict[str, None] = {}
        self._confidences: list[float] = []
        self.trail = Trail(settings.evidence_tokens)

    def answer(self, goals: Sequence[Goal], gates: Cue) -> Answer:
        """One answer to all parts; each part's verdict is told where it is not answered.

        Raises:
            OmniRecallError: As memory raises; out of time only where not even the first part was answered.
        """
        for place, goal in enumerate(goals):
            try:
                told = self._part(goal, gates)
            except DeadlineExceeded:
                if not place:
                    raise
                break
            self._take(told)
            self.trail.add(Finished(goal, told.verdict, told.sentences, told.citations))
        return self._whole(goals)

    def _part(self, goal: Goal, gates: Cue) -> Answer:
        gates = self._within_stretch(goal, gates)
        told = self._ask(goal.text, gates)
        if not goal.refers or (told.verdict == "answered" and self._is_new(goal, told)):
            return told
        return self._unfolded(goal, gates) or told

    def _is_new(self, goal: Goal, told: Answer) -> bool:
        """Whether an answer cites more than the parts do that its part refers to."""
        known = {item.observation_id for n in goal.refers for item in self.trail.finished[n].citations}
        return any(item.observation_id not in known for item in told.citations)

    def _within_stretch(self, goal: Goal, gates: Cue) -> Cue:
        """The gates, within the stretch that a part before it summed up, if this one names no other time."""
        stretch = read_recount(goal.text, self._now)
        if stretch is not None:
            self._stretch = stretch
            return gates
        read = read_question(goal.text)
        is_free = gates.t0_ns is None and gates.t1_ns is None and not (read.dates or read.when)
        if self._stretch is None or not is_free:
            return gates
        return msgspec.structs.replace(gates, t0_ns=self._stretch.t0_ns, t1_ns=self._stretch.t1_ns)

    def _unfolded(self, goal: Goal, gates: Cue) -> Answer | None:
        """What the spans answer that the parts it refers to rest on; None where they do not either."""
        for place in goal.refers:
            if self.trail.finished[place].verdict != "answered":
                continue
            for item in self.trail.spans(place):
                own = children(self._recall, item, goal.part, gates, CHILDREN)
                self.trail.unfold(place, own)
                within = msgspec.structs.replace(
                    gates,
                    sources=(item.source_id.hex(),),
                    pts0_ns=min(one.pts0_ns for one in own),
                    pts1_ns=max(one.pts1_ns for one in own),
                )
                told = self._ask(goal.part, within)
                if told.verdict == "answered" and self._is_new(goal, told):
                    return told
        return None

    def _take(self, told: Answer) -> None:
        """What a part says of the memory and of its time is the whole answer's too."""
        gaps = (*self._coverage.gaps, *(one for one in told.coverage.gaps if one not in self._coverage.gaps))
        self._coverage = msgspec.structs.replace(told.coverage, gaps=gaps)
        if told.confidence is not None:
            self._confidences.append(told.confidence)
        self._notices |= dict.fromkeys(told.notices)
        self._conflicts |= dict.fromkeys(told.conflicts)
        for name, ms in told.timings_ms.items():
            self._timings_ms[name] = self._timings_ms.get(name, 0.0) + ms

    def _whole(self, goals: Sequence[Goal]) -> Answer:
        draft, said = Draft(), set[str]()
        for place, goal in enumerate(goals):
            one = self.trail.finished[place] if place < len(self.trail.finished) else None
            name = f"the {ORDINALS[place]} part (“{_short(goal.part)}”)"
            if one is None:
                draft.say(f"For {name} {UNREACHED}.")
            elif one.verdict == "not_seen":
                draft.say(f"Of {name} I found nothing.")
            else:
                _say(draft, one, name, said)
        verdict = weakest([one.verdict for one in self.trail.finished], len(goals))
        told = draft.finish(verdict, self._coverage, tuple(self._conflicts))
        return msgspec.structs.replace(
            told,
            timings_ms=dict(self._timings_ms),
            notices=tuple(self._notices),
            confidence=min(self._confidences, default=None),
        )


def _say(draft: Draft, one: Finished, name: str, said: set[str]) -> None:
    """The sentences of a part, without those that a part before it told already, if it has others."""
    own = [sentence for sentence in one.sentences if sentence.text not in (UNSURE, NOT_SEEN)]
    new = [sentence for sentence in own if sentence.text not in said] or own
    if one.verdict == "uncertain":
        draft.say(f"Of {name} I am not sure; this is the nearest that I have.")
    for sentence in new:
        said.add(sentence.text)
        draft.say(sentence.text, *(one.citations[n] for n in sentence.citations))


def _short(part: str) -> str:
    found = plain(re.sub(r"[“”\"]", "'", part)).split()
    return " ".join(found) if len(found) <= PART_WORDS else f"{' '.join(found[:PART_WORDS])}…"


def weakest(verdicts: Sequence[Verdict], parts: int) -> Verdict:
    """The verdict of a whole: answered if all parts are, not seen if none was found, else uncertain.

    A whole that tells something is not "not seen": the part of which nothing was found is named.
    """
    if len(verdicts) == parts and all(one == "answered" for one in verdicts):
        return "answered"
    return "not_seen" if all(one == "not_seen" for one in verdicts) else "uncertain"
