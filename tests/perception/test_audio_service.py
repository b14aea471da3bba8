"""The audio process, real, with the real capture, on the demo film and the recording in it."""

from __future__ import annotations

import json
import re
import time
import wave

import numpy as np
import pytest

from stream.capture.demo_recipe import PASSAGES, SEGMENTS
from stream.capture.file import chunks
from stream.errors import ConfigError, ModelMissing
from stream.models import demo_media, model_file
from tools import tiny_models

pytestmark = [pytest.mark.system, pytest.mark.model]

S = 1_000_000_000
HZ = 16_000
PRODUCER = "whisper-tiny.en@0d3d19a32d33+silero-v6/3"
PATIENT = {"beat_s": 0.2, "backoff_s": 0.1, "trace": True, "silent_s": 60.0, "start_s": 120.0}


def is_ended(own):
    return any(mark.eof for put, _ in own.commits() for mark in put.marks)


def marks_of(own):
    return sorted({mark.through_pts_ns for put, _ in own.commits() for mark in put.marks})


def heard(own, path, **more):
    own.open(path, **more)
    own.wait_for(lambda: time.sleep(0.3) or is_ended(own), 240)
    return said_in(own)


def said_in(own):
    return sorted(own.observations("utterance").values(), key=lambda o: o.pts0_ns)


def counted(own, counter, figure):
    """The counters of the audio process once one of them shows a figure; they come with its beats."""
    own.wait_for(lambda: own.status()["audio"].counters.get(counter) == figure, 60)
    return own.status()["audio"].counters


def words_of(text):
    return re.sub(r"[^a-z\s]", "", text.lower()).split()


@pytest.fixture(scope="module")
def beginning(tmp_path_factory):
    """The first nine seconds of the recording, as a file of its own."""
    path = demo_media().file("two-cities", "two_cities.wav")
    samples = np.concatenate([chunk.samples for chunk in chunks(path, 0)])[: 9 * HZ]
    short = tmp_path_factory.mktemp("sound") / "beginning.wav"
    with wave.open(str(short), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(HZ)
        file.writeframes(samples.tobytes())
    return short


def test_what_the_film_says_is_heard_where_it_is_said(house, film):
    own = house("audio", "capture", supervisor=PATIENT)
    said = heard(own, film)
    for passage in PASSAGES:
        inside = [o for o in said if passage.at_s - 0.5 < o.pts0_ns / S < passage.until_s]
        assert all(o.pts1_ns / S < passage.until_s + 0.5 for o in inside)
        missing = set(words_of(passage.words)) - set(words_of(" ".join(o.text for o in inside)))
        assert len(missing) <= 1, passage.at_s
    # The clip with music, the photographs and the cards have nobody speaking.
    spoken = [(p.at_s - 0.5, p.until_s + 0.5) for p in PASSAGES]
    assert all(any(a < o.pts0_ns / S and o.pts1_ns / S < b for a, b in spoken) for o in said)
    for o in said:
        assert o.producer_id == PRODUCER
        assert o.language == "en"
        assert o.t0_ns is not None
        assert o.t1_ns - o.t0_ns == o.pts1_ns - o.pts0_ns
        words = o.payload["words"]
        assert [w for w, *_ in words] == o.text.split()
        assert o.pts0_ns == words[0][1]
        assert all(t0 <= t1 and 0 <= p <= 1 for _, t0, t1, p in words)
    counters = counted(own, "utterances", len(said))
    assert counters.get("stale_chunks", 0) == counters.get("beyond_credit", 0) == 0
    assert marks_of(own)[-1] >= (SEGMENTS[-1].t1_s - 1) * S
    assert all(mark % (512 * S // HZ) == 0 for mark in marks_of(own)[:-1])
    with (own.run_dir / "trace" / "audio.jsonl").open() as file:
        hops = [json.loads(line) for line in file]
    for o in said:
        way = [hop["hop"] for hop in hops if hop["trace"] == o.trace_id.hex()]
        assert way.index("receive media.audio") < way.index("audio.voice") < way.index("audio.speech")
        assert "send event.utterance" in way
    assert own.close() == 0


def test_a_killed_process_gives_the_same_utterances(house):
    """Killed twice on its way; capture begins anew behind the last mark each time."""
    path = demo_media().file("two-cities", "two_cities.wav")
    # Each segment is a batch of its own, so that there are marks to come back to.
    rules = {"speech": {"batch_wait_s": 1.0}}
    quiet = house("audio", "capture", supervisor=PATIENT, audio=rules)
    undisturbed = heard(quiet, path)
    assert len(marks_of(quiet)) > 5

    shaken = house("audio", "capture", supervisor=PATIENT, audio=rules)
    shaken.open(path)
    for kills, marks in ((1, 1), (2, 4)):
        shaken.wait_for(lambda marks=marks: len(marks_of(shaken)) >= marks)
        shaken.kill("audio")
        shaken.wait_for(lambda kills=kills: shaken.status()["audio"].restarts >= kills)
    shaken.wait_for(lambda: time.sleep(0.3) or is_ended(shaken), 240)
    for one, other in zip(undisturbed, said_in(shaken), strict=True):
        assert one.observation_id == other.observation_id
        assert (one.text, one.payload, one.confidence) == (other.text, other.payload, other.confidence)
        assert (one.pts0_ns, one.pts1_ns) == (other.pts0_ns, other.pts1_ns)
    assert marks_of(quiet)[-1] == marks_of(shaken)[-1]
    assert not shaken.observations("gap")


def test_a_live_voice_is_heard_sentence_by_sentence(house, beginning):
    own = house("audio", "capture", supervisor=PATIENT)
    said = heard(own, beginning, policy="latest", as_camera=True)
    text = " ".join(o.text for o in said)
    assert len(set(words_of("it was the best of times worst age wisdom")) - set(words_of(text))) <= 1
    assert all(o.session > 0 for o in said)
    assert all(abs(o.t0_ns - o.session - o.pts0_ns) < S for o in said)
    source = own.source()
    assert source.audio_dropped == 0
    assert source.audio_read == source.audio_sent
    counted(own, "chunks", source.audio_sent)


def test_a_model_that_fails_on_every_window_ends_the_process(house, tmp_path):
    """Its tokenizer belongs to another model, so it loads and can hear nothing."""
    words = model_file("whisper-tiny.en", "tokenizer.json")
    folder = tiny_models.make_whisper(tmp_path / "mixed-up", words)
    (folder / "tokenizer.json").write_text(tiny_models.tokenizer().backend_tokenizer.to_str())
    rules = {"speech": {"model": str(folder), "batch_wait_s": 1.0}}
    own = house("audio", "capture", supervisor=PATIENT, audio=rules)
    own.open(demo_media().file("two-cities", "two_cities.wav"))
    own.wait_for(lambda: own.status()["audio"].state == "broken", 120)
    assert "ModelFailed: 3 batches in a row: " in own.status()["audio"].last_error
    assert "mixed-up failed on" in own.status()["audio"].last_error
    # Nothing is given up: all that it failed on is behind the last mark, and heard once it is mended.
    assert not own.observations("gap")
    assert not is_ended(own)
    assert all(mark < 3 * S for mark in marks_of(own))


def test_without_its_model_the_process_says_what_to_do(audio_service, tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIRECALL_MODELS", str(tmp_path / "none"))
    with pytest.raises(ModelMissing, match="whisper-tiny") as caught:
        audio_service().set_up()
    assert "models pull" in caught.value.remedy


def test_a_language_that_the_model_does_not_know_ends_it_before_it_listens(audio_service):
    with pytest.raises(ConfigError, match=r"'fr' is no language of whisper-tiny\.en"):
        audio_service(speech={"language": "fr"}).set_up()
