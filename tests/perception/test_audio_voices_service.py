"""The audio process, real, with speakers switched on: keys, cuts, and the same numbers after a kill."""

from __future__ import annotations

import time
import wave

import numpy as np
import pytest

from perception.audio.voice_encoder import ENCODER_ID
from stream.capture.file import chunks
from stream.errors import ModelMissing
from stream.messages.utterance_voice import voice_of
from stream.models import demo_media, model_file

pytestmark = [pytest.mark.system, pytest.mark.model]

S = 1_000_000_000
HZ = 16_000
PATIENT = {"beat_s": 0.2, "backoff_s": 0.1, "silent_s": 60.0, "start_s": 120.0}
RULES = {"speakers": {"enabled": True}, "speech": {"batch_wait_s": 1.0}}


def is_ended(own):
    return any(mark.eof for put, _ in own.commits() for mark in put.marks)


def heard(own, path, **more):
    own.open(path, **more)
    own.wait_for(lambda: time.sleep(0.3) or is_ended(own), 240)
    return said_in(own)


def said_in(own):
    return sorted(own.observations("utterance").values(), key=lambda o: o.pts0_ns)


def marks_of(own):
    return sorted({mark.through_pts_ns for put, _ in own.commits() for mark in put.marks})


def keys_of(own):
    """The voice keys by observation, as they came."""
    found = {}
    for put, parts in own.commits():
        for observation in put.observations:
            for key in observation.keys:
                found.setdefault(observation.observation_id, (key, parts[key.part]))
    return found


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """A reader, the same words a quarter higher and faster, and the reader again."""
    path = demo_media().file("two-cities", "two_cities.wav")
    reader = np.concatenate([chunk.samples for chunk in chunks(path, 0)])
    middle = reader[9 * HZ : 20 * HZ]
    places = np.arange(0, len(middle) - 1, 1.25)
    other = np.interp(places, np.arange(len(middle)), middle).astype(np.int16)
    whole = np.concatenate([reader[: 9 * HZ], other, reader[20 * HZ : 31 * HZ]])
    out = tmp_path_factory.mktemp("talk") / "talk.wav"
    with wave.open(str(out), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(HZ)
        file.writeframes(whole.astype("<i2").tobytes())
    return out, 9.0, 9.0 + len(other) / HZ


def test_two_voices_have_two_numbers_and_a_killed_process_gives_the_same(house, talk):
    path, begin_s, end_s = talk
    quiet = house("audio", "capture", supervisor=PATIENT, audio=RULES)
    said = heard(quiet, path)
    told = {o.observation_id: voice_of(o.payload) for o in said}
    assert all(told.values())
    middle = {told[o.observation_id].turn for o in said if begin_s < o.pts0_ns / S and o.pts1_ns / S < end_s}
    outside = {told[o.observation_id].turn for o in said if o.pts1_ns / S < begin_s or end_s < o.pts0_ns / S}
    assert len(middle - {-1}) == 1
    assert len(outside - {-1}) == 1
    assert middle.isdisjoint(outside - {-1})
    assert all(o.producer_id.endswith("+speakers/1") for o in said)
    keys = keys_of(quiet)
    assert set(keys) == set(told)
    assert {(key.kind, key.encoder_id) for key, _ in keys.values()} == {("voice", ENCODER_ID)}
    assert not list(quiet.store.glob("spool/voices-*"))

    shaken = house("audio", "capture", supervisor=PATIENT, audio=RULES)
    shaken.open(path)
    for kills, marks in ((1, 2), (2, 4)):
        shaken.wait_for(lambda marks=marks: len(marks_of(shaken)) >= marks)
        shaken.kill("audio")
        shaken.wait_for(lambda kills=kills: shaken.status()["audio"].restarts >= kills)
    shaken.wait_for(lambda: time.sleep(0.3) or is_ended(shaken), 240)
    for one, other in zip(said, said_in(shaken), strict=True):
        assert (one.observation_id, one.text, one.payload) == (
            other.observation_id,
            other.text,
            other.payload,
        )
    again = keys_of(shaken)
    assert {n: bytes(body[1]) for n, (_, body) in keys.items()} == {
        n: bytes(b[1]) for n, (_, b) in again.items()
    }


def test_a_live_voice_has_a_key_at_once(house, talk):
    path, *_ = talk
    own = house("audio", "capture", supervisor=PATIENT, audio={"speakers": {"enabled": True}})
    said = heard(own, path, policy="latest", as_camera=True)
    assert said
    assert all(voice_of(o.payload) and o.keys for o in said)
    assert max(voice_of(o.payload).turn for o in said) >= 1


def test_without_the_network_the_process_says_what_to_do(audio_service, tmp_path, monkeypatch):
    heard = model_file("whisper-tiny.en", "model.bin").parent
    (tmp_path / heard.name).symlink_to(heard)
    monkeypatch.setenv("OMNIRECALL_MODELS", str(tmp_path))
    with pytest.raises(ModelMissing, match="resemblyzer") as caught:
        audio_service(speakers={"enabled": True}).set_up()
    assert "models pull" in caught.value.remedy
