"""What was asked before: `answer_asked_before`.

From the exchanges that the store keeps, each cited, and with the evidence that its answer rested on first;
from the turns of the dialogue that it does not keep, without a citation, and the notices say so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from reasoning.answer import Draft, not_seen, plain, tell_item
from reasoning.asking import Asking
from reasoning.dialogue import Exchange
from reasoning.quotes import quoted
from reasoning.words import stem, words
from stream.messages.answer import Answer
from stream.messages.dialogue import EXCHANGE
from stream.messages.evidence import EvidenceItem

FROM_DIALOGUE = "this is from the dialogue, which is kept in memory for a while; it rests on no evidence"
FROM_STORE = "this tells what was asked, and what the answer rested on"
MOST_ASKED = 200
"""Exchanges that memory is asked for at a time where the first of all is wanted: it tells the newest ones."""
LEAST_SHARE = 0.5
"""Of the words that a question is to be about, the share that it must have."""
CLOSE_SHARE = 0.75
"""Of the best share, what a further question must have."""
_ASKING = frozenset(
    ("ask", "question", "answer", "tell", "told", "say", "first", "last", "previou", "earlier")
)
_SEVERAL = re.compile(r"\b(?:questions|answers)\b|\bwhat\s+(?:all\s+)?(?:have|had)\s+(?:i|we)\b", re.I)
_FIRST = re.compile(r"\bfirst\b", re.I)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question that was put, its observation where it is kept, and what its answer cited first."""

    text: str
    share: float
    kept: EvidenceItem | None = None
    cited: EvidenceItem | None = None

    @property
    def t_ns(self) -> int:
        return 2**62 if self.kept is None or self.kept.t0_ns is None else self.kept.t0_ns


def answer_asked_before(asking: Asking, before: Sequence[Exchange]) -> Answer:
    """The questions that are about what is asked for, in order of time.

    Args:
        asking: One that asks what was asked.
        before: The turns so far of its own dialogue.
    """
    question, most = asking.question, asking.settings.listed
    about = [word for word in dict.fromkeys(words(question.content)) if stem(word) in _about(asking)]
    wants_first = _FIRST.search(question.asked) is not None
    is_one = not about and not question.is_timed and not _SEVERAL.search(question.asked)
    # The newest of all is of this dialogue, if anything but the dialogue was asked in it.
    is_here = is_one and not wants_first and any(not turn.question.dialogue for turn in before)
    found = [] if is_here else _in_store(asking, about, wants_first=wants_first)
    found += _in_dialogue(asking, before, frozenset(map(stem, about)), found)
    if not found:
        return not_seen(asking.coverage)
    best = max(one.share for one in found)
    least = max(LEAST_SHARE, CLOSE_SHARE * best)
    fitting = sorted((one for one in found if one.share >= least), key=lambda one: one.t_ns)
    if is_one or wants_first:
        fitting = fitting[:1] if wants_first else fitting[-1:]
    return _told(asking, fitting[-most:])


def names_topic(asking: Asking) -> bool:
    """Whether it is said what the question was about; else only its time tells which is meant."""
    return bool(_about(asking))


def has_asked(asking: Asking) -> bool:
    """Whether the store keeps any question at all."""
    cue = asking.gates
    return asking.memory.dialogue(cue, 1).considered > 0


def _about(asking: Asking) -> frozenset[str]:
    return frozenset(asking.question.key) - _ASKING


def _in_store(asking: Asking, about: Sequence[str], *, wants_first: bool) -> list[_Asked]:
    cue = asking.question.cue(" ".join(about), asking.gates)
    most = MOST_ASKED if wants_first else asking.settings.listed
    items = list(asking.asked(lambda: asking.memory.dialogue(cue, most)))
    older: Sequence[EvidenceItem] = items
    while wants_first and (times := [one.t0_ns or 0 for one in older if one.kind == EXCHANGE]):
        if cue.t1_ns is not None and min(times) >= cue.t1_ns:
            break
        cue = msgspec.structs.replace(cue, t1_ns=min(times))
        older = asking.memory.dialogue(cue, most).items
        items += older
    return [
        _Asked(
            item.text,
            item.score,
            item,
            next(
                (one for one in items if one.level == EXCHANGE and one.span_id == item.observation_id), None
            ),
        )
        for item in items
        if item.kind == EXCHANGE
    ]


def _in_dialogue(
    asking: Asking, before: Sequence[Exchange], about: frozenset[str], found: Sequence[_Asked]
) -> list[_Asked]:
    """The turns of the dialogue that the store does not have, or not yet."""
    known = {one.kept.observation_id for one in found if one.kept is not None}
    told: list[_Asked] = []
    for turn in before:
        is_known = turn.kept is not None and turn.kept.observation_id in known
        if turn.question.dialogue or is_known or not _is_of_the_time(asking, turn.kept):
            continue
        share = len(about & _stems(turn.question.asked)) / len(about) if about else 1.0
        if share:
            text = turn.kept.text if turn.kept is not None else turn.question.asked
            told.append(_Asked(text, share, turn.kept, next(iter(turn.cited), None)))
    return told


def _is_of_the_time(asking: Asking, kept: EvidenceItem | None) -> bool:
    cue = asking.question.cue("", asking.gates)
    if cue.t0_ns is None and cue.t1_ns is None:
        return True
    if kept is None or kept.t0_ns is None:
        return False
    return (cue.t0_ns is None or kept.t0_ns >= cue.t0_ns) and (cue.t1_ns is None or kept.t0_ns < cue.t1_ns)


def _told(asking: Asking, fitting: Sequence[_Asked]) -> Answer:
    draft = Draft()
    for one in fitting:
        said = quoted(f"{plain(one.text).rstrip(' ?')}?")
        if one.kept is None or one.kept.t0_ns is None:
            asking.notices[FROM_DIALOGUE] = None
            draft.say(f"You asked: {said}")
            continue
        asking.notices[FROM_STORE] = None
        at = datetime.fromtimestamp(one.kept.t0_ns / 1e9, asking.now().tzinfo)
        draft.say(f"You asked on {at:%Y-%m-%d} at {at:%H:%M:%S}: {said}", one.kept)
        if one.cited is not None:
            text = tell_item(one.cited, asking.question, asking.settings, several=True)
            draft.say(f"The answer rested on this: {text[0].lower()}{text[1:]}", one.cited)
    return draft.finish("answered", asking.coverage)


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in words(text))
