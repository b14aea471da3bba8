"""One turn on its way, and memory as a turn may ask it: in its time, and until it is withdrawn."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from reasoning.claims import CORRECTION
from reasoning.dialogue import Exchange
from reasoning.question import Question
from reasoning.streaming import Tokens
from stream.errors import Cancelled, DeadlineExceeded, Malformed, RoleUnavailable, SourceGone
from stream.messages.act import Act
from stream.messages.claims import ClaimsAsk, ClaimsTold
from stream.messages.control import SourceStatus, StatusAsk, StatusMemory
from stream.messages.cue import Cue, RecallAsk, Recent
from stream.messages.dialogue import DIALOGUE, EXCHANGE
from stream.messages.evidence import Evidence, EvidenceItem
from stream.messages.observation import CommitAck, CommitPut
from stream.messages.places import ObjectsAsk, ObjectsTold, PlacesAsk, PlacesTold
from stream.process.service import Received
from stream.wire.caller import Caller

HELD_ITEMS = 50
"""Of one kind, in the very stretch of one observation, there are not so many."""


@dataclass(eq=False)
class Turn:
    """One question on its way.

    `opened_ns` and `ends_at_ns` are UTC ns; `understood` is the question as it was read, by the turns
    `before`; `withdrawn` is set by a cancel and looked at before each step. `tokens` are the words of its
    answer on their way, where they are wanted.
    """

    received: Received
    ends_at_ns: int
    opened_ns: int
    understood: Question | None = None
    before: Sequence[Exchange] = ()
    withdrawn: threading.Event = field(default_factory=threading.Event)
    tokens: Tokens | None = None


class MemoryCalls:
    """Memory as the reasoner needs it, over one connection that belongs to one thread.

    Args:
        caller: The connection.
        address: Path of memory's socket.
        turn: Whose deadline and withdrawal count.
        timeout_s: The longest wait for one reply.
        hop: Records a hop of the turn's trace.
    """

    def __init__(
        self, caller: Caller, address: Path, turn: Turn, timeout_s: float, hop: Callable[[str], None]
    ) -> None:
        self._caller = caller
        self._address = address
        self._turn = turn
        self._timeout_s = timeout_s
        self._hop = hop
        self.shown: list[tuple[EvidenceItem, ...]] = []
        """What memory gave so far, recall by recall."""

    def recall(self, cue: Cue, k: int) -> Evidence:
        """At most `k` items for a cue.

        Raises:
            RoleUnavailable: If nobody listens at memory's socket.
            DeadlineExceeded: If the turn's time is up, or memory takes too long.
            Cancelled: If the question was withdrawn.
        """
        evidence = self._asked(RecallAsk(cue=cue, k=k))
        self.shown.append(evidence.items)
        return evidence

    def digest(self, cue: Cue, k: int) -> Evidence:
        """What happened where the gates of a cue say; raises as `recall` does."""
        return self._asked(RecallAsk(cue=cue, k=k, unit="digest"))

    def dialogue(self, cue: Cue, k: int) -> Evidence:
        """What was asked that a cue's words are about; raises as `recall` does."""
        return self._asked(RecallAsk(cue=cue, k=k, unit="dialogue"))

    def _asked(self, ask: RecallAsk) -> Evidence:
        left_s = self._left_s()
        self._hop("send recall.ask")
        evidence = self._caller.ask_for(
            Evidence, ask, timeout_s=left_s, trace_id=self._turn.received.trace_id
        )
        self._hop("receive recall.evidence")
        return evidence

    def recent(self, cue: Cue, k: int, stretch: Recent) -> Evidence:
        """What live sources perceived in a stretch that is counted back from now; raises as `recall` does."""
        return self._asked(RecallAsk(cue=cue, k=k, recent=stretch))

    def sources(self) -> Sequence[SourceStatus]:
        """What memory holds, source by source, but what was asked; raises as `recall` does."""
        told = self._caller.ask_for(StatusMemory, StatusAsk(), timeout_s=self._left_s()).sources
        return [source for source in told if source.kind != DIALOGUE]

    def holds(self, item: EvidenceItem) -> bool:
        """Whether a piece of evidence is still there, and was not forgotten; raises as `recall` does.

        The owner's correction is of no source: it is there as long as it stands.
        """
        if item.kind == CORRECTION:
            return any(act.act_id == item.observation_id for act in self.claims(Cue()).corrections)
        cue = Cue(sources=(item.source_id.hex(),), kinds=(item.kind,))
        # A frame begins and ends at once. A camera has the same position in each session, but one time.
        if item.t0_ns is not None:
            ends_ns = max(item.t0_ns if item.t1_ns is None else item.t1_ns, item.t0_ns + 1)
            cue = msgspec.structs.replace(cue, t0_ns=item.t0_ns, t1_ns=ends_ns)
        else:
            ends_ns = max(item.pts1_ns, item.pts0_ns + 1)
            cue = msgspec.structs.replace(cue, pts0_ns=item.pts0_ns, pts1_ns=ends_ns)
        try:
            if item.kind == EXCHANGE:
                items = self.dialogue(cue, HELD_ITEMS).items
            else:
                items = self._asked(RecallAsk(cue=cue, k=HELD_ITEMS)).items
        except SourceGone:
            return False
        return any(one.observation_id == item.observation_id for one in items)

    def labels(self) -> Sequence[str]:
        """The names that the owner gave to places; raises as `recall` does."""
        told = self._caller.ask_for(PlacesTold, PlacesAsk(labels=True), timeout_s=self._left_s())
        return [one.label for one in told.places]

    def objects(self, ask: ObjectsAsk) -> ObjectsTold:
        """Objects at places; raises as `recall` does."""
        return self._caller.ask_for(ObjectsTold, ask, timeout_s=self._left_s())

    def claims(self, cue: Cue) -> ClaimsTold:
        """The slot that a question asks for, and what was put right; raises as `recall` does."""
        return self._caller.ask_for(ClaimsTold, ClaimsAsk(cue=cue), timeout_s=self._left_s())

    def commit(self, act: Act) -> int:
        """The commit that made an act durable; raises as `recall` does, and `Malformed` if it is refused."""
        ack = self._caller.ask_for(CommitAck, CommitPut(outbox_seq=0, acts=(act,)), timeout_s=self._left_s())
        if ack.rejects:
            raise Malformed(f"memory refuses the correction: {ack.rejects[0].reason}")
        return ack.commit_no

    def _left_s(self) -> float:
        if self._turn.withdrawn.is_set():
            raise Cancelled("the question was withdrawn")
        left_s = (self._turn.ends_at_ns - time.time_ns()) / 1e9
        if left_s <= 0:
            raise DeadlineExceeded("the question's time was up before it was answered")
        if not is_listening(self._address):
            raise RoleUnavailable("the memory process is not running", remedy="omnirecall status")
        return min(left_s, self._timeout_s)


def is_listening(address: Path) -> bool:
    """Whether a process accepts connections at a Unix socket.

    A process that was killed leaves its socket file behind; only a connection tells.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(str(address))
        except OSError:
            return False
    return True
