"""Clips on memory's demand: made once, told until settled, lost with a reason, nothing left in the spool."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from stream.capture.file import chunks, frames
from stream.capture.live_clip import hash_of
from stream.capture.live_clips import MOST_WANTED, LiveClips
from stream.capture.settings import CaptureSettings
from stream.capture.track import Origin
from stream.messages.media import ClipHeld, ClipMade, ClipSettled, ClipWant
from tests.stream.capture_clips import OPEN_GOP, pan, tone, write_clip

S = 1_000_000_000


class Hands:
    """A process around `LiveClips`: its lane works at once, what it sends is kept."""

    name = "capture-abc"

    def __init__(self, folder):
        self.surroundings = SimpleNamespace(spool_dir=folder / "spool")
        self.counts, self.gauges, self.warnings = {}, {}, []
        self.metrics = SimpleNamespace(
            count=lambda name, n=1: self.counts.update({name: self.counts.get(name, 0) + n}),
            gauge=lambda name, value: self.gauges.update({name: value}),
        )
        self.log = SimpleNamespace(warning=lambda name, **_: self.warnings.append(name))
        self.functions, self.sent = {}, []

    def connect(self, endpoint):
        assert endpoint == "memory"
        return SimpleNamespace(send=lambda message: self.sent.append(message))

    def on(self, kind, function):
        self.functions[kind] = function

    def lane(self, _):
        return self

    def submit(self, run, *arguments, done, failed):
        try:
            result = run(*arguments)
        except Exception as error:
            failed(error)
        else:
            done(result)

    def tell(self, message):
        self.functions[type(message)](SimpleNamespace(message=message))

    def told(self, kind):
        found = [one for one in self.sent if isinstance(one, kind)]
        self.sent = [one for one in self.sent if not isinstance(one, kind)]
        return found


ORIGIN = Origin(b"s" * 16, 5, "/dev/cam", "latest", 5, None)


def want(t0_s, t1_s, source_id=b"s" * 16):
    return ClipWant(source_id=source_id, session=5, pts0_ns=int(t0_s * S), pts1_ns=int(t1_s * S))


def settled(t0_s, t1_s, **more):
    return ClipSettled(source_id=b"s" * 16, session=5, pts0_ns=int(t0_s * S), pts1_ns=int(t1_s * S), **more)


@pytest.fixture
def hands(tmp_path):
    return Hands(tmp_path)


@pytest.fixture
def film(tmp_path):
    sound = [(0, tone(6 * 16_000))]
    return write_clip(tmp_path / "a.mp4", pan(150), options=OPEN_GOP, sound=sound)


def begun(hands, film=None, **settings):
    """The clips of a camera; of a film that was watched to its end, where one is given."""
    clips = LiveClips(hands, ORIGIN, {0: "video", 1: "audio"}, CaptureSettings(**settings))
    if film is not None:
        taps = clips.tap(0), clips.tap(1)
        for read, track in ((frames, 0), (chunks, 1)):
            for _ in read(film, track, tap=taps[track]):
                pass
            taps[track].end()
    return clips


def turn(clips, now_ns):
    """What was made in one turn of the loop is told in the next."""
    clips.turn(now_ns)
    clips.turn(now_ns + 1)


def test_a_clip_is_made_told_until_it_is_settled_and_then_gone(hands, film):
    clips = begun(hands, film)
    hands.tell(want(2, 4))
    turn(clips, S)
    (made,) = hands.told(ClipMade)
    assert (made.pts0_ns, made.pts1_ns, made.lost) == (2 * S, 4 * S, "")
    path = Path(made.path)
    assert path.parent.name == f"capture-abc-{os.getpid()}"
    with path.open("rb") as file:
        assert hash_of(file) == made.content_hash
    assert path.stat().st_size == made.n_bytes
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).key_frame
    clips.turn(2 * S)
    assert hands.told(ClipMade) == [], "not yet again"
    clips.turn(5 * S)
    assert hands.told(ClipMade) == [made], "nobody has settled it"
    hands.tell(want(2, 4))
    clips.turn(5 * S + 1)
    assert hands.told(ClipMade) == [made], "memory asks anew: it was not heard"
    hands.tell(settled(2, 4, kept=True))
    assert not path.exists()
    clips.turn(60 * S)
    assert hands.told(ClipMade) == []
    assert hands.counts["clips_made"] == 1


def test_what_is_kept_is_told_each_second(hands, film):
    clips = begun(hands, film)
    for at_s in (1, 1.5, 2.1):
        clips.turn(int(at_s * S))
    first, second = hands.told(ClipHeld)
    assert first == second
    assert first.ended
    assert first.pts0_ns == 0
    assert first.pts1_ns == pytest.approx(6 * S, abs=S // 10)
    assert hands.gauges["ring_bytes"] > 0


def test_a_range_that_is_not_kept_any_more_is_told_as_lost(hands, film):
    clips = begun(hands, film, packet_ring_s=1.0)
    hands.tell(want(0, 2))
    turn(clips, S)
    (lost,) = hands.told(ClipMade)
    assert lost.path == ""
    assert "begins" in lost.lost
    assert hands.counts["clips_lost"] == 1
    hands.tell(settled(0, 2))
    hands.tell(want(20, 22))
    turn(clips, 2 * S)
    (lost,) = hands.told(ClipMade)
    assert lost.lost == "the source ended before it"


def test_a_ring_that_is_too_small_for_one_group_of_pictures_says_so(hands, film):
    clips = begun(hands, film, packet_ring_bytes=4_000)
    hands.tell(want(1, 2))
    turn(clips, S)
    (lost,) = hands.told(ClipMade)
    assert "larger than capture.packet_ring_bytes" in lost.lost
    assert hands.gauges["ring_dropped"] > 0
    assert hands.gauges["ring_bytes"] <= 4_000


def test_a_range_that_is_still_to_come_waits_for_it(hands, film):
    clips = begun(hands)
    tap = clips.tap(0)
    hands.tell(want(2, 4))
    clips.turn(S)
    assert hands.told(ClipMade) == []
    for _ in frames(film, 0, tap=tap):
        clips.turn(S + 1)
    tap.end()
    clips.tap(1).end()
    turn(clips, S + 2)
    (made,) = hands.told(ClipMade)
    assert made.lost == ""


def test_what_an_earlier_process_left_is_taken_away_and_so_is_ones_own(hands, film, tmp_path):
    spool = tmp_path / "spool" / "clips"
    for name in ("capture-abc-1", "capture-def-1"):
        (spool / name).mkdir(parents=True)
        (spool / name / "0-5.mp4").write_bytes(b"half")
    clips = begun(hands, film)
    assert sorted(path.name for path in spool.iterdir()) == ["capture-def-1"], "others may still run"
    hands.tell(want(1, 2))
    clips.turn(S)
    assert len(list(spool.glob("capture-abc-*/*"))) == 1
    clips.close()
    assert sorted(path.name for path in spool.iterdir()) == ["capture-def-1"]


def test_it_may_leave_when_memory_wants_nothing_more_or_is_silent_for_long(hands, film):
    clips = begun(hands, film, clip_linger_s=10)
    assert clips.may_leave(S), "nobody has ever asked for clips"
    hands.tell(settled(0, 0))
    assert not clips.may_leave(S)
    assert not clips.may_leave(5 * S)
    hands.tell(settled(0, 0, over=True))
    assert clips.may_leave(6 * S)
    hands.told(ClipHeld)
    clips.turn(9 * S)
    assert hands.told(ClipHeld) == [], "nothing is kept any more"
    silent = begun(hands, film, clip_linger_s=10)
    hands.tell(settled(0, 0))
    assert not silent.may_leave(S)
    assert silent.may_leave(11 * S)
    assert hands.warnings == ["clips_unsettled"]


def test_requests_of_others_and_too_many_are_not_taken(hands, film):
    clips = begun(hands, film)
    hands.tell(want(1, 2, source_id=b"t" * 16))
    hands.tell(want(2, 1))
    assert hands.counts["unexpected"] == 2
    for n in range(MOST_WANTED + 3):
        hands.tell(want(n / 100, n / 100 + 1))
    assert hands.counts["clips_put_off"] == 3
    turn(clips, S)
    assert len(hands.told(ClipMade)) == MOST_WANTED


def test_a_clip_that_cannot_be_written_is_lost_and_nothing_else(hands, film, tmp_path):
    clips = begun(hands, film)
    (tmp_path / "spool").write_bytes(b"a file in the place of the folder")
    hands.tell(want(1, 2))
    turn(clips, S)
    (lost,) = hands.told(ClipMade)
    assert "could not be written" in lost.lost
    assert hands.warnings == ["clip_not_written"]
