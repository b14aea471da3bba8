"""One question from its words to its answer, given a way to ask memory.

This file knows the order of the steps and nothing of processes: `Memory` is what it
needs, and the service and the tests each give it theirs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol

import msgspec

from reasoning.answer import Draft, moment, not_seen, plain, several_sources, tell, tell_item
from reasoning.claims import tell_claims
from reasoning.corrections import applying, tell_correction
from reasoning.evidence import Support, budgeted, distinct, holds_expected, said_by, stems_of, time_key, weigh
from reasoning.order import Firsts, first_of_each, in_order, tell_no_order
from reasoning.question import KINDS, Beside, Compare, Edge, Question, read_question, without_politeness
from reasoning.recency import answer_recent
from reasoning.recount import Recount, asks_all, read_recount
from reasoning.settings import ReasoningSettings
from reasoning.verify import FORMED, LOOKED_AT, judge
from reasoning.words import all_stems
from stream.messages.answer import Answer
from stream.messages.claims import ClaimsTold
from stream.messages.control import SourceStatus
from stream.messages.cue import Cue, Recent
from stream.messages.evidence import Coverage, Evidence, EvidenceItem
from stream.source_names import names_of

TELLING_KINDS = ("shot", "caption", "seen_text", "utterance")
"""Kinds that a person would tell; what is between two shots is in the shots."""

SEARCH_SPANS_NS = (60_000_000_000, 600_000_000_000)
"""How far from a moment "after" and "before" look: first a minute, then ten."""
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

MAX_SOURCES = 16
"""Sources that are asked one by one where a question needs each one's length."""

LONGEST_DAY_NS = 25 * 3_600_000_000_000
"""A day on which clocks were put back; within one, the hour says when."""

PROBE_ITEMS = 5
"""Items asked for one subject by itself: the best few decide whether it was ever met."""


class Memory(Protocol):
    """What a question needs of memory. All raise errors of `stream.errors`."""

    def recall(self, cue: Cue, k: int) -> Evidence:
        """At most `k` items for a cue."""
        ...

    def recent(self, cue: Cue, k: int, stretch: Recent) -> Evidence:
        """At most `k` items of what live sources perceived in a stretch that is counted back from now."""
        ...

    def digest(self, cue: Cue, k: int) -> Evidence:
        """At most `k` items that tell most of what happened where the gates of a cue say."""
        ...

    def sources(self) -> Sequence[SourceStatus]:
        """What is held, source by source."""
        ...

    def claims(self, cue: Cue) -> ClaimsTold:
        """The slot that the text of a cue asks for, its claims, and the owner's corrections."""
        ...


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
        self._now = now

    def answer(self, asked: str, gates: Cue, k: int = 0) -> Answer:
        """The answer to one question.

        Args:
            asked: The question as it was put.
            gates: What the asker set outright; its text is ignored.
            k: Items asked of memory; 0 for the configured number.

        Raises:
            OmniRecallError: As memory raises; what is not understood is no error.
        """
        began_s = time.monotonic()
        question = read_question(asked)
        self._hop("reasoning.question")
        most = max(k, self._settings.recall_k)
        turn = _Turn(self._memory, self._settings, question, gates, most, self._now)

        def ordinary() -> Answer:
            return turn.answer(asked, lambda: self._hop("reasoning.evidence"))

        answer = answer_recent(self._memory, self._settings, asked, gates, most, ordinary)
        self._hop("reasoning.answer")
        timings = {**turn.timings_ms, "reasoning": (time.monotonic() - began_s) * 1e3}
        timings = {name: round(ms, 3) for name, ms in timings.items()}
        return msgspec.structs.replace(answer, timings_ms=timings, notices=tuple(turn.notices))


class _Turn:
    """The steps of one question, and what memory said on the way."""

    def __init__(
        self,
        memory: Memory,
        settings: ReasoningSettings,
        question: Question,
        gates: Cue,
        k: int,
        now: Callable[[], datetime],
    ) -> None:
        self._memory = memory
        self._settings = settings
        self._question = question
        self._gates = gates
        self._k = k
        self._now = now
        self._coverage = Coverage()
        self.timings_ms: dict[str, float] = {}
        self.notices: dict[str, None] = {}

    def answer(self, asked: str, weighed: Callable[[], None]) -> Answer:
        """The owner's word where it is about this, else a claim that fits, else what evidence gives."""
        settings = self._settings
        told = ClaimsTold()
        if settings.claims or settings.corrections:
            told = self._memory.claims(msgspec.structs.replace(self._gates, text=asked))
        if not settings.corrections:
            told = msgspec.structs.replace(told, corrections=())
        if settings.claims and told.form:
            # For how far the memory reaches, and what it was answered without; the claims answer.
            self._recall(self._question.cue(self._question.content, self._gates), 1)
            weighed()
            answer = tell_claims(self._question, told, self._coverage, settings)
        else:
            answer = self.run(weighed)
        act = applying(asked, told, answer, settings) if told.corrections else None
        return answer if act is None else tell_correction(act, told, answer, self._question, settings)

    def run(self, weighed: Callable[[], None]) -> Answer:
        """The answer from evidence; `weighed` is called when the evidence has been chosen."""
        if self._settings.recounts and (told := self._recount()) is not None:
            weighed()
            return told
        order = self._question.order
        if order is None:
            return self._plain(weighed)
        if isinstance(order, Compare):
            answer = self._compare(order)
        elif isinstance(order, Beside):
            answer = self._beside(order)
        else:
            answer = self._edge(order)
        weighed()
        return answer

    # Plain questions.

    def _plain(self, weighed: Callable[[], None]) -> Answer:
        question, settings = self._question, self._settings
        supports = weigh(question, self._recall_when(question.content), settings.evidence)
        weighed()
        if question.open and (question.when or (question.dates and question.expects == "thing")):
            items = [support.item for support in supports]
            return self._listing([item for item in items if question.is_dated(item)])
        # Whose words are asked for goes before who tells of it, unless they said nothing of the matter.
        supports = said_by(question, supports, settings.evidence) or supports
        judgement = judge(question, supports, self._probe, settings.evidence)
        chosen = self._chosen(supports)
        return tell(question, chosen, judgement.verdict, self._coverage, settings)

    def _chosen(self, supports: Sequence[Support]) -> tuple[Support, ...]:
        """What is told: the best few, among them one of the form asked for if there is any near the top."""
        settings = self._settings
        best = budgeted(
            supports, settings.evidence, limit=settings.sentences, close_share=settings.close_share
        )
        if self._question.expects not in FORMED or any(holds_expected(self._question, s.item) for s in best):
            return best
        formed = [s for s in supports[:LOOKED_AT] if holds_expected(self._question, s.item)]
        return tuple(sorted((*best[: settings.sentences - 1], *formed[:1]), key=lambda s: time_key(s.item)))

    def _listing(self, items: Sequence[EvidenceItem]) -> Answer:
        """What there is in a stretch, in order of time."""
        told = sorted((item for item in items if item.kind in TELLING_KINDS), key=time_key)
        supports = distinct((_bare(item) for item in told), self._settings.evidence)[: self._settings.listed]
        return tell(self._question, supports, "answered", self._coverage, self._settings)

    def _probe(self, subject: str) -> Sequence[EvidenceItem]:
        # Whether it was ever met: the dates of the question would find turns by their day.
        cue = msgspec.structs.replace(self._question.cue(subject, self._gates), text=subject)
        return self._recall(cue, PROBE_ITEMS)

    # What happened in a stretch of time.

    def _recount(self) -> Answer | None:
        """What happened when the question says, told by digests; None where it asks something else."""
        gates = self._gates
        asked = without_politeness(self._question.asked)
        stretch = read_recount(asked, self._now)
        if stretch is None:
            if (gates.t0_ns is None and gates.t1_ns is None) or not asks_all(asked):
                return None
            stretch = Recount(-(2**62), 2**62, "")
        low_ns, high_ns = (
            stretch.t0_ns if gates.t0_ns is None else max(stretch.t0_ns, gates.t0_ns),
            stretch.t1_ns if gates.t1_ns is None else min(stretch.t1_ns, gates.t1_ns),
        )
        cue = msgspec.structs.replace(gates, text="", t0_ns=low_ns, t1_ns=high_ns)
        items = self._asked(lambda: self._memory.digest(cue, self._settings.recounted))
        if not items:
            # A date of the words is then looked for as ever, with its reach.
            return None if self._question.dates else not_seen(self._coverage)
        here = self._now()
        if high_ns > here.timestamp() * 1e9 or any(item.level == "tail" for item in items):
            self.notices["it is not over yet: this is what there is so far"] = None
        draft = Draft()
        several = several_sources(items)
        one_day = high_ns - low_ns <= LONGEST_DAY_NS
        for item in sorted(items, key=time_key):
            told = tell_item(item, self._question, self._settings, several=several)
            if item.t0_ns is not None:
                when = datetime.fromtimestamp(item.t0_ns / 1e9, UTC).astimezone(here.tzinfo)
                at = f"At {when:%H:%M}" if one_day else f"On {when:%Y-%m-%d} at {when:%H:%M}"
                told = tell_item(item, self._question, self._settings, several=False, at=at)
            draft.say(told, item)
        return draft.finish("answered", self._coverage)

    # Order.

    def _compare(self, order: Compare) -> Answer:
        """Which of the options came first or last, by the first time of each one's evidence."""
        firsts = {option: self._firsts_of(option) for option in order.options}
        known = {option: items for option, items in firsts.items() if items}
        if not known:
            return not_seen(self._coverage)
        several = several_sources(item for items in known.values() for item in items)
        met = in_order(known)
        if len(known) < len(firsts) or met is None:
            return self._no_order(firsts, several=several)
        draft = Draft()
        ordered = met if order.wanted == "first" else met[::-1]
        draft.say(_tell_order(order, ordered, several=several), *(item for _, item in ordered))
        for _, item in met:
            draft.say(tell_item(item, self._question, self._settings, several=several), item)
        return draft.finish("answered", self._coverage)

    def _no_order(self, firsts: Firsts, *, several: bool) -> Answer:
        """What is known of each option, where some were not met, or nothing orders them."""
        draft = Draft()
        met = [(option, items[0]) for option, items in firsts.items() if items]
        cited = [item for _, item in met]
        missing = " or ".join(option for option, items in firsts.items() if not items)
        told = "; ".join(f"{option} {moment(item, several=several)}" for option, item in met)
        if missing:
            draft.say(f"I know of {told}, but did not see or hear {missing}.", *cited)
        else:
            draft.say(f"I know of {told}.", *cited)
            everything = [item for items in firsts.values() for item in items]
            draft.say(tell_no_order(everything), *cited)
        return draft.finish("uncertain", self._coverage)

    def _firsts_of(self, option: str) -> list[EvidenceItem]:
        """The earliest evidence in each recording that names an option, or else the likest if like enough."""
        part = read_question(option)
        items = self._dated(self._recall(self._question.cue(option, self._gates), self._k))
        supports = weigh(part, items, self._settings.evidence)
        heads = frozenset(part.subjects or part.key)
        naming = [s for s in supports if heads <= s.named]
        if naming:
            return first_of_each(s.item for s in naming)
        alike = [s for s in supports if s.dense >= self._settings.evidence.alike]
        return [max(alike, key=lambda s: s.dense).item] if alike else []

    def _beside(self, order: Beside) -> Answer:
        """What is just after or before the anchor, in the same source."""
        part = read_question(order.anchor)
        found = self._anchor(part, order.anchor)
        if found is None:
            return not_seen(self._coverage)
        anchor, verdict = found
        draft = Draft()
        near = self._nearest(part, anchor, order.side)
        if not near:
            draft.say(f"That is {moment(anchor, several=False)}; I know of nothing {order.side} it.", anchor)
            return draft.finish("uncertain", self._coverage)
        named = plain(order.anchor) if len(order.anchor.split()) <= MAX_ANCHOR_WORDS else "that"
        lead = f"{order.side} {named} {moment(anchor, several=False)}"
        for item in near:
            told = tell_item(item, self._question, self._settings, several=False, lead=lead)
            draft.say(told, *((anchor, item) if lead else (item,)))
            lead = ""
        return draft.finish(verdict, self._coverage)

    def _anchor(
        self, part: Question, text: str
    ) -> tuple[EvidenceItem, Literal["answered", "uncertain"]] | None:
        """The evidence for the moment that the question starts from, of whatever sense."""
        gates = msgspec.structs.replace(self._question.cue(text, self._gates), kinds=self._gates.kinds)
        supports = weigh(part, self._dated(self._recall(gates, self._k)), self._settings.evidence)
        verdict = judge(part, supports, self._probe, self._settings.evidence).verdict
        if verdict == "not_seen" or not supports:
            return None
        return supports[0].item, verdict

    def _nearest(self, part: Question, anchor: EvidenceItem, side: str) -> list[EvidenceItem]:
        """The items next to the anchor: of each kind that is asked the nearest, in order of time.

        What still shows the anchor itself is not beside it, unless there is nothing else. Of those whose
        words are asked for, where they said anything there.
        """
        sayers = frozenset(self._question.sayers)
        own = self._nearest_by(part, anchor, side, sayers) if sayers else []
        return own or self._nearest_by(part, anchor, side, frozenset())

    def _nearest_by(
        self, part: Question, anchor: EvidenceItem, side: str, sayers: frozenset[str]
    ) -> list[EvidenceItem]:
        is_chat = anchor.source_kind == "chat"
        for span_ns in CHAT_SPANS_NS if is_chat else SEARCH_SPANS_NS:
            items = self._within(anchor, side, span_ns, sayers)
            if not items:
                continue
            found = self._fitting(_apart(items, part, anchor) or items)
            for _ in range(MOST_NARROWED if is_chat else 0):
                nearest_ns = min(_distance_ns(item, anchor, side) for item in found)
                nearer = _apart(self._within(anchor, side, nearest_ns, sayers), part, anchor)
                nearer = [item for item in nearer if _distance_ns(item, anchor, side) < nearest_ns]
                nearer = self._fitting(nearer)
                if not nearer or (any(map(self._fits, found)) and not any(map(self._fits, nearer))):
                    break
                found = nearer
            return self._one_of_each(found, anchor, side)
        return []

    def _within(
        self, anchor: EvidenceItem, side: str, span_ns: int, sayers: frozenset[str]
    ) -> list[EvidenceItem]:
        """What lies so far after or before the anchor in its source; said by `sayers` where there are any."""
        low_ns, high_ns = (
            (anchor.pts0_ns, anchor.pts1_ns + span_ns)
            if side == "after"
            else (anchor.pts0_ns - span_ns, anchor.pts0_ns)
        )
        cue = msgspec.structs.replace(
            self._gates,
            text=self._question.content,
            kinds=self._gates.kinds or self._wanted_kinds(),
            sources=(anchor.source_id.hex(),),
            pts0_ns=low_ns,
            pts1_ns=high_ns,
        )
        items = [item for item in self._recall(cue, self._k) if _is_beside(item, anchor, side)]
        return [item for item in items if not sayers or sayers & all_stems(item.speaker)]

    def _fitting(self, items: Sequence[EvidenceItem]) -> list[EvidenceItem]:
        """Those that name what else the question asks for ("which *animal* comes after …"), if any do."""
        return [item for item in items if self._fits(item)] or list(items)

    def _fits(self, item: EvidenceItem) -> bool:
        return not stems_of(item)[0].isdisjoint((*self._question.wanted, *self._question.key))

    def _wanted_kinds(self) -> tuple[str, ...]:
        """Kinds that are told beside a moment: of the sense that was asked, if any was."""
        kinds = KINDS[self._question.sense]
        return tuple(kind for kind in TELLING_KINDS if kind in kinds) or TELLING_KINDS

    def _one_of_each(
        self, items: Sequence[EvidenceItem], anchor: EvidenceItem, side: str
    ) -> list[EvidenceItem]:
        nearest: dict[str, EvidenceItem] = {}
        ordered = sorted(items, key=lambda item: _distance_ns(item, anchor, side))
        for item in ordered:
            if _distance_ns(item, anchor, side) <= _distance_ns(ordered[0], anchor, side) + BESIDE_NS:
                nearest.setdefault(item.kind, item)
        return sorted(nearest.values(), key=time_key)[: self._settings.sentences]

    def _edge(self, order: Edge) -> Answer:
        """The first or the last thing of a sense, in each source that fits."""
        question = self._question
        kinds = self._gates.kinds or question.kinds or self._wanted_kinds()
        told: list[EvidenceItem] = []
        for source in self._fitting_sources():
            length_ns = _length_ns(source)
            is_chat = source.kind == "chat"  # Its first turns may lie before position 0.
            for span_ns in (*SEARCH_SPANS_NS, length_ns):
                low, high = (
                    (None if is_chat else 0, span_ns)
                    if order.wanted == "first"
                    else (max(0, length_ns - span_ns), length_ns)
                )
                cue = msgspec.structs.replace(
                    self._gates,
                    text=f"{question.content or question.asked} {question.date_words}".strip(),
                    kinds=kinds,
                    sources=(source.source_id.hex(),),
                    pts0_ns=low,
                    pts1_ns=high,
                )
                items = [i for i in self._recall(cue, self._k) if i.session == source.session]
                items = self._naming(self._dated(items))
                if items:
                    pick = min if order.wanted == "first" else max
                    told.append(pick(items, key=lambda item: item.pts0_ns))
                    break
        if not told:
            return not_seen(self._coverage)
        chosen = sorted(told, key=time_key)[: self._settings.listed]
        return tell(question, [_bare(i) for i in chosen], "answered", self._coverage, self._settings)

    def _naming(self, items: Sequence[EvidenceItem]) -> list[EvidenceItem]:
        """Those that name what the question names, if it names anything."""
        required = frozenset(self._question.subjects or self._question.wanted)
        if not required:
            return [item for item in items if item.kind in TELLING_KINDS]
        supports = weigh(self._question, items, self._settings.evidence)
        return [s.item for s in supports if required <= s.named]

    # Asking memory.

    def _recall_when(self, text: str) -> list[EvidenceItem]:
        """Recall in the stretch that the time words name, source by source where they need its length."""
        question = self._question
        k = self._k
        cue = question.cue(text or question.asked, self._gates)
        if not question.when.needs_duration:
            return _standing_at(self._dated(self._recall(cue, k)), question.when.at_ns)
        items: list[EvidenceItem] = []
        for source in self._fitting_sources():
            start_ns, end_ns = question.when.bounds(_length_ns(source) or None)
            bounded = msgspec.structs.replace(
                cue, sources=(source.source_id.hex(),), pts0_ns=start_ns, pts1_ns=end_ns
            )
            items += _mostly_within(self._dated(self._recall(bounded, k)), start_ns, end_ns)
        return items

    def _dated(self, items: Sequence[EvidenceItem]) -> list[EvidenceItem]:
        """Without those that are known to be of another time than the question names.

        Memory leaves out turns of chats alone, and not even those where nothing was said then. A
        time range that the asker set has gone before the dates in the words.
        """
        if self._gates.t0_ns is not None or self._gates.t1_ns is not None:
            return list(items)
        return [item for item in items if self._question.is_dated(item) is not False]

    def _recall(self, cue: Cue, k: int) -> list[EvidenceItem]:
        return self._asked(lambda: self._memory.recall(cue, k))

    def _asked(self, ask: Callable[[], Evidence]) -> list[EvidenceItem]:
        began_s = time.monotonic()
        evidence = ask()
        self.timings_ms["recall"] = self.timings_ms.get("recall", 0.0) + (time.monotonic() - began_s) * 1e3
        self.timings_ms["recalls"] = self.timings_ms.get("recalls", 0.0) + 1
        for name, ms in evidence.timings_ms.items():
            key = f"memory.{name}"
            self.timings_ms[key] = self.timings_ms.get(key, 0.0) + ms
        self._coverage = evidence.coverage
        self.notices |= dict.fromkeys(evidence.notices)
        return list(evidence.items)

    def _fitting_sources(self) -> list[SourceStatus]:
        wanted = self._gates.sources
        fitting = [s for s in self._memory.sources() if not wanted or _is_named(s, wanted)]
        return fitting[-MAX_SOURCES:]


def _bare(item: EvidenceItem) -> Support:
    return Support(item=item, named=frozenset(), hinted=frozenset(), dense=0.0, value=item.score)


def _standing_at(items: list[EvidenceItem], at_ns: int | None) -> list[EvidenceItem]:
    """Those that hold the moment asked for, or all where none does."""
    return [i for i in items if at_ns is not None and i.pts0_ns <= at_ns < i.pts1_ns] or items


def _mostly_within(
    items: Sequence[EvidenceItem], start_ns: int | None, end_ns: int | None
) -> list[EvidenceItem]:
    """The items whose middle lies in the range; all of them where none does."""
    inside = [
        item
        for item in items
        if (start_ns or 0) <= (item.pts0_ns + item.pts1_ns) // 2
        and (end_ns is None or (item.pts0_ns + item.pts1_ns) // 2 <= end_ns)
    ]
    return inside or list(items)


def _tell_order(order: Compare, met: Sequence[tuple[str, EvidenceItem]], *, several: bool) -> str:
    times = [f"{option} {moment(item, several=several)}" for option, item in met]
    if order.claim:
        options = [option for option, _ in met]
        claimed = options.index(order.options[0]) < options.index(order.options[1])
        holds = claimed == (order.claim == "before")
        return f"{'Yes' if holds else 'No'}: {times[0]}, then {', then '.join(times[1:])}."
    if order.wanted == "last":
        return f"Last came {times[0]}; before it {', '.join(times[1:])}."
    return f"First came {times[0]}; then {', then '.join(times[1:])}."


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


def _distance_ns(item: EvidenceItem, anchor: EvidenceItem, side: str) -> int:
    return item.pts0_ns - anchor.pts1_ns if side == "after" else anchor.pts0_ns - item.pts1_ns


def _is_heard(item: EvidenceItem) -> bool:
    return item.kind == "utterance"


def _length_ns(source: SourceStatus) -> int:
    reached = max((track.through_pts_ns or 0 for track in source.tracks), default=0)
    return max(source.duration_ns or 0, reached)


def _is_named(source: SourceStatus, names: Sequence[str]) -> bool:
    known = names_of(source.uri, is_chat=source.kind == "chat") | {source.source_id.hex()}
    return any(name in known for name in names)
