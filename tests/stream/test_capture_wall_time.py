"""A machine that sleeps, or whose clock is set, while a live source is open: its times hold afterwards."""

from __future__ import annotations

import time

import msgspec
import pytest

from stream.capture.live_service import LiveService
from stream.capture.wall_time import Moved, WallTime
from stream.config import load_config
from stream.messages.control import SourceOpen, SourcePause
from stream.messages.media import MediaFrame, MediaPush, MediaState
from stream.messages.observation import CommitPut
from stream.process.clock import RealClock, SimulatedClock
from stream.process.surroundings import Surroundings
from tests.stream.capture_stage import staged
from tests.stream.live_media import recorded
from tests.stream.live_stage import LiveStage, S

URI = "browser:kitchen"


@pytest.mark.parametrize(
    ("slept_s", "set_s", "moved"),
    [
        (0, 0, None),
        (0, 1.5, None),
        (1.5, 0, None),
        (0, 3, Moved("the clock was set")),
        (0, -3, Moved("the clock was set")),
        (3600, 0, Moved("the machine slept", 3600 * S)),
        (3600, 7, Moved("the machine slept", 3600 * S)),
    ],
)
def test_the_times_of_a_session_hold_until_the_machine_slept_or_its_clock_was_set(slept_s, set_s, moved):
    clock = SimulatedClock(start_ns=1_700_000_000 * S)
    wall = WallTime(clock)
    clock.advance_ns(86_400 * S)
    assert wall.moved() is None
    clock.suspend_ns(int(slept_s * S))
    clock.step_ns(int(set_s * S))
    clock.advance_ns(S)
    assert wall.moved() == moved


def test_a_process_that_is_held_up_between_two_times_has_not_slept():
    class HeldUp(SimulatedClock):
        held_up_ns = 0

        def now_ns(self):
            self.advance_ns(self.held_up_ns)
            return super().now_ns()

    clock = HeldUp()
    wall = WallTime(clock)
    clock.held_up_ns = 5 * S
    assert wall.moved() is None


def test_the_clock_of_the_machine_knows_how_long_it_slept():
    clock = RealClock()
    before_ns = clock.asleep_ns()
    assert before_ns > -S
    assert clock.asleep_ns() - before_ns < S


class Awoken(RealClock):
    """The clock of a machine that sleeps, and is set, when a test says so."""

    slept_ns = set_ns = 0

    def now_ns(self):
        return super().now_ns() + self.slept_ns + self.set_ns

    def asleep_ns(self):
        return super().asleep_ns() + self.slept_ns


class InHouse(LiveStage):
    """The stage of a live source that runs in the test's own process, by a clock of the test."""

    def begin(self, clock):
        self.uri, self.paid, self.clock = URI, {}, clock
        config = load_config("live", environment={})
        self.service = LiveService(
            Surroundings(
                role="live",
                name="capture-1",
                store_dir=self.folder / "store",
                run_dir=self.run_dir,
                config=config,
                settings=config.section("capture"),
                clock=clock,
                arguments=msgspec.to_builtins(SourceOpen(uri=URI, policy="latest")),
            )
        )
        self.service.connect("supervisor")
        self.service.set_up()

    def until(self, found, limit_s=15.0):
        """As the base does; nothing has to start here."""
        return super().until(found, limit_s)

    def turn(self):
        super().turn()
        service = self.service
        service._receive_all()
        service._send_due()
        service.idle()

    def push_all(self, segment, chunks):
        for index, chunk in enumerate(chunks):
            told = self.service._input.push(MediaPush(uri=URI, segment=segment, index=index, t_ns=0), chunk)
            assert not told.restart
            self.turns(0.15)  # About as fast as a recorder makes them.

    def records(self):
        return [source for put in self.of(CommitPut) for source in put.sources]


@pytest.fixture
def stage(tmp_path, own_runtime_folder):
    with staged(InHouse, tmp_path, own_runtime_folder) as played:
        played.begin(Awoken())
        try:
            yield played
        finally:
            played.service.close()
            for peer in played.service._peers.values():
                peer.close()
            for listener in played.service._listeners.values():
                listener.close()
            played.service.outbox.close()
            played.service._publisher.close()


@pytest.mark.system
@pytest.mark.parametrize(
    ("slept_s", "set_s", "why"),
    [(3600, 0, "the machine slept"), (0, 500, "the clock was set"), (0, -500, "the clock was set")],
)
def test_a_session_whose_times_are_wrong_ends_with_a_gap_and_another_begins(stage, slept_s, set_s, why):
    stage.push_all(0, recorded(2.0))
    stage.until(lambda: stage.frames and stage.state("reading"))
    (first,) = stage.records()
    stage.clock.slept_ns, stage.clock.set_ns = slept_s * S, set_s * S
    stage.until(lambda: stage.of(MediaState, media="video", state="closed"))
    for media in ("video", "audio"):
        gap = stage.missed(media)[-1]
        assert (gap.session, gap.reason) == (first.session, f"lost: {why}")
        assert gap.gap1_ns - gap.gap0_ns == pytest.approx(slept_s * S, abs=5 * S)
        assert gap.gap1_ns - gap.gap0_ns >= 0.5 * S
    n_frames = len(stage.frames)
    stage.push_all(0, recorded(2.0, seed=2))
    stage.until(lambda: len(stage.frames) > n_frames and stage.state("reading"))
    second = stage.records()[-1]
    assert (second.source_id, second.uri) == (first.source_id, URI)
    assert second.t_origin_ns == second.session != first.session
    frame = stage.frames[-1][0]
    assert frame.session == second.session
    assert abs(frame.t_ns - stage.clock.now_ns()) < 30 * S
    opened = [one.session for one in stage.of(MediaState, state="open")]
    assert set(opened) == {first.session, second.session}
    assert stage.state().opened == 2
    closed = stage.heard.index(stage.of(MediaState, media="video", state="closed")[-1])
    later = [one.session for one in stage.heard[closed:] if isinstance(one, MediaFrame)]
    assert set(later) == {second.session}, "nothing of the old session comes after its end"


@pytest.mark.system
def test_who_paused_a_source_does_not_find_it_open_when_the_machine_wakes(stage):
    chunks = recorded(2.0)
    stage.push_all(0, chunks)
    stage.until(lambda: stage.frames and stage.state("reading"))
    stage.tell(SourcePause(uri=URI, reason="guests"))
    stage.until(lambda: stage.state("paused"))
    stage.clock.slept_ns = 3600 * S
    stage.until(lambda: stage.of(MediaState, media="video", state="closed"))
    stage.turns(1.5)
    stretches = [one for one in stage.missed("video") if one.state == "paused"]
    assert {one.reason for one in stretches} == {"paused by the owner: guests"}
    assert stretches[-1].gap1_ns - stretches[0].gap0_ns == pytest.approx(3600 * S, abs=5 * S)
    assert stage.state("paused").opened == 1
    assert stage.service._input.push(MediaPush(uri=URI, segment=1, index=0, t_ns=0), chunks[0]).paused


@pytest.mark.system
def test_a_session_goes_on_while_its_times_hold(stage):
    stage.push_all(0, recorded(2.0))
    stage.until(lambda: stage.frames and stage.state("reading"))
    stage.clock.set_ns = S
    ends_s = time.monotonic() + 0.5
    while time.monotonic() < ends_s:
        stage.turns(0.1)
    assert len(stage.records()) == 1
    assert not stage.of(MediaState, state="closed")
