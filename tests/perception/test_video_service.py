"""The video process, real, with the real encoder, on the demo film and its clips."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

from stream.capture.demo_recipe import SEGMENTS, Card, Clip
from stream.capture.reader import Reading, VideoReader
from stream.capture.settings import CaptureSettings
from stream.messages.media import MediaCredit, MediaFrame, MediaState
from stream.models import demo_media
from stream.process.clock import RealClock
from stream.wire.sender import Sender
from stream.wire.sockets import Peer, Rejections

pytestmark = [pytest.mark.system, pytest.mark.model]

S = 1_000_000_000
SOURCE = b"test source 1234"
DONE = 2**62


class Camera:
    """Capture's side of the wire for one track: the real reader and sampler, against credit.

    In `latest` it keeps the newest frame only and plays in real time.
    """

    def __init__(self, run_dir, path, *, policy="lossless", session=0, speed=None, rate_hz=2.0):
        self.peer = Peer(run_dir, "video", Sender("capture-test", RealClock()), Rejections())
        self.path, self.policy, self.session, self.speed = path, policy, session, speed
        self.rate_hz = rate_hz
        self.epoch, self.credit = 0, 0
        self.read = self.sent = self.dropped = 0
        self.done = False
        self.frames, self.waiting = iter(()), None
        self.epochs = []
        self.began = time.monotonic()

    def tell(self, state, **more):
        message = MediaState(
            source_id=SOURCE,
            session=self.session,
            track=0,
            media="video",
            state=state,
            policy=self.policy,
            stream_epoch=self.epoch,
            **more,
        )
        self.peer.send(message)

    def take_credit(self):
        for decoded in self.peer.receive(64):
            credit = decoded.message
            assert isinstance(credit, MediaCredit)
            if credit.stream_epoch != self.epoch:
                self.epoch, self.credit = credit.stream_epoch, 0
                self.epochs.append(credit.resume_pts_ns)
                self.done = credit.resume_pts_ns == DONE
                reading = Reading(self.path, 0, "lossless", self.rate_hz, 1280, credit.resume_pts_ns)
                reader = VideoReader(reading, CaptureSettings(), RealClock(), lambda *_: None, lambda: None)
                self.frames = iter(()) if self.done else reader.items()
                self.waiting = None
                self.read = self.sent = self.dropped = 0
            self.credit += credit.n

    def send(self, item):
        self.credit -= 1
        self.sent += 1
        message = MediaFrame(
            source_id=SOURCE,
            session=self.session,
            track=0,
            stream_epoch=self.epoch,
            pts_ns=item.pts_ns,
            t_ns=self.session + item.pts_ns if self.session else None,
            width_px=item.width_px,
            height_px=item.height_px,
            why=item.why,
            dropped=item.dropped,
            curve=item.curve,
        )
        self.peer.send(message, [item.part], trace_id=item.trace_id)

    def run(self, until=lambda: False, timeout_s=240.0):
        """Plays the film to its end; True if it came there, False where `until` ended it."""
        announced = 0.0
        ends_at = time.monotonic() + timeout_s
        while time.monotonic() < ends_at:
            if self.epoch == 0 and time.monotonic() - announced > 1.0:
                announced = time.monotonic()
                self.tell("open")
            self.peer.socket.poll(5)
            self.take_credit()
            if until():
                return False
            if self.done:
                return True
            if self.epoch and not self.step():
                self.tell("eof", read=self.read, dropped=self.dropped)
                return True
        raise AssertionError("the film did not end in time")

    def step(self):
        """Sends what credit allows; False when everything is sent."""
        while self.credit > 0 or self.policy == "latest":
            if self.waiting is None:
                item = next(self.frames, None)
                if item is None:
                    return False
                self.waiting = item
                self.read += 1
            if self.policy == "latest" and not self.keep_up():
                return True
            if not self.credit:
                return True
            self.send(self.waiting)
            self.waiting = None
        return True

    def keep_up(self):
        """Live: waits until the frame is due; a newer one that is due replaces it."""
        due = self.began + self.waiting.pts_ns / S / self.speed
        if time.monotonic() < due:
            return False
        if not self.credit:
            newer = next(self.frames, None)
            if newer is not None:
                self.read += 1
                self.dropped += 1
                self.waiting = newer.absorb(self.waiting)
                return self.keep_up()
        return True


def is_ended(own):
    return any(mark.eof for put, _ in own.commits() for mark in put.marks)


def test_the_film_is_seen(house, film):
    own = house("encoder", "video", "capture", capture={"rate_hz": 2.0})
    own.open(film)
    own.wait_for(lambda: time.sleep(0.5) or is_ended(own), 240)
    shots = sorted(own.observations("shot").values(), key=lambda o: o.pts0_ns)
    ends = [shot.pts1_ns / S for shot in shots]
    for segment in SEGMENTS:
        assert min(abs(end - segment.t1_s) for end in ends) < 0.2, segment.name
    for before, after in pairwise(shots):
        assert before.pts1_ns == after.pts0_ns
    # A still picture is one shot: nothing but the two clips has boundaries inside.
    inside = [e for e in ends if not any(abs(e - g.t1_s) < 0.2 for g in SEGMENTS)]
    clips = [g for g in SEGMENTS if isinstance(g.picture, Clip)]
    assert all(any(g.t0_s < e < g.t1_s for g in clips) for e in inside)

    frames = own.observations("frame")
    assert len(frames) >= 2 * SEGMENTS[-1].t1_s
    counters = own.wait_for(lambda: (c := own.status()["video"].counters).get("shots") == len(shots) and c)
    assert counters["processed"] == len(frames) == own.source().read
    assert counters.get("dropped", 0) == 0
    assert counters.get("unexpected", 0) == 0

    texts = sorted(own.observations("seen_text").values(), key=lambda o: o.pts0_ns)
    for segment in SEGMENTS:
        read = " ".join(t.text for t in texts if segment.t0_s - 0.1 <= t.pts0_ns / S < segment.t1_s)
        assert all(line in read.replace("\n", " ") for line in segment.written), segment.name
    cards = [g for g in SEGMENTS if isinstance(g.picture, Card) or g.written]
    for text in texts:
        assert any(g.t0_s <= text.pts0_ns / S < g.t1_s for g in cards) or text.confidence > 0.9

    def shown(name):
        (segment,) = (g for g in SEGMENTS if g.name == name)
        (shot,) = (s for s in shots if abs(s.pts0_ns / S - segment.t0_s) < 0.2)
        return shot

    assert "espresso" in shown("coffee").text
    assert "cat" in shown("cat").text
    by_id = {}
    for put, parts in own.commits():
        for observation in put.observations:
            by_id[observation.observation_id] = parts
    coffee = shown("coffee")
    key = np.frombuffer(by_id[coffee.observation_id][coffee.keys[0].part], "<f4")
    assert key.shape == (1280,)
    assert np.linalg.norm(key) == pytest.approx(1.0, abs=1e-5)
    (thumbnail,) = coffee.media
    assert by_id[coffee.observation_id][thumbnail.part][:2] == b"\xff\xd8"
    assert thumbnail.width_px == 320


def marks_of(own):
    marks = [mark.through_pts_ns for put, _ in own.commits() for mark in put.marks]
    return sorted(set(marks))


def test_killed_processes_give_the_same_observations(house):
    path = demo_media().file("bikes", "bikes.mp4")
    quiet = house("encoder", "video", video={"longest_shot_s": 3.0})
    assert Camera(quiet.run_dir, path).run()
    quiet.wait_for(lambda: is_ended(quiet), 60)

    shaken = house("encoder", "video", video={"longest_shot_s": 3.0, "encoder_s": 1.0})
    camera = Camera(shaken.run_dir, path)
    assert not camera.run(until=lambda: len(marks_of(shaken)) >= 2)
    shaken.kill("video")
    shaken.wait_for(lambda: shaken.status()["video"].restarts == 1)
    camera.epoch = 0  # capture announces its track anew, as it does when credit stops
    assert not camera.run(until=lambda: camera.sent >= 3)
    shaken.kill("encoder")
    assert camera.run()
    shaken.wait_for(lambda: is_ended(shaken), 60)
    assert len(camera.epochs) == 2
    assert camera.epochs[1] is not None
    one, other = quiet.observations(), shaken.observations()
    assert one.keys() == other.keys()
    for own_id, observation in one.items():
        assert other[own_id].text == observation.text
        assert other[own_id].payload == observation.payload
        assert (other[own_id].pts0_ns, other[own_id].pts1_ns) == (observation.pts0_ns, observation.pts1_ns)
    assert marks_of(quiet)[-1] == marks_of(shaken)[-1]

    # Announced once more, memory has it to the end, and nothing is sent.
    again = Camera(shaken.run_dir, path)
    assert again.run()
    assert again.epochs == [DONE]
    assert shaken.close() == 0


def test_live_frames_are_fresh_and_every_one_is_accounted_for(house):
    """Two frames a second in real time, then far too fast: nothing is uncounted."""
    path = demo_media().file("bikes", "bikes.mp4")
    own = house("encoder", "video", video={"text_threads": 1})
    Camera(own.run_dir, path, session=1).run(until=lambda: own.status()["video"].counters.get("processed"))
    session = time.time_ns()
    camera = Camera(own.run_dir, path, policy="latest", session=session, speed=1.0)
    camera.began = time.monotonic()
    ages, looked = [], [0.0]

    def measure():
        if time.monotonic() - looked[0] < 0.1:
            return False
        looked[0] = time.monotonic()
        now = time.time_ns() - session
        newest = [o.pts0_ns for o in own.observations("frame").values() if o.session == session]
        sent = [camera.waiting.pts_ns] if camera.waiting is not None else []
        if newest and sent:
            ages.append((now - max(newest)) / S)
        return False

    assert camera.run(until=measure)
    own.wait_for(
        lambda: any(m.eof and m.session == session for put, _ in own.commits() for m in put.marks), 60
    )
    mine = [o for o in own.observations("frame").values() if o.session == session]
    assert camera.read == len(mine) + camera.dropped
    assert all(o.t0_ns == session + o.pts0_ns for o in mine)
    # A frame every half second: what memory knows is half a second old and its way.
    assert float(np.percentile(ages, 95)) < 1.5
    kinds = {o.kind for o in own.observations().values() if o.session == session}
    assert {"frame", "shot"} <= kinds

    hurried = Camera(own.run_dir, path, policy="latest", session=session + 1, speed=40.0, rate_hz=20.0)
    hurried.began = time.monotonic()
    assert hurried.run()
    own.wait_for(
        lambda: any(m.eof and m.session == session + 1 for put, _ in own.commits() for m in put.marks), 60
    )
    seen = [o for o in own.observations("frame").values() if o.session == session + 1]
    assert hurried.dropped > 0
    assert hurried.read == len(seen) + hurried.dropped
