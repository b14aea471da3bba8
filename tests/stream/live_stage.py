"""A live capture process over real sockets; memory, perception and the supervisor are played by the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import msgspec

from stream.config import load_config
from stream.messages.control import RoleDrain, SourceOpen, SourceState
from stream.messages.media import MediaAudio, MediaCredit, MediaFrame, MediaPush, MediaState
from stream.process.child import ADDRESS_VARIABLE
from stream.process.surroundings import write_surroundings
from stream.wire.caller import Caller
from stream.wire.parts import blob_part
from tests.stream.capture_stage import Stage

S = 10**9


class LiveStage(Stage):
    """The stage of a live source, which also pays its tracks by itself."""

    def start(self, uri, *, address="", pause=None, settings=None, **more) -> None:
        self.uri, self.paid = str(uri), {}
        environment = {
            f"OMNIRECALL__CAPTURE__{key.upper()}": json.dumps(value)
            for key, value in (settings or {}).items()
        }
        surroundings = self.run_dir / "surroundings.json"
        write_surroundings(surroundings, load_config("live", environment=environment), self.folder / "store")
        arguments = msgspec.to_builtins(SourceOpen(uri=self.uri, policy="latest", **more))
        if pause is not None:
            arguments["pause"] = msgspec.to_builtins(pause)
        command = [sys.executable, "-P", "-m", "stream.process.run", str(os.getpid()), str(surroundings)]
        command += ["stream.capture.live_service:LiveService", "live", "capture-1", json.dumps(arguments)]
        environment = dict(os.environ, OPENBLAS_NUM_THREADS="1")
        if address:
            environment[ADDRESS_VARIABLE] = address
        with (self.folder / "capture.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def turn(self) -> None:
        """As the base does, and grants credit to every track that is announced or has used some."""
        before = len(self.heard)
        super().turn()
        for message in self.heard[before:]:
            if isinstance(message, MediaState) and message.state == "open":
                self.paid[message.media] = message
                self.credit(message.media, 16)
            elif isinstance(message, MediaFrame):
                self.credit("video", 1)
            elif isinstance(message, MediaAudio):
                self.credit("audio", 1)

    def until(self, found, limit_s=120.0):
        """As the base does, with more patience: a process that decodes starts slowly on a busy machine."""
        return super().until(found, limit_s)

    def credit(self, media, n) -> None:
        opened = self.paid[media]
        told = MediaCredit(
            source_id=opened.source_id, session=opened.session, track=opened.track, stream_epoch=7, n=n
        )
        self.listeners[media].send(self.peers[media], told)

    def state(self, state=None) -> SourceState | None:
        """The newest report, if it is of that state."""
        told = self.of(SourceState)
        return told[-1] if told and state in (None, told[-1].state) else None

    def missed(self, media) -> list[MediaState]:
        """What was told to be missed of a track."""
        return [m for m in self.of(MediaState, media=media) if m.gap0_ns is not None]

    def push(self, segment, index, chunk=b"", *, last=False, t_ns=0):
        """Pushes a chunk as the gateway does; gives the answer."""
        message = MediaPush(uri=self.uri, segment=segment, index=index, t_ns=t_ns, last=last)
        with Caller(self.run_dir, "capture-1", "gateway-1") as caller:
            parts = (blob_part("webm", chunk),) if chunk else ()
            return caller.ask(message, parts=parts, timeout_s=10).message

    def tell(self, message) -> None:
        """Says something as the supervisor does."""
        self.listeners["supervisor"].send(self.peers["supervisor"], message)

    def end(self) -> int:
        """Drains the process; gives its exit code."""
        self.tell(RoleDrain(reason="over"))
        ends_s = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < ends_s:
            self.turn()
            time.sleep(0.01)
        return self.process.wait(5)

    def log(self) -> str:
        return (self.folder / "capture.log").read_text()
