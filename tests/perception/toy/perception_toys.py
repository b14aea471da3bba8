"""A memory for tests of perception's processes: durable, and nothing else.

The real one is in the system tests of the whole house.
"""

from __future__ import annotations

import os

import msgpack
import msgspec

from stream.messages.control import SourceHeld, SourcesFind, SourcesFound, TrackStatus
from stream.messages.observation import CommitAck, CommitPut, MarkAsk, MarkLast, SourceRecord, TrackMark
from stream.process.service import Received, Service


class ToyMemory(Service):
    """Appends every commit to `commits.msgpack`; knows the marks; repeats are harmless."""

    role = "memory"

    def set_up(self) -> None:
        self.path = self.surroundings.store_dir / "commits.msgpack"
        self.marks: dict[tuple[bytes, int, int], TrackMark] = {}
        self.sources: dict[bytes, SourceRecord] = {}
        if self.path.exists():
            with self.path.open("rb") as commits:
                for body, _ in msgpack.Unpacker(commits, max_buffer_size=1 << 30):
                    self._keep(msgspec.convert(body, CommitPut))
        self.on(CommitPut, self._put)
        self.on(MarkAsk, self._mark)
        self.on(SourcesFind, self._find)
        self.listen("memory")

    def _keep(self, put: CommitPut) -> None:
        for mark in put.marks:
            self.marks[mark.source_id, mark.session, mark.track] = mark
        for source in put.sources:
            if source.session == 0:
                self.sources.setdefault(source.source_id, source)

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

    def _find(self, received: Received) -> None:
        ask: SourcesFind = received.message
        known = [self.sources[source_id] for source_id in ask.source_ids if source_id in self.sources]
        received.reply(SourcesFound(sources=tuple(self._held(source) for source in known)))

    def _held(self, source: SourceRecord) -> SourceHeld:
        marks = {track.track: self.marks.get((source.source_id, 0, track.track)) for track in source.tracks}
        return SourceHeld(
            source_id=source.source_id,
            session=0,
            uris=(source.uri,),
            duration_ns=source.duration_ns,
            tracks=tuple(
                TrackStatus(
                    track=track.track,
                    media=track.media,
                    through_pts_ns=mark.through_pts_ns if (mark := marks[track.track]) else None,
                    eof=mark is not None and mark.eof,
                )
                for track in source.tracks
            ),
            consolidated=False,
            t_origin_ns=source.t_origin_ns,
            t_origin_from=source.t_origin_from,
        )
