"""A memory for tests of perception's processes: durable, and nothing else.

The real one is in the system tests of the whole house.
"""

from __future__ import annotations

import os

import msgpack
import msgspec

from stream.messages.observation import CommitAck, CommitPut, MarkAsk, MarkLast, TrackMark
from stream.process.service import Received, Service


class ToyMemory(Service):
    """Appends every commit to `commits.msgpack`; knows the marks; repeats are harmless."""

    role = "memory"

    def set_up(self) -> None:
        self.path = self.surroundings.store_dir / "commits.msgpack"
        self.marks: dict[tuple[bytes, int, int], TrackMark] = {}
        if self.path.exists():
            with self.path.open("rb") as commits:
                for body, _ in msgpack.Unpacker(commits, max_buffer_size=1 << 30):
                    self._keep(msgspec.convert(body, CommitPut))
        self.on(CommitPut, self._put)
        self.on(MarkAsk, self._mark)
        self.listen("memory")

    def _keep(self, put: CommitPut) -> None:
        for mark in put.marks:
            self.marks[mark.source_id, mark.session, mark.track] = mark

    def _put(self, received: Received) -> None:
        put: CommitPut = received.message
        parts = {part.name: received.part(part.name) for part in received.envelope.parts}
        body = msgspec.to_builtins(put, builtin_types=(bytes,))
        with self.path.open("ab") as commits:
            commits.write(msgpack.packb([body, parts]))
            commits.flush()
            os.fsync(commits.fileno())
        self._keep(put)
        received.reply(CommitAck(outbox_seq=put.outbox_seq, commit_no=1))

    def _mark(self, received: Received) -> None:
        ask: MarkAsk = received.message
        received.reply(MarkLast(mark=self.marks.get((ask.source_id, ask.session, ask.track))))
