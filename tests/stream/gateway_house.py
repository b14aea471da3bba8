"""Faked processes for tests of the gateway: real sockets, made-up answers, and a real gateway before them.

`tests/system/test_gateway.py` runs the same over the real processes.
"""

from __future__ import annotations

import queue
import shutil
import tempfile
import threading
import time
from pathlib import Path

import httpx2
import zmq
from websockets.sync.client import connect

from stream.capture.addresses import source_id_of
from stream.config import Config
from stream.errors import ConfigError, OmniRecallError
from stream.gateway.service import GatewayService
from stream.gateway.settings import GatewaySettings
from stream.messages import Act, Answer, CommitAck, CommitPut, Evidence, EvidenceItem, RecallAsk, Sentence
from stream.messages.control import (
    ErrorReply,
    RoleStatus,
    SourceClose,
    SourceOpen,
    SourcePause,
    SourcesState,
    SourceState,
    StatusAsk,
    StatusMemory,
    StatusRoles,
)
from stream.messages.forget import ForgetAsk, ForgetDone
from stream.messages.log import LogAsk, LogRows
from stream.messages.media import FrameAsk, FrameTold, MediaPush, MediaPushed
from stream.messages.observation import MemoryCommits, MemoryFeed
from stream.messages.people import PeopleAsk, PeopleTold
from stream.messages.places import PlaceDone, PlacePut, PlacesAsk, PlacesTold
from stream.messages.span import TimelineAsk, TimelineSpans
from stream.messages.turn import TurnCancel, TurnFinal, TurnOpen, TurnToken
from stream.messages.watch import AlertsAsk, AlertsTold, WatchDrop, WatchesAsk, WatchesTold, WatchSet
from stream.process.clock import RealClock
from stream.process.surroundings import Surroundings
from stream.wire.bus import BusProxy, Publisher
from stream.wire.endpoints import make_run_dir
from stream.wire.parts import blob_part
from stream.wire.sender import Sender
from stream.wire.sockets import Listener, Rejections

ENDPOINTS = ("supervisor", "memory", "reasoning", "camera")
WAIT_S = 20.0
SOURCE_ID = source_id_of("browser:phone")
BROWSER = SourceState(
    uri="browser:phone", state="reading", source_id=SOURCE_ID, kind="browser", live=True, endpoint="camera"
)
JPEG = b"\xff\xd8\xff\xe0 a picture"


def item(text="the kettle is on", **more):
    told = {
        "observation_id": b"o" * 16,
        "span_id": b"s" * 16,
        "source_id": b"f" * 16,
        "session": 0,
        "uri": "/media/film.mp4",
        "kind": "utterance",
        "level": "event",
        "pts0_ns": 1_000_000_000,
        "pts1_ns": 2_000_000_000,
        "t0_ns": None,
        "t1_ns": None,
        "text": text,
        "thumbnail": "ab/" + "ab" * 16 + ".jpg",
        "source_kind": "file",
    }
    return EvidenceItem(**(told | more))


ANSWER = Answer(
    answer="The kettle is on. It sings.",
    verdict="answered",
    sentences=(Sentence(text="The kettle is on.", citations=(0,)), Sentence(text="It sings.")),
    citations=(item(),),
)
WORDS = ("The kettle ", "is on. ", "It sings.")


class FakeProcesses:
    """Answers on real sockets; every message that came is kept in `got`."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.got: queue.Queue = queue.Queue()
        self.holds = threading.Event()
        self.slow_push = threading.Event()
        self._events: queue.Queue = queue.Queue()
        self._ends = threading.Event()
        self._ready = threading.Event()
        self._held: list = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(WAIT_S)
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join(WAIT_S)

    def publish(self, event):
        self._events.put(event)

    def next(self, kind):
        """The next message of a type that came."""
        while True:
            told = self.got.get(timeout=WAIT_S)
            if isinstance(told, kind):
                return told

    def _serve(self):
        sender, refused = Sender("fake", RealClock()), Rejections()
        listeners = [Listener(self.run_dir, name, sender, refused) for name in ENDPOINTS]
        bus = BusProxy(self.run_dir)
        publisher = Publisher(self.run_dir, sender)
        poller = zmq.Poller()
        for socket in (*(one.socket for one in listeners), bus.front, bus.back):
            poller.register(socket, zmq.POLLIN)
        self._ready.set()
        while not self._ends.is_set():
            poller.poll(10)
            bus.forward()
            while not self._events.empty():
                publisher.publish(self._events.get())
            for listener in listeners:
                for peer, decoded in listener.receive(64):
                    self._take(listener, peer, decoded)
            if not self.holds.is_set():
                for listener, peer, told, reply_to in self._held:
                    listener.send(peer, told, reply_to=reply_to)
                self._held.clear()
        publisher.close()
        bus.close()
        for listener in listeners:
            listener.socket.close(linger=0)

    def _take(self, listener, peer, decoded):
        self.got.put(decoded.message)
        reply_to = decoded.envelope.message_id
        try:
            for told, parts in self.answers(decoded.message):
                if isinstance(told, TurnFinal) and self.holds.is_set():
                    self._held.append((listener, peer, told, reply_to))
                else:
                    listener.send(peer, told, parts, reply_to=reply_to)
        except OmniRecallError as error:
            told = ErrorReply(error=type(error).__name__, message=error.message, remedy=error.remedy)
            listener.send(peer, told, reply_to=reply_to)

    def answers(self, asked):
        """What comes back, with its parts."""
        if isinstance(asked, TurnOpen):
            if asked.question == "fail":
                raise ConfigError("it fails", remedy="ask otherwise")
            at = {"turn_id": asked.turn_id, "turn_epoch": asked.turn_epoch}
            if asked.streams:
                for n, text in enumerate(WORDS):
                    yield TurnToken(**at, index=n, text=text, sentence=int(n == 2)), ()
            yield TurnFinal(**at, answer=ANSWER), ()
        elif isinstance(asked, FrameAsk):
            told = FrameTold(source_id=asked.source_id, session=1, width_px=4, height_px=4)
            yield told, [blob_part("jpeg", JPEG, "jpeg")]
        elif isinstance(asked, MediaPush):
            if not self.slow_push.is_set():
                yield MediaPushed(segment=asked.segment, through_index=asked.index, window=2), ()
        else:
            told = self._plain(asked)
            if told is not None:
                yield told, ()

    def _plain(self, asked):
        if isinstance(asked, TimelineAsk) and asked.counted:
            return TimelineSpans(counts=(3,) * (len(asked.counted) // 2))
        answers = {
            RecallAsk: Evidence(items=(item(),), verdict="found"),
            TimelineAsk: TimelineSpans(),
            PlacesAsk: PlacesTold(),
            PeopleAsk: PeopleTold(),
            MemoryFeed: MemoryCommits(last_commit=7),
            LogAsk: LogRows(),
            ForgetAsk: ForgetDone(counts={"observations": 2}, over=True, verified=True, erasure_id=b"e" * 16),
            WatchesAsk: WatchesTold(),
            WatchSet: WatchesTold(),
            WatchDrop: WatchesTold(),
            AlertsAsk: AlertsTold(),
            SourcePause: SourcesState(sources=(BROWSER,)),
            SourceOpen: BROWSER,
            SourceClose: BROWSER,
            PlacePut: PlaceDone(act=Act(act_id=b"a" * 16, kind="label", t_ns=1), commit_no=8),
        }
        if isinstance(asked, StatusAsk):
            return None
        if isinstance(asked, CommitPut):
            return CommitAck(outbox_seq=asked.outbox_seq, commit_no=8)
        return None if isinstance(asked, TurnCancel) else answers.get(type(asked))


class Fakes(FakeProcesses):
    """As `FakeProcesses`; status depends on who is asked."""

    def _take(self, listener, peer, decoded):
        if isinstance(decoded.message, StatusAsk):
            told = (
                StatusMemory(commit_no=7, schema=1, counts={"observations": 3})
                if listener.endpoint == "memory"
                else StatusRoles(
                    roles=(
                        RoleStatus(
                            role="memory", name="memory", pid=1, state="serving", restarts=0, age_s=1.0,
                            counters={"requests": 5.0},
                        ),
                    ),
                    sources=(BROWSER,),
                    store="/store",
                    ready=True,
                )
            )  # fmt: skip
            listener.send(peer, told, reply_to=decoded.envelope.message_id)
            return
        super()._take(listener, peer, decoded)


class GatewayHouse:
    """A real gateway, in this process, before faked processes."""

    def __init__(self, store_dir: Path, **settings) -> None:
        self.store_dir = store_dir
        store_dir.mkdir(parents=True, exist_ok=True)
        self.settings = GatewaySettings(**({"port": 0, "enabled": True} | settings))
        # A socket's path must be short.
        self._short = tempfile.mkdtemp(prefix="og-", dir="/tmp")
        self.run_dir = Path(self._short) / "o" / "r"
        make_run_dir(self.run_dir)
        self.fakes = Fakes(self.run_dir)

    def __enter__(self):
        self.fakes.__enter__()
        surroundings = Surroundings(
            role="gateway",
            name="gateway",
            store_dir=self.store_dir,
            run_dir=self.run_dir,
            config=Config({}),
            settings=self.settings,
        )
        self.service = GatewayService(surroundings)
        self.service.set_up()
        self.service._gateway.pages.epoch = 0  # So that tests may count from one.
        return self

    def __exit__(self, *_):
        self.drained()
        self.service.close()
        self.fakes.__exit__()
        shutil.rmtree(self._short, ignore_errors=True)

    def drained(self):
        """Has it end in order, as the supervisor does."""
        ends_s = time.monotonic() + WAIT_S
        while not self.service.drain() and time.monotonic() < ends_s:
            time.sleep(0.02)

    @property
    def port(self):
        return self.service._port

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def token(self, identity="owner"):
        return (self.store_dir / "gateway" / f"{identity}.token").read_text().strip()

    def client(self, identity="owner", **more):
        headers = {"authorization": f"Bearer {self.token(identity)}"} if identity else {}
        return httpx2.Client(base_url=self.address, timeout=WAIT_S, headers=headers | more)

    def live(self, identity="owner", **more):
        return connect(
            f"ws://127.0.0.1:{self.port}/api/v1/live",
            subprotocols=["omnirecall.v1", f"token.{self.token(identity)}"],
            open_timeout=WAIT_S,
            **more,
        )
