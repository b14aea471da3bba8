"""Another Whisper by configuration: a folder in CTranslate2's format, converted here from random weights."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from perception.audio.settings import GateSettings, SpeechSettings
from perception.audio.speech import Recogniser
from perception.audio.voice import VoiceSegment
from perception.audio.whisper import PRODUCER_VERSION, producer_id
from stream.errors import ConfigError, ModelFailed, ModelMissing
from stream.models import model_file
from stream.models.named import named_model
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


def test_a_hub_id_must_have_been_pulled(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIRECALL_MODELS", str(tmp_path))
    with pytest.raises(ModelMissing) as caught:
        producer_id("us/whisper-large-v3-turbo-ct2@1")
    assert "models pull --hub us/whisper-large-v3-turbo-ct2@1" in caught.value.remedy
    with pytest.raises(ConfigError, match="not in the lock"):
        producer_id("whisper-huge")
