"""A store that is there already, asked in this process as the roles would ask it; for measuring.

Recall, claims and the reasoner are those that ship. Nothing is written, and no role runs: a question
costs what it costs them, without the wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from memory.claims.ledger import told
from memory.log.reader import LogReader
from memory.log.status import status_of
from memory.recall.candidates import QuestionKey
from memory.recall.pipeline import Recall
from memory.recall.spelling import with_spelling
from reasoning.asking import Asking
from reasoning.operators.plain import ranked
from reasoning.question import read_question
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from stream.known_words import respell
from stream.messages import Answer, ClaimsAsk, ClaimsTold, Cue, Evidence, EvidenceItem
from stream.messages.control import SourceStatus
from stream.messages.cue import Recent
from tools.chat_stores import Encode, PlainSearch, Vectors


class Perceived(NamedTuple):
    """One observation with words, for the plain searches."""

    observation_id: bytes
    text: str


class AskedStore:
    """What a reasoner needs of memory, over the files of a store.

    Args:
        reader: The store.
        recall: Its recall.
        encode: Makes the keys of questions.
        encoder_id: Under which the keys of texts lie in the store; empty for the one they have.
        settings: Of the reasoner.
    """

    def __init__(
        self,
        reader: LogReader,
        recall: Recall,
        encode: Encode,
        encoder_id: str = "",
        settings: ReasoningSettings | None = None,
    ) -> None:
        self.reader, self._recall, self._encode = reader, recall, encode
        self.settings = settings or ReasoningSettings()
        self.reasoner = Reasoner(self, self.settings)
        with reader.snapshot() as db:
            found = db.execute("SELECT encoder_id FROM key WHERE kind IN ('transcript', 'caption') LIMIT 1")
            self._encoder_id = encoder_id or str((found.fetchone() or ("",))[0])

    def ask(self, question: str, sources: tuple[str, ...] = ()) -> Answer:
        """The answer of the reasoner."""
        return self.reasoner.answer(question, Cue(sources=sources))

    def on_top(self, question: str, answer: Answer, sources: tuple[str, ...] = ()) -> EvidenceItem | None:
        """The evidence that an answer rests on: the best of a plain question, else what it cites first."""
        with self.reader.snapshot() as db:
            question = respell(question, self._recall.respelt(db, Cue(text=question)))
        read = read_question(question)
        asking = Asking(
            self, self.settings, read, Cue(sources=sources), self.settings.recall_k, self.reasoner.now
        )
        if read.order is None and answer.citations and not self.claims(Cue(text=question)).form:
            cited = {item.observation_id for item in answer.citations}
            best = [one.item for one in ranked(asking) if one.item.observation_id in cited]
            return best[0] if best else answer.citations[0]
        return answer.citations[0] if answer.citations else None

    def plain_search(self) -> tuple[list[Perceived], PlainSearch]:
        """All that the store has in words, and plain searches over it: what is searched as it is told."""
        with self.reader.snapshot() as db:
            rows = db.execute(
                "SELECT observation_id, text, speaker FROM observation WHERE text <> '' AND kind <> 'frame'"
                " ORDER BY n"
            ).fetchall()
        every = [Perceived(one, f"{speaker}: {text}" if speaker else text) for one, text, speaker in rows]
        texts = [one.text for one in every]
        return every, PlainSearch(texts, self._encode(texts))

    def key(self, text: str) -> Vectors:
        """The key of one text."""
        key: Vectors = self._encode([text])[0]
        return key

    # What a reasoner needs.

    def recall(self, cue: Cue, k: int) -> Evidence:
        """As `reasoning.asking.Memory.recall`."""
        with self.reader.snapshot() as db:
            spelt = self._recall.respelt(db, cue)
            cue = msgspec.structs.replace(cue, text=respell(cue.text, spelt))
            keys = [QuestionKey("dense", self._encoder_id, self.key(cue.text))] if cue.text else []
            evidence = self._recall(db, cue, k, keys)
        return with_spelling(evidence, spelt) if spelt else evidence

    def digest(self, cue: Cue, k: int) -> Evidence:
        """As `reasoning.asking.Memory.digest`."""
        with self.reader.snapshot() as db:
            return self._recall.digest(db, cue, k)

    def claims(self, cue: Cue) -> ClaimsTold:
        """As `reasoning.asking.Memory.claims`."""
        with self.reader.snapshot() as db:
            return told(db, ClaimsAsk(cue=cue))

    def dialogue(self, cue: Cue, k: int) -> Evidence:
        """None: nothing was asked before."""
        return Evidence()

    def recent(self, cue: Cue, k: int, stretch: Recent) -> Evidence:
        """Nothing: nothing is being watched."""
        return Evidence()

    def sources(self) -> Sequence[SourceStatus]:
        """As `reasoning.asking.Memory.sources`."""
        with self.reader.snapshot() as db:
            return status_of(db, self.reader.path.parent, {}, 0).sources
