"""Questions about now: what live sources perceive, or perceived a moment ago.

A small grammar reads how far back a question looks; memory answers from its short-term store. In a
store that nothing live ever wrote to, words such as "now" mean the time of the chat or film, and the
question is an ordinary one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from reasoning.answer import UNSURE, Draft, not_seen, several_sources, tell, tell_item
from reasoning.evidence import Support, distinct, time_key, weigh
from reasoning.question import KINDS, Question, read_question
from reasoning.settings import ReasoningSettings
from reasoning.verify import judge
from reasoning.when import AMOUNT, position_ns
from reasoning.words import is_past_form, word_set
from stream.messages.answer import Answer
from stream.messages.cue import Cue, Recent
from stream.messages.evidence import Evidence, EvidenceItem

NOW_S = 30.0
"""How far back "now" looks: a shot that still goes on began at most so long ago."""
JUST_S = 90.0
"""How far back "just" and "a moment ago" look."""
AGO_SHARE = 0.5
"""By how much "five minutes ago" may be off, to either side, as a share of it; people round."""
LONGEST_S = 86_400.0

UNWATCHED = "Nothing is being watched now."
PICTURES = ("caption", "shot", "frame")
"""Kinds that tell what was to be seen, the most telling first."""

_NOW = re.compile(
    r"\b(?:(?:right|just)\s+now|now(?!\s+(?:that|and\s+then|on)\b)|currently|presently|at\s+present|"
    r"(?:at|in)\s+(?:the|this)\s+(?:very\s+)?(?:moment|instant|second(?=\s*(?:[?.,!;]|$)))(?!\s+(?:of|when|that|where)\b)|"
    r"this\s+(?:very\s+)?(?:moment|instant|second(?=\s*(?:[?.,!;]|$))|minute))",
    re.I,
)
_NOT_NOW = re.compile(r"\b(?:by|until|till|from|before|up\s+to|since|than|for|every|even)\s+$", re.I)
_A_MOMENT_AGO = re.compile(
    r"\b(?:just\s+)?(?:(?:a|one)\s+(?:moment|second|little\s+while|short\s+while)|moments|seconds)\s+ago\b"
    r"|\bjust\s+(?:now|then)\b",
    re.I,
)
_LAST = re.compile(
    rf"\b(?:(?:in|within|during|over|for)\s+)?the\s+(?:last|past)\s+(?P<a>{AMOUNT})(?!\s+of\b)", re.I
)
_AGO = re.compile(rf"\b(?:about\s+|around\s+)?(?P<a>{AMOUNT})\s+ago\b", re.I)
_JUST = re.compile(r"\bjust\s+(?P<verb>[a-z]+)\b", re.I)
_ASKS = re.compile(
    r"^(?:what|who|whom|which|where|did|has|have|had|is|are|how)\b|\b(?:did|has|have|had)\b", re.I
)
_DID = re.compile(r"\b(?:did|does|do)\b", re.I)
_DONE = word_set("said came went saw told left got took gave heard spoke did fell rang sat stood put")
"""Past forms that are too frequent for `reasoning.words` to count as content."""
_SAYS_WHEN = frozenset(("after", "before", "as", "like", "because", "when", "once", "while"))


class Memory(Protocol):
    """What questions about now need of memory."""

    def recent(self, cue: Cue, k: int, stretch: Recent) -> Evidence:
        """At most `k` items of a stretch that is counted back from now."""
        ...


def read_recent(question: str) -> tuple[Recent | None, str]:
    """How far back a question looks from now, and the question without the words that say so.

    None where it does not speak of now: "just after the cat", "by now", "the last minute of the film".
    """
    for pattern, meaning in _RULES:
        for match in pattern.finditer(question):
            stretch = meaning(match, question)
            if stretch is not None and stretch.from_s <= LONGEST_S:
                kept = match["verb"] if "verb" in match.groupdict() else ""
                rest = f"{question[: match.start()]} {kept} {question[match.end() :]}"
                return stretch, re.sub(r"\s+([?.,!])", r"\1", " ".join(rest.split())).strip(" ,")
    return None, question


def _now(match: re.Match[str], question: str) -> Recent | None:
    return None if _NOT_NOW.search(question[: match.start()]) else Recent(from_s=NOW_S)


def _moment(match: re.Match[str], question: str) -> Recent | None:
    return Recent(from_s=JUST_S)


def _last(match: re.Match[str], question: str) -> Recent | None:
    return Recent(from_s=position_ns(match["a"]) / 1e9)


def _ago(match: re.Match[str], question: str) -> Recent | None:
    ago_s = position_ns(match["a"]) / 1e9
    if ago_s <= NOW_S:
        return Recent(from_s=JUST_S)
    return Recent(from_s=(1 + AGO_SHARE) * ago_s, until_s=(1 - AGO_SHARE) * ago_s)


def _just(match: re.Match[str], question: str) -> Recent | None:
    """As in "what did she just say" and "who just came in"; not "just after", and not "just a cat"."""
    verb = match["verb"].lower()
    if verb in _SAYS_WHEN or not _ASKS.search(question[: match.start()].strip()):
        return None
    is_done = is_past_form(verb) or verb.endswith("ed") or verb in _DONE
    asks_deed = _DID.search(question[: match.start()]) is not None and len(verb) > 2
    return Recent(from_s=JUST_S) if is_done or asks_deed else None


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], Recent | None]], ...] = (
    (_A_MOMENT_AGO, _moment),
    (_NOW, _now),
    (_LAST, _last),
    (_AGO, _ago),
    (_JUST, _just),
)


def answer_recent(
    memory: Memory,
    settings: ReasoningSettings,
    asked: str,
    gates: Cue,
    k: int,
    ordinary: Callable[[], Answer],
) -> Answer:
    """The answer to any question; one about now is answered from what is being watched.

    Args:
        memory: Where evidence comes from.
        settings: Lengths and thresholds.
        asked: The question as it was put.
        gates: What the asker set outright; with a range of time of its own, no question is about now.
        k: Items asked of memory.
        ordinary: Answers it as a question about all there is.
    """
    stretch, rest = read_recent(" ".join(asked[:1000].split()))
    if stretch is None or gates.t0_ns is not None or gates.t1_ns is not None or gates.pts0_ns is not None:
        return ordinary()
    question = read_question(rest)
    cue = msgspec.structs.replace(gates, text=question.content, kinds=gates.kinds or question.kinds)
    evidence = memory.recent(cue, k, stretch)
    if not evidence.watched:
        told = ordinary()
        if told.verdict == "uncertain" and question.open:
            # "What do you see now" names nothing that a film could be searched for.
            told = msgspec.structs.replace(told, verdict="not_seen", sentences=(), citations=(), conflicts=())
        return told if told.verdict != "not_seen" else _with_lead(Draft(), UNWATCHED, told)
    if not any(one.is_watched for one in evidence.watched):
        return _unwatched(evidence, settings, ordinary)
    return _watched(evidence, question, settings, ordinary)


def _with_lead(draft: Draft, lead: str, told: Answer, *cited: EvidenceItem) -> Answer:
    """An answer behind a first sentence."""
    draft.say(lead, *cited)
    for sentence in told.sentences:
        draft.say(sentence.text, *(told.citations[place] for place in sentence.citations))
    done = draft.finish(told.verdict, told.coverage, told.conflicts)
    return msgspec.structs.replace(done, confidence=told.confidence)


def _unwatched(evidence: Evidence, settings: ReasoningSettings, ordinary: Callable[[], Answer]) -> Answer:
    """That nothing is being watched, what was seen last and when; then what is known, where anything is."""
    lead, last = UNWATCHED, evidence.items[-1:]
    if last:
        told = tell_item(last[0], read_question(""), settings, several=True)
        lead = f"{UNWATCHED[:-1]}; the last was: {told[0].lower()}{told[1:]}"
    known = ordinary()
    if known.verdict == "answered":
        return _with_lead(Draft(), lead, known, *last)
    draft = Draft()
    draft.say(lead, *last)
    return draft.finish("not_seen", evidence.coverage)


def _watched(
    evidence: Evidence, question: Question, settings: ReasoningSettings, ordinary: Callable[[], Answer]
) -> Answer:
    items = list(evidence.items)
    if question.open:
        told = _newest(items, question, settings)
        return _listed(told, question, evidence, settings) if told else not_seen(evidence.coverage)
    supports = weigh(question, items, settings.evidence)
    judgement = judge(question, supports, lambda _: items, settings.evidence)
    if judgement.verdict == "answered":
        best = supports[0].value * settings.close_share
        chosen = [s for s in distinct(supports, settings.evidence) if s.value >= best and s.named]
        newest = sorted(chosen or supports[:1], key=lambda s: time_key(s.item))[-settings.sentences :]
        return tell(question, newest, "answered", evidence.coverage, settings)
    if question.names:  # "Where does Anna live now?" is asked of what was told, whoever is watching.
        known = ordinary()
        if known.verdict == "answered":
            return known
    told = _newest(items, question, settings)
    if not told:
        return not_seen(evidence.coverage)
    draft = Draft()
    draft.say(UNSURE)
    return _said(draft, told, question, settings).finish("uncertain", evidence.coverage)


def _newest(
    items: Sequence[EvidenceItem], question: Question, settings: ReasoningSettings
) -> list[EvidenceItem]:
    """Of each source the newest of each sense that may be meant: a picture, the last words, a text."""
    wanted = KINDS[question.sense] or ("utterance", "seen_text", *PICTURES)
    found: list[EvidenceItem] = []
    by_source: dict[tuple[bytes, int], list[EvidenceItem]] = {}
    for item in sorted(items, key=lambda item: (item.t1_ns or item.t0_ns or 0, item.pts1_ns)):
        if item.text and item.kind in wanted:
            by_source.setdefault((item.source_id, item.session), []).append(item)
    for own in by_source.values():
        pictures = [item for item in own if item.kind in PICTURES]
        found += pictures[-1:]
        found += [item for item in own if item.kind == "utterance"][-settings.sentences :]
        texts = [item for item in own if item.kind == "seen_text"]
        found += texts[-1:] if question.sense != "written" else texts[-settings.sentences :]
    return sorted(found, key=time_key)[-settings.listed :]


def _listed(
    told: Sequence[EvidenceItem], question: Question, evidence: Evidence, settings: ReasoningSettings
) -> Answer:
    kept = distinct((_bare(item) for item in reversed(told)), settings.evidence)
    items = sorted((support.item for support in kept), key=time_key)
    return _said(Draft(), items, question, settings).finish("answered", evidence.coverage)


def _said(
    draft: Draft, items: Sequence[EvidenceItem], question: Question, settings: ReasoningSettings
) -> Draft:
    several = several_sources(items)
    for item in items:
        draft.say(tell_item(item, question, settings, several=several), item)
    return draft


def _bare(item: EvidenceItem) -> Support:
    return Support(item=item, named=frozenset(), hinted=frozenset(), dense=0.0, value=item.score)
