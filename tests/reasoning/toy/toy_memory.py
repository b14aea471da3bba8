"""A memory for tests of reasoning: one item of evidence, slow when asked to be; and what was put."""

from __future__ import annotations

import time

import msgspec

from stream.messages import ClaimsAsk, ClaimsTold, CommitAck, CommitPut, Evidence, EvidenceItem, RecallAsk
from stream.messages.places import PlacesAsk, PlacesTold
from stream.process.service import Received, Service


class ToyMemory(Service):
    """Answers every recall with one utterance; a cue with the word "slow" takes two seconds."""

    role = "memory"

    def set_up(self) -> None:
        self.asked: list[EvidenceItem] = []
        self.listen("memory")
        self.on(RecallAsk, self._recall)
        self.on(ClaimsAsk, lambda received: received.reply(ClaimsTold()))
        self.on(PlacesAsk, lambda received: received.reply(PlacesTold()))
        self.on(CommitPut, self._commit)

    def _commit(self, received: Received) -> None:
        """Counts citations, which its beats tell, and acknowledges."""
        put: CommitPut = received.message
        self.metrics.count("cited", sum(len(one.cited) for one in put.citations))
        for one in put.observations:
            kept = msgspec.structs.replace(
                evidence().items[0], observation_id=one.observation_id, kind=one.kind, text=one.text
            )
            self.asked.append(kept)
        received.reply(CommitAck(outbox_seq=put.outbox_seq, commit_no=1))

    def _recall(self, received: Received) -> None:
        asked: RecallAsk = received.message
        if asked.unit == "dialogue":
            received.reply(Evidence(items=tuple(self.asked), verdict="found"))
        else:
            self.lane("queries", threads=4).submit(evidence, asked.cue.text, done=received.reply)


def evidence(question: str = "") -> Evidence:
    if "slow" in question:
        time.sleep(2.0)
    item = EvidenceItem(
        observation_id=b"o" * 16,
        span_id=b"",
        source_id=b"s" * 16,
        session=0,
        uri="/films/a.mp4",
        kind="utterance",
        level="event",
        pts0_ns=3_000_000_000,
        pts1_ns=5_000_000_000,
        t0_ns=None,
        t1_ns=None,
        text="The rent is due on Friday, slow or not.",
        grounding={"dense": 0.7},
    )
    return Evidence(items=(item,), verdict="found")
