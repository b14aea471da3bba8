"""Where Whisper runs: a GPU that is made up, one that turns out to be none, and the CPU as it is."""

from __future__ import annotations

from types import SimpleNamespace

import ctranslate2
import faster_whisper
import numpy as np
import pytest
from pydantic import ValidationError

from perception.audio import speech_places, whisper
from perception.audio.settings import GateSettings, SpeechSettings
from perception.audio.speech import Recogniser
from perception.audio.speech_places import place_in_id, places_of
from perception.audio.voice import VoiceSegment
from perception.audio.whisper import producer_id
from stream.errors import ConfigError, ModelFailed
from stream.models import model_file

ON_CPU = {"int8", "int8_float32", "int16", "float32"}
ON_GPU = {"int8", "int8_float32", "int8_float16", "float16", "bfloat16", "float32"}
NO_CUBLAS = "Library libcublas.so.12 is not found or cannot be loaded"


class FakeWhisper:
    """Stands in for faster-whisper's model where there is no GPU; the real one is at the end.

    Like it, it loads without cuBLAS and raises when it first encodes.
    """

    made: list[tuple[str, str]] = []
    encodes = True

    def __init__(self, folder, *, device, compute_type, **_):
        self.place = (device, compute_type)
        self.made.append(self.place)
        self.model = SimpleNamespace(n_mels=80, is_multilingual=False, encode=self.encode)
        self.feature_extractor = SimpleNamespace(mel_filters=np.zeros((80, 201)))

    def encode(self, features, to_cpu):
        if self.place[0] == "cuda" and not self.encodes:
            raise RuntimeError(NO_CUBLAS)


@pytest.fixture
def gpu(monkeypatch):
    """Sees to it that CTranslate2 says what is wanted; gives what was loaded: (device, arithmetic)."""
    folder = SimpleNamespace(folder="whisper", id="whisper-tiny.en@0d3d19a32d33")
    monkeypatch.setattr(whisper, "speech_model", lambda _: folder)
    monkeypatch.setattr(faster_whisper, "WhisperModel", FakeWhisper)
    monkeypatch.setattr(FakeWhisper, "made", [])

    def made(n_devices=1, encodes=True, able=ON_GPU):
        monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: n_devices)
        types = {"cpu": ON_CPU, "cuda": able}
        monkeypatch.setattr(ctranslate2, "get_supported_compute_types", types.__getitem__)
        monkeypatch.setattr(FakeWhisper, "encodes", encodes)
        return FakeWhisper.made

    return made


def recogniser(**settings):
    return Recogniser(SpeechSettings(**settings), GateSettings())


def test_the_producer_tells_where_and_how_but_for_int8_on_the_cpu(gpu):
    assert place_in_id("cpu", "int8") == ""
    gpu()
    for device, compute_type in (("cpu", "float32"), ("cuda", "float16"), ("cuda", "int8")):
        ids = recogniser(device=device, compute_type=compute_type).producer_ids()
        assert ids == {"whisper-tiny.en": f"{producer_id('whisper-tiny.en')}+{device}-{compute_type}"}


def test_auto_takes_a_gpu_that_does(gpu):
    made = gpu()
    own = recogniser()
    assert made == [("cuda", "float16")]
    assert own.not_on_gpu == ""
    assert own.producer_ids()["whisper-tiny.en"].endswith("+cuda-float16")


def test_auto_hears_on_the_cpu_where_a_gpu_lacks_its_libraries(gpu):
    made = gpu(encodes=False)
    own = recogniser()
    assert made == [("cuda", "float16"), ("cpu", "int8")]
    assert NO_CUBLAS in own.not_on_gpu
    assert own.producer_ids() == {"whisper-tiny.en": producer_id("whisper-tiny.en")}


def test_all_models_are_at_one_place(gpu, monkeypatch):
    made = gpu()
    monkeypatch.setattr(FakeWhisper, "encodes", property(lambda self: len(self.made) < 2))
    recogniser(model="auto")
    assert made == [("cuda", "float16")] * 2 + [("cpu", "int8")] * 2


def test_no_gpu_is_tried_where_there_is_none_or_none_is_wanted(gpu):
    made = gpu(n_devices=0)
    recogniser()
    gpu(n_devices=1)
    recogniser(device="cpu")
    assert made == [("cpu", "int8")] * 2


def test_a_gpu_that_is_demanded_and_cannot_be_had_is_named(gpu):
    gpu(n_devices=0)
    with pytest.raises(ConfigError, match=r"audio\.speech\.device is cuda, and CTranslate2 sees no GPU"):
        recogniser(device="cuda")
    gpu(encodes=False)
    with pytest.raises(ConfigError, match=NO_CUBLAS) as caught:
        recogniser(device="cuda")
    assert "cuBLAS" in caught.value.remedy


def test_the_arithmetic_is_the_one_that_is_set_or_the_first_that_is_there(gpu):
    gpu(able={"int8", "float32"})  # an old GPU
    assert places_of(SpeechSettings()) == (("cuda", "int8"), ("cpu", "int8"))
    gpu()
    assert places_of(SpeechSettings(compute_type="float32")) == (("cuda", "float32"), ("cpu", "float32"))
    assert places_of(SpeechSettings(compute_type="float16")) == (("cuda", "float16"),)
    assert places_of(SpeechSettings(compute_type="int16")) == (("cpu", "int16"),)
    with pytest.raises(ConfigError, match=r"compute_type: float16 .*cpu: float32, int16"):
        places_of(SpeechSettings(compute_type="float16", device="cpu"))
    with pytest.raises(ValidationError):
        SpeechSettings(compute_type="int4")


def test_the_process_says_that_it_hears_on_the_cpu(gpu, audio_service, capsys):
    gpu(encodes=False)
    service = audio_service()
    warned = []
    service.log = SimpleNamespace(
        warning=lambda event, **more: warned.append((event, more)), info=lambda *_, **__: None
    )
    service._loaded(service._load())
    ((event, more),) = warned
    assert event == "speech_on_cpu"
    assert NO_CUBLAS in more["message"]
    assert service._producer_ids == {"whisper-tiny.en": producer_id("whisper-tiny.en")}


def test_the_cpu_as_it_is():
    """What CTranslate2 really has: int8 is what `auto` is, on every processor that it is built for."""
    assert places_of(SpeechSettings(device="cpu")) == (("cpu", "int8"),)
    assert places_of(SpeechSettings(device="cpu", compute_type="float32")) == (("cpu", "float32"),)


@pytest.mark.model
def test_the_probe_runs_the_real_encoder(monkeypatch):
    """As on a GPU, but for the device: it takes what the probe gives it."""
    model_file("whisper-tiny.en", "model.bin")
    own = whisper.Whisper("whisper-tiny.en", compute_type="int8", threads=1)
    speech_places.probe(own.name, own.model)
    monkeypatch.setattr(speech_places, "PROBE_FRAMES", 4000)  # longer than Whisper hears
    with pytest.raises(ModelFailed, match=r"whisper-tiny\.en cannot be run on the GPU"):
        speech_places.probe(own.name, own.model)


@pytest.mark.model
@pytest.mark.skipif(not ctranslate2.get_cuda_device_count(), reason="CTranslate2 sees no GPU")
def test_a_real_gpu_hears_or_is_refused():
    own = recogniser()
    assert (own.device == "cuda") == (not own.not_on_gpu)
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    segment = VoiceSegment(0, 32_000, "eof", 32_000, 0.9, noise, np.zeros(0, np.float32))
    assert own.hear([segment]).sentences == ()
