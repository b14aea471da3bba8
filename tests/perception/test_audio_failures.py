"""What becomes of sound that the model fails on: jobs by hand through the real service, its commits taken.

The real model that fails on every window is in `test_audio_service`.
"""

from __future__ import annotations

import numpy as np
import pytest

from perception.audio import service as audio
from perception.audio.speech import NS_PER_SAMPLE, Batch
from perception.audio.voice import VoiceSegment
from perception.intake import TrackId
from stream.errors import ModelFailed
from stream.messages.media import MediaState

HZ = 16_000
S = HZ * NS_PER_SAMPLE


class Hearing:
    """A service whose batches are heard, or not, when the test says so; `puts` is what was made durable."""

    def __init__(self, audio_service, monkeypatch):
        self.own = audio_service()
        self.own._recogniser = object()  # loaded: what fails is the hearing
        self.puts, self.ended = [], []
        monkeypatch.setattr(self.own, "put", self._put)
        monkeypatch.setattr(self.own, "end", lambda failed: self.ended.append(failed))

    def _put(self, track, put, parts, trace_id):
        gaps = [(o.pts0_ns // S, o.payload["reason"]) for o in put.observations]
        (mark,) = put.marks
        self.puts.append((track.opened.uri, gaps, mark.through_pts_ns // S, mark.eof))

    def track(self, name, policy="all"):
        own = TrackId(name.encode().ljust(16), 0, 1)
        opened = MediaState(
            source_id=own.source_id,
            session=0,
            track=1,
            media="audio",
            state="open",
            stream_epoch=1,
            uri=name,
            policy=policy,
        )
        track = self.own.new_intake(own, opened, b"peer", 0)
        self.own._tracks[own] = track
        return track

    def job(self, track, t_s, *, said=True, eof=False, gaps=()):
        begin, end, mark_sample = t_s * HZ, (t_s + 1) * HZ, (t_s + 2) * HZ
        sound, lead = np.zeros(HZ, np.float32), np.zeros(0, np.float32)
        segment = VoiceSegment(begin, end, "pause", mark_sample, 0.9, sound, lead)
        batch = Batch((segment,) if said else (), mark_sample)
        mark = track.own.mark((t_s + 2) * S, eof=eof)
        return audio._Job(track, batch, mark, tuple(gaps), {}, None)

    def hears(self, *args, **more):
        self.own._heard(self.job(*args, **more), audio._Told())

    def fails(self, *args, **more):
        self.own._not_heard(self.job(*args, **more), ModelFailed("not a word"))


FAILED = "speech recognition failed"


@pytest.fixture
def hearing(audio_service, monkeypatch):
    return Hearing(audio_service, monkeypatch)


def test_a_gap_and_what_follows_it_wait_until_the_model_hears_again(hearing):
    film, other = hearing.track("film"), hearing.track("other")
    hearing.hears(film, 0)
    hearing.fails(film, 10)
    hearing.hears(film, 20, said=False, gaps=[film.own.gap("test", (15 * S, 16 * S), None, "lost")])
    hearing.fails(film, 30)
    hearing.hears(film, 40, said=False)
    hearing.hears(other, 5, said=False)
    assert hearing.puts == [("film", [], 2, False), ("other", [], 7, False)], "no mark passes what failed"
    hearing.hears(other, 10)
    assert hearing.puts[2:] == [
        ("film", [(15, "lost"), (10, FAILED)], 22, False),
        ("film", [(30, FAILED)], 42, False),
        ("other", [], 12, False),
    ], "it hears another film: so it was the sound"
    hearing.fails(film, 50)
    hearing.fails(film, 60)
    assert (len(hearing.puts), hearing.ended) == (5, []), "not three in a row"


def test_three_in_a_row_leave_everything_behind_the_mark(hearing):
    film = hearing.track("film")
    hearing.hears(film, 0)
    for t_s in (10, 20, 30):
        hearing.fails(film, t_s)
    hearing.hears(film, 40)
    hearing.hears(film, 50, said=False, eof=True)
    assert hearing.puts == [("film", [], 2, False)]
    assert hearing.ended == ["ModelFailed: 3 batches in a row: not a word"]


@pytest.mark.parametrize("said", [True, False])
def test_the_end_of_a_file_settles_its_gaps_and_no_others(hearing, said):
    film, other = hearing.track("film"), hearing.track("other")
    hearing.fails(other, 3)
    if said:
        hearing.fails(film, 20, eof=True)
        told = [("film", [(20, FAILED)], 22, True)]
    else:
        hearing.fails(film, 10)
        hearing.hears(film, 20, said=False, eof=True)
        told = [("film", [(10, FAILED)], 12, False), ("film", [], 22, True)]
    assert hearing.puts == told
    hearing.hears(other, 10)
    assert hearing.puts[len(told) :] == [("other", [(3, FAILED)], 5, False), ("other", [], 12, False)]


def test_a_live_voice_is_not_held(hearing):
    camera = hearing.track("camera", policy="latest")
    hearing.fails(camera, 10)
    assert hearing.puts == [("camera", [(10, FAILED)], 12, False)]
