"""How tracks are taken in, resumed and ended, with the real services and no wire.

Memory, the encoder and Whisper are left out here; they are real in test_video_service.py
and test_audio_speech.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from perception.audio.said_by import Uttered
from perception.audio.sentences import Sentence, Word
from perception.audio.service import AudioService, _Told
from perception.audio.speech import Batch, Heard
from perception.audio.voice import Silero
from perception.audio.whisper import models_of, producer_id
from perception.video.service import VideoService
from perception.video.settings import CaptionSettings
from stream.capture.file import chunks
from stream.config import Config
from stream.errors import ConfigError, ModelDamaged
from stream.messages.media import (
    FINISHED_PTS_NS,
    ChangePoint,
    MediaAudio,
    MediaCredit,
    MediaFrame,
    MediaState,
)
from stream.messages.observation import CommitPut, MarkLast, TrackMark
from stream.models import demo_media
from stream.process.clock import SimulatedClock
from stream.process.roles import SECTIONS
from stream.process.surroundings import Surroundings
from stream.wire.parts import array_part

S = 1_000_000_000
HZ = 16_000
SOURCE = b"camera of a test"
DAY = 1_767_225_600 * S


class StraightLane:
    """A lane whose work is done at once."""

    pending = 0

    def submit(self, run, *arguments, done=None, failed=None):
        result = run(*arguments)
        if done is not None:
            done(result)


class Alone:
    """A service whose memory is a dict and whose peers are a list."""

    def __init__(self, surroundings):
        super().__init__(surroundings)
        self.marks, self.puts, self.told, self.memory_answers = {}, [], [], True

    outbox = SimpleNamespace(waiting=0)

    def ask(self, endpoint, message, answered, failed, **_):
        if self.memory_answers:
            mark = self.marks.get((message.source_id, message.session, message.track))
            answered(SimpleNamespace(message=MarkLast(mark=mark)))

    def commit(self, put, parts=(), trace_id=b""):
        self.puts.append(put)
        for mark in put.marks:
            self.marks[mark.source_id, mark.session, mark.track] = mark
        self.committed(len(self.puts), ())
        return 0

    def send_to(self, peer_key, message, *_, **__):
        self.told.append(message)

    def publish(self, event, trace_id=b""):
        pass

    def lane(self, name, threads=1):
        return StraightLane()

    # What the tests say and ask.

    def state(self, state="open", *, session=DAY, policy="latest", peer=b"one", sender="capture-1", **more):
        message = MediaState(
            source_id=SOURCE,
            session=session,
            track=0,
            media=self.media,
            state=state,
            policy=policy,
            t_origin_ns=session or None,
            **{"stream_epoch": self.epoch(session) if state != "open" else 0} | more,
        )
        envelope = SimpleNamespace(sender=sender)
        received = SimpleNamespace(message=message, peer_key=peer, trace_id=b"", envelope=envelope)
        self.take_state(received)
        self.tend()

    def epoch(self, session=DAY):
        return [c.stream_epoch for c in self.told if c.session == session][-1]

    def observations(self, kind, session=DAY):
        return [o for put in self.puts for o in put.observations if (o.kind, o.session) == (kind, session)]

    def mark(self, session=DAY):
        return self.marks.get((SOURCE, session, 0))


class AloneAudio(Alone, AudioService):
    def __init__(self, surroundings):
        super().__init__(surroundings)
        self._network = Silero()
        self.batches = []

    def _hear(self, diariser, batch):
        self.batches.append(batch)
        return _Told()

    def sound(self, first_sample, samples, session=DAY):
        message = MediaAudio(
            source_id=SOURCE,
            session=session,
            track=0,
            stream_epoch=self.epoch(session),
            first_sample=first_sample,
            t_ns=session + first_sample * S // HZ,
        )
        received = SimpleNamespace(message=message, trace_id=b"", array=lambda _: samples, peer_key=b"one")
        self._take_audio(received)


class AloneVideo(Alone, VideoService):
    def _ask_key(self, track, item):
        self._ready(track, item)

    def frame(self, pts_s, *, since_s=None, dropped=0, session=DAY):
        pts_ns = round(pts_s * S)
        points = [pts_ns] if since_s is None else range(round(since_s * S), pts_ns + 1, S // 10)
        part, body = array_part("frame", np.full((90, 160, 3), 90, np.uint8))
        envelope = SimpleNamespace(parts=[part], sender="capture-test")
        message = MediaFrame(
            source_id=SOURCE,
            session=session,
            track=0,
            stream_epoch=self.epoch(session),
            pts_ns=pts_ns,
            t_ns=session + pts_ns,
            width_px=160,
            height_px=90,
            dropped=dropped,
            curve=tuple(ChangePoint(pts_ns=at, score=0.005) for at in points),
        )
        decoded = SimpleNamespace(envelope=envelope, parts=[body])
        self._take_frame(SimpleNamespace(message=message, trace_id=b"", decoded=decoded, peer_key=b"one"))


@pytest.fixture
def make(tmp_path):
    """Makes a service: `make(AloneVideo, gap_s=1.0)`."""

    def start(service, **values):
        role = service.role
        config = Config({role: values}, {name: SECTIONS[name] for name in ("cpu", "supervisor", role)})
        settings = config.typed(role, object)
        return service(
            Surroundings(role, role, tmp_path, tmp_path, config, settings, clock=SimulatedClock(DAY))
        )

    return start


def gaps(own, session=DAY):
    return [(o.payload["reason"], o.pts0_ns / S, o.pts1_ns / S) for o in own.observations("gap", session)]


# A live track resumes.


def resumed_at(own, mark_s):
    own.marks[SOURCE, DAY, 0] = TrackMark(
        source_id=SOURCE, session=DAY, track=0, through_pts_ns=round(mark_s * S)
    )
    own.state()


def test_what_a_killed_video_process_had_open_is_a_gap(make):
    own = make(AloneVideo)
    resumed_at(own, 3.0)
    own.frame(9.0, since_s=8.6)
    own.frame(9.5, since_s=9.1)
    assert gaps(own) == [("video process restarted", 3.0, 9.0)]
    (gap,) = own.observations("gap")
    assert (gap.t0_ns, gap.t1_ns) == (DAY + 3 * S, DAY + 9 * S)
    own.frame(20.0, since_s=9.6, dropped=20)
    assert gaps(own)[1:] == [("overload", 9.5, 20.0)]


def test_one_stretch_is_not_told_twice_as_missing(make):
    """The ring's drops while the process was away are what the restart has cost."""
    own = make(AloneVideo)
    resumed_at(own, 3.0)
    own.frame(9.0, since_s=4.0, dropped=10)
    assert gaps(own) == [("video process restarted", 3.0, 9.0)]


@pytest.mark.parametrize("first_s", [3.5, 5.0])
def test_a_short_absence_is_no_gap(make, first_s):
    own = make(AloneVideo, gap_s=2.0)
    resumed_at(own, 3.0)
    own.frame(first_s)
    assert gaps(own) == []


def test_what_was_missed_is_told_before_what_capture_missed_and_at_the_end(make):
    own = make(AloneVideo)
    resumed_at(own, 3.0)
    own.state("lost", gap0_ns=8 * S, gap1_ns=12 * S, reason="unplugged")
    assert gaps(own) == [("video process restarted", 3.0, 8.0), ("unplugged", 8.0, 12.0)]
    own = make(AloneVideo)
    resumed_at(own, 3.0)
    own.state("eof", end_pts_ns=10 * S)
    assert gaps(own) == [("video process restarted", 3.0, 10.0)]
    assert own.mark().eof


def test_a_first_run_and_a_file_have_no_such_gap(make):
    own = make(AloneVideo)
    own.state()
    own.frame(9.0)
    assert gaps(own) == []
    own = make(AloneVideo)
    own.marks[SOURCE, 0, 0] = TrackMark(source_id=SOURCE, session=0, track=0, through_pts_ns=3 * S)
    own.state(session=0, policy="lossless")
    own.frame(9.0, session=0)
    assert gaps(own, 0) == []


# A capture was killed; its source is opened anew.


def test_a_new_session_ends_the_picture_of_the_one_before(make):
    own = make(AloneVideo)
    own.state()
    for half_seconds in range(9):
        own.frame(half_seconds / 2)
    assert own.observations("shot") == []
    own.state(session=DAY + 60 * S, peer=b"two")
    (shot,) = own.observations("shot")
    assert shot.pts0_ns == 0
    assert own.mark().eof
    assert own.mark().through_pts_ns >= 4 * S
    assert gaps(own) == [("capture restarted", own.mark().through_pts_ns / S, 60.0)]
    assert [own_id.session for own_id in own._tracks] == [DAY + 60 * S]
    own.frame(0.0, session=DAY + 60 * S)
    assert len(own.observations("frame", DAY + 60 * S)) == 1


def test_a_new_session_ends_the_sound_of_the_one_before(make):
    own = make(AloneAudio)
    own.state()
    heard = 0
    for chunk in chunks(demo_media().file("two-cities", "two_cities.wav"), 0):
        if heard >= 2 * HZ:  # in the middle of a sentence
            break
        own.sound(chunk.first_sample, chunk.samples)
        heard = chunk.first_sample + len(chunk.samples)
    assert own.batches == []
    own.state(session=DAY + 60 * S, peer=b"two")
    assert own.batches[0].segments[-1].end_sample == heard
    assert own.mark().eof
    assert own.mark().through_pts_ns == heard * S // HZ
    assert gaps(own) == [("capture restarted", heard / HZ, 60.0)]
    assert [own_id.session for own_id in own._tracks] == [DAY + 60 * S]


@pytest.mark.parametrize("kind", [AloneAudio, AloneVideo])
def test_a_session_is_ended_even_if_its_mark_was_not_known_yet(make, kind):
    own = make(kind)
    own.memory_answers = False
    own.state()
    own.state(session=DAY + 60 * S, peer=b"two")
    assert own.told == []
    for track in own._tracks.values():
        track.asking = False
    own.memory_answers = True
    own.tend()
    assert own.mark().eof
    assert [own_id.session for own_id in own._tracks] == [DAY + 60 * S]
    assert [c.session for c in own.told if isinstance(c, MediaCredit) and c.n] == [DAY + 60 * S]
    # Announced once more, late, it is done; and it does not end its successor.
    own.state(peer=b"one")
    assert own.told[-1].resume_pts_ns == FINISHED_PTS_NS
    assert [own_id.session for own_id in own._tracks] == [DAY + 60 * S]


@pytest.mark.parametrize("kind", [AloneAudio, AloneVideo])
def test_files_and_later_sessions_go_on(make, kind):
    own = make(kind)
    own.state(session=0, policy="lossless")
    own.state(session=DAY)
    own.state(session=DAY - 60 * S)
    assert {own_id.session for own_id in own._tracks} == {0, DAY, DAY - 60 * S}
    assert own.puts == []


# Two captures of one content.


@pytest.mark.parametrize("kind", [AloneAudio, AloneVideo])
def test_of_two_captures_the_first_is_read_while_it_lives(make, kind):
    own = make(kind)
    first, second = f"capture-{os.getpid()}", "capture-2"
    own.state(session=0, policy="lossless", peer=b"one", sender=first)
    own.state(session=0, policy="lossless", peer=b"two", sender=second)
    (track,) = own._tracks.values()
    assert (track.peer_key, len(own.told)) == (b"one", 1)
    own.state("eof", session=0, policy="lossless", peer=b"one", sender=first, end_pts_ns=4 * S)
    own.state(session=0, policy="lossless", peer=b"two", sender=second)
    assert own.told[-1].resume_pts_ns == FINISHED_PTS_NS


@pytest.mark.parametrize("kind", [AloneAudio, AloneVideo])
def test_a_capture_that_has_ended_is_followed_by_another(make, kind):
    own = make(kind)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)  # Nobody has waited for it: its number stays.
    own.state(session=0, policy="lossless", peer=b"one", sender=f"capture-{gone.pid}")
    own.state(session=0, policy="lossless", peer=b"two", sender=f"capture-{os.getpid()}")
    gone.wait()
    (track,) = own._tracks.values()
    assert (track.peer_key, len(own.told)) == (b"two", 2)


# The end of a sound track.


def test_every_batch_that_waits_at_the_end_is_recognised(make):
    own = make(AloneAudio)
    own.state()
    (track,) = own._tracks.values()
    waiting = [Batch((), 4 * HZ), Batch((), 7 * HZ)]
    track.batcher = SimpleNamespace(rest=lambda: waiting, add=lambda _: [])
    own.state("eof", end_pts_ns=9 * S)
    assert own.batches == waiting
    marks = [(mark.through_pts_ns / S, mark.eof) for put in own.puts for mark in put.marks]
    assert marks == [(4.0, False), (9.0, True)]


def test_sound_that_is_damaged_before_its_end_is_a_gap(make):
    for reason, missing in (("damaged", [("damaged", 9.0, 30.0)]), ("", [])):
        own = make(AloneAudio)
        own.state(session=0, policy="lossless")
        own.state("eof", session=0, end_pts_ns=9 * S, duration_ns=30 * S, reason=reason)
        assert gaps(own, 0) == missing
        assert own.mark(0).eof


class Bilingual(AloneAudio):
    def _hear(self, diariser, batch):
        words = (Word(" so", S, 2 * S, 0.9),)
        heard = Heard(
            (
                Sentence(HZ, 0, words, "en", 0.9, "whisper-tiny.en"),
                Sentence(HZ, 1, words, "fr", 0.9, "whisper-base"),
            )
        )
        return _Told(heard, tuple(Uttered(one) for one in heard.sentences))


def test_each_utterance_names_the_model_that_heard_it(make):
    """The recogniser itself, hearing both, is in test_audio_languages.py."""
    own = make(Bilingual, speech={"model": "auto"})
    own._producer_ids = {model: producer_id(model) for model in models_of("auto")}
    own.state()
    own.state("eof", end_pts_ns=9 * S)
    found = sorted((o.language, o.producer_id) for o in own.observations("utterance"))
    assert [(language, producer.partition("@")[0]) for language, producer in found] == [
        ("en", "whisper-tiny.en"),
        ("fr", "whisper-base"),
    ]
    assert len({o.observation_id for o in own.observations("utterance")}) == 2


def test_a_batch_that_cannot_be_sent_does_not_hold_its_track_back(make):
    own = make(AloneVideo)
    own.state()
    (track,) = own._tracks.values()
    own.put(track, CommitPut(outbox_seq=0), [], b"")  # `commit` says 0: nothing will be acknowledged
    assert own._is_flushed(track.own)


@pytest.mark.parametrize("kind", [AloneVideo, AloneAudio])
def test_without_room_on_the_disk_no_more_is_asked_for(make, kind, monkeypatch):
    own = make(kind)
    own.state(policy="lossless")
    (track,) = own._tracks.values()
    track.window.consume(track.window.granted)
    monkeypatch.setattr(kind, "has_room", lambda _: False)
    told = len(own.told)
    own.tend()
    assert len(own.told) == told
    monkeypatch.setattr(kind, "has_room", lambda _: True)
    own.tend()
    assert own.told[-1].n > 0


def with_captions(own, hung_s):
    captions = CaptionSettings(server_url="http://127.0.0.1:9/v1", server_model="nobody")
    own._settings = own._settings.model_copy(update={"captions": captions})
    own._supervision = own._supervision.model_copy(update={"hung_s": hung_s})
    own._set_up_captions()


def test_calls_for_captions_that_would_be_taken_for_hung_are_refused_at_the_start(make):
    with pytest.raises(ConfigError, match=r"60 s, and supervisor\.hung_s allows 20"):
        with_captions(make(AloneVideo), 30)
    own = make(AloneVideo)
    with_captions(own, 120)
    assert own._captions is not None


def test_a_captioner_that_cannot_be_opened_ends_the_role_with_its_reason(make):
    own = make(AloneVideo)
    own._captions_are_broken(ModelDamaged("the weights are torn"))
    assert (own._ends, own._failed) == (True, "ModelDamaged: the weights are torn")
