"""The video process, real, with the real encoder, on the demo film and its clips."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

from stream.capture.demo_recipe import SEGMENTS, Card, Clip
from stream.capture.reader import Reading, VideoReader
from stream.capture.settings import CaptureSettings
from stream.messages.media import FINISHED_PTS_NS, MediaCredit, MediaFrame, MediaState
from stream.messages.place_view import place_view
from stream.models import demo_media
from stream.process.clock import RealClock
from stream.wire.sender import Sender
from stream.wire.sockets import Peer, Rejections

pytestmark = [pytest.mark.system, pytest.mark.model]

S = 1_000_000_000
SOURCE = b"test source 1234"

PATIENCE_S = 280.0
"""Longest wait for anything; only a test that fails is as slow."""

WINDOW_LATEST = 2

PATIENT = {"beat_s": 0.2, "backoff_s": 0.1, "trace": True, "silent_s": 60.0, "start_s": 120.0}
"""Of the supervisor: on a machine under load no process is taken for dead that is not."""


class Camera:
    """Capture's side of the wire for one track: the real reader and sampler, against credit.

    In `latest` it keeps the newest frame only, plays in real time, and goes on where it is
    when video comes back; an archive is read again from its mark.
    """

    def __init__(self, run_dir, path, *, policy="lossless", session=0, speed=None, rate_hz=2.0):
        self.peer = Peer(run_dir, "video", Sender("capture-test", RealClock()), Rejections())
        self.path, self.policy, self.session, self.speed = path, policy, session, speed
        self.rate_hz = rate_hz
        self.epoch, self.credit = 0, 0
        self.read = self.sent = self.dropped = 0
        self.done, self.announcing = False, True
        self.frames, self.waiting = None, None
        self.epochs, self.firsts, self.most_credit = [], [], 0
        self.limit_ns, self.newest_ns, self.ends = 2**62, -1, True
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
            t_origin_ns=self.session or None,
            **more,
        )
        self.peer.send(message)

    def take_credit(self):
        for decoded in self.peer.receive(64):
            credit = decoded.message
            assert isinstance(credit, MediaCredit)
            if credit.stream_epoch != self.epoch:
                self.epoch, self.credit, self.announcing = credit.stream_epoch, 0, False
                self.epochs.append(credit.resume_pts_ns)
                self.done = credit.resume_pts_ns == FINISHED_PTS_NS
                self.firsts.append(None)
                if self.frames is None or self.policy == "lossless":
                    self.begin(credit.resume_pts_ns)
            if not self.announcing:  # else it was on its way from a process that is dead
                self.credit += credit.n
                self.most_credit = max(self.most_credit, self.credit)

    def begin(self, after_pts_ns):
        reading = Reading(self.path, 0, "lossless", self.rate_hz, 1280, after_pts_ns)
        reader = VideoReader(reading, CaptureSettings(), RealClock(), lambda *_: None, lambda: None)
        self.frames = iter(()) if self.done else reader.items()
        self.waiting = None
        self.read = self.sent = self.dropped = 0

    def lose(self):
        """Announces its track anew, as capture does when the process that gave it credit is gone."""
        self.announcing, self.credit = True, 0

    def send(self, item):
        self.credit -= 1
        self.sent += 1
        self.newest_ns = item.pts_ns
        if self.firsts[-1] is None:
            self.firsts[-1] = item.pts_ns
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

    def run(self, until=lambda: False, timeout_s=PATIENCE_S):
        """Plays the film to its end; True if it came there, False where `until` ended it."""
        announced = 0.0
        ends_at = time.monotonic() + timeout_s
        while time.monotonic() < ends_at:
            if self.announcing and time.monotonic() - announced > 1.0:
                announced = time.monotonic()
                self.tell("open")
            self.peer.socket.poll(5)
            self.take_credit()
            if until():
                return False
            if self.done:
                return True
            is_playing = self.frames is not None and (self.policy == "latest" or not self.announcing)
            if is_playing and not self.step():
                self.tell("eof", read=self.read, dropped=self.dropped)
                return True
        raise AssertionError("the film did not end in time")

    def step(self):
        """Sends what credit allows; False when everything is sent."""
        while self.credit > 0 or self.policy == "latest":
            if self.waiting is None:
                item = next(self.frames, None)
                if item is None:
                    return self.announcing or not self.ends
                self.waiting = item
                self.read += 1
            if self.policy == "latest" and not self.keep_up():
                return True
            if self.waiting.pts_ns > self.limit_ns:
                return True
            if not self.credit:
                return True
            self.send(self.waiting)
            self.waiting = None
        return True

    def keep_up(self):
        """Live: waits until the frame is due; a newer one that is due replaces it."""
        due = self.began + self.waiting.pts_ns / S / self.speed
        if time.monotonic() < due or self.waiting.pts_ns > self.limit_ns:
            return False
        if not self.credit:
            newer = next(self.frames, None)
            if newer is not None:
                self.read += 1
                self.dropped += 1
                self.waiting = newer.absorb(self.waiting)
                return self.keep_up()
        return True


def is_ended(own, session=0):
    return any(mark.eof and mark.session == session for put, _ in own.commits() for mark in put.marks)


def wait_for_end(own, session=0):
    own.wait_for(lambda: is_ended(own, session), PATIENCE_S)


def test_the_film_is_seen(house, film):
    own = house("encoder", "video", "capture", capture={"rate_hz": 2.0})
    own.open(film)
    own.wait_for(lambda: time.sleep(0.5) or is_ended(own), PATIENCE_S)
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
    assert counters["processed"] == len(frames)
    own.wait_for(lambda: own.source().read == len(frames), 60)  # it is reported once a second
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
    picture = bytes(by_id[coffee.observation_id][thumbnail.part])
    assert (picture[:4], picture[8:12]) == (b"RIFF", b"WEBP")
    assert thumbnail.width_px == 320


def marks_of(own):
    marks = [mark.through_pts_ns for put, _ in own.commits() for mark in put.marks]
    return sorted(set(marks))


def test_killed_processes_give_the_same_observations(house):
    path = demo_media().file("bikes", "bikes.mp4")
    quiet = house("encoder", "video", supervisor=PATIENT, video={"longest_shot_s": 3.0, "places": True})
    assert Camera(quiet.run_dir, path).run()
    wait_for_end(quiet)

    short = {"longest_shot_s": 3.0, "encoder_s": 1.0, "places": True}
    shaken = house("encoder", "video", supervisor=PATIENT, video=short)
    camera = Camera(shaken.run_dir, path)
    camera.limit_ns = 8 * S  # the film's end is held back, or it could be over before it is shaken
    assert not camera.run(until=lambda: len(marks_of(shaken)) >= 2)
    shaken.kill("video")
    shaken.wait_for(lambda: shaken.status()["video"].restarts >= 1)
    camera.lose()
    camera.limit_ns = 9 * S
    assert not camera.run(until=lambda: not camera.announcing and camera.sent >= 1)
    shaken.kill("encoder")
    camera.limit_ns = 2**62
    assert camera.run()
    wait_for_end(shaken)
    assert len(camera.epochs) >= 2
    assert camera.epochs[0] is None
    assert None not in camera.epochs[1:]
    one, other = quiet.observations(), shaken.observations()
    assert one.keys() == other.keys()
    views = sorted((o for o in one.values() if o.kind == "view"), key=lambda o: o.pts0_ns)
    assert len(views) >= 4
    assert len({view.pts0_ns // (2 * S) for view in views}) == len(views)
    for view in views:
        assert len(place_view(view.payload).points()[0]) > 50
        assert view.keys[0].encoder_id == "place-efficientnet-lite0-gem3/1"
    for own_id, observation in one.items():
        assert other[own_id].text == observation.text
        assert other[own_id].payload == observation.payload
        assert (other[own_id].pts0_ns, other[own_id].pts1_ns) == (observation.pts0_ns, observation.pts1_ns)
    assert marks_of(quiet)[-1] == marks_of(shaken)[-1]

    # Announced once more, memory has it to the end, and nothing is sent.
    again = Camera(shaken.run_dir, path)
    assert again.run()
    assert again.epochs == [FINISHED_PTS_NS]
    assert shaken.close() == 0


def one_session(own, kind, session):
    found = [o for o in own.observations(kind).values() if o.session == session]
    return sorted(found, key=lambda o: o.pts0_ns)


def gaps_of(own, session, reason):
    return [o for o in one_session(own, "gap", session) if o.payload["reason"] == reason]


def stale(own):
    return own.status()["video"].counters.get("stale_frames", 0)


def play_live(own, path, session, **more):
    """Plays a film as a camera; every frame read is known to memory, or counted as dropped or stale."""
    stale_before = stale(own)
    camera = Camera(own.run_dir, path, policy="latest", session=session, **more)
    assert camera.run()
    wait_for_end(own, session)
    frames = one_session(own, "frame", session)
    lost = camera.read - len(frames) - camera.dropped
    # Stale frames are those sent before a new epoch was known; the counter comes with the next beat.
    assert lost == 0 or own.wait_for(lambda: stale(own) - stale_before >= lost, 30)
    assert lost >= 0
    assert camera.sent == len(frames) + lost
    return camera


def assert_fresh(own, camera, window):
    """Few frames are on the way at any time, and what is seen is told at once."""
    frames = one_session(own, "frame", camera.session)
    assert all(o.t0_ns == camera.session + o.pts0_ns for o in frames)
    assert camera.most_credit <= window
    # Each frame is told by itself, before the shot that it belongs to is over.
    told, shots = {}, []
    for order, (put, _) in enumerate(own.commits()):
        of_session = [o for o in put.observations if o.session == camera.session]
        assert sum(o.kind == "frame" for o in of_session) <= 1
        told |= {o.pts0_ns: order for o in of_session if o.kind == "frame"}
        shots += [(order, o) for o in of_session if o.kind == "shot"]
    assert shots
    for order, shot in shots:
        assert all(at < order for pts_ns, at in told.items() if shot.pts0_ns <= pts_ns < shot.pts1_ns)


def test_live_frames_are_fresh_and_every_one_is_accounted_for(house):
    """Two frames a second in real time, then far too fast: nothing is uncounted."""
    path = demo_media().file("bikes", "bikes.mp4")
    own = house(
        "encoder", "video", supervisor=PATIENT, video={"text_threads": 1, "window_latest": WINDOW_LATEST}
    )
    session = time.time_ns()
    steady = play_live(own, path, session, speed=1.0)
    assert_fresh(own, steady, WINDOW_LATEST)
    hurried = play_live(own, path, session + 1, speed=40.0, rate_hz=20.0)
    assert hurried.dropped > 0
    assert_fresh(own, hurried, WINDOW_LATEST)


def test_what_a_live_source_loses_by_kills_is_told(house):
    """First the video process is killed, then the camera's capture, which opens another session."""
    path = demo_media().file("bikes", "bikes.mp4")
    own = house(
        "encoder", "video", supervisor=PATIENT, video={"longest_shot_s": 3.0, "gap_s": 0.5, "text": False}
    )
    session = time.time_ns()
    camera = Camera(own.run_dir, path, policy="latest", session=session, speed=1.0)
    # It plays on only once what it showed is known, however slow that is, and does not end by itself.
    camera.limit_ns, camera.ends = 0, False

    def is_shot_open():
        marks = marks_of(own)
        frames = one_session(own, "frame", session)
        if not frames or frames[-1].pts0_ns < camera.newest_ns:
            return False
        camera.limit_ns = camera.newest_ns + S
        return marks and camera.newest_ns > marks[-1] + S

    assert not camera.run(until=is_shot_open)
    own.kill("video")
    camera.lose()
    camera.limit_ns = 2**62
    own.wait_for(lambda: own.status()["video"].restarts >= 1)
    assert not camera.run(until=lambda: not camera.announcing and camera.firsts[-1] is not None)
    own.wait_for(lambda: gaps_of(own, session, "video process restarted"), PATIENCE_S)
    (gap,) = gaps_of(own, session, "video process restarted")
    assert (gap.pts0_ns, gap.pts1_ns) == (camera.epochs[1], camera.firsts[1])
    assert gap.t1_ns == session + gap.pts1_ns

    # That camera is never heard of again.
    later = session + 60 * S
    follower = Camera(own.run_dir, path, session=later)
    follower.tell("open")
    wait_for_end(own, session)
    last_shot = one_session(own, "shot", session)[-1]
    assert last_shot.pts1_ns >= one_session(own, "frame", session)[-1].pts0_ns
    (gap,) = gaps_of(own, session, "capture restarted")
    (end,) = {
        m.through_pts_ns for put, _ in own.commits() for m in put.marks if m.eof and m.session == session
    }
    assert (gap.pts0_ns, gap.t1_ns) == (end, later)
    assert end >= last_shot.pts1_ns - 1
    assert follower.run()
    wait_for_end(own, later)
