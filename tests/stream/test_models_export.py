"""The derived files give what the published weights give, on real input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stream.models import Condition, demo_media, model_file, models
from stream.models.collection import EXPORTER_VERSION
from stream.models.pull import pull
from stream.models.stamp import item_digest, read_stamp

pytestmark = pytest.mark.model

TEXTS = [
    "a photo of a cat",
    "kittens playing",
    "the stock market fell",
    "Where did I park the car last night?",
]


@pytest.fixture(scope="module", autouse=True)
def media() -> None:
    pull(demo_media())


def pixels(path: Path) -> NDArray[np.float32]:
    """(1, 3, 224, 224): centre crop, area resize, (value - 127) / 128."""
    picture = Image.open(path).convert("RGB")
    side = int(min(picture.size) * 224 / 256)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BOX)
    return ((np.asarray(square, np.float32) - 127) / 128).transpose(2, 0, 1)[None]


def onnx(name: str, file: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model_file(name, file)), options)


@pytest.mark.parametrize(
    ("medium", "file", "expected"),
    [
        ("coffee", "coffee.png", {"espresso"}),
        ("cat", "chelsea.png", {"tabby", "tiger cat", "Egyptian cat"}),
        ("camera", "camera.png", {"tripod"}),
    ],
)
def test_image_export_equals_torch_and_names_what_is_there(
    medium: str, file: str, expected: set[str]
) -> None:
    import torch

    from stream.models.efficientnet_lite import load_efficientnet_lite0

    picture = pixels(demo_media().file(medium, file))
    features = onnx("efficientnet-lite0", "features.onnx").run(None, {"pixels": picture})[0]
    network = load_efficientnet_lite0(model_file("efficientnet-lite0", "efficientnet-lite0-57934424.pth"))
    with torch.inference_mode():
        np.testing.assert_allclose(features, network(torch.from_numpy(picture)).numpy(), atol=1e-4)
    head = np.load(model_file("efficientnet-lite0", "head.npz"))
    scores = (features @ head["weight"].T + head["bias"])[0]
    labels = model_file("efficientnet-lite0", "labels.txt").read_text(encoding="utf-8").splitlines()
    best = {labels[index] for index in np.argsort(scores)[::-1][: len(expected)]}
    assert best == expected


def tokens(texts: list[str]) -> dict[str, NDArray[np.int64]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model_file("all-minilm-l6-v2", "tokenizer.json")))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(texts)
    return {
        "input_ids": np.array([one.ids for one in encoded], np.int64),
        "attention_mask": np.array([one.attention_mask for one in encoded], np.int64),
    }


def test_text_export_equals_torch() -> None:
    import torch

    from stream.models.export import text_encoder

    batch = tokens(TEXTS)
    keys = onnx("all-minilm-l6-v2", "model.onnx").run(None, batch)[0]
    assert keys.shape == (len(TEXTS), 384)
    assert keys.dtype == np.float32
    encoder = text_encoder(model_file("all-minilm-l6-v2", "config.json").parent)
    with torch.inference_mode():
        expected = encoder(torch.from_numpy(batch["input_ids"]), torch.from_numpy(batch["attention_mask"]))
    np.testing.assert_allclose(keys, expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(keys, axis=1), 1, atol=1e-5)


def test_text_export_does_not_see_padding() -> None:
    session = onnx("all-minilm-l6-v2", "model.onnx")
    together = session.run(None, tokens(TEXTS))[0]
    alone = session.run(None, tokens(TEXTS[:1]))[0]
    np.testing.assert_allclose(alone[0], together[0], atol=1e-5)


def test_text_keys_order_meaning() -> None:
    keys = onnx("all-minilm-l6-v2", "model.onnx").run(None, tokens(TEXTS))[0]
    likeness = keys @ keys.T
    assert likeness[0, 1] > likeness[0, 2] + 0.2


def test_quantised_text_export_stays_close() -> None:
    batch = tokens(TEXTS)
    exact = onnx("all-minilm-l6-v2", "model.onnx").run(None, batch)[0]
    coarse = onnx("all-minilm-l6-v2", "model-int8.onnx").run(None, batch)[0]
    assert (exact * coarse).sum(axis=1).min() > 0.93


def test_every_model_is_what_the_lock_says() -> None:
    assert {state.item.name: state.condition for state in models().verify()} == {
        item.name: Condition.PRESENT for item in models().lock.items
    }


def test_stamp_names_what_the_derived_files_were_made_from() -> None:
    item = models().lock.item("all-minilm-l6-v2")
    stamp = read_stamp(models().folder(item.name))
    assert stamp.made_from == item_digest(item)
    assert stamp.exporter.startswith(f"{EXPORTER_VERSION} torch ")
    assert set(stamp.derived) == set(item.derived)
