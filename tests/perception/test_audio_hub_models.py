"""Another Whisper by configuration: a folder in CTranslate2's format, converted here from random weights."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from perception.audio.settings import GateSettings, SpeechSettings
from perception.audio.speech import Recogniser
from perception.audio.voice import VoiceSegment
from perception.audio.whisper import PRODUCER_VERSION, Whisper, check_language, producer_id
from stream.errors import ConfigError, ModelDamaged, ModelFailed, ModelMissing
from stream.models import model_file
from stream.models.named import named_model
from stream.models.speech import languages_of, speech_model
from tools import tiny_models


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    words = model_file("whisper-tiny.en", "tokenizer.json")
    return tiny_models.make_whisper(tmp_path_factory.mktemp("tiny") / "tiny-whisper", words)


@pytest.mark.model
def test_a_folder_is_loaded_and_named_by_its_content(whisper, monkeypatch):
    """It hears: what a random network writes is refused by the gates, and nothing raises."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    settings = SpeechSettings(model=str(whisper), language="en")
    assert producer_id(settings.model) == f"{named_model(str(whisper)).id}+silero-v6/{PRODUCER_VERSION}"
    assert producer_id(settings.model).startswith("tiny-whisper@")
    own = Recogniser(settings, GateSettings())
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    empty = np.zeros(0, np.float32)
    segment = VoiceSegment(0, 32_000, "eof", 32_000, 0.9, noise, empty)
    assert own.hear([segment]).sentences == ()


@pytest.mark.model
@pytest.mark.parametrize("lacking", ["tokenizer.json", "model.bin", "config.json"])
def test_what_a_folder_lacks_is_named_before_a_hub_would_be_asked(whisper, tmp_path, lacking):
    folder = tmp_path / "lacking"
    shutil.copytree(whisper, folder)
    (folder / lacking).unlink()
    with pytest.raises(ModelMissing, match=lacking):
        Recogniser(SpeechSettings(model=str(folder)), GateSettings())


@pytest.mark.model
def test_damaged_weights_are_named(whisper, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(whisper, folder)
    (folder / "model.bin").write_bytes(b"not a network")
    with pytest.raises(ModelFailed, match="cannot be loaded"):
        Recogniser(SpeechSettings(model=str(folder)), GateSettings())


@pytest.mark.model
def test_a_model_of_128_mel_bins_needs_its_preprocessor(tmp_path):
    """As large-v3 and its kin: without the file faster-whisper makes 80, and each window fails."""
    words = model_file("whisper-tiny.en", "tokenizer.json")
    folder = tiny_models.make_whisper(tmp_path / "large", words, mel_bins=128)
    with pytest.raises(ModelMissing, match=r"preprocessor_config\.json.*128 mel bins, not 80") as caught:
        Whisper(str(folder), compute_type="int8", threads=1)
    assert "pull it again" in caught.value.remedy
    preprocessor = folder / "preprocessor_config.json"
    preprocessor.write_text(json.dumps({"feature_size": 64}))
    with pytest.raises(ModelFailed, match=r"preprocessor_config\.json says 64 mel bins, .* has 128"):
        Whisper(str(folder), compute_type="int8", threads=1)
    preprocessor.write_text(json.dumps({"feature_size": 128}))
    own = Recogniser(SpeechSettings(model=str(folder)), GateSettings())
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    assert own.hear([VoiceSegment(0, 32_000, "eof", 32_000, 0.9, noise, noise[:0])]).sentences == ()


def test_the_languages_of_a_model_are_those_of_its_vocabulary(tmp_path):
    assert languages_of(speech_model("whisper-tiny.en")) == {"en"}  # although its vocabulary has more
    base = languages_of(speech_model("whisper-base"))
    assert len(base) == 99
    assert {"en", "fr", "haw", "zh"} < base
    folder = tmp_path / "own"
    folder.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    tokens = [f"word {n}" for n in range(51_863)] + ["<|fr|>", "<|yue|>", "<|translate|>"]
    (folder / "vocabulary.json").write_text(json.dumps(tokens))
    assert languages_of(speech_model(str(folder))) == {"fr", "yue"}
    (folder / "vocabulary.json").write_text(json.dumps(tokens)[:-9])
    with pytest.raises(ModelDamaged, match=r"vocabulary\.json"):
        languages_of(speech_model(str(folder)))


def test_a_language_that_the_model_does_not_know_is_named_with_it():
    for model, language in (("whisper-tiny.en", ""), ("whisper-tiny.en", "en"), ("auto", "fr")):
        check_language(SpeechSettings(model=model, language=language))
    with pytest.raises(ConfigError, match=r"'fr' is no language of whisper-tiny\.en") as caught:
        check_language(SpeechSettings(model="whisper-tiny.en", language="fr"))
    assert "whisper-base" in caught.value.remedy
    for model, language in (("whisper-base", "english"), ("auto", "xx")):
        with pytest.raises(ConfigError, match=rf"'{language}' is no language of whisper-base") as caught:
            check_language(SpeechSettings(model=model, language=language))
        assert "en, es" in caught.value.remedy


def test_a_hub_id_must_have_been_pulled(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIRECALL_MODELS", str(tmp_path))
    with pytest.raises(ModelMissing) as caught:
        producer_id("us/whisper-large-v3-turbo-ct2@1")
    assert "models pull --hub us/whisper-large-v3-turbo-ct2@1" in caught.value.remedy
    with pytest.raises(ConfigError, match="not in the lock"):
        producer_id("whisper-huge")
