"""What one question asks of memory, and what memory said on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from reasoning.question import KINDS, Question
from reasoning.settings import ReasoningSettings
from reasoning.words import all_stems
from stream.messages.claims import ClaimsTold
from stream.messages.control import SourceStatus
from stream.messages.cue import Cue, Recent
from stream.messages.evidence import Coverage, Evidence, EvidenceItem
from stream.messages.places import ObjectsAsk, ObjectsTold
from stream.source_names import names_of

Objects = Callable[[ObjectsAsk], ObjectsTold]
"""Asks memory for objects at places; raises errors of `stream.errors`."""

TELLING_KINDS = ("shot", "caption", "seen_text", "utterance")
"""Kinds that a person would tell; what is between two shots is in the shots."""

SEARCH_SPANS_NS = (60_000_000_000, 600_000_000_000)
"""How far from a moment "after" and "before" look: first a minute, then ten."""

MAX_SOURCES = 16
"""Sources that are asked one by one where a question needs each one's length."""

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

    def dialogue(self, cue: Cue, k: int) -> Evidence:
        """At most `k` exchanges that a cue's words are about, and what their answers cited."""
        ...

    def sources(self) -> Sequence[SourceStatus]:
        """What is held, source by source, but what was asked."""
        ...

    def claims(self, cue: Cue) -> ClaimsTold:
        """The slot that the text of a cue asks for, its claims, and the owner's corrections."""
        ...


class Asking:
    """One question put to memory: every operator asks through this.

    Args:
        memory: Where evidence comes from.
        settings: Of the reasoning section.
        question: The question, read.
        gates: What the asker set outright; its text is ignored.
        k: Items asked of memory at a time.
        now: The time of asking, with the zone of who asks.
        objects: Asks memory for objects at places; None where it knows none.

    Attributes:
        coverage: What the last recall reached.
        timings_ms: Milliseconds by stage, summed over recalls.
        notices: What the asker should know, in the order in which it was met.
        told: Those of them that memory gave.
        recounted: Whether what happened in some time is told.
        spelt: Misspelt words of the question, and what memory took them for.
        met: Every item that memory gave, by id.
        encoder_id: Whose keys of texts memory searched with; empty where words alone decided.
        supported: The share of what the question asks for that its evidence was judged to support, 0 to
            1; None where no operator judged it.
    """

    def __init__(
        self,
        memory: Memory,
        settings: ReasoningSettings,
        question: Question,
        gates: Cue,
        k: int,
        now: Callable[[], datetime],
        objects: Objects | None = None,
    ) -> None:
        self.objects = objects
        self.memory = memory
        self.settings = settings
        self.question = question
        self.gates = gates
        self.k = k
        self.now = now
        self.coverage = Coverage()
        self.timings_ms: dict[str, float] = {}
        self.notices: dict[str, None] = {}
        self.told: dict[str, None] = {}
        self.spelt: dict[str, str] = {}
        self.recounted = False
        self.met: dict[bytes, EvidenceItem] = {}
        self.encoder_id = ""
        self.supported: float | None = None

    def recall(self, cue: Cue, k: int) -> list[EvidenceItem]:
        """At most `k` items for a cue, none said by who is left out; raises as memory does."""
        left_out = frozenset(self.question.without)
        items = self.asked(lambda: self.memory.recall(cue, k))
        return [item for item in items if not left_out or left_out.isdisjoint(all_stems(item.speaker))]

    def asked(self, ask: Callable[[], Evidence]) -> list[EvidenceItem]:
        """The items of one ask; its timings, coverage and notices are kept."""
        began_s = time.monotonic()
        evidence = ask()
        self.timings_ms["recall"] = self.timings_ms.get("recall", 0.0) + (time.monotonic() - began_s) * 1e3
        self.timings_ms["recalls"] = self.timings_ms.get("recalls", 0.0) + 1
        for name, ms in evidence.timings_ms.items():
            key = f"memory.{name}"
            self.timings_ms[key] = self.timings_ms.get(key, 0.0) + ms
        self.coverage = evidence.coverage
        self.told |= dict.fromkeys(evidence.notices)
        self.notices |= dict.fromkeys(evidence.notices)
        self.spelt |= evidence.spelt
        self.met |= {item.observation_id: item for item in evidence.items}
        self.encoder_id = evidence.encoder_id or self.encoder_id
        return list(evidence.items)

    def join(self, before: Asking) -> None:
        """Adds what an earlier reading of the same question cost, and what memory said of it."""
        for name, ms in before.timings_ms.items():
            self.timings_ms[name] = self.timings_ms.get(name, 0.0) + ms
        self.notices = before.told | self.notices

    def dated(self, items: Sequence[EvidenceItem]) -> list[EvidenceItem]:
        """Without those that are known to be of another time than the question names.

        Memory leaves out turns of chats alone, and not even those where nothing was said then. A
        time range that the asker set has gone before the dates in the words.
        """
        if self.gates.t0_ns is not None or self.gates.t1_ns is not None:
            return list(items)
        return [item for item in items if self.question.is_dated(item) is not False]

    def recall_when(self, text: str) -> list[EvidenceItem]:
        """Recall in the stretch that the time words name, source by source where they need its length."""
        question = self.question
        k = self.k
        cue = question.cue(text or question.asked, self.gates)
        if not question.when.needs_duration:
            return _standing_at(self.dated(self.recall(cue, k)), question.when.at_ns)
        items: list[EvidenceItem] = []
        # Of a camera the end of its last session alone: it has one for each time that it was switched on.
        newest = {source.source_id: source for source in self.fitting_sources()}
        for source in newest.values():
            start_ns, end_ns = question.when.bounds(length_ns(source) or None)
            bounded = within(cue, source, start_ns, end_ns)
            items += _mostly_within(self.dated(self.recall(bounded, k)), start_ns, end_ns)
        return items

    def probe(self, subject: str) -> Sequence[EvidenceItem]:
        """The best few items for one subject by itself: was it ever met?"""
        # Whether it was ever met: the dates of the question would find turns by their day.
        cue = msgspec.structs.replace(self.question.cue(subject, self.gates), text=subject)
        return self.recall(cue, PROBE_ITEMS)

    def wanted_kinds(self) -> tuple[str, ...]:
        """Kinds that are told beside a moment: of the sense that was asked, if any was."""
        kinds = KINDS[self.question.sense]
        return tuple(kind for kind in TELLING_KINDS if kind in kinds) or TELLING_KINDS

    def fitting_sources(self) -> list[SourceStatus]:
        """The newest sources that the gates allow, sessions of live ones by the wanted time as well."""
        cue = self.question.cue("", self.gates)
        wanted = cue.sources
        fitting = [s for s in self.memory.sources() if not wanted or _is_named(s, wanted)]
        return [source for source in fitting if _may_be_then(source, cue)][-MAX_SOURCES:]

    def reach(self) -> Coverage:
        """How far memory reaches; asked for by itself where no source fitted, so that nothing was asked."""
        if "recalls" not in self.timings_ms:
            self.recall(self.question.cue("", self.gates), 1)
        return self.coverage


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


def within(cue: Cue, source: SourceStatus, start_ns: int | None, end_ns: int | None) -> Cue:
    """A cue for a stretch of one recording, in nanoseconds from its begin; None is an open end.

    A live source has the same id in each session, and each begins at the UTC time that is its number: by
    positions all sessions would be meant.
    """
    sources = (source.source_id.hex(),)
    if not source.session:
        return msgspec.structs.replace(cue, sources=sources, pts0_ns=start_ns, pts1_ns=end_ns)
    reach_ns = length_ns(source) + 1 if end_ns is None else end_ns
    t0_ns, t1_ns = source.session + (start_ns or 0), source.session + reach_ns
    if cue.t0_ns is not None:
        t0_ns = max(t0_ns, cue.t0_ns)
    if cue.t1_ns is not None:
        t1_ns = min(t1_ns, cue.t1_ns)
    return msgspec.structs.replace(cue, sources=sources, t0_ns=t0_ns, t1_ns=max(t0_ns, t1_ns))


def _may_be_then(source: SourceStatus, cue: Cue) -> bool:
    """Whether a source may have something of the time that a cue wants: of a file only memory knows."""
    begun_ns = source.session
    if not begun_ns:
        return True
    is_before_end = cue.t1_ns is None or begun_ns < cue.t1_ns
    return is_before_end and (cue.t0_ns is None or begun_ns + length_ns(source) >= cue.t0_ns)


def length_ns(source: SourceStatus) -> int:
    """How far a source is known to reach, in nanoseconds from its begin."""
    reached = max((track.through_pts_ns or 0 for track in source.tracks), default=0)
    return max(source.duration_ns or 0, reached)


def _is_named(source: SourceStatus, names: Sequence[str]) -> bool:
    known = names_of(source.uri, is_chat=source.kind == "chat") | {source.source_id.hex()}
    return any(name in known for name in names)
