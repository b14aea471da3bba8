"""Batches, windows and the recogniser, on real speech and on sound that is none."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.audio.sentences import Word
from perception.audio.settings import AudioSettings, GateSettings, SpeechSettings
from perception.audio.speech import (
    NS_PER_SAMPLE,
    Batch,
    Batcher,
    Recogniser,
    covered,
    pack,
    rest_of,
    unheard_from,
)
from perception.audio.voice import Silero, VoiceActivity, VoiceMark, VoiceSegment, VoiceStart
from perception.audio.whisper import producer_id
from stream.capture.file import chunks
from stream.errors import ModelDamaged, ModelFailed, ModelMissing
from stream.models import demo_media

HZ = 16_000
S = 1_000_000_000
SAID = """
It was the best of times, it was the worst of times. It was the age of wisdom, it was the age of
foolishness. It was the epoch of belief, it was the epoch of incredulity. It was the season of light, it
was the season of darkness. It was the spring of hope, it was the winter of despair. We had everything
before us, we had nothing before us. We were all going direct to heaven, we were all going direct the other
way. In short, the period was so far like the present period that some of its noisiest authorities insisted
on its being received for good or for evil in the superlative degree of comparison only.
"""


def segment(start_s, length_s, *, lead_s=0.0, probability=0.9):
    start, end = round(start_s * HZ), round((start_s + length_s) * HZ)
    samples = np.arange(end - start, dtype=np.float32)
    lead = np.full(round(lead_s * HZ), -1, np.float32)
    return VoiceSegment(start, end, "pause", end, probability, samples, lead)


def batches_of(events, *, live=False, wait_s=60.0):
    batcher = Batcher(live=live, wait_s=wait_s)
    return [batch for event in events for batch in batcher.add(event)] + batcher.rest()


def lengths(batches):
    return [[round(len(s.samples) / HZ) for s in batch.segments] for batch in batches]


def test_segments_share_a_window_up_to_28_seconds():
    events = [segment(at, 8, lead_s=1) for at in (0, 10, 20, 30, 40)]
    batches = batches_of(events)
    assert lengths(batches) == [[8, 8, 8], [8, 8]]  # 8 + 9 + 9, and the next would make 35
    assert [b.mark_sample for b in batches] == [28 * HZ, 48 * HZ]
    for batch in batches:
        window, _ = pack(batch.segments)
        assert len(window) <= 28 * HZ


def test_a_segment_waits_for_stream_time_only_and_a_live_one_not_at_all():
    events = [segment(0, 2), segment(50, 2), segment(61, 2), VoiceMark(95 * HZ), VoiceMark(130 * HZ)]
    batches = batches_of(events)
    assert lengths(batches) == [[2, 2], [2]]
    assert [b.mark_sample for b in batches] == [52 * HZ, 130 * HZ]
    assert lengths(batches_of(events, live=True)) == [[2], [2], [2], [], []]


def test_marks_in_silence_pass_on_their_own():
    assert batches_of([VoiceMark(480_256)]) == [Batch((), 480_256)]
    events = [segment(0, 2), VoiceMark(30 * HZ), VoiceMark(61 * HZ), VoiceMark(91 * HZ)]
    batches = batches_of(events)
    assert [(len(b.segments), b.mark_sample) for b in batches] == [(1, 61 * HZ), (0, 91 * HZ)]


@st.composite
def streams(draw):
    events, at = [], 0.0
    for gap_s, length_s in draw(
        st.lists(st.tuples(st.floats(0.3, 70), st.floats(0.3, 28)), min_size=1, max_size=25)
    ):
        while gap_s > 31:
            at, gap_s = at + 30, gap_s - 30
            events.append(VoiceMark(round(at * HZ)))
        events.append(segment(at + gap_s, length_s, lead_s=min(1.0, gap_s)))
        at += gap_s + length_s
    return events


@settings(max_examples=100, deadline=None)
@given(streams(), st.floats(5, 100))
def test_batches_after_a_mark_do_not_depend_on_what_was_before(events, wait_s):
    """Resumed at the mark of any batch, the later batches are those of the undisturbed run."""
    whole = batches_of(events, wait_s=wait_s)
    heard = [s for batch in whole for s in batch.segments]
    assert heard == [e for e in events if isinstance(e, VoiceSegment)]
    for index, batch in enumerate(whole):
        assert len(pack(batch.segments)[0]) <= 28 * HZ or len(batch.segments) == 1
        later = [
            e for e in events if (e.sample if isinstance(e, VoiceMark) else e.mark_sample) > batch.mark_sample
        ]
        resumed = [b for b in batches_of(later, wait_s=wait_s) if b.segments]
        assert resumed == [b for b in whole[index + 1 :] if b.segments]


def test_positions_in_a_window_are_positions_in_the_source():
    segments = [segment(10, 2, lead_s=1), segment(13, 3, lead_s=1), segment(90, 1, lead_s=1)]
    window, placed = pack(segments)
    assert len(window) == round((2 + 1 + 3 + 1 + 1) * HZ)
    for place in placed:
        inside = window[place.offset : place.offset + len(place.segment.samples)]
        assert np.array_equal(inside, place.segment.samples)
    first, second, third = placed
    assert first.position_ns(0.5) == 10.5 * S
    assert second.position_ns(3.0) == 13 * S
    assert second.position_ns(2.9) == 13 * S  # in the lead: kept inside the segment
    assert third.position_ns(9.9) == 91 * S
    assert second.distance(2.5 * HZ) == 0.5 * HZ
    assert pack([])[0].shape == (0,)


def word(start_s, end_s, text=" word"):
    return Word(text, round(start_s * S), round(end_s * S), 0.9)


def test_the_place_where_words_are_missing_is_found():
    own = segment(100, 10)
    steady = [word(100 + 0.5 * i, 100.4 + 0.5 * i) for i in range(20)]
    assert unheard_from(own, steady, 1.2) is None
    assert unheard_from(own, [], 1.2) == 100 * HZ
    assert unheard_from(own, steady[:10], 1.2) == round(104.5 * HZ)
    assert unheard_from(own, steady[4:], 1.2) == 100 * HZ
    # The aligner stretches the last word before a skipped stretch over it.
    stretched = [*steady[:10], word(105, 109.5, " in"), *steady[19:]]
    assert unheard_from(own, stretched, 1.2) == 105 * HZ
    assert covered([word(1, 9, " in")]) == [(HZ, HZ + round((0.3 + 2 * 0.08) * HZ))]
    rest = rest_of(own, 105 * HZ)
    assert (rest.start_sample, rest.end_sample) == (105 * HZ, 110 * HZ)
    assert np.array_equal(rest.samples, own.samples[5 * HZ :])


def test_the_producer_names_model_revision_and_version():
    assert producer_id("whisper-tiny.en") == "whisper-tiny.en@0d3d19a32d33+silero-v6/3"
    assert producer_id("whisper-base").startswith("whisper-base@ebe41f70d5b6+")


def test_a_model_that_is_missing_or_damaged_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIRECALL_MODELS", str(tmp_path))
    with pytest.raises(ModelMissing, match=r"whisper-tiny\.en/model\.bin") as caught:
        Recogniser(SpeechSettings(), GateSettings())
    assert "models pull" in caught.value.remedy
    (tmp_path / "whisper-tiny.en").mkdir()
    (tmp_path / "whisper-tiny.en" / "model.bin").write_bytes(b"short")
    with pytest.raises(ModelDamaged):
        Recogniser(SpeechSettings(), GateSettings())


# The real recogniser.


@pytest.fixture(scope="module")
def events():
    """What voice activity finds in the recording."""
    path = demo_media().file("two-cities", "two_cities.wav")
    found = VoiceActivity(Silero(), AudioSettings().voice)
    whole = [event for chunk in chunks(path, 0) for event in found.push(chunk.samples)]
    return [event for event in whole + found.flush() if not isinstance(event, VoiceStart)]


@pytest.fixture(scope="module")
def recogniser():
    return Recogniser(SpeechSettings(), GateSettings())


def words_of(text):
    return re.sub(r"[^a-z\s]", "", text.lower()).split()


def plain(sentences):
    return words_of(" ".join(sentence.text for sentence in sentences))


def wrong_words(said, heard):
    """Words inserted, deleted or replaced: the edit distance."""
    costs = list(range(len(heard) + 1))
    for i, one in enumerate(said, 1):
        row = [i]
        for j, other in enumerate(heard, 1):
            row.append(min(costs[j] + 1, row[-1] + 1, costs[j - 1] + (one != other)))
        costs = row
    return costs[-1]


def music(seconds, seed=0):
    """Chords with vibrato and a beat, as loud as speech."""
    t = np.arange(seconds * HZ) / HZ
    rng = np.random.default_rng(seed)
    sound = np.zeros_like(t)
    for bar in range(seconds * 2):
        on = (t >= bar / 2) & (t < bar / 2 + 0.5)
        for tone in rng.choice([220, 247, 262, 294, 330, 392, 440], 3):
            sound[on] += np.sin(2 * np.pi * tone * (t[on] + 0.002 * np.sin(2 * np.pi * 5 * t[on])))
        beat = t[on] - bar / 2
        sound[on] += rng.normal(0, 1, beat.shape) * np.exp(-beat * 40)
    return (0.1 * sound).astype(np.float32)


@pytest.mark.model
@pytest.mark.parametrize("live", [False, True])
def test_what_was_said_is_heard_word_for_word_at_its_time(recogniser, events, live):
    batches = batches_of(events, live=live)
    sentences = [s for batch in batches for s in recogniser.hear(batch.segments).sentences]
    assert wrong_words(words_of(SAID), plain(sentences)) <= 0.03 * len(words_of(SAID))
    for before, after in pairwise(sentences):
        assert before.pts0_ns < after.pts0_ns
        assert before.pts1_ns <= after.pts1_ns
    anchors = {s.start_sample: s for batch in batches for s in batch.segments}
    for sentence in sentences:
        own = anchors[sentence.anchor_sample]
        for said in sentence.words:
            assert own.start_sample * NS_PER_SAMPLE <= said.start_ns <= said.end_ns
            assert said.end_ns <= own.end_sample * NS_PER_SAMPLE
        assert sentence.language == "en"
        assert 0.3 < sentence.confidence <= 1
    # Listened to: "comparison only" ends the recording at 41.6 s, "heaven" is said at 25.9 s.
    times = {s.text.split()[-1].strip(".,").lower(): s.pts1_ns / S for s in sentences}
    assert times["only"] == pytest.approx(41.6, abs=0.3)
    (heaven,) = (w for s in sentences for w in s.words if w.text.strip(" .,") == "heaven")
    assert heaven.start_ns / S == pytest.approx(25.85, abs=0.3)


@pytest.mark.model
def test_the_same_batch_gives_the_same_sentences_to_the_last_digit(recogniser, events):
    batches = batches_of(events)
    again = Recogniser(SpeechSettings(), GateSettings())
    for batch in batches:
        assert recogniser.hear(batch.segments) == again.hear(batch.segments)


@pytest.mark.model
@pytest.mark.parametrize("kind", ["music", "silence", "noise"])
def test_nothing_is_invented_even_if_voice_activity_was_fooled(recogniser, kind):
    sound = {
        "music": music(6),
        "silence": np.zeros(6 * HZ, np.float32),
        "noise": np.random.default_rng(2).normal(0, 0.1, 6 * HZ).astype(np.float32),
    }[kind]
    for probability in (0.6, 0.9):
        fooled = VoiceSegment(0, len(sound), "pause", len(sound), probability, sound, sound[:0])
        heard = recogniser.hear([fooled])
        assert heard.sentences == ()


@pytest.mark.model
def test_music_between_speech_stays_without_words(recogniser, events):
    first, second = [e for e in events if isinstance(e, VoiceSegment)][:2]
    sound = music(3, seed=5)
    at = second.end_sample + HZ
    fooled = VoiceSegment(at, at + len(sound), "pause", at + len(sound), 0.6, sound, np.zeros(HZ, np.float32))
    sentences = recogniser.hear([first, second, fooled]).sentences
    assert {s.anchor_sample for s in sentences} == {first.start_sample, second.start_sample}
    assert sentences[0].text.lower().startswith("it was the best of times")


@pytest.mark.model
def test_what_the_decoder_skips_is_heard_after_all(recogniser, events, monkeypatch):
    """The first pass is made to lose the second half of a segment, as Whisper now and then does."""
    long = max((e for e in events if isinstance(e, VoiceSegment)), key=lambda s: len(s.samples))
    whole = recogniser.hear([long]).sentences
    words, calls = recogniser._words, []

    def forgetful(segments, language, refused, **more):
        calls.append(segments)
        heard = words(segments, language, refused, **more)
        return heard if len(calls) > 1 else [items[: len(items) // 2] for items in heard]

    monkeypatch.setattr(recogniser, "_words", forgetful)
    sentences = recogniser.hear([long]).sentences
    assert len(calls) == 2
    assert wrong_words(plain(whole), plain(sentences)) <= 3


@pytest.mark.model
def test_a_failing_model_is_named(recogniser, events, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(recogniser._english.model, "transcribe", fail)
    with pytest.raises(ModelFailed, match="out of memory"):
        recogniser.hear([events[0]])
    assert recogniser.hear([]).sentences == ()


@pytest.mark.model
def test_another_language_is_told_by_the_model_that_knows_many(events):
    base = Recogniser(SpeechSettings(model="whisper-base"), GateSettings())
    first = next(e for e in events if isinstance(e, VoiceSegment))
    encoded, encode = [], base._able.model.encode
    base._able.model.encode = lambda features: encoded.append(1) or encode(features)
    (sentence, *_) = base.hear([first]).sentences
    assert len(encoded) == 1  # once in full: the language is told from a few seconds
    assert sentence.language == "en"
    assert sentence.text.lower().startswith("it was the best of times")
    forced = Recogniser(SpeechSettings(model="whisper-base", language="de"), GateSettings())
    assert all(s.language == "de" for s in forced.hear([replace(first)]).sentences)
