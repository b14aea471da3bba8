"""Dialogues: the last turns of each, so that a question can follow another."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from reasoning.claims import CORRECTION
from reasoning.question import Question
from reasoning.question.follow_up import DialogueTurn
from reasoning.words import all_stems
from stream.messages.answer import Answer
from stream.messages.evidence import EvidenceItem


@dataclass(frozen=True, slots=True)
class Taken:
    """Evidence, without its words, and the stems of these that the question of a turn was given."""

    item: EvidenceItem
    stems: frozenset[str]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question as it was understood, and the evidence that its answer cited first.

    `checked` is what must still be there for the turn to be told of: the first citation, and where that is
    the owner's correction, the first other one too. `rests_on` is the evidence of earlier turns whose
    words the question took: it counts as long as the question is kept, though those turns are not.
    `kept` is the exchange as the store has it, where it has it.
    """

    question: Question
    cited: tuple[EvidenceItem, ...] = ()
    checked: tuple[EvidenceItem, ...] = ()
    rests_on: tuple[Taken, ...] = ()
    kept: EvidenceItem | None = None

    @property
    def turn(self) -> DialogueTurn:
        """For follow-ups: what was told, in the words of the first citation."""
        if not self.cited:
            return DialogueTurn(self.question)
        item = self.cited[0]
        told = item.text.strip()
        if item.kind == "utterance" and item.speaker:
            told = f"{item.speaker} said that {told}"
        return DialogueTurn(self.question, told)


def exchange_of(
    question: Question, answer: Answer, before: Sequence[Exchange] = (), asked: str = ""
) -> Exchange:
    """A turn that is over, with no more of its evidence than follow-ups use.

    Args:
        question: As it was understood.
        answer: What was told.
        before: The turns that it was understood by, the last one last.
        asked: The question as it was put.
    """
    cited = tuple(replace(one, neighbours=()) for one in answer.citations[:1])
    others = [one for one in answer.citations if one.kind != CORRECTION][:1] if cited else []
    checked = {one.observation_id: _wordless(one) for one in (*cited, *others)}
    taken = _taken(question, before[-1], asked) if before else ()
    return Exchange(question, cited, tuple(checked.values()), taken)


def to_check(before: Sequence[Exchange]) -> list[EvidenceItem]:
    """All evidence, each once, that must still be there for some turns to be told of."""
    items = [
        item
        for one in before
        for item in (*one.checked, *(taken.item for taken in one.rests_on), *filter(None, (one.kept,)))
    ]
    return list({item.observation_id: item for item in items}.values())


def _taken(question: Question, last: Exchange, asked: str) -> tuple[Taken, ...]:
    """What of the evidence before is in a question, other than in words that the asker put there."""
    given = all_stems(question.asked) - all_stems(asked)
    known = [(one.item, one.stems) for one in last.rests_on]
    told = all_stems(last.turn.told) - all_stems(last.question.asked)
    known += [(item, told) for item in last.checked]
    return tuple(Taken(item, stems & given) for item, stems in known if stems & given)


def _wordless(item: EvidenceItem) -> EvidenceItem:
    return replace(item, text="", neighbours=())


@dataclass(slots=True)
class _Dialogue:
    used_s: float
    exchanges: deque[Exchange] = field(default_factory=deque)


class Dialogues:
    """The last turns of the dialogues that are going on; safe to use from every thread.

    Args:
        most: Dialogues that are kept; the one that was used least recently goes first.
        turns: Turns that are kept of each.
        idle_s: Seconds without a question after which a dialogue is forgotten.
    """

    def __init__(self, most: int, turns: int, idle_s: float) -> None:
        self._most = most
        self._turns = turns
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._dialogues: OrderedDict[bytes, _Dialogue] = OrderedDict()

    def before(self, dialogue_id: bytes, now_s: float) -> Sequence[Exchange]:
        """The turns so far, the last one last; `now_s` is monotonic. None of what has no id."""
        with self._lock:
            self._forget_idle(now_s)
            known = self._dialogues.get(dialogue_id) if dialogue_id else None
            return tuple(known.exchanges) if known else ()

    def add(
        self,
        dialogue_id: bytes,
        exchange: Exchange,
        now_s: float,
        *,
        begins: bool = False,
        behind: Sequence[Exchange] | None = None,
    ) -> None:
        """Keeps a turn; one without an id belongs to no dialogue.

        Args:
            dialogue_id: Of its dialogue.
            exchange: The turn.
            now_s: Monotonic.
            begins: It is the only one from now on.
            behind: It and these, which are turns of another dialogue, are the only ones from now on.
        """
        with self._lock:
            self._forget_idle(now_s)
            if not dialogue_id:
                return
            if begins or behind is not None:
                self._dialogues.pop(dialogue_id, None)
            dialogue = self._dialogues.setdefault(dialogue_id, _Dialogue(now_s, deque(behind or ())))
            dialogue.used_s = now_s
            dialogue.exchanges.append(exchange)
            while len(dialogue.exchanges) > self._turns:
                dialogue.exchanges.popleft()
            self._dialogues.move_to_end(dialogue_id)
            while len(self._dialogues) > self._most:
                self._dialogues.popitem(last=False)

    def drop(self, dialogue_id: bytes) -> None:
        """Forgets a dialogue: something that it told of is gone."""
        with self._lock:
            self._dialogues.pop(dialogue_id, None)

    def _forget_idle(self, now_s: float) -> None:
        while self._dialogues:
            oldest = next(iter(self._dialogues))
            if now_s - self._dialogues[oldest].used_s <= self._idle_s:
                return
            del self._dialogues[oldest]
