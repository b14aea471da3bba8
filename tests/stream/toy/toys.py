"""Toy roles for tests of the processes themselves; run in real child processes."""

from __future__ import annotations

import os
import time

from stream.errors import SchemaTooNew
from stream.messages.control import EventVoice, StatusAsk, StatusMemory
from stream.messages.observation import CommitAck, CommitPut, MarkAsk, MarkLast, TrackMark
from stream.process.service import Received, Service


class ToyMemory(Service):
    """Acknowledges commits and keeps the numbers it has seen in a file."""

    role = "memory"

    def set_up(self) -> None:
        self.listen("memory")
        self.on(CommitPut, self._put)
        self.on(StatusAsk, self._status)
        self.on(MarkAsk, lambda received: self.lane("q").submit(_too_much, done=received.reply))

    def _put(self, received: Received) -> None:
        with (self.surroundings.store_dir / "seen.txt").open("a") as seen:
            for mark in received.message.marks:
                seen.write(f"{mark.through_pts_ns}\n")
            seen.flush()
            os.fsync(seen.fileno())
        received.reply(CommitAck(outbox_seq=received.message.outbox_seq, commit_no=1))

    def _status(self, received: Received) -> None:
        received.reply(StatusMemory(commit_no=1, schema=1, counts={"pid": os.getpid()}))


class ToyCounter(Service):
    """Commits marks 0, 1, 2 … up to `arguments['n']`, and publishes an event for each."""

    role = "video"

    def set_up(self) -> None:
        self.listen("video")
        self.on(MarkAsk, self._count)

    def _count(self, received: Received) -> None:
        first, last = received.message.session, received.message.track
        for n in range(first, last):
            mark = TrackMark(source_id=b"s" * 16, session=0, track=0, through_pts_ns=n)
            self.commit(CommitPut(outbox_seq=0, marks=(mark,)))
            self.publish(EventVoice(source_id=b"s" * 16, session=0, phase="start", pts_ns=n, t_ns=None))
        received.reply(MarkLast())


class ToyHang(Service):
    """Stops turning its loop when asked."""

    role = "audio"

    def set_up(self) -> None:
        self.listen("audio")
        self.on(StatusAsk, lambda _: time.sleep(3600))


class ToyHopeless(Service):
    """Fails at start with an error that no restart mends."""

    role = "reasoning"

    def set_up(self) -> None:
        raise SchemaTooNew("written by a newer release")


class ToyCrash(Service):
    """Fails at start, always."""

    role = "reasoning"

    def set_up(self) -> None:
        os._exit(3)


def _too_much() -> StatusMemory:
    return StatusMemory(commit_no=1, schema=1, indexes={"x": {"y": ["z" * 1000] * 2000}})
