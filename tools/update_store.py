"""A store that told things stream into, and questions put to it, in this process: for measuring updates.

The log, the ledger of claims, recall by words and the reasoner are those that ship; no role runs, and no
keys of meaning are made, since a question that claims answer needs none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from memory.claims.ledger import told
from memory.claims.view import advance
from memory.keys.index import IndexShelf
from memory.log.reader import LogReader
from memory.log.store import LogStore, PutItem
from memory.recall.pipeline import Recall
from memory.settings import MemorySettings
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from stream.messages import (
    Act,
    Answer,
    ClaimsAsk,
    ClaimsTold,
    CommitPut,
    Cue,
    Evidence,
    Observation,
    SourceRecord,
    TrackRecord,
    observation_id,
)
from stream.messages.control import SourceStatus
from stream.messages.cue import Recent

S_NS = 1_000_000_000
DAY_NS = 86_400 * S_NS
FIRST_NS = 1_735_855_200 * S_NS
"""When the first thing is told: 2 January 2025, 22:00 UTC."""


class Told(msgspec.Struct, frozen=True):
    """One turn: who says it (empty: nobody known), and when, in days from the first."""

    text: str
    speaker: str = ""
    day: float = 0.0


class UpdateStore:
    """A store, its reasoner, and what a reasoner needs of memory.

    Args:
        folder: Of the store; new.
        settings: Of the reasoner.
    """

    def __init__(self, folder: Path, settings: ReasoningSettings | None = None) -> None:
        self._store = LogStore(folder)
        self._reader = LogReader(folder)
        self._recall = Recall(IndexShelf(folder / "views"), MemorySettings().recall)
        self.reasoner = Reasoner(self, settings or ReasoningSettings())
        self.line_of: dict[bytes, int] = {}
        self._counts: dict[str, int] = {}
        self._seq = 0

    def close(self) -> None:
        """Lets go of the files."""
        self._reader.close()
        self._store.close()

    def tell(self, source: str, turns: Sequence[Told]) -> int:
        """Commits turns of a chat, and brings the ledger up to them; the number of the commit."""
        source_id = hashlib.blake2b(source.encode(), digest_size=16).digest()
        first = self._counts.get(source, 0)
        made = []
        for number, turn in enumerate(turns, start=first):
            pts_ns = int(turn.day * DAY_NS) + number * S_NS
            one = Observation(
                observation_id=observation_id(source_id, 0, "utterance", "told", pts_ns, number),
                source_id=source_id,
                session=0,
                track=0,
                kind="utterance",
                producer_id="told",
                pts0_ns=pts_ns,
                pts1_ns=pts_ns + S_NS // 2,
                t0_ns=FIRST_NS + pts_ns,
                t1_ns=FIRST_NS + pts_ns + S_NS // 2,
                text=turn.text,
                language="en",
                speaker=turn.speaker,
            )
            made.append(one)
            self.line_of[one.observation_id] = number
        record = SourceRecord(
            source_id=source_id,
            session=0,
            kind="chat",
            uri=f"/told/{source}",
            t_origin_ns=FIRST_NS,
            t_origin_from="owner",
            time_zone="UTC",
            tracks=(TrackRecord(track=0, media="text"),),
        )
        self._counts[source] = first + len(turns)
        return self._put(sources=() if first else (record,), observations=tuple(made))

    def commit(self, act: Act) -> int:
        """Makes an act durable, as `reasoning.corrections.Corrected.commit`."""
        return self._put(acts=(act,))

    def _put(self, **what: Any) -> int:
        self._seq += 1
        (ack,) = self._store.commit([PutItem("eval", CommitPut(outbox_seq=self._seq, **what), {})])
        assert not ack.rejects, ack.rejects
        with self._store.views() as db:
            while advance(db):
                pass
        return ack.commit_no

    def ask(self, question: str, source: str = "", **gates: Any) -> Answer:
        """The answer of the reasoner."""
        sources = (f"/told/{source}",) if source else ()
        return self.reasoner.answer(question, Cue(sources=sources, **gates))

    # What a reasoner needs.

    def recall(self, cue: Cue, k: int) -> Evidence:
        """As `reasoning.asking.Memory.recall`, by words."""
        with self._reader.snapshot() as db:
            return self._recall(db, cue, k, [])

    def claims(self, cue: Cue) -> ClaimsTold:
        """As `reasoning.asking.Memory.claims`."""
        with self._reader.snapshot() as db:
            return told(db, ClaimsAsk(cue=cue))

    def digest(self, cue: Cue, k: int) -> Evidence:
        """Nothing: no question is for a stretch of time."""
        return Evidence()

    def dialogue(self, cue: Cue, k: int) -> Evidence:
        """None: nothing was asked before."""
        return Evidence()

    def recent(self, cue: Cue, k: int, stretch: Recent) -> Evidence:
        """Nothing: no chat is live."""
        return Evidence()

    def sources(self) -> Sequence[SourceStatus]:
        """None: no question of these needs the length of a source."""
        return ()

    def counts(self) -> dict[str, int]:
        """Claims, and how many of them were superseded."""
        with self._reader.snapshot() as db:
            row = db.execute("SELECT COUNT(*), COUNT(superseded_by) FROM claim").fetchone()
        return {"claims": int(row[0]), "superseded": int(row[1])}

    def claims_of(self, question: str) -> str:
        """The value that the ledger has for a question; empty where it has none."""
        found = self.claims(Cue(text=question)).now
        return found[0].value if found else ""

    def superseded(self) -> list[str]:
        """What superseded what, in words."""
        with self._reader.snapshot() as db:
            rows = db.execute(
                "SELECT c.about, c.relation, c.value, d.value FROM claim AS c JOIN claim AS d"
                " ON d.claim_id = c.superseded_by ORDER BY c.about, c.relation, c.valid_from_ns"
            ).fetchall()
        return [f"{about} | {relation} | {old} -> {new}" for about, relation, old, new in rows]
