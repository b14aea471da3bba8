"""Languages per voice segment: smoothing alone, then real English, French and Spanish in one stream."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import platformdirs
import pytest

from perception.audio import speech
from perception.audio.languages import FLOOR, centres, told
from perception.audio.languages import smoothed as weighed
from perception.audio.settings import AudioSettings, SpeechSettings
from perception.audio.speech import Batcher, Recogniser
from perception.audio.track import TrackState
from perception.audio.voice import Silero, VoiceSegment, VoiceStart
from perception.audio.whisper import models_of
from stream.capture.file import chunks
from stream.errors import OmniRecallError
from stream.models import demo_media
from stream.models.collection import Collection
from stream.models.lock import parse_lock
from stream.models.pull import pull

HZ = 16_000
AUTO = SpeechSettings(model="auto")


def likely(**found):
    """Probabilities of three languages; what is not named shares the rest."""
    rest = (1 - sum(found.values())) / max(1, 3 - len(found))
    return {name: found.get(name, rest) for name in ("de", "en", "fr")}


def smoothed(probes, switches, weights=None):
    return weighed(probes, switches, weights or [1.0] * len(probes))


def test_short_probes_count_for_less():
    probes = [likely(en=0.9), likely(fr=0.97), likely(en=0.9)]
    assert smoothed(probes, [0.2, 0.2]) == ["en", "fr", "en"]
    assert smoothed(probes, [0.2, 0.2], [1.0, 0.3, 1.0]) == ["en", "en", "en"]
    assert smoothed(probes[1:2], [], [0.3]) == ["fr"]  # there is nothing else to go by


def test_what_a_part_may_be_in_as_well():
    def otherwise(**found):
        class One:
            def languages(self, probes, seconds):
                return [found for _ in probes]

        (part,) = told([voiced((1, 4.0))], One(), AUTO)
        assert part.likely == pytest.approx(found)
        return part.language, part.otherwise

    assert otherwise(en=0.9, fr=0.05, de=0.05) == ("en", ())
    assert otherwise(en=0.6, fr=0.3, de=0.1) == ("en", ("fr",))
    assert otherwise(en=0.6, fr=0.15, de=0.25) == ("en", ("de",))
    assert otherwise(en=0.66, fr=0.17, de=0.17) == ("en", ())  # neither is worth a trial
    # Not sure of French, and not against English: that comes first.
    assert otherwise(en=0.12, fr=0.6, de=0.28) == ("en", ("fr", "de"))
    assert otherwise(en=0.12, fr=0.75, de=0.13) == ("fr", ("en",))
    assert otherwise(en=0.02, fr=0.5, de=0.48) == ("fr", ("en", "de"))
    assert otherwise(fr=0.6, de=0.4) == ("fr", ("de",))  # English is never told


def test_a_probe_that_is_unsure_follows_its_neighbours_and_a_sure_one_does_not():
    sure, unsure, other = likely(en=0.95), likely(de=0.5, en=0.4), likely(fr=0.97)
    assert smoothed([sure, unsure, sure], [0.2, 0.2]) == ["en", "en", "en"]
    assert smoothed([unsure], []) == ["de"]
    assert smoothed([sure, other, sure], [0.2, 0.2]) == ["en", "fr", "en"]
    assert smoothed([sure, sure, other, other], [0.2] * 3) == ["en", "en", "fr", "fr"]
    assert smoothed([sure, likely(fr=0.6, en=0.3), other], [0.2, 0.2]) == ["en", "fr", "fr"]
    assert smoothed([], []) == []


def test_without_a_cost_of_switching_each_probe_is_for_itself():
    probes = [likely(en=0.9), likely(de=0.5, en=0.4), likely(en=0.9)]
    assert smoothed(probes, [1.0, 1.0]) == ["en", "de", "en"]


def test_no_probe_outweighs_all_the_others():
    certain = {"de": 0.0, "en": 0.0, "fr": 1.0}
    calm = [likely(en=0.9)] * 6
    assert FLOOR > 0
    assert smoothed([*calm, certain, *calm], [0.02] * 12) == ["en"] * 13


def test_long_segments_are_probed_in_several_places():
    assert centres(2 * HZ) == [HZ]
    assert centres(14 * HZ) == [round(3.5 * HZ), round(10.5 * HZ)]
    assert len(centres(28 * HZ)) == 4


class Foretold:
    """Stands for Whisper: the language of a probe is written in its samples. The real one is below."""

    def languages(self, probes, seconds):
        assert all(len(probe) <= seconds * HZ for probe in probes)
        names = {1: "en", 2: "fr", 3: "la"}
        found = []
        for probe in probes:
            own = names[round(float(np.median(np.abs(probe))))]
            found.append({"de": 0.01, "en": 0.01, "fr": 0.01, "la": 0.01} | {own: 0.97})
        return found


def voiced(*levels_s, start_s=10.0):
    """A segment whose samples are so loud for so many seconds each, with a breath between."""
    pieces = []
    for level, seconds in levels_s:
        pieces += [np.full(round(seconds * HZ), float(level), np.float32), np.zeros(HZ // 5, np.float32)]
    samples = np.concatenate(pieces[:-1])
    start = round(start_s * HZ)
    end = start + len(samples)
    return VoiceSegment(start, end, "pause", end, 0.9, samples, np.zeros(HZ, np.float32))


def test_a_segment_is_cut_where_its_language_changes():
    segment = voiced((1, 11.0), (2, 10.0))
    first, second = told([segment], Foretold(), AUTO)
    assert (first.index, second.index) == (0, 0)
    assert (first.language, second.language) == ("en", "fr")
    assert first.segment.end_sample == second.segment.start_sample
    assert first.segment.end_sample / HZ == pytest.approx(21.1, abs=0.1)  # in the breath
    assert len(first.segment.samples) + len(second.segment.samples) == len(segment.samples)
    assert len(second.segment.lead) == 0
    (whole,) = told([voiced((1, 25.0))], Foretold(), AUTO)
    assert len(whole.segment.samples) == 25 * HZ


def test_languages_that_nobody_speaks_are_not_told():
    def languages(settings):
        return [part.language for part in told([voiced((3, 5.0))], Foretold(), settings)]

    assert languages(AUTO.model_copy(update={"languages_never": ()})) == ["la"]
    assert languages(AUTO) != ["la"]


def test_auto_is_two_models_and_a_name_is_itself():
    assert models_of("auto") == ("whisper-tiny.en", "whisper-base")
    assert models_of("whisper-base") == ("whisper-base",)


# What is kept of several hearings: a scripted Whisper; the real one is below.


class Scripted:
    """Hears what it is told to: per language the probabilities of eight words in the four seconds."""

    is_multilingual = True
    name = "whisper-base"

    def __init__(self, model, *, compute_type, threads):
        self.likely, self.words, self.tried = {}, {}, []

    def languages(self, probes, seconds):
        return [self.likely for _ in probes]

    def passes(self, window, language, speech, gates):
        self.tried.append(language)
        sure = self.words.get(language, [])
        texts = ["lantern", "harbour", "window.", "Candle", "gardens", "mountain", "evening", "village."]
        words = [
            SimpleNamespace(word=f" {text}", start=0.1 + at / 2, end=0.5 + at / 2, probability=probability)
            for at, (text, probability) in enumerate(zip(texts, sure, strict=False))
        ]
        text = "".join(word.word for word in words)
        return [SimpleNamespace(text=text, words=words, no_speech_prob=0.0)] if words else []


@pytest.fixture
def choice(monkeypatch):
    """Has one segment heard: (language of what is kept, languages in which it was heard, in order)."""
    monkeypatch.setattr(speech, "Whisper", Scripted)

    def made(likely, words, **settings):
        own = Recogniser(SpeechSettings(model="whisper-base", **settings), AudioSettings().gates)
        own._able.likely = likely
        own._able.words = {name: p if isinstance(p, list) else [p] * 8 for name, p in words.items()}
        heard = own.hear([voiced((1, 4.0))])
        return {s.language for s in heard.sentences}, list(dict.fromkeys(own._able.tried))

    return made


OPEN = {"en": 0.3, "fr": 0.5, "de": 0.2}


def test_sure_words_are_kept_without_another_trial(choice):
    assert choice({"en": 0.9, "fr": 0.05, "de": 0.05}, {"en": 0.9, "fr": 0.95}) == ({"en"}, ["en"])
    assert choice({"en": 0.1, "fr": 0.8, "de": 0.1}, {"en": 0.9, "fr": 0.8}) == ({"fr"}, ["fr"])
    assert choice(OPEN, {"en": 0.8, "fr": 0.9}) == ({"en"}, ["en"])  # an accent, which is told as French


def test_english_is_preferred_by_the_margin_where_it_is_open(choice):
    assert choice(OPEN, {"en": 0.5, "fr": 0.58}) == ({"en"}, ["en", "fr", "de"])
    assert choice(OPEN, {"en": 0.5, "fr": 0.62}) == ({"fr"}, ["en", "fr", "de"])
    assert choice(OPEN, {"en": 0.5, "fr": 0.52}, language_margin=0.0)[0] == {"fr"}
    # German comes last; it has to be surer than what was kept.
    assert choice(OPEN, {"en": 0.4, "fr": 0.55, "de": 0.6})[0] == {"de"}
    assert choice(OPEN, {"en": 0.4, "fr": 0.75, "de": 0.9}) == ({"fr"}, ["en", "fr"])


def test_without_margin_where_the_probes_are_sure_or_against_english(choice):
    sure = {"en": 0.15, "fr": 0.75, "de": 0.1}
    assert choice(sure, {"fr": 0.6, "en": 0.55}) == ({"fr"}, ["fr", "en"])
    assert choice(sure, {"fr": 0.5, "en": 0.55}) == ({"en"}, ["fr", "en"])
    against = {"en": 0.02, "fr": 0.6, "de": 0.38}
    assert choice(against, {"fr": 0.6, "en": 0.55}) == ({"fr"}, ["fr", "en", "de"])


def test_what_the_gates_refuse_is_never_kept(choice):
    """A hearing counts by what is believed of it, not by all its words."""
    assert choice(OPEN, {"en": 0.15, "fr": 0.25}) == ({"fr"}, ["en", "fr", "de"])
    assert choice(OPEN, {"en": 0.25, "fr": 0.19}) == ({"en"}, ["en", "fr", "de"])
    assert choice(OPEN, {"en": 0.15, "fr": 0.15}) == (set(), ["en", "fr", "de"])
    # Of the French one only the second sentence is believed: five words of eight, .95 sure.
    assert choice(OPEN, {"en": 0.52, "fr": [0.1] * 3 + [0.95] * 5})[0] == {"en"}


def test_no_language_is_tried_that_is_hardly_probable_or_where_english_gave_nothing(choice):
    hardly = {"en": 0.66, "fr": 0.18, "de": 0.16}
    assert choice(hardly, {"en": 0.3, "fr": 0.9}) == ({"en"}, ["en"])
    assert choice(hardly, {"en": 0.3, "fr": 0.9}, language_tried=0.1) == ({"fr"}, ["en", "fr"])
    assert choice(OPEN, {"fr": 0.9}) == (set(), ["en"])
    # Where another language gave nothing, English may have been spoken.
    assert choice({"en": 0.1, "fr": 0.8, "de": 0.1}, {"en": 0.5}) == ({"en"}, ["fr", "en"])


def test_what_is_refused_is_counted_for_the_hearing_that_is_kept(monkeypatch):
    monkeypatch.setattr(speech, "Whisper", Scripted)
    own = Recogniser(SpeechSettings(model="whisper-base"), AudioSettings().gates)
    own._able.likely, own._able.words = OPEN, {"en": [0.1] * 8, "fr": [0.1] * 3 + [0.9] * 5}
    heard = own.hear([voiced((1, 4.0))])
    assert [s.text for s in heard.sentences] == ["Candle gardens mountain evening village."]
    assert heard.refused == {"confidence": 1}


# The real models, on real voices.


@pytest.fixture(scope="module")
def others():
    """Files in other languages, pulled as this folder's lock says."""
    lock = parse_lock(Path(__file__).with_name("speech.lock.json").read_bytes(), "speech.lock.json")
    collection = Collection(lock, platformdirs.user_cache_path("omnirecall") / "test-media")
    try:
        pull(collection)
    except OmniRecallError as error:
        pytest.skip(f"recordings in other languages are not to be had: {error}")
    return {
        language: sound(collection.file("other-languages", f"{language}.wav")) for language in ("fr", "es")
    }


def sound(path):
    return np.concatenate([chunk.samples for chunk in chunks(path, 0)])


def silence(seconds):
    return np.zeros(round(seconds * HZ), np.int16)


@pytest.fixture(scope="module")
def stream(others):
    """English, French, English, Spanish: (n,) int16, with a second of silence between."""
    english = sound(demo_media().file("two-cities", "two_cities.wav"))
    pieces = [english[: 6 * HZ], others["fr"], english[6 * HZ : 12 * HZ], others["es"]]
    return np.concatenate([part for piece in pieces for part in (piece, silence(1))])


@pytest.fixture(scope="module")
def recogniser():
    return Recogniser(AUTO, AudioSettings().gates)


def batches_of(samples, begin=0, wait_s=60.0):
    state = TrackState(Silero(), AudioSettings().voice, live=False, begin_sample=begin)
    batcher = Batcher(live=False, wait_s=wait_s)
    events = [*state.chunk(begin, samples[begin:]), *state.gap()]
    found = [batch for e in events if not isinstance(e, VoiceStart) for batch in batcher.add(e)]
    return found + batcher.rest()


def plain(sentences):
    return re.sub(r"[^\w\s]", "", " ".join(s.text for s in sentences).lower())


@pytest.mark.model
def test_a_film_that_changes_its_language_is_followed(recogniser, stream):
    sentences = [s for batch in batches_of(stream) for s in recogniser.hear(batch.segments).sentences]
    assert list(dict.fromkeys((s.language, s.model) for s in sentences)) == [
        ("en", "whisper-tiny.en"),
        ("fr", "whisper-base"),
        ("es", "whisper-base"),
    ]
    spoken = {
        language: plain([s for s in sentences if s.language == language]) for language in ("en", "fr", "es")
    }
    assert "it was the best of times it was the worst of times" in spoken["en"]
    assert {"juge", "fume"} <= set(spoken["fr"].split())  # of a pangram, which no model expects
    assert {"uno", "dos", "tres", "cinco", "nueve"} <= set(spoken["es"].split()) or "1 2 3" in re.sub(
        r"\s+", " ", spoken["es"]
    )
    times = [s.pts0_ns for s in sentences]
    assert times == sorted(times)
    identities = [(s.anchor_sample, s.ordinal) for s in sentences]
    assert len(set(identities)) == len(identities)


@pytest.mark.model
def test_resumed_behind_any_mark_the_same_is_heard(recogniser, stream):
    """Each segment is a batch of its own, so that there are marks; nothing is remembered across them."""
    whole = batches_of(stream, wait_s=1.0)
    assert len([batch for batch in whole if batch.segments]) >= 3
    heard = [recogniser.hear(batch.segments) for batch in whole]
    for index in (0, len(whole) // 2):
        again = batches_of(stream, begin=whole[index].mark_sample, wait_s=1.0)
        resumed = Recogniser(AUTO, AudioSettings().gates)
        found = [s for batch in again for s in resumed.hear(batch.segments).sentences]
        assert found == [s for later in heard[index + 1 :] for s in later.sentences]
