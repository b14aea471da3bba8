"""Models of folders: the real classes of transformers with random weights, made here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from perception.encoder.networks import Encoders
from perception.encoder.pretrained import Device, choose_device
from perception.encoder.schedule import Slice, Work
from perception.encoder.sentences import SentenceEncoder, pooling_of
from perception.encoder.settings import EncoderSettings
from stream.errors import ConfigError, Malformed, ModelDamaged, ModelMissing
from stream.models.named import named_model
from tools import tiny_models

CPU = Device("cpu")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    return {
        "clip": tiny_models.make_joint(root / "tiny-clip", "clip"),
        "siglip": tiny_models.make_joint(root / "tiny-siglip", "siglip"),
        "siglip2": tiny_models.make_joint(root / "tiny-siglip2", "siglip2"),
        "mean": tiny_models.make_sentences(root / "tiny-mean"),
        "first": tiny_models.make_sentences(root / "tiny-first", pooling="pooling_mode_cls_token"),
    }


@pytest.fixture(autouse=True)
def own_digests(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIRECALL_MODELS", str(tmp_path / "models"))


def encoders(**settings):
    return Encoders(EncoderSettings(device="cpu", **settings), 1)


def pictures(n=3):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (40 + 7 * i, 60, 3), dtype=np.uint8) for i in range(n)]


@pytest.mark.parametrize(("kind", "dimension"), [("clip", 24), ("siglip", 16), ("siglip2", 16)])
def test_pictures_and_texts_share_a_space(folders, kind, dimension):
    own = encoders(image_model=str(folders[kind]))
    joint = own.joint()
    keys, norms = joint.encode(pictures(9))
    texts = joint.encode_texts(["a photo of a cat", "a red boat " * 40])
    assert keys.shape == (9, dimension)
    assert texts.shape == (2, dimension)
    assert keys.dtype == texts.dtype == norms.dtype == np.float32
    assert np.linalg.norm(keys, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(texts, axis=1) == pytest.approx(1, abs=1e-5)
    again, _ = encoders(image_model=str(folders[kind])).joint().encode(pictures(9)[::-1])
    assert np.allclose(again[::-1], keys, atol=1e-5), "the batch that a picture is in must not matter"
    with pytest.raises(Malformed):
        joint.encode([np.zeros((4, 4), np.uint8)])


@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip2"])
def test_keys_are_those_of_the_models_own_forward_pass(folders, kind):
    """Against transformers' joint forward: its logits are scale · cosine (+ bias) of our keys."""
    import torch
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    joint = encoders(image_model=str(folders[kind])).joint()
    keys, _ = joint.encode(pictures())
    texts = joint.encode_texts(["a photo of cat", "dog"])
    folder = str(folders[kind])
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    seen = AutoImageProcessor.from_pretrained(folder, backend="pil")(images=pictures(), return_tensors="pt")
    words = AutoTokenizer.from_pretrained(folder)(
        ["a photo of cat", "dog"], padding="max_length", max_length=32, return_tensors="pt"
    )
    read = {"input_ids": words["input_ids"]}
    if kind == "clip":
        read["attention_mask"] = words["attention_mask"]
    with torch.inference_mode():
        wanted = model(**seen, **read).logits_per_image.numpy()
    scale, bias = joint.logit
    got = scale * keys @ texts.T + (bias if kind != "clip" else 0.0)
    assert np.allclose(got, wanted, atol=1e-3)
    if kind != "clip":
        assert (scale, bias) == (pytest.approx(np.exp(2.0), rel=1e-5), -3.0)
    else:
        assert bias == pytest.approx(-0.28 * scale), "even odds at a cosine of 0.28"


def test_ids_tell_model_content_and_precision(folders):
    clip, siglip = (encoders(image_model=str(folders[kind])).spaces() for kind in ("clip", "siglip"))
    assert clip.image == clip.image_text == f"{named_model(str(folders['clip'])).id}/torch-fp32"
    assert clip.image.startswith("tiny-clip@")
    assert clip.image != siglip.image
    assert clip.text == "all-minilm-l6-v2@1110a243/onnx-fp32"
    default = encoders().spaces()
    assert (default.image, default.image_text) == ("efficientnet-lite0@57934424/onnx-fp32", "")


def test_slices_of_each_kind_run(folders):
    own = encoders(image_model=str(folders["siglip"]), text_model=str(folders["mean"]))
    own.load()
    spaces = own.spaces()
    made = own.run(Slice(Work("text", "bulk", ["cat", "dog"], 6), (0, 1), 1.0))
    assert made.encoder_id == spaces.text
    assert made.keys.shape == (2, 16)
    made = own.run(Slice(Work("image_text", "question", ["cat"], 3), (0,), 1.0))
    assert made.encoder_id == spaces.image
    assert made.logit.tolist() == pytest.approx([np.exp(2.0), -3.0], rel=1e-5)


def test_texts_by_another_model_than_the_configured_one(folders):
    """What a store speaks while it changes its encoder: each model by its name, or by the id of its keys."""
    mean, first = (str(folders[kind]) for kind in ("mean", "first"))
    own = encoders(text_model=mean)

    def made(model):
        return own.run(Slice(Work("text", "question", ["a red boat"], 10, model=model), (0,), 1.0))

    ids = {model: made(model).encoder_id for model in ("", mean, first)}
    assert ids[""] == ids[mean] == f"{named_model(mean).id}/torch-fp32"
    assert ids[first] == f"{named_model(first).id}/torch-fp32"
    assert np.allclose(made("").keys, made(ids[""]).keys)
    assert not np.allclose(made(first).keys, made(mean).keys)
    assert own.text_space("").text_model == mean
    assert own.text_space(first).text == ids[first]
    for told in ("all-minilm-l6-v2", "all-minilm-l6-v2:fp32", "all-minilm-l6-v2@1110a243/onnx-fp32"):
        space = own.text_space(told)
        assert (space.text, space.text_model) == (
            "all-minilm-l6-v2@1110a243/onnx-fp32",
            "all-minilm-l6-v2:fp32",
        )
    with pytest.raises(ModelMissing, match="not known to this store"):
        own.text_space("tiny-gone@0123456789ab/torch-fp32")
    with pytest.raises(ModelMissing):
        own.text_space("/nowhere/at/all")
    with pytest.raises(ConfigError):
        own.text_space("all-minilm-l6-v2:fp64")


@pytest.mark.parametrize(
    ("lacks", "error"),
    [("config.json", ModelMissing), ("model.safetensors", ModelMissing), ("tokenizer", ModelMissing)],
)
def test_a_folder_that_lacks_a_part_of_a_model_of_texts_is_refused_when_it_is_named(
    folders, tmp_path, lacks, error
):
    folder = tmp_path / "some"
    shutil.copytree(folders["mean"], folder)
    own = encoders()
    assert own.text_space(str(folder)).text_model == str(folder)
    for path in folder.glob(f"{lacks}*"):
        path.unlink()
    with pytest.raises(error, match=str(folder)):
        encoders().text_space(str(folder))


def test_a_folder_of_something_else_is_refused_before_it_is_read(folders, tmp_path, monkeypatch):
    monkeypatch.setattr("stream.models.named.content_digest", lambda *_: pytest.fail("its content was read"))
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(ModelMissing, match=r"has no config\.json"):
        encoders().text_space(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelDamaged, match="names no model_type"):
        encoders().text_space(str(tmp_path))


def test_texts_among_pictures_need_a_text_side():
    with pytest.raises(ConfigError, match="no text side"):
        encoders().run(Slice(Work("image_text", "question", ["cat"], 3), (0,), 1.0))


@pytest.mark.parametrize("kind", ["mean", "first"])
def test_sentences_are_pooled_as_the_model_says(folders, kind):
    import torch
    from transformers import AutoModel, AutoTokenizer

    texts = ["a photo of a cat", "dog", "what is said . " * 30, ""]
    keys = encoders(text_model=str(folders[kind])).text().encode(texts)
    assert keys.shape == (4, 16)
    model = AutoModel.from_pretrained(str(folders[kind])).eval()
    words = AutoTokenizer.from_pretrained(str(folders[kind]))
    for text, key in zip(texts, keys, strict=True):
        one = words([text], truncation=True, max_length=32, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(input_ids=one["input_ids"]).last_hidden_state[0].numpy()
        pooled = hidden.mean(axis=0) if kind == "mean" else hidden[0]
        assert np.allclose(key, pooled / np.linalg.norm(pooled), atol=1e-5)


def test_a_pooling_or_part_that_is_not_known_is_refused(tmp_path):
    folder = tiny_models.make_sentences(tmp_path / "s", pooling="pooling_mode_max_tokens")
    with pytest.raises(ConfigError, match="max_tokens"):
        pooling_of(named_model(str(folder)))
    (folder / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Dense"}]))
    with pytest.raises(ConfigError, match="Dense"):
        SentenceEncoder(named_model(str(folder)), CPU)


def test_wrong_models_are_named(folders, tmp_path):
    with pytest.raises(ConfigError, match="not of the CLIP or SigLIP class"):
        encoders(image_model=str(folders["mean"])).joint()
    with pytest.raises(ModelMissing, match="not on this machine") as caught:
        encoders(image_model="us/siglip@1").joint()
    assert "models pull --hub us/siglip@1" in caught.value.remedy
    with pytest.raises(ConfigError, match=r"encoder\.image_model"):
        encoders(image_model="whisper-base").joint()
    broken = tiny_models.make_joint(tmp_path / "broken", "clip")
    (broken / "model.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(ModelDamaged, match="weights cannot be opened"):
        encoders(image_model=str(broken)).joint()


def test_pickled_weights_and_code_are_never_loaded(tmp_path):
    """A folder with weights as pickle only, and one whose configuration asks for its own code."""
    import torch

    pickled = tiny_models.make_joint(tmp_path / "pickled", "clip")
    (pickled / "model.safetensors").unlink()
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(ModelDamaged):
        encoders(image_model=str(pickled)).joint()
    coded = tiny_models.make_joint(tmp_path / "coded", "clip")
    config = json.loads((coded / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    config["model_type"] = "evil"
    (coded / "config.json").write_text(json.dumps(config))
    (coded / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ConfigError):
        encoders(image_model=str(coded)).joint()
    config["model_type"] = "clip"
    (coded / "config.json").write_text(json.dumps(config))
    encoders(image_model=str(coded)).joint()
    assert not (tmp_path / "ran").exists()


def test_the_device_is_that_of_the_setting(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == Device("cpu")
    assert choose_device("cpu").precision == "fp32"
    with pytest.raises(ConfigError, match="torch sees no GPU"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == Device("cuda")
    assert choose_device("cuda").precision == "fp16"
    assert choose_device("cpu") == Device("cpu")


def test_the_default_models_need_no_torch():
    script = (
        "import sys; from perception.encoder.networks import Encoders;"
        "from perception.encoder.settings import EncoderSettings; import perception.encoder.service;"
        "own = Encoders(EncoderSettings(), 1); assert own.is_torch_free; print(own.spaces().text);"
        "bad = {'torch', 'transformers', 'huggingface_hub'} & set(sys.modules); assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
