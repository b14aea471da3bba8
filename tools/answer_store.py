"""Dialogues as a store that the reasoner is asked about, in this process: for measuring answers.

The log, the ledger of claims, keys of meaning, recall and the reasoner are those that ship; no role runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from memory.claims.ledger import told
from memory.claims.view import advance
from memory.recall.candidates import QuestionKey
from memory.settings import MemorySettings
from reasoning.asking import Asking
from reasoning.question import read_question
from reasoning.reasoner import Reasoner, from_evidence
from reasoning.settings import ReasoningSettings
from reasoning.support.confidence import support_of
from reasoning.support.demands import Whose
from stream.capture.turns import Chat
from stream.messages import Answer, ClaimsAsk, ClaimsTold, Cue, Evidence
from stream.messages.control import SourceStatus
from stream.messages.cue import Recent
from tools.chat_stores import ENCODER, ChatStore, Encode, Vectors

KEPT = 64
"""Recalls that are kept."""


def now() -> datetime:
    """When questions are asked: no question of these data says "today"."""
    return datetime(2026, 1, 1, tzinfo=UTC)


class AnswerStore(ChatStore):
    """A store of chats, and what a reasoner needs of memory.

    Args:
        chats: The chats.
        encode: Makes keys, of turns and of questions.
        folder: Of the store; new.
    """

    def __init__(self, chats: Sequence[Chat], encode: Encode, folder: Path) -> None:
        super().__init__(chats, encode, folder, MemorySettings())
        self._encode = encode
        self.memory = AnswerMemory(self)
        with self._store.views() as db:
            while advance(db):
                pass

    def ask(self, question: str, settings: ReasoningSettings) -> Answer:
        """The answer of the reasoner, as `omnirecall ask` gives it."""
        return Reasoner(self.memory, settings, now=now).answer(question, Cue())

    def asking(self, question: str, settings: ReasoningSettings) -> Asking:
        """A question after its evidence was weighed, as the reasoner has it."""
        asking = Asking(self.memory, settings, read_question(question), Cue(), settings.recall_k, now)
        from_evidence(asking, lambda: None)
        return asking

    def features(self, asking: Asking, whose: Sequence[Whose]) -> list[dict[str, float] | None]:
        """What the confidence of a question is made of, by each way of telling of whom a turn is."""
        return [support_of(asking, one) for one in whose]

    def key_of(self, text: str) -> Vectors:
        """The key of a cue, (D,) float32."""
        key: Vectors = self._encode([text])[0]
        return key


class AnswerMemory:
    """As `reasoning.asking.Memory`, of one store, which nothing is added to.

    The last few recalls are kept: a question is put several times, under other settings.

    Args:
        store: Where the answers are.
    """

    def __init__(self, store: AnswerStore) -> None:
        self._store = store
        self._kept: dict[tuple[bytes, int], Evidence] = {}

    def recall(self, cue: Cue, k: int) -> Evidence:
        """As `reasoning.asking.Memory.recall`."""
        asked = (msgspec.msgpack.encode(cue), k)
        if asked not in self._kept:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[asked] = self._recalled(cue, k)
        return self._kept[asked]

    def _recalled(self, cue: Cue, k: int) -> Evidence:
        with self._store.reader.snapshot() as db:
            keys = [QuestionKey("dense", ENCODER, self._store.key_of(cue.text))] if cue.text else []
            return self._store.recall(db, cue, k, keys)

    def claims(self, cue: Cue) -> ClaimsTold:
        """As `reasoning.asking.Memory.claims`."""
        with self._store.reader.snapshot() as db:
            return told(db, ClaimsAsk(cue=cue))

    def digest(self, cue: Cue, k: int) -> Evidence:
        """As `reasoning.asking.Memory.digest`."""
        with self._store.reader.snapshot() as db:
            return self._store.recall.digest(db, cue, k)

    def dialogue(self, cue: Cue, k: int) -> Evidence:
        """None: nothing was asked before."""
        return Evidence()

    def recent(self, cue: Cue, k: int, stretch: Recent) -> Evidence:
        """Nothing: no chat is live."""
        return Evidence()

    def sources(self) -> Sequence[SourceStatus]:
        """None: no question of these needs the length of a source."""
        return ()
