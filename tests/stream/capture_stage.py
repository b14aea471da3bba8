"""What a capture process talks to, played by hand over real sockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import pytest

from stream.config import load_config
from stream.messages.control import (
    ErrorReply,
    RoleBye,
    SourceHeld,
    SourceOpen,
    SourcesFind,
    SourcesFound,
    SourceState,
)
from stream.messages.media import MediaCredit, MediaFrame, MediaState
from stream.messages.observation import CommitAck, CommitPut, MarkAsk, MarkLast, Reject, TrackMark
from stream.process.clock import RealClock
from stream.process.surroundings import write_surroundings
from stream.wire.sender import Sender
from stream.wire.sockets import Listener, Rejections

ENDPOINTS = ("supervisor", "memory", "video", "audio")
EVERY_FRAME = {"OMNIRECALL__CAPTURE__DECODE": "all", "OMNIRECALL__CAPTURE__LEAST_RATE_HZ": "60"}
"""The pictures that are expected here are those of a film of which all are decoded, and never slowed."""


class Stage:
    """Everything that a capture process talks to, played by hand; `heard` is what it said."""

    def __init__(self, folder: Path, run_dir: Path) -> None:
        self.folder, self.run_dir = folder, run_dir
        self.heard: list = []
        self.frames: list[tuple[MediaFrame, np.ndarray]] = []
        self.acknowledges = True
        self.held: tuple[SourceHeld, ...] = ()
        self.failures: list[ErrorReply] = []
        self.rejects: tuple[Reject, ...] = ()
        self.marks: dict[int, TrackMark] = {}
        self.peers: dict[str, object] = {}
        self.me = Sender(f"test-{os.getpid()}", RealClock())
        self.listeners = {
            name: Listener(run_dir, name, self.me, Rejections()) for name in ENDPOINTS
        }  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, uri, policy="lossless", **more) -> None:
        surroundings = self.run_dir / "surroundings.json"
        write_surroundings(surroundings, load_config(environment=EVERY_FRAME), self.folder / "store")
        arguments = msgspec.to_builtins(SourceOpen(uri=str(uri), policy=policy, **more))
        command = [sys.executable, "-P", "-m", "stream.process.run", str(os.getpid()), str(surroundings)]
        command += ["stream.capture.service:CaptureService", "capture", "capture-1", json.dumps(arguments)]
        self.process = subprocess.Popen(command, env=dict(os.environ, OPENBLAS_NUM_THREADS="1"))

    def turn(self) -> None:
        """Hears what has come, and answers as memory does."""
        for name, listener in self.listeners.items():
            for peer, decoded in listener.receive(100):
                self.peers[name] = peer
                message = decoded.message
                self.heard.append(message)
                if isinstance(message, MediaFrame):
                    self.frames.append((message, decoded.array("frame")))
                reply = None
                if isinstance(message, CommitPut) and self.acknowledges:
                    reply = CommitAck(outbox_seq=message.outbox_seq, commit_no=1, rejects=self.rejects)
                elif isinstance(message, MarkAsk):
                    reply = MarkLast(mark=self.marks.get(message.track))
                elif isinstance(message, SourcesFind):
                    reply = self.failures.pop() if self.failures else SourcesFound(sources=self.held)
                if reply is not None:
                    listener.send(peer, reply, reply_to=decoded.envelope.message_id)

    def until(self, found, limit_s=30.0):
        """Turns until `found()` is something; fails after the limit."""
        until_s = time.monotonic() + limit_s
        while time.monotonic() < until_s:
            self.turn()
            result = found()
            if result:
                return result
            time.sleep(0.01)
        pytest.fail(f"waited in vain; heard {[type(message).__name__ for message in self.heard[-20:]]}")

    def turns(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self.turn()
            time.sleep(0.01)

    def of(self, kind, **fields) -> list:
        return [
            message
            for message in self.heard
            if isinstance(message, kind)
            and all(getattr(message, name) == value for name, value in fields.items())
        ]

    def credit(self, opened: MediaState, epoch: int, n: int, resume=None, pid=None, **more) -> None:
        """Grants as the process `pid` (this one if None)."""
        listener = self.listeners[opened.media]
        listener._sender = Sender(f"{opened.media}-{pid or os.getpid()}", RealClock())
        message = MediaCredit(
            source_id=opened.source_id, session=opened.session, track=opened.track, stream_epoch=epoch, n=n,
            resume_pts_ns=resume, **more,
        )  # fmt: skip
        listener.send(self.peers[opened.media], message)

    def mark_end(self, opened: MediaState) -> None:
        self.marks[opened.track] = TrackMark(
            source_id=opened.source_id, session=opened.session, track=opened.track, through_pts_ns=0, eof=True
        )

    def opened(self, media: str) -> MediaState:
        return self.until(lambda: self.of(MediaState, media=media, state="open"))[-1]

    def end(self) -> tuple[SourceState, RoleBye]:
        """Waits for the process to end by itself, well."""
        (bye,) = self.until(lambda: self.of(RoleBye))
        assert self.process.wait(10) == 0
        assert bye.failed == ""
        return self.of(SourceState)[-1], bye


Played = TypeVar("Played", bound=Stage)


@contextmanager
def staged(kind: type[Played], folder: Path, runtime: Path) -> Iterator[Played]:
    """A stage with a runtime folder of its own; its process and its sockets end with the block."""
    run_dir = runtime / f"s{time.monotonic_ns() % 10**9}"
    run_dir.mkdir(mode=0o700)
    played = kind(folder, run_dir)
    try:
        yield played
    finally:
        if played.process is not None and played.process.poll() is None:
            played.process.kill()
            played.process.wait()
        for listener in played.listeners.values():
            listener.close()
